#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Writes the table of the monitor's commands into docs/MONITOR.md, from its .def.

usage: tools/monitor_doc.py [--check]    --check changes nothing: 1 if it would"""
import os
import re
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
DEF, DOC = 'modules/monitor/commands.def', 'docs/MONITOR.md'
BEGIN, END = '<!-- commands:begin -->', '<!-- commands:end -->'
ROW = re.compile(r'^X\((\w+), \d+, \d+, "(.*?)", "(.*)"\)$', re.M)


def read(path):
    with open(os.path.join(ROOT, path), encoding='utf-8') as f:
        return f.read()


def main():
    if sys.argv[1:] not in ([], ['--check']):
        sys.stderr.write(__doc__)
        return 2
    text = read(DEF)
    rows = ROW.findall(text)
    if len(rows) != text.count('\nX('):
        print(f'{DEF}: a row is not understood')
        return 2
    table = ['| command | what it shows or does |', '| --- | --- |']
    table += [f"| `{' '.join(w for w in (name, words) if w)}` | {what} |" for name, words, what in rows]
    head, rest = read(DOC).split(BEGIN)
    made = head + BEGIN + '\n' + '\n'.join(table) + '\n' + END + rest.split(END)[1]
    if made == read(DOC):
        return 0
    if sys.argv[1:]:
        print(f'{DOC}: the table is not that of {DEF}; run tools/monitor_doc.py')
        return 1
    with open(os.path.join(ROOT, DOC), 'w', encoding='utf-8') as f:
        f.write(made)
    return 0


sys.exit(main())
