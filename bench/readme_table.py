#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Writes the table of bench/results/latest.json between the bench marks of README.md."""
import json
import os
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
BEGIN, END = '<!-- bench:begin -->', '<!-- bench:end -->'


def figure(x):
    return f'{x:,.0f}' if x >= 100 else f'{x:.3g}'


def table(d):
    m = d['machine']
    out = [f"{m['cores']} virtual cores of an {m['cpu']}, {m['system']}, {m['cc']}. {d['date']}, commit {d['commit']}, medians of {d['n']} runs; "
           'the ratio is the median of the per-round ratios, its lowest and highest beside it. '
           'A ratio above 1 means that GGMK is ahead, for times too. The target is the '
           "project's own; half of it is the mark for this release. The tree rows are against "
           'oneTBB: libgomp, which runs most such tasks as plain calls, is faster than both '
           '(bench/results/latest.txt has every peer).', '',
           '| row | GGMK | best peer | peer | ratio | low .. high | target | half of it |',
           '|---|---|---|---|---|---|---|---|']
    for r in d['rows']:
        if not r.get('ratio'):
            continue
        met = '-' if not r.get('target') else 'met' if r['met'] else 'missed'
        out.append(f"| {r['title']} | {figure(r['ours'])} {r['unit']} | {r['best_peer']} | "
                   f"{figure(r['best_peer_figure'])} | {r['ratio']:.2f} | {r['low']:.2f} .. "
                   f"{r['high']:.2f} | {r['target'] or '-'} | {met} |")
    return '\n'.join(out)


def main():
    with open(os.path.join(ROOT, 'bench/results/latest.json'), encoding='utf-8') as f:
        rows = table(json.load(f))
    path = os.path.join(ROOT, 'README.md')
    with open(path, encoding='utf-8') as f:
        text = f.read()
    head, rest = text.split(BEGIN)
    with open(path, 'w', encoding='utf-8') as f:
        f.write(head + BEGIN + '\n' + rows + '\n' + END + rest.split(END)[1])


sys.exit(main())
