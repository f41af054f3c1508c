#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The one way this project starts QEMU: always emulated (TCG), headless, with a time limit.

  tools/qemu.py --kernel build/gmk_shim.elf --initrd build/gmk_kernel.elf \\
                --append 'run=demo exit=debug'
  tools/qemu.py --iso build/ggmk.iso --firmware uefi --machine q35
  tools/qemu.py ... --disk disk.img --disk null,device=nvme,size=16G,iothread
  tools/qemu.py ... --send 'gmk> $' 'halt\\n' --expect 'bye'
  tools/qemu.py ... --expect 'first task' --end steps
  tools/qemu.py ... -- -device ...            further words for QEMU

Serial output goes to stdout as it comes, what QEMU itself says to stderr.

--disk is a raw image, or `null` (reads nothing, writes nowhere), then, with commas between:
  device=virtio|virtio-legacy|virtio-modern|nvme   (virtio: both transports)
  cache=writeback|none|...   size=BYTES (of null)   queues=N   vectors=N   iothread   readonly

--expect and --send are steps, in the order given. A step waits for a pattern in what comes
after the match of the step before, is stamped in ms since QEMU was started, and a --send then
types its text (\\n and the like are understood). A step that never came is a failure.

The verdict, --end:
  exit      (default) the guest writes v to the port 0xf4 (isa-debug-exit) and QEMU ends with
            status 2v+1: v = 0 is success. QEMU's own errors also end it with status 1, so a
            success needs serial output too, and no error of QEMU's on its stderr. Our kernel
            does so if its command line has exit=debug, else it powers off.
  poweroff  the guest powers off (a Linux guest: it has no port to write a verdict to)
  steps     the last step came; QEMU is then ended
Exit status: 0 success; 1 the guest's verdict is failure, or it ended without one; 2 wrong
usage or no such image; 3 no verdict within --limit seconds; 77 QEMU or the firmware is not
installed. QEMU is ended by its process id in every case, also when this program is killed."""

import argparse
import ctypes
import os
import re
import selectors
import shutil
import signal
import subprocess
import sys
import tempfile
import time

PASS, FAIL, USAGE, HANG, MISSING = 0, 1, 2, 3, 77
DEBUG_PORT = 0xf4
OVMF = '/usr/share/OVMF/OVMF_{}_4M.fd'
DEVICES = {'virtio': 'virtio-blk-pci', 'virtio-legacy': 'virtio-blk-pci,disable-modern=on',
           'virtio-modern': 'virtio-blk-pci,disable-legacy=on', 'nvme': 'nvme'}
DISK_KEYS = {'device', 'cache', 'size', 'queues', 'vectors', 'iothread', 'readonly'}
MAX_OUTPUT = 64 << 20  # bytes of serial output
PR_SET_PDEATHSIG = 1


class Refused(Exception):
    """This guest cannot be started: (exit status, reason)."""


class Result:
    """What became of a guest: status (as above), why, its lines, the stamps of its steps."""

    def __init__(self, status, why, text='', stamps=(), took=0.0):
        self.status, self.why, self.text = status, why, text
        self.stamps, self.took = list(stamps), took

    @property
    def lines(self):
        return [line.rstrip('\r') for line in self.text.split('\n')]


# The words of QEMU. --------------------------------------------------------------------

def program():
    path = shutil.which(os.environ.get('QEMU', 'qemu-system-x86_64'))
    if not path:
        raise Refused(MISSING, 'qemu-system-x86_64 is not installed: scripts/setup.sh installs it '
                               '(Debian package qemu-system-x86)')
    return path


def image(path, what):
    if not os.path.isfile(path):
        raise Refused(USAGE, f'there is no {what} {path}')
    return path


def escaped(path):
    """As a value of one of QEMU's lists."""
    return path.replace(',', ',,')


def disk_words(n, text):
    what, *rest = text.split(',')
    opts = dict((w.split('=', 1) + [''])[:2] for w in rest)
    unknown = sorted(set(opts) - DISK_KEYS)
    kind = opts.get('device', 'virtio')
    if not what or unknown or kind not in DEVICES:
        raise Refused(USAGE, f"--disk {text}: not understood: {unknown or kind or 'no image'}")
    if what == 'null':
        drive = f"driver=null-co,size={opts.get('size', '1G')},read-zeroes=off"
    else:
        drive = (f"format=raw,file={escaped(image(what, 'disk image'))},"
                 f"cache={opts.get('cache', 'writeback')},aio=threads")
    words = ['-drive', f"{drive},if=none,id=d{n}{',readonly=on' if 'readonly' in opts else ''}"]
    device = f'{DEVICES[kind]},drive=d{n}'
    if kind == 'nvme':
        device += f',serial=gmk{n}'
        if 'iothread' in opts or 'vectors' in opts:
            raise Refused(USAGE, f'--disk {text}: QEMU\'s nvme has neither iothread nor vectors')
    if 'iothread' in opts:
        words += ['-object', f'iothread,id=io{n}']
        device += f',iothread=io{n}'
    for key, name in (('queues', 'max_ioqpairs' if kind == 'nvme' else 'num-queues'),
                      ('vectors', 'vectors')):
        if key in opts:
            device += f',{name}={opts[key]}'
    return words + ['-device', device]


def firmware_words(args, folder):
    if args.firmware == 'bios':
        return []
    code, blank = (OVMF.format(w) for w in ('CODE', 'VARS'))
    if not os.path.isfile(code) or not os.path.isfile(blank):
        raise Refused(MISSING, 'OVMF is not installed: scripts/setup.sh installs it '
                               '(Debian package ovmf)')
    mine = shutil.copy(blank, os.path.join(folder, 'vars.fd'))  # each run begins with no settings
    return ['-drive', f'if=pflash,unit=0,format=raw,readonly=on,file={code}',
            '-drive', f'if=pflash,unit=1,format=raw,file={escaped(mine)}']


def boot_words(args):
    if bool(args.kernel) == bool(args.iso):
        raise Refused(USAGE, 'one of --kernel and --iso is needed')
    if args.iso:
        if args.initrd or args.append:
            raise Refused(USAGE, '--initrd and --append go with --kernel')
        return ['-drive', f"file={escaped(image(args.iso, 'ISO'))},media=cdrom,readonly=on,"
                          'if=none,id=cd', '-device', 'ide-cd,drive=cd,bootindex=0']
    words = ['-kernel', image(args.kernel, 'kernel')]
    if args.initrd:
        words += ['-initrd', image(args.initrd, 'module')]
    return words + (['-append', args.append] if args.append else [])


def words_of(args, folder):
    accel = 'tcg,thread=single' if args.single or args.icount else 'tcg'
    words = [program(), '-accel', accel, '-M', args.machine, '-m', args.memory,
             '-smp', str(args.cpus), '-nodefaults', '-no-user-config', '-display', 'none',
             '-no-reboot', '-chardev', 'stdio,id=serial0,signal=off', '-serial', 'chardev:serial0',
             '-device', f'isa-debug-exit,iobase={DEBUG_PORT:#x},iosize=4']
    words += ['-cpu', args.cpu] if args.cpu else []
    words += ['-icount', 'shift=0,sleep=off'] if args.icount else []
    words += firmware_words(args, folder) + boot_words(args)
    for n, text in enumerate(args.disk):
        words += disk_words(n, text)
    if any(w.startswith(('-accel', '-enable-kvm', '--accel', '--enable-kvm')) for w in args.more):
        raise Refused(USAGE, 'the accelerator is always tcg')
    if args.debug:
        words += ['-S', '-gdb', f'tcp:127.0.0.1:{args.port}']
    return words + args.more


# Running it. ---------------------------------------------------------------------------

def die_with_parent():
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


class Steps:
    """Patterns to come, one after another, and what to type at each."""

    def __init__(self, steps):
        self.todo = [(re.compile(p.encode(), re.M), p, text) for p, text in steps]
        self.stamps, self.seen = [], 0

    def feed(self, out, ms):
        """out: all output so far. Returns what is to be typed now."""
        typed = b''
        while self.todo:
            m = self.todo[0][0].search(out, self.seen)
            if not m:
                # A match may begin in a line that is not yet whole, never before it.
                self.seen = max(self.seen, out.rfind(b'\n', self.seen) + 1)
                break
            _, pattern, text = self.todo.pop(0)
            self.seen = m.end()
            self.stamps.append((pattern, ms))
            typed += text
        return typed


class Guest:
    """A running QEMU, its output, and its end."""

    def __init__(self, words, args):
        self.args, self.out, self.err = args, bytearray(), bytearray()
        self.steps = Steps(args.steps)
        self.selector = selectors.DefaultSelector()
        self.start = time.monotonic()
        self.process = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        stderr=subprocess.PIPE, start_new_session=True,
                                        preexec_fn=die_with_parent)
        self.watch(self.process.stdout, self.take_out)
        self.watch(self.process.stderr, self.take_err)
        if args.interactive:
            self.watch(sys.stdin, self.take_key)

    def watch(self, stream, taker):
        self.selector.register(stream, selectors.EVENT_READ, taker)

    def since(self):
        return time.monotonic() - self.start

    def write(self, data):
        try:
            self.process.stdin.write(data)
            self.process.stdin.flush()
        except BrokenPipeError:
            pass  # it has ended, which its status will tell

    def take_out(self, data):
        self.out += data
        if not self.args.quiet:
            sys.stdout.buffer.write(data)
            sys.stdout.buffer.flush()
        typed = self.steps.feed(self.out, 1000 * self.since())
        if typed:
            self.write(typed)

    def take_err(self, data):
        self.err += data
        sys.stderr.buffer.write(data)
        sys.stderr.buffer.flush()

    def take_key(self, data):
        self.write(data)

    def pump(self, deadline):
        """Until the guest ended (None), or the word of what ended the waiting."""
        open_streams = 2
        while open_streams:
            if self.args.end == 'steps' and not self.steps.todo:
                return 'steps'
            if len(self.out) > MAX_OUTPUT:
                return 'flood'
            left = deadline - time.monotonic()
            if left <= 0:
                return 'hang'
            for key, _ in self.selector.select(min(left, 1.0)):
                data = os.read(key.fd, 65536)
                if data:
                    key.data(data)
                else:
                    self.selector.unregister(key.fileobj)
                    open_streams -= key.fileobj is not sys.stdin
        try:
            self.process.wait(max(0.1, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            return 'hang'
        return None

    def stop(self):
        """Ends QEMU, by its process id, and reaps it."""
        for sign in (signal.SIGTERM, signal.SIGKILL):
            if self.process.poll() is None:
                self.process.send_signal(sign)
                try:
                    self.process.wait(2)
                except subprocess.TimeoutExpired:
                    pass
        for stream in (self.process.stdin, self.process.stdout, self.process.stderr):
            try:
                stream.close()
            except BrokenPipeError:
                pass
        self.selector.close()


def last_lines(text, n=15):
    lines = [line.rstrip() for line in text.split('\n') if line.strip()]
    return ''.join(f'\n    {line}' for line in lines[-n:]) or '\n    (nothing was printed)'


def complaints(err):
    """What QEMU itself said is wrong, but for its warnings."""
    lines = err.decode(errors='replace').splitlines()
    return [x for x in lines if re.match(r'\S*qemu\S*: ', x) and ': warning:' not in x]


def ended(code, guest, args):
    """(status, why) of a QEMU that ended by itself with this code."""
    if code < 0:
        return FAIL, f'QEMU was killed by signal {-code}'
    said = complaints(guest.err)
    if said:
        return FAIL, f'QEMU ended with status {code} and said: {said[-1]}'
    if code == 0:
        if args.end == 'poweroff':
            return PASS, 'it powered off'
        return FAIL, 'the guest reset, powered off or QEMU was told to end: there is no verdict'
    if code % 2 == 0:
        return FAIL, f'QEMU ended with status {code}: there is no verdict'
    if not guest.out:
        return FAIL, f'QEMU ended with status {code} before the guest printed anything'
    value = code // 2
    if args.end != 'exit':
        return FAIL, f'the guest wrote the verdict {value}, which is not what was waited for'
    if value:
        return FAIL, f'the guest gave the verdict {value} (0 is success)'
    return PASS, 'the guest gave the verdict 0'


def judge(guest, word, args):
    text = guest.out.decode(errors='replace')
    if word == 'hang':
        status, why = HANG, f'no verdict within {args.limit:g} s: last lines:{last_lines(text)}'
    elif word == 'flood':
        status, why = FAIL, f'the guest printed more than {MAX_OUTPUT >> 20} MiB'
    elif word == 'steps':
        status, why = PASS, 'all steps came'
    else:
        status, why = ended(guest.process.returncode, guest, args)
    if status == PASS and guest.steps.todo:
        status, why = FAIL, f'{why}, but "{guest.steps.todo[0][1]}" never came'
    return Result(status, why, text, guest.steps.stamps, guest.since())


def launch(args, folder):
    guest = Guest(words_of(args, folder), args)
    try:
        limit = args.limit if args.limit > 0 else 1e9
        word = guest.pump(guest.start + limit)
        return judge(guest, word, args)
    finally:
        guest.stop()


def run(args):
    """Starts the guest that args (of arguments()) describe; returns its Result."""
    try:
        if args.firmware == 'bios':
            return launch(args, None)
        with tempfile.TemporaryDirectory(prefix='ggmk-qemu-') as folder:  # OVMF's settings
            return launch(args, folder)
    except Refused as e:
        return Result(*e.args)


# The command line. ---------------------------------------------------------------------

class Step(argparse.Action):
    """--expect PATTERN and --send PATTERN TEXT keep their common order."""

    def __call__(self, parser, space, values, option=None):
        values = values if isinstance(values, list) else [values]
        try:
            re.compile(values[0].encode())
            text = values[1].encode().decode('unicode_escape').encode('latin-1') if values[1:] else b''
        except (re.error, ValueError) as e:
            parser.error(f'{option} {values[0]}: {e}')
        space.steps = space.steps + [(values[0], text)]


def arguments(argv):
    """The description of a guest, from words of a command line."""
    more = []
    if '--' in argv:
        at = argv.index('--')
        argv, more = argv[:at], argv[at + 1:]
    ap = argparse.ArgumentParser(description=__doc__, prog='tools/qemu.py', allow_abbrev=False,
                                 formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument('--machine', choices=('pc', 'q35'), default='pc')
    ap.add_argument('--memory', default='256M')
    ap.add_argument('--cpus', type=int, default=4)
    ap.add_argument('--cpu', help='model: qemu64, max, ... (what QEMU takes by itself)')
    ap.add_argument('--kernel', help='what QEMU loads: an ELF with a PVH note, or a Linux')
    ap.add_argument('--initrd', help='the module beside it')
    ap.add_argument('--append', default='', help='command line')
    ap.add_argument('--iso', help='boot this CD')
    ap.add_argument('--firmware', choices=('bios', 'uefi'), default='bios')
    ap.add_argument('--disk', action='append', default=[])
    ap.add_argument('--single', action='store_true', help='one thread for all CPUs')
    ap.add_argument('--icount', action='store_true', help='a clock of instructions: repeatable')
    ap.add_argument('--debug', action='store_true', help='wait for gdb; no time limit')
    ap.add_argument('--port', type=int, default=1234, help='where gdb finds it (1234)')
    ap.add_argument('--symbols', help='the ELF that gdb shall read, for the message of --debug')
    ap.add_argument('--limit', type=float, help='seconds to a verdict (60)')
    ap.add_argument('--expect', action=Step, metavar='PATTERN')
    ap.add_argument('--send', action=Step, nargs=2, metavar=('PATTERN', 'TEXT'))
    ap.add_argument('--end', choices=('exit', 'poweroff', 'steps'), default='exit')
    ap.add_argument('--interactive', action='store_true', help='type into the serial port')
    ap.add_argument('--quiet', action='store_true', help='print only the verdict')
    ap.add_argument('--log', help='put the serial output there too')
    ap.add_argument('--words', action='store_true', help='print the words of QEMU and stop')
    ap.set_defaults(steps=[])
    args = ap.parse_args(argv)
    args.more = more
    args.limit = args.limit if args.limit is not None else 0 if args.debug or args.interactive else 60
    if args.cpus < 1 or args.limit < 0 or not re.fullmatch(r'[1-9]\d*[KMG]?', args.memory):
        ap.error('--cpus, --memory and --limit are numbers above 0')
    if args.end == 'steps' and not args.steps:
        ap.error('--end steps needs --expect or --send')
    return args


class Keys:
    """A terminal whose keys come one by one and unechoed, for as long as the guest runs."""

    def __init__(self, wanted):
        self.wanted = wanted and sys.stdin.isatty()

    def __enter__(self):
        if self.wanted:
            import termios
            import tty
            self.old = termios.tcgetattr(sys.stdin)
            tty.setcbreak(sys.stdin)

    def __exit__(self, *_):
        if self.wanted:
            import termios
            termios.tcsetattr(sys.stdin, termios.TCSADRAIN, self.old)


def say(text):
    sys.stdout.flush()
    sys.stderr.write(f'qemu: {text}\n')
    sys.stderr.flush()


def on_signal(number, _):
    raise SystemExit(128 + number)


def main():
    args = arguments(sys.argv[1:])
    for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
        signal.signal(number, on_signal)
    if args.words:
        try:
            with tempfile.TemporaryDirectory(prefix='ggmk-qemu-') as folder:
                print('\n'.join(words_of(args, folder)))
            return PASS
        except Refused as e:
            say(e.args[1])
            return e.args[0]
    if args.debug:
        script = os.path.join(os.path.dirname(os.path.abspath(__file__)), 'gdb', 'ggmk.py')
        say(f"waits for gdb: gdb {args.symbols or args.initrd or ''} "
            f"-ex 'target remote 127.0.0.1:{args.port}'"
            + (f' -x {os.path.relpath(script)}' if os.path.exists(script) else ''))
    with Keys(args.interactive):
        result = run(args)
    if args.log:
        with open(args.log, 'w', encoding='utf-8') as f:
            f.write(result.text)
    for pattern, ms in result.stamps:
        say(f'{ms:.1f} ms: {pattern}')
    say(f'{result.took:.2f} s: {result.why}' if result.took else result.why)
    return result.status


if __name__ == '__main__':
    sys.exit(main())
