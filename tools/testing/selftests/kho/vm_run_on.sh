#!/bin/busybox sh
# SPDX-License-Identifier: GPL-2.0
#
# Lets the virtual machine run from /tmp/state in /tmp/ram, without pausing it
# again: its memory is then newer than the state.

{
	echo "{'execute': 'qmp_capabilities'}"
	echo "{'execute': 'migrate-set-capabilities', 'arguments':
		{'capabilities': [{'capability': 'x-ignore-shared', 'state': true}]}}"
	echo "{'execute': 'migrate-incoming', 'arguments': {'uri': 'exec:cat /tmp/state'}}"
	# "cont" has no effect until the state is loaded, so repeat it.
	for i in $(seq 60); do
		echo "{'execute': 'cont'}"
		grep -q '^count .* s$' /tmp/run-on 2>/dev/null && break
		sleep 0.5
	done
	echo "{'execute': 'quit'}"
} | ram=/tmp/ram qmp=stdio serial=/tmp/run-on /share/vm/vm_qemu.sh -incoming defer
grep '^count' /tmp/run-on
