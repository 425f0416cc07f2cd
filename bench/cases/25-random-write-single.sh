# SPDX-License-Identifier: GPL-2.0-or-later
DESCRIPTION="random write, 4 KiB, one in flight: latency"
KIND=fio RW=randwrite BS=4k IODEPTH=1
