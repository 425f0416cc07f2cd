/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * machine-file.c: the files that belong to one machine each, in the folder of
 * their section. The name is the identity and a suffix; the modification time
 * tells when the machine last used it; whoever has it open holds a lock.
 */
#ifndef SERVER_MACHINE_FILE_H
#define SERVER_MACHINE_FILE_H

#include <stddef.h>
#include <time.h>

#include "server/export.h"

#define SWAP_SUFFIX ".swap"
#define BOOT_SUFFIX ".boot" /* has the boot of the machine that its file was made for */
#define NEW_PREFIX  ".new." /* of a file that is not whole yet; no identity begins with a dot */

/*
 * Opens the file and locks it until it is closed; its time of use becomes now. -EBUSY
 * when another process has it. -errno with the reason in why.
 */
int machine_file_open(int folder_fd, const char *name, int *ret_fd, char *why, size_t why_size);

/* Waits for the lock of the folder, which close() of the result gives back; -errno. */
int machine_file_lock_folder(int folder_fd);

/* Calls each(folder_fd, name, arg) for every file with the suffix. -errno. */
int machine_file_each(int folder_fd, const char *suffix,
		      void (*each)(int folder_fd, const char *name, void *arg), void *arg);

enum { ANY_AGE = -1 };

/*
 * Opens and locks a file to remove it. -EBUSY when another process has it, or when it was
 * used at or after before_s (not ANY_AGE). -errno with the reason in why.
 */
int machine_file_seize(int folder_fd, const char *name, time_t before_s, int *ret_fd, char *why,
		       size_t why_size);

/* Removes the file of identity under the conditions of machine_file_seize(). */
typedef int machine_file_remover(int folder_fd, const char *identity, time_t before_s, char *why,
				 size_t why_size);

/*
 * A machine that has booted anew: removes its file by remover unless it was made for this
 * boot, and notes boot for the one that will be made. With boot "", only reads into it
 * which one that was. A server that is killed meanwhile leaves the old file, or none.
 * -errno with the reason in why.
 */
int machine_file_begin_boot(int folder_fd, const char *identity, char boot[IDENTITY_MAX_BYTES + 1],
			    machine_file_remover *remover, char *why, size_t why_size);

/* Its file was removed. */
void machine_file_forget_boot(int folder_fd, const char *identity);

/* Removes, and logs, the files with the suffix that nobody has used since before_s. -errno. */
int machine_file_expire(int folder_fd, const char *suffix, machine_file_remover *remover,
			time_t before_s);

#endif
