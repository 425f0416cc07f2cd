# SPDX-License-Identifier: GPL-2.0-or-later
DESCRIPTION="past the page cache: random write, 4 KiB, one in flight"
KIND=fio RW=randwrite BS=4k IODEPTH=1 STORE=direct
