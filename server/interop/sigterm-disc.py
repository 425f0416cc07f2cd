# SPDX-License-Identifier: GPL-2.0-or-later
"""A machine that leaves its swap at the moment at which the server is told to end.

    sigterm-disc.py before    its last requests are in the socket, not read
    sigterm-disc.py after     they come after the server has said that it ends
"""

import os
import signal
import sys

from raw_nbd import *


def leave(client):
    client.send_request(CMD_WRITE, 0, 4096, data=b"w" * 4096)
    client.send_request(CMD_DISC)


def before(server):
    client = Client().go("swap/pc1")
    os.kill(server, signal.SIGSTOP)
    leave(client)
    os.kill(server, signal.SIGTERM)
    os.kill(server, signal.SIGCONT)
    assert client.receive_simple()[1] == 0
    assert client.is_closed()


def after(server):
    client = Client().go("swap/pc2")
    os.kill(server, signal.SIGTERM)
    assert client.is_closed()
    leave(client)
    client.socket.close()


{"before": before, "after": after}[sys.argv[1]](int(os.environ["server_pid"]))
