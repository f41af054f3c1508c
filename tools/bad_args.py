#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Checks that every public function is called with bad arguments by test/test_bad_args.c.

usage: tools/bad_args.py [--root DIR] [--list]

A public function is one that a header of include/ggmk declares and does not define; what
base/ and prim/ have is inline and checks nothing. The test has a row a call: BAD(call, what
must come) or, for calls that return nothing, NOTHING(call). The rules:
  no-row        each function has a row
  no-null       each pointer argument is null in some row, unless null is allowed there
  no-dead       each gmk_kernel_t argument is, in some row, &never: storage never booted
  vague         a row says what code must come, not that some will
  undocumented  a GMK_ code in a row stands behind `returns:` of the function's comment, or
                of one that the comment refers to by "as gmk_x" or "as above"
  stale         what is excused below needs the excuse and, in the tree of this file, exists
Prints path:line: rule: text. Exit status: 0 clean, 1 findings, 2 wrong usage.
"""

import argparse
import glob
import os
import re
import sys

sys.dont_write_bytecode = True
from lint_c import Source  # noqa: E402

HEADERS = 'include/ggmk/*.h'
TEST = 'test/test_bad_args.c'
SELF = 'tools/bad_args.py'
HERE = os.path.join(os.path.dirname(os.path.abspath(__file__)), '..')

# Headers whose functions have no rows, and why.
OUT_HEADERS = {
    'include/ggmk/hal.h': "a port's side: the core is its caller and keeps the preconditions",
}
# Functions without rows, and why.
OUT = {
    'gmk_version': 'has no argument',
    'gmk_test_check': 'asserts: a wrong call is a failed test, which cannot be part of a good run',
    'gmk_test_check_cmp': 'as gmk_test_check',
    'gmk_test_seed': 'has no argument',
    'gmk_test_simulated': 'has no argument',
    'gmk_test_scale': 'any two numbers are good ones',
    'gmk_test_skip': 'marks the running test, which would then be no pass',
    'gmk_test_run_all': 'runs the tests of which this is one',
}
# (function, argument from 0) that may be null, as its comment says.
NULL_ALLOWED = {
    ('gmk_boot', 1), ('gmk_halt_timeout', 2), ('gmk_trace_set_level', 1),
    ('gmk_chan_on_error', 2), ('gmk_record_stop', 1), ('gmk_replay', 4),
    ('gmk_record_begin', 2), ('gmk_record_input', 2), ('gmk_record_start', 2),
    ('gmk_replay', 2),
}

# (function, argument) that takes storage never booted.
NEVER_ALLOWED = {('gmk_boot', 0), ('gmk_boot_error', 0)}

DECLARED = re.compile(r'\b(gmk_\w+)\s*\(')
ROW = re.compile(r'\b(BAD|NOTHING)\(')
CODE = re.compile(r'\bGMK_(?:E_|CHAN_(?:FULL|CLOSED|TYPE_MISMATCH|ALREADY_BOUND)|ALLOC_FAIL)\w*')
RETURNS = re.compile(r'\breturns:(.*?)(?=\b(?:threads|cost|source|ownership|order|pre):|\Z)', re.S)
REFERS = re.compile(r'\b[Aa]s (above|gmk_\w+(?:(?:, | and )gmk_\w+)*)')


class Function:
    def __init__(self, name, path, line, args, comment, before):
        self.name, self.path, self.line = name, path, line
        self.args = args        # texts of the parameters
        self.comment = comment  # of its declaration, or of the group it stands in
        self.before = before    # the function declared before it
        self.rows = []


class Row:
    def __init__(self, line, call, args, code):
        self.line, self.call, self.args, self.code = line, call, args, code


def closing(text, at):
    """The offset of the parenthesis that closes the one at `at`."""
    depth = 0
    for i in range(at, len(text)):
        depth += {'(': 1, ')': -1}.get(text[i], 0)
        if depth == 0:
            return i
    return len(text)


def split(text):
    """Arguments at the top level."""
    parts, depth, last = [], 0, 0
    for i, c in enumerate(text):
        depth += (c in '([{') - (c in ')]}')
        if c == ',' and depth == 0:
            parts.append(text[last:i].strip())
            last = i + 1
    parts.append(text[last:].strip())
    return parts if parts != [''] else []


def line_of(text, at):
    return text.count('\n', 0, at) + 1


def without_bodies(code):
    """The code with what stands in braces blanked out, extern "C" aside."""
    out, depth = [], 0
    for c in code:
        depth -= c == '}'
        out.append(c if depth <= 0 or c == '\n' else ' ')
        depth += c == '{'
    return ''.join(out)


def functions_of(root, path):
    s = Source(root, path)
    lines, continued = [], False
    for text in s.code_lines:
        skip = continued or text.lstrip().startswith('#')
        continued = skip and text.rstrip().endswith('\\')
        lines.append('' if skip else re.sub(r'\bGMK_EXTERN_C_\w+', '', text))
    code = without_bodies('\n'.join(lines))
    found, before, comment, last = [], None, '', 0
    for statement in re.finditer(r'[^;}]*[;}]', code):
        text = statement[0]
        m = DECLARED.search(text)
        if m is None or '{' in text or 'typedef' in text or '=' in text[:m.start()]:
            continue
        end = closing(text, m.end() - 1)
        if text[end + 1:].strip() != ';':
            continue
        line = line_of(code, statement.start() + m.start())
        first = line_of(code, statement.start() + len(text) - len(text.lstrip()))
        own = ' '.join(t for _, end_line, t in s.comments if end_line == first - 1)
        comment = own or (comment if first == last + 1 else '')
        args = [a for a in split(text[m.end():end]) if a != 'void']
        before = Function(m[1], path, line, args, comment, before)
        found.append(before)
        last = line_of(code, statement.end() - 1)
    return found


def rows_of(root):
    s = Source(root, TEST)
    code = '\n'.join(s.code_lines)
    rows = []
    for m in ROW.finditer(code):
        if code.rfind('#define', code.rfind('\n', 0, m.start()) + 1, m.start()) >= 0:
            continue
        parts = split(code[m.end():closing(code, m.end() - 1)])
        call = DECLARED.match(parts[0]) if parts else None
        if call is not None:
            args = split(parts[0][call.end():closing(parts[0], call.end() - 1)])
            rows.append(Row(line_of(code, m.start()), call[1], args, ' '.join(parts[1:])))
    return rows


def documented(f, by_name, seen):
    """The codes behind `returns:` of f's comment and of those it refers to."""
    if f is None or f.name in seen:
        return set()
    seen.add(f.name)
    text = ' '.join(m[1] for m in RETURNS.finditer(f.comment))
    codes = set(CODE.findall(text))
    for m in REFERS.finditer(text):
        others = [by_name.get(name) for name in re.findall(r'gmk_\w+', m[1])]
        if m[1] == 'above':
            others = [f.before]
            while others[0] is not None and others[0].comment == f.comment:
                others[0] = others[0].before
        for other in others:
            codes |= documented(other, by_name, seen)
    return codes


class Check:
    def __init__(self, root):
        self.root = root
        self.findings = []
        self.functions = []
        for path in sorted(glob.glob(os.path.join(root, HEADERS))):
            self.functions += functions_of(root, os.path.relpath(path, root))
        self.by_name = {f.name: f for f in self.functions}
        for row in rows_of(root):
            if row.call in self.by_name:
                self.by_name[row.call].rows.append(row)

    def report(self, path, line, rule, text):
        self.findings.append(f'{path}:{line}: {rule}: {text}')

    def function(self, f):
        if not f.rows:
            self.report(f.path, f.line, 'no-row', f'{f.name} is never called with bad arguments')
            return
        for i, arg in enumerate(f.args):
            given = [r.args[i] for r in f.rows if i < len(r.args)]
            pointer = '*' in arg or re.search(r'\bgmk_\w+_fn\b', arg)
            if pointer and (f.name, i) not in NULL_ALLOWED and 'NULL' not in given:
                self.report(f.path, f.line, 'no-null', f'{f.name}: argument {i} is never NULL')
            never = (f.name, i) in NEVER_ALLOWED or '&never' in given
            if 'gmk_kernel_t' in arg and '*' in arg and not never:
                self.report(f.path, f.line, 'no-dead', f'{f.name}: argument {i} is never &never')
        codes = documented(f, self.by_name, set())
        for r in f.rows:
            if 'REFUSED' in r.code:
                self.report(TEST, r.line, 'vague', f'{f.name}: say which code must come')
            for code in CODE.findall(r.code):
                if code not in codes:
                    self.report(TEST, r.line, 'undocumented', f'{f.name} does not document {code}')

    def gone(self):
        """What is excused and not there any more: found in the lines of this file."""
        with open(__file__, encoding='utf-8') as f:
            lines = f.read().split('\n')
        names = set(OUT) | {name for name, _ in NULL_ALLOWED | NEVER_ALLOWED}
        names = {name for name in names if name not in self.by_name}
        names |= {p for p in OUT_HEADERS if not os.path.isfile(os.path.join(self.root, p))}
        for line, text in enumerate(lines, 1):
            for name in sorted(n for n in names if f"'{n}'" in text):
                self.report(SELF, line, 'stale', f'{name} is excused, and does not exist')

    def excuses(self):
        for name, why in OUT.items():
            f = self.by_name.get(name)
            if f is not None and f.rows:
                self.report(f.path, f.line, 'stale', f'{name} has rows, yet is excused: {why}')
        for name, i in sorted(NULL_ALLOWED | NEVER_ALLOWED):
            f = self.by_name.get(name)
            arg = f.args[i] if f is not None and i < len(f.args) else ''
            if f is not None and '*' not in arg and '_fn' not in arg:
                self.report(f.path, f.line, 'stale', f'{name}: argument {i} is no pointer')

    def run(self):
        for f in self.functions:
            if f.path not in OUT_HEADERS and f.name not in OUT:
                self.function(f)
        self.excuses()
        if os.path.samefile(self.root, HERE):
            self.gone()
        return self.findings


def main():
    parser = argparse.ArgumentParser(description='Checks the tables of bad arguments.')
    parser.add_argument('--root', default=HERE,
                        help='the tree (default: the one of this file)')
    parser.add_argument('--list', action='store_true', help='the functions, and what is excused')
    args = parser.parse_args()
    if not os.path.isfile(os.path.join(args.root, TEST)):
        parser.error(f'there is no {TEST} in {args.root}')
    check = Check(args.root)
    if args.list:
        for f in check.functions:
            why = OUT_HEADERS.get(f.path) or OUT.get(f.name)
            print(f'{f.path}\t{f.name}\t' + (f'out: {why}' if why else f'{len(f.rows)} rows'))
        return 0
    for text in check.run():
        print(text)
    inside = [f for f in check.functions if f.rows]
    print(f'{len(check.functions)} public functions, {len(inside)} with '
          f'{sum(len(f.rows) for f in inside)} rows, {len(check.findings)} findings')
    return 1 if check.findings else 0


if __name__ == '__main__':
    sys.exit(main())
