#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Alters one byte of an input in a recording and sets that record's check again.

usage: test/record_alter.py FROM TO
The first byte of the first payload gets another value, so TO is a sound recording of
another input, with the hashes of the first. include/ggmk/record.h has the format.
"""

import struct
import sys

HEADER, INPUT_HEAD, KIND_INPUT = 40, 64, 1


def fnv1a(data):
    h = 0x811c9dc5
    for byte in data:
        h = (h ^ byte) * 0x01000193 & 0xffffffff
    return h


def main():
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    with open(sys.argv[1], 'rb') as f:
        data = bytearray(f.read())
    at = HEADER
    while True:
        size, kind = struct.unpack_from('<IB', data, at)
        if kind == KIND_INPUT and struct.unpack_from('<I', data, at + 40)[0] != 0:
            break
        at += size
    data[at + INPUT_HEAD] ^= 1
    struct.pack_into('<I', data, at + size - 4, fnv1a(data[at:at + size - 4]))
    with open(sys.argv[2], 'wb') as f:
        f.write(data)


main()
