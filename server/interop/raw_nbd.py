# SPDX-License-Identifier: GPL-2.0-or-later
"""The NBD wire by hand: a client that can also say what no client should say.

Written from the protocol specification and not from common/, so that an error
in our own constants shows. Sizes are bytes; a peer that is silent for
DEADLINE_S fails the test.
"""

import os
import socket
import struct

DEADLINE_S = 20

IHAVEOPT = 0x49484156454F5054
OPTION_REPLY = 0x3E889045565A9
REQUEST = 0x25609513
SIMPLE_REPLY = bytes.fromhex("67446698")
CHUNK = bytes.fromhex("668e33ef")

FIXED_NEWSTYLE, NO_ZEROES = 1, 2
(OPT_EXPORT_NAME, OPT_ABORT, OPT_LIST, OPT_PEEK_EXPORT, OPT_STARTTLS, OPT_INFO, OPT_GO,
 OPT_STRUCTURED_REPLY, OPT_LIST_META, OPT_SET_META, OPT_EXTENDED) = range(1, 12)
REP_ACK, REP_SERVER, REP_INFO, REP_META_CONTEXT = 1, 2, 3, 4
REP_ERR = 1 << 31
ERR_UNSUP, ERR_POLICY, ERR_INVALID, ERR_PLATFORM, ERR_TLS_REQD, ERR_UNKNOWN = (
    REP_ERR + n for n in range(1, 7))
ERR_TOO_BIG = REP_ERR + 9
INFO_EXPORT, INFO_NAME, INFO_DESCRIPTION, INFO_BLOCK_SIZE = range(4)

(HAS_FLAGS, READ_ONLY, SEND_FLUSH, SEND_FUA, ROTATIONAL, SEND_TRIM, SEND_WRITE_ZEROES, SEND_DF,
 MULTI_CONN, SEND_RESIZE, SEND_CACHE, SEND_FAST_ZERO) = (1 << n for n in range(12))

CMD_READ, CMD_WRITE, CMD_DISC, CMD_FLUSH, CMD_TRIM, CMD_CACHE, CMD_WRITE_ZEROES, CMD_BLOCK_STATUS = range(8)
FLAG_FUA, FLAG_NO_HOLE, FLAG_DF = 1, 2, 4
CHUNK_NONE, CHUNK_DATA, CHUNK_HOLE = 0, 1, 2
CHUNK_ERROR, CHUNK_ERROR_OFFSET = 0x8001, 0x8002
CHUNK_DONE = 1

EPERM, EIO, EINVAL, ENOSPC, EOVERFLOW, ESHUTDOWN = 1, 5, 22, 28, 75, 108


class Client:
    """One connection to the server at $port of loopback."""

    def __init__(self, flags=FIXED_NEWSTYLE | NO_ZEROES):
        self.socket = socket.create_connection(("127.0.0.1", int(os.environ["port"])), DEADLINE_S)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.structured = False
        self.cookie = 0
        magic, option_magic, self.server_flags = struct.unpack(">8sQH", self.receive(18))
        assert (magic, option_magic) == (b"NBDMAGIC", IHAVEOPT)
        if flags is not None:
            self.send(struct.pack(">I", flags))

    def __enter__(self):
        return self

    def __exit__(self, *unused):
        self.socket.close()

    def send(self, data):
        self.socket.sendall(data)

    def receive(self, size):
        data = bytearray()
        while len(data) < size:
            piece = self.socket.recv(size - len(data))
            if not piece:
                raise EOFError(f"end of file after {len(data)} of {size} bytes")
            data += piece
        return bytes(data)

    def is_closed(self):
        """Waits for the end of the connection; a byte from the server is an error."""
        try:
            return self.socket.recv(1) == b""
        except ConnectionResetError:
            return True

    # Negotiation

    def send_option(self, option, data=b""):
        self.send(struct.pack(">QII", IHAVEOPT, option, len(data)) + data)

    def receive_option_reply(self, option):
        magic, answered, kind, size = struct.unpack(">QIII", self.receive(20))
        assert (magic, answered) == (OPTION_REPLY, option), (hex(magic), answered)
        assert size <= 65536, size
        return kind, self.receive(size)

    def option(self, option, data=b""):
        """Sends an option; returns its final reply and the data of those before it."""
        self.send_option(option, data)
        before = []
        while True:
            kind, payload = self.receive_option_reply(option)
            if kind == REP_ACK or kind & REP_ERR:
                return kind, before
            before.append((kind, payload))

    def names(self):
        kind, replies = self.option(OPT_LIST)
        assert kind == REP_ACK, hex(kind)
        return sorted(data[4:4 + struct.unpack(">I", data[:4])[0]].decode() for _, data in replies)

    def info(self, option, name, *wanted):
        """INFO or GO: returns the final reply and {info type: its data}."""
        data = struct.pack(">I", len(name)) + name.encode()
        data += struct.pack(f">H{len(wanted)}H", len(wanted), *wanted)
        kind, replies = self.option(option, data)
        infos = {struct.unpack(">H", payload[:2])[0]: payload[2:] for _, payload in replies}
        return kind, infos

    def meta(self, option, name, *queries):
        """LIST_ or SET_META_CONTEXT: the final reply and {context name: its ID}."""
        data = struct.pack(">I", len(name)) + name.encode() + struct.pack(">I", len(queries))
        data += b"".join(struct.pack(">I", len(query)) + query.encode() for query in queries)
        kind, replies = self.option(option, data)
        assert all(reply == REP_META_CONTEXT for reply, _ in replies), replies
        return kind, {data[4:].decode(): struct.unpack(">I", data[:4])[0] for _, data in replies}

    def go(self, name, structured=False):
        """Into transmission; returns self."""
        if structured:
            kind, _ = self.option(OPT_STRUCTURED_REPLY)
            assert kind == REP_ACK, hex(kind)
            self.structured = True
        kind, infos = self.info(OPT_GO, name)
        assert kind == REP_ACK, hex(kind)
        self.size, self.flags = struct.unpack(">QH", infos[INFO_EXPORT])
        return self

    # Transmission

    def send_request(self, command, offset=0, length=0, flags=0, data=b""):
        """Returns the cookie of the request."""
        self.cookie += 1
        header = struct.pack(">IHHQQI", REQUEST, flags, command, self.cookie, offset, length)
        self.send(header + data)
        return self.cookie

    def receive_simple(self, read_size=0, magic=None):
        """Returns (cookie, error, data)."""
        magic = magic or self.receive(4)
        assert magic == SIMPLE_REPLY, magic
        error, cookie = struct.unpack(">IQ", self.receive(12))
        return cookie, error, self.receive(read_size) if read_size and not error else b""

    def receive_chunk(self, magic=None):
        """Returns (cookie, is_last, error, offset, data) of one structured chunk."""
        magic = magic or self.receive(4)
        assert magic == CHUNK, magic
        flags, kind, cookie, size = struct.unpack(">HHQI", self.receive(16))
        assert flags & ~CHUNK_DONE == 0, flags
        payload = self.receive(size)
        error, offset, data = 0, None, b""
        if kind == CHUNK_DATA:
            offset, data = struct.unpack(">Q", payload[:8])[0], payload[8:]
            assert data, "empty data chunk"
        elif kind == CHUNK_HOLE:
            offset, hole = struct.unpack(">QI", payload)
            data = bytes(hole)
        elif kind in (CHUNK_ERROR, CHUNK_ERROR_OFFSET):
            error, message = struct.unpack(">IH", payload[:6])
            assert error != 0
            assert size == 6 + message + (8 if kind == CHUNK_ERROR_OFFSET else 0), size
        else:
            assert kind == CHUNK_NONE and size == 0 and flags & CHUNK_DONE, (kind, size)
        return cookie, bool(flags & CHUNK_DONE), error, offset, data

    def receive_structured(self, offset=0, read_size=0, magic=None):
        """All chunks of one request: (cookie, error, data)."""
        result, error, filled, is_last = bytearray(read_size), 0, 0, False
        while not is_last:
            cookie, is_last, chunk_error, at, data = self.receive_chunk(magic)
            magic = None
            error = error or chunk_error
            if at is not None:
                assert offset <= at and at + len(data) <= offset + read_size
                result[at - offset:at - offset + len(data)] = data
                filled += len(data)
        assert error or filled == read_size, f"{filled} of {read_size} bytes"
        return cookie, error, bytes(result)

    def receive_answer(self, command, offset, length):
        """In the form that was negotiated: READ is always structured then, others may be."""
        read_size = length if command == CMD_READ else 0
        magic = self.receive(4)
        if self.structured and (command == CMD_READ or magic == CHUNK):
            return self.receive_structured(offset, read_size, magic)
        return self.receive_simple(read_size, magic)

    def request(self, command, offset=0, length=0, flags=0, data=b""):
        """One request and its answer: (error, data)."""
        cookie = self.send_request(command, offset, length, flags, data)
        answered, error, result = self.receive_answer(command, offset, length)
        assert answered == cookie, (answered, cookie)
        return error, result

    def read(self, offset, length, flags=0):
        return self.request(CMD_READ, offset, length, flags)

    def write(self, offset, data, flags=0):
        return self.request(CMD_WRITE, offset, len(data), flags, data)[0]
