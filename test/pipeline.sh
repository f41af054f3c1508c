#!/bin/sh
# SPDX-License-Identifier: MIT
# Checks examples/pipeline against what coreutils compute, recordings and their replay
# (ACC-7, DET-7: on 1, 2 and 8 workers, on linux and on the simulated machine), and how it
# fails.
# usage: test/pipeline.sh [PROGRAM [SIM_PROGRAM]] (also make pipeline-check). PIPELINE_MB is
# the size of the large file (200; 1024 when PIPELINE_BIG=1), a fifth of which is recorded;
# PIPELINE_KIB bounds the peak memory.
# The locale is C, where A-Z are 26 letters.
# shellcheck disable=SC2018,SC2019
cd "$(dirname "$0")/.." || exit 2
program=$(realpath "${1:-build/gcc/linux/bin/pipeline}") || exit 2
sim=$(realpath "${2:-build/gcc/sim/bin/pipeline}") || exit 2
export LC_ALL=C

mb=${PIPELINE_MB:-200}
[ -z "${PIPELINE_BIG:-}" ] || mb=1024
limit_kib=${PIPELINE_KIB:-98304}
licences=/usr/share/common-licenses
suite=pipeline
. test/lib.sh

fail() {
    failed=$((failed + 1))
    echo "[FAIL] pipeline_$1: $2"
    [ ! -s "$tmp/log" ] || head -n 20 "$tmp/log"
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
complains() { complains_with 1 "$@"; }

# complains_with STATUS NAME TEXT COMMAND...
complains_with() {
    want_rc=$1
    name=$2
    text=$3
    shift 3
    "$@" >"$tmp/got" 2>"$tmp/log"
    rc=$?
    if [ "$rc" -eq "$want_rc" ] && [ ! -s "$tmp/got" ] && [ "$(wc -l <"$tmp/log")" -eq 1 ] &&
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

for p in "$program" "$sim"; do
    [ -x "$p" ] || {
        fail program "$p is not built: make pipeline pipeline-sim"
        closing
        exit 1
    }
done
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

# Recording and replay. ----------------------------------------------------------------

# replays NAME HASH WANT COMMAND...: gives that hash, and with --all those words.
replays() {
    name=$1
    hash=$2
    words=$3
    shift 3
    "$@" >"$tmp/got" 2>"$tmp/log"
    rc=$?
    found=$(sed -n 's/^trace hash //p' "$tmp/got")
    "$@" --all >"$tmp/got" 2>>"$tmp/log"
    rc_all=$?
    if [ "$rc" -ne 0 ] || [ "$rc_all" -ne 0 ] || [ -s "$tmp/log" ]; then
        fail "$name" "status $rc and $rc_all"
    elif [ "${#found}" -ne 16 ] || [ "$found" != "$hash" ]; then
        fail "$name" "trace hash '$found', and '$hash' was recorded"
    elif ! cmp -s "$words" "$tmp/got"; then
        fail "$name" "not the words that were recorded"
    else
        pass "$name"
    fi
}

for f in empty no_words one_word no_newline noise zeros long_words; do
    compare "record_$f" "$tmp/$f" --record "$tmp/tape_$f"
    reference "$tmp/$f" >"$tmp/want"
    replays "replay_$f" "$("$program" --record "$tmp/tape" "$tmp/$f" | sed -n 's/^trace hash //p')" \
        "$tmp/want" "$program" --replay "$tmp/tape_$f"
done

# A copy of the text that is gone when it is replayed.
reference "$tmp/text" >"$tmp/want"
cp "$tmp/text" "$tmp/text_copy"
hash=$("$program" -w 2 --record "$tmp/tape" "$tmp/text_copy" | sed -n 's/^trace hash //p')
rm "$tmp/text_copy"
for w in 1 2 8; do
    replays "replay_linux_to_linux_workers_$w" "$hash" "$tmp/want" \
        "$program" -w "$w" --replay "$tmp/tape"
    for seed in 1 2 3; do
        replays "replay_linux_to_sim_workers_${w}_seed_$seed" "$hash" "$tmp/want" \
            "$sim" --seed "$seed" -w "$w" --replay "$tmp/tape"
    done
done
for seed in 1 2 3 4; do
    "$sim" --seed "$seed" -w "$seed" --record "$tmp/tape_sim" "$tmp/text" >"$tmp/log" 2>&1
    for w in 1 2 8; do
        replays "replay_sim_seed_${seed}_to_linux_workers_$w" "$hash" "$tmp/want" \
            "$program" -w "$w" --replay "$tmp/tape_sim"
    done
    replays "replay_sim_seed_${seed}_to_sim" "$hash" "$tmp/want" \
        "$sim" --seed $((seed + 40)) -w 8 --replay "$tmp/tape_sim"
    if cmp "$tmp/tape" "$tmp/tape_sim" >"$tmp/log" 2>&1; then
        pass "record_sim_seed_${seed}_same_bytes"
    else
        fail "record_sim_seed_${seed}_same_bytes" "the recordings of two machines differ"
    fi
done
for p in "$program" "$sim"; do
    other=$(sed '0,/[A-Z]/s/[A-Z]/q/' "$tmp/text" >"$tmp/altered" &&
        "$p" --record "$tmp/tape_other" "$tmp/altered" | sed -n 's/^trace hash //p')
    name=record_altered_text_$(basename "$(dirname "$(dirname "$p")")")
    if [ "${#other}" -eq 16 ] && [ "$other" != "$hash" ]; then
        pass "$name"
    else
        fail "$name" "another letter gives the hash '$other'"
    fi
done
cat "$tmp/text" >"$tmp/fifo" &
"$program" --record "$tmp/tape_other" "$tmp/fifo" >"$tmp/got" 2>"$tmp/log"
wait
if cmp "$tmp/tape" "$tmp/tape_other" >"$tmp/log" 2>&1; then
    pass record_pipe
else
    fail record_pipe "a pipe is not recorded as a file is"
fi

bytes=$(wc -c <"$tmp/tape" | tr -d ' ')
for cut in 0 7 40 41 1000 $((bytes / 2)) $((bytes - 36)) $((bytes - 1)); do
    head -c "$cut" "$tmp/tape" >"$tmp/damaged"
    complains_with 2 "replay_cut_at_$cut" 'recording: stops .*, at byte' \
        "$program" --replay "$tmp/damaged"
done
{ head -c 5000 "$tmp/tape" && printf '\377' && tail -c +5002 "$tmp/tape"; } >"$tmp/damaged"
complains_with 2 replay_damaged 'recording: checksum differs.*, at byte' \
    "$program" --replay "$tmp/damaged"
complains_with 2 replay_damaged_on_sim 'recording: checksum differs' "$sim" --replay "$tmp/damaged"
{ cat "$tmp/tape" && echo; } >"$tmp/damaged"
complains_with 2 replay_more_bytes 'recording: bytes after the end' "$program" --replay "$tmp/damaged"
complains_with 2 replay_wrong_file 'recording: not a recording' "$program" --replay "$tmp/text"
complains_with 2 replay_wrong_short_file 'recording: not a recording' \
    sh -c "echo x >\"$tmp/damaged\" && \"$program\" --replay \"$tmp/damaged\""
if python3 test/record_alter.py "$tmp/tape" "$tmp/damaged" >"$tmp/log" 2>&1; then
    for w in 1 2 8; do
        complains_with 3 "replay_diverges_workers_$w" 'other than recorded, found before tick 3' \
            "$program" -w "$w" --replay "$tmp/damaged"
    done
    complains_with 3 replay_diverges_on_sim 'other than recorded, found before tick 3' \
        "$sim" --replay "$tmp/damaged"
else
    fail replay_diverges "test/record_alter.py did not run"
fi
complains replay_missing_file 'No such file' "$program" --replay "$tmp/nothing"
complains replay_directory 'directory' "$program" --replay "$tmp"
complains replay_read_error 'Input/output error' "$program" --replay /proc/self/mem
complains record_full_disk 'full: No space left' "$program" --record /dev/full "$tmp/text"
complains record_no_directory 'No such file' "$program" --record "$tmp/no/tape" "$tmp/text"
complains record_missing_file 'No such file' "$program" --record "$tmp/no_tape" "$tmp/nothing"
complains record_read_error 'Input/output error' "$program" --record "$tmp/damaged" /proc/self/mem
complains record_over_the_text 'is the text itself' "$program" --record "$tmp/text" "$tmp/text"
if [ ! -e "$tmp/no_tape" ] && reference "$tmp/text" | cmp -s "$tmp/want" -; then
    pass record_harms_no_file
else
    fail record_harms_no_file "a recording that was refused left a file, or spoilt the text"
fi
rm -f "$tmp"/tape* "$tmp/damaged" "$tmp/altered"

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
    head -c $((mb * 200000)) "$tmp/large" >"$tmp/fifth"
    reference "$tmp/fifth" >"$tmp/want"
    "$program" -n 0 -w 2 --record "$tmp/tape" "$tmp/fifth" >"$tmp/recorded" 2>&1
    rm -f "$tmp/large" "$tmp/fifth"
    replays "large_$((mb / 5))_mb_replay" "$(sed -n 's/^trace hash //p' "$tmp/recorded")" \
        "$tmp/want" "$program" -w 8 --replay "$tmp/tape"
    "$program" -n 0 -w 8 --replay "$tmp/tape" >"$tmp/replayed" 2>&1
    rm -f "$tmp/tape"
    for f in recorded replayed; do
        cp "$tmp/$f" "$tmp/log"
        kib=$(sed -n 's/^peak memory \([0-9]*\) KiB$/\1/p' "$tmp/log")
        if [ "${kib:-$limit_kib}" -lt "$limit_kib" ]; then
            pass "large_$((mb / 5))_mb_memory_$f"
            grep 'MB/s' "$tmp/log"
            echo "  $kib KiB of $limit_kib"
        else
            fail "large_$((mb / 5))_mb_memory_$f" "$kib KiB, the bound is $limit_kib"
        fi
    done
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
for bad in '-w 0' '-w 33' '-w x' '-w' '-n -1' '-t 15' '-z' --record --replay \
    '--replay a b' '--record a --replay b' "$tmp/text $tmp/text"; do
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

closing
