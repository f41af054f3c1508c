#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The table of docs/RELIABILITY.md from what `make soak` has left in a folder of logs.

usage: tools/soak_report.py [DIR]    (build/soak)

A run NAME has NAME.log, its output, and NAME.sum, one line of scripts/soak.sh: how long it
took, its status and its command. Prints a line a run that is there, in Markdown, and says
which are not. A run without a closing line is one that failed. Status 1 if a run is not
there or has failed, 2 if the folder is not.
"""

import os
import re
import sys

RUNS = ('sim', 'tsan', 'asan', 'fuzz', 'resident', 'mixed', 'boots', 'memory-qemu',
        'mixed-qemu')
CLOSING = re.compile(r'^(\d+) passed, (\d+) failed, (\d+) skipped$', re.M)
FIGURES = re.compile(r'^(?:(?:storm|channel storm)(?:, sim)?: .*|emissions .*|drained .*'
                     r'|\[PASS\] fuzz_.*|resident: .*|mixed: .*'
                     r'|\d+ images, .*|clock: .*)$', re.M)
BEGINS = re.compile(r': \d+ s from seed')  # says what will be, not what was


def read(path):
    try:
        with open(path, encoding='utf-8', errors='replace') as f:
            return f.read()
    except FileNotFoundError:
        return None


def row(where, name):
    """(the line, whether it is there and good)"""
    log, head = read(os.path.join(where, name + '.log')), read(os.path.join(where, name + '.sum'))
    if log is None or head is None:
        return f'| {name} | not run | | |', False
    took, command = head.strip().split(': ', 1)
    closing = CLOSING.findall(log)
    p, f, s = map(int, closing[-1]) if closing else (0, 1, 0)
    good = f == 0 and p > 0 and took.endswith('status 0')
    figures = '; '.join(x.removeprefix('[PASS] ') for x in FIGURES.findall(log) if not BEGINS.search(x))
    said = f'{p} passed, {f} failed, {s} skipped'
    return f"| `{command}` | {took.split(',')[0]} | {said} | {figures} |", good


def main():
    where = sys.argv[1] if len(sys.argv) == 2 else 'build/soak'
    if len(sys.argv) > 2 or not os.path.isdir(where):
        print(f'usage: soak_report.py [DIR]: there is no {where}', file=sys.stderr)
        return 2
    rows = [row(where, name) for name in RUNS]
    print('| run | took | result | figures |')
    print('|---|---|---|---|')
    for line, _ in rows:
        print(line)
    return 0 if all(good for _, good in rows) else 1


sys.exit(main())
