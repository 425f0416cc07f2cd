/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * storage-uring.c: reads of files, and writes that wait for no cache, through io_uring, below
 * storage-pool.c. All of it is for the loop's thread.
 */
#ifndef SERVER_STORAGE_RING_H
#define SERVER_STORAGE_RING_H

#include "server/export.h"

struct storage_ring;

/* -errno when the kernel has no io_uring, or forbids it. */
int ring_open(struct storage_ring **ret);

/* Nothing is in flight any more. */
void ring_close(struct storage_ring *ring);

/* Readable when there is something for ring_reap(). */
int ring_fd(const struct storage_ring *ring);

/* Takes a STORAGE_READ of a file, or a STORAGE_WRITE to its direct_fd, for the next ring_kick().
 * False: somebody else has to. */
bool ring_take(struct storage_ring *ring, struct storage_job *job);

/*
 * Tells the kernel about all that was taken, in one call. False when it has no memory
 * for that at the moment: call again soon.
 */
bool ring_kick(struct storage_ring *ring);

/*
 * Calls done() of the jobs that were done whole, and again() with arg of those that
 * were not: the end of the file, an error, or a file system that cannot.
 */
void ring_reap(struct storage_ring *ring, void (*again)(void *arg, struct storage_job *job),
	       void *arg);

#endif
