# SPDX-License-Identifier: GPL-2.0-or-later
"""Connections to an NBD server: how fast they come, and what they cost while idle.

    connections.py probe PORT
    connections.py rate PORT SECONDS
    connections.py idle PORT COUNT PID-OF-SERVER

Results are one JSON object on standard output.
"""

import json
import os
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "server", "interop"))
from raw_nbd import CMD_DISC, Client  # noqa: E402

EXPORT = "disk"
PROBE_S = 10


def connect(port):
    os.environ["port"] = port
    return Client().go(EXPORT)


def probe(port):
    """Peers do not all say when they are ready: asks until one answers."""
    deadline = time.monotonic() + PROBE_S
    while True:
        try:
            connect(port).send_request(CMD_DISC)
            return
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.02)


def rate(port, seconds):
    """Full cycles, one after the other: connect, GO, DISC, until the server closes."""
    times_us = []
    end = time.monotonic() + float(seconds)
    started = now = time.monotonic()
    while now < end:
        with connect(port) as client:
            client.send_request(CMD_DISC)
            client.is_closed()
        then, now = now, time.monotonic()
        times_us.append((now - then) * 1e6)
    times_us.sort()
    return {"connections": len(times_us), "seconds": now - started,
            "p50_us": times_us[len(times_us) // 2], "p99_us": times_us[len(times_us) * 99 // 100]}


def process_tree(pid):
    """pid and its descendants."""
    pids = [pid]
    for task in os.listdir(f"/proc/{pid}/task"):
        with open(f"/proc/{pid}/task/{task}/children") as children:
            for child in children.read().split():
                pids += process_tree(child)
    return pids


def pss_kib(pids):
    total = 0
    for pid in pids:
        with open(f"/proc/{pid}/smaps_rollup") as rollup:
            total += sum(int(line.split()[1]) for line in rollup if line.startswith("Pss:"))
    return total


def tasks(pids):
    return sum(len(os.listdir(f"/proc/{pid}/task")) for pid in pids)


def idle(port, count, pid):
    count = int(count)
    first = connect(port)  # stays: what is allocated once is not counted
    first.read(0, 4096)
    pids = process_tree(pid)
    pss_before, tasks_before = pss_kib(pids), tasks(pids)
    clients = []
    for _ in range(count):
        clients.append(connect(port))
        clients[-1].read(0, 4096)
    pids = process_tree(pid)
    pss, task_count = pss_kib(pids) - pss_before, tasks(pids) - tasks_before
    for client in clients + [first]:
        client.send_request(CMD_DISC)
    return {"pss_kib_per_connection": pss / count, "tasks_per_connection": task_count / count}


if __name__ == "__main__":
    result = {"probe": probe, "rate": rate, "idle": idle}[sys.argv[1]](*sys.argv[2:])
    if result:
        print(json.dumps(result))
