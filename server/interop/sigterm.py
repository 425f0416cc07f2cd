# SPDX-License-Identifier: GPL-2.0-or-later
"""SIGTERM while answers are under way: what the server sends last is whole answers."""

import os
import signal
import struct

from raw_nbd import *

MIB = 1 << 20
REQUESTS = 16


def main():
    server = int(os.environ["server_pid"])
    data = os.urandom(4 * MIB)
    idle, writer, reader = Client().go(""), Client().go(""), Client().go("")
    assert writer.write(0, data) == 0

    for _ in range(REQUESTS):
        reader.send_request(CMD_READ, 0, len(data))
    half = struct.pack(">IHHQQI", REQUEST, 0, CMD_WRITE, 1, 8 * MIB, MIB) + bytes(MIB // 2)
    writer.send(half)
    assert reader.receive(4) == SIMPLE_REPLY  # the first answer has begun
    os.kill(server, signal.SIGTERM)

    answers = 0
    cookie, error, result = reader.receive_simple(len(data), SIMPLE_REPLY)
    while True:
        assert error in (0, ESHUTDOWN), error
        assert error or result == data, f"answer {cookie} is not what was written"
        answers += 1
        try:
            first = reader.socket.recv(1)
        except ConnectionResetError:
            break
        if not first:
            break
        cookie, error, result = reader.receive_simple(len(data), first + reader.receive(3))
    print(f"{answers} of {REQUESTS} answers, all whole")
    assert idle.is_closed()
    assert writer.is_closed()


main()
