#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The protocol models under Spin, every state of each; and planted mistakes to be found.

A model is test/spin/NAME.pml; each macro PLANT_... in it is a mistake that must break one
of its promises. usage: run.py [NAME=VALUE ...]  (macros for all, such as W=3).
Without spin each model is skipped by name. Ends with "N passed, N failed, N skipped".
"""
import os
import re
import shutil
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
OUT = os.path.join(ROOT, 'build', 'spin')
LIMIT_S = 600


def call(args, where):
    return subprocess.run(args, cwd=where, capture_output=True, text=True, timeout=LIMIT_S)


def search(model, macros):
    """(holds, what was seen); holds is None if the search did not come to its end."""
    where = os.path.join(OUT, '-'.join([model, *macros]).replace('=', '_'))
    shutil.rmtree(where, ignore_errors=True)
    os.makedirs(where)
    made = call(['spin', *('-D' + m for m in macros), '-a', os.path.join(HERE, model + '.pml')],
                where)
    if made.returncode != 0 or not os.path.exists(os.path.join(where, 'pan.c')):
        return None, 'spin: ' + (made.stdout + made.stderr).strip()[-300:]
    made = call([os.environ.get('CC', 'gcc'), '-O2', '-w', '-DSAFETY', '-DCOLLAPSE',
                 '-DMEMLIM=8000', '-o', 'pan', 'pan.c'], where)
    if made.returncode != 0:
        return None, made.stderr.strip()[-300:]
    said = call(['./pan', '-m200000'], where).stdout
    errors = re.search(r'errors: (\d+)', said)
    states = re.search(r'(\S+) states, stored', said)
    if errors is None or states is None or 'max search depth too small' in said or \
            'Search not completed' in said and errors.group(1) == '0':
        return None, 'the search did not end: ' + said.strip()[-300:]
    if errors.group(1) == '0':
        return True, f'{states.group(1)} states'
    why = re.search(r'pan:\d+: (.*)', said)
    return False, why.group(1) if why else 'broken'


def main():
    macros = sys.argv[1:]
    models = sorted(f[:-4] for f in os.listdir(HERE) if f.endswith('.pml'))
    if shutil.which('spin') is None:
        for model in models:
            print(f'[SKIP] spin_{model}: spin is not installed: scripts/setup.sh installs it')
        print(f'0 passed, 0 failed, {len(models)} skipped')
        return 0
    passed = failed = 0
    for model in models:
        text = open(os.path.join(HERE, model + '.pml'), encoding='utf-8').read()
        for plant in [None, *sorted(set(re.findall(r'\bPLANT_[A-Z_]*[A-Z]\b', text)))]:
            holds, seen = search(model, [*macros, plant] if plant else macros)
            ok = holds is (plant is None)
            passed += ok
            failed += not ok
            name = model + ('_' + plant.lower() if plant else '')
            print(f"[{'PASS' if ok else 'FAIL'}] spin_{name}: {seen}", flush=True)
    print(f'{passed} passed, {failed} failed, 0 skipped')
    return failed != 0 or passed == 0


sys.exit(main())
