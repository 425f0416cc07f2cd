// SPDX-License-Identifier: GPL-2.0-only
/*
 * No worker is free: when a drain holds, works that only wait are queued to the worker pools of
 * each CPU and to the unbound one, and more of them than threads that can still be created. What
 * is queued after them on a workqueue without a rescuer does not run until the drain lets go. Only
 * when /sys/kernel/memdrain/workers was written 1.
 */
#include <linux/cpumask.h>
#include <linux/percpu.h>
#include <linux/sysfs.h>
#include <linux/wait.h>
#include <linux/workqueue.h>

#include "memdrain.h"

#define WORKS 64

static DEFINE_PER_CPU(struct work_struct[WORKS], works_of_cpu);
static struct work_struct unbound_works[WORKS];
static DECLARE_WAIT_QUEUE_HEAD(let_go);
static bool wanted, occupied;

static void occupy(struct work_struct *work)
{
	wait_event_idle(let_go, !READ_ONCE(occupied));
}

void workers_take(void)
{
	int cpu, i;

	if (!READ_ONCE(wanted))
		return;
	WRITE_ONCE(occupied, true);
	for (i = 0; i < WORKS; i++) {
		for_each_online_cpu(cpu)
			queue_work_on(cpu, system_wq, &per_cpu(works_of_cpu, cpu)[i]);
		queue_work(system_unbound_wq, &unbound_works[i]);
	}
}

void workers_give(void)
{
	WRITE_ONCE(occupied, false);
	wake_up_all(&let_go);
}

static ssize_t workers_show(struct kobject *kobj, struct kobj_attribute *attr, char *text)
{
	return sysfs_emit(text, "%d\n", READ_ONCE(occupied));
}

static ssize_t workers_store(struct kobject *kobj, struct kobj_attribute *attr, const char *text,
			     size_t size)
{
	bool value;
	int err = kstrtobool(text, &value);

	if (err)
		return err;
	WRITE_ONCE(wanted, value);
	return size;
}

struct kobj_attribute workers_attribute = __ATTR_RW(workers);

void workers_init(void)
{
	int cpu, i;

	for (i = 0; i < WORKS; i++) {
		for_each_possible_cpu(cpu)
			INIT_WORK(&per_cpu(works_of_cpu, cpu)[i], occupy);
		INIT_WORK(&unbound_works[i], occupy);
	}
}

void workers_end(void)
{
	int cpu, i;

	workers_give();
	for (i = 0; i < WORKS; i++) {
		for_each_possible_cpu(cpu)
			cancel_work_sync(&per_cpu(works_of_cpu, cpu)[i]);
		cancel_work_sync(&unbound_works[i]);
	}
}
