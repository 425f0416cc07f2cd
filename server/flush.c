// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Flushes of one export, from all of its connections. One fdatasync() runs at a
 * time, for two reasons: flushes that arrive meanwhile share the next one, and
 * the kernel reports a lost write to one caller alone, so that two at once could
 * tell one client success about data that the other was told is lost. Called by
 * storage-pool.c, with the lock that the threads of all loops share.
 */
#include "server/export.h"

static void start(struct export *export)
{
	export->flush_served = export->flush_waiting;
	export->flush_waiting = NULL;
	export->flush_job = (struct storage_job){.op = STORAGE_FLUSH, .export = export};
}

bool flush_begin(struct storage_job *job)
{
	struct export *export = job->export;

	job->next = export->flush_waiting;
	export->flush_waiting = job;
	if (export->flush_served)
		return false;
	start(export);
	return true;
}

bool flush_end(struct export *export, struct storage_job **ret_served)
{
	*ret_served = export->flush_served;
	export->flush_served = NULL;
	if (!export->flush_waiting)
		return false;
	start(export);
	return true;
}
