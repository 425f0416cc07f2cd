// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Where an export has data and where holes, as its file system knows it (SEEK_DATA,
 * SEEK_HOLE): a range enters; the answer to NBD_CMD_BLOCK_STATUS leaves, or the length
 * of a hole that a READ need not send. Runs on storage threads, and on the loop's for
 * files in memory.
 */
#include "server/export.h"

#include <errno.h>
#include <unistd.h>

#include "common/nbd-proto.h"
#include "server/layer.h"

/* -ENXIO, behind the last data of the file, becomes its end. */
static int seek(int fd, uint64_t offset_bytes, int whence, uint64_t *ret_bytes)
{
	off_t end = lseek(fd, (off_t)offset_bytes, whence);

	if (end < 0 && errno == ENXIO)
		end = lseek(fd, 0, SEEK_END);
	if (end < 0)
		return -errno;
	*ret_bytes = (uint64_t)end;
	return 0;
}

/* The run of data or hole at offset_bytes; -EIO where the file has become shorter. */
static int file_run(int fd, uint64_t offset_bytes, uint64_t length_bytes, uint64_t *ret_bytes,
		    bool *ret_is_hole)
{
	uint64_t at_bytes;
	int r = seek(fd, offset_bytes, SEEK_DATA, &at_bytes);

	*ret_is_hole = !r && at_bytes > offset_bytes;
	if (!r && at_bytes == offset_bytes)
		r = seek(fd, offset_bytes, SEEK_HOLE, &at_bytes);
	if (r == -EINVAL || r == -EOPNOTSUPP) { /* nobody knows: it is data */
		*ret_bytes = length_bytes;
		return 0;
	}
	if (r < 0)
		return r;
	if (at_bytes <= offset_bytes)
		return -EIO;
	*ret_bytes = at_bytes - offset_bytes < length_bytes ? at_bytes - offset_bytes
							    : length_bytes;
	return 0;
}

static int export_run(struct export *export, uint64_t offset_bytes, uint64_t length_bytes,
		      uint64_t *ret_bytes, bool *ret_is_hole)
{
	int fd = export->fd;

	if (export->layer)
		length_bytes = layer_run(export->layer, offset_bytes, length_bytes, &fd);
	return file_run(fd, offset_bytes, length_bytes, ret_bytes, ret_is_hole);
}

/* Neighbours of one state become one extent. */
int extent_list(struct storage_job *job)
{
	uint64_t offset_bytes = job->offset_bytes, left_bytes = job->length_bytes;
	/* Space that is reserved reads as zeroes, but it is no hole. */
	uint32_t hole = NBD_STATE_ZERO | (export_is_reserved(job->export) ? 0 : NBD_STATE_HOLE);

	job->extent_count = 0;
	while (left_bytes) {
		struct extent *extent = &job->extents[job->extent_count];
		uint64_t bytes;
		bool is_hole;
		int r = export_run(job->export, offset_bytes, left_bytes, &bytes, &is_hole);

		if (r < 0)
			return r;
		if (job->extent_count && extent[-1].state == (is_hole ? hole : 0)) {
			extent[-1].length_bytes += (uint32_t)bytes;
		} else if (job->extent_count == job->extents_max) {
			return 0; /* the client asks for what is left */
		} else {
			*extent = (struct extent){(uint32_t)bytes, is_hole ? hole : 0};
			job->extent_count++;
		}
		offset_bytes += bytes;
		left_bytes -= bytes;
	}
	return 0;
}

static bool is_known_data(struct export *export, uint64_t offset_bytes, uint64_t length_bytes)
{
	return offset_bytes >= atomic_load(&export->data_begin_bytes) &&
	       offset_bytes + length_bytes <= atomic_load(&export->data_end_bytes);
}

/* Should two threads mix their runs, a hole is read as the zeroes that it is. */
static void know_data(struct export *export, uint64_t begin_bytes, uint64_t end_bytes)
{
	atomic_store(&export->data_begin_bytes, begin_bytes);
	atomic_store(&export->data_end_bytes, end_bytes);
}

void extent_forget(struct export *export)
{
	know_data(export, 0, 0);
}

/*
 * To look for the end of data can cost as much as to read it, so that what was found is
 * remembered, and a look goes to the end of the export.
 */
int extent_find(struct storage_job *job)
{
	struct export *export = job->export;
	uint64_t begin_bytes = job->offset_bytes, wanted_bytes = job->length_bytes;
	uint64_t data_bytes = 0, most_bytes = job->hole_bytes, bytes = 0;
	bool is_hole = false;

	job->hole_bytes = 0;
	if (is_known_data(export, begin_bytes, wanted_bytes))
		return 0;
	while (data_bytes < wanted_bytes) {
		uint64_t at_bytes = begin_bytes + data_bytes;
		int r = export_run(export, at_bytes, export->size_bytes - at_bytes, &bytes,
				   &is_hole);

		if (r < 0)
			return data_bytes ? 0 : r;
		if (is_hole && bytes >= HOLE_MIN_BYTES)
			break;
		data_bytes += bytes;
	}
	if (data_bytes)
		know_data(export, begin_bytes, begin_bytes + data_bytes);
	else
		job->hole_bytes = bytes < most_bytes ? bytes : most_bytes;
	if (data_bytes < wanted_bytes)
		job->length_bytes = data_bytes;
	return 0;
}
