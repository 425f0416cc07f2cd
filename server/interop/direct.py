# SPDX-License-Identifier: GPL-2.0-or-later
"""An export with direct = true.

    direct.py pages NAME    writes and reads back whole pages
    direct.py mixed NAME    random requests of any size, many in flight, against a model
"""

import random
import sys

from raw_nbd import *

MIB = 1 << 20
AREA = 16 * MIB
ROUNDS = 24
IN_FLIGHT = 16


def pages(client):
    data = os.urandom(4 * MIB)
    for at in range(0, AREA, len(data)):
        assert client.write(at, data) == 0
        assert client.write(at + 8192, data[:4096]) == 0
    assert client.request(CMD_FLUSH)[0] == 0
    for at in range(0, AREA, len(data)):
        assert client.read(at, len(data)) == (0, data[:8192] + data[:4096] + data[12288:])
        assert client.read(at + 4096, 4096) == (0, data[4096:8192])


def some_range(size):
    """Ends on pages, on sectors, or anywhere."""
    unit = random.choice((4096, 4096, 512, 1))
    length = random.choice((unit, random.randint(1, 32) * unit, random.randint(1, 700 * 1024 // unit) * unit))
    return random.randint(0, (size - length) // unit) * unit, length


def take_answers(client, reads):
    """reads: {cookie: what it has to read}, None for a write."""
    while reads:
        magic = client.receive(4)
        assert magic == SIMPLE_REPLY, magic
        error, cookie = struct.unpack(">IQ", client.receive(12))
        wanted = reads.pop(cookie)
        assert error == 0, error
        if wanted is not None:
            assert client.receive(len(wanted)) == wanted, f"request {cookie}: other data"


def overlap(ranges, offset, length):
    return any(offset < at + size and at < offset + length for at, size in ranges)


def mixed(client):
    seed = random.randrange(1 << 32)
    print(f"seed {seed}")
    random.seed(seed)
    model = bytearray(client.read(0, client.size)[1])
    for _ in range(ROUNDS):
        # What is in flight at once does not overlap, but meets in pages.
        ranges, answers = [], {}
        for _ in range(IN_FLIGHT):
            offset, length = some_range(client.size)
            if overlap(ranges, offset, length):
                continue
            ranges.append((offset, length))
            data = random.randbytes(length)
            answers[client.send_request(CMD_WRITE, offset, length, data=data)] = None
            model[offset:offset + length] = data
        take_answers(client, answers)
        for _ in range(IN_FLIGHT):
            offset, length = some_range(client.size)
            cookie = client.send_request(CMD_READ, offset, length)
            answers[cookie] = bytes(model[offset:offset + length])
        take_answers(client, answers)
    assert client.read(0, client.size) == (0, bytes(model))


{"pages": pages, "mixed": mixed}[sys.argv[1]](Client().go(sys.argv[2]))
