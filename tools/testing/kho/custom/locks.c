// SPDX-License-Identifier: GPL-2.0
/* Locks that this thread holds, see locks.h. */

#include "../shims.h"

__thread int sim_atomic;
__thread unsigned long sim_spinlocks;
__thread int sim_read_locks, sim_write_locks;

void sim_might_sleep(void)
{
	BUG_ON(sim_atomic);
}
