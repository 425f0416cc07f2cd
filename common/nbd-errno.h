/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef COMMON_NBD_ERRNO_H
#define COMMON_NBD_ERRNO_H

#include <stdint.h>

/*
 * The NBD error number for a positive errno of this system ("Error values" of
 * the specification). Space and quota errors become NBD_ENOSPC, EROFS becomes
 * NBD_EPERM; what the specification has no number for becomes NBD_EIO. 0 is 0.
 */
uint32_t nbd_error_from_errno(int error);

/* The positive errno for an NBD error; a number that is not in the specification is EINVAL. */
int nbd_error_to_errno(uint32_t error);

/*
 * Names for log lines, as the specification spells them; static strings, never
 * NULL ("unknown" for a number without a name).
 */
const char *nbd_error_name(uint32_t error);
const char *nbd_option_name(uint32_t option);
const char *nbd_reply_name(uint32_t type);
const char *nbd_command_name(uint16_t type);

#endif
