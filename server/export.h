/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Exports and the storage below them: export.c, export-linux.c, the files of one
 * machine each (per-client.c, swap-file.c), storage-pool.c and flush.c, in the order
 * in which a request meets them.
 */
#ifndef SERVER_EXPORT_H
#define SERVER_EXPORT_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>
#include <sys/uio.h>
#include <time.h>

#include "server/layer-map.h"
#include "server/traffic.h"

struct export;
struct connection;
TAILQ_HEAD(connection_list, connection);

/* A piece of a request is at most this many buffers of PAYLOAD_BYTES. */
enum { PIECE_BUFFERS_MAX = 4 };

/* A shorter hole is read as data: an answer of its own costs more than its zeroes. */
enum { HOLE_MIN_BYTES = 64 << 10 };

enum {
	IDENTITY_MAX_BYTES = 100,
	PEER_BYTES = 56, /* of an address in messages */
	HOLD_DEFAULT_S = 24 * 60 * 60,
};

enum storage_op {
	STORAGE_READ,
	STORAGE_SPLICE, /* a READ whose data goes into a pipe by reference */
	STORAGE_WRITE,
	STORAGE_FLUSH,
	STORAGE_TRIM,
	STORAGE_ZERO,
	STORAGE_STATUS,
	STORAGE_CACHE, /* reads ahead */
	STORAGE_CALL,
};

/* A run of one state: 0 for data, or NBD_STATE_*. */
struct extent {
	uint32_t length_bytes;
	uint32_t state;
};

/*
 * One operation on an export. Its owner keeps it, and the memory that iov names,
 * until done() was called on the thread of the loop that submitted it.
 */
struct storage_job {
	struct storage_job *next;
	struct storage *storage; /* that it was submitted to */
	void (*done)(struct storage_job *job);
	struct export *export;
	enum storage_op op;
	int (*call)(struct storage_job *job); /* STORAGE_CALL: on a storage thread; the result */
	bool no_hole;			      /* STORAGE_ZERO: keep the blocks allocated */
	bool fast; /* STORAGE_ZERO: -EOPNOTSUPP rather than write zeroes */
	int iov_count;
	struct iovec iov[PIECE_BUFFERS_MAX]; /* STORAGE_READ, STORAGE_WRITE */
	int pipe_fd;			     /* STORAGE_SPLICE */
	uint64_t offset_bytes;
	uint64_t length_bytes; /* STORAGE_SPLICE: in done(), what is in the pipe */
	uint64_t hole_bytes;   /* STORAGE_READ, STORAGE_SPLICE: a hole of so many bytes may be found
				* in place of data; in done(), its length, or 0 */
	struct extent *extents; /* STORAGE_STATUS: room for extents_max; in done(), extent_count */
	unsigned int extents_max, extent_count;
	int result; /* 0 or -errno, valid in done() */
};

enum per_client {
	PER_CLIENT_NONE,
	PER_CLIENT_SWAP, /* a file of its own for each machine */
	PER_CLIENT_COW,	 /* one image, and a writable layer for each machine */
};

enum keep {
	KEEP_ALWAYS,
	KEEP_BOOT, /* PER_CLIENT: a machine that has booted anew begins anew */
};

enum exclusive {
	EXCLUSIVE_MACHINE, /* one machine at a time when writable, with any number of connections */
	EXCLUSIVE_OFF,	   /* everybody */
	EXCLUSIVE_ON,	   /* one machine; its newest connection fences the one before */
};

/* What the command line or a section of the configuration asks for; owns its strings. */
struct export_settings {
	char *name; /* "" is the default export */
	char *path;
	char *description;	      /* NULL: none */
	char *generation;	      /* of a readonly file; NULL: made from the file */
	uint64_t size_bytes;	      /* 0: the size of the file */
	unsigned int max_connections; /* 0: no limit, or one when EXCLUSIVE_ON */
	enum exclusive exclusive;
	unsigned int hold_s; /* EXCLUSIVE_ON: kept for a holder whose connection was lost */
	enum per_client per_client;
	enum keep keep;
	struct allow_list *allow; /* NULL: everybody */
	char *cow_dir;		  /* PER_CLIENT_COW: the folder of the layers */
	uint64_t quota_bytes;	  /* of all machines together; 0: none */
	unsigned int expire_s;	  /* a machine's file is removed when unused so long; 0: never */
	bool sparse;		  /* PER_CLIENT_SWAP: the file reserves no space */
	bool direct;		  /* past the page cache, what is whole pages */
	bool is_oldstyle;	  /* it is served on oldstyle_port too, by an oldstyle handshake */
	uint16_t oldstyle_port;
	bool readonly, flush, fua, trim, rotational, sync;
};

/* The machine that an EXCLUSIVE_ON export belongs to until it says NBD_CMD_DISC. */
struct export_hold {
	bool is_held;
	char identity[IDENTITY_MAX_BYTES + 1]; /* "": the address is the identity */
	char host[PEER_BYTES];		       /* address without port */
	time_t since_s, lost_s;		       /* lost_s is 0 while it is connected */
};

struct export
{
	struct export_settings set;
	int fd; /* -1: a layer is in its place, and only export_read() and its like know where data
		   is */
	int direct_fd; /* settings.direct: the same file with O_DIRECT; else -1 */
	uint64_t size_bytes;
	uint16_t flags;	 /* enum nbd_transmission_flag; NBD_FLAG_SEND_DF belongs to a connection */
	bool is_plain;	 /* its data is that of fd, at the same offset, for whoever reads there */
	bool in_memory;	 /* and reading and writing never wait for a disk */
	bool can_splice; /* and its pages can be sent without a copy */
	bool any_identity;		   /* the section is NAME/"*" */
	char generation[GENERATION_BYTES]; /* of the image that its data comes from; "": none,
					    * as it may change under those who use it */

	/*
	 * The first loop's thread (struct worker): of connections that have left, and of those
	 * of a section's machines.
	 */
	struct traffic traffic;

	/* load.c, on the first loop's thread. */
	bool is_fixed;	 /* of the command line: no configuration changes it */
	bool is_retired; /* no name leads to it any more */
	struct export *next_retired;

	/* claim.c, on the first loop's thread. */
	struct connection_list attached; /* newest last; with those of unfinished */
	unsigned int connections;	 /* that are open */
	unsigned int unfinished;	 /* closed, and the storage still has requests of them */
	unsigned int closing;		 /* of these: another loop has still to close them */
	struct export_hold hold;
	bool cannot_save_hold;

	/* per-client.c. A section has the machines that are in use; fd is its folder. */
	int folder_fd;		 /* of a section with per_client */
	atomic_bool cannot_keep; /* of a section: its image */
	struct layer *layer;	 /* of a machine: in place of fd */
	struct export *section;	 /* of a machine's own export; else NULL */
	struct export *machines; /* of a section, by next_machine */
	struct export *next_machine;
	char *identity;			   /* of a machine's own export */
	char boot[IDENTITY_MAX_BYTES + 1]; /* KEEP_BOOT: of the machine, when its file was made */
	bool is_ready;			   /* it was opened; open_error says how */
	int open_error;
	char *open_why;
	struct storage_job open_job; /* of a machine: opens it; of a section: looks for old files */
	bool is_expiring;
	time_t expire_before_s; /* while is_expiring */
	void (*opened)(void *arg);
	void *opened_arg;

	/* Any storage thread. The first flush that failed is the answer to each later one:
	 * the kernel drops the pages that it could not write, so that a second fdatasync()
	 * would report success for data that is lost. */
	atomic_int flush_error;
	/* extent.c, any storage thread: where there was data. */
	_Atomic uint64_t data_begin_bytes, data_end_bytes;
	atomic_bool cannot_read_cached;
	atomic_bool cannot_punch, cannot_zero; /* the file system refused it once */

	/* The lock of the storage threads. One fdatasync() runs; those who wait share the next
	 * one. */
	struct storage_job flush_job;
	struct storage_job *flush_served, *flush_waiting;

	/* Any loop: at most one line a second says that the storage failed. */
	_Atomic time_t error_logged_s;
	atomic_ulong errors_not_logged;
};

/* Exports keep their address and their place for the life of the table. */
struct export_table {
	struct export **list;
	size_t count;
	bool allow_list; /* NBD_OPT_LIST may name them */
};

/* allow.c */

/*
 * The authfile at path; a file without an address is a list of nobody. free() ends the
 * list. -errno with FILE:LINE and the mistake in why.
 */
int allow_read(const char *path, struct allow_list **ret, char *why, size_t why_size);
bool allow_same(const struct allow_list *a, const struct allow_list *b);

/* peer as in address_format(); true for those who come by another way than IP. */
bool allow_peer(const struct allow_list *list, const char *peer);

/* export.c */

/* Every capability on, writable, no limits; name and path are copied. -ENOMEM. */
int export_settings_init(struct export_settings *settings, const char *name, const char *path);
void export_settings_free(struct export_settings *settings);

/*
 * Opens what settings name, and takes the settings over when it succeeds. On
 * failure returns -errno with one clause for the message in why.
 */
int export_open(struct export_settings *settings, struct export **ret, char *why, size_t why_size);
void export_close(struct export *export);

/*
 * An export without a file: for export_open() and per-client.c. Takes the settings over
 * when it succeeds; NULL without memory.
 */
struct export *export_make(struct export_settings *settings);

/* Opens and measures the file of export. -errno with one clause in why. */
int export_open_file(struct export *export, char *why, size_t why_size);

/* Takes export over; -EEXIST when the name is taken, -ENOMEM. */
int export_table_add(struct export_table *table, struct export *export);
struct export *export_find(const struct export_table *table, const char *name, size_t length);

/* NAME/"*", whose clients say who they are. */
bool export_is_pattern(const char *name);

/*
 * The export that a client means by name: the section of that name, or NAME/"*" when
 * an identity follows the first slash; then *ret_identity points to it, else it is NULL.
 */
struct export *export_resolve(const struct export_table *table, const char *name, size_t length,
			      const char **ret_identity);

/* 1 to IDENTITY_MAX_BYTES letters, digits and : . _ - not beginning with a dot: fit for a file. */
bool export_is_identity(const char *text, size_t length);
void export_table_free(struct export_table *table);

/* preadv() or pwritev() of all of iov, which changes; -EIO at the end of the file; -errno. */
int file_read(int fd, struct iovec *iov, int iov_count, uint64_t offset_bytes);
int file_write(int fd, struct iovec *iov, int iov_count, uint64_t offset_bytes);

/*
 * What the storage threads call. The range lies inside the export. All return 0
 * or -errno. A read behind the end of a file that became shorter is -EIO.
 */
int export_read(struct export *export, struct iovec *iov, int iov_count, uint64_t offset_bytes);
int export_write(struct export *export, struct iovec *iov, int iov_count, uint64_t offset_bytes);
int export_flush(struct export *export);
int export_trim(struct export *export, uint64_t offset_bytes, uint64_t length_bytes);
int export_zero(struct export *export, uint64_t offset_bytes, uint64_t length_bytes, bool no_hole,
		bool fast);

/*
 * The descriptor that data goes through: with O_DIRECT when the export has it, and memory,
 * offset and length are whole pages.
 */
int export_data_fd(const struct export *export, const struct iovec *iov, int iov_count,
		   uint64_t offset_bytes);

/* Reads ahead what can be. */
int export_cache(struct export *export, uint64_t offset_bytes, uint64_t length_bytes);

/* Its space was taken when it was made: a hole would give it back. */
bool export_is_reserved(const struct export *export);

/*
 * extent.c: what a STORAGE_STATUS job asks for, from its first byte on, as far as its room
 * goes; -EIO where the file has become shorter.
 */
int extent_list(struct storage_job *job);

/*
 * Whether the range of a STORAGE_READ or STORAGE_SPLICE begins with a hole: sets hole_bytes.
 * Else length_bytes becomes what comes before the next one.
 */
int extent_find(struct storage_job *job);

/* The export has new holes. */
void extent_forget(struct export *export);

/*
 * export-linux.c: reads what is in memory, at once and whole; -EAGAIN when it is
 * not or cannot be told.
 */
int export_read_cached(struct export *export, const struct iovec *iov, int iov_count,
		       uint64_t offset_bytes, uint64_t length_bytes);

/*
 * Of a file that was opened, and that nothing lies above: sets is_plain and what follows it,
 * and opens direct_fd when the settings ask for that. -errno with one clause in why.
 */
int export_probe(struct export *export, char *why, size_t why_size);

/*
 * Moves references to the pages of the range into the empty pipe_fd, as many as
 * fit; *length_bytes becomes what is there, also on error. -EIO at the end of the file.
 */
int export_splice(struct export *export, int pipe_fd, uint64_t offset_bytes,
		  uint64_t *length_bytes);

/* -EOPNOTSUPP where the file or the file system cannot. */
int export_punch(int fd, uint64_t offset_bytes, uint64_t length_bytes);
int export_zero_range(int fd, uint64_t offset_bytes, uint64_t length_bytes);

/* The modification time becomes now; it tells when a machine's file was last used. */
int export_touch(int fd);

/*
 * Locks a file for this open description alone; when another one has it waits, or
 * returns -EWOULDBLOCK.
 */
int export_lock(int fd, bool wait);

/*
 * hold.c: what the holder of an exclusive export with a file of its own keeps over the end
 * of the server. After hold_load() its connection was lost a moment ago.
 */
void hold_load(struct export *export);
void hold_save(struct export *export);
void hold_forget(struct export *export);

/* per-client.c */

enum { WHY_BYTES = 384, MACHINE_FILE_BYTES = IDENTITY_MAX_BYTES + 32 };

/*
 * Opens the folder of a section; the file of each machine is opened at its first use.
 * On failure returns -errno with one clause in why.
 */
int per_client_open(struct export *section, char *why, size_t why_size);

/*
 * The machine's own export, made at its first use, and with another boot than before (not
 * NULL) made anew unless it is open: 0 with *ret; -EAGAIN while a storage
 * thread opens it, and then opened(arg) is called on the loop's thread; -errno with the
 * reason in why.
 */
int per_client_find(struct export *section, struct storage *storage, const char *identity,
		    const char *boot, void (*opened)(void *arg), void *arg, struct export **ret,
		    char *why, size_t why_size);

/* Closes, on a storage thread, the machines' exports that nobody uses any more. */
void per_client_sweep(struct export *section, struct storage *storage);

/* Removes, on a storage thread, what was not used for expire_s; notes that what is in use is. */
void per_client_expire(struct export *section, struct storage *storage);

/* swap-file.c: on a storage thread. */

/*
 * Opens the swap of identity in the folder, and makes it at its first use; nobody sees
 * one that is not whole. The file is locked until it is closed. -EBUSY: another server
 * has it. -errno with the reason in why.
 */
int swap_file_open(int folder_fd, const struct export_settings *set, const char *identity,
		   int *ret_fd, char *why, size_t why_size);

/* A machine_file_remover. */
int swap_file_remove(int folder_fd, const char *identity, time_t before_s, char *why,
		     size_t why_size);

/* storage-pool.c */

struct storage_pool;

/*
 * Starts the threads, for all loops together. Half of them at most (one of one) work on
 * flush, trim and zero, which can take long. -errno.
 */
int storage_start(struct storage_pool **ret, unsigned int threads);

/* Ends the threads when they have finished what was submitted. */
void storage_stop(struct storage_pool *pool);

/*
 * One loop's way to the pool. notify(arg) is called on a storage thread when finished jobs
 * wait for storage_complete(). -ENOMEM.
 */
int storage_open(struct storage **ret, struct storage_pool *pool, void (*notify)(void *),
		 void *arg);

/* When the threads have ended, and nothing is in flight. */
void storage_close(struct storage *storage);

/*
 * From here on reads go through an io_uring of this loop. What follows is for its thread.
 * -errno when the kernel has none or forbids it: then the threads read, as before.
 */
int storage_use_ring(struct storage *storage);

/* Readable when storage_complete() should be called; -1: no ring. */
int storage_ring_fd(const struct storage *storage);

/* Flushes of one export that wait become one. */
void storage_submit(struct storage *storage, struct storage_job *job);

/* Begins what was submitted since; false when the kernel lacks memory: call again soon. */
bool storage_kick(struct storage *storage);

/* Does job on this thread and returns its result; done() is not called. */
int storage_run(struct storage_job *job);

/* Calls done() of all jobs that have finished. */
void storage_complete(struct storage *storage);

/* flush.c, with the lock of the storage threads. */

/* Job waits for a flush of its export. True: export.flush_job is to be run for it. */
bool flush_begin(struct storage_job *job);

/* The flush has run, for the jobs in *ret_served. True: the next one is to be run. */
bool flush_end(struct export *export, struct storage_job **ret_served);

#endif
