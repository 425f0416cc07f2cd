# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash disable=SC2034
DESCRIPTION="/init sets address and host name of ip= when the kernel does not"
# the export is found by its name, which is the host name
BOOTLINE='root=nbd://10.0.2.2:PORT/%h rw ip=10.0.2.99::10.0.2.2:255.255.255.0:root:eth0:off:10.0.2.3'
SWAP=0

guest() {
	expect_root nbd0
	ip -4 addr show dev eth0 | grep -q 'inet 10.0.2.99/24 brd 10.0.2.255 '
	ip -4 addr show dev lo | grep -q 'inet 127.0.0.1/8 '
	ip route | grep -q '^default via 10.0.2.2 dev eth0'
}
