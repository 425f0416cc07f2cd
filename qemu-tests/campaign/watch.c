// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * swap-watch BLOCK-DEVICE SECONDS: tells a slow swap device from one that has stopped.
 *
 * Every SECONDS it prints how many requests of the device, such as nbd1, were done and how many are
 * in flight (/sys/block/nbd1/stat, Documentation/block/stat.rst). It must work in a machine that
 * has no free page: all of it is locked in memory, it allocates nothing after its first line, and
 * the kernel keeps the buffers of an open file of sysfs and of a terminal.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

struct requests {
	unsigned long long reads, writes, in_flight;
};

/* The counters of an open /sys/block/DEVICE/stat. Returns 0 or -errno. */
static int read_requests(int fd, struct requests *ret)
{
	char text[256];
	ssize_t size = pread(fd, text, sizeof(text) - 1, 0);

	if (size < 0)
		return -errno;
	text[size] = '\0';
	if (sscanf(text, "%llu %*u %*u %*u %llu %*u %*u %*u %llu", &ret->reads, &ret->writes,
		   &ret->in_flight) != 3)
		return -EPROTO;
	return 0;
}

/* The kernel must end another process than this one when it has no memory. */
static int refuse_oom_kill(void)
{
	static const char score[] = "-1000";
	int fd = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);
	int err = 0;

	if (fd < 0)
		return -errno;
	if (write(fd, score, strlen(score)) < 0)
		err = -errno;
	close(fd);
	return err;
}

static int watch(int fd, long interval_s)
{
	struct timespec now, next;
	struct requests done;
	int err;

	clock_gettime(CLOCK_MONOTONIC, &next);
	for (;;) {
		err = read_requests(fd, &done);
		if (err)
			return err;
		clock_gettime(CLOCK_MONOTONIC, &now);
		dprintf(STDOUT_FILENO, "watch: %lld s: %llu requests done, %llu in flight\n",
			(long long)now.tv_sec, done.reads + done.writes, done.in_flight);
		next.tv_sec += interval_s;
		while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &next, NULL) == EINTR)
			;
	}
}

static int fail(const char *subject, int err)
{
	fprintf(stderr, "swap-watch: %s: %s\n", subject, strerror(-err));
	return 111;
}

int main(int argc, char **argv)
{
	char path[64];
	long interval_s = argc == 3 ? strtol(argv[2], NULL, 10) : 0;
	int fd, err;

	if (interval_s < 1) {
		fprintf(stderr, "usage: swap-watch BLOCK-DEVICE SECONDS, such as nbd1 3\n");
		return 100;
	}
	snprintf(path, sizeof(path), "/sys/block/%s/stat", argv[1]);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return fail(path, -errno);
	err = refuse_oom_kill();
	if (err)
		return fail("/proc/self/oom_score_adj", err);
	if (mlockall(MCL_CURRENT | MCL_FUTURE))
		return fail("mlockall", -errno);
	return fail(path, watch(fd, interval_s));
}
