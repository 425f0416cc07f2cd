# SPDX-License-Identifier: GPL-2.0-or-later
"""The server is killed again and again in the middle of writes.

Two machines, one with a swap and one with a layer on an image, keep what was answered in a
model. After each kill a new server must serve all of it; a write that was not answered may be
there, or not, sector by sector.
"""

import os
import random
import subprocess
import sys
import threading

import nbd

SECTOR = 512
SIZE = 2 << 20
DEPTH = 8


class Server:
    def __init__(self):
        command = [os.environ["nbd_server"], "-n", "-C", os.environ["config"],
                   "--io", os.environ["NBD_IO"], "--workers", os.environ["NBD_WORKERS"]]
        self.process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
        self.lines = []
        for line in self.process.stderr:
            self.lines.append(line)
            if "ready: listening on" in line:
                self.port = line.rstrip().rsplit(":", 1)[1]
                break
        else:
            sys.exit("no ready line: " + "".join(self.lines))
        threading.Thread(target=self.drain, daemon=True).start()

    def drain(self):
        for line in self.process.stderr:
            self.lines.append(line)

    def connect(self, name):
        client = nbd.NBD()
        client.set_strict_mode(0)
        client.connect_uri(f"nbd://127.0.0.1:{self.port}/{name}")
        return client

    def kill(self):
        self.process.kill()
        self.process.wait()


class Machine:
    def __init__(self, name, model):
        self.name, self.model = name, bytearray(model)
        self.flying = {}  # cookie: (offset, bytes, buffer that libnbd still reads)
        self.unsure = []

    def attach(self, server):
        self.client = server.connect(self.name)
        found = self.client.pread(SIZE, 0)
        for offset, data in self.unsure:
            for at in range(offset, offset + len(data), SECTOR):
                new = data[at - offset:at - offset + SECTOR]
                if found[at:at + SECTOR] == new:
                    self.model[at:at + SECTOR] = new
        self.unsure = []
        if found != self.model:
            bad = [i // SECTOR for i in range(0, SIZE, SECTOR)
                   if found[i:i + SECTOR] != self.model[i:i + SECTOR]]
            sys.exit(f"{self.name}: {len(bad)} sectors are lost, the first is {bad[0]}")

    def busy(self, offset, length):
        return any(o < offset + length and offset < o + len(d) for o, d, _ in self.flying.values())

    def send(self, rng):
        length = rng.choice((1, 3, 8, 8, 8, 32, 200)) * SECTOR
        offset = rng.randrange(0, (SIZE - length) // SECTOR + 1) * SECTOR
        if self.busy(offset, length):
            return
        if rng.random() < 0.1:
            data, buffer = bytes(length), None
            cookie = self.client.aio_zero(length, offset)
        else:
            data = rng.randbytes(length)
            buffer = nbd.Buffer.from_bytearray(bytearray(data))
            cookie = self.client.aio_pwrite(buffer, offset)
        self.flying[cookie] = offset, data, buffer

    def collect(self):
        for cookie in list(self.flying):
            if self.client.aio_command_completed(cookie):
                offset, data, _ = self.flying.pop(cookie)
                self.model[offset:offset + len(data)] = data

    def work(self, rng):
        """A turn; False when the server is gone."""
        try:
            while len(self.flying) < DEPTH and rng.random() < 0.9:
                self.send(rng)
            if rng.random() < 0.03 and not self.flying:
                self.client.flush()
            if self.flying:
                self.client.poll(100)
            self.collect()
            return True
        except nbd.Error:
            return False

    def lose(self):
        """What was answered in time counts; the rest may or may not be there."""
        for cookie in list(self.flying):
            offset, data, _ = self.flying.pop(cookie)
            try:
                answered = self.client.aio_command_completed(cookie)
            except nbd.Error:
                answered = False
            if answered:
                self.model[offset:offset + len(data)] = data
            else:
                self.unsure.append((offset, data))


def main():
    crashes, seed = int(os.environ["crashes"]), int.from_bytes(os.urandom(4), "big")
    print(f"seed {seed}")
    rng = random.Random(seed)
    with open(os.environ["image"], "rb") as image:
        machines = [Machine("swap/pc1", bytes(SIZE)), Machine("root/pc1", image.read())]
    for _ in range(crashes):
        server = Server()
        for machine in machines:
            machine.attach(server)
        killer = threading.Timer(rng.uniform(0, 0.08), server.kill)
        killer.start()
        alive = True
        while alive:
            alive = all([machine.work(rng) for machine in machines])
        killer.join()
        for machine in machines:
            machine.lose()
    server = Server()
    for machine in machines:
        machine.attach(server)
        machine.client.shutdown()
    server.kill()
    print(f"{crashes} kills")


main()
