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
#include "server/layer.h"
#include "server/machine-file.h"

static int open_folder(struct export *section, const char *path, char *why, size_t why_size)
{
	section->folder_fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (section->folder_fd < 0) {
		int error = errno;

		snprintf(why, why_size, "cannot open the directory %s: %s", path, strerror(error));
		return -error;
	}
	if (faccessat(section->folder_fd, ".", W_OK, 0) < 0) {
		snprintf(why, why_size, "cannot make files in the directory %s: %s", path,
			 strerror(errno));
		return -EACCES;
	}
	return 0;
}

int per_client_open(struct export *section, char *why, size_t why_size)
{
	int r;

	if (section->set.per_client == PER_CLIENT_SWAP) {
		section->size_bytes = section->set.size_bytes;
		return open_folder(section, section->set.path, why, why_size);
	}
	r = export_open_file(section, why, why_size);
	return r < 0 ? r : open_folder(section, section->set.cow_dir, why, why_size);
}

static int open_swap(struct export *machine, char *why, size_t why_size)
{
	struct export *section = machine->section;
	struct stat st;
	int r = swap_file_open(section->folder_fd, &machine->set, machine->identity, &machine->fd,
			       why, why_size);

	if (r < 0)
		return r;
	if (fstat(machine->fd, &st) < 0)
		return -errno;
	machine->size_bytes = (uint64_t)st.st_size;
	return export_probe(machine, why, why_size);
}

/* So that its layer finds the image when that is replaced by a new one. */
static void keep_image(const struct export *machine, const struct layer_image *image)
{
	struct export *section = machine->section;
	int r = layer_keep_image(section->folder_fd, image);

	if (r < 0 && !atomic_exchange(&section->cannot_keep, true))
		log_line("export \"%s\": %s cannot be kept for its layers when it is replaced: "
			 "no link in %s: %s",
			 machine->set.name, machine->set.path, machine->set.cow_dir, strerror(-r));
}

static int open_layer(struct export *machine, char *why, size_t why_size)
{
	struct export *section = machine->section;
	struct layer_limits limits = {machine->set.size_bytes, machine->set.quota_bytes};
	struct layer_image image;
	/* Of our own, since a reload may give that of the section to another image. */
	int r, fd = fcntl(section->fd, F_DUPFD_CLOEXEC, 0);

	if (fd < 0)
		return -errno;
	r = layer_image_of(fd, &image);
	if (r < 0) {
		close(fd);
		return r;
	}
	keep_image(machine, &image);
	r = layer_open(section->folder_fd, machine->identity, &image, &limits, &machine->layer, why,
		       why_size);
	close(fd);
	if (r < 0)
		return r;
	machine->size_bytes = layer_size_bytes(machine->layer);
	machine->cannot_read_cached = true;
	snprintf(machine->generation, sizeof(machine->generation), "%s",
		 layer_generation(machine->layer));
	return 0;
}

static machine_file_remover *remover_of(const struct export *section)
{
	return section->set.per_client == PER_CLIENT_SWAP ? swap_file_remove : layer_remove;
}

static int open_machine(struct storage_job *job)
{
	struct export *machine = job->export;
	char why[WHY_BYTES] = "";
	int r = 0;

	if (machine->set.keep == KEEP_BOOT)
		r = machine_file_begin_boot(machine->section->folder_fd, machine->identity,
					    machine->boot, remover_of(machine->section), why,
					    sizeof(why));
	if (!r)
		r = machine->set.per_client == PER_CLIENT_SWAP
			    ? open_swap(machine, why, sizeof(why))
			    : open_layer(machine, why, sizeof(why));
	if (r < 0)
		machine->open_why = strdup(why[0] ? why : strerror(-r));
	return r;
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
	set.allow = NULL; /* of the section, which names come through */
	set.cow_dir = section->set.cow_dir ? strdup(section->set.cow_dir) : NULL;
	if (!set.name || !set.path || (section->set.description && !set.description) ||
	    (section->set.cow_dir && !set.cow_dir))
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
		      const char *boot, void (*opened)(void *arg), void *arg)
{
	struct export *machine = make_machine(section, identity);

	if (!machine)
		return -ENOMEM;
	snprintf(machine->boot, sizeof(machine->boot), "%s", boot ?: "");
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
		    const char *boot, void (*opened)(void *arg), void *arg, struct export **ret,
		    char *why, size_t why_size)
{
	struct export *machine = find_open(section, identity);

	if (!machine) {
		snprintf(why, why_size, "the server is out of memory");
		return begin_open(section, storage, identity, boot, opened, arg);
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

static void touch(struct export *machine)
{
	if (machine->layer)
		layer_touch(machine->layer);
	else if (machine->fd >= 0)
		export_touch(machine->fd);
}

/* What was not flushed is lost when the host stops, unless the layer says that it is there. */
static int close_machine(struct storage_job *job)
{
	struct export *machine = job->export;

	touch(machine);
	return machine->layer ? export_flush(machine) : 0;
}

static void unlink_machine(struct export *machine)
{
	struct export **place = &machine->section->machines;

	while (*place != machine)
		place = &(*place)->next_machine;
	*place = machine->next_machine;
}

static void machine_closed(struct storage_job *job)
{
	struct export *machine = job->export;
	void (*opened)(void *arg) = machine->opened;
	void *arg = machine->opened_arg;

	if (job->result < 0) {
		log_line("export \"%s\": cannot be flushed: %s", machine->set.name,
			 strerror(-job->result));
		machine->is_ready = true; /* and its flush_error with it */
	} else {
		unlink_machine(machine);
		export_close(machine);
	}
	opened(arg); /* whoever came meanwhile */
}

/* A flush that failed is remembered for as long as the server runs. */
static bool is_unused(const struct export *machine)
{
	return machine->is_ready && TAILQ_EMPTY(&machine->attached) &&
	       !atomic_load(&machine->flush_error);
}

void per_client_sweep(struct export *section, struct storage *storage)
{
	struct export *machine, *next;

	for (machine = section->machines; machine; machine = next) {
		next = machine->next_machine;
		if (!is_unused(machine))
			continue;
		if (machine->open_error) {
			unlink_machine(machine);
			export_close(machine);
			continue;
		}
		machine->is_ready = false;
		machine->open_job.call = close_machine;
		machine->open_job.done = machine_closed;
		storage_submit(storage, &machine->open_job);
	}
}

static int expire_files(struct storage_job *job)
{
	const struct export *section = job->export;
	time_t before_s = section->expire_before_s;

	return machine_file_expire(section->folder_fd,
				   section->set.per_client == PER_CLIENT_SWAP ? SWAP_SUFFIX
									      : LAYER_SUFFIX,
				   remover_of(section), before_s);
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
		if (machine->is_ready)
			touch(machine);
	}
	section->is_expiring = true;
	section->expire_before_s = time(NULL) - (time_t)section->set.expire_s;
	section->open_job = (struct storage_job){
		.op = STORAGE_CALL,
		.call = expire_files,
		.export = section,
		.done = files_expired,
	};
	storage_submit(storage, &section->open_job);
}
