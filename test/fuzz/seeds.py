# SPDX-License-Identifier: MIT
"""Seeds of the fuzz targets: what a fuzzer would take long to guess, made by a script."""
import os
import random
import struct


def check(record):
    h = 0x811c9dc5
    for byte in record:
        h = ((h ^ byte) * 0x01000193) & 0xffffffff
    return record + struct.pack('<I', h)


def head(size, kind, name, tick):
    return struct.pack('<IBBHQ', size, kind, len(name), 0, tick)


def header(tick=0, seq=0):
    return check(b'GMKREC\r\n' + struct.pack('<IHHQQI', 0x01020304, 1, 40, tick, seq, 0))


def input_record(tick, name=b'', payload=b'', kind=1, flags=4):
    size = (64 + len(payload) + len(name) + 3) // 4 * 4 + 4
    body = head(size, 1, name, tick) + struct.pack(
        '<IHHIIQIHHQQ', kind, flags, 0, 0, 0, 0, len(payload), 0, 0, 1, 2) + payload + name
    return check(body.ljust(size - 4, b'\0'))


def tick_record(tick, trace_hash=0):
    return check(head(28, 2, b'', tick) + struct.pack('<Q', trace_hash))


def end_record(tick, n_inputs, trace_hash=0):
    return check(head(36, 3, b'', tick) + struct.pack('<QQ', trace_hash, n_inputs))


def record():
    tape = header(3, 9) + input_record(4) + input_record(4, b'fz.a', b'xyz') + \
        tick_record(4, 7) + input_record(6, b'', b'0123') + tick_record(5) + end_record(5, 3)
    long = header() + input_record(1, b'fz.a', bytes(300)) + tick_record(1) + end_record(1, 1)
    odd = bytearray(input_record(1, b'odd', b'12'))
    odd[-5] = 1  # between the name and the check
    odd = header() + bytes(odd) + tick_record(1) + end_record(1, 1)
    return [bytes([how]) + tape for how in (0, 2, 4, 6)] + [b'\6' + long, b'\2' + odd] + \
        [bytes([3]) + bytes(range(k, k + 90)) for k in (0, 40, 120)]


def replay():
    tape = header(3, 9) + input_record(4) + input_record(4, b'fz.a') + tick_record(4, 7) + \
        input_record(5, b'fz.b', b'xyz', 3) + tick_record(5) + end_record(5, 3)
    return [b'\0\1' + tape, b'\0\2' + header() + end_record(0, 0),
            b'\1\3' + bytes(range(0, 250, 3)), b'\1\4' + bytes(range(128))]


def noise(lengths, count):
    """Long enough to boot a kernel and do something with it."""
    return [random.Random(i).randbytes(lengths[i % len(lengths)]) for i in range(count)]


def api():
    return noise((200, 400, 700), 45)


def boot():
    return noise((100, 200), 20)


def pipeline():
    text = b'One word, two words; a WORD of one.\n' * 6 + b'x' * 1100 + b' end'
    options = bytes([0, 0x80, 2, 0x38, 0x35, 0x82, 3, 0x31, 0x30, 0x30, 0x83, 0x84, 1, 0x66])
    return [options] + [bytes([1, how, how]) + text for how in range(8)]


def elf_file():
    ident = b'\x7fELF\2\1\1' + bytes(9)
    base = 0xffffffff80000000
    head = ident + struct.pack('<HHIQQQIHHHHHH', 2, 62, 1, base, 64, 0, 0, 64, 56, 2, 0, 0, 0)
    text = struct.pack('<IIQQQQQQ', 1, 5, 0, base, base, 176, 300, 4096)
    data = struct.pack('<IIQQQQQQ', 1, 6, 176, base + 8192, 0, 64, 9000, 4096)
    return head + text + data + bytes(range(64))


def shim_acpi(entries, wide):
    madt = b'APIC' + struct.pack('<I', 44 + len(entries)) + bytes(28) + bytes(8) + entries
    return bytes(64) + bytes(64) + madt if wide else bytes(128) + madt


def shim():
    lapic = bytes([0, 8, 1, 2, 1, 0, 0, 0]) + bytes([9, 16, 0, 0, 3, 1, 0, 0, 1]) + bytes(7) + \
        bytes([1, 12, 7, 0, 0, 0, 0xc0, 0xfe]) + bytes(4)
    pvh = struct.pack('<IIIIQQQQII', 0x336ec578, 1, 0, 1, 104, 160, 0, 56, 2, 0) + \
        struct.pack('<QQII', 0, 0x9fc00, 1, 0) + struct.pack('<QQII', 1 << 20, 1 << 28, 1, 0) + \
        struct.pack('<QQQQ', 8, 40, 162, 0) + bytes(24) + b'a b c\0run=demo\0'
    mb2 = bytes(8) + struct.pack('<IIIIQQIIQQII', 6, 64, 24, 0, 0, 0x9f000, 1, 0, 1 << 20, 1 << 27,
                                 1, 0) + struct.pack('<IIII', 3, 24, 8, 40) + b'run=x\0\0\0' + \
        struct.pack('<II', 14, 28) + b'RSD PTR ' + bytes(12) + bytes(4) + struct.pack('<II', 0, 8)
    ranges = b''.join(struct.pack('<HHB', a, n, t) for a, n, t in
                      ((0x400, 0x7fff, 1), (0x2001, 0x101, 2), (0x3000, 0x4000, 1), (0x100, 9, 4)))
    changes = b''.join(bytes([i & 1, 3 * i, i, 0, i, 0, 60, i]) for i in range(12))
    words = bytes([200, 200, 0, 3, 3, 2, 0, 4, 5, 3, 7, 6, 3, 5, 7, 3, 6, 1, 1, 3])
    return [bytes([0, 8]) + ranges + changes, bytes([1, 40]) + random.Random(7).randbytes(300),
            bytes([2, 4]) + bytes(8) + elf_file(), bytes([2, 4]) + b'\1\0\0\0\1\0\5\0' + elf_file(),
            bytes([3]) + words, bytes([4, 1]) + shim_acpi(lapic, True),
            bytes([4, 0]) + shim_acpi(lapic, False), bytes([5, 0]) + pvh, bytes([6, 0]) + mb2,
            bytes([7, 0x26, 0x11, 0x25, 0x21, 0, 2, 2])]


def write(name, folder):
    """Writes the seeds of a target into a folder, if it has some."""
    made = {'api': api, 'boot': boot, 'pipeline': pipeline, 'record': record,
            'replay': replay, 'shim': shim}.get(name)
    if made is None:
        return
    os.makedirs(folder, exist_ok=True)
    for i, seed in enumerate(made()):
        with open(os.path.join(folder, str(i)), 'wb') as f:
            f.write(seed)
