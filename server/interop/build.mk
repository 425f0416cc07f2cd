# SPDX-License-Identifier: GPL-2.0-or-later
#
# Each script runs one peer, or the wire by hand, against our server.

INTEROP_TESTS += $(filter-out server/interop/lib.sh,$(sort $(wildcard server/interop/*.sh)))
