# SPDX-License-Identifier: GPL-2.0-or-later
"""Requests, good and hostile: the data, the errors, and that the connection lives on."""

import os
import struct
import unittest

from raw_nbd import *

MIB = 1 << 20
SIZE = 256 * MIB
LIMIT_MAX = 0xFFFFFFFFFFFFFFFF


class Transmission(unittest.TestCase):
    structured = False

    def setUp(self):
        self.client = self.connect("disk")

    def connect(self, name):
        client = Client().go(name, self.structured)
        self.addCleanup(client.socket.close)
        return client

    def alive(self, client=None):
        client = client or self.client
        self.assertEqual(client.read(SIZE - 512, 512)[0], 0)

    def test_read_what_was_written(self):
        for offset, size in ((0, 1), (511, 2), (4095, 4098), (SIZE - 1, 1), (MIB - 3, 3 * MIB + 7)):
            data = os.urandom(size)
            self.assertEqual(self.client.write(offset, data), 0)
            self.assertEqual(self.client.read(offset, size), (0, data), (offset, size))

    def test_32_mib_in_one_request(self):
        data = os.urandom(32 * MIB)
        self.assertEqual(self.client.write(5, data), 0)
        self.assertEqual(self.client.read(5, len(data)), (0, data))

    def test_past_the_end(self):
        for offset, size in ((SIZE, 512), (SIZE - 511, 512), (LIMIT_MAX, 1), (LIMIT_MAX - 511, 512),
                             (1 << 63, 4096)):
            self.assertEqual(self.client.read(offset, size)[0], EINVAL, (offset, size))
            self.assertEqual(self.client.write(offset, bytes(size)), ENOSPC, (offset, size))
            self.assertEqual(self.client.request(CMD_TRIM, offset, size)[0], EINVAL)
            self.assertIn(self.client.request(CMD_WRITE_ZEROES, offset, size)[0],
                          (ENOSPC, EINVAL))
        self.assertEqual(os.stat(os.environ["disk"]).st_size, SIZE)
        self.alive()

    def test_cache_is_taken_and_changes_nothing(self):
        data = os.urandom(MIB)
        self.assertEqual(self.client.write(0, data), 0)
        self.assertTrue(self.client.flags & SEND_CACHE)
        for offset, size in ((0, 1), (0, SIZE), (SIZE - 1, 1)):
            self.assertEqual(self.client.request(CMD_CACHE, offset, size)[0], 0)
        self.assertEqual(self.client.request(CMD_CACHE, SIZE, 1)[0], EINVAL)
        self.assertEqual(self.client.read(0, MIB), (0, data))

    def test_block_status_without_a_context(self):
        self.assertEqual(self.client.request(CMD_BLOCK_STATUS, 0, 4096)[0], EINVAL)
        self.alive()

    def test_longest_lengths(self):
        self.assertEqual(self.client.read(0, 0xFFFFFFFF)[0], EINVAL)
        self.assertIn(self.client.request(CMD_TRIM, 0, 0xFFFFFFFF)[0], (EINVAL, EOVERFLOW))
        self.assertIn(self.client.request(CMD_WRITE_ZEROES, 0, 0xFFFFFFFF)[0],
                      (ENOSPC, EINVAL, EOVERFLOW))
        self.alive()

    def test_unknown_commands(self):
        for command in (8, 99, 0xFFFF):
            self.assertEqual(self.client.request(command, 0, 512)[0], EINVAL, command)
        self.alive()

    def test_unknown_flags(self):
        marker = os.urandom(512)
        self.assertEqual(self.client.write(0, marker), 0)
        for bit in range(6, 16):
            for command in (CMD_READ, CMD_FLUSH, CMD_TRIM, CMD_WRITE_ZEROES):
                length = 0 if command == CMD_FLUSH else 512
                self.assertEqual(self.client.request(command, 0, length, 1 << bit)[0], EINVAL)
            self.assertEqual(self.client.write(0, bytes(512), 1 << bit), EINVAL)
        self.assertEqual(self.client.read(0, 512), (0, marker))

    def test_df_is_taken_when_advertised(self):
        error, _ = self.client.read(0, 65536, FLAG_DF)
        self.assertEqual(error, 0 if self.client.flags & SEND_DF else EINVAL)
        self.alive()

    def test_fua_is_legal_on_every_command(self):
        self.assertEqual(self.client.write(0, b"x" * 512, FLAG_FUA), 0)
        self.assertEqual(self.client.read(0, 512, FLAG_FUA), (0, b"x" * 512))
        for command, length in ((CMD_TRIM, 4096), (CMD_WRITE_ZEROES, 4096), (CMD_FLUSH, 0)):
            self.assertEqual(self.client.request(command, 0, length, FLAG_FUA)[0], 0, command)

    def test_read_only_export(self):
        client = self.connect("readonly")
        before = client.read(0, 4096)
        self.assertEqual(client.write(0, b"x" * 4096), EPERM)
        self.assertEqual(client.write(0, b"x" * 5 * MIB), EPERM)
        for command in (CMD_TRIM, CMD_WRITE_ZEROES):
            self.assertEqual(client.request(command, 0, 4096)[0], EPERM, command)
        self.assertEqual(client.read(0, 4096), before)
        self.alive(client)

    def test_bad_magic_ends_the_connection(self):
        self.client.send(b"\xde\xad\xbe\xef" + bytes(24))
        self.assertTrue(self.client.is_closed())

    def test_write_zeroes_zeroes_all_of_128_mib(self):
        """The peer server stops after 64 MiB and says that all is done."""
        for flags in (0, FLAG_NO_HOLE):
            marks = (0, 64 * MIB - 512, 64 * MIB, 100 * MIB, 128 * MIB - 512)
            for offset in marks + (128 * MIB,):
                self.assertEqual(self.client.write(offset, b"m" * 512), 0)
            self.assertEqual(self.client.request(CMD_WRITE_ZEROES, 0, 128 * MIB, flags)[0], 0)
            for offset in marks:
                self.assertEqual(self.client.read(offset, 512), (0, bytes(512)), offset)
            self.assertEqual(self.client.read(128 * MIB, 512), (0, b"m" * 512))

    def allocated(self):
        return os.stat(os.environ["disk"]).st_blocks * 512

    def test_space_is_freed_and_kept_as_asked(self):
        for offset in range(192 * MIB, 224 * MIB, MIB):
            self.assertEqual(self.client.write(offset, os.urandom(MIB)), 0)
        self.assertEqual(self.client.request(CMD_FLUSH)[0], 0)
        full = self.allocated()
        self.assertEqual(self.client.request(CMD_TRIM, 192 * MIB, 16 * MIB)[0], 0)
        self.assertLessEqual(self.allocated(), full - 15 * MIB)
        kept = self.allocated()
        zero = self.client.request(CMD_WRITE_ZEROES, 208 * MIB, 16 * MIB, FLAG_NO_HOLE)
        self.assertEqual(zero[0], 0)
        self.assertGreaterEqual(self.allocated(), kept - MIB)
        self.assertEqual(self.client.read(208 * MIB, MIB), (0, bytes(MIB)))

    def test_two_connections_see_one_disk(self):
        """CAN_MULTI_CONN: what one connection was told is written, the other reads."""
        other = self.connect("disk")
        for number in range(64):
            data = os.urandom(4096)
            self.assertEqual(self.client.write(number * 4096, data), 0)
            self.assertEqual(other.read(number * 4096, 4096), (0, data))

    def test_pipelined_requests_are_each_answered_once(self):
        data = os.urandom(MIB)
        self.assertEqual(self.client.write(MIB, data), 0)
        offsets = {}
        for number in range(200):
            offset = MIB + number * 4099 % (MIB - 4096)
            offsets[self.client.send_request(CMD_READ, offset, 4096)] = offset
        pieces = {cookie: {} for cookie in offsets}
        while offsets:
            if self.structured:
                cookie, is_last, error, at, piece = self.client.receive_chunk()
                pieces[cookie][at] = piece
            else:
                cookie, error, piece = self.client.receive_simple(4096)
                pieces[cookie][offsets[cookie]], is_last = piece, True
            self.assertEqual(error, 0)
            if is_last:
                offset = offsets.pop(cookie)
                whole = b"".join(pieces[cookie][at] for at in sorted(pieces[cookie])
                                 if at is not None)
                self.assertEqual(whole, data[offset - MIB:offset - MIB + 4096])

    def test_requests_split_at_any_byte(self):
        request = struct.pack(">IHHQQI", REQUEST, 0, CMD_WRITE, 9, 8192, 16) + b"0123456789abcdef"
        for byte in request:
            self.client.send(bytes([byte]))
        self.assertEqual(self.client.receive_simple(), (9, 0, b""))
        self.assertEqual(self.client.read(8192, 16), (0, b"0123456789abcdef"))

    def test_a_client_that_reads_nothing_stalls_nobody(self):
        stalled = [self.connect("disk") for _ in range(8)]
        for client in stalled:
            for number in range(16):
                client.send_request(CMD_READ, number * 4 * MIB, 4 * MIB)
        self.alive()
        self.assertEqual(self.client.write(0, b"w" * MIB), 0)
        self.assertEqual(self.client.read(0, MIB), (0, b"w" * MIB))

    def test_clients_that_leave_in_the_middle(self):
        header = struct.pack(">IHHQQI", REQUEST, 0, CMD_WRITE, 1, 0, MIB)
        for sent in (1, 27, 28, 29, 28 + MIB // 2, 28 + MIB - 1):
            self.connect("disk").send((header + b"z" * MIB)[:sent])
        for _ in range(4):
            with Client() as client:
                client.go("disk", self.structured).send_request(CMD_READ, 0, 32 * MIB)
        self.alive()

    def test_disconnect_request(self):
        self.client.send_request(CMD_DISC)
        self.assertTrue(self.client.is_closed())


class StructuredTransmission(Transmission):
    structured = True


if __name__ == "__main__":
    unittest.main()
