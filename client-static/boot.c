/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The boot, from the boot line to a mounted root: network, swap, root. A stage
 * that is done stays done; after a failure the next attempt goes on where it
 * was. /init runs it as process 1, and an initramfs of another make by -boot.
 */
#include "client-static/boot.h"
#include "common/log.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum {
	RETRY_MAX_S = 15,
	RETRY_PERMANENT_S = 30, /* somebody may mend the server meanwhile */
	LEASE_ATTEMPTS = 8,	/* about 75 s of waiting: then the lease is asked for anew */
};

int boot_read_line(struct boot_line *ret)
{
	char text[BOOT_LINE_BYTES];
	char why[BOOT_WHY_BYTES];
	int r = system_read("/proc/cmdline", text, sizeof(text));

	if (r == -EMSGSIZE)
		log_line("kernel command line: longer than %d bytes", BOOT_LINE_BYTES - 1);
	else if (r < 0)
		log_line("/proc/cmdline: %s", strerror(-r));
	else if ((r = cmdline_parse(text, ret, why, sizeof(why))) < 0)
		log_line("kernel command line: %s", why);
	return r < 0 ? EXIT_PERMANENT : 0;
}

/* Every server of it is given as an IPv6 address. */
static bool is_ipv6(const struct target *target)
{
	bool all = strchr(target->host, ':') != NULL;

	for (uint32_t i = 0; i < target->other_count; i++)
		all &= strchr(target->others[i].host, ':') != NULL;
	return all;
}

static int start_network(struct boot *boot)
{
	const struct boot_line *line = &boot->line;
	bool has_upper = line->overlay.kind == OVERLAY_ON_EXPORT;
	bool need_ipv4 = !is_ipv6(&line->root) || (line->has_swap && !is_ipv6(&line->swap)) ||
			 (has_upper && !is_ipv6(&line->overlay.target));
	int r = network_up(line, need_ipv4, &boot->identity);

	if (r)
		return r;
	if (system_read("/sys/class/dmi/id/product_uuid", boot->identity.uuid,
			sizeof(boot->identity.uuid)) < 0)
		boot->identity.uuid[0] = '\0';
	if (system_read("/proc/sys/kernel/random/boot_id", boot->identity.boot_id,
			sizeof(boot->identity.boot_id)) < 0)
		boot->identity.boot_id[0] = '\0';
	for (char *c = boot->identity.uuid; *c; c++)
		*c = (char)tolower((unsigned char)*c);
	boot->has_network = true;
	return 0;
}

enum attach_use { FOR_SWAP = 1, READ_ONLY = 2 };

static int attach(const struct boot *boot, const struct target *target, uint32_t index, int use)
{
	static struct attach_job job;
	char why[BOOT_WHY_BYTES];

	job = (struct attach_job){
		.target = *target,
		.device_index = index,
		.block_size_bytes = boot->line.opts.block_size_bytes,
		.io_timeout_s = boot->line.opts.io_timeout_s,
		.dead_timeout_s = boot->line.opts.dead_timeout_s,
		.has_dead_timeout = boot->line.opts.has_dead_timeout,
		.tcp_timeout_s = boot->line.opts.tcp_timeout_s,
		.is_swap = use & FOR_SWAP,
		.is_read_only = use & READ_ONLY,
		.reserve = boot->line.opts.reserve,
	};
	if (cmdline_expand(job.target.export_name, &boot->identity, why, sizeof(why)) < 0) {
		log_line("kernel command line: %s", why);
		return EXIT_PERMANENT;
	}
	return attach_run(&job);
}

/* The next attempt asks for an address, and what DHCP says with it, anew. */
static void drop_network(struct boot *boot)
{
	if (boot->has_swap)
		return;
	network_drop_lease();
	boot->has_network = false;
}

/* The words of the line that DHCP completes. */
static int ask_dhcp(struct boot *boot)
{
	char root_path[512], next_server[64], why[BOOT_WHY_BYTES];

	if (boot->line.root_source == ROOT_ON_LINE)
		return 0;
	dhcp_root(root_path, sizeof(root_path), next_server, sizeof(next_server));
	if (cmdline_root_path(&boot->line, root_path, next_server, why, sizeof(why)) == 0)
		return 0;
	log_line("DHCP: %s", why);
	drop_network(boot);
	return EXIT_PERMANENT;
}

static int start_swap(struct boot *boot)
{
	uint32_t index = boot->line.swap_index;
	char device[32];
	int r = attach(boot, &boot->line.swap, index, FOR_SWAP);

	if (r)
		return r;
	snprintf(device, sizeof(device), "/dev/nb%u", index);
	r = swap_on(device, &boot->line.opts);
	if (r)
		disconnect_run(index);
	boot->has_swap = r == 0;
	return r;
}

/* The kernel reads the table of partitions when the device is opened. */
static void find_partitions(uint32_t index)
{
	char device[32];
	int fd;

	snprintf(device, sizeof(device), "/dev/nbd%u", index);
	fd = open(device, O_RDONLY | O_CLOEXEC);
	if (fd >= 0)
		close(fd);
}

/* Where changes of the root go, when that is an export of its own. */
static int start_upper(struct boot *boot)
{
	if (boot->line.overlay.kind != OVERLAY_ON_EXPORT)
		return 0;
	return attach(boot, &boot->line.overlay.target, BOOT_UPPER_INDEX, 0);
}

/* Which device of the attached one is the root; kernel_name may be its path. 0 or an exit code. */
static int choose_root(const struct boot *boot, char *device, char *kernel_name, size_t size)
{
	uint32_t index = boot->line.root_index, partition = boot->line.root_partition;
	const char *tag = boot->line.root_elsewhere;

	snprintf(device, size, "/dev/nb%u", index);
	snprintf(kernel_name, size, "/dev/nbd%u", index);
	if (!partition && !*tag)
		return 0;
	find_partitions(index);
	if (partition)
		snprintf(kernel_name, size, "/dev/nbd%up%u", index, partition);
	else if (root_tag_find(index, tag, kernel_name, size) < 0) {
		log_line("root=%s: neither /dev/nb%u nor a partition of it has it", tag, index);
		return EXIT_PERMANENT;
	}
	memcpy(device, kernel_name, size);
	return 0;
}

static int start_root(struct boot *boot)
{
	uint32_t index = boot->line.root_index;
	bool has_upper = boot->line.overlay.kind == OVERLAY_ON_EXPORT;
	char device[32], kernel_name[32];
	int r = attach(boot, &boot->line.root, index, boot->line.overlay.kind ? READ_ONLY : 0);

	if (r || (boot->leaves_elsewhere && *boot->line.root_elsewhere))
		return r;
	r = start_upper(boot);
	if (r)
		goto err_root;
	r = choose_root(boot, device, kernel_name, sizeof(device));
	if (r == 0)
		r = root_mount(&boot->line, device, kernel_name, boot->mount_point);
	if (r == 0)
		return 0;
	root_unmount();
	if (has_upper)
		disconnect_run(BOOT_UPPER_INDEX);
err_root:
	disconnect_run(index);
	return r;
}

int boot_attempt(struct boot *boot)
{
	int r = 0;

	if (!boot->has_network)
		r = start_network(boot);
	if (r == 0)
		r = ask_dhcp(boot);
	if (r == 0 && boot->line.has_swap && !boot->has_swap)
		r = start_swap(boot);
	return r == 0 ? start_root(boot) : r;
}

int boot_delay_s(struct boot *boot, int exit_code)
{
	unsigned int doublings = boot->failures++;

	if (exit_code == EXIT_PERMANENT)
		return RETRY_PERMANENT_S;
	if (boot->failures % LEASE_ATTEMPTS == 0)
		drop_network(boot);
	return doublings < 4 ? 1 << doublings : RETRY_MAX_S;
}
