// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The map of a writable layer: bits in memory, a log on the disk. The caller
 * excludes others. Numbers in the file are little-endian.
 */
#include "server/layer-map.h"

#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

#include "server/machine-file.h"

enum { WORD_BITS = 64, RECORDS_PER_READ = 1024, LONG_LOG_RECORDS = 64 << 10 };

static const char magic[16] = "swapsafe layer\n";

struct header {
	char magic[16];
	uint32_t version;
	uint32_t block_bytes;
	uint64_t size_bytes;
	char generation[GENERATION_BYTES];
	char boot_id[BOOT_ID_BYTES + 3]; /* of the host that wrote the records */
	uint8_t random[16];
	uint32_t unused;
	uint32_t checksum; /* of all before it */
};

enum record_kind { RECORD_WRITTEN = 1, RECORD_COMMITTED = 2 };

struct record {
	uint32_t checksum; /* of all after it, begun with that of the header */
	uint32_t kind;
	uint64_t number; /* 1, 2, 3... */
	uint64_t first;	 /* WRITTEN: block; COMMITTED: number of a record */
	uint64_t count;
};

_Static_assert(sizeof(struct record) == LAYER_RECORD_BYTES, "a record has no holes");
_Static_assert(sizeof(struct header) == 136, "a header has no holes");

static uint64_t block_count(const struct layer_map *map)
{
	return (map->size_bytes + LAYER_BLOCK_BYTES - 1) / LAYER_BLOCK_BYTES;
}

static uint32_t header_checksum(const struct header *header)
{
	return (uint32_t)crc32(0, (const Bytef *)header, offsetof(struct header, checksum));
}

static uint32_t record_checksum(const struct record *record, uint32_t seed)
{
	return (uint32_t)crc32(seed, (const Bytef *)&record->kind,
			       sizeof(*record) - offsetof(struct record, kind));
}

static int write_at(int fd, const void *data, size_t size, uint64_t offset)
{
	while (size) {
		ssize_t n = pwrite(fd, data, size, (off_t)offset);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		data = (const uint8_t *)data + n;
		size -= (size_t)n;
		offset += (uint64_t)n;
	}
	return 0;
}

static int write_header(struct layer_map *map)
{
	uint8_t block[LAYER_HEADER_BYTES] = {0};
	struct header header = {
		.version = htole32(1),
		.block_bytes = htole32(LAYER_BLOCK_BYTES),
		.size_bytes = htole64(map->size_bytes),
	};
	int r = layer_boot_id(header.boot_id);

	if (r < 0)
		return r;
	memcpy(header.magic, magic, sizeof(magic));
	memcpy(header.generation, map->generation, sizeof(header.generation));
	memcpy(header.random, map->random, sizeof(header.random));
	map->seed = header_checksum(&header);
	header.checksum = htole32(map->seed);
	memcpy(block, &header, sizeof(header));
	return write_at(map->fd, block, sizeof(block), 0);
}

static int put_record(struct layer_map *map, enum record_kind kind, uint64_t first, uint64_t count)
{
	struct record record = {
		.kind = htole32(kind),
		.number = htole64(map->record_count + 1),
		.first = htole64(first),
		.count = htole64(count),
	};
	int r;

	record.checksum = htole32(record_checksum(&record, map->seed));
	r = write_at(map->fd, &record, sizeof(record), map->log_bytes);
	if (r < 0)
		return r; /* what of it was written is overwritten by the next one */
	map->log_bytes += sizeof(record);
	map->record_count++;
	return 0;
}

static bool is_written(const struct layer_map *map, uint64_t block)
{
	return map->bits[block / WORD_BITS] >> (block % WORD_BITS) & 1;
}

static void set_bits(struct layer_map *map, uint64_t first, uint64_t count)
{
	for (uint64_t block = first; block < first + count; block++) {
		map->written_blocks += !is_written(map, block);
		map->bits[block / WORD_BITS] |= UINT64_C(1) << (block % WORD_BITS);
	}
}

uint64_t layer_map_run(const struct layer_map *map, uint64_t first, uint64_t count,
		       bool *ret_written)
{
	uint64_t n = 1;

	*ret_written = is_written(map, first);
	while (n < count) {
		uint64_t block = first + n, word = map->bits[block / WORD_BITS];

		/* Whole words of the same kind at once. */
		if (block % WORD_BITS == 0 && count - n >= WORD_BITS &&
		    word == (*ret_written ? UINT64_MAX : 0)) {
			n += WORD_BITS;
			continue;
		}
		if (is_written(map, block) != *ret_written)
			break;
		n++;
	}
	return n;
}

int layer_map_add(struct layer_map *map, uint64_t first, uint64_t count)
{
	while (count) {
		bool written;
		uint64_t run = layer_map_run(map, first, count, &written);
		int r = written ? 0 : put_record(map, RECORD_WRITTEN, first, run);

		if (r < 0)
			return r;
		if (!written)
			set_bits(map, first, run);
		first += run;
		count -= run;
	}
	return 0;
}

int layer_map_commit(struct layer_map *map, uint64_t record_count)
{
	bool is_all = record_count == map->record_count;
	int r;

	if (record_count <= map->committed_count)
		return 0;
	r = put_record(map, RECORD_COMMITTED, record_count, 0);
	if (!r)
		map->committed_count = is_all ? map->record_count : record_count;
	return r;
}

static int read_header(struct layer_map *map, char boot_id[BOOT_ID_BYTES])
{
	struct header header;
	ssize_t n = pread(map->fd, &header, sizeof(header), 0);

	if (n < 0)
		return -errno;
	if ((size_t)n != sizeof(header) || memcmp(header.magic, magic, sizeof(magic)) != 0 ||
	    le32toh(header.checksum) != header_checksum(&header) || le32toh(header.version) != 1 ||
	    le32toh(header.block_bytes) != LAYER_BLOCK_BYTES ||
	    le64toh(header.size_bytes) != map->size_bytes ||
	    header.generation[GENERATION_BYTES - 1] || header.boot_id[BOOT_ID_BYTES - 1])
		return -EBADMSG;
	map->seed = header_checksum(&header);
	memcpy(map->generation, header.generation, sizeof(map->generation));
	memcpy(map->random, header.random, sizeof(map->random));
	memcpy(boot_id, header.boot_id, BOOT_ID_BYTES);
	return 0;
}

static bool is_valid(const struct layer_map *map, const struct record *record)
{
	uint64_t first = le64toh(record->first), count = le64toh(record->count), end;
	uint64_t number = le64toh(record->number);

	if (le32toh(record->checksum) != record_checksum(record, map->seed) ||
	    number != map->record_count + 1)
		return false;
	if (le32toh(record->kind) == RECORD_COMMITTED)
		return first < number;
	return le32toh(record->kind) == RECORD_WRITTEN && count &&
	       !__builtin_add_overflow(first, count, &end) && end <= block_count(map);
}

/*
 * Walks over the valid records; those up to the number last are noted in the bitmap.
 * -errno.
 */
static int replay(struct layer_map *map, uint64_t last)
{
	struct record records[RECORDS_PER_READ];

	map->log_bytes = LAYER_HEADER_BYTES;
	map->record_count = 0;
	map->committed_count = 0;
	for (;;) {
		ssize_t n = pread(map->fd, records, sizeof(records), (off_t)map->log_bytes);

		if (n < 0)
			return -errno;
		if ((size_t)n < sizeof(records[0]))
			return 0;
		for (size_t i = 0; i < (size_t)n / sizeof(records[0]); i++) {
			if (!is_valid(map, &records[i]))
				return 0;
			map->record_count++;
			map->log_bytes += sizeof(records[i]);
			if (le32toh(records[i].kind) == RECORD_COMMITTED)
				map->committed_count = le64toh(records[i].first);
			else if (map->record_count <= last)
				set_bits(map, le64toh(records[i].first), le64toh(records[i].count));
		}
	}
}

static int read_log(struct layer_map *map, bool same_boot)
{
	int r;

	map->bits = calloc((block_count(map) + WORD_BITS - 1) / WORD_BITS, sizeof(*map->bits));
	if (!map->bits)
		return -ENOMEM;
	if (same_boot)
		return replay(map, UINT64_MAX);
	r = replay(map, 0);
	return r < 0 ? r : replay(map, map->committed_count);
}

/* A commit that follows a bad record covers records that are gone. */
static int look_for_commits(const struct layer_map *map)
{
	struct record record;
	uint64_t at = map->log_bytes;
	ssize_t n;

	while ((n = pread(map->fd, &record, sizeof(record), (off_t)at)) == sizeof(record)) {
		if (le32toh(record.checksum) == record_checksum(&record, map->seed) &&
		    le32toh(record.kind) == RECORD_COMMITTED)
			return -EBADMSG;
		at += sizeof(record);
	}
	return n < 0 ? -errno : 0;
}

/*
 * 1 when nothing follows the records, and they are of this boot of the host; 0 when the log
 * has to be written anew. A server that was killed leaves a part of one record at most,
 * a host that lost power some that nothing had committed; anything else is damage.
 */
static int is_clean(const struct layer_map *map, bool same_boot)
{
	uint64_t rest_bytes;
	struct stat st;

	if (fstat(map->fd, &st) < 0)
		return -errno;
	rest_bytes = (uint64_t)st.st_size - map->log_bytes;
	if (!same_boot)
		return look_for_commits(map);
	if (rest_bytes >= LAYER_RECORD_BYTES)
		return -EBADMSG;
	return !rest_bytes && map->record_count < LONG_LOG_RECORDS;
}

static int put_runs(struct layer_map *map)
{
	uint64_t end = block_count(map);

	for (uint64_t at = 0; at < end;) {
		bool written;
		uint64_t run = layer_map_run(map, at, end - at, &written);
		int r = written ? put_record(map, RECORD_WRITTEN, at, run) : 0;

		if (r < 0)
			return r;
		at += run;
	}
	return layer_map_commit(map, map->record_count);
}

static int replace(int folder_fd, const char *new_name, const char *name, int fd)
{
	if (fsync(fd) < 0 || renameat(folder_fd, new_name, folder_fd, name) < 0 ||
	    fsync(folder_fd) < 0)
		return -errno;
	return 0;
}

/* Writes map, whose fd is not open, to a file that takes the place of name. */
static int write_whole(struct layer_map *map, int folder_fd, const char *name)
{
	char new_name[sizeof(NEW_PREFIX) + 256];
	int r;

	snprintf(new_name, sizeof(new_name), "%s%s", NEW_PREFIX, name);
	map->fd = openat(folder_fd, new_name, O_RDWR | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC,
			 0600);
	if (map->fd < 0)
		return -errno;
	map->log_bytes = LAYER_HEADER_BYTES;
	map->record_count = 0;
	map->committed_count = 0;
	r = getrandom(map->random, sizeof(map->random), 0) < 0 ? -errno : write_header(map);
	if (!r && map->bits)
		r = put_runs(map);
	if (!r)
		r = replace(folder_fd, new_name, name, map->fd);
	if (r < 0) {
		unlinkat(folder_fd, new_name, 0);
		close(map->fd);
	}
	return r;
}

static int write_anew(struct layer_map *map, int folder_fd, const char *name)
{
	struct layer_map fresh = *map;
	int r = write_whole(&fresh, folder_fd, name);

	if (r < 0)
		return r;
	close(map->fd);
	*map = fresh;
	return 0;
}

static int open_file(int folder_fd, const char *name, struct layer_map *map)
{
	char boot_id[BOOT_ID_BYTES] = "", now[BOOT_ID_BYTES];
	bool same_boot;
	int r = layer_boot_id(now);

	if (!r)
		r = read_header(map, boot_id);
	if (r < 0)
		return r;
	same_boot = !strcmp(boot_id, now);
	r = read_log(map, same_boot);
	if (!r)
		r = is_clean(map, same_boot);
	if (r < 0)
		return r;
	return r ? 0 : write_anew(map, folder_fd, name);
}

int layer_map_open(int folder_fd, const char *name, uint64_t size_bytes, struct layer_map *ret)
{
	struct layer_map map = {
		.fd = openat(folder_fd, name, O_RDWR | O_NOFOLLOW | O_CLOEXEC),
		.size_bytes = size_bytes,
	};
	int r;

	if (map.fd < 0)
		return -errno;
	r = open_file(folder_fd, name, &map);
	if (r < 0)
		layer_map_close(&map);
	else
		*ret = map;
	return r;
}

void layer_map_close(struct layer_map *map)
{
	close(map->fd);
	free(map->bits);
	*map = (struct layer_map){.fd = -1};
}

int layer_map_make(int folder_fd, const char *name, uint64_t size_bytes, const char *generation)
{
	struct layer_map map = {.size_bytes = size_bytes};
	int r;

	snprintf(map.generation, sizeof(map.generation), "%s", generation);
	r = write_whole(&map, folder_fd, name);
	if (!r)
		close(map.fd);
	return r;
}
