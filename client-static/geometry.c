/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What of an export the kernel can have. Its block size is a power of two from
 * 512 bytes to a page; the size is whole blocks and fits loff_t, or on a 32-bit
 * machine what the page cache can number (MAX_LFS_FILESIZE).
 */
#include "client-static/client.h"

#include <errno.h>
#include <limits.h>

enum {
	SECTOR_BYTES = 512,
	PAGE_BYTES = 4096, /* the smallest page of all machines */
};

static const uint64_t device_max_bytes = sizeof(long) == 4 ? (uint64_t)ULONG_MAX * PAGE_BYTES
							   : (uint64_t)INT64_MAX;

static int choose_block(const struct attach_job *job, const struct export_info *export,
			uint32_t *ret, struct failure *why)
{
	uint32_t least = export->minimum_block_bytes;
	uint32_t most = export->maximum_block_bytes;
	uint32_t block = job->block_size_bytes;

	if (least > PAGE_BYTES)
		return failure_set(why, EXIT_PERMANENT, EINVAL,
				   "the server wants blocks of %u bytes, the kernel has at most %u",
				   least, PAGE_BYTES);
	if (most && most < PAGE_BYTES)
		return failure_set(
			why, EXIT_PERMANENT, EINVAL,
			"the server takes at most %u bytes, the kernel sends pages of %u", most,
			PAGE_BYTES);
	if (block && block < least)
		return failure_set(why, EXIT_PERMANENT, EINVAL,
				   "block size %u: the server wants at least %u", block, least);
	if (!block)
		block = least > SECTOR_BYTES ? least : SECTOR_BYTES;
	*ret = block;
	return 0;
}

static int choose_size(const struct attach_job *job, uint64_t export_bytes, uint64_t *ret,
		       struct failure *why)
{
	uint64_t size = job->size_bytes ? job->size_bytes : export_bytes;

	if (export_bytes == 0)
		return failure_set(why, EXIT_PERMANENT, EINVAL, "the export is empty (0 bytes)");
	if (size > export_bytes)
		return failure_set(why, EXIT_PERMANENT, EINVAL,
				   "size %llu: the export has only %llu bytes",
				   (unsigned long long)size, (unsigned long long)export_bytes);
	if (size > device_max_bytes)
		return failure_set(why, EXIT_PERMANENT, EFBIG,
				   "%llu bytes are more than a device of this kernel can have",
				   (unsigned long long)size);
	*ret = size;
	return 0;
}

int geometry_choose(const struct attach_job *job, const struct export_info *export,
		    struct geometry *ret, struct failure *why)
{
	uint64_t size = 0;
	uint32_t block = 0;
	int err;

	err = choose_block(job, export, &block, why);
	if (err)
		return err;
	err = choose_size(job, export->size_bytes, &size, why);
	if (err)
		return err;
	if (size < block)
		return failure_set(why, EXIT_PERMANENT, EINVAL,
				   "the export has %llu bytes, less than one block of %u",
				   (unsigned long long)size, block);
	*ret = (struct geometry){
		.size_bytes = size - size % block,
		.block_size_bytes = block,
		.cut_bytes = (uint32_t)(size % block),
	};
	return 0;
}
