// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Writable layers against a model: the server is killed after any byte that it has
 * written, and the host loses power with any of what it had not yet on its disk.
 * For this the calls that change a file are wrapped.
 */
#include "server/layer-bed.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
	KILLS = 400,
	POWER_CUTS = 300,
	VERSIONS_MAX = 256,
	PENDING_MAX = 4096,
	KILLED = 9,
};

static char boot_id[BOOT_ID_BYTES] = "first";

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
		return bed_write(layer, change->data, offset, length);
	r = layer_zero(layer, offset, length);
	return r == -EOPNOTSUPP ? bed_write(layer, change->data, offset, length) : r;
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
	struct layer *layer = bed_open_layer("killed");

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
	struct layer *layer = bed_open_layer("killed");
	unsigned int first = report->last.first, end = first + report->last.count;

	bed_read(layer, found, 0, sizeof(found));
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
			layer_close(bed_open_layer("killed"));
			expect_model(report, round);
		}
		bed_remove_layer("killed");
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
		struct layer *layer = cut_layer = bed_open_layer("cut");
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
			bed_read(layer, flushed, 0, sizeof(flushed));
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
		layer = bed_open_layer("cut");
		bed_read(layer, found, 0, sizeof(found));
		for (unsigned int i = 0; i < IMAGE_BYTES; i++) {
			if (found[i] != flushed[i] && !may_be[i / SECTOR][found[i]])
				fail_msg("round %d: byte %u is %02x, was flushed as %02x", round, i,
					 found[i], flushed[i]);
		}
		layer_close(layer);
		bed_remove_layer("cut");
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_was_answered_survives_a_kill_at_any_byte),
		cmocka_unit_test(what_was_flushed_survives_a_loss_of_power),
	};

	return cmocka_run_group_tests(tests, bed_set_up, bed_tear_down);
}
