// SPDX-License-Identifier: GPL-2.0
/* Locks that this thread holds, see locks.h. */

#include "../shims.h"

__thread int sim_atomic;
__thread unsigned long sim_spinlocks;
__thread int sim_read_locks, sim_write_locks;

void sim_mutex_init(struct mutex *lock)
{
	*lock = (struct mutex)__MUTEX_INITIALIZER(lock);
}

void sim_mutex_take(struct mutex *lock)
{
	BUG_ON(pthread_mutex_lock(&lock->m));
}

void sim_mutex_drop(struct mutex *lock)
{
	BUG_ON(pthread_mutex_unlock(&lock->m));
}

void sim_might_sleep(void)
{
	BUG_ON(sim_atomic);
}
