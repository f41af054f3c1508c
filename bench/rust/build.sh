#!/bin/sh
# SPDX-License-Identifier: MIT
# build.sh OUT SOURCE: builds a program on Debian's crossbeam-channel by rustc alone, without
# cargo and without a network.
set -e
out=$1 src=$2
lib=/usr/share/cargo/registry
dir=$out.crates
mkdir -p "$dir"

# crate NAME FLAGS...: one library of the registry, in its own edition
crate() {
    name=$1
    shift
    set -- "$(ls -d "$lib/$name"-[0-9]*)" "$@"
    edition=$(sed -n 's/^edition = "\(.*\)"/\1/p' "$1/Cargo.toml")
    root=$1/src/lib.rs
    shift
    rustc -O -C target-cpu=native --edition "${edition:-2015}" --cap-lints allow \
        --crate-type rlib --crate-name "$(echo "$name" | tr - _)" -L "$dir" --out-dir "$dir" \
        "$@" "$root"
}

crate cfg-if
crate crossbeam-utils --extern cfg_if="$dir/libcfg_if.rlib" --cfg 'feature="std"'
crate crossbeam-channel --extern cfg_if="$dir/libcfg_if.rlib" \
    --extern crossbeam_utils="$dir/libcrossbeam_utils.rlib" --cfg 'feature="std"' \
    --cfg 'feature="crossbeam-utils"'
rustc -C opt-level=3 -C target-cpu=native --edition 2018 -L "$dir" \
    --extern crossbeam_channel="$dir/libcrossbeam_channel.rlib" -o "$out" "$src"
