#!/bin/sh
# SPDX-License-Identifier: MIT
# Checks examples/pipeline against what coreutils compute, and how it fails.
# usage: test/pipeline.sh [PROGRAM] (also make pipeline-check). PIPELINE_MB is the size of
# the large file (200; 1024 when PIPELINE_BIG=1); PIPELINE_KIB bounds the peak memory.
# The locale is C, where A-Z are 26 letters.
# shellcheck disable=SC2018,SC2019
cd "$(dirname "$0")/.." || exit 2
program=$(realpath "${1:-build/gcc/linux/bin/pipeline}") || exit 2
tmp=$(mktemp -d) || exit 2
trap 'rm -rf "$tmp"' EXIT
trap 'exit 130' INT TERM
export LC_ALL=C

mb=${PIPELINE_MB:-200}
[ -z "${PIPELINE_BIG:-}" ] || mb=1024
limit_kib=${PIPELINE_KIB:-98304}
licences=/usr/share/common-licenses
passed=0 failed=0 skipped=0

pass() {
    passed=$((passed + 1))
    echo "[PASS] pipeline_$1"
}

fail() {
    failed=$((failed + 1))
    echo "[FAIL] pipeline_$1: $2"
    [ ! -s "$tmp/log" ] || head -n 20 "$tmp/log"
}

skip() {
    skipped=$((skipped + 1))
    echo "[SKIP] pipeline_$1: $2"
}

# The definition: words of letters, in lower case, of at most 1024 letters.
reference() {
    tr -cs A-Za-z '\n' <"$1" | tr A-Z a-z | grep . | cut -b 1-1024 | sort | uniq -c |
        sort -k1,1nr -k2 | sed 's/^ *//'
}

# compare NAME FILE [OPTION...]: all words as coreutils count them.
compare() {
    name=$1
    file=$2
    shift 2
    reference "$file" >"$tmp/want"
    if ! "$program" --all "$@" "$file" >"$tmp/got" 2>"$tmp/log"; then
        fail "$name" "status not 0"
    elif [ -s "$tmp/log" ]; then
        fail "$name" "something on standard error"
    elif cmp "$tmp/want" "$tmp/got" >"$tmp/log" 2>&1; then
        pass "$name"
    else
        diff "$tmp/want" "$tmp/got" >"$tmp/log"
        fail "$name" "not what coreutils count"
    fi
}

# complains NAME TEXT COMMAND...: ends with 1, one line that has TEXT, and no report.
complains() {
    name=$1
    text=$2
    shift 2
    "$@" >"$tmp/got" 2>"$tmp/log"
    rc=$?
    if [ "$rc" -eq 1 ] && [ ! -s "$tmp/got" ] && [ "$(wc -l <"$tmp/log")" -eq 1 ] &&
        grep -q "^pipeline: .*$text" "$tmp/log"; then
        pass "$name"
    else
        fail "$name" "status $rc, not one line with '$text'"
    fi
}

letters() { head -c "$1" /dev/zero | tr '\0' "$2"; }

# Files. ------------------------------------------------------------------------------

cat "$licences"/GPL-1 "$licences"/GPL-2 "$licences"/GPL-3 "$licences"/Apache-2.0 >"$tmp/text"
awk 'BEGIN { srand(1); for (i = 0; i < 60000; i++) { w = ""; n = 1 + int(rand() * 9)
    for (j = 0; j < n; j++) w = w sprintf("%c", 97 + int(rand() * rand() * 26))
    printf "%s%s", w, i % 9 == 8 ? "\n" : " " } }' >>"$tmp/text"
echo >>"$tmp/text"
: >"$tmp/empty"
printf ' \n\t12 3,.\n' >"$tmp/no_words"
tr '\n' ' ' <"$tmp/text" >"$tmp/one_line"
letters 300000 w >"$tmp/one_word"
printf 'two words' >"$tmp/no_newline"
head -c 3000000 /dev/urandom >"$tmp/noise"
head -c 200000 /dev/zero >"$tmp/zeros"
# Words at and around the limits of a word and of a chunk (16368 bytes).
for n in 1023 1024 1025 2000 5000 16366 16367 16368 16369 17392 17393 32736 40000; do
    letters "$n" q
    printf ' a '
    letters "$n" Q
    printf '\nb'
done >"$tmp/long_words"

# Results. ----------------------------------------------------------------------------

[ -x "$program" ] || {
    fail program "$program is not built: make pipeline"
    echo "$passed passed, $failed failed, $skipped skipped"
    exit 1
}
compare default_file "$licences/GPL-3"
if tr -cs A-Za-z '\n' <"$licences/GPL-3" | tr A-Z a-z | grep . | sort | uniq -c |
    sort -k1,1nr -k2 | sed 's/^ *//' >"$tmp/want" &&
    "$program" --all >"$tmp/got" 2>"$tmp/log" && cmp -s "$tmp/want" "$tmp/got"; then
    pass no_argument
else
    fail no_argument "not the words of $licences/GPL-3"
fi
compare empty "$tmp/empty"
compare no_words "$tmp/no_words"
compare one_line "$tmp/one_line"
compare one_word "$tmp/one_word"
compare no_newline "$tmp/no_newline"
compare noise "$tmp/noise"
compare zeros "$tmp/zeros"
compare long_words "$tmp/long_words"
for w in 1 2 8 32; do
    compare "text_workers_$w" "$tmp/text" -w "$w"
done

# The place of a word in its chunk must not matter: shift a text byte by byte.
reference "$tmp/one_line" | sed 's/^/ /' >"$tmp/want"
shifted=ok
i=0
while [ "$i" -lt 24 ]; do
    i=$((i + 1))
    { head -c "$i" /dev/zero && cat "$tmp/one_line"; } >"$tmp/shifted"
    "$program" --all "$tmp/shifted" 2>"$tmp/log" | sed 's/^/ /' | cmp -s "$tmp/want" - ||
        shifted="shifted by $i bytes"
done
if [ "$shifted" = ok ]; then pass chunk_limits; else fail chunk_limits "$shifted"; fi

reference "$tmp/text" >"$tmp/want"
if mkfifo "$tmp/fifo" && { cat "$tmp/text" >"$tmp/fifo" & } &&
    "$program" --all "$tmp/fifo" >"$tmp/got" 2>"$tmp/log" && cmp -s "$tmp/want" "$tmp/got"; then
    pass pipe
else
    fail pipe "a pipe is not read as a file is"
fi
wait

# The report. -------------------------------------------------------------------------

: >"$tmp/log"
total=$(awk '{ n += $1 } END { print n + 0 }' "$tmp/want")
kinds=$(wc -l <"$tmp/want")
"$program" -n 3 -w 2 "$tmp/text" >"$tmp/log"
head -n 3 "$tmp/want" >"$tmp/top"
if head -n 3 "$tmp/log" | sed 's/^ *//' | cmp -s - "$tmp/top" &&
    grep -q "^$total words, $kinds different, in $(wc -c <"$tmp/text" | tr -d ' ') bytes\$" "$tmp/log"; then
    pass report_words
else
    fail report_words "top words or totals are wrong"
fi
if awk '/^audit: / { ok = $3 == $6 + $9 + $12 + $15 && /: balanced$/ }
    END { exit !ok }' "$tmp/log"; then
    pass report_audit
else
    fail report_audit "the audit line does not add up"
fi
if "$program" -n 0 -t 16 "$tmp/text" >"$tmp/log" && awk -v total="$total" '
    /different ones kept/ { words = $1; kept = $3 }
    /found no room/ { other = $1 }
    END { exit !(words == total && kept == 16 && other > 0 && other < total) }' "$tmp/log" &&
    "$program" --all -t 16 "$tmp/text" 2>&1 >"$tmp/got" | grep -q 'found no room' &&
    [ "$(wc -l <"$tmp/got")" -eq 16 ]; then
    pass table_full
else
    fail table_full "a full table is not reported as it should be"
fi

# Memory. -----------------------------------------------------------------------------

bytes=$(wc -c <"$tmp/text")
copies=$((mb * 1000000 / bytes + 1))
free_kib=$(df -Pk "$tmp" | awk 'NR == 2 { print $4 }')
if [ "$free_kib" -lt $((mb * 1100 + 100000)) ]; then
    skip "large_${mb}_mb" "only $free_kib KiB free in $tmp"
else
    i=0
    while [ "$i" -lt "$copies" ]; do
        cat "$tmp/text"
        i=$((i + 1))
    done >"$tmp/large"
    awk -v n="$copies" '{ print $1 * n, $2 }' "$tmp/want" >"$tmp/want_large"
    "$program" --all "$tmp/large" >"$tmp/got" 2>"$tmp/log"
    rc=$?
    if [ "$rc" -eq 0 ] && cmp -s "$tmp/want_large" "$tmp/got"; then
        pass "large_${mb}_mb_words"
    else
        fail "large_${mb}_mb_words" "status $rc, or not the counts of $copies copies"
    fi
    for w in 2 32; do
        "$program" -n 0 -w "$w" "$tmp/large" >"$tmp/log" 2>&1
        kib=$(sed -n 's/^peak memory \([0-9]*\) KiB$/\1/p' "$tmp/log")
        if [ "${kib:-$limit_kib}" -lt "$limit_kib" ]; then
            pass "large_${mb}_mb_memory_workers_$w"
            grep 'MB/s' "$tmp/log"
            echo "  $kib KiB of $limit_kib"
        else
            fail "large_${mb}_mb_memory_workers_$w" "$kib KiB, the bound is $limit_kib"
        fi
    done
    rm -f "$tmp/large"
fi

# Errors. -----------------------------------------------------------------------------

: >"$tmp/log"
complains missing_file 'No such file' "$program" "$tmp/nothing"
complains directory 'directory' "$program" "$tmp"
complains read_error 'Input/output error' "$program" /proc/self/mem
complains full_disk 'cannot write' sh -c "\"$program\" >/dev/full"
chmod 000 "$tmp/noise"
if [ "$(id -u)" -ne 0 ]; then
    complains unreadable_file 'Permission denied' "$program" "$tmp/noise"
elif command -v setpriv >/dev/null; then
    cp "$program" "$tmp/program"
    chmod 755 "$tmp" "$tmp/program"
    complains unreadable_file 'Permission denied' setpriv --reuid=65534 --regid=65534 \
        --clear-groups "$tmp/program" "$tmp/noise"
else
    skip unreadable_file 'root reads everything, and there is no setpriv'
fi
for bad in '-w 0' '-w 33' '-w x' '-w' '-n -1' '-t 15' '-z' "$tmp/text $tmp/text"; do
    # Split on purpose.
    # shellcheck disable=SC2086
    "$program" $bad >"$tmp/got" 2>"$tmp/log"
    rc=$?
    case $bad in
    -*) name=usage_$(echo "$bad" | tr -cd A-Za-z0-9) ;;
    *) name=usage_two_files ;;
    esac
    if [ "$rc" -eq 1 ] && [ ! -s "$tmp/got" ] && grep -q '^usage: ' "$tmp/log"; then
        pass "$name"
    else
        fail "$name" "status $rc for '$bad'"
    fi
done

echo "$passed passed, $failed failed, $skipped skipped"
[ "$failed" -eq 0 ]
