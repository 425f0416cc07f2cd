/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The one place where errors of this system and errors on the wire meet, and
 * where numbers of the protocol get their names. All tables come from the lists
 * of nbd-proto.h.
 */
#include "common/nbd-errno.h"

#include <errno.h>

#include "common/nbd-proto.h"

#define CASE_NAME(name, ...) \
	case name:           \
		return #name;

uint32_t nbd_error_from_errno(int error)
{
#define CASE_ERRNO(name, value, system_error) \
	case system_error:                    \
		return name;

	switch (error) {
	case 0:
		return 0;
		NBD_ERRORS(CASE_ERRNO)
	case EROFS:
		return NBD_EPERM;
	case EDQUOT:
	case EFBIG:
		return NBD_ENOSPC;
	default:
		return NBD_EIO;
	}
}

int nbd_error_to_errno(uint32_t error)
{
#define CASE_NBD(name, value, system_error) \
	case name:                          \
		return system_error;

	switch (error) {
	case 0:
		return 0;
		NBD_ERRORS(CASE_NBD)
	default:
		return EINVAL;
	}
}

const char *nbd_error_name(uint32_t error)
{
	switch (error) {
		NBD_ERRORS(CASE_NAME)
	default:
		return "unknown";
	}
}

const char *nbd_option_name(uint32_t option)
{
	switch (option) {
		NBD_OPTIONS(CASE_NAME)
	default:
		return "unknown";
	}
}

const char *nbd_reply_name(uint32_t type)
{
	switch (type) {
		NBD_REPLIES(CASE_NAME)
	default:
		return "unknown";
	}
}

const char *nbd_command_name(uint16_t type)
{
	switch (type) {
		NBD_COMMANDS(CASE_NAME)
	default:
		return "unknown";
	}
}
