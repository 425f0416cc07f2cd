// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * --machines and --reset: the administrator's view of the files of machines, of the
 * sections with per_client. Works on the files, beside a server that runs or
 * without one; the locks of the files say what is in use.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "common/log.h"
#include "common/nbd-proto.h"
#include "server/layer.h"
#include "server/machine-file.h"
#include "server/server.h"

enum { KIB = 1024, NAME_COLUMN = 40 };

static const char *suffix_of(const struct export_settings *set)
{
	return set->per_client == PER_CLIENT_SWAP ? SWAP_SUFFIX : LAYER_SUFFIX;
}

/* NAME/ of the section NAME/"*" or NAME. */
static int prefix_of(const struct export_settings *set, char prefix[NBD_MAX_STRING + 2])
{
	size_t length = strlen(set->name);

	if (length >= 2 && !strcmp(set->name + length - 2, "/*"))
		length -= 2;
	return snprintf(prefix, NBD_MAX_STRING + 2, "%.*s/", (int)length, set->name);
}

/* -errno, logged. */
static int open_folder(const struct export_request *request)
{
	const struct export_settings *set = &request->set;
	const char *path = set->per_client == PER_CLIENT_SWAP ? set->path : set->cow_dir;
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int error = errno;

	if (fd >= 0)
		return fd;
	log_line("%s:%u: %s: cannot open the directory: %s", request->file, request->line, path,
		 strerror(error));
	return -error;
}

static bool is_in_use(int folder_fd, const char *name)
{
	int fd = openat(folder_fd, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK);
	bool in_use = fd >= 0 && export_lock(fd, false) == -EWOULDBLOCK;

	if (fd >= 0)
		close(fd);
	return in_use;
}

static void print_machine(int folder_fd, const char *name, void *arg)
{
	const struct export_settings *set = arg;
	char machine[NBD_MAX_STRING + 2 + MACHINE_FILE_BYTES], used[32];
	int length = prefix_of(set, machine);
	struct stat st;
	struct tm tm;

	if (fstatat(folder_fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0 || !S_ISREG(st.st_mode))
		return;
	snprintf(machine + length, sizeof(machine) - (size_t)length, "%.*s",
		 (int)(strlen(name) - strlen(suffix_of(set))), name);
	strftime(used, sizeof(used), "%Y-%m-%d %H:%M:%S", gmtime_r(&st.st_mtime, &tm));
	printf("%-*s %-5s %12jd %12jd  %s  %s\n", NAME_COLUMN, machine,
	       set->per_client == PER_CLIENT_SWAP ? "swap" : "layer", (intmax_t)st.st_size / KIB,
	       (intmax_t)st.st_blocks / 2, used, is_in_use(folder_fd, name) ? "in use" : "free");
}

int machines_list(const struct config *config)
{
	int result = 0;

	printf("%-*s %-5s %12s %12s  %-19s  %s\n", NAME_COLUMN, "MACHINE", "KIND", "SIZE-KIB",
	       "TAKES-KIB", "LAST-USED-UTC", "STATE");
	for (size_t i = 0; i < config->export_count; i++) {
		const struct export_request *request = &config->exports[i];
		int folder_fd, r;

		if (!request->set.per_client)
			continue;
		folder_fd = open_folder(request);
		if (folder_fd < 0) {
			result = folder_fd;
			continue;
		}
		r = machine_file_each(folder_fd, suffix_of(&request->set), print_machine,
				      (void *)&request->set);
		if (r < 0)
			log_line("%s:%u: cannot read the directory: %s", request->file,
				 request->line, strerror(-r));
		result = r < 0 ? r : result;
		close(folder_fd);
	}
	return fflush(stdout) ? -EIO : result;
}

/* The section whose machine has this name; *ret_identity is in name. */
static const struct export_request *find_section(const struct config *config, const char *name,
						 const char **ret_identity)
{
	for (size_t i = 0; i < config->export_count; i++) {
		const struct export_request *request = &config->exports[i];
		char prefix[NBD_MAX_STRING + 2];

		if (!request->set.per_client)
			continue;
		prefix_of(&request->set, prefix);
		if (strncmp(name, prefix, strlen(prefix)) != 0)
			continue;
		*ret_identity = name + strlen(prefix);
		if (export_is_identity(*ret_identity, strlen(*ret_identity)))
			return request;
	}
	return NULL;
}

int machines_reset(const struct config *config, const char *name)
{
	const char *identity;
	const struct export_request *request = find_section(config, name, &identity);
	char why[WHY_BYTES];
	int folder_fd, r;

	if (!request) {
		log_line("--reset %s: no section with per_client has such a machine; "
			 "--machines lists them",
			 name);
		return -ENOENT;
	}
	folder_fd = open_folder(request);
	if (folder_fd < 0)
		return folder_fd;
	if (request->set.per_client == PER_CLIENT_SWAP)
		r = swap_file_remove(folder_fd, identity, ANY_AGE, why, sizeof(why));
	else
		r = layer_remove(folder_fd, identity, ANY_AGE, why, sizeof(why));
	if (r < 0)
		log_line("--reset %s: %s", name, why);
	else
		log_line("%s: removed; it begins anew at its next use", name);
	close(folder_fd);
	return r;
}
