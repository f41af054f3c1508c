#!/bin/sh
# SPDX-License-Identifier: MIT
# peer.sh OUT NAME PROBE COMMAND...: builds the peer program OUT by COMMAND if PROBE finds
# what it needs: "tool:PROGRAM", "header:FILE" searched for with CXX and PROBE_FLAGS, or
# "crate:NAME", a Rust library among Debian's, and rustc.
# Otherwise OUT.skip says why there is no such peer; that is not an error.
out=$1 name=$2 probe=$3
shift 3
mkdir -p "$(dirname "$out")"
rm -f "$out" "$out.skip"

skip() {
    echo "$1" >"$out.skip"
    echo "peer $name: $1"
    exit 0
}

what=${probe#*:}
case $probe in
tool:*) command -v "$what" >/dev/null 2>&1 || skip 'not installed (scripts/setup.sh --full)' ;;
crate:*)
    command -v rustc >/dev/null 2>&1 && ls -d "/usr/share/cargo/registry/$what"-* >/dev/null 2>&1 ||
        skip 'not installed (scripts/setup.sh --full)'
    ;;
header:*)
    # shellcheck disable=SC2086
    printf '#include <%s>\n' "$what" | ${CXX:-g++} -std=c++20 $PROBE_FLAGS -E -x c++ - >/dev/null 2>&1 ||
        skip 'not installed (scripts/setup.sh --full)'
    ;;
esac
echo "  PEER $name"
"$@" >"$out.log" 2>&1 || skip "does not build here, see $out.log"
