/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * One connection to an export, ready for the kernel: connect, negotiate, settle.
 * The first one of a device comes this way, and every later one; a later one
 * must lead to the same export as the first, which is decided here too.
 */
#include "client-static/client.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "common/nbd-proto.h"

int session_connect(const struct attach_job *job, const struct address *address,
		    uint32_t buffer_bytes, int *ret_fd, struct export_info *ret_export,
		    struct failure *why)
{
	int fd, err;

	err = connect_address(address, &fd, why);
	if (err)
		return err;
	if (job->no_negotiation)
		*ret_export = (struct export_info){
			.size_bytes = job->size_bytes,
			.flags = NBD_FLAG_HAS_FLAGS,
			.minimum_block_bytes = 1,
		};
	else
		err = negotiate_export(fd, job->target.export_name, job->no_opt_go, ret_export,
				       why);
	if (!err)
		err = connect_settle(fd, buffer_bytes, job->tcp_timeout_s, why);
	if (err) {
		close(fd);
		return err;
	}
	*ret_fd = fd;
	return 0;
}

static int refuse(struct failure *why, const char *what, unsigned long long was,
		  unsigned long long is)
{
	return failure_set(
		why, EXIT_PERMANENT, ESTALE,
		"REFUSED, it is not what the device was attached to: %s was %llu, is %llu", what,
		was, is);
}

int session_same_export(const struct export_info *attached, uint32_t block_size_bytes,
			const struct export_info *found, struct failure *why)
{
	uint32_t was_most = attached->maximum_block_bytes, most = found->maximum_block_bytes;

	if (found->size_bytes != attached->size_bytes)
		return refuse(why, "its size in bytes", attached->size_bytes, found->size_bytes);
	if (found->flags != attached->flags)
		return failure_set(why, EXIT_PERMANENT, ESTALE,
				   "REFUSED, it is not what the device was attached to: "
				   "its transmission flags were 0x%x, are 0x%x",
				   attached->flags, found->flags);
	if (found->minimum_block_bytes > block_size_bytes)
		return failure_set(why, EXIT_PERMANENT, ESTALE,
				   "REFUSED: it wants blocks of %u bytes, the device has %u",
				   found->minimum_block_bytes, block_size_bytes);
	if (most && (!was_most || most < was_most))
		return refuse(why, "the largest request in bytes (0: any)", was_most, most);
	if (strcmp(found->generation, attached->generation))
		return failure_set(why, EXIT_PERMANENT, ESTALE,
				   "REFUSED, it is not what the device was attached to: "
				   "its generation was \"%s\", is \"%s\"",
				   attached->generation, found->generation);
	return 0;
}
