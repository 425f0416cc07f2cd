# SPDX-License-Identifier: GPL-2.0-or-later
DESCRIPTION="sequential write, 1 MiB requests, 4 connections with 8 in flight"
KIND=fio RW=write BS=1M IODEPTH=8 NUMJOBS=4
