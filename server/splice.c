// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The pipes through which large answers leave without a copy: the storage fills
 * one with references to pages of the cache, and the socket takes them from it
 * after the header. A pipe stands in place of payload buffers, and like those
 * there is a fixed number; who gets none sends a copy. What a pipe holds is data
 * of the moment: a WRITE that overlaps a READ in flight may show in its answer.
 */
#include "server/connection.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

static void close_pipe(struct splice_pipe *pipe)
{
	close(pipe->in_fd);
	close(pipe->out_fd);
	pipe->size_bytes = 0;
}

/* The size is less than asked for when the user has many large pipes (pipe(7)). */
static bool open_pipe(struct splice_pipe *pipe)
{
	int fds[2], bytes;

	if (pipe2(fds, O_CLOEXEC | O_NONBLOCK) < 0)
		return false;
	pipe->out_fd = fds[0];
	pipe->in_fd = fds[1];
	fcntl(pipe->in_fd, F_SETPIPE_SZ, SPLICE_PIPE_BYTES);
	bytes = fcntl(pipe->in_fd, F_GETPIPE_SZ);
	if (bytes < SPLICE_MIN_BYTES) {
		close_pipe(pipe);
		return false;
	}
	pipe->size_bytes = (uint32_t)bytes;
	return true;
}

void splice_open(struct splice_pool *pool, unsigned int count)
{
	pool->page_bytes = (uint32_t)sysconf(_SC_PAGESIZE);
	pool->count = count;
	pool->free_count = count;
	for (unsigned int i = 0; i < count; i++) {
		pool->pipes[i].size_bytes = 0;
		pool->free[i] = &pool->pipes[count - 1 - i];
	}
}

void splice_close(struct splice_pool *pool)
{
	while (pool->free_count) {
		struct splice_pipe *pipe = pool->free[--pool->free_count];

		if (pipe->size_bytes)
			close_pipe(pipe);
	}
}

struct splice_pipe *splice_take(struct splice_pool *pool)
{
	struct splice_pipe *pipe;

	if (!pool->free_count)
		return NULL;
	pipe = pool->free[pool->free_count - 1];
	if (!pipe->size_bytes && !open_pipe(pipe))
		return NULL;
	pool->free_count--;
	pipe->have_bytes = 0;
	return pipe;
}

void splice_give(struct splice_pool *pool, struct splice_pipe *pipe)
{
	if (pipe->have_bytes)
		close_pipe(pipe);
	pool->free[pool->free_count++] = pipe;
}

uint32_t splice_room(const struct splice_pool *pool, const struct splice_pipe *pipe,
		     uint64_t offset_bytes)
{
	return pipe->size_bytes - (uint32_t)(offset_bytes % pool->page_bytes);
}

ssize_t splice_send(struct splice_pipe *pipe, int fd, uint32_t length_bytes)
{
	ssize_t n = splice(pipe->out_fd, NULL, fd, NULL, length_bytes, SPLICE_F_NONBLOCK);

	if (n < 0)
		return -errno;
	pipe->have_bytes -= (uint32_t)n;
	return n;
}
