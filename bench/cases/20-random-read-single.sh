# SPDX-License-Identifier: GPL-2.0-or-later
DESCRIPTION="random read, 4 KiB, one in flight: latency"
KIND=fio RW=randread BS=4k IODEPTH=1
