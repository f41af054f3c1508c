#!/bin/sh
# SPDX-License-Identifier: MIT
# Installs the Debian packages that building and checking need.
# usage: scripts/setup.sh [--full] [--list]
#   --full  also what is optional: the peers of make bench, perf, and the Linux guest of
#           make bench-qemu, which is unpacked into build/ and not installed
#   --list  prints the packages and installs nothing
# Run it as root, or as a user who may use sudo. It may be run again at any time: what is
# there stays, and nothing asks a question. The library alone needs gcc and make.
set -eu
cd "$(dirname "$0")/.."

base='gcc make libc6-dev g++ clang libclang-rt-dev python3 pkg-config git shellcheck bats relacy-dev spin'
# The kernel: make run, run-debug, iso, test-qemu.
base="$base qemu-system-x86 ovmf grub-common grub-pc-bin grub-efi-amd64-bin xorriso mtools gdb"
optional='linux-perf tmux lz4 cpio'
full='' list=''

for arg in "$@"; do
    case $arg in
    --full) full=1 ;;
    --list) list=1 ;;
    *)
        echo "usage: scripts/setup.sh [--full] [--list]" >&2
        exit 2
        ;;
    esac
done

is_installed() {
    [ "$(dpkg-query -W -f='${db:Status-Status}' "$1" 2>/dev/null)" = installed ]
}

# The peers stand in one list, which the benchmark keeps.
optional="$optional $(grep -v '^#' bench/packages.txt | tr '\n' ' ')"

if [ -n "$list" ]; then
    # Split on purpose: one a line.
    # shellcheck disable=SC2086
    printf '%s\n' $base ${full:+$optional} | sort -u
    exit 0
fi
if ! command -v apt-get >/dev/null; then
    echo "setup: there is no apt-get here; on another system install the like of: $base" >&2
    exit 1
fi

missing=''
for p in $base; do
    is_installed "$p" || missing="$missing $p"
done
wanted=''
if [ -n "$full" ]; then
    for p in $optional; do
        is_installed "$p" || wanted="$wanted $p"
    done
fi
# The Linux kernel of make bench-qemu; its files belong to whom the tree does.
fetch_guest() {
    [ -n "$full" ] || return 0
    sh bench/qemu/fetch.sh || echo "setup: Debian's cloud kernel is not to be had here: left out"
    [ "$(id -u)" -ne 0 ] || chown --reference=. build || return 0
    [ "$(id -u)" -ne 0 ] || chown -R --reference=. build/qemu-linux || return 0
}

if [ -z "$missing$wanted" ]; then
    echo "setup: all packages are installed"
    fetch_guest
    exit 0
fi

as_root=''
if [ "$(id -u)" -ne 0 ]; then
    if ! command -v sudo >/dev/null; then
        echo "setup: run it as root, or install sudo; missing:$missing$wanted" >&2
        exit 1
    fi
    as_root=sudo
fi

apt() {
    $as_root env DEBIAN_FRONTEND=noninteractive apt-get -q -o Dpkg::Use-Pty=0 "$@"
}

apt update
# An optional package that this release does not have is named and left out.
found=''
for p in $wanted; do
    if apt-cache show "$p" >/dev/null 2>&1; then
        found="$found $p"
    else
        echo "setup: $p is not to be had here: left out"
    fi
done
# Split on purpose.
# shellcheck disable=SC2086
apt install -y --no-install-recommends $missing $found
echo "setup: installed$missing$found"
fetch_guest
