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

static int read_boot(int folder_fd, const char *name, char boot[IDENTITY_MAX_BYTES + 1])
{
	int fd = openat(folder_fd, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK);
	ssize_t n;

	boot[0] = '\0';
	if (fd < 0)
		return errno == ENOENT ? 0 : -errno;
	n = read(fd, boot, IDENTITY_MAX_BYTES);
	close(fd);
	if (n < 0)
		return -errno;
	boot[n] = '\0';
	return 0;
}

static int write_boot(int folder_fd, const char *name, const char *boot)
{
	char new_name[sizeof(NEW_PREFIX) + MACHINE_FILE_BYTES];
	size_t length = strlen(boot);
	int fd, r = 0;

	snprintf(new_name, sizeof(new_name), "%s%s", NEW_PREFIX, name);
	fd = openat(folder_fd, new_name, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC,
		    0600);
	if (fd < 0)
		return -errno;
	if (write(fd, boot, length) != (ssize_t)length)
		r = -ENOSPC;
	else if (fsync(fd) < 0 || renameat(folder_fd, new_name, folder_fd, name) < 0 ||
		 fsync(folder_fd) < 0)
		r = -errno;
	if (r < 0)
		unlinkat(folder_fd, new_name, 0);
	close(fd);
	return r;
}

/* First the file, then the word which boot the next one is of: it is never of an earlier one. */
int machine_file_begin_boot(int folder_fd, const char *identity, char boot[IDENTITY_MAX_BYTES + 1],
			    machine_file_remover *remover, char *why, size_t why_size)
{
	char name[MACHINE_FILE_BYTES], before[IDENTITY_MAX_BYTES + 1];
	int r;

	snprintf(name, sizeof(name), "%s%s", identity, BOOT_SUFFIX);
	r = read_boot(folder_fd, name, before);
	if (r < 0)
		return failed(why, why_size, name, "cannot read", -r);
	if (!boot[0]) {
		memcpy(boot, before, sizeof(before));
		return 0;
	}
	if (!strcmp(boot, before))
		return 0;
	r = remover(folder_fd, identity, ANY_AGE, why, why_size);
	if (r < 0 && r != -ENOENT)
		return r;
	if (!r)
		log_line("%s: removed: the machine has booted anew", identity);
	r = write_boot(folder_fd, name, boot);
	return r < 0 ? failed(why, why_size, name, "cannot write", -r) : 0;
}

void machine_file_forget_boot(int folder_fd, const char *identity)
{
	char name[MACHINE_FILE_BYTES];

	snprintf(name, sizeof(name), "%s%s", identity, BOOT_SUFFIX);
	unlinkat(folder_fd, name, 0);
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
