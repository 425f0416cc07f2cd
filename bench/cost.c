// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What TCP costs a machine that does not swap over the network, counted in
 * instructions. As process 1 of a guest under QEMU's -icount the clock advances
 * by instructions alone, so elapsed time is work; a task of the idle class
 * counts the time that nothing else needed. Prints "cost: NAME UNITS NS", where
 * NS is busy time. As "cost sink" it is the other end, on the host.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <net/if.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/reboot.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum {
	CHUNK_BYTES = 64 * 1024,
	STREAM_BYTES = 32 * 1024 * 1024,
	CARD_BYTES = 16 * 1024 * 1024,
	QUESTIONS = 1000,
	ANSWER_BYTES = 4096,
	CALIBRATION_NS = 300 * 1000 * 1000,
	ROUNDS = 5,
};

static char chunk[CHUNK_BYTES];
static volatile uint64_t *idle_count; /* shared with the idle task */
static double idle_ns_per_count;

static void fail(const char *what)
{
	printf("cost: failed: %s: %s\n", what, strerror(errno));
	fflush(stdout);
	if (getpid() == 1)
		reboot(RB_POWER_OFF);
	exit(1);
}

static uint64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

static int tcp_socket(void)
{
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), on = 1;

	if (fd < 0 || setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)) < 0)
		fail("socket");
	return fd;
}

static int listen_on_loopback(uint16_t *ret_port)
{
	struct sockaddr_in name = {.sin_family = AF_INET};
	socklen_t length = sizeof(name);
	int fd = tcp_socket();

	name.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	if (bind(fd, (struct sockaddr *)&name, sizeof(name)) < 0 || listen(fd, 8) < 0 ||
	    getsockname(fd, (struct sockaddr *)&name, &length) < 0)
		fail("listen");
	*ret_port = ntohs(name.sin_port);
	return fd;
}

static int connect_to(const char *address, uint16_t port)
{
	struct sockaddr_in name = {.sin_family = AF_INET, .sin_port = htons(port)};
	int fd = tcp_socket();

	if (inet_pton(AF_INET, address, &name.sin_addr) != 1 ||
	    connect(fd, (struct sockaddr *)&name, sizeof(name)) < 0)
		fail("connect");
	return fd;
}

static void send_all(int fd, size_t bytes)
{
	while (bytes > 0) {
		ssize_t n =
			send(fd, chunk, bytes < CHUNK_BYTES ? bytes : CHUNK_BYTES, MSG_NOSIGNAL);

		if (n < 0)
			fail("send");
		bytes -= (size_t)n;
	}
}

static void receive_all(int fd, size_t bytes)
{
	while (bytes > 0) {
		ssize_t n = recv(fd, chunk, bytes < CHUNK_BYTES ? bytes : CHUNK_BYTES, 0);

		if (n <= 0)
			fail("receive");
		bytes -= (size_t)n;
	}
}

/* Answers requests of 8 bytes: how much the other side will send, how much it wants. */
static void serve(int fd)
{
	uint32_t request[2];
	ssize_t n;

	while ((n = recv(fd, request, sizeof(request), MSG_WAITALL)) == sizeof(request)) {
		receive_all(fd, request[0]);
		send_all(fd, request[1]);
	}
	if (n != 0)
		fail("request");
	close(fd);
}

static void ask(int fd, uint32_t send_bytes, uint32_t receive_bytes)
{
	const uint32_t request[2] = {send_bytes, receive_bytes};

	if (send(fd, request, sizeof(request), MSG_NOSIGNAL) != sizeof(request))
		fail("ask");
	send_all(fd, send_bytes);
	receive_all(fd, receive_bytes);
}

/* The idle task, for ever: runs when nothing else can. */
static void start_idle_task(void)
{
	const struct sched_param none = {0};

	idle_count = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (idle_count == MAP_FAILED)
		fail("mmap");
	if (fork())
		return;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	/* musl has the function, but it always fails. */
	if (syscall(SYS_sched_setscheduler, 0, SCHED_IDLE, &none) < 0)
		fail("SCHED_IDLE");
	for (;;)
		(*idle_count)++;
}

static void calibrate(void)
{
	const struct timespec pause = {.tv_nsec = CALIBRATION_NS};
	uint64_t start_ns, count;

	nanosleep(&pause, NULL);
	count = *idle_count;
	start_ns = now_ns();
	nanosleep(&pause, NULL);
	idle_ns_per_count = (double)(now_ns() - start_ns) / (double)(*idle_count - count);
}

struct test {
	const char *name;
	bool over_card;
	uint32_t times, send_bytes, receive_bytes;
};

static const struct test tests[] = {
	{"loopback-stream", false, 1, STREAM_BYTES, 1},
	{"loopback-questions", false, QUESTIONS, 64, ANSWER_BYTES},
	{"card-send", true, 1, CARD_BYTES, 1},
	{"card-receive", true, 1, 1, CARD_BYTES},
	{"card-questions", true, 3 * QUESTIONS, 64, ANSWER_BYTES},
};

static void run(const struct test *test, int fd)
{
	uint64_t start_ns = now_ns(), count = *idle_count, busy_ns;

	for (uint32_t i = 0; i < test->times; i++)
		ask(fd, test->send_bytes, test->receive_bytes);
	busy_ns =
		now_ns() - start_ns - (uint64_t)((double)(*idle_count - count) * idle_ns_per_count);
	printf("cost: %s %llu %llu\n", test->name,
	       (unsigned long long)test->times *
		       (test->times > 1 ? 1 : test->send_bytes + test->receive_bytes),
	       (unsigned long long)busy_ns);
}

static int start_loopback_peer(void)
{
	uint16_t port;
	int listener = listen_on_loopback(&port), fd;

	if (!fork()) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		serve(accept(listener, NULL, NULL));
		exit(0);
	}
	fd = connect_to("127.0.0.1", port);
	close(listener);
	return fd;
}

static void loopback_up(void)
{
	struct ifreq request = {.ifr_name = "lo", .ifr_flags = IFF_UP | IFF_RUNNING};
	int fd = tcp_socket();

	if (ioctl(fd, SIOCSIFFLAGS, &request) < 0)
		fail("lo");
	close(fd);
}

static void guest_main(void)
{
	const char *port = getenv("cost_port");
	int loopback, card;

	if (!port)
		fail("no cost_port= on the boot line");
	loopback_up();
	loopback = start_loopback_peer();
	card = connect_to("10.0.2.2", (uint16_t)atoi(port));
	start_idle_task();
	calibrate();
	for (int round = -1; round < ROUNDS; round++) {
		for (size_t i = 0; i < sizeof(tests) / sizeof(*tests); i++) {
			if (round < 0) /* lets windows and buffers grow */
				ask(tests[i].over_card ? card : loopback, CHUNK_BYTES, CHUNK_BYTES);
			else
				run(&tests[i], tests[i].over_card ? card : loopback);
		}
	}
	printf("cost: done\n");
	fflush(stdout);
	reboot(RB_POWER_OFF);
}

static void sink_main(void)
{
	uint16_t port;
	int listener = listen_on_loopback(&port);

	printf("%u\n", port);
	fflush(stdout);
	signal(SIGCHLD, SIG_IGN);
	for (;;) {
		int fd = accept(listener, NULL, NULL);

		if (fd < 0)
			fail("accept");
		if (!fork()) {
			prctl(PR_SET_PDEATHSIG, SIGKILL);
			serve(fd);
			exit(0);
		}
		close(fd);
	}
}

int main(int argc, char **argv)
{
	if (getpid() == 1)
		guest_main();
	if (argc == 2 && !strcmp(argv[1], "sink"))
		sink_main();
	fprintf(stderr, "usage: cost sink, or as /init of a guest\n");
	return 2;
}
