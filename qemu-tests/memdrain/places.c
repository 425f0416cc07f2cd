// SPDX-License-Identifier: GPL-2.0-only
/*
 * The second half of memdrain: counts what the lack of memory did, by place. From trace points
 * come allocations and dropped packets, out comes a table with a line "KIND PLACE COUNT" for each:
 *
 *   dropped    a packet of a SOCK_MEMALLOC socket was dropped (kfree_skb), by the function that did
 *   failed     an allocation of one page failed (mm_page_alloc), by the first function of the call
 *              chain that belongs neither to mm, slab nor the allocators of socket buffers
 *   failed-N   the same for 2^N pages, where the caller has no fallback of a smaller order
 *   reserve-N  2^N pages (N > 0) came from the reserve: free memory was below the watermarks
 *
 * Attempts with __GFP_NORETRY for more than one page count as failed nowhere: page fragments and
 * kvmalloc() make them first and then ask for less. Nor do those with __GFP_NOMEMALLOC: they are
 * told to leave the reserve alone, and kmalloc_reserve() for one asks again when it may have it.
 */
#define pr_fmt(fmt) "memdrain: " fmt

#include <linux/gfp.h>
#include <linux/kallsyms.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/skbuff.h>
#include <linux/spinlock.h>
#include <linux/stacktrace.h>
#include <linux/string.h>
#include <linux/sysfs.h>
#include <linux/tracepoint.h>
#include <net/sock.h>
#include <trace/events/kmem.h>
#include <trace/events/skb.h>

#include "memdrain.h"

#define PLACES	      48
#define CHAIN_ENTRIES 32

enum kind { DROPPED, FAILED, RESERVE };

static const char *const kind_name[] = {"dropped", "failed", "reserve"};

struct place {
	enum kind kind;
	unsigned int order;
	unsigned long address;
	unsigned long count;
};

static DEFINE_RAW_SPINLOCK(lock); /* the table; taken in any context but NMI */
static struct place places[PLACES];
static unsigned int used;
static unsigned long not_counted; /* for want of a free line */

static struct tracepoint *page_alloc_point, *kfree_skb_point;

/* Prefixes of the functions that allocate on behalf of others. */
static const char *const allocators[] = {
	"__alloc_pages",
	"alloc_pages",
	"__alloc_frozen",
	"alloc_frozen",
	"__folio_alloc",
	"folio_alloc",
	"vma_alloc_folio",
	"__get_free_page",
	"get_free_page",
	"get_zeroed_page",
	"__page_frag",
	"page_frag_alloc",
	"alloc_slab_page",
	"allocate_slab",
	"new_slab",
	"__slab_alloc",
	"___slab_alloc",
	"slab_alloc",
	"kmem_cache_alloc",
	"__kmem_cache_alloc",
	"kmalloc",
	"__kmalloc",
	"___kmalloc",
	"__do_kmalloc",
	"kvmalloc",
	"__kvmalloc",
	"krealloc",
	"mempool_alloc",
	"__alloc_skb",
	"alloc_skb",
	"__build_skb",
	"build_skb",
	"napi_build_skb",
	"__netdev_alloc",
	"netdev_alloc",
	"__napi_alloc",
	"napi_alloc",
	"napi_skb_cache",
	"skb_page_frag_refill",
	"sk_page_frag_refill",
	"sock_alloc_send",
	"sock_wmalloc",
	"tcp_stream_alloc_skb",
	"sk_stream_alloc_skb",
	"skb_clone",
	"skb_copy",
	"__skb_copy",
	"__pskb_copy",
	"skb_ensure_writable",
	"skb_realloc_headroom",
	"skb_expand_head",
	"skb_cow",
	"skb_unclone",
	"__skb_unclone",
	"pskb_expand_head",
	"__pskb_pull_tail",
	"skb_segment",
	"skb_mac_gso_segment",
	"__skb_gso_segment",
	"inet_gso_segment",
	"ipv6_gso_segment",
	"tcp_gso_segment",
	"tcp4_gso_segment",
	"tcp6_gso_segment",
	"__skb_ext",
};

static bool is_allocator(unsigned long address)
{
	char name[KSYM_SYMBOL_LEN];
	unsigned int i;

	sprint_symbol_no_offset(name, address);
	for (i = 0; i < ARRAY_SIZE(allocators); i++) {
		if (str_has_prefix(name, allocators[i]))
			return true;
	}
	return false;
}

/* The caller that wanted memory; 0 for this module's own attempts. */
static unsigned long calling_place(void)
{
	unsigned long chain[CHAIN_ENTRIES];
	unsigned int i, entries = stack_trace_save(chain, ARRAY_SIZE(chain), 0);
	bool in_allocator = false;

	for (i = 0; i < entries; i++) {
		if (is_allocator(chain[i]))
			in_allocator = true;
		else if (in_allocator)
			return within_module(chain[i], THIS_MODULE) ? 0 : chain[i];
	}
	return 0;
}

static void count(enum kind kind, unsigned int order, unsigned long address)
{
	unsigned long flags;
	unsigned int i;

	raw_spin_lock_irqsave(&lock, flags);
	for (i = 0; i < used; i++) {
		if (places[i].kind == kind && places[i].order == order &&
		    places[i].address == address)
			break;
	}
	if (i < used)
		places[i].count++;
	else if (used < PLACES)
		places[used++] = (struct place){kind, order, address, 1};
	else
		not_counted++;
	raw_spin_unlock_irqrestore(&lock, flags);
}

static void on_page_alloc(void *unused, struct page *page, unsigned int order, gfp_t gfp,
			  int migratetype)
{
	unsigned long address;

	if (page && (!order || !page_is_pfmemalloc(page)))
		return;
	if (!page && ((gfp & __GFP_NOMEMALLOC) || (order && (gfp & __GFP_NORETRY))))
		return;
	address = calling_place();
	if (address)
		count(page ? RESERVE : FAILED, order, address);
}

static void count_packet(const struct sock *sk, void *location)
{
	if (sk && sk_fullsock(sk) && sock_flag(sk, SOCK_MEMALLOC))
		count(DROPPED, 0, (unsigned long)location);
}

#ifdef KFREE_SKB_HAS_SOCK
static void on_kfree_skb(void *unused, struct sk_buff *skb, void *location,
			 enum skb_drop_reason reason, struct sock *rx_sk)
{
	count_packet(skb->sk ? skb->sk : rx_sk, location);
}
#else
static void on_kfree_skb(void *unused, struct sk_buff *skb, void *location,
			 enum skb_drop_reason reason)
{
	count_packet(skb->sk, location);
}
#endif

static ssize_t places_show(struct kobject *kobj, struct kobj_attribute *attr, char *text)
{
	ssize_t size = 0;
	unsigned int i;

	for (i = 0; i < READ_ONCE(used) && size < PAGE_SIZE - KSYM_NAME_LEN / 4; i++) {
		size += sysfs_emit_at(text, size, "%s", kind_name[places[i].kind]);
		if (places[i].order)
			size += sysfs_emit_at(text, size, "-%u", places[i].order);
		size += sysfs_emit_at(text, size, " %ps %lu\n", (void *)places[i].address,
				      places[i].count);
	}
	if (not_counted || i < used)
		size += sysfs_emit_at(text, size, "not-shown - %lu\n", not_counted + used - i);
	return size;
}

void places_print(void)
{
	unsigned int i;

	for (i = 0; i < READ_ONCE(used); i++) {
		pr_info("%s order %u at %ps: %lu\n", kind_name[places[i].kind], places[i].order,
			(void *)places[i].address, places[i].count);
	}
}

static ssize_t places_store(struct kobject *kobj, struct kobj_attribute *attr, const char *text,
			    size_t size)
{
	unsigned long flags;

	raw_spin_lock_irqsave(&lock, flags);
	used = 0;
	not_counted = 0;
	raw_spin_unlock_irqrestore(&lock, flags);
	return size;
}

struct kobj_attribute places_attribute = __ATTR_RW(places);

static void find_point(struct tracepoint *point, void *unused)
{
	if (!strcmp(point->name, "mm_page_alloc"))
		page_alloc_point = point;
	else if (!strcmp(point->name, "kfree_skb"))
		kfree_skb_point = point;
}

int places_start(void)
{
	int err;

	check_trace_callback_type_mm_page_alloc(on_page_alloc);
	check_trace_callback_type_kfree_skb(on_kfree_skb);
	for_each_kernel_tracepoint(find_point, NULL);
	if (!page_alloc_point || !kfree_skb_point)
		return -ENOENT;
	err = tracepoint_probe_register(page_alloc_point, on_page_alloc, NULL);
	if (err)
		return err;
	err = tracepoint_probe_register(kfree_skb_point, on_kfree_skb, NULL);
	if (err)
		tracepoint_probe_unregister(page_alloc_point, on_page_alloc, NULL);
	return err;
}

void places_stop(void)
{
	tracepoint_probe_unregister(kfree_skb_point, on_kfree_skb, NULL);
	tracepoint_probe_unregister(page_alloc_point, on_page_alloc, NULL);
	tracepoint_synchronize_unregister();
}
