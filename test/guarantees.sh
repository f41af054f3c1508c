#!/bin/sh
# SPDX-License-Identifier: MIT
# Proves tools/guarantees.py: a good tree passes, and each kind of gap is found. The trees
# are made under build/guarantees. usage: test/guarantees.sh (make docs-check runs it too)
cd "$(dirname "$0")/.." || exit 2
dir=build/guarantees
tool=$PWD/tools/guarantees.py
suite=guarantees
. test/lib.sh
rm -rf "$dir"

# tree NAME: a good tree of headers, two promises, a test and tables, to be spoilt.
tree() {
    t=$dir/$1
    mkdir -p "$t/docs" "$t/test" "$t/include/ggmk"
    for h in alloc boot chan determinism sched sdk error metrics module record trace why worker; do
        echo '/* gmk_in_a_comment(); */' >"$t/include/ggmk/$h.h"
    done
    printf 'int gmk_put(int x);\nconst char *gmk_name(void);\n' >>"$t/include/ggmk/chan.h"
    echo 'int gmk_look(int x);' >>"$t/include/ggmk/why.h"
    echo 'X(PUTS, 0, "puts", "things put")' >"$t/include/ggmk/metrics.def"
    printf 'X(PUT, 0x01, ALL,\n  "put: what")\n' >"$t/include/ggmk/trace_events.def"
    printf 'GMK_TEST(put_works) { }\n/* GMK_TEST_ */\nGMK_TEST(put_again) { }\n' >"$t/test/test_put.c"
    cat >"$t/docs/GUARANTEES.md" <<'D'
# Promises

**A1. Putting.** `gmk_put` puts, and `gmk_put_t` is a type.
Proof: [test_put](../test/test_put.c): `put_works`,
`put_again`.

**A2. Looking.** `gmk_look(x)` and `gmk_name` look.
Proof: [test_put](../test/test_put.c): `put_works`.

```
**A9. A block is no promise.**
```
D
    cat >"$t/docs/OBSERVABILITY.md" <<'D'
# Tables
<!-- metrics:begin -->
| number | key | `GMK_METRIC_` | counts |
| --- | --- | --- | --- |
| 0 | `puts` | `PUTS` | things put |
<!-- metrics:end -->
<!-- events:begin -->
| number | `GMK_EV_` | level | what: `arg0`, `arg1` |
| --- | --- | --- | --- |
| 0x01 | `PUT` | ALL | put: what |
<!-- events:end -->
D
}

run() { python3 "$tool" --root "$@" 2>&1; }

# refused NAME TEXT: this tree has one finding, which says TEXT.
refused() {
    out=$(run "$dir/$1")
    status=$?
    problem=''
    [ "$status" -eq 1 ] || problem="exit status $status, not 1"
    [ "$(printf '%s\n' "$out" | wc -l)" -eq 2 ] || problem="not one finding"
    printf '%s\n' "$out" | sed -n 1p | grep -qF "$2" || problem="no '$2'"
    verdict "$1" "${problem:+$problem
$out}"
}

promises() { echo "$dir/$1/docs/GUARANTEES.md"; }
tables() { echo "$dir/$1/docs/OBSERVABILITY.md"; }

tree good
out=$(run "$dir/good")
[ "$out" = '2 promises, 3 proofs, 1 metrics, 1 events, 0 findings' ] && out=''
verdict good "$out"

tree no_such_test
sed -i 's/`put_again`/`put_never`/' "$(promises no_such_test)"
refused no_such_test 'A1: test/test_put.c has no test put_never'
tree no_such_file
sed -i 's|../test/test_put.c): `put_works`\.|../test/test_get.c): `put_works`.|' \
    "$(promises no_such_file)"
out=$(run "$dir/no_such_file")
printf '%s\n' "$out" | grep -q 'test/test_get.c:1: cannot be read' && out=''
verdict no_such_file "$out"
tree no_proof
sed -i '/^Proof: .*`put_works`\.$/d' "$(promises no_proof)"
refused no_proof 'A2 names no test that proves it'
tree empty_proof
sed -i 's/: `put_works`\.$/./' "$(promises empty_proof)"
out=$(run "$dir/empty_proof")
printf '%s\n' "$out" | grep -q 'A2: names no test in test/test_put.c' && out=''
verdict empty_proof "$out"
tree no_call
sed -i 's/`gmk_look(x)` and `gmk_name` look/Something looks/' "$(promises no_call)"
echo '**A3. Names.** `gmk_name`. Proof: [test_put](../test/test_put.c): `put_works`.' \
    >>"$(promises no_call)"
refused no_call 'A2 names no call'
tree unknown_call
sed -i 's/`gmk_look(x)`/`gmk_see(x)`/' "$(promises unknown_call)"
refused unknown_call 'A2: no header declares gmk_see'
tree call_without_promise
echo 'int gmk_drop(int x);' >>"$dir/call_without_promise/include/ggmk/chan.h"
refused call_without_promise 'no promise says what gmk_drop does'
tree numbers
sed -i 's/\*\*A2\./**A3./' "$(promises numbers)"
refused numbers 'A3 does not follow A1'
tree proof_without_promise
sed -i 's/^\*\*A2. Looking.\*\* /Looking. /' "$(promises proof_without_promise)"
out=$(run "$dir/proof_without_promise")
printf '%s\n' "$out" | grep -q 'a proof without a promise' && out=''
verdict proof_without_promise "$out"

tree metric_missing
echo 'X(GETS, 1, "gets", "things got")' >>"$dir/metric_missing/include/ggmk/metrics.def"
refused metric_missing 'the table of metrics is not what the .def file says'
tree event_changed
sed -i 's/ALL/INFO/' "$dir/event_changed/include/ggmk/trace_events.def"
refused event_changed 'the table of events is not what the .def file says'
tree table_missing
sed -i '/metrics:begin/d' "$(tables table_missing)"
refused table_missing 'there is no table of metrics'
tree bad_entry
echo 'X(GETS, 1)' >>"$dir/bad_entry/include/ggmk/metrics.def"
refused bad_entry 'an entry that is not X('

tree write
sed -i '/^| 0/d' "$(tables write)"
run "$dir/write" --write >/dev/null
out=$(diff "$(tables good)" "$(tables write)")
verdict write "$out"

run "$dir" >/dev/null
status=$?
[ "$status" -eq 2 ] && problem='' || problem="exit status $status, not 2"
verdict no_docs "$problem"

closing
