#!/bin/sh
# SPDX-License-Identifier: MIT
# What starts QEMU takes nothing for a pass that is none: a wrong option, a guest that is
# killed, hangs, is silent or powers off; and it leaves no QEMU behind. Most of it on programs
# that stand for QEMU, some on QEMU itself with the smallest guest (guest.S).
# usage: test/qemu/run.sh (part of make runners-check)
cd "$(dirname "$0")/../.." || exit 2
unset QEMU TEST_JOBS TEST_LIMIT
dir=$PWD/build/qemu-check
suite=qemu
. test/lib.sh
rm -rf "$dir"
mkdir -p "$dir" || exit 2
: >"$dir/kernel"
: >"$dir/disk"

# gone NAME FILE: the process that wrote its id there ends, within 10 s.
gone() {
    tries=0
    while [ -s "$2" ] && kill -0 "$(cat "$2")" 2>/dev/null && [ "$tries" -lt 100 ]; do
        tries=$((tries + 1))
        sleep 0.1
    done
    if [ -s "$2" ] && ! kill -0 "$(cat "$2")" 2>/dev/null; then
        pass "$1"
    else
        fail "$1" 'a QEMU was left behind'
    fi
}

# stand NAME LINE...: a program that stands for QEMU.
stand() {
    name=$1
    shift
    {
        echo '#!/bin/sh'
        printf '%s\n' "$@"
    } >"$dir/$name"
    chmod +x "$dir/$name"
}

run=tools/qemu.py
# on NAME ARGUMENTS...: the runner with that stand-in and a kernel.
on() {
    stand_in=$1
    shift
    QEMU=$dir/$stand_in python3 "$run" --kernel "$dir/kernel" "$@"
}

# Verdicts. ------------------------------------------------------------------------------
stand good 'echo up' 'exit 1'
stand bad 'echo up' 'exit 3'
stand even 'echo up' 'exit 2'
stand silent 'exit 1'
stand off 'echo up' 'exit 0'
stand killed 'echo up' 'kill -9 $$'
stand complains 'echo up' 'echo "qemu-system-x86_64: cannot" >&2' 'exit 1'
stand warns 'echo up' 'echo "qemu-system-x86_64: warning: odd" >&2' 'exit 1'
stand hangs "echo \$\$ >$dir/pid" 'echo last words' 'exec sleep 100'
stand stays "echo \$\$ >$dir/pid" "trap '' TERM" 'echo up' 'while :; do sleep 0.1; done'
stand closes "echo \$\$ >$dir/pid" 'echo up' 'exec >&- 2>&-' 'exec sleep 100'
# The variable is the stand-in's.
# shellcheck disable=SC2016
stand asks 'printf "name? "' 'read -r n' 'echo "hello $n"' 'exit 1'
gives verdict_0_passes 0 'the guest gave the verdict 0' on good
gives verdict_1_fails 1 'the guest gave the verdict 1' on bad
gives even_status_fails 1 'there is no verdict' on even
gives silent_success_fails 1 'before the guest printed anything' on silent
gives power_off_is_no_verdict 1 'there is no verdict' on off
gives power_off_when_wanted_passes 0 'it powered off' on off --end poweroff
gives verdict_when_power_off_is_wanted_fails 1 'is not what was waited for' on good --end poweroff
gives killed_fails 1 'killed by signal 9' on killed
gives killed_when_power_off_is_wanted_fails 1 'killed by signal 9' on killed --end poweroff
gives error_of_qemu_fails 1 'and said: qemu-system-x86_64: cannot' on complains
gives warning_of_qemu_passes 0 'the guest gave the verdict 0' on warns
gives hang_is_named 3 'no verdict within 1 s: last lines:' on hangs --limit 1
gives hang_shows_last_lines 3 '    last words' on hangs --limit 1
gone hang_leaves_nothing "$dir/pid"
gives deaf_hang_is_named 3 'no verdict within 1 s' on stays --limit 1
gone deaf_hang_leaves_nothing "$dir/pid"
gives closed_output_hang_is_named 3 'no verdict within 1 s' on closes --limit 1
gone closed_output_hang_leaves_nothing "$dir/pid"

# Steps. ---------------------------------------------------------------------------------
gives steps_in_order 0 ' ms: hello you' on asks --send 'name\? $' 'you\n' --expect 'hello you'
gives step_that_never_comes_fails 1 '"goodbye" never came' on asks --send 'name' 'you\n' --expect goodbye
gives steps_out_of_order_fail 1 '"name" never came' on good --expect up --expect name
gives steps_end_it 0 'all steps came' on hangs --expect 'last words' --end steps
gone steps_end_leaves_nothing "$dir/pid"
gives steps_not_all_come_hang 3 'no verdict within 1 s' on hangs --expect more --end steps --limit 1
gives steps_not_all_come_end 1 'is not what was waited for' on good --expect more --end steps

# The runner itself is ended: it takes QEMU along. ------------------------------------------
for sign in TERM INT HUP KILL; do
    rm -f "$dir/pid"
    QEMU=$dir/hangs python3 "$run" --kernel "$dir/kernel" >"$tmp/log" 2>&1 &
    runner=$!
    tries=0
    while [ ! -s "$dir/pid" ] && [ "$tries" -lt 100 ]; do
        tries=$((tries + 1))
        sleep 0.1
    done
    kill -"$sign" "$runner"
    wait "$runner" 2>/dev/null
    rc=$?
    verdict "runner_${sign}_is_no_pass" "$([ "$rc" -gt 128 ] || echo "status $rc")"
    gone "runner_${sign}_leaves_nothing" "$dir/pid"
done

# Wrong usage and what is missing. ----------------------------------------------------------
gives no_qemu 77 'not installed: scripts/setup.sh' env QEMU=no-such-program python3 $run --kernel "$dir/kernel"
gives no_kernel 2 'there is no kernel nowhere' env QEMU=true python3 $run --kernel nowhere
gives no_disk 2 'there is no disk image nowhere' on good --disk nowhere
gives no_iso 2 'there is no ISO nowhere' env QEMU=true python3 $run --iso nowhere
gives no_module 2 'there is no module nowhere' on good --initrd nowhere
gives nothing_to_boot 2 'one of --kernel and --iso is needed' env QEMU=true python3 $run
gives kernel_and_iso 2 'one of --kernel and --iso is needed' on good --iso "$dir/disk"
gives iso_with_command_line 2 'go with --kernel' env QEMU=true python3 $run --iso "$dir/disk" --append x
gives unknown_option 2 'unrecognized arguments' on good --nothing
gives shortened_option 2 'unrecognized arguments' on good --lim 3
gives unknown_disk_key 2 'not understood' on good --disk "$dir/disk,speed=9"
gives unknown_disk_device 2 'not understood' on good --disk "$dir/disk,device=floppy"
gives nvme_iothread 2 'neither iothread nor vectors' on good --disk null,device=nvme,iothread
gives steps_without_steps 2 'needs --expect or --send' on good --end steps
gives bad_pattern 2 '--expect (' on good --expect '('
gives no_cpus 2 'numbers above 0' on good --cpus 0
gives bad_memory 2 'numbers above 0' on good --memory lots
gives other_accelerator 2 'the accelerator is always tcg' on good -- -accel kvm
gives words_have_tcg 0 'tcg' on good --words

# The sums of make test-qemu. ----------------------------------------------------------------
tests=tools/qemu_tests.py
stand t_good 'echo "2 passed, 0 failed, 1 skipped"' 'exit 1'
stand t_crlf 'printf "2 passed, 0 failed, 1 skipped\r\n"' 'exit 1'
stand t_empty 'echo "0 passed, 0 failed, 0 skipped"' 'exit 1'
stand t_fails 'echo "2 passed, 1 failed, 0 skipped"' 'exit 3'
stand t_lies 'echo "2 passed, 0 failed, 0 skipped"' 'exit 3'
stand t_dies 'echo "2 passed, 0 failed, 0 skipped"' 'kill -9 $$'
stand t_no_line 'echo up' 'exit 1'
sums() {
    stand_in=$1
    shift
    QEMU=$dir/$stand_in python3 "$tests" --shim "$dir/kernel" --cpus 1,2 "$@"
}
: >"$dir/test_a.elf"
gives tests_sum 0 '4 passed, 0 failed, 2 skipped' sums t_good "$dir/test_a.elf"
gives tests_sum_of_crlf 0 '4 passed, 0 failed, 2 skipped' sums t_crlf "$dir/test_a.elf"
gives tests_times 0 '12 passed, 0 failed, 6 skipped' sums t_good --times 3 "$dir/test_a.elf"
gives tests_none 1 '0 passed, 1 failed, 0 skipped' sums t_good
gives tests_empty 1 '0 passed, 2 failed, 0 skipped' sums t_empty "$dir/test_a.elf"
gives tests_fail 1 '4 passed, 2 failed, 0 skipped' sums t_fails "$dir/test_a.elf"
gives tests_bad_verdict 1 '4 passed, 2 failed, 0 skipped' sums t_lies "$dir/test_a.elf"
gives tests_killed 1 '4 passed, 2 failed, 0 skipped' sums t_dies "$dir/test_a.elf"
gives tests_no_line 1 '0 passed, 2 failed, 0 skipped' sums t_no_line "$dir/test_a.elf"
gives tests_hang 1 '0 passed, 2 failed, 0 skipped' sums hangs --limit 1 "$dir/test_a.elf"
gives tests_no_image_file 1 '0 passed, 2 failed, 0 skipped' sums t_good "$dir/nothing.elf"
gives tests_boots 0 '2 passed, 0 failed, 0 skipped' sums good --no-sum "$dir/test_a.elf"
gives tests_boots_hang 1 '0 passed, 2 failed, 0 skipped' sums hangs --no-sum --limit 1 "$dir/test_a.elf"
gives tests_no_qemu 0 '0 passed, 0 failed, 1 skipped' sums nothing "$dir/test_a.elf"
gives tests_cpus 2 'numbers with commas' sums t_good --cpus 1,many "$dir/test_a.elf"
printf 'static const int *const p __attribute__((used, section("gmk_tests"))) = 0;\n' >"$dir/a.c"
if gcc -c "$dir/a.c" -o "$dir/test_a.o" 2>"$tmp/log"; then
    gives tests_other_number 1 'the hosted program has 1 tests' sums t_good --hosted "$dir" "$dir/test_a.elf"
    stand t_one 'echo "1 passed, 0 failed, 0 skipped"' 'exit 1'
    gives tests_same_number 0 '2 passed, 0 failed, 0 skipped' sums t_one --hosted "$dir" "$dir/test_a.elf"
else
    fail tests_hosted_object 'gcc failed'
fi

# QEMU itself. ---------------------------------------------------------------------------
real() { python3 "$run" --kernel "$dir/guest.elf" "$@"; }
if ! command -v qemu-system-x86_64 >/dev/null; then
    skip itself 'qemu-system-x86_64 is not installed: scripts/setup.sh installs it'
elif ! gcc -m32 -nostdlib -static -no-pie -Wl,-Ttext=0x100000 -Wl,--build-id=none \
    -Wl,-z,noexecstack test/qemu/guest.S -o "$dir/guest.elf" 2>"$tmp/log"; then
    fail guest_builds 'gcc failed'
else
    for machine in pc q35; do
        gives "real_${machine}_0" 0 'the guest gave the verdict 0' real --machine $machine --append 0
        gives "real_${machine}_2" 1 'the guest gave the verdict 2' real --machine $machine --append 2
    done
    gives real_silent 1 'before the guest printed anything' real --append s
    gives real_triple_fault 1 'there is no verdict' real --append t
    gives real_hang 3 'no verdict within 1 s' real --append h --limit 1
    gives real_keys 0 ' ms: bye$' real --append k --send 'key\? $' 'xq' --expect 'bye$'
    gives real_wrong_option 1 'and said: qemu-system-x86_64:' real --append 0 -- -device nothing
    gives real_wrong_model 1 'and said: qemu-system-x86_64:' real --append 0 --cpu none
    gives real_empty_kernel 1 "and said: qemu" python3 "$run" --kernel "$dir/kernel"
    for disk in null "null,device=nvme,queues=2" "$dir/disk.img,iothread,queues=2,cache=none" \
        "$dir/disk.img,device=virtio-legacy,vectors=0,readonly" "$dir/disk.img,device=virtio-modern"; do
        truncate -s 1M "$dir/disk.img"
        gives "real_disk_${disk##*/}" 0 'the guest gave the verdict 0' real --append 0 --disk "$disk"
    done
    # BM-43.
    gives real_debug_waits 3 "gdb $dir/guest.elf -ex 'target remote 127.0.0.1:12345'" real --append 0 \
        --debug --port 12345 --symbols "$dir/guest.elf" --limit 1
    keys() { printf 'xyq' | real --append k --interactive --limit 20; }
    gives real_interactive 0 'the guest gave the verdict 0' keys
    gives real_icount 0 'the guest gave the verdict 0' real --append 0 --icount
fi

closing
