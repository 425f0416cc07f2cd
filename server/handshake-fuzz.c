// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * libFuzzer target for the handshake: the first byte says who may list, what a claim is
 * answered with, and in how small pieces the rest arrives. `make fuzz-server` builds and
 * runs it.
 */
#include <stdlib.h>
#include <string.h>

#include "common/nbd-proto.h"
#include "server/negotiate.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct export_table table;

static void add(const char *name, const char *description, bool any_identity)
{
	struct export *export = calloc(1, sizeof(*export));

	if (!export || export_settings_init(&export->set, name, "/dev/null") < 0)
		abort();
	export->set.description = description ? strdup(description) : NULL;
	export->any_identity = any_identity;
	export->size_bytes = 1 << 20;
	export->flags = NBD_FLAG_HAS_FLAGS;
	memcpy(export->generation, "5f-1-2", sizeof("5f-1-2"));
	if (export_table_add(&table, export) < 0)
		abort();
}

static void open_table(void)
{
	char longest[DESCRIPTION_MAX_BYTES + 1] = {0};

	memset(longest, 'd', DESCRIPTION_MAX_BYTES);
	add("", NULL, false);
	add("disk", longest, false);
	add("swap/*", "of each machine", true);
}

/* What connection.c and claim.c would do. -errno: the connection ends. */
static int answer(struct negotiation *n, uint8_t how)
{
	if (n->out_have > sizeof(n->out) || n->in_have > sizeof(n->in))
		abort();
	if (n->out_have) {
		negotiate_sent(n);
		return 0;
	}
	if (n->state != NEGOTIATE_CLAIM)
		return n->state < NEGOTIATE_CLAIM ? 0 : -1;
	if (!n->export)
		abort();
	if (how & 2)
		return negotiate_refuse(n, NBD_REP_ERR_POLICY, "in use by somebody since a while");
	negotiate_grant(n);
	return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct negotiation n;
	size_t at = 1, piece;
	int r = 0;

	if (!table.count)
		open_table();
	if (!size)
		return 0;
	table.allow_list = data[0] & 1;
	piece = data[0] & 4 ? 7 : data[0] & 8 ? 1000 : size;
	negotiate_start(&n, &table, "10.0.0.7:4321");
	while (r >= 0) {
		size_t length = size - at < piece ? size - at : piece;
		ssize_t taken = negotiate_feed(&n, data + at, length);

		if (taken < 0)
			return 0;
		at += (size_t)taken;
		if (!taken && !n.out_have && n.state != NEGOTIATE_CLAIM)
			return 0; /* nothing is left that it would take */
		r = answer(&n, data[0]);
	}
	return 0;
}
