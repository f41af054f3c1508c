#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The models of the lock-free structures, and planted bugs that each must find.

A model is test/relacy/NAME.cpp, checked on the product's headers twice: with the host's
memory order and, by MODEL_FENCES, with the device's. A plant is plants/NAME.plant: the
model, what it changes (file, text that goes, text that comes; or a macro of the model),
and, if only one spelling can show it, which. A model that passes with the plant fails.
usage: run.py [SCHEDULES]  (50000 a model). Without relacy each model is skipped by name.
Prints a line each and "N passed, N failed, N skipped".
"""
import concurrent.futures
import os
import shutil
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
OUT = os.path.join(ROOT, 'build', 'relacy')
SPELLINGS = {'host': [], 'fences': ['-DMODEL_FENCES']}
LIMIT_S = 300


def build(model, flags, include, out):
    made = subprocess.run(
        [os.environ.get('CXX', 'g++'), '-std=c++17', '-O1', '-w', *flags, '-I' + HERE,
         '-I' + include, os.path.join(HERE, model + '.cpp'), '-o', out],
        capture_output=True, text=True)
    return None if made.returncode == 0 else 'it does not build: ' + made.stderr.strip()[-400:]


def run(out, schedules):
    """(holds, what was seen)"""
    try:
        done = subprocess.run([out, str(schedules)], capture_output=True, text=True, timeout=LIMIT_S)
    except subprocess.TimeoutExpired:
        return False, f'no end within {LIMIT_S} s'
    lines = [x for x in done.stdout.splitlines() if x]
    if done.returncode == 0:
        n = sum(int(x.split(': ')[1]) for x in lines if x.startswith('iterations: '))
        return n > 0, f'{n} schedules'
    for i, line in enumerate(lines):
        if '(' in line and line[:1].isupper() and i + 1 < len(lines) and \
                lines[i + 1].startswith('iteration: '):
            return False, f'{line}, {lines[i + 1]}'
    return False, f'status {done.returncode}'


def check_model(model, spelling, schedules):
    out = os.path.join(OUT, f'{model}-{spelling}')
    wrong = build(model, SPELLINGS[spelling], os.path.join(ROOT, 'include'), out)
    return (False, wrong) if wrong else run(out, schedules)


def plant(name):
    head, _, rest = open(os.path.join(HERE, 'plants', name + '.plant'), encoding='utf-8').read() \
        .partition('---\n')
    old, _, new = rest.partition('---\n')
    fields = dict(line.split(': ', 1) for line in head.splitlines() if ': ' in line)
    return fields, old.rstrip('\n'), new.rstrip('\n')


def check_plant(name, schedules):
    fields, old, new = plant(name)
    out = os.path.join(OUT, 'plant-' + name)
    flags = list(SPELLINGS[fields.get('spelling', 'host')])
    include = os.path.join(ROOT, 'include')
    if 'macro' in fields:
        flags.append('-D' + fields['macro'])
    else:
        include = os.path.join(OUT, 'include-' + name)
        shutil.rmtree(include, ignore_errors=True)
        shutil.copytree(os.path.join(ROOT, 'include'), include)
        path = os.path.join(include, fields['file'])
        text = open(path, encoding='utf-8').read()
        if text.count(old) != 1:
            return False, f"the text stands {text.count(old)} times in {fields['file']}: renew it"
        with open(path, 'w', encoding='utf-8') as f:
            f.write(text.replace(old, new))
    wrong = build(fields['model'], flags, include, out)
    if wrong:
        return False, wrong
    holds, seen = run(out, schedules)
    return not holds, 'not found: ' + seen if holds else seen


def main():
    schedules = int(sys.argv[1]) if len(sys.argv) > 1 else 50000
    models = sorted(f[:-4] for f in os.listdir(HERE) if f.endswith('.cpp'))
    plants = sorted(f[:-6] for f in os.listdir(os.path.join(HERE, 'plants')))
    if not os.path.exists('/usr/include/relacy/relacy.hpp'):
        for model in models:
            print(f'[SKIP] model_{model}: relacy is not installed: scripts/setup.sh installs it')
        print(f'0 passed, 0 failed, {len(models)} skipped')
        return 0
    os.makedirs(OUT, exist_ok=True)
    jobs = [(f'model_{m}_{s}', lambda m=m, s=s: check_model(m, s, schedules))
            for m in models for s in SPELLINGS]
    jobs += [(f'plant_{p}', lambda p=p: check_plant(p, schedules)) for p in plants]
    failed = 0
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        for (name, _), (ok, seen) in zip(jobs, pool.map(lambda job: job[1](), jobs)):
            failed += not ok
            print(f"[{'PASS' if ok else 'FAIL'}] {name}: {seen}", flush=True)
    print(f'{len(jobs) - failed} passed, {failed} failed, 0 skipped')
    return failed != 0 or not jobs


sys.exit(main())
