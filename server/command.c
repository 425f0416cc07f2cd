// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Which commands, flags and ranges a client may ask for: those of the specification
 * ("Request types", "Command flags") that its export was advertised with.
 */
#include "server/connection.h"

#include <errno.h>

#include "common/nbd-proto.h"

bool command_is_change(uint16_t type)
{
	return type == NBD_CMD_WRITE || type == NBD_CMD_TRIM || type == NBD_CMD_WRITE_ZEROES;
}

static uint16_t allowed_flags(const struct connection *connection, uint16_t type)
{
	uint16_t flags = 0;

	if (connection->export->flags & NBD_FLAG_SEND_FUA)
		flags |= NBD_CMD_FLAG_FUA;
	if (type == NBD_CMD_READ && connection->structured)
		flags |= NBD_CMD_FLAG_DF;
	if (type == NBD_CMD_BLOCK_STATUS)
		flags |= NBD_CMD_FLAG_REQ_ONE;
	if (type == NBD_CMD_WRITE_ZEROES)
		flags |= NBD_CMD_FLAG_NO_HOLE;
	if (type == NBD_CMD_WRITE_ZEROES && connection->export->flags & NBD_FLAG_SEND_FAST_ZERO)
		flags |= NBD_CMD_FLAG_FAST_ZERO;
	return flags;
}

static bool is_offered(const struct connection *connection, uint16_t type)
{
	uint16_t flags = connection->export->flags;

	switch (type) {
	case NBD_CMD_READ:
	case NBD_CMD_WRITE:
		return true;
	case NBD_CMD_FLUSH:
		return flags & NBD_FLAG_SEND_FLUSH;
	case NBD_CMD_TRIM:
		return flags & NBD_FLAG_SEND_TRIM;
	case NBD_CMD_CACHE:
		return flags & NBD_FLAG_SEND_CACHE;
	case NBD_CMD_WRITE_ZEROES:
		return flags & NBD_FLAG_SEND_WRITE_ZEROES;
	case NBD_CMD_BLOCK_STATUS:
		return connection->has_allocation;
	default:
		return false;
	}
}

int command_check(const struct connection *connection, const struct wire_request *asked)
{
	const struct export *export = connection->export;
	uint64_t end_bytes;

	if (command_is_change(asked->type) && export->set.readonly)
		return -EPERM;
	if (!is_offered(connection, asked->type))
		return -EINVAL;
	if (asked->flags & ~allowed_flags(connection, asked->type))
		return -EINVAL;
	if (asked->type == NBD_CMD_FLUSH)
		return asked->offset_bytes || asked->length_bytes ? -EINVAL : 0;
	if (asked->type == NBD_CMD_BLOCK_STATUS && !asked->length_bytes)
		return -EINVAL; /* it has no answer: that names one extent at least */
	if (!__builtin_add_overflow(asked->offset_bytes, asked->length_bytes, &end_bytes) &&
	    end_bytes <= export->size_bytes)
		return 0;
	if (asked->type == NBD_CMD_WRITE || asked->type == NBD_CMD_WRITE_ZEROES)
		return -ENOSPC;
	return -EINVAL;
}
