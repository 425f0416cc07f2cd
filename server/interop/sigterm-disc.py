# SPDX-License-Identifier: GPL-2.0-or-later
"""A machine that leaves its swap at the moment at which the server is told to end.

    sigterm-disc.py before    its last requests are in the socket, not read
    sigterm-disc.py after     they come after the server has said that it ends
"""

import glob
import os
import signal
import struct
import sys
import time

from raw_nbd import *

MANY = 1000  # more than are in flight at once


def is_stopped(stat):
    with open(stat) as file:
        return file.read().rpartition(")")[2].split()[0] == "T"


def stop(server):
    """Returns when none of its threads runs."""
    os.kill(server, signal.SIGSTOP)
    deadline = time.monotonic() + DEADLINE_S
    while not all(is_stopped(stat) for stat in glob.glob(f"/proc/{server}/task/*/stat")):
        assert time.monotonic() < deadline, "SIGSTOP does not stop it"
        time.sleep(0.01)


def leave(client):
    client.send_request(CMD_WRITE, 0, 4096, data=b"w" * 4096)
    client.send_request(CMD_DISC)


def before(server):
    client = Client().go("swap/pc1")
    stop(server)
    client.send(struct.pack(">IHHQQI", REQUEST, 0, CMD_TRIM, 1, 8192, 4096) * MANY)
    leave(client)
    os.kill(server, signal.SIGTERM)
    os.kill(server, signal.SIGCONT)
    for _ in range(MANY + 1):
        assert client.receive_simple()[1] == 0
    assert client.is_closed()


def after(server):
    client = Client().go("swap/pc2")
    os.kill(server, signal.SIGTERM)
    assert client.is_closed()
    leave(client)
    client.socket.close()


{"before": before, "after": after}[sys.argv[1]](int(os.environ["server_pid"]))
