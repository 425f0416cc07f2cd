/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef MEMDRAIN_H
#define MEMDRAIN_H

#include <linux/kobject.h>

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

#endif
