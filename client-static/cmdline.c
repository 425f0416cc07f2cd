/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Boot stage 1: the text of /proc/cmdline goes in, struct boot_line comes out.
 * One table holds every name that is ours or another kit's; all other tokens
 * belong to the kernel and the distribution. Pure: touches nothing but its
 * arguments.
 */
#include "client-static/cmdline.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CANONICAL "root=nbd://SERVER[:PORT]/EXPORT"

int cmdline_refuse(const struct reading *r, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(r->why, r->why_size, format, args);
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

static int copy_text(const struct reading *r, char *ret, size_t size, const char *name,
		     const char *value)
{
	if (!*value)
		return cmdline_refuse(r, "%s= has no value", name);
	if (strlen(value) >= size)
		return cmdline_refuse(r, "%s=%.40s...: longer than %zu characters", name, value,
				      size - 1);
	memcpy(ret, value, strlen(value) + 1);
	return 0;
}

static int parse_root(struct reading *r, const char *name, const char *value)
{
	if (strncmp(value, "nbd://", strlen("nbd://")) == 0)
		return root_form_uri(r, name, value);
	if (strncmp(value, "nbd:", strlen("nbd:")) == 0)
		return root_form_dracut(r, name, value);
	if (strcmp(value, "dhcp") == 0)
		return root_form_dhcp(r, name, value, ROOT_BY_DHCP);
	if (strcmp(value, "dhcp6") == 0)
		return cmdline_refuse(r,
				      "%s=dhcp6: only DHCP for IPv4 is asked for a root; write "
				      "root=nbd://[ADDRESS]/EXPORT, and a router gives the address",
				      name);
	if (strncmp(value, "/dev/nb", strlen("/dev/nb")) == 0)
		return root_form_device(r, name, value);
	if (strncmp(value, "overlay:nbd=", strlen("overlay:nbd=")) == 0)
		return root_form_kiwi_overlay(r, name, value);
	if (value[0] == '/' || strncmp(value, "UUID=", 5) == 0 ||
	    strncmp(value, "LABEL=", 6) == 0 || strncmp(value, "PART", 4) == 0)
		return copy_text(r, r->line->root_elsewhere, sizeof(r->line->root_elsewhere), name,
				 value);
	return cmdline_refuse(r, "%s=%.80s: not an nbd:// address; write " CANONICAL, name, value);
}

static int parse_netroot(struct reading *r, const char *name, const char *value)
{
	if (strncmp(value, "nbd:", strlen("nbd:")) == 0 || strncmp(value, "dhcp", 4) == 0)
		return parse_root(r, name, value);
	return cmdline_refuse(r, "%s=%.80s: is not NBD; write " CANONICAL, name, value);
}

static int parse_overlay(struct reading *r, const char *name, const char *value)
{
	char clause[BOOT_WHY_BYTES / 2];

	if (overlay_parse(value, &r->line->overlay, clause, sizeof(clause)) < 0)
		return cmdline_refuse(r, "%s=%.80s: %s", name, value, clause);
	return 0;
}

static int parse_swap(struct reading *r, const char *name, const char *value)
{
	char clause[BOOT_WHY_BYTES / 2];

	if (strncmp(value, "nbd://", strlen("nbd://")) != 0)
		return cmdline_refuse(r,
				      "%s=%.80s: not an nbd:// address; write "
				      "%s=nbd://SERVER[:PORT]/EXPORT",
				      name, value, name);
	if (!value[6] || strchr("/:", value[6]))
		return cmdline_refuse(
			r, "%s=%.80s: names no server; write %s=nbd://SERVER[:PORT]/EXPORT", name,
			value, name);
	if (uri_parse(value, &r->line->swap, clause, sizeof(clause)) < 0)
		return cmdline_refuse(r, "%s=%.80s: %s", name, value, clause);
	r->line->has_swap = true;
	return 0;
}

static int parse_opts(struct reading *r, const char *name, const char *value)
{
	char clause[BOOT_WHY_BYTES / 2];

	if (nbdopts_parse(value, &r->line->opts, clause, sizeof(clause)) < 0)
		return cmdline_refuse(r, "%s=%.80s: %s", name, value, clause);
	return 0;
}

static int parse_ip(struct reading *r, const char *name, const char *value)
{
	char clause[BOOT_WHY_BYTES / 2];

	if (ip_parse(value, &r->line->ip, clause, sizeof(clause)) < 0)
		return cmdline_refuse(r, "%s=%.80s: %s", name, value, clause);
	return 0;
}

static int parse_vlan(struct reading *r, const char *name, const char *value)
{
	char clause[BOOT_WHY_BYTES / 2];

	if (*r->line->vlan.name)
		return cmdline_refuse(
			r,
			"%s=%.80s: one VLAN carries the root; leave this one to the distribution",
			name, value);
	if (links_parse_vlan(value, &r->line->vlan, clause, sizeof(clause)) < 0)
		return cmdline_refuse(r, "%s=%.80s: %s", name, value, clause);
	return 0;
}

static int parse_bond(struct reading *r, const char *name, const char *value)
{
	char clause[BOOT_WHY_BYTES / 2];

	if (*r->line->bond.name)
		return cmdline_refuse(
			r,
			"%s=%.80s: one bond carries the root; leave this one to the distribution",
			name, value);
	if (links_parse_bond(value, &r->line->bond, clause, sizeof(clause)) < 0)
		return cmdline_refuse(r, "%s=%.80s: %s", name, value, clause);
	return 0;
}

static int parse_nameserver(struct reading *r, const char *name, const char *value)
{
	struct in_addr *dns = &r->dns[r->dns_count];

	if (r->dns_count == sizeof(r->dns) / sizeof(*r->dns))
		return 0; /* as dracut's resolv.conf: the resolver reads the first ones */
	if (inet_pton(AF_INET, value, dns) != 1)
		return cmdline_refuse(r, "%s=%.80s: wants an IPv4 address", name, value);
	r->dns_count++;
	return 0;
}

static int parse_fstype(struct reading *r, const char *name, const char *value)
{
	return copy_text(r, r->line->root_fstype, sizeof(r->line->root_fstype), name, value);
}

static int parse_flags(struct reading *r, const char *name, const char *value)
{
	return copy_text(r, r->line->root_flags, sizeof(r->line->root_flags), name, value);
}

static int parse_init(struct reading *r, const char *name, const char *value)
{
	if (*value != '/')
		return cmdline_refuse(r, "%s=%.80s: not an absolute path; write init=/sbin/init",
				      name, value);
	return copy_text(r, r->line->init, sizeof(r->line->init), name, value);
}

static int parse_mac(struct reading *r, const char *mac)
{
	char *ret = r->line->boot_mac;
	size_t size = sizeof(r->line->boot_mac), i;

	for (i = 0; i < size && mac[i]; i++) {
		bool separator = i % 3 == 2;

		if (separator ? !strchr("-:", mac[i]) : !isxdigit((unsigned char)mac[i]))
			break;
		ret[i] = separator ? ':' : (char)tolower((unsigned char)mac[i]);
	}
	if (i != size - 1 || mac[i])
		return -EINVAL;
	ret[i] = '\0';
	return 0;
}

/* BOOTIF=01-52-54-00-12-34-56: PXELINUX and iPXE name the card that they booted from. */
static int parse_bootif(struct reading *r, const char *name, const char *value)
{
	if (parse_mac(r, strncmp(value, "01-", 3) == 0 ? value + 3 : value) < 0)
		return cmdline_refuse(
			r, "%s=%.80s: not a MAC address; write BOOTIF=01-52-54-00-12-34-56", name,
			value);
	return 0;
}

/* ifname=NAME:MAC: cards are chosen, and not renamed; ip= may use the name for this one. */
static int parse_ifname(struct reading *r, const char *name, const char *value)
{
	const char *mac = strchr(value, ':');

	if (!mac || mac == value || parse_mac(r, mac + 1) < 0)
		return cmdline_refuse(r, "%s=%.80s: wants INTERFACE:MAC, as eth0:52:54:00:12:34:56",
				      name, value);
	r->card_name = value;
	return 0;
}

static int parse_bootdev(struct reading *r, const char *name, const char *value)
{
	if (!*value || strlen(value) >= IFNAMSIZ)
		return cmdline_refuse(r, "%s=%.40s: wants the name of a card", name, value);
	r->boot_device = value;
	return 0;
}

static int parse_panic(struct reading *r, const char *name, const char *value)
{
	char *end;
	long seconds = strtol(value, &end, 10);

	if (end == value || *end || seconds < -1 || seconds > 86400)
		return cmdline_refuse(r, "%s=%.40s: wants seconds of -1 to 86400", name, value);
	r->line->panic_s = (int)seconds;
	return 0;
}

static int parse_ro(struct reading *r, const char *name, const char *value)
{
	(void)name, (void)value;
	r->line->has_root_rw = true;
	r->line->root_rw = false;
	return 0;
}

static int parse_rw(struct reading *r, const char *name, const char *value)
{
	(void)name, (void)value;
	r->line->has_root_rw = true;
	r->line->root_rw = true;
	return 0;
}

static int parse_rescue(struct reading *r, const char *name, const char *value)
{
	(void)name, (void)value;
	r->line->rescue = true;
	return 0;
}

static int parse_netboot(struct reading *r, const char *name, const char *value)
{
	(void)name, (void)value;
	r->netboot = true;
	return 0;
}

static int parse_environment_root(struct reading *r, const char *name, const char *value)
{
	return strchr(value, ';') ? root_form_kiwi(r, name, value)
				  : root_form_debian(r, name, value);
}

/* boot= is LibreELEC's when it begins so, and that of live systems otherwise. */
static int parse_boot(struct reading *r, const char *name, const char *value)
{
	return strncmp(value, "NBD=", 4) == 0 ? root_form_libreelec(r, name, value) : 0;
}

static int parse_disk(struct reading *r, const char *name, const char *value)
{
	if (strncmp(value, "NBD=", 4) != 0)
		return 0;
	return cmdline_refuse(r,
			      "%s=%.80s: only root and swap are attached at boot; leave it out, "
			      "and put the device into nbdtab(5)",
			      name, value);
}

#define PART(field)                                                                      \
	static int parse_##field(struct reading *r, const char *name, const char *value) \
	{                                                                                \
		(void)name;                                                              \
		r->field = value;                                                        \
		return 0;                                                                \
	}

PART(arch_host)
PART(arch_name)
PART(arch_port)
PART(archiso_host)
PART(archiso_name)
PART(openelec_host)
PART(openelec_port)

static int pass_over(struct reading *r, const char *name, const char *value)
{
	(void)r, (void)name, (void)value;
	return 0;
}

static bool is_no(const char *value)
{
	return !strcmp(value, "no") || !strcmp(value, "n") || !strcmp(value, "0") ||
	       !strcmp(value, "off") || !strcmp(value, "auto");
}

/* Words that ask for what is not done, by their row; "no" is what is done. */
static int refuse_unless_no(struct reading *r, const char *name, const char *value)
{
	if (value && is_no(value))
		return 0;
	return cmdline_refuse(r, "%s%s%.80s: %s", name, value ? "=" : "", value ? value : "",
			      cmdline_find(name, value != NULL)->meaning);
}

static const char no_overlay[] = "is not done here: write nbdoverlay=tmpfs, or let the server keep "
				 "a layer for each machine, see per_client in nbd-server(5)";

/* Words of other kits that are true or false, and mean nbdoverlay=tmpfs; or name a device. */
static int overlay_unless_no(struct reading *r, const char *name, const char *value)
{
	if (value && strpbrk(value, "=/:"))
		return cmdline_refuse(r, "%s=%.80s: %s", name, value, no_overlay);
	if (!value || !is_no(value))
		r->line->overlay.kind = OVERLAY_IN_MEMORY;
	return 0;
}

struct parameter {
	struct cmdline_word word;
	int (*parse)(struct reading *r, const char *name, const char *value);
};

static const char one_card[] = "this image sets up one card as it is: leave it out and choose the "
			       "card by ip= or BOOTIF=";
static const char no_wake[] = "wake-on-LAN is not sent: leave it out and wake the server before";

static const struct parameter with_value[] = {
	{{"root", "", "the root, or its device"}, parse_root},
	{{"nbdswap", "", "the swap"}, parse_swap},
	{{"nbdoverlay", "", "where changes go, when the root is an image for all"}, parse_overlay},
	{{"nbdopts", "", "options of both devices"}, parse_opts},
	{{"ip", "kernel, dracut", "the address"}, parse_ip},
	{{"rootfstype", "kernel", "file systems to try"}, parse_fstype},
	{{"rootflags", "kernel", "options of the mount"}, parse_flags},
	{{"init", "kernel", "the program to start"}, parse_init},
	{{"BOOTIF", "PXELINUX", "the card to use"}, parse_bootif},
	{{"panic", "kernel", "restart when the boot cannot go on"}, parse_panic},
	{{"rd.break", "dracut", "a shell before anything is attached"}, parse_rescue},
	{{"netroot", "dracut", "the root"}, parse_netroot},
	{{"nameserver", "dracut", "a name server"}, parse_nameserver},
	{{"ifname", "dracut", "the card to use, by its MAC address"}, parse_ifname},
	{{"bootdev", "dracut", "the card to use"}, parse_bootdev},
	{{"nbdroot", "Debian, OpenELEC", "the root"}, root_form_debian},
	{{"nbddev", "Debian", "the device of the root"}, root_form_device},
	{{"NBDROOT", "kiwi, Debian", "the root, and the swap"}, parse_environment_root},
	{{"nbd_host", "Arch", "server of the root"}, parse_arch_host},
	{{"nbd_name", "Arch", "export of the root"}, parse_arch_name},
	{{"nbd_port", "Arch", "port of the root"}, parse_arch_port},
	{{"archiso_nbd_srv", "archiso", "server of the root"}, parse_archiso_host},
	{{"archiso_nbd_name", "archiso", "export of the root"}, parse_archiso_name},
	{{"nbd", "Alpine", "the root"}, root_form_alpine},
	{{"boot", "LibreELEC", "the root, when it begins with NBD="}, parse_boot},
	{{"disk", "LibreELEC", "a second device, when it begins with NBD="}, parse_disk},
	{{"nbdserver", "OpenELEC", "server of the root"}, parse_openelec_host},
	{{"nbdport", "OpenELEC", "port of the root"}, parse_openelec_port},
	{{"rd.neednet", "dracut", "not needed: the network is always brought up"}, pass_over},
	{{"rd.net.timeout.*", "dracut", "not needed: waiting has no end here"}, pass_over},
	{{"rd.net.dhcp.retry", "dracut", "not needed: waiting has no end here"}, pass_over},
	{{"vlan", "dracut", "a VLAN, which gets the address"}, parse_vlan},
	{{"bond", "dracut", "cards that are one interface"}, parse_bond},
	{{"team", "dracut", one_card}, refuse_unless_no},
	{{"bridge", "dracut", one_card}, refuse_unless_no},
	{{"rd.route", "dracut", one_card}, refuse_unless_no},
	{{"rd.overlay", "dracut", "changes go to memory"}, overlay_unless_no},
	{{"rd.overlay.*", "dracut", no_overlay}, refuse_unless_no},
	{{"rd.live.*", "dracut", no_overlay}, refuse_unless_no},
	{{"overlaytmpfs", "Alpine", "changes go to memory"}, overlay_unless_no},
	{{"copytoram", "archiso", no_overlay}, refuse_unless_no},
	{{"cow_spacesize", "archiso", no_overlay}, refuse_unless_no},
	{{"rd.root.overlay.*", "kiwi", no_overlay}, refuse_unless_no},
	{{"nfsoverlay", "OpenELEC", no_overlay}, refuse_unless_no},
	{{"wol_mac", "LibreELEC", no_wake}, refuse_unless_no},
	{{"wol_wait", "LibreELEC", "not needed: waiting has no end here"}, pass_over},
	{{NULL, NULL, NULL}, NULL},
};

static const struct parameter without_value[] = {
	{{"ro", "kernel", "mount the root read-only"}, parse_ro},
	{{"rw", "kernel", "mount the root writable"}, parse_rw},
	{{"rescue", "systemd", "a shell before anything is attached"}, parse_rescue},
	{{"rd.break", "dracut", "a shell before anything is attached"}, parse_rescue},
	{{"netboot", "OpenELEC", "a number in nbdroot= is a port"}, parse_netboot},
	{{"rd.neednet", "dracut", "not needed: the network is always brought up"}, pass_over},
	{{"rd.overlay", "dracut", "changes go to memory"}, overlay_unless_no},
	{{"rd.live.*", "dracut", no_overlay}, refuse_unless_no},
	{{"overlaytmpfs", "Alpine", "changes go to memory"}, overlay_unless_no},
	{{"copytoram", "archiso", no_overlay}, refuse_unless_no},
	{{NULL, NULL, NULL}, NULL},
};

/* A row whose name ends with '*' is for all that begins so. */
static const struct parameter *find_row(const struct parameter *rows, const char *name)
{
	for (const struct parameter *p = rows; p->word.name; p++) {
		size_t length = strcspn(p->word.name, "*");

		if (p->word.name[length] ? strncmp(name, p->word.name, length) == 0
					 : strcmp(name, p->word.name) == 0)
			return p;
	}
	return NULL;
}

const struct cmdline_word *cmdline_find(const char *name, bool has_value)
{
	const struct parameter *row = find_row(has_value ? with_value : without_value, name);

	return row ? &row->word : NULL;
}

static int parse_token(struct reading *r, const char *name, const char *value)
{
	const struct parameter *row = find_row(value ? with_value : without_value, name);

	if (row)
		return row->parse(r, name, value);
	row = value ? NULL : find_row(with_value, name);
	if (row && row->parse != parse_boot && row->parse != parse_disk)
		return cmdline_refuse(r, "%s: has no value; write %s=...", name, name);
	if (strncmp(name, "nbd", 3) == 0 && !strchr(name, '.'))
		return cmdline_refuse(
			r, "%.80s: unknown; known are nbdswap=, nbdoverlay= and nbdopts=", name);
	return 0;
}

/* What ip= and the words of the network say together. */
static void finish_network(struct reading *r)
{
	struct ip_config *ip = &r->line->ip;
	size_t length = r->card_name ? strcspn(r->card_name, ":") : 0;

	if (r->boot_device && !ip->device[0])
		strcpy(ip->device, r->boot_device);
	for (int i = 0; i < r->dns_count; i++)
		ip->dns[i] = r->dns[i];
	if (length && strlen(ip->device) == length && !memcmp(ip->device, r->card_name, length))
		ip->device[0] = '\0';
}

static int finish(struct reading *r)
{
	struct boot_line *line = r->line;
	int err = root_forms_finish(r);

	if (err)
		return err;
	finish_network(r);
	if (line->root_source == ROOT_MISSING && *line->root_elsewhere)
		return cmdline_refuse(r,
				      "root=%.80s: a local disk; this image mounts a network block "
				      "device: write " CANONICAL,
				      line->root_elsewhere);
	if (line->root_source == ROOT_MISSING && line->has_root_device)
		return cmdline_refuse(r, "root= names a device and no server; write " CANONICAL);
	if (line->root_source == ROOT_MISSING)
		return cmdline_refuse(r, "root= is missing; write " CANONICAL);
	return 0;
}

int cmdline_parse(char *line, struct boot_line *ret, char *why, size_t why_size)
{
	struct reading r = {.line = ret, .why = why, .why_size = why_size};
	char *name, *value;
	int err;

	*ret = (struct boot_line){.opts.swap_priority = -1, .swap_index = BOOT_SWAP_INDEX};
	while ((err = cmdline_next(&line, &name, &value)) > 0) {
		err = parse_token(&r, name, value);
		if (err < 0)
			return err;
	}
	if (err < 0)
		return cmdline_refuse(&r, "%.80s: the quote is not closed; add a \" at its end",
				      name);
	return finish(&r);
}

int cmdline_expand(char *export_name, const struct boot_identity *identity, char *why,
		   size_t why_size)
{
	const struct reading reason = {.why = why, .why_size = why_size};
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
		else if (c[0] == '%' && c[1] == 'i')
			value = identity->boot_id, what = "boot ID";
		if (value && !*value) {
			cmdline_refuse(&reason, "export \"%.80s\": this machine has no %s",
				       export_name, what);
			return -ENODATA;
		}
		if (used + (value ? strlen(value) : 1) >= sizeof(text)) {
			cmdline_refuse(&reason, "export \"%.80s...\": longer than %zu bytes",
				       export_name, sizeof(text) - 1);
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
