#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Planted bugs: each must be found by the storm on the simulated machine, by the mixed load, or
by the host test of the kernel's memory.

A mutant is a file NAME.mutant: the source it changes, which storm must find it (storm:
chan, or the first one), how many seeds it may take, the exact text that goes and the text
that comes. With storm: mixed it is the mixed load on threads, for so many seconds:. With storm:
hosted_... it is that host test of the kernel's memory, its tests whose name contains filter:; not
to end within seconds: is found too. For each one the tree is copied, changed, built and run; surviving all
seeds is a failure, and so is a text that is not there.
Prints a line a mutant and "N passed, N failed, N skipped".
usage: run.py [NAME...]
"""
import os
import shutil
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
PARTS = ('Makefile', 'mk', 'include', 'src', 'hal', 'sdk', 'test/stress_storm.c',
         'test/stress_chan.c', 'test/storm_chan.h', 'test/storm_main.h', 'test/soak_mixed.c',
         'test/soak_work.h', 'test/bytes.h', 'arch', 'drivers', 'test/hosted_kmem.c',
         'test/hosted_kmem_cpus.c', 'test/kmem_env.h', 'test/kmem_machine.h')


def read(path):
    head, old, new = open(path, encoding='utf-8').read().split('---\n')
    fields = dict(line.split(': ', 1) for line in head.splitlines() if ': ' in line)
    return fields, old, new


def copy(to):
    shutil.rmtree(to, ignore_errors=True)
    os.makedirs(to)
    for part in PARTS:
        src, dst = os.path.join(ROOT, part), os.path.join(to, part)
        os.makedirs(os.path.dirname(dst), exist_ok=True)
        if os.path.isdir(src):
            shutil.copytree(src, dst)
        else:
            shutil.copy(src, dst)


def run(name, fields, old, new):
    """(found, what was seen)"""
    tree = os.path.join(ROOT, 'build', 'mutants', name)
    copy(tree)
    path = os.path.join(tree, fields['file'])
    text = open(path, encoding='utf-8').read()
    if text.count(old) != 1:
        return False, f"the text stands {text.count(old)} times in {fields['file']}: renew it"
    with open(path, 'w', encoding='utf-8') as f:
        f.write(text.replace(old, new))
    mixed = fields.get('storm') == 'mixed'
    storm_of = 'build/gcc/sim/bin/stress_' + fields.get('storm', 'storm')
    args = ['--sim-seeds', '1', fields.get('seeds', '')]
    allowed = f"{fields.get('seeds')} seeds"
    if mixed:
        storm_of = 'build/gcc/linux/bin/soak_mixed'
        args = ['--seconds', fields['seconds'], '--seed', '1']
        allowed = f"{fields['seconds']} seconds"
    kmem = fields.get('storm', '').startswith('hosted_')
    if kmem:
        storm_of = 'build/gcc/linux/bin/' + fields['storm']
        args = [fields['filter']]
        allowed = f"the tests {fields['filter']}"
    env = {k: v for k, v in os.environ.items() if not k.startswith('MAKE') and k != 'MFLAGS'}
    made = subprocess.run(['make', '-s', '-j2', 'SAN=', 'CFLAGS=-O1 -Wno-error',
                           'CC=gcc', storm_of], cwd=tree, env=env,
                          capture_output=True, text=True)
    if made.returncode != 0:
        return False, 'it does not build: ' + made.stderr.strip()[-300:]
    try:
        storm = subprocess.run([storm_of] + args, cwd=tree, capture_output=True, text=True,
                               timeout=int(fields['seconds']) if kmem else None)
    except subprocess.TimeoutExpired:
        shutil.rmtree(tree, ignore_errors=True)
        return True, 'it hangs'
    seen = storm.stdout.strip().splitlines()
    if mixed or kmem:  # the first lines say how far it came
        seen = [line for line in seen if line.startswith('[FAIL]')]
    shutil.rmtree(tree, ignore_errors=True)
    if storm.returncode == 0:
        return False, 'survived ' + allowed
    if kmem and '[FAIL] no test ran' in storm.stdout:
        return False, 'no test ' + fields['filter'] + ' in ' + fields['storm']
    if storm.returncode == 2:
        return False, 'the storm did not run: ' + storm.stderr.strip()
    return True, seen[0] if seen else f'died by signal {-storm.returncode}'


def main():
    names = sys.argv[1:] or sorted(f[:-7] for f in os.listdir(HERE) if f.endswith('.mutant'))
    failed = 0
    for name in names:
        found, seen = run(name, *read(os.path.join(HERE, name + '.mutant')))
        failed += not found
        print(f"[{'PASS' if found else 'FAIL'}] mutant_{name}: {seen}", flush=True)
    print(f'{len(names) - failed} passed, {failed} failed, 0 skipped')
    return failed != 0 or not names


sys.exit(main())
