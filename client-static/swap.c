/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Boot stage 5: an attached device becomes swap, before root is mounted. Only
 * what is swap, or is blank, is taken: the header goes where a file system might
 * have been, so blank is judged by both ends of the device, where every file
 * system, RAID and volume manager keeps its superblocks. The header follows
 * union swap_header in the kernel's include/linux/swap.h.
 */
#include "client-static/boot.h"
#include "common/log.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <linux/fs.h>
#include <sys/random.h>
#include <sys/swap.h>
#include <sys/sysinfo.h>
#include <unistd.h>

#ifndef SWAP_FLAG_DISCARD_ONCE
#define SWAP_FLAG_DISCARD_ONCE 0x20000 /* include/linux/swap.h of the kernel */
#endif

enum {
	ENDS_BYTES = 1 << 20, /* that must be zero at each end of a blank device */
	CHUNK_BYTES = 1 << 14,
	PAGE_BYTES = 4096, /* x86 */
	PAGES_MIN = 10,	   /* mkswap(8) makes no smaller ones */
};

struct swap_page {
	char boot_bits[1024];
	uint32_t version; /* host order, as all of it */
	uint32_t last_page;
	uint32_t bad_pages;
	uint8_t uuid[16];
	char label[16];
	uint32_t padding[117];
	uint32_t bad_page;
	uint8_t rest[PAGE_BYTES - 1536 - 4 - 10];
	char signature[10];
} __attribute__((packed));

_Static_assert(sizeof(struct swap_page) == PAGE_BYTES, "the header is one page");

enum content { CONTENT_SWAP, CONTENT_BLANK, CONTENT_OTHER };

static int read_at(int fd, void *buffer, size_t size, uint64_t offset)
{
	ssize_t n = pread(fd, buffer, size, (off_t)offset);

	if (n < 0)
		return -errno;
	return (size_t)n == size ? 0 : -EIO;
}

/* 1 when the bytes from..to are all zero, 0 when not, or -errno. */
static int range_is_zero(int fd, uint64_t from, uint64_t to)
{
	uint8_t chunk[CHUNK_BYTES];

	while (from < to) {
		size_t size = to - from < CHUNK_BYTES ? (size_t)(to - from) : CHUNK_BYTES;
		int r = read_at(fd, chunk, size, from);

		if (r < 0)
			return r;
		if (chunk[0] || memcmp(chunk, chunk + 1, size - 1) != 0)
			return 0;
		from += size;
	}
	return 1;
}

static int find_content(int fd, uint64_t size_bytes, struct swap_page *page, enum content *ret)
{
	uint64_t end = size_bytes < ENDS_BYTES ? size_bytes : ENDS_BYTES;
	int r = read_at(fd, page, sizeof(*page), 0);

	if (r < 0)
		return r;
	if (memcmp(page->signature, "SWAPSPACE2", sizeof(page->signature)) == 0) {
		*ret = CONTENT_SWAP;
		return 0;
	}
	r = range_is_zero(fd, 0, end);
	if (r > 0)
		r = range_is_zero(fd, size_bytes - end, size_bytes);
	if (r < 0)
		return r;
	*ret = r ? CONTENT_BLANK : CONTENT_OTHER;
	return 0;
}

static int write_header(int fd, uint64_t size_bytes, struct swap_page *page)
{
	uint64_t pages = size_bytes / PAGE_BYTES;

	*page = (struct swap_page){
		.version = 1,
		.last_page = pages > UINT32_MAX ? UINT32_MAX : (uint32_t)pages - 1,
		.label = "nbdswap",
		.signature = {'S', 'W', 'A', 'P', 'S', 'P', 'A', 'C', 'E', '2'},
	};
	/* Early in the boot GRND_INSECURE keeps from waiting for entropy: it is only a name. */
	if (getrandom(page->uuid, sizeof(page->uuid), GRND_INSECURE) < 0)
		memset(page->uuid, 0, sizeof(page->uuid));
	if (pwrite(fd, page, sizeof(*page), 0) != (ssize_t)sizeof(*page))
		return errno ? -errno : -EIO;
	return fsync(fd) < 0 ? -errno : 0;
}

int swap_prepare(const char *device, int fd, uint64_t size_bytes)
{
	static struct swap_page page;
	enum content content = CONTENT_OTHER;
	int r;

	if (size_bytes < PAGES_MIN * PAGE_BYTES) {
		log_line("%s: swap: the export has %llu bytes; it must have at least %d", device,
			 (unsigned long long)size_bytes, PAGES_MIN * PAGE_BYTES);
		return EXIT_PERMANENT;
	}
	r = find_content(fd, size_bytes, &page, &content);
	if (r < 0) {
		log_line("%s: swap: cannot read it: %s", device, strerror(-r));
		return EXIT_TEMPORARY;
	}
	if (content == CONTENT_OTHER) {
		log_line("%s: swap: the export holds other data and is not touched; run mkswap "
			 "on it, or blank its first and last MiB",
			 device);
		return EXIT_PERMANENT;
	}
	if (content == CONTENT_SWAP) {
		uint64_t wanted = ((uint64_t)page.last_page + 1) * PAGE_BYTES;

		if (page.version != 1 || wanted > size_bytes) {
			log_line("%s: swap: its header (version %u) wants %llu bytes, the export "
				 "has %llu: it is truncated; run mkswap on it",
				 device, page.version, (unsigned long long)wanted,
				 (unsigned long long)size_bytes);
			return EXIT_PERMANENT;
		}
		return 0;
	}
	r = write_header(fd, size_bytes, &page);
	if (r < 0) {
		log_line("%s: swap: the export is blank, and a header cannot be written: %s",
			 device, strerror(-r));
		return EXIT_PERMANENT;
	}
	log_line("%s: the export was blank: made it swap", device);
	return 0;
}

/* The part of the device to use, whole pages. */
static uint64_t choose_size(uint64_t size_bytes, uint32_t percent)
{
	struct sysinfo system;
	uint64_t wanted;

	if (!percent || sysinfo(&system) < 0)
		return size_bytes;
	wanted = (uint64_t)system.totalram * system.mem_unit / 100 * percent;
	wanted -= wanted % PAGE_BYTES;
	return wanted < size_bytes ? wanted : size_bytes;
}

/* Opens device and finds how large it is; its file, or -errno. */
static int open_device(const char *device, uint64_t *ret_size_bytes)
{
	int fd = open(device, O_RDWR | O_CLOEXEC), is_read_only = 0, r = 0;

	if (fd < 0)
		return -errno;
	if (ioctl(fd, BLKGETSIZE64, ret_size_bytes) < 0 || ioctl(fd, BLKROGET, &is_read_only) < 0)
		r = -errno;
	else if (is_read_only)
		r = -EROFS;
	if (r == 0)
		return fd;
	close(fd);
	return r;
}

/* A new header for size_bytes of the device, whatever it has. */
static int rewrite(const char *device, uint64_t size_bytes)
{
	static struct swap_page page;
	int fd = open(device, O_RDWR | O_CLOEXEC), r;

	if (fd < 0)
		return -errno;
	r = write_header(fd, size_bytes, &page);
	close(fd);
	return r;
}

/* The mapped device in place of *device, of which at most size_bytes are used. */
static int put_crypt_over(const char **device, uint64_t device_bytes, uint64_t *size_bytes)
{
	static char path[32];
	int r;

	if (device_bytes < SWAP_CRYPT_OFFSET_BYTES + PAGES_MIN * PAGE_BYTES) {
		log_line("%s: swap: crypt wants an export of more than a MiB", *device);
		return EXIT_PERMANENT;
	}
	r = swap_crypt_open(*device, device_bytes, path, sizeof(path));
	if (r < 0) {
		log_line("%s: swap: crypt: %s%s", *device, strerror(-r),
			 r == -ENODEV ? " (this kernel or image has no dm-crypt)" : "");
		return EXIT_PERMANENT;
	}
	if (*size_bytes > device_bytes - SWAP_CRYPT_OFFSET_BYTES)
		*size_bytes = device_bytes - SWAP_CRYPT_OFFSET_BYTES;
	*device = path;
	return 0;
}

/* Discards come first: what an earlier boot has left need not be kept by the server. */
static int turn_on(const char *device, const struct nbd_opts *opts)
{
	int flags = opts->swap_priority < 0
			    ? 0
			    : SWAP_FLAG_PREFER | (opts->swap_priority & SWAP_FLAG_PRIO_MASK);
	int discard = SWAP_FLAG_DISCARD | (opts->swap_discard_pages ? 0 : SWAP_FLAG_DISCARD_ONCE);

	return swapon(device, flags | discard) < 0 && errno != EBUSY ? -errno : 0;
}

int swap_on(const char *device, const struct nbd_opts *opts)
{
	uint64_t device_bytes = 0, size_bytes;
	int fd = open_device(device, &device_bytes), r;

	if (fd < 0) {
		log_line("%s: swap: %s", device,
			 fd == -EROFS ? "the export is read-only; swap wants a writable one"
				      : strerror(-fd));
		return EXIT_PERMANENT;
	}
	r = swap_prepare(device, fd, device_bytes);
	close(fd);
	size_bytes = choose_size(device_bytes, opts->swap_percent);
	if (r == 0 && opts->swap_crypt)
		r = put_crypt_over(&device, device_bytes, &size_bytes);
	if (r)
		return r;
	if (opts->swap_crypt || opts->swap_percent)
		r = rewrite(device, size_bytes);
	if (r == 0)
		r = turn_on(device, opts);
	if (r < 0) {
		log_line("%s: swapon: %s", device, strerror(-r));
		if (opts->swap_crypt)
			swap_crypt_close();
		return EXIT_PERMANENT;
	}
	log_line("%s: swap, %llu MiB%s", device, (unsigned long long)(size_bytes >> 20),
		 opts->swap_crypt ? ", encrypted by a key of this boot" : "");
	return 0;
}
