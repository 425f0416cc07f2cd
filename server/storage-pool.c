// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The storage threads: a small fixed number for all clients, so that a slow disk
 * stalls neither the loop nor other exports. Jobs enter from the loop's thread
 * and leave to it, through storage_complete(). Where the kernel has io_uring, reads
 * and direct writes go to storage-uring.c, and come back here when they were not plain ones.
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

struct storage {
	pthread_mutex_t lock; /* of all below */
	pthread_cond_t work;
	struct queue quick; /* read, write */
	struct queue slow;  /* flush, trim, zero */
	struct queue finished;
	unsigned int slow_running, slow_limit, idle;
	bool stopping;

	struct storage_ring *ring; /* NULL: none; the loop's thread */
	void (*notify)(void *arg);
	void *notify_arg;
	unsigned int thread_count;
	pthread_t threads[];
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
static struct storage_job *take_job(struct storage *storage)
{
	struct storage_job *job = NULL;

	if (!storage->slow_running)
		job = queue_get(&storage->slow);
	if (!job)
		job = queue_get(&storage->quick);
	if (!job && storage->slow_running < storage->slow_limit)
		job = queue_get(&storage->slow);
	return job;
}

/* Each thread that finds more work than its own wakes the next, so that the loop wakes one. */
static void wake_one(struct storage *storage)
{
	if (storage->idle && (storage->quick.first || storage->slow.first))
		pthread_cond_signal(&storage->work);
}

/* Waits for a job; NULL when the threads are to end. Called and returns with the lock. */
static struct storage_job *next_job(struct storage *storage)
{
	for (;;) {
		struct storage_job *job = take_job(storage);

		if (job) {
			wake_one(storage);
			return job;
		}
		if (storage->stopping && !storage->slow.first)
			return NULL;
		storage->idle++;
		pthread_cond_wait(&storage->work, &storage->lock);
		storage->idle--;
	}
}

static void *work(void *arg)
{
	struct storage *storage = arg;
	struct storage_job *job;

	pthread_mutex_lock(&storage->lock);
	while ((job = next_job(storage))) {
		bool slow = is_slow(job), first;

		storage->slow_running += slow;
		pthread_mutex_unlock(&storage->lock);
		job->result = storage_run(job);
		pthread_mutex_lock(&storage->lock);
		storage->slow_running -= slow;
		first = !storage->finished.first;
		queue_put(&storage->finished, job);
		if (first)
			storage->notify(storage->notify_arg);
	}
	pthread_cond_broadcast(&storage->work);
	pthread_mutex_unlock(&storage->lock);
	return NULL;
}

static int start_threads(struct storage *storage, unsigned int threads)
{
	pthread_attr_t attr;
	sigset_t all, saved;
	int r = 0;

	sigfillset(&all);
	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, STACK_BYTES);
	pthread_sigmask(SIG_SETMASK, &all, &saved);
	while (!r && storage->thread_count < threads) {
		r = pthread_create(&storage->threads[storage->thread_count], &attr, work, storage);
		storage->thread_count += !r;
	}
	pthread_sigmask(SIG_SETMASK, &saved, NULL);
	pthread_attr_destroy(&attr);
	return -r;
}

int storage_start(struct storage **ret, unsigned int threads, void (*notify)(void *), void *arg)
{
	struct storage *storage = calloc(1, sizeof(*storage) + threads * sizeof(pthread_t));
	int r;

	if (!storage)
		return -ENOMEM;
	pthread_mutex_init(&storage->lock, NULL);
	pthread_cond_init(&storage->work, NULL);
	queue_init(&storage->quick);
	queue_init(&storage->slow);
	queue_init(&storage->finished);
	storage->slow_limit = threads > 1 ? threads / 2 : 1;
	storage->notify = notify;
	storage->notify_arg = arg;
	r = start_threads(storage, threads);
	if (r < 0) {
		storage_stop(storage);
		return r;
	}
	*ret = storage;
	return 0;
}

int storage_use_ring(struct storage *storage)
{
	return ring_open(&storage->ring);
}

int storage_ring_fd(const struct storage *storage)
{
	return storage->ring ? ring_fd(storage->ring) : -1;
}

static void give_to_threads(void *arg, struct storage_job *job)
{
	struct storage *storage = arg;
	struct queue *queue = is_slow(job) ? &storage->slow : &storage->quick;
	bool was_empty;

	pthread_mutex_lock(&storage->lock);
	was_empty = !queue->first;
	queue_put(queue, job);
	if (was_empty)
		wake_one(storage);
	pthread_mutex_unlock(&storage->lock);
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
	pthread_mutex_lock(&storage->lock);
	job = storage->finished.first;
	queue_init(&storage->finished);
	pthread_mutex_unlock(&storage->lock);
	while (job) {
		struct storage_job *next = job->next;

		job->done(job);
		job = next;
	}
}

void storage_stop(struct storage *storage)
{
	pthread_mutex_lock(&storage->lock);
	storage->stopping = true;
	pthread_cond_broadcast(&storage->work);
	pthread_mutex_unlock(&storage->lock);
	for (unsigned int i = 0; i < storage->thread_count; i++)
		pthread_join(storage->threads[i], NULL);
	if (storage->ring)
		ring_close(storage->ring);
	pthread_cond_destroy(&storage->work);
	pthread_mutex_destroy(&storage->lock);
	free(storage);
}
