/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A root that many machines share: the image is mounted read-only, what the
 * machine changes goes to a tmpfs, which swap makes larger than the memory, or to
 * an export of its own. Documentation/filesystems/overlayfs.rst; both layers are
 * in /run, which goes along to the new root and shows them there.
 */
#include "client-static/boot.h"
#include "common/log.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>

#define UPPER OVERLAY_DIR "/upper"

static int make_directory(const char *path)
{
	return mkdir(path, 0755) < 0 && errno != EEXIST ? -errno : 0;
}

/* Where changes go; 0 or an exit code. */
static int mount_upper(const struct overlay *overlay, const char *device)
{
	struct filesystem found = {0};
	char data[64];
	int r;

	if (overlay->kind == OVERLAY_IN_MEMORY) {
		snprintf(data, sizeof(data), "mode=0755%s%s", *overlay->size ? ",size=" : "",
			 overlay->size);
		r = mount("tmpfs", UPPER, "tmpfs", 0, data) < 0 ? -errno : 0;
		if (r < 0)
			log_line("nbdoverlay=tmpfs,size=%s: %s", overlay->size, strerror(-r));
		return r < 0 ? EXIT_PERMANENT : 0;
	}
	r = root_inspect(device, &found);
	if (r)
		return r;
	if (!found.name || mount(device, UPPER, found.name, 0, "") < 0) {
		log_line("%s: nbdoverlay: %s%s", device,
			 found.name ? "mount: " : "holds no file system: make one on the server",
			 found.name ? strerror(errno) : "");
		return EXIT_PERMANENT;
	}
	return 0;
}

int overlay_prepare(void)
{
	int r = make_directory("/run/nbd-client");

	if (r == 0)
		r = make_directory(OVERLAY_DIR);
	if (r == 0)
		r = make_directory(OVERLAY_LOWER);
	if (r == 0)
		r = make_directory(UPPER);
	if (r < 0)
		log_line(OVERLAY_DIR ": %s", strerror(-r));
	return r < 0 ? EXIT_PERMANENT : 0;
}

int overlay_mount(const struct overlay *overlay, const char *device, const char *mount_point)
{
	int r = mount_upper(overlay, device);

	if (r)
		return r;
	r = make_directory(UPPER "/changes");
	if (r == 0)
		r = make_directory(UPPER "/work");
	if (r == 0 && mount("nbdoverlay", mount_point, "overlay", 0,
			    "lowerdir=" OVERLAY_LOWER ",upperdir=" UPPER "/changes,workdir=" UPPER
			    "/work") < 0)
		r = -errno;
	if (r == 0)
		return 0;
	log_line("nbdoverlay: %s%s", strerror(-r),
		 r == -ENODEV ? " (this kernel or image has no overlay file system)" : "");
	umount2(UPPER, 0);
	return EXIT_PERMANENT;
}

void overlay_unmount(void)
{
	umount2(UPPER, 0);
	umount2(OVERLAY_LOWER, 0);
}
