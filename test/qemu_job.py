#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The real job in the kernel against the same job as a hosted program.

usage: test/qemu_job.py SHIM KERNEL PIPELINE

examples/pipeline counts the words of several texts, once as the program PIPELINE and once in
the kernel, which reads the text from a disk through disk.read: every line that does not tell
times or memory must be the same. Texts: ordinary ones, an empty one, one that ends with its
last sector, one of many megabytes. Disks: virtio in both transports, NVMe; machines pc and q35.
Ends with `N passed, N failed, N skipped`. Source: SPEC BM-7, ACC-23; ACC-24 for the disks.
"""
import os
import random
import re
import subprocess
import sys
import tempfile

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
QEMU = [sys.executable, os.path.join(ROOT, 'tools', 'qemu.py')]
# What is the same on every machine: words, their sum, and that the books balance.
SAME = re.compile(r'^( *\d+ [a-z]+|\d+ words, \d+ different, in \d+ bytes)\r?$', re.M)


def made_text(n):
    """n bytes of words, always the same."""
    draw = random.Random(5)
    words = [''.join(draw.choices('abcdefghijklmnopqrstuvwxyz', k=draw.randint(1, 9)))
             for _ in range(3000)]
    out = []
    size = 0
    while size < n:
        word = words[min(draw.randrange(3000), draw.randrange(3000))]
        out.append(word)
        size += len(word) + 1
    return ' '.join(out)[:n].encode()


def texts():
    with open(os.path.join(ROOT, 'README.md'), 'rb') as f:
        yield 'readme', f.read()
    yield 'empty', b''
    yield 'whole_sectors', made_text(512 * 64)
    yield 'one_byte_over', made_text(512 * 64 + 1)
    yield 'megabytes', made_text(6 << 20)


def hosted(pipeline, path):
    done = subprocess.run([pipeline, path], capture_output=True, text=True, timeout=120)
    return done.returncode, SAME.findall(done.stdout)


def booted(shim, kernel, disk, device, machine, cpus):
    # BM-34, BM-36, STD-24: the text comes by each transport of virtio, and by NVMe.
    done = subprocess.run(QEMU + ['--kernel', shim, '--initrd', kernel, '--machine', machine,
                                  '--cpus', str(cpus), '--disk', f'{disk},device={device}',
                                  '--limit', '120', '--append',
                                  'run=demo exit=debug panic=exit table=16384'],
                          capture_output=True, text=True, timeout=200)
    return done.returncode, done.stdout


def check(name, want, status, out):
    # BM-7, ACC-23: the smoke tests and the job say on the serial port how they ended.
    got = SAME.findall(out)
    ok = status == 0 and got == want and 'balanced' in out and 'all is well' in out
    print(f'[{"PASS" if ok else "FAIL"}] job_{name}')
    if not ok:
        print(f'  status {status}; wanted {want[-3:]}, got {got[-3:]}; the end of the output:')
        print('\n'.join('  ' + line for line in out.splitlines()[-15:]))
    return ok


def main():
    if len(sys.argv) != 4:
        sys.exit(__doc__)
    shim, kernel, pipeline = sys.argv[1:]
    ways = [('virtio', 'pc', 4), ('virtio-legacy', 'pc', 1), ('virtio-modern', 'q35', 2),
            ('nvme', 'q35', 4)]
    passed = failed = 0
    with tempfile.TemporaryDirectory() as place:
        for i, (name, text) in enumerate(texts()):
            path, disk = os.path.join(place, name), os.path.join(place, name + '.img')
            with open(path, 'wb') as f:
                f.write(text)
            with open(disk, 'wb') as f:
                f.write(text + bytes(-len(text) % 512 or (512 if not text else 0)))
            rc, want = hosted(pipeline, path)
            if rc != 0 or not want:
                print(f'[FAIL] job_{name}: the hosted program ended with {rc}')
                failed += 1
                continue
            for device, machine, cpus in ways if i == 0 else [ways[i % len(ways)]]:
                status, out = booted(shim, kernel, disk, device, machine, cpus)
                if check(f'{name}_{device}_{machine}_{cpus}'.replace('-', '_'), want, status, out):
                    passed += 1
                else:
                    failed += 1
    print(f'{passed} passed, {failed} failed, 0 skipped')
    return failed != 0


sys.exit(main())
