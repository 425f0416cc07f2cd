// SPDX-License-Identifier: GPL-2.0-only
/*
 * The third half of memdrain: takes the free objects of the caches that the network allocates
 * from, so that an allocation needs a page. Without this some dozens of GFP_ATOMIC allocations
 * succeed on a drained machine, because a slab that was made before has room. Only while a drain
 * holds, and only when /sys/kernel/memdrain/objects was written 1: socket buffers of both kinds
 * with their small heads, what a neighbour is made of, and what a connect() takes: the buckets of
 * its local port, and a route.
 */
#include <linux/in.h>
#include <linux/list.h>
#include <linux/skbuff.h>
#include <linux/slab.h>
#include <linux/sysfs.h>
#include <net/inet_hashtables.h>
#include <net/route.h>

#include "memdrain.h"

/* Neither may it take from the reserve, nor wait: what it gets was free. */
#define GFP_FREE_OBJECT	 (__GFP_NOWARN | __GFP_NOMEMALLOC)
#define OBJECTS_PER_TICK 256
#define MOST_OBJECTS	 16384
#define NEIGHBOUR_BYTES	 512

static struct sk_buff_head buffers;
static LIST_HEAD(neighbours);
static struct {
	struct kmem_cache *cache; /* of objects that are larger than a list_head, or NULL */
	struct list_head objects;
} of_connect[3]; /* buckets, buckets by address, routes */
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

static bool take_of_connect(unsigned int i)
{
	struct kmem_cache *cache = of_connect[i].cache;
	struct list_head *object = cache ? kmem_cache_alloc(cache, GFP_FREE_OBJECT) : NULL;

	if (!object)
		return false;
	list_add(object, &of_connect[i].objects);
	return true;
}

static bool give_of_connect(void)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(of_connect); i++) {
		struct list_head *object = of_connect[i].objects.next;

		if (list_empty(&of_connect[i].objects))
			continue;
		list_del(object);
		kmem_cache_free(of_connect[i].cache, object);
		return true;
	}
	return false;
}

/* Routes have no cache with a name: one of them has to tell. */
static void find_caches(void)
{
	const struct inet_hashinfo *tables = init_net.ipv4.tcp_death_row.hashinfo;
	struct flowi4 loopback = {.daddr = htonl(INADDR_LOOPBACK)};
	struct rtable *route;

	of_connect[0].cache = tables->bind_bucket_cachep;
	of_connect[1].cache = tables->bind2_bucket_cachep;
	route = ip_route_output_key(&init_net, &loopback);
	if (IS_ERR(route))
		return;
	of_connect[2].cache = route->dst.ops->kmem_cachep;
	ip_rt_put(route);
}

void objects_take(void)
{
	unsigned int i;
	unsigned long end = min(held + OBJECTS_PER_TICK, (unsigned long)MOST_OBJECTS);

	if (!READ_ONCE(wanted))
		return;
	while (held < end && take_buffer(alloc_skb_fclone(0, GFP_FREE_OBJECT)))
		held++;
	while (held < end && take_buffer(alloc_skb(0, GFP_FREE_OBJECT)))
		held++;
	while (held < end && take_neighbour())
		held++;
	for (i = 0; i < ARRAY_SIZE(of_connect); i++) {
		while (held < end && take_of_connect(i))
			held++;
	}
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
		if (give_of_connect())
			continue;
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
	if (value)
		find_caches();
	WRITE_ONCE(wanted, value);
	return size;
}

struct kobj_attribute objects_attribute = __ATTR_RW(objects);

void objects_init(void)
{
	unsigned int i;

	__skb_queue_head_init(&buffers);
	for (i = 0; i < ARRAY_SIZE(of_connect); i++)
		INIT_LIST_HEAD(&of_connect[i].objects);
}
