// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Flushes of one export, from all of its connections. One fdatasync() runs at a
 * time, for two reasons: flushes that arrive meanwhile share the next one, and
 * the kernel reports a lost write to one caller alone, so that two at once could
 * tell one client success about data that the other was told is lost.
 */
#include "server/export.h"

static void flush_done(struct storage_job *job);

static void start(struct export *export)
{
	export->flush_served = export->flush_waiting;
	export->flush_waiting = NULL;
	export->flush_job = (struct storage_job){
		.op = STORAGE_FLUSH,
		.export = export,
		.done = flush_done,
	};
	storage_submit(export->storage, &export->flush_job);
}

static void flush_done(struct storage_job *job)
{
	struct export *export = job->export;
	struct storage_job *served = export->flush_served;

	export->flush_served = NULL;
	while (served) {
		struct storage_job *next = served->next;

		served->result = job->result;
		served->done(served);
		served = next;
	}
	if (export->flush_waiting && !export->flush_served)
		start(export);
}

void flush_submit(struct storage *storage, struct storage_job *job)
{
	struct export *export = job->export;

	export->storage = storage;
	job->next = export->flush_waiting;
	export->flush_waiting = job;
	if (!export->flush_served)
		start(export);
}
