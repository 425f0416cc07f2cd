/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Boot stage 3, before an address is set: what lies between the cards and the
 * interface that gets it. bond= joins cards and vlan= is a network on one of
 * them, or on the bond, in the words of dracut.cmdline(7). By the files that
 * Documentation/networking/bonding.rst describes, and the ioctls of
 * <linux/if_vlan.h>.
 */
#include "client-static/boot.h"
#include "common/log.h"

#include <ctype.h>
#include <errno.h>
#include <linux/if_vlan.h>
#include <linux/sockios.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

enum { VLAN_ID_MAX = 4094 };

static int refuse(char *why, size_t why_size, const char *wants)
{
	snprintf(why, why_size, "%s", wants);
	return -EINVAL;
}

/* As the kernel takes a name (dev_valid_name()); it becomes part of a path. */
static int copy_name(const char *text, size_t length, char ret[IFNAMSIZ])
{
	if (length == 0 || length >= IFNAMSIZ || *text == '.')
		return -EINVAL;
	for (size_t i = 0; i < length; i++)
		if (!isalnum((unsigned char)text[i]) && !strchr("._-", text[i]))
			return -EINVAL;
	memcpy(ret, text, length);
	ret[length] = '\0';
	return 0;
}

int links_parse_vlan(const char *value, struct vlan_link *ret, char *why, size_t why_size)
{
	const char *parent = strchr(value, ':'), *digits;
	size_t length = parent ? (size_t)(parent - value) : 0;
	long id;

	if (!parent || copy_name(value, length, ret->name) < 0 ||
	    copy_name(parent + 1, strlen(parent + 1), ret->parent) < 0)
		return refuse(why, why_size, "wants NAME:CARD, as eth0.5:eth0 or vlan5:eth0");
	for (digits = ret->name + length; digits > ret->name && isdigit((unsigned char)digits[-1]);)
		digits--;
	id = strtol(digits, NULL, 10);
	if (id < 1 || id > VLAN_ID_MAX)
		return refuse(why, why_size,
			      "the name must end in the number of the VLAN, 1 to 4094, as eth0.5");
	ret->id = (int)id;
	return 0;
}

static int parse_cards(char *cards, struct bond_link *ret)
{
	char *card;

	while ((card = strsep(&cards, ","))) {
		if (ret->card_count == BOND_CARDS_MAX ||
		    copy_name(card, strlen(card), ret->cards[ret->card_count]) < 0)
			return -EINVAL;
		ret->card_count++;
	}
	return 0;
}

/* KEY=VALUE,... of which each key becomes the name of a file. */
static bool are_options(const char *text)
{
	while (*text) {
		size_t length = strspn(text, "abcdefghijklmnopqrstuvwxyz_");

		if (!length || text[length] != '=')
			return false;
		text += strcspn(text, ",");
		text += *text == ',';
	}
	return true;
}

int links_parse_bond(const char *value, struct bond_link *ret, char *why, size_t why_size)
{
	static const char form[] = "wants NAME:CARD,CARD[:OPTION=VALUE,...], as "
				   "bond0:eth0,eth1:mode=802.3ad,miimon=100; of at most 4 cards";
	char text[256], *rest = text, *name, *cards, *options;

	if (strlen(value) >= sizeof(text))
		return refuse(why, why_size, form);
	strcpy(text, value);
	name = strsep(&rest, ":");
	cards = strsep(&rest, ":");
	options = strsep(&rest, ":");
	*ret = (struct bond_link){0};
	if (copy_name(name, strlen(name), ret->name) < 0 || !cards || parse_cards(cards, ret) < 0)
		return refuse(why, why_size, form);
	if (options && (!are_options(options) || strlen(options) >= sizeof(ret->options)))
		return refuse(why, why_size, form);
	if (rest && *rest)
		return refuse(why, why_size, "the MTU of a bond is set by ip=; leave it out");
	strcpy(ret->options, options ? options : "");
	return 0;
}

const char *links_top(const struct boot_line *line)
{
	return *line->vlan.name ? line->vlan.name : line->bond.name;
}

static bool is_there(const char *interface, const char *file)
{
	char path[64];

	snprintf(path, sizeof(path), "/sys/class/net/%.15s/%s", interface, file);
	return access(path, F_OK) == 0;
}

/* The mode has to be set before the others, which may belong to it alone. */
static int set_options(const struct bond_link *bond, bool mode_is_meant)
{
	char text[sizeof(bond->options)], *rest = text, *option, path[96];

	strcpy(text, bond->options);
	while ((option = strsep(&rest, ","))) {
		char *value = strchr(option, '=');
		int r;

		if (!value)
			continue;
		*value++ = '\0';
		if ((strcmp(option, "mode") == 0) != mode_is_meant)
			continue;
		snprintf(path, sizeof(path), "/sys/class/net/%s/bonding/%.40s", bond->name, option);
		r = system_write(path, value);
		if (r < 0) {
			log_line("bond=%s: %s=%s: %s", bond->name, option, value, strerror(-r));
			return EXIT_PERMANENT;
		}
	}
	return 0;
}

static int add_cards(const struct bond_link *bond)
{
	char path[64], text[IFNAMSIZ + 1];
	int joined = 0, r;

	snprintf(path, sizeof(path), "/sys/class/net/%s/bonding/slaves", bond->name);
	for (int i = 0; i < bond->card_count; i++) {
		const char *card = bond->cards[i];

		snprintf(text, sizeof(text), "+%s", card);
		r = is_there(card, "master") ? 0 : system_write(path, text);
		if (r < 0)
			log_line("bond=%s: %s: %s", bond->name, card,
				 r == -ENODEV ? "no such card" : strerror(-r));
		else
			joined++;
	}
	return joined ? 0 : EXIT_TEMPORARY;
}

static int make_bond(const struct bond_link *bond)
{
	char text[IFNAMSIZ + 1];
	int r = 0;

	if (!is_there(bond->name, "bonding")) {
		snprintf(text, sizeof(text), "+%s", bond->name);
		r = system_write("/sys/class/net/bonding_masters", text);
	}
	if (r < 0) {
		log_line("bond=%s: %s%s", bond->name, strerror(-r),
			 r == -ENOENT ? " (this kernel or image has no bonding)" : "");
		return EXIT_PERMANENT;
	}
	if (!is_there(bond->cards[0], "master"))
		r = set_options(bond, true);
	if (r == 0 && !is_there(bond->cards[0], "master"))
		r = set_options(bond, false);
	if (r == 0)
		r = add_cards(bond);
	if (r == 0 && address_link_up(bond->name) < 0)
		r = EXIT_TEMPORARY;
	return r;
}

static int add_vlan(const struct vlan_link *vlan)
{
	struct vlan_ioctl_args naming = {.cmd = SET_VLAN_NAME_TYPE_CMD,
					 .u.name_type = VLAN_NAME_TYPE_PLUS_VID_NO_PAD};
	struct vlan_ioctl_args adding = {.cmd = ADD_VLAN_CMD, .u.VID = vlan->id};
	struct ifreq renaming = {0};
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0), r = 0;

	if (fd < 0)
		return -errno;
	strcpy(adding.device1, vlan->parent);
	snprintf(renaming.ifr_name, sizeof(renaming.ifr_name), "vlan%d", vlan->id);
	strcpy(renaming.ifr_newname, vlan->name);
	if (ioctl(fd, SIOCSIFVLAN, &naming) < 0 || ioctl(fd, SIOCSIFVLAN, &adding) < 0)
		r = -errno;
	else if (strcmp(renaming.ifr_name, vlan->name) != 0 &&
		 ioctl(fd, SIOCSIFNAME, &renaming) < 0)
		r = -errno;
	close(fd);
	return r;
}

static int make_vlan(const struct vlan_link *vlan)
{
	int r = address_link_up(vlan->parent);

	if (r == 0 && !is_there(vlan->name, ""))
		r = add_vlan(vlan);
	if (r == 0)
		return 0;
	log_line("vlan=%s:%s: %s%s", vlan->name, vlan->parent,
		 r == -ENODEV ? "no such card" : strerror(-r),
		 r == -ENOPKG ? " (this kernel or image has no 8021q)" : "");
	return r == -ENODEV ? EXIT_TEMPORARY : EXIT_PERMANENT;
}

int links_make(const struct boot_line *line)
{
	int r = *line->bond.name ? make_bond(&line->bond) : 0;

	return r == 0 && *line->vlan.name ? make_vlan(&line->vlan) : r;
}
