# SPDX-License-Identifier: MIT
"""Reads C well enough for tools/lint.py: comments, functions, statements.

A scanner of tokens, not a parser: it needs no include path and no compiler, and
reads every arm of every #if.
"""

import bisect
import os
import re

C_SUFFIXES = ('.c', '.h', '.def', '.cu', '.cuh')
TOKEN = re.compile(r'^[ \t]*#(?:[^\n\\]|\\.|\\\n)*|[(){};]', re.M)
LITERAL = re.compile(r'//[^\n]*|/\*.*?\*/|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'', re.S)
CALLED = re.compile(r'\b([A-Za-z_]\w*)\s*\(')
NOT_NAMES = {'__attribute__', '_Alignas', 'alignas', 'GMK_ALIGNAS', 'GMK_PRINTF', '__declspec'}


def blank(text):
    return re.sub(r'[^\n]', ' ', text)


class Function:
    def __init__(self, name, params, start, body, end):
        self.name, self.params = name, params  # params: None when a macro hides them
        self.start, self.body, self.end = start, body, end  # offsets


class Source:
    """A text file; of C also its code without comments and strings, and its shape."""

    def __init__(self, root, path):
        self.path = path
        self.top = path.split('/')[0] if '/' in path else ''
        self.is_c = path.endswith(C_SUFFIXES)
        with open(os.path.join(root, path), encoding='utf-8', errors='replace',
                  newline='') as f:
            self.text = f.read()
        self.is_text = '\0' not in self.text
        self.lines = self.text.split('\n')
        self.starts = [0] + [m.end() for m in re.finditer('\n', self.text)]
        if self.is_c:
            self._split()
            self._scan()

    def line_of(self, offset):
        return bisect.bisect_right(self.starts, offset)

    def _split(self):
        """code: comments and string contents blanked; comments: (first line, last line, text)."""
        self.comments = []

        def cut(m):
            word = m.group()
            if word[0] == '/':
                last = self.line_of(m.end() - 1)
                words = re.sub(r'\s*\n\s*\*?\s*', ' ', word)
                self.comments.append((self.line_of(m.start()), last, words))
                return blank(word)
            return word[0] + ' ' * (len(word) - 2) + word[-1]

        code = LITERAL.sub(cut, self.text)
        self.code_lines = code.split('\n')
        # An `extern "C" {` is no block.
        self.code = re.sub(r'\bextern\s*"[^"]*"\s*\{|\bGMK_EXTERN_C_(?:BEGIN|END)\b',
                           lambda m: blank(m.group()), code)

    def _scan(self):
        """Finds functions, preprocessor directives and the bounds of statements."""
        self.functions, self.directives, self.bounds = [], [], [0]
        depth = paren = head = 0
        saved, current = [], None  # saved: depths at each open #if, restored at its #else
        for m in TOKEN.finditer(self.code):
            token = m.group().lstrip()
            if token[0] == '#':
                self.directives.append((m.start(), m.end()))
                self.bounds += [m.start(), m.end()]
                if re.match(r'#\s*if', token):
                    saved.append((depth, paren))
                elif re.match(r'#\s*el', token) and saved:
                    depth, paren = saved[-1]
                elif re.match(r'#\s*endif', token) and saved:
                    saved.pop()
                if depth == 0:
                    head = m.end()
                continue
            if token == '(':
                paren += 1
            elif token == ')':
                paren = max(0, paren - 1)
            elif paren == 0:
                self.bounds.append(m.end())
            if token == '{':
                if depth == 0 and paren == 0:
                    current = self._function(head, m.start())
                depth += 1
            elif token == '}':
                depth = max(0, depth - 1)
                if depth == 0 and current:
                    current.end = m.start()
                    self.functions.append(current)
                    current = None
            if depth == 0 and paren == 0 and token in '};':
                head = m.end()

    def _function(self, start, brace):
        """The function whose body opens at brace, or None for structs and tables."""
        text = self.code[start:brace]
        outer, depth = [], 0  # text outside parentheses; offsets stay
        for c in text:
            depth -= c == ')'
            outer.append(c if depth == 0 else ' ')
            depth += c == '('
        outer = ''.join(outer)
        names = [m for m in CALLED.finditer(outer) if m.group(1) not in NOT_NAMES]
        if not names or '=' in outer:
            return None
        name = names[0].group(1)
        inside = text[names[0].end():outer.find(')', names[0].end())]
        params = split_params(inside)
        if name.isupper():  # a declaring macro: GMK_HANDLER(name), TEST(name)
            name, params = params[0] if params else name, None
        return Function(name, params, start + len(text) - len(text.lstrip()), brace, brace)

    def statement_lines(self, offset):
        """First and last line of the statement (or directive) around offset."""
        i = bisect.bisect_right(self.bounds, offset)
        begin = self.bounds[i - 1]
        end = self.bounds[i] if i < len(self.bounds) else len(self.code)
        while self.code[begin].isspace():
            begin += 1
        return self.line_of(begin), self.line_of(max(begin, end - 1))

    def comment_near(self, offset, wanted):
        """The nearest comment that `wanted` matches: same line, statement, line above."""
        line = self.line_of(offset)
        first, last = self.statement_lines(offset)
        above = first - 1  # comments that stand alone right above the statement
        while any(a <= above <= b and not self.code_lines[a - 1].strip()
                  for a, b, _ in self.comments):
            above -= 1
        for low, high in ((line, line), (first, last), (above + 1, first - 1)):
            for a, _, text in self.comments:
                if low <= a <= high and wanted.search(text):
                    return wanted.search(text)
        return None


def split_params(text):
    parts, depth = [''], 0
    for c in text:
        depth += (c in '([{') - (c in ')]}')
        if c == ',' and depth == 0:
            parts.append('')
        else:
            parts[-1] += c
    parts = [p.strip() for p in parts]
    return [] if parts in ([''], ['void']) else parts
