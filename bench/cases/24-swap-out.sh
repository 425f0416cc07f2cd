# SPDX-License-Identifier: GPL-2.0-or-later
DESCRIPTION="random write, 128 KiB, 16 in flight: what swap-out looks like"
KIND=fio RW=randwrite BS=128k IODEPTH=16
