/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Which export may take the place of another one under an attached device. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "client-static/client.h"

enum { SIZE_BYTES = 1 << 20, FLAGS = 0x5 };

static void only_the_same_export_takes_the_place(void **state)
{
	static const struct export_info attached = {.size_bytes = SIZE_BYTES,
						    .flags = FLAGS,
						    .minimum_block_bytes = 512,
						    .maximum_block_bytes = 1 << 20,
						    .generation = "g1"};
	static const struct {
		struct export_info found;
		const char *said; /* NULL: it is the same */
	} cases[] = {
		{{SIZE_BYTES, FLAGS, 512, 1 << 20, "g1"}, NULL},
		{{SIZE_BYTES, FLAGS, 1, 0, "g1"}, NULL},
		{{SIZE_BYTES, FLAGS, 4096, 2 << 20, "g1"}, NULL},
		{{SIZE_BYTES - 1, FLAGS, 512, 1 << 20, "g1"},
		 "size in bytes was 1048576, is 1048575"},
		{{SIZE_BYTES, 0, 512, 1 << 20, "g1"}, "flags were 0x5, are 0x0"},
		{{SIZE_BYTES, FLAGS, 8192, 1 << 20, "g1"}, "wants blocks of 8192 bytes"},
		{{SIZE_BYTES, FLAGS, 512, 1 << 19, "g1"}, "was 1048576, is 524288"},
		{{SIZE_BYTES, FLAGS, 512, 1 << 20, "g2"}, "generation was \"g1\", is \"g2\""},
		{{SIZE_BYTES, FLAGS, 512, 1 << 20, ""}, "generation was \"g1\", is \"\""},
	};
	struct failure why;

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		int err = session_same_export(&attached, 4096, &cases[i].found, &why);

		assert_int_equal(err, cases[i].said ? -ESTALE : 0);
		if (err && !strstr(why.text, cases[i].said))
			fail_msg("\"%s\" does not say \"%s\"", why.text, cases[i].said);
	}
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(only_the_same_export_takes_the_place),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
