// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * libFuzzer target for the map of a layer as it may lie on a disk: the first byte
 * says whether checksums and numbers are made right, the rest is records. What is taken
 * must keep inside the layer, count right, and be the same when it is read again.
 * `make fuzz-server` builds and runs it.
 */
#include "server/layer-map.c"

enum { SIZE_BYTES = 1000 * LAYER_BLOCK_BYTES + 1 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int folder_fd = -1;
static char boot_now[BOOT_ID_BYTES] = "now";

int layer_boot_id(char ret[BOOT_ID_BYTES])
{
	memcpy(ret, boot_now, BOOT_ID_BYTES);
	return 0;
}

static void write_input(const uint8_t *data, size_t size, bool make_right)
{
	struct layer_map map = {.size_bytes = SIZE_BYTES, .generation = "generation"};

	if (layer_map_make(folder_fd, "map", SIZE_BYTES, "generation") < 0)
		abort();
	map.fd = openat(folder_fd, "map", O_RDWR);
	if (map.fd < 0 || read_header(&map, (char[BOOT_ID_BYTES]){0}) < 0)
		abort();
	for (size_t i = 0; make_right && i + LAYER_RECORD_BYTES <= size; i += LAYER_RECORD_BYTES) {
		struct record record;

		memcpy(&record, data + i, sizeof(record));
		record.kind = htole32(1 + record.kind % 2);
		record.number = htole64(i / LAYER_RECORD_BYTES + 1);
		record.first = htole64(record.first % 1100);
		record.count = htole64(record.count % 1100);
		record.checksum = htole32(record_checksum(&record, map.seed));
		if (write_at(map.fd, &record, sizeof(record), LAYER_HEADER_BYTES + i) < 0)
			abort();
	}
	if (!make_right && write_at(map.fd, data, size, 0) < 0)
		abort();
	close(map.fd);
}

static void check(const struct layer_map *map)
{
	uint64_t written_blocks = 0, end = block_count(map);

	for (uint64_t at = 0; at < end;) {
		bool written;
		uint64_t run = layer_map_run(map, at, end - at, &written);

		if (!run || run > end - at)
			abort();
		written_blocks += written ? run : 0;
		at += run;
	}
	if (written_blocks != map->written_blocks)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct layer_map map, again;

	if (folder_fd < 0) {
		char path[] = "/dev/shm/layer-map-fuzz.XXXXXX";

		folder_fd = mkdtemp(path) ? open(path, O_RDONLY | O_DIRECTORY) : -1;
	}
	if (!size)
		return 0;
	write_input(data + 1, size - 1, data[0] & 1);
	boot_now[0] = data[0] & 2 ? 'n' : 'N'; /* of this boot of the host, or of an earlier one */
	if (!layer_map_open(folder_fd, "map", SIZE_BYTES, &map)) {
		check(&map);
		if (layer_map_add(&map, 5, 900) < 0 ||
		    layer_map_commit(&map, map.record_count) < 0 ||
		    layer_map_open(folder_fd, "map", SIZE_BYTES, &again) < 0)
			abort();
		check(&again);
		if (again.written_blocks != map.written_blocks)
			abort();
		layer_map_close(&again);
		layer_map_close(&map);
	}
	boot_now[0] = 'n';
	return 0;
}
