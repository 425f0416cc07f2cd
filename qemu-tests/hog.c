// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * hog SIZE[K|M|G] SECONDS|fill [SEED]: what swap must survive, and the proof that it did.
 *
 * Fills SIZE of anonymous memory with a random stream that depends on the seed, the page number
 * and the pass that wrote it, so that no page is zero, equal to another or compressible, and an
 * old copy of a page is as wrong as a torn one. Every later pass verifies all pages and rewrites
 * half of them, until SECONDS have gone by. Exits 1 when any page was not what was written.
 * With `fill` it only makes all pages dirty, as fast as it can, and ends.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

enum {
	PAGE_BYTES = 4096,
	PAGE_WORDS = PAGE_BYTES / sizeof(uint64_t),
	PAGES_PER_LOOK = 1024,
	HEARTBEAT_S = 3,
	BAD_PAGES_SHOWN = 10,
};

struct hog {
	uint64_t *words;
	uint64_t pages;
	uint64_t seed;
	uint64_t bad_pages;
	uint64_t peak_swapped_kib;
	time_t next_heartbeat_s;
};

static time_t now_s(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec;
}

/* The number after KEY at the start of a line of a /proc file, 0 when the file has no such line. */
static uint64_t proc_number(const char *path, const char *key)
{
	char line[256];
	uint64_t number = 0;
	FILE *file = fopen(path, "re");

	if (!file)
		return 0;
	while (fgets(line, sizeof(line), file)) {
		if (strncmp(line, key, strlen(key)) == 0) {
			number = strtoull(line + strlen(key), NULL, 10);
			break;
		}
	}
	fclose(file);
	return number;
}

static uint64_t splitmix64(uint64_t *state)
{
	uint64_t z = *state += 0x9e3779b97f4a7c15;

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
	z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
	return z ^ (z >> 31);
}

static uint64_t stream_start(const struct hog *hog, uint64_t page, uint64_t pass)
{
	return hog->seed ^ (page << 24) ^ (pass << 56) ^ pass;
}

/* Pass 0 writes every page; pass N > 0 those whose number has the parity of N. */
static bool is_written_in(uint64_t page, uint64_t pass)
{
	return pass == 0 || page % 2 == pass % 2;
}

/* The pass before this one that wrote the page last. */
static uint64_t last_written(uint64_t page, uint64_t pass)
{
	do
		pass--;
	while (!is_written_in(page, pass));
	return pass;
}

static void fill_page(struct hog *hog, uint64_t page, uint64_t pass)
{
	uint64_t *words = hog->words + page * PAGE_WORDS;
	uint64_t state = stream_start(hog, page, pass);

	for (int i = 0; i < PAGE_WORDS; i++)
		words[i] = splitmix64(&state);
}

static void verify_page(struct hog *hog, uint64_t page, uint64_t pass)
{
	const uint64_t *words = hog->words + page * PAGE_WORDS;
	uint64_t state = stream_start(hog, page, pass);

	for (int i = 0; i < PAGE_WORDS; i++) {
		uint64_t expected = splitmix64(&state);

		if (words[i] == expected)
			continue;
		if (hog->bad_pages++ < BAD_PAGES_SHOWN)
			printf("hog: BAD page %" PRIu64 " byte %zu: wrote %016" PRIx64
			       " in pass %" PRIu64 ", read %016" PRIx64 "\n",
			       page, i * sizeof(*words), expected, pass, words[i]);
		return;
	}
}

/* Notes how much of the hog is on swap now, and says so every HEARTBEAT_S. */
static void heartbeat(struct hog *hog, uint64_t pass, uint64_t page)
{
	uint64_t swapped_kib = proc_number("/proc/self/status", "VmSwap:");

	if (swapped_kib > hog->peak_swapped_kib)
		hog->peak_swapped_kib = swapped_kib;
	if (now_s() < hog->next_heartbeat_s)
		return;
	hog->next_heartbeat_s = now_s() + HEARTBEAT_S;
	printf("hog: pass %" PRIu64 " page %" PRIu64 "/%" PRIu64 ": %" PRIu64
	       " KiB swapped, %" PRIu64 " bad pages\n",
	       pass, page, hog->pages, swapped_kib, hog->bad_pages);
}

static void run_pass(struct hog *hog, uint64_t pass)
{
	for (uint64_t page = 0; page < hog->pages; page++) {
		if (pass > 0)
			verify_page(hog, page, last_written(page, pass));
		if (is_written_in(page, pass))
			fill_page(hog, page, pass);
		if (page % PAGES_PER_LOOK == 0)
			heartbeat(hog, pass, page);
	}
}

/* A word of each page is enough to make it dirty and not zero. */
static void make_dirty(struct hog *hog)
{
	for (uint64_t page = 0; page < hog->pages; page++)
		hog->words[page * PAGE_WORDS] = hog->seed + page;
}

/* SIZE with an optional K, M or G; 0 when it is not a size. */
static uint64_t parse_size_bytes(const char *text)
{
	static const char units[] = "KMG";
	char *end;
	const char *unit;
	uint64_t size = strtoull(text, &end, 10);

	if (end == text || *end == '\0')
		return size;
	unit = strchr(units, *end);
	if (!unit || end[1] != '\0')
		return 0;
	return size << (10 * (unit - units + 1));
}

int main(int argc, char **argv)
{
	struct hog hog = {.seed = 1};
	uint64_t size_bytes, pass = 0;
	time_t end_s;

	if (argc < 3 || argc > 4) {
		fprintf(stderr, "usage: hog SIZE[K|M|G] SECONDS|fill [SEED]\n");
		return 100;
	}
	size_bytes = parse_size_bytes(argv[1]);
	if (size_bytes < PAGE_BYTES) {
		fprintf(stderr, "hog: %s: not a size of at least one page, such as 300M\n",
			argv[1]);
		return 100;
	}
	hog.pages = size_bytes / PAGE_BYTES;
	if (argc == 4)
		hog.seed = strtoull(argv[3], NULL, 10);
	setvbuf(stdout, NULL, _IOLBF, 0);
	hog.words = mmap(NULL, hog.pages * PAGE_BYTES, PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (hog.words == MAP_FAILED) {
		fprintf(stderr, "hog: %s: %s\n", argv[1], strerror(errno));
		return 111;
	}
	if (strcmp(argv[2], "fill") == 0) {
		make_dirty(&hog);
		return 0;
	}
	end_s = now_s() + strtol(argv[2], NULL, 10);
	do
		run_pass(&hog, pass);
	while (++pass < 2 || now_s() < end_s);
	printf("hog: %s: %" PRIu64 " passes, %" PRIu64 " bad pages, at most %" PRIu64
	       " KiB swapped at once; all in all %" PRIu64 " pages out, %" PRIu64 " in\n",
	       argv[1], pass, hog.bad_pages, hog.peak_swapped_kib,
	       proc_number("/proc/vmstat", "pswpout "), proc_number("/proc/vmstat", "pswpin "));
	return hog.bad_pages ? 1 : 0;
}
