// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Counts each request when its answer has left, for its connection alone: what an export
 * shows is put together when somebody asks, so that loops that serve one export at once
 * do not share a line of the cache.
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

/* No instruction of its own for that: nobody else writes. */
static void count(_Atomic uint64_t *counter, uint64_t more)
{
	uint64_t value = atomic_load_explicit(counter, memory_order_relaxed) + more;

	atomic_store_explicit(counter, value, memory_order_relaxed);
}

static void raise_to(_Atomic uint64_t *counter, uint64_t value)
{
	if (value > atomic_load_explicit(counter, memory_order_relaxed))
		atomic_store_explicit(counter, value, memory_order_relaxed);
}

/* The bucket of 2^N to 2^(N+1) - 1 us is N; that of 0 us is 0 too. */
static unsigned int bucket_of(uint64_t took_us)
{
	unsigned int bucket = took_us ? 63 - (unsigned int)__builtin_clzll(took_us) : 0;

	return bucket < LATENCY_BUCKETS ? bucket : LATENCY_BUCKETS - 1;
}

void traffic_answered(const struct request *request)
{
	struct traffic *traffic = &request->connection->traffic;
	uint64_t took_us = traffic_now_us() - request->begun_us;
	uint64_t bytes = request->error ? 0 : request->length_bytes;

	switch (request->type) {
	case NBD_CMD_READ:
		count(&traffic->reads, 1);
		count(&traffic->read_bytes, bytes);
		break;
	case NBD_CMD_WRITE:
		count(&traffic->writes, 1);
		count(&traffic->written_bytes, bytes);
		break;
	case NBD_CMD_FLUSH:
		count(&traffic->flushes, 1);
		break;
	default:
		count(&traffic->others, 1);
	}
	if (request->error)
		count(&traffic->errors, 1);
	count(&traffic->answered_us, took_us);
	raise_to(&traffic->slowest_us, took_us);
	count(&traffic->latency[bucket_of(took_us)], 1);
}

void traffic_add(struct traffic *sum, const struct traffic *more)
{
	count(&sum->reads, more->reads);
	count(&sum->read_bytes, more->read_bytes);
	count(&sum->writes, more->writes);
	count(&sum->written_bytes, more->written_bytes);
	count(&sum->flushes, more->flushes);
	count(&sum->others, more->others);
	count(&sum->errors, more->errors);
	count(&sum->answered_us, more->answered_us);
	raise_to(&sum->slowest_us, more->slowest_us);
	for (int i = 0; i < LATENCY_BUCKETS; i++)
		count(&sum->latency[i], more->latency[i]);
}

static void add_connections(struct traffic *sum, const struct export *export)
{
	const struct connection *connection;

	TAILQ_FOREACH(connection, &export->attached, sharing)
		traffic_add(sum, &connection->traffic);
}

void traffic_of_export(const struct export *export, struct traffic *ret)
{
	*ret = (struct traffic){0};
	traffic_add(ret, &export->traffic);
	add_connections(ret, export);
	for (const struct export *each = export->machines; each; each = each->next_machine)
		add_connections(ret, each);
}

uint64_t traffic_percentile_us(const struct traffic *traffic, unsigned int percent)
{
	uint64_t total = 0, below = 0;

	for (int i = 0; i < LATENCY_BUCKETS; i++)
		total += traffic->latency[i];
	for (int i = 0; total && i < LATENCY_BUCKETS; i++) {
		below += traffic->latency[i];
		if (below * 100 >= total * percent)
			return (2ULL << i) - 1;
	}
	return 0;
}
