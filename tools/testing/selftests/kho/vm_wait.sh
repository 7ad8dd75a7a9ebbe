#!/bin/busybox sh
# SPDX-License-Identifier: GPL-2.0
#
# vm_wait.sh N: wait until the virtual machine of vm_qemu.sh has printed N lines, and
# print line N.  Gives up after 100 seconds without a new line, or after 300 for
# a virtual machine with Linux: it boots slowly, emulated in an emulated guest.

patience=100
[ -e /share/vm/linux ] && patience=300
lines=0
since=$(date +%s)
while [ "$lines" -lt "$1" ]; do
	now=$(grep -c '^count .* s$' /tmp/serial 2>/dev/null)
	if [ "${now:-0}" -gt "$lines" ]; then
		lines=$now
		since=$(date +%s)
	elif [ $(($(date +%s) - since)) -gt $patience ]; then
		echo "FAILED: the virtual machine has printed only $lines of $1 lines"
		exit 1
	fi
	sleep 0.02
done
grep '^count .* s$' /tmp/serial | sed -n "$1p"
