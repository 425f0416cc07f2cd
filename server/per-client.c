// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A section that has an export of its own for each machine: an identity enters,
 * the machine's export leaves. It is opened at its first use, on a storage thread,
 * shared by all connections that the machine may have, and closed when the last
 * of them is gone. Everything but the opening runs on the loop's thread.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "common/log.h"
#include "server/export.h"
#include "server/machine-file.h"

int per_client_open(struct export *section, char *why, size_t why_size)
{
	section->fd = open(section->set.path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (section->fd < 0) {
		int error = errno;

		snprintf(why, why_size, "cannot open the directory: %s", strerror(error));
		return -error;
	}
	if (faccessat(section->fd, ".", W_OK, 0) < 0) {
		snprintf(why, why_size, "cannot make files in the directory: %s", strerror(errno));
		return -EACCES;
	}
	section->size_bytes = section->set.size_bytes;
	return 0;
}

static int open_machine(struct storage_job *job)
{
	struct export *machine = job->export, *section = machine->section;
	char why[WHY_BYTES] = "";
	struct stat st;
	int r = swap_file_open(section->fd, &section->set, machine->identity, &machine->fd, why,
			       sizeof(why));

	if (!r && fstat(machine->fd, &st) < 0)
		r = -errno;
	if (r < 0) {
		machine->open_why = strdup(why);
		return r;
	}
	machine->size_bytes = (uint64_t)st.st_size;
	export_probe(machine);
	return 0;
}

static void machine_opened(struct storage_job *job)
{
	struct export *machine = job->export;

	machine->is_ready = true;
	machine->open_error = job->result;
	machine->opened(machine->opened_arg);
}

/* NAME/IDENTITY, for the section NAME/"*" and for the section NAME. */
static char *name_of(const struct export *section, const char *identity)
{
	const char *name = section->set.name;
	char *result;
	int length = (int)strlen(name) - (section->any_identity ? 2 : 0);

	return asprintf(&result, "%.*s/%s", length, name, identity) < 0 ? NULL : result;
}

static struct export *make_machine(struct export *section, const char *identity)
{
	struct export_settings set = section->set;
	struct export *machine;

	set.name = name_of(section, identity);
	set.path = strdup(section->set.path);
	set.description = section->set.description ? strdup(section->set.description) : NULL;
	if (!set.name || !set.path || (section->set.description && !set.description))
		goto err_settings;
	machine = export_make(&set);
	if (!machine)
		goto err_settings;
	machine->any_identity = false;
	machine->section = section;
	machine->identity = strdup(identity);
	if (machine->identity)
		return machine;
	export_close(machine);
	return NULL;
err_settings:
	export_settings_free(&set);
	return NULL;
}

static struct export *find_open(const struct export *section, const char *identity)
{
	struct export *machine = section->machines;

	while (machine && strcmp(machine->identity, identity) != 0)
		machine = machine->next_machine;
	return machine;
}

static int begin_open(struct export *section, struct storage *storage, const char *identity,
		      void (*opened)(void *arg), void *arg)
{
	struct export *machine = make_machine(section, identity);

	if (!machine)
		return -ENOMEM;
	machine->opened = opened;
	machine->opened_arg = arg;
	machine->next_machine = section->machines;
	section->machines = machine;
	machine->open_job = (struct storage_job){
		.op = STORAGE_CALL,
		.call = open_machine,
		.export = machine,
		.done = machine_opened,
	};
	storage_submit(storage, &machine->open_job);
	return -EAGAIN;
}

int per_client_find(struct export *section, struct storage *storage, const char *identity,
		    void (*opened)(void *arg), void *arg, struct export **ret, char *why,
		    size_t why_size)
{
	struct export *machine = find_open(section, identity);

	if (!machine) {
		snprintf(why, why_size, "the server is out of memory");
		return begin_open(section, storage, identity, opened, arg);
	}
	if (!machine->is_ready)
		return -EAGAIN;
	if (machine->open_error) {
		snprintf(why, why_size, "%s", machine->open_why ?: strerror(-machine->open_error));
		return machine->open_error == -EAGAIN ? -EIO : machine->open_error;
	}
	*ret = machine;
	return 0;
}

/* A flush that failed is remembered for as long as the server runs. */
static bool is_unused(const struct export *machine)
{
	return machine->is_ready && TAILQ_EMPTY(&machine->attached) &&
	       !atomic_load(&machine->flush_error);
}

void per_client_sweep(struct export *section)
{
	struct export **place = &section->machines;

	while (*place) {
		struct export *machine = *place;

		if (!is_unused(machine)) {
			place = &machine->next_machine;
			continue;
		}
		*place = machine->next_machine;
		if (machine->fd >= 0)
			export_touch(machine->fd);
		export_close(machine);
	}
}

static int expire_files(struct storage_job *job)
{
	const struct export *section = job->export;

	return machine_file_expire(section->fd, SWAP_SUFFIX,
				   time(NULL) - (time_t)section->set.expire_s);
}

static void files_expired(struct storage_job *job)
{
	struct export *section = job->export;

	section->is_expiring = false;
	if (job->result < 0)
		log_line("export \"%s\": cannot look for unused files: %s", section->set.name,
			 strerror(-job->result));
}

void per_client_expire(struct export *section, struct storage *storage)
{
	if (!section->set.expire_s || section->is_expiring)
		return;
	for (struct export *machine = section->machines; machine; machine = machine->next_machine) {
		if (machine->is_ready && machine->fd >= 0)
			export_touch(machine->fd);
	}
	section->is_expiring = true;
	section->open_job = (struct storage_job){
		.op = STORAGE_CALL,
		.call = expire_files,
		.export = section,
		.done = files_expired,
	};
	storage_submit(storage, &section->open_job);
}
