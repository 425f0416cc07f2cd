// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What the server cannot do any more, in a child for each test. Exit codes tell what went
 * wrong there: memory that a child leaves behind is not looked at.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <liburing.h>
#include <linux/landlock.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "server/confine.h"
#include "server/server.h"
#include "server/storage-ring.h"

static char folder[] = "/var/tmp/confine-test.XXXXXX";

static int in_child(int (*child)(void))
{
	int status;
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (!pid)
		syscall(SYS_exit_group, child()); /* without what ASan does at the end */
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	return WEXITSTATUS(status);
}

/* 0, or the line of the condition that does not hold. */
#define want(condition)                  \
	do {                             \
		if (!(condition))        \
			return __LINE__; \
	} while (0)

static const char *in(const char *name)
{
	static char path[4][128];
	static unsigned int at;

	at = (at + 1) % 4;
	snprintf(path[at], sizeof(path[at]), "%s/%s", folder, name);
	return path[at];
}

static int make_file(const char *path)
{
	int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);

	if (fd >= 0)
		close(fd);
	return fd < 0 ? -errno : 0;
}

static int confine(void)
{
	struct export_request exports[] = {
		{.set = {.name = "disk", .path = (char *)in("disks/disk")}},
		{.set = {.name = "swap/*",
			 .path = (char *)in("swaps"),
			 .per_client = PER_CLIENT_SWAP}},
		{.set = {.name = "root/*",
			 .path = (char *)in("images/image"),
			 .cow_dir = (char *)in("layers"),
			 .per_client = PER_CLIENT_COW}},
	};
	struct config config = {.exports = exports, .export_count = 3};

	return confine_files(&config, &(struct confine_paths){0});
}

static int files_child(void)
{
	struct export_settings set = {.name = "new"};

	want(confine() == 0);
	want(prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1);
	want(make_file(in("swaps/pc1.swap")) == 0);
	want(rename(in("swaps/pc1.swap"), in("swaps/pc2.swap")) == 0);
	want(unlink(in("swaps/pc2.swap")) == 0);
	want(open(in("disks/disk"), O_RDWR) >= 0);
	want(linkat(AT_FDCWD, in("images/image"), AT_FDCWD, in("layers/g.image"), 0) == 0);
	want(open(in("other/disk"), O_RDONLY) >= 0);
	want(open(in("other/disk"), O_RDWR) < 0 && errno == EACCES);
	want(make_file(in("disks/another")) == -EACCES);
	want(unlink(in("disks/disk")) < 0 && errno == EACCES);
	want(mkdir(in("swaps/folder"), 0700) < 0 && errno == EACCES);
	want(symlink("/", in("swaps/link")) < 0 && errno == EACCES);
	want(execl("/bin/true", "true", NULL) < 0 && errno == EACCES);
	set.path = (char *)in("other/disk");
	want(!confine_covers(&set));
	set.readonly = true;
	want(confine_covers(&set));
	set.readonly = false;
	set.path = (char *)in("disks/disk");
	want(confine_covers(&set));
	return 0;
}

static bool has_landlock(void)
{
	return syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION) >= 2;
}

static void files_change_where_they_changed_at_the_start(void **state)
{
	(void)state;
	if (!has_landlock())
		skip();
	assert_int_equal(in_child(files_child), 0);
}

static pthread_barrier_t barrier;
static bool refused;

/* It runs before the filter is there, and does not end, for which ASan needs other calls. */
static void *call_of_other_thread(void *arg)
{
	pthread_barrier_wait(&barrier);
	pthread_barrier_wait(&barrier);
	refused = socket(AF_INET, SOCK_STREAM, 0) < 0 && errno == ENOSYS;
	pthread_barrier_wait(&barrier);
	pthread_barrier_wait(&barrier);
	return arg;
}

static int calls_child(void)
{
	int fd, fds[2], unread_bytes;
	pthread_t thread;

	want(socketpair(AF_UNIX, SOCK_STREAM, 0, fds) == 0 && write(fds[1], "x", 1) == 1);
	pthread_barrier_init(&barrier, NULL, 2);
	want(pthread_create(&thread, NULL, call_of_other_thread, NULL) == 0);
	pthread_barrier_wait(&barrier);
	want(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0);
	want(confine_calls() == 0);
	pthread_barrier_wait(&barrier);
	pthread_barrier_wait(&barrier);
	want(refused);
	want(socket(AF_INET, SOCK_STREAM, 0) < 0 && errno == ENOSYS);
	want((fd = socket(AF_UNIX, SOCK_STREAM, 0)) >= 0); /* syslog */
	want(listen(fd, 1) < 0 && errno == ENOSYS);
	want(ioctl(fds[0], FIONBIO, &(int){1}) == 0);
	want(ioctl(fds[0], FIONREAD, &unread_bytes) == 0 && unread_bytes == 1);
	want(ioctl(fds[0], FIOASYNC, &(int){1}) < 0 && errno == ENOSYS);
	want(execl("/bin/true", "true", NULL) < 0 && errno == ENOSYS);
	want(syscall(SYS_ptrace, 0, 0, 0, 0) < 0 && errno == ENOSYS);
	want(syscall(SYS_setuid, 0) < 0 && errno == ENOSYS);
	want(syscall(SYS_fork) < 0 && errno == ENOSYS);
	want(syscall(SYS_io_uring_setup, 1, NULL) < 0 && errno == ENOSYS);
	want(mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) ==
	     MAP_FAILED);
	want(mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) !=
	     MAP_FAILED);
	return 0;
}

static void other_system_calls_are_refused(void **state)
{
	(void)state;
	assert_int_equal(in_child(calls_child), 0);
}

static void ring_reads_and_nothing_else(void **state)
{
	struct storage_ring *ring;
	int event_fd = eventfd(0, EFD_CLOEXEC);

	(void)state;
	if (ring_open(&ring) < 0)
		skip();
	/* A ring with restrictions refuses what they do not name, and they name one operation. */
	assert_int_equal(syscall(SYS_io_uring_register, ring_fd(ring), IORING_REGISTER_EVENTFD,
				 &event_fd, 1),
			 -1);
	assert_int_equal(errno, EACCES);
	ring_close(ring);
	close(event_fd);
}

static int make_folders(void **state)
{
	(void)state;
	if (!mkdtemp(folder))
		return -1;
	for (const char *const *name =
		     (const char *const[]){"disks", "swaps", "images", "layers", "other", NULL};
	     *name; name++) {
		if (mkdir(in(*name), 0700) < 0)
			return -1;
	}
	return make_file(in("disks/disk")) ?: make_file(in("other/disk")) ?:
	       make_file(in("images/image"));
}

static int remove_folders(void **state)
{
	char command[64];

	(void)state;
	snprintf(command, sizeof(command), "rm -r %s", folder);
	return system(command);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(files_change_where_they_changed_at_the_start),
		cmocka_unit_test(other_system_calls_are_refused),
		cmocka_unit_test(ring_reads_and_nothing_else),
	};

	return cmocka_run_group_tests(tests, make_folders, remove_folders);
}
