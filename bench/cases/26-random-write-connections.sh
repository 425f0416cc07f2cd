# SPDX-License-Identifier: GPL-2.0-or-later
DESCRIPTION="random write, 4 KiB, 4 connections with 32 in flight"
KIND=fio RW=randwrite BS=4k IODEPTH=32 NUMJOBS=4
