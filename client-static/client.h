/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The client, in the order in which things happen: the command line or the boot
 * line gives a job; its target is resolved, connected and negotiated; the kernel
 * gets the socket; the reserves are sized when the device will hold swap, and it
 * gets its name.
 *
 * A stage returns 0 or -errno and says why in a struct failure; it prints
 * nothing. What a stage needs after names are resolved allocates nothing
 * (`make check-no-malloc`).
 */
#ifndef CLIENT_H
#define CLIENT_H

#include <net/if.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/un.h>

enum {
	/* Exit codes; 0 is success. */
	EXIT_PERMANENT = 100, /* trying again cannot help: usage, refused, no such export */
	EXIT_TEMPORARY = 111, /* worth trying again: no route, refused connection, time-out */

	TARGET_HOST_BYTES = 256, /* a DNS name is at most 253 characters */
	TARGET_UNIX_BYTES = sizeof(((struct sockaddr_un *)0)->sun_path),
	TARGET_EXPORT_BYTES = 4096 + 1, /* NBD_MAX_STRING */

	FAILURE_TEXT_BYTES = 768,
	ADDRESSES_MAX = 8,    /* of one target that are tried in turn */
	SERVERS_MAX = 4,      /* of one target */
	CONNECTIONS_MAX = 16, /* of one device */

	TCP_TIMEOUT_MIN_S = 5,
	TCP_TIMEOUT_MAX_S = 86400,

	ATTACH_IDENTIFIER_BYTES = 256,
	EXPORT_GENERATION_BYTES = 65,
};

struct server {
	char host[TARGET_HOST_BYTES]; /* name or numeric address, IPv6 without brackets */
	uint16_t port;		      /* host order; NBD_DEFAULT_PORT unless given */
};

/* Where an export is. Strings are terminated; exactly one of host and unix_path is not empty. */
struct target {
	char host[TARGET_HOST_BYTES]; /* of the first server, as in struct server */
	uint16_t port;
	struct server others[SERVERS_MAX - 1]; /* that have the same export */
	uint32_t other_count;
	char unix_path[TARGET_UNIX_BYTES];
	char export_name[TARGET_EXPORT_BYTES]; /* "" is the server's default export */
};

/* Why a stage failed: one line without the program's name, and the exit code it stands for. */
struct failure {
	int exit_code;
	char text[FAILURE_TEXT_BYTES];
};

/* Fills *ret and returns -error, so that a stage can say `return failure_set(...)`. */
int failure_set(struct failure *ret, int exit_code, int error, const char *format, ...)
	__attribute__((format(printf, 4, 5)));

/* What a server said about an export, and the limits that follow from it. */
struct export_info {
	uint64_t size_bytes;
	uint16_t flags;				  /* enum nbd_transmission_flag */
	uint32_t minimum_block_bytes;		  /* 1 when the server names none */
	uint32_t maximum_block_bytes;		  /* of one request; 0 when the server names none */
	char generation[EXPORT_GENERATION_BYTES]; /* of the image; "" when it names none */
};

/* What becomes of a device after it is attached. */
enum supervision_kind {
	SUPERVISED,		  /* a process stays and makes new connections */
	SUPERVISED_IN_FOREGROUND, /* this process is that one */
	UNSUPERVISED,		  /* none: a lost connection stays lost */
};

/* Whether the machine and the sockets are made ready for swap, or left as they are. */
enum reserve_mode {
	RESERVE_AUTO,
	RESERVE_KEEP,
};

/*
 * One device to attach. All zero but target and device_index is a valid job:
 * numbers that are 0 take the default named beside them.
 */
struct attach_job {
	struct target target;
	uint32_t device_index;	   /* N of /dev/nbN */
	uint32_t block_size_bytes; /* 0: 512, or what the server asks for at least */
	uint64_t size_bytes;	   /* 0: what the server says; never more than that */
	uint64_t io_timeout_s;	   /* 0: none; a slow server is waited for */
	uint32_t tcp_timeout_s;	   /* of a peer that is silent, TCP_USER_TIMEOUT; 0: 60 */
	uint64_t dead_timeout_s;   /* when has_dead_timeout, else attach_dead_timeout_default_s() */
	bool has_dead_timeout;
	uint32_t connections;	/* 0: 1; more only if the server allows it, never for swap */
	const char *identifier; /* NULL: one is made; shorter than ATTACH_IDENTIFIER_BYTES, the
				   caller's */
	enum supervision_kind supervision;
	bool is_swap;		   /* sizes the reserves, bounds the socket */
	enum reserve_mode reserve; /* KEEP: is_swap sizes and bounds nothing */
	bool is_read_only;
	bool by_ioctl;	     /* without netlink; never with is_swap */
	bool no_opt_go;	     /* negotiate with NBD_OPT_EXPORT_NAME */
	bool no_negotiation; /* -preinit: the peer serves at once; needs size_bytes */
};

/* options.c */

enum action {
	ACTION_ATTACH,
	ACTION_LIST,
	ACTION_CHECK,
	ACTION_DISCONNECT,
	ACTION_STATUS,
	ACTION_EXPLAIN,
	ACTION_DOCTOR,
	ACTION_BOOT,
	ACTION_HELP,
	ACTION_VERSION,
};

/* What a command line asks for. */
struct command {
	enum action action;
	struct attach_job job;	/* device_index alone for CHECK and DISCONNECT, target for LIST */
	bool as_json;		/* of STATUS */
	const char *boot_stage; /* of BOOT: claim, release, or the directory of the root */
	char identifier[ATTACH_IDENTIFIER_BYTES]; /* what job.identifier points to, if given */
	char unknown_options[64]; /* of nbdtab, passed over; "" when there were none */
	struct {
		const char *line, *root_path, *next_server; /* the latter two may be NULL */
	} explain;
};

/* One option; the table ends with a row without a name. */
struct option_row {
	const char *name;     /* with one dash or two */
	char letter;	      /* 0: none */
	const char *argument; /* NULL: takes none; else its name in the help text */
	int (*apply)(struct command *command, const char *value, struct failure *why);
	const char *help; /* for a refused option: what to use */
};

extern const struct option_row option_table[];

/*
 * A decimal number from 0 to most; with units also k, M, G and T for powers of
 * 1024. 0, -EINVAL or -ERANGE.
 */
int options_number(const char *text, bool units, uint64_t most, uint64_t *ret);

/* Writes the help text, made from option_table, to fd. */
void options_help(int fd);

/* arguments.c */

/* Parses a command line into *ret; 0 or -EINVAL. Strings of *ret point into argv. */
int arguments_parse(int argc, char **argv, struct command *ret, struct failure *why);

/* nbdtab.c: nbdtab(5) */

/*
 * Adds to *command what the first line for device index in /etc/nbdtab says; 0, or
 * -errno with the line's number in why. Options that are not known are passed
 * over, and named in unknown_options unless they begin with '_'.
 */
int nbdtab_find(uint32_t index, struct command *command, struct failure *why);

/* The same for one line, which is written to; 1 when it is for another device, or for none. */
int nbdtab_take(char *line, unsigned int number, uint32_t index, struct command *command,
		struct failure *why);

/* uri.c */

/*
 * Parses an NBD URI (doc/uri.md of the NBD project) into *ret: nbd://host[:port]
 * [/export] and nbd+unix:///[export]?socket=PATH, percent-decoded; beyond that
 * document host[:port] may be several, with commas. An empty host is localhost,
 * as that document has it. "%m", "%u" and "%h", which are no
 * escapes in a URI, are left in the export name for the caller to replace.
 * Returns 0, or -EINVAL (-EPROTONOSUPPORT for nbds:// and other schemes of NBD)
 * with *ret untouched and in why a clause that names what was not understood
 * and what would be right.
 */
int uri_parse(const char *text, struct target *ret, char *why, size_t why_size);

/*
 * Writes the URI of target, as uri_parse() takes it, shortened to size (at least
 * 16) where it is longer. A target without a host has SERVER in its place.
 */
void uri_format(const struct target *target, char *ret, size_t size);

/* True when text is meant as a URI: it has a scheme and "://". */
bool uri_is_meant(const char *text);

/* names.c */

/*
 * The one parser of device names: /dev/nbN, /dev/nbdN, /dev/nbd/N, nbN and nbdN
 * are all device N. 0 or -EINVAL.
 */
int names_parse(const char *text, uint32_t *ret_index, struct failure *why);

/*
 * Makes the block node /dev/nbN of an existing device, with the numbers that
 * /sys/block/nbdN/dev has and the owner and mode of /dev/nbdN. A node, or a link
 * to one, that is right already stays; a node with other numbers is replaced;
 * anything else is -EEXIST.
 */
int names_make(uint32_t index, struct failure *why);

/* system.c */

/* Goes before /sys, /proc and /dev: "" but in tests. */
extern const char *system_root;

/* Reads a small file, without the newline at its end; -EMSGSIZE when it does not fit. */
int system_read(const char *path, char *ret, size_t size);

/* Reads a decimal number, alone or followed by a space (as in /proc/meminfo "N kB"). */
int system_read_number(const char *path, uint64_t *ret);

int system_write(const char *path, const char *text);

/* Makes a file, and the folders of its path; 0 or -errno. */
int system_leave_file(const char *path, const char *text);

/* A row of /proc/meminfo, such as "MemTotal", in KiB; -EPROTO when there is none. */
int system_memory_kib(const char *label, uint64_t *ret);

/* resolve.c: the last stage that may allocate */

struct address {
	struct sockaddr_storage storage;
	socklen_t length;
	char text[TARGET_UNIX_BYTES +
		  8]; /* for messages: 192.0.2.1:10809, [2001:db8::1]:10809, a path */
};

struct address_list {
	size_t count;
	struct address items[ADDRESSES_MAX];
};

/*
 * Every address of the target's servers in their order, and in that of the
 * resolver, at most ADDRESSES_MAX. Fails when no server has one.
 */
int resolve_target(const struct target *target, struct address_list *ret, struct failure *why);

/* connect.c */

/*
 * Connects within CONNECT_TIMEOUT_S; *ret_fd is a blocking socket on which one
 * receive or send lasts at most HANDSHAKE_TIMEOUT_S. Caller closes it.
 */
int connect_address(const struct address *address, int *ret_fd, struct failure *why);

/*
 * Sets what must be set before the kernel gets the socket; nothing may be set
 * after (the reason is in connect.c). Lifts the time limits of the handshake.
 * buffer_bytes bounds both queues, of which the kernel makes twice as much; 0 leaves them.
 * tcp_timeout_s is TCP_USER_TIMEOUT, 0 the default.
 */
int connect_settle(int fd, uint32_t buffer_bytes, uint32_t tcp_timeout_s, struct failure *why);

/* negotiate.c: "Newstyle negotiation" and "Fixed newstyle negotiation" of the specification */

enum {
	/* Largest reply that makes sense: NBD_REP_SERVER with a name and a text of full length. */
	NEGOTIATE_REPLY_BYTES = 4 + 2 * 4096,
};

/*
 * What was said to a server and heard from it, byte for byte and in order, for who
 * is to do it again. As much as the driver takes (NBD_RECIPE_STEPS,
 * NBD_RECIPE_BYTES). Each header and each payload that was heard is a step of its
 * own, the last ones excepted when there are many: so whoever compares never waits
 * for more bytes than a server that answers otherwise has sent.
 */
enum { HANDSHAKE_STEPS = 16, HANDSHAKE_BYTES = 4096 };

struct handshake_step {
	uint16_t length_bytes;
	bool is_sent;
};

struct handshake {
	bool is_too_long; /* the rest is missing */
	uint32_t step_count, byte_count;
	struct handshake_step steps[HANDSHAKE_STEPS];
	uint8_t bytes[HANDSHAKE_BYTES]; /* of the steps, one behind the other */
};

/* From now on what negotiate_*() send and receive goes to *ret, which is emptied; NULL ends it. */
void negotiate_record(struct handshake *ret);

struct negotiate_reply {
	uint32_t type; /* enum nbd_reply */
	uint32_t length;
	uint8_t data[NEGOTIATE_REPLY_BYTES];
};

/* Exchanges greeting and client flags; *ret_flags are the handshake flags of both. */
int negotiate_begin(int fd, uint16_t *ret_flags, struct failure *why);

/* Sends an option with length bytes of data. */
int negotiate_send(int fd, uint32_t option, const void *data, uint32_t length, struct failure *why);

/* Receives one reply to option. */
int negotiate_receive(int fd, uint32_t option, struct negotiate_reply *ret, struct failure *why);

/* Turns an error reply into a failure; what is its subject. */
int negotiate_refused(const struct negotiate_reply *reply, const char *what, struct failure *why);

/*
 * Brings a connection to the transmission phase of the export, with NBD_OPT_GO
 * or, where the server has none or no_opt_go, NBD_OPT_EXPORT_NAME. Never asks
 * for structured replies, which the kernel does not understand.
 */
int negotiate_export(int fd, const char *name, bool no_opt_go, struct export_info *ret,
		     struct failure *why);

/* session.c */

/*
 * Connects to address and negotiates the export of job; *ret_fd is ready for
 * the kernel, with buffers of buffer_bytes when that is not 0. The caller closes
 * it.
 */
int session_connect(const struct attach_job *job, const struct address *address,
		    uint32_t buffer_bytes, int *ret_fd, struct export_info *ret_export,
		    struct failure *why);

/*
 * 0 when found can take the place of attached under a device of that block
 * size, else -ESTALE: another size, other flags, limits that the device passes,
 * or another generation.
 */
int session_same_export(const struct export_info *attached, uint32_t block_size_bytes,
			const struct export_info *found, struct failure *why);

/* geometry.c */

struct geometry {
	uint64_t size_bytes; /* whole blocks */
	uint32_t block_size_bytes;
	uint32_t cut_bytes; /* at the end of the export, too few for a block */
};

/* What the kernel can have of the export: block size and size, or why it can have none of it. */
int geometry_choose(const struct attach_job *job, const struct export_info *export,
		    struct geometry *ret, struct failure *why);

/* nic.c */

/* The network card of a connection. All zero: a Unix socket, there is none. */
struct nic {
	char name[IF_NAMESIZE];
	uint32_t mtu_bytes;
	uint32_t rx_ring; /* buffers of one receive queue */
	uint32_t rx_queues;
	bool has_scatter_gather;
};

/*
 * The card that the route to the peer of a connected socket uses: route by
 * rtnetlink(7), the rest by netdevice(7), ethtool and sysfs. 0 or -errno.
 */
int nic_of_socket(int fd, struct nic *ret);

/* reserve.c */

/* The one parser of reserve=: "auto" or "keep". 0 or -EINVAL. */
int reserve_parse_mode(const char *text, enum reserve_mode *ret);

enum {
	RESERVE_CHANGES_BYTES = 512,
};

/*
 * SO_SNDBUF and SO_RCVBUF for a connection of the job, 0: leave them. Bounded is
 * what carries swap, and what shares the reserve with it: every nbd connection
 * of a machine that swaps to an nbd device.
 */
uint32_t reserve_buffer_bytes(const struct attach_job *job);

/*
 * Whether path, as /proc/swaps has it, is one of the nbd devices from first to last, a
 * partition of it, or a device of the device mapper, such as dm-crypt, over one of them.
 */
bool reserve_is_swap_on(const char *path, uint32_t first, uint32_t last);

/* Whether the machine swaps to one of these devices. */
bool reserve_swaps_to(uint32_t first, uint32_t last);

/*
 * Raises the reserve of the memory, unless the kernel has done so, and bounds
 * swap's read-ahead, for an nbd device that is attached with so many connections
 * through nic, all bounded by reserve_buffer_bytes(), and that nobody uses yet.
 * Appends what it changed to changes, a terminated string.
 */
int reserve_memory(uint32_t index, size_t connections, const struct nic *nic,
		   char changes[RESERVE_CHANGES_BYTES], struct failure *why);

/*
 * Bounds the requests of an attached device: by the largest that the server
 * takes (0: no limit) and, for swap, to what the reserve is made for.
 */
int reserve_queue(uint32_t index, bool is_swap, uint32_t maximum_block_bytes,
		  char changes[RESERVE_CHANGES_BYTES], struct failure *why);

/* What the memory's reserve is, and what the attached devices need. */
struct reserve_found {
	uint64_t ram_kib;
	uint64_t min_free_kib;
	uint64_t needed_kib;
	bool is_capped;	   /* the memory is too small for more */
	bool is_by_kernel; /* which adds to it what its nbd connections can hold */
	uint32_t connections;
};

/* Measures it for the devices attached now, through nic, as if all were bounded; 0 or -errno. */
int reserve_inspect(const struct nic *nic, struct reserve_found *ret);

/* reserve-rule.c: docs/swap-safety.md derives it */

/* What the reserve of a machine depends on. */
struct reserve_needs {
	uint64_t ram_kib;
	uint32_t cpus;
	struct nic nic;
	uint32_t bounded;   /* nbd connections with the buffers of reserve_rule_buffer_kib() */
	uint32_t unbounded; /* and those whose buffers TCP lets grow up to: */
	uint64_t unbounded_send_kib, unbounded_receive_kib;
};

/* What vm.min_free_kbytes has to be at least, in KiB. */
uint64_t reserve_rule_kib(const struct reserve_needs *needs);

/* True when the memory is too small for what the needs ask for. */
bool reserve_rule_is_capped(const struct reserve_needs *needs);

/* What SO_SNDBUF and SO_RCVBUF of an nbd connection have to be, in KiB; the kernel doubles it. */
uint64_t reserve_rule_buffer_kib(uint64_t ram_kib);

/* attach.c: generic netlink, drivers/block/nbd.c and include/uapi/linux/nbd-netlink.h */

struct attach_device {
	uint32_t index;
	uint64_t size_bytes;
	uint64_t block_size_bytes;
	uint64_t server_flags;
	uint64_t io_timeout_s;
	uint64_t dead_timeout_s;
	const char *identifier;		      /* shorter than ATTACH_IDENTIFIER_BYTES; NULL: none */
	const struct handshake *handshake;    /* the driver is to connect again; NULL: it is not */
	const struct address_list *addresses; /* to those, beginning with: */
	uint32_t address;
	size_t fd_count;
	int fds[CONNECTIONS_MAX]; /* stay the caller's; the kernel takes its own references */
};

/* How long the kernel holds I/O while a device has no connection, unless told otherwise. */
uint64_t attach_dead_timeout_default_s(void);
uint64_t attach_dead_timeout_max_s(void);

/* A netlink socket, and the numbers of the driver's family and of its notifications. */
struct netlink {
	int fd;
	uint16_t family;
	bool can_reconnect; /* the driver connects again when it is told how */
	uint32_t group;
};

/* Opens *ret, whose fd the caller closes. Fails when the kernel has no nbd driver. */
int attach_open(struct netlink *ret, struct failure *why);

/* The same on an open socket, which stays the caller's. */
int attach_begin(int fd, struct netlink *ret, struct failure *why);

int attach_connect(const struct netlink *netlink, const struct attach_device *device,
		   struct failure *why);
int attach_disconnect(const struct netlink *netlink, uint32_t index, struct failure *why);

/*
 * Gives an attached device a new socket in place of one that the driver has
 * marked dead. The driver answers 0 and takes nothing while none is dead, so 0
 * is no proof, and asking again with the same socket is safe. fd -1 only asks
 * whether the device is attached under that identifier. -EINVAL: it is not.
 */
int attach_reconfigure(const struct netlink *netlink, uint32_t index, const char *identifier,
		       int fd, struct failure *why);

/* attach-ioctl.c */

/*
 * The same by ioctl, for kernels without the netlink family: a process stays in
 * the driver while the device is attached. No I/O is held without a connection.
 */
int attach_by_ioctl(const struct attach_device *device, struct failure *why);
int detach_by_ioctl(uint32_t index, struct failure *why);

/* attach.c */

/* Opens *ret, which hears when the driver loses a connection; the caller closes its fd. */
int attach_listen(struct netlink *ret, struct failure *why);

/* What attach_heard() has heard of a device. */
enum {
	HEARD_LINK_DEAD = 1, /* a connection was lost, or a message was that might have said so */
	HEARD_LINK_UP = 2,   /* the driver has made one again */
};

/* Takes what the driver has told on *events, without waiting; 0: nothing of the device. */
unsigned int attach_heard(const struct netlink *events, uint32_t index);

/* Connections of a device whose driver connects again, NBD_CONNECTION_STATE. */
enum link_state {
	LINK_DEAD,
	LINK_LIVE,
	LINK_CONNECTING, /* by the driver */
	LINK_REFUSED,	 /* the same; the server is not what it was */
};

/* The state of that connection; -ENODATA: the device has none, or the driver does not tell. */
int attach_link_state(const struct netlink *netlink, uint32_t index, uint32_t connection);

/* run.c */

/*
 * Attaches job as /dev/nbN: resolves, connects, negotiates, hands the socket to
 * the kernel, sizes the reserves when is_swap, makes the name. Prints one line
 * on success or failure (more only for what it changed or could not do as
 * asked) and returns 0, EXIT_PERMANENT or EXIT_TEMPORARY. May be called again
 * after EXIT_TEMPORARY; blocks at most about a minute per address.
 */
int attach_run(const struct attach_job *job);

/* list.c */

/* Prints the names of a server's exports on stdout, one a line; 0 or an exit code. */
int list_run(const struct target *target);

/* report.c */

/* The text of one device, or of all; what does not fit is cut, and no reader is that long. */
struct report_text {
	char bytes[8192];
	size_t used;
};

void report_add(struct report_text *text, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

/* Adds a member of a JSON object, RFC 8259: an export's name may hold anything but a NUL. */
void report_add_quoted(struct report_text *text, const char *key, const char *value);

/* Adds value for a terminal: names and errors may come from a peer, and may hold control bytes. */
void report_add_plain(struct report_text *text, const char *value);

/* check.c */

/* The PID that attached the device, as the driver has it in sysfs; -ENOENT: not attached. */
int check_attached(uint32_t index, uint64_t *ret_pid);

/*
 * -check as the usual nbd-client has it: 0 and a PID on stdout, the supervisor's
 * when it lives, when the device is attached, 1 when it is not, 2 on error.
 */
int check_run(uint32_t index);

/* -disconnect: 0 (also when there was nothing to detach) or an exit code. */
int disconnect_run(uint32_t index);

#endif
