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
 * thread has to run for the drain to hold or to end. This is its life; pages.c takes and gives.
 */
#define pr_fmt(fmt) "memdrain: " fmt

#include <linux/cpu.h>
#include <linux/cpumask.h>
#include <linux/hrtimer.h>
#include <linux/kobject.h>
#include <linux/mm.h>
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
#define REACHED_TIMEOUT_MS 20000
#define LONGEST_S	   600
#define OOM_PAUSE_MS	   50

enum state { IDLE, DRAINING, HOLDING, RELEASING };

static const char *const state_name[] = {"idle", "draining", "holding", "releasing"};

static struct {
	spinlock_t lock; /* all below; taken in the softirq of the timers */
	enum state state;
	ktime_t start, end;
	unsigned long ooms_held_off;
	unsigned long written_before, written_pages; /* end of writeback, swap included */
} drain = {
	.lock = __SPIN_LOCK_UNLOCKED(drain.lock),
};

static DEFINE_MUTEX(starting);
static struct cpumask reached; /* CPUs that have found the goal reached since the start */
static DECLARE_WAIT_QUEUE_HEAD(state_changed);
static DEFINE_PER_CPU(struct hrtimer, timer);
static struct kobject *directory;

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
		why, ktime_ms_delta(drain.end, drain.start), counts.held_pages,
		counts.lowest_free_pages, counts.highest_free_pages, counts.retaken_pages,
		drain.written_pages);
	places_print();
}

static enum hrtimer_restart tick(struct hrtimer *timer)
{
	enum state state;

	spin_lock(&drain.lock);
	switch (drain.state) {
	case DRAINING:
		if (pages_reach_goal())
			cpumask_set_cpu(smp_processor_id(), &reached);
		if (cpumask_subset(cpu_online_mask, &reached)) {
			pages_reached();
			workers_take();
			set_state(HOLDING);
			pr_info("holding: %lu pages are left\n", counts.goal_pages);
		}
		break;
	case HOLDING:
		if (ktime_after(ktime_get(), drain.end))
			let_go("time is over");
		else
			pages_reach_goal();
		objects_take();
		if (!smp_processor_id())
			receivers_look();
		break;
	case RELEASING:
		if (pages_give() & objects_give())
			set_state(IDLE);
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
		pages_begin(goal_pages);
		cpumask_clear(&reached);
		drain.start = ktime_get();
		drain.end = ktime_add_ms(drain.start, hold_s * MSEC_PER_SEC);
		drain.ooms_held_off = 0;
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
	err = *word ? pages_keep_block() : 0;
	if (!err)
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
	{"goal_pages", &counts.goal_pages},
	{"held_pages", &counts.held_pages},
	{"most_held_pages", &counts.most_held_pages},
	{"lowest_free_pages", &counts.lowest_free_pages},
	{"highest_free_pages", &counts.highest_free_pages},
	{"retaken_pages", &counts.retaken_pages},
	{"written_pages", &drain.written_pages},
	{"ooms_held_off", &drain.ooms_held_off},
	{"refused_pages", &counts.refused_pages},
	{"highatomic_pages", &counts.highatomic_pages},
	{"reception_off_ms", &reception_off_ms},
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

static int __init memdrain_init(void)
{
	int cpu, err;

	err = pages_init();
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
