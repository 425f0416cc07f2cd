/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a machine needs before it may swap over the network: memory that only
 * the way out of memory can use, and requests no larger than that. Stock
 * kernels can stop for ever without it: the send path, its retransmission timers
 * and the network card's receive ring all allocate, and with the kernel's own
 * min_free_kbytes they find nothing once every page is dirty.
 *
 * What the administrator set is never lowered (memory) or raised (requests).
 */
#include "client-static/client.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
	/*
	 * Measured under a process larger than the memory: with the kernel's
	 * default of 1 to 2 MiB guests of 96 to 256 MiB stop in every second
	 * to fifth run; with 8 MiB one of 128 MiB never did.
	 */
	RESERVE_MIN_KIB = 8192,
	/*
	 * Machines with more memory have more receive queues and larger TCP
	 * buffers on their other sockets, which all draw on the same reserve.
	 */
	RESERVE_SHARE_OF_RAM = 64,
	RESERVE_MAX_KIB = 32768,

	/* Of one request for swap; newer kernels default to ten times as much. */
	SWAP_REQUEST_MAX_KIB = 128,
};

int reserve_parse_mode(const char *text, enum reserve_mode *ret)
{
	if (strcmp(text, "auto") && strcmp(text, "keep"))
		return -EINVAL;
	*ret = *text == 'k' ? RESERVE_KEEP : RESERVE_AUTO;
	return 0;
}

uint64_t reserve_rule_kib(uint64_t ram_kib, uint64_t current_kib)
{
	uint64_t wanted_kib = ram_kib / RESERVE_SHARE_OF_RAM;

	if (wanted_kib > RESERVE_MAX_KIB)
		wanted_kib = RESERVE_MAX_KIB;
	if (wanted_kib < RESERVE_MIN_KIB)
		wanted_kib = RESERVE_MIN_KIB;
	return wanted_kib > current_kib ? wanted_kib : current_kib;
}

__attribute__((format(printf, 2, 3))) static void note(char changes[RESERVE_CHANGES_BYTES],
						       const char *format, ...)
{
	size_t used = strlen(changes);
	va_list args;

	if (used > 0 && used + 2 < RESERVE_CHANGES_BYTES) {
		strcpy(changes + used, ", ");
		used += 2;
	}
	va_start(args, format);
	vsnprintf(changes + used, RESERVE_CHANGES_BYTES - used, format, args);
	va_end(args);
}

static int read_ram_kib(uint64_t *ret)
{
	static const char label[] = "MemTotal:";
	char text[4096];
	int err = system_read("/proc/meminfo", text, sizeof(text));

	if (err)
		return err;
	if (strncmp(text, label, strlen(label)))
		return -EPROTO;
	*ret = strtoull(text + strlen(label), NULL, 10);
	return *ret ? 0 : -EPROTO;
}

int reserve_memory(char changes[RESERVE_CHANGES_BYTES], struct failure *why)
{
	static const char path[] = "/proc/sys/vm/min_free_kbytes";
	uint64_t ram_kib, current_kib, wanted_kib;
	char text[32];
	int err;

	err = read_ram_kib(&ram_kib);
	if (!err)
		err = system_read_number(path, &current_kib);
	if (err)
		return failure_set(why, EXIT_PERMANENT, -err, "read %s: %s", path, strerror(-err));
	wanted_kib = reserve_rule_kib(ram_kib, current_kib);
	if (wanted_kib == current_kib)
		return 0;
	snprintf(text, sizeof(text), "%llu", (unsigned long long)wanted_kib);
	err = system_write(path, text);
	if (err)
		return failure_set(why, EXIT_PERMANENT, -err, "write %s to %s: %s", text, path,
				   strerror(-err));
	note(changes, "vm.min_free_kbytes %llu -> %s", (unsigned long long)current_kib, text);
	return 0;
}

/* Lowers queue/NAME of the device to at most max_kib. */
static int bound(uint32_t index, const char *name, uint64_t max_kib,
		 char changes[RESERVE_CHANGES_BYTES])
{
	char path[96], text[32];
	uint64_t current_kib;
	int err;

	snprintf(path, sizeof(path), "/sys/block/nbd%u/queue/%s", index, name);
	err = system_read_number(path, &current_kib);
	if (err || current_kib <= max_kib)
		return err;
	snprintf(text, sizeof(text), "%llu", (unsigned long long)max_kib);
	err = system_write(path, text);
	if (err)
		return err;
	note(changes, "%s %llu -> %s", name, (unsigned long long)current_kib, text);
	return 0;
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
	note(changes, "scheduler %s -> none", current);
	return 0;
}

int reserve_queue(uint32_t index, bool is_swap, uint32_t maximum_block_bytes,
		  char changes[RESERVE_CHANGES_BYTES], struct failure *why)
{
	uint64_t max_kib = maximum_block_bytes ? maximum_block_bytes / 1024 : UINT64_MAX;
	int err;

	if (is_swap && max_kib > SWAP_REQUEST_MAX_KIB)
		max_kib = SWAP_REQUEST_MAX_KIB;
	err = bound(index, "max_sectors_kb", max_kib, changes);
	if (!err && is_swap)
		err = bound(index, "read_ahead_kb", SWAP_REQUEST_MAX_KIB, changes);
	if (!err && is_swap)
		err = choose_scheduler(index, changes);
	if (err)
		return failure_set(why, EXIT_PERMANENT, -err,
				   "cannot bound the requests of /dev/nbd%u: %s", index,
				   strerror(-err));
	return 0;
}
