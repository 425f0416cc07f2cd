# SPDX-License-Identifier: GPL-2.0-only
# The Debian package, and the point release that patches/6.12 was made for.
KERNEL_PACKAGE_6.12 := linux-source-6.12
KERNEL_PIN_6.12     := 6.12.117
