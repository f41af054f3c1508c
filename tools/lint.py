#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Proves the house rules on a source tree: floors, limits, atomics, marks.

usage: tools/lint.py [--root DIR] [--list]

Prints one line a finding, `path:line: rule: what; why; what to do`, then
`lint: N files, N findings`. Exit status: 0 clean, 1 findings, 2 wrong usage.
--list prints the rules. test/lint has bad trees for each of them.
"""

import argparse
import os
import re
import subprocess
import sys

sys.dont_write_bytecode = True
from lint_c import Source  # noqa: E402

RULES = {  # rule: why it stands, as printed in its findings
    'floors': 'a file includes only lower floors and its own folder',
    'function-length': 'a reader must see a function whole',
    'parameters': 'a long parameter list hides a missing struct',
    'recursion': 'stacks are small and fixed, so depth must be known',
    'atomics': 'every ordering names its partner in docs/ATOMICS.md, every relaxed one its reason',
    'raw-atomics': 'only the port spells atomics, so that sim and CUDA run the same text',
    'platform': 'the core is one text for every machine (HAL-1, HAL-9, SYS-15)',
    'banned': 'the core owns its memory (AL-2) and end, and tests wait on conditions',
    'marks': 'main holds finished work that builds on any machine',
    'header': 'each file says its licence and purpose, briefly',
    'columns': 'text looks the same in every editor and diff',
}

MAX_LINES, MAX_PARAMS, MAX_PRIM_PARAMS, MAX_HEADER, MAX_COLUMNS = 70, 5, 6, 20, 100

SKIPPED_TREES = ('test/lint/bad/', 'test/lint/good/', 'build/', '.git/')
HEADER_SUFFIXES = ('.c', '.h', '.def', '.py', '.sh', '.mk')
SIZED_DIRS = ('src', 'sdk', 'hal', 'include', 'modules', 'cli', 'examples', 'tools', 'test', 'arch',
              'drivers')
HEADER_DIRS = SIZED_DIRS + ('bench', 'scripts', 'gpu', 'bridge', 'mk')

# Ranks of the floors. A folder of src/ is a floor; include/ is split by file.
SRC_FLOORS = ('obs', 'mem', 'sched', 'det', 'chan', 'module', 'worker', 'kernel')
BASE, VALUES, PRIM, PUBLIC, SRC = range(5)
TIER2, SDK, MODULES, TOOLS, OUTSIDE = range(SRC + len(SRC_FLOORS), SRC + len(SRC_FLOORS) + 5)
VALUE_HEADERS = ('task.h', 'error.h', 'config.h')  # F0, above base
TIER2_HEADERS = ('ggmk/sdk.h', 'ggmk/test.h', 'gmk_sdk.h', 'gmk_test.h')  # above the kernel
PORT_HEADERS = {'hal_types.h': 'include/ggmk/hal.h',  # found by include path: who may include it
                'atomic_port.h': 'include/ggmk/base/atomic.h'}
TOP_RANKS = {'sdk': SDK, 'modules': MODULES, 'cli': TOOLS, 'tools': TOOLS, 'examples': TOOLS,
             'hal': OUTSIDE, 'arch': OUTSIDE, 'drivers': OUTSIDE, 'gpu': OUTSIDE,
             'bridge': OUTSIDE}
FREESTANDING = {n + '.h' for n in ('stdint', 'stddef', 'stdbool', 'stdarg', 'limits', 'stdalign',
                                   'stdnoreturn', 'float', 'iso646')}

INCLUDE = re.compile(r'^[ \t]*#[ \t]*include[ \t]*(["<])([^">\n]+)[">]', re.M)

ATOMIC = re.compile(r'\b(?:gmk_(load|store|add|sub|or|and|xchg|cas)_(rlx|acq|rel|ar|sc)'
                    r'|(GMK_POLL|GMK_PUBLISH))\s*\(')
ATOMIC_PORTS = ('hal/common/atomic_port.h', 'hal/sim/atomic_port.h', 'include/ggmk/base/atomic.h')
OUTSIDE_SIDE = '(outside)'  # in a row of the table: that side is no code of this tree
LABEL = r'[A-Za-z]\w*(?:\.\w+)+'
SYNC = re.compile(rf'\bsync:\s*({LABEL}(?:\s*,\s*{LABEL})*)')
RELAXED = re.compile(r'\brelaxed:\s*\w')
ATOMICS_DOC = 'docs/ATOMICS.md'
ATOMICS_ROW = re.compile(r'^\|\s*`([^`]+)`\s*\|')

RAW_ATOMIC = re.compile(r'\b(?:__atomic_\w+|__sync_\w+|_Atomic\b|stdatomic\.h)')
CONDITIONAL = re.compile(r'\s*#\s*(?:el)?if(?:n?def)?\b(.*)', re.S)
MACHINE = re.compile(r'\b(?:GMK_FREESTANDING|GMK_SIM|__STDC_HOSTED__|__linux(?:__)?|linux|__gnu_linux__'
                     r'|_WIN(?:32|64)|__CYGWIN__|__MINGW\d+__|_MSC_VER|__unix(?:__)?|unix'
                     r'|__APPLE__|__MACH__|__ANDROID__|__(?:Free|Net|Open)BSD__|__sun)\b')
# All that a conditional of the core may ask: what is built in, a value's default (#ifndef NAME,
# then #define NAME), a value's other name in config.h; and in ggmk/base the language.
BUILT_IN = {'GMK_DEBUG', 'GMK_STRIP_TRACE'}
LANGUAGE = {'__cplusplus', '__CUDACC__', '__CUDA_ARCH__'}
VALUES_HEADER = 'include/ggmk/config.h'
WORD = re.compile(r'[A-Za-z_]\w*')
DEFAULT = re.compile(r'\s*#\s*ifndef\s+(\w+)\s*#\s*define\s+\1\b')
ANY_INCLUDE = re.compile(r'\s*#\s*(?:include|import)')
SPELLED_HASH = re.compile(r'%:|\?\?=')  # a # that the other rules would not see
BANNED = re.compile(r'(?<![\w.])(?<!->)(?:(malloc|calloc|realloc|free|alloca|strcpy|strcat|sprintf'
                    r'|vsprintf|gets|strtok|rand|printf|exit|abort|memcpy|memset)\s*\('
                    r'|(thread_local|_Thread_local|__thread)\b)')
SLEEP = re.compile(r'(?<![\w.])(?<!->)((?:u|nano|clock_nano|thrd_)?sleep)\s*\(')
# Spelled so that they do not match themselves.
MARK = re.compile(r'\b(?:TO[D]O|FIX[M]E|XX[X])\b')
MACHINE_PATH = re.compile(r'(?<![\w./$})~*-])/(?:wor[k]|roo[t]|hom[e]|User[s])/')


class Linter:
    def __init__(self, root):
        self.findings = []
        self.labels = {}  # label: [releasing use, acquiring use], each (path, line) or None
        self.sources = [s for s in (Source(root, p) for p in list_files(root)) if s.is_text]
        self.paths = {s.path for s in self.sources}

    def report(self, path, line, rule, what, remedy):
        self.findings.append((path, line, rule, f'{what}; {RULES[rule]}; {remedy}'))

    def run(self):
        for s in self.sources:
            self.check_text(s)
            self.check_header(s)
            if s.is_c:
                self.check_includes(s)
                self.check_functions(s)
                self.check_atomics(s)
                self.check_words(s)
                self.check_conditionals(s)
        self.check_labels()
        for path, line, rule, text in sorted(self.findings):
            print(f'{path}:{line}: {rule}: {text}')
        print(f'lint: {len(self.sources)} files, {len(self.findings)} findings')
        return 1 if self.findings else 0

    # Floors.

    def resolve(self, s, name):
        """The path an include means: own folder, include/, src/, then the root."""
        own = os.path.normpath(os.path.join(os.path.dirname(s.path), name))
        places = [own] + [os.path.normpath(p + name) for p in ('include/', 'src/', '')]
        for place in places:
            if place in self.paths:
                return place
        if name in PORT_HEADERS:
            return 'hal/common/' + name
        if name.startswith('ggmk/'):
            return places[1]
        if name.split('/')[0] in SRC_FLOORS:
            return places[2]
        return places[3] if name.split('/')[0] in TOP_RANKS else own

    def check_includes(self, s):
        rank = rank_of(s.path)
        if rank is None and s.top == 'src':
            self.report(s.path, 1, 'floors', f'{folder(s.path)} is no floor',
                        'put the file into one, or add the floor to tools/lint.py')
        is_test = os.path.basename(s.path).startswith('test_') and s.top in ('hal', 'modules')
        if rank is None or is_test:  # tests stand above all floors
            return
        for m in INCLUDE.finditer(s.text):
            if not s.code[m.start():m.end()].strip():
                continue  # in a comment
            name, line = m.group(2), s.line_of(m.start())
            if m.group(1) == '<' and not name.startswith(('ggmk/', 'gmk_')):
                if s.top in ('src', 'include') and name not in FREESTANDING:
                    self.report(s.path, line, 'floors', f'includes the system header <{name}>',
                                'call through ggmk/hal.h')
            elif PORT_HEADERS.get(name) != s.path:
                target = self.resolve(s, name)
                if not may_include(s.path, rank, target):
                    self.report(s.path, line, 'floors', f'includes {target} from {folder(s.path)}',
                                'move the declaration down, or register a function pointer')

    # Functions.

    def check_functions(self, s):
        if s.top not in SIZED_DIRS:
            return
        limit = MAX_PRIM_PARAMS if s.path.startswith('include/ggmk/prim/') else MAX_PARAMS
        for f in s.functions:
            line = s.line_of(f.start)
            length = s.line_of(f.end) - line + 1
            if length > MAX_LINES:
                self.report(s.path, line, 'function-length', f'{f.name} has {length} lines',
                            f'split it, {MAX_LINES} are the limit')
            if f.params and len(f.params) > limit:
                self.report(s.path, line, 'parameters',
                            f'{f.name} has {len(f.params)} parameters',
                            f'gather them in a struct, {limit} are the limit')
            call = re.compile(rf'(?<![\w.])(?<!->){re.escape(f.name)}\s*\(')
            m = call.search(s.code, f.body, f.end)
            if m:
                self.report(s.path, s.line_of(m.start()), 'recursion', f'{f.name} calls itself',
                            'write a bounded loop')

    # Atomics.

    def check_atomics(self, s):
        if s.top not in ('include', 'src', 'hal', 'sdk', 'arch', 'drivers'):
            return
        for m in ATOMIC.finditer(s.code):
            if s.path in ATOMIC_PORTS and any(a <= m.start() < b for a, b in s.directives):
                continue  # the definitions themselves
            line = s.line_of(m.start())
            what = m.group().rstrip(' \n(')
            if m.group(2) == 'rlx':
                if not s.comment_near(m.start(), RELAXED):
                    self.report(s.path, line, 'atomics', f'{what} gives no reason',
                                'add a comment "relaxed: reason" on the line or right above')
                continue
            sync = s.comment_near(m.start(), SYNC)
            if not sync:
                self.report(s.path, line, 'atomics', f'{what} has no label',
                            'add a comment "sync: label" on the line or right above')
                continue
            for label in re.findall(LABEL, sync.group(1)):
                sides = self.labels.setdefault(label, [None, None])
                for i, does in enumerate(sides_of(m)):
                    if does and not sides[i]:
                        sides[i] = (s.path, line)

    def outside_labels(self):
        """Labels whose row says that the other side is a device or a loader."""
        doc = next((s for s in self.sources if s.path == ATOMICS_DOC), None)
        rows = (ATOMICS_ROW.match(t) for t in doc.lines if OUTSIDE_SIDE in t) if doc else ()
        return {m.group(1) for m in rows if m}

    def check_labels(self):
        outside = self.outside_labels()
        for label, (release, acquire) in sorted(self.labels.items()):
            if (not release or not acquire) and label not in outside:
                path, line = release or acquire
                kind = 'acquiring' if release else 'releasing'
                self.report(path, line, 'atomics', f'label {label} has no {kind} operation',
                            'label its partner, or drop the ordering')
        rows = {}
        if ATOMICS_DOC in self.paths:
            doc = next(s for s in self.sources if s.path == ATOMICS_DOC)
            for i, text in enumerate(doc.lines):
                m = ATOMICS_ROW.match(text)
                if m:
                    rows[m.group(1)] = i + 1
        elif self.labels:
            self.report(ATOMICS_DOC, 1, 'atomics', f'missing, {len(self.labels)} labels are in use',
                        'write a table whose first column is the label in backticks')
            return
        for label in sorted(self.labels.keys() - rows.keys()):
            path, line = self.labels[label][0] or self.labels[label][1]
            self.report(path, line, 'atomics', f'label {label} has no row',
                        f'add it to {ATOMICS_DOC}')
        for label in sorted(rows.keys() - self.labels.keys()):
            self.report(ATOMICS_DOC, rows[label], 'atomics', f'no code uses the label {label}',
                        'delete the row or label the code')

    # Words of the code.

    def check_words(self, s):
        if s.top not in ('hal', 'test', 'bench'):
            for m in RAW_ATOMIC.finditer(s.code):
                self.report(s.path, s.line_of(m.start()), 'raw-atomics', f'{m.group()} is raw',
                            'use the macros of ggmk/base/atomic.h')
        if s.top in ('src', 'include', 'sdk'):
            for m in BANNED.finditer(s.code):
                self.report(s.path, s.line_of(m.start()), 'banned',
                            f'uses {m.group(1) or m.group(2)}', 'use gmk_hal_*, a pool or the context')
        if s.top == 'test' and s.path.endswith('.c'):
            for m in SLEEP.finditer(s.code):
                self.report(s.path, s.line_of(m.start()), 'banned', f'calls {m.group(1)}',
                            'wait on a condition or on virtual time')

    def check_conditionals(self, s):
        """The core is one text: no machine's name in its code, and no conditional but of a few."""
        if s.top not in ('src', 'include'):
            return
        remedy = 'move the difference into the port (hal/) or ggmk/base'
        seen = set()
        for begin, end in s.directives:
            m = CONDITIONAL.match(s.code, begin, end)
            odd = None
            if m and not DEFAULT.match(s.code, begin):
                odd = next((w for w in WORD.findall(m.group(1)) if not may_test(s.path, w)), None)
            elif ANY_INCLUDE.match(s.code, begin, end) and not INCLUDE.match(s.text, begin, end):
                odd = 'what an include names by a macro'
            if odd:
                seen.add(s.line_of(begin))
                self.report(s.path, s.line_of(begin), 'platform', f'tests {odd}', remedy)
        for m in list(MACHINE.finditer(s.code)) + list(SPELLED_HASH.finditer(s.code)):
            if s.line_of(m.start()) not in seen:
                self.report(s.path, s.line_of(m.start()), 'platform', f'has {m.group()}', remedy)

    # Text of any file.

    def check_text(self, s):
        for i, text in enumerate(s.lines):
            m = MARK.search(text) or MACHINE_PATH.search(text)
            if m:
                self.report(s.path, i + 1, 'marks', f'contains {m.group()}',
                            'finish it, or name a relative path')
            if text != text.rstrip():
                self.report(s.path, i + 1, 'columns', 'white space at the end of the line',
                            'delete it')
            if s.is_c and '\t' in text:
                self.report(s.path, i + 1, 'columns', 'a tab', 'indent by four spaces')
            if s.is_c and len(text) > MAX_COLUMNS:
                self.report(s.path, i + 1, 'columns', f'{len(text)} columns',
                            f'wrap the line, {MAX_COLUMNS} are the limit')

    def check_header(self, s):
        if s.top not in HEADER_DIRS or not s.path.endswith(HEADER_SUFFIXES):
            return
        if not any('SPDX-License-Identifier:' in text for text in s.lines[:3]):
            self.report(s.path, 1, 'header', 'no SPDX line in the first three',
                        'add "SPDX-License-Identifier: MIT"')
        if s.path.endswith(('.c', '.h')):
            last = 0
            for a, b, _ in s.comments:
                if a == last + 1 and not s.code_lines[a - 1].strip():
                    last = b
            if last > MAX_HEADER:
                self.report(s.path, 1, 'header', f'the header comment has {last} lines',
                            f'cut it to {MAX_HEADER}')


def folder(path):
    """The folder that counts as one place: a floor of src, a module, a port."""
    parts = path.split('/')[:-1]
    if parts[:2] == ['include', 'ggmk']:
        return '/'.join(parts[:3])
    return '/'.join(parts[:2])


def rank_of(path):
    """The floor of a file as a number; None where the order does not apply."""
    parts = path.split('/')
    if parts[0] == 'include':
        if '/'.join(parts[1:]) in TIER2_HEADERS:
            return TIER2
        if parts[1:3] in (['ggmk', 'base'], ['ggmk', 'prim']):
            return BASE if parts[2] == 'base' else PRIM
        return VALUES if parts[-1] in VALUE_HEADERS or path.endswith('.def') else PUBLIC
    if parts[0] == 'src':
        return SRC + SRC_FLOORS.index(parts[1]) if parts[1] in SRC_FLOORS else None
    return TOP_RANKS.get(parts[0])


def may_include(path, rank, target):
    target_rank = rank_of(target)
    if path.startswith('include/') and target.startswith('include/'):
        return target_rank <= rank
    if folder(path) == folder(target):
        return True
    if path.startswith('hal/'):
        if path.startswith('hal/x86_baremetal/') and target.startswith('arch/'):
            return True
        return (target.startswith(('include/ggmk/base/', 'hal/common/'))
                or target in ('include/ggmk/config.h', 'include/ggmk/hal.h'))
    if path.startswith(('modules/', 'examples/')):
        return target.startswith('include/')
    if path.startswith(('arch/', 'drivers/', 'gpu/', 'bridge/')):
        return True
    return target_rank is not None and target_rank < rank


def may_test(path, word):
    """Whether a conditional of this file of the core may ask for this word."""
    return (word == 'defined' or word in BUILT_IN
            or word in LANGUAGE and path.startswith('include/ggmk/base/')
            or path == VALUES_HEADER and word.startswith('GMK_') and not MACHINE.match(word))


def sides_of(m):
    """(releases, acquires) of an atomic operation."""
    kind, order, ring = m.groups()
    if ring:
        return ring == 'GMK_PUBLISH', ring == 'GMK_POLL'
    return (kind != 'load' and order in ('rel', 'ar', 'sc'),
            kind != 'store' and order in ('acq', 'ar', 'sc'))


def list_files(root):
    """Files of the tree, by git (also new ones, not ignored ones) or by walking."""
    try:
        paths = set(subprocess.check_output(
            ['git', '-C', root, 'ls-files', '-coz', '--exclude-standard'],
            stderr=subprocess.DEVNULL, text=True).split('\0')) - {''}
    except (OSError, subprocess.CalledProcessError):
        paths = set()
    if not paths:
        paths = {os.path.relpath(os.path.join(d, f), root)
                 for d, _, files in os.walk(root) for f in files}
    return sorted(p for p in paths if not p.startswith(SKIPPED_TREES)
                  and os.path.isfile(os.path.join(root, p)))


def main():
    parser = argparse.ArgumentParser(description='Checks the house rules of a source tree.')
    parser.add_argument('--root', default=os.path.join(os.path.dirname(__file__), '..'),
                        help='the tree (default: the one of this file)')
    parser.add_argument('--list', action='store_true', help='print the rules and stop')
    args = parser.parse_args()
    if args.list:
        for rule, why in RULES.items():
            print(f'{rule}: {why}')
        return 0
    linter = Linter(args.root)
    if not linter.sources:
        parser.error(f'no files in {args.root}')
    return linter.run()


if __name__ == '__main__':
    sys.exit(main())
