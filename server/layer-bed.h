/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * For the tests of layers: a folder with an image, and layers on it. Everything here
 * fails the test when something goes wrong.
 */
#ifndef SERVER_LAYER_BED_H
#define SERVER_LAYER_BED_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "server/export.h"
#include "server/layer.h"

enum {
	SECTOR = 512,
	IMAGE_BYTES = 24 * LAYER_BLOCK_BYTES + 1536, /* the last block is not whole */
	SECTORS = IMAGE_BYTES / SECTOR,
};

extern char bed_directory[];
extern char why[WHY_BYTES];
extern int folder_fd;
extern uint8_t image[IMAGE_BYTES];
extern struct layer_image lies_on;

/* For cmocka_run_group_tests(); they make and remove the folder and the image. */
int bed_set_up(void **state);
int bed_tear_down(void **state);

struct layer *bed_open_layer(const char *identity);
void bed_remove_layer(const char *identity);

/* In two pieces where there are two bytes. bed_write() returns what layer_write() does. */
int bed_write(struct layer *layer, const uint8_t *data, uint64_t offset, size_t length);
void bed_read(struct layer *layer, uint8_t *data, uint64_t offset, size_t length);

#endif
