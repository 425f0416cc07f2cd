/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The one event loop. loop-epoll.c is its implementation for Linux; a port to
 * another system replaces that file and nothing else.
 */
#ifndef SERVER_LOOP_H
#define SERVER_LOOP_H

#include <stddef.h>

enum {
	LOOP_READ = 1,
	LOOP_WRITE = 2,
	LOOP_HANGUP = 4, /* error or both directions shut; reported without being asked for */
};

struct loop;

/* Part of whoever waits for fd; ready() may end the watch, but not free its memory before
 * the batch ends (loop_hooks.batch). */
struct watch {
	int fd;
	unsigned int wanted; /* LOOP_READ, LOOP_WRITE */
	void (*ready)(struct watch *watch, unsigned int events);
};

/* Called by loop_run() with its arg. */
struct loop_hooks {
	void (*woken)(void *arg); /* once or more after loop_wake() */
	void (*signal)(void *arg, int signo);
	void (*batch)(void *arg);     /* after all ready() calls of one wait */
	int (*timeout_ms)(void *arg); /* how long to wait at most; -1: for ever */
};

/*
 * signals is a list that ends in 0; they are blocked in this thread, so call this
 * before other threads start. -errno.
 */
int loop_open(struct loop **ret, const int *signals);
void loop_close(struct loop *loop);

int loop_watch(struct loop *loop, struct watch *watch);
void loop_change(struct loop *loop, struct watch *watch, unsigned int wanted);

/* Must come before close(fd). */
void loop_forget(struct loop *loop, struct watch *watch);

/* From any thread: makes loop_run() call woken(). Takes the loop as void * for callbacks. */
void loop_wake(void *loop);

/* Runs until loop_end(); 0 or -errno. */
int loop_run(struct loop *loop, const struct loop_hooks *hooks, void *arg);
void loop_end(struct loop *loop);

#endif
