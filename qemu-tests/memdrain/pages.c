// SPDX-License-Identifier: GPL-2.0-only
/*
 * The pages of memdrain: brings the free lists to a goal, tick by tick, by taking what is above it
 * and giving back what is missing. The pages hang on one list by page->lru: nothing is allocated
 * but the pages themselves.
 *
 * What counts as free are the free lists of the buddy allocator, as the watermarks count them, but
 * not MIGRATE_HIGHATOMIC where the kernel does not let an allocation with __GFP_MEMALLOC have it.
 * The lists of each CPU (zone->per_cpu_pageset) do not count, so they are emptied in every tick:
 * their pages go back to the free lists, and what is then too much is taken. For both the tick
 * holds the locks of its CPU's lists: the allocator only tries them, and then passes those lists
 * by.
 */
#include <linux/bitops.h>
#include <linux/gfp.h>
#include <linux/list.h>
#include <linux/mm.h>
#include <linux/mmzone.h>
#include <linux/spinlock.h>
#include <linux/vmstat.h>

#include "memdrain.h"

#define PAGES_PER_TICK 4096
#define LARGEST_ORDER  8
#define BLOCK_ORDER    6
#define MAX_ZONES      BITS_PER_LONG

struct page_counts counts;
static LIST_HEAD(held);
static bool highatomic_out_of_reach; /* seen: an allocation failed although pages were left */
static struct page *block;	     /* what make_highatomic() shall make so */
static struct zone *zones[MAX_ZONES];
static unsigned int zone_count;

static unsigned long highatomic_pages(struct zone *zone)
{
	unsigned long flags, pages = 0;
	struct list_head *at;
	unsigned int order;

	spin_lock_irqsave(&zone->lock, flags);
	for (order = 0; order < ARRAY_SIZE(zone->free_area); order++) {
		list_for_each(at, &zone->free_area[order].free_list[MIGRATE_HIGHATOMIC])
			pages += 1UL << order;
	}
	spin_unlock_irqrestore(&zone->lock, flags);
	return pages;
}

static unsigned long reachable_pages(void)
{
	unsigned long pages = 0;
	unsigned int i;

	for (i = 0; i < zone_count; i++) {
		pages += zone_page_state_snapshot(zones[i], NR_FREE_PAGES);
		if (highatomic_out_of_reach && READ_ONCE(zones[i]->nr_reserved_highatomic))
			pages -= min(pages, highatomic_pages(zones[i]));
	}
	return pages;
}

static bool take(gfp_t gfp, unsigned int order)
{
	struct page *page = alloc_pages(gfp | __GFP_NOWARN, order);
	unsigned int i;

	if (!page)
		return false;
	split_page(page, order);
	for (i = 0; i < 1U << order; i++)
		list_add(&page[i].lru, &held);
	counts.held_pages += 1UL << order;
	return true;
}

static void give_one(void)
{
	struct page *page = list_first_entry(&held, struct page, lru);

	list_del(&page->lru);
	__free_page(page);
	counts.held_pages--;
}

/* What makes an allocation look into this list of this zone first. */
static gfp_t gfp_of_list(struct zone *zone, unsigned int migratetype)
{
	gfp_t gfp = __GFP_HIGH | __GFP_MEMALLOC;

	if (zone_idx(zone) == ZONE_DMA)
		gfp |= __GFP_DMA;
	else if (zone_idx(zone) == ZONE_DMA32)
		gfp |= __GFP_DMA32;
	if (migratetype == MIGRATE_MOVABLE)
		gfp |= __GFP_MOVABLE;
	else if (migratetype == MIGRATE_RECLAIMABLE)
		gfp |= __GFP_RECLAIMABLE;
	return gfp;
}

/* Below what any allocation without __GFP_MEMALLOC may take: it is refused by the watermarks. */
static bool is_below_watermarks(void)
{
	unsigned long pages = 0;
	unsigned int i;

	for (i = 0; i < zone_count; i++)
		pages += min_wmark_pages(zones[i]) / 4;
	return reachable_pages() < pages;
}

/*
 * Takes what lies on the lists of this CPU, and returns how many pages these were. Blocks of pages
 * only when the watermarks refuse them at first: else the kernel makes a block HIGHATOMIC.
 */
static unsigned long empty_lists_of_zone(struct zone *zone)
{
	struct per_cpu_pages *lists = this_cpu_ptr(zone->per_cpu_pageset);
	unsigned int count = is_below_watermarks() ? NR_LOWORDER_PCP_LISTS : MIGRATE_PCPTYPES;
	unsigned long before = counts.held_pages;
	unsigned int i;

	for (i = 0; i < count; i++) {
		while (!list_empty(&lists->lists[i]) &&
		       counts.held_pages - before < PAGES_PER_TICK) {
			if (!take(gfp_of_list(zone, i % MIGRATE_PCPTYPES), i / MIGRATE_PCPTYPES))
				break;
		}
	}
	return counts.held_pages - before;
}

static unsigned long empty_lists(void)
{
	unsigned long pages = 0;
	unsigned int i;

	for (i = 0; i < zone_count; i++)
		pages += empty_lists_of_zone(zones[i]);
	return pages;
}

/* From here the allocator of this CPU works on the free lists alone; returns which were locked. */
static unsigned long lock_lists(void)
{
	unsigned long locked = 0;
	unsigned int i;

	for (i = 0; i < zone_count; i++) {
		if (spin_trylock(&this_cpu_ptr(zones[i]->per_cpu_pageset)->lock))
			__set_bit(i, &locked);
	}
	return locked;
}

static void unlock_lists(unsigned long locked)
{
	unsigned int i;

	for_each_set_bit(i, &locked, zone_count)
		spin_unlock(&this_cpu_ptr(zones[i]->per_cpu_pageset)->lock);
}

/*
 * A page was refused although so many are left. If there are pages of MIGRATE_HIGHATOMIC, then
 * this kernel does not let __GFP_MEMALLOC have them, and they do not count from now on. If there
 * are none, another CPU was faster.
 */
static void note_refusal(unsigned long left)
{
	unsigned int i;

	for (i = 0; i < zone_count && !highatomic_out_of_reach; i++)
		highatomic_out_of_reach = highatomic_pages(zones[i]);
	if (highatomic_out_of_reach && !counts.refused_pages)
		counts.refused_pages = left;
}

/*
 * An atomic allocation of more than one page that succeeds below the low watermark makes its
 * pageblock HIGHATOMIC: here a part of a block that was kept for this, so that it can succeed.
 */
static void make_highatomic(void)
{
	struct page *page;
	unsigned int i;

	__free_pages(block, BLOCK_ORDER);
	block = NULL;
	page = alloc_pages(GFP_ATOMIC | __GFP_NOWARN, BLOCK_ORDER - 1);
	if (page)
		__free_pages(page, BLOCK_ORDER - 1);
	for (i = 0; i < zone_count; i++)
		counts.highatomic_pages += highatomic_pages(zones[i]);
}

/*
 * Takes from the free lists what is above the goal; false when that is too much for one tick.
 * Blocks down to the min watermark, then pages, because blocks below it would become HIGHATOMIC.
 */
static bool take_excess(void)
{
	unsigned long before = counts.held_pages;
	unsigned int order = LARGEST_ORDER;
	unsigned long left;

	while ((left = reachable_pages()) > counts.goal_pages) {
		if (counts.held_pages - before >= PAGES_PER_TICK)
			return false;
		if (left - counts.goal_pages >= 1UL << order &&
		    take(order ? __GFP_NOMEMALLOC : GFP_ATOMIC | __GFP_MEMALLOC, order))
			continue;
		if (!order) {
			note_refusal(left);
			break;
		}
		order--;
		if (!order && block)
			make_highatomic();
	}
	return true;
}

/* Gives back what came from the CPU's lists as long as the free lists are below the goal. */
static void give_missing(unsigned long pages)
{
	while (pages-- && counts.held_pages && reachable_pages() < counts.goal_pages)
		give_one();
}

bool pages_reach_goal(void)
{
	unsigned long before = counts.held_pages;
	unsigned long emptied = empty_lists();
	unsigned long locked = lock_lists();
	bool counted_all = !highatomic_out_of_reach;
	bool reached_goal;

	counts.highest_free_pages = max(counts.highest_free_pages, reachable_pages());
	reached_goal = take_excess();
	if (counted_all && highatomic_out_of_reach)
		emptied += counts.goal_pages; /* of what counts now, nothing was left */
	if (reached_goal)
		give_missing(emptied);
	unlock_lists(locked);
	counts.lowest_free_pages = min(counts.lowest_free_pages, reachable_pages());
	counts.most_held_pages = max(counts.most_held_pages, counts.held_pages);
	counts.retaken_pages += counts.held_pages - min(before, counts.held_pages);
	return reached_goal;
}

int __init pages_init(void)
{
	struct zone *zone;
	int node;

	for_each_online_node(node) {
		for (zone = NODE_DATA(node)->node_zones;
		     zone < NODE_DATA(node)->node_zones + MAX_NR_ZONES; zone++) {
			if (!populated_zone(zone))
				continue;
			if (zone_count == MAX_ZONES)
				return -E2BIG;
			zones[zone_count++] = zone;
		}
	}
	return 0;
}

int pages_keep_block(void)
{
	if (!block)
		block = alloc_pages(GFP_KERNEL, BLOCK_ORDER);
	return block ? 0 : -ENOMEM;
}

void pages_begin(unsigned long goal_pages)
{
	counts.goal_pages = goal_pages;
	counts.highatomic_pages = 0;
	counts.most_held_pages = 0;
	counts.lowest_free_pages = ULONG_MAX;
}

void pages_reached(void)
{
	counts.highest_free_pages = 0;
	counts.retaken_pages = 0;
}

bool pages_give(void)
{
	unsigned long pages;

	for (pages = 0; counts.held_pages && pages < PAGES_PER_TICK; pages++)
		give_one();
	if (block) {
		__free_pages(block, BLOCK_ORDER);
		block = NULL;
	}
	return !counts.held_pages;
}
