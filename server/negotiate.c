// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The newstyle handshake, server side ("Handshake phase" of the specification).
 * Bytes of a client enter, answers and at last an export leave. One function per
 * option. INFO and GO are one function, so that they tell the same. An oldstyle handshake
 * is an EXPORT_NAME that the client did not have to send.
 */
#include "server/negotiate.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "common/nbd-proto.h"

/* Larger payloads work too, as they are streamed; this is what a client may rely on. */
enum { MAX_PAYLOAD_BYTES = 64 << 20, PREFERRED_BYTES = 4096 };

static uint8_t *out_end(struct negotiation *n)
{
	return n->out + n->out_have;
}

static size_t out_room(const struct negotiation *n)
{
	return sizeof(n->out) - n->out_have;
}

static void put_reply(struct negotiation *n, uint32_t type, uint32_t length)
{
	struct wire_option_reply reply = {n->option.option, type, length};

	n->out_have += wire_put_option_reply(out_end(n), &reply);
}

/* An error with a sentence for the person who reads the client's log. */
static void put_error(struct negotiation *n, uint32_t type, const char *text)
{
	size_t length = strlen(text);

	put_reply(n, type, (uint32_t)length);
	memcpy(out_end(n), text, length);
	n->out_have += length;
}

static void await_option(struct negotiation *n)
{
	n->state = NEGOTIATE_OPTION;
	n->in_have = 0;
	n->in_want = WIRE_OPTION_BYTES;
}

static int fail(struct negotiation *n, int error, const char *why)
{
	n->why = why;
	return error;
}

uint16_t negotiate_flags(const struct negotiation *n, const struct export *export)
{
	return export->flags | (n->structured ? NBD_FLAG_SEND_DF : 0);
}

static void keep_name(struct negotiation *n, struct wire_string name)
{
	snprintf(n->name, sizeof(n->name), "%.*s", (int)name.length, name.bytes);
}

/* The export of this name and who the client says to be; NULL: there is none. */
static struct export *resolve(const struct negotiation *n, struct wire_string name,
			      struct wire_string *ret_identity)
{
	const char *identity;
	struct export *export = export_resolve(n->exports, name.bytes, name.length, &identity);

	*ret_identity = (struct wire_string){0};
	if (export && !allow_peer(export->set.allow, n->peer))
		return NULL;
	if (export && identity)
		*ret_identity = (struct wire_string){
			identity, (uint32_t)(name.length - (size_t)(identity - name.bytes))};
	return export;
}

static bool is_string(struct wire_string string, const char *text)
{
	return string.length == strlen(text) && !memcmp(string.bytes, text, string.length);
}

/* Finds the export; what is served to its client is decided in NEGOTIATE_CLAIM. */
static bool name_export(struct negotiation *n, struct wire_string name)
{
	keep_name(n, name);
	n->export = resolve(n, name, &n->identity);
	if (!n->export)
		return false;
	n->has_allocation = n->export == n->context_export &&
			    (!n->identity.length || is_string(n->identity, n->context_identity));
	n->state = NEGOTIATE_CLAIM;
	return true;
}

static int opt_export_name(struct negotiation *n)
{
	struct wire_string name = {(const char *)n->in, n->option.length};

	if (wire_check_string(name.bytes, name.length) < 0)
		return fail(n, -EPROTO, "export name with a NUL");
	if (!name_export(n, name))
		return fail(n, -ENOENT, "export not found");
	return 0;
}

static void put_export_name(struct negotiation *n)
{
	struct wire_export answer = {n->export->size_bytes, negotiate_flags(n, n->export)};

	n->out_have += wire_put_export_name(out_end(n), &answer);
	if (!n->no_zeroes) {
		memset(out_end(n), 0, NBD_EXPORT_NAME_ZEROES);
		n->out_have += NBD_EXPORT_NAME_ZEROES;
	}
}

static void put_oldstyle(struct negotiation *n)
{
	struct wire_export answer = {n->export->size_bytes, negotiate_flags(n, n->export)};

	n->out_have += wire_put_oldstyle(out_end(n), &answer);
}

static int opt_abort(struct negotiation *n)
{
	put_reply(n, NBD_REP_ACK, 0);
	n->state = NEGOTIATE_ABORTED;
	return 0;
}

static int opt_list(struct negotiation *n)
{
	if (n->option.length) {
		put_error(n, NBD_REP_ERR_INVALID, "LIST takes no data");
		return 0;
	}
	if (!n->exports->allow_list) {
		put_error(n, NBD_REP_ERR_POLICY,
			  "this server does not list its exports "
			  "(allowlist = true would)");
		return 0;
	}
	n->list_next = 0;
	n->state = NEGOTIATE_LIST;
	return 0;
}

/* As many answers as there is room for. */
static void put_list(struct negotiation *n)
{
	for (; n->list_next < n->exports->count; n->list_next++) {
		const struct export *export = n->exports->list[n->list_next];
		struct wire_string string = {export->set.name, (uint32_t)strlen(export->set.name)};

		if (export->any_identity || !allow_peer(export->set.allow, n->peer))
			continue; /* who has an identity has to know it */
		if (out_room(n) < WIRE_OPTION_REPLY_BYTES + 4 + string.length)
			return;
		put_reply(n, NBD_REP_SERVER, 4 + string.length);
		n->out_have += wire_put_server(out_end(n), string);
	}
	if (out_room(n) < WIRE_OPTION_REPLY_BYTES)
		return;
	put_reply(n, NBD_REP_ACK, 0);
	await_option(n);
}

static void put_info_string(struct negotiation *n, uint16_t type, struct wire_string string)
{
	put_reply(n, NBD_REP_INFO, 2 + string.length);
	n->out_have += wire_put_info_string(out_end(n), type, string);
}

/* The generation is for the client, which can refuse another one when it comes back. */
static void put_info_description(struct negotiation *n, const struct export *export)
{
	const char *own = export->set.description ?: "", *generation = export->generation;
	char text[DESCRIPTION_MAX_BYTES + GENERATION_BYTES + sizeof("; generation ")];
	int length = snprintf(text, sizeof(text), "%s%s%s%s", own, *own && *generation ? "; " : "",
			      *generation ? "generation " : "", generation);

	if (length)
		put_info_string(n, NBD_INFO_DESCRIPTION,
				(struct wire_string){text, (uint32_t)length});
}

static void put_info_block_size(struct negotiation *n)
{
	struct wire_block_size size = {1, PREFERRED_BYTES, MAX_PAYLOAD_BYTES};

	put_reply(n, NBD_REP_INFO, WIRE_INFO_BLOCK_SIZE_BYTES);
	n->out_have += wire_put_info_block_size(out_end(n), &size);
}

static bool asks_for(const struct wire_go *go, uint16_t info)
{
	for (unsigned int i = 0; i < go->info_count; i++) {
		if (go->infos[i] == info)
			return true;
	}
	return false;
}

static void put_infos(struct negotiation *n, const struct wire_go *go, const struct export *export)
{
	struct wire_export answer = {export->size_bytes, negotiate_flags(n, export)};

	put_reply(n, NBD_REP_INFO, WIRE_INFO_EXPORT_BYTES);
	n->out_have += wire_put_info_export(out_end(n), &answer);
	if (asks_for(go, NBD_INFO_NAME))
		put_info_string(n, NBD_INFO_NAME, go->name);
	if (asks_for(go, NBD_INFO_DESCRIPTION))
		put_info_description(n, export);
	if (asks_for(go, NBD_INFO_BLOCK_SIZE))
		put_info_block_size(n);
	put_reply(n, NBD_REP_ACK, 0);
}

static int opt_go(struct negotiation *n)
{
	struct wire_go go;

	if (wire_get_go(n->in, n->option.length, &go) < 0)
		put_error(n, NBD_REP_ERR_INVALID, "lengths do not add up, or a NUL in the name");
	else if (!name_export(n, go.name))
		put_error(n, NBD_REP_ERR_UNKNOWN, "no export of this name for your address");
	return 0;
}

void negotiate_grant(struct negotiation *n)
{
	struct wire_go go;

	if (n->is_oldstyle) {
		put_oldstyle(n);
	} else if (n->option.option == NBD_OPT_EXPORT_NAME) {
		put_export_name(n);
	} else {
		wire_get_go(n->in, n->option.length, &go); /* opt_go() has checked it */
		put_infos(n, &go, n->export);
	}
	if (n->option.option == NBD_OPT_INFO)
		await_option(n);
	else
		n->state = NEGOTIATE_READY;
}

int negotiate_refuse(struct negotiation *n, uint32_t reply, const char *text)
{
	snprintf(n->refusal, sizeof(n->refusal), "%s", text);
	if (n->option.option == NBD_OPT_EXPORT_NAME)
		return fail(n, -EACCES, n->refusal);
	put_error(n, reply, n->refusal);
	await_option(n);
	return 0;
}

static int opt_structured_reply(struct negotiation *n)
{
	if (n->option.length) {
		put_error(n, NBD_REP_ERR_INVALID, "STRUCTURED_REPLY takes no data");
		return 0;
	}
	n->structured = true;
	put_reply(n, NBD_REP_ACK, 0);
	return 0;
}

/* NBD_OPT_LIST_META_CONTEXT takes the beginning of a name, and no query for all of them. */
static bool asks_for_allocation(const struct wire_meta *meta, bool is_list)
{
	const uint8_t *queries = meta->queries;

	for (uint32_t i = 0; i < meta->query_count; i++) {
		struct wire_string query = wire_next_query(&queries);

		if (is_string(query, NBD_CONTEXT_BASE_ALLOCATION) ||
		    (is_list && is_string(query, "base:")))
			return true;
	}
	return is_list && !meta->query_count;
}

static void put_allocation(struct negotiation *n, uint32_t id)
{
	struct wire_string name = {NBD_CONTEXT_BASE_ALLOCATION,
				   sizeof(NBD_CONTEXT_BASE_ALLOCATION) - 1};

	put_reply(n, NBD_REP_META_CONTEXT, WIRE_CONTEXT_ID_BYTES + name.length);
	n->out_have += wire_put_context(out_end(n), id, name);
}

static void set_allocation(struct negotiation *n, struct export *export,
			   struct wire_string identity)
{
	if (identity.length >= sizeof(n->context_identity))
		return; /* of nobody: GO will refuse it */
	n->context_export = export;
	snprintf(n->context_identity, sizeof(n->context_identity), "%.*s", (int)identity.length,
		 identity.bytes ?: "");
	put_allocation(n, CONTEXT_ID_ALLOCATION);
}

static int opt_meta_context(struct negotiation *n)
{
	bool is_list = n->option.option == NBD_OPT_LIST_META_CONTEXT;
	struct wire_string identity;
	struct wire_meta meta;
	struct export *export;

	if (!is_list)
		n->context_export = NULL;
	if (!n->structured) {
		put_error(n, NBD_REP_ERR_INVALID, "contexts need STRUCTURED_REPLY first");
		return 0;
	}
	if (wire_get_meta(n->in, n->option.length, &meta) < 0) {
		put_error(n, NBD_REP_ERR_INVALID, "lengths do not add up, or a NUL in a string");
		return 0;
	}
	export = resolve(n, meta.name, &identity);
	if (!export) {
		put_error(n, NBD_REP_ERR_UNKNOWN, "no export of this name for your address");
		return 0;
	}
	if (asks_for_allocation(&meta, is_list)) {
		if (is_list)
			put_allocation(n, 0);
		else
			set_allocation(n, export, identity);
	}
	put_reply(n, NBD_REP_ACK, 0);
	return 0;
}

static const struct option_rule {
	uint32_t option;
	uint32_t max_bytes; /* of its data that we look at; more is skipped and refused */
	int (*take)(struct negotiation *n);
} rules[] = {
	{NBD_OPT_EXPORT_NAME, NBD_MAX_STRING, opt_export_name},
	{NBD_OPT_ABORT, OPTION_MAX_BYTES, opt_abort},
	{NBD_OPT_LIST, OPTION_MAX_BYTES, opt_list},
	{NBD_OPT_INFO, WIRE_GO_MAX_BYTES, opt_go},
	{NBD_OPT_GO, WIRE_GO_MAX_BYTES, opt_go},
	{NBD_OPT_STRUCTURED_REPLY, OPTION_MAX_BYTES, opt_structured_reply},
	{NBD_OPT_LIST_META_CONTEXT, NEGOTIATE_IN_BYTES, opt_meta_context},
	{NBD_OPT_SET_META_CONTEXT, NEGOTIATE_IN_BYTES, opt_meta_context},
};

static const struct option_rule *find_rule(uint32_t option)
{
	for (size_t i = 0; i < sizeof(rules) / sizeof(rules[0]); i++) {
		if (rules[i].option == option)
			return &rules[i];
	}
	return NULL;
}

/* Answers the option whose data is in n->in, or was skipped. */
static int answer_option(struct negotiation *n)
{
	const struct option_rule *rule = find_rule(n->option.option);

	await_option(n);
	if (!rule) {
		put_error(n, NBD_REP_ERR_UNSUP, "this server does not have this option");
		return 0;
	}
	if (n->option.length <= rule->max_bytes)
		return rule->take(n);
	if (n->option.option == NBD_OPT_EXPORT_NAME)
		return fail(n, -EMSGSIZE, "export name longer than 4096 bytes");
	put_error(n, NBD_REP_ERR_TOO_BIG, "option data is too long");
	return 0;
}

static int take_client_flags(struct negotiation *n)
{
	uint32_t flags = wire_get_client_flags(n->in);

	if (flags & ~(uint32_t)(NBD_FLAG_FIXED_NEWSTYLE | NBD_FLAG_NO_ZEROES))
		return fail(n, -EPROTO, "unknown handshake flags");
	n->no_zeroes = flags & NBD_FLAG_NO_ZEROES;
	await_option(n);
	return 0;
}

static int take_option(struct negotiation *n)
{
	if (wire_get_option(n->in, &n->option) < 0)
		return fail(n, -EPROTO, "not an NBD option");
	if (n->option.length > OPTION_MAX_BYTES)
		return fail(n, -EMSGSIZE, "option data longer than 64 KiB");
	n->in_have = 0;
	n->in_want = n->option.length;
	n->skip_bytes = n->option.length;
	n->state = n->in_want <= sizeof(n->in) ? NEGOTIATE_DATA : NEGOTIATE_SKIP;
	return n->option.length ? 0 : answer_option(n);
}

/* n->in holds all of what the state waits for. */
static int advance(struct negotiation *n)
{
	switch (n->state) {
	case NEGOTIATE_CLIENT_FLAGS:
		return take_client_flags(n);
	case NEGOTIATE_OPTION:
		return take_option(n);
	default:
		return answer_option(n);
	}
}

static size_t least(size_t a, size_t b)
{
	return a < b ? a : b;
}

static size_t skip(struct negotiation *n, size_t length, int *error)
{
	size_t taken = least(length, n->skip_bytes);

	n->skip_bytes -= (uint32_t)taken;
	if (!n->skip_bytes)
		*error = answer_option(n);
	return taken;
}

static size_t collect(struct negotiation *n, const uint8_t *data, size_t length, int *error)
{
	size_t taken = least(length, n->in_want - n->in_have);

	memcpy(n->in + n->in_have, data, taken);
	n->in_have += taken;
	if (n->in_have == n->in_want)
		*error = advance(n);
	return taken;
}

ssize_t negotiate_feed(struct negotiation *n, const uint8_t *data, size_t length)
{
	size_t taken = 0;
	int error = 0;

	while (taken < length && !n->out_have && n->state < NEGOTIATE_LIST) {
		if (n->state == NEGOTIATE_SKIP)
			taken += skip(n, length - taken, &error);
		else
			taken += collect(n, data + taken, length - taken, &error);
		if (error)
			return error;
		if (n->state == NEGOTIATE_LIST)
			put_list(n);
	}
	return (ssize_t)taken;
}

void negotiate_sent(struct negotiation *n)
{
	n->out_have = 0;
	n->out_sent = 0;
	if (n->state == NEGOTIATE_LIST)
		put_list(n);
}

static void begin(struct negotiation *n, const struct export_table *exports, const char *peer)
{
	/* in and out are left as they are: a page that is not touched costs nothing. */
	memset(n, 0, offsetof(struct negotiation, in));
	n->exports = exports;
	n->peer = peer;
}

int negotiate_start_oldstyle(struct negotiation *n, const struct export_table *exports,
			     const char *peer, const char *name)
{
	begin(n, exports, peer);
	n->is_oldstyle = true;
	n->option.option = NBD_OPT_EXPORT_NAME;
	if (!name_export(n, (struct wire_string){name, (uint32_t)strlen(name)}))
		return fail(n, -ENOENT, "export not found");
	return 0;
}

void negotiate_start(struct negotiation *n, const struct export_table *exports, const char *peer)
{
	begin(n, exports, peer);
	n->in_want = WIRE_CLIENT_FLAGS_BYTES;
	n->out_have = wire_put_greeting(n->out, NBD_FLAG_FIXED_NEWSTYLE | NBD_FLAG_NO_ZEROES);
}
