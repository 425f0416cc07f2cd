/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What is asked by DHCP, and what of an answer is taken, whatever bytes it has. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <errno.h>

#include "client-static/lease.h"

enum { OPTIONS = 240 };

static const struct lease_client client = {{0x52, 0x54, 0, 0x12, 0x34, 0x56}, 0x12345678};

static struct in_addr address(uint8_t last)
{
	struct in_addr ret;

	memcpy(&ret, (uint8_t[]){10, 0, 0, last}, 4);
	return ret;
}

/* An answer with these options, on the heap so that ASan sees a read beyond its end. */
static uint8_t *answer(const void *options, size_t length)
{
	uint8_t message[LEASE_PACKET_BYTES], *ret = malloc(OPTIONS + length);

	lease_write(&client, LEASE_DISCOVER, NULL, message);
	message[0] = 2;
	memcpy(message + 16, (uint8_t[]){10, 0, 0, 7}, 4);
	memcpy(message + 20, (uint8_t[]){10, 0, 0, 1}, 4);
	memcpy(ret, message, OPTIONS);
	memcpy(ret + OPTIONS, options, length);
	return ret;
}

static int read_options(const void *options, size_t length, struct lease *ret)
{
	uint8_t *packet = answer(options, length);
	int r = lease_read(&client, packet, OPTIONS + length, ret);

	free(packet);
	return r;
}

static void asks_by_broadcast(void **state)
{
	static const uint8_t discover[] = {99, 130, 83, 99, 53, 1, LEASE_DISCOVER, 55, 7};
	uint8_t packet[LEASE_PACKET_BYTES];

	(void)state;
	assert_int_equal(lease_write(&client, LEASE_DISCOVER, NULL, packet), 300);
	assert_memory_equal(packet, ((uint8_t[]){1, 1, 6, 0}), 4);
	assert_int_equal(packet[10], 0x80);
	assert_memory_equal(packet + 28, client.mac, sizeof(client.mac));
	assert_memory_equal(packet + 236, discover, sizeof(discover));
}

static void requests_what_was_offered(void **state)
{
	static const uint8_t request[] = {53, 1, LEASE_REQUEST, 50, 4, 10, 0, 0, 7, 54, 4, 10, 0,
					  0,  1};
	struct lease offer = {.address = address(7), .server = address(1)};
	uint8_t packet[LEASE_PACKET_BYTES];

	(void)state;
	lease_write(&client, LEASE_REQUEST, &offer, packet);
	assert_memory_equal(packet + OPTIONS, request, sizeof(request));
}

static void takes_all_that_a_boot_needs(void **state)
{
	static const uint8_t options[] =
		"\x35\x01\x05\x36\x04\x0a\x00\x00\x02\x00\x00\x01\x04\xff\xff\xff\x00"
		"\x03\x08\x0a\x00\x00\xfe\x0a\x00\x00\xfd\x06\x08\x0a\x00\x00\x03\x0a\x00\x00\x04"
		"\x0c\x04tiny\x0f\x04home\x1a\x02\x05\x78\x11\x12nbd://10.0.0.1/tux\xff garbage";
	struct lease lease;

	(void)state;
	assert_int_equal(read_options(options, sizeof(options), &lease), 0);
	assert_int_equal(lease.type, LEASE_ACK);
	assert_int_equal(lease.address.s_addr, address(7).s_addr);
	assert_int_equal(lease.next_server.s_addr, address(1).s_addr);
	assert_int_equal(lease.server.s_addr, address(2).s_addr);
	assert_int_equal(ntohl(lease.netmask.s_addr), 0xffffff00);
	assert_int_equal(lease.gateway.s_addr, address(254).s_addr);
	assert_int_equal(lease.dns[1].s_addr, address(4).s_addr);
	assert_int_equal(lease.dns[2].s_addr, 0);
	assert_int_equal(lease.mtu, 1400);
	assert_string_equal(lease.host_name, "tiny");
	assert_string_equal(lease.domain, "home");
	assert_string_equal(lease.root_path, "nbd://10.0.0.1/tux");
}

static void passes_over_what_is_not_for_it(void **state)
{
	static const uint8_t options[] = {53, 1, LEASE_OFFER, 255};
	static const size_t marks[] = {0, 4, 28, 236};
	struct lease lease;

	(void)state;
	for (size_t i = 0; i < sizeof(marks) / sizeof(*marks); i++) {
		uint8_t *packet = answer(options, sizeof(options));

		packet[marks[i]] ^= 0x40;
		assert_int_equal(lease_read(&client, packet, OPTIONS + sizeof(options), &lease),
				 -ENOMSG);
		free(packet);
	}
	assert_int_equal(read_options("\xff", 1, &lease), -ENOMSG); /* BOOTP: no type */
	assert_int_equal(lease_read(&client, (const uint8_t *)"", 1, &lease), -ENOMSG);
}

static void survives_any_length(void **state)
{
	static const uint8_t short_address[] = {53, 1, LEASE_ACK, 3, 2, 10, 0, 6, 5, 1, 2, 3, 4, 5};
	uint8_t options[2 + 255] = {17, 255};
	struct lease lease;

	(void)state;
	assert_int_equal(read_options(short_address, sizeof(short_address), &lease), 0);
	assert_int_equal(lease.gateway.s_addr, 0);
	assert_int_equal(lease.dns[1].s_addr, 0);
	assert_int_equal(read_options("\x35", 1, &lease), -EBADMSG);
	assert_int_equal(read_options("\x35\x01", 2, &lease), -EBADMSG);
	assert_int_equal(read_options("\x35\x00\x00\x00", 4, &lease), -ENOMSG);
	memset(options + 2, 'x', 255);
	assert_int_equal(read_options(options, sizeof(options), &lease), -ENOMSG);
	assert_int_equal(strlen(lease.root_path), 255);
	assert_int_equal(read_options(options, sizeof(options) - 1, &lease), -EBADMSG);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(asks_by_broadcast),
		cmocka_unit_test(requests_what_was_offered),
		cmocka_unit_test(takes_all_that_a_boot_needs),
		cmocka_unit_test(passes_over_what_is_not_for_it),
		cmocka_unit_test(survives_any_length),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
