#!/bin/sh
# SPDX-License-Identifier: MIT
# Runs what the documentation says: README.md and docs/*.md, in a copy of the tree.
# usage: test/docs.sh (also make docs-check)
#   ```sh           runs, each block in a shell of its own that ends at the first failure
#   ```sh no-run    is only checked: its syntax, its scripts, its make targets
#   ```c            with a main: is compiled and run; without: is compiled after
#                   #include <ggmk/ggmk.h> and <ggmk/sdk.h>
# Relative links must lead to files, and README's quick start must be the example's; what
# is promised must have its tests (tools/guarantees.py).
cd "$(dirname "$0")/.." || exit 2
unset MAKEFLAGS MFLAGS MAKEOVERRIDES MAKELEVEL
suite=docs
. test/lib.sh
warn='-std=c11 -Wall -Wextra -Werror'
flags='-Iinclude -Ihal/common -Ihal/linux'

# blocks FILE: writes $tmp/blocks/LINE.KIND for each fenced block, KIND being its info
# string without blanks.
blocks() {
    rm -rf "$tmp/blocks"
    mkdir "$tmp/blocks"
    awk -v dir="$tmp/blocks" '
        /^```/ && out != "" { close(out); out = ""; next }
        /^```/ { kind = substr($0, 4); gsub(/[^A-Za-z-]/, "", kind)
            out = sprintf("%s/%05d.%s", dir, NR, kind == "" ? "text" : kind)
            printf "" > out; next }
        out != "" { print > out }' "$1"
}

copy_tree() {
    mkdir "$tmp/tree"
    if git rev-parse -q --verify HEAD >/dev/null 2>&1; then
        git ls-files -coz --exclude-standard
    else
        find . -path ./build -prune -o -type f -print0
    fi | xargs -0 ls -d 2>/dev/null | tar -cf - -T - | tar -xf - -C "$tmp/tree"
    [ ! -d build/gcc ] || { mkdir "$tmp/tree/build" && cp -a build/gcc "$tmp/tree/build"; }
    [ -f "$tmp/tree/Makefile" ]
}

run_sh() { (cd "$tmp/tree" && timeout 300 sh -e "$1"); }

# A block that is not run: syntax, scripts that it names, targets that it makes.
look_sh() {
    sh -n "$1" || return 1
    # Split into words on purpose.
    # shellcheck disable=SC2013
    for f in $(grep -o '\./[A-Za-z0-9_./-]*' "$1"); do
        [ -x "$f" ] || {
            echo "$f is no program"
            return 1
        }
    done
    # shellcheck disable=SC2013
    for t in $(sed -n 's/.*\bmake \([a-z][a-z-]*\).*/\1/p' "$1"); do
        (cd "$tmp/tree" && make -n "$t" >/dev/null) || return 1
    done
}

# The flags are split on purpose.
# shellcheck disable=SC2086
run_c() {
    gcc $warn $flags -x c "$1" -x none build/libgmk_cpu.a -pthread -o "$tmp/program" &&
        timeout 60 "$tmp/program"
}

# shellcheck disable=SC2086
compile_c() {
    { printf '#include <ggmk/ggmk.h>\n#include <ggmk/sdk.h>\n#include <stdio.h>\n#line 1\n' &&
        cat "$1"; } >"$tmp/part.c"
    gcc $warn -Wno-unused-function -Wno-unused-variable $flags -fsyntax-only "$tmp/part.c"
}

block() {
    case $2 in
    *.sh) check "$1" run_sh "$2" ;;
    *.shno-run) check "$1" look_sh "$2" ;;
    *.c) if grep -q 'int main(' "$2"; then check "$1" run_c "$2"; else check "$1" compile_c "$2"; fi ;;
    *.text) ;;
    *) check "$1" sh -c "echo 'a block of unknown kind: ${2##*.}'; false" ;;
    esac
}

# Relative links of a file, outside its blocks.
links() {
    awk '/^```/ { in_block = !in_block; next } !in_block' "$1" |
        grep -o '](\([^)]*\))' | sed -e 's/^](//' -e 's/)$//' -e 's/#.*//' |
        grep -v -e '^$' -e '^[a-z]*:' | sort -u
}

links_lead() {
    links "$1" | while read -r to; do
        [ -e "$(dirname "$1")/$to" ] || {
            echo "$1: there is no $to"
            exit 1
        }
    done
}

no_machine_paths() { ! grep -nE '/(home|root|work|Users)/' "$1"; }

same_quick_start() {
    awk '/^```c$/ { on = 1; next } /^```/ && on { exit } on' README.md >"$tmp/readme.c"
    sed '1,/\*\/$/d' examples/quickstart/quickstart.c | diff - "$tmp/readme.c"
}

check lib make -s lib
check copy copy_tree
check quick_start same_quick_start
check promises python3 tools/guarantees.py
check promises_tool sh test/guarantees.sh
for f in README.md docs/*.md; do
    doc=$(basename "$f" .md | tr '[:upper:]' '[:lower:]')
    check "${doc}_links" links_lead "$f"
    check "${doc}_paths" no_machine_paths "$f"
    blocks "$f"
    for b in "$tmp"/blocks/*; do
        [ -f "$b" ] || continue
        line=$(basename "$b")
        block "${doc}_line_$(echo "${line%%.*}" | sed 's/^0*//')" "$b"
    done
done

closing
