/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Boot stage 1: the text of /proc/cmdline goes in, struct boot_line comes out.
 * One table holds every name that is ours or another kit's; all other tokens
 * belong to the kernel and the distribution. Pure: touches nothing but its
 * arguments.
 */
#include "client-static/boot.h"

#include <ctype.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CANONICAL      "root=nbd://SERVER[:PORT]/EXPORT"
#define CANONICAL_SWAP "nbdswap=nbd://SERVER[:PORT]/EXPORT"

struct reason {
	char *text;
	size_t size;
};

struct parameter {
	const char *name;
	int (*parse)(struct boot_line *line, const char *name, const char *value,
		     const struct reason *why);
};

__attribute__((format(printf, 2, 3))) static int refuse(const struct reason *why,
							const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(why->text, why->size, format, args);
	va_end(args);
	return -EINVAL;
}

int cmdline_next(char **line, char **ret_name, char **ret_value)
{
	char *c = *line, *equals = NULL, *end;
	bool in_quote = false, whole_quoted;

	while (isspace((unsigned char)*c))
		c++;
	*ret_name = c;
	*ret_value = NULL;
	whole_quoted = *c == '"';
	for (; *c && (in_quote || !isspace((unsigned char)*c)); c++) {
		if (*c == '"')
			in_quote = !in_quote;
		else if (*c == '=' && !equals && c > *ret_name + whole_quoted)
			equals = c;
	}
	*line = *c ? c + 1 : c;
	if (in_quote)
		return -EINVAL;
	if (c == *ret_name)
		return 0;
	end = c;
	*end = '\0';
	*ret_name += whole_quoted;
	if (equals) {
		*equals = '\0';
		*ret_value = equals + 1;
		if (**ret_value == '"') {
			(*ret_value)++;
			whole_quoted = true;
		}
	}
	if (whole_quoted && end[-1] == '"')
		end[-1] = '\0';
	return *ret_value || strcmp(*ret_name, "--") != 0;
}

static int parse_uri(struct target *ret, const char *name, const char *value,
		     const struct reason *why)
{
	char clause[BOOT_WHY_BYTES / 2];

	if (strncmp(value, "nbd://", 6) != 0)
		return refuse(
			why, "%s=%.80s: not an nbd:// address; write %s=nbd://SERVER[:PORT]/EXPORT",
			name, value, name);
	if (!value[6] || strchr("/:", value[6]))
		return refuse(why, "%s=%.80s: names no server; write %s=nbd://SERVER[:PORT]/EXPORT",
			      name, value, name);
	if (uri_parse(value, ret, clause, sizeof(clause)) < 0)
		return refuse(why, "%s=%.80s: %s", name, value, clause);
	return 0;
}

static int parse_root(struct boot_line *line, const char *name, const char *value,
		      const struct reason *why)
{
	int r;

	if (strncmp(value, "nbd:", 4) == 0 && strncmp(value, "nbd://", 6) != 0)
		return refuse(why,
			      "root=%.80s: the root=nbd:SERVER:EXPORT form is not taken; "
			      "write " CANONICAL,
			      value);
	if (value[0] == '/' || strncmp(value, "UUID=", 5) == 0 ||
	    strncmp(value, "LABEL=", 6) == 0 || strncmp(value, "PART", 4) == 0)
		return refuse(why,
			      "root=%.80s: a local disk; this image mounts a network block device: "
			      "write " CANONICAL,
			      value);
	r = parse_uri(&line->root, name, value, why);
	line->has_root = r == 0;
	return r;
}

static int parse_swap(struct boot_line *line, const char *name, const char *value,
		      const struct reason *why)
{
	int r = parse_uri(&line->swap, name, value, why);

	line->has_swap = r == 0;
	return r;
}

static int parse_opts(struct boot_line *line, const char *name, const char *value,
		      const struct reason *why)
{
	char clause[BOOT_WHY_BYTES / 2];

	if (nbdopts_parse(value, &line->opts, clause, sizeof(clause)) < 0)
		return refuse(why, "%s=%.80s: %s", name, value, clause);
	return 0;
}

static int parse_ip(struct boot_line *line, const char *name, const char *value,
		    const struct reason *why)
{
	char clause[BOOT_WHY_BYTES / 2];

	if (ip_parse(value, &line->ip, clause, sizeof(clause)) < 0)
		return refuse(why, "%s=%.80s: %s", name, value, clause);
	return 0;
}

static int copy_text(char *ret, size_t size, const char *name, const char *value,
		     const struct reason *why)
{
	if (!*value)
		return refuse(why, "%s= has no value", name);
	if (strlen(value) >= size)
		return refuse(why, "%s=%.40s...: longer than %zu characters", name, value,
			      size - 1);
	memcpy(ret, value, strlen(value) + 1);
	return 0;
}

static int parse_fstype(struct boot_line *line, const char *name, const char *value,
			const struct reason *why)
{
	return copy_text(line->root_fstype, sizeof(line->root_fstype), name, value, why);
}

static int parse_flags(struct boot_line *line, const char *name, const char *value,
		       const struct reason *why)
{
	return copy_text(line->root_flags, sizeof(line->root_flags), name, value, why);
}

static int parse_init(struct boot_line *line, const char *name, const char *value,
		      const struct reason *why)
{
	if (*value != '/')
		return refuse(why, "%s=%.80s: not an absolute path; write init=/sbin/init", name,
			      value);
	return copy_text(line->init, sizeof(line->init), name, value, why);
}

/* BOOTIF=01-52-54-00-12-34-56: PXELINUX and iPXE name the card that they booted from. */
static int parse_bootif(struct boot_line *line, const char *name, const char *value,
			const struct reason *why)
{
	const char *mac = strncmp(value, "01-", 3) == 0 ? value + 3 : value;
	size_t i;

	for (i = 0; i < sizeof(line->boot_mac) && mac[i]; i++) {
		bool separator = i % 3 == 2;

		if (separator ? !strchr("-:", mac[i]) : !isxdigit((unsigned char)mac[i]))
			break;
		line->boot_mac[i] = separator ? ':' : (char)tolower((unsigned char)mac[i]);
	}
	if (i != sizeof(line->boot_mac) - 1 || mac[i])
		return refuse(why, "%s=%.80s: not a MAC address; write BOOTIF=01-52-54-00-12-34-56",
			      name, value);
	line->boot_mac[i] = '\0';
	return 0;
}

static int parse_panic(struct boot_line *line, const char *name, const char *value,
		       const struct reason *why)
{
	char *end;
	long seconds = strtol(value, &end, 10);

	if (end == value || *end || seconds < -1 || seconds > 86400)
		return refuse(why, "%s=%.40s: wants seconds of -1 to 86400", name, value);
	line->panic_s = (int)seconds;
	return 0;
}

static int parse_ro(struct boot_line *line, const char *name, const char *value,
		    const struct reason *why)
{
	(void)name, (void)value, (void)why;
	line->root_rw = false;
	return 0;
}

static int parse_rw(struct boot_line *line, const char *name, const char *value,
		    const struct reason *why)
{
	(void)name, (void)value, (void)why;
	line->root_rw = true;
	return 0;
}

static int parse_rescue(struct boot_line *line, const char *name, const char *value,
			const struct reason *why)
{
	(void)name, (void)value, (void)why;
	line->rescue = true;
	return 0;
}

/* The forms of the other kits are known by name, so that none is dropped silently. */
static int refuse_foreign(struct boot_line *line, const char *name, const char *value,
			  const struct reason *why)
{
	(void)line;
	return refuse(why, "%s=%.80s: the form of another kit; write " CANONICAL " " CANONICAL_SWAP,
		      name, value);
}

/* boot= and disk= are LibreELEC's when they begin so, and live systems' otherwise. */
static int refuse_nbd_value(struct boot_line *line, const char *name, const char *value,
			    const struct reason *why)
{
	return strncmp(value, "NBD=", 4) == 0 ? refuse_foreign(line, name, value, why) : 0;
}

static const struct parameter with_value[] = {
	{"root", parse_root},
	{"nbdswap", parse_swap},
	{"nbdopts", parse_opts},
	{"ip", parse_ip},
	{"rootfstype", parse_fstype},
	{"rootflags", parse_flags},
	{"init", parse_init},
	{"BOOTIF", parse_bootif},
	{"panic", parse_panic},
	{"rd.break", parse_rescue},
	{"netroot", refuse_foreign},
	{"nbdroot", refuse_foreign},
	{"nbddev", refuse_foreign},
	{"nbd", refuse_foreign},
	{"nbd_host", refuse_foreign},
	{"nbd_name", refuse_foreign},
	{"nbd_port", refuse_foreign},
	{"archiso_nbd_srv", refuse_foreign},
	{"archiso_nbd_name", refuse_foreign},
	{"NBDROOT", refuse_foreign},
	{"nbdserver", refuse_foreign},
	{"nbdport", refuse_foreign},
	{"nbdoverlay", refuse_foreign},
	{"boot", refuse_nbd_value},
	{"disk", refuse_nbd_value},
	{NULL, NULL},
};

static const struct parameter without_value[] = {
	{"ro", parse_ro},	    {"rw", parse_rw}, {"rescue", parse_rescue},
	{"rd.break", parse_rescue}, {NULL, NULL},
};

static int parse_token(struct boot_line *line, const char *name, const char *value,
		       const struct reason *why)
{
	for (const struct parameter *p = value ? with_value : without_value; p->name; p++)
		if (strcmp(name, p->name) == 0)
			return p->parse(line, name, value, why);
	for (const struct parameter *p = with_value; !value && p->name; p++)
		if (strcmp(name, p->name) == 0 && p->parse != refuse_nbd_value)
			return refuse(why, "%s: has no value; write %s=...", name, name);
	if (strncmp(name, "nbd", 3) == 0 && !strchr(name, '.'))
		return refuse(why, "%.80s: unknown; known are nbdswap= and nbdopts=", name);
	return 0;
}

int cmdline_parse(char *line, struct boot_line *ret, char *why, size_t why_size)
{
	const struct reason reason = {why, why_size};
	char *name, *value;
	int r;

	*ret = (struct boot_line){.opts.swap_priority = -1};
	while ((r = cmdline_next(&line, &name, &value)) > 0) {
		r = parse_token(ret, name, value, &reason);
		if (r < 0)
			return r;
	}
	if (r < 0)
		return refuse(&reason, "%.80s: the quote is not closed; add a \" at its end", name);
	if (!ret->has_root)
		return refuse(&reason, "root= is missing; write " CANONICAL);
	return 0;
}

int cmdline_expand(char *export_name, const struct boot_identity *identity, char *why,
		   size_t why_size)
{
	const struct reason reason = {why, why_size};
	char text[TARGET_EXPORT_BYTES];
	size_t used = 0;

	for (const char *c = export_name; *c; c++) {
		const char *value = NULL, *what = NULL;

		if (c[0] == '%' && c[1] == 'm')
			value = identity->mac, what = "MAC address";
		else if (c[0] == '%' && c[1] == 'u')
			value = identity->uuid, what = "DMI UUID";
		else if (c[0] == '%' && c[1] == 'h')
			value = identity->host_name, what = "host name";
		if (value && !*value) {
			refuse(&reason, "export \"%.80s\": this machine has no %s", export_name,
			       what);
			return -ENODATA;
		}
		if (used + (value ? strlen(value) : 1) >= sizeof(text)) {
			refuse(&reason, "export \"%.80s...\": longer than %zu bytes", export_name,
			       sizeof(text) - 1);
			return -ENAMETOOLONG;
		}
		if (value)
			used += (size_t)snprintf(text + used, sizeof(text) - used, "%s", value),
				c++;
		else
			text[used++] = *c;
	}
	text[used] = '\0';
	memcpy(export_name, text, used + 1);
	return 0;
}
