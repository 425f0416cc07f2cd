// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The guest half of a scenario, from a booted root to the verdict.
 *
 * As /sbin/init of the test root it mounts what a shell needs; started as a service of another
 * system it finds that done. Both then run guest() of the scenario that the boot line names,
 * look for kernel problems in /dev/kmsg since boot, write both results to the virtio-serial port
 * `verdict` and power off. The runner judges.
 *
 *   scenario=NAME   run qemu-tests/scenarios/NAME.sh; without it, say that a guest runs, and end
 *   scenario=shell  a shell on the console instead
 *   scenario_shell  a shell on the console in which guest() can be called
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <regex.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

#define KIT	"/qemu-tests"
#define FAILURE "/run/guest-failure"
#define PORTS	"/dev/virtio-ports"
#define END	"/run/end" /* a script by which the machine ends otherwise than by power off */

enum {
	PORT_DEADLINE_MS = 20000,
	PORT_POLL_MS = 20,
	LINE_BYTES = 1024,
	KMSG_RECORD_BYTES = 8192, /* the kernel's CONSOLE_EXT_LOG_MAX */
};

static _Noreturn void power_off(void);

static _Noreturn void give_up(const char *what)
{
	printf("init: %s: %s\n", what, strerror(errno));
	power_off();
}

/* As inits of distributions do: what the product mounted and moved here stays, /run with its files.
 */
static void mount_at(const char *type, const char *path)
{
	struct stat root, folder;

	mkdir(path, 0755);
	if (stat("/", &root) || stat(path, &folder))
		give_up(path);
	if (root.st_dev == folder.st_dev && mount(type, path, type, 0, NULL))
		give_up(path);
}

static void mount_filesystems(void)
{
	mount_at("proc", "/proc");
	mount_at("sysfs", "/sys");
	mount_at("devtmpfs", "/dev");
	mount_at("devpts", "/dev/pts");
	mount_at("tmpfs", "/run");
	mount_at("tmpfs", "/tmp");
}

static void open_console(void)
{
	int fd = open("/dev/console", O_RDWR);

	if (fd < 0)
		return;
	for (int i = 0; i < 3; i++)
		dup2(fd, i);
	if (fd > 2)
		close(fd);
}

/* Runs a command and returns its exit status, or 128 + the signal that ended it. */
static int run_command(char *const argv[])
{
	int status;
	pid_t ended, pid = fork();

	if (pid < 0)
		give_up("fork");
	if (pid == 0) {
		setsid();
		ioctl(STDIN_FILENO, TIOCSCTTY, 1);
		execv(argv[0], argv);
		_exit(127);
	}
	do
		ended = wait(&status);
	while (ended != pid && (ended > 0 || errno == EINTR));
	if (ended < 0)
		give_up("wait");
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

/* Leave: the runner sees a machine that ended, with or without a verdict. */
static _Noreturn void power_off(void)
{
	fflush(NULL);
	if (!access(END, R_OK))
		run_command((char *[]){"/bin/sh", END, NULL});
	if (getpid() != 1) {
		execlp("systemctl", "systemctl", "poweroff", NULL);
		_exit(111);
	}
	sync();
	if (mount(NULL, "/", NULL, MS_REMOUNT | MS_RDONLY, NULL))
		printf("init: /: read-only: %s\n", strerror(errno));
	fflush(NULL);
	if (access("/sys/firmware/acpi", F_OK)) /* cannot power off; QEMU ends at a restart */
		reboot(RB_AUTOBOOT);
	reboot(RB_POWER_OFF);
	for (;;)
		pause();
}

static void read_first_line(const char *path, char *ret_line, size_t size)
{
	FILE *file = fopen(path, "re");

	ret_line[0] = '\0';
	if (!file)
		return;
	if (fgets(ret_line, size, file))
		ret_line[strcspn(ret_line, "\n")] = '\0';
	fclose(file);
}

/* Copies the value of a word KEY or KEY=VALUE of the boot line; false when it is not there. */
static bool boot_word(const char *key, char *ret_value, size_t size)
{
	char line[4 * LINE_BYTES];
	char *save, *word;
	size_t key_size = strlen(key);

	read_first_line("/proc/cmdline", line, sizeof(line));
	for (word = strtok_r(line, " ", &save); word; word = strtok_r(NULL, " ", &save)) {
		if (strncmp(word, key, key_size) || (word[key_size] && word[key_size] != '='))
			continue;
		snprintf(ret_value, size, "%s", word + key_size + (word[key_size] == '='));
		return true;
	}
	return false;
}

/* Names each virtio port as udev would, and returns how many have a name by now. */
static int link_ports(void)
{
	char path[LINE_BYTES], target[LINE_BYTES], name[64];
	struct dirent *entry;
	int named = 0;
	DIR *dir = opendir("/sys/class/virtio-ports");

	if (!dir)
		return 0;
	while ((entry = readdir(dir))) {
		snprintf(path, sizeof(path), "/sys/class/virtio-ports/%s/name", entry->d_name);
		read_first_line(path, name, sizeof(name));
		if (entry->d_name[0] == '.' || name[0] == '\0')
			continue;
		snprintf(path, sizeof(path), PORTS "/%s", name);
		snprintf(target, sizeof(target), "/dev/%s", entry->d_name);
		if (symlink(target, path) == 0 || errno == EEXIST)
			named++;
	}
	closedir(dir);
	return named;
}

/* On the second serial line of a machine without virtio ports: raw, nothing is echoed. */
static void link_serial(void)
{
	int fd = open("/dev/ttyS1", O_RDWR | O_NOCTTY | O_CLOEXEC);
	struct termios raw;

	if (fd < 0 || tcgetattr(fd, &raw))
		give_up("/dev/ttyS1");
	cfmakeraw(&raw);
	if (tcsetattr(fd, TCSANOW, &raw) || symlink("/dev/ttyS1", PORTS "/verdict") ||
	    symlink("/dev/ttyS1", PORTS "/events"))
		give_up("/dev/ttyS1");
}

/* The host names the ports some time after the driver is there; both, or the deadline. */
static void wait_ports(void)
{
	const struct timespec poll_time = {.tv_nsec = PORT_POLL_MS * 1000000L};

	mkdir(PORTS, 0755);
	if (access("/sys/class/virtio-ports", F_OK)) {
		link_serial();
		return;
	}
	for (int ms = 0; link_ports() < 2; ms += PORT_POLL_MS) {
		if (ms >= PORT_DEADLINE_MS) {
			errno = ETIMEDOUT;
			give_up("virtio ports");
		}
		nanosleep(&poll_time, NULL);
	}
}

/* One pattern per line becomes one extended regular expression. */
static void compile_problems(regex_t *ret_problems)
{
	char line[LINE_BYTES], all[8 * LINE_BYTES] = "";
	size_t used = 0;
	FILE *file = fopen(KIT "/kernel-problems", "re");

	if (!file)
		give_up(KIT "/kernel-problems");
	while (fgets(line, sizeof(line), file)) {
		line[strcspn(line, "\n")] = '\0';
		used += snprintf(all + used, sizeof(all) - used, "%s(%s)", used ? "|" : "", line);
	}
	fclose(file);
	if (used >= sizeof(all) || regcomp(ret_problems, all, REG_EXTENDED | REG_NOSUB)) {
		errno = EINVAL;
		give_up(KIT "/kernel-problems");
	}
}

/* Writes each kernel message since boot that is a problem to the verdict port. */
static void report_kernel_problems(int verdict)
{
	char record[KMSG_RECORD_BYTES];
	char *text;
	ssize_t size;
	regex_t problems;
	int kmsg = open("/dev/kmsg", O_RDONLY | O_NONBLOCK | O_CLOEXEC);

	if (kmsg < 0)
		give_up("/dev/kmsg");
	compile_problems(&problems);
	for (;;) {
		size = read(kmsg, record, sizeof(record) - 1);
		if (size < 0 && (errno == EPIPE || errno == EINTR))
			continue;
		if (size <= 0)
			break;
		record[size] = '\0';
		record[strcspn(record, "\n")] = '\0';
		text = strchr(record, ';');
		/* The facility is in the bits above the level: only what the kernel itself said. */
		if (text && strtoul(record, NULL, 10) < 8 &&
		    regexec(&problems, text + 1, 0, NULL, 0) == 0)
			dprintf(verdict, "kernel: %s\n", text + 1);
	}
	close(kmsg);
}

static void report_guest(int verdict, int status)
{
	char why[LINE_BYTES];

	read_first_line(FAILURE, why, sizeof(why));
	if (status == 0)
		dprintf(verdict, "guest: pass\n");
	else
		dprintf(verdict, "guest: exit %d%s%s\n", status, why[0] ? ": " : "", why);
}

int main(void)
{
	char name[128], word[8];
	struct timespec since_boot;
	int verdict, status;
	bool is_init = getpid() == 1;

	if (is_init) {
		mount_filesystems();
		open_console();
		setenv("PATH", "/usr/sbin:/usr/bin:/sbin:/bin", 1);
		setenv("HOME", "/root", 1);
		setenv("TERM", "linux", 1);
	}
	if (!boot_word("scenario", name, sizeof(name))) {
		clock_gettime(CLOCK_BOOTTIME, &since_boot);
		printf("init: a guest runs here, %lld ms after its kernel\n",
		       since_boot.tv_sec * 1000LL + since_boot.tv_nsec / 1000000);
		power_off();
	}
	if (is_init) {
		run_command((char *[]){"/bin/sh", KIT "/guest.sh", "prepare", NULL});
		wait_ports();
	}
	if (strcmp(name, "shell") == 0 || boot_word("scenario_shell", word, sizeof(word))) {
		run_command((char *[]){"/bin/sh", KIT "/guest.sh", "shell", name, NULL});
		power_off();
	}
	verdict = open(PORTS "/verdict", O_WRONLY | O_CLOEXEC);
	if (verdict < 0)
		give_up(PORTS "/verdict");
	status = run_command((char *[]){"/bin/sh", KIT "/guest.sh", "run", name, NULL});
	report_kernel_problems(verdict);
	report_guest(verdict, status);
	close(verdict);
	power_off();
}
