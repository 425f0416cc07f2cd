/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The last stage of a machine: from file systems and swap that nobody uses any
 * more to devices that are flushed and detached, so that the server hears an end
 * and not a silence. The program runs from memory and locked, because what it
 * gives up is where programs come from.
 */
#include "client-static/boot.h"
#include "common/log.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/swap.h>
#include <unistd.h>

#define OLD_ROOT       "/oldroot"
#define SHUTDOWN_DIR   "/run/initramfs"
#define UNMOUNT_PASSES 8

enum { TABLE_BYTES = 64 << 10, MOUNTS_MAX = 512 };

/* The device NAME, of which so much is in use. */
static void swap_off(const char *name, uint64_t used_kib)
{
	uint64_t free_kib = 0;
	char path[32];

	system_memory_kib("MemAvailable", &free_kib);
	/* swapoff reads everything back: with too little memory it would end processes for it. */
	if (used_kib >= free_kib) {
		log_line("/dev/%s: swap is left on: %llu KiB are in use, and %llu KiB of memory "
			 "are free",
			 name, (unsigned long long)used_kib, (unsigned long long)free_kib);
		return;
	}
	snprintf(path, sizeof(path), "/dev/%.20s", name);
	if (swapoff(path) < 0)
		log_line("%s: swapoff: %s", path, strerror(errno));
	else if (swap_crypt_is(name))
		swap_crypt_close();
}

/* Rows of /proc/swaps: path, type, size, used, priority; the path is seen from the old root. */
static void swap_off_all(void)
{
	char text[4096], *rest = text, *row;

	if (system_read("/proc/swaps", text, sizeof(text)) < 0)
		return;
	while ((row = strsep(&rest, "\n"))) {
		unsigned long long used_kib;
		struct failure why;
		uint32_t index;
		char path[256], *name;

		if (sscanf(row, "%255s %*s %*u %llu", path, &used_kib) != 2)
			continue;
		name = strrchr(path, '/');
		if (name && (names_parse(name + 1, &index, &why) == 0 || swap_crypt_is(name + 1)))
			swap_off(name + 1, used_kib);
	}
}

/* What is written reaches the disk of the server before it hears the end. */
static int flush(uint32_t index, int flags)
{
	char path[32];
	int fd, r = 0;

	snprintf(path, sizeof(path), "/dev/nbd%u", index);
	fd = open(path, O_RDWR | O_CLOEXEC | flags);
	if (fd < 0 && (errno == EROFS || errno == EACCES))
		fd = open(path, O_RDONLY | O_CLOEXEC | flags);
	if (fd < 0)
		return -errno;
	if (fsync(fd) < 0)
		r = -errno;
	close(fd);
	return r;
}

struct release {
	bool is_last; /* nobody is left who would miss a device that is in use */
	int exit_code;
};

static int release_device(int dir_fd, const char *name, void *data)
{
	struct release *release = data;
	struct failure why;
	uint32_t index;
	uint64_t pid;
	int r;

	(void)dir_fd;
	if (names_parse(name, &index, &why) < 0 || check_attached(index, &pid) < 0)
		return 0;
	r = flush(index, O_EXCL);
	if (r == -EBUSY && release->is_last) {
		log_line("/dev/nb%u: is still in use at the end", index);
		r = flush(index, 0);
	}
	if (r < 0) {
		log_line("/dev/nb%u: stays attached: %s", index,
			 r == -EBUSY ? "it is in use" : strerror(-r));
		release->exit_code = EXIT_TEMPORARY;
		return 0;
	}
	disconnect_run(index);
	return 0;
}

static int release_devices(bool is_last)
{
	struct release release = {.is_last = is_last};
	int fd = open("/sys/block", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0)
		return 0;
	swap_off_all();
	directory_each(fd, release_device, &release);
	close(fd);
	return release.exit_code;
}

int release_all(void)
{
	return release_devices(false);
}

/* Mount points of mountinfo below the old root, in the order of the table; the count. */
static int find_mounts(char *table, char *ret[MOUNTS_MAX])
{
	char *rest = table, *row;
	int count = 0;

	while (count < MOUNTS_MAX && (row = strsep(&rest, "\n"))) {
		char *point = row;

		for (int field = 0; point && field < 4; field++)
			point = strchr(point, ' ') ? strchr(point, ' ') + 1 : NULL;
		if (!point || strncmp(point, OLD_ROOT, strlen(OLD_ROOT)) != 0)
			continue;
		point[strcspn(point, " ")] = '\0';
		ret[count++] = point;
	}
	return count;
}

/* The mounts of these hold no data; a supervisor has a file of the first in use. */
static bool is_of_kernel(const char *point)
{
	static const char *const names[] = {"/run", "/dev", "/proc", "/sys"};

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (strcmp(point + strlen(OLD_ROOT), names[i]) == 0)
			return true;
	return false;
}

/* The last mount first. True when nothing is left, or nothing more can be unmounted. */
static bool unmount_pass(void)
{
	char table[TABLE_BYTES];
	char *points[MOUNTS_MAX];
	int count, unmounted = 0;

	if (system_read("/proc/self/mountinfo", table, sizeof(table)) < 0)
		return true;
	count = find_mounts(table, points);
	for (int i = count - 1; i >= 0; i--) {
		int flags = UMOUNT_NOFOLLOW | (is_of_kernel(points[i]) ? MNT_DETACH : 0);

		if (umount2(points[i], flags) == 0)
			unmounted++;
		else if (mount(NULL, points[i], NULL, MS_REMOUNT | MS_RDONLY, NULL) < 0)
			log_line("%s: neither unmounted nor read-only: %s", points[i],
				 strerror(errno));
	}
	return unmounted == 0 || unmounted == count;
}

static int way_to_end(const char *verb)
{
	if (!strcmp(verb, "poweroff"))
		return RB_POWER_OFF;
	if (!strcmp(verb, "halt"))
		return RB_HALT_SYSTEM;
	if (!strcmp(verb, "kexec"))
		return RB_KEXEC;
	return RB_AUTOBOOT;
}

_Noreturn void initramfs_shutdown(int argc, char **argv)
{
	log_init("shutdown");
	if (mlockall(MCL_CURRENT | MCL_FUTURE) < 0)
		log_line("mlockall: %s", strerror(errno));
	for (int i = 0; i < UNMOUNT_PASSES && !unmount_pass(); i++)
		;
	sync();
	release_devices(true);
	reboot(way_to_end(argc > 1 ? argv[1] : ""));
	reboot(RB_AUTOBOOT);
	for (;;)
		pause();
}

static int copy_program(const char *path)
{
	int from = open("/proc/self/exe", O_RDONLY | O_CLOEXEC), to, err = 0;
	ssize_t n;

	if (from < 0)
		return -errno;
	to = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0755);
	if (to < 0) {
		err = -errno;
		goto out;
	}
	do
		n = sendfile(to, from, NULL, 1 << 20);
	while (n > 0);
	err = n < 0 ? -errno : 0;
	close(to);
	if (err < 0)
		unlink(path);
out:
	close(from);
	return err;
}

/* A /run that dracut has mounted may be one from which nothing is executed. */
static int allow_programs(const char *folder)
{
	struct statvfs filesystem;

	if (statvfs(folder, &filesystem) < 0)
		return -errno;
	if (!(filesystem.f_flag & ST_NOEXEC))
		return 0;
	if (mount(folder, folder, NULL, MS_BIND, NULL) < 0 ||
	    mount(NULL, folder, NULL, MS_REMOUNT | MS_BIND | MS_NOSUID | MS_NODEV, NULL) < 0)
		return -errno;
	return 0;
}

void release_prepare(const char *root, bool has_swap)
{
	char path[64];
	int err;

	snprintf(path, sizeof(path), "%.30s/lib/systemd/systemd-shutdown", root ? root : "");
	if (root && access(path, F_OK) < 0) /* the only one that looks for it */
		return;
	if (mkdir(SHUTDOWN_DIR, 0755) < 0 && errno != EEXIST)
		err = -errno;
	else
		err = copy_program(SHUTDOWN_PROGRAM);
	if (!err && has_swap)
		err = allow_programs(SHUTDOWN_DIR);
	if (err < 0)
		log_line(SHUTDOWN_PROGRAM ": %s; at its end the machine will not tell the server",
			 strerror(-err));
	else if (has_swap)
		swap_keep_prepare();
}
