#!/bin/sh
# SPDX-License-Identifier: MIT
# Proves tools/bad_args.py: a good tree passes, and each rule fires on a tree that breaks it.
# The trees are made under build/bad_args.
# usage: test/bad_args.sh (also make requirements-check)
cd "$(dirname "$0")/.." || exit 2
dir=build/bad_args
tool=$PWD/tools/bad_args.py
suite=bad_args
. test/lib.sh
rm -rf "$dir"

# tree NAME: a good tree of two headers and a table, to be spoilt by the case.
tree() {
    t=$dir/$1
    mkdir -p "$t/include/ggmk" "$t/test"
    cat >"$t/include/ggmk/one.h" <<'C'
/* Names gmk_comment(int); GMK_E_FULL. */
#define gmk_macro(x) gmk_other(x)
typedef int (*gmk_take_fn)(void *arg);
static inline int gmk_inline(int *p) { return gmk_called(p); }
GMK_FN int gmk_also_inline(int *p)
{
    gmk_called(p);
    return 0;
}
/* Puts one in. returns: GMK_OK, GMK_E_INVALID,
 * GMK_CHAN_FULL. */
GMK_NODISCARD int gmk_put(gmk_kernel_t *k, const int *one,
                          uint32_t n);
/* returns: as gmk_put and gmk_flush; GMK_E_LIMIT. */
int gmk_put_all(gmk_take_fn fn, uint32_t n);
int gmk_put_some(const int *p);

/* returns: as above, GMK_E_BUSY. */
int gmk_flush(void *p);
C
    cat >"$t/include/ggmk/hal.h" <<'C'
void gmk_hal_stop(int *p);
uint32_t gmk_version(void);
C
    cat >"$t/test/test_bad_args.c" <<'C'
#define BAD(call, code) {#call, (call), (code)}
#define NOTHING(call) call
/* BAD(gmk_comment(NULL), GMK_E_FULL) */
const x_t cases[] = {
    BAD(gmk_put(NULL, &one, 1), GMK_E_INVALID),
    BAD(gmk_put(&never, (int *)one(1, 2),
                1), GMK_E_INVALID),
    BAD(gmk_put(&k, NULL, 1), GMK_CHAN_FULL),
    BAD(gmk_put_all(NULL, 1), GMK_E_LIMIT),
    BAD(gmk_put_all(take, 0), GMK_E_BUSY),
    BAD(gmk_put_some(NULL), GMK_CHAN_FULL),
    BAD(gmk_flush(NULL)[0] != NULL, GMK_E_INVALID),
};
C
}

# refused NAME FINDING: the tree has this finding, which is a line up to its second colon
# and rule, and no other.
refused() {
    out=$(python3 "$tool" --root "$dir/$1" 2>&1)
    status=$?
    problem=''
    [ "$status" -eq 1 ] || problem="exit status $status, not 1"
    [ "$(printf '%s\n' "$out" | sed '$d' | cut -d: -f1-3)" = "$2" ] || problem="not '$2'"
    verdict "$1" "${problem:+$problem
$out}"
}

# spoil NAME FILE SCRIPT: a good tree with one file changed by sed.
spoil() {
    tree "$1"
    sed -i "$3" "$dir/$1/$2"
}

table=test/test_bad_args.c
header=include/ggmk/one.h
tree good
out=$(python3 "$tool" --root "$dir/good" 2>&1) && [ "$out" = \
    '6 public functions, 4 with 7 rows, 0 findings' ] && out=''
verdict good "$out"
spoil no_row $table '/gmk_flush/d'
refused no_row 'include/ggmk/one.h:19: no-row'
spoil row_in_a_comment $table 's|^    BAD(gmk_flush.*|/* & */|'
refused row_in_a_comment 'include/ggmk/one.h:19: no-row'
spoil new_function $header '$aint gmk_new(int n);'
refused new_function 'include/ggmk/one.h:20: no-row'
spoil no_null $table 's/&k, NULL, 1/\&k, \&one, 1/'
refused no_null 'include/ggmk/one.h:12: no-null'
spoil no_null_function $table 's/gmk_put_all(NULL/gmk_put_all(take/'
refused no_null_function 'include/ggmk/one.h:15: no-null'
spoil no_dead $table 's/&never/\&k/'
refused no_dead 'include/ggmk/one.h:12: no-dead'
spoil undocumented $table 's/GMK_E_LIMIT/GMK_E_FULL/'
refused undocumented 'test/test_bad_args.c:9: undocumented'
spoil undocumented_once_the_header_changes $header 's/GMK_E_BUSY/nothing else/'
refused undocumented_once_the_header_changes 'test/test_bad_args.c:10: undocumented'
spoil undocumented_beside_returns $header 's|GMK_E_LIMIT. |GMK_OK. cost: GMK_E_LIMIT. |'
refused undocumented_beside_returns 'test/test_bad_args.c:9: undocumented'
spoil vague $table 's/GMK_E_LIMIT/REFUSED/'
refused vague 'test/test_bad_args.c:9: vague'
spoil stale $table 's/^};/    BAD(gmk_version(), 1),\n};/'
refused stale 'include/ggmk/hal.h:2: stale'

# own NAME SCRIPT: the real tree, with its own tool changed by sed.
own() {
    mkdir -p "$dir/$1/test" "$dir/$1/tools"
    cp -R include "$dir/$1"
    cp $table "$dir/$1/test"
    cp tools/lint_c.py "$dir/$1/tools"
    sed "$2" "$tool" >"$dir/$1/tools/bad_args.py"
}

# gone NAME SCRIPT EXCUSE: the excuse that the script adds is found to be about nothing.
gone() {
    own "$1" "$2"
    out=$(python3 "$dir/$1/tools/bad_args.py" 2>&1)
    status=$?
    line=$(grep -n "$3" "$dir/$1/tools/bad_args.py" | cut -d: -f1)
    problem=''
    [ "$status" -eq 1 ] || problem="exit status $status, not 1"
    [ "$(printf '%s\n' "$out" | sed '$d' | cut -d: -f1-3)" = \
        "tools/bad_args.py:$line: stale" ] || problem="not line $line alone"
    verdict "$1" "${problem:+$problem
$out}"
}

own own_tree ''
out=$(python3 "$dir/own_tree/tools/bad_args.py" 2>&1) && out=''
verdict own_tree "$out"
gone stale_function "s/^OUT = {/&\n    'gmk_made_up': 'why',/" "'gmk_made_up': 'why'"
gone stale_null "s/^NULL_ALLOWED = {/&\n    ('gmk_made_up', 0),/" "('gmk_made_up', 0)"
gone stale_never "s/^NEVER_ALLOWED = {/&('gmk_made_up', 0), /" "('gmk_made_up', 0)"
gone stale_header "s/^OUT_HEADERS = {/&\n    'include\/ggmk\/none.h': 'why',/" "none.h': 'why'"

python3 "$tool" --root "$dir" >/dev/null 2>&1
status=$?
[ "$status" -eq 2 ] && problem='' || problem="exit status $status, not 2"
verdict no_table "$problem"

closing
