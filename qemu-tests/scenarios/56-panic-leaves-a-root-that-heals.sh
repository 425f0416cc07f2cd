# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash disable=SC2034,SC2154
DESCRIPTION="after a panic under load the root has a journal to play, and then all that was synced"
MEM=128M
KERNEL_ALLOW='sysrq: Trigger a crash|Kernel panic - not syncing: sysrq triggered crash|Call Trace:'

guest() {
	expect_swap /dev/nb1
	hog 160M 0
	expect_swapped 16
	cp -r /qemu-tests/scenarios /copy
	(cd /copy && sha256sum -- *) >/sums
	sync
	# Written, and not synced.
	cp -r /qemu-tests/scenarios /late
	end_by 'echo c >/proc/sysrq-trigger'
}

after() {
	dumpe2fs -h "$dir/root.img" 2>/dev/null | grep -q needs_recovery ||
		{ echo "root.img: was unmounted" && return 1; }
	e2fsck -p "$dir/root.img" >"$dir/e2fsck-p.log" 2>&1 || [ $? = 1 ] ||
		{ echo "root.img: does not heal, see e2fsck-p.log" && return 1; }
	expect_clean_root || return
	mkdir "$dir/copy"
	debugfs -R "rdump /copy /sums $dir/copy" "$dir/root.img" 2>/dev/null
	(cd "$dir/copy/copy" && sha256sum --quiet -c ../sums) || { echo "root.img: lost what was synced" && return 1; }
	rm -r "$dir/copy"
	# The server has heard no end.
	! expect_detached root >/dev/null || { echo "the machine detached its root" && return 1; }
}
