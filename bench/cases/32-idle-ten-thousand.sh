# SPDX-License-Identifier: GPL-2.0-or-later
DESCRIPTION="memory and tasks of the server for each idle connection, of 10 000"
KIND=idle CONNECTIONS=10000 ONLY="ours qemu-nbd" ROUNDS_MAX=2
