/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The order of the boot, and what an attempt that failed leaves for the next one to do again. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "client-static/boot.h"

/* What the stages were asked for, and what DHCP says. */
static int ups, drops;
static bool wanted_ipv4;
static const char *root_path;
static struct attach_job attached;

int network_up(const struct boot_line *line, bool need_ipv4, struct boot_identity *ret)
{
	(void)line, (void)ret;
	ups++;
	wanted_ipv4 = need_ipv4;
	return 0;
}

void network_drop_lease(void)
{
	drops++;
}

void dhcp_root(char *ret_root_path, size_t root_path_size, char *ret_next_server,
	       size_t next_server_size)
{
	assert_true(strlen(root_path) < root_path_size && next_server_size > 0);
	strcpy(ret_root_path, root_path);
	*ret_next_server = '\0';
}

int attach_run(const struct attach_job *job)
{
	attached = *job;
	return EXIT_TEMPORARY;
}

int swap_on(const char *device, const struct nbd_opts *opts)
{
	(void)device, (void)opts;
	return 0;
}

int root_tag_find(uint32_t index, const char *tag, char *ret, size_t size)
{
	(void)index, (void)tag, (void)ret, (void)size;
	return -1;
}

int root_mount(const struct boot_line *line, const char *device, const char *kernel_name,
	       const char *mount_point)
{
	(void)line, (void)device, (void)kernel_name, (void)mount_point;
	return 0;
}

void root_unmount(void)
{
}

static struct boot boot;

static void begin(const char *text)
{
	char line[256], why[BOOT_WHY_BYTES];

	ups = drops = 0;
	memset(&attached, 0, sizeof(attached));
	memset(&boot, 0, sizeof(boot));
	strcpy(line, text);
	assert_int_equal(cmdline_parse(line, &boot.line, why, sizeof(why)), 0);
}

static void a_dhcp_server_that_is_mended_is_asked_again(void **state)
{
	(void)state;
	begin("root=dhcp");
	root_path = "";
	assert_int_equal(boot_attempt(&boot), EXIT_PERMANENT);
	root_path = "nbd://10.0.0.1/pc7";
	assert_int_equal(boot_attempt(&boot), EXIT_TEMPORARY);
	assert_int_equal(ups, 2);
	assert_int_equal(drops, 1);
	assert_string_equal(attached.target.export_name, "pc7");
}

static void a_server_that_is_late_is_no_reason_for_it(void **state)
{
	(void)state;
	begin("root=dhcp");
	root_path = "nbd://10.0.0.1/pc7";
	for (int i = 0; i < 7; i++) {
		assert_int_equal(boot_attempt(&boot), EXIT_TEMPORARY);
		boot_delay_s(&boot, EXIT_TEMPORARY);
	}
	assert_int_equal(ups, 1);
	boot_delay_s(&boot, EXIT_TEMPORARY); /* the lease has become old */
	assert_int_equal(boot_attempt(&boot), EXIT_TEMPORARY);
	assert_int_equal(ups, 2);
	assert_int_equal(drops, 1);
}

static bool wants_ipv4(const char *line)
{
	begin(line);
	boot_attempt(&boot);
	return wanted_ipv4;
}

static void an_ipv4_address_is_wanted_for_any_device(void **state)
{
	(void)state;
	assert_false(wants_ipv4("root=nbd://[fd00::1]/r nbdoverlay=tmpfs"));
	assert_false(wants_ipv4("root=nbd://[fd00::1]/r nbdoverlay=nbd://[fd00::2]/u"));
	assert_true(wants_ipv4("root=nbd://10.0.0.1/r"));
	assert_true(wants_ipv4("root=nbd://[fd00::1]/r nbdswap=nbd://10.0.0.1/s"));
	assert_true(wants_ipv4("root=nbd://[fd00::1]/r nbdoverlay=nbd://10.0.0.1/u"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_dhcp_server_that_is_mended_is_asked_again),
		cmocka_unit_test(a_server_that_is_late_is_no_reason_for_it),
		cmocka_unit_test(an_ipv4_address_is_wanted_for_any_device),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
