#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck disable=SC2154 # dracut sets them
#
# Hook initqueue/settled, sourced when udev has loaded the drivers of the cards: returns
# with swap on and the root at $NEWROOT, or with the device attached that holds it.

if [ -e "$hookdir/initqueue/finished/nbd.sh" ] && [ ! -e /run/nbd-client/boot-done ]; then
	modprobe -q nbd
	! getarg bond= >/dev/null || modprobe -q bonding max_bonds=0
	if nbd-client -boot "$NEWROOT"; then
		: >/run/nbd-client/boot-done
	fi
fi
