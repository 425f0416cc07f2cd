/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * layer-map.c: which blocks of an image a machine has written. A bitmap in memory
 * and a log on the disk:
 *
 *   header   LAYER_HEADER_BYTES: what the layer was made for, random bytes, checksum
 *   records  LAYER_RECORD_BYTES each: WRITTEN (a run of blocks) or COMMITTED (every
 *            record up to a number describes data that is on the disk), each with its
 *            number and a checksum over itself and the header's
 *
 * A record is appended before its write is answered, so that a server that was
 * killed finds all that was answered. What the host had not yet on its disk when it
 * lost power may be there without its data: after a boot of the host, records behind
 * the last COMMITTED count for nothing, and their blocks are the image's again.
 */
#ifndef SERVER_LAYER_MAP_H
#define SERVER_LAYER_MAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
	LAYER_BLOCK_BYTES = 4096,
	LAYER_HEADER_BYTES = 4096,
	LAYER_RECORD_BYTES = 32,
	GENERATION_BYTES = 40, /* with the NUL */
	BOOT_ID_BYTES = 37,
};

struct layer_map {
	int fd;
	uint64_t size_bytes; /* of the image */
	char generation[GENERATION_BYTES];
	uint8_t random[16];
	uint32_t seed;		  /* checksum of the header */
	uint64_t log_bytes;	  /* header and records */
	uint64_t record_count;	  /* the number of the last record */
	uint64_t committed_count; /* that the last COMMITTED covers */
	uint64_t written_blocks;
	uint64_t *bits; /* one for each block */
};

/* export-linux.c: a text that is another one each time that the host boots. -errno. */
int layer_boot_id(char ret[BOOT_ID_BYTES]);

/* Makes NAME whole or not at all. -errno. */
int layer_map_make(int folder_fd, const char *name, uint64_t size_bytes, const char *generation);

/*
 * Reads NAME of a layer of size_bytes, when all its data is on the disk. A record at the end that
 * is torn, and those that the boot of the host has made worthless, are dropped for ever. -EBADMSG:
 * not such a file, of another size, or damaged. -errno.
 */
int layer_map_open(int folder_fd, const char *name, uint64_t size_bytes, struct layer_map *ret);
void layer_map_close(struct layer_map *map);

/* How many blocks from first on, at most count, are all written or all not; *ret_written says
 * which. */
uint64_t layer_map_run(const struct layer_map *map, uint64_t first, uint64_t count,
		       bool *ret_written);

/* Appends what of the run is not written yet to the log, then notes it. -errno: nothing is. */
int layer_map_add(struct layer_map *map, uint64_t first, uint64_t count);

/*
 * Appends that the data of the records up to record_count is on the disk, which it must
 * be; the caller then syncs fd. -errno.
 */
int layer_map_commit(struct layer_map *map, uint64_t record_count);

#endif
