// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The swap of one machine: a file IDENTITY.swap in the folder of the export. It is
 * made whole under another name and then renamed, so that a server that was
 * killed leaves a swap or none; what is there is never made anew, whatever size
 * the configuration names now. Runs on storage threads.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "server/export.h"
#include "server/machine-file.h"

static int failed(char *why, size_t why_size, const char *what)
{
	int error = errno;

	snprintf(why, why_size, "%s: %s", what, strerror(error));
	return -error;
}

static void add_size(int folder_fd, const char *name, void *arg)
{
	uint64_t *total_bytes = arg;
	struct stat st;

	if (fstatat(folder_fd, name, &st, AT_SYMLINK_NOFOLLOW) == 0)
		*total_bytes += (uint64_t)st.st_size;
}

static int check_quota(int folder_fd, const struct export_settings *set, char *why, size_t why_size)
{
	uint64_t used_bytes = 0;
	int r;

	if (!set->quota_bytes)
		return 0;
	r = machine_file_each(folder_fd, SWAP_SUFFIX, add_size, &used_bytes);
	if (r < 0) {
		snprintf(why, why_size, "cannot count the swaps: %s", strerror(-r));
		return r;
	}
	if (used_bytes + set->size_bytes <= set->quota_bytes)
		return 0;
	snprintf(why, why_size,
		 "no room for a swap of %" PRIu64 " bytes: %" PRIu64 " of the quota of %" PRIu64
		 " are taken",
		 set->size_bytes, used_bytes, set->quota_bytes);
	return -EDQUOT;
}

/* The space of a swap is taken at once: a page that finds the disk full would be lost. */
static int size_file(int fd, const struct export_settings *set, char *why, size_t why_size)
{
	int error;

	if (set->sparse)
		return ftruncate(fd, (off_t)set->size_bytes) < 0
			       ? failed(why, why_size, "cannot size its swap")
			       : 0;
	error = posix_fallocate(fd, 0, (off_t)set->size_bytes);
	if (!error)
		return 0;
	snprintf(why, why_size,
		 "cannot reserve %" PRIu64 " bytes for its swap: %s (sparse = true reserves none)",
		 set->size_bytes, strerror(error));
	return -error;
}

static int fill_new(int fd, int folder_fd, const char *new_name, const char *name,
		    const struct export_settings *set, char *why, size_t why_size)
{
	int r = size_file(fd, set, why, why_size);

	if (r < 0)
		return r;
	if (fsync(fd) < 0 || renameat(folder_fd, new_name, folder_fd, name) < 0 ||
	    fsync(folder_fd) < 0)
		return failed(why, why_size, "cannot make its swap");
	return 0;
}

static int make(int folder_fd, const struct export_settings *set, const char *name, char *why,
		size_t why_size)
{
	char new_name[sizeof(NEW_PREFIX) + MACHINE_FILE_BYTES];
	int fd, r = check_quota(folder_fd, set, why, why_size);

	if (r < 0)
		return r;
	snprintf(new_name, sizeof(new_name), "%s%s", NEW_PREFIX, name);
	fd = openat(folder_fd, new_name, O_RDWR | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0)
		return failed(why, why_size, "cannot make its swap");
	r = fill_new(fd, folder_fd, new_name, name, set, why, why_size);
	if (r < 0)
		unlinkat(folder_fd, new_name, 0);
	close(fd);
	return r;
}

/* Two machines that come at once must not both take the last of the quota. */
static int make_if_missing(int folder_fd, const struct export_settings *set, const char *name,
			   char *why, size_t why_size)
{
	int lock_fd, r = 0;

	if (faccessat(folder_fd, name, F_OK, AT_SYMLINK_NOFOLLOW) == 0 || errno != ENOENT)
		return 0;
	lock_fd = machine_file_lock_folder(folder_fd);
	if (lock_fd < 0) {
		snprintf(why, why_size, "cannot lock the directory: %s", strerror(-lock_fd));
		return lock_fd;
	}
	if (faccessat(folder_fd, name, F_OK, AT_SYMLINK_NOFOLLOW) < 0 && errno == ENOENT)
		r = make(folder_fd, set, name, why, why_size);
	close(lock_fd);
	return r;
}

int swap_file_open(int folder_fd, const struct export_settings *set, const char *identity,
		   int *ret_fd, char *why, size_t why_size)
{
	char name[MACHINE_FILE_BYTES];
	int r;

	snprintf(name, sizeof(name), "%s%s", identity, SWAP_SUFFIX);
	r = make_if_missing(folder_fd, set, name, why, why_size);
	return r < 0 ? r : machine_file_open(folder_fd, name, ret_fd, why, why_size);
}

int swap_file_remove(int folder_fd, const char *identity, time_t before_s, char *why,
		     size_t why_size)
{
	char name[MACHINE_FILE_BYTES];
	int fd, r;

	snprintf(name, sizeof(name), "%s%s", identity, SWAP_SUFFIX);
	r = machine_file_seize(folder_fd, name, before_s, &fd, why, why_size);
	if (r < 0)
		return r;
	if (unlinkat(folder_fd, name, 0) < 0)
		r = failed(why, why_size, name);
	else
		machine_file_forget_boot(folder_fd, identity);
	close(fd);
	return r;
}
