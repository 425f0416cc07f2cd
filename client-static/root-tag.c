/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * root=LABEL=, UUID=, PARTLABEL= and PARTUUID=: which of an attached device and its
 * partitions that is. File systems are known by their superblock, partitions by
 * the kernel or by the table that they stand in (UEFI specification, section 5.3, or
 * the disk signature of a DOS table, as the kernel writes it for root=).
 */
#include "client-static/boot.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

enum {
	SECTOR_BYTES = 512,
	GPT_ENTRIES_AT = 72,
	GPT_ENTRY_SIZE_AT = 84,
	GPT_ENTRY_GUID_AT = 16,
	DOS_SIGNATURE_AT = 440,
	UUID_TEXT_BYTES = 37,
};

struct search {
	const char *disk; /* nbdN */
	const char *kind, *value;
	char *ret;
	size_t ret_size;
};

static uint64_t little(const uint8_t *p, int n)
{
	uint64_t value = 0;

	while (n--)
		value = value << 8 | p[n];
	return value;
}

/* The first three fields of a GUID are little endian. */
static void format_guid(const uint8_t *p, char ret[UUID_TEXT_BYTES])
{
	snprintf(ret, UUID_TEXT_BYTES, "%08x-%04x-%04x-%04x-%012llx", (unsigned int)little(p, 4),
		 (unsigned int)little(p + 4, 2), (unsigned int)little(p + 6, 2), p[8] << 8 | p[9],
		 (unsigned long long)p[10] << 40 | (unsigned long long)p[11] << 32 |
			 (unsigned long long)p[12] << 24 | (unsigned long long)p[13] << 16 |
			 (unsigned long long)p[14] << 8 | p[15]);
}

int partition_uuid(int disk_fd, uint32_t number, char ret[UUID_TEXT_BYTES])
{
	uint8_t sectors[2 * SECTOR_BYTES], entry[32];
	const uint8_t *gpt = sectors + SECTOR_BYTES;
	uint64_t at;

	if (pread(disk_fd, sectors, sizeof(sectors), 0) != (ssize_t)sizeof(sectors))
		return -EIO;
	if (memcmp(gpt, "EFI PART", 8) != 0) {
		snprintf(ret, UUID_TEXT_BYTES, "%08x-%02x",
			 (unsigned int)little(sectors + DOS_SIGNATURE_AT, 4), number);
		return 0;
	}
	at = little(gpt + GPT_ENTRIES_AT, 8) * SECTOR_BYTES +
	     little(gpt + GPT_ENTRY_SIZE_AT, 4) * (number - 1);
	if (pread(disk_fd, entry, sizeof(entry), (off_t)at) != (ssize_t)sizeof(entry))
		return -EIO;
	format_guid(entry + GPT_ENTRY_GUID_AT, ret);
	return 0;
}

static int open_device(const char *name)
{
	char path[40];

	snprintf(path, sizeof(path), "/dev/%.30s", name);
	return open(path, O_RDONLY | O_CLOEXEC);
}

static bool filesystem_matches(const struct search *search, const char *name)
{
	struct filesystem found = {0};
	int fd = open_device(name);

	if (fd < 0)
		return false;
	filesystem_probe(fd, &found);
	close(fd);
	if (strcmp(search->kind, "UUID") == 0)
		return strcasecmp(search->value, found.uuid) == 0;
	return strcmp(search->value, found.label) == 0;
}

static bool partition_matches(const struct search *search, const char *name)
{
	const char *number = name + strlen(search->disk) + 1;
	char path[96], text[512], *rest = text, *row, uuid[UUID_TEXT_BYTES] = "";
	int fd;

	if (strcmp(search->kind, "PARTUUID") == 0) {
		fd = open_device(search->disk);
		if (fd < 0)
			return false;
		partition_uuid(fd, (uint32_t)atoi(number), uuid);
		close(fd);
		return strcasecmp(search->value, uuid) == 0;
	}
	snprintf(path, sizeof(path), "/sys/class/block/%.30s/uevent", name);
	if (system_read(path, text, sizeof(text)) < 0)
		return false;
	while ((row = strsep(&rest, "\n")))
		if (strncmp(row, "PARTNAME=", 9) == 0)
			return strcmp(row + 9, search->value) == 0;
	return false;
}

static int try_name(int dir_fd, const char *name, void *data)
{
	const struct search *search = data;
	size_t length = strlen(search->disk);
	bool is_disk = strcmp(name, search->disk) == 0, matches;

	(void)dir_fd;
	if (!is_disk && (strncmp(name, search->disk, length) != 0 || name[length] != 'p'))
		return 0;
	if (strncmp(search->kind, "PART", 4) == 0)
		matches = !is_disk && partition_matches(search, name);
	else
		matches = filesystem_matches(search, name);
	if (matches)
		snprintf(search->ret, search->ret_size, "/dev/%s", name);
	return matches;
}

int root_tag_find(uint32_t index, const char *tag, char *ret, size_t size)
{
	char disk[16], kind[16];
	struct search search = {.disk = disk, .kind = kind, .ret = ret, .ret_size = size};
	size_t length = strcspn(tag, "=");
	int fd, r;

	snprintf(disk, sizeof(disk), "nbd%u", index);
	snprintf(kind, sizeof(kind), "%.*s", (int)length, tag);
	search.value = tag + length + (tag[length] != '\0');
	fd = open("/sys/class/block", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	r = directory_each(fd, try_name, &search);
	close(fd);
	return r > 0 ? 0 : -ENODEV;
}
