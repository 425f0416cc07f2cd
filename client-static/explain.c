/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * -explain: a boot line, by the parser of /init, in words: whose each word is
 * and what it means, what the machine would do, and the same line as this kit
 * writes it; or why it would be refused.
 */
#include "client-static/boot.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

#include "common/log.h"

enum { WORD_COLUMN = 40, LABEL_COLUMN = 9 };

static void print_word(const char *name, const char *value)
{
	const struct cmdline_word *word = cmdline_find(name, value != NULL);
	char text[256];

	snprintf(text, sizeof(text), "%s%s%s", name, value ? "=" : "", value ? value : "");
	if (!word)
		printf("  %-*s is left to the kernel and the distribution\n", WORD_COLUMN, text);
	else if (*word->kit)
		printf("  %-*s %s: %s\n", WORD_COLUMN, text, word->kit, word->meaning);
	else
		printf("  %-*s %s\n", WORD_COLUMN, text, word->meaning);
}

static void print_words(char *line)
{
	char *name, *value;

	while (cmdline_next(&line, &name, &value) > 0)
		print_word(name, value);
}

static void print_target(const char *label, const struct target *target, uint32_t index,
			 uint32_t partition)
{
	char uri[256], part[16] = "";

	uri_format(target, uri, sizeof(uri));
	if (partition)
		snprintf(part, sizeof(part), "p%u", partition);
	printf("%-*s/dev/nbd%u%s, %s%s\n", LABEL_COLUMN, label, index, part,
	       *target->export_name ? "export " : "the default export of ", uri);
}

static void print_root(const struct boot_line *line)
{
	switch (line->root_source) {
	case ROOT_BY_DHCP:
	case ROOT_BY_DHCP_AS_DEBIAN:
		printf("%-*swhat DHCP says (option 17, root-path)%s\n", LABEL_COLUMN, "root",
		       line->root_source == ROOT_BY_DHCP ? "" : ", as Debian reads it");
		break;
	case ROOT_HOST_BY_DHCP:
		print_target("root", &line->root, line->root_index, line->root_partition);
		printf("%-*swhat DHCP says (root-path, next-server)\n", LABEL_COLUMN, "SERVER");
		break;
	default:
		print_target("root", &line->root, line->root_index, line->root_partition);
	}
	if (*line->root_elsewhere)
		printf("%-*s%s, on that device\n", LABEL_COLUMN, "find", line->root_elsewhere);
	printf("%-*s%s, %s%s%s\n", LABEL_COLUMN, "mount",
	       line->overlay.kind ? "ro, below an overlay"
	       : line->root_rw	  ? "rw"
				  : "ro",
	       *line->root_fstype ? line->root_fstype : "file system found by its superblock",
	       *line->root_flags ? ", " : "", line->root_flags);
}

static void print_network(const struct boot_line *line)
{
	static const char *const methods[] = {"DHCP, or IPv6 when every server is", "no address",
					      "DHCP", "address "};
	char address[INET_ADDRSTRLEN] = "";

	if (line->ip.method == IP_STATIC)
		inet_ntop(AF_INET, &line->ip.address, address, sizeof(address));
	printf("%-*s%s%s%s%s%s%s\n", LABEL_COLUMN, "network", methods[line->ip.method], address,
	       *line->ip.device ? ", card " : "", line->ip.device,
	       *line->boot_mac ? ", card with MAC " : "", line->boot_mac);
}

static void print_overlay(const struct overlay *overlay, const char *before)
{
	char uri[256];

	if (overlay->kind == OVERLAY_IN_MEMORY)
		printf("%stmpfs%s%s", before, *overlay->size ? ",size=" : "", overlay->size);
	if (overlay->kind == OVERLAY_ON_EXPORT) {
		uri_format(&overlay->target, uri, sizeof(uri));
		printf("%s%s", before, uri);
	}
}

/* The parts that say which devices, in the form that every part of this kit takes. */
static void print_canonical(const struct boot_line *line)
{
	char uri[256];

	if (line->root_source != ROOT_ON_LINE)
		return;
	uri_format(&line->root, uri, sizeof(uri));
	printf("%-*s", LABEL_COLUMN, "same as");
	if (*line->root_elsewhere)
		printf("netroot=%s root=%s", uri, line->root_elsewhere);
	else if (line->root_partition)
		printf("netroot=%s root=/dev/nbd%up%u", uri, line->root_index,
		       line->root_partition);
	else
		printf("root=%s", uri);
	print_overlay(&line->overlay, " nbdoverlay=");
	if (line->has_swap) {
		uri_format(&line->swap, uri, sizeof(uri));
		printf(" nbdswap=%s", uri);
	}
	printf(" %s\n", line->root_rw ? "rw" : "ro");
}

int explain_run(const char *line, const char *root_path, const char *next_server)
{
	struct boot_line parsed;
	char text[BOOT_LINE_BYTES], why[BOOT_WHY_BYTES];
	int err;

	if (strlen(line) >= sizeof(text))
		die(EXIT_PERMANENT, "boot line: longer than %zu bytes", sizeof(text) - 1);
	strcpy(text, line);
	print_words(text);
	strcpy(text, line);
	err = cmdline_parse(text, &parsed, why, sizeof(why));
	if (!err && root_path)
		err = cmdline_root_path(&parsed, root_path, next_server ? next_server : "", why,
					sizeof(why));
	if (err) {
		printf("%-*s%s\n", LABEL_COLUMN, "refused", why);
		return fflush(stdout), EXIT_PERMANENT;
	}
	print_root(&parsed);
	if (parsed.has_swap)
		print_target("swap", &parsed.swap, parsed.swap_index, 0);
	print_network(&parsed);
	print_canonical(&parsed);
	return fflush(stdout) ? EXIT_PERMANENT : 0;
}
