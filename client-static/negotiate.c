/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The handshake, client side: a connected socket and the name of an export
 * enter; the export's size, flags and limits leave, and the next byte on the
 * socket belongs to the kernel. Everything a server sends is bounded here or in
 * the codec: lengths, the number of replies, the time of each receive (set on
 * the socket).
 */
#include "client-static/client.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "common/nbd-errno.h"
#include "common/nbd-proto.h"
#include "common/wire.h"

enum {
	INFO_REPLIES_MAX = 32,	 /* to one option; the specification has four kinds */
	QUOTED_NAME_CHARS = 128, /* of an export name in a message */
	STEPS_KEPT = 4,		 /* of a record, for what is sent after many answers */
};

static int handshake_failed(int error, const char *doing, struct failure *why)
{
	if (error == ECONNRESET)
		return failure_set(why, EXIT_TEMPORARY, error,
				   "the server closed the connection (%s)", doing);
	if (error == ETIMEDOUT)
		return failure_set(why, EXIT_TEMPORARY, error, "no answer in time (%s)", doing);
	return failure_set(why, EXIT_TEMPORARY, error, "%s: %s", doing, strerror(error));
}

static struct handshake *record; /* NULL: nobody wants it */

void negotiate_record(struct handshake *ret)
{
	record = ret;
	if (ret)
		memset(ret, 0, sizeof(*ret));
}

/* The step that the next bytes belong to; NULL: there is none left. */
static struct handshake_step *next_step(bool is_sent)
{
	struct handshake_step *next = &record->steps[record->step_count];
	bool is_same = record->step_count > 0 && next[-1].is_sent == is_sent;

	if (is_same && (is_sent || record->step_count >= HANDSHAKE_STEPS - STEPS_KEPT))
		return next - 1;
	if (record->step_count == HANDSHAKE_STEPS)
		return NULL;
	record->step_count++;
	next->is_sent = is_sent;
	return next;
}

static void note(const void *buf, size_t length, bool is_sent)
{
	struct handshake_step *step;

	if (!record || record->is_too_long || length == 0)
		return;
	step = length <= HANDSHAKE_BYTES - record->byte_count ? next_step(is_sent) : NULL;
	record->is_too_long = !step;
	if (!step)
		return;
	step->length_bytes += (uint16_t)length;
	memcpy(record->bytes + record->byte_count, buf, length);
	record->byte_count += (uint32_t)length;
}

static int hear(int fd, void *buf, size_t length)
{
	int err = wire_read_full(fd, buf, length);

	if (!err)
		note(buf, length, false);
	return err;
}

static int receive(int fd, void *buf, size_t length, const char *doing, struct failure *why)
{
	int err = hear(fd, buf, length);

	return err ? handshake_failed(-err, doing, why) : 0;
}

static int transmit(int fd, const void *buf, size_t length, const char *doing, struct failure *why)
{
	int err = wire_write_full(fd, buf, length);

	if (err)
		return handshake_failed(-err, doing, why);
	note(buf, length, true);
	return 0;
}

static int not_nbd(int err, const uint8_t *greeting, struct failure *why)
{
	if (err == -EPROTONOSUPPORT)
		return failure_set(why, EXIT_PERMANENT, -err,
				   "an oldstyle NBD server (nbd-server before 2.9.17); "
				   "run one that speaks newstyle");
	return failure_set(why, EXIT_PERMANENT, -err, "not an NBD server: it began with \"%.*s\"",
			   WIRE_GREETING_BYTES, (const char *)greeting);
}

int negotiate_begin(int fd, uint16_t *ret_flags, struct failure *why)
{
	uint8_t greeting[WIRE_GREETING_BYTES], answer[WIRE_CLIENT_FLAGS_BYTES];
	uint16_t flags;
	int err;

	err = receive(fd, greeting, sizeof(greeting), "waiting for an NBD greeting", why);
	if (err)
		return err;
	err = wire_get_greeting(greeting, &flags);
	if (err)
		return not_nbd(err, greeting, why);
	flags &= NBD_FLAG_FIXED_NEWSTYLE | NBD_FLAG_NO_ZEROES;
	err = transmit(fd, answer, wire_put_client_flags(answer, flags), "sending flags", why);
	if (err)
		return err;
	*ret_flags = flags;
	return 0;
}

int negotiate_send(int fd, uint32_t option, const void *data, uint32_t length, struct failure *why)
{
	uint8_t header[WIRE_OPTION_BYTES];
	struct wire_option message = {.option = option, .length = length};
	const char *name = nbd_option_name(option);
	int err;

	err = transmit(fd, header, wire_put_option(header, &message), name, why);
	return err ? err : transmit(fd, data, length, name, why);
}

int negotiate_receive(int fd, uint32_t option, struct negotiate_reply *ret, struct failure *why)
{
	uint8_t header[WIRE_OPTION_REPLY_BYTES];
	struct wire_option_reply reply;
	const char *name = nbd_option_name(option);
	int err;

	err = receive(fd, header, sizeof(header), name, why);
	if (err)
		return err;
	err = wire_get_option_reply(header, &reply);
	if (err)
		return failure_set(why, EXIT_PERMANENT, -err,
				   "the answer to %s has a wrong magic number", name);
	if (reply.option != option)
		return failure_set(why, EXIT_PERMANENT, EPROTO, "the answer to %s is for option %u",
				   name, reply.option);
	if (reply.length > sizeof(ret->data))
		return failure_set(why, EXIT_PERMANENT, EMSGSIZE,
				   "the answer to %s claims %u bytes, more than %zu", name,
				   reply.length, sizeof(ret->data));
	err = receive(fd, ret->data, reply.length, name, why);
	if (err)
		return err;
	ret->type = reply.type;
	ret->length = reply.length;
	return 0;
}

static const struct refusal {
	uint32_t type;
	int exit_code;
	int error;
	const char *text;
} refusals[] = {
	{NBD_REP_ERR_UNSUP, EXIT_PERMANENT, EOPNOTSUPP, "the server does not know this request"},
	{NBD_REP_ERR_POLICY, EXIT_PERMANENT, EACCES, "refused by the server's configuration"},
	{NBD_REP_ERR_INVALID, EXIT_PERMANENT, EINVAL, "the server calls the request invalid"},
	{NBD_REP_ERR_PLATFORM, EXIT_PERMANENT, ENOSYS, "not possible on the server's platform"},
	{NBD_REP_ERR_TLS_REQD, EXIT_PERMANENT, EPROTONOSUPPORT,
	 "the server wants TLS, which is not supported; export it without"},
	{NBD_REP_ERR_UNKNOWN, EXIT_PERMANENT, ENOENT, "the server has no such export"},
	{NBD_REP_ERR_SHUTDOWN, EXIT_TEMPORARY, ESHUTDOWN, "the server is shutting down"},
	{NBD_REP_ERR_BLOCK_SIZE_REQD, EXIT_PERMANENT, EPROTO,
	 "the server says that block sizes were not asked for, but they were"},
	{NBD_REP_ERR_TOO_BIG, EXIT_PERMANENT, EMSGSIZE, "the request is too large for the server"},
	{NBD_REP_ERR_EXT_HEADER_REQD, EXIT_PERMANENT, EPROTONOSUPPORT,
	 "the server wants extended headers, which the kernel does not have"},
};

int negotiate_refused(const struct negotiate_reply *reply, const char *what, struct failure *why)
{
	static const struct refusal other = {0, EXIT_PERMANENT, EPROTO,
					     "refused with an unknown error"};
	const struct refusal *refusal = &other;
	int said = (int)reply->length;

	for (size_t i = 0; i < sizeof(refusals) / sizeof(*refusals); i++) {
		if (refusals[i].type == reply->type)
			refusal = &refusals[i];
	}
	if (said == 0)
		return failure_set(why, refusal->exit_code, refusal->error, "%s: %s (%s)", what,
				   refusal->text, nbd_reply_name(reply->type));
	return failure_set(why, refusal->exit_code, refusal->error, "%s: %s (%s; it said \"%.*s\")",
			   what, refusal->text, nbd_reply_name(reply->type), said,
			   (const char *)reply->data);
}

static int bad_reply(const struct negotiate_reply *reply, struct failure *why)
{
	return failure_set(why, EXIT_PERMANENT, EPROTO,
			   "an answer to NBD_OPT_GO is malformed: %s with %u bytes",
			   nbd_reply_name(reply->type), reply->length);
}

/* What may stand around the word and its value: a description is written for people. */
static const char separators[] = " \t,;:=()\"";

/* The value after the word "generation" in a description, cut to its buffer; "" without one. */
static void find_generation(struct wire_string description, char ret[EXPORT_GENERATION_BYTES])
{
	static const char word[] = "generation";
	char text[NBD_MAX_STRING + 1], *rest, *token;
	bool is_next = false;

	*ret = '\0';
	memcpy(text, description.bytes, description.length);
	text[description.length] = '\0';
	for (token = strtok_r(text, separators, &rest); token;
	     token = strtok_r(NULL, separators, &rest)) {
		if (is_next) {
			snprintf(ret, EXPORT_GENERATION_BYTES, "%s", token);
			return;
		}
		is_next = !strcmp(token, word);
	}
}

/* One NBD_REP_INFO; kinds that were not asked for are skipped. */
static int take_info(const struct negotiate_reply *reply, struct export_info *export,
		     bool *has_export, struct failure *why)
{
	struct wire_block_size block;
	struct wire_export sizes;
	struct wire_string description;
	uint16_t type;

	if (wire_get_info_type(reply->data, reply->length, &type))
		return bad_reply(reply, why);
	switch (type) {
	case NBD_INFO_EXPORT:
		if (wire_get_info_export(reply->data, reply->length, &sizes))
			return bad_reply(reply, why);
		export->size_bytes = sizes.size_bytes;
		export->flags = sizes.flags;
		*has_export = true;
		return 0;
	case NBD_INFO_BLOCK_SIZE:
		if (wire_get_info_block_size(reply->data, reply->length, &block))
			return bad_reply(reply, why);
		export->minimum_block_bytes = block.minimum_bytes;
		export->maximum_block_bytes = block.maximum_bytes;
		return 0;
	case NBD_INFO_DESCRIPTION:
		if (wire_get_info_string(reply->data, reply->length, &description))
			return bad_reply(reply, why);
		find_generation(description, export->generation);
		return 0;
	default:
		return 0;
	}
}

static int send_go(int fd, struct wire_string name, struct failure *why)
{
	struct wire_go go = {
		.name = name,
		.info_count = 2,
		.infos = {NBD_INFO_BLOCK_SIZE, NBD_INFO_DESCRIPTION},
	};
	uint8_t data[WIRE_GO_MAX_BYTES];

	return negotiate_send(fd, NBD_OPT_GO, data, (uint32_t)wire_put_go(data, &go), why);
}

/* -EOPNOTSUPP, and the connection is still good, when the server has no NBD_OPT_GO. */
static int go(int fd, struct wire_string name, const char *what, struct export_info *export,
	      struct failure *why)
{
	struct negotiate_reply reply;
	bool has_export = false;
	int err = send_go(fd, name, why);

	for (int i = 0; !err && i < INFO_REPLIES_MAX; i++) {
		err = negotiate_receive(fd, NBD_OPT_GO, &reply, why);
		if (err)
			return err;
		if (reply.type & NBD_REP_ERROR(0))
			return negotiate_refused(&reply, what, why);
		if (reply.type == NBD_REP_ACK && has_export)
			return 0;
		if (reply.type != NBD_REP_INFO)
			return bad_reply(&reply, why);
		err = take_info(&reply, export, &has_export, why);
	}
	return err ? err
		   : failure_set(why, EXIT_PERMANENT, EPROTO, "more than %d answers to NBD_OPT_GO",
				 INFO_REPLIES_MAX);
}

/* The request of 2007: the server answers with size and flags, or closes the connection. */
static int by_export_name(int fd, struct wire_string name, bool no_zeroes, const char *what,
			  struct export_info *export, struct failure *why)
{
	uint8_t answer[WIRE_EXPORT_NAME_BYTES + NBD_EXPORT_NAME_ZEROES];
	size_t length = no_zeroes ? WIRE_EXPORT_NAME_BYTES : sizeof(answer);
	struct wire_export sizes;
	int err;

	err = negotiate_send(fd, NBD_OPT_EXPORT_NAME, name.bytes, name.length, why);
	if (err)
		return err;
	err = hear(fd, answer, length);
	if (err == -ECONNRESET)
		return failure_set(why, EXIT_PERMANENT, ENOENT,
				   "%s: refused: the server closed the connection without a reason",
				   what);
	if (err)
		return handshake_failed(-err, nbd_option_name(NBD_OPT_EXPORT_NAME), why);
	wire_get_export_name(answer, &sizes);
	export->size_bytes = sizes.size_bytes;
	export->flags = sizes.flags;
	return 0;
}

int negotiate_export(int fd, const char *name, bool no_opt_go, struct export_info *ret,
		     struct failure *why)
{
	struct wire_string string = {.bytes = name, .length = (uint32_t)strlen(name)};
	struct export_info export = {.minimum_block_bytes = 1};
	char what[QUOTED_NAME_CHARS + 16];
	uint16_t flags;
	int err;

	snprintf(what, sizeof(what), "export \"%.*s\"", QUOTED_NAME_CHARS, name);
	err = negotiate_begin(fd, &flags, why);
	if (err)
		return err;
	err = -EOPNOTSUPP;
	if ((flags & NBD_FLAG_FIXED_NEWSTYLE) && !no_opt_go)
		err = go(fd, string, what, &export, why);
	if (err == -EOPNOTSUPP)
		err = by_export_name(fd, string, flags & NBD_FLAG_NO_ZEROES, what, &export, why);
	if (err)
		return err;
	*ret = export;
	return 0;
}
