/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What stands around the loop that keeps a device in a test: a server on
 * loopback, and a kernel at the other end of a packet socket pair. The loop runs
 * in the test's thread; a director in another one waits for what should happen,
 * makes the next thing happen, and at the end lets the device be detached.
 */
#ifndef CLIENT_STATIC_SUPERVISE_TESTBED_H
#define CLIENT_STATIC_SUPERVISE_TESTBED_H

#include <pthread.h>

#include "client-static/supervise.h"

enum {
	TESTBED_DEADLINE_S = 60,
	TESTBED_INDEX = 3,
	TESTBED_SIZE_BYTES = 1 << 20,
	TESTBED_FLAGS = 0x5,
	TESTBED_SAID_BYTES = 16384,
};

/* Guards all that follows while threads run. */
extern pthread_mutex_t testbed_lock;

extern struct testbed_server {
	int listener, connection; /* connection: the last one accepted, -1: none */
	int accepted;
	uint64_t size_bytes;
	uint16_t flags;
} testbed_server;

extern struct testbed_kernel {
	int error;	/* answered to each message */
	int errors;	/* that many times, -1: always */
	int asked;	/* messages without a socket */
	int given;	/* messages with one */
	int link_state; /* that the driver tells, enum link_state; a socket that is given makes it
			   live */
	int has_fd;	/* a socket that stands and must not be given, 0: none */
	bool connects;	/* the driver is as fast as the next connection to the server */
	char wrong[64]; /* "" while all messages are right */
} testbed_kernel;

extern struct supervision testbed_device;
extern char testbed_said[TESTBED_SAID_BYTES]; /* all lines of the log */

/* Setup and teardown of a cmocka test. */
int testbed_set_up(void **state);
int testbed_tear_down(void **state);

/* The link that the device was attached with. */
void testbed_attach(void);

/* Runs the loop against the director, until the device is detached. */
void testbed_run(void *(*director)(void *));

/* For directors; those that wait end the program after TESTBED_DEADLINE_S. */
void testbed_await_line(const char *text);
void testbed_await_given(int count);
void testbed_await_asked(int count);
void testbed_await_state(enum supervise_state state);
void testbed_hang_up(void); /* the server process of the device dies */
void testbed_detach(void);  /* from now on the kernel says that the device is gone */
void testbed_tell_link_dead(uint32_t index);

/* The same, of a driver that connects again by itself: the state that it tells, and its message. */
void testbed_driver_loses(enum link_state state);
void testbed_driver_connects(void);

/* A listening socket on a port of its own, whose address goes to *ret; -1: none. */
int testbed_listen(struct address *ret);

#endif
