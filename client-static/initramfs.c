/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * -boot: the boot in an initramfs of another make, which has mounted the kernel's
 * file systems and loads the modules. Its scripts parse nothing: they ask
 * whether the boot line is for us, and then wait for the mounted root.
 */
#include "client-static/boot.h"
#include "common/log.h"

#include <string.h>
#include <sys/reboot.h>
#include <unistd.h>

enum { LINE_FOR_OTHERS = 1 };

static bool begins_with(const char *text, const char *start)
{
	return strncmp(text, start, strlen(start)) == 0;
}

/* A word that is nobody's but NBD's, whether or not its value is understood. */
static bool is_nbd_word(const char *name, const char *value)
{
	const struct cmdline_word *word = cmdline_find(name, value != NULL);

	if (!strcmp(name, "root") || !strcmp(name, "netroot"))
		return value && begins_with(value, "nbd:");
	if (!strcmp(name, "boot"))
		return value && begins_with(value, "NBD=");
	return word && (begins_with(name, "nbd") || begins_with(name, "NBD") ||
			begins_with(name, "archiso_nbd"));
}

static bool names_nbd(char *line)
{
	char *name, *value;

	while (cmdline_next(&line, &name, &value) > 0)
		if (is_nbd_word(name, value))
			return true;
	return false;
}

static int claim(void)
{
	char text[BOOT_LINE_BYTES], copy[BOOT_LINE_BYTES];
	struct boot_line line;
	char why[BOOT_WHY_BYTES];

	if (system_read("/proc/cmdline", text, sizeof(text)) < 0)
		return LINE_FOR_OTHERS;
	strcpy(copy, text);
	if (cmdline_parse(copy, &line, why, sizeof(why)) == 0)
		return 0;
	if (!names_nbd(text))
		return LINE_FOR_OTHERS;
	log_line("kernel command line: %s", why);
	return EXIT_PERMANENT;
}

static void wait_after(struct boot *boot, int exit_code)
{
	int delay_s = boot_delay_s(boot, exit_code), panic_s = boot->line.panic_s;

	if (exit_code == EXIT_PERMANENT && panic_s > 0) {
		log_line("restarting in %d s (panic=)", panic_s);
		sleep((unsigned int)panic_s);
		sync();
		reboot(RB_AUTOBOOT);
	}
	log_line("trying again in %d s", delay_s);
	sleep((unsigned int)delay_s);
}

static int boot_until_done(const char *mount_point)
{
	struct boot boot = {.mount_point = mount_point, .leaves_elsewhere = true};
	int r = boot_read_line(&boot.line);

	if (r)
		return r; /* it will not change */
	while ((r = boot_attempt(&boot)))
		wait_after(&boot, r);
	release_prepare(*boot.line.root_elsewhere ? NULL : mount_point, boot.has_swap);
	return 0;
}

int initramfs_run(enum initramfs_stage stage, const char *mount_point)
{
	switch (stage) {
	case INITRAMFS_CLAIM:
		return claim();
	case INITRAMFS_RELEASE:
		return release_all();
	default:
		return boot_until_done(mount_point);
	}
}
