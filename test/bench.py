#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The benchmark's own arithmetic, on made-up figures: verdicts, history, bench-check.

usage: test/bench.py (part of make runners-check)"""
import json
import os
import shutil
import subprocess
import sys
import tempfile

sys.dont_write_bytecode = True
ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path.insert(0, os.path.join(ROOT, 'bench'))
import gate  # noqa: E402
from figures import BEST, COST, SPREAD, entries  # noqa: E402
from report import table, verdict  # noqa: E402
from store import KIND, keep  # noqa: E402

HERE = {'cores': 2, 'cpu': 'made up', 'kernel': 'Linux 6', 'system': 'none', 'cc': 'cc 1',
        'cxx': 'c++ 1'}
ROWS = {'chain': ('chain', 'a chain', 'M tasks/s', 'tasks', [(BEST, 1.5)]),
        'alloc1': ('alloc1', 'alloc', 'ns', 'alloc', [(BEST, 1.5)]),
        'size': ('size', 'sizes', 'ns', 'size', [('', 1.3, SPREAD)]),
        'workers': ('workers', 'workers', 'ns', 'size', [('2 workers', 2.0, COST)])}
passed = failed = skipped = 0


def check(name, ok, why=''):
    global passed, failed
    passed, failed = passed + bool(ok), failed + (not ok)
    print(f"[{'PASS' if ok else 'FAIL'}] bench_{name}" + ('' if ok else f': {why}'))


def row(name, disturbed=False, failures=(), commit='new', **series):
    """Entries of one row; a series is the values of its rounds. Names have _ for blanks."""
    samples = [(i, who.replace('_', ' ').strip(), v, disturbed, 30.0, 30.0)
               for who, values in series.items() for i, v in enumerate(values)]
    stamp = {'date': '2026-01-02 03:04 UTC', 'n': 3, 'commit': commit}
    return entries(ROWS[name], samples, list(failures), stamp)


def doc(rows, commit='new', **machine):
    return {'machine': {**HERE, **machine}, 'peers': {}, 'date': '2026-01-02 03:04 UTC', 'n': 3,
            'commit': commit, 'missing_peers': {}, 'dropped': 0, 'kept_disturbed': 0, 'rows': rows}


# Verdicts. -----------------------------------------------------------------------------

def met():
    peer = (10.0, 10.0, 10.0)
    for name, mine, word in (('reached', (16.0, 17.0, 18.0), 'reached'),
                             ('by_interval', (12.0, 13.0, 15.0), 'reached within the spread'),
                             ('missed', (12.0, 13.0, 14.9), 'not reached')):
        r = row('chain', GGMK=mine, other=peer)[0]
        check(f'met_{name}', (verdict(r), r['met']) == (word, word != 'not reached'), r)
    r = row('alloc1', GGMK=(10.0, 11.0, 12.0), other=(16.0, 16.0, 16.0))[0]
    check('met_times_are_turned', r['met'] and abs(r['high'] - 1.6) < 1e-9, r)
    r = row('size', a=(10.0, 10.0, 10.0), b=(14.0, 13.5, 12.9), c=(11.0, 9.0, 11.0))[0]
    check('met_spread_by_its_lowest', (r['mine'], r['best_peer'], r['met'], r['low']) ==
          ('b', 'a', True, 1.29), r)
    r = row('size', a=(10.0, 10.0, 10.0), b=(14.0, 13.5, 13.1))[0]
    check('missed_spread', r['met'] is False and verdict(r) == 'not reached', r)
    r = row('size', a=(10.0, 10.0, 10.0))[0]
    check('spread_of_one_size_is_none', r['ratio'] is None and r['met'] is None, r)
    r = row('workers', GGMK=(21.0, 22.0, 23.0), _2_workers=(10.0, 10.0, 10.0))[0]
    check('missed_cost', r['met'] is False and r['ratio'] == 2.2, r)
    r = row('chain', GGMK=(16.0,) * 3, stalls=(0.0,) * 3, slow=(2.0,) * 3)[0]
    check('a_stalled_peer_is_not_best', r['best_peer'] == 'slow', r)
    r = row('chain', failures=['GGMK ours: exit 3'], other=peer)[0]
    check('failed_is_said', verdict(r) == 'GGMK failed', r)
    r = row('chain', failures=['GGMK ours: exit 3'], GGMK=(16.0,) * 2, other=peer)[0]
    check('failed_in_a_later_round_is_not_met', r['met'] is False and
          verdict(r) == 'GGMK failed', r)
    r = row('size', failures=['GGMK, 7 tasks: exit 3'], a=(10.0,) * 3, b=(11.0,) * 3)[0]
    check('failed_size_is_said', verdict(r) == 'GGMK failed', r)
    r = row('chain', True, GGMK=(16.0,) * 3, other=peer)[0]
    check('disturbed_is_said', verdict(r) == 'unsure, disturbed: reached', r)


def disturbed():
    """One disturbed round of three is left out."""
    samples = [(i, who, v, i == 2, 30.0, 30.0)
               for who, v in (('GGMK', 16.0), ('other', 10.0)) for i in range(2)]
    samples += [(2, 'GGMK', 99.0, True, 30.0, 30.0), (2, 'other', 10.0, False, 30.0, 30.0)]
    r = entries(ROWS['chain'], samples, [], {'date': '', 'n': 3, 'commit': 'new'})[0]
    check('disturbed_round_is_left_out', r['high'] == 1.6 and not r['unsure'], r)


def budget():
    """The gate waits only as long as the runs to come leave time."""
    clock = [1000.0]
    real, gate.time = gate.time, type('clock', (), {'monotonic': staticmethod(lambda: clock[0])})
    try:
        b = gate.Budget(1, 20, 50)
        b.left = 100
        first = b.allowance()
        for _ in range(50):
            b.ran(0.1, 0.5)
        clock[0] += 30
        late = b.allowance()
        clock[0] += 4
        check('budget', (first, late, b.allowance()) == (20, 5, 1), (first, late, b.allowance()))
        b.spent = 50
        check('budget_patience', b.allowance() == 0, b.allowance())
    finally:
        gate.time = real


# bench-check. --------------------------------------------------------------------------

def bench_check(name, status, texts, new, base, *more):
    """Runs it on two files; texts are in what it prints."""
    with tempfile.TemporaryDirectory() as d:
        for file, what in (('new', new), ('base', base)):
            with open(os.path.join(d, file), 'w') as f:
                f.write(what if isinstance(what, str) else json.dumps(what))
        done = subprocess.run(
            [sys.executable, os.path.join(ROOT, 'bench', 'check.py'), '--results', d, '--new',
             os.path.join(d, 'new'), '--baseline', os.path.join(d, 'base'), *more],
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    wanted = [texts] if isinstance(texts, str) else texts
    check('check_' + name, done.returncode == status and all(t in done.stdout for t in wanted),
          f'status {done.returncode}, expected {status} and {texts}:\n{done.stdout}')


def ratios():
    peer = (10.0, 10.0, 10.0)
    base = doc(row('chain', commit='old', GGMK=(18.0, 19.0, 20.0), other=peer), 'old')
    bench_check('same', 0, '1 compared, 0 regressed', doc(row('chain', GGMK=(18.0, 19.0, 20.0),
                other=peer)), base)
    worse = doc(row('chain', GGMK=(15.0, 16.0, 17.0), other=peer))
    bench_check('regression', 1, ['REGRESSION: chain', 'ratio 1.6 [1.5 .. 1.7]', '16 M tasks/s at '
                'new', 'ratio 1.9 [1.8 .. 2]', '19 M tasks/s at old', 'against other', '1 regressed'],
                worse, base)
    bench_check('overlap', 0, '0 regressed', doc(row('chain', GGMK=(15.0, 16.0, 18.1), other=peer)),
                base)
    near = doc(row('chain', GGMK=(16.0, 17.0, 17.5), other=peer))
    bench_check('within_tolerance', 0, '0 regressed', near, base)
    bench_check('no_tolerance', 1, '1 regressed', near, base, '--tolerance', '0')
    bench_check('better', 0, ['better: chain', '1 better'], doc(row('chain', GGMK=(30.0,) * 3,
                other=peer)), base)
    bench_check('slower_machine', 0, '0 regressed', doc(row('chain', GGMK=(9.0, 9.5, 10.0),
                other=(5.0, 5.0, 5.0))), base)
    times = doc(row('alloc1', commit='old', GGMK=(10.0, 10.5, 11.0), other=(20.0,) * 3), 'old')
    bench_check('times', 1, 'REGRESSION: alloc1', doc(row('alloc1', GGMK=(13.0, 14.0, 15.0),
                other=(20.0,) * 3)), times)


def peers():
    base = doc(row('chain', commit='old', GGMK=(18.0, 19.0, 20.0), a=(10.0,) * 3, b=(9.0,) * 3), 'old')
    bench_check('another_best_peer', 0, '1 compared, 0 regressed',
                doc(row('chain', GGMK=(18.0, 19.0, 20.0), a=(10.0,) * 3, b=(15.0,) * 3)), base)
    bench_check('fixed_peer', 1, 'against a',
                doc(row('chain', GGMK=(14.0,) * 3, a=(10.0,) * 3, b=(15.0,) * 3)), base)
    bench_check('no_peer', 2, 'a did not run', doc(row('chain', GGMK=(14.0,) * 3, b=(9.0,) * 3)), base)
    new = doc(row('chain', GGMK=(14.0,) * 3, a=(10.0,) * 3))
    new['rows'][0]['figures']['a']['by'] = 'liba 2'
    bench_check('other_version', 2, 'a is liba 2', new, base)
    bench_check('disturbed', 2, 'disturbed', doc(row('chain', True, GGMK=(14.0,) * 3, a=(10.0,) * 3)),
                base)
    bench_check('disturbed_baseline', 2, 'disturbed in the baseline',
                doc(row('chain', GGMK=(14.0,) * 3, a=(10.0,) * 3)),
                doc(row('chain', True, GGMK=(18.0,) * 3, a=(10.0,) * 3, commit='old'), 'old'))
    bench_check('two_rounds', 2, 'only 2 rounds', doc(row('chain', GGMK=(14.0,) * 2, a=(10.0,) * 2)),
                base)
    bench_check('failed', 1, 'GGMK failed: GGMK ours: exit 3',
                doc(row('chain', failures=['GGMK ours: exit 3'], a=(10.0,) * 3)), base)
    bench_check('other_machine', 2, 'no baseline',
                doc(row('chain', GGMK=(14.0,) * 3, a=(10.0,) * 3), cpu='another'), base)
    for name, text in (('broken', '{'), ('no_result', '{"rows": 3}')):
        bench_check(name, 2, 'is no result', text, base)


def costs():
    base = doc(row('size', commit='old', a=(10.0,) * 3, b=(11.0, 12.0, 12.0)) +
               row('workers', commit='old', GGMK=(10.0,) * 3, _2_workers=(10.0,) * 3), 'old')
    bench_check('sizes', 1, ['REGRESSION: size', '1 regressed'],
                doc(row('size', a=(10.0,) * 3, b=(14.0,) * 3)), base)
    bench_check('sizes_better', 0, 'better: size',
                doc(row('size', a=(10.0,) * 3, b=(10.1,) * 3)), base)
    bench_check('other_sizes', 2, 'other sizes',
                doc(row('size', a=(10.0,) * 3, c=(14.0,) * 3)), base)
    bench_check('cost', 1, 'REGRESSION: workers',
                doc(row('workers', GGMK=(12.0,) * 3, _2_workers=(10.0,) * 3)), base)


def history():
    """Of the history, the newest entry of another commit on the same kind of machine counts."""
    peer = (10.0,) * 3
    with tempfile.TemporaryDirectory() as d:
        for date, commit, mine, kind in (('2026-01-01', 'old', 30.0, {}),
                                         ('2026-01-02', 'mid', 20.0, {}),
                                         ('2026-01-03', 'new', 40.0, {}),
                                         ('2026-01-04', 'far', 50.0, {KIND[1]: 'another'})):
            e = doc(row('chain', commit=commit, GGMK=(mine,) * 3, other=peer), commit, **kind)
            keep(d, {**e, 'date': date + ' 00:00 UTC'})
        with open(os.path.join(d, 'latest.json'), 'w') as f:
            json.dump(doc(row('chain', GGMK=(15.0,) * 3, other=peer)), f)
        done = subprocess.run([sys.executable, os.path.join(ROOT, 'bench', 'check.py'), '--results', d],
                              stdout=subprocess.PIPE, text=True)
    check('check_history', done.returncode == 1 and 'it was ratio 2 [' in done.stdout and
          'at mid' in done.stdout, done.stdout)


# bench/run over programs that only print. ------------------------------------------------

def program(path, lines):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, 'w') as f:
        f.write('#!/bin/sh\n' + lines)
    os.chmod(path, 0o755)


def run(d, *args):
    done = subprocess.run([sys.executable, os.path.join(ROOT, 'bench', 'run'), '--bin',
                           os.path.join(d, 'bin'), '-o', os.path.join(d, 'out'), '--wait', '0',
                           *args], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                          env={**os.environ, 'TMPDIR': d})  # its lock is not the real one
    return done.returncode, done.stdout


def end_to_end():
    """A gate that never opens: cores are far, so that no run is clean, and each counts."""
    global skipped
    if (os.cpu_count() or 1) < 2:
        skipped += 1
        print('[SKIP] bench_run: two processors are needed')
        return
    d = tempfile.mkdtemp()
    latest = os.path.join(d, 'out', 'latest.json')
    try:
        program(os.path.join(d, 'bin', 'near'), 'echo 500\n')
        program(os.path.join(d, 'bin', 'ours_tasks'), r'printf "$1\tGGMK\t30\tM tasks/s\n"' + '\n')
        program(os.path.join(d, 'bin', 'tasks_tbb'), r'printf "$1\toneTBB x\t2\tM tasks/s\n"' + '\n')
        status, text = run(d, '--rows', 'chain,tree2')
        with open(latest) as f:
            r = json.load(f)['rows'][0]
        wanted = {'row': 'chain', 'unit': 'M tasks/s', 'ours': 30.0, 'best_peer': 'oneTBB x',
                  'best_peer_figure': 2.0, 'ratio': 15.0, 'low': 15.0, 'high': 15.0, 'target': 1.8,
                  'met': True, 'unsure': True, 'n': 7}
        check('run_row', status == 0 and wanted.items() <= r.items() and
              'unsure, disturbed: reached' in text and 'Boost.Asio: not built' in text, (r, text))
        program(os.path.join(d, 'bin', 'ours_tasks'), r'printf "$1\tGGMK\t20\tM tasks/s\n"' + '\n')
        status, text = run(d, '-n', '1', '--rows', 'chain')
        with open(latest) as f:
            rows = {r['row']: (r['ours'], r['n']) for r in json.load(f)['rows']}
        check('run_keeps_other_rows', rows == {'chain': (20.0, 1), 'tree2': (30.0, 7)}, rows)
        files = sorted(os.listdir(os.path.join(d, 'out', 'history')))
        sizes = []
        for name in files:
            with open(os.path.join(d, 'out', 'history', name)) as f:
                sizes.append(len(json.load(f)['rows']))
        check('run_keeps_history', sorted(sizes) == [1, 2], (files, sizes))
        program(os.path.join(d, 'bin', 'ours_tasks'), 'echo lost >&2; exit 3\n')
        status, text = run(d, '-n', '1', '--rows', 'chain')
        check('run_ours_fails', status == 1 and 'GGMK failed' in text and 'exit 3: lost' in text, text)
        program(os.path.join(d, 'bin', 'ours_tasks'), 'exit 0\n')
        status, text = run(d, '-n', '1', '--rows', 'chain')
        check('run_ours_prints_nothing', status == 1 and 'no figures' in text, text)
        program(os.path.join(d, 'bin', 'ours_tasks'), r'printf "$1\tGGMK\t2\tM tasks/s\n"' + '\n')
        check('run_check', run(d, '-n', '1', '--rows', 'chain', '--check')[0] == 1 and
              run(d, '-n', '1', '--rows', 'chain')[0] == 0)
        program(os.path.join(d, 'bin', 'ours_tasks'), r'printf "$1\tother\t2\tM tasks/s\n"' + '\n')
        check('run_not_ours', run(d, '-n', '1', '--rows', 'chain')[0] == 1)
        program(os.path.join(d, 'bin', 'ours_tasks'), r'printf "$1\tGGMK\t2\tM tasks/s\n"' + '\n')
        program(os.path.join(d, 'bin', 'tasks_asio'), 'exit 0\n')
        status, text = run(d, '-n', '1', '--rows', 'chain')
        check('run_peer_without_the_row', status == 0 and 'FAILED' not in text, text)
        program(os.path.join(d, 'bin', 'ours_size'),
                r'[ "$2" = 32 ] && printf "$1\tGGMK\t2\tns\n"' + '\n')
        status, text = run(d, '-n', '1', '--rows', 'size-workers')
        check('run_one_size_fails', status == 1 and 'FAILED GGMK, 2 workers' in text, text)
        status, text = run(d, '--rows', 'nothing')
        check('run_no_row', status == 1 and "no row begins with 'nothing'" in text, text)
    finally:
        shutil.rmtree(d)


def readme():
    """README's tables are those of latest.json, unless that is a run not yet committed."""
    global skipped
    clean = subprocess.run(['git', '-C', ROOT, 'diff', '--quiet', 'HEAD', '--', 'bench/results'],
                           stderr=subprocess.DEVNULL)
    if clean.returncode != 0:
        skipped += 1
        print('[SKIP] bench_readme: bench/results is not as it was committed')
        return
    done = subprocess.run([sys.executable, os.path.join(ROOT, 'bench', 'readme_table.py'), '--check'],
                          stdout=subprocess.PIPE, text=True)
    check('readme', done.returncode == 0, done.stdout)


def main():
    for case in (met, disturbed, budget, ratios, peers, costs, history, end_to_end, readme):
        case()
    text = table(doc(row('chain', GGMK=(16.0,) * 3, other=(10.0,) * 3)))
    check('table', 'a chain' in text and ' reached\n' in text, text)
    print(f'{passed} passed, {failed} failed, {skipped} skipped')
    return 1 if failed else 0


sys.exit(main())
