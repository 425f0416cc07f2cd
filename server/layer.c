// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A writable layer over an image that many machines share: a read takes each block
 * from the layer or from the image, a write goes to the layer. A block that is not
 * in the layer yet is written whole, with what the image has around the new bytes,
 * and counts when the map says so, which is before the write is answered.
 */
#include "server/layer.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "server/export.h"
#include "server/machine-file.h"

#define IMAGE_SUFFIX ".image"

struct layer {
	pthread_mutex_t lock; /* of map, and held while a block comes into the layer */
	struct layer_map map;
	int data_fd;
	int image_fd;
	uint64_t limit_blocks;
};

int layer_image_of(int fd, struct layer_image *ret)
{
	struct stat st;

	if (fstat(fd, &st) < 0)
		return -errno;
	ret->fd = fd;
	ret->size_bytes = (uint64_t)st.st_size;
	snprintf(ret->generation, sizeof(ret->generation), "%llx-%lx-%llx",
		 (unsigned long long)st.st_mtim.tv_sec, (unsigned long)st.st_mtim.tv_nsec,
		 (unsigned long long)st.st_ino);
	return 0;
}

int layer_keep_image(int folder_fd, const struct layer_image *image)
{
	char name[GENERATION_BYTES + sizeof(IMAGE_SUFFIX)], path[40];

	snprintf(name, sizeof(name), "%s%s", image->generation, IMAGE_SUFFIX);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", image->fd);
	if (linkat(AT_FDCWD, path, folder_fd, name, AT_SYMLINK_FOLLOW) < 0)
		return errno == EEXIST ? 0 : -errno;
	return fsync(folder_fd) < 0 ? -errno : 0;
}

static int failed(int error, char *why, size_t why_size, const char *what)
{
	snprintf(why, why_size, "%s: %s", what, strerror(-error));
	return error;
}

/* Made whole, and not half removed. */
static bool is_there(int folder_fd, const char *data_name, const char *map_name)
{
	struct stat st;

	if (faccessat(folder_fd, map_name, F_OK, AT_SYMLINK_NOFOLLOW) < 0 && errno == ENOENT)
		return false;
	return fstatat(folder_fd, data_name, &st, AT_SYMLINK_NOFOLLOW) < 0 || st.st_size;
}

/* Blocks without a map, of which nobody can say what they are. */
static bool has_data(int folder_fd, const char *name)
{
	struct stat st;

	return fstatat(folder_fd, name, &st, AT_SYMLINK_NOFOLLOW) == 0 && st.st_blocks;
}

static int make_data(int folder_fd, const char *name, uint64_t size_bytes)
{
	int fd = openat(folder_fd, name, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
	int r;

	if (fd < 0)
		return -errno;
	r = ftruncate(fd, (off_t)size_bytes) < 0 || fsync(fd) < 0 || fsync(folder_fd) < 0 ? -errno
											  : 0;
	close(fd);
	return r;
}

static void count_one(int folder_fd, const char *name, void *arg)
{
	(void)folder_fd;
	(void)name;
	++*(uint64_t *)arg;
}

static int check_quota(int folder_fd, const struct layer_limits *limits, char *why, size_t why_size)
{
	uint64_t layers = 0;
	int r;

	if (!limits->quota_bytes)
		return 0;
	r = machine_file_each(folder_fd, MAP_SUFFIX, count_one, &layers);
	if (r < 0)
		return failed(r, why, why_size, "cannot count the layers");
	if (layers < limits->quota_bytes / limits->layer_bytes)
		return 0;
	snprintf(why, why_size,
		 "no room for its layer: %" PRIu64 " of %" PRIu64
		 " bytes each are there, and the quota is %" PRIu64,
		 layers, limits->layer_bytes, limits->quota_bytes);
	return -EDQUOT;
}

/* The map comes last: from then on the layer exists. */
static int make(int folder_fd, const char *data_name, const char *map_name,
		const struct layer_image *image, const struct layer_limits *limits, char *why,
		size_t why_size)
{
	int r = check_quota(folder_fd, limits, why, why_size);

	if (r < 0)
		return r;

	if (has_data(folder_fd, data_name)) {
		snprintf(why, why_size, "%s has data, but %s is missing; --reset begins anew",
			 data_name, map_name);
		return -EBADMSG;
	}
	r = make_data(folder_fd, data_name, image->size_bytes);
	if (!r)
		r = layer_map_make(folder_fd, map_name, image->size_bytes, image->generation);
	return r < 0 ? failed(r, why, why_size, "cannot make its layer") : 0;
}

static int open_earlier_image(struct layer *layer, int folder_fd, const struct layer_image *image,
			      char *why, size_t why_size)
{
	char name[GENERATION_BYTES + sizeof(IMAGE_SUFFIX)];
	struct layer_image earlier;

	snprintf(name, sizeof(name), "%s%s", layer->map.generation, IMAGE_SUFFIX);
	layer->image_fd = openat(folder_fd, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	if (layer->image_fd >= 0 && layer_image_of(layer->image_fd, &earlier) == 0 &&
	    !strcmp(earlier.generation, layer->map.generation) &&
	    earlier.size_bytes == layer->map.size_bytes)
		return 0;
	snprintf(why, why_size,
		 "its layer was made on generation %s of the image, which is %s now; "
		 "bring that image back, or --reset the layer",
		 layer->map.generation, image->generation);
	return -ESTALE;
}

static int open_files(struct layer *layer, int folder_fd, const char *data_name,
		      const char *map_name, const struct layer_image *image, char *why,
		      size_t why_size)
{
	struct stat st;
	int r = machine_file_open(folder_fd, data_name, &layer->data_fd, why, why_size);

	if (r < 0)
		return r;
	if (fdatasync(layer->data_fd) < 0 || fstat(layer->data_fd, &st) < 0)
		return failed(-errno, why, why_size, data_name);
	r = layer_map_open(folder_fd, map_name, (uint64_t)st.st_size, &layer->map);
	if (r == -EBADMSG)
		snprintf(why, why_size, "%s is damaged; bring it back, or --reset the layer",
			 map_name);
	if (r < 0)
		return r == -EBADMSG ? r : failed(r, why, why_size, map_name);
	if (strcmp(layer->map.generation, image->generation) != 0 ||
	    layer->map.size_bytes != image->size_bytes)
		return open_earlier_image(layer, folder_fd, image, why, why_size);
	layer->image_fd = fcntl(image->fd, F_DUPFD_CLOEXEC, 0);
	return layer->image_fd < 0 ? failed(-errno, why, why_size, "its image") : 0;
}

static int make_if_missing(int folder_fd, const char *data_name, const char *map_name,
			   const struct layer_image *image, const struct layer_limits *limits,
			   char *why, size_t why_size)
{
	int lock_fd, r = 0;

	if (is_there(folder_fd, data_name, map_name))
		return 0;
	lock_fd = machine_file_lock_folder(folder_fd);
	if (lock_fd < 0)
		return failed(lock_fd, why, why_size, "cannot lock the directory");
	if (!is_there(folder_fd, data_name, map_name))
		r = make(folder_fd, data_name, map_name, image, limits, why, why_size);
	close(lock_fd);
	return r;
}

static void name_files(const char *identity, char data_name[MACHINE_FILE_BYTES],
		       char map_name[MACHINE_FILE_BYTES])
{
	snprintf(data_name, MACHINE_FILE_BYTES, "%s%s", identity, LAYER_SUFFIX);
	snprintf(map_name, MACHINE_FILE_BYTES, "%s%s", identity, MAP_SUFFIX);
}

int layer_open(int folder_fd, const char *identity, const struct layer_image *image,
	       const struct layer_limits *limits, struct layer **ret, char *why, size_t why_size)
{
	char data_name[MACHINE_FILE_BYTES], map_name[MACHINE_FILE_BYTES];
	struct layer *layer = calloc(1, sizeof(*layer));
	int r;

	if (!layer)
		return failed(-ENOMEM, why, why_size, "its layer");
	pthread_mutex_init(&layer->lock, NULL);
	layer->data_fd = -1;
	layer->map.fd = -1;
	layer->image_fd = -1;
	layer->limit_blocks = limits->layer_bytes ? limits->layer_bytes / LAYER_BLOCK_BYTES
						  : UINT64_MAX;
	name_files(identity, data_name, map_name);
	r = make_if_missing(folder_fd, data_name, map_name, image, limits, why, why_size);
	if (!r)
		r = open_files(layer, folder_fd, data_name, map_name, image, why, why_size);
	if (r < 0)
		layer_close(layer);
	else
		*ret = layer;
	return r;
}

void layer_close(struct layer *layer)
{
	if (layer->map.fd >= 0)
		layer_map_close(&layer->map);
	if (layer->image_fd >= 0)
		close(layer->image_fd);
	if (layer->data_fd >= 0)
		close(layer->data_fd);
	pthread_mutex_destroy(&layer->lock);
	free(layer);
}

const char *layer_generation(const struct layer *layer)
{
	return layer->map.generation;
}

uint64_t layer_size_bytes(const struct layer *layer)
{
	return layer->map.size_bytes;
}

/* Moves the first bytes of *iov to part; returns its entries. */
static int take_part(struct iovec **iov, int *iov_count, size_t bytes,
		     struct iovec part[PIECE_BUFFERS_MAX])
{
	int count = 0;

	while (bytes) {
		size_t taken = (*iov)->iov_len < bytes ? (*iov)->iov_len : bytes;

		part[count++] = (struct iovec){(*iov)->iov_base, taken};
		(*iov)->iov_base = (uint8_t *)(*iov)->iov_base + taken;
		(*iov)->iov_len -= taken;
		bytes -= taken;
		if (!(*iov)->iov_len) {
			(*iov)++;
			(*iov_count)--;
		}
	}
	return count;
}

static uint64_t total(const struct iovec *iov, int iov_count)
{
	uint64_t bytes = 0;

	for (int i = 0; i < iov_count; i++)
		bytes += iov[i].iov_len;
	return bytes;
}

/* Blocks that the range touches. */
static uint64_t blocks_of(uint64_t offset_bytes, uint64_t length_bytes)
{
	return (offset_bytes + length_bytes - 1) / LAYER_BLOCK_BYTES -
	       offset_bytes / LAYER_BLOCK_BYTES + 1;
}

/* How many bytes from offset on are in one place, and whether that is the layer. */
static uint64_t run_bytes(struct layer *layer, uint64_t offset_bytes, uint64_t length_bytes,
			  bool *ret_written)
{
	uint64_t first = offset_bytes / LAYER_BLOCK_BYTES, run, end_bytes;

	pthread_mutex_lock(&layer->lock);
	run = layer_map_run(&layer->map, first, blocks_of(offset_bytes, length_bytes), ret_written);
	pthread_mutex_unlock(&layer->lock);
	end_bytes = (first + run) * LAYER_BLOCK_BYTES - offset_bytes;
	return end_bytes < length_bytes ? end_bytes : length_bytes;
}

uint64_t layer_run(struct layer *layer, uint64_t offset_bytes, uint64_t length_bytes, int *ret_fd)
{
	bool written;
	uint64_t bytes = run_bytes(layer, offset_bytes, length_bytes, &written);

	*ret_fd = written ? layer->data_fd : layer->image_fd;
	return bytes;
}

int layer_read(struct layer *layer, struct iovec *iov, int iov_count, uint64_t offset_bytes)
{
	uint64_t left_bytes = total(iov, iov_count);

	while (left_bytes) {
		struct iovec part[PIECE_BUFFERS_MAX];
		int fd;
		uint64_t bytes = layer_run(layer, offset_bytes, left_bytes, &fd);
		int count = take_part(&iov, &iov_count, bytes, part);
		int r = file_read(fd, part, count, offset_bytes);

		if (r < 0)
			return r;
		offset_bytes += bytes;
		left_bytes -= bytes;
	}
	return 0;
}

/* Fills a part of one block of the layer with what the image has. */
static int fill(struct layer *layer, uint64_t offset_bytes, uint64_t end_bytes)
{
	uint8_t data[LAYER_BLOCK_BYTES];
	struct iovec iov = {data, end_bytes - offset_bytes};
	int r;

	if (end_bytes <= offset_bytes)
		return 0;
	r = file_read(layer->image_fd, &iov, 1, offset_bytes);
	iov = (struct iovec){data, end_bytes - offset_bytes};
	return r < 0 ? r : file_write(layer->data_fd, &iov, 1, offset_bytes);
}

static bool is_written(const struct layer *layer, uint64_t block)
{
	bool written;

	layer_map_run(&layer->map, block, 1, &written);
	return written;
}

/* What the image has around a range, in blocks at its ends that are new in the layer. */
static int fill_ends(struct layer *layer, uint64_t offset_bytes, uint64_t length_bytes)
{
	uint64_t first = offset_bytes / LAYER_BLOCK_BYTES, end_bytes = offset_bytes + length_bytes;
	uint64_t last = (end_bytes - 1) / LAYER_BLOCK_BYTES;
	uint64_t last_end_bytes = (last + 1) * LAYER_BLOCK_BYTES;
	int r = 0;

	if (last_end_bytes > layer->map.size_bytes)
		last_end_bytes = layer->map.size_bytes;
	if (!is_written(layer, first))
		r = fill(layer, first * LAYER_BLOCK_BYTES, offset_bytes);
	if (!r && !is_written(layer, last))
		r = fill(layer, end_bytes, last_end_bytes);
	return r;
}

static bool is_room(const struct layer *layer, uint64_t first, uint64_t count)
{
	uint64_t new_blocks = 0;

	if (layer->limit_blocks == UINT64_MAX)
		return true;
	while (count) {
		bool written;
		uint64_t run = layer_map_run(&layer->map, first, count, &written);

		new_blocks += written ? 0 : run;
		first += run;
		count -= run;
	}
	return layer->map.written_blocks + new_blocks <= layer->limit_blocks;
}

/* With the lock, which keeps two writes to the halves of one block apart. */
static int write_new(struct layer *layer, struct iovec *iov, int iov_count, uint64_t offset_bytes,
		     uint64_t length_bytes)
{
	uint64_t first = offset_bytes / LAYER_BLOCK_BYTES;
	uint64_t count = blocks_of(offset_bytes, length_bytes);
	int r;

	if (!is_room(layer, first, count))
		return -ENOSPC;
	r = fill_ends(layer, offset_bytes, length_bytes);
	if (!r)
		r = file_write(layer->data_fd, iov, iov_count, offset_bytes);
	return r < 0 ? r : layer_map_add(&layer->map, first, count);
}

int layer_write(struct layer *layer, struct iovec *iov, int iov_count, uint64_t offset_bytes)
{
	uint64_t length_bytes = total(iov, iov_count), count, run;
	bool written;
	int r = 0;

	if (!length_bytes)
		return 0;
	count = blocks_of(offset_bytes, length_bytes);
	pthread_mutex_lock(&layer->lock);
	run = layer_map_run(&layer->map, offset_bytes / LAYER_BLOCK_BYTES, count, &written);
	written = written && run == count;
	if (!written)
		r = write_new(layer, iov, iov_count, offset_bytes, length_bytes);
	pthread_mutex_unlock(&layer->lock);
	return written ? file_write(layer->data_fd, iov, iov_count, offset_bytes) : r;
}

static int sync_fd(int fd)
{
	while (fdatasync(fd) < 0) {
		if (errno != EINTR)
			return -errno;
	}
	return 0;
}

/* First the blocks, then the word that they are there. */
int layer_flush(struct layer *layer)
{
	uint64_t record_count;
	int r;

	pthread_mutex_lock(&layer->lock);
	record_count = layer->map.record_count;
	pthread_mutex_unlock(&layer->lock);
	r = sync_fd(layer->data_fd);
	if (r < 0)
		return r;
	pthread_mutex_lock(&layer->lock);
	r = layer_map_commit(&layer->map, record_count);
	pthread_mutex_unlock(&layer->lock);
	return r < 0 ? r : sync_fd(layer->map.fd);
}

/* The whole blocks inside a range; false when there is none. */
static bool whole_blocks(const struct layer *layer, uint64_t *offset_bytes, uint64_t *length_bytes)
{
	uint64_t end_bytes = *offset_bytes + *length_bytes;
	uint64_t first = (*offset_bytes + LAYER_BLOCK_BYTES - 1) / LAYER_BLOCK_BYTES;
	uint64_t end = end_bytes / LAYER_BLOCK_BYTES;

	if (end_bytes == layer->map.size_bytes)
		end = (end_bytes + LAYER_BLOCK_BYTES - 1) / LAYER_BLOCK_BYTES;
	*offset_bytes = first * LAYER_BLOCK_BYTES;
	*length_bytes = end > first ? (end - first) * LAYER_BLOCK_BYTES : 0;
	return end > first;
}

int layer_trim(struct layer *layer, uint64_t offset_bytes, uint64_t length_bytes)
{
	int r;

	if (!whole_blocks(layer, &offset_bytes, &length_bytes))
		return 0;
	pthread_mutex_lock(&layer->lock);
	r = export_punch(layer->data_fd, offset_bytes, length_bytes);
	pthread_mutex_unlock(&layer->lock);
	return r == -EOPNOTSUPP ? 0 : r;
}

static int zero_blocks(struct layer *layer, uint64_t offset_bytes, uint64_t length_bytes)
{
	uint64_t first = offset_bytes / LAYER_BLOCK_BYTES;
	uint64_t count = length_bytes / LAYER_BLOCK_BYTES;
	int r;

	if (!is_room(layer, first, count))
		return -ENOSPC;
	r = export_punch(layer->data_fd, offset_bytes, length_bytes);
	return r < 0 ? r : layer_map_add(&layer->map, first, count);
}

static int write_zeroes(struct layer *layer, uint64_t offset_bytes, uint64_t end_bytes)
{
	uint8_t zeroes[LAYER_BLOCK_BYTES] = {0};
	struct iovec iov = {zeroes, end_bytes - offset_bytes};

	return layer_write(layer, &iov, 1, offset_bytes);
}

int layer_zero(struct layer *layer, uint64_t offset_bytes, uint64_t length_bytes)
{
	uint64_t end_bytes = offset_bytes + length_bytes;
	uint64_t whole_bytes = offset_bytes, whole_length_bytes = length_bytes, whole_end_bytes;
	int r;

	if (!whole_blocks(layer, &whole_bytes, &whole_length_bytes))
		return -EOPNOTSUPP; /* short: written as data */
	pthread_mutex_lock(&layer->lock);
	r = zero_blocks(layer, whole_bytes, whole_length_bytes);
	pthread_mutex_unlock(&layer->lock);
	if (!r)
		r = write_zeroes(layer, offset_bytes, whole_bytes);
	whole_end_bytes = whole_bytes + whole_length_bytes;
	if (!r && end_bytes > whole_end_bytes)
		r = write_zeroes(layer, whole_end_bytes, end_bytes);
	return r;
}

int layer_touch(struct layer *layer)
{
	return export_touch(layer->data_fd);
}

/* The map says that the layer exists; data without a byte says that it is being removed. */
static int remove_files(int folder_fd, const char *data_name, const char *map_name, int data_fd)
{
	if (ftruncate(data_fd, 0) < 0 || fsync(data_fd) < 0 ||
	    (unlinkat(folder_fd, map_name, 0) < 0 && errno != ENOENT) ||
	    unlinkat(folder_fd, data_name, 0) < 0)
		return -errno;
	return 0;
}

int layer_remove(int folder_fd, const char *identity, time_t before_s, char *why, size_t why_size)
{
	char data_name[MACHINE_FILE_BYTES], map_name[MACHINE_FILE_BYTES];
	int data_fd, lock_fd = machine_file_lock_folder(folder_fd), r;

	if (lock_fd < 0)
		return failed(lock_fd, why, why_size, "cannot lock the directory");
	name_files(identity, data_name, map_name);
	r = machine_file_seize(folder_fd, data_name, before_s, &data_fd, why, why_size);
	if (!r) {
		r = remove_files(folder_fd, data_name, map_name, data_fd);
		if (r < 0)
			failed(r, why, why_size, data_name);
		else
			machine_file_forget_boot(folder_fd, identity);
		close(data_fd);
	}
	close(lock_fd);
	return r;
}
