/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * For the tests of the server: the real loop, storage threads and exports on a
 * thread of this process, and the client's side of its connections. Everything
 * here fails the test when something goes wrong.
 */
#ifndef SERVER_TESTBED_H
#define SERVER_TESTBED_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <pthread.h>
#include <cmocka.h>

#include "server/server.h"

enum { TESTBED_CLIENTS_MAX = 256 };

struct testbed {
	struct server server;
	struct export *export;
	int file_fd; /* of the exported file */
	int clients[TESTBED_CLIENTS_MAX];
	unsigned int client_count;
	unsigned int storage_threads; /* 0: the default */
	unsigned int connections_max; /* 0: TESTBED_CLIENTS_MAX */
	bool on_tcp;		      /* listens on 127.0.0.1 too */
	bool readonly;
	const char *name; /* of the export; NULL: "" */
	enum exclusive exclusive;
	unsigned int hold_s;
	pthread_t thread;
};

/*
 * Runs tests on each way that a request can take: storage threads, io_uring, and
 * memory, each with one worker and with several; returns how many failed.
 */
int testbed_run_tests(const struct CMUnitTest *tests, size_t count);

/* The same, with storage threads alone: for tests that make a write wait. */
int testbed_run_with_threads(const struct CMUnitTest *tests, size_t count);

/* A file of size_bytes, its default export, and client_count connected sockets. */
void testbed_start(struct testbed *bed, uint64_t size_bytes, unsigned int client_count);

/* SIGTERM, and waits for the end, which must be a clean one. */
void testbed_stop(struct testbed *bed);
void testbed_signal(struct testbed *bed);
void testbed_join(struct testbed *bed);

/* A connection over TCP from an address of this machine, 127.0.0.1 to 127.255.255.254. */
int testbed_connect(const struct testbed *bed, const char *from);

enum { REPLY_TEXT_BYTES = 512 };

/*
 * The handshake up to the answer to GO: its type, which is NBD_REP_ACK or an error with
 * a text. client_ask_go() and client_answer_go() are its halves.
 */
uint32_t client_try_go(int fd, const char *name, char text[REPLY_TEXT_BYTES]);
void client_ask_go(int fd, const char *name);
uint32_t client_answer_go(int fd, char text[REPLY_TEXT_BYTES]);

/* GO for the default export; returns the transmission flags. */
uint16_t client_go(int fd, bool structured);

/* The same, structured and with base:allocation, whose context ID it returns. */
uint32_t client_go_with_allocation(int fd);

void client_send(int fd, const void *data, size_t length);
void client_receive(int fd, void *data, size_t length);

/* True when the server has closed the connection (after at most 10 s). */
bool client_sees_end(int fd);

/* The cookie is the type, so that an answer can be told from others. */
void client_request(int fd, uint16_t type, uint16_t flags, uint64_t offset, uint32_t length);
void client_expect(int fd, uint64_t cookie, uint32_t error);

/* A request without payload in either direction, and its answer. */
uint32_t client_ask(int fd, uint16_t type, uint16_t flags, uint64_t offset, uint32_t length);
uint32_t client_write(int fd, uint16_t flags, const void *data, uint64_t offset, uint32_t length);

/* Simple replies only. */
uint32_t client_read(int fd, void *data, uint64_t offset, uint32_t length);

/* Bytes that differ from place to place. */
void fill_pattern(uint8_t *data, size_t length, uint32_t seed);

#endif
