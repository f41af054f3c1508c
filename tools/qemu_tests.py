#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Runs test images in QEMU, each on several numbers of CPUs, and sums their closing lines.

usage: tools/qemu_tests.py --shim ELF [--cpus 1,2,4] [--hosted DIR] IMAGE.elf...

An image prints `N passed, N failed, N skipped` last and gives the verdict 0 (tools/qemu.py).
One that does not, that ran nothing, or that ran another number of tests than the hosted
program of the same source has (DIR/NAME.o, if it is there) counts as one failure; so does a
run of no image. An image called kernel_* gets two disks made for it, virtio-blk and NVMe, and
the word `destructive`: it may write to them. Without QEMU all of it is one skip.
--run WORD is what the command line says (run=test); --no-sum takes an image that prints no
closing line, and counts each verdict 0 as one passed (whole boots, --times many of each)."""

import argparse
import concurrent.futures
import os
import re
import shutil
import struct
import subprocess
import sys
import tempfile

sys.dont_write_bytecode = True
HERE = os.path.dirname(os.path.abspath(__file__))
CLOSING = re.compile(r'^(\d+) passed, (\d+) failed, (\d+) skipped$', re.M)
ASSERTIONS = re.compile(r'^assertions: (\d+)$', re.M)
SKIPPED = re.compile(r'^\[SKIP\].*$', re.M)
MISSING = 77
DISKS = (('virtio', 2048), ('nvme', 4096))  # sectors of 512 bytes


def tests_in(path):
    """How many tests an object file registers: pointers in its section gmk_tests."""
    try:
        with open(path, 'rb') as f:
            d = f.read()
    except FileNotFoundError:
        return None
    if d[:5] != b'\x7fELF\x02':
        return None
    table, = struct.unpack_from('<Q', d, 0x28)
    size, count, names = struct.unpack_from('<HHH', d, 0x3a)
    heads = [struct.unpack_from('<IIQQQQ', d, table + i * size) for i in range(count)]
    text = heads[names][4]
    for name, _, _, _, _, length in heads:
        if d[text + name:].split(b'\0', 1)[0] == b'gmk_tests':
            return length // 8
    return 0


class Run:
    """One image on some CPUs, and what came of it."""

    def __init__(self, image, cpus, args):
        self.image, self.cpus, self.args = image, cpus, args
        self.name = os.path.splitext(os.path.basename(image))[0]
        self.title = f"{self.name}, {cpus} CPU{'s' if cpus > 1 else ''}"
        self.destructive = self.name.startswith('kernel_')
        self.text, self.said, self.status = '', '', None

    def words(self, folder):
        words = [sys.executable, os.path.join(HERE, 'qemu.py'), '--kernel', self.args.shim,
                 '--initrd', self.image, '--cpus', str(self.cpus), '--memory', self.args.memory,
                 '--limit', str(self.args.limit)]
        for kind, sectors in DISKS if self.destructive else ():
            path = os.path.join(folder, kind)
            with open(path, 'wb') as f:
                f.truncate(512 * sectors)
            words += ['--disk', f'{path},device={kind}']
        return words + ['--append',
                        f"run={self.args.run} exit=debug panic=exit scale={self.args.scale}"
                        f"{' destructive' if self.destructive else ''} {self.args.words}".rstrip()]

    def execute(self):
        folder = tempfile.mkdtemp(prefix='ggmk-qemu-tests-')
        try:
            done = subprocess.run(self.words(folder), stdin=subprocess.DEVNULL,
                                  stdout=subprocess.PIPE, stderr=subprocess.PIPE, check=False)
        finally:
            shutil.rmtree(folder)
        self.status = done.returncode
        self.text = done.stdout.decode(errors='replace').replace('\r\n', '\n')
        self.said = done.stderr.decode(errors='replace')

    def count(self):
        """(passed, failed, skipped), and what is wrong, if anything is."""
        if self.args.no_sum:
            return ((1, 0, 0), '') if self.status == 0 else ((0, 1, 0), 'no good verdict')
        closing = CLOSING.findall(self.text)
        if not closing:
            return (0, 1, 0), 'it printed no closing line'
        p, f, s = map(int, closing[-1])
        if p + f + s == 0:
            return (0, 1, 0), 'it ran nothing'
        hosted = self.args.hosted and tests_in(os.path.join(self.args.hosted, self.name + '.o'))
        if hosted and hosted != p + f + s:
            return (p, f + 1, s), f'the hosted program has {hosted} tests'
        if f == 0 and self.status != 0:
            return (p, 1, s), f'its verdict is bad (status {self.status})'
        return (p, f, s), 'tests failed' if f else ''

    def report(self):
        """Prints what is worth it; returns the counts and the assertions."""
        (p, f, s), wrong = self.count()
        print(f"== {self.title}: {p} passed, {f} failed, {s} skipped{': ' if wrong else ''}{wrong}")
        if wrong:
            print(f'[FAIL] {self.title}: {wrong}')
            print('\n'.join(self.text.split('\n')[-60:]) + self.said)
        for line in SKIPPED.findall(self.text):
            print(line)
        sys.stdout.flush()
        return p, f, s, sum(map(int, ASSERTIONS.findall(self.text)[-1:]))


def arguments():
    ap = argparse.ArgumentParser(description=__doc__, allow_abbrev=False,
                                 formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument('--shim', required=True)
    ap.add_argument('--cpus', default='1,2,4')
    ap.add_argument('--memory', default='1G')
    ap.add_argument('--hosted', help='object files of the hosted test programs')
    ap.add_argument('--run', default='test')
    ap.add_argument('--words', default='', help='more for the command line')
    ap.add_argument('--scale', choices=('small', 'full'), default='full')
    ap.add_argument('--no-sum', action='store_true')
    ap.add_argument('--times', type=int, default=1)
    ap.add_argument('--jobs', type=int, default=int(os.environ.get('TEST_JOBS', '2')))
    ap.add_argument('--limit', type=int, default=int(os.environ.get('TEST_LIMIT', '300')))
    ap.add_argument('images', nargs='*', metavar='IMAGE.elf')
    args = ap.parse_args()
    if not re.fullmatch(r'[1-9]\d*(,[1-9]\d*)*', args.cpus):
        ap.error(f"--cpus takes numbers with commas between, not '{args.cpus}'")
    if min(args.times, args.jobs, args.limit) < 1:
        ap.error('--times, --jobs and --limit are numbers above 0')
    return args


def main():
    args = arguments()
    total = [0, 0, 0, 0]
    runs = [Run(image, int(n), args) for image in args.images for n in args.cpus.split(',')
            for _ in range(args.times)]
    with concurrent.futures.ThreadPoolExecutor(args.jobs) as pool:
        waiting = [pool.submit(r.execute) for r in runs]
        for run, done in zip(runs, waiting):
            done.result()
            if run.status == MISSING:
                for other in waiting:
                    other.cancel()
                print(f'[SKIP] {run.said.strip()}\n0 passed, 0 failed, 1 skipped')
                return 0
            total = [a + b for a, b in zip(total, run.report())]
    if not runs:
        print('[FAIL] qemu: no image was named')
        total[1] = 1
    print(f'{len(args.images)} images, {len(runs)} boots, {total[3]} assertions')
    print(f'{total[0]} passed, {total[1]} failed, {total[2]} skipped')
    return 1 if total[1] else 0


sys.exit(main())
