#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Turn a text file into a C header with its bytes in a static array: embed.py IN OUT NAME"""
import sys

src, dst, name = sys.argv[1:4]
data = open(src, 'rb').read()
with open(dst, 'w') as out:
    out.write('static const char %s[] = {' % name)
    for i, byte in enumerate(data):
        out.write(('\n\t' if i % 16 == 0 else ' ') + '0x%02x,' % byte)
    out.write('\n\t0x00,\n};\n')
