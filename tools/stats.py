#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The size of the kernel and how it boots: images, memory, time, lines of code by floor.

usage: tools/stats.py --shim ELF --kernel ELF [--boots 5] [--readme]

Memory and times come from boots of run=monitor in QEMU (TCG, 4 CPUs, 256 MB); without QEMU
they are left out, and named so. Times are from the start of QEMU's process to the line on
the serial port, medians. --readme also writes the tables between the stats marks of README.md.
Lines of code have something else than white space and comments on them."""

import argparse
import collections
import datetime
import os
import platform
import re
import statistics
import subprocess
import sys

sys.dont_write_bytecode = True
ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path.insert(0, os.path.join(ROOT, 'tools'))
import qemu  # noqa: E402
from lint_c import Source  # noqa: E402

BEGIN, END = '<!-- stats:begin -->', '<!-- stats:end -->'
CPUS, MEMORY = 4, '256M'
SECTION = re.compile(r'^\s*\[ *\d+\] (\S*)\s+(\S+)\s+[0-9a-f]+ [0-9a-f]+ ([0-9a-f]+) [0-9a-f]+ +([A-Za-z]*) ',
                     re.M)
KINDS = ('text', 'rodata', 'data', 'bss')
# Floors, lowest first: folder, or (folder, what stands directly in it alone).
FLOORS = ('include/ggmk/base', 'include/ggmk/prim', 'include/ggmk', 'include', 'src/obs', 'src/mem', 'src/sched',
          'src/det', 'src/chan', 'src/module', 'src/worker', 'src/kernel', 'sdk', 'modules',
          'hal/common', 'hal/linux', 'hal/sim', 'hal/x86_baremetal', 'arch/x86_64/boot/shim',
          'arch/x86_64/boot', 'arch/x86_64/cpu', 'arch/x86_64/limine', 'arch/x86_64/memory',
          'arch/x86_64/serial', 'arch/x86_64/smp', 'arch/x86_64/jobs', 'drivers', 'examples', 'test')
CODE = ('.c', '.h', '.S', '.def', '.ld', '.cpp', '.hpp')
STEPS = (('at kmain', "the loader's memory taken over"), ('at the prompt', 'ggmk> $'))
MEM = re.compile(r'physical +(\d+) KiB usable, (\d+) free, (\d+) not promised')


def kind_of(section_type, flags):
    """What of the running program a section belongs to; None: nothing."""
    if 'A' not in flags:
        return None
    if section_type == 'NOBITS':
        return 'bss'
    return 'text' if 'X' in flags else 'data' if 'W' in flags else 'rodata'


def image_sizes(path):
    """Bytes by kind, and of the file."""
    said = subprocess.run(['readelf', '-SW', path], stdout=subprocess.PIPE, text=True, check=True).stdout
    sizes = dict.fromkeys(KINDS, 0)
    for _, section_type, size, flags in SECTION.findall(said):
        kind = kind_of(section_type, flags)
        if kind:
            sizes[kind] += int(size, 16)
    sizes['file'] = os.path.getsize(path)
    return sizes


def code_lines(path):
    """Lines of a file that have more than comments."""
    source = Source(ROOT, path)
    if source.is_c:
        return sum(bool(line.strip()) for line in source.code_lines)
    text = re.sub(r'/\*.*?\*/', lambda m: '\n' * m.group().count('\n'), source.text, flags=re.S)
    return sum(bool(line.strip()) and not line.strip().startswith('//') for line in text.split('\n'))


def floor_of(path):
    best = [f for f in FLOORS if path.startswith(f + '/')]
    return max(best, key=len) if best else None


def lines_by_floor():
    """{floor: (files, lines)} in their order."""
    paths = subprocess.check_output(['git', '-C', ROOT, 'ls-files', '-co', '--exclude-standard'],
                                    text=True).split('\n')
    found = collections.OrderedDict((f, [0, 0]) for f in FLOORS)
    for path in sorted(set(paths)):
        floor = floor_of(path) if path.endswith(CODE) else None
        if floor and os.path.isfile(os.path.join(ROOT, path)):
            found[floor][0] += 1
            found[floor][1] += code_lines(path)
    return {f: tuple(n) for f, n in found.items() if n[0]}


def boots(args):
    """({step: ms of each boot}, KiB (usable, free, not promised)), or the reason why not."""
    words = ['--kernel', args.shim, '--initrd', args.kernel, '--cpus', str(CPUS), '--memory', MEMORY,
             '--quiet', '--append', 'run=monitor exit=debug']
    times, memory = {name: [] for name, _ in STEPS}, None
    for _ in range(args.boots):
        a = qemu.arguments(words)
        a.steps = [(STEPS[0][1], b''), (STEPS[1][1], b'mem\r'), (STEPS[1][1], b'halt\r')]
        result = qemu.run(a)
        found = MEM.search(result.text)
        if result.status != qemu.PASS or not found:
            return result.why
        memory = tuple(map(int, found.groups()))
        for (name, _), (_, ms) in zip(STEPS, result.stamps):
            times[name].append(ms)
    return times, memory


def tables(args):
    """Sections of (title, head, rows)."""
    images = [(name, image_sizes(path)) for name, path in (('kernel', args.kernel), ('shim', args.shim))]
    yield ('Images, bytes', ('image',) + KINDS + ('file, with symbols',),
           [(name,) + tuple(f'{s[k]:,}' for k in KINDS + ('file',)) for name, s in images])
    ran = boots(args)
    if isinstance(ran, str):
        yield f'Boots: left out: {ran}', ('boot', 'value'), []
    else:
        times, (usable, free, open_) = ran
        rows = [(f'QEMU start to {name[3:]}, median of {args.boots}', f'{statistics.median(ms):.0f} ms',
                 f'{min(ms):.0f} .. {max(ms):.0f}') for name, ms in times.items()]
        rows += [('memory in use at the prompt', f'{usable - free:,} KiB', f'of {usable:,} KiB; the image is beside it'),
                 ('memory promised at the prompt', f'{usable - open_:,} KiB',
                  'in use or reserved: an arena of 8 MiB, stacks')]
        yield f'Boots, QEMU (TCG), {CPUS} CPUs, {MEMORY}', ('boot', 'value', ''), rows
    found = lines_by_floor()
    rows = [(f, n, f'{lines:,}') for f, (n, lines) in found.items()]
    rows.append(('all but test', sum(n for f, (n, _) in found.items() if f != 'test'),
                 f"{sum(lines for f, (_, lines) in found.items() if f != 'test'):,}"))
    yield 'Lines of code, lowest floor first', ('floor', 'files', 'lines'), rows


def plain(sections):
    for title, head, rows in sections:
        print(title)
        widths = [max([len(str(r[i])) for r in rows] + [len(head[i])]) for i in range(len(head))]
        for row in ([head] if rows else []) + rows:
            print('  ' + '  '.join(str(x).ljust(w) if i == 0 else str(x).rjust(w)
                                   for i, (x, w) in enumerate(zip(row, widths))).rstrip())
        print()


def stamp():
    commit = subprocess.run(['git', '-C', ROOT, 'rev-parse', '--short', 'HEAD'],
                            stdout=subprocess.PIPE, text=True, check=False).stdout.strip()
    now = datetime.datetime.now(datetime.timezone.utc).strftime('%Y-%m-%d %H:%M UTC')
    return f'{now}, commit {commit}, {os.cpu_count()} cores, {platform.machine()}.'


def readme(sections):
    out = [stamp()]
    for title, head, rows in sections:
        out += ['', f'{title}:', '', f"| {' | '.join(head)} |", '| --- ' * len(head) + '|']
        out += [f"| {' | '.join(map(str, row))} |" for row in rows]
    path = os.path.join(ROOT, 'README.md')
    with open(path, encoding='utf-8') as f:
        text = f.read()
    if BEGIN not in text or END not in text:
        sys.exit(f'stats: README.md has no marks {BEGIN} and {END}')
    head, rest = text.split(BEGIN)
    with open(path, 'w', encoding='utf-8') as f:
        f.write(head + BEGIN + '\n' + '\n'.join(out) + '\n' + END + rest.split(END)[1])


def main():
    ap = argparse.ArgumentParser(description=__doc__, allow_abbrev=False,
                                 formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument('--shim', required=True)
    ap.add_argument('--kernel', required=True)
    ap.add_argument('--boots', type=int, default=5)
    ap.add_argument('--readme', action='store_true')
    args = ap.parse_args()
    if args.boots < 1:
        ap.error('--boots is a number above 0')
    sections = list(tables(args))
    plain(sections)
    if args.readme:
        readme(sections)
    return 0


sys.exit(main())
