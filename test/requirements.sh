#!/bin/sh
# SPDX-License-Identifier: MIT
# Proves tools/requirements.py: what it counts for which test, and that --check fails on
# each kind of gap. The trees are made under build/requirements.
# usage: test/requirements.sh (also make requirements-check)
cd "$(dirname "$0")/.." || exit 2
dir=build/requirements
tool=$PWD/tools/requirements.py
suite=requirements
. test/lib.sh
rm -rf "$dir"

# tree NAME: a good tree of a list and three tests, to be spoilt by the case.
tree() {
    t=$dir/$1
    mkdir -p "$t/docs" "$t/test/mutants" "$t/tools" "$t/arch/x86_64/jobs"
    {
        printf 'T-1\trecord\nT-2\tzero\nT-3\tseq\nT-4\tyields\nT-5\tinline\n'
        printf 'R-1\trings\nAL-1\tsplit\nEQ-1\tcore\nPR-1\twork\tprinciple: said in three words\n'
        printf 'HAL-9\tcheck\nPR-18\tgcc\nCH-2\tregistry\n'
        printf 'BM-1\tboot\nBM-2\tsteps\nBM-3\techo\nSTD-24\tdisk\n'
    } >"$t/docs/requirements.tsv"
    cat >"$t/test/test_one.c" <<'C'
/* Source: SPEC T-1 to T-5, V-3, GPL-2. */
static int four(void) { return 4; } /* EQ-1 */

/* T-1, T-2: above. */
GMK_TEST(one_first)
{
    /* R-1b. */
    if (four() == 4) {
    }
}

/* T-3..5. */
GMK_TEST(one_second) { }
const char *no_comment = "T-99";
C
    printf '/* AL-1 to AL-1, CH-2: a storm. */\nint main(void) { return 0; }\n' >"$t/test/storm.c"
    printf '/* EQ-1 */\n' >"$t/test/env.h"
    printf 'what: EQ-1\n---\n' >"$t/test/mutants/lost.mutant"
    printf '# PR-18\necho T-77\n' >"$t/test/install.sh"
    cat >"$t/test/qemu_job.py" <<'PY'
"""Not this: T-88 nor T-1."""
CASES = [  # STD-24
]
def boots():
    # BM-1: here.
    return 'T-99'
# BM-2: the list
LIST = 1
PY
    cat >"$t/arch/x86_64/jobs/smoke.c" <<'C'
/* Source: SPEC BM-3. */
static void helper(void) { } /* BM-3 */
/* BM-3. */
static void echo(void)
{
    verdict("echo_comes_back", true);
}
C
    printf "    'platform': 'one text (HAL-9)',\nNOT = 'T-66'\n" >"$t/tools/lint.py"
}

run() { python3 "$tool" --root "$@" 2>&1; }

# row ID PROOF: the good tree's table has it so.
row() {
    line=$(run "$dir/good" | grep "^$1	")
    [ "$(printf '%s' "$line" | cut -f 3)" = "$2" ] && problem='' || problem="not '$2': $line"
    verdict "row_$(echo "$1" | tr 'A-Z-' 'a-z_')" "$problem"
}

# refused NAME TEXT SUMS: the check of this tree fails with one finding, which has TEXT.
refused() {
    out=$(run "$dir/$1" --check)
    status=$?
    problem=''
    [ "$status" -eq 1 ] || problem="exit status $status, not 1"
    [ "$(printf '%s\n' "$out" | wc -l)" -eq 2 ] || problem="not one finding"
    printf '%s\n' "$out" | sed -n 1p | grep -qF "$2" || problem="no '$2'"
    [ "$(printf '%s\n' "$out" | tail -n 1)" = "$3" ] || problem="the sums are not $3"
    verdict "$1" "${problem:+$problem
$out}"
}

list() { echo "$dir/$1/docs/requirements.tsv"; }

tree good
out=$(run "$dir/good" --check) && [ "$out" = \
    '16 requirements, 15 tested, 1 explained, 0 uncovered' ] && out=''
verdict good "$out"
row T-1 'test_one: one_first'
row T-2 'test_one: one_first'
row T-3 'test_one: one_second'
row T-5 'test_one: one_second'
row R-1 'test_one: one_first'
row AL-1 'storm'
row CH-2 'storm'
row EQ-1 'test/mutants/lost.mutant'
row PR-1 'principle: said in three words'
row PR-18 'install-check'
row BM-1 'job-check: boots'
row BM-2 'job-check'
row STD-24 'job-check'
row BM-3 'smoke: echo_comes_back'
row HAL-9 'lint rule platform'

full='16 requirements, 15 tested, 1 explained, 0 uncovered'
gap='16 requirements, 14 tested, 1 explained, 1 uncovered'
tree uncovered
printf 'SC-1\tqueue\n' >>"$(list uncovered)"
refused uncovered 'SC-1 queue: no test names it' \
    '17 requirements, 15 tested, 1 explained, 1 uncovered'
tree head_only
rm "$dir/head_only/test/mutants/lost.mutant"
refused head_only 'EQ-1 core: no test names it' "$gap"
tree python_head_only
sed -i '/BM-1/d; s/nor T-1/nor BM-1/' "$dir/python_head_only/test/qemu_job.py"
refused python_head_only 'BM-1 boot: no test names it' "$gap"
tree smoke_helper_only
sed -i '3s/BM-3/echo/' "$dir/smoke_helper_only/arch/x86_64/jobs/smoke.c"
refused smoke_helper_only 'BM-3 echo: no test names it' "$gap"
tree explained_and_tested
sed -i 's/^T-1	record$/&	principle: but it is tested/' "$(list explained_and_tested)"
refused explained_and_tested 'T-1 is explained, yet test_one: one_first names it' "$full"
tree unknown_number
echo '/* T-42. */' >>"$dir/unknown_number/test/storm.c"
refused unknown_number 'T-42: there is no such requirement' "$full"
tree unknown_end
echo '/* T-1 to T-42. */' >>"$dir/unknown_end/test/storm.c"
refused unknown_end 'T-42: there is no such requirement' "$full"
tree unknown_group
echo '/* CHN-2. */' >>"$dir/unknown_group/test/storm.c"
refused unknown_group 'CHN-2: there is no group CHN' "$full"
tree typo_in_a_head
sed -i '1s/T-5/T-50/' "$dir/typo_in_a_head/test/test_one.c"
refused typo_in_a_head 'test/test_one.c:1: T-50' "$full"
tree unknown_kind
sed -i 's/principle: /because: /' "$(list unknown_kind)"
refused unknown_kind 'begin the explanation with one of' "$full"
tree no_reason
sed -i 's/principle: .*/principle: so/' "$(list no_reason)"
refused no_reason 'begin the explanation with one of' "$full"
tree twice
printf 'T-1\tagain\n' >>"$(list twice)"
refused twice 'T-1 stands here twice' "$full"
tree no_title
printf 'T-9\n' >>"$(list no_title)"
refused no_title 'no line of ID, title' "$full"

run "$dir" --check >/dev/null
status=$?
[ "$status" -eq 2 ] && problem='' || problem="exit status $status, not 2"
verdict no_list "$problem"

closing
