# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash disable=SC2034
. qemu-tests/scenarios/48-swap-never-stops.sh
scenario=48-swap-never-stops
DESCRIPTION="with a card of type rtl8139, one CPU and 64 MiB eight processes of 1.5 times the memory never stop"
NIC=rtl8139 MEM=64M SMP=1
APPEND='nbdopts=reserve=keep fills=3 hogs=8 hog=12M loss=1 outages=0 seed=1'
KERNELS="6.12 6.1"
