# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash disable=SC2034
. qemu-tests/scenarios/48-swap-never-stops.sh
scenario=48-swap-never-stops
DESCRIPTION="with a card of type rtl8139 and one CPU eight processes of 1.5 times the memory never stop"
NIC=rtl8139 SMP=1
KERNELS="6.12 6.1"
