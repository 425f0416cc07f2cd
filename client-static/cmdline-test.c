/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The kernel command line: a table of lines that are understood, one of lines
 * that are refused and with which words, one of the quoting; then hostile lines.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <arpa/inet.h>
#include <cmocka.h>

#include "client-static/boot.h"

#define ROOT "root=nbd://10.0.2.2/r "

static int parse(const char *text, struct boot_line *ret, char *why)
{
	char *line = strdup(text); /* exact size, so that the sanitizer sees an overrun */
	int r = cmdline_parse(line, ret, why, BOOT_WHY_BYTES);

	free(line);
	return r;
}

/* One string of everything that was understood and is not the default. */
static const char *describe(const struct boot_line *l)
{
	static char text[4096];
	char address[4][INET_ADDRSTRLEN];
	static const char *const methods[] = {"", "off", "dhcp", "static"};
	const struct in_addr ip[4] = {l->ip.address, l->ip.gateway, l->ip.netmask, l->ip.dns[0]};
	size_t n = 0;

	for (int i = 0; i < 4; i++)
		inet_ntop(AF_INET, &ip[i], address[i], sizeof(address[i]));
#define ADD(condition, ...)                                                             \
	do {                                                                            \
		if (condition)                                                          \
			n += (size_t)snprintf(text + n, sizeof(text) - n, __VA_ARGS__); \
	} while (0)
	ADD(l->root_source, "root=%s,%u,%s", l->root.host, l->root.port, l->root.export_name);
	ADD(l->has_swap, " swap=%s,%u,%s", l->swap.host, l->swap.port, l->swap.export_name);
	ADD(l->overlay.kind == OVERLAY_IN_MEMORY, " tmpfs=%s", l->overlay.size);
	ADD(l->overlay.kind == OVERLAY_ON_EXPORT, " upper=%s,%s", l->overlay.target.host,
	    l->overlay.target.export_name);
	ADD(l->opts.io_timeout_s, " timeout=%u", (unsigned int)l->opts.io_timeout_s);
	ADD(l->opts.has_dead_timeout, " dead=%u", (unsigned int)l->opts.dead_timeout_s);
	ADD(l->opts.block_size_bytes, " bs=%u", l->opts.block_size_bytes);
	ADD(l->opts.swap_priority >= 0, " prio=%d", l->opts.swap_priority);
	ADD(l->opts.reserve == RESERVE_KEEP, " reserve=keep");
	ADD(l->opts.swap_crypt, " crypt");
	ADD(l->opts.swap_discard_pages, " discard");
	ADD(l->opts.swap_percent, " size=%u%%", l->opts.swap_percent);
	ADD(l->ip.method, " ip=%s", methods[l->ip.method]);
	ADD(l->ip.method == IP_STATIC, ",%s,%s,%s,%s", address[0], address[1], address[2],
	    address[3]);
	ADD(l->ip.mtu_bytes, " mtu=%d", l->ip.mtu_bytes);
	ADD(l->ip.host_name[0], " host=%s", l->ip.host_name);
	ADD(l->ip.device[0], " device=%s", l->ip.device);
	ADD(l->boot_mac[0], " mac=%s", l->boot_mac);
	ADD(l->root_elsewhere[0], " elsewhere=%s", l->root_elsewhere);
	ADD(l->root_fstype[0], " type=%s", l->root_fstype);
	ADD(l->root_flags[0], " flags=%s", l->root_flags);
	ADD(l->root_rw, " rw");
	ADD(l->init[0], " init=%s", l->init);
	ADD(l->rescue, " rescue");
	ADD(l->panic_s, " panic=%d", l->panic_s);
#undef ADD
	return text;
}

static const struct {
	const char *line, *meaning;
} good[] = {
	{"root=nbd://10.0.2.2/r", "root=10.0.2.2,10809,r"},
	{"root=nbd://10.0.2.2:1234/r", "root=10.0.2.2,1234,r"},
	{"netroot=nbd://s/r root=LABEL=x", "root=s,10809,r elsewhere=LABEL=x"},
	{"nbdroot=s,r root=UUID=1-2", "root=s,10809,r elsewhere=UUID=1-2"},
	{"root=/dev/mapper/v-root netroot=nbd:s:r", "root=s,10809,r elsewhere=/dev/mapper/v-root"},
	{"root=nbd://server.example/a/b", "root=server.example,10809,a/b"},
	{"root=nbd://server", "root=server,10809,"},
	{"root=nbd://[fd00::1]:9/r", "root=fd00::1,9,r"},
	{"root=nbd://[fd00::1]", "root=fd00::1,10809,"},
	{"root=nbd://s/%m-%u-%h/%i", "root=s,10809,%m-%u-%h/%i"},
	{ROOT "nbdswap=nbd://s:7/swap/%m", "root=10.0.2.2,10809,r swap=s,7,swap/%m"},
	{"root=nbd://a/1 root=nbd://b/2", "root=b,10809,2"},
	{"\t root=nbd://a/1\n", "root=a,10809,1"},
	{"\"root=nbd://a/1 2\"", "root=a,10809,1 2"},
	{"root=\"nbd://a/1 2\" ro", "root=a,10809,1 2"},
	{ROOT "nbdopts=timeout=5,dead-timeout=100,bs=4096,prio=3",
	 "root=10.0.2.2,10809,r timeout=5 dead=100 bs=4096 prio=3"},
	{ROOT "nbdopts=dead_timeout=0", "root=10.0.2.2,10809,r dead=0"},
	{ROOT "nbdopts=,,prio=0,", "root=10.0.2.2,10809,r prio=0"},
	{ROOT "nbdopts=reserve=keep", "root=10.0.2.2,10809,r reserve=keep"},
	{ROOT "nbdopts=reserve=keep,reserve=auto", "root=10.0.2.2,10809,r"},
	{ROOT "nbdopts=bs=512 nbdopts=prio=1", "root=10.0.2.2,10809,r bs=512 prio=1"},
	{ROOT "ip=dhcp", "root=10.0.2.2,10809,r ip=dhcp"},
	{ROOT "ip=on", "root=10.0.2.2,10809,r ip=dhcp"},
	{ROOT "ip=any", "root=10.0.2.2,10809,r ip=dhcp"},
	{ROOT "ip=both", "root=10.0.2.2,10809,r ip=dhcp"},
	{ROOT "ip=off", "root=10.0.2.2,10809,r ip=off"},
	{ROOT "ip=none", "root=10.0.2.2,10809,r ip=off"},
	{ROOT "ip=", "root=10.0.2.2,10809,r ip=dhcp"},
	{ROOT "ip=::::pc7:eth1:dhcp", "root=10.0.2.2,10809,r ip=dhcp host=pc7 device=eth1"},
	{ROOT "ip=10.0.2.15", "root=10.0.2.2,10809,r ip=static,10.0.2.15,0.0.0.0,0.0.0.0,0.0.0.0"},
	{ROOT
	 "ip=10.0.2.15:10.0.2.2:10.0.2.1:255.255.255.0:pc7:eth0:off:10.0.2.3:10.0.2.4:10.0.2.5",
	 "root=10.0.2.2,10809,r ip=static,10.0.2.15,10.0.2.1,255.255.255.0,10.0.2.3 host=pc7 "
	 "device=eth0"},
	{ROOT "ip=10.0.2.15:::20", "root=10.0.2.2,10809,r "
				   "ip=static,10.0.2.15,0.0.0.0,255.255.240.0,0.0.0.0"},
	{ROOT "ip=eth1:dhcp", "root=10.0.2.2,10809,r ip=dhcp device=eth1"},
	{ROOT "ip=single-dhcp", "root=10.0.2.2,10809,r ip=dhcp"},
	{ROOT "ip=auto6", "root=10.0.2.2,10809,r ip=off"},
	{ROOT "ip=eth1:auto6", "root=10.0.2.2,10809,r ip=off device=eth1"},
	{ROOT "ip=10.0.2.15::10.0.2.1:255.255.255.0:pc7:eth0:none:1400",
	 "root=10.0.2.2,10809,r ip=static,10.0.2.15,10.0.2.1,255.255.255.0,0.0.0.0 mtu=1400 "
	 "host=pc7 device=eth0"},
	{ROOT "nameserver=10.0.2.3 ip=10.0.2.15:::24 nameserver=10.0.2.4 nameserver=10.0.2.5",
	 "root=10.0.2.2,10809,r ip=static,10.0.2.15,0.0.0.0,255.255.255.0,10.0.2.3"},
	{ROOT "bootdev=eth2", "root=10.0.2.2,10809,r device=eth2"},
	{ROOT "bootdev=eth2 ip=eth3:dhcp", "root=10.0.2.2,10809,r ip=dhcp device=eth3"},
	{ROOT "ifname=net0:52:54:00:AB:cd:ef ip=net0:dhcp",
	 "root=10.0.2.2,10809,r ip=dhcp mac=52:54:00:ab:cd:ef"},
	{ROOT "rd.neednet=1 rd.net.timeout.dhcp=9 rd.net.dhcp.retry=2 wol_wait=1",
	 "root=10.0.2.2,10809,r"},
	{ROOT "rd.overlay=0 overlaytmpfs=no copytoram=auto", "root=10.0.2.2,10809,r"},
	{ROOT "nbdopts=crypt,discard,size=150%", "root=10.0.2.2,10809,r crypt discard size=150%"},
	{ROOT "nbdoverlay=tmpfs", "root=10.0.2.2,10809,r tmpfs="},
	{ROOT "nbdoverlay=tmpfs,size=150%", "root=10.0.2.2,10809,r tmpfs=150%"},
	{ROOT "nbdoverlay=tmpfs,size=2g", "root=10.0.2.2,10809,r tmpfs=2g"},
	{ROOT "nbdoverlay=nbd://s/upper/%m", "root=10.0.2.2,10809,r upper=s,upper/%m"},
	{ROOT "rd.overlay=1", "root=10.0.2.2,10809,r tmpfs="},
	{ROOT "rd.overlay", "root=10.0.2.2,10809,r tmpfs="},
	{ROOT "overlaytmpfs=yes", "root=10.0.2.2,10809,r tmpfs="},
	{"root=overlay:nbd=s:x", "root=s,10809,x tmpfs="},
	{ROOT "BOOTIF=01-52-54-00-AB-cd-ef", "root=10.0.2.2,10809,r mac=52:54:00:ab:cd:ef"},
	{ROOT "BOOTIF=52:54:00:ab:cd:ef", "root=10.0.2.2,10809,r mac=52:54:00:ab:cd:ef"},
	{ROOT "rootfstype=ext4,xfs rootflags=noatime,data=ordered rw",
	 "root=10.0.2.2,10809,r type=ext4,xfs flags=noatime,data=ordered rw"},
	{ROOT "rw ro", "root=10.0.2.2,10809,r"},
	{ROOT "init=/bin/sh", "root=10.0.2.2,10809,r init=/bin/sh"},
	{ROOT "rescue", "root=10.0.2.2,10809,r rescue"},
	{ROOT "rd.break", "root=10.0.2.2,10809,r rescue"},
	{ROOT "rd.break=pre-mount", "root=10.0.2.2,10809,r rescue"},
	{ROOT "panic=10", "root=10.0.2.2,10809,r panic=10"},
	{ROOT "panic=-1", "root=10.0.2.2,10809,r panic=-1"},
	/* the kernel's, the distribution's, or after the end of the kernel's part */
	{ROOT "rootwait rootdelay=5 console=ttyS0,115200 quiet nbd.max_part=3 systemd.unit=x",
	 "root=10.0.2.2,10809,r"},
	{ROOT "boot=live disk=sda single -- rescue root=/dev/sda", "root=10.0.2.2,10809,r"},
	{"BOOT_IMAGE=/vmlinuz initrd=initrd.gz " ROOT "foo=\"a b\" \"c d\"",
	 "root=10.0.2.2,10809,r"},
};

static const struct {
	const char *line, *why; /* a part of the reason, the token among it */
} bad[] = {
	{"", "root= is missing; write root=nbd://SERVER"},
	{"ro quiet", "root= is missing"},
	{"-- " ROOT, "root= is missing"},
	{"root", "root: has no value; write root="},
	{"root=", "root=: not an nbd:// address"},
	{"root=/dev/sda1", "root=/dev/sda1: a local disk"},
	{"root=/dev/nbd0", "root= names a device and no server; write root=nbd://"},
	{"root=UUID=1234", "root=UUID=1234: a local disk"},
	{"root=PARTUUID=1234", "root=PARTUUID=1234: a local disk"},
	{"root=LABEL=x", "root=LABEL=x: a local disk"},
	{"root=nbds://s/r", "root=nbds://s/r: not an nbd://"},
	{"root=nbd:///r", "root=nbd:///r: names no server"},
	{"root=nbd://:10809/r", "root=nbd://:10809/r: names no server"},
	{"root=nbd://", "root=nbd://: names no server"},
	{"root=nbd://s:0/r", "root=nbd://s:0/r: port \"0\""},
	{"root=nbd://s:99999/r", "root=nbd://s:99999/r: port \"99999\""},
	{"root=nbd://fd00::1/r", "root=nbd://fd00::1/r: "},
	{"root=nbd://s/%q", "root=nbd://s/%q: \"%q\""},
	{"root=nbd://s/%", "root=nbd://s/%: "},
	{ROOT "nbdswap=/dev/sda2", "nbdswap=/dev/sda2: not an nbd:// address; write nbdswap="},
	{ROOT "nbdswap", "nbdswap: has no value"},
	{ROOT "nbdswp=nbd://s/x", "nbdswp: unknown; known are nbdswap=, nbdoverlay= and nbdopts="},
	{ROOT "nbdopts=foo=1",
	 "unknown key \"foo\"; known are timeout=, dead-timeout=, bs=, prio="},
	{ROOT "nbdopts==", "unknown key \"\""},
	{ROOT "nbdopts=prio", "prio=: wants a priority of 0 to 32767"},
	{ROOT "nbdopts=prio=32768", "prio=32768: wants"},
	{ROOT "nbdopts=reserve", "reserve=: wants auto or keep"},
	{ROOT "nbdopts=reserve=keeps", "reserve=keeps: wants auto or keep"},
	{ROOT "nbdopts=reserve=1", "reserve=1: wants auto or keep"},
	{ROOT "nbdopts=prio=-1", "prio=-1: wants"},
	{ROOT "nbdopts=timeout=5s", "timeout=5s: wants seconds"},
	{ROOT "nbdopts=timeout=99999999999999999999", "wants seconds"},
	{ROOT "nbdopts=bs=1000", "bs=1000: wants bytes: 512, 1024, 2048 or 4096"},
	{ROOT "ip=eth0:10.0.0.1", "field 1 is \"eth0\", wanted is an IPv4 address"},
	{ROOT "ip=eth0:dhcp:1400", "with dhcp the MTU is the network's to say; leave \"1400\" out"},
	{ROOT "ip=eth0:dhcp::52:54:00:12:34:56", "the MAC address of a card is not changed"},
	{ROOT "ip=10.0.2.15:::24::eth0:off:99", "MTU \"99\", wanted is 576 to 65535"},
	{ROOT "ip=toolonginterface0:dhcp", "longer than an interface name"},
	{ROOT "ip=dhcp6", "from a router's announcement alone; leave ip= out, or write ip=auto6"},
	{ROOT "ip=eth0:dhcp6", "from a router's announcement alone"},
	{ROOT "ip=eth0:either6", "from a router's announcement alone"},
	{"root=dhcp6",
	 "root=dhcp6: only DHCP for IPv4 is asked for a root; write root=nbd://[ADDRESS]"},
	{"netroot=dhcp6", "netroot=dhcp6: only DHCP for IPv4"},
	{ROOT "vlan=eth0", "vlan=eth0: wants NAME:CARD"},
	{ROOT "vlan=left:eth0", "must end in the number of the VLAN"},
	{ROOT "vlan=eth0.4095:eth0", "must end in the number of the VLAN"},
	{ROOT "vlan=a/b5:eth0", "wants NAME:CARD"},
	{ROOT "vlan=eth0.5:eth0 vlan=eth0.6:eth0", "one VLAN carries the root"},
	{ROOT "bond=bond0", "wants NAME:CARD,CARD"},
	{ROOT "bond=bond0:eth0,../x", "wants NAME:CARD,CARD"},
	{ROOT "bond=bond0:a,b,c,d,e", "of at most 4 cards"},
	{ROOT "bond=bond0:eth0,eth1:mode", "wants NAME:CARD,CARD"},
	{ROOT "bond=bond0:eth0,eth1:../mode=1", "wants NAME:CARD,CARD"},
	{ROOT "bond=bond0:eth0,eth1:mode=1:9000", "the MTU of a bond is set by ip="},
	{ROOT "bridge=br0:eth0", "this image sets up one card as it is: leave it out"},
	{ROOT "nameserver=dns.example", "nameserver=dns.example: wants an IPv4 address"},
	{ROOT "ifname=eth0", "ifname=eth0: wants INTERFACE:MAC"},
	{ROOT "rd.live.overlay.size=512", "rd.live.overlay.size=512: is not done here: write"},
	{ROOT "copytoram", "let the server keep a layer for each machine"},
	{ROOT "nbdopts=size=1G", "size=1G: wants a share of the memory, 1% to 10000%"},
	{ROOT "nbdopts=size=0%", "size=0%: wants a share"},
	{ROOT "nbdopts=size=%", "size=%: wants a share"},
	{ROOT "nbdopts=size=10001%", "size=10001%: wants a share"},
	{ROOT "nbdopts=crypt=aes", "unknown key \"crypt\""},
	{ROOT "rd.overlay=LABEL=mine", "rd.overlay=LABEL=mine: is not done here: write"},
	{ROOT "rd.overlay=/dev/sda3", "rd.overlay=/dev/sda3: is not done here: write"},
	{ROOT "nbdoverlay=ram", "nbdoverlay=ram: wants tmpfs, tmpfs,size=SIZE"},
	{ROOT "nbdoverlay=tmpfs,size=", "nbdoverlay=tmpfs,size=: wants tmpfs"},
	{ROOT "nbdoverlay=tmpfs,size=1x", "wants tmpfs"},
	{ROOT "nbdoverlay=tmpfs,size=1,mode=0", "wants tmpfs"},
	{ROOT "nbdoverlay=nbd://s:x/u", "port \"x\""},
	{"root=overlay:nbd=s", "wants overlay:nbd=SERVER:EXPORT"},
	{ROOT "wol_mac=52:54:00:12:34:56", "wake-on-LAN is not sent"},
	{ROOT "disk=NBD=s:1", "only root and swap are attached at boot"},
	{ROOT "ip=10.0.2.15:::255.0.255.0", "field 4 is \"255.0.255.0\", wanted is a netmask"},
	{ROOT "ip=10.0.2.15:::33", "field 4 is \"33\""},
	{ROOT "ip=10.0.2.15:::24x", "field 4 is \"24x\""},
	{ROOT "ip=10.0.2.256", "field 1 is \"10.0.2.256\""},
	{ROOT "ip=:::::toolonginterface0", "field 6 is \"toolonginterface0\""},
	{ROOT "ip=::::::rarp",
	 "field 7 is \"rarp\", wanted is dhcp, on, any, both, off, none or auto6"},
	{ROOT "ip=::::::::::x:y", "more than 10 fields"},
	{ROOT "ip=[fd00::1]", "ip=[fd00::1]: an IPv6 address comes from a router's"},
	{ROOT "ip=[fd00::1]::[fd00::2]:64:pc7:eth0:none", "from a router's announcement alone"},
	{ROOT "BOOTIF=01-52-54", "BOOTIF=01-52-54: not a MAC address"},
	{ROOT "BOOTIF=01-52-54-00-12-34-56-78", "not a MAC address"},
	{ROOT "BOOTIF=01-52-54-00-12-34-5g", "not a MAC address"},
	{ROOT "init=sh", "init=sh: not an absolute path"},
	{ROOT "rootfstype=", "rootfstype= has no value"},
	{ROOT "panic=soon", "panic=soon: wants seconds"},
	{ROOT "panic=", "panic=: wants seconds"},
	{ROOT "foo=\"bar baz", "foo=\"bar baz: the quote is not closed"},
	{"root=\"nbd://s/r", "the quote is not closed"},
	{ROOT "\"", "the quote is not closed"},
};

static void test_good(void **state)
{
	static struct boot_line line;
	char why[BOOT_WHY_BYTES];

	(void)state;
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		why[0] = '\0';
		if (parse(good[i].line, &line, why) < 0)
			fail_msg("%s: refused: %s", good[i].line, why);
		if (strcmp(describe(&line), good[i].meaning) != 0)
			fail_msg("%s: is \"%s\", should be \"%s\"", good[i].line, describe(&line),
				 good[i].meaning);
	}
}

static void test_bad(void **state)
{
	static struct boot_line line;
	char why[BOOT_WHY_BYTES];

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		if (parse(bad[i].line, &line, why) == 0)
			fail_msg("%s: accepted as %s", bad[i].line, describe(&line));
		if (!strstr(why, bad[i].why) || strchr(why, '\n'))
			fail_msg("%s: says \"%s\", should say \"%s\"", bad[i].line, why,
				 bad[i].why);
	}
}

static const struct {
	const char *line, *tokens; /* each as <name> or <name=value> */
} quoting[] = {
	{"", ""},
	{"   ", ""},
	{"a b=c", "<a><b=c>"},
	{"a=\"b c\" d", "<a=b c><d>"},
	{"\"a=b c\" d", "<a=b c><d>"},
	{"\"a b\" c", "<a b><c>"},
	{"a=b\"c d\"e", "<a=b\"c d\"e>"},
	{"a=b=c", "<a=b=c>"},
	{"=a", "<=a>"},
	{"\"\"", "<>"},
	{"a=\"\"", "<a=>"},
	{"a=\"\"\"\"", "<a=\"\">"},
	{"a -- b", "<a>"},
	{"--x --=y", "<--x><--=y>"},
};

static void test_quoting(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(quoting) / sizeof(quoting[0]); i++) {
		char *line = strdup(quoting[i].line), *rest = line, *name, *value, text[256] = "";
		size_t n = 0;

		while (cmdline_next(&rest, &name, &value) > 0)
			n += (size_t)snprintf(text + n, sizeof(text) - n,
					      value ? "<%s=%s>" : "<%s>", name, value);
		if (strcmp(text, quoting[i].tokens) != 0)
			fail_msg("%s: is %s, should be %s", quoting[i].line, text,
				 quoting[i].tokens);
		free(line);
	}
}

static void test_expand(void **state)
{
	const struct boot_identity identity = {
		.mac = "52:54:00:12:34:56", .host_name = "pc7", .boot_id = "1c8e-4b"};
	char name[TARGET_EXPORT_BYTES] = "swap/%m-%h-100%/%i";
	char why[BOOT_WHY_BYTES];

	(void)state;
	assert_int_equal(cmdline_expand(name, &identity, why, sizeof(why)), 0);
	assert_string_equal(name, "swap/52:54:00:12:34:56-pc7-100%/1c8e-4b");
	strcpy(name, "x-%u");
	assert_int_equal(cmdline_expand(name, &identity, why, sizeof(why)), -ENODATA);
	assert_non_null(strstr(why, "\"x-%u\": this machine has no DMI UUID"));
	memset(name, 'x', sizeof(name) - 3);
	strcpy(name + sizeof(name) - 3, "%m");
	assert_int_equal(cmdline_expand(name, &identity, why, sizeof(why)), -ENAMETOOLONG);
}

/* Nothing to expect but that it ends, within its bounds, with a reason when it refuses. */
static void check_hostile(char *line)
{
	static struct boot_line ret;
	char why[BOOT_WHY_BYTES] = "";

	if (cmdline_parse(line, &ret, why, sizeof(why)) < 0)
		assert_true(why[0] && memchr(why, '\0', sizeof(why)));
	else
		assert_true(ret.root_source != ROOT_MISSING);
}

static void test_long(void **state)
{
	static const char *const heads[] = {"root=nbd://",
					    "root=nbd://s/",
					    "root=/",
					    "nbdswap=nbd://s:",
					    "nbdopts=",
					    "nbdopts=bs=",
					    "ip=",
					    "ip=::::",
					    "BOOTIF=",
					    "init=/",
					    "rootfstype=",
					    "rootflags=",
					    "panic=",
					    "nbd",
					    "root=nbd://[",
					    "x=\"",
					    "root=nbd://s/%m",
					    "nbdroot=",
					    ROOT "rootflags=",
					    ""};

	(void)state;
	for (size_t i = 0; i < sizeof(heads) / sizeof(heads[0]); i++) {
		for (const char *fill = "a1:%\"= ,"; *fill; fill++) {
			char *line = malloc(BOOT_LINE_BYTES);

			memset(line, *fill, BOOT_LINE_BYTES);
			memcpy(line, heads[i], strlen(heads[i]));
			line[BOOT_LINE_BYTES - 1] = '\0';
			check_hostile(line);
			free(line);
		}
	}
}

static void test_random(void **state)
{
	static const char *const words[] = {"root=",
					    "nbd://",
					    "nbdswap=",
					    "ip=",
					    ":",
					    "::",
					    "%m",
					    "%",
					    "[",
					    "]",
					    "\"",
					    " ",
					    "=",
					    ",",
					    "--",
					    "10.0.2.2",
					    "nbdopts=",
					    "bs=",
					    "prio=",
					    "1",
					    "4096",
					    "BOOTIF=",
					    "\xff",
					    "init=",
					    "/",
					    "rw",
					    "panic=",
					    "-",
					    "dhcp",
					    "s",
					    "root=nbd://s/r ",
					    "@",
					    "?"};
	uint32_t seed = 1;

	(void)state;
	for (int round = 0; round < 20000; round++) {
		char text[512] = "", *line;
		size_t n = 0;

		for (int i = 0; i < 24; i++) {
			seed = seed * 1664525 + 1013904223;
			n += (size_t)snprintf(
				text + n, sizeof(text) - n, "%s",
				words[(seed >> 16) % (sizeof(words) / sizeof(words[0]))]);
		}
		line = strdup(text);
		check_hostile(line);
		free(line);
	}
}

static void test_links(void **state)
{
	char text[] = ROOT "bond=team-0:eth0,eth1:miimon=100,mode=802.3ad vlan=vlan0012:team-0";
	char why[BOOT_WHY_BYTES];
	struct boot_line line;

	(void)state;
	assert_int_equal(cmdline_parse(text, &line, why, sizeof(why)), 0);
	assert_string_equal(line.bond.name, "team-0");
	assert_int_equal(line.bond.card_count, 2);
	assert_string_equal(line.bond.cards[1], "eth1");
	assert_string_equal(line.bond.options, "miimon=100,mode=802.3ad");
	assert_string_equal(line.vlan.name, "vlan0012");
	assert_string_equal(line.vlan.parent, "team-0");
	assert_int_equal(line.vlan.id, 12);
	assert_string_equal(links_top(&line), "vlan0012");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_links),  cmocka_unit_test(test_good),
		cmocka_unit_test(test_bad),    cmocka_unit_test(test_quoting),
		cmocka_unit_test(test_expand), cmocka_unit_test(test_long),
		cmocka_unit_test(test_random),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
