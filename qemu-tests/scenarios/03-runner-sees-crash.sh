# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=sh disable=SC2034
DESCRIPTION="a kernel that dies ends the scenario at once as a FAIL of the kernel"
ROOT=ram SWAP=0
EXPECT='kernel: Kernel panic - not syncing: sysrq triggered crash'

guest() {
	echo c >/proc/sysrq-trigger
}
