# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash disable=SC2034
. qemu-tests/scenarios/48-swap-never-stops.sh
scenario=48-swap-never-stops
DESCRIPTION="with a card of type e1000 and 64 MiB eight processes of 1.5 times the memory never stop"
NIC=e1000 MEM=64M
APPEND='nbdopts=reserve=keep fills=3 hogs=8 hog=12M loss=1 outages=0 seed=1'
KERNELS="6.12 6.1"
