/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a running server tells about itself: status.c answers on a unix socket with one
 * JSON object, status-show.c asks for it and prints it.
 */
#ifndef SERVER_STATUS_H
#define SERVER_STATUS_H

#include <stdbool.h>

struct server;

/* Where the unit of systemd has the socket, and where --status looks without being told. */
#define STATUS_PATH_DEFAULT "/run/nbd-server/status"

/* status.c */

/* Whether one more may be answered; when it may later, listen_accept_status() is called. */
bool status_has_room(const struct server *server);

/* Answers whoever has connected on fd, which it takes over, and closes it then. */
void status_answer(struct server *server, int fd);

/* Closes those who take too long. The loop's thread calls it at server.status_ms. */
void status_check(struct server *server, unsigned long long now_ms);

/* Forgets all answers under way; the storage has ended. */
void status_close(struct server *server);

/* status-show.c */

/*
 * Asks the server that listens on path, and prints what it says: as it came, or as tables
 * for people. -errno, logged.
 */
int status_show(const char *path, bool as_json);

#endif
