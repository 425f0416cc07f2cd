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

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/stat.h>
#include <unistd.h>

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
	if (exit_code == EXIT_PERMANENT && boot->line.panic_s > 0)
		restart(boot->line.panic_s);
	rescue_wait("trying again", boot_delay_s(boot, exit_code));
}

static int attempt(struct boot *boot)
{
	int r = boot_read_line(&boot->line);

	if (r == 0 && *boot->line.root_elsewhere == '/') {
		log_line("root=%s: this image knows NBD devices alone: write root=/dev/nbd0p1 or "
			 "root=LABEL=NAME, or boot an image of dracut",
			 boot->line.root_elsewhere);
		return EXIT_PERMANENT;
	}
	if (r == 0 && boot->line.rescue && !boot->was_rescued) {
		boot->was_rescued = true;
		rescue_shell();
	}
	return r == 0 ? boot_attempt(boot) : r;
}

_Noreturn void init_main(char **argv)
{
	struct boot boot = {.mount_point = "/root"};
	int r;

	log_init("init");
	umask(022);
	mount_kernel_filesystems();
	open_console();
	rescue_init();
	modules_load();
	while ((r = attempt(&boot)))
		wait_after(&boot, r);
	root_switch(&boot.line, argv);
}
