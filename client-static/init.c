/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * PID 1 of the boot image. The stages in their order: the kernel's file systems
 * and the console, the boot line, modules, network, swap, root, and the
 * distribution's init in our place. A stage that is done stays done; a failed one
 * is tried again, after a delay that the console shows. Never exits: the kernel
 * would panic.
 */
#include "client-static/boot.h"
#include "common/log.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
	RETRY_MAX_S = 15,
	RETRY_PERMANENT_S = 30, /* somebody may mend the server meanwhile */
	LEASE_ATTEMPTS = 8,	/* about 75 s of waiting: then the lease is asked for anew */
};

struct boot {
	struct boot_line line;
	struct boot_identity identity;
	bool has_network, has_swap, was_rescued;
	unsigned int failures; /* since the last success */
};

static void mount_kernel_filesystems(void)
{
	static const struct {
		const char *type, *path, *data;
		unsigned long flags;
	} mounts[] = {
		{"devtmpfs", "/dev", "mode=0755", MS_NOSUID},
		{"proc", "/proc", NULL, MS_NOSUID | MS_NOEXEC | MS_NODEV},
		{"sysfs", "/sys", NULL, MS_NOSUID | MS_NOEXEC | MS_NODEV},
		{"tmpfs", "/run", "mode=0755", MS_NOSUID | MS_NODEV},
	};

	for (size_t i = 0; i < sizeof(mounts) / sizeof(mounts[0]); i++) {
		mkdir(mounts[i].path, 0755);
		if (mount(mounts[i].type, mounts[i].path, mounts[i].type, mounts[i].flags,
			  mounts[i].data) < 0 &&
		    errno != EBUSY)
			log_line("%s: mount: %s", mounts[i].path, strerror(errno));
	}
}

/* Without a console the lines go to the kernel's log, which netconsole may carry. */
static void open_console(void)
{
	int fd = open("/dev/console", O_RDWR | O_NOCTTY), log_fd;

	if (fd < 0)
		fd = open("/dev/null", O_RDWR);
	for (int i = 0; fd >= 0 && i < 3; i++)
		dup2(fd, i);
	if (fd > STDERR_FILENO)
		close(fd);
	if (isatty(STDERR_FILENO))
		return;
	log_fd = open("/dev/kmsg", O_WRONLY | O_CLOEXEC);
	if (log_fd >= 0)
		dup2(log_fd, STDERR_FILENO);
}

static int read_line(struct boot_line *ret)
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
	bool need_ipv4 = !is_ipv6(&line->root) || (line->has_swap && !is_ipv6(&line->swap));
	int r = network_up(line, need_ipv4, &boot->identity);

	if (r)
		return r;
	if (system_read("/sys/class/dmi/id/product_uuid", boot->identity.uuid,
			sizeof(boot->identity.uuid)) < 0)
		boot->identity.uuid[0] = '\0';
	for (char *c = boot->identity.uuid; *c; c++)
		*c = (char)tolower((unsigned char)*c);
	boot->has_network = true;
	return 0;
}

static int attach(const struct boot *boot, const struct target *target, uint32_t index,
		  bool is_swap)
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
		.is_swap = is_swap,
		.reserve = boot->line.opts.reserve,
	};
	if (cmdline_expand(job.target.export_name, &boot->identity, why, sizeof(why)) < 0) {
		log_line("kernel command line: %s", why);
		return EXIT_PERMANENT;
	}
	return attach_run(&job);
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
	return EXIT_PERMANENT;
}

static int start_swap(struct boot *boot)
{
	uint32_t index = boot->line.swap_index;
	char device[32];
	int r = attach(boot, &boot->line.swap, index, true);

	if (r)
		return r;
	snprintf(device, sizeof(device), "/dev/nb%u", index);
	r = swap_on(device, boot->line.opts.swap_priority);
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

static int start_root(struct boot *boot)
{
	uint32_t index = boot->line.root_index, partition = boot->line.root_partition;
	char device[32], kernel_name[32];
	int r = attach(boot, &boot->line.root, index, false);

	if (r)
		return r;
	snprintf(device, sizeof(device), "/dev/nb%u", index);
	snprintf(kernel_name, sizeof(kernel_name), "/dev/nbd%u", index);
	if (partition) {
		find_partitions(index);
		snprintf(kernel_name, sizeof(kernel_name), "/dev/nbd%up%u", index, partition);
		memcpy(device, kernel_name, sizeof(device));
	}
	r = root_mount(&boot->line, device, kernel_name);
	if (r) {
		root_unmount();
		disconnect_run(index);
	}
	return r;
}

/* Every stage that is not done; returns 0 when root is mounted, else the exit code. */
static int attempt(struct boot *boot)
{
	int r = read_line(&boot->line);

	if (r == 0 && boot->line.rescue && !boot->was_rescued) {
		boot->was_rescued = true;
		rescue_shell();
	}
	if (r == 0 && !boot->has_network)
		r = start_network(boot);
	if (r == 0)
		r = ask_dhcp(boot);
	if (r == 0 && boot->line.has_swap && !boot->has_swap)
		r = start_swap(boot);
	return r == 0 ? start_root(boot) : r;
}

/*
 * panic= of more than 0 asks for a machine that restarts rather than wait for a
 * person. Less than 0 is the kernel's "at once": nobody could read why, so the
 * boot is tried again instead.
 */
static void restart(int panic_s)
{
	rescue_wait("restarting (panic=)", panic_s);
	sync();
	reboot(RB_AUTOBOOT);
}

static void wait_after(struct boot *boot, int exit_code)
{
	unsigned int doublings = boot->failures++;

	if (exit_code == EXIT_PERMANENT) {
		if (boot->line.panic_s > 0)
			restart(boot->line.panic_s);
		rescue_wait("trying again", RETRY_PERMANENT_S);
		return;
	}
	rescue_wait("trying again", doublings < 4 ? 1 << doublings : RETRY_MAX_S);
	if (boot->failures % LEASE_ATTEMPTS == 0 && !boot->has_swap) {
		network_drop_lease();
		boot->has_network = false;
	}
}

_Noreturn void init_main(char **argv)
{
	static struct boot boot;
	int r;

	log_init("init");
	umask(022);
	mount_kernel_filesystems();
	open_console();
	rescue_init();
	modules_load();
	while ((r = attempt(&boot)))
		wait_after(&boot, r);
	root_switch(argv);
}
