// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Who holds an exclusive export, beyond the end of the server: a machine that swaps to it
 * runs on while the server is started again, and must find its data as it left it. Kept
 * in an extended attribute of the file, which goes where the file goes. What has no such
 * attributes, as a device, is free for the first who comes.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/xattr.h>

#include "common/log.h"
#include "server/export.h"

#define HOLD_ATTRIBUTE "user.swapsafe.hold"

enum { HOLD_TEXT_BYTES = 32 + PEER_BYTES + IDENTITY_MAX_BYTES };

static bool is_kept(const struct export *export)
{
	return export->set.exclusive == EXCLUSIVE_ON && export->fd >= 0 && !export->section &&
	       !export->set.per_client;
}

/* SECONDS TAB HOST TAB IDENTITY */
static int parse(char *text, struct export_hold *ret)
{
	char *host = strchr(text, '\t'), *identity = host ? strchr(host + 1, '\t') : NULL, *end;
	long long since_s = strtoll(text, &end, 10);

	if (!identity || end != host || end == text || since_s < 0)
		return -EINVAL;
	*host++ = '\0';
	*identity++ = '\0';
	if (!*host || strlen(host) >= sizeof(ret->host) ||
	    (*identity && !export_is_identity(identity, strlen(identity))))
		return -EINVAL;
	*ret = (struct export_hold){.is_held = true, .since_s = since_s, .lost_s = time(NULL)};
	memcpy(ret->host, host, strlen(host));
	memcpy(ret->identity, identity, strlen(identity));
	return 0;
}

void hold_load(struct export *export)
{
	char text[HOLD_TEXT_BYTES + 1];
	ssize_t length;

	if (!is_kept(export))
		return;
	length = fgetxattr(export->fd, HOLD_ATTRIBUTE, text, HOLD_TEXT_BYTES);
	if (length < 0 && errno != ERANGE)
		return;
	text[length > 0 ? length : 0] = '\0';
	if (parse(text, &export->hold) < 0)
		log_line("export \"%s\": %s: the attribute %s makes no sense: nobody holds it",
			 export->set.name, export->set.path, HOLD_ATTRIBUTE);
}

void hold_save(struct export *export)
{
	const struct export_hold *hold = &export->hold;
	char text[HOLD_TEXT_BYTES];
	int length;

	if (!is_kept(export))
		return;
	length = snprintf(text, sizeof(text), "%lld\t%s\t%s", (long long)hold->since_s, hold->host,
			  hold->identity);
	if (fsetxattr(export->fd, HOLD_ATTRIBUTE, text, (size_t)length, 0) == 0 ||
	    export->cannot_save_hold)
		return;
	export->cannot_save_hold = true;
	log_line("export \"%s\": %s: who holds it is forgotten when the server ends: %s",
		 export->set.name, export->set.path, strerror(errno));
}

void hold_forget(struct export *export)
{
	if (is_kept(export) && !export->cannot_save_hold)
		fremovexattr(export->fd, HOLD_ATTRIBUTE);
}
