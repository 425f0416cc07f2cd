/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * -doctor: is this machine swap-safe, and at which level? Reads /proc, /sys and
 * what the supervisors left in /run, and changes nothing. Each check is a
 * function that adds findings; the rules behind them are in docs/swap-safety.md.
 */
#include "client-static/supervise.h"

#include <errno.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
	DEVICES_MAX = 256,
	LOCKED_MAX_KIB = 400,
	REQUEST_MAX_KIB = 128,	      /* of a swap device, see reserve.c */
	BOOST_FACTOR_DEFAULT = 15000, /* the kernel's own */
	MTU_USUAL_BYTES = 1500,
	DEAD_TIMEOUT_MIN_S = 3600, /* a server that is mended within an hour loses nothing */
};

enum verdict { VERDICT_OK, VERDICT_NOTE, VERDICT_WARN, VERDICT_FAIL };

struct diagnosis {
	bool as_json;
	bool is_first;
	uint32_t fails;
	bool has_foreign_driver; /* from outside the kernel tree */
	bool is_sized_by_kernel;
};

static void print(const struct report_text *text)
{
	if (write(STDOUT_FILENO, text->bytes, text->used) < 0) {
		/* nobody is left to be told */
	}
}

/* One finding; mend is "" when there is nothing to do. */
__attribute__((format(printf, 5, 6))) static void found(struct diagnosis *d, enum verdict verdict,
							const char *check, const char *mend,
							const char *format, ...)
{
	static const char *const words[] = {"ok", "note", "warn", "FAIL"};
	struct report_text text = {.used = 0};
	char what[512];
	va_list args;

	va_start(args, format);
	vsnprintf(what, sizeof(what), format, args);
	va_end(args);
	d->fails += verdict == VERDICT_FAIL;
	if (d->as_json) {
		report_add(&text, "%s{", d->is_first ? "" : ",\n  ");
		report_add_quoted(&text, "check", check);
		report_add(&text, ", \"result\": \"%s\", ",
			   verdict == VERDICT_FAIL ? "fail" : words[verdict]);
		report_add_quoted(&text, "text", what);
		report_add(&text, ", ");
		report_add_quoted(&text, "mend", mend);
		report_add(&text, "}");
	} else {
		report_add(&text, "%-4s %s: ", words[verdict], check);
		report_add_plain(&text, what);
		report_add(&text, "%s%s\n", *mend ? "; " : "", mend);
	}
	d->is_first = false;
	print(&text);
}

static bool exists(const char *path)
{
	char full[PATH_MAX];

	snprintf(full, sizeof(full), "%s%s", system_root, path);
	return access(full, F_OK) == 0;
}

static void check_driver(struct diagnosis *d)
{
	char taint[16];

	if (!exists("/sys/module/nbd") && !exists("/sys/block/nbd0")) {
		found(d, VERDICT_FAIL, "driver", "modprobe nbd", "the kernel has no nbd driver");
		return;
	}
	d->has_foreign_driver = system_read("/sys/module/nbd/taint", taint, sizeof(taint)) == 0 &&
				strchr(taint, 'O');
	found(d, VERDICT_OK, "driver", "", "%s",
	      d->has_foreign_driver ? "nbd, from outside the kernel tree"
				    : "nbd, the kernel's own");
}

/* The card that leads to the server of the first device; all zero when none is attached. */
static int find_nic(struct nic *ret)
{
	int err = -ENOENT, fd;

	*ret = (struct nic){0};
	for (uint32_t index = 0; err && index < DEVICES_MAX; index++) {
		struct supervision s;
		const struct address *address;

		if (state_read(index, &s) || !state_is_alive(&s))
			continue;
		address = &s.addresses.items[s.address];
		fd = socket(address->storage.ss_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
		if (fd < 0)
			return -errno;
		err = connect(fd, (const struct sockaddr *)&address->storage, address->length) < 0
			      ? -errno
			      : nic_of_socket(fd, ret);
		close(fd);
	}
	return err;
}

static void read_driver_name(const char *interface, char *ret, size_t size)
{
	char path[PATH_MAX], target[PATH_MAX], *slash;
	ssize_t n;

	snprintf(path, sizeof(path), "%s/sys/class/net/%s/device/driver", system_root, interface);
	n = readlink(path, target, sizeof(target) - 1);
	target[n > 0 ? n : 0] = '\0';
	slash = strrchr(target, '/');
	snprintf(ret, size, "%.31s", slash ? slash + 1 : "unknown");
}

static void check_card(struct diagnosis *d, struct nic *nic)
{
	/* Those that the scenarios swap over, see docs/swap-safety.md. */
	static const char *const tested[] = {"virtio_net", "e1000", "vmxnet3", "8139cp"};
	char driver[32];
	bool is_tested = false;

	if (find_nic(nic) || !*nic->name) {
		found(d, VERDICT_NOTE, "card", "attach a device first",
		      "no supervised device says which network card counts");
		return;
	}
	read_driver_name(nic->name, driver, sizeof(driver));
	for (size_t i = 0; i < sizeof(tested) / sizeof(*tested); i++)
		is_tested |= !strcmp(driver, tested[i]);
	found(d, is_tested ? VERDICT_OK : VERDICT_NOTE, "card", "", "%s, driver %s%s, ring of %u",
	      nic->name, driver, is_tested ? "" : ", with which nobody has tested this",
	      nic->rx_ring * nic->rx_queues);
	if (nic->mtu_bytes > MTU_USUAL_BYTES)
		found(d, VERDICT_WARN, "mtu", "set it to 1500",
		      "%s has an MTU of %u: each packet needs several pages at once", nic->name,
		      nic->mtu_bytes);
}

static void check_reserve(struct diagnosis *d, const struct nic *nic)
{
	struct reserve_found r;
	char mend[96];
	int err = reserve_inspect(nic, &r);

	if (err) {
		found(d, VERDICT_FAIL, "reserve", "", "cannot be measured: %s", strerror(-err));
		return;
	}
	d->is_sized_by_kernel = r.is_by_kernel;
	if (r.is_by_kernel) {
		found(d, VERDICT_OK, "reserve", "", "the kernel sizes it for its nbd connections");
		return;
	}
	snprintf(mend, sizeof(mend), "sysctl -w vm.min_free_kbytes=%llu",
		 (unsigned long long)r.needed_kib);
	if (r.min_free_kib < r.needed_kib)
		found(d, VERDICT_FAIL, "reserve", mend,
		      "vm.min_free_kbytes is %llu, %llu is needed for %u connections",
		      (unsigned long long)r.min_free_kib, (unsigned long long)r.needed_kib,
		      r.connections);
	else
		found(d, r.is_capped ? VERDICT_WARN : VERDICT_OK, "reserve",
		      r.is_capped ? "give the machine more memory" : "",
		      "vm.min_free_kbytes is %llu, %llu is needed for %u connections%s",
		      (unsigned long long)r.min_free_kib, (unsigned long long)r.needed_kib,
		      r.connections,
		      r.is_capped ? ", which is less than the rule asks for in such a memory" : "");
}

static void check_memory_settings(struct diagnosis *d)
{
	char enabled[8];
	uint64_t number;

	if (!system_read_number("/proc/sys/vm/watermark_boost_factor", &number) &&
	    number >= BOOST_FACTOR_DEFAULT)
		found(d, VERDICT_WARN, "boost", "sysctl -w vm.watermark_boost_factor=0",
		      "vm.watermark_boost_factor is %llu: a small machine misses the memory that "
		      "it sets aside",
		      (unsigned long long)number);
	if (!system_read("/sys/module/zswap/parameters/enabled", enabled, sizeof(enabled)) &&
	    *enabled == 'Y')
		found(d, VERDICT_NOTE, "zswap", "echo 0 > /sys/module/zswap/parameters/enabled",
		      "zswap is on: it keeps pages in the memory that swap is to free");
}

/* /proc/swaps has a head, then PATH TYPE SIZE USED PRIORITY of each. */
static void check_swaps(struct diagnosis *d)
{
	char text[4096], *rest = text, *row;
	uint32_t remote = 0;

	if (system_read("/proc/swaps", text, sizeof(text)))
		return;
	strsep(&rest, "\n");
	while ((row = strsep(&rest, "\n"))) {
		char path[256], type[32];

		if (sscanf(row, "%255s %31s", path, type) != 2)
			continue;
		if (reserve_is_swap_on(path, 0, DEVICES_MAX - 1)) {
			remote++;
			found(d, VERDICT_OK, "swap", "", "on %s", path);
		} else if (!strcmp(type, "file")) {
			found(d, VERDICT_WARN, "swap", "swap to a device of its own",
			      "on the file %s: a file system stands between it and the network if "
			      "it lies on an nbd device",
			      path);
		} else {
			found(d, VERDICT_NOTE, "swap", "", "also on %s", path);
		}
	}
	if (!remote)
		found(d, VERDICT_NOTE, "swap", "swapon /dev/nb1", "none on an nbd device");
}

/* The number behind label in /proc/PID/status, in KiB; -1: there is none. */
static long read_status_kib(uint32_t pid, const char *label)
{
	char path[48], text[4096];
	const char *at;

	snprintf(path, sizeof(path), "/proc/%u/status", pid);
	if (system_read(path, text, sizeof(text)))
		return -1;
	at = strstr(text, label);
	return at ? strtol(at + strlen(label), NULL, 10) : -1;
}

/* The first page that lies in a file, into ret; a file in memory is /memfd: or below /run. */
static bool has_page_on_disk(uint32_t pid, char *ret, size_t size)
{
	char path[PATH_MAX], row[512];
	bool has = false;
	FILE *maps;

	snprintf(path, sizeof(path), "%s/proc/%u/maps", system_root, pid);
	maps = fopen(path, "re");
	while (!has && maps && fgets(row, sizeof(row), maps)) {
		const char *file = strchr(row, '/');

		has = file && strncmp(file, "/memfd:", 7) != 0 && strncmp(file, "/run/", 5) != 0;
		if (has)
			snprintf(ret, size, "%.*s", (int)strcspn(file, "\n"), file);
	}
	if (maps)
		fclose(maps);
	return has;
}

static void check_lock(struct diagnosis *d, const char *device, uint32_t pid)
{
	long locked_kib = read_status_kib(pid, "VmLck:");
	char file[256], path[48], text[16];

	if (locked_kib <= 0)
		found(d, VERDICT_FAIL, device, "detach it and attach it as root",
		      "process %u that keeps it is not locked in memory", pid);
	else
		found(d, locked_kib <= LOCKED_MAX_KIB ? VERDICT_OK : VERDICT_WARN, device, "",
		      "kept by process %u, %ld KiB locked", pid, locked_kib);
	if (has_page_on_disk(pid, file, sizeof(file)))
		found(d, VERDICT_FAIL, device, "detach it and attach it anew",
		      "process %u that keeps it has pages in %s", pid, file);
	snprintf(path, sizeof(path), "/proc/%u/oom_score_adj", pid);
	if (!system_read(path, text, sizeof(text)) && strcmp(text, "-1000") != 0)
		found(d, VERDICT_FAIL, device, "attach it as root",
		      "the OOM killer may end process %u that keeps it", pid);
}

static void check_job(struct diagnosis *d, const char *device, const struct supervision *s,
		      bool for_swap)
{
	uint64_t dead_timeout_s = s->job.has_dead_timeout ? s->job.dead_timeout_s
							  : attach_dead_timeout_default_s();

	found(d, dead_timeout_s >= DEAD_TIMEOUT_MIN_S ? VERDICT_OK : VERDICT_FAIL, device,
	      dead_timeout_s >= DEAD_TIMEOUT_MIN_S ? "" : "attach it without -dead-timeout",
	      "I/O is held for %llu s without a server", (unsigned long long)dead_timeout_s);
	if (s->job.io_timeout_s)
		found(d, VERDICT_WARN, device, "attach it without -timeout",
		      "a request that takes %llu s costs a connection that stands",
		      (unsigned long long)s->job.io_timeout_s);
	if (for_swap && !s->buffer_bytes)
		found(d, VERDICT_FAIL, device, "attach it with -swap",
		      "the buffers of its connection are not bounded");
	if (for_swap && s->link_count > 1)
		found(d, VERDICT_FAIL, device, "attach it with -swap",
		      "it has %u connections, which keep no order of writes", s->link_count);
	if (s->state == SUPERVISE_LOST)
		found(d, VERDICT_WARN, device, "", "it has no connection now: %s", s->last_error);
}

static void check_queue(struct diagnosis *d, const char *device, uint32_t index)
{
	char path[64], mend[96];
	uint64_t kib;

	snprintf(path, sizeof(path), "/sys/block/nbd%u/queue/max_sectors_kb", index);
	snprintf(mend, sizeof(mend), "echo %d > %s", REQUEST_MAX_KIB, path);
	if (!system_read_number(path, &kib) && kib > REQUEST_MAX_KIB)
		found(d, VERDICT_WARN, device, mend,
		      "a request for swap may have %llu KiB, the reserve is made for %d",
		      (unsigned long long)kib, REQUEST_MAX_KIB);
}

static void check_device(struct diagnosis *d, uint32_t index)
{
	bool for_swap = reserve_swaps_to(index, index);
	struct supervision s;
	char device[24];
	uint64_t pid;

	if (check_attached(index, &pid))
		return;
	snprintf(device, sizeof(device), "/dev/nb%u", index);
	if (state_read(index, &s)) {
		found(d, VERDICT_FAIL, device, "detach it and attach it by this program",
		      "attached by another program: nobody makes a lost connection again");
	} else if (s.by_driver && !state_is_alive(&s)) {
		found(d, VERDICT_WARN, device, "give the same command line again",
		      "has no supervisor: the driver makes a lost connection again, unwatched");
	} else if (s.job.supervision == UNSUPERVISED || !state_is_alive(&s)) {
		found(d, VERDICT_FAIL, device, "give the same command line again",
		      "has no supervisor: a lost connection stays lost");
	} else {
		check_lock(d, device, s.pid);
		check_job(d, device, &s, for_swap);
	}
	if (for_swap)
		check_queue(d, device, index);
}

static const char *level(const struct diagnosis *d)
{
	if (d->fails)
		return "none";
	if (d->is_sized_by_kernel)
		return "L2";
	return d->has_foreign_driver ? "L1" : "L0";
}

static void print_edge(const struct diagnosis *d, bool is_end)
{
	struct report_text text = {.used = 0};

	if (!d->as_json && is_end)
		report_add(&text, "level %s: this machine is %sswap-safe\n", level(d),
			   d->fails ? "NOT " : "");
	else if (d->as_json && is_end)
		report_add(&text, "], \"level\": \"%s\", \"swap_safe\": %s}\n", level(d),
			   d->fails ? "false" : "true");
	else if (d->as_json)
		report_add(&text, "{\"checks\": [\n  ");
	print(&text);
}

int doctor_run(bool as_json)
{
	struct diagnosis d = {.as_json = as_json, .is_first = true};
	struct nic nic;

	print_edge(&d, false);
	check_driver(&d);
	check_card(&d, &nic);
	check_reserve(&d, &nic);
	check_memory_settings(&d);
	check_swaps(&d);
	for (uint32_t index = 0; index < DEVICES_MAX; index++)
		check_device(&d, index);
	print_edge(&d, true);
	return d.fails ? EXIT_PERMANENT : 0;
}
