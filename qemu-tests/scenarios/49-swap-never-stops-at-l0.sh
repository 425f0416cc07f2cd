# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash disable=SC2034
. qemu-tests/scenarios/48-swap-never-stops.sh
scenario=48-swap-never-stops
DESCRIPTION="on a stock kernel with the reserve that the client sets, eight processes of 1.5 times the memory never stop"
MEM=256M
APPEND='nbdopts=reserve=auto fills=1 hogs=8 hog=50M loss=1 outages=0 seed=1'
KERNELS=debian
