/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * traffic.c: what was asked and answered, of a connection and of an export. Counted on
 * the loop's thread, shown by status.c.
 */
#ifndef SERVER_TRAFFIC_H
#define SERVER_TRAFFIC_H

#include <stdint.h>

struct request;

enum { LATENCY_BUCKETS = 32 };

struct traffic {
	uint64_t reads, read_bytes;
	uint64_t writes, written_bytes;
	uint64_t flushes, others;
	uint64_t errors;      /* answered with one */
	uint64_t answered_us; /* of all requests together, from header to the end of the answer */
	uint64_t slowest_us;
};

/* How many requests took less than 2, 4, 8... us, each counted once. */
struct latency {
	uint64_t buckets[LATENCY_BUCKETS];
};

uint64_t traffic_now_us(void);

/* The answer to request was given to its socket whole. */
void traffic_answered(const struct request *request);

/* What percent of the requests took no longer than that; 0 when there were none. */
uint64_t traffic_percentile_us(const struct latency *latency, unsigned int percent);

#endif
