#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Boots the loader shim with its test kernel by every way in, and with every fault of input that
a file or a machine can have.

usage: run.py SHIM.elf KERNEL.elf [WORD]   only the cases whose name contains WORD

Each case is one run of QEMU (always TCG). It passes when its line appears; the kernel says
whether all that the protocol promises holds, the shim halts behind its messages.
Prints a line a case and "N passed, N failed, N skipped".
"""
import os
import re
import select
import shutil
import struct
import subprocess
import sys
import time

sys.dont_write_bytecode = True

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
SHIM, KERNEL = (os.path.abspath(p) for p in sys.argv[1:3])
WORD = sys.argv[3] if len(sys.argv) > 3 else ''
OUT = os.path.join(os.path.dirname(SHIM), 'shim_check')
QEMU = ['qemu-system-x86_64', '-accel', 'tcg', '-nodefaults', '-display', 'none', '-no-reboot',
        '-serial', 'stdio', '-device', 'isa-debug-exit,iobase=0xf4,iosize=4']
OVMF = '/usr/share/OVMF/OVMF_CODE_4M.fd'
QBOOT = '/usr/share/qemu/qboot.rom'
SECONDS = 60
ALL_HOLDS = r'shim kernel: all holds'
counts = {'PASS': 0, 'FAIL': 0, 'SKIP': 0}


def report(verdict, name, detail=''):
    counts[verdict] += 1
    print(f'[{verdict}] shim_{name}' + (f': {detail}' if detail else ''), flush=True)


def qemu(arguments, wanted):
    """Runs until the line appears or the machine ends. returns: (it appeared, all output)"""
    process = subprocess.Popen(QEMU + arguments, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                               stderr=subprocess.STDOUT)
    text, end = '', time.monotonic() + SECONDS
    while time.monotonic() < end and not re.search(wanted, text):
        if select.select([process.stdout], [], [], 1)[0]:
            piece = os.read(process.stdout.fileno(), 65536)
            if not piece:
                break
            text += piece.decode(errors='replace')
    process.kill()
    process.wait()
    return re.search(wanted, text) is not None, text


def case(name, arguments, wanted=ALL_HOLDS, never=r'broken|CPU exception'):
    if WORD not in name:
        return
    good, text = qemu(arguments, wanted)
    bad = re.search(never, text)
    if good and not bad:
        report('PASS', name)
    else:
        report('FAIL', name, f'expected {wanted!r}')
        print('\n'.join('    ' + line for line in text.splitlines()[-8:]))


def pvh(kernel=KERNEL, words='cpus=4', memory='256', cpus=4, more=()):
    return ['-m', memory, '-smp', str(cpus), '-kernel', SHIM, '-append', words] + \
        (['-initrd', kernel] if kernel else []) + list(more)


def ways_in():
    case('pvh_4_cpus', pvh(words='cpus=4 echo one two=2'), r'cmdline: cpus=4 echo one two=2\n')
    for machine in ('pc', 'q35'):
        for cpu in ('qemu64', 'max'):
            case(f'pvh_{machine}_{cpu}', pvh(more=['-M', machine, '-cpu', cpu]))
    for cpus in (1, 2, 8, 32):
        case(f'pvh_{cpus}_cpus', pvh(cpus=cpus, words=f'cpus={cpus}'))
    case('pvh_64_mib_32_cpus', pvh(memory='64', cpus=32, words='cpus=32'))
    for memory in ('3G', '5G'):
        case(f'pvh_{memory}', pvh(memory=memory))
        case(f'pvh_{memory}_q35', pvh(memory=memory, more=['-M', 'q35']))
    case('pvh_ids_with_gaps', pvh(cpus='6,sockets=2,cores=3', words='cpus=6'))
    if os.path.exists(QBOOT):
        for cpus in (1, 4):
            case(f'pvh_qboot_{cpus}_cpus', pvh(cpus=cpus, words=f'cpus={cpus}',
                                               more=['-M', 'q35', '-bios', QBOOT]))
    else:
        report('SKIP', 'pvh_qboot', 'no ' + QBOOT)
    case('pvh_no_acpi', pvh(words='cpus=1 noacpi', more=['-M', 'pc,acpi=off']),
         r'(?s)shim: no usable ACPI tables.*all holds')


def image(name, words, more=''):
    """A CD image of the test kernel by GRUB. returns: its path, or None when it failed."""
    path = os.path.join(OUT, name + '.iso')
    done = subprocess.run(['sh', 'scripts/iso.sh', path, KERNEL, SHIM, words], cwd=ROOT, text=True,
                          capture_output=True, env={**os.environ, 'LIMINE_DIR': more})
    if done.returncode != 0:
        report('FAIL', name, done.stderr.strip())
        return None
    return path


def by_grub():
    if WORD not in 'grub_bios_uefi':
        return
    for tool, package in (('grub-mkrescue', 'grub-common'), ('mformat', 'mtools'),
                          ('xorriso', 'xorriso')):
        if shutil.which(tool) is None:
            report('SKIP', 'grub', f'no {tool} ({package})')
            return
    path = image('grub', 'echo hello=1')
    if path is None:
        return
    for machine in ('pc', 'q35'):
        for cpu in ('qemu64', 'max'):
            case(f'grub_bios_{machine}_{cpu}', ['-M', machine, '-cpu', cpu, '-m', '256', '-smp', '4',
                                                '-cdrom', path])
    case('grub_bios_words', ['-m', '256', '-cdrom', path], r'cmdline: echo hello=1\r?\n')
    for memory, cpus in (('64', 1), ('64', 32), ('5G', 4)):
        case(f'grub_bios_{memory}_{cpus}_cpus', ['-m', memory, '-smp', str(cpus), '-cdrom', path])
    if not os.path.exists(OVMF):
        report('SKIP', 'grub_uefi', 'no OVMF (ovmf)')
        return
    flash = ['-drive', 'if=pflash,format=raw,readonly=on,file=' + OVMF, '-cdrom', path]
    case('grub_uefi_q35', ['-M', 'q35', '-m', '256', '-smp', '4'] + flash)
    case('grub_uefi_pc_5G', ['-M', 'pc', '-m', '5G', '-smp', '2'] + flash)


# Faults. ----------------------------------------------------------------------------------

def altered(name, change):
    """A copy of the kernel with bytes changed. returns: its path"""
    with open(KERNEL, 'rb') as f:
        data = bytearray(f.read())
    change(data)
    path = os.path.join(OUT, name + '.elf')
    with open(path, 'wb') as f:
        f.write(data)
    return path


def poke(at, form, value):
    return lambda data: struct.pack_into(form, data, at, value)


def poke_behind(words, skip, value):
    """Changes the 64-bit word `skip` bytes behind these words, which stand once in the file."""
    def change(data):
        pattern = struct.pack(f'<{len(words)}Q', *words)
        assert data.count(pattern) == 1, 'the words stand elsewhere too'
        struct.pack_into('<Q', data, data.index(pattern) + skip, value)
    return change


BASE_TAG = (0xf9562b2d5c95a6c8, 0x6a7b384944536bdc)
STACK_SIZE = (0x224ef0460a8e8926, 0xe1cb0fc25f46ea3d)
PAGING_MODE = (0x95c1a0edab0944cb, 0xa4e5cb3842f7488a)
HHDM = (0x48dcf1cb8ad2b852, 0x63984e959a98244b)
RSDP = (0xc5e77b6b397e7b43, 0x27637845accdcf3c)
PHDR = 64  # the first program header


def cut_at(n):
    def change(data):
        del data[n:]
    return change


def two_alike(data):
    poke_behind(RSDP, 0, HHDM[0])(data)
    poke_behind((HHDM[0], RSDP[1]), 8, HHDM[1])(data)


def insist_on_five_levels(data):
    poke_behind(PAGING_MODE, 16, 1)(data)   # revision
    poke_behind(PAGING_MODE, 48, 1)(data)   # min_mode


def huge(data):
    """The last segment, which has zeros at its end, gets 512 MiB of them."""
    n = struct.unpack_from('<H', data, 56)[0]
    loads = [PHDR + 56 * i for i in range(n)
             if struct.unpack_from('<I', data, PHDR + 56 * i)[0] == 1]
    struct.pack_into('<Q', data, max(loads, key=lambda at: struct.unpack_from('<Q', data, at + 16))
                     + 40, 512 << 20)


FAULTS = {
    'not_elf': (poke(0, '<I', 0x12345678), 'the kernel is no ELF file'),
    'elf32': (poke(4, '<B', 1), 'the kernel is no ELF64 file'),
    'other_machine': (poke(18, '<H', 183), 'the kernel is for another machine'),
    'shared_object': (poke(16, '<H', 3), 'the kernel is no static executable'),
    'header_cut': (cut_at(40), 'the kernel file is cut off'),
    'program_headers': (poke(32, '<Q', 1 << 40), 'bad program headers'),
    'no_segments': (poke(56, '<H', 0), 'nothing to load'),
    'file_cut': (cut_at(6000), 'a segment lies outside the file'),
    'segment_low': (poke(PHDR + 16, '<Q', 0x100000), "a segment lies outside the kernel's area"),
    'segments_meet': (poke(PHDR + 40, '<Q', 0x10000), 'two segments share a page'),
    'entry_outside': (poke(24, '<Q', 0xffffffff90000000), 'the entry lies outside'),
    'revision_3': (poke_behind(BASE_TAG, 16, 3), 'wrong protocol revision'),
    'two_requests': (two_alike, 'two requests of one kind'),
    'stack_size': (poke_behind(STACK_SIZE, 32, 1 << 30), 'stack too large'),
    'five_levels': (insist_on_five_levels, 'unknown paging mode'),
    'too_large': (huge, 'not enough memory'),
}


def faults():
    for name, (change, wanted) in FAULTS.items():
        if WORD in 'fault_' + name:
            kernel = altered(name, change)
            case('fault_' + name, pvh(kernel, memory='128'),
                 rf'shim: {re.escape(wanted)}: [^;]+ \(0x[0-9a-f]+\); .+\n', 'shim kernel')
    case('fault_no_kernel', pvh(None), r'shim: no kernel: .+; .+\n', 'shim kernel')
    case('fault_32_bit_cpu', pvh(more=['-cpu', 'qemu32']), r'shim: no long mode: .+; .+\n')
    case('fault_no_nx', pvh(more=['-cpu', 'qemu64,-nx']), r'shim: no NX bit: .+; .+\n')


# make iso. ----------------------------------------------------------------------------------

def iso_says(name, wanted, **change):
    if WORD not in name:
        return
    env = {**os.environ, 'LIMINE_DIR': change.get('limine', '')}
    done = subprocess.run(['sh', 'scripts/iso.sh', os.path.join(OUT, 'x.iso'),
                           change.get('kernel', KERNEL), SHIM, change.get('words', '')],
                          cwd=ROOT, env=env, text=True, capture_output=True)
    good = done.returncode != 0 and wanted in done.stdout + done.stderr
    report('PASS' if good else 'FAIL', name, '' if good else done.stdout + done.stderr)


def limine_image():
    """With files of the right names in place of Limine's own: the image has all of them, and
    the configuration says what BM-6 wants. Whether Limine boots it is not seen here."""
    if WORD not in 'iso_limine_layout':
        return
    # BM-6, BM-42: the files that Limine's build with those options makes, found by LIMINE_DIR.
    folder = os.path.join(OUT, 'limine')
    os.makedirs(folder, exist_ok=True)
    for name in ('limine-bios.sys', 'limine-bios-cd.bin', 'BOOTX64.EFI', 'limine-uefi-cd.bin'):
        iso_says('iso_limine_without_' + re.sub(r'\W', '_', name).lower(), name, limine=folder)
        with open(os.path.join(folder, name), 'wb') as f:
            f.write(name.encode().ljust(4096, b'\0'))
    iso_says('iso_limine_without_tool', 'has no limine;', limine=folder)
    tool = os.path.join(folder, 'limine')
    with open(tool, 'w', encoding='utf-8') as f:
        f.write('#!/bin/sh\n[ "$1" = bios-install ] && echo "$2" > "$0.ran"\n')
    os.chmod(tool, 0o755)
    path = image('limine', 'run=demo a=1', folder)
    if path is None:
        return
    tree = os.path.join(OUT, 'limine_tree')
    shutil.rmtree(tree, ignore_errors=True)
    subprocess.run(['xorriso', '-osirrox', 'on', '-indev', path, '-extract', '/', tree],
                   capture_output=True, check=True)
    with open(os.path.join(tree, 'boot/limine/limine.conf'), encoding='utf-8') as f:
        lines = [line.strip() for line in f]
    good = all(line in lines for line in ('timeout: 0', 'protocol: limine', 'cmdline: run=demo a=1',
                                          'kernel_path: boot():/boot/gmk_kernel.elf'))
    good = good and os.path.exists(tool + '.ran') and all(
        os.path.exists(os.path.join(tree, f)) for f in
        ('boot/gmk_kernel.elf', 'boot/limine/limine-bios.sys', 'boot/limine/limine-bios-cd.bin',
         'boot/limine/limine-uefi-cd.bin', 'EFI/BOOT/BOOTX64.EFI'))
    report('PASS' if good else 'FAIL', 'iso_limine_layout')
    subprocess.run(['chmod', '-R', 'u+w', tree], check=True)


def iso():
    if WORD not in 'iso_limine_layout' and 'iso' not in WORD:
        return
    if shutil.which('xorriso') is None:
        report('SKIP', 'iso', 'no xorriso (xorriso)')
        return
    iso_says('iso_no_kernel', 'there is no kernel', kernel='no/such.elf')
    iso_says('iso_odd_words', 'the command line has a character', words='a$b')
    iso_says('iso_limine_no_folder', 'LIMINE_DIR=no/such is no folder', limine='no/such')
    limine_image()


def main():
    if shutil.which(QEMU[0]) is None:
        report('SKIP', 'check', 'no ' + QEMU[0])
    else:
        shutil.rmtree(OUT, ignore_errors=True)
        os.makedirs(OUT)
        ways_in()
        by_grub()
        faults()
        iso()
    print(', '.join(f'{counts[v]} {n}' for v, n in (('PASS', 'passed'), ('FAIL', 'failed'),
                                                    ('SKIP', 'skipped'))))
    return counts['FAIL'] != 0 or sum(counts.values()) == 0


sys.exit(main())
