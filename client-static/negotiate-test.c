/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The handshake against a scripted server: what it says is written to one end
 * of a socket pair beforehand (or byte by byte by a thread), the client
 * negotiates on the other, and what it sent is looked at afterwards.
 */
#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include <cmocka.h>

#include "client-static/client.h"
#include "common/nbd-proto.h"
#include "common/wire.h"

enum {
	SCRIPT_BYTES = 64 * 1024,
	FLAGS = NBD_FLAG_FIXED_NEWSTYLE | NBD_FLAG_NO_ZEROES,
};

static const uint64_t export_bytes = 64 << 20;
static const uint16_t export_flags = NBD_FLAG_HAS_FLAGS | NBD_FLAG_SEND_FLUSH;

static struct script {
	uint8_t bytes[SCRIPT_BYTES];
	size_t length;
} script;

static struct export_info found;
static struct failure why;
static uint8_t sent[SCRIPT_BYTES];
static size_t sent_length;
static int client_fd, server_fd;

static void say(const void *bytes, size_t length)
{
	assert_true(script.length + length <= SCRIPT_BYTES);
	if (length)
		memcpy(script.bytes + script.length, bytes, length);
	script.length += length;
}

static void say_greeting(uint16_t flags)
{
	uint8_t buf[WIRE_GREETING_BYTES] = {0};

	script.length = 0;
	say(buf, wire_put_greeting(buf, flags));
}

static void say_header(uint32_t option, uint32_t type, uint32_t length)
{
	struct wire_option_reply reply = {.option = option, .type = type, .length = length};
	uint8_t buf[WIRE_OPTION_REPLY_BYTES] = {0};

	say(buf, wire_put_option_reply(buf, &reply));
}

static void say_reply(uint32_t option, uint32_t type, const void *data, uint32_t length)
{
	say_header(option, type, length);
	say(data, length);
}

static void say_export(void)
{
	struct wire_export export = {.size_bytes = export_bytes, .flags = export_flags};
	uint8_t buf[WIRE_INFO_EXPORT_BYTES] = {0};
	uint32_t length = (uint32_t)wire_put_info_export(buf, &export);

	say_reply(NBD_OPT_GO, NBD_REP_INFO, buf, length);
}

static void say_block_size(uint32_t minimum, uint32_t preferred, uint32_t maximum)
{
	struct wire_block_size size = {minimum, preferred, maximum};
	uint8_t buf[WIRE_INFO_BLOCK_SIZE_BYTES] = {0};
	uint32_t length = (uint32_t)wire_put_info_block_size(buf, &size);

	say_reply(NBD_OPT_GO, NBD_REP_INFO, buf, length);
}

static void say_old_answer(bool no_zeroes)
{
	static const uint8_t zeroes[NBD_EXPORT_NAME_ZEROES];
	struct wire_export export = {.size_bytes = export_bytes, .flags = export_flags};
	uint8_t buf[WIRE_EXPORT_NAME_BYTES] = {0};

	say(buf, wire_put_export_name(buf, &export));
	if (!no_zeroes)
		say(zeroes, sizeof(zeroes));
}

/* A client that waits for what comes, and one that the test has meet silence. */
static const struct timeval limit = {.tv_sec = 60}, limit_of_silence = {.tv_usec = 200 * 1000};

static void open_pair(const struct timeval *limit_of_client)
{
	int fds[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
	client_fd = fds[0];
	server_fd = fds[1];
	assert_int_equal(setsockopt(client_fd, SOL_SOCKET, SO_RCVTIMEO, limit_of_client,
				    sizeof(*limit_of_client)),
			 0);
	memset(&found, 0x5a, sizeof(found));
}

static void close_pair(void)
{
	shutdown(client_fd, SHUT_WR);
	sent_length = 0;
	for (ssize_t n; (n = read(server_fd, sent + sent_length, SCRIPT_BYTES - sent_length)) > 0;)
		sent_length += (size_t)n;
	close(client_fd);
	close(server_fd);
}

/* Negotiates with the script; the server then closes, or keeps silent. */
static int negotiate(const char *name, bool no_opt_go, bool closes)
{
	int err;

	open_pair(&limit_of_silence);
	assert_int_equal(wire_write_full(server_fd, script.bytes, script.length), 0);
	if (closes)
		shutdown(server_fd, SHUT_WR);
	err = negotiate_export(client_fd, name, no_opt_go, &found, &why);
	close_pair();
	return err;
}

static void expect_refusal(int err, int expected, int exit_code, const char *text)
{
	struct export_info untouched;

	memset(&untouched, 0x5a, sizeof(untouched));
	if (err != -expected)
		fail_msg("%d is not %d; %s", err, -expected, err ? why.text : "no failure");
	assert_memory_equal(&found, &untouched, sizeof(found));
	assert_int_equal(why.exit_code, exit_code);
	if (!strstr(why.text, text))
		fail_msg("\"%s\" does not say \"%s\"", why.text, text);
}

static void expect_export(int err, uint32_t minimum, uint32_t maximum)
{
	if (err)
		fail_msg("%s", why.text);
	assert_int_equal(found.size_bytes, export_bytes);
	assert_int_equal(found.flags, export_flags);
	assert_int_equal(found.minimum_block_bytes, minimum);
	assert_int_equal(found.maximum_block_bytes, maximum);
}

static void say_whole_go(void)
{
	say_greeting(FLAGS);
	say_reply(NBD_OPT_GO, NBD_REP_INFO, "\0\1a name that nobody asked for", 30);
	say_block_size(4096, 4096, 32 << 20);
	say_export();
	say_reply(NBD_OPT_GO, NBD_REP_ACK, NULL, 0);
}

static void go_tells_size_flags_and_blocks(void **state)
{
	(void)state;
	static const uint8_t expected[] = "\0\0\0\3" /* client flags */
					  "IHAVEOPT\0\0\0\7\0\0\0\16"
					  "\0\0\0\4swap\0\2\0\3\0\2"; /* block size, description */

	say_whole_go();
	expect_export(negotiate("swap", false, false), 4096, 32 << 20);
	assert_int_equal(sent_length, sizeof(expected) - 1);
	assert_memory_equal(sent, expected, sent_length);
}

static const char *generation_of(const char *description)
{
	uint8_t data[2 + 4096] = {0, NBD_INFO_DESCRIPTION};
	size_t length = strlen(description);

	memcpy(data + 2, description, length);
	say_greeting(FLAGS);
	say_reply(NBD_OPT_GO, NBD_REP_INFO, data, (uint32_t)(2 + length));
	say_export();
	say_reply(NBD_OPT_GO, NBD_REP_ACK, NULL, 0);
	expect_export(negotiate("swap", false, false), 1, 0);
	return found.generation;
}

static void generation_is_a_word_of_the_description(void **state)
{
	(void)state;
	char longest[4096 + 1];

	assert_string_equal(generation_of("debian12.img, generation 7f3a-2"), "7f3a-2");
	assert_string_equal(generation_of("generation=12"), "12");
	assert_string_equal(generation_of("the root (generation: a/b)"), "a/b");
	assert_string_equal(generation_of("of the next generation"), "");
	assert_string_equal(generation_of("regeneration 5"), "");
	assert_string_equal(generation_of(""), "");
	memset(longest, 'g', sizeof(longest) - 1);
	longest[sizeof(longest) - 1] = '\0';
	memcpy(longest, "generation ", strlen("generation "));
	assert_int_equal(strlen(generation_of(longest)), EXPORT_GENERATION_BYTES - 1);
}

static void *drip(void *unused)
{
	for (size_t i = 0; i < script.length; i++) {
		if (write(server_fd, script.bytes + i, 1) != 1)
			abort();
		usleep(100);
	}
	return unused;
}

static void bytes_may_come_one_by_one(void **state)
{
	(void)state;
	pthread_t server;
	int err;

	say_whole_go();
	open_pair(&limit);
	assert_int_equal(pthread_create(&server, NULL, drip, NULL), 0);
	err = negotiate_export(client_fd, "swap", false, &found, &why);
	pthread_join(server, NULL);
	close_pair();
	expect_export(err, 4096, 32 << 20);
}

/* What follows the handshake belongs to the kernel. */
static void nothing_is_read_past_the_end(void **state)
{
	(void)state;
	for (int no_opt_go = 0; no_opt_go < 2; no_opt_go++) {
		char next = 0;

		if (no_opt_go) {
			say_greeting(FLAGS);
			say_old_answer(true);
		} else {
			say_whole_go();
		}
		say("K", 1);
		open_pair(&limit);
		assert_int_equal(wire_write_full(server_fd, script.bytes, script.length), 0);
		assert_int_equal(negotiate_export(client_fd, "x", no_opt_go, &found, &why), 0);
		assert_int_equal(read(client_fd, &next, 1), 1);
		assert_int_equal(next, 'K');
		close_pair();
	}
}

static void falls_back_to_export_name(void **state)
{
	(void)state;
	for (int no_zeroes = 0; no_zeroes < 2; no_zeroes++) {
		say_greeting(NBD_FLAG_FIXED_NEWSTYLE | (no_zeroes ? NBD_FLAG_NO_ZEROES : 0));
		say_reply(NBD_OPT_GO, NBD_REP_ERR_UNSUP, "what?", 5);
		say_old_answer(no_zeroes);
		expect_export(negotiate("old", false, false), 1, 0);
		assert_memory_equal(sent + sent_length - 19, "IHAVEOPT\0\0\0\1\0\0\0\3old", 19);
	}
}

static void export_name_is_all_that_a_plain_newstyle_server_gets(void **state)
{
	(void)state;
	say_greeting(0);
	say_old_answer(false);
	expect_export(negotiate("old", false, false), 1, 0);
	assert_memory_equal(sent, "\0\0\0\0IHAVEOPT\0\0\0\1\0\0\0\3old", 23);
	assert_int_equal(sent_length, 23);
	say_greeting(FLAGS);
	say_old_answer(true);
	expect_export(negotiate("old", true, false), 1, 0);
	assert_memory_equal(sent, "\0\0\0\3IHAVEOPT\0\0\0\1\0\0\0\3old", 23);
}

static void flags_of_the_future_are_not_repeated(void **state)
{
	(void)state;
	say_greeting(0xffff);
	say_old_answer(true);
	expect_export(negotiate("x", true, false), 1, 0);
	assert_memory_equal(sent, "\0\0\0\3", 4);
}

static void every_error_reply_has_its_words(void **state)
{
	(void)state;
	static const struct {
		uint32_t type;
		int error;
		int exit_code;
		const char *text;
	} cases[] = {
		{NBD_REP_ERR_POLICY, EACCES, EXIT_PERMANENT,
		 "refused by the server's configuration"},
		{NBD_REP_ERR_INVALID, EINVAL, EXIT_PERMANENT, "calls the request invalid"},
		{NBD_REP_ERR_PLATFORM, ENOSYS, EXIT_PERMANENT, "platform"},
		{NBD_REP_ERR_TLS_REQD, EPROTONOSUPPORT, EXIT_PERMANENT, "wants TLS"},
		{NBD_REP_ERR_UNKNOWN, ENOENT, EXIT_PERMANENT,
		 "export \"swap\": the server has no such export (NBD_REP_ERR_UNKNOWN"},
		{NBD_REP_ERR_SHUTDOWN, ESHUTDOWN, EXIT_TEMPORARY, "is shutting down"},
		{NBD_REP_ERR_BLOCK_SIZE_REQD, EPROTO, EXIT_PERMANENT, "block sizes"},
		{NBD_REP_ERR_TOO_BIG, EMSGSIZE, EXIT_PERMANENT, "too large"},
		{NBD_REP_ERR_EXT_HEADER_REQD, EPROTONOSUPPORT, EXIT_PERMANENT, "extended headers"},
		{NBD_REP_ERROR(0x1234), EPROTO, EXIT_PERMANENT, "unknown error"},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		say_greeting(FLAGS);
		say_reply(NBD_OPT_GO, cases[i].type, NULL, 0);
		expect_refusal(negotiate("swap", false, false), cases[i].error, cases[i].exit_code,
			       cases[i].text);
		say_greeting(FLAGS);
		say_reply(NBD_OPT_GO, cases[i].type, "go away", 7);
		expect_refusal(negotiate("swap", false, false), cases[i].error, cases[i].exit_code,
			       "; it said \"go away\")");
	}
}

static void export_name_without_an_answer_is_a_refusal(void **state)
{
	(void)state;
	say_greeting(FLAGS);
	expect_refusal(negotiate("gone", true, true), ENOENT, EXIT_PERMANENT,
		       "export \"gone\": refused: the server closed the connection");
}

static void other_servers_are_told_apart(void **state)
{
	(void)state;
	static const uint8_t oldstyle[152] = "NBDMAGIC\x00\x00\x42\x02\x81\x86\x12\x53";

	script.length = 0;
	say(oldstyle, sizeof(oldstyle));
	expect_refusal(negotiate("x", false, false), EPROTONOSUPPORT, EXIT_PERMANENT,
		       "an oldstyle NBD server");
	script.length = 0;
	say("SSH-2.0-OpenSSH_9.2p1\r\n", 23);
	expect_refusal(negotiate("x", false, false), EPROTO, EXIT_PERMANENT,
		       "not an NBD server: it began with \"SSH-2.0-OpenSSH_9.\"");
}

static void silence_and_hanging_up_are_worth_a_retry(void **state)
{
	(void)state;
	say_whole_go();
	for (size_t length = 0, whole = script.length; length < whole; length++) {
		script.length = length;
		expect_refusal(negotiate("x", false, true), ECONNRESET, EXIT_TEMPORARY,
			       "the server closed the connection");
	}
	script.length = 5;
	expect_refusal(negotiate("x", false, false), ETIMEDOUT, EXIT_TEMPORARY,
		       "no answer in time (waiting for an NBD greeting)");
	say_greeting(FLAGS);
	expect_refusal(negotiate("x", false, false), ETIMEDOUT, EXIT_TEMPORARY,
		       "no answer in time (NBD_OPT_GO)");
}

static void hostile_lengths_are_refused(void **state)
{
	(void)state;
	static const uint32_t lengths[] = {NEGOTIATE_REPLY_BYTES + 1, 0x7fffffff, 0x80000000,
					   0xffffffff};

	for (size_t i = 0; i < sizeof(lengths) / sizeof(*lengths); i++) {
		say_greeting(FLAGS);
		say_header(NBD_OPT_GO, NBD_REP_INFO, lengths[i]);
		expect_refusal(negotiate("x", false, false), EMSGSIZE, EXIT_PERMANENT,
			       "the answer to NBD_OPT_GO claims");
	}
}

static void malformed_answers_are_refused(void **state)
{
	(void)state;
	static const uint8_t data[64];
	static const uint8_t bad_block[] = "\0\3\0\0\0\3\0\0\x10\0\0\0\x10"; /* minimum 3 */
	static const struct {
		uint32_t type;
		const uint8_t *data;
		uint32_t length;
	} cases[] = {
		{NBD_REP_INFO, data, 0},
		{NBD_REP_INFO, data, 1},
		{NBD_REP_INFO, data, 2},
		{NBD_REP_INFO, data, 11},
		{NBD_REP_INFO, data, 13},
		{NBD_REP_INFO, bad_block, 14},
		{NBD_REP_INFO, bad_block, 13},
		{NBD_REP_ACK, data, 0}, /* no size before it */
		{NBD_REP_SERVER, data, 4},
		{NBD_REP_META_CONTEXT, data, 8},
		{0, data, 0},
		{77, data, 64},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		say_greeting(FLAGS);
		say_reply(NBD_OPT_GO, cases[i].type, cases[i].data, cases[i].length);
		expect_refusal(negotiate("x", false, false), EPROTO, EXIT_PERMANENT,
			       "an answer to NBD_OPT_GO is malformed");
	}
}

static void answers_to_other_questions_are_refused(void **state)
{
	(void)state;
	say_greeting(FLAGS);
	say_reply(NBD_OPT_LIST, NBD_REP_ACK, NULL, 0);
	expect_refusal(negotiate("x", false, false), EPROTO, EXIT_PERMANENT, "is for option 3");
	say_greeting(FLAGS);
	say("IHAVEOPT\0\0\0\7\0\0\0\1\0\0\0\0", 20);
	expect_refusal(negotiate("x", false, false), EPROTO, EXIT_PERMANENT, "wrong magic number");
}

static void endless_answers_come_to_an_end(void **state)
{
	(void)state;
	say_greeting(FLAGS);
	for (int i = 0; i < 100; i++)
		say_export();
	expect_refusal(negotiate("x", false, false), EPROTO, EXIT_PERMANENT,
		       "more than 32 answers to NBD_OPT_GO");
}

static void longest_name_and_longest_words_fit(void **state)
{
	(void)state;
	static char name[NBD_MAX_STRING + 1], words[NEGOTIATE_REPLY_BYTES];

	memset(name, 'n', NBD_MAX_STRING);
	memset(words, '\x1b', sizeof(words));
	say_greeting(FLAGS);
	say_reply(NBD_OPT_GO, NBD_REP_ERR_UNKNOWN, words, sizeof(words));
	expect_refusal(negotiate(name, false, false), ENOENT, EXIT_PERMANENT, "no such export");
	assert_int_equal(sent_length, 4 + 16 + 4 + NBD_MAX_STRING + 2 + 2 * 2);
	assert_true(strlen(why.text) < FAILURE_TEXT_BYTES);
}

static struct handshake record;

/* The steps of one direction are what went over the wire in it, byte for byte. */
static void expect_recorded(const uint8_t *bytes, size_t length, bool is_sent)
{
	const uint8_t *at = record.bytes;
	size_t seen = 0;

	for (uint32_t i = 0; i < record.step_count; i++) {
		const struct handshake_step *step = &record.steps[i];

		assert_true(step->length_bytes > 0);
		if (step->is_sent == is_sent) {
			assert_true(seen + step->length_bytes <= length);
			assert_memory_equal(at, bytes + seen, step->length_bytes);
			seen += step->length_bytes;
		}
		at += step->length_bytes;
	}
	assert_int_equal(seen, length);
	assert_int_equal(at - record.bytes, record.byte_count);
}

static int negotiate_recorded(const char *name)
{
	int err;

	negotiate_record(&record);
	err = negotiate(name, false, false);
	negotiate_record(NULL);
	return err;
}

static void record_has_every_byte_in_order(void **state)
{
	(void)state;
	/* greeting, header and payload of two answers, header of the last; what was sent between */
	static const uint16_t lengths[] = {18, 4 + 16 + 4 + 1 + 2 + 2 * 2, 20, 12, 20, 14, 20};

	say_greeting(FLAGS);
	say_export();
	say_block_size(1, 4096, 1 << 20);
	say_reply(NBD_OPT_GO, NBD_REP_ACK, NULL, 0);
	assert_int_equal(negotiate_recorded("x"), 0);
	assert_false(record.is_too_long);
	assert_int_equal(record.step_count, sizeof(lengths) / sizeof(*lengths));
	for (uint32_t i = 0; i < record.step_count; i++) {
		assert_int_equal(record.steps[i].length_bytes, lengths[i]);
		assert_int_equal(record.steps[i].is_sent, i == 1);
	}
	expect_recorded(script.bytes, script.length, false);
	expect_recorded(sent, sent_length, true);
}

static void record_has_the_request_before_the_one_that_was_taken(void **state)
{
	(void)state;
	say_greeting(FLAGS);
	say_reply(NBD_OPT_GO, NBD_REP_ERR_UNSUP, "no", 2);
	say_old_answer(true);
	assert_int_equal(negotiate_recorded("x"), 0);
	assert_int_equal(record.step_count, 6);
	expect_recorded(script.bytes, script.length, false);
	expect_recorded(sent, sent_length, true);
}

static void record_of_many_answers_joins_the_last(void **state)
{
	(void)state;
	say_greeting(FLAGS);
	for (int i = 0; i < 30; i++)
		say_export();
	say_reply(NBD_OPT_GO, NBD_REP_ACK, NULL, 0);
	assert_int_equal(negotiate_recorded("x"), 0);
	assert_false(record.is_too_long);
	assert_true(record.step_count < HANDSHAKE_STEPS);
	expect_recorded(script.bytes, script.length, false);
	expect_recorded(sent, sent_length, true);
}

static void record_that_is_too_long_says_so(void **state)
{
	(void)state;
	static uint8_t words[HANDSHAKE_BYTES];

	memset(words, 'w', sizeof(words));
	memcpy(words, (uint8_t[]){0, NBD_INFO_DESCRIPTION}, 2);
	say_greeting(FLAGS);
	say_export();
	say_reply(NBD_OPT_GO, NBD_REP_INFO, words, sizeof(words) - 100);
	say_reply(NBD_OPT_GO, NBD_REP_ACK, NULL, 0);
	assert_int_equal(negotiate_recorded("x"), 0);
	assert_true(record.is_too_long);
	assert_true(record.byte_count <= HANDSHAKE_BYTES);
}

static void record_ends_when_it_is_told_to(void **state)
{
	(void)state;
	say_greeting(FLAGS);
	say_export();
	say_reply(NBD_OPT_GO, NBD_REP_ACK, NULL, 0);
	memset(&record, 0, sizeof(record));
	assert_int_equal(negotiate("x", false, false), 0);
	assert_int_equal(record.step_count, 0);
	assert_int_equal(record.byte_count, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(go_tells_size_flags_and_blocks),
		cmocka_unit_test(generation_is_a_word_of_the_description),
		cmocka_unit_test(bytes_may_come_one_by_one),
		cmocka_unit_test(nothing_is_read_past_the_end),
		cmocka_unit_test(falls_back_to_export_name),
		cmocka_unit_test(export_name_is_all_that_a_plain_newstyle_server_gets),
		cmocka_unit_test(flags_of_the_future_are_not_repeated),
		cmocka_unit_test(every_error_reply_has_its_words),
		cmocka_unit_test(export_name_without_an_answer_is_a_refusal),
		cmocka_unit_test(other_servers_are_told_apart),
		cmocka_unit_test(silence_and_hanging_up_are_worth_a_retry),
		cmocka_unit_test(hostile_lengths_are_refused),
		cmocka_unit_test(malformed_answers_are_refused),
		cmocka_unit_test(answers_to_other_questions_are_refused),
		cmocka_unit_test(endless_answers_come_to_an_end),
		cmocka_unit_test(longest_name_and_longest_words_fit),
		cmocka_unit_test(record_has_every_byte_in_order),
		cmocka_unit_test(record_has_the_request_before_the_one_that_was_taken),
		cmocka_unit_test(record_of_many_answers_joins_the_last),
		cmocka_unit_test(record_that_is_too_long_says_so),
		cmocka_unit_test(record_ends_when_it_is_told_to),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
