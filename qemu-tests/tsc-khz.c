// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * tsc-khz: the frequency of this machine's time stamp counter, in kHz, measured over a tenth of a
 * second against CLOCK_MONOTONIC; nothing where there is none. A guest under TCG has the host's
 * counter, and measures it wrongly when the host is busy while it boots.
 */
#include <stdint.h>
#include <stdio.h>
#include <time.h>

#if defined(__x86_64__) || defined(__i386__)
enum {
	MEASURE_NS = 100000000,
	TRIES = 20,
};

static int64_t monotonic_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * INT64_C(1000000000) + now.tv_nsec;
}

static uint64_t ticks_now(void)
{
	uint32_t low, high;

	__asm__ volatile("rdtsc" : "=a"(low), "=d"(high));
	return (uint64_t)high << 32 | low;
}

/*
 * Both clocks at one moment: of several tries the one that took the fewest ticks, as this process
 * was not interrupted between its halves.
 */
static void read_both(int64_t *ns, uint64_t *ticks)
{
	uint64_t shortest = UINT64_MAX;

	for (int i = 0; i < TRIES; i++) {
		uint64_t before = ticks_now();
		int64_t now_ns = monotonic_ns();
		uint64_t after = ticks_now();

		if (after - before >= shortest)
			continue;
		shortest = after - before;
		*ns = now_ns;
		*ticks = before + shortest / 2;
	}
}

int main(void)
{
	struct timespec pause = {.tv_nsec = MEASURE_NS};
	int64_t start_ns, end_ns;
	uint64_t start, end;

	read_both(&start_ns, &start);
	nanosleep(&pause, NULL);
	read_both(&end_ns, &end);
	printf("%llu\n",
	       (unsigned long long)((end - start) * 1000000 / (uint64_t)(end_ns - start_ns)));
	return 0;
}
#else
int main(void)
{
	return 0;
}
#endif
