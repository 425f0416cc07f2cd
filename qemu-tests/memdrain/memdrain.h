/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef MEMDRAIN_H
#define MEMDRAIN_H

#include <linux/kobject.h>

/* What is taken, and what was seen of the free lists since the drain began. See pages.c. */
struct page_counts {
	unsigned long goal_pages; /* what shall be left */
	unsigned long held_pages, most_held_pages;
	unsigned long lowest_free_pages, highest_free_pages;
	unsigned long retaken_pages;	/* taken after the goal was reached */
	unsigned long refused_pages;	/* left when an allocation failed all the same */
	unsigned long highatomic_pages; /* that were made on demand */
};

extern struct page_counts counts;

/* Finds the zones. 0, or -E2BIG when they are more than expected. */
int pages_init(void);

/*
 * Keeps a block that the drain to come has the kernel make MIGRATE_HIGHATOMIC. May sleep.
 * 0 or -ENOMEM.
 */
int pages_keep_block(void);

/* Under the lock of the drain: a goal is set; all CPUs have found it reached. */
void pages_begin(unsigned long goal_pages);
void pages_reached(void);

/*
 * In a tick, under the lock of the drain. reach_goal brings the free lists to the goal and give
 * gives back; false when it takes more than this tick.
 */
bool pages_reach_goal(void);
bool pages_give(void);

/*
 * /sys/kernel/memdrain/places, what memory has failed for since it was written to: see places.c.
 */
extern struct kobj_attribute places_attribute;

/* Starts and ends counting. start returns 0, or -ENOENT when the kernel has no such trace points.
 */
int places_start(void);
void places_stop(void);

/* Prints the table as messages of the kernel, for a guest that says nothing more. Any context. */
void places_print(void);

/*
 * /sys/kernel/memdrain/objects, whether free objects of the network's caches are taken too, and
 * how many are held: see objects.c.
 */
extern struct kobj_attribute objects_attribute;

void objects_init(void);

/* In a tick, under the lock of the drain. give returns true when nothing is held any more. */
void objects_take(void);
bool objects_give(void);

/*
 * /sys/kernel/memdrain/workers, whether a drain leaves no worker free, and whether one does so now:
 * see workers.c.
 */
extern struct kobj_attribute workers_attribute;

void workers_init(void);
void workers_end(void);

/* When a drain holds, and when it lets go. Any context but NMI. */
void workers_take(void);
void workers_give(void);

/*
 * For how long a card that is up did not receive while drains held, since the module was loaded.
 * look is called in each tick of one CPU: see receivers.c.
 */
extern unsigned long reception_off_ms;
void receivers_look(void);

#endif
