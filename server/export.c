// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * An export: one file or block device, opened once and shared by all of its
 * connections, so that a flush on one of them covers the writes of all
 * (NBD_FLAG_CAN_MULTI_CONN). Settings enter, storage operations run on the
 * threads of storage-pool.c. Besides preadv() and pwritev() it is POSIX; what
 * only Linux has is in export-linux.c.
 */
#include "server/export.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/nbd-proto.h"
#include "server/layer.h"

enum {
	ZEROES_BYTES = 256 << 10,
	DIRECT_ALIGN_BYTES = 4096, /* enough for any disk and file system that takes O_DIRECT */
};

static const uint8_t zeroes[ZEROES_BYTES];

int export_settings_init(struct export_settings *settings, const char *name, const char *path)
{
	*settings = (struct export_settings){
		.name = strdup(name),
		.path = path ? strdup(path) : NULL,
		.hold_s = HOLD_DEFAULT_S,
		.flush = true,
		.fua = true,
		.trim = true,
	};
	if (settings->name && (settings->path || !path))
		return 0;
	export_settings_free(settings);
	return -ENOMEM;
}

void export_settings_free(struct export_settings *settings)
{
	free(settings->name);
	free(settings->path);
	free(settings->description);
	free(settings->generation);
	free(settings->cow_dir);
	free(settings->allow);
	*settings = (struct export_settings){0};
}

static uint16_t transmission_flags(const struct export_settings *set)
{
	uint16_t flags = NBD_FLAG_HAS_FLAGS | NBD_FLAG_SEND_CACHE;

	if (set->exclusive != EXCLUSIVE_ON || set->max_connections > 1)
		flags |= NBD_FLAG_CAN_MULTI_CONN;
	if (set->flush)
		flags |= NBD_FLAG_SEND_FLUSH;
	if (set->rotational)
		flags |= NBD_FLAG_ROTATIONAL;
	if (set->readonly)
		return flags | NBD_FLAG_READ_ONLY;
	if (set->fua)
		flags |= NBD_FLAG_SEND_FUA;
	if (set->trim)
		flags |= NBD_FLAG_SEND_TRIM;
	return flags | NBD_FLAG_SEND_WRITE_ZEROES | NBD_FLAG_SEND_FAST_ZERO;
}

bool export_is_pattern(const char *name)
{
	const char *slash = strchr(name, '/');

	return slash && slash != name && !strcmp(slash, "/*");
}

static int open_file(const struct export_settings *set, int *ret_fd, char *why, size_t why_size)
{
	int flags = O_CLOEXEC | O_NOCTTY | O_NONBLOCK; /* no wait for the writer of a FIFO */
	int fd, error;

	flags |= set->readonly || set->per_client ? O_RDONLY : O_RDWR;
	if (set->sync)
		flags |= O_DSYNC;
	fd = open(set->path, flags);
	if (fd >= 0) {
		*ret_fd = fd;
		return 0;
	}
	error = errno;
	if (!set->readonly && (error == EACCES || error == EROFS || error == EPERM))
		snprintf(why, why_size, "cannot open for writing: %s; -r exports it read-only",
			 strerror(error));
	else
		snprintf(why, why_size, "cannot open: %s", strerror(error));
	return -error;
}

static int measure(struct export *export, char *why, size_t why_size)
{
	uint64_t asked_bytes = export->set.size_bytes;
	struct stat st;
	off_t end;

	if (fstat(export->fd, &st) < 0)
		goto err;
	if (!S_ISREG(st.st_mode) && !S_ISBLK(st.st_mode)) {
		snprintf(why, why_size, "is neither a file nor a block device");
		return -EINVAL;
	}
	end = lseek(export->fd, 0, SEEK_END);
	if (end < 0)
		goto err;
	if (export->set.per_client)
		asked_bytes = 0; /* it is the size of a layer */
	if (asked_bytes > (uint64_t)end) {
		snprintf(why, why_size,
			 "has %jd bytes, less than the size of %" PRIu64 " asked for",
			 (intmax_t)end, asked_bytes);
		return -EINVAL;
	}
	if (end == 0) {
		snprintf(why, why_size, "is empty; give it a size (truncate -s SIZE FILE)");
		return -EINVAL;
	}
	export->size_bytes = asked_bytes ? asked_bytes : (uint64_t)end;
	return 0;
err:
	snprintf(why, why_size, "cannot find its size: %s", strerror(errno));
	return -errno;
}

struct export *export_make(struct export_settings *settings)
{
	struct export *export = calloc(1, sizeof(*export));

	if (!export)
		return NULL;
	export->set = *settings;
	export->fd = -1;
	export->direct_fd = -1;
	export->folder_fd = -1;
	export->flags = transmission_flags(settings);
	export->any_identity = export_is_pattern(settings->name);
	TAILQ_INIT(&export->attached);
	*settings = (struct export_settings){0};
	return export;
}

/* What only its owner changes, and a device has no time of its last change. */
static void note_generation(struct export *export)
{
	struct layer_image image;
	struct stat st;

	if (export->set.generation) {
		snprintf(export->generation, sizeof(export->generation), "%s",
			 export->set.generation);
		return;
	}
	if (fstat(export->fd, &st) < 0 || !S_ISREG(st.st_mode) ||
	    layer_image_of(export->fd, &image) < 0)
		return;
	memcpy(export->generation, image.generation, sizeof(export->generation));
}

int export_open_file(struct export *export, char *why, size_t why_size)
{
	int r = open_file(&export->set, &export->fd, why, why_size);

	if (!r)
		r = measure(export, why, why_size);
	if (!r)
		r = export_probe(export, why, why_size);
	if (!r && export->set.readonly)
		note_generation(export);
	return r;
}

int export_open(struct export_settings *settings, struct export **ret, char *why, size_t why_size)
{
	struct export *export = export_make(settings);
	int r;

	if (!export) {
		snprintf(why, why_size, "out of memory");
		return -ENOMEM;
	}
	if (export->set.per_client)
		r = per_client_open(export, why, why_size);
	else
		r = export_open_file(export, why, why_size);
	if (r < 0) {
		*settings = export->set;
		export->set = (struct export_settings){0};
		export_close(export);
		return r;
	}
	hold_load(export);
	*ret = export;
	return 0;
}

void export_close(struct export *export)
{
	struct export *machine;

	while ((machine = export->machines)) {
		export->machines = machine->next_machine;
		export_close(machine);
	}
	if (export->layer)
		layer_close(export->layer);
	if (export->folder_fd >= 0)
		close(export->folder_fd);
	if (export->fd >= 0)
		close(export->fd);
	if (export->direct_fd >= 0)
		close(export->direct_fd);
	free(export->identity);
	free(export->open_why);
	export_settings_free(&export->set);
	free(export);
}

int export_table_add(struct export_table *table, struct export *export)
{
	struct export **list;

	if (export_find(table, export->set.name, strlen(export->set.name)))
		return -EEXIST;
	list = realloc(table->list, (table->count + 1) * sizeof(*list));
	if (!list)
		return -ENOMEM;
	table->list = list;
	table->list[table->count++] = export;
	return 0;
}

struct export *export_find(const struct export_table *table, const char *name, size_t length)
{
	for (size_t i = 0; i < table->count; i++) {
		struct export *export = table->list[i];

		if (strlen(export->set.name) == length && !memcmp(export->set.name, name, length))
			return export;
	}
	return NULL;
}

bool export_is_identity(const char *text, size_t length)
{
	static const char allowed[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
				      "0123456789:._-";

	if (!length || length > IDENTITY_MAX_BYTES || text[0] == '.')
		return false;
	for (size_t i = 0; i < length; i++) {
		if (!text[i] || !strchr(allowed, text[i]))
			return false;
	}
	return true;
}

struct export *export_resolve(const struct export_table *table, const char *name, size_t length,
			      const char **ret_identity)
{
	struct export *export = export_find(table, name, length);
	const char *slash = memchr(name, '/', length);

	*ret_identity = NULL;
	if (export && !export->any_identity)
		return export;
	for (size_t i = 0; slash && i < table->count; i++) {
		size_t prefix = (size_t)(slash + 1 - name);

		export = table->list[i];
		if (!export->any_identity || strlen(export->set.name) != prefix + 1 ||
		    memcmp(export->set.name, name, prefix) != 0)
			continue;
		*ret_identity = slash + 1;
		return export;
	}
	return NULL;
}

void export_table_free(struct export_table *table)
{
	for (size_t i = 0; i < table->count; i++)
		export_close(table->list[i]);
	free(table->list);
	*table = (struct export_table){0};
}

/* Drops the first bytes of iov; returns the entries that are left. */
static int advance(struct iovec **iov, int iov_count, size_t bytes)
{
	while (iov_count && bytes >= (*iov)->iov_len) {
		bytes -= (*iov)->iov_len;
		(*iov)++;
		iov_count--;
	}
	if (iov_count) {
		(*iov)->iov_base = (uint8_t *)(*iov)->iov_base + bytes;
		(*iov)->iov_len -= bytes;
	}
	return iov_count;
}

/* preadv() or pwritev() until all of iov is done; -EIO at the end of the file. */
static int transfer(int fd, ssize_t (*call)(int, const struct iovec *, int, off_t),
		    struct iovec *iov, int iov_count, uint64_t offset_bytes)
{
	while (iov_count) {
		ssize_t n = call(fd, iov, iov_count, (off_t)offset_bytes);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (n == 0)
			return -EIO;
		offset_bytes += (size_t)n;
		iov_count = advance(&iov, iov_count, (size_t)n);
	}
	return 0;
}

int file_read(int fd, struct iovec *iov, int iov_count, uint64_t offset_bytes)
{
	return transfer(fd, preadv, iov, iov_count, offset_bytes);
}

int file_write(int fd, struct iovec *iov, int iov_count, uint64_t offset_bytes)
{
	return transfer(fd, pwritev, iov, iov_count, offset_bytes);
}

int export_data_fd(const struct export *export, const struct iovec *iov, int iov_count,
		   uint64_t offset_bytes)
{
	uint64_t all = offset_bytes;

	if (export->direct_fd < 0)
		return export->fd;
	for (int i = 0; i < iov_count; i++)
		all |= (uintptr_t)iov[i].iov_base | iov[i].iov_len;
	return all % DIRECT_ALIGN_BYTES ? export->fd : export->direct_fd;
}

/* A disk that takes larger blocks only says EINVAL to pages, and to what a short transfer left. */
static int transfer_data(struct export *export,
			 ssize_t (*call)(int, const struct iovec *, int, off_t), struct iovec *iov,
			 int iov_count, uint64_t offset_bytes)
{
	struct iovec whole[PIECE_BUFFERS_MAX];
	int fd = export_data_fd(export, iov, iov_count, offset_bytes), r;

	memcpy(whole, iov, (size_t)iov_count * sizeof(*iov));
	r = transfer(fd, call, iov, iov_count, offset_bytes);
	if (r == -EINVAL && fd != export->fd)
		r = transfer(export->fd, call, whole, iov_count, offset_bytes);
	return r;
}

int export_read(struct export *export, struct iovec *iov, int iov_count, uint64_t offset_bytes)
{
	if (export->layer)
		return layer_read(export->layer, iov, iov_count, offset_bytes);
	return transfer_data(export, preadv, iov, iov_count, offset_bytes);
}

int export_write(struct export *export, struct iovec *iov, int iov_count, uint64_t offset_bytes)
{
	if (export->layer) {
		int r = layer_write(export->layer, iov, iov_count, offset_bytes);

		return !r && export->set.sync ? export_flush(export) : r;
	}
	return transfer_data(export, pwritev, iov, iov_count, offset_bytes);
}

static int sync_file(const struct export *export)
{
	if (export->layer)
		return layer_flush(export->layer);
	while (fdatasync(export->fd) < 0) {
		if (errno != EINTR)
			return -errno;
	}
	return 0;
}

int export_flush(struct export *export)
{
	int error = atomic_load(&export->flush_error);

	if (error)
		return error;
	error = sync_file(export);
	if (error)
		atomic_store(&export->flush_error, error);
	return error;
}

static int write_zeroes(struct export *export, uint64_t offset_bytes, uint64_t length_bytes)
{
	while (length_bytes) {
		size_t bytes = length_bytes < ZEROES_BYTES ? length_bytes : ZEROES_BYTES;
		struct iovec iov = {(void *)zeroes, bytes};
		int r = export_write(export, &iov, 1, offset_bytes);

		if (r < 0)
			return r;
		offset_bytes += bytes;
		length_bytes -= bytes;
	}
	return 0;
}

/* A range that no file system call takes: odd sectors of a device, or no such call. */
static bool refused(int error)
{
	return error == -EOPNOTSUPP || error == -EINVAL || error == -ENOSYS || error == -ENODEV;
}

bool export_is_reserved(const struct export *export)
{
	return export->set.per_client == PER_CLIENT_SWAP && !export->set.sparse;
}

int export_cache(struct export *export, uint64_t offset_bytes, uint64_t length_bytes)
{
	if (export->direct_fd >= 0)
		return 0; /* it would go where no read looks for it */
	while (length_bytes) {
		int fd = export->fd, r;
		uint64_t bytes = export->layer
					 ? layer_run(export->layer, offset_bytes, length_bytes, &fd)
					 : length_bytes;

		r = posix_fadvise(fd, (off_t)offset_bytes, (off_t)bytes, POSIX_FADV_WILLNEED);
		if (r)
			return -r;
		offset_bytes += bytes;
		length_bytes -= bytes;
	}
	return 0;
}

int export_trim(struct export *export, uint64_t offset_bytes, uint64_t length_bytes)
{
	int r;

	extent_forget(export);
	if (export->layer)
		return layer_trim(export->layer, offset_bytes, length_bytes);
	if (export_is_reserved(export)) {
		r = export_zero_range(export->fd, offset_bytes, length_bytes);
		return refused(r) ? 0 : r;
	}
	if (atomic_load(&export->cannot_punch))
		return 0;
	r = export_punch(export->fd, offset_bytes, length_bytes);
	if (!refused(r))
		return r;
	if (r != -EINVAL)
		atomic_store(&export->cannot_punch, true);
	return 0; /* NBD_CMD_TRIM is a hint: the data may stay */
}

/* Without writing them; one of refused() when that cannot be. */
static int zero_at_once(struct export *export, uint64_t offset_bytes, uint64_t length_bytes,
			bool no_hole)
{
	int r;

	if (export->layer)
		return no_hole ? -EOPNOTSUPP
			       : layer_zero(export->layer, offset_bytes, length_bytes);
	if (!no_hole && !export_is_reserved(export) && !atomic_load(&export->cannot_punch)) {
		r = export_punch(export->fd, offset_bytes, length_bytes);
		if (!refused(r))
			return r;
		if (r != -EINVAL)
			atomic_store(&export->cannot_punch, true);
	}
	if (atomic_load(&export->cannot_zero))
		return -EOPNOTSUPP;
	r = export_zero_range(export->fd, offset_bytes, length_bytes);
	if (refused(r) && r != -EINVAL)
		atomic_store(&export->cannot_zero, true);
	return r;
}

int export_zero(struct export *export, uint64_t offset_bytes, uint64_t length_bytes, bool no_hole,
		bool fast)
{
	int r;

	extent_forget(export);
	r = zero_at_once(export, offset_bytes, length_bytes, no_hole);

	if (!refused(r))
		return r;
	/* One system call with zeroes is as fast as any other. */
	if (fast && length_bytes > ZEROES_BYTES)
		return -EOPNOTSUPP;
	return write_zeroes(export, offset_bytes, length_bytes);
}
