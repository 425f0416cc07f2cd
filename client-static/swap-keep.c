/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Swap at the end of a machine with systemd. systemd-shutdown(8) is process 1 when
 * it turns swap off, and what a tmpfs has there may be more than the memory: the
 * kernel then finds nobody to end for it, and panics. It refuses a swapoff that
 * exceeds the commit limit, if that is enforced (mm/util.c, __vm_enough_memory());
 * which is wanted at the end and at no other time. So the boot leaves a service
 * whose process waits for the signal that systemd-shutdown sends to everybody.
 */
#include "client-static/boot.h"
#include "common/log.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

static const struct {
	const char *path, *text;
} files[] = {
	{"/run/systemd/system/nbd-swap-keep.service",
	 "[Unit]\n"
	 "Description=At the end, swap stays on if memory cannot hold what is in it\n"
	 "Documentation=man:nbdboot(7)\n"
	 "DefaultDependencies=no\n"
	 "IgnoreOnIsolate=yes\n"
	 "RefuseManualStop=yes\n\n"
	 "[Service]\n"
	 "ExecStart=@" SHUTDOWN_PROGRAM " " SWAP_KEEP_NAME "\n"
	 "OOMScoreAdjust=-1000\n"},
	{"/run/systemd/system/sysinit.target.d/nbd-client.conf",
	 "[Unit]\nWants=nbd-swap-keep.service\n"},
	/* systemd has units for a swap by each of its names, which are not known yet. */
	{"/run/systemd/system/swap.d/nbd-client.conf",
	 "# No swap is turned off while services end: systemd-shutdown does it.\n"
	 "[Unit]\nDefaultDependencies=no\n"},
};

void swap_keep_prepare(void)
{
	for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
		int err = system_leave_file(files[i].path, files[i].text);

		if (err)
			log_line("%s: %s", files[i].path, strerror(-err));
	}
}

/*
 * What memory is to hold without swap: half of it, since the kernel needs some too.
 * The limit is this and all swap, and must not keep the end itself from memory: a
 * quarter of the swap stays above what is committed.
 */
static uint64_t choose_limit_kib(uint64_t memory_kib, uint64_t swap_kib, uint64_t committed_kib)
{
	uint64_t needed_kib = committed_kib + swap_kib / 4;

	if (needed_kib > memory_kib / 2 + swap_kib)
		return needed_kib - swap_kib;
	return memory_kib / 2;
}

int swap_keep_enforce(void)
{
	uint64_t memory_kib, swap_kib, committed_kib;
	char text[24];
	int err = system_memory_kib("MemTotal", &memory_kib);

	if (!err)
		err = system_memory_kib("SwapTotal", &swap_kib);
	if (!err)
		err = system_memory_kib("Committed_AS", &committed_kib);
	if (err)
		return err;
	snprintf(text, sizeof(text), "%llu",
		 (unsigned long long)choose_limit_kib(memory_kib, swap_kib, committed_kib));
	err = system_write("/proc/sys/vm/overcommit_kbytes", text);
	return err ? err : system_write("/proc/sys/vm/overcommit_memory", "2");
}

/* Process 1, by the name that the kernel has of it: 15 bytes. */
static bool is_end(void)
{
	char name[32];

	return system_read("/proc/1/comm", name, sizeof(name)) == 0 &&
	       strcmp(name, "systemd-shutdow") == 0;
}

int swap_keep_main(void)
{
	sigset_t signals;
	int signal, err;

	log_init(SWAP_KEEP_NAME);
	if (mlockall(MCL_CURRENT | MCL_FUTURE) < 0)
		log_line("mlockall: %s", strerror(errno));
	sigemptyset(&signals);
	sigaddset(&signals, SIGTERM);
	sigprocmask(SIG_BLOCK, &signals, NULL);
	sigwait(&signals, &signal);
	if (!is_end())
		return 0;
	err = swap_keep_enforce();
	if (err)
		log_line("vm.overcommit_memory: %s", strerror(-err));
	return err ? EXIT_PERMANENT : 0;
}
