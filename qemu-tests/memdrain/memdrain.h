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

#endif
