# SPDX-License-Identifier: GPL-2.0-or-later
DESCRIPTION="past the page cache: sequential write, 1 MiB requests, 8 in flight"
KIND=fio RW=write BS=1M IODEPTH=8 STORE=direct
