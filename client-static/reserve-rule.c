/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The rule for the memory reserve, derived in docs/swap-safety.md: from memory,
 * processors, network card and connections to vm.min_free_kbytes and to the
 * buffers of a connection. Pure; reserve.c measures and sets.
 */
#include "client-static/client.h"

enum {
	/* For SO_SNDBUF and SO_RCVBUF, of which the kernel makes twice as much. */
	BUFFER_MAX_KIB = 128,
	BUFFER_MIN_KIB = 64,
	RAM_PER_BUFFER = 1024,

	/* A send queue is full when it is larger than its limit: by one buffer's content ... */
	SEND_EXCESS_KIB = 64,
	/* ... and its first and last page fragment, of order 3, are held whole. */
	FRAGMENT_KIB = 32,
	/* Between TCP and the card at most so much of a connection
	   (net.ipv4.tcp_limit_output_bytes). */
	SMALL_QUEUE_MAX_KIB = 1024,
	/* Beside the payload of a packet: IP and TCP headers with time stamps ... */
	HEADERS_BYTES = 52,
	/* ... in a receive buffer headroom and struct skb_shared_info ... */
	RECEIVE_OVERHEAD_BYTES = 512,
	/* ... and in a linear copy also the room that TCP left for headers. */
	COPY_OVERHEAD_BYTES = 1024,

	/* A CPU's share: page lists are filled by batches, and a slab of four caches is of order 3.
	 */
	BATCH_MAX_PAGES = 64,
	RAM_PER_BATCH_PAGE_KIB = 16384,
	LISTS = 2,
	PAGE_KIB = 4,
	SLABS_KIB = 4 * 32,

	/*
	 * What can be pinned shall leave half of the reserve: below half the kernel
	 * stops tasks that look for memory, and below 3/8 the card gets none to
	 * receive into. A ring that ran empty is filled again on top of that.
	 */
	RESERVE_PER_PINNED = 2,
	RESERVE_MIN_KIB = 4096,
	RESERVE_MAX_KIB = 262144, /* as the kernel's own rule */
	RAM_PER_RESERVE = 8,
};

static uint64_t min(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

static uint64_t max(uint64_t a, uint64_t b)
{
	return a > b ? a : b;
}

/* Memory is given out in powers of 2. */
static uint64_t power_of_2_kib(uint64_t bytes)
{
	uint64_t kib = 1;

	while (kib * 1024 < bytes)
		kib *= 2;
	return kib;
}

/* Linear copies of the packets of one connection, for a card that cannot send from pages. */
static uint64_t copies_kib(const struct nic *nic, uint64_t queue_kib)
{
	uint64_t queue_bytes = min(queue_kib, SMALL_QUEUE_MAX_KIB) * 1024;
	uint64_t payload_bytes;

	if (nic->has_scatter_gather || nic->mtu_bytes <= HEADERS_BYTES)
		return 0;
	payload_bytes = nic->mtu_bytes - HEADERS_BYTES;
	return (queue_bytes + payload_bytes - 1) / payload_bytes *
	       power_of_2_kib(nic->mtu_bytes + COPY_OVERHEAD_BYTES);
}

static uint64_t connection_kib(const struct nic *nic, uint64_t send_kib, uint64_t receive_kib)
{
	uint64_t queue_kib = send_kib + SEND_EXCESS_KIB + 2 * FRAGMENT_KIB;

	return queue_kib + copies_kib(nic, queue_kib) + receive_kib;
}

static uint64_t rings_kib(const struct nic *nic)
{
	return (uint64_t)nic->rx_ring * nic->rx_queues *
	       power_of_2_kib(nic->mtu_bytes + RECEIVE_OVERHEAD_BYTES);
}

static uint64_t cpu_kib(uint64_t ram_kib)
{
	uint64_t batch_pages = min(ram_kib / RAM_PER_BATCH_PAGE_KIB + 1, BATCH_MAX_PAGES);

	return LISTS * batch_pages * PAGE_KIB + SLABS_KIB;
}

uint64_t reserve_rule_buffer_kib(uint64_t ram_kib)
{
	return ram_kib < (uint64_t)BUFFER_MAX_KIB * RAM_PER_BUFFER ? BUFFER_MIN_KIB
								   : BUFFER_MAX_KIB;
}

static uint64_t wanted_kib(const struct reserve_needs *needs)
{
	uint64_t bounded_kib = 2 * reserve_rule_buffer_kib(needs->ram_kib), pinned_kib;

	pinned_kib = needs->bounded * connection_kib(&needs->nic, bounded_kib, bounded_kib) +
		     needs->unbounded * connection_kib(&needs->nic, needs->unbounded_send_kib,
						       needs->unbounded_receive_kib) +
		     needs->cpus * cpu_kib(needs->ram_kib);
	return max(pinned_kib * RESERVE_PER_PINNED + rings_kib(&needs->nic), RESERVE_MIN_KIB);
}

static uint64_t most_kib(const struct reserve_needs *needs)
{
	return min(needs->ram_kib / RAM_PER_RESERVE, RESERVE_MAX_KIB);
}

uint64_t reserve_rule_kib(const struct reserve_needs *needs)
{
	return min(wanted_kib(needs), most_kib(needs));
}

bool reserve_rule_is_capped(const struct reserve_needs *needs)
{
	return wanted_kib(needs) > most_kib(needs);
}
