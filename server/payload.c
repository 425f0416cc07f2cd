// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The payload buffers of all connections of a worker: a fixed number in one mapping, so that
 * no client can make the server grow. The buffer given back last is taken first;
 * those that were never needed at once are never touched and cost no memory.
 */
#include "server/connection.h"

#include <errno.h>
#include <sys/mman.h>

int payload_open(struct payload_pool *pool, unsigned int count)
{
	pool->memory = mmap(NULL, (size_t)count * PAYLOAD_BYTES, PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (pool->memory == MAP_FAILED)
		return -errno;
	TAILQ_INIT(&pool->waiting);
	pool->count = count;
	pool->free_count = count;
	for (unsigned int i = 0; i < count; i++)
		pool->free[i] = pool->memory + (size_t)(count - 1 - i) * PAYLOAD_BYTES;
	return 0;
}

void payload_close(struct payload_pool *pool)
{
	munmap(pool->memory, (size_t)pool->count * PAYLOAD_BYTES);
}

unsigned int payload_take(struct payload_pool *pool, uint8_t **buffers, unsigned int wanted)
{
	unsigned int count = 0;

	while (count < wanted && pool->free_count)
		buffers[count++] = pool->free[--pool->free_count];
	return count;
}

void payload_give(struct payload_pool *pool, uint8_t **buffers, unsigned int count)
{
	while (count)
		pool->free[pool->free_count++] = buffers[--count];
}

void payload_wake(struct payload_pool *pool)
{
	for (unsigned int i = 0; i < pool->free_count; i++) {
		struct connection *next = TAILQ_FIRST(&pool->waiting);

		if (!next)
			return;
		TAILQ_REMOVE(&pool->waiting, next, waiting);
		next->is_waiting = false;
		connection_schedule(next);
	}
}
