#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""bench/qemu/run over a program that stands for QEMU: both sides, failures, ratios.

usage: test/qemu/bench.py (part of make runners-check)"""
import json
import os
import shutil
import subprocess
import sys
import tempfile

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
passed = failed = 0
# It prints what the file OURS or LINUX of its folder says, by the words of the command line.
STAND_IN = r'''#!/bin/sh
d=$(dirname "$0")
case "$*" in
*--version*) echo 'QEMU 0' ;;
*run=bench* | *run=monitor*) . "$d/ours" ;;
*) . "$d/linux"; printf 'probe: done\n'; exec sleep 100 ;;
esac
'''
OURS = r'''case "$*" in
*bench=boot*) echo 'ggmk: first task' ;;
*run=monitor*) printf 'booted\nggmk> '; exec sleep 100 ;;
*bench=blk*) printf 'bench-how: polls\nbench: blk_rand4k_qd1\t40000\tIO/s\r\n'
    printf 'bench: blk_rand4k_qd32\t300000\tIO/s\nbench: blk_seq128k_qd8\t5000\tMB/s\n' ;;
*bench=lat*) printf 'bench: task_round_trip_hot\t2000\tns\nbench: page_fault\t1500\tns\n'
    printf 'bench: task_round_trip_halted\t50000\tns\n' ;;
esac
exit 1
'''
LINUX = r'''echo 'first process'
case "$*" in
*iopoll*) printf 'blk_rand4k_qd1\tLinux, IOPOLL, x\t30000\tIO/s\n'
    printf 'blk_rand4k_qd32\tLinux, IOPOLL, x\t350000\tIO/s\n'
    printf 'blk_seq128k_qd8\tLinux, IOPOLL, x\t4000\tMB/s\n' ;;
*'-- blk'*) printf 'blk_rand4k_qd1\tLinux, default, x\t5000\tIO/s\n'
    printf 'blk_rand4k_qd1\tLinux, default, pread\t10000\tIO/s\r\n'
    printf 'blk_rand4k_qd32\tLinux, default, x\t100000\tIO/s\n'
    printf 'blk_seq128k_qd8\tLinux, default, x\t4000\tMB/s\n' ;;
*'-- boot'*) ;;
*idle=poll*) printf 'task_round_trip_hot\tLinux futex, x\t20000\tns\n'
    printf 'task_round_trip_hot\tLinux threads, x\t200\tns\n' ;;
*) printf 'task_round_trip_halted\tLinux futex\t50000\tns\npage_fault\tLinux, x\t6000\tns\n' ;;
esac
'''


def check(name, ok, why=''):
    global passed, failed
    passed, failed = passed + bool(ok), failed + (not ok)
    print(f"[{'PASS' if ok else 'FAIL'}] qemu_bench_{name}" + ('' if ok else f': {why}'))


class Bench:
    """A folder with all that bench/qemu/run needs."""

    def __init__(self, folder):
        self.folder = folder
        self.put('linux-files/vmlinux', '')
        self.put('linux-files/blk.cpio', '')
        for name in ('boot', 'lat'):
            self.put(f'linux-files/{name}.cpio', '')
        self.put('linux-files/version', 'linux-image-made-up 1')
        self.put('shim', '')
        self.put('kernel', '')
        self.put('bin/near', '#!/bin/sh\necho 30\n')
        self.put('qemu', STAND_IN)
        self.put('ours', OURS)
        self.put('linux', LINUX)

    def put(self, name, text):
        path = os.path.join(self.folder, name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, 'w') as f:
            f.write(text)
        os.chmod(path, 0o755)

    def path(self, name):
        return os.path.join(self.folder, name)

    def run(self, *args, **env):
        """(status, all it printed, the rows)"""
        latest = self.path('out/qemu-latest.json')
        if os.path.exists(latest):
            os.remove(latest)
        done = subprocess.run(
            [sys.executable, os.path.join(ROOT, 'bench', 'qemu', 'run'), '--shim', self.path('shim'),
             '--kernel', self.path('kernel'), '--linux', self.path('linux-files'), '--bin',
             self.path('bin'), '-o', self.path('out'), '--wait', '0', '-n', '1', *args],
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, stdin=subprocess.DEVNULL,
            env={**os.environ, 'TMPDIR': self.folder, 'QEMU': self.path('qemu'), **env})
        rows = []
        if os.path.exists(latest):
            with open(latest) as f:
                rows = json.load(f)['rows']
        return done.returncode, done.stdout, rows


def brief(rows):
    return [(r['row'], r['against'], r['ours'], r['linux'], r['ratio'], r['met']) for r in rows]


def both_sides(b):
    status, text, rows = b.run('--machines', 'virtio-null,lat2')
    got = brief([r for r in rows if r['machine'] == 'virtio-null'])
    check('disk_rows', status == 0 and got == [
        ('virtio-null.blk_rand4k_qd1', 'Linux, default', 40000.0, 10000.0, 4.0, True),
        ('virtio-null.blk_rand4k_qd1', 'Linux, IOPOLL', 40000.0, 30000.0, 1.33333, True),
        ('virtio-null.blk_rand4k_qd1', 'goal', 40000.0, None, 2.22222, True),
        ('virtio-null.blk_rand4k_qd32', 'Linux, default', 300000.0, 100000.0, 3.0, True),
        ('virtio-null.blk_rand4k_qd32', 'Linux, IOPOLL', 300000.0, 350000.0, 0.857143, False),
        ('virtio-null.blk_rand4k_qd32', 'goal', 300000.0, None, 1.5, True),
        ('virtio-null.blk_seq128k_qd8', 'Linux, default', 5000.0, 4000.0, 1.25, True),
        ('virtio-null.blk_seq128k_qd8', 'Linux, IOPOLL', 5000.0, 4000.0, 1.25, None)], (text, got))
    got = {(r['row'].split('.')[1], r['against']): (r['ratio'], r['met'])
           for r in rows if r['machine'] == 'lat2'}
    check('lat_rows', got == {
        ('task_round_trip_hot', 'Linux futex'): (0.1, True),
        ('task_round_trip_hot', 'Linux threads'): (10.0, None),
        ('task_round_trip_hot', 'goal'): (0.5, True),
        ('task_round_trip_halted', 'Linux futex'): (1.0, False),
        ('task_round_trip_halted', 'goal'): (0.833333, True),
        ('page_fault', 'Linux'): (0.25, True), ('page_fault', 'goal'): (0.75, True)}, got)
    r = rows[0]
    check('machine_is_said', (r['cpus'], r['host_cores']) == (2, os.cpu_count()) and
          'virtio-null: 1 virtual CPUs on' in text and 'ours: polls' in text, text)
    check('target_missed_by_check', b.run('--machines', 'virtio-null-io', '--check')[0] == 1)
    status, text, rows = b.run('--machines', 'boot1')
    check('boot_is_stamped', status == 0 and rows[0]['ours'] > 0 and rows[0]['linux'] > 0, text)
    status, text, rows = b.run('--machines', 'prompt')
    ours = rows[0]['ours'] if rows else None  # on a busy machine the goal of 200 ms may be missed
    check('prompt_is_stamped', status == 0 and ours and rows[0]['met'] == (ours <= 200), text)


MARKS = '<!-- bench:begin -->\n<!-- bench:end -->\n<!-- bench-qemu:begin -->\nold\n<!-- bench-qemu:end -->\nrest\n'


def readme(b):
    """The table of bench/readme_table.py: what was measured, on what, and what is missing."""
    def made(*args):
        return subprocess.run(
            [sys.executable, os.path.join(ROOT, 'bench', 'readme_table.py'), '--readme',
             b.path('README.md'), '--results', b.path('out'), *args],
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True).returncode

    b.run('--machines', 'virtio-null,lat2,boot4')
    shutil.copy(os.path.join(ROOT, 'bench', 'results', 'latest.json'), b.path('out'))
    b.put('README.md', MARKS)
    check('readme_check_sees_old_text', made('--check') == 1)
    check('readme_is_written', made() == 0 and made('--check') == 0)
    with open(b.path('README.md')) as f:
        text = f.read().partition('<!-- bench-qemu:begin -->')[2]
    lines = text.replace('unsure, disturbed: ', '').split('\n')  # the host may be busy
    check('readme_rows', '| random 4 KiB reads, depth 1 | 40,000 IO/s | Linux, default, pread | 10,000 | '
          '4 | 4 .. 4 | 2 | reached |' in lines and 'old' not in lines and 'rest' in lines, text)
    check('readme_missed_is_said', '| random 4 KiB reads, depth 32 | 300,000 IO/s | Linux, IOPOLL, x | '
          '350,000 | 0.857 | 0.857 .. 0.857 | 1 | not reached |' in lines, text)
    cores = os.cpu_count()
    check('readme_machines', f'lat2: 2 virtual CPUs on {cores} host cores.' in lines and
          any(x.startswith(f'virtio-null: 1 virtual CPU on {cores} host cores, null,') for x in lines), text)
    os.remove(b.path('out/qemu-latest.json'))
    check('readme_nothing_measured', made() == 0 and made('--check') == 0)
    with open(b.path('README.md')) as f:
        check('readme_says_so', 'no results in this tree yet' in f.read())


def failures(b):
    b.put('ours', OURS.replace('exit 1', 'exit 3'))
    status, text, rows = b.run('--machines', 'virtio-null')
    check('bad_verdict_of_ours', status == 1 and rows[0]['met'] is not True and
          'the guest gave the verdict 1' in text, text)
    b.put('ours', OURS.replace('exit 1', 'kill -9 $$'))
    check('killed_ours', b.run('--machines', 'boot1')[0] == 1)
    b.put('ours', 'echo "ggmk: up"\nexit 1\n')
    status, text, _ = b.run('--machines', 'boot1')
    check('no_first_task', status == 1 and 'never came' in text, text)
    b.put('ours', OURS.replace('blk_seq128k_qd8', 'blk_other'))
    status, text, _ = b.run('--machines', 'virtio-null')
    check('missing_row_of_ours', status == 1 and 'no figure of blk_seq128k_qd8' in text, text)
    b.put('ours', OURS.replace('5000\\tMB/s', '5000\\tGB/s'))
    status, text, _ = b.run('--machines', 'virtio-null')
    check('other_unit', status == 1 and 'no row here' in text, text)
    b.put('ours', OURS)
    b.put('linux', LINUX + "printf 'probe: failed: read: EIO\\n'\n")
    status, text, rows = b.run('--machines', 'virtio-null')
    check('failed_linux_is_no_peer', status == 0 and rows[0]['linux'] is None and
          'FAILED Linux: virtio-null: read: EIO' in text, text)
    b.put('linux', LINUX)
    os.remove(b.path('kernel'))
    status, text, rows = b.run('--machines', 'virtio-null')
    check('ours_not_built', status == 1 and rows[0]['ours'] is None and
          'make kernel' in text, text)
    b.put('kernel', '')
    os.remove(b.path('linux-files/vmlinux'))
    status, text, rows = b.run('--machines', 'virtio-null')
    check('linux_not_fetched', status == 0 and rows[0]['ours'] == 40000.0 and
          rows[0]['linux'] is None and 'scripts/setup.sh --full' in text, text)
    status, text, _ = b.run('--machines', 'nothing')
    check('no_machine', status == 1 and "no machine begins with 'nothing'" in text, text)
    status, text, _ = b.run(QEMU='no-such-program')
    check('no_qemu', status == 1 and 'scripts/setup.sh installs it' in text, text)
    check('no_rounds', b.run('-n', '0')[0] == 2)


def main():
    folder = tempfile.mkdtemp()
    try:
        b = Bench(folder)
        both_sides(b)
        readme(b)
        failures(b)
    finally:
        shutil.rmtree(folder)
    print(f'{passed} passed, {failed} failed, 0 skipped')
    return 1 if failed else 0


sys.exit(main())
