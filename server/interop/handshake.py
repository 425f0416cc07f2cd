# SPDX-License-Identifier: GPL-2.0-or-later
"""Negotiation, good and hostile: what the specification lets a client say, and what not."""

import struct
import unittest

from raw_nbd import *

NAMES = ["disk", "readonly"]


def go_data(name_size, name, info_count, infos=b""):
    return struct.pack(">I", name_size) + name + struct.pack(">H", info_count) + infos


class Handshake(unittest.TestCase):
    def setUp(self):
        self.client = Client()
        self.addCleanup(self.client.socket.close)

    def in_sync(self):
        """The server still takes options, and the export still opens."""
        self.assertEqual(self.client.names(), NAMES)
        self.assertEqual(self.client.go("disk").read(0, 512)[0], 0)

    def test_server_offers_fixed_newstyle(self):
        self.assertEqual(self.client.server_flags, FIXED_NEWSTYLE | NO_ZEROES)
        self.in_sync()

    def test_export_name_ends_with_124_zeroes_for_a_client_that_knows_no_flags(self):
        with Client(flags=0) as client:
            client.send_option(OPT_EXPORT_NAME, b"disk")
            size, flags, zeroes = struct.unpack(">QH124s", client.receive(134))
            self.assertEqual((size, zeroes), (256 << 20, bytes(124)))
            self.assertTrue(flags & HAS_FLAGS)
            self.assertEqual(client.read(0, 512)[0], 0)

    def test_export_name_without_zeroes(self):
        self.client.send_option(OPT_EXPORT_NAME, b"disk")
        self.assertEqual(struct.unpack(">QH", self.client.receive(10))[0], 256 << 20)
        self.assertEqual(self.client.read(0, 512)[0], 0)

    def test_export_name_missing_ends_the_connection(self):
        self.client.send_option(OPT_EXPORT_NAME, b"missing")
        self.assertTrue(self.client.is_closed())

    def test_client_flags_that_were_not_offered_end_the_connection(self):
        with Client(flags=FIXED_NEWSTYLE | 1 << 9) as client:
            self.assertTrue(client.is_closed())

    def test_bad_option_magic_ends_the_connection(self):
        self.client.send(struct.pack(">QII", 0x1234, OPT_LIST, 0))
        self.assertTrue(self.client.is_closed())

    def test_unknown_options_are_refused_and_skipped(self):
        for option in (OPT_PEEK_EXPORT, OPT_EXTENDED, 99, 0, 0xFFFFFFFF):
            self.assertEqual(self.client.option(option, b"x" * 100), (ERR_UNSUP, []), option)
        self.in_sync()

    def test_starttls_is_refused(self):
        self.assertIn(self.client.option(OPT_STARTTLS)[0], (ERR_UNSUP, ERR_POLICY))
        self.in_sync()

    def test_list_and_structured_reply_take_no_data(self):
        self.assertEqual(self.client.option(OPT_LIST, b"x")[0], ERR_INVALID)
        self.assertEqual(self.client.option(OPT_STRUCTURED_REPLY, b"x")[0], ERR_INVALID)
        self.in_sync()

    def test_list_may_be_repeated(self):
        for _ in range(3):
            self.assertEqual(self.client.names(), NAMES)

    def test_missing_export_leaves_the_connection_usable(self):
        for option in (OPT_INFO, OPT_GO):
            self.assertEqual(self.client.info(option, "missing")[0], ERR_UNKNOWN)
        self.in_sync()

    def test_info_says_what_go_says(self):
        wanted = (INFO_EXPORT, INFO_NAME, INFO_DESCRIPTION, INFO_BLOCK_SIZE, 77)
        for name in NAMES:
            with Client() as client:
                info = client.info(OPT_INFO, name, *wanted)
                self.assertEqual(info, client.info(OPT_GO, name, *wanted))
                self.assertEqual(info[0], REP_ACK)
                self.assertEqual(struct.unpack(">QH", info[1][INFO_EXPORT])[0], 256 << 20)
                self.assertEqual(client.read(0, 512)[0], 0)

    def test_flags_say_what_is_done(self):
        self.client.go("disk")
        must = HAS_FLAGS | SEND_FLUSH | SEND_FUA | SEND_TRIM | SEND_WRITE_ZEROES | MULTI_CONN
        self.assertEqual(self.client.flags & (must | READ_ONLY | SEND_DF), must)
        with Client() as client:
            client.go("readonly")
            self.assertEqual(client.flags & (READ_ONLY | MULTI_CONN), READ_ONLY | MULTI_CONN)

    def test_malformed_go_is_invalid_and_skipped(self):
        for data in (b"", b"\0\0", go_data(5, b"disk", 0), go_data(0xFFFFFFFF, b"disk", 0),
                     go_data(3, b"disk", 0), go_data(4, b"disk", 2, b"\0\1"),
                     go_data(4, b"disk", 0xFFFF), go_data(4, b"disk", 0, b"\0\1")):
            for option in (OPT_INFO, OPT_GO):
                self.assertEqual(self.client.option(option, data), (ERR_INVALID, []), data)
        self.in_sync()

    def test_long_and_odd_names(self):
        for name in (b"n" * 4096, b"disk\0", b"\xff\xfe", b"%s%n%s", b"../disk"):
            kind, _ = self.client.option(OPT_GO, go_data(len(name), name, 0))
            self.assertIn(kind, (ERR_UNKNOWN, ERR_INVALID), name)
        self.in_sync()

    def test_name_over_the_limit(self):
        kind, _ = self.client.option(OPT_GO, go_data(4097, b"n" * 4097, 0))
        self.assertIn(kind, (ERR_INVALID, ERR_TOO_BIG, ERR_UNKNOWN))
        self.in_sync()

    def test_absurd_option_length_ends_the_connection(self):
        self.client.send(struct.pack(">QII", IHAVEOPT, OPT_GO, 0xFFFFFFFF))
        try:
            kind, _ = self.client.receive_option_reply(OPT_GO)
            self.assertTrue(kind & REP_ERR)
        except (EOFError, ConnectionResetError):
            return
        self.assertTrue(self.client.is_closed())

    def test_contexts_need_structured_replies(self):
        for option in (OPT_LIST_META, OPT_SET_META):
            self.assertEqual(self.client.meta(option, "disk")[0], ERR_INVALID)
        self.in_sync()

    def test_the_only_context_is_base_allocation(self):
        self.assertEqual(self.client.option(OPT_STRUCTURED_REPLY)[0], REP_ACK)
        allocation = "base:allocation"
        for queries, found in (((), [allocation]), (("base:",), [allocation]),
                               ((allocation, allocation), [allocation]), (("base:a",), []),
                               (("", "no colon", "qemu:", "x-y:z", "base:allocation2"), [])):
            kind, contexts = self.client.meta(OPT_LIST_META, "disk", *queries)
            self.assertEqual((kind, list(contexts)), (REP_ACK, found), queries)
        for queries, found in (((), []), (("base:",), []), (("qemu:x", allocation), [allocation])):
            kind, contexts = self.client.meta(OPT_SET_META, "disk", *queries)
            self.assertEqual((kind, list(contexts)), (REP_ACK, found), queries)
        self.assertEqual(self.client.meta(OPT_SET_META, "missing", allocation)[0], ERR_UNKNOWN)
        self.client.structured = True
        self.in_sync()

    def test_malformed_contexts_are_invalid_and_skipped(self):
        self.assertEqual(self.client.option(OPT_STRUCTURED_REPLY)[0], REP_ACK)
        for data in (b"", b"\0\0\0\4disk", b"\0\0\0\4disk\0\0\0\1", b"\0\0\0\4disk\0\0\0\0x",
                     b"\0\0\0\4disk\xff\xff\xff\xff\0\0\0\1x", b"\xff\xff\xff\xffdisk\0\0\0\0"):
            for option in (OPT_LIST_META, OPT_SET_META):
                self.assertEqual(self.client.option(option, data), (ERR_INVALID, []), data)
        self.assertEqual(self.client.option(OPT_SET_META, bytes(20000))[0], ERR_TOO_BIG)
        self.client.structured = True
        self.in_sync()

    def test_abort_is_acknowledged(self):
        for data in (b"", b"goodbye"):
            with Client() as client:
                self.assertEqual(client.option(OPT_ABORT, data), (REP_ACK, []))
                self.assertTrue(client.is_closed())

    def test_clients_may_leave_at_any_byte(self):
        whole = struct.pack(">I", FIXED_NEWSTYLE | NO_ZEROES)
        whole += struct.pack(">QII", IHAVEOPT, OPT_STRUCTURED_REPLY, 0)
        data = go_data(4, b"disk", 0)
        whole += struct.pack(">QII", IHAVEOPT, OPT_GO, len(data)) + data
        for size in range(len(whole) + 1):
            with Client(flags=None) as client:
                client.send(whole[:size])
        self.in_sync()

    def test_one_byte_at_a_time(self):
        with Client(flags=None) as client:
            data = go_data(4, b"disk", 0)
            option = struct.pack(">QII", IHAVEOPT, OPT_GO, len(data)) + data
            for byte in struct.pack(">I", FIXED_NEWSTYLE | NO_ZEROES) + option:
                client.send(bytes([byte]))
            self.assertEqual(client.receive_option_reply(OPT_GO)[0], REP_INFO)

    def test_everything_at_once(self):
        """Flags, options and a first request in one segment, before any answer."""
        data = go_data(4, b"disk", 0)
        with Client(flags=None) as client:
            client.send(struct.pack(">I", FIXED_NEWSTYLE | NO_ZEROES) +
                        struct.pack(">QII", IHAVEOPT, OPT_STRUCTURED_REPLY, 0) +
                        struct.pack(">QII", IHAVEOPT, OPT_GO, len(data)) + data +
                        struct.pack(">IHHQQI", REQUEST, 0, CMD_READ, 7, 4096, 512))
            self.assertEqual(client.receive_option_reply(OPT_STRUCTURED_REPLY)[0], REP_ACK)
            while client.receive_option_reply(OPT_GO)[0] != REP_ACK:
                pass
            cookie, error, _ = client.receive_structured(4096, 512)
            self.assertEqual((cookie, error), (7, 0))


if __name__ == "__main__":
    unittest.main()
