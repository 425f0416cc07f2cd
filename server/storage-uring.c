// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Reads that have to wait for a disk, and writes past the page cache, through io_uring:
 * all that a turn of the loop has begun goes to the kernel in one call, no thread is
 * woken, and the disk sees as many at once as clients have in flight instead of one per
 * storage thread. Not so a buffered write or a flush, which would make the kernel start
 * threads of its own in place of ours. Sockets are not here, because to send and
 * receive through the ring costs as much as to call for it.
 */
#include "server/storage-ring.h"

#include <errno.h>
#include <liburing.h>
#include <stdlib.h>

/* At most one job for each payload buffer is in flight: neither queue can overflow. */
enum { RING_ENTRIES = 256 };

struct storage_ring {
	struct io_uring ring;
	unsigned int taken; /* and not yet kicked */
};

/*
 * The filter of system calls does not see what goes through a ring, so that it has one of its
 * own: to read and write, and never anything else. Linux 5.10 and later.
 */
static int restrict_ring(struct io_uring *ring)
{
	struct io_uring_restriction only[] = {
		{.opcode = IORING_RESTRICTION_SQE_OP, .sqe_op = IORING_OP_READV},
		{.opcode = IORING_RESTRICTION_SQE_OP, .sqe_op = IORING_OP_WRITEV},
	};
	unsigned int fd = (unsigned int)ring->ring_fd;
	/* liburing 2.3 does not export the functions that it declares for these two. */
	int r = io_uring_register(fd, IORING_REGISTER_RESTRICTIONS, only,
				  sizeof(only) / sizeof(only[0]));

	return r < 0 ? r : io_uring_register(fd, IORING_REGISTER_ENABLE_RINGS, NULL, 0);
}

/* Completions are looked at once per turn: no interrupt is needed for them. */
static int init_ring(struct io_uring *ring)
{
	static const unsigned int flags[] = {
		IORING_SETUP_R_DISABLED | IORING_SETUP_COOP_TASKRUN,
		IORING_SETUP_R_DISABLED,
	};
	int r = -EINVAL;

	for (size_t i = 0; r == -EINVAL && i < sizeof(flags) / sizeof(flags[0]); i++)
		r = io_uring_queue_init(RING_ENTRIES, ring, flags[i]);
	if (r == -EINVAL)
		return io_uring_queue_init(RING_ENTRIES, ring, 0);
	if (r < 0)
		return r;
	r = restrict_ring(ring);
	if (r < 0)
		io_uring_queue_exit(ring);
	return r;
}

int ring_open(struct storage_ring **ret)
{
	struct storage_ring *ring = calloc(1, sizeof(*ring));
	int r;

	if (!ring)
		return -ENOMEM;
	r = init_ring(&ring->ring);
	if (r < 0) {
		free(ring);
		return r;
	}
	*ret = ring;
	return 0;
}

void ring_close(struct storage_ring *ring)
{
	io_uring_queue_exit(&ring->ring);
	free(ring);
}

int ring_fd(const struct storage_ring *ring)
{
	return ring->ring.ring_fd;
}

bool ring_take(struct storage_ring *ring, struct storage_job *job)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(&ring->ring);
	unsigned int count = (unsigned int)job->iov_count;
	int fd;

	if (!sqe)
		return false;
	fd = export_data_fd(job->export, job->iov, job->iov_count, job->offset_bytes);
	if (job->op == STORAGE_WRITE)
		io_uring_prep_writev(sqe, fd, job->iov, count, job->offset_bytes);
	else
		io_uring_prep_readv(sqe, fd, job->iov, count, job->offset_bytes);
	io_uring_sqe_set_data(sqe, job);
	ring->taken++;
	return true;
}

bool ring_kick(struct storage_ring *ring)
{
	int r = 1;

	while (ring->taken && r > 0) {
		r = io_uring_submit(&ring->ring);
		ring->taken -= r > 0 ? (unsigned int)r : 0;
	}
	return !ring->taken;
}

void ring_reap(struct storage_ring *ring, void (*again)(void *arg, struct storage_job *job),
	       void *arg)
{
	struct io_uring_cqe *cqe;

	while (io_uring_peek_cqe(&ring->ring, &cqe) == 0) {
		struct storage_job *job = io_uring_cqe_get_data(cqe);
		int r = cqe->res;

		io_uring_cqe_seen(&ring->ring, cqe);
		if (r >= 0 && (uint64_t)r == job->length_bytes) {
			job->result = 0;
			job->done(job);
		} else {
			again(arg, job);
		}
	}
}
