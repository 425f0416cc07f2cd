/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * One client: payload.c and splice.c (the buffers that all clients share),
 * connection.c (its socket, from accept to close), claim.c (whether it may use
 * the export), serve.c (its requests) and reply.c (the answers). Everything here
 * runs on the thread of the connection's worker (worker.h).
 */
#ifndef SERVER_CONNECTION_H
#define SERVER_CONNECTION_H

#include <sys/queue.h>
#include <sys/types.h>

#include "server/export.h"
#include "server/loop.h"
#include "server/negotiate.h"

enum {
	PAYLOAD_BYTES = 256 << 10,	  /* one buffer */
	PAYLOAD_BUFFERS = 128,		  /* of all connections: 32 MiB */
	CONNECTION_BUFFERS_MAX = 32,	  /* of one connection */
	CONNECTION_REQUESTS_MAX = 128,	  /* in flight; what a Linux client has per socket */
	RECEIVE_BYTES = 16 << 10,	  /* read at once beside payload */
	RECEIVE_TURN_BYTES = 1 << 20,	  /* then other connections have their turn */
	RANGE_PIECE_BYTES = 32 << 20,	  /* of TRIM and its like; others get a turn between */
	EXTENTS_MAX = 128,		  /* in an answer to BLOCK_STATUS */
	CACHED_READ_MAX_BYTES = 64 << 10, /* more is copied by a storage thread */
	SPLICE_MIN_BYTES = 64 << 10,	  /* less is copied */
	SPLICE_PIPE_BYTES = 1 << 20,
	SPLICE_PIPES = 16,	  /* of all connections */
	CONNECTION_PIPES_MAX = 8, /* of one connection */
	STALL_MS = 500,
	REPLY_HEADER_MAX_BYTES = WIRE_CHUNK_BYTES + WIRE_CHUNK_HOLE_BYTES,
};

/* payload.c */

struct payload_pool {
	uint8_t *memory;
	uint8_t *free[PAYLOAD_BUFFERS];
	unsigned int count, free_count;
	struct connection_list waiting; /* for a buffer, longest first */
};

/* Count buffers, at most PAYLOAD_BUFFERS. -errno. */
int payload_open(struct payload_pool *pool, unsigned int count);
void payload_close(struct payload_pool *pool);

/* Schedules as many of the waiting connections as there are buffers. */
void payload_wake(struct payload_pool *pool);

/* Takes up to wanted buffers and returns how many there were. */
unsigned int payload_take(struct payload_pool *pool, uint8_t **buffers, unsigned int wanted);
void payload_give(struct payload_pool *pool, uint8_t **buffers, unsigned int count);

/* splice.c */

struct splice_pipe {
	int in_fd, out_fd;
	uint32_t size_bytes; /* 0: not open */
	uint32_t have_bytes;
};

struct splice_pool {
	struct splice_pipe pipes[SPLICE_PIPES];
	struct splice_pipe *free[SPLICE_PIPES];
	unsigned int count, free_count;
	uint32_t page_bytes;
};

/*
 * Count pipes, at most SPLICE_PIPES. They are made when they are first needed, and closed by
 * splice_close() when all were given.
 */
void splice_open(struct splice_pool *pool, unsigned int count);
void splice_close(struct splice_pool *pool);

/* An empty pipe, or NULL when there is none. One that is not empty is emptied when given back. */
struct splice_pipe *splice_take(struct splice_pool *pool);
void splice_give(struct splice_pool *pool, struct splice_pipe *pipe);

/* How much from offset_bytes on fits: each page that is touched takes one slot. */
uint32_t splice_room(const struct splice_pool *pool, const struct splice_pipe *pipe,
		     uint64_t offset_bytes);

/* To socket fd, without waiting; returns how many bytes, or -errno. */
ssize_t splice_send(struct splice_pipe *pipe, int fd, uint32_t length_bytes);

/* One command of a client, from its header to the last byte of its answer. */
struct request {
	struct storage_job job; /* first: job and request are one address */
	struct connection *connection;
	TAILQ_ENTRY(request) link; /* connection.replies */
	uint64_t cookie;
	uint64_t begun_us;     /* traffic_now_us() when its header was here */
	uint64_t offset_bytes; /* of the piece at hand */
	uint32_t length_bytes; /* of the request */
	uint32_t left_bytes;   /* from offset_bytes to the end of the request */
	uint32_t piece_bytes;
	uint32_t announced_bytes; /* READ: promised by a header, and not yet sent */
	uint32_t hole_bytes;	  /* READ: the piece is a hole of this length */
	uint32_t received_bytes;  /* of the piece: WRITE */
	uint32_t sent_bytes;	  /* of header and piece: READ */
	uint16_t type, flags;
	bool running; /* the storage has it */
	bool loading; /* READ in the queue of answers: the next piece is not here yet */
	uint8_t header_bytes;
	uint8_t header[REPLY_HEADER_MAX_BYTES];
	int error; /* 0 or -errno: what the client will be told */
	uint8_t buffer_count;
	uint8_t *buffers[PIECE_BUFFERS_MAX];
	struct splice_pipe *pipe; /* READ: in place of buffers */
	struct extent *extents;	  /* BLOCK_STATUS */
};
TAILQ_HEAD(request_list, request);

enum phase {
	PHASE_HANDSHAKE,
	PHASE_TRANSMISSION,
	PHASE_LINGER, /* our last byte is sent; what the client still sends is discarded */
	PHASE_CLOSED, /* the socket is gone; freed when the storage is done with its requests */
};

struct connection {
	struct watch watch; /* first: watch and connection are one address */
	struct server *server;
	struct worker *worker;
	enum phase phase;
	bool structured;
	bool has_allocation; /* the context base:allocation was set for the export */
	bool readable;	     /* the socket has something */
	bool congested;	     /* the socket takes nothing more */
	bool blocked;	     /* nothing is read until a buffer or a request is free */
	bool ending;	     /* no further request is read: DISC, end of file, shutdown */
	bool skips_all;	     /* PHASE_LINGER: what comes is no request */
	bool said_disc;
	bool broken; /* a READ failed after its success was announced */
	bool is_runnable, is_waiting, is_claiming;
	uint8_t header_have;
	uint8_t header[WIRE_REQUEST_BYTES];
	char peer[PEER_BYTES];
	char *identity; /* what its export name says, where the section is NAME/"*"; else NULL */
	char *boot;	/* and which boot of that machine it is, where the section wants to know */
	time_t attached_s;

	/* The first worker's, whoever serves the connection. */
	TAILQ_ENTRY(connection) sharing; /* export.attached */
	TAILQ_ENTRY(connection) all;	 /* server.connections */
	bool is_placed;			 /* its worker was chosen */
	bool has_left;			 /* claim_leave() was called */
	bool is_closing;		 /* its worker was told to close it, and has not yet */
	uint64_t settle_round; /* in the handshake: mail_has_settled(); 0: it was not asked */

	/* server.mail_lock; order_why is the worker's when it has the order. */
	TAILQ_ENTRY(connection) ordered, noted;
	uint8_t orders, notes;
	bool is_finished; /* its worker has done with it */
	char *order_why;

	TAILQ_ENTRY(connection) of_worker; /* worker.connections or dead */
	TAILQ_ENTRY(connection) timed;	   /* server.handshakes or claims, worker.lingering */
	TAILQ_ENTRY(connection) runnable;  /* worker.runnable */
	TAILQ_ENTRY(connection) waiting;   /* payload_pool.waiting */
	uint64_t congested_since_ms;	   /* while congested */
	uint64_t receiving_since_ms;	   /* while receiving has buffers */
	uint64_t deadline_ms;		   /* of handshake or lingering */
	uint64_t probe_ms; /* in the handshake: when those who hold its export must have answered */
	struct negotiation *negotiation; /* PHASE_HANDSHAKE */
	struct export *export;
	struct request *receiving;   /* WRITE whose payload arrives, or READ without buffer */
	struct request_list replies; /* ready to be sent, in this order */
	_Atomic unsigned int request_count; /* the worker writes, status.c reads */
	unsigned int running_count, buffer_count, pipe_count;
	uint32_t turn_bytes;   /* received since others had their turn */
	uint32_t unread_bytes; /* in the socket when the server was told to end, and not read yet */
	uint32_t skip_bytes;   /* PHASE_LINGER: payload of a request that is not done */
	struct traffic traffic;
	uint8_t *stash; /* bytes that were read but have to wait: only while blocked */
	uint32_t stash_bytes, stash_taken;
};

/* connection.c */

/*
 * Takes fd over and begins the handshake: newstyle, or, with the name of an export, an
 * oldstyle one for that. peer is the address for messages. -errno: fd is closed.
 */
int connection_open(struct server *server, int fd, const char *peer, const char *oldstyle_name);

/* Closes the socket now; replies that were not sent are lost. why is for the log, NULL: silent. */
void connection_close(struct connection *connection, const char *why);

/* The first worker has handed it over to this one. */
void connection_adopt(struct connection *connection);

/* Asks that connection_run() is called at the end of this batch. */
void connection_schedule(struct connection *connection);
void connection_run(struct connection *connection);

/* A closed connection is freed after the batch if the storage has none of its requests. */
void connection_release(struct connection *connection);

/*
 * Gives up the buffers that its client has made it hold for STALL_MS, without
 * loss: payload that has come is stored now, an answer is read again when the
 * client takes it.
 */
void connection_reclaim(struct connection *connection, uint64_t now_ms);

/* Ends when what has come until now was answered; NBD_CMD_DISC may be the last of it. */
void connection_drain(struct connection *connection);

/* No further request, read or not: ends when what is in flight was answered. */
void connection_end(struct connection *connection);

/* claim.c */

/*
 * Answers the client whose negotiation is in NEGOTIATE_CLAIM. 1: it is answered; 0:
 * call again when the connection is scheduled; -errno: it has to end.
 */
int claim_answer(struct connection *connection);

/*
 * The connection has closed, or its worker was told to close it; claim_finish() follows when
 * the storage is done with it.
 */
void claim_leave(struct connection *connection, bool said_disc);
void claim_finish(struct connection *connection);

/* At server.claim_ms, or when a worker has answered: those that wait look again. */
void claim_resume(struct server *server);

/* command.c */

bool command_is_change(uint16_t type);

/* 0, or what the specification answers ("Error values"): -EPERM, -EINVAL or -ENOSPC. */
int command_check(const struct connection *connection, const struct wire_request *asked);

/* serve.c */

/* Takes bytes of the transmission phase; returns how many, fewer when blocked; -errno: close. */
ssize_t serve_feed(struct connection *connection, const uint8_t *data, size_t length);

/*
 * Takes what comes after the last answer: nothing of it is done, but NBD_CMD_DISC is seen,
 * so that a machine that leaves while the server ends does not hold its export.
 */
void serve_skim(struct connection *connection, const uint8_t *data, size_t length);

/* Tries again what waited for a buffer. */
void serve_resume(struct connection *connection);

/* Where the socket may read payload straight to; serve_received() says that it did. */
int serve_room(struct connection *connection, struct iovec iov[PIECE_BUFFERS_MAX]);
void serve_received(struct connection *connection, size_t bytes);

/* The next piece of a READ into the buffers that request has. */
void serve_load(struct request *request);

/* Stores what has come of a piece, or gives its buffers back when nothing has. */
void serve_reclaim(struct connection *connection);
void request_give_buffers(struct request *request);
void request_free(struct request *request);

/* reply.c */

/* Puts the answer to request, or to a piece of a READ, in the queue of its connection. */
void reply_queue(struct request *request);

/* Sends what the socket takes; -errno when the connection has to end. */
int reply_send(struct connection *connection);

/* Forgets the payload of queued answers; serve_resume() loads it again. */
void reply_reclaim(struct connection *connection);

#endif
