// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Writable layers against a model: the server is killed after any byte that it has
 * written, and the host loses power with any of what it had not yet on its disk.
 * For this the calls that change a file are wrapped.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

#include "server/export.h"
#include "server/layer.h"
#include "server/machine-file.h"

enum {
	SECTOR = 512,
	IMAGE_BYTES = 24 * LAYER_BLOCK_BYTES + 1536, /* the last block is not whole */
	SECTORS = IMAGE_BYTES / SECTOR,
	KILLS = 400,
	POWER_CUTS = 300,
	VERSIONS_MAX = 256,
	PENDING_MAX = 4096,
	KILLED = 9,
};

static char directory[] = "/tmp/layer-test.XXXXXX";
static char why[WHY_BYTES], boot_id[BOOT_ID_BYTES] = "first";
static int folder_fd, image_fd;
static uint8_t image[IMAGE_BYTES];
static struct layer_image lies_on;

/* Kills after so many bytes; negative: never. */
static long kill_after_bytes = -1;

/* What a file has on the disk, and what of it may be there too. */
static struct pending {
	ino_t file;
	off_t offset;
	size_t length;
	uint8_t *data;
} pending[PENDING_MAX];
static unsigned int pending_count;
static bool is_journaling;

int __wrap_layer_boot_id(char ret[BOOT_ID_BYTES]);
ssize_t __real_pwrite(int fd, const void *data, size_t length, off_t offset);
ssize_t __wrap_pwrite(int fd, const void *data, size_t length, off_t offset);
ssize_t __real_pwritev(int fd, const struct iovec *iov, int count, off_t offset);
ssize_t __wrap_pwritev(int fd, const struct iovec *iov, int count, off_t offset);
int __real_fallocate(int fd, int mode, off_t offset, off_t length);
int __wrap_fallocate(int fd, int mode, off_t offset, off_t length);
int __real_fdatasync(int fd);
int __wrap_fdatasync(int fd);

int __wrap_layer_boot_id(char ret[BOOT_ID_BYTES])
{
	memcpy(ret, boot_id, BOOT_ID_BYTES);
	return 0;
}

static ino_t inode_of(int fd)
{
	struct stat st;

	assert_int_equal(fstat(fd, &st), 0);
	return st.st_ino;
}

/* What the disk had at that place, to be put back when the write is lost. */
static void note_pending(int fd, off_t offset, size_t length)
{
	struct pending *entry = &pending[pending_count++];

	assert_true(pending_count <= PENDING_MAX);
	*entry = (struct pending){inode_of(fd), offset, length, calloc(1, length)};
	assert_true(pread(fd, entry->data, length, offset) >= 0);
}

static void forget_pending(ino_t file)
{
	unsigned int kept = 0;

	for (unsigned int i = 0; i < pending_count; i++) {
		if (pending[i].file == file)
			free(pending[i].data);
		else
			pending[kept++] = pending[i];
	}
	pending_count = kept;
}

ssize_t __wrap_pwrite(int fd, const void *data, size_t length, off_t offset)
{
	if (is_journaling)
		note_pending(fd, offset, length);
	if (kill_after_bytes >= 0 && (long)length >= kill_after_bytes) {
		if (__real_pwrite(fd, data, (size_t)kill_after_bytes, offset) >= 0)
			_exit(KILLED);
	}
	kill_after_bytes -= kill_after_bytes >= 0 ? (long)length : 0;
	return __real_pwrite(fd, data, length, offset);
}

/* One piece at a time, which the callers have to bear anyway. */
ssize_t __wrap_pwritev(int fd, const struct iovec *iov, int count, off_t offset)
{
	(void)count;
	return __wrap_pwrite(fd, iov[0].iov_base, iov[0].iov_len, offset);
}

int __wrap_fallocate(int fd, int mode, off_t offset, off_t length)
{
	if (is_journaling)
		note_pending(fd, offset, (size_t)length);
	return __real_fallocate(fd, mode, offset, length);
}

/* What another thread does while the disk is busy with a flush. */
static void (*while_syncing)(void);

int __wrap_fdatasync(int fd)
{
	void (*other)(void) = while_syncing;

	if (is_journaling)
		forget_pending(inode_of(fd));
	while_syncing = NULL;
	if (other)
		other();
	return 0;
}

static struct layer *open_layer(const char *identity)
{
	static const struct layer_limits none;
	struct layer *layer = NULL;

	if (layer_open(folder_fd, identity, &lies_on, &none, &layer, why, sizeof(why)) < 0)
		fail_msg("%s: %s", identity, why);
	return layer;
}

static void remove_layer(const char *identity)
{
	if (layer_remove(folder_fd, identity, ANY_AGE, why, sizeof(why)) < 0)
		fail_msg("%s", why);
}

static int write_to(struct layer *layer, const uint8_t *data, uint64_t offset, size_t length)
{
	struct iovec iov[2] = {{(void *)data, length / 2},
			       {(uint8_t *)data + length / 2, length - length / 2}};

	return length < 2 ? layer_write(layer, iov + 1, 1, offset)
			  : layer_write(layer, iov, 2, offset);
}

static void read_from(struct layer *layer, uint8_t *data, uint64_t offset, size_t length)
{
	struct iovec iov[2] = {{data, length / 3}, {data + length / 3, length - length / 3}};

	assert_int_equal(length < 3 ? layer_read(layer, iov + 1, 1, offset)
				    : layer_read(layer, iov, 2, offset),
			 0);
}

/* A random change of whole sectors; its range is what it may have touched when it is cut. */
struct change {
	enum { CHANGE_WRITE, CHANGE_ZERO, CHANGE_FLUSH } kind;
	unsigned int first, count; /* sectors */
	uint8_t data[IMAGE_BYTES];
};

static void choose(struct change *change, unsigned int *seed, uint8_t fill)
{
	unsigned int dice = (unsigned int)rand_r(seed) % 10;

	change->kind = dice < 7 ? CHANGE_WRITE : dice < 8 ? CHANGE_ZERO : CHANGE_FLUSH;
	change->first = (unsigned int)rand_r(seed) % SECTORS;
	change->count = 1 + (unsigned int)rand_r(seed) % (dice & 1 ? 5 : 40);
	if (change->count > SECTORS - change->first)
		change->count = SECTORS - change->first;
	memset(change->data, change->kind == CHANGE_ZERO ? 0 : fill, sizeof(change->data));
}

static int apply(struct layer *layer, const struct change *change)
{
	uint64_t offset = change->first * SECTOR;
	size_t length = change->count * SECTOR;
	int r;

	if (change->kind == CHANGE_FLUSH)
		return layer_flush(layer);
	if (change->kind == CHANGE_WRITE)
		return write_to(layer, change->data, offset, length);
	r = layer_zero(layer, offset, length);
	return r == -EOPNOTSUPP ? write_to(layer, change->data, offset, length) : r;
}

static void apply_to_model(uint8_t *model, const struct change *change)
{
	if (change->kind != CHANGE_FLUSH)
		memcpy(model + change->first * SECTOR, change->data, change->count * SECTOR);
}

/* What the process that is killed tells the one that looks after it. */
struct report {
	uint8_t model[IMAGE_BYTES];
	struct change last;
	bool is_done; /* last was answered */
};

static void work_until_killed(struct report *report, unsigned int seed, long bytes)
{
	struct layer *layer = open_layer("killed");

	kill_after_bytes = bytes;
	for (int i = 0; i < 60; i++) {
		choose(&report->last, &seed, (uint8_t)(i + 1));
		report->is_done = false;
		if (apply(layer, &report->last) < 0)
			_exit(1);
		apply_to_model(report->model, &report->last);
		report->is_done = true;
	}
	_exit(0);
}

static void expect_model(const struct report *report, int round)
{
	static uint8_t found[IMAGE_BYTES];
	struct layer *layer = open_layer("killed");
	unsigned int first = report->last.first, end = first + report->last.count;

	read_from(layer, found, 0, sizeof(found));
	for (unsigned int i = 0; i < IMAGE_BYTES; i++) {
		unsigned int sector = i / SECTOR;
		bool unsure = !report->is_done && sector >= first && sector < end;

		if (found[i] != report->model[i] && !(unsure && found[i] == report->last.data[i]))
			fail_msg("round %d: byte %u is %02x, was answered as %02x", round, i,
				 found[i], report->model[i]);
	}
	layer_close(layer);
}

static void what_was_answered_survives_a_kill_at_any_byte(void **state)
{
	struct report *report = mmap(NULL, sizeof(*report), PROT_READ | PROT_WRITE,
				     MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	int killed = 0;

	(void)state;
	for (int round = 0; round < KILLS; round++) {
		int status;
		pid_t child;

		memcpy(report->model, image, sizeof(image));
		child = fork();
		if (!child) /* all bytes of the first records, then ever larger steps */
			work_until_killed(report, (unsigned int)round / 7,
					  round < 150 ? round * 61 : (long)round * round * 3);
		assert_int_equal(waitpid(child, &status, 0), child);
		assert_true(WIFEXITED(status));
		assert_true(WEXITSTATUS(status) == KILLED || WEXITSTATUS(status) == 0);
		killed += WEXITSTATUS(status) == KILLED;
		expect_model(report, round);
		if (round % 3 == 0) { /* and a second time, from what it left */
			layer_close(open_layer("killed"));
			expect_model(report, round);
		}
		remove_layer("killed");
	}
	assert_true(killed > KILLS / 2);
	munmap(report, sizeof(*report));
}

/* Undoes a part of what was not synced: any of it may have come to the disk. */
static void cut_power(unsigned int *seed)
{
	static const char *names[] = {"cut.cow", "cut.map"};
	int fds[2];

	for (int i = 0; i < 2; i++) {
		fds[i] = openat(folder_fd, names[i], O_RDWR);
		assert_true(fds[i] >= 0);
	}
	while (pending_count) {
		struct pending *entry = &pending[--pending_count];
		int fd = entry->file == inode_of(fds[0]) ? fds[0] : fds[1];

		for (size_t at = 0; at < entry->length; at += SECTOR) {
			size_t bytes = entry->length - at < SECTOR ? entry->length - at : SECTOR;

			if (rand_r(seed) & 1)
				__real_pwrite(fd, entry->data + at, bytes,
					      entry->offset + (off_t)at);
		}
		free(entry->data);
	}
	close(fds[0]);
	close(fds[1]);
}

static struct layer *cut_layer;
static struct change meanwhile;

static void write_meanwhile(void)
{
	assert_int_equal(apply(cut_layer, &meanwhile), 0);
}

static void note(bool may_be[SECTORS][VERSIONS_MAX], const struct change *change)
{
	for (unsigned int j = 0; j < change->count && change->kind != CHANGE_FLUSH; j++)
		may_be[change->first + j][change->data[0]] = true;
}

/*
 * After a loss of power a sector is what it was at the last flush, or what any
 * later write made of it; undoing writes in their order leaves one of these.
 */
static void what_was_flushed_survives_a_loss_of_power(void **state)
{
	static uint8_t flushed[IMAGE_BYTES], found[IMAGE_BYTES];
	static bool may_be[SECTORS][VERSIONS_MAX];
	static struct change change;
	unsigned int seed = 4;

	(void)state;
	for (int round = 0; round < POWER_CUTS; round++) {
		struct layer *layer = cut_layer = open_layer("cut");
		int count = 5 + rand_r(&seed) % 50;

		memcpy(flushed, image, sizeof(flushed));
		memset(may_be, 0, sizeof(may_be));
		is_journaling = true;
		for (int i = 0; i < count; i++) {
			choose(&change, &seed, (uint8_t)(i + 1));
			if (change.kind != CHANGE_FLUSH) {
				assert_int_equal(apply(layer, &change), 0);
				note(may_be, &change);
				continue;
			}
			read_from(layer, flushed, 0, sizeof(flushed));
			memset(may_be, 0, sizeof(may_be));
			choose(&meanwhile, &seed, (uint8_t)(i + 100));
			if (meanwhile.kind != CHANGE_FLUSH) {
				while_syncing = write_meanwhile;
				note(may_be, &meanwhile);
			}
			assert_int_equal(layer_flush(layer), 0);
		}
		is_journaling = false;
		layer_close(layer);
		cut_power(&seed);
		snprintf(boot_id, sizeof(boot_id), "boot %d", round);
		layer = open_layer("cut");
		read_from(layer, found, 0, sizeof(found));
		for (unsigned int i = 0; i < IMAGE_BYTES; i++) {
			if (found[i] != flushed[i] && !may_be[i / SECTOR][found[i]])
				fail_msg("round %d: byte %u is %02x, was flushed as %02x", round, i,
					 found[i], flushed[i]);
		}
		layer_close(layer);
		remove_layer("cut");
	}
}

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
		if (write_to(shared, data, sector * SECTOR, sizeof(data)) < 0 ||
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
		shared = open_layer("shared");
		memcpy(shared_model, image, sizeof(image));
		for (uintptr_t i = 0; i < THREADS; i++)
			pthread_create(&threads[i], NULL, write_own_sectors, (void *)i);
		for (int i = 0; i < THREADS; i++) {
			void *result;

			pthread_join(threads[i], &result);
			assert_null(result);
		}
		read_from(shared, found, 0, sizeof(found));
		assert_memory_equal(found, shared_model, sizeof(found));
		layer_close(shared);
		remove_layer("shared");
	}
}

static void each_machine_has_its_own(void **state)
{
	static uint8_t found[IMAGE_BYTES];
	struct layer *one = open_layer("one"), *two = open_layer("two");

	(void)state;
	assert_int_equal(write_to(one, (const uint8_t *)"1111", 5000, 4), 0);
	read_from(two, found, 0, sizeof(found));
	assert_memory_equal(found, image, sizeof(image));
	read_from(one, found, 0, sizeof(found));
	assert_memory_equal(found, image, 5000);
	assert_memory_equal(found + 5000, "1111", 4);
	assert_memory_equal(found + 5004, image + 5004, sizeof(image) - 5004);
	layer_close(one);
	layer_close(two);
	remove_layer("two");
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
		assert_int_equal(__real_pwrite(fd, &wrong, 1, at), 1);
		if (try_open("one", &lies_on, &none) != -EBADMSG)
			fail_msg("byte %jd of the map may be wrong: %s", (intmax_t)at, why);
		assert_int_equal(__real_pwrite(fd, &byte, 1, at), 1);
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
	struct layer *layer = open_layer("one");

	(void)state;
	assert_int_equal(try_open("one", &lies_on, &none), -EBUSY);
	assert_int_equal(layer_remove(folder_fd, "one", ANY_AGE, why, sizeof(why)), -EBUSY);
	layer_close(layer);
	remove_layer("one");
	layer = open_layer("one");
	assert_int_equal(write_to(layer, (const uint8_t *)"x", 0, 1), 0);
	layer_close(layer);
	/* Half removed is removed. */
	assert_int_equal(truncate(strcat(strcpy(why, directory), "/one.cow"), 0), 0);
	layer = open_layer("one");
	read_from(layer, (uint8_t *)why, 0, 1);
	assert_int_equal((uint8_t)why[0], image[0]);
	layer_close(layer);
	remove_layer("one");
}

static void limits_are_kept(void **state)
{
	static const struct layer_limits limits = {3 * LAYER_BLOCK_BYTES, 7 * LAYER_BLOCK_BYTES};
	static uint8_t data[4 * LAYER_BLOCK_BYTES];
	struct layer *layer;

	(void)state;
	assert_int_equal(layer_open(folder_fd, "one", &lies_on, &limits, &layer, why, sizeof(why)),
			 0);
	assert_int_equal(write_to(layer, data, 100, 2 * LAYER_BLOCK_BYTES), 0);
	assert_int_equal(write_to(layer, data, 5 * LAYER_BLOCK_BYTES, 1), -ENOSPC);
	assert_int_equal(layer_zero(layer, 8 * LAYER_BLOCK_BYTES, LAYER_BLOCK_BYTES), -ENOSPC);
	assert_int_equal(write_to(layer, data, 0, 3 * LAYER_BLOCK_BYTES), 0);
	assert_int_equal(write_to(layer, data, 0, 3 * LAYER_BLOCK_BYTES + 1), -ENOSPC);
	layer_close(layer);
	assert_int_equal(try_open("two", &lies_on, &limits), 0);
	assert_int_equal(try_open("three", &lies_on, &limits), -EDQUOT);
	assert_non_null(strstr(why, "no room for its layer: 2 of 12288 bytes each"));
	remove_layer("one");
	assert_int_equal(try_open("three", &lies_on, &limits), 0);
	remove_layer("two");
	remove_layer("three");
}

static int make_image(const char *name, uint8_t fill)
{
	static uint8_t data[IMAGE_BYTES];
	int fd = openat(folder_fd, name, O_RDWR | O_CREAT | O_TRUNC, 0600);

	assert_true(fd >= 0);
	memset(data, fill, sizeof(data));
	assert_int_equal(__real_pwrite(fd, data, sizeof(data), 0), sizeof(data));
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
	assert_int_equal(write_to(layer, (const uint8_t *)"1", 0, 1), 0);
	layer_close(layer);
	close(first.fd);

	close(make_image("new", 'b'));
	assert_int_equal(renameat(folder_fd, "new", folder_fd, "image"), 0);
	assert_int_equal(layer_image_of(openat(folder_fd, "image", O_RDONLY), &second), 0);
	assert_string_not_equal(first.generation, second.generation);
	assert_int_equal(layer_open(folder_fd, "one", &second, &none, &layer, why, sizeof(why)), 0);
	assert_string_equal(layer_generation(layer), first.generation);
	read_from(layer, found, 0, 2);
	assert_memory_equal(found, "1a", 2);
	layer_close(layer);
	assert_int_equal(layer_open(folder_fd, "two", &second, &none, &layer, why, sizeof(why)), 0);
	read_from(layer, found, 0, 2);
	assert_memory_equal(found, "bb", 2);
	layer_close(layer);

	snprintf(kept, sizeof(kept), "%s.image", first.generation);
	assert_int_equal(unlinkat(folder_fd, kept, 0), 0);
	assert_int_equal(try_open("one", &second, &none), -ESTALE);
	assert_non_null(strstr(why, first.generation));
	remove_layer("one");
	assert_int_equal(try_open("one", &second, &none), 0);
	remove_layer("one");
	remove_layer("two");
	assert_int_equal(unlinkat(folder_fd, "image", 0), 0);
	close(second.fd);
}

static int set_up(void **state)
{
	(void)state;
	if (!mkdtemp(directory))
		return -1;
	folder_fd = open(directory, O_RDONLY | O_DIRECTORY);
	image_fd = openat(folder_fd, "base", O_RDWR | O_CREAT, 0600);
	for (size_t i = 0; i < sizeof(image); i++)
		image[i] = (uint8_t)(200 + i / SECTOR % 50);
	if (__real_pwrite(image_fd, image, sizeof(image), 0) != sizeof(image))
		return -1;
	return layer_image_of(image_fd, &lies_on);
}

static int tear_down(void **state)
{
	(void)state;
	unlinkat(folder_fd, "base", 0);
	close(image_fd);
	close(folder_fd);
	return rmdir(directory);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_was_answered_survives_a_kill_at_any_byte),
		cmocka_unit_test(what_was_flushed_survives_a_loss_of_power),
		cmocka_unit_test(threads_do_not_undo_each_others_writes),
		cmocka_unit_test(each_machine_has_its_own),
		cmocka_unit_test(damage_is_found),
		cmocka_unit_test(a_busy_layer_is_left_alone),
		cmocka_unit_test(limits_are_kept),
		cmocka_unit_test(a_layer_stays_on_its_generation),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
