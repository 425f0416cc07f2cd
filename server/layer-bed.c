// SPDX-License-Identifier: GPL-2.0-or-later
#include "server/layer-bed.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "server/machine-file.h"

char bed_directory[] = "/tmp/layer-test.XXXXXX";
static int image_fd;

char why[WHY_BYTES];
int folder_fd;
uint8_t image[IMAGE_BYTES];
struct layer_image lies_on;

struct layer *bed_open_layer(const char *identity)
{
	static const struct layer_limits none;
	struct layer *layer = NULL;

	if (layer_open(folder_fd, identity, &lies_on, &none, &layer, why, sizeof(why)) < 0)
		fail_msg("%s: %s", identity, why);
	return layer;
}

void bed_remove_layer(const char *identity)
{
	if (layer_remove(folder_fd, identity, ANY_AGE, why, sizeof(why)) < 0)
		fail_msg("%s", why);
}

int bed_write(struct layer *layer, const uint8_t *data, uint64_t offset, size_t length)
{
	struct iovec iov[2] = {{(void *)data, length / 2},
			       {(uint8_t *)data + length / 2, length - length / 2}};

	return length < 2 ? layer_write(layer, iov + 1, 1, offset)
			  : layer_write(layer, iov, 2, offset);
}

void bed_read(struct layer *layer, uint8_t *data, uint64_t offset, size_t length)
{
	struct iovec iov[2] = {{data, length / 3}, {data + length / 3, length - length / 3}};

	assert_int_equal(length < 3 ? layer_read(layer, iov + 1, 1, offset)
				    : layer_read(layer, iov, 2, offset),
			 0);
}

int bed_set_up(void **state)
{
	(void)state;
	if (!mkdtemp(bed_directory))
		return -1;
	folder_fd = open(bed_directory, O_RDONLY | O_DIRECTORY);
	image_fd = openat(folder_fd, "base", O_RDWR | O_CREAT, 0600);
	for (size_t i = 0; i < sizeof(image); i++)
		image[i] = (uint8_t)(200 + i / SECTOR % 50);
	if (pwrite(image_fd, image, sizeof(image), 0) != sizeof(image))
		return -1;
	return layer_image_of(image_fd, &lies_on);
}

int bed_tear_down(void **state)
{
	(void)state;
	unlinkat(folder_fd, "base", 0);
	close(image_fd);
	close(folder_fd);
	return rmdir(bed_directory);
}
