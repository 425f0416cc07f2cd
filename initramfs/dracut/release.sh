#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Hook shutdown, run in the initramfs when the old root is unmounted: flush and detach.
# Fails while a device is in use; dracut then calls it again.

nbd-client -boot release
