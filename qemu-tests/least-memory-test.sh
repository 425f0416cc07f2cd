#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# least-memory finds the boundary, and time-media the median, of a runner that answers by itself.
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
export B=$work/build RUNNER=$work/runner PXE_TEST=$work/pxe-test
mkdir -p "$B"

fail() {
	echo "${0##*/}: $*" >&2
	exit 1
}

# Enough is 11 MB on the floppy, 56 with our kernel, and nothing with Debian's.
cat >"$RUNNER" <<'END'
#!/bin/bash
name=$2
. "$SCENARIOS/${name%@*}.sh"
case $name in
floppy-*@floppy) enough=11 ;;
pxe-6.12-*@6.12) enough=56 ;;
pxe-debian-*) enough=1000 ;;
esac
echo "$name" >>"$B/runs.log"
[ "${MEM%M}" -ge "$enough" ] && echo "ok   $name   9s" && exit
echo "FAIL $name   120s  hang: console does not show: x  $B/results/$name/"
exit 1
END
chmod +x "$RUNNER"

! qemu-tests/least-memory >"$work/said" || fail "a row without an end is no failure"
table=$B/report/memory.md
grep -qx '| floppy, i586, virtio | busybox | 11 |' "$table" || fail "$(cat "$table")"
grep -qx '| PXE, x86_64, our 6.12 | Debian 12, systemd | 56 |' "$table" || fail "$(cat "$table")"
grep -qx "| PXE, x86_64, Debian's kernel | busybox | more than 256 |" "$table" || fail "$(cat "$table")"
grep -qx 'pxe-6.12-busybox-52M@6.12' "$B/runs.log" || fail "one step below was not tried"
grep -qF 'floppy-e1000: 10 MB: too little: hang: console' "$work/said" || fail "says $(cat "$work/said")"

# A machine that the harness did not start says nothing of memory.
sed -i 's/hang: .*"$/host: no images"/' "$RUNNER"
! qemu-tests/least-memory >"$work/said" 2>&1 || fail "a harness that fails is taken for an answer"
grep -q 'least-memory: floppy-virtio: 10 MB: FAIL .* host: no images' "$work/said" || fail "says $(cat "$work/said")"

# Three times that are not in order; a stick that does not boot.
cat >"$RUNNER" <<'END'
#!/bin/bash
[[ $2 != *usb* ]] || { echo "FAIL $2  hang" && exit 1; }
times=(7.5 30.1 9.0)
touch "$SCENARIOS/times"
echo "${times[$(wc -l <"$SCENARIOS/times")]}" >>"$SCENARIOS/times"
END
cat >"$PXE_TEST" <<'END'
#!/bin/sh
echo "pxe-boot-test: $1: root's init after 12 s"
END
chmod +x "$PXE_TEST"
! qemu-tests/time-media >"$work/said" || fail "a medium that does not boot is no failure"
table=$B/report/boot-media.md
grep -qx '| our floppy, BIOS | 9.0 | 7.5 to 30.1 |' "$table" || fail "$(cat "$table")"
grep -qx '| PXE, BIOS, pxelinux | 12 | 12 to 12 |' "$table" || fail "$(cat "$table")"
! grep -q 'USB' "$table" || fail "a medium that does not boot has a time"
grep -q '^ipxe-usb: FAIL time-ipxe-usb  hang' "$work/said" || fail "says $(cat "$work/said")"
! RUNS=many qemu-tests/time-media >"$work/said" 2>&1 || fail "RUNS=many"
grep -q 'RUNS=many: not a number of machines' "$work/said" || fail "says $(cat "$work/said")"
