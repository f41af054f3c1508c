#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Checks what the documentation promises against headers, tests and .def files.

usage: tools/guarantees.py [--root DIR] [--write]

docs/GUARANTEES.md: a promise is a paragraph that begins with a bold name, **O1. Title.**
It names the calls that keep it, and ends with `Proof:`, a list of links to test files, each
with the names of tests in it. Every call of the headers in CALLS stands in some promise.
docs/OBSERVABILITY.md: the tables of metrics and trace events are those of the .def files;
--write puts them in. Exit status: 0 all is well, 1 findings, 2 wrong usage.
"""

import argparse
import os
import re
import sys

GUARANTEES = 'docs/GUARANTEES.md'
OBSERVABILITY = 'docs/OBSERVABILITY.md'
# Whose every call is in a promise, and where the others may come from.
CALLS = ('alloc.h', 'boot.h', 'chan.h', 'determinism.h', 'sched.h', 'sdk.h')
OTHERS = ('error.h', 'metrics.h', 'module.h', 'record.h', 'trace.h', 'why.h', 'worker.h')

PROMISE = re.compile(r'^\*\*([A-Z]+)(\d+)\. ([^*]+)\.\*\*')
LINK = re.compile(r'\[([^]]+)\]\(([^)]+)\)')
SPAN = re.compile(r'`([^`]+)`')
FUNCTION = re.compile(r'^[A-Za-z_][\w *]*?\b(gmk_\w+)\(', re.M)
TEST = re.compile(r'\bGMK_TEST\s*\(\s*(\w+)\s*\)')
ENTRY = re.compile(r'^X\((\w+),\s*(\w+),\s*(?:"([^"]*)"|(\w+)),\s*"([^"]*)"\)', re.M)
TABLE = re.compile(r'<!-- (metrics|events):begin -->\n(.*?)<!-- \1:end -->', re.S)


class Findings:
    def __init__(self, root):
        self.root = root
        self.list = []

    def say(self, path, line, what):
        self.list.append((path, line, what))

    def read(self, path):
        """The text of a file, or None: then it is a finding."""
        try:
            with open(os.path.join(self.root, path), encoding='utf-8') as f:
                return f.read()
        except OSError:
            self.say(path, 1, 'cannot be read')
            return None


def functions(f, headers):
    """The functions that these headers declare; comments are none."""
    names = set()
    for h in headers:
        text = f.read('include/ggmk/' + h) or ''
        text = re.sub(r'/\*.*?\*/', '', text, flags=re.S)
        names |= {n for n in FUNCTION.findall(text) if not n.startswith('gmk_test')}
    return names


def paragraphs(text):
    """(line, text) of each, blocks of code left out."""
    out, lines, begin, fenced = [], [], 0, False
    for n, line in enumerate(text.splitlines() + [''], 1):
        if line.startswith('```'):
            fenced = not fenced
        elif not fenced and line.strip():
            begin = begin if lines else n
            lines.append(line)
            continue
        if lines:
            out.append((begin, '\n'.join(lines)))
        lines = []
    return out


def check_proof(f, line, name, proof):
    """Counts the tests of a proof; reports those that do not exist."""
    n = 0
    parts = [(m.start(), m) for m in LINK.finditer(proof)]
    for i, (at, link) in enumerate(parts):
        path = os.path.normpath(os.path.join('docs', link[2]))
        end = parts[i + 1][0] if i + 1 < len(parts) else len(proof)
        names = SPAN.findall(proof[link.end():end])
        text = f.read(path)
        if not names:
            f.say(GUARANTEES, line, f'{name}: names no test in {path}')
        there = set(TEST.findall(text)) if text is not None else set()
        for test in names if text is not None else ():
            if test not in there:
                f.say(GUARANTEES, line, f'{name}: {path} has no test {test}')
            n += 1
    return n


def check_promises(f):
    text = f.read(GUARANTEES)
    known = functions(f, CALLS + OTHERS)
    missing = functions(f, CALLS)
    tests, last, seen = 0, {}, 0
    for line, para in paragraphs(text or ''):
        m = PROMISE.match(para)
        if m is None:
            if 'Proof:' in para:
                f.say(GUARANTEES, line, 'a proof without a promise: begin it with **A1. Title.**')
            continue
        name = m[1] + m[2]
        seen += 1
        if int(m[2]) != last.get(m[1], 0) + 1:
            f.say(GUARANTEES, line, f'{name} does not follow {m[1]}{last.get(m[1], 0)}')
        last[m[1]] = int(m[2])
        promise, _, proof = para.partition('Proof:')
        calls = {c for s in SPAN.findall(promise) for c in re.findall(r'\bgmk_\w+', s)}
        calls = {c for c in calls if not c.endswith('_t')}
        if not calls:
            f.say(GUARANTEES, line, f'{name} names no call that keeps it')
        for c in sorted(calls - known):
            f.say(GUARANTEES, line, f'{name}: no header declares {c}')
        missing -= calls
        found = check_proof(f, line, name, proof)
        if found == 0:
            f.say(GUARANTEES, line, f'{name} names no test that proves it')
        tests += found
    for c in sorted(missing):
        f.say(GUARANTEES, 1, f'no promise says what {c} does')
    return seen, tests


def table(f, kind):
    """The rows that a .def file asks for."""
    path = 'include/ggmk/' + ('metrics.def' if kind == 'metrics' else 'trace_events.def')
    text = re.sub(r'/\*.*?\*/', '', f.read(path) or '', flags=re.S)
    rows = ENTRY.findall(text)
    if len(rows) != len(re.findall(r'^X\(', text, re.M)) or not rows:
        f.say(path, 1, 'an entry that is not X(NAME, number, ..., "text")')
    if kind == 'metrics':
        out = ['| number | key | `GMK_METRIC_` | counts |', '| --- | --- | --- | --- |']
        out += [f'| {n} | `{key}` | `{name}` | {text} |' for name, n, key, _, text in rows]
    else:
        out = ['| number | `GMK_EV_` | level | what: `arg0`, `arg1` |', '| --- | --- | --- | --- |']
        out += [f'| {n} | `{name}` | {lvl} | {text} |' for name, n, _, lvl, text in rows]
    return '\n'.join(out) + '\n', len(rows)


def check_tables(f, write):
    text = f.read(OBSERVABILITY)
    if text is None:
        return {}
    have = {m[1]: m for m in TABLE.finditer(text)}
    counts = {}
    for kind in ('metrics', 'events'):
        want, counts[kind] = table(f, kind)
        if kind not in have:
            f.say(OBSERVABILITY, 1, f'there is no table of {kind}: mark it <!-- {kind}:begin -->')
        elif have[kind][2] != want and write:
            text = TABLE.sub(lambda m, k=kind, w=want: m[0] if m[1] != k else
                             f'<!-- {k}:begin -->\n{w}<!-- {k}:end -->', text)
        elif have[kind][2] != want:
            line = text[:have[kind].start()].count('\n') + 1
            f.say(OBSERVABILITY, line,
                  f'the table of {kind} is not what the .def file says: run --write')
    if write:
        with open(os.path.join(f.root, OBSERVABILITY), 'w', encoding='utf-8') as out:
            out.write(text)
    return counts


def main():
    parser = argparse.ArgumentParser(description='Checks promises against tests and headers.')
    parser.add_argument('--root', default=os.path.join(os.path.dirname(__file__), '..'),
                        help='the tree (default: the one of this file)')
    parser.add_argument('--write', action='store_true', help='put the tables in')
    args = parser.parse_args()
    if not os.path.isdir(os.path.join(args.root, 'docs')):
        parser.error(f'there is no docs in {args.root}')
    f = Findings(args.root)
    promises, tests = check_promises(f)
    counts = check_tables(f, args.write)
    for path, line, what in sorted(set(f.list)):
        print(f'{path}:{line}: {what}')
    print(f'{promises} promises, {tests} proofs, {counts.get("metrics", 0)} metrics, '
          f'{counts.get("events", 0)} events, {len(set(f.list))} findings')
    return 1 if f.list else 0


if __name__ == '__main__':
    sys.exit(main())
