// SPDX-License-Identifier: GPL-2.0-only
/*
 * faults serve: the server, until it is killed. faults COMMAND...: tells it what to
 * do, prints one line, and fails when the driver refused.
 *
 *   attach TIMEOUT_S DEAD_TIMEOUT_S [SEND_BUFFER_BYTES [CONNECTIONS]]
 *                                     /dev/nbd0 on the first connections
 *   attach-server ADDRESS PORT EXPORT /dev/nbd0 on another server, which the driver connects again
 *   replace [INDEX [SIZE_BYTES]]      a new connection to the driver
 *   detach, status                    of the device
 *   none|hold|deaf|shutdown|half [CONNECTION]
 *                                     what a connection, or the newest, does from now on
 *   close [CONNECTION]                ends it
 *   drain-old                         the older ones read what they still get, until they end
 *
 * Connections count from 0, which is the first of the last attach. faults listen:
 * prints the events of links that the driver tells, by a process that needs no memory
 * for it.
 */
#include "qemu-tests/faults/faults.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

enum { LINE_BYTES = 256, WORDS_MAX = 5 };

static const struct sockaddr_un control = {.sun_family = AF_UNIX, .sun_path = "/run/faults"};

/* Gets the name above when it can be connected to. */
static const struct sockaddr_un unready = {.sun_family = AF_UNIX, .sun_path = "/run/faults.new"};

static int connect_with_buffer(int send_buffer_bytes)
{
	int fd = server_connect();
	int err;

	if (fd < 0 || !send_buffer_bytes ||
	    setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &send_buffer_bytes, sizeof(send_buffer_bytes)) ==
		    0)
		return fd;
	err = -errno;
	close(fd);
	return err;
}

static int attach(char **words)
{
	size_t count = words[4] ? strtoul(words[4], NULL, 10) : 1;
	int fds[FAULTS_SOCKETS_MAX];
	size_t opened;
	int err = 0;

	if (!count || count > FAULTS_SOCKETS_MAX)
		return -EINVAL;
	server_count_anew();
	for (opened = 0; opened < count; opened++) {
		fds[opened] = connect_with_buffer(words[3] ? atoi(words[3]) : 0);
		err = fds[opened];
		if (err < 0)
			goto close;
	}
	err = driver_attach(fds, count, strtoull(words[1], NULL, 10), strtoull(words[2], NULL, 10));
close:
	while (opened > 0)
		close(fds[--opened]);
	return err;
}

static int attach_server(const char *address, const char *port, const char *export_name)
{
	struct recipe recipe;
	int fd = recipe_connect(address, (uint16_t)atoi(port), export_name, &recipe);
	int err;

	if (fd < 0)
		return fd;
	err = driver_attach_with_recipe(fd, &recipe);
	close(fd);
	return err;
}

/* -ECONNABORTED: the driver said yes, and let go of the connection. */
static int replace(const char *index, const char *size_bytes)
{
	int fd = server_connect();
	int err;

	if (fd < 0)
		return fd;
	err = driver_replace(fd, index ? atoi(index) : -1,
			     size_bytes ? strtoull(size_bytes, NULL, 10) : 0);
	close(fd);
	if (!err && server_is_ended())
		return -ECONNABORTED;
	return err;
}

static const char *status(void)
{
	static const char *const names[] = {"dead", "live", "connecting", "refused"};
	int state = driver_state();

	return state < 0 ? strerror(-state) : state < 4 ? names[state] : "unknown";
}

static bool set_fault(const char *name, const char *connection)
{
	static const char *const names[] = {"none", "hold", "deaf", "shutdown", "half"};

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		if (!strcmp(name, names[i])) {
			server_set_fault((enum fault)i, connection);
			return true;
		}
	}
	return false;
}

static const char *result(int err)
{
	return err ? strerror(-err) : "done";
}

/* What the words say; a static text. */
static const char *execute(char **words, size_t count)
{
	const char *command = words[0];

	if (!strcmp(command, "attach") && count >= 3)
		return result(attach(words));
	if (!strcmp(command, "attach-server") && count == 4)
		return result(attach_server(words[1], words[2], words[3]));
	if (!strcmp(command, "replace"))
		return result(replace(words[1], words[2]));
	if (!strcmp(command, "detach"))
		return result(driver_detach());
	if (!strcmp(command, "status"))
		return status();
	if (!strcmp(command, "close"))
		server_close(words[1]);
	else if (!strcmp(command, "drain-old"))
		server_drain_old();
	else if (!set_fault(command, words[1]))
		return "no such command";
	return "done";
}

static void answer_command(int fd)
{
	char line[LINE_BYTES] = "", *words[WORDS_MAX + 1] = {NULL}, *rest = line;
	size_t count = 0;
	const char *said;

	if (read(fd, line, sizeof(line) - 1) <= 0)
		return;
	while (count < WORDS_MAX && (words[count] = strsep(&rest, " \n")) && *words[count])
		count++;
	words[count] = NULL;
	said = count ? execute(words, count) : "no command";
	if (write(fd, said, strlen(said)) < 0)
		perror("faults: answer");
}

static int serve(void)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	server_begin();
	signal(SIGPIPE, SIG_IGN);
	if (fd < 0 || bind(fd, (const struct sockaddr *)&unready, sizeof(unready)) < 0 ||
	    listen(fd, 4) < 0 || rename(unready.sun_path, control.sun_path) < 0) {
		perror("faults: serve");
		return 1;
	}
	for (;;) {
		int client = accept4(fd, NULL, NULL, SOCK_CLOEXEC);

		if (client < 0)
			continue;
		answer_command(client);
		close(client);
	}
}

/* The first line comes before there is no memory, as the terminal may need some for it. */
static int listen_to_links(void)
{
	static const char *const said[] = {"link: dead\n", "link: up\n"};
	int fd = driver_listen();
	int event = 0;

	if (fd < 0 || mlockall(MCL_CURRENT | MCL_FUTURE) < 0) {
		fprintf(stderr, "faults: listen: %s\n", strerror(fd < 0 ? -fd : errno));
		return 1;
	}
	setbuf(stdout, NULL);
	for (puts("link: listening"); event >= 0; event = driver_hear(fd)) {
		if (event > 0)
			fputs(said[event - 1], stdout);
	}
	fprintf(stderr, "faults: listen: %s\n", strerror(-event));
	return 1;
}

static int tell(char **words)
{
	char line[LINE_BYTES] = "";
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	ssize_t length;

	for (; *words; words++) {
		strncat(line, *words, sizeof(line) - strlen(line) - 2);
		strcat(line, " ");
	}
	if (fd < 0 || connect(fd, (const struct sockaddr *)&control, sizeof(control)) < 0 ||
	    write(fd, line, strlen(line)) < 0) {
		perror("faults: is \"faults serve\" running");
		return 1;
	}
	length = read(fd, line, sizeof(line) - 1);
	line[length < 0 ? 0 : length] = '\0';
	puts(line);
	return strcmp(line, "done") != 0;
}

int main(int argc, char **argv)
{
	if (argc < 2) {
		fputs("usage: faults serve|listen|COMMAND...\n", stderr);
		return 1;
	}
	if (!strcmp(argv[1], "listen"))
		return listen_to_links();
	return strcmp(argv[1], "serve") ? tell(argv + 1) : serve();
}
