// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Files of one machine each: opening with a lock, so that no second server and no
 * command touches what a machine uses, listing, removing and ageing.
 */
#include "server/machine-file.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/log.h"
#include "server/export.h"

static int failed(char *why, size_t why_size, const char *name, const char *what, int error)
{
	snprintf(why, why_size, "%s: %s: %s", name, what, strerror(error));
	return -error;
}

/* The file that was opened may have been removed before it was locked. */
static bool is_still_there(int folder_fd, const char *name, int fd)
{
	struct stat named, opened;

	return fstatat(folder_fd, name, &named, AT_SYMLINK_NOFOLLOW) == 0 &&
	       fstat(fd, &opened) == 0 && named.st_dev == opened.st_dev &&
	       named.st_ino == opened.st_ino;
}

static int open_locked(int folder_fd, const char *name, int *ret_fd, char *why, size_t why_size)
{
	int fd = openat(folder_fd, name, O_RDWR | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK);
	struct stat st;
	int r;

	if (fd < 0)
		return failed(why, why_size, name, "cannot open", errno);
	r = fstat(fd, &st) < 0 ? -errno : S_ISREG(st.st_mode) ? 0 : -EINVAL;
	if (!r)
		r = export_lock(fd, false);
	if (!r && !is_still_there(folder_fd, name, fd))
		r = -ENOENT;
	if (!r) {
		*ret_fd = fd;
		return 0;
	}
	close(fd);
	if (r != -EWOULDBLOCK)
		return failed(why, why_size, name, "cannot use", -r);
	snprintf(why, why_size, "%s: in use by another process", name);
	return -EBUSY;
}

int machine_file_open(int folder_fd, const char *name, int *ret_fd, char *why, size_t why_size)
{
	int r = open_locked(folder_fd, name, ret_fd, why, why_size);

	return r < 0 ? r : export_touch(*ret_fd);
}

int machine_file_lock_folder(int folder_fd)
{
	int fd = openat(folder_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int r;

	if (fd < 0)
		return -errno;
	r = export_lock(fd, true);
	if (!r)
		return fd;
	close(fd);
	return r;
}

static bool has_suffix(const char *name, const char *suffix)
{
	size_t length = strlen(name), suffix_length = strlen(suffix);

	return name[0] != '.' && length > suffix_length &&
	       !strcmp(name + length - suffix_length, suffix);
}

int machine_file_each(int folder_fd, const char *suffix,
		      void (*each)(int folder_fd, const char *name, void *arg), void *arg)
{
	int fd = openat(folder_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *folder = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *entry;
	int r;

	if (!folder) {
		r = -errno;
		if (fd >= 0)
			close(fd);
		return r;
	}
	while (errno = 0, (entry = readdir(folder))) {
		if (has_suffix(entry->d_name, suffix))
			each(folder_fd, entry->d_name, arg);
	}
	r = -errno;
	closedir(folder);
	return r;
}

int machine_file_seize(int folder_fd, const char *name, time_t before_s, int *ret_fd, char *why,
		       size_t why_size)
{
	struct stat st;
	int fd, r = open_locked(folder_fd, name, &fd, why, why_size);

	if (r < 0)
		return r;
	if (before_s == ANY_AGE || (fstat(fd, &st) == 0 && st.st_mtime < before_s)) {
		*ret_fd = fd;
		return 0;
	}
	close(fd);
	snprintf(why, why_size, "%s: was used meanwhile", name);
	return -EBUSY;
}

struct expiry {
	const char *suffix;
	machine_file_remover *remover;
	time_t before_s;
};

static void expire(int folder_fd, const char *name, void *arg)
{
	const struct expiry *expiry = arg;
	char identity[MACHINE_FILE_BYTES], why[WHY_BYTES];
	struct stat st;
	int r;

	if (fstatat(folder_fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0 || !S_ISREG(st.st_mode) ||
	    st.st_mtime >= expiry->before_s)
		return;
	snprintf(identity, sizeof(identity), "%.*s", (int)(strlen(name) - strlen(expiry->suffix)),
		 name);
	r = expiry->remover(folder_fd, identity, expiry->before_s, why, sizeof(why));
	if (!r)
		log_line("%s: removed: not used for longer than expire", name);
	else if (r != -EBUSY)
		log_line("cannot remove %s", why);
}

int machine_file_expire(int folder_fd, const char *suffix, machine_file_remover *remover,
			time_t before_s)
{
	struct expiry expiry = {suffix, remover, before_s};

	return machine_file_each(folder_fd, suffix, expire, &expiry);
}
