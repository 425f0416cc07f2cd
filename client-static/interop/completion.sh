#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# What bash offers for a beginning of a command line, with the program that was built.
set -eu
PATH=$PWD/${B:-build}:$PATH
# shellcheck source=client-static/completion/nbd-client
. client-static/completion/nbd-client

# offers WORD... OFFER: completing the last WORD gives the lines of OFFER.
offers() {
	local expected=${!#} found
	COMP_WORDS=("${@:1:$#-1}")
	COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
	_nbd_client
	found=${COMPREPLY[*]}
	[ "$found" = "$expected" ] || {
		echo "${COMP_WORDS[*]}: offers \"$found\", should offer \"$expected\""
		exit 1
	}
}

offers nbd-client -doc '-doctor'
offers nbd-client --dead '--dead-timeout'
offers nbd-client -re '-readonly -reserve'
offers nbd-client -reserve k 'keep'
offers nbd-client --block-size 2 '2048'

all=$(nbd-client -help | grep -cE '^  (-., |    )-[a-z]')
COMP_WORDS=(nbd-client -)
COMP_CWORD=1
_nbd_client
[ "${#COMPREPLY[@]}" -eq "$all" ] || {
	echo "offers ${#COMPREPLY[@]} options, -help has $all"
	exit 1
}
