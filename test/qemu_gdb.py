#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The gdb commands of tools/gdb/ggmk.py, on the kernel image in QEMU as make run-debug starts it.

usage: test/qemu_gdb.py --shim ELF --kernel ELF

QEMU waits at its first instruction (-S) at a socket of its own; gdb stops the kernel before
any worker runs, at the first key, and inside a handler of the monitor, looks, and lets it go; then the
kernel must halt well. Ends with `N passed, N failed, N skipped`. Source: SPEC BM-43."""

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
CPUS = 2
PATIENCE_S = 60
TRIES = 3
STEPS = ('break kmain', 'continue', 'echo == boot\\n', 'ggmk threads', 'ggmk workers',
         'tbreak on_input', 'continue', 'echo == input\\n', 'ggmk threads', 'ggmk workers',
         'break mon_do_uptime', 'continue', 'echo == handler\\n', 'ggmk workers',
         'echo == handler threads\\n', 'ggmk threads', 'echo == handler channels\\n',
         'ggmk channels', 'echo == wrong\\n', 'ggmk nothing', 'echo == end\\n')
WANTED = {  # part of the output: patterns
    'boot': (r'^ *0  0x\w+ +runs \(on the processor\) +main_thread', r'^ *1  .*idle',
             r'^cpu 1: 0 ready, 0 threads, ', r'^no kernel runs: gmk_boot has not ended yet'),
    # The first key after a silence. What else goes on just then is a matter of chance: see main.
    'input': (r'main_thread +0x\w+', r'gmki_worker_loop +0x\w+', r'^ *[01]  parked +- +- +- '),
    'handler': (r'^kernel .*: ready 0 0 0 0, overflow 0, timers 0$',
                r'^ *[01]  running +monitor +command +209  ', r'^ *[01]  (parked|searching|running) '),
    'handler threads': (r'runs \(on the processor\) +gmki_worker_loop', r' main_thread ',
                        r'^cpu 0: \d+ ready, 2 threads, [1-9]\d* switches, '),
    'handler channels': (r'^ *2  sys\.error +fanout lossy +241 ',
                         r'^ *7  cli\.cmd +p2p lossless +209 +16 +\d +1 +0 +0 +1$'),
    'wrong': (r"there is no 'ggmk nothing'; write: ggmk workers \| threads \| channels \| all",),
}


def start(args, socket):
    """The guest, through tools/qemu.py: uptime at the first prompt, halt at the second."""
    prompt = 'ggmk> $'
    return subprocess.Popen(
        [sys.executable, os.path.join(ROOT, 'tools/qemu.py'), '--kernel', args.shim, '--initrd',
         args.kernel, '--cpus', str(CPUS), '--limit', str(2 * PATIENCE_S), '--append',
         'run=monitor exit=debug', '--send', prompt, 'uptime\\r', '--send', prompt, 'halt\\r',
         '--', '-S', '-gdb', f'unix:{socket},server=on,wait=off'],
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def gdb_output(args, socket):
    words = ['gdb', '-nx', '-batch', '-iex', 'set auto-load no', '-iex', 'set pagination off',
             '-x', os.path.join(ROOT, 'tools/gdb/ggmk.py'), '-ex', f'target remote {socket}']
    for step in STEPS:
        words += ['-ex', step]
    # The last: without a breakpoint, so that it runs on.
    words += ['-ex', 'delete', '-ex', 'detach', args.kernel]
    done = subprocess.run(words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, timeout=PATIENCE_S, check=False)
    return done.stdout


def parts_of(text):
    """The output by its marks."""
    parts = re.split(r'^== (.*)$', text, flags=re.M)
    return dict(zip(parts[1::2], parts[2::2]))


def ended(guest):
    """Whether it ends within the moment that this waits for it."""
    try:
        guest.wait(timeout=0.02)
        return True
    except subprocess.TimeoutExpired:
        return False


def work(args, folder):
    """(gdb's output, the guest's status and output)."""
    socket = os.path.join(folder, 'gdb')
    guest = start(args, socket)
    said = ''
    try:
        deadline = time.monotonic() + PATIENCE_S
        while not os.path.exists(socket) and not ended(guest) and time.monotonic() < deadline:
            pass
        if os.path.exists(socket):
            said = gdb_output(args, socket)
    except subprocess.TimeoutExpired as e:
        said = (e.stdout or b'').decode(errors='replace') + '\n(gdb did not end)'
    if '== end' not in said:
        guest.terminate()  # tools/qemu.py takes QEMU with it
    text, _ = guest.communicate()
    return said, guest.returncode, text


def main():
    ap = argparse.ArgumentParser(description=__doc__, allow_abbrev=False,
                                 formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument('--shim', required=True)
    ap.add_argument('--kernel', required=True)
    args = ap.parse_args()
    for program, package in (('qemu-system-x86_64', 'qemu-system-x86'), ('gdb', 'gdb')):
        if not shutil.which(program):
            print(f'[SKIP] gdb: {program} is not installed: scripts/setup.sh installs it '
                  f'(Debian package {package})\n0 passed, 0 failed, 1 skipped')
            return 0
    for _ in range(TRIES):
        with tempfile.TemporaryDirectory(prefix='ggmk-gdb-') as folder:
            said, status, text = work(args, folder)
        # All sleep at the first key, unless the host held a processor of the guest up.
        if status != 0 or all(re.search(p, said, re.M) for p in WANTED['input']):
            break
    passed = failed = 0
    parts = parts_of(said)
    checks = [(f'{part}: {p}', re.search(p, parts.get(part, ''), re.M)) for part, ps in WANTED.items()
              for p in ps]
    checks.append(('the kernel runs on and halts', status == 0))
    for name, ok in checks:
        passed += bool(ok)
        failed += not ok
        print(f"[{'PASS' if ok else 'FAIL'}] gdb {name}")
    if failed:
        print(f'-- gdb said:\n{said}\n-- the guest (status {status}):\n{text}')
    print(f'{passed} passed, {failed} failed, 0 skipped')
    return 1 if failed else 0


sys.exit(main())
