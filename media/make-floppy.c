// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Lays out the boot floppy. Enters: boot.S as the linker left it, a kernel (bzImage) and an
 * initramfs, or iPXE (ipxe.lkrn) and its script, and the size of the medium in sectors. Leaves an
 * image of exactly that size with an empty boot line, and prints where the bytes went; fails when
 * they are too many.
 *
 * What a boot loader has to tell the kernel (boot.rst, "The Real-Mode Kernel Header") is known here
 * already, and written into the setup of the image.
 */
#include "media/floppy.h"

#include <err.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
	EXIT_PERMANENT = 100,
	PAGE_BYTES = 4096,
	ONE_MIB = 1 << 20,

	/* boot.rst: offsets in the setup */
	SETUP_SECTORS = 0x1f1,
	HEADER_MARK = 0x202,
	PROTOCOL = 0x206,
	LOADER_TYPE = 0x210,
	LOAD_FLAGS = 0x211,
	RAMDISK_IMAGE = 0x218,
	RAMDISK_SIZE = 0x21c,
	HEAP_END = 0x224,
	CMD_LINE_PTR = 0x228,
	PREF_ADDRESS = 0x258,
	INIT_SIZE = 0x260,
	HEADER_END = 0x264,

	PROTOCOL_WITH_LOAD_FLAGS = 0x200,
	PROTOCOL_WITH_INIT_SIZE = 0x20a,
	TIMES_UNPACKED = 8, /* an older one, such as iPXE, takes less than so often its size */
	LOADER_UNDEFINED = 0xff,
	LOADED_HIGH = 0x01,
	CAN_USE_HEAP = 0x80,
};

struct file {
	const char *path;
	uint8_t *bytes; /* filled up with 0 to whole sectors */
	uint32_t size_bytes, sectors;
};

struct image {
	uint8_t *bytes;
	uint32_t sectors, used_sectors;
	uint8_t *entry; /* of the loader's table, the next one */
};

static uint32_t get_le32(const uint8_t *p)
{
	return p[0] | p[1] << 8 | p[2] << 16 | (uint32_t)p[3] << 24;
}

static void put_le16(uint8_t *p, uint32_t value)
{
	p[0] = (uint8_t)value;
	p[1] = (uint8_t)(value >> 8);
}

static void put_le32(uint8_t *p, uint32_t value)
{
	put_le16(p, value);
	put_le16(p + 2, value >> 16);
}

static struct file read_file(const char *path)
{
	struct file file = {.path = path};
	FILE *stream = fopen(path, "re");
	long size_bytes;

	if (!stream || fseek(stream, 0, SEEK_END) || (size_bytes = ftell(stream)) < 0)
		err(EXIT_PERMANENT, "%s", path);
	rewind(stream);
	file.size_bytes = (uint32_t)size_bytes;
	file.sectors = (file.size_bytes + FLOPPY_SECTOR_BYTES - 1) / FLOPPY_SECTOR_BYTES;
	file.bytes = calloc(file.sectors + 1, FLOPPY_SECTOR_BYTES);
	if (!file.bytes || fread(file.bytes, 1, file.size_bytes, stream) != file.size_bytes)
		err(EXIT_PERMANENT, "%s", path);
	fclose(stream);
	return file;
}

/* As add_up in boot.S. */
static uint32_t sum_of(const uint8_t *bytes, uint32_t sectors)
{
	uint32_t sum = 0;

	for (uint32_t i = 0; i < sectors * FLOPPY_SECTOR_BYTES; i += 4)
		sum = (sum << 1 | sum >> 31) + get_le32(bytes + i);
	return sum;
}

static void add(struct image *image, const uint8_t *bytes, uint32_t sectors, uint32_t address)
{
	put_le16(image->entry, image->used_sectors);
	put_le16(image->entry + 2, sectors);
	put_le32(image->entry + 4, address);
	put_le32(image->entry + 8, sum_of(bytes, sectors));
	image->entry += FLOPPY_FILE_BYTES;
	memcpy(image->bytes + image->used_sectors * FLOPPY_SECTOR_BYTES, bytes,
	       sectors * FLOPPY_SECTOR_BYTES);
	image->used_sectors += sectors;
}

static uint32_t protocol_of(const uint8_t *setup)
{
	return get_le32(setup + PROTOCOL) & 0xffff;
}

static uint32_t setup_sectors(const struct file *kernel)
{
	const uint8_t *setup = kernel->bytes;
	uint32_t sectors;

	if (kernel->size_bytes < HEADER_END || memcmp(setup + HEADER_MARK, "HdrS", 4) ||
	    protocol_of(setup) < PROTOCOL_WITH_LOAD_FLAGS || !(setup[LOAD_FLAGS] & LOADED_HIGH))
		errx(EXIT_PERMANENT, "%s: not a bzImage of boot protocol 2.00 or later",
		     kernel->path);
	sectors = setup[SETUP_SECTORS] + 1;
	if (sectors >= kernel->sectors)
		errx(EXIT_PERMANENT, "%s: shorter than its setup", kernel->path);
	return sectors;
}

/* Behind what the kernel takes while it unpacks itself. */
static uint32_t initramfs_address(const struct file *kernel)
{
	uint32_t start = FLOPPY_KERNEL_ADDRESS, taken = kernel->size_bytes * TIMES_UNPACKED;

	if (protocol_of(kernel->bytes) >= PROTOCOL_WITH_INIT_SIZE) {
		taken = get_le32(kernel->bytes + INIT_SIZE);
		if (start < get_le32(kernel->bytes + PREF_ADDRESS))
			start = get_le32(kernel->bytes + PREF_ADDRESS);
	}
	return (start + taken + PAGE_BYTES - 1) / PAGE_BYTES * PAGE_BYTES;
}

static void fill_header(const struct file *kernel, uint32_t initramfs_bytes)
{
	uint8_t *setup = kernel->bytes;

	setup[LOADER_TYPE] = LOADER_UNDEFINED;
	setup[LOAD_FLAGS] |= CAN_USE_HEAP;
	put_le32(setup + RAMDISK_IMAGE, initramfs_address(kernel));
	put_le32(setup + RAMDISK_SIZE, initramfs_bytes);
	put_le16(setup + HEAP_END, FLOPPY_HEAP_END);
	put_le32(setup + CMD_LINE_PTR, FLOPPY_LINE_ADDRESS);
}

static void fill_image(struct image *image, const struct file *boot, struct file *kernel,
		       const struct file *initramfs)
{
	uint32_t setup = setup_sectors(kernel), address;

	fill_header(kernel, initramfs->size_bytes);
	address = get_le32(kernel->bytes + RAMDISK_IMAGE);
	memcpy(image->bytes, boot->bytes, boot->size_bytes);
	put_le16(image->bytes + FLOPPY_SECTORS_OFFSET, image->sectors);
	put_le16(image->bytes + FLOPPY_TRACK_SECTORS_OFFSET, image->sectors / 160);
	put_le16(image->bytes + FLOPPY_LOADER_OFFSET + FLOPPY_NEEDED_OFFSET,
		 (address + initramfs->size_bytes - ONE_MIB + 1023) / 1024);
	image->used_sectors = boot->sectors;
	image->entry = image->bytes + FLOPPY_TABLE_OFFSET;
	add(image, kernel->bytes, setup, FLOPPY_SETUP_ADDRESS);
	add(image, kernel->bytes + setup * FLOPPY_SECTOR_BYTES, kernel->sectors - setup,
	    FLOPPY_KERNEL_ADDRESS);
	add(image, initramfs->bytes, initramfs->sectors, address);
}

static void print_budget(const struct file *boot, const struct file *kernel,
			 const struct file *initramfs, uint32_t sectors)
{
	uint32_t used = boot->sectors + kernel->sectors + initramfs->sectors;

	printf("  %9u  loader and boot line\n  %9u  kernel\n  %9u  initramfs\n"
	       "  %9d  free\n  %9u  bytes of the medium\n",
	       boot->sectors * FLOPPY_SECTOR_BYTES, kernel->sectors * FLOPPY_SECTOR_BYTES,
	       initramfs->sectors * FLOPPY_SECTOR_BYTES,
	       ((int)sectors - (int)used) * FLOPPY_SECTOR_BYTES, sectors * FLOPPY_SECTOR_BYTES);
	if (used > sectors)
		errx(EXIT_PERMANENT, "%u bytes too many: see docs/floppy.md",
		     (used - sectors) * FLOPPY_SECTOR_BYTES);
}

int main(int argc, char **argv)
{
	struct image image = {0};
	struct file boot, kernel, initramfs;
	FILE *stream;

	if (argc != 6)
		errx(EXIT_PERMANENT, "usage: make-floppy BOOT KERNEL INITRAMFS SECTORS IMAGE");
	boot = read_file(argv[1]);
	kernel = read_file(argv[2]);
	initramfs = read_file(argv[3]);
	image.sectors = (uint32_t)strtoul(argv[4], NULL, 10);
	if (image.sectors != 2880 && image.sectors != 5760)
		errx(EXIT_PERMANENT, "%s: sectors of a floppy are 2880 or 5760", argv[4]);
	if (boot.size_bytes != FLOPPY_FILES_OFFSET)
		errx(EXIT_PERMANENT, "%s: not %d bytes", argv[1], FLOPPY_FILES_OFFSET);
	print_budget(&boot, &kernel, &initramfs, image.sectors);
	image.bytes = calloc(image.sectors, FLOPPY_SECTOR_BYTES);
	if (!image.bytes)
		err(EXIT_PERMANENT, "memory");
	fill_image(&image, &boot, &kernel, &initramfs);
	stream = fopen(argv[5], "we");
	if (!stream ||
	    fwrite(image.bytes, FLOPPY_SECTOR_BYTES, image.sectors, stream) != image.sectors ||
	    fclose(stream))
		err(EXIT_PERMANENT, "%s", argv[5]);
	return 0;
}
