#!/bin/busybox sh
# SPDX-License-Identifier: GPL-2.0
#
# vm_qemu.sh WORDS...: QEMU with the virtual machine of vm_machine.c, emulated.
#
# RAM is descriptor 10 and QMP descriptor 11, as samples/liveupdate/vm-agent.c has
# them, unless the environment has others.

here=/share/vm
export LD_LIBRARY_PATH=$here QEMU_MODULE_DIR=$here
exec $here/qemu-system-x86_64 -L $here -M pc,memory-backend=ram -accel tcg -m 64M \
	-object memory-backend-file,id=ram,size=64M,mem-path="${ram:-/proc/self/fd/10}",share=on \
	-chardev "${qmp:-socket,fd=11}",id=qmp -mon chardev=qmp,mode=control \
	-kernel $here/vm_machine -serial file:"${serial:-/tmp/serial}" \
	-nodefaults -no-user-config -display none -no-reboot "$@"
