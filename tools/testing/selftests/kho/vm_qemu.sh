#!/bin/busybox sh
# SPDX-License-Identifier: GPL-2.0
#
# vm_qemu.sh ARGUMENTS...: QEMU with the virtual machine of vm_machine.c, or with Linux
# and vm_linux.c if there is a kernel for it.  Emulated, unless there is KVM.
#
# samples/liveupdate/vm-agent.c passes RAM as descriptor 10 and QMP as descriptor 11.
# The variables ram and qmp replace these descriptors.

here=/share/vm
export LD_LIBRARY_PATH=$here QEMU_MODULE_DIR=$here
accel=tcg
[ -c /dev/kvm ] && accel=kvm
if [ -e $here/linux ]; then
	size=192M
	append="console=ttyS0 quiet panic=-1 mitigations=off"
	set -- -kernel $here/linux -initrd $here/initrd -append "$append" "$@"
else
	size=64M
	set -- -kernel $here/vm_machine "$@"
fi
exec $here/qemu-system-x86_64 -L $here -M pc,memory-backend=ram -accel $accel -m $size \
	-object memory-backend-file,id=ram,size=$size,mem-path="${ram:-/proc/self/fd/10}",share=on \
	-chardev "${qmp:-socket,fd=11}",id=qmp -mon chardev=qmp,mode=control \
	-serial file:"${serial:-/tmp/serial}" \
	-nodefaults -no-user-config -display none -no-reboot "$@"
