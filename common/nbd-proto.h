/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The NBD protocol: structures and numbers in the order of the specification
 * (doc/proto.md of the NBD project). Every field on the wire is big-endian and
 * only wire.c reads or writes these structures; the rest of the program sees
 * the host structures of wire.h.
 *
 * Each list of numbers is written once, as X(name, value); the constants and
 * the names that log lines print both come from it.
 */
#ifndef COMMON_NBD_PROTO_H
#define COMMON_NBD_PROTO_H

#include <stdint.h>

#define NBD_MAGIC		   UINT64_C(0x4e42444d41474943) /* "NBDMAGIC" */
#define NBD_OPTS_MAGIC		   UINT64_C(0x49484156454f5054) /* "IHAVEOPT" */
#define NBD_OLDSTYLE_MAGIC	   UINT64_C(0x00420281861253)
#define NBD_REP_MAGIC		   UINT64_C(0x3e889045565a9)
#define NBD_REQUEST_MAGIC	   UINT32_C(0x25609513)
#define NBD_SIMPLE_REPLY_MAGIC	   UINT32_C(0x67446698)
#define NBD_STRUCTURED_REPLY_MAGIC UINT32_C(0x668e33ef)

#define NBD_DEFAULT_PORT 10809

/* "Values": a string is at most this long, in bytes without a terminator. */
#define NBD_MAX_STRING 4096

/* "Fixed newstyle negotiation": handshake flags, u16 from the server, u32 from the client. */
#define NBD_FLAG_FIXED_NEWSTYLE (1u << 0)
#define NBD_FLAG_NO_ZEROES	(1u << 1)

/* "Transmission flags" */
#define NBD_TRANSMISSION_FLAGS(X)        \
	X(NBD_FLAG_HAS_FLAGS, 0)         \
	X(NBD_FLAG_READ_ONLY, 1)         \
	X(NBD_FLAG_SEND_FLUSH, 2)        \
	X(NBD_FLAG_SEND_FUA, 3)          \
	X(NBD_FLAG_ROTATIONAL, 4)        \
	X(NBD_FLAG_SEND_TRIM, 5)         \
	X(NBD_FLAG_SEND_WRITE_ZEROES, 6) \
	X(NBD_FLAG_SEND_DF, 7)           \
	X(NBD_FLAG_CAN_MULTI_CONN, 8)    \
	X(NBD_FLAG_SEND_RESIZE, 9)       \
	X(NBD_FLAG_SEND_CACHE, 10)       \
	X(NBD_FLAG_SEND_FAST_ZERO, 11)

/* "Option types" */
#define NBD_OPTIONS(X)                  \
	X(NBD_OPT_EXPORT_NAME, 1)       \
	X(NBD_OPT_ABORT, 2)             \
	X(NBD_OPT_LIST, 3)              \
	X(NBD_OPT_PEEK_EXPORT, 4)       \
	X(NBD_OPT_STARTTLS, 5)          \
	X(NBD_OPT_INFO, 6)              \
	X(NBD_OPT_GO, 7)                \
	X(NBD_OPT_STRUCTURED_REPLY, 8)  \
	X(NBD_OPT_LIST_META_CONTEXT, 9) \
	X(NBD_OPT_SET_META_CONTEXT, 10) \
	X(NBD_OPT_EXTENDED_HEADERS, 11)

/* "Option reply types"; an error has bit 31 set. */
#define NBD_REP_ERROR(n) (UINT32_C(0x80000000) | (n))
#define NBD_REPLIES(X)                                   \
	X(NBD_REP_ACK, 1)                                \
	X(NBD_REP_SERVER, 2)                             \
	X(NBD_REP_INFO, 3)                               \
	X(NBD_REP_META_CONTEXT, 4)                       \
	X(NBD_REP_ERR_UNSUP, NBD_REP_ERROR(1))           \
	X(NBD_REP_ERR_POLICY, NBD_REP_ERROR(2))          \
	X(NBD_REP_ERR_INVALID, NBD_REP_ERROR(3))         \
	X(NBD_REP_ERR_PLATFORM, NBD_REP_ERROR(4))        \
	X(NBD_REP_ERR_TLS_REQD, NBD_REP_ERROR(5))        \
	X(NBD_REP_ERR_UNKNOWN, NBD_REP_ERROR(6))         \
	X(NBD_REP_ERR_SHUTDOWN, NBD_REP_ERROR(7))        \
	X(NBD_REP_ERR_BLOCK_SIZE_REQD, NBD_REP_ERROR(8)) \
	X(NBD_REP_ERR_TOO_BIG, NBD_REP_ERROR(9))         \
	X(NBD_REP_ERR_EXT_HEADER_REQD, NBD_REP_ERROR(10))

/* NBD_REP_INFO: information types */
#define NBD_INFOS(X)               \
	X(NBD_INFO_EXPORT, 0)      \
	X(NBD_INFO_NAME, 1)        \
	X(NBD_INFO_DESCRIPTION, 2) \
	X(NBD_INFO_BLOCK_SIZE, 3)

/* "Request types" */
#define NBD_COMMANDS(X)            \
	X(NBD_CMD_READ, 0)         \
	X(NBD_CMD_WRITE, 1)        \
	X(NBD_CMD_DISC, 2)         \
	X(NBD_CMD_FLUSH, 3)        \
	X(NBD_CMD_TRIM, 4)         \
	X(NBD_CMD_CACHE, 5)        \
	X(NBD_CMD_WRITE_ZEROES, 6) \
	X(NBD_CMD_BLOCK_STATUS, 7) \
	X(NBD_CMD_RESIZE, 8)

/* "Command flags" */
#define NBD_COMMAND_FLAGS(X)       \
	X(NBD_CMD_FLAG_FUA, 0)     \
	X(NBD_CMD_FLAG_NO_HOLE, 1) \
	X(NBD_CMD_FLAG_DF, 2)      \
	X(NBD_CMD_FLAG_REQ_ONE, 3) \
	X(NBD_CMD_FLAG_FAST_ZERO, 4)

/* "Structured reply flags" and "Structured reply types"; an error has bit 15 set. */
#define NBD_REPLY_FLAG_DONE (1u << 0)
#define NBD_CHUNKS(X)                     \
	X(NBD_REPLY_TYPE_NONE, 0)         \
	X(NBD_REPLY_TYPE_OFFSET_DATA, 1)  \
	X(NBD_REPLY_TYPE_OFFSET_HOLE, 2)  \
	X(NBD_REPLY_TYPE_BLOCK_STATUS, 5) \
	X(NBD_REPLY_TYPE_ERROR, 0x8001)   \
	X(NBD_REPLY_TYPE_ERROR_OFFSET, 0x8002)

/* "Metadata querying": the one context that this server has, and its states. */
#define NBD_CONTEXT_BASE_ALLOCATION "base:allocation"
#define NBD_STATE_HOLE		    (1u << 0)
#define NBD_STATE_ZERO		    (1u << 1)

/* "Error values": NBD number and the errno of this system that it stands for. */
#define NBD_ERRORS(X)                   \
	X(NBD_EPERM, 1, EPERM)          \
	X(NBD_EIO, 5, EIO)              \
	X(NBD_ENOMEM, 12, ENOMEM)       \
	X(NBD_EINVAL, 22, EINVAL)       \
	X(NBD_ENOSPC, 28, ENOSPC)       \
	X(NBD_EOVERFLOW, 75, EOVERFLOW) \
	X(NBD_ENOTSUP, 95, ENOTSUP)     \
	X(NBD_ESHUTDOWN, 108, ESHUTDOWN)

#define NBD_AS_ENUM(name, value)	 name = (value),
#define NBD_AS_FLAG(name, bit)		 name = 1u << (bit),
#define NBD_AS_ERROR(name, value, error) name = (value),

enum nbd_transmission_flag { NBD_TRANSMISSION_FLAGS(NBD_AS_FLAG) };
enum nbd_option { NBD_OPTIONS(NBD_AS_ENUM) };
enum nbd_reply { NBD_REPLIES(NBD_AS_ENUM) };
enum nbd_info { NBD_INFOS(NBD_AS_ENUM) };
enum nbd_command { NBD_COMMANDS(NBD_AS_ENUM) };
enum nbd_command_flag { NBD_COMMAND_FLAGS(NBD_AS_FLAG) };
enum nbd_chunk { NBD_CHUNKS(NBD_AS_ENUM) };
enum nbd_error { NBD_ERRORS(NBD_AS_ERROR) };

#define NBD_WIRE __attribute__((packed))

/* Newstyle handshake: what the server sends first. */
struct nbd_wire_greeting {
	uint64_t magic;	    /* NBD_MAGIC */
	uint64_t opt_magic; /* NBD_OPTS_MAGIC */
	uint16_t flags;
} NBD_WIRE;
_Static_assert(sizeof(struct nbd_wire_greeting) == 18, "greeting");

/* Client to server, followed by length bytes of data. */
struct nbd_wire_option {
	uint64_t magic; /* NBD_OPTS_MAGIC */
	uint32_t option;
	uint32_t length;
} NBD_WIRE;
_Static_assert(sizeof(struct nbd_wire_option) == 16, "option");

/* Server to client, followed by length bytes of data. */
struct nbd_wire_option_reply {
	uint64_t magic; /* NBD_REP_MAGIC */
	uint32_t option;
	uint32_t type;
	uint32_t length;
} NBD_WIRE;
_Static_assert(sizeof(struct nbd_wire_option_reply) == 20, "option reply");

/* Answer to NBD_OPT_EXPORT_NAME; 124 zero bytes follow without NBD_FLAG_NO_ZEROES. */
struct nbd_wire_export_name {
	uint64_t size;
	uint16_t flags;
} NBD_WIRE;
_Static_assert(sizeof(struct nbd_wire_export_name) == 10, "export name");
#define NBD_EXPORT_NAME_ZEROES 124

/* Oldstyle handshake: all of it. The lower half of flags is what newstyle sends. */
struct nbd_wire_oldstyle {
	uint64_t magic;	       /* NBD_MAGIC */
	uint64_t client_magic; /* NBD_OLDSTYLE_MAGIC */
	uint64_t size;
	uint32_t flags;
	uint8_t zeroes[124];
} NBD_WIRE;
_Static_assert(sizeof(struct nbd_wire_oldstyle) == 152, "oldstyle");

struct nbd_wire_info_export {
	uint16_t type; /* NBD_INFO_EXPORT */
	uint64_t size;
	uint16_t flags;
} NBD_WIRE;
_Static_assert(sizeof(struct nbd_wire_info_export) == 12, "info export");

struct nbd_wire_info_block_size {
	uint16_t type; /* NBD_INFO_BLOCK_SIZE */
	uint32_t minimum;
	uint32_t preferred;
	uint32_t maximum;
} NBD_WIRE;
_Static_assert(sizeof(struct nbd_wire_info_block_size) == 14, "info block size");

/* Transmission phase. A WRITE is followed by length bytes of payload. */
struct nbd_wire_request {
	uint32_t magic; /* NBD_REQUEST_MAGIC */
	uint16_t flags;
	uint16_t type;
	uint64_t cookie;
	uint64_t offset;
	uint32_t length;
} NBD_WIRE;
_Static_assert(sizeof(struct nbd_wire_request) == 28, "request");

struct nbd_wire_simple_reply {
	uint32_t magic; /* NBD_SIMPLE_REPLY_MAGIC */
	uint32_t error;
	uint64_t cookie;
} NBD_WIRE;
_Static_assert(sizeof(struct nbd_wire_simple_reply) == 16, "simple reply");

struct nbd_wire_chunk {
	uint32_t magic; /* NBD_STRUCTURED_REPLY_MAGIC */
	uint16_t flags;
	uint16_t type;
	uint64_t cookie;
	uint32_t length;
} NBD_WIRE;
_Static_assert(sizeof(struct nbd_wire_chunk) == 20, "structured reply chunk");

/* Begins the payload of NBD_REPLY_TYPE_OFFSET_DATA. */
struct nbd_wire_chunk_data {
	uint64_t offset;
} NBD_WIRE;
_Static_assert(sizeof(struct nbd_wire_chunk_data) == 8, "offset data");

struct nbd_wire_chunk_hole {
	uint64_t offset;
	uint32_t size;
} NBD_WIRE;
_Static_assert(sizeof(struct nbd_wire_chunk_hole) == 12, "offset hole");

/* Follows the context ID in the payload of NBD_REPLY_TYPE_BLOCK_STATUS. */
struct nbd_wire_extent {
	uint32_t length;
	uint32_t state;
} NBD_WIRE;
_Static_assert(sizeof(struct nbd_wire_extent) == 8, "block status descriptor");

/* Begins the payload of NBD_REPLY_TYPE_ERROR; message_length bytes of text follow. */
struct nbd_wire_chunk_error {
	uint32_t error;
	uint16_t message_length;
} NBD_WIRE;
_Static_assert(sizeof(struct nbd_wire_chunk_error) == 6, "error chunk");

#endif
