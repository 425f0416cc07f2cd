/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the two halves of the boot line's parser share while it reads:
 * cmdline.c has the words and their table, root-forms.c what other kits write
 * to name a root.
 */
#ifndef CLIENT_STATIC_CMDLINE_H
#define CLIENT_STATIC_CMDLINE_H

#include "client-static/boot.h"

/* A part of the value that is being read; not terminated. */
struct form_field {
	const char *at;
	size_t length;
};

/* A line while it is read. Texts point into the line. */
struct reading {
	struct boot_line *line;
	char *why;
	size_t why_size;

	const char *root_name, *root_value; /* the word that named the root; NULL: none yet */
	const char *host_port; /* nbdroot=HOST:DIGITS, which two kits read differently */
	const char *arch_host, *arch_name, *arch_port;
	const char *archiso_host, *archiso_name;
	const char *openelec_host, *openelec_port;
	bool netboot; /* OpenELEC's */

	bool has_form_rw, form_rw;
	struct form_field form_fstype;
	char form_flags[256];

	const char *card_name; /* of ifname= */
	const char *boot_device;
	struct in_addr dns[2]; /* of nameserver= */
	int dns_count;
};

/* Writes the reason, one line without newline, and returns -EINVAL. */
int cmdline_refuse(const struct reading *r, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

/* root-forms.c: each reads the value of one word; 0, or -EINVAL by cmdline_refuse(). */
int root_form_uri(struct reading *r, const char *name, const char *value);
int root_form_device(struct reading *r, const char *name, const char *value);
int root_form_dracut(struct reading *r, const char *name, const char *value);
int root_form_debian(struct reading *r, const char *name, const char *value);
int root_form_alpine(struct reading *r, const char *name, const char *value);
int root_form_ltsp(struct reading *r, const char *name, const char *value);
int root_form_kiwi(struct reading *r, const char *name, const char *value);
int root_form_kiwi_overlay(struct reading *r, const char *name, const char *value);
int root_form_libreelec(struct reading *r, const char *name, const char *value);

/* The root is what DHCP says, read as that kit does: source is one of ROOT_BY_DHCP*. */
int root_form_dhcp(struct reading *r, const char *name, const char *value, enum root_source source);

/* Puts together what several words said; after the last word. */
int root_forms_finish(struct reading *r);

#endif
