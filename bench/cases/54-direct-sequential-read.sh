# SPDX-License-Identifier: GPL-2.0-or-later
DESCRIPTION="past the page cache: sequential read, 1 MiB requests, 8 in flight"
KIND=fio RW=read BS=1M IODEPTH=8 STORE=direct
