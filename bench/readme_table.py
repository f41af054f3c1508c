#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Writes the tables of bench/results/latest.json between the bench marks of README.md.

usage: bench/readme_table.py [--check]    --check changes nothing: 1 if it would"""
import os
import sys

sys.dont_write_bytecode = True
ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path.insert(0, os.path.join(ROOT, 'bench'))
from figures import BEST, LOW_IS_GOOD, OVER, SPREAD  # noqa: E402
from report import num, target, verdict  # noqa: E402
from store import load  # noqa: E402

BEGIN, END = '<!-- bench:begin -->', '<!-- bench:end -->'
WORDS = {
    OVER: 'A ratio above 1 means that GGMK is ahead, for times too. '
          '[latest.txt](bench/results/latest.txt) has every peer.',
    SPREAD: 'Cost against size, of GGMK alone: the ratio is what the first costs over what the '
            'second costs, and less is better.',
}


def stamp(d):
    """Where, when and what; a row of another run than the newest names its own."""
    m = d['machine']
    runs = sorted({(r['date'], r['commit'], r['n']) for r in d['rows']}, reverse=True)
    said = '; '.join(f'{date}, commit {commit}, medians of {n} rounds' for date, commit, n in runs)
    return (f"{m['cores']} virtual cores of an {m['cpu']}, {m['system']}, {m['cc']}. {said}. "
            'The ratio is the median of those of the rounds, the lowest and the highest beside '
            "it; a target, the project's own, is reached when that interval reaches it.")


def lines(rows):
    for r in rows:
        mine = f"{num(r['ours'])} {r['unit']}"
        if r['kind'] == SPREAD:
            mine += f" ({r['mine']})"
        ratio = '- | -'
        if r['ratio'] is not None:
            ratio = f"{r['ratio']:.2f} | {r['low']:.2f} .. {r['high']:.2f}"
        yield (f"| {r['title']} | {mine} | {r['best_peer'] or '-'} | {num(r['best_peer_figure'])} | "
               f"{ratio} | {target(r)} | {verdict(r)} |")


def ahead(rows):
    """Of rows that are against one peer by name, who is faster than GGMK."""
    out = []
    for r in rows:
        if r['against'] == BEST or r['kind'] != OVER or r['ours'] is None or any(
                o['row'] == r['row'] and o['against'] == BEST for o in rows):
            continue
        sign = -1 if r['unit'] in LOW_IS_GOOD else 1
        out += [f"{r['title']}: {w} ({num(f['median'])})" for w, f in r['figures'].items()
                if f['median'] > 0 and not w.startswith(r['against']) and sign * f['median'] > sign * r['ours']]
    return f"Rows against one peer by name, where another is ahead of GGMK: {'; '.join(out)}." \
        if out else ''


def table(d):
    out = [stamp(d)]
    over = [r for r in d['rows'] if r['kind'] == OVER]
    size = [r for r in d['rows'] if r['kind'] != OVER]
    for rows, words, head in (
            (over, WORDS[OVER], '| row | GGMK | best peer | peer | ratio | low .. high '),
            (size, WORDS[SPREAD], '| row | GGMK | against | figure | ratio | low .. high ')):
        text = list(lines(rows))
        if text:
            out += ['', ' '.join(w for w in (words, ahead(rows)) if w), '',
                    head + '| target | verdict |', '|---' * 8 + '|', *text]
    return '\n'.join(out)


def main():
    d = load(os.path.join(ROOT, 'bench/results/latest.json'))
    if d is None or sys.argv[1:] not in ([], ['--check']):
        sys.stderr.write(__doc__ if d else 'readme_table: no results yet\n')
        return 2
    path = os.path.join(ROOT, 'README.md')
    with open(path, encoding='utf-8') as f:
        text = f.read()
    head, rest = text.split(BEGIN)
    made = head + BEGIN + '\n' + table(d) + '\n' + END + rest.split(END)[1]
    if '--check' in sys.argv:
        if made != text:
            print("README.md: the speed table is not that of bench/results/latest.json; "
                  'run bench/readme_table.py')
        return made != text
    with open(path, 'w', encoding='utf-8') as f:
        f.write(made)
    return 0


sys.exit(main())
