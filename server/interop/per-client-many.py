# SPDX-License-Identifier: GPL-2.0-or-later
"""200 machines at once, each with its own layer on one image and its own swap."""

import os
import select
import sys

import nbd

MACHINES = 200
PIECE = 64 << 10
PIECES = 4


def wanted_events(client):
    direction = client.aio_get_direction()
    return ((select.POLLIN if direction & nbd.AIO_DIRECTION_READ else 0) |
            (select.POLLOUT if direction & nbd.AIO_DIRECTION_WRITE else 0))


def notify(client, events):
    if events & select.POLLOUT & wanted_events(client):
        client.aio_notify_write()
    else:
        client.aio_notify_read()


def wait_for(clients, done, what):
    """All at once, as machines do: none waits until another one is through."""
    poll = select.poll()
    left = {client.aio_get_fd(): client for client in clients if not done(client)}
    for fd, client in left.items():
        poll.register(fd, wanted_events(client))
    while left:
        ready = poll.poll(20000)
        if not ready:
            sys.exit(f"{what}: nothing for 20 s")
        for fd, events in ready:
            notify(left[fd], events)
            if done(left[fd]):
                poll.unregister(fd)
                del left[fd]
            else:
                poll.modify(fd, wanted_events(left[fd]))


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
