/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The handshake as a machine that takes bytes and gives bytes; it knows no sockets. Lives from
 * accept to transmission.
 */
#ifndef SERVER_NEGOTIATE_H
#define SERVER_NEGOTIATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "common/wire.h"
#include "server/export.h"

enum {
	/* An option longer than this ends the connection; the specification has none so long. */
	OPTION_MAX_BYTES = 64 << 10,
	/* Room for the largest answer that is not split: four infos and an ACK. */
	NEGOTIATE_OUT_BYTES = 6 << 10,
	/* What of an option we look at: the longest name, and queries of metadata contexts. */
	NEGOTIATE_IN_BYTES = 5 << 10,
	DESCRIPTION_MAX_BYTES = 1024,
	CONTEXT_ID_ALLOCATION = 1, /* of base:allocation, the only context */
	REFUSAL_BYTES = 384,
};

enum negotiate_state {
	NEGOTIATE_CLIENT_FLAGS,
	NEGOTIATE_OPTION,
	NEGOTIATE_DATA,
	NEGOTIATE_SKIP,	   /* the rest of an option's data */
	NEGOTIATE_LIST,	   /* answers that did not fit yet */
	NEGOTIATE_CLAIM,   /* export is named: negotiate_grant() or negotiate_refuse() goes on */
	NEGOTIATE_READY,   /* export is chosen: transmission follows when out is empty */
	NEGOTIATE_ABORTED, /* the client said goodbye: close when out is empty */
};

struct negotiation {
	const struct export_table *exports;
	const char *peer; /* address_format(); what may not see an export does not find it */
	enum negotiate_state state;
	bool is_oldstyle; /* one answer, without a question */
	bool no_zeroes;
	bool structured;	       /* the client asked for structured replies */
	struct export *context_export; /* that base:allocation was set for; NULL: none */
	char context_identity[2 * IDENTITY_MAX_BYTES + 2]; /* IDENTITY or IDENTITY/BOOT */
	bool has_allocation;				   /* and export is that one */
	struct export *export;
	struct wire_string identity; /* in the name of export; without bytes: none */
	struct wire_option option;
	size_t list_next;
	uint32_t skip_bytes;

	const char *why; /* after -errno: what the client did */
	char refusal[REFUSAL_BYTES];
	char name[80]; /* the export name of the last option, for messages; may be cut */

	size_t in_have, in_want;
	size_t out_have, out_sent;
	uint8_t in[NEGOTIATE_IN_BYTES];
	uint8_t out[NEGOTIATE_OUT_BYTES];
};

/* Puts the greeting in out. */
void negotiate_start(struct negotiation *n, const struct export_table *exports, const char *peer);

/*
 * An oldstyle handshake, in which the client gets the export called name; goes on in
 * NEGOTIATE_CLAIM. -ENOENT: there is no such export for it (n->why).
 */
int negotiate_start_oldstyle(struct negotiation *n, const struct export_table *exports,
			     const char *peer, const char *name);

/*
 * Takes up to length bytes from the client and returns how many; fewer when out
 * has to be sent first or the handshake is over. -errno: the connection must end
 * (n->why says why).
 */
ssize_t negotiate_feed(struct negotiation *n, const uint8_t *data, size_t length);

/* All of out was sent: empties it, and goes on with an answer that waited for room. */
void negotiate_sent(struct negotiation *n);

/*
 * In NEGOTIATE_CLAIM: the client may use n->export, or hears why not. An export name
 * cannot be refused with a reason: -EACCES, the connection must end (n->why).
 */
void negotiate_grant(struct negotiation *n);
int negotiate_refuse(struct negotiation *n, uint32_t reply, const char *text);

/* The transmission flags that this client is told. */
uint16_t negotiate_flags(const struct negotiation *n, const struct export *export);

#endif
