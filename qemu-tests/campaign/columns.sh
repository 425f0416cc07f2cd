# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# What the swap campaign compares, and the order of its runs. A run is named
# COLUMN-NIC-RAM-LOSS-CPUS-ROUND@KERNEL, as in l0-e1000-96M-loss1-2cpu-r3@6.12-stock, where KERNEL
# is a folder of build/kernel.

# A share of the runs for each column; its kernel, the reserve that its client sets, its cells.
# The claims are made of `patched` and of `l0` on Debian's kernel, which therefore run most; the
# others show in the same campaign that the test can fail, and what the kernel has to do with it.
#   share column  kernel     NICs                             RAM in MiB
columns() {
	cat <<-END
		4 patched 6.12       virtio-net,e1000,rtl8139,vmxnet3 64,96,256
		4 patched 6.1        virtio-net,e1000,rtl8139,vmxnet3 64,96,256
		4 l0      debian     virtio-net,vmxnet3               96,128,256
		2 stock   6.12-stock virtio-net,e1000,rtl8139,vmxnet3 64,96,256
		2 stock   6.1-stock  virtio-net,e1000,rtl8139,vmxnet3 64,96,256
		1 l0      6.12-stock virtio-net,e1000,rtl8139,vmxnet3 64,96,256
		1 l0      6.1-stock  virtio-net,e1000,rtl8139,vmxnet3 64,96,256
		1 stock   debian     virtio-net,vmxnet3               96,128,256
	END
}

# The first so many runs of the endless campaign, one name a line. Shares are interleaved as evenly
# as they can be; a column goes through all of its cells in each round, neighbours far apart.
plan() { # RUNS [COLUMN|KERNEL|COLUMN@KERNEL...]
	local runs=$1
	shift
	columns | awk -v runs="$runs" -v only="$*" '
		function wanted(column, kernel,	i) {
			for (i = 1; i <= patterns; i++)
				if (pattern[i] == column || pattern[i] == kernel || pattern[i] == column "@" kernel)
					return 1
			return patterns == 0
		}
		BEGIN {
			patterns = split(only, pattern)
			losses = split("0 1", loss)
			cpus = split("1 2", cpu)
		}
		wanted($2, $3) {
			n++
			share[n] = $1; column[n] = $2; kernel[n] = $3
			nics[n] = split($4, nic, ","); for (i in nic) nic_of[n, i] = nic[i]
			rams[n] = split($5, ram, ","); for (i in ram) ram_of[n, i] = ram[i]
			shares += $1
		}
		# 29 has no factor in common with any number of cells.
		function next_run(c,	cells, cell, k) {
			cells = nics[c] * rams[c] * losses * cpus
			k = done[c]++
			cell = k * 29 % cells
			printf "%s-%s-%dM-loss%d-%dcpu-r%d@%s\n", column[c],
				nic_of[c, cell % nics[c] + 1],
				ram_of[c, int(cell / nics[c]) % rams[c] + 1],
				loss[int(cell / (nics[c] * rams[c])) % losses + 1],
				cpu[int(cell / (nics[c] * rams[c] * losses)) + 1],
				int(k / cells) + 1, kernel[c]
		}
		END {
			if (n == 0)
				exit 1
			for (run = 0; run < runs; run++) {
				best = 1
				for (c = 1; c <= n; c++) {
					credit[c] += share[c]
					if (credit[c] > credit[best])
						best = c
				}
				credit[best] -= shares
				next_run(best)
			}
		}'
}

# The parts of a run's name, as variables of the caller.
# shellcheck disable=SC2034
parse_run() { # NAME
	[[ $1 =~ ^([a-z0-9]+)-(.+)-([0-9]+)M-loss([0-9]+)-([0-9]+)cpu-r([0-9]+)@(.+)$ ]] || return
	column=${BASH_REMATCH[1]} nic=${BASH_REMATCH[2]} ram_mib=${BASH_REMATCH[3]}
	loss_percent=${BASH_REMATCH[4]} cpus=${BASH_REMATCH[5]} round=${BASH_REMATCH[6]}
	kernel=${BASH_REMATCH[7]}
	hog_mib=$((ram_mib < 256 ? ram_mib * 3 / 2 : 400))
}
