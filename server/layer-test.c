// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Writable layers: each machine has its own, on the image that it was made on, within its
 * limits, and one that is damaged is refused. layer-crash-test.c has kills and power cuts.
 */
#include "server/layer-bed.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "server/machine-file.h"

enum { THREADS = 4, WRITES_PER_THREAD = 2000 };

static struct layer *shared;
static uint8_t shared_model[IMAGE_BYTES];

/* Each thread has every fourth sector, so that all meet in each block. */
static void *write_own_sectors(void *arg)
{
	unsigned int number = (unsigned int)(uintptr_t)arg, seed = number;
	uint8_t data[SECTOR];

	for (int i = 0; i < WRITES_PER_THREAD; i++) {
		unsigned int sector =
			((unsigned int)rand_r(&seed) % (SECTORS / THREADS)) * THREADS + number;

		memset(data, rand_r(&seed), sizeof(data));
		memcpy(shared_model + sector * SECTOR, data, sizeof(data));
		if (bed_write(shared, data, sector * SECTOR, sizeof(data)) < 0 ||
		    (i % 500 == 0 && layer_flush(shared) < 0))
			return "a write failed";
	}
	return NULL;
}

static void threads_do_not_undo_each_others_writes(void **state)
{
	static uint8_t found[IMAGE_BYTES];
	pthread_t threads[THREADS];

	(void)state;
	for (int round = 0; round < 10; round++) {
		shared = bed_open_layer("shared");
		memcpy(shared_model, image, sizeof(image));
		for (uintptr_t i = 0; i < THREADS; i++)
			pthread_create(&threads[i], NULL, write_own_sectors, (void *)i);
		for (int i = 0; i < THREADS; i++) {
			void *result;

			pthread_join(threads[i], &result);
			assert_null(result);
		}
		bed_read(shared, found, 0, sizeof(found));
		assert_memory_equal(found, shared_model, sizeof(found));
		layer_close(shared);
		bed_remove_layer("shared");
	}
}

static void each_machine_has_its_own(void **state)
{
	static uint8_t found[IMAGE_BYTES];
	struct layer *one = bed_open_layer("one"), *two = bed_open_layer("two");

	(void)state;
	assert_int_equal(bed_write(one, (const uint8_t *)"1111", 5000, 4), 0);
	bed_read(two, found, 0, sizeof(found));
	assert_memory_equal(found, image, sizeof(image));
	bed_read(one, found, 0, sizeof(found));
	assert_memory_equal(found, image, 5000);
	assert_memory_equal(found + 5000, "1111", 4);
	assert_memory_equal(found + 5004, image + 5004, sizeof(image) - 5004);
	layer_close(one);
	layer_close(two);
	bed_remove_layer("two");
}

static int try_open(const char *identity, const struct layer_image *on,
		    const struct layer_limits *limits)
{
	struct layer *layer;
	int r = layer_open(folder_fd, identity, on, limits, &layer, why, sizeof(why));

	if (!r)
		layer_close(layer);
	return r;
}

static void damage_is_found(void **state)
{
	static const struct layer_limits none;
	uint8_t byte, wrong;
	struct stat st;
	int fd;

	(void)state;
	fd = openat(folder_fd, "one.map", O_RDWR);
	assert_int_equal(fstat(fd, &st), 0);
	assert_true(st.st_size > LAYER_HEADER_BYTES);
	for (off_t at = 0; at < st.st_size; at = at == 135 ? LAYER_HEADER_BYTES : at + 1) {
		assert_int_equal(pread(fd, &byte, 1, at), 1);
		wrong = byte ^ (uint8_t)(1 << at % 8);
		assert_int_equal(pwrite(fd, &wrong, 1, at), 1);
		if (try_open("one", &lies_on, &none) != -EBADMSG)
			fail_msg("byte %jd of the map may be wrong: %s", (intmax_t)at, why);
		assert_int_equal(pwrite(fd, &byte, 1, at), 1);
	}
	assert_int_equal(try_open("one", &lies_on, &none), 0);
	assert_int_equal(renameat(folder_fd, "one.map", folder_fd, "kept"), 0);
	assert_int_equal(try_open("one", &lies_on, &none), -EBADMSG);
	assert_non_null(strstr(why, "one.cow has data, but one.map is missing"));
	assert_int_equal(renameat(folder_fd, "kept", folder_fd, "one.map"), 0);
	close(fd);
}

static void a_busy_layer_is_left_alone(void **state)
{
	static const struct layer_limits none;
	struct layer *layer = bed_open_layer("one");

	(void)state;
	assert_int_equal(try_open("one", &lies_on, &none), -EBUSY);
	assert_int_equal(layer_remove(folder_fd, "one", ANY_AGE, why, sizeof(why)), -EBUSY);
	layer_close(layer);
	bed_remove_layer("one");
	layer = bed_open_layer("one");
	assert_int_equal(bed_write(layer, (const uint8_t *)"x", 0, 1), 0);
	layer_close(layer);
	/* Half removed is removed. */
	assert_int_equal(truncate(strcat(strcpy(why, bed_directory), "/one.cow"), 0), 0);
	layer = bed_open_layer("one");
	bed_read(layer, (uint8_t *)why, 0, 1);
	assert_int_equal((uint8_t)why[0], image[0]);
	layer_close(layer);
	bed_remove_layer("one");
}

static void limits_are_kept(void **state)
{
	static const struct layer_limits limits = {3 * LAYER_BLOCK_BYTES, 7 * LAYER_BLOCK_BYTES};
	static uint8_t data[4 * LAYER_BLOCK_BYTES];
	struct layer *layer;

	(void)state;
	assert_int_equal(layer_open(folder_fd, "one", &lies_on, &limits, &layer, why, sizeof(why)),
			 0);
	assert_int_equal(bed_write(layer, data, 100, 2 * LAYER_BLOCK_BYTES), 0);
	assert_int_equal(bed_write(layer, data, 5 * LAYER_BLOCK_BYTES, 1), -ENOSPC);
	assert_int_equal(layer_zero(layer, 8 * LAYER_BLOCK_BYTES, LAYER_BLOCK_BYTES), -ENOSPC);
	assert_int_equal(bed_write(layer, data, 0, 3 * LAYER_BLOCK_BYTES), 0);
	assert_int_equal(bed_write(layer, data, 0, 3 * LAYER_BLOCK_BYTES + 1), -ENOSPC);
	layer_close(layer);
	assert_int_equal(try_open("two", &lies_on, &limits), 0);
	assert_int_equal(try_open("three", &lies_on, &limits), -EDQUOT);
	assert_non_null(strstr(why, "no room for its layer: 2 of 12288 bytes each"));
	bed_remove_layer("one");
	assert_int_equal(try_open("three", &lies_on, &limits), 0);
	bed_remove_layer("two");
	bed_remove_layer("three");
}

static int make_image(const char *name, uint8_t fill)
{
	static uint8_t data[IMAGE_BYTES];
	int fd = openat(folder_fd, name, O_RDWR | O_CREAT | O_TRUNC, 0600);

	assert_true(fd >= 0);
	memset(data, fill, sizeof(data));
	assert_int_equal(pwrite(fd, data, sizeof(data), 0), sizeof(data));
	return fd;
}

static void a_layer_stays_on_its_generation(void **state)
{
	static const struct layer_limits none;
	struct layer_image first, second;
	struct layer *layer;
	uint8_t found[2];
	char kept[GENERATION_BYTES + 8];

	(void)state;
	make_image("image", 'a');
	assert_int_equal(layer_image_of(openat(folder_fd, "image", O_RDONLY), &first), 0);
	assert_int_equal(layer_keep_image(folder_fd, &first), 0);
	assert_int_equal(layer_open(folder_fd, "one", &first, &none, &layer, why, sizeof(why)), 0);
	assert_int_equal(bed_write(layer, (const uint8_t *)"1", 0, 1), 0);
	layer_close(layer);
	close(first.fd);

	close(make_image("new", 'b'));
	assert_int_equal(renameat(folder_fd, "new", folder_fd, "image"), 0);
	assert_int_equal(layer_image_of(openat(folder_fd, "image", O_RDONLY), &second), 0);
	assert_string_not_equal(first.generation, second.generation);
	assert_int_equal(layer_open(folder_fd, "one", &second, &none, &layer, why, sizeof(why)), 0);
	assert_string_equal(layer_generation(layer), first.generation);
	bed_read(layer, found, 0, 2);
	assert_memory_equal(found, "1a", 2);
	layer_close(layer);
	assert_int_equal(layer_open(folder_fd, "two", &second, &none, &layer, why, sizeof(why)), 0);
	bed_read(layer, found, 0, 2);
	assert_memory_equal(found, "bb", 2);
	layer_close(layer);

	snprintf(kept, sizeof(kept), "%s.image", first.generation);
	assert_int_equal(unlinkat(folder_fd, kept, 0), 0);
	assert_int_equal(try_open("one", &second, &none), -ESTALE);
	assert_non_null(strstr(why, first.generation));
	bed_remove_layer("one");
	assert_int_equal(try_open("one", &second, &none), 0);
	bed_remove_layer("one");
	bed_remove_layer("two");
	assert_int_equal(unlinkat(folder_fd, "image", 0), 0);
	close(second.fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(threads_do_not_undo_each_others_writes),
		cmocka_unit_test(each_machine_has_its_own),
		cmocka_unit_test(damage_is_found),
		cmocka_unit_test(a_busy_layer_is_left_alone),
		cmocka_unit_test(limits_are_kept),
		cmocka_unit_test(a_layer_stays_on_its_generation),
	};

	return cmocka_run_group_tests(tests, bed_set_up, bed_tear_down);
}
