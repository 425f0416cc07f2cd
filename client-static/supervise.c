/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The loop that keeps a device. A link is one connection of the device: while it
 * stands its socket is watched; when it is lost another one is made, with a
 * back-off, to any of the server's addresses, and given to the kernel, which has
 * held the I/O meanwhile.
 *
 * A driver that was told how (by_driver) connects again by itself. Then it is asked
 * how its links are, and helped when it does not get on: it compares a server byte
 * for byte, this loop what matters, and this loop says what is wrong with it.
 *
 * Runs locked down: no allocation, no file, no name; its words go to the kernel's
 * log. Everything it waits for has a deadline.
 */
#include "client-static/supervise.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "common/log.h"

enum {
	RETRY_MIN_MS = 200,
	RETRY_MAX_MS = 5000,

	/* A link that stood so long was a good one: the next is tried at once. */
	STABLE_MS = 10 * 1000,

	/*
	 * A new socket is given to the driver again and again. It takes none while
	 * it has not noticed yet that the old one is dead, and does not say so; and
	 * the answer tells whether the device is still attached.
	 */
	GIVE_MIN_MS = 250,
	GIVE_MAX_MS = 30 * 1000,
	LINK_DEAD_DELAY_MS = 100, /* the driver tells it just before it is so */

	REMIND_MS = 60 * 1000, /* of a failure that has not changed */

	/* How long the driver is left alone with a lost link, if it has refused a server and else.
	 */
	HELP_REFUSED_MS = 1000,
	HELP_MS = 5000,
};

struct link {
	int fd;		/* -1: lost, or the driver's alone */
	int kept_fd;	/* by_driver: the driver's socket, see part(); -1: none */
	bool has_ended; /* kept_fd, and the driver was not asked since */
	bool is_given;
	bool is_told;	   /* that it was lost */
	int error;	   /* of the socket that was lost, 0: none */
	bool is_spare;	   /* the driver may still have one of a supervisor before us */
	uint64_t since_ms; /* given, or lost */
	uint64_t due_ms;   /* to connect, or to be given again */
	uint32_t delay_ms; /* from then to the next time */
	uint32_t retry_ms; /* back-off, which outlives a link that did not stand */
};

/* What was said of an address last, so that it is said once. */
struct complaint {
	uint32_t hash;
	uint64_t said_ms;
};

struct keeper {
	struct supervision *s;
	struct link links[CONNECTIONS_MAX];
	struct complaint complaints[ADDRESSES_MAX];
	uint64_t lost_ms;      /* when a link was lost last */
	bool is_told_of_death; /* by the driver, and not yet of the next link */
};

static uint64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_BOOTTIME, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

static void set_state(struct supervision *s, enum supervise_state state)
{
	if (s->state == (uint32_t)state)
		return;
	s->state = (uint32_t)state;
	s->since_ms = now_ms();
}

/* FNV-1a */
static uint32_t hash_text(const char *text)
{
	uint32_t hash = 2166136261u;

	for (; *text; text++)
		hash = (hash ^ (uint8_t)*text) * 16777619u;
	return hash;
}

/* Says why an address failed when it is news, or was said long ago. */
static void complain(struct keeper *k, uint32_t address, const char *text)
{
	struct complaint *last = &k->complaints[address];
	bool is_named = !strncmp(text, "export ", strlen("export "));
	uint32_t hash = hash_text(text);
	uint64_t now = now_ms();

	snprintf(k->s->last_error, sizeof(k->s->last_error), "%s: %s",
		 k->s->addresses.items[address].text, text);
	if (last->hash == hash && now - last->said_ms < REMIND_MS)
		return;
	*last = (struct complaint){.hash = hash, .said_ms = now};
	log_line("/dev/nb%u: %s: %s%s%s%s; trying again, the kernel holds I/O",
		 k->s->job.device_index, k->s->addresses.items[address].text,
		 is_named ? "" : "export \"", is_named ? "" : k->s->job.target.export_name,
		 is_named ? "" : "\": ", text);
}

static void back_off(struct link *link)
{
	link->due_ms = now_ms() + link->retry_ms;
	link->retry_ms = link->retry_ms * 2 < RETRY_MAX_MS ? link->retry_ms * 2 : RETRY_MAX_MS;
}

/* While another link of the device stands, only its server will do: two know nothing of each other.
 */
static uint32_t count_addresses(const struct keeper *k)
{
	for (uint32_t i = 0; i < k->s->link_count; i++) {
		if (k->links[i].fd >= 0)
			return 1;
	}
	return (uint32_t)k->s->addresses.count;
}

/* A socket of the export, when one of the addresses leads to it now. */
static void connect_link(struct keeper *k, struct link *link)
{
	struct supervision *s = k->s;
	uint32_t count = count_addresses(k);
	struct export_info found;
	struct failure why;

	for (uint32_t i = 0; i < count; i++) {
		uint32_t address = (s->address + i) % (uint32_t)s->addresses.count;
		int fd, err;

		err = session_connect(&s->job, &s->addresses.items[address], s->buffer_bytes, &fd,
				      &found, &why);
		if (!err) {
			err = session_same_export(&s->export, s->block_size_bytes, &found, &why);
			if (err)
				close(fd);
		}
		if (err) {
			complain(k, address, why.text);
			continue;
		}
		s->address = address;
		link->fd = fd;
		link->is_given = false;
		link->delay_ms = GIVE_MIN_MS;
		return;
	}
	back_off(link);
}

static bool is_any_lost(const struct keeper *k)
{
	for (uint32_t i = 0; i < k->s->link_count; i++) {
		if (!k->links[i].is_given)
			return true;
	}
	return false;
}

static void tell_given(const struct keeper *k, const struct link *link, uint64_t lost_ms)
{
	const struct supervision *s = k->s;
	const char *address = s->addresses.items[s->address].text;
	const char *name = s->job.target.export_name;

	if (link->is_spare)
		log_line("/dev/nb%u: took over with a connection to %s export \"%s\"",
			 s->job.device_index, address, name);
	else
		log_line("/dev/nb%u: connected again (%u) to %s export \"%s\" after %llu.%llu s",
			 s->job.device_index, s->reconnects, address, name,
			 (unsigned long long)(lost_ms / 1000),
			 (unsigned long long)(lost_ms / 100 % 10));
}

/* The address that the driver has chosen, if its socket is at hand. */
static void note_address(struct supervision *s, int fd)
{
	struct sockaddr_storage peer;
	socklen_t length = sizeof(peer);

	if (fd < 0 || getpeername(fd, (struct sockaddr *)&peer, &length) < 0)
		return;
	for (uint32_t i = 0; i < s->addresses.count; i++) {
		const struct address *address = &s->addresses.items[i];

		if (address->length == length && !memcmp(&address->storage, &peer, length))
			s->address = i;
	}
}

static void given(struct keeper *k, struct link *link)
{
	struct supervision *s = k->s;
	uint64_t lost_ms = now_ms() - link->since_ms;

	if (link->is_given)
		return;
	note_address(s, link->kept_fd);
	link->is_given = true;
	link->since_ms = now_ms();
	s->reconnects += !link->is_spare;
	memset(k->complaints, 0, sizeof(k->complaints));
	if (!is_any_lost(k))
		set_state(s, SUPERVISE_CONNECTED);
	tell_given(k, link, lost_ms);
}

/*
 * The driver puts a socket in the place of whichever connection is dead. One that it has
 * already would be there twice, and two of its threads would use it at the same time: so,
 * beside other links, one that stands is not given again.
 */
static int fd_to_give(const struct keeper *k, const struct link *link)
{
	bool may_be_there = link->is_given && k->s->link_count > 1 &&
			    (is_any_lost(k) || link->since_ms <= k->lost_ms);

	return may_be_there ? -1 : link->fd;
}

/* Gives the socket of the link to the driver, or asks after the device; -ENODEV: it is gone. */
static int give_link(struct keeper *k, struct link *link)
{
	struct supervision *s = k->s;
	struct failure why;
	int err = attach_reconfigure(&s->netlink, s->job.device_index, s->identifier,
				     fd_to_give(k, link), &why);

	/* Attached under another identifier, or not at all, or the driver itself is gone. */
	if (err == -EINVAL || err == -ENOENT || err == -EOPNOTSUPP)
		return -ENODEV;
	if (err)
		complain(k, s->address, why.text);
	else if (link->fd >= 0)
		given(k, link);
	link->due_ms = now_ms() + link->delay_ms;
	link->delay_ms = link->delay_ms * 2 < GIVE_MAX_MS ? link->delay_ms * 2 : GIVE_MAX_MS;
	return 0;
}

static void tell_lost(const struct keeper *k, struct link *link)
{
	if (link->is_told)
		return;
	link->is_told = true;
	log_line("/dev/nb%u: lost the connection to %s%s%s; the kernel holds I/O%s",
		 k->s->job.device_index, k->s->addresses.items[k->s->address].text,
		 link->error ? ": " : "", link->error ? strerror(link->error) : "",
		 k->s->by_driver ? " and connects again" : "");
}

static int ask_state(const struct keeper *k, const struct link *link)
{
	return attach_link_state(&k->s->netlink, k->s->job.device_index,
				 (uint32_t)(link - k->links));
}

/* A link of the driver's that stands. Without its socket the end of the device is found by asking.
 */
static void rest(struct keeper *k, struct link *link)
{
	given(k, link);
	link->due_ms = now_ms() + (link->kept_fd >= 0 ? GIVE_MAX_MS : RETRY_MAX_MS);
}

static void note_lost(struct keeper *k, struct link *link)
{
	if (link->is_given) {
		link->is_given = false;
		link->is_told = false;
		link->is_spare = false;
		link->since_ms = now_ms();
		link->retry_ms = RETRY_MIN_MS;
		set_state(k->s, SUPERVISE_LOST);
	}
	tell_lost(k, link);
}

/* Whether the driver has had the time to make a link in that state again. */
static bool needs_help(const struct link *link, int state)
{
	uint64_t lost_ms = now_ms() - link->since_ms;

	return lost_ms >= (state == LINK_CONNECTING ? HELP_MS : HELP_REFUSED_MS);
}

/*
 * Makes the connection in place of the driver, which goes on with it, or says why
 * that is not possible. The driver does not rest meanwhile: who comes second with a
 * good connection closes it.
 */
static int help_driver(struct keeper *k, struct link *link)
{
	int err = 0;

	connect_link(k, link);
	if (link->fd < 0)
		return 0;
	if (ask_state(k, link) != LINK_LIVE)
		err = give_link(k, link);
	if (link->is_given) {
		if (link->kept_fd >= 0)
			close(link->kept_fd);
		link->kept_fd = link->fd;
	} else {
		close(link->fd);
		back_off(link);
	}
	link->fd = -1;
	return err;
}

/* What is due of one link that the driver makes again; -ENODEV when the device is gone. */
static int watch(struct keeper *k, struct link *link)
{
	int state, err = give_link(k, link);

	if (err)
		return err;
	link->has_ended = false;
	state = ask_state(k, link);
	if (state == LINK_LIVE)
		rest(k, link);
	if (state == LINK_LIVE || state < 0)
		return 0;
	note_lost(k, link);
	if (needs_help(link, state))
		return help_driver(k, link);
	back_off(link);
	return 0;
}

/* What is due of one link; -ENODEV when the device is gone. */
static int attend(struct keeper *k, struct link *link)
{
	if (k->s->by_driver)
		return watch(k, link);
	if (link->fd < 0) {
		int err;

		/* Before a server is troubled for a device that nobody has any more. */
		err = give_link(k, link);
		if (err)
			return err;
		tell_lost(k, link);
		connect_link(k, link);
	}
	return link->fd >= 0 ? give_link(k, link) : 0;
}

/*
 * Closed at once and before the driver gets another: ours is then not the last
 * reference, so that the driver's last one, with a linger of 0, throws away what
 * the old connection has not sent.
 */
static void lose_link(struct keeper *k, struct link *link)
{
	socklen_t length = sizeof(link->error);
	uint64_t now = now_ms();

	link->error = 0;
	link->is_told = false;
	getsockopt(link->fd, SOL_SOCKET, SO_ERROR, &link->error, &length);
	close(link->fd);
	link->fd = -1;
	if (link->is_given && now - link->since_ms >= STABLE_MS) {
		link->retry_ms = RETRY_MIN_MS;
		link->due_ms = now;
	} else {
		back_off(link);
	}
	if (link->is_given)
		link->since_ms = now;
	link->is_given = false;
	link->is_spare = false;
	k->lost_ms = now;
	set_state(k->s, SUPERVISE_LOST);
}

/*
 * The driver has made a link again. Either the loop knows that it was lost, and
 * will find that it stands; or it was so quick that nobody has asked meanwhile; or
 * this is late news of what was found already: no death was told of since, or it
 * came sooner than a link can be lost twice.
 */
static void note_link_up(struct keeper *k)
{
	struct link *link = &k->links[0];
	uint64_t now = now_ms();

	if (!k->is_told_of_death)
		return;
	k->is_told_of_death = false;
	for (uint32_t i = 0; i < k->s->link_count; i++) {
		if (!k->links[i].is_given || now - k->links[i].since_ms < RETRY_MIN_MS)
			return;
		if (k->links[i].has_ended)
			link = &k->links[i];
	}
	link->is_given = false;
	link->is_spare = false;
	link->since_ms = now;
	given(k, link);
}

/* A link that the driver calls dead is either seen on its socket, or is the one before it. */
static void hear(struct keeper *k)
{
	uint64_t soon = now_ms() + LINK_DEAD_DELAY_MS;
	unsigned int heard = attach_heard(&k->s->events, k->s->job.device_index);

	k->is_told_of_death |= (heard & HEARD_LINK_DEAD) != 0;
	if (heard & HEARD_LINK_UP && k->s->by_driver)
		note_link_up(k);
	if (!heard)
		return;
	for (uint32_t i = 0; i < k->s->link_count; i++) {
		struct link *link = &k->links[i];

		if ((link->fd >= 0 || k->s->by_driver) && link->due_ms > soon) {
			link->due_ms = soon;
			link->delay_ms = GIVE_MIN_MS;
		}
	}
}

/* Also the end of the device ends the driver's socket, and is told in no other way. */
static void note_end(struct link *link)
{
	uint64_t soon = now_ms() + LINK_DEAD_DELAY_MS;

	link->has_ended = true;
	if (link->due_ms > soon)
		link->due_ms = soon;
}

/* The socket whose end is of interest: not the driver's while it is known to be lost. */
static int watched_fd(const struct link *link)
{
	return link->is_given && !link->has_ended && link->kept_fd >= 0 ? link->kept_fd : link->fd;
}

/* Until a link is lost, the driver tells something, or something is due. */
static void await(struct keeper *k)
{
	struct pollfd polls[CONNECTIONS_MAX + 1];
	uint32_t count = k->s->link_count;
	uint64_t now = now_ms(), due = UINT64_MAX;

	for (uint32_t i = 0; i < count; i++) {
		/* Data is the driver's; only the end of it is ours. -1 is passed over. */
		polls[i] = (struct pollfd){.fd = watched_fd(&k->links[i]), .events = POLLRDHUP};
		if (k->links[i].due_ms < due)
			due = k->links[i].due_ms;
	}
	polls[count] = (struct pollfd){.fd = k->s->events.fd, .events = POLLIN};
	if (poll(polls, count + 1, due > now ? (int)(due - now) : 0) < 0) {
		poll(NULL, 0, RETRY_MIN_MS); /* the kernel had no memory for it */
		return;
	}
	for (uint32_t i = 0; i < count; i++) {
		if (polls[i].revents && k->s->by_driver)
			note_end(&k->links[i]);
		else if (polls[i].revents)
			lose_link(k, &k->links[i]);
	}
	if (polls[count].revents)
		hear(k);
}

/*
 * The driver has closed its end in peace: let what it said last arrive. A linger of
 * 0 throws that away with the last reference, so ours is the last.
 */
static void part(struct keeper *k)
{
	struct linger none = {0};

	for (uint32_t i = 0; i < k->s->link_count; i++) {
		int fd = k->s->by_driver ? k->links[i].kept_fd : k->links[i].fd;

		if (fd < 0)
			continue;
		setsockopt(fd, SOL_SOCKET, SO_LINGER, &none, sizeof(none));
		close(fd);
	}
	set_state(k->s, SUPERVISE_DETACHED);
	k->s->pid = 0;
}

static void begin(struct keeper *k, struct supervision *s)
{
	uint64_t now = now_ms();

	*k = (struct keeper){.s = s};
	for (uint32_t i = 0; i < s->link_count; i++)
		k->links[i] = (struct link){
			.fd = s->by_driver ? -1 : s->fds[i],
			.kept_fd = s->by_driver ? s->fds[i] : -1,
			.is_given = s->fds[i] >= 0,
			.is_told = true,
			.is_spare = s->fds[i] < 0,
			.since_ms = now,
			.due_ms = s->fds[i] >= 0 ? now + GIVE_MAX_MS : now,
			.delay_ms = GIVE_MAX_MS,
			.retry_ms = RETRY_MIN_MS,
		};
	s->since_ms = now;
}

int supervise_run(struct supervision *s)
{
	struct keeper keeper;

	begin(&keeper, s);
	for (;;) {
		for (uint32_t i = 0; i < s->link_count; i++) {
			if (keeper.links[i].due_ms <= now_ms() &&
			    attend(&keeper, &keeper.links[i])) {
				part(&keeper);
				return 0;
			}
		}
		await(&keeper);
	}
}
