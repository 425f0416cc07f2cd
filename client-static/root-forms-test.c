/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The forms in which other kits name a root: a table of boot lines and what they
 * mean, one of DHCP's root-path, and one of what is refused, with both readings
 * where there are two.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "client-static/boot.h"

/* Root with its device and mount, then the swap. */
static const char *describe(const struct boot_line *l)
{
	static char text[1024];
	static const char *const sources[] = {"none ", "", "host-by-dhcp ", "by-dhcp ",
					      "by-dhcp-as-debian "};
	char root[256], swap[256] = "";
	size_t n;

	uri_format(&l->root, root, sizeof(root));
	n = (size_t)snprintf(text, sizeof(text), "%s%s nbd%u", sources[l->root_source], root,
			     l->root_index);
	if (l->root_partition)
		n += (size_t)snprintf(text + n, sizeof(text) - n, "p%u", l->root_partition);
	if (*l->root_fstype)
		n += (size_t)snprintf(text + n, sizeof(text) - n, " %s", l->root_fstype);
	if (*l->root_flags)
		n += (size_t)snprintf(text + n, sizeof(text) - n, " %s", l->root_flags);
	if (l->root_rw)
		n += (size_t)snprintf(text + n, sizeof(text) - n, " rw");
	if (l->has_swap) {
		uri_format(&l->swap, swap, sizeof(swap));
		snprintf(text + n, sizeof(text) - n, " + %s nbd%u", swap, l->swap_index);
	}
	return text;
}

static const struct {
	const char *line, *meaning;
} good[] = {
	/* dracut */
	{"root=nbd:10.0.0.1:raw", "nbd://10.0.0.1/raw nbd0"},
	{"root=nbd:10.0.0.1:2000", "nbd://10.0.0.1:2000/ nbd0"},
	{"root=nbd:[fd00::1]:raw:ext4:ro", "nbd://[fd00::1]/raw nbd0 ext4"},
	{"root=nbd:10.0.0.1:raw:auto:rw,noatime", "nbd://10.0.0.1/raw nbd0 noatime rw"},
	{"root=nbd:10.0.0.1:raw:ext4:rw:bs=4096,timeout=60", "nbd://10.0.0.1/raw nbd0 ext4 rw"},
	{"root=nbd:10.0.0.1:raw::rw ro", "nbd://10.0.0.1/raw nbd0"},
	{"rw root=nbd:10.0.0.1:raw::ro", "nbd://10.0.0.1/raw nbd0 rw"},
	{"root=nbd:10.0.0.1:raw::rw:persist", "nbd://10.0.0.1/raw nbd0 rw"},
	{"rootfstype=xfs root=nbd:s:raw:ext4", "nbd://s/raw nbd0 ext4"},
	{"netroot=nbd:10.0.0.1:raw", "nbd://10.0.0.1/raw nbd0"},
	{"root=/dev/nbd0p1 netroot=nbd:10.0.0.1:raw", "nbd://10.0.0.1/raw nbd0p1"},
	{"root=nbd:a:1x netroot=nbd:b:2x", "nbd://a/1x nbd0"},
	{"netroot=nbd:b:2x root=nbd:a:1x", "nbd://a/1x nbd0"},
	{"netroot=dhcp", "by-dhcp nbd://SERVER/ nbd0"},
	{"root=dhcp", "by-dhcp nbd://SERVER/ nbd0"},
	{"root=nbd:s:a nbdswap=nbd://s/b", "nbd://s/a nbd0 + nbd://s/b nbd1"},
	{"nbdroot=s,x,nbd2 nbdoverlay=tmpfs", "nbd://s/x nbd2"},
	/* Debian */
	{"nbdroot=10.0.0.1,disk,nbd0", "nbd://10.0.0.1/disk nbd0"},
	{"nbdroot=10.0.0.1,disk,nbd3p2", "nbd://10.0.0.1/disk nbd3p2"},
	{"nbdroot=10.0.0.1,disk,/dev/nbd1 nbdswap=nbd://s/b",
	 "nbd://10.0.0.1/disk nbd1 + nbd://s/b nbd0"},
	{"nbdroot=10.0.0.1,disk,nbd3 root=/dev/nbd0p1", "nbd://10.0.0.1/disk nbd0p1"},
	{"root=/dev/nbd0p1 nbdroot=10.0.0.1,disk,nbd3", "nbd://10.0.0.1/disk nbd0p1"},
	{"nbdroot=10.0.0.1,disk root=/dev/nbd0", "nbd://10.0.0.1/disk nbd0"},
	{"nbdroot=10.0.0.1,disk nbddev=/dev/nbd2", "nbd://10.0.0.1/disk nbd2"},
	{"nbdroot=10.0.0.1/disk", "nbd://10.0.0.1/disk nbd0"},
	{"nbdroot=10.0.0.1:2000/disk", "nbd://10.0.0.1:2000/disk nbd0"},
	{"nbdroot=10.0.0.1:/disk", "nbd://10.0.0.1//disk nbd0"},
	{"nbdroot=10.0.0.1:disk", "nbd://10.0.0.1/disk nbd0"},
	{"nbdroot=[fd00::1]:2000/disk", "nbd://[fd00::1]:2000/disk nbd0"},
	{"nbdroot=[fd00::1]/disk", "nbd://[fd00::1]/disk nbd0"},
	{"nbdroot=[fd00::1]:/disk", "nbd://[fd00::1]//disk nbd0"},
	{"nbdroot=dhcp root=/dev/nbd0", "by-dhcp-as-debian nbd://SERVER/ nbd0"},
	{"nbdroot= root=/dev/nbd0", "by-dhcp-as-debian nbd://SERVER/ nbd0"},
	{"nbdroot=dhcp,disk,nbd0", "host-by-dhcp nbd://SERVER/disk nbd0"},
	{"nbdroot=:disk", "host-by-dhcp nbd://SERVER/disk nbd0"},
	{"nbdroot=/disk", "host-by-dhcp nbd://SERVER//disk nbd0"},
	{"NBDROOT=10.0.0.1,disk,nbd0", "nbd://10.0.0.1/disk nbd0"},
	{"nbdroot=s,100%", "nbd://s/100%25 nbd0"},
	/* Arch and archiso */
	{"nbd_host=10.0.0.1 nbd_name=disk root=/dev/nbd0", "nbd://10.0.0.1/disk nbd0"},
	{"nbd_port=2000 nbd_host=10.0.0.1", "nbd://10.0.0.1:2000/ nbd0"},
	{"archiso_nbd_srv=10.0.0.1 archiso_nbd_name=iso", "nbd://10.0.0.1/iso nbd0"},
	{"archiso_nbd_srv=10.0.0.1", "nbd://10.0.0.1/archiso nbd0"},
	{"archiso_nbd_srv=${pxeserver}", "host-by-dhcp nbd://SERVER/archiso nbd0"},
	/* Alpine */
	{"nbd=10.0.0.1:2000 root=/dev/nbd0", "nbd://10.0.0.1:2000/ nbd0"},
	/* kiwi */
	{"NBDROOT=10.0.0.1;root;/dev/nb0", "nbd://10.0.0.1/root nbd0"},
	{"NBDROOT=10.0.0.1;root;/dev/nb2;swap;/dev/nb3",
	 "nbd://10.0.0.1/root nbd2 + nbd://10.0.0.1/swap nbd3"},
	/* LibreELEC and OpenELEC */
	{"boot=NBD=10.0.0.1:2000", "nbd://10.0.0.1:2000/ nbd0"},
	{"boot=NBD=10.0.0.1:2000:disk", "nbd://10.0.0.1:2000/disk nbd0"},
	{"netboot nbdroot=10.0.0.1:2000", "nbd://10.0.0.1:2000/ nbd0"},
	{"nbdroot=10.0.0.1:2000 netboot", "nbd://10.0.0.1:2000/ nbd0"},
	{"nbdserver=10.0.0.1 nbdport=2000", "nbd://10.0.0.1:2000/ nbd0"},
	/* the same root in two ways, and our own on any device */
	{"root=nbd://s/x nbdroot=s,x,nbd0", "nbd://s/x nbd0"},
	{"root=nbd://s/x root=/dev/nbd2", "nbd://s/x nbd2"},
};

static const struct {
	const char *line, *why;
} bad[] = {
	/* two readings */
	{"root=nbd:10.0.0.1:2000/raw", "is port 2000 with export \"raw\" (dracut's comment), or "
				       "export \"2000/raw\" (dracut's script)"},
	{"nbdroot=10.0.0.1,2000,nbd0", "is port 2000 (README.Debian) or export \"2000\" (Debian's "
				       "script); write root=nbd://10.0.0.1:2000/ or "
				       "root=nbd://10.0.0.1/2000"},
	{"nbdroot=dhcp,2000,nbd0", "write root=nbd://SERVER:2000/ or root=nbd://SERVER/2000"},
	{"nbdroot=10.0.0.1:2000", "is port 2000 (OpenELEC) or export \"2000\" (Debian); write "
				  "root=nbd://10.0.0.1:2000/ or root=nbd://10.0.0.1/2000"},
	{"nbdroot=[fd00::1]:2000", "write root=nbd://[fd00::1]:2000/ or root=nbd://[fd00::1]/2000"},
	{"root=nbd://a/x nbdroot=b,y,nbd0", "root=nbd://a/x names the root nbd://a/x, and "
					    "nbdroot=b,y,nbd0 names nbd://b/y; keep one"},
	{"nbd_host=a nbd_name=x nbdroot=b,y", "names the root nbd://b/y, and nbd_host=a names"},
	/* not understood */
	{"root=nbd:10.0.0.1", "wants nbd:SERVER:EXPORT"},
	{"root=nbd::raw", "wants nbd:SERVER:EXPORT"},
	{"root=nbd:10.0.0.1:", "names no export"},
	{"root=nbd:10.0.0.1:99999", "port \"99999\""},
	{"root=nbd:[fd00::1:raw", "an IPv6 address ends with \"]\""},
	{"root=nbd:[fd00::1]raw", "an IPv6 address ends with \"]\""},
	{"root=nbd:s:raw:ext4:ro:swap", "unknown key \"swap\""},
	{"root=nbd:s:raw:ext4:ro:-swap,-C,4", "unknown key \"-swap\""},
	{"netroot=iscsi:s::::x", "netroot=iscsi:s::::x: is not NBD"},
	{"nbdroot=10.0.0.1", "names no export; write nbdroot=10.0.0.1,EXPORT"},
	{"nbdroot=10.0.0.1,,nbd0", "names no export"},
	{"nbdroot=10.0.0.1,x,sda", "\"sda\" is no NBD device; write nbd0 or nbd0p1"},
	{"nbdroot=10.0.0.1,x,nbd0p", "\"nbd0p\" is no NBD device"},
	{"nbdroot=10.0.0.1,x,nbd0p0", "\"nbd0p0\" is no NBD device"},
	{"nbdroot=10.0.0.1,x,nbd0,y", "\"nbd0,y\" is no NBD device"},
	{"nbdroot=[fd00::1,x,nbd0]", "wants SERVER,EXPORT[,DEVICE]"},
	{"nbdroot=[fd00::1,x]", "wants SERVER,EXPORT[,DEVICE]"},
	{"nbdroot=10.0.0.1:http/x", "port \"http\""},
	{"nbdroot=s,x root=/dev/nbdx", "root=/dev/nbdx: \"/dev/nbdx\" is no NBD device"},
	{"nbddev=nbd0", "names a device and no server"},
	{"nbd_name=x", "nbd_host= is missing beside \"x\""},
	{"nbd_host=s nbd_port=x", "port \"x\""},
	{"nbd_host=", "nbd_host=: wants a server"},
	{"nbd=10.0.0.1", "nbd=10.0.0.1: wants SERVER:PORT"},
	{"nbd=a:1,b:2", "leave \"b:2\" to nbdtab(5)"},
	{"nbd=a:x", "port \"x\""},
	{"boot=NBD=s", "wants SERVER:PORT"},
	{"boot=NBD=s:1:@UID@", "@UID@ is not known here"},
	{"NBDROOT=s;x;/dev/nb0;;;w;/dev/nb2", "a device for changes is not used"},
	{"NBDROOT=;x;/dev/nb0", "wants SERVER;EXPORT;DEVICE"},
	{"nbdroot=s,x,nbd2 nbdoverlay=nbd://s/u", "nbdoverlay= is /dev/nb2, and so is the root"},
	{"NBDROOT=s;x;/dev/nb0;w;/dev/nb2 nbdoverlay=nbd://s/u",
	 "nbdoverlay= is /dev/nb2, and so is the swap"},
	{"nbdport=2000", "nbdserver= is missing beside \"2000\""},
};

static const struct {
	const char *line, *root_path, *next_server, *meaning;
} lease[] = {
	{"nbdroot=dhcp", "192.168.1.1,export,nbd0", "", "nbd://192.168.1.1/export nbd0"},
	{"nbdroot=dhcp", "nbdroot=192.168.1.1,export,nbd2", "", "nbd://192.168.1.1/export nbd2"},
	{"nbdroot=dhcp root=/dev/nbd0p1", "192.168.1.1,export,nbd2", "",
	 "nbd://192.168.1.1/export nbd0p1"},
	{"nbdroot=dhcp", "srv:/path", "", "nbd://srv//path nbd0"},
	{"nbdroot=dhcp", ":export", "10.0.0.9", "nbd://10.0.0.9/export nbd0"},
	{"nbdroot=dhcp,export,nbd0", "192.168.1.1", "10.0.0.9", "nbd://192.168.1.1/export nbd0"},
	{"nbdroot=dhcp,export,nbd0", "", "10.0.0.9", "nbd://10.0.0.9/export nbd0"},
	{"root=dhcp", "nbd:192.168.50.1:raw", "", "nbd://192.168.50.1/raw nbd0"},
	{"root=dhcp rw", "nbd:192.168.50.1:raw:ext4:ro", "", "nbd://192.168.50.1/raw nbd0 ext4 rw"},
	{"root=dhcp", "nbd:192.168.50.1:raw:ext4:rw", "", "nbd://192.168.50.1/raw nbd0 ext4 rw"},
	{"netroot=dhcp", "nbd://s/x", "", "nbd://s/x nbd0"},
	{"root=dhcp", "x86_64", "10.0.0.9", "nbd://10.0.0.9/x86_64 nbd0"},
	{"archiso_nbd_srv=${pxeserver}", "", "10.0.0.9", "nbd://10.0.0.9/archiso nbd0"},
	{"root=nbd://s/x", "nbd:other:y", "10.0.0.9", "nbd://s/x nbd0"},
};

static const struct {
	const char *line, *root_path, *next_server, *why;
} bad_lease[] = {
	{"root=dhcp", "", "10.0.0.9", "DHCP gave no root-path (option 17)"},
	{"root=dhcp", "srv:/path", "",
	 "root-path=srv:/path: is NFS (dracut) or export \"/path\" (Debian); let DHCP give "
	 "nbd://srv//path"},
	{"root=dhcp", "iscsi:s::::x", "", "root-path=iscsi:s::::x: is not NBD"},
	{"root=dhcp", "aoe:e0.0", "", "root-path=aoe:e0.0: is not NBD"},
	{"root=dhcp", "192.168.1.1", "", "names no export"},
	{"root=dhcp", "192.168.1.1,2000,nbd0", "", "is port 2000 (README.Debian)"},
	{"nbdroot=:x", "", "", "DHCP gave no server"},
	{"nbdroot=dhcp", "[fd00::1,x]", "", "wants SERVER,EXPORT[,DEVICE]"},
	{"nbdroot=dhcp", "s:2000", "", "is port 2000 (OpenELEC) or export"},
};

/* A copy of exact size, so that the sanitizer sees an overrun. */
static int parse(const char *text, struct boot_line *ret, char *why)
{
	char *line = strdup(text);
	int err = cmdline_parse(line, ret, why, BOOT_WHY_BYTES);

	free(line);
	return err;
}

static void check_meaning(const char *line, const struct boot_line *parsed, int err,
			  const char *why, const char *meaning)
{
	if (err)
		fail_msg("%s: refused: %s", line, why);
	if (strcmp(describe(parsed), meaning) != 0)
		fail_msg("%s: is \"%s\", should be \"%s\"", line, describe(parsed), meaning);
}

static void check_refusal(const char *line, const struct boot_line *parsed, int err,
			  const char *why, const char *part)
{
	if (!err)
		fail_msg("%s: accepted as %s", line, describe(parsed));
	if (!strstr(why, part) || strchr(why, '\n'))
		fail_msg("%s: says \"%s\", should say \"%s\"", line, why, part);
}

static void test_good(void **state)
{
	static struct boot_line parsed;
	char why[BOOT_WHY_BYTES] = "";

	(void)state;
	for (size_t i = 0; i < sizeof(good) / sizeof(*good); i++) {
		int err = parse(good[i].line, &parsed, why);

		check_meaning(good[i].line, &parsed, err, why, good[i].meaning);
	}
}

static void test_bad(void **state)
{
	static struct boot_line parsed;
	char why[BOOT_WHY_BYTES] = "";

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		int err = parse(bad[i].line, &parsed, why);

		check_refusal(bad[i].line, &parsed, err, why, bad[i].why);
	}
}

static void test_lease(void **state)
{
	static struct boot_line parsed;
	char why[BOOT_WHY_BYTES] = "";

	(void)state;
	for (size_t i = 0; i < sizeof(lease) / sizeof(*lease); i++) {
		int err = parse(lease[i].line, &parsed, why);

		if (!err)
			err = cmdline_root_path(&parsed, lease[i].root_path, lease[i].next_server,
						why, sizeof(why));
		check_meaning(lease[i].line, &parsed, err, why, lease[i].meaning);
	}
}

static void test_bad_lease(void **state)
{
	static struct boot_line parsed;
	char why[BOOT_WHY_BYTES] = "";

	(void)state;
	for (size_t i = 0; i < sizeof(bad_lease) / sizeof(*bad_lease); i++) {
		int err = parse(bad_lease[i].line, &parsed, why);

		assert_int_equal(err, 0);
		err = cmdline_root_path(&parsed, bad_lease[i].root_path, bad_lease[i].next_server,
					why, sizeof(why));
		check_refusal(bad_lease[i].line, &parsed, err, why, bad_lease[i].why);
	}
}

/* What dracut hands to its client goes to ours. */
static void test_client_options(void **state)
{
	static struct boot_line parsed;
	char why[BOOT_WHY_BYTES] = "";

	(void)state;
	assert_int_equal(parse("root=nbd:s:raw:ext4:rw:bs=4096,timeout=60", &parsed, why), 0);
	assert_int_equal(parsed.opts.block_size_bytes, 4096);
	assert_int_equal(parsed.opts.io_timeout_s, 60);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_good),	       cmocka_unit_test(test_bad),
		cmocka_unit_test(test_lease),	       cmocka_unit_test(test_bad_lease),
		cmocka_unit_test(test_client_options),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
