# shellcheck shell=bash disable=SC2154,SC2034,SC2054
# SPDX-License-Identifier: GPL-2.0-or-later
#
# The machine of one scenario and its server: images, nbd-server, QEMU. Enters: the variables
# of the scenario (the block of defaults in run), $kernel, $accel and the results folder $dir.
# Every command that makes the machine is also written to $dir/qemu.cmd, which makes it again.

vm_pid='' server_pid='' port='' server_port=''

# Runs a command and leaves it in qemu.cmd.
recorded() { # COMMAND...
	printf '%q ' "$@" >>"$dir/qemu.cmd"
	echo >>"$dir/qemu.cmd"
	"$@"
}

record_start() {
	cat >"$dir/qemu.cmd" <<-END
		#!/bin/bash
		# The machine of $name again, console on the terminal: Ctrl-C ends it.
		set -e
		cd $(printf %q "$PWD")
	END
	chmod +x "$dir/qemu.cmd"
}

# Every run has copies of its own: two machines never write to the same export.
vm_images() {
	if [ "$ROOT" != ram ]; then
		recorded cp --reflink=auto --sparse=always "$build/roots/$ROOT.ext4" \
			"$dir/root.img" || return
	fi
	if [ "$SWAP" != 0 ]; then
		recorded rm -f "$dir/swap.img" &&
			recorded install -m 600 /dev/null "$dir/swap.img" &&
			recorded truncate -s "$SWAP" "$dir/swap.img" &&
			recorded mkswap -q "$dir/swap.img"
	fi
}

server_config() { # PORT
	printf '[generic]\nlistenaddr = 127.0.0.1\nport = %s\n' "$1"
	[ "$ROOT" = ram ] || printf '[root]\nexportname = %s\n' "$(realpath "$dir")/root.img"
	[ "$SWAP" = 0 ] || printf '[swap]\nexportname = %s\n' "$(realpath "$dir")/swap.img"
}

# Runs nbd-server until this shell ends, and waits for its ready line. Leaves server_pid, port.
server_run() { # ARGUMENT...
	local offset
	touch "$dir/server.log"
	offset=$(stat -c %s "$dir/server.log")
	setpriv --pdeathsig KILL "$build/nbd-server" -n "$@" 2>>"$dir/server.log" </dev/null &
	server_pid=$!
	disown # else the shell tells of each that is killed
	port=$(timeout "$((10 * scale))" \
		tail -c "+$((offset + 1))" -s 0.1 --pid="$server_pid" -f "$dir/server.log" |
		sed -nE '/: ready: listening on /{s/.*:([0-9]+)$/\1/p;q}')
	[ -n "$port" ]
}

# The first start takes a free port; later ones take the same, and so does qemu.cmd. A wire() between
# the machine and the server leaves its own port in port, and the server's in server_port.
server_start() {
	server_config "${server_port:-${port:-0}}" >"$dir/server.conf"
	server_run -C "$dir/server.conf" ||
		host_failed "server: not ready: $(tail -n 1 "$dir/server.log")"
	server_config "$port" >"$dir/server.conf"
	! has wire || wire
}

server_stop() { # [SIGNAL]
	local pid=$server_pid
	server_pid=''
	kill -s "${1:-TERM}" "$pid"
	timeout "$((10 * scale))" tail -s 0.1 --pid="$pid" -f /dev/null ||
		host_failed "server: still there after SIG${1:-TERM}"
}

vm_kernel() {
	case $kernel in
	debian | l1) echo "$build/kernel/debian/vmlinuz" ;;
	*) echo "$build/kernel/$kernel/bzImage" ;;
	esac
}

vm_initrd() {
	case $ROOT@$kernel in
	ram@l1) echo "$build/roots/test-l1.cpio.gz" ;;
	ram@*) echo "$build/roots/test.cpio.gz" ;;
	*@debian | *@l1) echo "$build/initramfs/$INITRD-$kernel.cpio.gz" ;;
	*) echo "$build/initramfs/busybox.cpio.gz" ;;
	esac
}

# The product's part of the boot line, then what turns every way of dying into an end or a trace.
# On TCG the mitigations of CPU bugs that it does not have cost half of the speed. A guest has the
# host's time stamp counter there and measures it wrongly on a busy host, also the check that the
# timer interrupts: it is told the frequency, and not to check.
vm_boot_line() { # MORE-WORDS...
	local line=$BOOTLINE
	[ "$SWAP" != 0 ] || line=${line/nbdswap=+([^ ])/}
	[ "$ROOT" != ram ] || line=''
	[ "$accel" != tcg ] || line+=" mitigations=off no_timer_check ${tsc_khz:+tsc_early_khz=$tsc_khz}"
	[ "$BOOT" = floppy ] || line+=' log_buf_len=512K' # half a megabyte that its machine does not have
	echo "${line//PORT/$port} $APPEND console=ttyS0 panic=-1 oops=panic unknown_nmi_panic" \
		"sysrq_always_enabled sysctl.kernel.hung_task_timeout_secs=$((20 * scale))" \
		"workqueue.watchdog_thresh=$((20 * scale))" \
		"sysctl.kernel.watchdog_thresh=60 rcupdate.rcu_cpu_stall_timeout=120" \
		"scenario_port=$port $*"
}

# A floppy with this boot line, and the 32-bit machine that boots from it, in the array media. Its
# kernel knows no virtio ports: the verdict and the events share the second serial line.
vm_floppy() { # BOOT-LINE
	recorded cp "$build/media/$kernel.img" "$dir/floppy.img"
	recorded "$build/swapsafe-floppy" --set "$1" "$dir/floppy.img" || host_failed "floppy"
	! has floppy || floppy || host_failed "floppy()"
	ln -sf events.log "$dir/verdict"
	media=(-drive "if=floppy,format=raw,file=$dir/floppy.img" -boot a -serial chardev:events)
}

# What a machine whose kernel comes over the network starts with, in the array media: the ROM of its
# card, or iPXE from a medium and no ROM. The medium is read-only.
vm_boot_medium() {
	local ovmf=/usr/share/OVMF file=$build/media/ipxe.iso
	case $BOOT in
	pxe | pxelinux) media=(-boot n) && return ;;
	ipxe-floppy) media=(-drive "if=floppy,format=raw,snapshot=on,file=$build/media/ipxe-floppy.img" -boot a) ;;
	ipxe-cd*) media=(-drive "if=ide,media=cdrom,format=raw,readonly=on,file=$file" -boot d) ;;
	ipxe-usb*)
		media=(-device qemu-xhci -device "usb-storage,drive=stick,bootindex=1"
			-drive "if=none,id=stick,format=raw,snapshot=on,file=$file")
		;;
	esac
	card+=,romfile=
	[[ $BOOT = *-uefi ]] || return 0
	recorded cp "$ovmf/OVMF_VARS.fd" "$dir/vars.fd"
	media+=(-drive "if=pflash,format=raw,readonly=on,file=$ovmf/OVMF_CODE.fd"
		-drive "if=pflash,format=raw,file=$dir/vars.fd")
}

# Leaves in bootfile what the machine loads first: the script for all of a fresh tree, or its own one in
# the tree that images() has made.
vm_pxe_tree() { # BOOT-LINE
	if [ -e "$dir/pxe" ]; then
		media/swapsafe-pxe --tree "$dir/pxe" --machine 52:54:00:12:34:56 --line "$1"
		bootfile=machine-52-54-00-12-34-56.ipxe
	else
		initramfs/media/pxe-tree.sh "$dir/pxe" "$(vm_kernel)" "$(vm_initrd)" "$1"
		bootfile=boot.ipxe
	fi
	[ "$BOOT" != pxe ] || return 0
	media/pxe-loaders.sh /usr/lib/ipxe "$dir/pxe"
	[ "$BOOT" = pxelinux ] || return 0
	media/swapsafe-pxe --config --tree "$dir/pxe" --interface lo --range 10.0.2.15,10.0.2.20 --pxelinux all >/dev/null
	bootfile=pxelinux.0
}

# What the machine needs to have as much for its processes as with a release kernel: the debug flavour's
# image is larger, and KASAN takes an eighth.
vm_memory() {
	case $kernel in
	*-debug) echo "$((${MEM%M} * 9 / 8 + 112))M" ;;
	*) echo "$MEM" ;;
	esac
}

# The pc's ACPI tables compute how interrupts are routed in a loop, which takes a debug kernel on TCG more
# than the 30 s after which Linux ends it; then a card without MSI has no interrupt. q35 has them as data.
vm_chipset() {
	case $kernel in
	*-debug) echo q35 ;;
	*) echo pc ;;
	esac
}

# Leaves the QEMU command in the array vm.
vm_command() { # BOOT-LINE CONSOLE-CHARDEV
	local net=user,id=net0 card=$NIC,netdev=net0,mac=52:54:00:12:34:56 media=() bootfile
	[ "$NETWORK" = user ] || net=hubport,id=net0,hubid=0
	if [ "$BOOT" = floppy ]; then
		vm_floppy "$1"
		card+=,romfile=
	elif [[ $BOOT = @(pxe|pxelinux|ipxe-*) ]]; then
		vm_pxe_tree "$1"
		net+=,tftp=$dir/pxe,bootfile=$bootfile
		vm_boot_medium
	else
		card+=,romfile=
		media=(-kernel "$(vm_kernel)" -initrd "$(vm_initrd)" -append "$1")
	fi
	vm=(setpriv --pdeathsig KILL "${QEMU:-qemu-system-x86_64}" -name "$name"
		-nodefaults -display none -no-reboot -machine "$(vm_chipset),graphics=off"
		-smp "$SMP" -m "$(vm_memory)" -chardev "$2" -serial chardev:console
		-qmp "unix:$dir/qmp.sock,server=on,wait=off"
		-netdev "$net" -device "$card"
		-chardev "pipe,id=events,path=$dir/events,logfile=$dir/events.log")
	if [ "$BOOT" = floppy ]; then
		vm+=(-accel tcg -cpu "$CPU" "${media[@]}")
		return
	fi
	vm+=(-device virtio-serial-pci
		-chardev "file,id=verdict,path=$dir/verdict"
		-device virtserialport,chardev=verdict,name=verdict
		-device virtserialport,chardev=events,name=events
		"${media[@]}")
	# A machine of today has RDRAND; without it a boot waits 10 s and more for random numbers.
	if [ "$accel" = kvm ]; then
		vm+=(-accel kvm -cpu host)
	else
		# Of two CPUs that are not Intel's, 6.1 distrusts the TSC and reads the HPET for every time
		# stamp.
		vm+=(-accel "tcg,thread=${TCG_THREAD:-multi}" -cpu "qemu64,vendor=GenuineIntel,+rdrand")
	fi
}

vm_record() {
	{
		printf '%q ' setpriv --pdeathsig KILL "$build/nbd-server" -n -C "$dir/server.conf"
		printf '&\n'
		printf '%q ' "${vm[@]}"
	} >>"$dir/qemu.cmd"
	exec {console}<>"$dir/console.in" {events_in}<>"$dir/events.in" {events_out}<>"$dir/events.out"
}

# Starts QEMU; the console is console.log, and what is written to fd $console goes to it.
vm_start() {
	vm_command "$(vm_boot_line "$(! has guest || echo "scenario=$scenario")")" stdio,id=console
	vm_record
	"${vm[@]}" <&"$console" >"$dir/console.log" 2>"$dir/qemu.log" &
	vm_pid=$!
}

# Starts QEMU with the console, its monitor (Ctrl-A C) and a debugger's port on this terminal.
vm_start_on_terminal() { # BOOT-WORDS
	vm_command "$(vm_boot_line "$1")" \
		"stdio,id=console,signal=off,mux=on,logfile=$dir/console.log"
	vm+=(-mon chardev=console -gdb "unix:$dir/gdb.sock,server=on,wait=off")
	vm_record
	"${vm[@]}" <&0 &
	vm_pid=$!
}

vm_is_running() {
	[ -n "$vm_pid" ] && kill -0 "$vm_pid" 2>/dev/null
}

# Waits until the machine ends; false when it runs on after that time.
vm_wait() { # SECONDS
	timeout "$1" tail -s 0.2 --pid="$vm_pid" -f /dev/null
}

# Waits for text in a file that grows, also in a line that has no end yet, such as a prompt;
# false when the time is over or the machine has ended without it.
wait_text() { # FILE EXTENDED-REGEX SECONDS
	local end_s=$((SECONDS + $3))
	until grep -qE -- "$2" "$1"; do
		((SECONDS < end_s)) || return 1
		if vm_wait 0.2; then
			grep -qE -- "$2" "$1"
			return
		fi
	done
}
