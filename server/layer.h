/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * layer.c: what a machine has written to its copy of an image. IDENTITY.cow holds
 * the blocks, each at its own place in a sparse file; IDENTITY.map says which of them
 * count. All functions but layer_open() and layer_close() may be called by several
 * threads; they return 0 or -errno.
 */
#ifndef SERVER_LAYER_H
#define SERVER_LAYER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>
#include <time.h>

#include "server/layer-map.h"

#define LAYER_SUFFIX ".cow"
#define MAP_SUFFIX   ".map"

struct layer;

/* What a layer lies on. */
struct layer_image {
	int fd;
	uint64_t size_bytes;
	char generation[GENERATION_BYTES]; /* of the file behind fd */
};

/* Fills in size and generation, which another file, or this one changed, does not have. */
int layer_image_of(int fd, struct layer_image *ret);

/*
 * Keeps the image for layers that lie on it when its name goes to another one: a hard
 * link in the folder. -EXDEV and others when that cannot be.
 */
int layer_keep_image(int folder_fd, const struct layer_image *image);

struct layer_limits {
	uint64_t layer_bytes; /* what a layer may grow to; 0: no limit */
	uint64_t quota_bytes; /* of all layers when they are full; 0: no limit */
};

/*
 * Opens the layer of identity, and makes it at its first use. One that was made on an
 * earlier generation lies on that one, as long as it is kept. image->fd may be closed then.
 * -errno with the reason in why.
 */
int layer_open(int folder_fd, const char *identity, const struct layer_image *image,
	       const struct layer_limits *limits, struct layer **ret, char *why, size_t why_size);
void layer_close(struct layer *layer);

/* Of the image that it lies on. */
const char *layer_generation(const struct layer *layer);
uint64_t layer_size_bytes(const struct layer *layer);

/* The range lies inside the image; iov changes. -ENOSPC beyond the limit. */
int layer_read(struct layer *layer, struct iovec *iov, int iov_count, uint64_t offset_bytes);
int layer_write(struct layer *layer, struct iovec *iov, int iov_count, uint64_t offset_bytes);

/* How many bytes from offset_bytes on, at most length_bytes, lie in one file, and in which. */
uint64_t layer_run(struct layer *layer, uint64_t offset_bytes, uint64_t length_bytes, int *ret_fd);

/* All that was written before is on the disk. */
int layer_flush(struct layer *layer);

/* Gives back what it can of the space. */
int layer_trim(struct layer *layer, uint64_t offset_bytes, uint64_t length_bytes);

/* -EOPNOTSUPP when the file system has no holes: write zeroes. */
int layer_zero(struct layer *layer, uint64_t offset_bytes, uint64_t length_bytes);

/* Its modification time becomes now. */
int layer_touch(struct layer *layer);

/* A machine_file_remover. */
int layer_remove(int folder_fd, const char *identity, time_t before_s, char *why, size_t why_size);

#endif
