#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Faults and odd machines: each boot of the kernel gives its documented result, by its text.

  test/qemu_faults.py --shim build/gmk_shim.elf --kernel build/gmk_kernel.elf [NAME...]

Every fault of arch/x86_64/jobs/faults.def on 1 and 4 CPUs; what the loader shim says of a bad
kernel; machines, processors, memory sizes and disks; and that the table of known mistakes in
docs/BAREMETAL.md names tests that there are. NAME: only cases whose name has it.
A case passes if QEMU ended as it should, the lines came in order, and nothing else did.
Prints `N passed, N failed, N skipped`; exit status 1 if one failed, 2 wrong usage."""

import argparse
import concurrent.futures
import hashlib
import os
import re
import shutil
import struct
import subprocess
import sys
import tempfile

sys.dont_write_bytecode = True
HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(HERE)
RUNNER = os.path.join(ROOT, 'tools', 'qemu.py')
FAULTS_DEF = os.path.join(ROOT, 'arch', 'x86_64', 'jobs', 'faults.def')
PASS, FAIL, HANG, MISSING = 0, 1, 3, 77
TEST = 'run=test exit=debug panic=exit'
HALTED = r'PANIC: the machine is halted'
HEX = '[0-9a-f]{16}'
REGISTERS = [rf'^  rip {HEX} rsp {HEX} rflags [0-9a-f]+$', rf'^  rax {HEX} rbx {HEX} rcx {HEX}$',
             rf'^  r13 {HEX} r14 {HEX} r15 {HEX}$']


class Case:
    """One boot: how it is started, and what must come of it."""

    def __init__(self, name, status, wants, **more):
        self.name, self.status, self.wants = name, status, wants
        self.append = more.pop('append', TEST)
        self.args = more.pop('args', [])
        self.cpus = more.pop('cpus', 4)
        self.module = more.pop('module', None)   # bytes to take the kernel's place; '': none
        self.lacks = more.pop('lacks', [])       # no line matches
        self.last = more.pop('last', None)       # nothing comes after it
        self.check = more.pop('check', None)     # of the text; returns what is wrong
        self.disk = more.pop('disk', None)       # (bytes, options of --disk)
        self.limit = more.pop('limit', 40)
        self.machine = more.pop('machine', [])   # words for QEMU itself
        self.skip = more.pop('skip', None)       # (pattern, reason)
        self.iso = more.pop('iso', False)        # from a CD image that scripts/iso.sh makes
        assert not more, more

    def boot(self, images, folder):
        words = [sys.executable, RUNNER, '--cpus', str(self.cpus), '--limit', str(self.limit)]
        if self.iso:
            path = os.path.join(folder, 'iso')
            subprocess.run(['sh', 'scripts/iso.sh', path, os.path.abspath(images.kernel),
                            os.path.abspath(images.shim), self.append], cwd=ROOT, check=True,
                           stdout=subprocess.DEVNULL, env={**os.environ, 'LIMINE_DIR': ''})
            words += ['--iso', path] + self.args
        else:
            words += ['--kernel', images.shim, '--append', self.append] + self.args
        if self.iso:
            pass
        elif self.module is None:
            words += ['--initrd', images.kernel]
        elif self.module != '':
            path = os.path.join(folder, 'module')
            with open(path, 'wb') as f:
                f.write(self.module(images) if callable(self.module) else self.module)
            words += ['--initrd', path]
        if self.disk:
            self.path = os.path.join(folder, 'disk')
            with open(self.path, 'wb') as f:
                f.write(os.urandom(min(self.disk[0], 4096)))
                f.truncate(self.disk[0])
            self.sum = digest(self.path)
            words += ['--disk', self.path + self.disk[1]]
        if self.machine:
            words += ['--'] + self.machine
        done = subprocess.run(words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE, check=False)
        self.text = done.stdout.decode(errors='replace').replace('\r\n', '\n')
        self.said = done.stderr.decode(errors='replace')
        return done.returncode

    def wrong(self, status):
        """What is wrong with the result, or ''."""
        if status != self.status:
            return f'QEMU\'s runner ended with {status}, expected {self.status}'
        at = 0
        for want in self.wants:
            m = re.compile(want, re.M).search(self.text, at)
            if not m:
                return f'no line, or not in its place: {want}'
            at = m.end()
        for bad in self.lacks:
            if re.search(bad, self.text, re.M):
                return f'a line that must not come: {bad}'
        lines = [x for x in self.text.split('\n') if x.strip()]
        if self.last and not re.search(self.last, lines[-1]):
            return f'the last line is not: {self.last}'
        if self.disk and digest(self.path) != self.sum:
            return 'the disk was changed'
        return (self.check and self.check(self.text)) or ''

    def run(self, images):
        """(verdict, reason, status)"""
        for tool in ('grub-mkrescue', 'mformat', 'xorriso') if self.iso else ():
            if not shutil.which(tool):
                return 'SKIP', f'{tool} is not installed: scripts/setup.sh', None
        with tempfile.TemporaryDirectory(prefix='ggmk-faults-') as folder:
            status = self.boot(images, folder)
            if status == MISSING:
                return 'SKIP', self.said.strip(), status
            if self.skip and not re.search(self.skip[0], self.text, re.M):
                return 'SKIP', self.skip[1], status
            wrong = self.wrong(status)
        return ('FAIL' if wrong else 'PASS'), wrong, status


def digest(path):
    with open(path, 'rb') as f:
        return hashlib.sha256(f.read()).hexdigest()


# Faults. ---------------------------------------------------------------------------------

def panic(headline, function, **more):
    # BM-12, ACC-27, HAL-8: file, line and message, then nothing but a machine that stands still.
    """A dump: the headline once, the calls with that function, the end."""
    wants = more.pop('before', []) + [rf'^PANIC on CPU \d+{headline}']
    wants += more.pop('registers', [])
    wants += [r'^calls, the last first:$']
    wants += [rf'^  #\d+ +{HEX} {name}\+0x[0-9a-f]+$' for name in function.split()]
    wants += more.pop('events', []) + [rf'^{HALTED}$']
    return {'status': FAIL, 'wants': wants, 'last': rf'^{HALTED}$', **more}


def fault(headline, function, cr2=None, **more):
    # BM-13: vector, error code, registers.
    """A dump of a processor's fault, with its registers."""
    registers = REGISTERS[:1] + ([rf'^  cr2 {cr2} cr3'] if cr2 else []) + REGISTERS[1:]
    return panic(': ' + headline, function, registers=registers, **more)


def goes_on(*wants, **more):
    return {'status': PASS, 'wants': list(wants) + [r'^fault: the machine goes on \(0\)$'],
            'lacks': ['PANIC'] + more.pop('lacks', []), **more}


def whole_lines(text):
    # BM-10, ACC-27: threads and interrupts of all processors print at once.
    """Every line that a processor or an interrupt of it printed is whole, and all are there."""
    seen, promised = {}, {}
    for line in text[text.find('\nfault: lines'):].split('\n')[2:]:
        m = re.fullmatch(r'lines of cpu=(\d+): thread (\d+), irq (\d+)', line)
        if m:
            cpu, threads, irqs = map(int, m.groups())
            promised['thread', cpu], promised['irq', cpu] = threads, irqs
            continue
        m = re.fullmatch(r'line (thread|irq) cpu=(\d+) n=(\d+) <([a-z]*)>', line)
        if not m:
            if 'line ' in line or '<' in line or '>' in line:
                return f'a torn line: {line}'
            continue
        who, cpu, n, fill = m.group(1), int(m.group(2)), int(m.group(3)), m.group(4)
        want = ''.join(chr(97 + (n + cpu + i) % 26) for i in range((n * 7 + cpu * 13) % 96))
        if fill != want:
            return f'a line with the wrong text: {line}'
        if seen.get((who, cpu), 0) != n:
            return f'a line out of its order: {line}'
        seen[who, cpu] = n + 1
    if not promised or sum(seen.values()) < 60:
        return 'hardly a line came'
    for key, n in promised.items():
        if seen.get(key, 0) != n:
            return f'{key[0]} of CPU {key[1]}: {seen.get(key, 0)} lines, {n} printed'
    return ''


def same_after(text):
    m = re.search(r'free before (\d+) KiB, after (\d+) KiB', text)
    return '' if m and int(m.group(1)) - int(m.group(2)) < 1024 else 'memory did not come back'


EVENTS = [r'what the kernels did last$', r'^last trace events of a kernel:$']
# What each fault of faults.def comes to; of a function of n CPUs where it depends on them.
FAULTS = {
    'null': fault(r'page fault: null dereference \(vector 14, error 0x2\)', 'write_to|provoke_null',
                  '0{15}8', events=EVENTS[:1]),
    'text': fault(r'page fault: write to read-only memory \(vector 14, error 0x3\)',
                  'write_to|provoke_text', 'ffffffff8[0-9a-f]{7}'),
    'rodata': fault(r'page fault: write to read-only memory \(vector 14, error 0x3\)',
                    'write_to|provoke_rodata', 'ffffffff8[0-9a-f]{7}'),
    'exec': fault(r'page fault: execution of data \(vector 14, error 0x11\)',
                  'provoke_exec|job_fault', 'ffffffff8[0-9a-f]{7}'),
    'stack': fault(r'page fault: the stack is used up \(vector 14', 'provoke_stack'),
    'frame': fault(r'page fault: the stack is used up \(vector 14', 'provoke_frame'),
    'freed': fault(r'page fault: (freed memory|no memory of an area) \(vector 14, error 0x0\)',
                   'provoke_freed'),
    'wild': fault(r'page fault: nothing is mapped there \(vector 14, error 0x0\)', 'provoke_wild',
                  'ffffffffc0dec0d8'),
    'double': fault(r'double fault \(vector 8, error 0x0\)', 'provoke_double'),
    'divide': fault(r'divide error \(vector 0, error 0x0\)', 'provoke_divide'),
    'opcode': fault(r'invalid opcode \(vector 6, error 0x0\)', 'provoke_opcode'),
    'gp': fault(r'general protection \(vector 13, error 0x0\)', 'provoke_gp'),
    'nmi': fault(r'NMI \(vector 2, error 0x0\)', 'provoke_nmi'),
    'interrupt': goes_on(r'^interrupt: vector 119 came and nobody waits for it',
                         r'^interrupt: vector 120 came and nobody waits for it',
                         r'^fault: 4 interrupts came that nobody waits for$',
                         check=lambda t: '' if t.count('interrupt: vector 119') == 1
                         else 'it was reported more than once'),
    'spurious': goes_on(r'^fault: 3 spurious interrupts counted$', lacks=['nobody waits']),
    'oom': goes_on(r'^fault: out of memory: \d\d+ areas, \d{3,} objects; \d+ refused; 1000 tasks',
                   check=same_after),
    'panic': panic(r' at arch/x86_64/jobs/fault_core.c:\d+: a handler has given up$', 'on_panic',
                   events=EVENTS + [r'^  agent \d+: TASK_START type 2 ',
                                    r'^  agent \d+: user event type 2 args 4711 12$']),
    'assert': panic(r' at hal/x86_baremetal/mem.c:\d+: the core has given up',
                    'gmk_panic on_assert',
                    before=[r'^PANIC arch/x86_64/jobs/fault_core.c:\d+: a handler\'s assertion$',
                            r'^last trace events of a kernel:$',
                            r'^  agent \d+: user event type 3 args 4712 13$']),
    'ap': lambda n: panic(rf'(?<=CPU {n - 1}): page fault: null dereference \(vector 14, error 0x2',
                          'fault_on_a_processor', registers=REGISTERS),
    'irq': panic(r' at arch/x86_64/jobs/fault.c:\d+: a device has asked for it$',
                 'panic_now x86_trap x86_trap_entry (interrupted_here|provoke_irq) kmain'),
    'nested': {'status': FAIL, 'last': '^PANIC within the panic: the rest is left out$',
               'wants': [r'^PANIC on CPU 0 at .*: a fault will cut this short$',
                         r'^  #\d+ .* provoke_nested', r'^fault: the last words begin$']},
    'both': panic(r' at arch/x86_64/jobs/fault.c:\d+: processor \d+$', 'panic_with_all'),
    'lock': lambda n: (panic(r' at arch/x86_64/jobs/fault.c:\d+: the console is taken$',
                             'provoke_lock') if n > 1 else
                       fault(r'page fault: nothing is mapped there', 'serial_write|put_all')),
    'guarded_lock': fault(r'page fault: null dereference', 'fault_with_a_lock x86_guard_enter'),
    'guarded_irq': fault(r'page fault: null dereference',
                         'fault_in_interrupt x86_trap x86_trap_entry'),
    'lines': goes_on(check=whole_lines, limit=60),
}


def fault_cases():
    with open(FAULTS_DEF, encoding='utf-8') as f:
        names = re.findall(r'^FAULT\((\w+),', f.read(), re.M)
    if sorted(names) != sorted(FAULTS):
        sys.exit(f'qemu_faults: faults.def and FAULTS differ: {set(names) ^ set(FAULTS)}')
    for name in names:
        for n in (1, 4):
            how = FAULTS[name](n) if callable(FAULTS[name]) else FAULTS[name]
            yield Case(f'fault_{name}_{n}_cpus', how['status'], how['wants'], cpus=n,
                       append=f'run=fault fault={name} exit=debug panic=exit',
                       check=one_panic(how.get('check')), last=how.get('last'),
                       lacks=how.get('lacks', []), limit=how.get('limit', 30))
    halted = panic(r': page fault: null dereference', 'write_to|provoke_null')
    for n in (1, 4):  # without panic=exit: it halts, for ever as far as a few seconds tell
        yield Case(f'fault_halts_for_ever_{n}_cpus', HANG, halted['wants'], cpus=n, limit=4,
                   append='run=fault fault=null', last=halted['last'], check=one_panic())
    yield Case('fault_without_symbols', FAIL, [r'^PANIC on CPU 0', rf'^  #0  {HEX} \?$', HALTED],
               module=without_symbols, append='run=fault fault=null panic=exit')
    yield Case('fault_of_no_such_name', FAIL, [r'^ggmk: there is no fault=nix; there are:',
                                               r'^  fault=null '], append='run=fault fault=nix '
               'exit=debug')
    yield Case('job_of_no_such_name', FAIL, [r'^ggmk: there is no job run=nix; there are:',
                                             r'^  run=demo '], append='run=nix exit=debug')


def one_panic(more=None):
    def check(text):
        if len(re.findall(r'^PANIC on CPU', text, re.M)) > 1:
            return 'more than one processor spoke'
        return more(text) if more else ''
    return check


def read(path):
    with open(path, 'rb') as f:
        return f.read()


def without_symbols(images):
    """The kernel's file as far as it is loaded: no section headers, so no symbols."""
    data = bytearray(read(images.kernel))
    data[0x28:0x30] = bytes(8)
    return bytes(data)


# What the shim is given, and machines. ------------------------------------------------------

PASSED = r'^[1-9]\d* passed, 0 failed, \d+ skipped$'


def good(name, cpus=4, **more):
    wants = more.pop('early', []) + [rf'^boot: smp: {cpus} of {cpus} CPUs run']
    wants += more.pop('wants', []) + [PASSED]
    return Case(name, PASS, wants, cpus=cpus, lacks=[r'^\[FAIL\]', 'PANIC'] + more.pop('lacks', []),
                **more)


def shim_cases():
    says = {'no_module': ('', 'no kernel: the boot loader passed no module'),
            'garbage': (b'this is a text and no kernel\n' * 9, 'the kernel is no ELF file'),
            'cut_off': (lambda i: read(i.kernel)[:30000], 'a segment lies outside the file'),
            'headers_cut_off': (lambda i: read(i.kernel)[:40], 'the kernel file is cut off'),
            'elf32': (lambda i: b'\x7fELF\x01' + read(i.kernel)[5:], 'the kernel is no ELF64 file'),
            'no_request': (lambda i: read(i.kernel).replace(bytes.fromhex('c8a6955c2d2b56f9'),
                                                            bytes(8)), 'wrong protocol revision')}
    for name, (module, text) in says.items():
        yield Case(f'shim_{name}', HANG, [rf'^shim: {text}'], module=module, limit=4,
                   lacks=['GGMK', 'PANIC'])
    yield Case('cpu_without_nx', HANG, [r'^shim: no NX bit'], args=['--cpu', 'qemu64,-nx'], limit=4)
    yield Case('no_clock_at_all', FAIL, [r'^PANIC on CPU 0 .*neither PIT nor HPET counts'],
               machine=['-machine', 'pit=off,hpet=off'])


def machine_cases():
    # BM-1, BM-8: every CPU that there is runs, 1 to 32 of them.
    for n in (1, 2, 3, 4, 8, 32):
        yield good(f'machine_{n}_cpus', cpus=n)
    # What stayed in the loader's code would run what overwrites it, and reset the machine.
    yield Case('machine_36_cpus_of_which_32_are_used', PASS,
               [r'^boot: 36 CPUs are there, 32 are used', r'^boot: smp: 32 of 32 CPUs run',
                r'^boot: \d+ KiB of the loader', PASSED], cpus=36, lacks=['PANIC'])
    for machine in ('pc', 'q35'):
        for cpu in ('qemu64', 'max'):
            yield good(f'machine_{machine}_{cpu}', args=['--machine', machine, '--cpu', cpu])
        yield Case(f'machine_{machine}_powers_off', PASS, [PASSED, r'^ggmk: power off$'],
                   append='run=test', args=['--machine', machine, '--end', 'poweroff'])
    for size in ('24M', '32M', '64M', '1G', '3G', '5G'):
        yield good(f'memory_{size}', args=['--memory', size])
    yield Case('memory_16M_says_so', FAIL, [r'^boot: memory: \d+ KiB usable',
                                            r'^\[FAIL\] smoke_kernel_boots out of memory'],
               args=['--memory', '16M'], lacks=['PANIC'])
    yield good('machine_sparse_apic_ids', cpus=6, machine=['-smp', '6,sockets=2,cores=3'])
    yield good('machine_without_hpet', machine=['-machine', 'hpet=off'], early=[', 0 kHz by HPET'])
    yield good('machine_without_pit', machine=['-machine', 'pit=off'], early=['TSC 0 kHz by PIT'])
    yield good('machine_without_acpi', cpus=1, machine=['-machine', 'acpi=off'])
    yield Case('machine_without_acpi_stands_still', HANG,
               [PASSED, r'^ggmk: this machine does not say how it is switched off: halted$'],
               append='run=test', machine=['-machine', 'acpi=off'], limit=5)
    yield good('machine_x2apic', args=['--cpu', 'max,+x2apic'], early=['lapic: x2APIC'],
               skip=('lapic: x2APIC', 'this QEMU emulates no x2APIC'))


def disk_cases():
    # ACC-24, BM-37: without a disk, with odd ones, written and read back.
    yield good('disk_missing', wants=[r'^smoke: no disk: the tests of the disk are left out'])
    for name, size, sectors in (('odd', 1048001, 2047), ('tiny', 700, 2), ('plain', 1048576, 2048)):
        yield good(f'disk_{name}_size', disk=(size, ''), lacks=['gives_back'],
                   wants=[rf'smoke_disk_is_read \(virtio0, {sectors} sectors: done\)',
                          r'\[PASS\] smoke_disk_refuses_a_sector_beyond_its_end'])
    yield good('disk_written_when_told_is_put_back', disk=(1048576, ''),
               append=TEST + ' destructive',
               wants=[r'\[PASS\] smoke_disk_gives_back_what_was_written'])
    blocks = ['-global', 'virtio-blk-pci.logical_block_size=4096',
              '-global', 'virtio-blk-pci.physical_block_size=4096']
    yield good('disk_of_large_blocks', disk=(1048576, ''), append=TEST + ' destructive',
               machine=blocks, wants=[r'\[PASS\] smoke_disk_is_read',
                                      r'\[PASS\] smoke_disk_gives_back_what_was_written'])
    yield good('disk_read_only_is_read', disk=(1048576, ',readonly'),
               wants=[r'\[PASS\] smoke_disk_is_read'])
    yield Case('disk_read_only_refuses_writes', FAIL,
               [r'\[PASS\] smoke_disk_is_read', r'\[FAIL\] smoke_disk_gives_back', r'1 failed'],
               disk=(1048576, ',readonly'), append=TEST + ' destructive', lacks=['PANIC'])


# What the kernel asks of its loader, and the way it comes up. --------------------------------

# The last two words of a request's name, and what the panic calls its answer (BM-4). Without
# them the shim does not know the request, and answers nothing.
ANSWERS = {'loader': (0xf55038d8e2a1202f, 0x279426fcf5f59740, 'name of itself'),
           'direct_map': (0x48dcf1cb8ad2b852, 0x63984e959a98244b, 'direct map'),
           'memory_map': (0x67cf3d9d378a806f, 0xe304acdfc50c3c62, 'memory map'),
           'processors': (0x95a67b819a1b857e, 0xa0b61b723b6a73e0, 'list of processors'),
           'address': (0x71ba76863cc55f63, 0xb2644a48c516a487, 'kernel address')}

# BM-2, ACC-23: each step has its line, in the order of the steps; then kmain and the job. The
# disk is found (step 13) before a kernel boots on it (step 14), and its workers run (step 15).
STEPS = [r'^GGMK \d+\.\d+\.\d+, bare metal x86_64$', r'^boot: loader .*, 4 CPUs',
         r'^boot: memory: [1-9]\d* KiB usable, page tables of the kernel', r'^boot: lapic: ',
         r'^boot: clock: TSC [1-9]', r'^boot: smp: 4 of 4 CPUs run',
         r'^boot: [1-9]\d* KiB of the loader', r'^boot: virtio-blk: .*: ready$',
         r'^boot: [1-9]\d* PCI devices, 1 driven$', r'^\[PASS\] smoke_kernel_boots \(4 workers\)',
         r'^\[PASS\] smoke_echo_reaches_every_worker \(4 of 4 workers\)',
         r'^\[PASS\] smoke_kernel_halts_balanced', PASSED]


def unasked(words):
    """The kernel's file with one request made unknown."""
    def make(images):
        data = read(images.kernel)
        name = struct.pack('<QQ', *words)
        assert data.count(name) == 1
        return data.replace(name, bytes(16))
    return make


def silent_processors(images):
    """The kernel's file with an entry of the other processors that only halts."""
    data = bytearray(read(images.kernel))
    names = subprocess.run(['nm', images.kernel], stdout=subprocess.PIPE, text=True, check=True)
    at = int(re.search(r'^(\w+) T smp_entry$', names.stdout, re.M).group(1), 16)
    phoff, n = struct.unpack_from('<Q', data, 32)[0], struct.unpack_from('<H', data, 56)[0]
    for i in range(n):
        kind, _, offset, virt, _, size = struct.unpack_from('<IIQQQQ', data, phoff + 56 * i)
        if kind == 1 and virt <= at < virt + size:
            data[offset + at - virt:offset + at - virt + 4] = b'\xfa\xf4\xeb\xfd'  # cli; hlt; jmp
    return bytes(data)


def boot_cases():
    for name, (*words, text) in ANSWERS.items():
        yield Case(f'answer_missing_{name}', PASS, [rf'^PANIC .*the loader gave no {text}: ', HALTED],
                   module=unasked(words), append='', lacks=['boot: memory'],
                   args=['--end', 'steps', '--expect', HALTED])
    yield Case('boot_steps_in_order', PASS, STEPS, disk=(1048576, ''), lacks=['PANIC'])
    # BM-30: a processor that never comes is waited for, named and left out; the rest run.
    late = [rf'^smp: the CPU of APIC id {i} has not come within 5 s: it is left out'
            for i in (1, 2, 3)]
    yield Case('machine_silent_processors', PASS, late + [r'^boot: smp: 1 of 4 CPUs run', PASSED],
               module=silent_processors, lacks=[r'^\[FAIL\]', 'PANIC'])


def iso_cases():
    # ACC-23, D1: what make iso makes boots the kernel, by either firmware.
    for machine, firmware in (('pc', 'bios'), ('q35', 'bios'), ('q35', 'uefi')):
        yield good(f'iso_{firmware}_{machine}', iso=True, early=[r'^boot: loader GGMK shim'], limit=90,
                   args=['--machine', machine, '--firmware', firmware])


def mistakes():
    """Names in the table of docs/BAREMETAL.md that are neither a test nor a case."""
    with open(os.path.join(ROOT, 'docs', 'BAREMETAL.md'), encoding='utf-8') as f:
        table = f.read().split('### Mistakes that a test would catch')[1].split('\n## ')[0]
    rows = [row for row in table.split('\n') if row.startswith('| ')][1:]
    known = {'qemu_' + c.name for make in MAKERS for c in make()}
    for name in os.listdir(os.path.join(ROOT, 'test')):
        if name.endswith('.c'):
            with open(os.path.join(ROOT, 'test', name), encoding='utf-8') as f:
                known.update(re.findall(r'^GMK_TEST\((\w+)\)', f.read(), re.M))
    missing = sorted({n for row in rows for n in re.findall(r'`(\w+)`', row)} - known)
    bare = [row for row in rows if '`' not in row]
    return [f'no test {n}' for n in missing] + [f'no test for: {row}' for row in bare] + (
        ['it has hardly a row'] if len(rows) < 15 else [])


MAKERS = (fault_cases, shim_cases, machine_cases, disk_cases, boot_cases, iso_cases)


def main():
    ap = argparse.ArgumentParser(description=__doc__, allow_abbrev=False,
                                 formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument('--shim', required=True)
    ap.add_argument('--kernel', required=True)
    ap.add_argument('--jobs', type=int, default=int(os.environ.get('TEST_JOBS', '2')))
    ap.add_argument('names', nargs='*', metavar='NAME')
    args = ap.parse_args()
    cases = [c for make in MAKERS for c in make()
             if not args.names or any(n in c.name for n in args.names)]
    wrong = mistakes()
    count = {'PASS': int(not wrong), 'FAIL': int(bool(wrong)), 'SKIP': 0}
    print(f"[{'FAIL' if wrong else 'PASS'}] qemu_every_known_mistake_has_a_test "
          f"{'; '.join(wrong)}", flush=True)
    if not cases:
        print('[FAIL] qemu_faults: no such case')
        count['FAIL'] += 1
    with concurrent.futures.ThreadPoolExecutor(max(1, args.jobs)) as pool:
        for case, done in [(c, pool.submit(c.run, args)) for c in cases]:
            verdict, why, _ = done.result()
            count[verdict] += 1
            print(f"[{verdict}] qemu_{case.name}{': ' if why else ''}{why}", flush=True)
            if verdict == 'FAIL':
                print('\n'.join('    ' + x for x in (case.text + case.said).split('\n')[-40:]))
    print(f"{count['PASS']} passed, {count['FAIL']} failed, {count['SKIP']} skipped")
    return 1 if count['FAIL'] else 0


sys.exit(main())
