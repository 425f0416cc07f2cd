/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * traffic.c: what was asked and answered. Each connection counts on the thread of its loop;
 * an export has the sum of those that have left. Shown by status.c, on another thread than
 * some of those that count.
 */
#ifndef SERVER_TRAFFIC_H
#define SERVER_TRAFFIC_H

#include <stdatomic.h>
#include <stdint.h>

struct export;
struct request;

enum { LATENCY_BUCKETS = 32 };

/* One thread writes, with no more order than each number has for itself. */
struct traffic {
	_Atomic uint64_t reads, read_bytes;
	_Atomic uint64_t writes, written_bytes;
	_Atomic uint64_t flushes, others;
	_Atomic uint64_t errors;      /* answered with one */
	_Atomic uint64_t answered_us; /* of all requests, from header to the end of the answer */
	_Atomic uint64_t slowest_us;
	/* How many requests took less than 2, 4, 8... us, each counted once. */
	_Atomic uint64_t latency[LATENCY_BUCKETS];
};

uint64_t traffic_now_us(void);

/* The answer to request was given to its socket whole. */
void traffic_answered(const struct request *request);

void traffic_add(struct traffic *sum, const struct traffic *more);

/* What export has, with its connections of now, and those of its machines. */
void traffic_of_export(const struct export *export, struct traffic *ret);

/* What percent of the requests took no longer than that; 0 when there were none. */
uint64_t traffic_percentile_us(const struct traffic *traffic, unsigned int percent);

#endif
