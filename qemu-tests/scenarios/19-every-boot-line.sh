# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash disable=SC2034,SC2154
DESCRIPTION="each family of boot lines brings up network, root and swap, or is refused by a line that says why"
ROOT=ram SWAP=0 MEM=384M

# Two servers: one with exports by name, one whose only export is the default one.
serve() {
	truncate -s 16M /root.img /swap.img
	mkdir -p /tree/sbin
	cp /bin/busybox /tree/sbin/init
	mkfs.ext4 -q -L label -d /tree /root.img
	mkswap /swap.img
	printf '[generic]\n[root]\nexportname = /root.img\n[swap]\nexportname = /swap.img\n' >/server.conf
	nbd-server -C /server.conf
	nbd-server 10810 /root.img
	ln -s nbd-client /sbin/udhcpc-event
}

# The client in an initramfs whose kernel has this command line. What it says is in /said.
boot_by() { # LINE STAGE
	echo "$1" >/line
	mount --bind /line /proc/cmdline
	status=0
	timeout 60 nbd-client -boot "$2" 2>/said || status=$?
	umount /proc/cmdline
	cat /said
}

unmount() { # FOLDER...
	for folder; do
		! grep -q " $folder " /proc/mounts || umount "$folder"
	done
}

let_go() {
	sed 1d /proc/swaps >/swaps
	while read -r swap _; do
		swapoff "$swap"
	done </swaps
	unmount /mnt /run/nbd-client/overlay/upper /run/nbd-client/overlay/image
	for device in /sys/block/nbd*/pid; do
		[ ! -e "$device" ] || nbd-client -d "/dev/$(basename "$(dirname "$device")")"
	done
}

is_root() { # DEVICE TYPE OPTIONS
	grep -qE "^/dev/$1 /mnt $2 $3" /proc/mounts
}

is_below_overlay() {
	grep -q '^nbdoverlay /mnt overlay rw' /proc/mounts &&
		grep -q '^/dev/nbd0 /run/nbd-client/overlay/image ext4 ro' /proc/mounts
}

has_address() { # ADDRESS/PREFIX
	ip -4 address show dev eth0 | grep -q "inet $1 "
}

boots() { # LINE CHECK...
	line=$1
	shift
	boot_by "$line" /mnt
	[ "$status" = 0 ] || fail "$line: $status: $(tail -n 1 /said)"
	[ -x /mnt/sbin/init ] || fail "$line: nothing at /mnt"
	"$@" || fail "$line: not so: $*"
	let_go
}

refuses() { # LINE TEXT
	boot_by "$1" claim
	[ "$status" = 100 ] || fail "$1: $status, not refused"
	grep -qF -- "$2" /said || fail "$1: says $(cat /said)"
}

has_vlan() { # NAME NUMBER CARD ADDRESS
	grep -qE "^$1 +\| $2 +\| $3" /proc/net/vlan/config && ip -4 address show dev "$1" | grep -q "inet $4 "
}

# The bond has its address of a DHCP server, which answers through its card.
has_bond() { # NAME CARD MODE
	grep -q "$2" "/sys/class/net/$1/bonding/slaves" &&
		grep -q "$3" "/sys/class/net/$1/bonding/mode" &&
		ip -4 address show dev "$1" | grep -q 'inet 10.0.2.15/24 '
}

without_address() {
	ip address flush dev eth0
	ip link set eth0 down
}

guest() {
	driver virtio_net nbd overlay ext4 8021q
	modprobe bonding max_bonds=0
	ip link set lo up
	serve

	# ours
	boots 'root=nbd://127.0.0.1/root' is_root nbd0 ext4 ro
	has_address 10.0.2.15/24
	boots 'root=nbd://127.0.0.1:10809/root rw nbdswap=nbd://127.0.0.1/swap' expect_swap /dev/nb1
	boots 'root=nbd://127.0.0.9,127.0.0.1/root rw rootflags=noatime' is_root nbd0 ext4 'rw,noatime'
	boots 'root=nbd://127.0.0.1/root nbdoverlay=tmpfs,size=50%' is_below_overlay
	boots 'netroot=nbd://127.0.0.1/root root=/dev/nb3' is_root nbd3 ext4 ro
	# dracut
	boots 'root=nbd:127.0.0.1:root' is_root nbd0 ext4 ro
	boots 'root=nbd:127.0.0.1:root:ext4:noatime' is_root nbd0 ext4 'ro,noatime'
	boots 'root=nbd:127.0.0.1:10810' is_root nbd0 ext4 ro
	boots 'netroot=nbd:127.0.0.1:root root=/dev/nbd0 rw' is_root nbd0 ext4 rw
	boots 'root=nbd:127.0.0.1:root rd.overlay' is_below_overlay
	# Debian
	boots 'nbdroot=127.0.0.1,root,nbd2' is_root nbd2 ext4 ro
	boots 'nbdroot=127.0.0.1,root root=/dev/nbd0' is_root nbd0 ext4 ro
	boots 'nbdroot=127.0.0.1/root nbddev=/dev/nbd1' is_root nbd1 ext4 ro
	boots 'nbdroot=127.0.0.1:10809/root root=/dev/nbd0' is_root nbd0 ext4 ro
	boots 'nbdroot=127.0.0.1:root root=/dev/nbd0' is_root nbd0 ext4 ro
	# Arch, archiso, Alpine
	boots 'nbd_host=127.0.0.1 nbd_name=root' is_root nbd0 ext4 ro
	boots 'nbd_host=127.0.0.1 nbd_name=root nbd_port=10809 rw' is_root nbd0 ext4 rw
	boots 'archiso_nbd_srv=127.0.0.1 archiso_nbd_name=root' is_root nbd0 ext4 ro
	boots 'nbd=127.0.0.1:10810 overlaytmpfs=yes' is_below_overlay
	# kiwi, LibreELEC, OpenELEC
	boots 'root=overlay:nbd=127.0.0.1:root' is_below_overlay
	boots 'NBDROOT="127.0.0.1;root;/dev/nbd0;swap;/dev/nbd1"' expect_swap /dev/nb1
	boots 'boot=NBD=127.0.0.1:10810' is_root nbd0 ext4 ro
	boots 'boot=NBD=127.0.0.1:10809:root' is_root nbd0 ext4 ro
	boots 'netboot nbdroot=127.0.0.1:10810' is_root nbd0 ext4 ro
	boots 'netboot nbdserver=127.0.0.1 nbdport=10810' is_root nbd0 ext4 ro

	# addresses
	without_address
	boots 'root=nbd://127.0.0.1/root ip=10.0.2.77::10.0.2.2:255.255.255.0:name:eth0:none' has_address 10.0.2.77/24
	[ "$(hostname)" = name ]
	without_address
	boots 'root=nbd://127.0.0.1/root ip=10.0.2.78::10.0.2.2:255.255.255.0::eth0:none:1400' has_address 10.0.2.78/24
	[ "$(cat /sys/class/net/eth0/mtu)" = 1400 ]
	without_address
	boots 'root=nbd://127.0.0.1/root ip=eth0:dhcp' has_address 10.0.2.15/24
	without_address
	boots 'root=nbd://127.0.0.1/root ip=::::pc7:eth0:dhcp nameserver=10.0.2.9' has_address 10.0.2.15/24
	[ "$(hostname)" = pc7 ]
	grep -qx 'nameserver 10.0.2.9' /run/nbd-client/resolv.conf
	without_address
	boots 'root=nbd://127.0.0.1/root BOOTIF=01-52-54-00-12-34-56' has_address 10.0.2.15/24

	# cards of one name, and networks of one card
	without_address
	boots 'root=nbd://127.0.0.1/root vlan=vlan5:eth0 ip=10.9.0.2:::24::vlan5:none' has_vlan vlan5 5 eth0 10.9.0.2/24
	boots 'root=nbd://127.0.0.1/root vlan=eth0.0007:eth0 ip=10.9.1.2:::24::eth0.0007:none' has_vlan eth0.0007 7 eth0 10.9.1.2/24
	ip link delete vlan5
	ip link delete eth0.0007
	without_address
	boots 'root=nbd://127.0.0.1/root bond=bond0:eth0:mode=active-backup,miimon=100' has_bond bond0 eth0 active-backup
	boots 'root=nbd://127.0.0.1/root bond=bond0:eth0 vlan=bond0.9:bond0 ip=10.9.2.2:::24::bond0.9:none' has_vlan bond0.9 9 bond0 10.9.2.2/24

	# refused
	refuses 'root=dhcp6 nbdswap=nbd://[fec0::2]/swap' 'root=dhcp6: only DHCP for IPv4'
	refuses 'root=nbd://[fec0::2]/root ip=eth0:dhcp6' 'write ip=auto6'
	refuses 'root=nbd://[fec0::2]/root ip=[fec0::15]::[fec0::2]:64::eth0:none' 'write ip=auto6'
	refuses 'root=nbd:127.0.0.1' 'wants nbd:SERVER:EXPORT'
	refuses 'root=nbd://127.0.0.1/root nbdswp=nbd://127.0.0.1/swap' 'nbdswp: unknown'
	refuses 'root=nbd://127.0.0.1/root vlan=left:eth0' 'must end in the number of the VLAN'
	refuses 'root=nbd://127.0.0.1/root bond=bond0' 'wants NAME:CARD,CARD'
	refuses 'root=nbd://127.0.0.1/root bridge=br0:eth0' 'bridge=br0:eth0: '
	refuses 'root=nbd://127.0.0.1/root copytoram' 'copytoram'
	refuses 'nbdroot=127.0.0.1,2000 root=/dev/nbd0' '2000'
	refuses 'boot=NBD=127.0.0.1:10810 disk=NBD=127.0.0.1:10811' 'disk='
	refuses 'root=nbd://127.0.0.1/root netboot nbdroot=127.0.0.1:10810' 'nbdroot='
}
