/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef COMMON_LOG_H
#define COMMON_LOG_H

/*
 * Sets the name that begins each line ("nbd-client"); program must stay valid.
 * Without a call the name is empty and lines begin with their subject.
 */
void log_init(const char *program);

/*
 * Writes "PROGRAM: ..." and a newline to stderr in one write(2), so that lines
 * of several processes do not mix. Control bytes and bytes that are not ASCII
 * in the result, which may come from a peer, are written as \xNN; a line longer
 * than 1023 bytes is cut and ends in "...". Allocates nothing; keeps errno.
 */
void log_line(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Gives each line, without its newline, to sink instead of stderr (a daemon's syslog). */
void log_to(void (*sink)(const char *line));

/* log_line(), then exit(status). */
_Noreturn void die(int status, const char *format, ...) __attribute__((format(printf, 2, 3)));

#endif
