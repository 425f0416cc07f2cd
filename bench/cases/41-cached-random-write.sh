# SPDX-License-Identifier: GPL-2.0-or-later
DESCRIPTION="page cache of a disk: random write, 4 KiB, 32 in flight"
KIND=fio RW=randwrite BS=4k IODEPTH=32 STORE=cached
