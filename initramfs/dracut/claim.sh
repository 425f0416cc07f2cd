#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck disable=SC2154,SC2034 # dracut sets them, or reads them
#
# Hook cmdline, sourced: is the boot line for us? Leaves rootok, and a hook without which
# the queue does not end. Of root= only what dracut is to mount itself remains for it.

why=$(nbd-client -boot claim 2>&1)
case $? in
0)
	rootok=1
	: "${root:=nbd}"
	echo '[ -e /run/nbd-client/boot-done ]' >"$hookdir/initqueue/finished/nbd.sh"
	;;
1) ;; # another module's, or a disk's
*) die "$why" ;;
esac
unset why
