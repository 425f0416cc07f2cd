/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Where things lie on the boot floppy. boot.S, which the BIOS starts, make-floppy, which writes the
 * image, and swapsafe-floppy, which changes its boot line, have these numbers from here. The kernel
 * and the initramfs begin behind the loader, each on a sector of its own.
 */
#ifndef MEDIA_FLOPPY_H
#define MEDIA_FLOPPY_H

#define FLOPPY_SECTOR_BYTES 512

/* In sector 0, as in every DOS boot sector. */
#define FLOPPY_NAME_OFFSET	    3 /* FLOPPY_NAME, 8 bytes */
#define FLOPPY_NAME		    "SWAPSAFE"
#define FLOPPY_SECTORS_OFFSET	    19 /* of the medium; 16 bits, as the next two */
#define FLOPPY_TRACK_SECTORS_OFFSET 24
#define FLOPPY_HEADS_OFFSET	    26

/* The boot line: sectors 1 and 2 hold the mark and the text, filled up with NUL. */
#define FLOPPY_LINE_OFFSET 512
#define FLOPPY_LINE_BYTES  1024
#define FLOPPY_LINE_MARK   "swapsafe-line 1\n" /* 16 bytes */
#define FLOPPY_TEXT_OFFSET (FLOPPY_LINE_OFFSET + 16)
#define FLOPPY_TEXT_BYTES  (FLOPPY_LINE_BYTES - 16) /* with the NUL */

/*
 * The loader's table, at the beginning of sector 3: 16 bits of memory that is needed above 1 MiB,
 * in KiB, then for the kernel's setup, the kernel and the initramfs a struct floppy_file.
 */
#define FLOPPY_LOADER_OFFSET 1536
#define FLOPPY_LOADER_BYTES  1024
#define FLOPPY_NEEDED_OFFSET 2 /* in the loader */
#define FLOPPY_TABLE_OFFSET  (FLOPPY_LOADER_OFFSET + FLOPPY_NEEDED_OFFSET + 2)
#define FLOPPY_FILES	     3
#define FLOPPY_FILE_BYTES    12
#define FLOPPY_FILES_OFFSET  (FLOPPY_LOADER_OFFSET + FLOPPY_LOADER_BYTES)

/*
 * Addresses in memory (boot.rst, "Memory layout"). The kernel's setup has the 64 KiB from SETUP on:
 * its heap ends where the loader's stack begins, and the boot line is above that.
 */
#define FLOPPY_BUFFER_ADDRESS 0x10000 /* 36 sectors, not over a limit of 64 KiB: DMA */
#define FLOPPY_SETUP_ADDRESS  0x20000
#define FLOPPY_HEAP_END	      0xde00
#define FLOPPY_STACK_END      0xe000
#define FLOPPY_LINE_ADDRESS   (FLOPPY_SETUP_ADDRESS + FLOPPY_STACK_END)
#define FLOPPY_KERNEL_ADDRESS 0x100000

#endif
