# SPDX-License-Identifier: GPL-2.0-or-later
"""250 libnbd clients at once on one export: everybody writes, flushes and reads back."""

import os
import sys

import nbd

CLIENTS = 250
AREA = 256 << 10
DEPTH = 4


def main():
    uri = os.environ["uri"]
    clients = [nbd.NBD() for _ in range(CLIENTS)]
    for client in clients:
        client.aio_connect_uri(uri)
    for client in clients:
        while not client.aio_is_ready():
            if client.poll(10000) == 0:
                sys.exit("a client could not connect in 10 s")
    print(f"{CLIENTS} connected")

    step = AREA // DEPTH
    data = [os.urandom(AREA) for _ in clients]
    cookies = []
    for number, client in enumerate(clients):
        for offset in range(0, AREA, step):
            piece = nbd.Buffer.from_bytearray(bytearray(data[number][offset:offset + step]))
            cookies.append((client, client.aio_pwrite(piece, number * AREA + offset)))
    for client in clients:
        while client.aio_in_flight():
            if client.poll(10000) == 0:
                sys.exit("a write was not answered in 10 s")
    for client, cookie in cookies:
        assert client.aio_command_completed(cookie), "a write has no answer"
    clients[0].flush()

    for number in range(CLIENTS):
        other = clients[(number + 1) % CLIENTS]
        if other.pread(AREA, number * AREA) != data[number]:
            sys.exit(f"client {number}: another client reads something else")
    for client in clients:
        client.shutdown()


main()
