/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Boot stage 6: from an attached device to the distribution's init. root_mount()
 * finds everything that can be wrong with the image while the boot can still be
 * tried again; root_switch() is the step without return, with the semantics of
 * switch_root(8).
 */
#include "client-static/boot.h"
#include "common/log.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <linux/magic.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <unistd.h>

enum { RETRY_EXEC_S = 30 };

static const char *mounted_at; /* where root_mount() mounted it */
static char init_path[256];    /* as seen from the new root */

/* Takes out of rootflags what is the VFS's; the rest is the file system's own. */
static unsigned long split_flags(const char *flags, char *ret_data, size_t size)
{
	static const struct {
		const char *name;
		unsigned long flag;
	} vfs[] = {
		{"noatime", MS_NOATIME},  {"relatime", MS_RELATIME}, {"nodiratime", MS_NODIRATIME},
		{"nodev", MS_NODEV},	  {"nosuid", MS_NOSUID},     {"noexec", MS_NOEXEC},
		{"sync", MS_SYNCHRONOUS}, {"ro", MS_RDONLY},	     {"rw", 0},
	};
	char text[256], *rest = text, *word;
	unsigned long found = 0;
	size_t used = 0, i;

	*ret_data = '\0';
	snprintf(text, sizeof(text), "%s", flags);
	while ((word = strsep(&rest, ","))) {
		for (i = 0; i < sizeof(vfs) / sizeof(vfs[0]); i++)
			if (strcmp(word, vfs[i].name) == 0)
				break;
		if (i < sizeof(vfs) / sizeof(vfs[0]))
			found |= vfs[i].flag;
		else if (*word)
			used += (size_t)snprintf(ret_data + used, size - used, "%s%s",
						 used ? "," : "", word);
	}
	return found;
}

int root_inspect(const char *device, struct filesystem *ret)
{
	int fd = open(device, O_RDONLY | O_CLOEXEC), r;
	uint64_t size_bytes = 0;

	if (fd < 0 || ioctl(fd, BLKGETSIZE64, &size_bytes) < 0)
		r = -errno;
	else
		r = filesystem_probe(fd, ret);
	if (fd >= 0)
		close(fd);
	if (r < 0) {
		log_line("%s: root: cannot read it: %s", device, strerror(-r));
		return EXIT_TEMPORARY;
	}
	if (ret->size_bytes > size_bytes) {
		log_line("%s: root: the image is truncated: its %s wants %llu bytes, the export "
			 "has %llu",
			 device, ret->name, (unsigned long long)ret->size_bytes,
			 (unsigned long long)size_bytes);
		return EXIT_PERMANENT;
	}
	return 0;
}

/* Tries each of a list of types; -ENODEV when the kernel has none of them. */
static int mount_as(const char *types, char separator, const char *device, const char *where,
		    unsigned long flags, const char *data)
{
	const char separators[] = {separator, '\0'};
	char text[2048], *rest = text, *type;
	int r = -ENODEV;

	snprintf(text, sizeof(text), "%s", types);
	while ((type = strsep(&rest, separators))) {
		if (strncmp(type, "nodev", 5) == 0)
			continue;
		type += strspn(type, "\t ");
		if (!*type)
			continue;
		if (mount(device, where, type, flags, data) == 0)
			return 0;
		if (r == -ENODEV || errno != ENODEV)
			r = -errno;
	}
	return r;
}

static int mount_device(const struct boot_line *line, const char *device, const char *where,
			const char *found)
{
	unsigned long flags = line->root_rw && !line->overlay.kind ? 0 : MS_RDONLY;
	char types[2048], data[sizeof(line->root_flags)];
	int r;

	flags |= split_flags(line->root_flags, data, sizeof(data));
	if (line->root_fstype[0])
		return mount_as(line->root_fstype, ',', device, where, flags, data);
	if (found && strcmp(found, "ext4") == 0) /* ext2 and ext3 have the same superblock */
		return mount_as("ext4,ext2", ',', device, where, flags, data);
	if (found)
		return mount_as(found, ',', device, where, flags, data);
	r = system_read("/proc/filesystems", types, sizeof(types));
	return r < 0 ? r : mount_as(types, '\n', device, where, flags, data);
}

static const char *mount_hint(int error, const char *type)
{
	switch (error) {
	case -ENODEV:
		return "this kernel has no such file system";
	case -EROFS:
	case -EACCES:
		return "the export is read-only: write ro, or make it writable";
	case -EINVAL:
		return type ? "is rootflags= right?"
			    : "no known file system; is it an image of a disk?";
	default:
		return "see the kernel's lines above";
	}
}

/* Is path, seen from the new root, a program? Links are followed inside that root. */
static int check_program(const char *path)
{
	struct open_how how = {.flags = O_PATH | O_CLOEXEC, .resolve = RESOLVE_IN_ROOT};
	int root_fd = open(mounted_at, O_PATH | O_DIRECTORY | O_CLOEXEC), fd, r = 0;
	struct stat file;

	if (root_fd < 0)
		return -errno;
	fd = (int)syscall(SYS_openat2, root_fd, path, &how, sizeof(how));
	if (fd < 0 || fstat(fd, &file) < 0)
		r = -errno;
	else if (!S_ISREG(file.st_mode) || !(file.st_mode & 0111))
		r = -EACCES;
	if (fd >= 0)
		close(fd);
	close(root_fd);
	return r;
}

/* As kernel_init() in the kernel's init/main.c: init= alone, or the first of the list. */
static int find_init(const struct boot_line *line)
{
	static const char *const list[] = {"/sbin/init", "/etc/init", "/bin/init", "/bin/sh"};

	if (line->init[0]) {
		int r = check_program(line->init);

		if (r < 0)
			log_line("init=%s: %s in the root", line->init,
				 r == -EACCES ? "is no program" : strerror(-r));
		else
			memcpy(init_path, line->init, sizeof(line->init));
		return r < 0 ? EXIT_PERMANENT : 0;
	}
	for (size_t i = 0; i < sizeof(list) / sizeof(list[0]); i++)
		if (check_program(list[i]) == 0) {
			snprintf(init_path, sizeof(init_path), "%s", list[i]);
			return 0;
		}
	log_line("root: holds no /sbin/init, /etc/init, /bin/init or /bin/sh; name one by init=");
	return EXIT_PERMANENT;
}

static const char *mode_name(const struct boot_line *line)
{
	if (line->overlay.kind == OVERLAY_IN_MEMORY)
		return "ro, changes in memory";
	if (line->overlay.kind == OVERLAY_ON_EXPORT)
		return "ro, changes on /dev/nb2";
	return line->root_rw ? "rw" : "ro";
}

int root_mount(const struct boot_line *line, const char *device, const char *kernel_name,
	       const char *mount_point)
{
	struct filesystem found = {0};
	const char *type;
	const char *where = line->overlay.kind ? OVERLAY_LOWER : mount_point;
	int r = root_inspect(device, &found);

	if (r)
		return r;
	mounted_at = mount_point;
	if (mkdir(mounted_at, 0700) < 0 && errno != EEXIST) {
		log_line("%s: %s", mounted_at, strerror(errno));
		return EXIT_PERMANENT;
	}
	type = line->root_fstype[0] ? line->root_fstype : found.name;
	if (line->overlay.kind)
		r = overlay_prepare();
	if (r)
		return r;
	r = mount_device(line, kernel_name, where, found.name);
	if (r < 0) {
		log_line("%s: root: mount as %s: %s (%s)", device, type ? type : "any file system",
			 strerror(-r), mount_hint(r, type));
		return r == -EIO ? EXIT_TEMPORARY : EXIT_PERMANENT;
	}
	if (line->overlay.kind)
		r = overlay_mount(&line->overlay, "/dev/nbd2", mount_point);
	if (r == 0)
		r = find_init(line);
	if (r == 0)
		log_line("%s: root, %s, %s; starting %s", device, type ? type : "found by trying",
			 mode_name(line), init_path);
	return r;
}

void root_unmount(void)
{
	if (mounted_at)
		umount2(mounted_at, 0); /* EINVAL: the failure was before the mount */
	overlay_unmount();
}

struct image {
	dev_t device; /* what to stay on */
};

/* Removes an entry of the image, with what is below it; mounts are left alone. */
static int remove_entry(int dir_fd, const char *name, void *data)
{
	const struct image *image = data;
	struct stat entry;
	int fd;

	if (fstatat(dir_fd, name, &entry, AT_SYMLINK_NOFOLLOW) < 0 || entry.st_dev != image->device)
		return 0;
	if (!S_ISDIR(entry.st_mode)) {
		unlinkat(dir_fd, name, 0);
		return 0;
	}
	fd = openat(dir_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd >= 0) {
		directory_each(fd, remove_entry, data);
		close(fd);
	}
	unlinkat(dir_fd, name, AT_REMOVEDIR);
	return 0;
}

/* Frees the memory of the image, when it is one: never the files of a disk. */
static void free_image(void)
{
	struct image image;
	struct statfs filesystem;
	struct stat root;
	int fd = open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0)
		return;
	if (fstatfs(fd, &filesystem) == 0 && fstat(fd, &root) == 0 &&
	    (filesystem.f_type == (long)RAMFS_MAGIC || filesystem.f_type == (long)TMPFS_MAGIC)) {
		image.device = root.st_dev;
		directory_each(fd, remove_entry, &image);
	}
	close(fd);
}

static void move_mount(const char *from)
{
	char to[64];

	snprintf(to, sizeof(to), "%s%s", mounted_at, from);
	if (mount(from, to, NULL, MS_MOVE, NULL) == 0)
		return;
	log_line("%s: cannot move to %s: %s", from, to, strerror(errno));
	umount2(from, MNT_DETACH);
}

_Noreturn void root_switch(const struct boot_line *line, char **argv)
{
	release_prepare(mounted_at, line->has_swap);
	move_mount("/dev");
	move_mount("/proc");
	move_mount("/sys");
	move_mount("/run");
	free_image();
	if (chdir(mounted_at) < 0 || mount(".", "/", NULL, MS_MOVE, NULL) < 0 || chroot(".") < 0 ||
	    chdir("/") < 0)
		log_line("root: cannot change to it: %s", strerror(errno));
	argv[0] = init_path;
	for (;;) {
		execve(init_path, argv, environ);
		log_line("%s: cannot execute: %s%s", init_path, strerror(errno),
			 errno == ENOENT ? " (its interpreter)" : "");
		rescue_wait("trying again", RETRY_EXEC_S);
	}
}
