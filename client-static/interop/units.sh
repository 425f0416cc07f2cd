#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# systemd takes the units, and orders them without a cycle in a machine whose
# network is brought up by a service; nor would it be silent about a cycle: the
# usual swap unit, with default dependencies, is the control.
set -eu

command -v systemd-analyze >/dev/null || {
	echo "systemd-analyze is not installed"
	exit 77
}
units=$(mktemp -d)
trap 'rm -rf "$units"' EXIT
for unit in nbd@.service nbd.service dev-nb1.swap; do
	sed "s,@SBIN@/nbd-client,/bin/true," "client-static/systemd/$unit" >"$units/$unit"
done
cat >"$units/network-comes-up.service" <<EOT
[Unit]
Before=network-online.target
[Service]
Type=oneshot
ExecStart=/bin/true
EOT

# Each unit is started in the same manager as those before it.
verify() {
	SYSTEMD_UNIT_PATH="$units:" systemd-analyze --man=no verify "$@" 2>&1
}

# wants TARGET UNIT...
wants() {
	mkdir "$units/$1.wants"
	target=$1
	shift
	for unit; do ln -s "../$unit" "$units/$target.wants/$unit"; done
}

wants network-online.target network-comes-up.service
wants multi-user.target dev-nb1.swap
said=$(verify "$units/nbd@nbd1.service" "$units/nbd.service" "$units/dev-nb1.swap" multi-user.target)
[ -z "$said" ] || {
	echo "$said"
	exit 1
}

sed -i '/^DefaultDependencies=no/d' "$units/dev-nb1.swap"
wants swap.target dev-nb1.swap
said=$(verify multi-user.target || true)
case $said in
*'ordering cycle'*) ;;
*)
	echo "the control, with default dependencies, has no ordering cycle: $said"
	exit 1
	;;
esac
