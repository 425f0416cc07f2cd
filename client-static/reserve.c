/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a machine needs before it may swap over the network: memory that only
 * the way out of memory can use, and connections and requests that cannot take
 * more of it than there is. A stock kernel bounds neither, and can stop for ever.
 * The rule is derived in docs/swap-safety.md.
 *
 * What the administrator set is never lowered (memory) or raised (requests).
 */
#include "client-static/client.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
	/* Of one request for swap; newer kernels default to ten times as much. */
	SWAP_REQUEST_MAX_KIB = 128,
	/* vm.page-cluster is a power of 2 of pages: one request. */
	PAGE_CLUSTER_MAX = 5,
	/* The kernel's own: nobody has chosen it. */
	BOOST_FACTOR_DEFAULT = 15000,

	/* Zones of high memory have up to 512 KiB that min_free_kbytes does not count. */
	OWN_RESERVE_MIN_KIB = 1024,

	DEVICES_MAX = 256,
};

int reserve_parse_mode(const char *text, enum reserve_mode *ret)
{
	if (strcmp(text, "auto") && strcmp(text, "keep"))
		return -EINVAL;
	*ret = *text == 'k' ? RESERVE_KEEP : RESERVE_AUTO;
	return 0;
}

__attribute__((format(printf, 2, 3))) static void append(char changes[RESERVE_CHANGES_BYTES],
							 const char *format, ...)
{
	size_t used = strlen(changes);
	va_list args;

	va_start(args, format);
	vsnprintf(changes + used, RESERVE_CHANGES_BYTES - used, format, args);
	va_end(args);
}

static void append_change(char changes[RESERVE_CHANGES_BYTES], const char *name, uint64_t from,
			  uint64_t to)
{
	append(changes, "%s%s %llu -> %llu", *changes ? ", " : "", name, (unsigned long long)from,
	       (unsigned long long)to);
}

static int read_ram_kib(uint64_t *ret)
{
	int err = system_memory_kib("MemTotal", ret);

	return err || *ret ? err : -EPROTO;
}

bool reserve_is_swap_on(const char *path, uint32_t first, uint32_t last)
{
	char slave[128];
	unsigned long index;

	if (!strncmp(path, "/dev/nb", strlen("/dev/nb"))) {
		index = strtoul(path + strcspn(path, "0123456789"), NULL, 10);
		return first <= index && index <= last;
	}
	if (strncmp(path, "/dev/dm-", strlen("/dev/dm-")))
		return false;
	for (; first <= last; first++) {
		snprintf(slave, sizeof(slave), "%s/sys/block/%.16s/slaves/nbd%u", system_root,
			 path + strlen("/dev/"), first);
		if (!access(slave, F_OK))
			return true;
	}
	return false;
}

/* An unreadable list counts as none: then -swap is what tells. */
bool reserve_swaps_to(uint32_t first, uint32_t last)
{
	char text[8192], *rest = text, *row;

	if (system_read("/proc/swaps", text, sizeof(text)))
		return false;
	while ((row = strsep(&rest, "\n"))) {
		row[strcspn(row, " \t")] = '\0';
		if (reserve_is_swap_on(row, first, last))
			return true;
	}
	return false;
}

uint32_t reserve_buffer_bytes(const struct attach_job *job)
{
	uint64_t ram_kib;

	if (job->reserve == RESERVE_KEEP ||
	    (!job->is_swap && !reserve_swaps_to(0, DEVICES_MAX - 1)))
		return 0;
	if (read_ram_kib(&ram_kib))
		ram_kib = 0;
	return (uint32_t)reserve_rule_buffer_kib(ram_kib) * 1024;
}

/* The third of the three numbers of net.ipv4.tcp_wmem or tcp_rmem: how far TCP lets a buffer grow.
 */
static int read_tcp_limit_kib(const char *path, uint64_t *ret)
{
	char text[96], *end = text;
	int err = system_read(path, text, sizeof(text));

	if (err)
		return err;
	for (int i = 0; i < 3; i++)
		*ret = strtoull(end, &end, 10);
	*ret = (*ret + 1023) / 1024;
	return *ret ? 0 : -EPROTO;
}

/* The connections of a device: each has a hardware queue. */
static uint32_t count_connections(uint32_t index)
{
	uint32_t count = 0;
	char path[128];

	do {
		snprintf(path, sizeof(path), "%s/sys/block/nbd%u/mq/%u", system_root, index, count);
	} while (!access(path, F_OK) && ++count < CONNECTIONS_MAX);
	return count ? count : 1;
}

/*
 * What is attached already. The buffers of a connection cannot be asked for, but
 * this process knows what it attached itself.
 */
static void count_others(uint32_t index, struct reserve_needs *needs)
{
	for (uint32_t other = 0; other < DEVICES_MAX; other++) {
		uint64_t pid;

		if (other == index || check_attached(other, &pid))
			continue;
		if (pid == (uint64_t)getpid())
			needs->bounded += count_connections(other);
		else
			needs->unbounded += count_connections(other);
	}
}

static int measure(uint32_t index, size_t connections, const struct nic *nic,
		   struct reserve_needs *ret)
{
	long cpus = sysconf(_SC_NPROCESSORS_ONLN);
	int err;

	*ret = (struct reserve_needs){
		.nic = *nic,
		.cpus = cpus > 0 ? (uint32_t)cpus : 1,
		.bounded = (uint32_t)connections,
	};
	err = read_ram_kib(&ret->ram_kib);
	if (err)
		return err;
	count_others(index, ret);
	if (!ret->unbounded)
		return 0;
	err = read_tcp_limit_kib("/proc/sys/net/ipv4/tcp_wmem", &ret->unbounded_send_kib);
	return err ? err
		   : read_tcp_limit_kib("/proc/sys/net/ipv4/tcp_rmem", &ret->unbounded_receive_kib);
}

/* From what the size follows. */
static void append_needs(const struct reserve_needs *needs, char changes[RESERVE_CHANGES_BYTES])
{
	const struct nic *nic = &needs->nic;

	append(changes, " (connections %u", needs->bounded + needs->unbounded);
	if (needs->unbounded)
		append(changes, ", %u of them unbounded", needs->unbounded);
	if (nic->mtu_bytes)
		append(changes, "; %s: MTU %u, receive ring %u%s", nic->name, nic->mtu_bytes,
		       nic->rx_ring * nic->rx_queues,
		       nic->has_scatter_gather ? "" : ", no scatter-gather");
	append(changes, reserve_rule_is_capped(needs) ? "; as much as this memory allows)" : ")");
}

static int change(const char *path, const char *name, uint64_t from, uint64_t to,
		  char changes[RESERVE_CHANGES_BYTES])
{
	char text[32];
	int err;

	snprintf(text, sizeof(text), "%llu", (unsigned long long)to);
	err = system_write(path, text);
	if (!err)
		append_change(changes, name, from, to);
	return err;
}

/* One character of /proc/zoneinfo, where a line "  min  N" has the watermark of a zone in pages. */
struct watermarks {
	size_t matched; /* characters of the label that this line began with */
	uint64_t zone_pages, pages;
};

static void take_character(struct watermarks *watermarks, char c)
{
	static const char label[] = "min";
	size_t end = strlen(label);

	if (c == '\n') {
		watermarks->pages += watermarks->zone_pages;
		watermarks->zone_pages = watermarks->matched = 0;
	} else if (watermarks->matched == end && c >= '0' && c <= '9') {
		watermarks->zone_pages = watermarks->zone_pages * 10 + (uint64_t)(c - '0');
	} else if (watermarks->matched < end && c == label[watermarks->matched]) {
		watermarks->matched++;
	} else if (c != ' ') {
		watermarks->matched = end + 1;
	}
}

/* The min watermarks of all zones together. The file is long on a large machine. */
static int read_watermarks_kib(uint64_t *ret)
{
	struct watermarks watermarks = {0};
	char path[128], chunk[1024];
	ssize_t length;
	int fd, err = 0;

	snprintf(path, sizeof(path), "%s/proc/zoneinfo", system_root);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	while ((length = read(fd, chunk, sizeof(chunk))) > 0)
		for (ssize_t i = 0; i < length; i++)
			take_character(&watermarks, chunk[i]);
	if (length < 0)
		err = -errno;
	close(fd);
	*ret = watermarks.pages * (uint64_t)sysconf(_SC_PAGESIZE) / 1024;
	return err;
}

/* A kernel with our patches adds to the watermarks what its nbd connections can hold. */
static bool is_sized_by_kernel(uint64_t min_free_kib)
{
	uint64_t watermarks_kib;

	return !read_watermarks_kib(&watermarks_kib) &&
	       watermarks_kib >= min_free_kib + OWN_RESERVE_MIN_KIB;
}

static int raise_min_free(const struct reserve_needs *needs, char changes[RESERVE_CHANGES_BYTES])
{
	static const char path[] = "/proc/sys/vm/min_free_kbytes";
	uint64_t wanted_kib = reserve_rule_kib(needs), current_kib;
	int err = system_read_number(path, &current_kib);

	if (err || wanted_kib <= current_kib || is_sized_by_kernel(current_kib))
		return err;
	err = change(path, "vm.min_free_kbytes", current_kib, wanted_kib, changes);
	if (!err)
		append_needs(needs, changes);
	return err;
}

int reserve_inspect(const struct nic *nic, struct reserve_found *ret)
{
	struct reserve_needs needs;
	int err = measure(DEVICES_MAX, 0, nic, &needs);

	if (!err)
		err = system_read_number("/proc/sys/vm/min_free_kbytes", &ret->min_free_kib);
	if (err)
		return err;
	needs.bounded += needs.unbounded;
	needs.unbounded = 0;
	ret->ram_kib = needs.ram_kib;
	if (!needs.bounded)
		needs.bounded = 1;
	ret->connections = needs.bounded;
	ret->needed_kib = reserve_rule_kib(&needs);
	ret->is_capped = reserve_rule_is_capped(&needs);
	ret->is_by_kernel = is_sized_by_kernel(ret->min_free_kib);
	return 0;
}

/* Lowers the number at path to at most max. */
static int bound(const char *path, const char *name, uint64_t max,
		 char changes[RESERVE_CHANGES_BYTES])
{
	uint64_t current;
	int err = system_read_number(path, &current);

	return err || current <= max ? err : change(path, name, current, max, changes);
}

/*
 * A boost raises the watermarks for a while by up to half, at least by a page
 * block of 2 MiB, on top of the reserve: a process can be killed for want of it.
 */
static int stop_boost(char changes[RESERVE_CHANGES_BYTES])
{
	static const char path[] = "/proc/sys/vm/watermark_boost_factor";
	uint64_t current;
	int err = system_read_number(path, &current);

	if (err == -ENOENT) /* before Linux 5.0 there is none */
		return 0;
	if (err || current != BOOST_FACTOR_DEFAULT)
		return err;
	return change(path, "vm.watermark_boost_factor", current, 0, changes);
}

int reserve_memory(uint32_t index, size_t connections, const struct nic *nic,
		   char changes[RESERVE_CHANGES_BYTES], struct failure *why)
{
	struct reserve_needs needs;
	int err = measure(index, connections, nic, &needs);

	if (!err)
		err = raise_min_free(&needs, changes);
	if (!err)
		err = bound("/proc/sys/vm/page-cluster", "vm.page-cluster", PAGE_CLUSTER_MAX,
			    changes);
	if (!err)
		err = stop_boost(changes);
	if (err)
		return failure_set(why, EXIT_PERMANENT, -err,
				   "cannot size vm.min_free_kbytes and what belongs to it: %s",
				   strerror(-err));
	return 0;
}

static int bound_queue(uint32_t index, const char *name, uint64_t max_kib,
		       char changes[RESERVE_CHANGES_BYTES])
{
	char path[96];

	snprintf(path, sizeof(path), "/sys/block/nbd%u/queue/%s", index, name);
	return bound(path, name, max_kib, changes);
}

/*
 * Schedulers that allocate for each request have no place between memory and
 * its reserve. mq-deadline does not, and on 6.1 it is what keeps
 * sending out of the hands of tasks that a signal can interrupt half-way.
 */
static int choose_scheduler(uint32_t index, char changes[RESERVE_CHANGES_BYTES])
{
	char path[96], text[128], *current, *end;
	int err;

	snprintf(path, sizeof(path), "/sys/block/nbd%u/queue/scheduler", index);
	err = system_read(path, text, sizeof(text));
	if (err)
		return err;
	current = strchr(text, '[');
	end = current ? strchr(current, ']') : NULL;
	if (!end)
		return 0;
	*end = '\0';
	current++;
	if (!strcmp(current, "none") || !strcmp(current, "mq-deadline"))
		return 0;
	err = system_write(path, "none");
	if (err)
		return err;
	append(changes, "%sscheduler %s -> none", *changes ? ", " : "", current);
	return 0;
}

int reserve_queue(uint32_t index, bool is_swap, uint32_t maximum_block_bytes,
		  char changes[RESERVE_CHANGES_BYTES], struct failure *why)
{
	uint64_t max_kib = maximum_block_bytes ? maximum_block_bytes / 1024 : UINT64_MAX;
	int err;

	if (is_swap && max_kib > SWAP_REQUEST_MAX_KIB)
		max_kib = SWAP_REQUEST_MAX_KIB;
	err = bound_queue(index, "max_sectors_kb", max_kib, changes);
	if (!err && is_swap)
		err = bound_queue(index, "read_ahead_kb", SWAP_REQUEST_MAX_KIB, changes);
	if (!err && is_swap)
		err = choose_scheduler(index, changes);
	if (err)
		return failure_set(why, EXIT_PERMANENT, -err,
				   "cannot bound the requests of /dev/nbd%u: %s", index,
				   strerror(-err));
	return 0;
}
