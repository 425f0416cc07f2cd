/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef CLIENT_STATIC_BOOT_H
#define CLIENT_STATIC_BOOT_H

#include <net/if.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "client-static/client.h"

/*
 * What the stages of /init share. They run in the order of the sections below,
 * in one process, before the real init exists: nothing here survives
 * switch_root but the attached devices, the mounts and the address.
 *
 * Stages that decide (network_up, swap_on, root_mount) print their one message
 * and return like attach_run(): 0, EXIT_PERMANENT or EXIT_TEMPORARY. Functions
 * below them return 0 or -errno and are silent.
 */

enum {
	BOOT_LINE_BYTES = 8192, /* of the kernel command line; x86 allows 2048 */
	BOOT_WHY_BYTES = 512,	/* of the reason of a refusal */
	BOOT_ROOT_INDEX = 0,	/* root is /dev/nb0 and /dev/nbd0, unless the line says another */
	BOOT_SWAP_INDEX = 1,	/* swap is /dev/nb1 and /dev/nbd1, unless that is the root */
	BOOT_UPPER_INDEX = 2,	/* what an overlay writes to, when that is an export */
};

/* cmdline.c: the kernel command line, and nothing but it */

enum ip_method {
	IP_UNSET, /* no ip= at all */
	IP_OFF,	  /* ip=off: the links are brought up, no address is set */
	IP_DHCP,
	IP_STATIC
};

/* The fields of ip=, Documentation/admin-guide/nfs/nfsroot.rst; unset ones are 0 or "". */
struct ip_config {
	enum ip_method method;
	struct in_addr address, gateway, netmask, dns[2];
	int mtu_bytes; /* of IP_STATIC; 0: leave it */
	char host_name[65];
	char device[IFNAMSIZ];
};

/* nbdopts=: what attach_run() takes in each job of the boot, and the priority of the swap */
struct nbd_opts {
	uint64_t io_timeout_s;	 /* timeout= */
	uint64_t dead_timeout_s; /* dead-timeout=, used when has_dead_timeout */
	bool has_dead_timeout;
	uint32_t tcp_timeout_s;	   /* tcp-timeout=, 0: the default */
	uint32_t block_size_bytes; /* bs=, 0: the default */
	int swap_priority;	   /* prio=, -1: the kernel's choice */
	bool swap_crypt;	   /* crypt: a key of this boot between swap and device */
	bool swap_discard_pages;   /* discard: also each page that is freed, not the whole once */
	uint32_t swap_percent;	   /* size=: of the memory; 0: all of the export */
	enum reserve_mode reserve; /* reserve= */
};

/* Where it is said which export the root is. */
enum root_source {
	ROOT_MISSING,
	ROOT_ON_LINE,
	ROOT_HOST_BY_DHCP,	/* the line has the export, DHCP the server */
	ROOT_BY_DHCP,		/* option 17, root-path, as dracut reads it */
	ROOT_BY_DHCP_AS_DEBIAN, /* the same, as Debian's initramfs-tools read it */
};

/* Where changes go when the root is mounted read-only below an overlay: nbdoverlay= */
enum overlay_kind { OVERLAY_NONE, OVERLAY_IN_MEMORY, OVERLAY_ON_EXPORT };

struct overlay {
	enum overlay_kind kind;
	char size[24];	      /* of IN_MEMORY, as tmpfs takes it; "" is half of the memory */
	struct target target; /* of ON_EXPORT */
};

enum { BOND_CARDS_MAX = 4 };

/* bond=: cards that are one interface; no name: none */
struct bond_link {
	char name[IFNAMSIZ], cards[BOND_CARDS_MAX][IFNAMSIZ];
	int card_count;
	char options[128]; /* KEY=VALUE,... of Documentation/networking/bonding.rst, or "" */
};

/* vlan=: a VLAN of this number on a card or on the bond; no name: none */
struct vlan_link {
	char name[IFNAMSIZ], parent[IFNAMSIZ];
	int id;
};

struct boot_line {
	struct target root; /* complete when ROOT_ON_LINE */
	struct target swap; /* when has_swap */
	enum root_source root_source;
	bool has_swap;
	bool has_root_device;		 /* the line says root_index and root_partition */
	uint32_t root_index, swap_index; /* N of /dev/nbN */
	uint32_t root_partition;	 /* M of /dev/nbNpM; 0: the device has no partitions */
	char root_elsewhere[128];	 /* a root= that is neither address nor NBD device, or "" */
	struct overlay overlay;
	struct nbd_opts opts;
	struct ip_config ip;
	struct bond_link bond;
	struct vlan_link vlan;
	char boot_mac[18]; /* of BOOTIF=, "" or lower case with colons */
	char root_fstype[32];
	char root_flags[256];
	bool has_root_rw; /* ro or rw is a word of the line, which goes before root= */
	bool root_rw;
	char init[256]; /* "" is the kernel's list */
	bool rescue;
	int panic_s; /* panic=; after a permanent failure, restart when more than 0 */
};

/* What %m, %u, %h and %i stand for; "" is unknown. With room for the newline that files have. */
struct boot_identity {
	char mac[sizeof("52:54:00:12:34:56\n")];
	char uuid[sizeof("564d0000-aaaa-bbbb-cccc-0123456789ab\n")];
	char host_name[65];
	char boot_id[sizeof("564d0000-aaaa-bbbb-cccc-0123456789ab\n")];
};

/*
 * Cuts the next token off *line, which it writes to, as next_arg() in the
 * kernel's lib/cmdline.c does: blanks separate, double quotes hold them
 * together, quotes around a value are dropped. *ret_value is NULL without a '='.
 * Returns 1, 0 at the end of the line or at the bare "--" that ends the kernel's
 * part, or -EINVAL when a quote is not closed (*ret_name is then the rest).
 */
int cmdline_next(char **line, char **ret_name, char **ret_value);

/* A word that the boot line may have. */
struct cmdline_word {
	const char *name;
	const char *kit;     /* whose word it is */
	const char *meaning; /* or, of a refused word, what to use */
};

/* The row of a word with a value, or of one without; NULL: it belongs to others. */
const struct cmdline_word *cmdline_find(const char *name, bool has_value);

/*
 * Parses the whole line, which it writes to: the forms of every kit
 * (nbdboot(7)). Tokens of others are passed over. Returns 0, or -EINVAL
 * with the token and what would be right in why; a line that kits read
 * differently is refused with both readings.
 */
int cmdline_parse(char *line, struct boot_line *ret, char *why, size_t why_size);

/*
 * Completes a line whose root is by DHCP: root_path is option 17, next_server
 * siaddr or option 54; "" is not given. 0, or -EINVAL with why. A line that says
 * all by itself stays.
 */
int cmdline_root_path(struct boot_line *line, const char *root_path, const char *next_server,
		      char *why, size_t why_size);

/*
 * Replaces %m %u %h %i in export_name, of TARGET_EXPORT_BYTES. Returns 0, -ENODATA
 * when the value is unknown, -ENAMETOOLONG; the reason is in why.
 */
int cmdline_expand(char *export_name, const struct boot_identity *identity, char *why,
		   size_t why_size);

/* explain.c */

/*
 * Prints what each word of line means, and what /init would do; root_path and
 * next_server as DHCP would give them, or NULL. 0, or EXIT_PERMANENT when /init
 * would refuse the line.
 */
int explain_run(const char *line, const char *root_path, const char *next_server);

/* ip.c: the value of ip=, in the kernel's grammar. Returns 0, or -EINVAL with why. */
int ip_parse(const char *value, struct ip_config *ret, char *why, size_t why_size);

/* nbdopts.c: the value of nbdopts= over what *opts holds. Returns 0, or -EINVAL with why. */
int nbdopts_parse(const char *value, struct nbd_opts *opts, char *why, size_t why_size);

/* nbdopts.c: the value of nbdoverlay=. 0, or -EINVAL with why. */
int overlay_parse(const char *value, struct overlay *ret, char *why, size_t why_size);

/* modules.c */

/*
 * Loads what /lib/modules/<release>/load-order lists, in its order, with the
 * parameters that the kernel command line gives as MODULE.NAME=VALUE. An image
 * without modules is fine. Says what could not be loaded; a device that is not
 * there is no failure.
 */
void modules_load(void);

/* network.c */

/*
 * Brings the network up: takes the address that the kernel set, or waits for a
 * link and sets the one of ip=, or asks by DHCP. need_ipv4 is false when every
 * server is given as an IPv6 address: then ip= unset is no DHCP. Fills the MAC and
 * host name of *ret.
 */
int network_up(const struct boot_line *line, bool need_ipv4, struct boot_identity *ret);

/*
 * Gives up an address that came by DHCP, so that the next network_up() asks
 * again: nobody renews the lease while the boot waits for a server. Not while a
 * device is attached over it.
 */
void network_drop_lease(void);

/*
 * network-keep.c: leaves files in /run that make the network managers of the
 * running system leave the interface with this MAC address alone.
 */
void network_keep(const char *mac);

/* links.c */

/* The values of vlan= and bond=. 0, or -EINVAL with why. */
int links_parse_vlan(const char *value, struct vlan_link *ret, char *why, size_t why_size);
int links_parse_bond(const char *value, struct bond_link *ret, char *why, size_t why_size);

/* The name of the topmost of them, which gets the address; "" when the line has none. */
const char *links_top(const struct boot_line *line);

/* Makes those that are not there yet and brings them up. Prints as stages do. */
int links_make(const struct boot_line *line);

/* address.c: one interface by ioctl(2), netdevice(7) */

struct ip_address {
	struct in_addr address, netmask, gateway; /* gateway 0: no default route */
	int mtu;				  /* 0: leave it */
};

int address_get(const char *interface, struct in_addr *ret);
int address_set(const char *interface, const struct ip_address *address);
int address_clear(const char *interface);
int address_link_up(const char *interface);
struct in_addr address_class_netmask(struct in_addr address);

/* Writes resolv.conf in /run, where it outlives switch_root; search may be "". */
int address_write_resolv_conf(const char *search, const struct in_addr *dns, int count);

/* dhcp.c */

/*
 * Asks once on interface, by busybox udhcpc or without a busybox by lease.c, and sets what came.
 * 0, or -errno; who asked has said why.
 */
int dhcp_run(const char *interface);

/* What the lease in force said of the root; "" is not given. */
void dhcp_root(char *ret_root_path, size_t root_path_size, char *ret_next_server,
	       size_t next_server_size);

/* The script of udhcpc (/sbin/udhcpc-event is a link to /init): does what argv[1] wants. */
int dhcp_event_main(int argc, char **argv);

/* swap.c */

/*
 * Makes sure that fd, the open device of size_bytes, begins with a swap header
 * that fits it: one that is there stays; a blank device gets one; anything else
 * is refused and not written to, so that no data can be lost. Prints as stages
 * do and returns 0 or an exit code.
 */
int swap_prepare(const char *device, int fd, uint64_t size_bytes);

/* Takes device as swap as opts say, after swap_prepare(). Prints as stages do. */
int swap_on(const char *device, const struct nbd_opts *opts);

/* swap-keep.c */

#define SHUTDOWN_PROGRAM "/run/initramfs/shutdown"
#define SWAP_KEEP_NAME	 "nbd-swap-keep"

/*
 * Leaves units in /run by which a systemd ends with swap on when memory cannot
 * hold what is in it; they need release_prepare().
 */
void swap_keep_prepare(void);

/* The process of these units: waits for the end. An exit code. */
int swap_keep_main(void);

/*
 * From now on the kernel refuses a swapoff whose pages memory cannot hold
 * (vm.overcommit_memory 2, Documentation/mm/overcommit-accounting.rst). 0 or -errno.
 */
int swap_keep_enforce(void);

/* swap-crypt.c */

/* The device's first MiB stays readable: it says that this is swap, and nothing else. */
enum { SWAP_CRYPT_OFFSET_BYTES = 1 << 20 };

/*
 * Makes a mapped device of device, encrypted by a key that nobody else has;
 * ret_path is its node. 0, -ENODEV when the kernel has no device mapper, or -errno.
 */
int swap_crypt_open(const char *device, uint64_t size_bytes, char *ret_path, size_t size);

/* Undoes that; 0 or -errno. */
int swap_crypt_close(void);

/* Whether the block device NAME is that one. */
bool swap_crypt_is(const char *name);

/* filesystem.c */

struct filesystem {
	const char *name;    /* NULL: not recognised */
	uint64_t size_bytes; /* what its superblock says, 0: not known */
	char label[64];	     /* "" when it has none, or it is not known where */
	char uuid[37];	     /* the same */
};

/* Reads the superblocks that are known here from fd. Returns 0 or -errno. */
int filesystem_probe(int fd, struct filesystem *ret);

/* overlay.c */

#define OVERLAY_DIR   "/run/nbd-client/overlay"
#define OVERLAY_LOWER OVERLAY_DIR "/image"

/* Makes the directories that the layers are mounted at. 0 or an exit code. */
int overlay_prepare(void);

/*
 * Mounts the overlay over what is mounted at OVERLAY_LOWER; device holds the file
 * system of an ON_EXPORT. Prints as stages do and returns 0 or an exit code.
 */
int overlay_mount(const struct overlay *overlay, const char *device, const char *mount_point);

/* Unmounts both layers. */
void overlay_unmount(void);

/* root-tag.c */

/*
 * Finds LABEL=, UUID=, PARTLABEL= or PARTUUID= among the attached device and its
 * partitions; ret is its path. 0, or -ENODEV: it is none of them.
 */
int root_tag_find(uint32_t index, const char *tag, char *ret, size_t size);

/* The UUID of a partition, from the table of its disk. 0 or -errno. */
int partition_uuid(int disk_fd, uint32_t number, char ret[37]);

/* root.c */

/*
 * What file system the device holds, and whether the export holds all of it;
 * prints as stages do and returns 0 or an exit code.
 */
int root_inspect(const char *device, struct filesystem *ret);

/*
 * Mounts device at mount_point, a string that stays, as the line says, and
 * checks that the init is there.
 * kernel_name is the kernel's own name of the device, by which udev and systemd
 * know it: /proc/mounts will show it.
 */
int root_mount(const struct boot_line *line, const char *device, const char *kernel_name,
	       const char *mount_point);

/* Unmounts what root_mount() left behind when a later stage failed. */
void root_unmount(void);

/*
 * Moves /dev /proc /sys /run to the mounted root, frees the image, changes root
 * and executes the init as the kernel would, with argv[1...] and the environment.
 * When that fails there is no way back: says so, and tries again for ever.
 */
_Noreturn void root_switch(const struct boot_line *line, char **argv);

/* rescue.c */

/* Keeps busybox open, so that a shell can start whatever became of the image. */
void rescue_init(void);

/* Runs applet of the image's busybox and waits for it: its exit status, or -errno. */
int rescue_busybox(char *const argv[]);

/*
 * Counts down delay_s to what ("trying again") on the console; Enter gives a shell, whose end ends
 * the wait. Without a console or busybox it only waits.
 */
void rescue_wait(const char *what, int delay_s);

/* A shell on the console now; returns when it ends. */
void rescue_shell(void);

/* directory.c */

/*
 * Calls entry(dir_fd, name, data) for each name of the directory but . and ..;
 * stops when it returns other than 0, and returns that, or -errno.
 */
int directory_each(int dir_fd, int (*entry)(int dir_fd, const char *name, void *data), void *data);

/* boot.c: network, swap, root */

/* All zero but mount_point is a boot that has done nothing yet. */
struct boot {
	struct boot_line line;
	struct boot_identity identity;
	const char *mount_point; /* of the root */
	bool leaves_elsewhere;	 /* root= that is no NBD device is the caller's to find */
	bool has_network, has_swap, was_rescued;
	unsigned int failures;
};

/* Reads /proc/cmdline; 0 or EXIT_PERMANENT. */
int boot_read_line(struct boot_line *ret);

/*
 * Does what boot->line asks for and is not done yet. 0 when root is mounted, or
 * attached when it is elsewhere; else an exit code.
 */
int boot_attempt(struct boot *boot);

/* After an attempt that ended with exit_code: how long to wait for the next one. */
int boot_delay_s(struct boot *boot, int exit_code);

/* initramfs.c: the same in an initramfs of another make */

enum initramfs_stage {
	INITRAMFS_CLAIM,   /* is the boot line for us */
	INITRAMFS_MOUNT,   /* attach swap and root, and mount the root */
	INITRAMFS_RELEASE, /* swap off, flush, detach; when the root is not mounted any more */
};

/*
 * Does the stage of -boot. CLAIM: 0 when the kernel command line is for us, 1
 * when it names no NBD device, EXIT_PERMANENT when it is refused. MOUNT returns
 * when the root is mounted at mount_point, or when root= is something else on
 * the attached device, which the caller then mounts; it never gives up. RELEASE:
 * 0, or EXIT_TEMPORARY when a device is still in use.
 */
int initramfs_run(enum initramfs_stage stage, const char *mount_point);

/* release.c: the end of a machine */

/*
 * Takes every attached device whose file system is unmounted from use: swap off
 * when memory can hold what is in it, flush, detach. 0, or EXIT_TEMPORARY when
 * a device is still in use.
 */
int release_all(void);

/*
 * Leaves this program as SHUTDOWN_PROGRAM, which systemd-shutdown(8) executes at
 * the end, and what keeps that from a swapoff that cannot be done when has_swap;
 * nothing when root, if that is known and not NULL, has no systemd.
 */
void release_prepare(const char *root, bool has_swap);

/* That program: process 1, the old root below /oldroot, argv[1] the way to end. */
_Noreturn void initramfs_shutdown(int argc, char **argv);

/* init.c: PID 1 of the image, with the arguments that the kernel gave. */
_Noreturn void init_main(char **argv);

#endif
