# SPDX-License-Identifier: GPL-2.0-or-later
"""What a server advertises it has to do, as libnbd sees it: conformance.py URI FILE.

FILE is what the export is made of, 64 MiB with data in places; the suite writes to it.
What a server does not advertise is left out, so that it runs on any server; KNOWN_FAULTS
names the tests that one is known to fail.
"""

import os
import sys
import unittest

import nbd

KIB, MIB = 1 << 10, 1 << 20
SIZE = 64 * MIB
DATA = ((4 * MIB, MIB), (20 * MIB, 64 * KIB), (63 * MIB, MIB))
uri, path = sys.argv.pop(), sys.argv.pop()


def connect(strict=True):
    client = nbd.NBD()
    client.add_meta_context(nbd.CONTEXT_BASE_ALLOCATION)
    if not strict:
        client.set_strict_mode(0)
    client.connect_uri(uri)
    return client


class Conformance(unittest.TestCase):
    def setUp(self):
        if self._testMethodName in os.environ.get("KNOWN_FAULTS", "").split():
            self.skipTest("known fault of this server")
        with open(path, "r+b") as file:
            file.truncate(0)
            file.truncate(SIZE)
            self.data = bytearray(SIZE)
            for offset, length in DATA:
                self.data[offset:offset + length] = os.urandom(length)
                os.pwrite(file.fileno(), self.data[offset:offset + length], offset)
            os.fsync(file.fileno())
        self.client = connect(strict=False)
        self.addCleanup(self.client.shutdown)

    def need(self, feature):
        if not feature:
            self.skipTest("not advertised")

    def fails(self, errors, call, *arguments):
        with self.assertRaises(nbd.Error) as caught:
            call(*arguments)
        self.assertIn(caught.exception.errnum, errors)

    def read_chunks(self, offset, length, flags=0):
        """The data of a structured read, and its chunks (offset, length, is a hole)."""
        data, chunks = bytearray(length), []

        def chunk(piece, at, status, _):
            data[at - offset:at - offset + len(piece)] = piece
            self.assertIn(status, (nbd.READ_DATA, nbd.READ_HOLE))
            chunks.append((at, len(piece), status == nbd.READ_HOLE))

        self.client.pread_structured(length, offset, chunk, flags)
        at = offset
        for begin, size, _ in sorted(chunks):
            self.assertEqual(begin, at)
            at += size
        self.assertEqual(at, offset + length)
        return bytes(data), chunks

    def extents(self, offset, length, flags=0):
        entries = []

        def extent(context, at, found, error):
            self.assertEqual((context, at), (nbd.CONTEXT_BASE_ALLOCATION, offset))
            entries.extend(found)

        self.client.block_status(length, offset, extent, flags)
        return list(zip(entries[::2], entries[1::2]))

    def test_a_structured_read_is_complete(self):
        self.need(self.client.get_structured_replies_negotiated())
        for offset, length in ((0, 32 * MIB), (4 * MIB - 512, 2 * MIB), (20 * MIB, 64 * KIB),
                               (SIZE - 512, 512), (3 * MIB, 512)):
            data, _ = self.read_chunks(offset, length)
            self.assertEqual(data, self.data[offset:offset + length], (offset, length))

    def test_df_is_one_chunk(self):
        self.need(self.client.can_df())
        for offset, length in ((0, 512), (0, 4 * MIB), (3 * MIB, 2 * MIB)):
            data, chunks = self.read_chunks(offset, length, nbd.CMD_FLAG_DF)
            self.assertEqual(data, self.data[offset:offset + length])
            self.assertEqual(len(chunks), 1)

    def test_block_status_covers_and_never_lies_about_data(self):
        self.need(self.client.can_meta_context(nbd.CONTEXT_BASE_ALLOCATION))
        offset, holes = 0, 0
        while offset < SIZE:
            for length, state in self.extents(offset, SIZE - offset):
                self.assertGreater(length, 0)
                self.assertEqual(state & ~(nbd.STATE_HOLE | nbd.STATE_ZERO), 0)
                if state & nbd.STATE_ZERO:
                    self.assertFalse(any(self.data[offset:offset + length]), offset)
                    holes += length
                offset += length
        self.assertEqual(offset, SIZE)
        self.assertGreater(holes, 32 * MIB)

    def test_block_status_of_ends_and_one(self):
        self.need(self.client.can_meta_context(nbd.CONTEXT_BASE_ALLOCATION))
        for offset, length in ((0, SIZE), (SIZE - 512, 512), (4 * MIB, MIB)):
            one = self.extents(offset, length, nbd.CMD_FLAG_REQ_ONE)
            self.assertEqual(len(one), 1)
            self.assertLessEqual(one[0][0], length)
            self.assertGreaterEqual(sum(size for size, _ in self.extents(offset, length)), one[0][0])
        self.fails((22,), self.extents, SIZE, 512)
        self.fails((22,), self.extents, SIZE - 512, 1024)
        self.assertEqual(self.client.pread(512, 4 * MIB), self.data[4 * MIB:4 * MIB + 512])

    def test_cache(self):
        self.need(self.client.can_cache())
        self.client.cache(16 * MIB, 0)
        self.client.cache(512, SIZE - 512)
        self.assertEqual(self.client.pread(MIB, 4 * MIB), self.data[4 * MIB:5 * MIB])

    def test_zeroes(self):
        self.need(self.client.can_zero())
        for flags in (0, nbd.CMD_FLAG_NO_HOLE):
            self.client.pwrite(b"x" * MIB, 8 * MIB)
            self.client.zero(MIB - 1024, 8 * MIB + 512, flags)
            self.assertEqual(self.client.pread(MIB, 8 * MIB),
                             b"x" * 512 + bytes(MIB - 1024) + b"x" * 512)

    def test_fast_zero_is_done_or_refused_unchanged(self):
        self.need(self.client.can_fast_zero())
        try:
            self.client.zero(MIB, 4 * MIB, nbd.CMD_FLAG_FAST_ZERO)
            self.assertEqual(self.client.pread(MIB, 4 * MIB), bytes(MIB))
        except nbd.Error as error:
            self.assertEqual(error.errnum, 95)
            self.assertEqual(self.client.pread(MIB, 4 * MIB), self.data[4 * MIB:5 * MIB])

    def test_trim_leaves_its_surroundings(self):
        self.need(self.client.can_trim())
        self.client.trim(MIB - 8 * KIB, 4 * MIB + 4 * KIB)
        self.assertEqual(self.client.pread(4 * KIB, 4 * MIB), self.data[4 * MIB:4 * MIB + 4 * KIB])
        self.assertEqual(self.client.pread(4 * KIB, 5 * MIB - 4 * KIB),
                         self.data[5 * MIB - 4 * KIB:5 * MIB])

    def test_fua_and_flush(self):
        self.need(self.client.can_fua() and self.client.can_flush())
        self.client.pwrite(b"f" * 4096, 0, nbd.CMD_FLAG_FUA)
        self.client.flush()
        self.assertEqual(self.client.pread(4096, 0), b"f" * 4096)

    def test_connections_are_one_disk(self):
        self.need(self.client.can_multi_conn())
        other = connect()
        for number in range(32):
            block = os.urandom(4096)
            self.client.pwrite(block, number * 4096)
            other.flush()
            self.assertEqual(other.pread(4096, number * 4096), block)
        other.shutdown()

    def test_errors_at_the_end_leave_the_connection_usable(self):
        self.fails((22,), self.client.pread, 1024, SIZE - 512)
        self.fails((28, 22), self.client.pwrite, bytes(1024), SIZE - 512)
        self.fails((28, 22), self.client.zero, 1024, SIZE - 512)
        self.fails((22,), self.client.trim, 1024, SIZE - 512)
        self.assertEqual(self.client.pread(512, SIZE - 512), self.data[SIZE - 512:])

    def test_info_is_go_and_abort_is_heard(self):
        client = nbd.NBD()
        client.set_opt_mode(True)
        client.connect_uri(uri)
        client.opt_info()
        told = client.get_size(), client.can_flush(), client.can_trim(), client.can_multi_conn()
        client.opt_go()
        self.assertEqual(told, (client.get_size(), client.can_flush(), client.can_trim(),
                                client.can_multi_conn()))
        client.shutdown()
        client = nbd.NBD()
        client.set_opt_mode(True)
        client.connect_uri(uri)
        client.opt_abort()


if __name__ == "__main__":
    unittest.main()
