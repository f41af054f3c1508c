#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Writes the tables of bench/results between their marks in README.md: latest.json between the
bench marks, qemu-latest.json (make bench-qemu) between the bench-qemu marks.

usage: bench/readme_table.py [--check] [--readme FILE] [--results FOLDER]
--check changes nothing: 1 if it would. Results of QEMU that are not there are said not to be."""
import argparse
import os
import sys

sys.dont_write_bytecode = True
ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path.insert(0, os.path.join(ROOT, 'bench'))
from figures import BEST, LOW_IS_GOOD, OVER, SPREAD  # noqa: E402
from report import num, target, verdict  # noqa: E402
from store import load  # noqa: E402

MARK = '<!-- {}:{} -->'
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


def qemu_stamp(d):
    m = d['machine']
    return (f"{d['qemu']} (TCG), machine pc, 256 MB, on {m['cores']} host cores of an {m['cpu']}, "
            f"{m['system']}; the other guest: {d['linux']}. {d['date']}, commit {d['commit']}, "
            f"medians of {d['n']} rounds, both guests in turns. A target is reached when the "
            'interval low .. high reaches it; of times the ratio is what ours costs over what '
            "the other costs, else ours over the other's. `goal` is a figure to reach by itself.")


def machine_words(r):
    disk = f", {r['disk'].format('file')}" if r['disk'] else ''
    cpus = f"{r['cpus']} virtual CPU{'s' if r['cpus'] != 1 else ''}"
    return f"{r['machine']}: {cpus} on {r['host_cores']} host cores{disk}"


def qemu_table(d):
    if d is None:
        return 'There are no results in this tree yet: `make bench-qemu` measures them.'
    out = [qemu_stamp(d)]
    last = None
    for r in d['rows']:
        if r['machine'] != last:
            last = r['machine']
            said = [f'Ours: {how}.' for how in d['how'].get(last, [])]
            out += ['', ' '.join([machine_words(r) + '.'] + said), '',
                    '| row | GGMK | against | figure | ratio | low .. high | target | verdict |',
                    '|---' * 8 + '|']
        ratio = '- | -'
        if r['ratio'] is not None:
            ratio = f"{num(r['ratio'])} | {num(r['low'])} .. {num(r['high'])}"
        out.append(f"| {r['title']} | {num(r['ours'])} {r['unit']} | {r['best_peer'] or r['against']} | "
                   f"{num(r['best_peer_figure'])} | {ratio} | {target(r)} | {verdict(r)} |")
    failed = sorted({f for r in d['rows'] for f in r['failed']})
    failed += [f'{who} was not measured: {why}' for who, why in sorted(d['missing'].items())]
    if failed:
        out += ['', 'Failed or missing: ' + '; '.join(failed) + '.']
    return '\n'.join(out)


def put(text, name, made):
    """The text with what stands between the marks of that name replaced."""
    begin, end = MARK.format(name, 'begin'), MARK.format(name, 'end')
    head, rest = text.split(begin)
    return head + begin + '\n' + made + '\n' + end + rest.split(end)[1]


def main():
    ap = argparse.ArgumentParser(description=__doc__, allow_abbrev=False,
                                 formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument('--check', action='store_true')
    ap.add_argument('--readme', default=os.path.join(ROOT, 'README.md'))
    ap.add_argument('--results', default=os.path.join(ROOT, 'bench', 'results'))
    args = ap.parse_args()
    d = load(os.path.join(args.results, 'latest.json'))
    if d is None:
        sys.stderr.write('readme_table: no results yet\n')
        return 2
    with open(args.readme, encoding='utf-8') as f:
        text = f.read()
    made = put(text, 'bench', table(d))
    made = put(made, 'bench-qemu', qemu_table(load(os.path.join(args.results, 'qemu-latest.json'))))
    if args.check:
        if made != text:
            print('README.md: the tables of speed are not those of bench/results; '
                  'run bench/readme_table.py')
        return made != text
    with open(args.readme, 'w', encoding='utf-8') as f:
        f.write(made)
    return 0


sys.exit(main())
