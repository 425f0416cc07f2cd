# SPDX-License-Identifier: GPL-2.0-or-later
DESCRIPTION="past the page cache: random write, 4 KiB, 32 in flight"
KIND=fio RW=randwrite BS=4k IODEPTH=32 STORE=direct
