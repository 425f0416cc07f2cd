# SPDX-License-Identifier: GPL-2.0-or-later
"""Clients over a reload: they keep what they have, and exclusive stays exclusive."""

import os
import signal
import time
import unittest

import nbd

uri, work, config = (os.environ[name] for name in ("uri", "work", "config"))
pid = int(os.environ["server_pid"])
DEADLINE_S = 20


def wait_for(what, condition):
    end = time.monotonic() + DEADLINE_S
    while not condition():
        if time.monotonic() > end:
            raise TimeoutError(what)
        time.sleep(0.01)


def log():
    with open(f"{work}/server.log", encoding="utf-8") as file:
        return file.read()


def reload(name):
    """The sections of that file come into force."""
    with open(config, encoding="utf-8") as file:
        generic = file.read().split("[open]")[0]
    with open(f"{work}/{name}", encoding="utf-8") as file, open(config, "w", encoding="utf-8") as out:
        out.write(generic + file.read())
    before = log().count(": reloaded: ")
    os.kill(pid, signal.SIGHUP)
    wait_for("reload", lambda: log().count(": reloaded: ") > before)


def attach(name):
    client = nbd.NBD()
    client.set_full_info(True)
    client.connect_uri(f"{uri}/{name}")
    return client


def opened():
    """The files that the server has open."""
    files = []
    for fd in os.listdir(f"/proc/{pid}/fd"):
        try:
            files.append(os.readlink(f"/proc/{pid}/fd/{fd}"))
        except FileNotFoundError:
            pass  # closed since it was listed
    return files


class Reload(unittest.TestCase):
    def setUp(self):
        reload("before")

    def refused(self, name, why):
        """Refused, with a new line of the log that has why."""
        before = log().count(why)
        with self.assertRaises(nbd.Error):
            attach(name)
        wait_for(why, lambda: log().count(why) > before)

    def test_a_client_keeps_its_file_until_it_leaves(self):
        client = attach("open")
        client.pwrite(b"o" * 512, 0)
        reload("after")
        client.pwrite(b"k" * 512, 512)
        client.flush()
        self.assertEqual(client.pread(1024, 0), b"o" * 512 + b"k" * 512)
        self.assertEqual(attach("open").pread(1024, 0), bytes(1024))
        self.assertIn(f"{work}/disk", opened())
        client.shutdown()
        wait_for("end of the old export", lambda: f"{work}/disk" not in opened())

    def test_a_machine_holds_over_a_reload(self):
        holder = attach("swap/pc1")
        holder.pwrite(b"1" * 4096, 0)
        reload("after")
        self.refused("swap/pc2", "in use by pc1 at 127.0.0.1")
        self.assertEqual(holder.pread(4096, 0), b"1" * 4096)

        # The same one comes back, and fences its connection to the old section.
        again = attach("swap/pc1")
        self.assertEqual(again.get_export_description(), "another")
        with self.assertRaises(nbd.Error):
            holder.pwrite(b"2" * 4096, 0)
        self.assertEqual(again.pread(4096, 0), b"1" * 4096)
        again.shutdown()

        # Lost, on a section that was retired since: its place is kept all the same.
        holder = attach("swap/pc1")
        reload("before")
        del holder
        wait_for("loss", lambda: 'for pc1: closed without NBD_CMD_DISC' in log())
        self.refused("swap/pc2", "held by pc1 at 127.0.0.1")
        attach("swap/pc1").shutdown()
        attach("swap/pc2").shutdown()

    def test_machines_of_a_section_go_on(self):
        old = attach("pc/old")
        self.assertEqual(old.get_size(), 1 << 20)
        old.pwrite(b"s" * 4096, 0)
        reload("after")
        self.assertEqual(old.pread(4096, 0), b"s" * 4096)
        new = attach("pc/new")
        self.assertEqual(new.get_size(), 2 << 20)
        again = attach("pc/old")
        self.assertEqual((again.get_size(), again.pread(4096, 0)), (1 << 20, b"s" * 4096))
        with self.assertRaises(nbd.Error):
            old.pread(4096, 0)
        new.shutdown()
        again.shutdown()

    def test_an_image_is_replaced_under_its_layers(self):
        os.pwrite(os.open(f"{work}/image", os.O_RDWR), b"first " * 100, 4096)
        reload("after")
        old = attach("root/old")
        generation = old.get_export_description()
        self.assertIn("generation ", generation)
        old.pwrite(b"l" * 4096, 0)
        with open(f"{work}/image.new", "wb") as file:
            file.write(bytes(4096) + b"second" * 100)
            file.truncate(1 << 20)
        os.rename(f"{work}/image.new", f"{work}/image")
        reload("after")
        self.assertEqual(old.pread(4102, 0), b"l" * 4096 + b"first ")
        new = attach("root/new")
        self.assertNotEqual(new.get_export_description(), generation)
        self.assertEqual(new.pread(6, 4096), b"second")
        again = attach("root/old")
        self.assertEqual(again.get_export_description(), generation)
        self.assertEqual(again.pread(4102, 0), b"l" * 4096 + b"first ")
        new.shutdown()
        again.shutdown()
        wait_for("end of the layers", lambda: not any(".cow" in name for name in opened()))


if __name__ == "__main__":
    unittest.main()
