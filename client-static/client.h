/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The client, in the order in which things happen: the command line or the boot
 * line gives a job; its target is resolved, connected and negotiated; the
 * reserves are sized when it will hold swap; the kernel gets the socket; the
 * device gets its names.
 *
 * A stage returns 0 or -errno and says why in a struct failure; it prints
 * nothing. What a stage needs after names are resolved allocates nothing
 * (`make check-no-malloc`).
 */
#ifndef CLIENT_H
#define CLIENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "common/nbd-proto.h"

enum {
	/* Exit codes; 0 is success. */
	EXIT_PERMANENT = 100, /* trying again cannot help: usage, refused, no such export */
	EXIT_TEMPORARY = 111, /* worth trying again: no route, refused connection, time-out */

	TARGET_HOST_BYTES = 256, /* a DNS name is at most 253 characters */
	TARGET_UNIX_BYTES = sizeof(((struct sockaddr_un *)0)->sun_path),
	TARGET_EXPORT_BYTES = NBD_MAX_STRING + 1,

	FAILURE_TEXT_BYTES = 768,
	ADDRESSES_MAX = 8,    /* of one name that are tried in turn */
	CONNECTIONS_MAX = 16, /* of one device */
};

/* Where an export is. Strings are terminated; exactly one of host and unix_path is not empty. */
struct target {
	char host[TARGET_HOST_BYTES]; /* name or numeric address, IPv6 without brackets */
	uint16_t port;		      /* host order; NBD_DEFAULT_PORT unless given */
	char unix_path[TARGET_UNIX_BYTES];
	char export_name[TARGET_EXPORT_BYTES]; /* "" is the server's default export */
};

/* Why a stage failed: one line without the program's name, and the exit code it stands for. */
struct failure {
	int exit_code;
	char text[FAILURE_TEXT_BYTES];
};

/* Fills *ret and returns -error, so that a stage can say `return failure_set(...)`. */
int failure_set(struct failure *ret, int exit_code, int error, const char *format, ...)
	__attribute__((format(printf, 4, 5)));

/* What a server said about an export, and the limits that follow from it. */
struct export
{
	uint64_t size_bytes;
	uint16_t flags;		      /* enum nbd_transmission_flag */
	uint32_t minimum_block_bytes; /* 1 when the server names none */
	uint32_t maximum_block_bytes; /* of one request; 0 when the server names none */
};

/*
 * One device to attach. All zero but target and device_index is a valid job:
 * numbers that are 0 take the default named beside them.
 */
struct attach_job {
	struct target target;
	uint32_t device_index;	   /* N of /dev/nbN */
	uint32_t block_size_bytes; /* 0: 512, or what the server asks for at least */
	uint64_t size_bytes;	   /* 0: what the server says; never more than that */
	uint64_t io_timeout_s;	   /* 0: none; a slow server is waited for */
	uint64_t dead_timeout_s;   /* used when has_dead_timeout, else DEAD_TIMEOUT_S of attach.c */
	bool has_dead_timeout;
	uint32_t connections;	/* 0: 1; more only if the server allows it, never for swap */
	const char *identifier; /* NULL: none; owned by the caller */
	bool is_swap;		/* sizes the reserves, bounds the socket */
	bool is_read_only;
	bool no_opt_go;	     /* negotiate with NBD_OPT_EXPORT_NAME */
	bool no_negotiation; /* -preinit: the peer serves at once; needs size_bytes */
};

/* run.c */

/*
 * Attaches job as /dev/nbN: resolves, connects, negotiates, sizes the reserves
 * when is_swap, hands the socket to the kernel, makes the name. Prints one line
 * on success or failure (more only for what it changed or could not do as
 * asked) and returns 0, EXIT_PERMANENT or EXIT_TEMPORARY. May be called again
 * after EXIT_TEMPORARY; blocks at most about a minute per address.
 */
int attach_run(const struct attach_job *job);

/* uri.c */

/*
 * Parses an NBD URI (doc/uri.md of the NBD project) into *ret: nbd://host[:port]
 * [/export] and nbd+unix:///[export]?socket=PATH, percent-decoded. An empty host
 * is localhost, as that document has it. "%m", "%u" and "%h", which are no
 * escapes in a URI, are left in the export name for the caller to replace.
 * Returns 0, or -EINVAL (-EPROTONOSUPPORT for nbds:// and other schemes of NBD)
 * with *ret untouched and in why a clause that names what was not understood
 * and what would be right.
 */
int uri_parse(const char *text, struct target *ret, char *why, size_t why_size);

/* True when text is meant as a URI: it has a scheme and "://". */
bool uri_is_meant(const char *text);

#endif
