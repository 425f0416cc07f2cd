# SPDX-License-Identifier: GPL-2.0-or-later
"""200 machines at once, each with its own layer on one image and its own swap."""

import os
import sys

import nbd

MACHINES = 200
PIECE = 64 << 10
PIECES = 4


def wait_for(clients, done, what):
    for client in clients:
        while not done(client):
            if client.poll(20000) == 0:
                sys.exit(f"{what}: nothing for 20 s")


def main():
    uri = os.environ["uri"]
    with open(os.environ["image"], "rb") as file:
        image = file.read()
    names = [f"{kind}/pc{number}" for number in range(MACHINES) for kind in ("root", "swap")]
    clients = [nbd.NBD() for _ in names]
    for client, name in zip(clients, names):
        client.aio_connect_uri(f"{uri}/{name}")
    wait_for(clients, lambda client: client.aio_is_ready(), "connecting")

    data = [os.urandom(PIECES * PIECE) for _ in names]
    flying = []
    for number, client in enumerate(clients):
        for piece in range(PIECES):  # at odd places, so that layers have to fill blocks
            part = data[number][piece * PIECE:(piece + 1) * PIECE]
            offset = piece * 2 * PIECE + 512 * (number % 16)
            buffer = nbd.Buffer.from_bytearray(bytearray(part))
            flying.append((client, client.aio_pwrite(buffer, offset), buffer))
    wait_for(clients, lambda client: not client.aio_in_flight(), "writing")
    for client, cookie, _ in flying:
        assert client.aio_command_completed(cookie)

    for number, (client, name) in enumerate(zip(clients, names)):
        wanted = bytearray(image if name.startswith("root/") else len(image))
        for piece in range(PIECES):
            offset = piece * 2 * PIECE + 512 * (number % 16)
            wanted[offset:offset + PIECE] = data[number][piece * PIECE:(piece + 1) * PIECE]
        if client.pread(len(wanted), 0) != wanted:
            sys.exit(f"{name}: is not what this machine wrote")
        client.shutdown()
    print(f"{MACHINES} machines, {len(names)} exports")


main()
