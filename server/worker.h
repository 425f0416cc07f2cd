/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * worker.c: one event loop on a thread of its own, and the connections that it serves.
 *
 * The first worker is the server's own thread. It alone accepts, shakes hands, decides who
 * may use an export, reloads and shows the status; all that is about the server or about an
 * export beside its data is its own. A client that was let in is handed to the worker with
 * the fewest of them, and stays there until it has gone. The first worker sends orders, the
 * others send notes back; both wait in lists under server.mail_lock, which is never held
 * while anything else is done. What storage threads and workers share besides is atomic or
 * under the lock of the storage threads.
 */
#ifndef SERVER_WORKER_H
#define SERVER_WORKER_H

#include <pthread.h>

#include "server/connection.h"

enum { WORKERS_MAX = 16 };

struct server;

struct worker {
	struct server *server;
	struct loop *loop;
	struct storage *storage;
	struct watch ring;
	struct payload_pool payload;
	struct splice_pool pipes;
	struct connection_list connections; /* by of_worker */
	struct connection_list lingering;   /* oldest first */
	struct connection_list runnable;
	struct connection_list dead; /* given back at the end of the batch */
	uint64_t kick_ms;	     /* 0: no read waits for memory of the kernel */
	uint64_t reclaim_ms;	     /* 0: no connection waits for a payload buffer */
	bool draining;
	uint64_t drain_deadline_ms;
	enum { SETTLED, SETTLE_ASKED, SETTLING } settle;
	pthread_t thread; /* not of the first */

	/* The first worker's thread. */
	unsigned int client_count; /* connections that were let in, and have not left */

	/* server.mail_lock */
	struct connection_list ordered;
	bool is_to_drain, is_to_end, is_to_settle;

	uint8_t receive_buffer[RECEIVE_BYTES];
};

/* What connection.orders and connection.notes are made of. */
enum { ORDER_SERVE = 1, ORDER_CLOSE = 2, NOTE_LEFT = 1, NOTE_FINISHED = 2 };

/*
 * A loop with signals, a list that ends in 0, and its share of the buffers that the workers
 * of server have together. -errno.
 */
int worker_open(struct worker *worker, struct server *server, const int *signals);

/* Its way to the storage, and its io_uring: -errno, of which *ret_ring_error is the latter's. */
int worker_open_storage(struct worker *worker, struct storage_pool *pool, int *ret_ring_error);

/* Starts the thread of a worker that is not the first. -errno. */
int worker_start(struct worker *worker);

/* Ends that thread, which serves nobody any more. */
void worker_stop(struct worker *worker);
void worker_close(struct worker *worker);

bool worker_is_first(const struct worker *worker);

/* Those of its connections that have something to do get their turn. */
void worker_run_connections(struct worker *worker);

/* The same, and what the loop has gathered goes to the kernel. */
void worker_run_batch(struct worker *worker);

void worker_check_deadlines(struct worker *worker, uint64_t now_ms);

/* When worker_check_deadlines() has something to do; 0: never. */
uint64_t worker_next_ms(const struct worker *worker);

/* Ends its connections when what has come until now was answered. */
void worker_drain(struct worker *worker);

/* Closes the first ones of list, whose deadline is over. */
void worker_close_late(struct connection_list *list, uint64_t now_ms, const char *why);

/* mail.c. On the first worker's thread: */

/*
 * A client was let in: 0 when the first worker is to serve it, 1 when it was handed to
 * another one, and is not to be touched any more but by what follows.
 */
int mail_hand_over(struct connection *connection);

/* Closes a connection of any worker. claim_leave() was called before it returns. */
void mail_close(struct connection *connection, const char *why);

/* Does what the others have noted. */
void mail_take_notes(struct server *server);

/* Tells all workers to drain or to end. */
void mail_drain(struct server *server);
void mail_end(struct worker *worker);

/*
 * True when all workers have looked at what had come for them when connection asked first;
 * else claim_answer() is called again when they have.
 */
bool mail_has_settled(struct connection *connection);

/* On the thread of another worker: */

/* Does what it was told; false: to end. */
bool mail_take_orders(struct worker *worker);
void mail_note(struct connection *connection, unsigned int note);
void mail_note_settled(struct worker *worker);

#endif
