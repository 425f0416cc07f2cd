# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash disable=SC2034
# The control of 33-swap-with-64-free-pages: what this shows of Debian's kernel is what the patches mend.
. qemu-tests/scenarios/33-swap-with-64-free-pages.sh
scenario=33-swap-with-64-free-pages
DESCRIPTION="a stock kernel in which 64 pages are free stops swapping out"
KERNELS=debian
EXPECT='host: only * pages were written in 20 s with 64 free pages'
