# SPDX-License-Identifier: GPL-2.0-only
# The Debian package, and the point release that patches/6.1 was made for.
KERNEL_PACKAGE_6.1 := linux-source-6.1
KERNEL_PIN_6.1     := 6.1.192
