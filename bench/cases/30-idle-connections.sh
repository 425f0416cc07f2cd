# SPDX-License-Identifier: GPL-2.0-or-later
DESCRIPTION="memory and tasks of the server for each idle connection, of 256"
KIND=idle CONNECTIONS=256
