// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Counts each request when its answer has left: for its connection, for the export, and,
 * where the export is a machine's own, for its section.
 */
#include "server/traffic.h"

#include <time.h>

#include "common/nbd-proto.h"
#include "server/connection.h"

uint64_t traffic_now_us(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

static void count(struct traffic *traffic, const struct request *request, uint64_t took_us)
{
	uint64_t bytes = request->error ? 0 : request->length_bytes;

	switch (request->type) {
	case NBD_CMD_READ:
		traffic->reads++;
		traffic->read_bytes += bytes;
		break;
	case NBD_CMD_WRITE:
		traffic->writes++;
		traffic->written_bytes += bytes;
		break;
	case NBD_CMD_FLUSH:
		traffic->flushes++;
		break;
	default:
		traffic->others++;
	}
	traffic->errors += request->error != 0;
	traffic->answered_us += took_us;
	if (took_us > traffic->slowest_us)
		traffic->slowest_us = took_us;
}

/* The bucket of 2^N to 2^(N+1) - 1 us is N; that of 0 us is 0 too. */
static unsigned int bucket_of(uint64_t took_us)
{
	unsigned int bucket = took_us ? 63 - (unsigned int)__builtin_clzll(took_us) : 0;

	return bucket < LATENCY_BUCKETS ? bucket : LATENCY_BUCKETS - 1;
}

void traffic_answered(const struct request *request)
{
	uint64_t took_us = traffic_now_us() - request->begun_us;
	struct export *export = request->connection->export;

	count(&request->connection->traffic, request, took_us);
	for (; export; export = export->section) {
		count(&export->traffic, request, took_us);
		export->latency.buckets[bucket_of(took_us)]++;
	}
}

uint64_t traffic_percentile_us(const struct latency *latency, unsigned int percent)
{
	uint64_t total = 0, below = 0;

	for (int i = 0; i < LATENCY_BUCKETS; i++)
		total += latency->buckets[i];
	for (int i = 0; total && i < LATENCY_BUCKETS; i++) {
		below += latency->buckets[i];
		if (below * 100 >= total * percent)
			return (2ULL << i) - 1;
	}
	return 0;
}
