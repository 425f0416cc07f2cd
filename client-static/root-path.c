/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What DHCP says of the root completes a boot line that leaves it to DHCP:
 * option 17, root-path, in the forms of each kit (root-forms.c), and the server
 * to boot from.
 */
#include "client-static/cmdline.h"

#include <arpa/inet.h>
#include <string.h>

static bool is_address(const char *text)
{
	unsigned char address[sizeof(struct in6_addr)];

	return inet_pton(AF_INET, text, address) == 1 || inet_pton(AF_INET6, text, address) == 1;
}

/* What option 17 says when it has to say all. */
static int parse_root_path(struct reading *r, const char *value, bool as_debian)
{
	static const char *const others[] = {"iscsi:", "aoe:", "nfs:", "nfs4:", "fcoe:", "http:"};
	static const char name[] = "root-path";
	const char *slash = strstr(value, ":/");

	for (size_t i = 0; i < sizeof(others) / sizeof(*others); i++)
		if (strncmp(value, others[i], strlen(others[i])) == 0)
			return cmdline_refuse(r,
					      "%s=%.80s: is not NBD; let DHCP give "
					      "nbd://SERVER/EXPORT",
					      name, value);
	if (strncmp(value, "nbdroot=", strlen("nbdroot=")) == 0)
		value += strlen("nbdroot=");
	if (!*value || strcmp(value, "dhcp") == 0)
		return cmdline_refuse(r, "DHCP gave no root-path (option 17); let it give "
					 "nbd://SERVER/EXPORT, or name it in root=");
	if (strncmp(value, "nbd://", strlen("nbd://")) == 0)
		return root_form_uri(r, name, value);
	if (strncmp(value, "nbd:", strlen("nbd:")) == 0)
		return root_form_dracut(r, name, value);
	if (slash && !as_debian && !strchr(value, ','))
		return cmdline_refuse(r,
				      "%s=%.80s: is NFS (dracut) or export \"%.40s\" (Debian); let "
				      "DHCP give nbd://%.*s/%.40s",
				      name, value, slash + 1, (int)(slash - value), value,
				      slash + 1);
	if (!strpbrk(value, ",:/") && !is_address(value))
		return root_form_ltsp(r, name, value);
	return root_form_debian(r, name, value);
}

int cmdline_root_path(struct boot_line *line, const char *root_path, const char *next_server,
		      char *why, size_t why_size)
{
	struct reading r = {.line = line, .why = why, .why_size = why_size};
	enum root_source source = line->root_source;
	int err = 0;

	if (source == ROOT_BY_DHCP || source == ROOT_BY_DHCP_AS_DEBIAN) {
		err = parse_root_path(&r, root_path, source == ROOT_BY_DHCP_AS_DEBIAN);
		if (!err)
			err = root_forms_finish(&r);
	} else if (source == ROOT_HOST_BY_DHCP && is_address(root_path)) {
		next_server = root_path;
	}
	if (err || line->root_source != ROOT_HOST_BY_DHCP)
		return err;
	if (!*next_server || strlen(next_server) >= sizeof(line->root.host))
		return cmdline_refuse(&r, "DHCP gave no server (next-server); name it in root=");
	strcpy(line->root.host, next_server);
	line->root_source = ROOT_ON_LINE;
	return 0;
}
