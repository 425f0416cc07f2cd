# SPDX-License-Identifier: GPL-2.0-or-later
DESCRIPTION="past the page cache: random read, 4 KiB, 4 connections with 32 in flight"
KIND=fio RW=randread BS=4k IODEPTH=32 NUMJOBS=4 STORE=direct
