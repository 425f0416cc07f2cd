/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What each kit writes on the boot line, or in DHCP's root-path, to name a
 * root: the value of one word enters, a target leaves. The scripts whose
 * grammars these are: dracut's 95nbd/parse-nbdroot.sh, Debian's
 * scripts/local-top/nbd and its README.Debian, Alpine's mkinitfs, mkinitcpio-nbd
 * and archiso, kiwi, LibreELEC and OpenELEC. Where one of them means two things,
 * or two of them differ, the value is refused and both are named.
 */
#include "client-static/cmdline.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/nbd-proto.h"

enum { URI_TEXT_BYTES = 100 };

static bool is_digits(struct form_field f)
{
	for (size_t i = 0; i < f.length; i++)
		if (f.at[i] < '0' || f.at[i] > '9')
			return false;
	return f.length > 0;
}

static struct form_field whole(const char *text)
{
	return (struct form_field){text, strlen(text)};
}

static bool is_text(struct form_field f, const char *text)
{
	return f.length == strlen(text) && memcmp(f.at, text, f.length) == 0;
}

/* Takes what comes before the first of stops from *rest, and the stop too. */
static struct form_field take_field(const char **rest, const char *stops)
{
	struct form_field f = {*rest, strcspn(*rest, stops)};

	*rest += f.length + (f.at[f.length] != '\0');
	return f;
}

static int copy_field(char *ret, size_t size, struct form_field f)
{
	if (f.length >= size)
		return -ENAMETOOLONG;
	memcpy(ret, f.at, f.length);
	ret[f.length] = '\0';
	return 0;
}

static int set_port(const struct reading *r, const char *name, const char *value,
		    struct form_field f, struct target *target)
{
	unsigned long port = is_digits(f) && f.length <= 5 ? strtoul(f.at, NULL, 10) : 0;

	if (port == 0 || port > UINT16_MAX)
		return cmdline_refuse(r, "%s=%.80s: port \"%.*s\" is not a number from 1 to 65535",
				      name, value, (int)(f.length < 40 ? f.length : 40), f.at);
	target->port = (uint16_t)port;
	return 0;
}

static int set_export(const struct reading *r, const char *name, const char *value,
		      struct form_field f, struct target *target)
{
	if (f.length == 0)
		return cmdline_refuse(r,
				      "%s=%.80s: names no export; write root=nbd://SERVER/EXPORT",
				      name, value);
	return copy_field(target->export_name, sizeof(target->export_name), f) == 0
		       ? 0
		       : cmdline_refuse(r, "%s=%.40s...: the export is longer than %zu bytes", name,
					value, sizeof(target->export_name) - 1);
}

/* HOST or [ADDRESS] up to one of stops, which stays; "" and "dhcp" are the host of DHCP. */
static int take_host(const struct reading *r, const char *name, const char *value,
		     const char **rest, const char *stops, struct target *target)
{
	struct form_field f = {*rest, strcspn(*rest, stops)};

	if (**rest == '[') {
		f = (struct form_field){*rest + 1, strcspn(*rest + 1, "]")};
		*rest = f.at + f.length;
		if (**rest != ']' || ((*rest)[1] && !strchr(stops, (*rest)[1])))
			return cmdline_refuse(
				r, "%s=%.80s: an IPv6 address ends with \"]\", as in [2001:db8::1]",
				name, value);
		(*rest)++;
	} else {
		*rest += f.length;
	}
	if (is_text(f, "dhcp"))
		f.length = 0;
	if (copy_field(target->host, sizeof(target->host), f) < 0)
		return cmdline_refuse(r, "%s=%.40s...: the server is longer than %zu characters",
				      name, value, sizeof(target->host) - 1);
	return 0;
}

/* A number where kits differ on whether it is a port or an export. */
static int refuse_number(const struct reading *r, const char *name, const char *value,
			 const char *host, struct form_field number, const char *port_reading,
			 const char *export_reading)
{
	const char *open = strchr(host, ':') ? "[" : "", *close = *open ? "]" : "";
	int n = (int)(number.length < 40 ? number.length : 40);

	if (!*host)
		host = "SERVER";
	return cmdline_refuse(r,
			      "%s=%.60s: is port %.*s (%s) or export \"%.*s\" (%s); write "
			      "root=nbd://%s%.60s%s:%.*s/ or root=nbd://%s%.60s%s/%.*s",
			      name, value, n, number.at, port_reading, n, number.at, export_reading,
			      open, host, close, n, number.at, open, host, close, n, number.at);
}

static bool is_same_root(const struct target *a, const struct target *b)
{
	return a->port == b->port && strcmp(a->host, b->host) == 0 && !a->other_count &&
	       !b->other_count && strcmp(a->export_name, b->export_name) == 0;
}

/*
 * The word says that the root is target. The last of the same name wins, as
 * everywhere on this line, and root= before netroot=, as dracut has it.
 */
static int claim(struct reading *r, const char *name, const char *value,
		 const struct target *target, enum root_source source)
{
	char one[URI_TEXT_BYTES], other[URI_TEXT_BYTES];
	struct boot_line *line = r->line;

	if (r->root_name && strcmp(r->root_name, name) != 0) {
		if (strcmp(name, "netroot") == 0 && strcmp(r->root_name, "root") == 0)
			return 0;
		if (source == line->root_source && is_same_root(&line->root, target))
			return 0;
		if (strcmp(name, "root") != 0 || strcmp(r->root_name, "netroot") != 0) {
			uri_format(&line->root, one, sizeof(one));
			uri_format(target, other, sizeof(other));
			return cmdline_refuse(r,
					      "%s=%.60s names the root %s, and %s=%.60s names %s; "
					      "keep one",
					      r->root_name, r->root_value, one, name, value, other);
		}
	}
	r->root_name = name;
	r->root_value = value;
	line->root = *target;
	line->root_source = source;
	return 0;
}

/* A target whose host may be missing, for DHCP to fill in. */
static int claim_found(struct reading *r, const char *name, const char *value,
		       const struct target *target)
{
	return claim(r, name, value, target, *target->host ? ROOT_ON_LINE : ROOT_HOST_BY_DHCP);
}

int root_form_dhcp(struct reading *r, const char *name, const char *value, enum root_source source)
{
	struct target target = {.port = NBD_DEFAULT_PORT};

	return claim(r, name, value, &target, source);
}

int root_form_uri(struct reading *r, const char *name, const char *value)
{
	char clause[BOOT_WHY_BYTES / 2];
	struct target target;

	if (!value[6] || strchr("/:", value[6]))
		return cmdline_refuse(
			r, "%s=%.80s: names no server; write %s=nbd://SERVER[:PORT]/EXPORT", name,
			value, name);
	if (uri_parse(value, &target, clause, sizeof(clause)) < 0)
		return cmdline_refuse(r, "%s=%.80s: %s", name, value, clause);
	return claim(r, name, value, &target, ROOT_ON_LINE);
}

/* /dev/nbN, with pM behind it for a partition. */
static int parse_device(struct form_field f, uint32_t *ret_index, uint32_t *ret_partition)
{
	char text[32], *p;
	unsigned long partition = 0;
	struct failure why;

	if (copy_field(text, sizeof(text), f) < 0)
		return -EINVAL;
	p = strrchr(text, 'p');
	if (p) {
		if (!is_digits(whole(p + 1)) || p[1] == '0' || strlen(p + 1) > 3)
			return -EINVAL;
		partition = strtoul(p + 1, NULL, 10);
		*p = '\0';
	}
	*ret_partition = (uint32_t)partition;
	return names_parse(text, ret_index, &why);
}

static int refuse_device(const struct reading *r, const char *name, const char *value,
			 struct form_field f)
{
	return cmdline_refuse(r, "%s=%.80s: \"%.*s\" is no NBD device; write nbd0 or nbd0p1", name,
			      value, (int)(f.length < 40 ? f.length : 40), f.at);
}

int root_form_device(struct reading *r, const char *name, const char *value)
{
	struct boot_line *line = r->line;

	if (parse_device(whole(value), &line->root_index, &line->root_partition) < 0)
		return refuse_device(r, name, value, whole(value));
	line->has_root_device = true;
	return 0;
}

/* A device that yields to the one of root= or nbddev=. */
static int take_device(struct reading *r, const char *name, const char *value, struct form_field f)
{
	struct boot_line *line = r->line;
	uint32_t index, partition;

	if (parse_device(f, &index, &partition) < 0)
		return refuse_device(r, name, value, f);
	if (line->has_root_device)
		return 0;
	line->root_index = index;
	line->root_partition = partition;
	return 0;
}

/* ro and rw of the mount options are ours to set, the rest is rootflags=. */
static int take_mount_options(struct reading *r, const char *name, const char *value,
			      struct form_field options)
{
	const char *end = options.at + options.length;
	size_t used = 0;

	r->form_flags[0] = '\0';
	while (options.at < end) {
		size_t length = (size_t)(end - options.at);
		const char *comma = memchr(options.at, ',', length);
		struct form_field f = {options.at, comma ? (size_t)(comma - options.at) : length};

		options.at += f.length + (comma != NULL);
		if (is_text(f, "ro") || is_text(f, "rw")) {
			r->has_form_rw = true;
			r->form_rw = is_text(f, "rw");
			continue;
		}
		if (used + f.length + 2 > sizeof(r->form_flags))
			return cmdline_refuse(r, "%s=%.80s: the mount options are too long", name,
					      value);
		used += (size_t)snprintf(r->form_flags + used, sizeof(r->form_flags) - used,
					 "%s%.*s", used ? "," : "", (int)f.length, f.at);
	}
	return 0;
}

/* What dracut gives to nbd-client, or drops: bs=4096,timeout=60,persist. */
static int take_client_options(struct reading *r, const char *name, const char *value,
			       const char *options)
{
	char clause[BOOT_WHY_BYTES / 2];

	if (nbdopts_parse(options, &r->line->opts, clause, sizeof(clause)) < 0)
		return cmdline_refuse(r, "%s=%.80s: %s", name, value, clause);
	return 0;
}

/* nbd:SERVER:PORT-or-NAME[:FSTYPE[:MOUNTOPTS[:NBDOPTS]]] */
int root_form_dracut(struct reading *r, const char *name, const char *value)
{
	struct target target = {.port = NBD_DEFAULT_PORT};
	const char *rest = value + strlen("nbd:");
	struct form_field second, fstype, head;
	int err = take_host(r, name, value, &rest, ":", &target);

	if (err)
		return err;
	if (!*target.host || *rest != ':')
		return cmdline_refuse(r, "%s=%.80s: wants nbd:SERVER:EXPORT or nbd://SERVER/EXPORT",
				      name, value);
	rest++;
	second = take_field(&rest, ":");
	head = (struct form_field){second.at, strspn(second.at, "0123456789")};
	if (head.length > 0 && head.length < second.length && second.at[head.length] == '/')
		return cmdline_refuse(
			r,
			"%s=%.60s: is port %.*s with export \"%.*s\" (dracut's comment), or "
			"export \"%.*s\" (dracut's script); write root=nbd://SERVER:PORT/EXPORT",
			name, value, (int)head.length, head.at,
			(int)(second.length - head.length - 1), head.at + head.length + 1,
			(int)second.length, second.at);
	err = is_digits(second) ? set_port(r, name, value, second, &target)
				: set_export(r, name, value, second, &target);
	if (err)
		return err;
	fstype = take_field(&rest, ":");
	r->form_fstype = is_text(fstype, "auto") ? (struct form_field){NULL, 0} : fstype;
	err = take_mount_options(r, name, value, take_field(&rest, ":"));
	if (!err)
		err = take_client_options(r, name, value, rest);
	return err ? err : claim(r, name, value, &target, ROOT_ON_LINE);
}

/* SERVER,NAME[,DEVICE] */
static int debian_commas(struct reading *r, const char *name, const char *value)
{
	struct target target = {.port = NBD_DEFAULT_PORT};
	const char *rest = value;
	struct form_field export;
	int err = take_host(r, name, value, &rest, ",", &target);

	if (!err && *rest != ',')
		err = cmdline_refuse(r, "%s=%.80s: wants SERVER,EXPORT[,DEVICE]", name, value);
	if (err)
		return err;
	rest++;
	export = take_field(&rest, ",");
	if (is_digits(export))
		return refuse_number(r, name, value, target.host, export, "README.Debian",
				     "Debian's script");
	err = set_export(r, name, value, export, &target);
	if (!err && *rest)
		err = take_device(r, name, value, whole(rest));
	return err ? err : claim_found(r, name, value, &target);
}

/* SERVER/NAME, SERVER:PORT/NAME, SERVER:/NAME and SERVER:NAME; the third keeps its slash. */
int root_form_debian(struct reading *r, const char *name, const char *value)
{
	struct target target = {.port = NBD_DEFAULT_PORT};
	const char *rest = value;
	struct form_field export;
	int err;

	if (!*value || strcmp(value, "dhcp") == 0)
		return root_form_dhcp(r, name, value, ROOT_BY_DHCP_AS_DEBIAN);
	if (strchr(value, ','))
		return debian_commas(r, name, value);
	err = take_host(r, name, value, &rest, ":/", &target);
	if (err)
		return err;
	if (!*rest)
		return cmdline_refuse(r,
				      "%s=%.80s: names no export; write %s=%.80s,EXPORT or "
				      "root=nbd://SERVER/EXPORT",
				      name, value, name, value);
	export = whole(*rest == '/' && !*target.host ? rest : rest + 1);
	if (*rest == ':' && rest[1] != '/') {
		struct form_field port = {rest + 1, strcspn(rest + 1, "/")};

		if (port.length < export.length) {
			err = set_port(r, name, value, port, &target);
			export = whole(port.at + port.length + 1);
		} else if (is_digits(export)) {
			r->host_port = value;
			return 0;
		}
	}
	if (!err)
		err = set_export(r, name, value, export, &target);
	return err ? err : claim_found(r, name, value, &target);
}

/* The name of the image alone. */
int root_form_ltsp(struct reading *r, const char *name, const char *value)
{
	struct target target = {.port = NBD_DEFAULT_PORT};
	int err = set_export(r, name, value, whole(value), &target);

	return err ? err : claim_found(r, name, value, &target);
}

static int split_host_port(struct reading *r, const char *name, const char *value,
			   struct target *ret, const char **rest)
{
	int err = take_host(r, name, value, rest, ":,", ret);

	ret->port = NBD_DEFAULT_PORT;
	if (!err && (!*ret->host || **rest != ':'))
		err = cmdline_refuse(r, "%s=%.80s: wants SERVER:PORT", name, value);
	if (err)
		return err;
	(*rest)++;
	return 0;
}

/* HOST:PORT; a second would be a device that is neither root nor swap. */
int root_form_alpine(struct reading *r, const char *name, const char *value)
{
	struct target target = {0};
	const char *rest = value;
	int err = split_host_port(r, name, value, &target, &rest);

	if (!err)
		err = set_port(r, name, value, take_field(&rest, ","), &target);
	if (!err && *rest)
		err = cmdline_refuse(r,
				     "%s=%.80s: only the root is attached at boot; write "
				     "nbdswap=nbd://SERVER:PORT/ for swap, and leave \"%.40s\" to "
				     "nbdtab(5)",
				     name, value, rest);
	return err ? err : claim(r, name, value, &target, ROOT_ON_LINE);
}

/* NBD=HOST:PORT[:NAME] */
int root_form_libreelec(struct reading *r, const char *name, const char *value)
{
	struct target target = {0};
	const char *rest = value + strlen("NBD=");
	int err = split_host_port(r, name, value, &target, &rest);

	if (!err && strstr(rest, "@UID@"))
		err = cmdline_refuse(r,
				     "%s=%.80s: @UID@ is not known here; write %%m for the MAC "
				     "address, in root=nbd://SERVER/EXPORT",
				     name, value);
	if (!err)
		err = set_port(r, name, value, take_field(&rest, ":"), &target);
	if (!err && *rest)
		err = set_export(r, name, value, whole(rest), &target);
	return err ? err : claim(r, name, value, &target, ROOT_ON_LINE);
}

/* overlay:nbd=SERVER:EXPORT, with changes in memory */
int root_form_kiwi_overlay(struct reading *r, const char *name, const char *value)
{
	struct target target = {.port = NBD_DEFAULT_PORT};
	const char *rest = value + strlen("overlay:nbd=");
	int err = take_host(r, name, value, &rest, ":", &target);

	if (err)
		return err;
	if (!*target.host || *rest != ':')
		return cmdline_refuse(r, "%s=%.80s: wants overlay:nbd=SERVER:EXPORT", name, value);
	r->line->overlay.kind = OVERLAY_IN_MEMORY;
	err = set_export(r, name, value, whole(rest + 1), &target);
	return err ? err : claim(r, name, value, &target, ROOT_ON_LINE);
}

/* SERVER;EXPORT;DEVICE;SWAP-EXPORT;SWAP-DEVICE;WRITE-EXPORT;WRITE-DEVICE */
int root_form_kiwi(struct reading *r, const char *name, const char *value)
{
	enum { SERVER, EXPORT, DEVICE, SWAP, SWAP_DEVICE, WRITE, WRITE_DEVICE, FIELDS };
	struct target target = {.port = NBD_DEFAULT_PORT};
	struct form_field fields[FIELDS];
	const char *rest = value;
	uint32_t partition = 0;
	int err;

	for (int i = 0; i < FIELDS; i++)
		fields[i] = take_field(&rest, ";");
	if (*rest || fields[WRITE].length || fields[WRITE_DEVICE].length)
		return cmdline_refuse(r,
				      "%s=%.80s: a device for changes is not used: let the server "
				      "keep a layer for each machine (per_client in "
				      "nbd-server(5)) and end after the swap device",
				      name, value);
	if (fields[SERVER].length == 0 ||
	    copy_field(target.host, sizeof(target.host), fields[SERVER]) < 0)
		return cmdline_refuse(r, "%s=%.80s: wants SERVER;EXPORT;DEVICE", name, value);
	if (fields[SWAP].length) {
		r->line->swap = target;
		err = set_export(r, name, value, fields[SWAP], &r->line->swap);
		if (err)
			return err;
		r->line->has_swap = true;
	}
	if (fields[SWAP_DEVICE].length &&
	    (parse_device(fields[SWAP_DEVICE], &r->line->swap_index, &partition) < 0 || partition))
		return refuse_device(r, name, value, fields[SWAP_DEVICE]);
	err = set_export(r, name, value, fields[EXPORT], &target);
	if (!err && fields[DEVICE].length)
		err = take_device(r, name, value, fields[DEVICE]);
	return err ? err : claim(r, name, value, &target, ROOT_ON_LINE);
}

/* Words of one kit that together name a root: server, export and port, each NULL or given. */
static int finish_words(struct reading *r, const char *host_word, const char *host,
			const char *export, const char *port)
{
	struct target target = {.port = NBD_DEFAULT_PORT};
	int err = 0;

	if (!host && (export || port))
		return cmdline_refuse(r, "%s= is missing beside \"%.80s\": it names the server",
				      host_word, export ? export : port);
	if (!host)
		return 0;
	/* What archiso has for the server that PXE booted from. */
	if (strcmp(host, "${pxeserver}") != 0 &&
	    (!*host || copy_field(target.host, sizeof(target.host), whole(host)) < 0))
		return cmdline_refuse(r, "%s=%.80s: wants a server", host_word, host);
	if (port)
		err = set_port(r, host_word, port, whole(port), &target);
	if (!err && export)
		err = set_export(r, host_word, host, whole(export), &target);
	return err ? err : claim_found(r, host_word, host, &target);
}

/* nbdroot=HOST:2000 is an export to Debian, and a port on OpenELEC, whose lines have netboot. */
static int finish_host_port(struct reading *r)
{
	struct target target = {.port = NBD_DEFAULT_PORT};
	const char *rest = r->host_port;
	int err;

	if (!rest)
		return 0;
	err = take_host(r, "nbdroot", r->host_port, &rest, ":/", &target);
	if (err)
		return err;
	if (!r->netboot)
		return refuse_number(r, "nbdroot", r->host_port, target.host, whole(rest + 1),
				     "OpenELEC", "Debian");
	err = set_port(r, "nbdroot", r->host_port, whole(rest + 1), &target);
	return err ? err : claim_found(r, "nbdroot", r->host_port, &target);
}

int root_forms_finish(struct reading *r)
{
	struct boot_line *line = r->line;
	int err = finish_host_port(r);

	if (!err)
		err = finish_words(r, "nbd_host", r->arch_host, r->arch_name, r->arch_port);
	if (!err)
		err = finish_words(
			r, "archiso_nbd_srv", r->archiso_host,
			r->archiso_host && !r->archiso_name ? "archiso" : r->archiso_name, NULL);
	if (!err)
		err = finish_words(r, "nbdserver", r->openelec_host, NULL, r->openelec_port);
	if (err)
		return err;
	if (r->has_form_rw && !line->has_root_rw)
		line->root_rw = r->form_rw;
	if (r->form_fstype.length &&
	    copy_field(line->root_fstype, sizeof(line->root_fstype), r->form_fstype) < 0)
		return cmdline_refuse(r, "%s=%.80s: the file system's name is too long",
				      r->root_name, r->root_value);
	if (*r->form_flags)
		memcpy(line->root_flags, r->form_flags, sizeof(r->form_flags));
	if (line->swap_index == line->root_index)
		line->swap_index = line->root_index == BOOT_SWAP_INDEX ? BOOT_ROOT_INDEX
								       : BOOT_SWAP_INDEX;
	if (line->overlay.kind == OVERLAY_ON_EXPORT &&
	    (line->root_index == BOOT_UPPER_INDEX ||
	     (line->has_swap && line->swap_index == BOOT_UPPER_INDEX)))
		return cmdline_refuse(r, "nbdoverlay= is /dev/nb%d, and so is the %s; name another",
				      BOOT_UPPER_INDEX,
				      line->root_index == BOOT_UPPER_INDEX ? "root" : "swap");
	return 0;
}
