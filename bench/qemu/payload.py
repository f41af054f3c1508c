#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The packed kernel inside a bzImage, to stdout; --check: whether a file is an x86_64 ELF.

usage: payload.py BZIMAGE | payload.py --check FILE
Source: Linux Documentation/x86/boot.rst, fields setup_sects, payload_offset, payload_length."""
import struct
import sys

LZ4_LEGACY = b'\x02\x21\x4c\x18'


def payload(d):
    if d[0x202:0x206] != b'HdrS':
        sys.exit('payload: not a bzImage')
    offset, length = struct.unpack_from('<II', d, 0x248)
    start = ((d[0x1f1] or 4) + 1) * 512 + offset
    packed = d[start:start + length - 4]  # the last four bytes are the unpacked size
    if not packed.startswith(LZ4_LEGACY):
        sys.exit('payload: the kernel is not packed by lz4')
    return packed


def main():
    if len(sys.argv) == 3 and sys.argv[1] == '--check':
        with open(sys.argv[2], 'rb') as f:
            head = f.read(20)
        if head[:5] != b'\x7fELF\x02' or head[18:20] != b'\x3e\0':
            sys.exit(f'payload: {sys.argv[2]} is no x86_64 ELF')
    elif len(sys.argv) == 2:
        with open(sys.argv[1], 'rb') as f:
            sys.stdout.buffer.write(payload(f.read()))
    else:
        sys.exit(__doc__)


main()
