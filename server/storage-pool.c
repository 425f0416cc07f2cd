// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The storage threads: a small fixed number for all clients, so that a slow disk
 * stalls neither a loop nor other exports. Jobs enter from the thread of any loop and
 * leave to the same one, through its storage_complete(). Where the kernel has io_uring,
 * reads and direct writes go to the loop's own ring (storage-uring.c), and come back here
 * when they were not plain ones.
 */
#include "server/export.h"
#include "server/storage-ring.h"

#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>

enum { STACK_BYTES = 64 << 10 };

struct queue {
	struct storage_job *first, **last;
};

struct storage_pool {
	/* Of all below, of storage.finished and of the flushes of exports (flush.c). No other
	 * lock is taken while it is held. */
	pthread_mutex_t lock;
	pthread_cond_t work;
	struct queue quick; /* read, write */
	struct queue slow;  /* flush, trim, zero */
	unsigned int slow_running, slow_limit, idle;
	bool stopping;

	unsigned int thread_count;
	pthread_t threads[];
};

struct storage {
	struct storage_pool *pool;
	struct queue finished; /* the pool's lock */
	void (*notify)(void *arg);
	void *notify_arg;
	struct storage_ring *ring; /* NULL: none; the loop's thread */
};

static void queue_init(struct queue *queue)
{
	queue->first = NULL;
	queue->last = &queue->first;
}

static void queue_put(struct queue *queue, struct storage_job *job)
{
	job->next = NULL;
	*queue->last = job;
	queue->last = &job->next;
}

static struct storage_job *queue_get(struct queue *queue)
{
	struct storage_job *job = queue->first;

	if (job && !(queue->first = job->next))
		queue->last = &queue->first;
	return job;
}

/* A hole, or less to read, is as good as done. */
static bool has_hole(struct storage_job *job)
{
	return job->hole_bytes && extent_find(job) == 0 && job->hole_bytes;
}

int storage_run(struct storage_job *job)
{
	if (has_hole(job)) {
		job->length_bytes = 0;
		return 0;
	}
	switch (job->op) {
	case STORAGE_READ:
		return export_read(job->export, job->iov, job->iov_count, job->offset_bytes);
	case STORAGE_SPLICE:
		return export_splice(job->export, job->pipe_fd, job->offset_bytes,
				     &job->length_bytes);
	case STORAGE_WRITE:
		return export_write(job->export, job->iov, job->iov_count, job->offset_bytes);
	case STORAGE_CACHE:
		return export_cache(job->export, job->offset_bytes, job->length_bytes);
	case STORAGE_STATUS:
		return extent_list(job);
	case STORAGE_FLUSH:
		return export_flush(job->export);
	case STORAGE_TRIM:
		return export_trim(job->export, job->offset_bytes, job->length_bytes);
	case STORAGE_ZERO:
		return export_zero(job->export, job->offset_bytes, job->length_bytes, job->no_hole,
				   job->fast);
	case STORAGE_CALL:
		return job->call(job);
	}
	return -EINVAL;
}

static bool is_slow(const struct storage_job *job)
{
	return job->op >= STORAGE_FLUSH;
}

/* One slow job goes first, so that a stream of quick ones cannot keep a flush waiting. */
static struct storage_job *take_job(struct storage_pool *pool)
{
	struct storage_job *job = NULL;

	if (!pool->slow_running)
		job = queue_get(&pool->slow);
	if (!job)
		job = queue_get(&pool->quick);
	if (!job && pool->slow_running < pool->slow_limit)
		job = queue_get(&pool->slow);
	return job;
}

/* Each thread that finds more work than its own wakes the next, so that a loop wakes one. */
static void wake_one(struct storage_pool *pool)
{
	if (pool->idle && (pool->quick.first || pool->slow.first))
		pthread_cond_signal(&pool->work);
}

/* Waits for a job; NULL when the threads are to end. Called and returns with the lock. */
static struct storage_job *next_job(struct storage_pool *pool)
{
	for (;;) {
		struct storage_job *job = take_job(pool);

		if (job) {
			wake_one(pool);
			return job;
		}
		if (pool->stopping && !pool->slow.first)
			return NULL;
		pool->idle++;
		pthread_cond_wait(&pool->work, &pool->lock);
		pool->idle--;
	}
}

static void finish(struct storage_job *job)
{
	struct storage *storage = job->storage;
	bool first = !storage->finished.first;

	queue_put(&storage->finished, job);
	if (first)
		storage->notify(storage->notify_arg);
}

/* The one flush that ran for all of served. */
static void finish_flush(struct storage_pool *pool, struct export *export)
{
	struct storage_job *served, *next;
	int result = export->flush_job.result;

	if (flush_end(export, &served))
		queue_put(&pool->slow, &export->flush_job);
	for (; served; served = next) {
		next = served->next;
		served->result = result;
		finish(served);
	}
}

static void *work(void *arg)
{
	struct storage_pool *pool = arg;
	struct storage_job *job;

	pthread_mutex_lock(&pool->lock);
	while ((job = next_job(pool))) {
		bool slow = is_slow(job);

		pool->slow_running += slow;
		pthread_mutex_unlock(&pool->lock);
		job->result = storage_run(job);
		pthread_mutex_lock(&pool->lock);
		pool->slow_running -= slow;
		if (job->op == STORAGE_FLUSH)
			finish_flush(pool, job->export);
		else
			finish(job);
	}
	pthread_cond_broadcast(&pool->work);
	pthread_mutex_unlock(&pool->lock);
	return NULL;
}

static int start_threads(struct storage_pool *pool, unsigned int threads)
{
	pthread_attr_t attr;
	sigset_t all, saved;
	int r = 0;

	sigfillset(&all);
	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, STACK_BYTES);
	pthread_sigmask(SIG_SETMASK, &all, &saved);
	while (!r && pool->thread_count < threads) {
		r = pthread_create(&pool->threads[pool->thread_count], &attr, work, pool);
		pool->thread_count += !r;
	}
	pthread_sigmask(SIG_SETMASK, &saved, NULL);
	pthread_attr_destroy(&attr);
	return -r;
}

int storage_start(struct storage_pool **ret, unsigned int threads)
{
	struct storage_pool *pool = calloc(1, sizeof(*pool) + threads * sizeof(pthread_t));
	int r;

	if (!pool)
		return -ENOMEM;
	pthread_mutex_init(&pool->lock, NULL);
	pthread_cond_init(&pool->work, NULL);
	queue_init(&pool->quick);
	queue_init(&pool->slow);
	pool->slow_limit = threads > 1 ? threads / 2 : 1;
	r = start_threads(pool, threads);
	if (r < 0) {
		storage_stop(pool);
		return r;
	}
	*ret = pool;
	return 0;
}

int storage_open(struct storage **ret, struct storage_pool *pool, void (*notify)(void *), void *arg)
{
	struct storage *storage = calloc(1, sizeof(*storage));

	if (!storage)
		return -ENOMEM;
	storage->pool = pool;
	storage->notify = notify;
	storage->notify_arg = arg;
	queue_init(&storage->finished);
	*ret = storage;
	return 0;
}

void storage_close(struct storage *storage)
{
	if (storage->ring)
		ring_close(storage->ring);
	free(storage);
}

int storage_use_ring(struct storage *storage)
{
	return ring_open(&storage->ring);
}

int storage_ring_fd(const struct storage *storage)
{
	return storage->ring ? ring_fd(storage->ring) : -1;
}

/* With the lock. */
static void enqueue(struct storage_pool *pool, struct storage_job *job)
{
	struct queue *queue = is_slow(job) ? &pool->slow : &pool->quick;
	bool was_empty = !queue->first;

	queue_put(queue, job);
	if (was_empty)
		wake_one(pool);
}

static void give_to_threads(void *arg, struct storage_job *job)
{
	struct storage *storage = arg;
	struct storage_pool *pool = storage->pool;

	job->storage = storage;
	pthread_mutex_lock(&pool->lock);
	if (job->op != STORAGE_FLUSH)
		enqueue(pool, job);
	else if (flush_begin(job))
		enqueue(pool, &job->export->flush_job);
	pthread_mutex_unlock(&pool->lock);
}

static bool is_for_ring(const struct storage_job *job)
{
	const struct export *export = job->export; /* NULL: STORAGE_CALL */

	if (job->op != STORAGE_READ && job->op != STORAGE_WRITE)
		return false;
	if (!export->is_plain || job->hole_bytes)
		return false;
	return job->op == STORAGE_READ ||
	       (export->direct_fd >= 0 && export_data_fd(export, job->iov, job->iov_count,
							 job->offset_bytes) == export->direct_fd);
}

void storage_submit(struct storage *storage, struct storage_job *job)
{
	if (storage->ring && is_for_ring(job) && ring_take(storage->ring, job))
		return;
	give_to_threads(storage, job);
}

bool storage_kick(struct storage *storage)
{
	return !storage->ring || ring_kick(storage->ring);
}

void storage_complete(struct storage *storage)
{
	struct storage_job *job;

	if (storage->ring)
		ring_reap(storage->ring, give_to_threads, storage);
	pthread_mutex_lock(&storage->pool->lock);
	job = storage->finished.first;
	queue_init(&storage->finished);
	pthread_mutex_unlock(&storage->pool->lock);
	while (job) {
		struct storage_job *next = job->next;

		job->done(job);
		job = next;
	}
}

void storage_stop(struct storage_pool *pool)
{
	pthread_mutex_lock(&pool->lock);
	pool->stopping = true;
	pthread_cond_broadcast(&pool->work);
	pthread_mutex_unlock(&pool->lock);
	for (unsigned int i = 0; i < pool->thread_count; i++)
		pthread_join(pool->threads[i], NULL);
	pthread_cond_destroy(&pool->work);
	pthread_mutex_destroy(&pool->lock);
	free(pool);
}
