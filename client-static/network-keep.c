/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The interface that carries the root belongs to the boot, also when the running
 * system has a program that manages networks: by files in /run, which outlives
 * switch_root, systemd-networkd and NetworkManager leave it as it is. It is named
 * by its address, since udev may give it another name.
 */
#include "client-static/boot.h"
#include "common/log.h"

#include <stdio.h>
#include <string.h>

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
		r = system_leave_file(files[i].path, text);
		if (r < 0)
			log_line("%s: %s", files[i].path, strerror(-r));
	}
}
