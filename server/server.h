/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The server around its connections: options.c, size.c, address.c and config.c
 * turn what the administrator wrote into settings, listen.c opens sockets,
 * server.c runs all of it on the loop of the first worker (worker.h), daemon.c is the process.
 */
#ifndef SERVER_SERVER_H
#define SERVER_SERVER_H

#include <sys/socket.h>

#include "server/connection.h"
#include "server/worker.h"

enum {
	EXIT_USAGE = 2,
	HANDSHAKE_TIMEOUT_MS = 10000,
	CLAIM_TIMEOUT_MS = 60000,
	LINGER_TIMEOUT_MS = 2000,
	DRAIN_TIMEOUT_MS = 30000,
	DRAIN_PAYLOAD_MS = 5000, /* for a client to send the rest of a piece of payload */
	RECLAIM_INTERVAL_MS = 100,
	KICK_AGAIN_MS = 10,
	HANDSHAKES_MAX = 512, /* beyond it the oldest one gives way */
	CONNECTIONS_MAX_DEFAULT = 4096,
	STORAGE_THREADS_DEFAULT = 4,
	LISTENERS_MAX = 64,
	UNIX_PATH_MAX_BYTES = 107, /* sockaddr_un, with its NUL */
	TEXT_MAX = 512,		   /* of a message part */
	SWAP_MIN_BYTES = 64 << 10,
	EXPIRE_INTERVAL_MS = 60 * 60 * 1000,
};

/* address.c */

struct listen_address {
	char host[256]; /* name or number; "" is every address of this machine */
	uint16_t port;	/* 0: any that is free */
};

/*
 * [IP@|IP:]PORT; an IPv6 address is [IP]:PORT or IP@PORT. On -EINVAL why says
 * what would be right.
 */
int address_parse(const char *text, struct listen_address *ret, char *why, size_t why_size);
int port_parse(const char *text, uint16_t *ret);

/* ADDR:PORT of a socket address, IPv6 in brackets, cut to size. */
void address_format(const struct sockaddr *address, socklen_t length, char *text, size_t size);

/* size.c: bytes, or with k, m or g the power of 1024; -EINVAL, -ERANGE. */
int size_parse(const char *text, uint64_t *ret_bytes);

/* Seconds, or with m, h or d minutes, hours or days; at most INT32_MAX s. -EINVAL, -ERANGE. */
int time_parse(const char *text, unsigned int *ret_s);

/* config.c */

struct export_request {
	struct export_settings set;
	unsigned int line, port_line; /* of the section, and of its port */
	const char *file;	      /* for messages; stays valid with the config */
};

struct config {
	struct listen_address listen[LISTENERS_MAX];
	unsigned int listen_count;
	uint16_t port;
	bool port_given;
	char *unix_path;   /* NULL: none */
	char *status_path; /* of the socket of --status; NULL: none */
	bool dual_listen;  /* on TCP too when there is a unix_path */
	bool allow_list;
	bool oldstyle;	      /* exports may have a port of their own */
	char *oldstyle_ports; /* all of them as text, which outlives the settings; NULL: none */
	unsigned int storage_threads;
	unsigned int workers; /* 0: not given */
	char *user, *group;
	char *include_dir;
	struct export_request *exports;
	size_t export_count;
	char **files; /* that were read */
	size_t file_count;
};

/*
 * Reads path and what it includes. Every mistake is logged as FILE:LINE: what is
 * wrong, and reading goes on to find the next one; -EINVAL at the end. -errno
 * when a file cannot be read (logged). An empty file is a config without exports.
 */
int config_read(const char *path, struct config *ret);
void config_free(struct config *config);

/* machines.c */

/*
 * Prints a table of the files of all machines, or removes the file of one (NAME/IDENTITY)
 * that nobody uses. Mistakes are logged; -errno.
 */
int machines_list(const struct config *config);
int machines_reset(const struct config *config, const char *name);

/* load.c */

struct server;

/*
 * Makes the exports of server those of config, or changes nothing: -errno. Mistakes are
 * logged with the line of the section.
 */
int load_exports(struct server *server, struct config *config);

/* SIGHUP: the same with the configuration as it is now; logs what needs a restart. */
void load_again(struct server *server);

/* Closes what was retired and is not used any more. */
void load_sweep(struct server *server);

/* Closes all exports, and frees the configuration. */
void load_close(struct server *server);

/* What reads that have to wait for a disk, and direct writes, go through. */
enum io {
	IO_AUTO,  /* io_uring where there is one, else threads */
	IO_URING, /* io_uring, or the server does not start */
	IO_EPOLL, /* storage threads alone */
};

/* options.c */

struct options {
	const char *config_path;
	const char *pid_path;
	const char *allow_path; /* -l */
	const char *unix_path;
	const char *status_path; /* --status-socket */
	bool show_status, as_json;
	bool unconfined;   /* --unconfined: no Landlock, no list of system calls */
	bool check;	   /* --check: say whether the configuration is right, and exit */
	const char *reset; /* --reset: a machine whose file is removed */
	bool list_machines;
	const char *output_section; /* -o: print a config section and exit */
	struct listen_address listen;
	bool listen_given;
	bool port_given; /* --port, or in listen */
	uint16_t port;
	const char *file;
	uint64_t size_bytes;
	unsigned int max_connections;
	unsigned int workers; /* 0: not given */
	bool readonly;
	bool foreground;
	bool inetd;
	enum io io;
};

/* Prints what --help and --version ask for, and exits; dies with EXIT_USAGE on a mistake. */
void options_parse(int argc, char **argv, struct options *ret);

/* server.c */

struct listener {
	struct watch watch; /* first: watch and listener are one address */
	struct server *server;
	bool is_status;	     /* for --status, not for clients */
	char *path;	     /* of a unix socket that is removed at the end; else NULL */
	char *oldstyle_name; /* of the export that whoever connects here gets; else NULL */
};

/* Since the start. */
struct server_counts {
	uint64_t accepted, attached, fenced;
	uint64_t refused; /* by the limit of connections, or by who may use an export */
};

struct status_query;

struct server {
	enum io io;
	int ring_error; /* IO_AUTO: why there is no io_uring, -errno; 0: there is */
	struct worker workers[WORKERS_MAX];
	unsigned int worker_count; /* 0 before server_open(): one */
	unsigned int started;	   /* workers, with the first */
	struct loop *loop;	   /* of the first worker, as all that follows */
	struct storage *storage;
	struct storage_pool *storage_pool;
	struct export_table exports;
	struct listener listeners[LISTENERS_MAX];
	unsigned int listener_count;
	struct connection_list connections; /* of all workers */
	struct connection_list handshakes;  /* oldest first */
	struct connection_list claims;	    /* handshakes that wait for us; oldest first */
	unsigned int connection_count, handshake_count, connections_max;
	uint64_t accept_again_ms; /* 0: accepting; else out of descriptors until then */
	uint64_t claim_ms;	  /* 0: no connection waits for an answer of another machine */
	uint64_t status_ms;	  /* when to look after status_queries; 0: never */
	struct status_query *status_queries;
	struct server_counts counts;
	time_t since_s;
	uint64_t expire_ms;	/* when to look for files that machines do not use any more */
	bool export_left;	/* one that is retired, or a machine's own, may be unused */
	struct export *retired; /* by next_retired: clients have them, but no name leads there */
	bool one_client;	/* inetd: end with the connection */
	bool draining;
	/* How often all workers were asked what had come for them, and have answered. */
	uint64_t settle_rounds, settle_rounds_done;
	const char *config_path; /* read again on SIGHUP; NULL: none */
	struct config config;	 /* in force */

	/* Of what follows, and of the orders and notes of workers and connections. No other
	 * lock is taken while it is held. */
	pthread_mutex_t mail_lock;
	struct connection_list noted; /* for the first worker */
	unsigned int unsettled;	      /* workers that have not answered */
};

uint64_t server_now_ms(void);

/* *deadline_ms becomes the earlier of the two; 0 is never. */
void server_earlier(uint64_t *deadline_ms, uint64_t other_ms);

/* For loop_hooks, until next_ms. */
int server_timeout_ms(uint64_t next_ms);

/* Signals are blocked from here on. -errno. */
int server_open(struct server *server);

/* server->io was chosen: starts the threads that exports need. -errno. */
int server_start(struct server *server, unsigned int storage_threads);

/*
 * Until SIGTERM or SIGINT, then until what is in flight was answered and the
 * storage has nothing of it: 0. -ETIMEDOUT when that took too long, or
 * another -errno; then the server must not be closed, only left.
 */
int server_run(struct server *server);
void server_close(struct server *server);

/* listen.c */

/* Asks the machine at the other end of fd for a sign of life, with a TCP keepalive. */
void listen_probe(int fd);

/* Whether one came within the last milliseconds; true for what is not TCP. Ends the probe. */
bool listen_was_answered(int fd, unsigned int within_ms);

/*
 * Opens the sockets of address and watches them; dies with a message when it cannot. With a
 * name, those who connect there get that export by an oldstyle handshake.
 */
void listen_open(struct server *server, const struct listen_address *address,
		 const char *oldstyle_name);

/*
 * The same for a unix socket; a socket file that nobody listens on any more is replaced.
 */
void listen_open_unix(struct server *server, const char *path);

/* One for --status, which the user of the server alone may connect to. */
void listen_open_status(struct server *server, const char *path);

/* How many sockets whoever started this process has opened for it (sd_listen_fds(3)). */
int listen_inherited_count(void);

/* Watches those; dies when one is not a listening stream socket. */
void listen_inherit(struct server *server, int count);

/* The ready lines, one for each socket. */
void listen_announce(const struct server *server);
void listen_stop(struct server *server);

/* Accepts again after a pause for lack of descriptors. */
void listen_resume(struct server *server);

/* Whether those who ask for --status are accepted; the others are in any case. */
void listen_accept_status(struct server *server, bool wanted);

/* daemon.c */

/* Becomes a background process whose parent exits with 0 at daemon_ready(). Dies on error. */
void daemon_fork(void);
void daemon_ready(void);
/* Before privileges are dropped: the file. When ready: its content. Both die on error. */
int daemon_open_pid(const char *path);
void daemon_write_pid(int fd);

/* From here on messages go to syslog. */
void daemon_log(void);

/* user and group may be NULL. Dies when it cannot. */
void daemon_drop_privileges(const char *user, const char *group);

#endif
