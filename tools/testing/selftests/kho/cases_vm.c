// SPDX-License-Identifier: GPL-2.0
/*
 * Cases of a virtual machine that counts: QEMU runs it in the guest, and
 * samples/liveupdate/vm-agent.c preserves it for the next kernel.  QEMU,
 * vm-agent and the program of the virtual machine have to be in /share/vm.
 */

#include "steps.h"

#define VM	"/share/vm"
#define WAIT	VM "/vm_wait.sh "
#define LAST_LINE "grep '^count .* s$' /tmp/serial | tail -n 1"
#define ROUNDS	"8"		/* rounds in which the machine compares every word once */
/* KVM has a folder in debugfs for each virtual machine. */
#define IN_KVM	"[ ! -c /dev/kvm ] || ls -d /sys/kernel/debug/kvm/*-* >/dev/null || echo FAILED: not in KVM >&2"
#define CUE	"(" WAIT "2 >&2; " IN_KVM "; echo; " WAIT ROUNDS " >&2; echo)"
#define HOLDER	"/proc/$(pidof vm-agent)/fd"

/* Makes /tmp/NAME a link to a memfd that the agent has open. */
static void link_to(const char *name)
{
	run("ln -s " HOLDER "/$(ls -l " HOLDER " | awk '/vm-%s/ { print $(NF - 3) }') /tmp/%s",
	    name, name);
}

static void vm_leaves(void)
{
	load();
	tell(CUE " | " VM "/vm-agent save vm " VM "/vm_qemu.sh");
	tell(LAST_LINE);
	link_to("ram");
	frames("/tmp/ram");
	run("! truncate -s 32M /tmp/ram");
}

static void vm_arrives(void)
{
	tell(VM "/vm-agent resume vm " VM "/vm_qemu.sh -incoming defer && " WAIT "1 && " WAIT ROUNDS);
	run("ln -s /proc/$(pidof qemu-system-x86_64)/fd/10 /tmp/ram");
	frames("/tmp/ram");
}

static void vm_goes_on(unsigned int hop)
{
	if (!hop)
		vm_leaves();
	else
		vm_arrives();
}

#define VM_NEEDS	.arch = "x86_64", .deadline = 30

KHO_TEST(vm,
	 "A virtual machine in QEMU continues to count in the next kernel, with its RAM in place.",
	 VM_NEEDS)
{
	vm_goes_on(hop);
}

KHO_TEST(vm_linux,
	 "A virtual machine with Linux goes on in the next kernel, with its RAM in place.",
	 .arch = "x86_64", .deadline = 300, .memory = 1536, .by_name = true)
{
	vm_goes_on(hop);
}

KHO_TEST(vm_kvm, "The RAM of a virtual machine is preserved while KVM has it mapped.",
	 .arch = "x86_64", .kernels = { "kvm" }, .qemu = { "-cpu", "max" }, .deadline = 60,
	 .by_name = true)
{
	run("test -c /dev/kvm");
	vm_goes_on(hop);
}

/* Cases with a fault, for a test driver that expects a report of the loss. */

KHO_TEST(vm_lost_session,
	 "The agent is killed before the kexec, which closes its session.  The loss is reported.",
	 VM_NEEDS, .by_name = true)
{
	vm_goes_on(hop);
	if (!hop)
		run("kill $(pidof vm-agent)");
}

KHO_TEST(vm_lost_state,
	 "The next kernel has no handler for the state of the VM.  The loss is reported.",
	 VM_NEEDS, .by_name = true)
{
	if (hop)
		damage_file("vm", 2, "handler", "nobody-v1");
	vm_goes_on(hop);
}

KHO_TEST(vm_lost_page, "A page of RAM is overwritten with another page.  The loss is reported.",
	 VM_NEEDS, .by_name = true)
{
	vm_goes_on(hop);
	if (!hop)
		run("dd if=/tmp/ram of=/tmp/ram bs=4K skip=5000 seek=6000 count=1 conv=notrunc");
}

KHO_TEST(vm_lost_pause, "The VM continues to run after its state is saved.  The loss is reported.",
	 VM_NEEDS, .by_name = true)
{
	vm_goes_on(hop);
	if (hop)
		return;
	link_to("state");
	run(VM "/vm_run_on.sh");
}
