// SPDX-License-Identifier: GPL-2.0-or-later
/* The handshake as bytes in and bytes out, friendly and hostile. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "common/nbd-proto.h"
#include "server/negotiate.h"

enum { BOTH_FLAGS = NBD_FLAG_FIXED_NEWSTYLE | NBD_FLAG_NO_ZEROES };

static struct export root = {
	.set = {.name = (char *)"root", .description = (char *)"the root"},
	.size_bytes = UINT64_C(5) << 30,
	.flags = NBD_FLAG_HAS_FLAGS | NBD_FLAG_SEND_FLUSH,
};
static struct export swap = {
	.set = {.name = (char *)"swap/52:54:00:12:34:56", .max_connections = 1},
	.size_bytes = 1000003,
	.flags = NBD_FLAG_HAS_FLAGS | NBD_FLAG_READ_ONLY,
};
static struct export any = {
	.set = {.name = (char *)"any/*"},
	.any_identity = true,
	.size_bytes = 1 << 20,
};
static struct export root2 = {.set = {.name = (char *)"any/root"}, .size_bytes = 1 << 20};
static struct export *exports[] = {&root, &swap, &root2, &any};
static struct export_table table = {exports, 4, true};

/* What a client sends, and what it got. */
static uint8_t sent[300 << 10], got[300 << 10];
static size_t sent_bytes, got_bytes, got_taken;
static struct negotiation n;

static void start(uint32_t client_flags)
{
	uint16_t flags;

	sent_bytes = got_bytes = got_taken = 0;
	negotiate_start(&n, &table, "192.0.2.1:4321");
	assert_int_equal(n.out_have, WIRE_GREETING_BYTES);
	assert_int_equal(wire_get_greeting(n.out, &flags), 0);
	assert_int_equal(flags, BOTH_FLAGS);
	negotiate_sent(&n);
	sent_bytes += wire_put_client_flags(sent, client_flags);
}

static void put_option(uint32_t option, const void *data, uint32_t length)
{
	struct wire_option header = {option, length};

	sent_bytes += wire_put_option(sent + sent_bytes, &header);
	memcpy(sent + sent_bytes, data, length);
	sent_bytes += length;
}

static void put_go(uint32_t option, const char *name, uint16_t info_count, const uint16_t *infos)
{
	struct wire_go go = {{name, (uint32_t)strlen(name)}, info_count, {0}};
	uint8_t data[WIRE_GO_MAX_BYTES];

	for (uint16_t i = 0; i < info_count; i++)
		go.infos[i] = infos[i];
	put_option(option, data, (uint32_t)wire_put_go(data, &go));
}

static void collect(void)
{
	while (n.out_have) {
		memcpy(got + got_bytes, n.out, n.out_have);
		got_bytes += n.out_have;
		negotiate_sent(&n);
	}
}

/* Feeds what was put, bite bytes at a time, as a socket would. 0, or the error. */
static int run(size_t bite)
{
	for (size_t at = 0; at < sent_bytes;) {
		size_t length = bite < sent_bytes - at ? bite : sent_bytes - at;
		ssize_t taken = negotiate_feed(&n, sent + at, length);

		if (taken < 0)
			return (int)taken;
		at += (size_t)taken;
		if (n.state == NEGOTIATE_CLAIM)
			negotiate_grant(&n);
		collect();
		if (n.state >= NEGOTIATE_READY)
			break;
	}
	return 0;
}

static const uint8_t *expect_reply(uint32_t option, uint32_t type, uint32_t *ret_length)
{
	struct wire_option_reply reply;
	const uint8_t *data = got + got_taken + WIRE_OPTION_REPLY_BYTES;

	assert_true(got_taken + WIRE_OPTION_REPLY_BYTES <= got_bytes);
	assert_int_equal(wire_get_option_reply(got + got_taken, &reply), 0);
	assert_int_equal(reply.option, option);
	assert_int_equal(reply.type, type);
	got_taken += WIRE_OPTION_REPLY_BYTES + reply.length;
	assert_true(got_taken <= got_bytes);
	if (ret_length)
		*ret_length = reply.length;
	return data;
}

static void expect_ack(uint32_t option)
{
	uint32_t length;

	expect_reply(option, NBD_REP_ACK, &length);
	assert_int_equal(length, 0);
}

static void expect_export(uint32_t option, uint64_t size_bytes, uint16_t flags)
{
	struct wire_export answer;
	uint32_t length;
	const uint8_t *data = expect_reply(option, NBD_REP_INFO, &length);

	assert_int_equal(wire_get_info_export(data, length, &answer), 0);
	assert_int_equal(answer.size_bytes, size_bytes);
	assert_int_equal(answer.flags, flags);
}

static void expect_end(void)
{
	assert_int_equal(got_taken, got_bytes);
}

static void go_chooses_an_export(void **state)
{
	(void)state;
	for (size_t bite = 1; bite < 300; bite++) {
		start(BOTH_FLAGS);
		put_option(NBD_OPT_STRUCTURED_REPLY, "", 0);
		put_go(NBD_OPT_GO, "root", 0, NULL);
		assert_int_equal(run(bite), 0);
		expect_ack(NBD_OPT_STRUCTURED_REPLY);
		expect_export(NBD_OPT_GO, root.size_bytes, root.flags | NBD_FLAG_SEND_DF);
		expect_ack(NBD_OPT_GO);
		expect_end();
		assert_int_equal(n.state, NEGOTIATE_READY);
		assert_ptr_equal(n.export, &root);
		assert_true(n.structured);
	}
}

static void info_and_go_tell_the_same(void **state)
{
	static const uint16_t infos[] = {NBD_INFO_DESCRIPTION, NBD_INFO_BLOCK_SIZE, NBD_INFO_NAME,
					 NBD_INFO_EXPORT, 999};
	size_t info_bytes;

	(void)state;
	start(BOTH_FLAGS);
	put_go(NBD_OPT_INFO, "root", 5, infos);
	put_go(NBD_OPT_GO, "root", 5, infos);
	assert_int_equal(run(sizeof(sent)), 0);
	info_bytes = got_bytes / 2;
	assert_int_equal(got_bytes, 2 * info_bytes);
	for (size_t i = 0; i < info_bytes; i++) {
		/* They differ in the number of the option that each reply names. */
		if (got[i] != got[info_bytes + i])
			assert_true(got[i] == NBD_OPT_INFO && got[info_bytes + i] == NBD_OPT_GO);
	}
}

static void asked_infos_are_given(void **state)
{
	static const uint16_t infos[] = {NBD_INFO_NAME, NBD_INFO_DESCRIPTION, NBD_INFO_BLOCK_SIZE};
	struct wire_block_size size;
	struct wire_string string;
	const uint8_t *data;
	uint32_t length;

	(void)state;
	start(BOTH_FLAGS);
	put_go(NBD_OPT_INFO, "root", 3, infos);
	assert_int_equal(run(sizeof(sent)), 0);
	expect_export(NBD_OPT_INFO, root.size_bytes, root.flags);
	data = expect_reply(NBD_OPT_INFO, NBD_REP_INFO, &length);
	assert_int_equal(wire_get_info_string(data, length, &string), 0);
	assert_memory_equal(string.bytes, "root", string.length);
	data = expect_reply(NBD_OPT_INFO, NBD_REP_INFO, &length);
	assert_int_equal(wire_get_info_string(data, length, &string), 0);
	assert_memory_equal(string.bytes, "the root", string.length);
	data = expect_reply(NBD_OPT_INFO, NBD_REP_INFO, &length);
	assert_int_equal(wire_get_info_block_size(data, length, &size), 0);
	assert_int_equal(size.minimum_bytes, 1);
	assert_int_equal(size.preferred_bytes, 4096);
	assert_true(size.maximum_bytes >= 32 << 20);
	expect_ack(NBD_OPT_INFO);
	expect_end();
	assert_int_equal(n.state, NEGOTIATE_OPTION);
}

static void export_name_ends_with_zeroes(void **state)
{
	static const uint8_t zeroes[NBD_EXPORT_NAME_ZEROES];
	struct wire_export answer;

	(void)state;
	start(0); /* as busybox does */
	put_option(NBD_OPT_EXPORT_NAME, "root", 4);
	assert_int_equal(run(1), 0);
	assert_int_equal(got_bytes, WIRE_EXPORT_NAME_BYTES + NBD_EXPORT_NAME_ZEROES);
	wire_get_export_name(got, &answer);
	assert_int_equal(answer.size_bytes, root.size_bytes);
	assert_int_equal(answer.flags, root.flags);
	assert_memory_equal(got + WIRE_EXPORT_NAME_BYTES, zeroes, sizeof(zeroes));
	assert_int_equal(n.state, NEGOTIATE_READY);

	start(BOTH_FLAGS);
	put_option(NBD_OPT_EXPORT_NAME, "root", 4);
	assert_int_equal(run(1), 0);
	assert_int_equal(got_bytes, WIRE_EXPORT_NAME_BYTES);
}

static void export_name_cannot_answer_errors(void **state)
{
	static char name[5000];

	(void)state;
	start(0);
	put_option(NBD_OPT_EXPORT_NAME, "nobody", 6);
	assert_int_equal(run(7), -ENOENT);
	start(0);
	put_option(NBD_OPT_EXPORT_NAME, "ro\0t", 4);
	assert_int_equal(run(7), -EPROTO);
	memset(name, 'a', sizeof(name));
	start(0);
	put_option(NBD_OPT_EXPORT_NAME, name, 4097);
	assert_int_equal(run(7), -EMSGSIZE);
	start(0);
	put_option(NBD_OPT_EXPORT_NAME, name, sizeof(name));
	assert_int_equal(run(7), -EMSGSIZE);
	start(0);
	put_option(NBD_OPT_EXPORT_NAME, name, 4096);
	assert_int_equal(run(7), -ENOENT);
	assert_int_equal(got_bytes, 0);
}

static void list_names_all(void **state)
{
	(void)state;
	start(BOTH_FLAGS);
	put_option(NBD_OPT_LIST, "", 0);
	put_option(NBD_OPT_LIST, "x", 1);
	put_option(NBD_OPT_LIST, "", 0);
	assert_int_equal(run(3), 0);
	for (int round = 0; round < 2; round++) {
		for (int i = 0; i < 3; i++) { /* any/"*" is not for everybody to see */
			struct wire_string name;
			uint32_t length;
			const uint8_t *data = expect_reply(NBD_OPT_LIST, NBD_REP_SERVER, &length);

			assert_int_equal(wire_get_server(data, length, &name), 0);
			assert_int_equal(name.length, strlen(exports[i]->set.name));
			assert_memory_equal(name.bytes, exports[i]->set.name, name.length);
		}
		expect_ack(NBD_OPT_LIST);
		if (round == 0)
			expect_reply(NBD_OPT_LIST, NBD_REP_ERR_INVALID, NULL);
	}
	expect_end();
}

static void a_long_list_comes_in_parts(void **state)
{
	enum { COUNT = 60 };
	static char names[COUNT][4097];
	static struct export many[COUNT];
	struct export *list[COUNT];
	struct export_table saved = table;

	(void)state;
	for (int i = 0; i < COUNT; i++) {
		memset(names[i], 'a' + i % 26, 4096 - i);
		many[i].set.name = names[i];
		list[i] = &many[i];
	}
	table = (struct export_table){list, COUNT, true};
	start(BOTH_FLAGS);
	put_option(NBD_OPT_LIST, "", 0);
	assert_int_equal(run(99), 0);
	for (int i = 0; i < COUNT; i++)
		expect_reply(NBD_OPT_LIST, NBD_REP_SERVER, NULL);
	expect_ack(NBD_OPT_LIST);
	expect_end();
	assert_int_equal(n.state, NEGOTIATE_OPTION);
	table = saved;
}

static void list_can_be_forbidden(void **state)
{
	(void)state;
	table.allow_list = false;
	start(BOTH_FLAGS);
	put_option(NBD_OPT_LIST, "", 0);
	assert_int_equal(run(3), 0);
	table.allow_list = true;
	expect_reply(NBD_OPT_LIST, NBD_REP_ERR_POLICY, NULL);
	expect_end();
}

static void abort_is_acknowledged(void **state)
{
	(void)state;
	start(BOTH_FLAGS);
	put_option(NBD_OPT_ABORT, "bye", 3);
	put_option(NBD_OPT_LIST, "", 0);
	assert_int_equal(run(sizeof(sent)), 0);
	expect_ack(NBD_OPT_ABORT);
	expect_end();
	assert_int_equal(n.state, NEGOTIATE_ABORTED);
}

/* A name, how many queries, and the first of them. */
static void put_meta(uint32_t option, const char *name, uint32_t query_count, const char *query)
{
	struct wire_go go = {{name, (uint32_t)strlen(name)}, 0, {0}};
	uint8_t data[512];
	size_t length = wire_put_go(data, &go) - sizeof(uint16_t);

	length += wire_put_context_id(data + length, query_count); /* any 32-bit number */
	if (query)
		length += wire_put_server(data + length,
					  (struct wire_string){query, (uint32_t)strlen(query)});
	put_option(option, data, (uint32_t)length);
}

static void base_allocation_is_of_one_export(void **state)
{
	static const struct {
		const char *set_for, *query, *go_for;
		bool offered, has;
	} rows[] = {
		{"root", "base:allocation", "root", true, true},
		{"root", "base:allocation", "any/root", true, false},
		{"root", "base:", "root", false, false},
		{"root", "qemu:dirty-bitmap:b", "root", false, false},
		{"any/a", "base:allocation", "any/a", true, true},
		{"any/a", "base:allocation", "any/b", true, false},
		{"any/a", "base:allocation", "any/ab", true, false},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		start(BOTH_FLAGS);
		put_option(NBD_OPT_STRUCTURED_REPLY, "", 0);
		put_meta(NBD_OPT_SET_META_CONTEXT, rows[i].set_for, 1, rows[i].query);
		put_go(NBD_OPT_GO, rows[i].go_for, 0, NULL);
		assert_int_equal(run(7), 0);
		expect_ack(NBD_OPT_STRUCTURED_REPLY);
		if (rows[i].offered)
			expect_reply(NBD_OPT_SET_META_CONTEXT, NBD_REP_META_CONTEXT, NULL);
		expect_ack(NBD_OPT_SET_META_CONTEXT);
		assert_int_equal(n.has_allocation, rows[i].has);
	}
}

static void unknown_options_keep_in_step(void **state)
{
	static const uint32_t unknown[] = {0,	    NBD_OPT_PEEK_EXPORT,      NBD_OPT_STARTTLS,
					   8 << 10, NBD_OPT_EXTENDED_HEADERS, UINT32_MAX};
	static const uint32_t lengths[] = {0, 1, 4166, 4167, 65536};
	static uint8_t data[65536];

	(void)state;
	for (size_t i = 0; i < 6; i++) {
		start(BOTH_FLAGS);
		for (size_t j = 0; j < 4; j++)
			put_option(unknown[i], data, lengths[j]);
		put_option(unknown[i], data, lengths[4]);
		put_go(NBD_OPT_GO, "root", 0, NULL);
		assert_int_equal(run(1 + i * 1000), 0);
		for (size_t j = 0; j < 5; j++)
			expect_reply(unknown[i], NBD_REP_ERR_UNSUP, NULL);
		expect_export(NBD_OPT_GO, root.size_bytes, root.flags);
		expect_ack(NBD_OPT_GO);
	}
}

static void refused_go_leaves_the_choice_open(void **state)
{
	static uint8_t data[5000];

	(void)state;
	start(BOTH_FLAGS);
	put_go(NBD_OPT_GO, "nobody", 0, NULL);
	put_option(NBD_OPT_GO, "", 0);			      /* no name at all */
	put_option(NBD_OPT_GO, "\xff\xff\xff\xffroot\0", 10); /* CVE-2022-26495 */
	put_option(NBD_OPT_INFO, "\0\0\0\4ro\0t\0", 10);      /* NUL in the name */
	put_option(NBD_OPT_INFO, "\0\0\0\4root\xff\xff", 10); /* infos that are not there */
	put_option(NBD_OPT_GO, "\0\0\0\4root\0\0x", 11);      /* something behind */
	put_option(NBD_OPT_GO, data, sizeof(data));	      /* longer than any */
	put_option(NBD_OPT_STRUCTURED_REPLY, "x", 1);
	put_go(NBD_OPT_GO, "root", 0, NULL);
	assert_int_equal(run(5), 0);
	expect_reply(NBD_OPT_GO, NBD_REP_ERR_UNKNOWN, NULL);
	expect_reply(NBD_OPT_GO, NBD_REP_ERR_INVALID, NULL);
	expect_reply(NBD_OPT_GO, NBD_REP_ERR_INVALID, NULL);
	expect_reply(NBD_OPT_INFO, NBD_REP_ERR_INVALID, NULL);
	expect_reply(NBD_OPT_INFO, NBD_REP_ERR_INVALID, NULL);
	expect_reply(NBD_OPT_GO, NBD_REP_ERR_INVALID, NULL);
	expect_reply(NBD_OPT_GO, NBD_REP_ERR_TOO_BIG, NULL);
	expect_reply(NBD_OPT_STRUCTURED_REPLY, NBD_REP_ERR_INVALID, NULL);
	expect_export(NBD_OPT_GO, root.size_bytes, root.flags);
	expect_ack(NBD_OPT_GO);
	assert_false(n.structured);
}

/* Whoever decides about a claim may take its time; what the client sends meanwhile waits. */
static void a_claim_is_granted_or_refused(void **state)
{
	struct wire_option_reply reply;

	(void)state;
	for (int granted = 0; granted < 2; granted++) {
		start(BOTH_FLAGS);
		put_go(NBD_OPT_GO, "any/52:54:00:12:34:56", 0, NULL);
		put_option(NBD_OPT_LIST, "", 0);
		assert_true(negotiate_feed(&n, sent, sent_bytes) < (ssize_t)sent_bytes);
		assert_int_equal(n.state, NEGOTIATE_CLAIM);
		assert_int_equal(negotiate_feed(&n, sent, sent_bytes), 0);
		assert_int_equal(n.out_have, 0);
		assert_ptr_equal(n.export, &any);
		assert_int_equal(n.identity.length, strlen("52:54:00:12:34:56"));
		assert_memory_equal(n.identity.bytes, "52:54:00:12:34:56", n.identity.length);
		if (granted)
			negotiate_grant(&n);
		else
			assert_int_equal(negotiate_refuse(&n, NBD_REP_ERR_POLICY, "taken"), 0);
		assert_int_equal(wire_get_option_reply(n.out, &reply), 0);
		assert_int_equal(reply.type, granted ? NBD_REP_INFO : NBD_REP_ERR_POLICY);
		assert_int_equal(n.state, granted ? NEGOTIATE_READY : NEGOTIATE_OPTION);
	}
	assert_memory_equal(n.out + WIRE_OPTION_REPLY_BYTES + 2, "\0\0\0\0", 4);

	start(0);
	put_option(NBD_OPT_EXPORT_NAME, "any/x", 5);
	negotiate_feed(&n, sent, sent_bytes);
	assert_int_equal(n.state, NEGOTIATE_CLAIM);
	assert_int_equal(negotiate_refuse(&n, NBD_REP_ERR_POLICY, "taken"), -EACCES);
	assert_int_equal(n.out_have, 0);
	assert_string_equal(n.why, "taken");
}

static void identities_choose_their_section(void **state)
{
	static const struct {
		const char *name;
		const struct export *export;
		const char *identity;
	} names[] = {
		{"any/x", &any, "x"},	    {"any/x/y", &any, "x/y"}, {"any/", &any, ""},
		{"any/*", &any, "*"},	    {"any", NULL, NULL},      {"an/x", NULL, NULL},
		{"any/root", &root2, NULL}, {"/x", NULL, NULL},	      {"anyx/y", NULL, NULL},
	};
	const char *identity;

	(void)state;
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		const char *name = names[i].name;

		assert_ptr_equal(export_resolve(&table, name, strlen(name), &identity),
				 names[i].export);
		if (names[i].identity)
			assert_string_equal(identity, names[i].identity);
		else
			assert_null(identity);
	}
}

static void an_identity_is_fit_for_a_file_name(void **state)
{
	static const char *good[] = {"52:54:00:12:34:56", "a", "host-1.lab_2",
				     "4C4C4544-0042-3510-8054-B4C04F333232"};
	static const char *bad[] = {"", ".", "..", ".x", "a/b", "a b", "*", "\xc3\xa4", "a\n", "@"};
	char text[IDENTITY_MAX_BYTES + 1];

	(void)state;
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
		assert_true(export_is_identity(good[i], strlen(good[i])));
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_false(export_is_identity(bad[i], strlen(bad[i])));
	assert_false(export_is_identity("a\0b", 3));
	memset(text, 'x', sizeof(text));
	assert_true(export_is_identity(text, IDENTITY_MAX_BYTES));
	assert_false(export_is_identity(text, IDENTITY_MAX_BYTES + 1));
}

static void oldstyle_is_one_answer(void **state)
{
	static const uint8_t wanted[24] = "NBDMAGIC\x00\x00\x42\x02\x81\x86\x12\x53\0\0\0\0\0\x10";
	static const uint8_t zeroes[124];

	(void)state;
	sent_bytes = got_bytes = got_taken = 0;
	assert_int_equal(negotiate_start_oldstyle(&n, &table, "192.0.2.1:4321", "any/root"), 0);
	assert_int_equal(n.state, NEGOTIATE_CLAIM);
	assert_int_equal(n.out_have, 0);
	assert_ptr_equal(n.export, &root2);
	root2.flags = NBD_FLAG_HAS_FLAGS | NBD_FLAG_SEND_FLUSH;
	negotiate_grant(&n);
	assert_int_equal(n.state, NEGOTIATE_READY);
	collect();
	assert_int_equal(got_bytes, 152);
	assert_memory_equal(got, wanted, sizeof(wanted));
	assert_memory_equal(got + 24, "\0\0\0\5", 4);
	assert_memory_equal(got + 28, zeroes, sizeof(zeroes));

	assert_int_equal(negotiate_start_oldstyle(&n, &table, "192.0.2.1:4321", "none"), -ENOENT);
	assert_string_equal(n.why, "export not found");
	assert_int_equal(negotiate_start_oldstyle(&n, &table, "192.0.2.1:4321", "any/root"), 0);
	assert_int_equal(negotiate_refuse(&n, NBD_REP_ERR_POLICY, "in use"), -EACCES);
	assert_string_equal(n.why, "in use");
	assert_int_equal(n.out_have, 0);
}

static void nonsense_ends_the_connection(void **state)
{
	struct wire_option too_long = {NBD_OPT_GO, UINT32_MAX};

	(void)state;
	start(4);
	put_option(NBD_OPT_LIST, "", 0);
	assert_int_equal(run(1), -EPROTO);
	start(BOTH_FLAGS);
	memset(sent + sent_bytes, 'x', 100);
	sent_bytes += 100;
	assert_int_equal(run(1), -EPROTO);
	start(BOTH_FLAGS);
	sent_bytes += wire_put_option(sent + sent_bytes, &too_long);
	assert_int_equal(run(1), -EMSGSIZE);
	too_long.length = OPTION_MAX_BYTES + 1;
	start(BOTH_FLAGS);
	sent_bytes += wire_put_option(sent + sent_bytes, &too_long);
	assert_int_equal(run(1), -EMSGSIZE);
	assert_non_null(n.why);
}

/* Random bytes, and valid streams with random damage: no crash, no answer without end. */
static void noise_is_survived(void **state)
{
	unsigned int seed = 1;

	(void)state;
	for (int round = 0; round < 20000; round++) {
		start(BOTH_FLAGS);
		put_option(NBD_OPT_LIST, "", 0);
		put_go(NBD_OPT_INFO, "root", 0, NULL);
		put_go(NBD_OPT_GO, "nobody", 0, NULL);
		put_option((uint32_t)rand_r(&seed) % 12, "0123456789abcdef", 16);
		put_go(NBD_OPT_GO, "root", 0, NULL);
		for (int i = rand_r(&seed) % 6; i; i--)
			sent[(size_t)rand_r(&seed) % sent_bytes] = (uint8_t)rand_r(&seed);
		run(1 + (size_t)rand_r(&seed) % 100);
		assert_true(got_bytes < 4096);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(go_chooses_an_export),
		cmocka_unit_test(info_and_go_tell_the_same),
		cmocka_unit_test(asked_infos_are_given),
		cmocka_unit_test(export_name_ends_with_zeroes),
		cmocka_unit_test(export_name_cannot_answer_errors),
		cmocka_unit_test(list_names_all),
		cmocka_unit_test(a_long_list_comes_in_parts),
		cmocka_unit_test(list_can_be_forbidden),
		cmocka_unit_test(abort_is_acknowledged),
		cmocka_unit_test(base_allocation_is_of_one_export),
		cmocka_unit_test(unknown_options_keep_in_step),
		cmocka_unit_test(refused_go_leaves_the_choice_open),
		cmocka_unit_test(a_claim_is_granted_or_refused),
		cmocka_unit_test(identities_choose_their_section),
		cmocka_unit_test(an_identity_is_fit_for_a_file_name),
		cmocka_unit_test(oldstyle_is_one_answer),
		cmocka_unit_test(nonsense_ends_the_connection),
		cmocka_unit_test(noise_is_survived),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
