# SPDX-License-Identifier: GPL-2.0-or-later
DESCRIPTION="past the page cache: random read, 4 KiB, one in flight"
KIND=fio RW=randread BS=4k IODEPTH=1 STORE=direct
