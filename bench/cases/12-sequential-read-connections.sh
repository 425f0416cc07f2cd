# SPDX-License-Identifier: GPL-2.0-or-later
DESCRIPTION="sequential read, 1 MiB requests, 4 connections with 8 in flight"
KIND=fio RW=read BS=1M IODEPTH=8 NUMJOBS=4
