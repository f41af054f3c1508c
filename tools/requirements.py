#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Lists every requirement of the CPU part with the tests that name it.

usage: tools/requirements.py [--root DIR] [--check]

docs/requirements.tsv has the requirements: ID, title and, for what no test can show, an
explanation that begins with its kind. An ID in the comment above a GMK_TEST, or in its
body, counts for that test. Elsewhere (a file's head, helpers) it says what the file is
about and proves nothing, unless the file has no GMK_TEST: a storm, a script, a mutant.
Of the kernel's smoke tests a function that gives a verdict is such a test; in a Python
file a comment counts for the function that it stands in, or for the file's target.
Prints a line a requirement and the sums. Exit status with --check: 0 all are tested or
explained, 1 findings, 2 wrong usage.
"""

import argparse
import glob
import os
import re
import sys

sys.dont_write_bytecode = True
from lint_c import Source  # noqa: E402

LIST = 'docs/requirements.tsv'
GROUPS = ('PR', 'SYS', 'T', 'R', 'AL', 'SC', 'SG', 'EQ', 'CH', 'MOD', 'OBS', 'FM', 'DET', 'HAL', 'BM')
# Groups of which the list has a part, and those that are not in it: a number is all that is
# asked of them.
PARTS = ('ACC', 'STD')
OTHERS = PARTS + ('BR', 'CLI', 'LIM', 'SDK', 'TY', 'V')
# Words of the same shape that are no requirement.
WORDS = ('GPL', 'ISO', 'UTF')
KINDS = {  # of explanations: what each says
    'principle': 'a rule for design and review; what it leads to has tests of its own',
    'later': 'belongs to a part that is not built yet, which it names',
    'void': 'a ruling of the architecture puts another rule in its place',
    'names': 'advisory internal names; the tests reach the functions by the house names',
    'soak': 'shown by a run too long for make check, which the explanation names',
    'build': 'shown by what is built and how, not by a test that runs',
}
# What proves without being a unit test, and by which target.
TARGETS = {'test/canary.sh': 'canary-check', 'test/docs.sh': 'docs-check',
           'test/headers.sh': 'headers-check', 'test/image.sh': 'image-check',
           'test/install.sh': 'install-check', 'test/pipeline.sh': 'pipeline-check',
           'test/qemu/run.sh': 'runners-check', 'test/qemu_faults.py': 'test-faults',
           'test/qemu_gdb.py': 'test-gdb', 'test/qemu_job.py': 'job-check',
           'test/qemu_monitor.py': 'test-monitor', 'test/shim/kernel.c': 'shim-check',
           'test/shim/run.py': 'shim-check', 'test/strip.sh': 'strip-check',
           'test/tunables.sh': 'tunables-check'}
LINT = 'tools/lint.py'
OWN_TEST = 'test/requirements.sh'  # its trees have numbers too
SMOKE = 'arch/x86_64/jobs/smoke.c'
SOURCES = ('test/*.c', 'test/*.h', 'test/*.sh', 'test/mutants/*', 'test/lint/*.sh', LINT,
           'test/qemu_*.py', 'test/qemu/*.sh', 'test/shim/*.py', 'test/shim/*.c', SMOKE)

NAMED = re.compile(r'\b([A-Z]{1,4})-(\d+)[a-f]?\b')  # ACC-6a is a part of ACC-6
RANGE = re.compile(r'(?:\.\.| to | - )(?:([A-Z]{1,4})-)?(\d+)\b')
TEST = re.compile(r'\bGMK_TEST\s*\(\s*(\w+)\s*\)')
VERDICT = re.compile(r'\bverdict\("(\w+)"')
PYTHON_COMMENT = re.compile(r'(?:^|  )# ?(.*)$')
DEF = re.compile(r'(?:def|class) (\w+)')
SHELL_COMMENT = re.compile(r'(?:^|\s)#(.*)')
RULE = re.compile(r"^    '([a-z-]+)': '")


class Requirement:
    def __init__(self, line, title, explanation):
        self.line, self.title, self.explanation = line, title, explanation
        self.tests = []    # what proves it, in the order found
        self.headers = []  # files that only have it in their head


class Book:
    """The list, and what the tests say about it."""

    def __init__(self, root):
        self.root = root
        self.findings = []
        self.items = {}
        self.read_list()
        for pattern in SOURCES:
            for path in sorted(glob.glob(os.path.join(root, pattern))):
                if os.path.isfile(path) and os.path.relpath(path, root) != OWN_TEST:
                    self.read_tests(os.path.relpath(path, root))
        self.check_explanations()

    def report(self, path, line, what):
        if (path, line, what) not in self.findings:
            self.findings.append((path, line, what))

    def read_list(self):
        with open(os.path.join(self.root, LIST), encoding='utf-8') as f:
            for n, text in enumerate(f.read().splitlines(), 1):
                if not text or text.startswith('#'):
                    continue
                fields = text.split('\t')
                m = NAMED.fullmatch(fields[0])
                if m is None or len(fields) not in (2, 3) or not all(fields):
                    self.report(LIST, n, 'no line of ID, title and perhaps explanation')
                elif m[1] not in GROUPS + PARTS:
                    self.report(LIST, n, f'{fields[0]}: there is no such group here')
                elif fields[0] in self.items:
                    self.report(LIST, n, f'{fields[0]} stands here twice')
                else:
                    self.items[fields[0]] = Requirement(n, fields[1], ''.join(fields[2:]))

    def check_explanations(self):
        for name, item in self.items.items():
            kind, colon, why = item.explanation.partition(': ')
            if not item.explanation:
                continue
            if kind not in KINDS or not colon or len(why.split()) < 3:
                self.report(LIST, item.line,
                            f'{name}: begin the explanation with one of: ' + ', '.join(KINDS))
            if item.tests:
                self.report(LIST, item.line, f'{name} is explained, yet {item.tests[0]} names it')

    # Where tests name requirements.

    def read_tests(self, path):
        if path.endswith(('.c', '.h')):
            self.read_c(Source(self.root, path))
            return
        with open(os.path.join(self.root, path), encoding='utf-8') as f:
            lines = f.read().splitlines()
        proof = TARGETS.get(path, path)
        if path.endswith('.py') and path != LINT:
            self.read_python(path, lines, proof)
            return
        for n, text in enumerate(lines, 1):
            rule = RULE.match(text)
            if path == LINT and not rule:
                continue
            if path.endswith('.sh'):
                text = ''.join(SHELL_COMMENT.findall(text))
            self.add(path, n, text, f'lint rule {rule[1]}' if path == LINT else proof)

    def read_python(self, path, lines, proof):
        """Comments; what the docstring of the file says proves nothing."""
        owner = None
        for n, text in enumerate(lines, 1):
            if text[:1] not in ('', ' ', '#', ')', ']', '}'):
                m = DEF.match(text)
                owner = m[1] if m else None
            m = PYTHON_COMMENT.search(text)
            if m:
                inside = owner if text[0] == ' ' else None
                self.add(path, n, m[1], f'{proof}: {inside}' if inside else proof)

    def read_c(self, s):
        """Comments: the file's head, those above a test or in it, and the others."""
        code = '\n'.join(s.code_lines)
        tests = [(m.start(), body_end(code, m.end()), m[1]) for m in TEST.finditer(code)]
        if s.path == SMOKE:
            tests = [(f.start, f.end, m[1]) for f in s.functions
                     if (m := VERDICT.search(s.text, f.start, f.end))]
        unit = os.path.splitext(os.path.basename(s.path))[0]
        if s.path in TARGETS:
            unit = TARGETS[s.path]
        for first, last, text in s.comments:
            begin, end = s.starts[first - 1], s.starts[last]
            owner = owner_of(code, tests, begin, end)
            if owner is None and (tests or s.path.endswith('.h')):
                self.add(s.path, first, text, None)
            else:
                self.add(s.path, first, text, unit if owner is None else f'{unit}: {owner}')

    def add(self, path, line, text, proof):
        """Books the IDs in text for proof; None: the head of a file with tests."""
        for name in self.ids_in(path, line, text):
            item = self.items[name]
            where = item.tests if proof is not None else item.headers
            what = proof if proof is not None else os.path.basename(path)
            if what not in where:
                where.append(what)

    def ids_in(self, path, line, text):
        """The listed IDs in a comment, ranges spelled out; reports those that are none."""
        found = []
        for m in NAMED.finditer(text):
            group, first = m[1], int(m[2])
            if group in WORDS:
                continue
            if group not in GROUPS + OTHERS:
                self.report(path, line, f'{m[0]}: there is no group {group}')
                continue
            after = RANGE.match(text, m.end())
            last = int(after[2]) if after and after[1] in (None, group) else first
            names = [f'{group}-{n}' for n in range(first, last + 1)]
            for name in {names[0], names[-1]} if names else {m[0]}:
                if group in GROUPS and name not in self.items:
                    self.report(path, line, f'{name}: there is no such requirement')
            found += [name for name in names if name in self.items]
        return found

    # What comes out.

    def table(self):
        for name, item in self.items.items():
            shown = '; '.join(item.tests) or item.explanation
            if not shown:
                shown = 'UNCOVERED'
                if item.headers:
                    shown += ' (only the head of ' + ', '.join(item.headers) + ' names it)'
            print(f'{name}\t{item.title}\t{shown}')

    def uncovered(self):
        return [n for n, i in self.items.items() if not i.tests and not i.explanation]

    def sums(self):
        tested = sum(1 for i in self.items.values() if i.tests)
        explained = sum(1 for i in self.items.values() if not i.tests and i.explanation)
        return (f'{len(self.items)} requirements, {tested} tested, {explained} explained, '
                f'{len(self.uncovered())} uncovered')


def body_end(code, at):
    """The offset behind the block that begins after at."""
    depth = 0
    for m in re.compile(r'[{}]').finditer(code, at):
        depth += 1 if m[0] == '{' else -1
        if depth == 0:
            return m.end()
    return len(code)


def owner_of(code, tests, begin, end):
    """The test that a comment on the lines begin..end belongs to; None: none. Above a
    test: no code stands on the comment's lines, nor between them and the test."""
    for start, stop, name in tests:
        if begin <= stop and end > start or (end <= start and not code[begin:start].strip()):
            return name
    return None


def check(book):
    for path, line, what in sorted(book.findings):
        print(f'{path}:{line}: {what}')
    for name in book.uncovered():
        item = book.items[name]
        print(f'{LIST}:{item.line}: {name} {item.title}: no test names it, nothing explains it')
    bad = len(book.findings) + len(book.uncovered())
    print(book.sums())
    return 1 if bad else 0


def main():
    parser = argparse.ArgumentParser(description='Lists requirements with their tests.')
    parser.add_argument('--root', default=os.path.join(os.path.dirname(__file__), '..'),
                        help='the tree (default: the one of this file)')
    parser.add_argument('--check', action='store_true', help='findings alone; fails on any')
    args = parser.parse_args()
    if not os.path.isfile(os.path.join(args.root, LIST)):
        parser.error(f'there is no {LIST} in {args.root}')
    book = Book(args.root)
    if args.check:
        return check(book)
    book.table()
    print(book.sums())
    return 0


if __name__ == '__main__':
    sys.exit(main())
