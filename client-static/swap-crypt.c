/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Swap that the server cannot read: dm-crypt over an attached device, with a key
 * that is made now, is told to the kernel alone and ends with the machine. By the
 * ioctls of <linux/dm-ioctl.h>; the table is that of the kernel's
 * Documentation/admin-guide/device-mapper/dm-crypt.rst.
 */
#include "client-static/boot.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/dm-ioctl.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/random.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#define NAME "nbdswap"

enum {
	KEY_BYTES = 64, /* two of AES-256, for XTS */
	SECTOR_BYTES = 512,
	PARAMETERS_BYTES = 320,
};

struct request {
	struct dm_ioctl head;
	struct dm_target_spec target;
	char parameters[PARAMETERS_BYTES];
};

static int ask(int control, unsigned long what, struct request *request)
{
	struct dm_ioctl *head = &request->head;

	head->version[0] = DM_VERSION_MAJOR;
	head->data_size = sizeof(*request);
	head->data_start = sizeof(*head);
	strcpy(head->name, NAME);
	return ioctl(control, what, request) < 0 ? -errno : 0;
}

static int fill_table(struct request *request, const char *device, uint64_t sectors)
{
	static const char digits[] = "0123456789abcdef";
	uint8_t key[KEY_BYTES];
	char text[2 * KEY_BYTES + 1];

	/* Waits until the kernel has seen enough noise: this one is a secret. */
	if (getrandom(key, sizeof(key), 0) != (ssize_t)sizeof(key))
		return -errno;
	for (int i = 0; i < KEY_BYTES; i++) {
		text[2 * i] = digits[key[i] >> 4];
		text[2 * i + 1] = digits[key[i] & 15];
	}
	text[2 * KEY_BYTES] = '\0';
	request->head.flags = DM_SECURE_DATA_FLAG;
	request->head.target_count = 1;
	request->target.length = sectors;
	strcpy(request->target.target_type, "crypt");
	/* Without its work queues a write does not wait for a worker that has no memory. */
	snprintf(request->parameters, sizeof(request->parameters),
		 "aes-xts-plain64 %s 0 %s %d 3 allow_discards no_read_workqueue no_write_workqueue",
		 text, device, SWAP_CRYPT_OFFSET_BYTES / SECTOR_BYTES);
	explicit_bzero(key, sizeof(key));
	explicit_bzero(text, sizeof(text));
	return 0;
}

int swap_crypt_open(const char *device, uint64_t size_bytes, char *ret_path, size_t size)
{
	int control = open("/dev/mapper/control", O_RDWR | O_CLOEXEC), err;
	struct request request = {0};

	if (control < 0)
		return errno == ENOENT ? -ENODEV : -errno;
	err = ask(control, DM_DEV_CREATE, &request);
	if (err)
		goto out;
	snprintf(ret_path, size, "/dev/dm-%u", minor(request.head.dev));
	request = (struct request){0};
	err = fill_table(&request, device, (size_bytes - SWAP_CRYPT_OFFSET_BYTES) / SECTOR_BYTES);
	if (!err)
		err = ask(control, DM_TABLE_LOAD, &request);
	explicit_bzero(&request, sizeof(request));
	if (!err)
		err = ask(control, DM_DEV_SUSPEND, &request); /* without the flag it resumes */
	if (err) {
		request = (struct request){0};
		ask(control, DM_DEV_REMOVE, &request);
	}
out:
	close(control);
	return err;
}

int swap_crypt_close(void)
{
	int control = open("/dev/mapper/control", O_RDWR | O_CLOEXEC), err;
	struct request request = {0};

	if (control < 0)
		return -errno;
	err = ask(control, DM_DEV_REMOVE, &request);
	close(control);
	return err;
}

bool swap_crypt_is(const char *name)
{
	char path[64], found[64];

	snprintf(path, sizeof(path), "/sys/block/%.20s/dm/name", name);
	return system_read(path, found, sizeof(found)) == 0 && strcmp(found, NAME) == 0;
}
