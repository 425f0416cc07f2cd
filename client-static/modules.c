/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Boot stage 2: the modules of the image. Which ones and in which order was
 * decided when the image was packed (initramfs/pack-modules.sh); here they are
 * only handed to the kernel, dependencies first.
 */
#include "client-static/boot.h"
#include "common/log.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <unistd.h>

enum { LIST_BYTES = 8192, PARAMETERS_BYTES = 512 };

/* Names of modules are the same with - and with _. */
static bool names_module(const char *token, const char *module, size_t length)
{
	for (size_t i = 0; i < length; i++)
		if ((token[i] == '-' ? '_' : token[i]) != (module[i] == '-' ? '_' : module[i]))
			return false;
	return token[length] == '.';
}

/* What the command line says as MODULE.NAME[=VALUE], as modprobe(8) passes it on. */
static void find_parameters(const char *module, size_t length, char *ret, size_t size)
{
	char line[BOOT_LINE_BYTES];
	char *rest = line, *name, *value;
	size_t used = 0;

	*ret = '\0';
	if (system_read("/proc/cmdline", line, sizeof(line)) < 0)
		return;
	while (cmdline_next(&rest, &name, &value) > 0) {
		int n;

		if (!names_module(name, module, length))
			continue;
		n = snprintf(ret + used, size - used, value ? "%s%s=\"%s\"" : "%s%s",
			     used ? " " : "", name + length + 1, value);
		if (n < 0 || (size_t)n >= size - used) {
			ret[used] = '\0';
			return;
		}
		used += (size_t)n;
	}
}

static int load(int dir_fd, const char *path)
{
	char parameters[PARAMETERS_BYTES];
	const char *name = strrchr(path, '/');
	int fd = openat(dir_fd, path, O_RDONLY | O_CLOEXEC), r = 0;

	if (fd < 0)
		return -errno;
	name = name ? name + 1 : path;
	find_parameters(name, strcspn(name, "."), parameters, sizeof(parameters));
	if (syscall(SYS_finit_module, fd, parameters, 0) < 0)
		r = -errno;
	close(fd);
	return r;
}

/* True when nbdopts= of the boot line has the key, or the key is a word of the line itself. */
static bool is_asked_for(const char *key)
{
	char line[BOOT_LINE_BYTES];
	char *rest = line, *name, *value, *opt;

	if (system_read("/proc/cmdline", line, sizeof(line)) < 0)
		return false;
	while (cmdline_next(&rest, &name, &value) > 0) {
		if (value && strcmp(name, key) == 0)
			return true;
		while (value && strcmp(name, "nbdopts") == 0 && (opt = strsep(&value, ",")))
			if (strcmp(opt, key) == 0)
				return true;
	}
	return false;
}

/* A row is the file of a module, and may have the key that it is for. */
static int load_row(int dir_fd, char *row)
{
	char *key = strchr(row, ' ');

	if (key)
		*key++ = '\0';
	if (!*row || (key && !is_asked_for(key)))
		return 0;
	return load(dir_fd, row);
}

void modules_load(void)
{
	static char list[LIST_BYTES];
	char directory[128], path[160], *rest = list, *module;
	struct utsname kernel;
	int dir_fd, r;

	uname(&kernel);
	if (access("/lib/modules", F_OK) < 0)
		return;
	snprintf(directory, sizeof(directory), "/lib/modules/%s", kernel.release);
	snprintf(path, sizeof(path), "%s/load-order", directory);
	r = system_read(path, list, sizeof(list));
	if (r < 0) {
		log_line("modules: %s: %s; the image is for another kernel", path, strerror(-r));
		return;
	}
	dir_fd = open(directory, O_PATH | O_DIRECTORY | O_CLOEXEC);
	while ((module = strsep(&rest, "\n"))) {
		r = load_row(dir_fd, module);
		if (r < 0 && r != -EEXIST && r != -ENODEV)
			log_line("modules: %s: %s", module, strerror(-r));
	}
	close(dir_fd);
}
