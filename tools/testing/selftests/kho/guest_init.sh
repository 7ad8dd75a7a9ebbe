#!/bin/busybox sh
# SPDX-License-Identifier: GPL-2.0
#
# First process of a guest.  kho_case= and kho_hop= of the kernel command line
# select the part of a case, an interactive shell, or nothing.  Results go to the second
# serial port, messages to the console.

/bin/busybox mkdir -p /proc /sys /dev /share /tmp
/bin/busybox --install -s /bin
export PATH=/bin:/sbin HOME=/ TERM=linux

mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs devtmpfs /dev 2>/dev/null
mount -t debugfs debugfs /sys/kernel/debug 2>/dev/null

for word in $(cat /proc/cmdline); do
	case "$word" in
	kho_case=*|kho_hop=*|kho_results=*) eval "$word" ;;
	esac
done
results=/dev/${kho_results:-ttyS1}

finish()
{
	sync
	reboot -f
}

stty -F "$results" -opost 2>/dev/null
if ! mount -t 9p -o trans=virtio,version=9p2000.L,ro,msize=262144,cache=readahead kho /share; then
	echo "Bail out! the directory shared by the host cannot be mounted" >"$results"
	finish
fi

case "$kho_case" in
shell)
	cat /share/welcome
	setsid cttyhack sh
	;;
probe)
	echo "# end" >"$results"
	;;
*)
	handover --case "$kho_case" "$kho_hop" >"$results"
	status=$?
	[ $status -le 1 ] || echo "Bail out! the agent ended with status $status" >"$results"
	;;
esac
finish
