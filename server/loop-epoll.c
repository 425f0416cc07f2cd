// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The event loop on epoll, eventfd and signalfd: sockets, finished storage jobs
 * and signals all arrive in one wait. Level-triggered, so that a connection may
 * take one bite per turn and cannot starve the others.
 */
#include "server/loop.h"

#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <unistd.h>

enum { EVENTS_PER_WAIT = 128 };

struct loop {
	int epoll_fd;
	struct watch wake, signals;
	const struct loop_hooks *hooks;
	void *arg;
	bool ended;
	/* What is still to be reported of this batch; loop_forget() clears its part. */
	struct epoll_event events[EVENTS_PER_WAIT];
	int event_count;
};

static struct loop *loop_of_wake(struct watch *watch)
{
	return (struct loop *)((char *)watch - offsetof(struct loop, wake));
}

static struct loop *loop_of_signals(struct watch *watch)
{
	return (struct loop *)((char *)watch - offsetof(struct loop, signals));
}

static void wake_ready(struct watch *watch, unsigned int events)
{
	struct loop *loop = loop_of_wake(watch);
	uint64_t count;

	(void)events;
	if (read(watch->fd, &count, sizeof(count)) == sizeof(count))
		loop->hooks->woken(loop->arg);
}

static void signals_ready(struct watch *watch, unsigned int events)
{
	struct loop *loop = loop_of_signals(watch);
	struct signalfd_siginfo info;

	(void)events;
	while (read(watch->fd, &info, sizeof(info)) == sizeof(info))
		loop->hooks->signal(loop->arg, (int)info.ssi_signo);
}

static int open_signals(const int *signals)
{
	sigset_t set;

	sigemptyset(&set);
	for (; *signals; signals++)
		sigaddset(&set, *signals);
	if (sigprocmask(SIG_BLOCK, &set, NULL) < 0)
		return -1;
	return signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
}

int loop_open(struct loop **ret, const int *signals)
{
	struct loop *loop = calloc(1, sizeof(*loop));
	int r;

	if (!loop)
		return -ENOMEM;
	loop->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	loop->wake = (struct watch){eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC), LOOP_READ, wake_ready};
	loop->signals = (struct watch){open_signals(signals), LOOP_READ, signals_ready};
	if (loop->epoll_fd < 0 || loop->wake.fd < 0 || loop->signals.fd < 0) {
		r = -errno;
		goto err_close;
	}
	r = loop_watch(loop, &loop->wake);
	if (!r)
		r = loop_watch(loop, &loop->signals);
	if (r < 0)
		goto err_close;
	*ret = loop;
	return 0;
err_close:
	loop_close(loop);
	return r;
}

void loop_close(struct loop *loop)
{
	close(loop->signals.fd);
	close(loop->wake.fd);
	close(loop->epoll_fd);
	free(loop);
}

static struct epoll_event epoll_event_of(struct watch *watch)
{
	struct epoll_event event = {.data.ptr = watch};

	if (watch->wanted & LOOP_READ)
		event.events |= EPOLLIN;
	if (watch->wanted & LOOP_WRITE)
		event.events |= EPOLLOUT;
	return event;
}

int loop_watch(struct loop *loop, struct watch *watch)
{
	struct epoll_event event = epoll_event_of(watch);

	return epoll_ctl(loop->epoll_fd, EPOLL_CTL_ADD, watch->fd, &event) < 0 ? -errno : 0;
}

void loop_change(struct loop *loop, struct watch *watch, unsigned int wanted)
{
	struct epoll_event event;

	if (watch->wanted == wanted)
		return;
	watch->wanted = wanted;
	event = epoll_event_of(watch);
	epoll_ctl(loop->epoll_fd, EPOLL_CTL_MOD, watch->fd, &event);
}

void loop_forget(struct loop *loop, struct watch *watch)
{
	epoll_ctl(loop->epoll_fd, EPOLL_CTL_DEL, watch->fd, NULL);
	for (int i = 0; i < loop->event_count; i++) {
		if (loop->events[i].data.ptr == watch)
			loop->events[i].data.ptr = NULL;
	}
}

void loop_wake(void *arg)
{
	struct loop *loop = arg;
	uint64_t one = 1;

	/* Fails only when the counter is full, and then the loop wakes anyway. */
	if (write(loop->wake.fd, &one, sizeof(one)) < 0)
		return;
}

static unsigned int events_of_epoll(uint32_t epoll_events)
{
	unsigned int events = 0;

	if (epoll_events & EPOLLIN)
		events |= LOOP_READ;
	if (epoll_events & EPOLLOUT)
		events |= LOOP_WRITE;
	if (epoll_events & (EPOLLERR | EPOLLHUP))
		events |= LOOP_HANGUP;
	return events;
}

int loop_run(struct loop *loop, const struct loop_hooks *hooks, void *arg)
{
	loop->hooks = hooks;
	loop->arg = arg;
	loop->ended = false;
	hooks->batch(arg); /* for connections that came before the loop */
	while (!loop->ended) {
		int n = epoll_wait(loop->epoll_fd, loop->events, EVENTS_PER_WAIT,
				   hooks->timeout_ms(arg));

		if (n < 0 && errno != EINTR)
			return -errno;
		loop->event_count = n > 0 ? n : 0;
		for (int i = 0; i < loop->event_count; i++) {
			struct watch *watch = loop->events[i].data.ptr;

			if (watch)
				watch->ready(watch, events_of_epoll(loop->events[i].events));
		}
		loop->event_count = 0;
		hooks->batch(arg);
	}
	return 0;
}

void loop_end(struct loop *loop)
{
	loop->ended = true;
}
