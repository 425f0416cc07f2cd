#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# Usage: ipxe-script.sh URL
#
# The script of iPXE on a medium of its own: an address by DHCP, then what is at URL, in which iPXE
# replaces ${...}.  It tries again for ever, and says what failed.
set -eu

case ${1-} in
*://?*) ;;
*)
	echo "ipxe-script: ${1:-no URL}: not a URL such as tftp://10.0.0.1/swapsafe.ipxe" >&2
	exit 1
	;;
esac
cat <<END_OF_SCRIPT
#!ipxe
:again
echo swapsafe: asking for an address
dhcp || goto no_address
echo swapsafe: loading $1
chain $1 || goto not_loaded
:no_address
echo swapsafe: no DHCP answer: is the cable in? Trying again in 5 s
goto wait
:not_loaded
echo swapsafe: $1: not loaded. Trying again in 5 s
:wait
sleep 5
goto again
END_OF_SCRIPT
