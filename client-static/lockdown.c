/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A process that keeps devices must not need them. After lockdown_enter() no
 * page of it can leave the memory, no path leads to the root file system, the
 * OOM killer passes it by, and freeing memory on its behalf starts no I/O.
 */
#include "client-static/supervise.h"

#include <errno.h>
#include <linux/magic.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "common/log.h"

/* Inits that shut down send SIGTERM and SIGHUP to all; what SIGSTOP stopped goes on at SIGCONT. */
static int block_signals(void)
{
	sigset_t all;

	sigfillset(&all);
	return sigprocmask(SIG_BLOCK, &all, NULL) < 0 ? -errno : 0;
}

static int shun_oom_killer(void)
{
	return system_write("/proc/self/oom_score_adj", "-1000");
}

/*
 * To the root of each hierarchy, so that the sockets are charged to nobody and
 * no service manager ends us with the unit that started us. A hierarchy that is
 * not there needs nothing.
 */
static int leave_cgroup(void)
{
	static const char *const roots[] = {
		"/sys/fs/cgroup/cgroup.procs",
		"/sys/fs/cgroup/memory/cgroup.procs",
		"/sys/fs/cgroup/systemd/cgroup.procs",
	};
	int err = 0;

	for (size_t i = 0; i < sizeof(roots) / sizeof(*roots); i++) {
		int r = system_write(roots[i], "0");

		if (r && r != -ENOENT)
			err = r;
	}
	return err;
}

static bool is_in_memory(const char *path)
{
	struct statfs filesystem;

	return statfs(path, &filesystem) == 0 &&
	       (filesystem.f_type == (long)RAMFS_MAGIC || filesystem.f_type == (long)TMPFS_MAGIC);
}

/*
 * The root of a boot image is memory, and is left. Anywhere else: an empty ramfs
 * in a name space of our own, from which every other mount is taken away.
 */
static int leave_root(void)
{
	if (chdir("/") < 0)
		return -errno;
	if (is_in_memory("/"))
		return 0;
	if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
	    mount("ramfs", "/dev", "ramfs", MS_NOSUID | MS_NOEXEC | MS_NODEV, NULL) < 0 ||
	    chdir("/dev") < 0 || syscall(SYS_pivot_root, ".", ".") < 0 ||
	    umount2(".", MNT_DETACH) < 0 || chdir("/") < 0)
		return -errno;
	return 0;
}

/* Takes the whole stack that the kernel has set up too, 132 KiB: no call goes that deep. */
static int lock_memory(void)
{
	return mlockall(MCL_CURRENT | MCL_FUTURE) < 0 ? -errno : 0;
}

/* PF_MEMALLOC_NOIO and PF_LOCAL_THROTTLE, kernel/sys.c: to allocate we never write to a device. */
static int set_io_flusher(void)
{
	return prctl(PR_SET_IO_FLUSHER, 1, 0, 0, 0) < 0 ? -errno : 0;
}

/* A real-time task also gets half of the memory reserve (__alloc_pages() in mm/page_alloc.c). */
static int set_scheduling(void)
{
	struct sched_param first = {.sched_priority = 1};

	/* musl's function is a stub, because it is no function of a thread. */
	return syscall(SYS_sched_setscheduler, 0, SCHED_FIFO, &first) < 0 ? -errno : 0;
}

static const struct step {
	int (*enter)(void);
	const char *what, *otherwise;
} steps[] = {
	{block_signals, "sigprocmask", "a signal may end it"},
	{shun_oom_killer, "oom_score_adj", "the OOM killer may end it"},
	{leave_cgroup, "cgroup.procs", "its memory counts to the service that started it"},
	{leave_root, "pivot_root", "it may wait for the root file system"},
	{lock_memory, "mlockall", "it may be swapped out"},
	{set_io_flusher, "PR_SET_IO_FLUSHER", "it may wait for swap"},
	{set_scheduling, "SCHED_FIFO", "it cannot use the memory reserve"},
};

void lockdown_enter(bool keep_root)
{
	for (const struct step *step = steps; step < steps + sizeof(steps) / sizeof(*steps);
	     step++) {
		int err;

		if (keep_root && step->enter == leave_root)
			continue;
		err = step->enter();
		if (err)
			log_line("the supervisor is not safe under memory pressure: %s: %s: %s",
				 step->what, strerror(-err), step->otherwise);
	}
}
