/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The interface that carries the root belongs to the boot, also when the running
 * system has a program that manages networks: by files in /run, which outlives
 * switch_root, systemd-networkd and NetworkManager leave it as it is. It is named
 * by its address, since udev may give it another name.
 */
#include "client-static/boot.h"
#include "common/log.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Writes text to path, whose folders are made; 0 or -errno. */
static int leave_file(const char *path, const char *text)
{
	char folder[64];
	int fd, r = 0;

	for (const char *slash = strchr(path + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
		snprintf(folder, sizeof(folder), "%.*s", (int)(slash - path), path);
		if (mkdir(folder, 0755) < 0 && errno != EEXIST)
			return -errno;
	}
	fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	if (fd < 0)
		return -errno;
	if (write(fd, text, strlen(text)) != (ssize_t)strlen(text))
		r = -EIO;
	close(fd);
	return r;
}

void network_keep(const char *mac)
{
	static const struct {
		const char *path, *format;
	} files[] = {
		{"/run/systemd/network/00-nbd-client.network",
		 "# The root is on this "
		 "interface.\n[Match]\nMACAddress=%s\n\n[Link]\nUnmanaged=yes\n"},
		{"/run/NetworkManager/conf.d/00-nbd-client.conf",
		 "# The root is on this interface.\n[keyfile]\nunmanaged-devices+=mac:%s\n"},
	};
	char text[160];

	for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
		int r;

		snprintf(text, sizeof(text), files[i].format, mac);
		r = leave_file(files[i].path, text);
		if (r < 0)
			log_line("%s: %s", files[i].path, strerror(-r));
	}
}
