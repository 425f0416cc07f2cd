/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Which file system a device holds, and how large it says to be: read from the
 * superblock, so that the mount needs no guess and a truncated image is named
 * as such. Offsets are from the kernel's headers of each file system.
 */
#include "client-static/boot.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { SUPER_BYTES = 1024 };

/* n bytes at p as a number, least or most significant first. */
static uint64_t little(const uint8_t *p, int n)
{
	uint64_t value = 0;

	while (n--)
		value = value << 8 | p[n];
	return value;
}

static uint64_t big(const uint8_t *p, int n)
{
	uint64_t value = 0;

	while (n--)
		value = value << 8 | *p++;
	return value;
}

/* fs/ext4/ext4.h: s_blocks_count_lo, s_log_block_size, INCOMPAT_64BIT, s_blocks_count_hi */
static uint64_t ext4_size(const uint8_t *super)
{
	uint64_t blocks = little(super + 4, 4);

	if (little(super + 0x60, 4) & 0x80)
		blocks |= little(super + 0x150, 4) << 32;
	return blocks << (10 + (little(super + 0x18, 4) & 15));
}

/* fs/squashfs/squashfs_fs.h: bytes_used */
static uint64_t squashfs_size(const uint8_t *super)
{
	return little(super + 40, 8);
}

/* fs/xfs/libxfs/xfs_format.h: sb_blocksize, sb_dblocks */
static uint64_t xfs_size(const uint8_t *super)
{
	return big(super + 4, 4) * big(super + 8, 8);
}

/* fs/btrfs: total_bytes */
static uint64_t btrfs_size(const uint8_t *super)
{
	return little(super + 0x70, 8);
}

static const struct known {
	const char *name;
	off_t super; /* where the superblock is */
	size_t magic_at;
	const char *magic;
	uint64_t (*size)(const uint8_t *super);
	size_t uuid_at, label_at, label_bytes; /* 0: not known */
} known[] = {
	/* mounts ext2 and ext3 too */
	{"ext4", 1024, 0x38, "\x53\xef", ext4_size, 0x68, 0x78, 16},
	{"squashfs", 0, 0, "hsqs", squashfs_size, 0, 0, 0},
	{"xfs", 0, 0, "XFSB", xfs_size, 32, 108, 12},
	{"btrfs", 65536, 0x40, "_BHRfS_M", btrfs_size, 0x20, 0x12b, 63},
	{"f2fs", 1024, 0, "\x10\x20\xf5\xf2", NULL, 0, 0, 0},
	{"erofs", 1024, 0, "\xe2\xe1\xf5\xe0", NULL, 0, 0, 0},
	{"iso9660", 32768, 1, "CD001", NULL, 0, 0, 0},
};

static void read_tags(const struct known *type, const uint8_t *super, struct filesystem *ret)
{
	const uint8_t *p = super + type->uuid_at;

	if (type->label_at)
		memcpy(ret->label, super + type->label_at, type->label_bytes);
	if (type->uuid_at)
		snprintf(ret->uuid, sizeof(ret->uuid), "%08x-%04x-%04x-%04x-%012llx",
			 (unsigned int)big(p, 4), (unsigned int)big(p + 4, 2),
			 (unsigned int)big(p + 6, 2), (unsigned int)big(p + 8, 2),
			 (unsigned long long)big(p + 10, 6));
}

int filesystem_probe(int fd, struct filesystem *ret)
{
	uint8_t super[SUPER_BYTES];

	*ret = (struct filesystem){0};
	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
		ssize_t n = pread(fd, super, sizeof(super), known[i].super);

		if (n < 0)
			return -errno;
		if ((size_t)n < sizeof(super) ||
		    memcmp(super + known[i].magic_at, known[i].magic, strlen(known[i].magic)) != 0)
			continue;
		ret->name = known[i].name;
		ret->size_bytes = known[i].size ? known[i].size(super) : 0;
		read_tags(&known[i], super, ret);
		return 0;
	}
	return 0;
}
