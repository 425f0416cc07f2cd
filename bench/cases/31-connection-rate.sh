# SPDX-License-Identifier: GPL-2.0-or-later
DESCRIPTION="connect, GO, DISC, one after the other"
KIND=rate
