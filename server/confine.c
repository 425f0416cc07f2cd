// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The server shuts itself in. Capabilities and Landlock go by thread and are inherited, so
 * they come before the storage threads; the list of system calls comes last, for all
 * threads at once. Reading is left free, since a reload may name any image; what is
 * written has to be in a directory that was written to at the start.
 */
#include "server/confine.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/capability.h>
#include <linux/landlock.h>
#include <seccomp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <termios.h>
#include <unistd.h>

#include "server/server.h"

/* Of Landlock 3, where the headers of the system are older. */
#ifndef LANDLOCK_ACCESS_FS_TRUNCATE
#define LANDLOCK_ACCESS_FS_TRUNCATE (1ULL << 14)
#endif

static const uint64_t change_file = LANDLOCK_ACCESS_FS_WRITE_FILE | LANDLOCK_ACCESS_FS_TRUNCATE;
static const uint64_t link_file = LANDLOCK_ACCESS_FS_REFER;
static const uint64_t own_folder = LANDLOCK_ACCESS_FS_WRITE_FILE | LANDLOCK_ACCESS_FS_TRUNCATE |
				   LANDLOCK_ACCESS_FS_MAKE_REG | LANDLOCK_ACCESS_FS_REMOVE_FILE |
				   LANDLOCK_ACCESS_FS_REFER;

static const uint64_t all_changes =
	LANDLOCK_ACCESS_FS_EXECUTE | LANDLOCK_ACCESS_FS_WRITE_FILE | LANDLOCK_ACCESS_FS_REMOVE_DIR |
	LANDLOCK_ACCESS_FS_REMOVE_FILE | LANDLOCK_ACCESS_FS_MAKE_CHAR |
	LANDLOCK_ACCESS_FS_MAKE_DIR | LANDLOCK_ACCESS_FS_MAKE_REG | LANDLOCK_ACCESS_FS_MAKE_SOCK |
	LANDLOCK_ACCESS_FS_MAKE_FIFO | LANDLOCK_ACCESS_FS_MAKE_BLOCK | LANDLOCK_ACCESS_FS_MAKE_SYM |
	LANDLOCK_ACCESS_FS_REFER | LANDLOCK_ACCESS_FS_TRUNCATE;

/* Where files may be written since confine_files(), with all that is below. */
static char **granted;
static size_t granted_count;
static bool is_confined;

struct ruleset {
	int fd;
	uint64_t handled; /* all_changes, as far as this kernel knows them */
};

/* The directory of a file, or the block device itself; NULL without memory or the file. */
static char *place_of(const char *path)
{
	char *real = realpath(path, NULL), *slash;
	struct stat st;

	if (!real || (stat(real, &st) == 0 && S_ISBLK(st.st_mode)))
		return real;
	slash = strrchr(real, '/');
	slash[slash == real] = '\0';
	return real;
}

/* Takes real over. */
static int note_grant(char *real)
{
	char **list = realloc(granted, (granted_count + 1) * sizeof(*list));

	if (!list) {
		free(real);
		return -ENOMEM;
	}
	granted = list;
	granted[granted_count++] = real;
	return 0;
}

/* Takes real over. */
static int grant(const struct ruleset *ruleset, char *real, uint64_t access)
{
	struct landlock_path_beneath_attr rule = {.allowed_access = access & ruleset->handled};
	int r = 0;

	if (!real)
		return 0; /* whoever opens it says that it is not there */
	rule.parent_fd = open(real, O_PATH | O_CLOEXEC);
	if (rule.parent_fd < 0 ||
	    syscall(SYS_landlock_add_rule, ruleset->fd, LANDLOCK_RULE_PATH_BENEATH, &rule, 0) < 0)
		r = -errno;
	if (rule.parent_fd >= 0)
		close(rule.parent_fd);
	if (!r && access & LANDLOCK_ACCESS_FS_WRITE_FILE)
		return note_grant(real);
	free(real);
	return r;
}

/* Where a section writes to. A layer's image is linked from where it lies, which Landlock
 * lets only those do who may do to it there what they may in the other place. */
static int grant_export(const struct ruleset *ruleset, const struct export_settings *set)
{
	char *place = place_of(set->path);
	struct stat st;
	bool is_device = place && stat(place, &st) == 0 && S_ISBLK(st.st_mode);
	int r = 0;

	if (set->per_client == PER_CLIENT_SWAP) {
		free(place);
		return grant(ruleset, realpath(set->path, NULL), own_folder);
	}
	if (set->per_client == PER_CLIENT_COW)
		r = grant(ruleset, realpath(set->cow_dir, NULL), own_folder);
	if (r < 0 || (set->readonly && !set->per_client)) {
		free(place);
		return r;
	}
	return grant(ruleset, place, is_device ? change_file : change_file | link_file);
}

static int grant_removal(const struct ruleset *ruleset, const char *path)
{
	return path ? grant(ruleset, place_of(path), LANDLOCK_ACCESS_FS_REMOVE_FILE) : 0;
}

static int add_rules(const struct ruleset *ruleset, const struct config *config,
		     const struct confine_paths *paths)
{
	int r = grant(ruleset, strdup("/dev/null"), LANDLOCK_ACCESS_FS_WRITE_FILE);

	for (size_t i = 0; !r && i < config->export_count; i++)
		r = grant_export(ruleset, &config->exports[i].set);
	if (!r && paths->export_path)
		r = grant(ruleset, place_of(paths->export_path), change_file);
	if (!r)
		r = grant_removal(ruleset, paths->pid_path);
	if (!r)
		r = grant_removal(ruleset, paths->unix_path);
	return r ?: grant_removal(ruleset, paths->status_path);
}

/* Of version 1 no file can be linked to another directory, which layers need. */
static int open_ruleset(struct ruleset *ret)
{
	struct landlock_ruleset_attr attr = {.handled_access_fs = all_changes};
	long version =
		syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);

	if (version < 2)
		return -EOPNOTSUPP;
	if (version < 3)
		attr.handled_access_fs &= ~LANDLOCK_ACCESS_FS_TRUNCATE;
	ret->handled = attr.handled_access_fs;
	ret->fd = (int)syscall(SYS_landlock_create_ruleset, &attr, sizeof(attr), 0);
	return ret->fd < 0 ? -errno : 0;
}

static int drop_capabilities(void)
{
	const uint32_t kept = 1U << CAP_DAC_OVERRIDE | 1U << CAP_DAC_READ_SEARCH | 1U << CAP_FOWNER;
	struct __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
	struct __user_cap_data_struct data[2] = {{0}};

	if (syscall(SYS_capget, &header, data) < 0)
		return -errno;
	data[0].permitted &= kept;
	data[0].effective &= kept;
	data[0].inheritable = 0;
	data[1] = (struct __user_cap_data_struct){0};
	return syscall(SYS_capset, &header, data) < 0 ? -errno : 0;
}

int confine_files(const struct config *config, const struct confine_paths *paths)
{
	struct ruleset ruleset;
	int r = drop_capabilities();

	if (!r && prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		r = -errno;
	if (r < 0)
		return r;
	if (open_ruleset(&ruleset) < 0)
		return 0;
	r = add_rules(&ruleset, config, paths);
	if (!r && syscall(SYS_landlock_restrict_self, ruleset.fd, 0) < 0)
		r = -errno;
	close(ruleset.fd);
	is_confined = !r;
	return r;
}

/* Takes real over. */
static bool is_granted(char *real)
{
	bool found = !real;

	for (size_t i = 0; !found && i < granted_count; i++) {
		size_t length = strlen(granted[i]);

		found = !strncmp(real, granted[i], length) &&
			(!real[length] || real[length] == '/' || length == 1);
	}
	free(real);
	return found;
}

bool confine_covers(const struct export_settings *set)
{
	if (!is_confined)
		return true;
	if (set->per_client == PER_CLIENT_SWAP)
		return is_granted(realpath(set->path, NULL));
	if (set->per_client == PER_CLIENT_COW && !is_granted(realpath(set->cow_dir, NULL)))
		return false;
	return (set->readonly && !set->per_client) || is_granted(place_of(set->path));
}

/* Calls that are allowed with any arguments, by what they are for. */
static const int plain_calls[] = {
	/* the loop, its threads and memory */
	SCMP_SYS(epoll_ctl),
	SCMP_SYS(epoll_wait),
	SCMP_SYS(epoll_pwait),
	SCMP_SYS(io_uring_enter),
	SCMP_SYS(rseq),
	SCMP_SYS(set_robust_list),
	SCMP_SYS(poll),
	SCMP_SYS(ppoll),
	SCMP_SYS(read),
	SCMP_SYS(readv),
	SCMP_SYS(write),
	SCMP_SYS(writev),
	SCMP_SYS(futex),
	SCMP_SYS(brk),
	SCMP_SYS(munmap),
	SCMP_SYS(mremap),
	SCMP_SYS(madvise),
	SCMP_SYS(clock_gettime),
	SCMP_SYS(clock_nanosleep),
	SCMP_SYS(gettimeofday),
	SCMP_SYS(time),
	SCMP_SYS(getrandom),
	SCMP_SYS(rt_sigaction),
	SCMP_SYS(rt_sigprocmask),
	SCMP_SYS(rt_sigreturn),
	SCMP_SYS(restart_syscall),
	SCMP_SYS(sched_yield),
	SCMP_SYS(sysinfo),
	SCMP_SYS(getpid),
	SCMP_SYS(gettid),
	SCMP_SYS(geteuid),
	SCMP_SYS(tgkill),
	SCMP_SYS(exit),
	SCMP_SYS(exit_group),
	/* sockets */
	SCMP_SYS(accept4),
	SCMP_SYS(recvfrom),
	SCMP_SYS(recvmsg),
	SCMP_SYS(sendto),
	SCMP_SYS(sendmsg),
	SCMP_SYS(shutdown),
	SCMP_SYS(getsockopt),
	SCMP_SYS(setsockopt),
	SCMP_SYS(getsockname),
	SCMP_SYS(connect), /* to the log: see socket() below */
	/* data */
	SCMP_SYS(pread64),
	SCMP_SYS(preadv),
	SCMP_SYS(preadv2),
	SCMP_SYS(pwrite64),
	SCMP_SYS(pwritev),
	SCMP_SYS(pwritev2),
	SCMP_SYS(splice),
	SCMP_SYS(pipe2),
	SCMP_SYS(fallocate),
	SCMP_SYS(fdatasync),
	SCMP_SYS(fsync),
	SCMP_SYS(fadvise64),
	SCMP_SYS(lseek),
	/* files of exports and of the configuration */
	SCMP_SYS(openat),
	SCMP_SYS(close),
	SCMP_SYS(fcntl),
	SCMP_SYS(dup2),
	SCMP_SYS(dup3),
	SCMP_SYS(fstat),
	SCMP_SYS(stat),
	SCMP_SYS(lstat),
	SCMP_SYS(newfstatat),
	SCMP_SYS(statx),
	SCMP_SYS(fstatfs),
	SCMP_SYS(faccessat),
	SCMP_SYS(faccessat2),
	SCMP_SYS(access),
	SCMP_SYS(readlink),
	SCMP_SYS(readlinkat),
	SCMP_SYS(getcwd),
	SCMP_SYS(getdents64),
	SCMP_SYS(flock),
	SCMP_SYS(ftruncate),
	SCMP_SYS(utimensat),
	SCMP_SYS(linkat),
	SCMP_SYS(renameat),
	SCMP_SYS(renameat2),
	SCMP_SYS(unlink),
	SCMP_SYS(unlinkat),
	SCMP_SYS(fgetxattr),
	SCMP_SYS(fsetxattr),
	SCMP_SYS(fremovexattr),
};

static int add_calls(scmp_filter_ctx filter)
{
	int r = 0;

	for (size_t i = 0; !r && i < sizeof(plain_calls) / sizeof(plain_calls[0]); i++)
		r = seccomp_rule_add(filter, SCMP_ACT_ALLOW, plain_calls[i], 0);
	/* syslog(3) connects again when its socket is gone; nothing else makes one. */
	if (!r)
		r = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(socket), 1,
				     SCMP_A0(SCMP_CMP_EQ, AF_UNIX, 0));
	if (!r)
		r = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(ioctl), 1,
				     SCMP_A1(SCMP_CMP_EQ, FIONBIO, 0));
	if (!r)
		r = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(ioctl), 1,
				     SCMP_A1(SCMP_CMP_EQ, TCGETS, 0));
	/* What has come until the server is told to end is answered (connection_drain()). */
	if (!r)
		r = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(ioctl), 1,
				     SCMP_A1(SCMP_CMP_EQ, FIONREAD, 0));
	/* Memory, but none that holds code. */
	if (!r)
		r = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(mmap), 1,
				     SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0));
	return r
		       ?: seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(mprotect), 1,
					   SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0));
}

int confine_calls(void)
{
	scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ERRNO(ENOSYS));
	int r;

	if (!filter)
		return -ENOMEM;
	r = seccomp_attr_set(filter, SCMP_FLTATR_CTL_TSYNC, 1);
	if (!r)
		r = add_calls(filter);
	if (!r)
		r = seccomp_load(filter);
	seccomp_release(filter);
	/* A kernel without it: libseccomp says EINVAL or ECANCELED. */
	return r == -EINVAL || r == -ECANCELED || r == -ENOSYS ? -EOPNOTSUPP : r;
}
