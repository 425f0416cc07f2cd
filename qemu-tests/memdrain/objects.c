// SPDX-License-Identifier: GPL-2.0-only
/*
 * The third half of memdrain: takes the free objects of the caches that the network allocates
 * from, so that an allocation needs a page. Without this some dozens of GFP_ATOMIC allocations
 * succeed on a drained machine, because a slab that was made before has room. Only while a drain
 * holds, and only when /sys/kernel/memdrain/objects was written 1: socket buffers of both kinds
 * with their small heads, and what a neighbour is made of.
 */
#include <linux/list.h>
#include <linux/skbuff.h>
#include <linux/slab.h>
#include <linux/sysfs.h>

#include "memdrain.h"

/* Neither may it take from the reserve, nor wait: what it gets was free. */
#define GFP_FREE_OBJECT	 (__GFP_NOWARN | __GFP_NOMEMALLOC)
#define OBJECTS_PER_TICK 256
#define MOST_OBJECTS	 16384
#define NEIGHBOUR_BYTES	 512

static struct sk_buff_head buffers;
static LIST_HEAD(neighbours);
static unsigned long held;
static bool wanted;

static bool take_buffer(struct sk_buff *skb)
{
	if (!skb)
		return false;
	__skb_queue_tail(&buffers, skb);
	return true;
}

static bool take_neighbour(void)
{
	struct list_head *object = kmalloc(NEIGHBOUR_BYTES, GFP_FREE_OBJECT);

	if (!object)
		return false;
	list_add(object, &neighbours);
	return true;
}

void objects_take(void)
{
	unsigned long end = min(held + OBJECTS_PER_TICK, (unsigned long)MOST_OBJECTS);

	if (!READ_ONCE(wanted))
		return;
	while (held < end && take_buffer(alloc_skb_fclone(0, GFP_FREE_OBJECT)))
		held++;
	while (held < end && take_buffer(alloc_skb(0, GFP_FREE_OBJECT)))
		held++;
	while (held < end && take_neighbour())
		held++;
}

bool objects_give(void)
{
	unsigned long count;
	struct list_head *object;

	for (count = 0; held && count < OBJECTS_PER_TICK; count++, held--) {
		if (!skb_queue_empty(&buffers)) {
			consume_skb(__skb_dequeue(&buffers));
			continue;
		}
		object = neighbours.next;
		list_del(object);
		kfree(object);
	}
	return !held;
}

static ssize_t objects_show(struct kobject *kobj, struct kobj_attribute *attr, char *text)
{
	return sysfs_emit(text, "%lu\n", READ_ONCE(held));
}

static ssize_t objects_store(struct kobject *kobj, struct kobj_attribute *attr, const char *text,
			     size_t size)
{
	bool value;
	int err = kstrtobool(text, &value);

	if (err)
		return err;
	WRITE_ONCE(wanted, value);
	return size;
}

struct kobj_attribute objects_attribute = __ATTR_RW(objects);

void objects_init(void)
{
	__skb_queue_head_init(&buffers);
}
