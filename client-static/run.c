/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The stages in order: a job enters, an attached device leaves. This is the one
 * place that prints what they say, for the command and for the boot alike.
 */
#include "client-static/supervise.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "common/log.h"
#include "common/nbd-proto.h"

/*
 * How often the driver looks at a request that is not answered, unless -timeout
 * says when to give it up. Only then does it send again, over a new connection,
 * what the lost one had taken: the kernel's own 30 s would stop a machine that
 * swaps for as long. Measured in docs/swap-safety.md.
 */
enum { LOOK_INTERVAL_MS = 5000 };

/* Connections to one address, all to the same export. */
struct session {
	const struct address *address;
	char identifier[ATTACH_IDENTIFIER_BYTES];
	uint32_t buffer_bytes; /* of its sockets, see reserve_buffer_bytes() */
	struct export_info export;
	struct handshake handshake; /* of the first connection */
	bool by_driver;		    /* it got the handshake, and connects again */
	struct geometry geometry;
	struct attach_device device;
	struct nic nic;
	int nic_error; /* why there is no nic */
};

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
		int err = session_connect(job, session->address, session->buffer_bytes, fd, &export,
					  why);

		if (err)
			return err;
		session->device.fd_count++;
		err = session_same_export(&session->export, session->geometry.block_size_bytes,
					  &export, why);
		if (err)
			return err;
	}
	return 0;
}

static int open_session(const struct attach_job *job, const struct address *address,
			struct session *ret, struct failure *why)
{
	int err;

	*ret = (struct session){.address = address, .buffer_bytes = reserve_buffer_bytes(job)};
	negotiate_record(&ret->handshake);
	err = session_connect(job, address, ret->buffer_bytes, &ret->device.fds[0], &ret->export,
			      why);
	negotiate_record(NULL);
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

/*
 * The driver takes a new connection of a device only from who knows the
 * identifier. One of our own for each time that a device is attached keeps a
 * supervisor that has not noticed the end of the last time from this one.
 */
static int make_identifier(const struct attach_job *job, char ret[ATTACH_IDENTIFIER_BYTES])
{
	uint64_t number;

	/* Early in the boot GRND_INSECURE keeps from waiting for entropy: it is only a name. */
	if (!job->identifier && getrandom(&number, sizeof(number), GRND_INSECURE) < 0)
		return -errno;
	if (job->identifier)
		strcpy(ret, job->identifier);
	else
		snprintf(ret, ATTACH_IDENTIFIER_BYTES, "nbd-client-%016llx",
			 (unsigned long long)number);
	return 0;
}

/*
 * Not for several connections to several servers, which know nothing of each
 * other: the driver would mix them. Nor without a time that it may take: to the
 * driver, 0 is no limit then.
 */
static bool may_driver_connect(const struct attach_job *job, const struct netlink *netlink,
			       const struct address_list *addresses, const struct session *session)
{
	return netlink->can_reconnect && job->supervision != UNSUPERVISED &&
	       session->device.dead_timeout_s > 0 && !*job->target.unix_path &&
	       !job->no_negotiation && !session->handshake.is_too_long &&
	       (session->device.fd_count == 1 || addresses->count == 1);
}

/* With the handshake, or without it when a driver counts its attributes otherwise than ours. */
static int attach_with(const struct netlink *netlink, struct session *session, struct failure *why)
{
	int err = attach_connect(netlink, &session->device, why);

	if (err == -EINVAL && session->device.handshake) {
		session->device.handshake = NULL;
		err = attach_connect(netlink, &session->device, why);
	}
	session->by_driver = !err && session->device.handshake &&
			     attach_link_state(netlink, session->device.index, 0) >= 0;
	return err;
}

static int hand_over(const struct attach_job *job, const struct netlink *netlink,
		     const struct address_list *addresses, struct session *session,
		     struct failure *why)
{
	struct attach_device *device = &session->device;
	int err = make_identifier(job, session->identifier);

	if (err)
		return failure_set(why, EXIT_PERMANENT, -err, "identifier: %s", strerror(-err));
	device->index = job->device_index;
	device->size_bytes = session->geometry.size_bytes;
	device->block_size_bytes = session->geometry.block_size_bytes;
	device->server_flags = session->export.flags | (job->is_read_only ? NBD_FLAG_READ_ONLY : 0);
	device->io_timeout_s = job->io_timeout_s;
	device->dead_timeout_s = job->has_dead_timeout ? job->dead_timeout_s
						       : attach_dead_timeout_default_s();
	device->identifier = session->identifier;
	if (may_driver_connect(job, netlink, addresses, session)) {
		device->handshake = &session->handshake;
		device->addresses = addresses;
		device->address = (uint32_t)(session->address - addresses->items);
	}
	return netlink->fd >= 0 ? attach_with(netlink, session, why) : attach_by_ioctl(device, why);
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

	if (!session->buffer_bytes)
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

static void set_look_interval(uint32_t index)
{
	char path[64], text[16];
	int err;

	snprintf(path, sizeof(path), "/sys/block/nbd%u/queue/io_timeout", index);
	snprintf(text, sizeof(text), "%d", LOOK_INTERVAL_MS);
	err = system_write(path, text);
	if (err)
		log_line("/dev/nb%u: write %s to %s: %s; after a lost connection requests may wait "
			 "30 s",
			 index, text, path, strerror(-err));
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
	if (!job->io_timeout_s)
		set_look_interval(index);
}

/* What the supervisor needs to make another connection like the first. */
static void write_recipe(const struct attach_job *job, const struct address_list *addresses,
			 const struct session *session, const struct netlink *netlink,
			 struct supervision *ret)
{
	*ret = (struct supervision){
		.version = VERSION,
		.size_bytes = sizeof(*ret),
		.job = *job,
		.addresses = *addresses,
		.export = session->export,
		.block_size_bytes = session->geometry.block_size_bytes,
		.address = (uint32_t)(session->address - addresses->items),
		.buffer_bytes = session->buffer_bytes,
		.by_driver = session->by_driver,
		.link_count = (uint32_t)session->device.fd_count,
		.netlink = *netlink,
	};
	ret->job.identifier = NULL;
	memcpy(ret->identifier, session->identifier, sizeof(ret->identifier));
	memcpy(ret->fds, session->device.fds, sizeof(ret->fds));
}

static int supervise(struct supervision *recipe)
{
	struct failure why;

	if (!launch_supervisor(recipe, &why))
		return 0;
	log_line("/dev/nb%u: %s: %s", recipe->job.device_index,
		 recipe->by_driver ? "only the driver makes a lost connection again"
				   : "a lost connection will stay lost",
		 why.text);
	return why.exit_code;
}

static int busy(struct failure *why)
{
	return failure_set(why, EXIT_PERMANENT, EBUSY,
			   "busy: it is attached already; -d detaches it");
}

/*
 * From a device of the kernel's to one that can be used. The supervisor comes
 * first: whatever waits for the device from then on, this process too, has
 * somebody who mends its connection.
 */
static int complete(const struct attach_job *job, const struct session *session,
		    struct supervision *recipe)
{
	char changes[RESERVE_CHANGES_BYTES] = "";

	if (job->supervision == SUPERVISED)
		supervise(recipe);
	size_reserve(job, session, changes);
	finish(job, session, changes);
	tell(job, session);
	if (*changes)
		log_line("/dev/nb%u: set %s", job->device_index, changes);
	if (job->is_swap && job->reserve == RESERVE_KEEP)
		log_line("/dev/nb%u: reserve=keep: nothing was changed for swap, neither the "
			 "system nor the socket's buffers",
			 job->device_index);
	return job->supervision == SUPERVISED_IN_FOREGROUND ? supervise(recipe) : 0;
}

/* From addresses to a finished device. */
static int attach_any(const struct attach_job *job, const struct netlink *netlink)
{
	struct supervision recipe;
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
	if (hand_over(job, netlink, &addresses, &session, &why)) {
		log_line("/dev/nb%u: %s", job->device_index, why.text);
		exit_code = why.exit_code;
	} else {
		write_recipe(job, &addresses, &session, netlink, &recipe);
		exit_code = complete(job, &session, &recipe);
	}
	close_connections(&session);
	return exit_code;
}

/* Also the same servers: by others a supervisor that takes over would not go. */
static bool is_same_target(const struct target *a, const struct target *b)
{
	bool same = a->port == b->port && !strcmp(a->host, b->host) &&
		    !strcmp(a->unix_path, b->unix_path) &&
		    !strcmp(a->export_name, b->export_name) && a->other_count == b->other_count;

	for (uint32_t i = 0; same && i < a->other_count; i++)
		same = a->others[i].port == b->others[i].port &&
		       !strcmp(a->others[i].host, b->others[i].host);
	return same;
}

/*
 * A device that is attached. One whose supervisor has died gets another when
 * the command line is the same; it has none of the old sockets, so it makes new
 * connections, which the driver takes when it finds the old ones dead.
 */
static int take_over(const struct attach_job *job, const struct netlink *netlink,
		     struct failure *why)
{
	struct supervision recipe;
	int err = state_read(job->device_index, &recipe);

	if (err || !is_same_target(&job->target, &recipe.job.target) ||
	    job->supervision == UNSUPERVISED)
		return busy(why);
	if (state_is_alive(&recipe))
		return failure_set(why, EXIT_PERMANENT, EBUSY,
				   "busy: it is attached already, and process %u keeps it; "
				   "-d detaches it",
				   recipe.pid);
	recipe.job.supervision = job->supervision;
	recipe.netlink = *netlink;
	for (uint32_t i = 0; i < recipe.link_count; i++)
		recipe.fds[i] = -1;
	err = attach_reconfigure(netlink, job->device_index, recipe.identifier, -1, why);
	if (err)
		return busy(why);
	log_line("/dev/nb%u: is attached, and process %u that kept it is gone: taking over",
		 job->device_index, recipe.pid);
	return launch_supervisor(&recipe, why);
}

static bool has_node(uint32_t index)
{
	char path[32];

	snprintf(path, sizeof(path), "/dev/nbd%u", index);
	return access(path, F_OK) == 0;
}

/* For a driver without netlink, or when asked for: attaches, and says aloud what that is worth. */
static int attach_old_way(const struct attach_job *job)
{
	static const struct netlink none = {.fd = -1};
	struct attach_job plain = *job;
	uint64_t pid;

	if (job->is_swap) {
		log_line("/dev/nb%u: without netlink the kernel holds no I/O when a connection is "
			 "lost: this cannot be swap-safe, and -swap is refused",
			 job->device_index);
		return EXIT_PERMANENT;
	}
	if (!check_attached(job->device_index, &pid)) {
		log_line("/dev/nb%u: busy: it is attached already; -d detaches it",
			 job->device_index);
		return EXIT_PERMANENT;
	}
	log_line("/dev/nb%u: attached by ioctl: this cannot be swap-safe: I/O fails as soon as the "
		 "connection is lost, and nobody makes it again",
		 job->device_index);
	plain.supervision = UNSUPERVISED;
	return attach_any(&plain, &none);
}

int attach_run(const struct attach_job *job)
{
	struct netlink netlink;
	struct failure why;
	uint64_t pid;
	int exit_code, err = job->by_ioctl ? 0 : attach_open(&netlink, &why);

	if (job->by_ioctl || (err == -ENOENT && has_node(job->device_index)))
		return attach_old_way(job);
	if (err) {
		log_line("/dev/nb%u: %s", job->device_index, why.text);
		return why.exit_code;
	}
	if (check_attached(job->device_index, &pid)) {
		exit_code = attach_any(job, &netlink);
	} else {
		exit_code = take_over(job, &netlink, &why) ? why.exit_code : 0;
		if (exit_code)
			log_line("/dev/nb%u: %s", job->device_index, why.text);
	}
	close(netlink.fd);
	return exit_code;
}
