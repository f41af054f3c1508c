#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Works the serial monitor of the kernel image in QEMU, as a person would.

usage: test/qemu_monitor.py --shim ELF --kernel ELF [NAME...]

A guest is given a line at each prompt; what it prints up to the next prompt is that line's
answer, which patterns are held against. NAME chooses guests by their names. Ends with
`N passed, N failed, N skipped`; without QEMU all of it is one skip. Source: SPEC BM-38, V-57."""

import argparse
import os
import re
import subprocess
import sys
import tempfile

sys.dont_write_bytecode = True
ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path.insert(0, os.path.join(ROOT, 'tools'))
import qemu  # noqa: E402

PROMPT = 'ggmk> '
SECTORS = 2048
TEXT = b'GGMK monitor test\n'
ROW = r'^{:08x}   {}.*\|$'

# What is typed, and what its answer must show; (text, ...) forbids after None.
EVERY = [
    ('help', r'^blkwrite SECTOR BYTE \[DISK\] ', r'^reboot .*anew$'),
    ('help trace', r'^trace    \[COUNT \[WORKER\]\] .*events', None, 'blkread'),
    ('ps', r'^ +\d runs   command +209 ', r'^cpu threads +switches +halts  halted$',
     r'^  0 +[1-9]\d* +\d+ +[1-9]\d* +\d+%$', r'^  3 +[1-9]'),
    ('tasks', r'^ready 0 0 0 0 of \d+ each, ', r'^monitor +command +209 +[1-9]'),
    ('chan', r'^ 6 cli.key +p2p +lossless +208 +64 +0 +[1-9]', r'^ 8 cli.resp +fanout lossless'),
    ('chan cli.cmd', r'^  subscriber monitor: 0 waiting, settled up to [1-9]', None, 'cli.key'),
    ('level all cli', r'^cli: all$'),
    ('trace 5', r'^ +\d+\.\d{6} w[0-3] +TASK_(START|END) +type 2(08|10), worker [0-3], seq \d+$',
     r'^\d+ events since boot, 0 dropped'),
    ('level warn', r'^all modules: warn$'),
    ('mod', r'^cli: keys\(208\) answer\(210\)', r'^monitor: command\(209\)'),
    ('metrics', r'^tasks\.completed +[1-9]\d*  '),
    ('metrics chan.d', r'^chan\.drops +0  ', None, 'tasks'),
    ('uptime', r'^up \d+\.\d{6} s, tick \d+, 4 workers, GGMK \d+\.\d+\.\d+$'),
    ('mem', r'^physical  [1-9]\d{5} KiB usable, [1-9]\d{5} free', r'^heap      [1-9]\d* KiB',
     r'^blocks +[1-9]'),
    ('heap', r'^heap at ffffffff88000000, 131072 KiB', r'^[1-9]\d* bytes in use'),
    ('map', r'^0000000000100000 .*', r' usable$', r' kernel$'),
    ('cpu', r'^  0     0 +\d', r'^  3     [1-3] +\d', r'^  [0-3]     [0-3] .*[1-9]'),
    ('pci', r'^00:00\.0 8086:1237     06\.00\.00', r' 1af4:1001 '),
    ('disk', r'^virtio0 +2048 +\d+ +\d+ +\d+ +0 +0 .* ready$'),
    ('blkcap', r'^2048 sectors of 512 bytes, 1024 KiB$'),
    ('blkread 0', ROW.format(0, '47 47 4d 4b 20 6d 6f 6e  69 74 6f 72 20 74 65 73')),
    ('blkread 2047 1 virtio0', ROW.format(2047 * 512, '00 00')),
    ('blkwrite 5 0x5a', r'^sector 5: 512 bytes of 0x5a written and flushed$'),
    ('blkread 4 2', ROW.format(4 * 512, '00 00'), ROW.format(5 * 512, '5a 5a')),
    ('disk', r'^virtio0 +2048 +\d+ +[1-9]\d* +[1-9]\d* +0 +0 '),
]
WRONG = [
    ('hlep', r"^error: there is no command 'hlep'; did you mean 'help'\?$"),
    ('quit', r"^error: there is no command 'quit'; 'help' shows what there is$"),
    ('blkread', r'^error: blkread: too few words; write: blkread SECTOR \[COUNT \[DISK\]\]$'),
    ('blkread 2048', r'^error: blkread: the disk ends before sector 2048; give a lower one$'),
    ('blkread 18446744073709551615 1', r'^error: blkread: the disk ends before sector 2048'),
    ('blkread 0x', r"^error: blkread: '0x' is no number; write it as 27 or 0x1b$"),
    ('blkread 0 9', r'^error: blkread: 9 is too large; give a number from 0 to 4$'),
    ('blkread 0 1 sda', r"^error: blkread: there is no disk 'sda'; 'disk' lists those there are$"),
    ('blkwrite 1 256', r'^error: blkwrite: 256 is too large; give a number from 0 to 255$'),
    ('trace 1 4', r'^error: trace: 4 is too large; give a number from 0 to 3$'),
    ('chan nothing', r"^error: chan: there is no channel 'nothing'; 'chan' lists"),
    ('level loud', r"^error: level: there is no level 'loud'; give off, error"),
    ('metrics zzz', r"^error: metrics: no counter begins with 'zzz'; try: metrics tasks$"),
    ('panic', r'^error: panic: too few words; write: panic test$'),
    ('panic now', r"^error: panic: 'now' is not the word that it wants; write: panic test$"),
    ('x' * 130, r'^error: the line is longer than 120 bytes; it was not run: shorten it$'),
]
KEYS = [  # raw: what is typed needs no end
    (b'heax\b\x7fap\r', r'^heap at '),
    (b'nonsense\x15heap\r', r'^heap at ', None, 'error'),
    (b'\x1b[A\x1b[1;5Dheap\r\n', r'^heap at ', None, 'error'),
    (b'\r', r'^$'),
    (b'nonsense\x03', r'\^C', None, 'error'),
]
BARE = [
    ('disk', r'^disk +sectors ', None, 'virtio'),
    ('blkread 0', r'^error: blkread: this machine has no disk; start it with one$'),
    ('blkcap', r'^error: blkcap: this machine has no disk'),
    ('blkwrite 0 1', r'^error: blkwrite: disks are not written here; boot with the word '),
    ('ps', r'^     0 runs   command +209 ', None, '^     1 '),
    ('uptime', r' 1 workers, '),
]
AUDIT = (r'^audit: (\d+) accepted = \1 completed \+ 0 failed \+ 0 dead \+ 0 queued: balanced$')


class Guest:
    """A boot: how, what is typed, how it ends and what it must then have said."""

    def __init__(self, name, lines, last, end, **more):
        self.name, self.lines, self.last, self.end = name, lines, last, end
        self.cpus = more.get('cpus', 4)
        self.append = more.get('append', 'exit=debug')
        self.disk = more.get('disk', True)
        self.how = more.get('how', 'exit')
        self.says = more.get('says', ())
        self.more = more.get('more', [])


def burst(n):
    """Lines at one go: each has its answer."""
    return b'uptime\r' * n


GUESTS = [
    Guest('every_command', EVERY, 'halt', qemu.PASS, append='destructive exit=debug',
          says=(r'^the kernel ends$', AUDIT)),
    Guest('wrong_lines', WRONG, 'halt', qemu.PASS, append='destructive exit=debug',
          says=(AUDIT,)),
    Guest('keys', KEYS, 'halt', qemu.PASS, says=(AUDIT,)),
    Guest('no_disk_1_cpu', BARE, 'halt', qemu.PASS, cpus=1, disk=False, says=(AUDIT,)),
    Guest('reboot', [], 'reboot', qemu.PASS, how='poweroff',
          says=(r'^the kernel ends, the machine starts anew$', AUDIT, '^ggmk: reboot$')),
    Guest('power_off', [], 'halt', qemu.PASS, append='', how='poweroff',
          says=(AUDIT, '^ggmk: power off$'), more=['--machine', 'q35']),
    Guest('panic_test', [], 'panic test', qemu.FAIL, append='panic=exit',
          says=(r'^PANIC on CPU \d at .*jobs/monitor\.c:\d+: a test, asked for on the monitor$',
                r'^  #\d+ +\w+ on_command\+0x')),
]
BURST = 12


class Report:
    def __init__(self):
        self.passed, self.failed = 0, 0

    def check(self, ok, name, why=''):
        self.passed += bool(ok)
        self.failed += not ok
        print(f"[{'PASS' if ok else 'FAIL'}] monitor_{name}{'' if ok else ': ' + why}", flush=True)


def missed(patterns, text):
    """The first pattern that text does not show, or that it shows and must not; else None."""
    wanted = True
    for p in patterns:
        if p is None:
            wanted = False
        elif bool(re.search(p, text, re.M)) != wanted:
            return ('' if wanted else 'must not show ') + p
    return None


def typed_of(line):
    return line if isinstance(line, bytes) else line.encode() + b'\r'


def words_of(guest, args, folder):
    words = ['--kernel', args.shim, '--initrd', args.kernel, '--cpus', str(guest.cpus), '--quiet',
             '--limit', str(args.limit), '--end', guest.how,
             '--append', f'run=monitor {guest.append}'.strip()]
    if guest.disk:
        path = os.path.join(folder, 'disk')
        with open(path, 'wb') as f:
            f.write(TEXT)
            f.truncate(512 * SECTORS)
        words += ['--disk', path]
    return words + guest.more


def boot(guest, args, folder, steps):
    a = qemu.arguments(words_of(guest, args, folder))
    a.steps = steps
    result = qemu.run(a)
    result.text = result.text.replace('\r\n', '\n')
    return result


def work(guest, args, folder, report):
    """One guest, a line at each prompt."""
    todo = [(typed_of(line[0]), line) for line in guest.lines] + [(typed_of(guest.last), None)]
    result = boot(guest, args, folder, [(PROMPT + '$', text) for text, _ in todo])
    if result.status == qemu.MISSING:
        return result
    answers = result.text.split(PROMPT)[1:]
    for i, line in enumerate(guest.lines):
        shown = repr(line[0])[:40] if isinstance(line[0], bytes) else line[0][:40]
        # The last answer is whole only if the next prompt came.
        text = answers[i].split('\n', 1)[-1] if i + 1 < len(answers) else ''
        text = answers[i] if isinstance(line[0], bytes) and i + 1 < len(answers) else text
        wrong = missed(line[1:], text) if i + 1 < len(answers) else 'no prompt came after it'
        report.check(wrong is None, f'{guest.name} {shown}', f'{wrong}: {text!r}')
    wrong = missed(guest.says, result.text)
    report.check(result.status == guest.end and wrong is None, f'{guest.name} ends as it should',
                 f'{wrong}: {result.why}: {result.text[-800:]!r}')
    if result.stamps:
        print(f'  {guest.name}: prompt {result.stamps[0][1]:.0f} ms after QEMU was started')
    return result


def several_at_once(args, folder, report):
    """Lines that come faster than they are run wait their turn."""
    guest = Guest('burst', [], 'halt', qemu.PASS)
    steps = [(PROMPT + '$', burst(BURST))] + [('^up ', b'')] * BURST + [(PROMPT + '$', b'halt\r')]
    result = boot(guest, args, folder, steps)
    report.check(result.status == qemu.PASS and result.text.count('\nup ') == BURST,
                 'burst of lines has an answer for each', result.why)


def written(folder, report):
    with open(os.path.join(folder, 'disk'), 'rb') as f:
        data = f.read()
    report.check(len(data) == 512 * SECTORS and data == TEXT.ljust(512 * 5, b'\0') + b'Z' * 512 +
                 bytes(512 * (SECTORS - 6)), 'blkwrite changed that sector of the image alone')


def main():
    ap = argparse.ArgumentParser(description=__doc__, allow_abbrev=False,
                                 formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument('--shim', required=True)
    ap.add_argument('--kernel', required=True)
    ap.add_argument('--limit', type=int, default=60, help='seconds a guest')
    ap.add_argument('names', nargs='*', metavar='NAME')
    args = ap.parse_args()
    report = Report()
    unknown = set(args.names) - {g.name for g in GUESTS} - {'burst'}
    if unknown:
        ap.error(f"there is no guest {', '.join(sorted(unknown))}")
    for guest in GUESTS:
        if args.names and guest.name not in args.names:
            continue
        with tempfile.TemporaryDirectory(prefix='ggmk-monitor-') as folder:
            result = work(guest, args, folder, report)
            if result.status == qemu.MISSING:
                print(f'[SKIP] monitor: {result.why}\n0 passed, 0 failed, 1 skipped')
                return 0
            if guest.name == 'every_command':
                written(folder, report)
    if not args.names or 'burst' in args.names:
        with tempfile.TemporaryDirectory(prefix='ggmk-monitor-') as folder:
            several_at_once(args, folder, report)
    done = subprocess.run([sys.executable, os.path.join(ROOT, 'tools/monitor_doc.py'), '--check'],
                          stdout=subprocess.PIPE, text=True, check=False)
    report.check(done.returncode == 0, 'docs/MONITOR.md has the commands', done.stdout.strip())
    print(f'{report.passed} passed, {report.failed} failed, 0 skipped')
    return 1 if report.failed else 0


sys.exit(main())
