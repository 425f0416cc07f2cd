/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The kernel's end of netlink for tests: a packet socket pair. Answers are put together and sent
 * beforehand; the request is read afterwards, and taken apart as the kernel would.
 */
#ifndef CLIENT_STATIC_ATTACH_TESTBED_H
#define CLIENT_STATIC_ATTACH_TESTBED_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "client-static/client.h"

enum { FAMILY = 0x1d, SEQUENCE = 1 };

struct netlink_message {
	_Alignas(4) uint8_t bytes[8192];
	size_t length;
};

extern int client_fd, kernel_fd;
extern struct failure why;
extern struct netlink_message answer, request;

/* Set-up and tear-down of a test. */
int open_pair(void **state);
int close_pair(void **state);

#define PAIRED(test) cmocka_unit_test_setup_teardown(test, open_pair, close_pair)

/* The parts of an answer, each padded to 4 bytes; length is that of the whole message. */
void put(const void *bytes, size_t length);
void put_header(uint16_t type, uint16_t flags, uint32_t sequence, uint32_t length);
void put_attribute(uint16_t type, const void *data, uint16_t length);

/* An acknowledgement as the kernel writes it: capped, or with the request echoed. */
void put_ack(int error, const char *text, bool capped);

/* Sends what was put, for the client to find. */
void send_answer(void);

/* A device with what NBD_CMD_CONNECT needs at least. */
struct attach_device device(void);

/* attach_connect(), whose request is in request then, or none there. */
int connect_device(const struct attach_device *job);

/* The attribute of that type, checked as the kernel checks: in bounds, length exact; or NULL. */
const uint8_t *attribute(const uint8_t *at, size_t length, uint16_t type, size_t expected);

/* The same, of the request. */
const uint8_t *requested(uint16_t type, size_t expected);

#endif
