/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * -status: what the supervisors say of their devices in /run, a line each, or a
 * JSON array for programs. Reads what is there, asks nobody, and so never waits
 * for a server.
 */
#include "client-static/supervise.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "client-static/boot.h"
#include "common/log.h"

enum {
	DEVICES_MAX = 256,
	SECTOR_BYTES = 512, /* of /sys/block/nbdN/stat, whatever the device's blocks are */
};

struct devices {
	size_t count;
	uint32_t indexes[DEVICES_MAX];
};

/* One device as it is shown. */
struct report {
	const struct supervision *s;
	const char *state;
	uint64_t since_s;
	uint64_t read_bytes, written_bytes;
};

static int note_device(int dir_fd, const char *name, void *data)
{
	struct devices *devices = data;
	struct failure why;
	size_t at = devices->count;
	uint32_t index;

	(void)dir_fd;
	if (names_parse(name, &index, &why) || devices->count == DEVICES_MAX)
		return 0;
	for (; at > 0 && devices->indexes[at - 1] > index; at--)
		devices->indexes[at] = devices->indexes[at - 1];
	devices->indexes[at] = index;
	devices->count++;
	return 0;
}

static void read_bytes(uint32_t index, struct report *report)
{
	char path[64], text[256], *at = text;
	uint64_t sectors[7] = {0};

	snprintf(path, sizeof(path), "/sys/block/nbd%u/stat", index);
	if (system_read(path, text, sizeof(text)))
		return;
	for (size_t i = 0; i < sizeof(sectors) / sizeof(*sectors); i++)
		sectors[i] = strtoull(at, &at, 10);
	report->read_bytes = sectors[2] * SECTOR_BYTES;
	report->written_bytes = sectors[6] * SECTOR_BYTES;
}

static struct report make_report(const struct supervision *s)
{
	struct report report = {.s = s, .state = "connected"};
	struct timespec now;

	clock_gettime(CLOCK_BOOTTIME, &now);
	report.since_s = (uint64_t)now.tv_sec - s->since_ms / 1000;
	if (s->state == SUPERVISE_DETACHED)
		report.state = "detached";
	else if (!state_is_alive(s))
		report.state = "unsupervised";
	else if (s->state == SUPERVISE_LOST)
		report.state = "reconnecting";
	read_bytes(s->job.device_index, &report);
	return report;
}

static void add_json(struct report_text *text, const struct report *report)
{
	const struct supervision *s = report->s;

	report_add(text, "{\"device\": \"/dev/nb%u\", ", s->job.device_index);
	report_add_quoted(text, "server", s->addresses.items[s->address].text);
	report_add(text, ", ");
	report_add_quoted(text, "export", s->job.target.export_name);
	report_add(text,
		   ", \"state\": \"%s\", \"since_s\": %llu, \"reconnects\": %u, \"pid\": %u, "
		   "\"size_bytes\": %llu, \"read_bytes\": %llu, \"written_bytes\": %llu, ",
		   report->state, (unsigned long long)report->since_s, s->reconnects, s->pid,
		   (unsigned long long)s->export.size_bytes, (unsigned long long)report->read_bytes,
		   (unsigned long long)report->written_bytes);
	report_add(text, "\"reconnects_by\": \"%s\", ", s->by_driver ? "driver" : "process");
	report_add_quoted(text, "last_error", s->last_error);
	report_add(text, "}");
}

static void add_line(struct report_text *text, const struct report *report)
{
	const struct supervision *s = report->s;

	report_add(text, "/dev/nb%u: %s for %llu s: %s export \"", s->job.device_index,
		   report->state, (unsigned long long)report->since_s,
		   s->addresses.items[s->address].text);
	report_add_plain(text, s->job.target.export_name);
	report_add(text, "\", reconnects %u%s, process %u, %llu bytes read, %llu written%s",
		   s->reconnects, s->by_driver ? " by the driver" : "", s->pid,
		   (unsigned long long)report->read_bytes,
		   (unsigned long long)report->written_bytes,
		   *s->last_error ? "; last error: " : "");
	report_add_plain(text, s->last_error);
	report_add(text, "\n");
}

/* Writes the report of one device; false when it is none of ours. */
static bool print_device(uint32_t index, bool as_json, bool is_first)
{
	struct supervision s;
	struct report_text text;
	struct report report;

	if (state_read(index, &s))
		return false;
	text.used = 0;
	report = make_report(&s);
	if (as_json && !is_first)
		report_add(&text, ",\n");
	if (as_json)
		add_json(&text, &report);
	else
		add_line(&text, &report);
	return write(STDOUT_FILENO, text.bytes, text.used) == (ssize_t)text.used;
}

static void print_json_edge(bool as_json, const char *edge)
{
	if (as_json && write(STDOUT_FILENO, edge, strlen(edge)) < 0) {
		/* nobody is left to be told */
	}
}

int status_run(bool as_json)
{
	struct devices devices = {0};
	bool is_first = true;
	char path[256];
	int fd;

	snprintf(path, sizeof(path), "%s" STATE_FOLDER, system_root);
	fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0 && errno != ENOENT) {
		log_line("%s: %s", path, strerror(errno));
		return EXIT_PERMANENT;
	}
	if (fd >= 0) {
		directory_each(fd, note_device, &devices);
		close(fd);
	}
	print_json_edge(as_json, "[");
	for (size_t i = 0; i < devices.count; i++)
		is_first &= !print_device(devices.indexes[i], as_json, is_first);
	print_json_edge(as_json, "]\n");
	return 0;
}
