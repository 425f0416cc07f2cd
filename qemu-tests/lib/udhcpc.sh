#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# busybox udhcpc calls this in the test root with what DHCP said in the environment.
# shellcheck disable=SC2154
[ "$1" = bound ] || exit 0
ip addr add "$ip/$mask" dev "$interface"
ip route add default via "$router"
