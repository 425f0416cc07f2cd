// SPDX-License-Identifier: GPL-2.0-only
/*
 * memdrain: makes "no memory" a state. Takes free pages, the reserves included, until only so many
 * are left, keeps it so while pages are freed and used, and gives all back: when told, when its
 * time is over, or when it is unloaded. For tests alone.
 *
 *   /sys/kernel/memdrain/drain    write "PAGES SECONDS": returns when only PAGES are free;
 *                                 "PAGES SECONDS highatomic" has the kernel make such a block
 *   /sys/kernel/memdrain/release  write anything: returns when all pages are given back
 *   /sys/kernel/memdrain/report   what the drain that runs, or the last one, has seen
 *   /sys/kernel/memdrain/places   what the lack of memory did, by place: places.c
 *   /sys/kernel/memdrain/objects  write 1: take free objects of the network's caches too: objects.c
 *   /sys/kernel/memdrain/workers  write 1: leave no kernel worker free either: workers.c
 *
 * One timer on each CPU does everything in its softirq, so that neither user space nor a kernel
 * thread has to run for the drain to hold or to end. The pages hang on one list by page->lru:
 * nothing is allocated but the pages themselves.
 *
 * What counts as free are the free lists of the buddy allocator, as the watermarks count them, but
 * not MIGRATE_HIGHATOMIC where the kernel does not let an allocation with __GFP_MEMALLOC have it.
 * The lists of each CPU (zone->per_cpu_pageset) do not count, so they are emptied in every tick:
 * their pages go back to the free lists, and what is then too much is taken. For both the tick
 * holds the locks of its CPU's lists: the allocator only tries them, and then passes those lists
 * by.
 */
#define pr_fmt(fmt) "memdrain: " fmt

#include <linux/bitops.h>
#include <linux/cpu.h>
#include <linux/cpumask.h>
#include <linux/gfp.h>
#include <linux/hrtimer.h>
#include <linux/kobject.h>
#include <linux/list.h>
#include <linux/mm.h>
#include <linux/mmzone.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/notifier.h>
#include <linux/oom.h>
#include <linux/sched.h>
#include <linux/spinlock.h>
#include <linux/string.h>
#include <linux/sysfs.h>
#include <linux/vmstat.h>
#include <linux/wait.h>

#include "memdrain.h"

#define TICK_NS		   (1 * NSEC_PER_MSEC)
#define PAGES_PER_TICK	   4096
#define LARGEST_ORDER	   8
#define REACHED_TIMEOUT_MS 20000
#define BLOCK_ORDER	   6
#define LONGEST_S	   600
#define OOM_PAUSE_MS	   50

#define MAX_ZONES BITS_PER_LONG

enum state { IDLE, DRAINING, HOLDING, RELEASING };

static const char *const state_name[] = {"idle", "draining", "holding", "releasing"};

static struct {
	spinlock_t lock; /* all below; taken in the softirq of the timers */
	enum state state;
	struct list_head pages;
	unsigned long held_pages;
	unsigned long goal_pages;	/* what shall be left */
	unsigned long highatomic_pages; /* that were made on demand */
	ktime_t start, end;
	unsigned long most_held_pages, lowest_free_pages, highest_free_pages;
	unsigned long retaken_pages; /* taken after the goal was reached */
	unsigned long ooms_held_off;
	unsigned long written_before, written_pages; /* end of writeback, swap included */
} drain = {
	.lock = __SPIN_LOCK_UNLOCKED(drain.lock),
	.pages = LIST_HEAD_INIT(drain.pages),
};

static DEFINE_MUTEX(starting);
static struct cpumask reached;	     /* CPUs that have found the goal reached since the start */
static bool highatomic_out_of_reach; /* seen: an allocation failed although pages were left */
static unsigned long refused_pages;  /* how many were left then */
static struct page *block;	     /* what make_highatomic() shall make so */
static struct zone *zones[MAX_ZONES];
static unsigned int zone_count;
static DECLARE_WAIT_QUEUE_HEAD(state_changed);
static DEFINE_PER_CPU(struct hrtimer, timer);
static struct kobject *directory;

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
		list_add(&page[i].lru, &drain.pages);
	drain.held_pages += 1UL << order;
	return true;
}

static void give_one(void)
{
	struct page *page = list_first_entry(&drain.pages, struct page, lru);

	list_del(&page->lru);
	__free_page(page);
	drain.held_pages--;
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
	unsigned long before = drain.held_pages;
	unsigned int i;

	for (i = 0; i < count; i++) {
		while (!list_empty(&lists->lists[i]) &&
		       drain.held_pages - before < PAGES_PER_TICK) {
			if (!take(gfp_of_list(zone, i % MIGRATE_PCPTYPES), i / MIGRATE_PCPTYPES))
				break;
		}
	}
	return drain.held_pages - before;
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
	if (highatomic_out_of_reach && !refused_pages)
		refused_pages = left;
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
		drain.highatomic_pages += highatomic_pages(zones[i]);
}

/*
 * Takes from the free lists what is above the goal; false when that is too much for one tick.
 * Blocks down to the min watermark, then pages, because blocks below it would become HIGHATOMIC.
 */
static bool take_excess(void)
{
	unsigned long before = drain.held_pages;
	unsigned int order = LARGEST_ORDER;
	unsigned long left;

	while ((left = reachable_pages()) > drain.goal_pages) {
		if (drain.held_pages - before >= PAGES_PER_TICK)
			return false;
		if (left - drain.goal_pages >= 1UL << order &&
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
	while (pages-- && drain.held_pages && reachable_pages() < drain.goal_pages)
		give_one();
}

/* Brings the free lists to the goal; false when that takes more than one tick. */
static bool reach_goal(void)
{
	unsigned long before = drain.held_pages;
	unsigned long emptied = empty_lists();
	unsigned long locked = lock_lists();
	bool counted_all = !highatomic_out_of_reach;
	bool reached_goal;

	drain.highest_free_pages = max(drain.highest_free_pages, reachable_pages());
	reached_goal = take_excess();
	if (counted_all && highatomic_out_of_reach)
		emptied += drain.goal_pages; /* of what counts now, nothing was left */
	if (reached_goal)
		give_missing(emptied);
	unlock_lists(locked);
	drain.lowest_free_pages = min(drain.lowest_free_pages, reachable_pages());
	drain.most_held_pages = max(drain.most_held_pages, drain.held_pages);
	drain.retaken_pages += drain.held_pages - min(before, drain.held_pages);
	return reached_goal;
}

static void set_state(enum state state)
{
	drain.state = state;
	wake_up_all(&state_changed);
}

static void let_go(const char *why)
{
	drain.end = ktime_get();
	drain.written_pages = global_node_page_state(NR_WRITTEN) - drain.written_before;
	set_state(RELEASING);
	workers_give();
	pr_info("%s after %lld ms: %lu pages held, %lu to %lu free, %lu taken again, %lu written\n",
		why, ktime_ms_delta(drain.end, drain.start), drain.held_pages,
		drain.lowest_free_pages, drain.highest_free_pages, drain.retaken_pages,
		drain.written_pages);
	places_print();
}

static void give_pages(void)
{
	unsigned long pages;

	for (pages = 0; drain.held_pages && pages < PAGES_PER_TICK; pages++)
		give_one();
	if (block) {
		__free_pages(block, BLOCK_ORDER);
		block = NULL;
	}
	if (objects_give() && !drain.held_pages)
		set_state(IDLE);
}

static enum hrtimer_restart tick(struct hrtimer *timer)
{
	enum state state;

	spin_lock(&drain.lock);
	switch (drain.state) {
	case DRAINING:
		if (reach_goal())
			cpumask_set_cpu(smp_processor_id(), &reached);
		if (cpumask_subset(cpu_online_mask, &reached)) {
			drain.highest_free_pages = 0;
			drain.retaken_pages = 0;
			workers_take();
			set_state(HOLDING);
			pr_info("holding: %lu pages are left\n", drain.goal_pages);
		}
		break;
	case HOLDING:
		if (ktime_after(ktime_get(), drain.end))
			let_go("time is over");
		else
			reach_goal();
		objects_take();
		break;
	case RELEASING:
		give_pages();
		break;
	case IDLE:
		break;
	}
	state = drain.state;
	spin_unlock(&drain.lock);
	if (state == IDLE)
		return HRTIMER_NORESTART;
	hrtimer_forward_now(timer, ns_to_ktime(TICK_NS));
	return HRTIMER_RESTART;
}

static void start_timer(void *unused)
{
	hrtimer_start(this_cpu_ptr(&timer), ns_to_ktime(TICK_NS), HRTIMER_MODE_REL_PINNED_SOFT);
}

/*
 * Sets a goal, also another one while a drain holds; the time starts anew. A timer that has not
 * yet seen the end of the last drain is waited for: it must not be started while it runs.
 */
static int start_drain(unsigned long goal_pages, unsigned int hold_s)
{
	bool stopped;
	int cpu, err = 0;

	mutex_lock(&starting);
	spin_lock_bh(&drain.lock);
	stopped = drain.state == IDLE;
	if (drain.state == RELEASING) {
		err = -EBUSY;
	} else {
		drain.goal_pages = goal_pages;
		drain.highatomic_pages = 0;
		cpumask_clear(&reached);
		drain.start = ktime_get();
		drain.end = ktime_add_ms(drain.start, hold_s * MSEC_PER_SEC);
		drain.most_held_pages = 0;
		drain.ooms_held_off = 0;
		drain.lowest_free_pages = ULONG_MAX;
		drain.written_before = global_node_page_state(NR_WRITTEN);
		set_state(DRAINING);
	}
	spin_unlock_bh(&drain.lock);
	if (!err && stopped) {
		for_each_possible_cpu(cpu)
			hrtimer_cancel(per_cpu_ptr(&timer, cpu));
		on_each_cpu(start_timer, NULL, 1);
	}
	mutex_unlock(&starting);
	return err;
}

static void start_release(const char *why)
{
	spin_lock_bh(&drain.lock);
	if (drain.state == DRAINING || drain.state == HOLDING)
		let_go(why);
	spin_unlock_bh(&drain.lock);
}

static ssize_t drain_store(struct kobject *kobj, struct kobj_attribute *attr, const char *text,
			   size_t size)
{
	unsigned long goal_pages;
	char word[16] = "";
	unsigned int hold_s;
	long left;
	int err;

	if (sscanf(text, "%lu %u %15s", &goal_pages, &hold_s, word) < 2 || !hold_s ||
	    hold_s > LONGEST_S || (*word && strcmp(word, "highatomic"))) {
		pr_err("drain: \"%.40s\": not PAGES SECONDS [highatomic], at most %u s\n", text,
		       LONGEST_S);
		return -EINVAL;
	}
	if (*word && !block)
		block = alloc_pages(GFP_KERNEL, BLOCK_ORDER);
	err = start_drain(goal_pages, hold_s);
	if (err)
		return err;
	left = wait_event_killable_timeout(state_changed, READ_ONCE(drain.state) != DRAINING,
					   msecs_to_jiffies(REACHED_TIMEOUT_MS));
	if (left > 0)
		return size;
	start_release("goal not reached");
	return left ? left : -ETIMEDOUT;
}

static ssize_t release_store(struct kobject *kobj, struct kobj_attribute *attr, const char *text,
			     size_t size)
{
	int err;

	start_release("told to let go");
	err = wait_event_killable(state_changed, READ_ONCE(drain.state) == IDLE);
	return err ? err : size;
}

static const struct {
	const char *name;
	const unsigned long *value;
} numbers[] = {
	{"goal_pages", &drain.goal_pages},
	{"held_pages", &drain.held_pages},
	{"most_held_pages", &drain.most_held_pages},
	{"lowest_free_pages", &drain.lowest_free_pages},
	{"highest_free_pages", &drain.highest_free_pages},
	{"retaken_pages", &drain.retaken_pages},
	{"written_pages", &drain.written_pages},
	{"ooms_held_off", &drain.ooms_held_off},
	{"refused_pages", &refused_pages},
	{"highatomic_pages", &drain.highatomic_pages},
};

static ssize_t report_show(struct kobject *kobj, struct kobj_attribute *attr, char *text)
{
	ssize_t size;
	int i;

	spin_lock_bh(&drain.lock);
	size = sysfs_emit(text, "state %s\nduration_ms %lld\n", state_name[drain.state],
			  ktime_ms_delta(drain.end, drain.start));
	for (i = 0; i < ARRAY_SIZE(numbers); i++)
		size += sysfs_emit_at(text, size, "%s %lu\n", numbers[i].name, *numbers[i].value);
	spin_unlock_bh(&drain.lock);
	return size;
}

/*
 * The memory is here: nobody is to be killed for it. Who asks goes on when the drain is over, and
 * till then only every now and then, so that not all processor time goes into asking.
 */
static int on_oom(struct notifier_block *block, unsigned long unused, void *freed_pages)
{
	bool held_off;

	spin_lock_bh(&drain.lock);
	held_off = drain.state != IDLE;
	if (held_off)
		drain.ooms_held_off++;
	spin_unlock_bh(&drain.lock);
	if (held_off) {
		*(unsigned long *)freed_pages += 1;
		schedule_timeout_uninterruptible(msecs_to_jiffies(OOM_PAUSE_MS));
	}
	return NOTIFY_OK;
}

static struct notifier_block oom_block = {.notifier_call = on_oom};

/* A shell that has it open can write when there is no memory for the buffer of a write. */
static struct kobj_attribute drain_attribute = __ATTR_PREALLOC(drain, 0200, NULL, drain_store);
/* Who has it open needs no memory to write to it. */
static struct kobj_attribute release_attribute =
	__ATTR_PREALLOC(release, 0200, NULL, release_store);
static struct kobj_attribute report_attribute = __ATTR_RO(report);

static const struct attribute *const attributes[] = {
	&drain_attribute.attr,
	&release_attribute.attr,
	&report_attribute.attr,
	&places_attribute.attr,
	&objects_attribute.attr,
	&workers_attribute.attr,
	NULL,
};

static int __init find_zones(void)
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

static int __init memdrain_init(void)
{
	int cpu, err;

	err = find_zones();
	if (err)
		return err;

	for_each_possible_cpu(cpu) {
		hrtimer_init(per_cpu_ptr(&timer, cpu), CLOCK_MONOTONIC,
			     HRTIMER_MODE_REL_PINNED_SOFT);
		per_cpu_ptr(&timer, cpu)->function = tick;
	}
	objects_init();
	workers_init();
	directory = kobject_create_and_add("memdrain", kernel_kobj);
	if (!directory)
		return -ENOMEM;
	err = register_oom_notifier(&oom_block);
	if (err)
		goto err_directory;
	err = places_start();
	if (err)
		goto err_oom;
	err = sysfs_create_files(directory, attributes);
	if (err)
		goto err_places;
	return 0;

err_places:
	places_stop();
err_oom:
	unregister_oom_notifier(&oom_block);
err_directory:
	kobject_put(directory);
	return err;
}

static void __exit memdrain_exit(void)
{
	int cpu;

	sysfs_remove_files(directory, attributes);
	kobject_put(directory);
	start_release("unloaded");
	wait_event(state_changed, READ_ONCE(drain.state) == IDLE);
	workers_end();
	unregister_oom_notifier(&oom_block);
	places_stop();
	for_each_possible_cpu(cpu)
		hrtimer_cancel(per_cpu_ptr(&timer, cpu));
}

module_init(memdrain_init);
module_exit(memdrain_exit);
MODULE_DESCRIPTION("Takes all free memory but a few pages and holds it, for tests");
MODULE_LICENSE("GPL");
