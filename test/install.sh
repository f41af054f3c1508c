#!/bin/sh
# SPDX-License-Identifier: MIT
# Installs into a temporary tree and builds the quick start of README.md against it; then
# builds and tests a clean clone with nothing but gcc, make and the basic tools.
# Proves PR-18 and ACC-21, and ACC-22 for the installed library.
# usage: test/install.sh (also make install-check). CLEAN_FULL=1 runs all unit tests in
# the clean clone, otherwise those of the rings.
cd "$(dirname "$0")/.." || exit 2
suite=install
. test/lib.sh

# The installed tree. -----------------------------------------------------------------

files_are_there() {
    for f in include/ggmk/ggmk.h include/ggmk/base/atomic_port.h include/ggmk/hal_types.h \
        include/gmk_sdk.h lib/libgmk_cpu.a lib/libgmk_test.a lib/pkgconfig/ggmk.pc; do
        [ -f "$tmp/stage/usr/$f" ] || {
            echo "$f is not installed"
            return 1
        }
    done
}

flags_of() { PKG_CONFIG_LIBDIR=$tmp/stage/usr/lib/pkgconfig PKG_CONFIG_SYSROOT_DIR=$tmp/stage \
    pkg-config "$@" ggmk; }

# The first C block of README.md.
quick_start() { awk '/^```c$/ { on = 1; next } /^```/ && on { exit } on' README.md; }

# The flags are split on purpose.
# shellcheck disable=SC2046
build_quick_start() {
    "$1" -std=c11 -Wall -Wextra -Werror $(flags_of --cflags) "$tmp/quick.c" $(flags_of --libs) \
        -o "$tmp/quick"
}

prints_42() {
    "$tmp/quick" >"$tmp/out" && cat "$tmp/out" && grep -q ' got 42$' "$tmp/out"
}

check staged make -s install DESTDIR="$tmp/stage" PREFIX=/usr && check files files_are_there
if [ "$failed" -ne 0 ]; then
    skip quick_start 'nothing was installed'
elif ! command -v pkg-config >/dev/null; then
    skip quick_start 'pkg-config not found'
else
    quick_start >"$tmp/quick.c"
    for cc in gcc clang; do
        if command -v $cc >/dev/null; then
            check "quick_start_$cc" build_quick_start $cc && check "quick_start_${cc}_42" prints_42
        else
            skip "quick_start_$cc" "$cc not found"
        fi
    done
    version=$(sed -n 's/^#define GMK_VERSION_TEXT "\(.*\)"$/\1/p' include/ggmk/config.h)
    check version test "$(flags_of --modversion)" = "$version"
fi

# A machine with gcc, make and pthreads alone. ----------------------------------------

# Everything a build may call; no git, python, clang or pkg-config.
tools='gcc as ld ar make sh sed grep find cmp cat cp cut date dirname basename echo env expr
head install ln ls mkdir mktemp mv printf rm rmdir sort tail test timeout touch tr true uname wc'

poor_path() {
    mkdir "$tmp/bin" || return 1
    for t in $tools; do
        at=$(command -v "$t") || return 1
        case $at in
        /*) ;;
        *) at=/usr/bin/$t ;; # a shell's own
        esac
        [ -x "$at" ] && ln -s "$at" "$tmp/bin/$t"
    done
}

poor() {
    (cd "$tmp/clone" && env -i PATH="$tmp/bin" HOME="$tmp" TMPDIR="$tmp" make -s "$@")
}

stays_clean() {
    [ -z "$(git -C "$tmp/clone" status --porcelain)" ] ||
        { git -C "$tmp/clone" status --short && false; }
}

what="test-ring"
[ -z "${CLEAN_FULL:-}" ] || what="test"
if ! git rev-parse -q --verify HEAD >/dev/null 2>&1; then
    skip clean_clone 'this tree is no git checkout'
else
    check clean_tools poor_path && check clean_clone git clone -q "$PWD" "$tmp/clone" &&
        check clean_lib poor lib && check "clean_$what" poor $what && tail -n 1 "$tmp/log" | sed 's/^/  /' &&
        check clean_tree stays_clean && check clean_clean poor clean &&
        check clean_no_build test ! -e "$tmp/clone/build"
fi

closing
