/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The stages in order: a job enters, an attached device leaves. This is the one
 * place that prints what they say, for the command and for the boot alike.
 */
#include "client-static/client.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "common/log.h"
#include "common/nbd-proto.h"

/* Connections to one address, all to the same export. */
struct session {
	const struct address *address;
	struct export_info export;
	struct geometry geometry;
	struct attach_device device;
	struct nic nic;
	int nic_error; /* why there is no nic */
};

static int open_connection(const struct attach_job *job, const struct address *address, int *ret_fd,
			   struct export_info *ret_export, struct failure *why)
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
		err = connect_settle(fd, reserve_buffer_bytes(job), why);
	if (err) {
		close(fd);
		return err;
	}
	*ret_fd = fd;
	return 0;
}

static void close_connections(struct session *session)
{
	while (session->device.fd_count > 0)
		close(session->device.fds[--session->device.fd_count]);
}

static size_t count_connections(const struct attach_job *job, const struct export_info *export)
{
	if (job->connections <= 1)
		return 1;
	if (job->is_swap) {
		log_line("-connections %u: 1 for swap, so that writes stay in order",
			 job->connections);
		return 1;
	}
	if (!(export->flags & NBD_FLAG_CAN_MULTI_CONN)) {
		log_line("-connections %u: 1, the server does not offer more", job->connections);
		return 1;
	}
	return job->connections;
}

/* The connections after the first; each must lead to the same export. */
static int open_more(const struct attach_job *job, struct session *session, struct failure *why)
{
	size_t wanted = count_connections(job, &session->export);

	while (session->device.fd_count < wanted) {
		struct export_info export;
		int *fd = &session->device.fds[session->device.fd_count];
		int err = open_connection(job, session->address, fd, &export, why);

		if (err)
			return err;
		session->device.fd_count++;
		if (export.size_bytes != session->export.size_bytes ||
		    export.flags != session->export.flags)
			return failure_set(why, EXIT_PERMANENT, ESTALE,
					   "the export changed between two connections");
	}
	return 0;
}

static int open_session(const struct attach_job *job, const struct address *address,
			struct session *ret, struct failure *why)
{
	int err;

	*ret = (struct session){.address = address};
	err = open_connection(job, address, &ret->device.fds[0], &ret->export, why);
	if (err)
		return err;
	ret->device.fd_count = 1;
	err = geometry_choose(job, &ret->export, &ret->geometry, why);
	if (!err && job->is_swap && (job->is_read_only || ret->export.flags & NBD_FLAG_READ_ONLY))
		err = failure_set(why, EXIT_PERMANENT, EROFS,
				  "swap needs a writable device, this one is read-only");
	if (!err)
		err = open_more(job, ret, why);
	if (err)
		close_connections(ret);
	return err;
}

/* Tries the addresses in turn; the exit code of the last failure that may pass, if any may. */
static int open_any(const struct attach_job *job, const struct address_list *addresses,
		    struct session *ret)
{
	int exit_code = EXIT_PERMANENT;
	struct failure why;

	for (size_t i = 0; i < addresses->count; i++) {
		if (!open_session(job, &addresses->items[i], ret, &why))
			return 0;
		log_line("%s: %s", addresses->items[i].text, why.text);
		if (why.exit_code == EXIT_TEMPORARY)
			exit_code = EXIT_TEMPORARY;
	}
	return exit_code;
}

static int hand_over(const struct attach_job *job, const struct netlink *netlink,
		     struct session *session, struct failure *why)
{
	struct attach_device *device = &session->device;

	device->index = job->device_index;
	device->size_bytes = session->geometry.size_bytes;
	device->block_size_bytes = session->geometry.block_size_bytes;
	device->server_flags = session->export.flags | (job->is_read_only ? NBD_FLAG_READ_ONLY : 0);
	device->io_timeout_s = job->io_timeout_s;
	device->dead_timeout_s = job->has_dead_timeout ? job->dead_timeout_s
						       : attach_dead_timeout_default_s();
	device->identifier = job->identifier;
	return attach_connect(netlink, device, why);
}

static void format_size(uint64_t bytes, char *ret, size_t size)
{
	static const char *const units[] = {"bytes", "KiB", "MiB", "GiB", "TiB"};
	size_t unit = 0;

	while (unit + 1 < sizeof(units) / sizeof(*units) && bytes >= 1024 && bytes % 1024 == 0) {
		bytes /= 1024;
		unit++;
	}
	snprintf(ret, size, "%llu %s", (unsigned long long)bytes, units[unit]);
}

/* The names of the specification without NBD_FLAG_ and SEND_ or CAN_. */
static void format_flags(uint64_t flags, char *ret, size_t size)
{
#define FLAG_NAME(name, bit) {1u << (bit), #name},
	static const struct {
		uint32_t flag;
		const char *name;
	} names[] = {NBD_TRANSMISSION_FLAGS(FLAG_NAME)};
	size_t used = 0;

	snprintf(ret, size, " none");
	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
		const char *name = names[i].name + strlen("NBD_FLAG_");

		if (!(flags & names[i].flag) || names[i].flag == NBD_FLAG_HAS_FLAGS)
			continue;
		if (!strncmp(name, "SEND_", 5))
			name += 5;
		else if (!strncmp(name, "CAN_", 4))
			name += 4;
		used += (size_t)snprintf(ret + used, size - used, " %s", name);
	}
}

static void tell(const struct attach_job *job, const struct session *session)
{
	char size[32], flags[160], block[32] = "";

	format_size(session->geometry.size_bytes, size, sizeof(size));
	format_flags(session->device.server_flags, flags, sizeof(flags));
	if (session->geometry.block_size_bytes != 512)
		snprintf(block, sizeof(block), ", block size %u",
			 session->geometry.block_size_bytes);
	log_line("/dev/nb%u: %s from %s export \"%s\", flags%s%s", job->device_index, size,
		 session->address->text, job->target.export_name, flags, block);
	if (session->geometry.cut_bytes)
		log_line("/dev/nb%u: the last %u bytes are not a whole block of %u "
			 "and cannot be reached",
			 job->device_index, session->geometry.cut_bytes,
			 session->geometry.block_size_bytes);
}

/*
 * After the kernel has the sockets, for which it may have sized the reserve
 * itself. The card was asked for before: then they were ours to ask.
 */
static void size_reserve(const struct attach_job *job, const struct session *session,
			 char changes[RESERVE_CHANGES_BYTES])
{
	struct failure why;
	int err = session->nic_error;

	if (!reserve_buffer_bytes(job))
		return;
	if (err)
		failure_set(&why, EXIT_PERMANENT, -err, "cannot find its network card: %s",
			    strerror(-err));
	else
		err = reserve_memory(job->device_index, session->device.fd_count, &session->nic,
				     changes, &why);
	if (err)
		log_line("/dev/nb%u: swap without a larger reserve may hang this machine: %s",
			 job->device_index, why.text);
}

/*
 * What a device needs before it is used, and swapon or mount come after we
 * return. It is attached by now, so a failure here is told and no more.
 */
static void finish(const struct attach_job *job, const struct session *session,
		   char changes[RESERVE_CHANGES_BYTES])
{
	bool for_swap = job->is_swap && job->reserve == RESERVE_AUTO;
	uint32_t index = job->device_index;
	struct failure why;

	if (names_make(index, &why))
		log_line("%s; the device is /dev/nbd%u", why.text, index);
	if (reserve_queue(index, for_swap, session->export.maximum_block_bytes, changes, &why))
		log_line("%s", why.text);
}

/* The driver, and that the device is free, before a server is troubled. */
static int open_driver(uint32_t index, struct netlink *ret, struct failure *why)
{
	uint64_t pid;

	if (!check_attached(index, &pid))
		return failure_set(why, EXIT_PERMANENT, EBUSY,
				   "busy: it is attached already; -d detaches it");
	return attach_open(ret, why);
}

/* From addresses to a finished device. */
static int attach_any(const struct attach_job *job, const struct netlink *netlink)
{
	char changes[RESERVE_CHANGES_BYTES] = "";
	struct address_list addresses;
	struct session session;
	struct failure why;
	int exit_code;

	if (resolve_target(&job->target, &addresses, &why)) {
		log_line("%s", why.text);
		return why.exit_code;
	}
	exit_code = open_any(job, &addresses, &session);
	if (exit_code)
		return exit_code;
	session.nic_error = nic_of_socket(session.device.fds[0], &session.nic);
	if (hand_over(job, netlink, &session, &why)) {
		log_line("/dev/nb%u: %s", job->device_index, why.text);
		close_connections(&session);
		return why.exit_code;
	}
	size_reserve(job, &session, changes);
	close_connections(&session);
	finish(job, &session, changes);
	tell(job, &session);
	if (*changes)
		log_line("/dev/nb%u: set %s", job->device_index, changes);
	if (job->is_swap && job->reserve == RESERVE_KEEP)
		log_line("/dev/nb%u: reserve=keep: nothing was changed for swap, neither the "
			 "system nor the socket's buffers",
			 job->device_index);
	return 0;
}

int attach_run(const struct attach_job *job)
{
	struct netlink netlink;
	struct failure why;
	int exit_code;

	if (open_driver(job->device_index, &netlink, &why)) {
		log_line("/dev/nb%u: %s", job->device_index, why.text);
		return why.exit_code;
	}
	exit_code = attach_any(job, &netlink);
	close(netlink.fd);
	return exit_code;
}
