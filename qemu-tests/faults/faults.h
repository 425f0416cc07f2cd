/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A server of one device in the machine under test, whose connections do what a
 * scenario says. The scenario attaches the device and gives it new connections
 * by this program too, with none of the precautions of the product, so that the
 * driver alone is seen.
 */
#ifndef QEMU_TESTS_FAULTS_H
#define QEMU_TESTS_FAULTS_H

#include <stdbool.h>
#include <netinet/in.h>
#include <stddef.h>
#include <stdint.h>

enum {
	FAULTS_SIZE_BYTES = 16 << 20, /* of the export */
	FAULTS_CONNECTIONS_MAX = 256, /* in all, one after the other */
	FAULTS_SOCKETS_MAX = 32,      /* of the device when it is attached */
};

/* What a connection does with the next request. */
enum fault {
	FAULT_NONE,
	FAULT_HOLD,	/* takes it and never answers */
	FAULT_DEAF,	/* does not read it */
	FAULT_SHUTDOWN, /* answers NBD_ESHUTDOWN */
	FAULT_HALF,	/* answers a read with half of its data, then nothing */
};

/* Before anything else of the server. */
void server_begin(void);

/*
 * A new TCP connection to this server. Returns the client's end, which the caller
 * closes when the driver has it, or -errno.
 */
int server_connect(void);

/* The next connection has the number 0. */
void server_count_anew(void);

/* Of the connection of that number, as text, which exists; NULL: the newest. */
void server_set_fault(enum fault fault, const char *connection);
void server_close(const char *connection);

/* Whether the newest has ended. */
bool server_is_ended(void);

/* All connections but the newest serve what they still get; returns when they have ended. */
void server_drain_old(void);

/* What was said to a server until requests can be sent, for the driver to say it again. */
struct recipe {
	struct sockaddr_in address;
	uint8_t greeting[18], choice[128], export[10]; /* heard, said, heard */
	size_t choice_bytes;
	uint64_t size_bytes;
	uint16_t flags;
};

/* A connection to another server, with NBD_OPT_EXPORT_NAME; the socket or -errno. */
int recipe_connect(const char *address, uint16_t port, const char *export_name, struct recipe *ret);

/* Messages to the driver for device 0; 0 or -errno of the driver. */
int driver_attach(const int *fds, size_t count, uint64_t timeout_s, uint64_t dead_timeout_s);
int driver_attach_with_recipe(int fd, const struct recipe *recipe);
int driver_detach(void);

/* index < 0 and size_bytes 0: the message does not have them. */
int driver_replace(int fd, int index, uint64_t size_bytes);

/* A socket that gets what the driver tells all who listen, or -errno. */
int driver_listen(void);

/* Waits for the next event: 1 NBD_CMD_LINK_DEAD, 2 NBD_CMD_LINK_UP, 0 another; -errno. */
int driver_hear(int fd);

/* NBD_CONNECTION_STATE of connection 0; -ENODATA: the driver does not tell. */
int driver_state(void);

#endif
