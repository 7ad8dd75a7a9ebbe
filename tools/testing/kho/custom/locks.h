/* SPDX-License-Identifier: GPL-2.0 */
/* Locks and threads, implemented with the C library. */
#ifndef KHO_CUSTOM_LOCKS_H
#define KHO_CUSTOM_LOCKS_H

#include "../duplicated/base.h"

#include <pthread.h>

/*
 * Number of spinlocks and RCU read-side sections that this thread is in; it
 * must not sleep in them.
 */
extern __thread int sim_atomic;
/* Spinlocks that this thread has taken since it began. */
extern __thread unsigned long sim_spinlocks;
void sim_might_sleep(void);

/*
 * A thread that takes a lock which it holds, or releases one which it does not
 * hold, ends the program.
 */
struct mutex {
	pthread_mutex_t m;
};

void sim_mutex_init(struct mutex *lock);
void sim_mutex_take(struct mutex *lock);
void sim_mutex_drop(struct mutex *lock);

#define __MUTEX_INITIALIZER(name)	{ PTHREAD_ERRORCHECK_MUTEX_INITIALIZER_NP }
#define DEFINE_MUTEX(name)	struct mutex name = __MUTEX_INITIALIZER(name)
#define mutex_init(lock)	sim_mutex_init(lock)
#define mutex_destroy(lock)	pthread_mutex_destroy(&(lock)->m)
#define mutex_lock(lock)	(sim_might_sleep(), sim_mutex_take(lock))
#define mutex_unlock(lock)	sim_mutex_drop(lock)

typedef struct mutex spinlock_t;

#define DEFINE_SPINLOCK(name)	spinlock_t name = __MUTEX_INITIALIZER(name)
#define spin_lock(lock)		(sim_atomic++, sim_spinlocks++, sim_mutex_take(lock))
#define spin_unlock(lock)	(sim_atomic--, sim_mutex_drop(lock))

struct rw_semaphore {
	pthread_rwlock_t rw;
};

#define DECLARE_RWSEM(name)						\
	struct rw_semaphore name = { PTHREAD_RWLOCK_INITIALIZER }
/* Number of locks that this thread holds for reading, and for writing. */
extern __thread int sim_read_locks, sim_write_locks;
/*
 * Number of locks held; sim_expect_locks() ends the program if it is not @sum.
 */
int sim_locks_held(void);
void sim_expect_locks(int sum);

#define down_read(sem)		(sim_read_locks++, pthread_rwlock_rdlock(&(sem)->rw))
#define up_read(sem)		(sim_read_locks--, pthread_rwlock_unlock(&(sem)->rw))
#define down_write(sem)		(sim_write_locks++, pthread_rwlock_wrlock(&(sem)->rw))
#define up_write(sem)		(sim_write_locks--, pthread_rwlock_unlock(&(sem)->rw))

/* A lock that is held until its variable goes out of scope. */
#define DEFINE_SIM_GUARD(name, type, take, drop)			\
static inline type *sim_take_##name(type *lock)				\
{									\
	take(lock);							\
	return lock;							\
}									\
static inline void sim_drop_##name(type **lock)				\
{									\
	drop(*lock);							\
}									\
typedef type *sim_guard_##name

DEFINE_SIM_GUARD(mutex, struct mutex, mutex_lock, mutex_unlock);
DEFINE_SIM_GUARD(spinlock, spinlock_t, spin_lock, spin_unlock);
DEFINE_SIM_GUARD(spinlock_irqsave, spinlock_t, spin_lock, spin_unlock);
DEFINE_SIM_GUARD(rwsem_read, struct rw_semaphore, down_read, up_read);
DEFINE_SIM_GUARD(rwsem_write, struct rw_semaphore, down_write, up_write);

#define SIM_PASTE(a, b)		a##b
#define SIM_UNIQUE(n)		SIM_PASTE(__guard_, n)
#define sim_guard(name, var)						\
	sim_guard_##name var __maybe_unused				\
		__attribute__((cleanup(sim_drop_##name))) = sim_take_##name
#define guard(name)		sim_guard(name, SIM_UNIQUE(__COUNTER__))
#define scoped_guard(name, ...)						\
	for (bool __once = true; __once; __once = false)		\
		for (sim_guard(name, __held)(__VA_ARGS__); __once; __once = false)

/*
 * A grace period does not wait for readers in other threads; see
 * sim_flush_work().
 */
typedef int sim_guard_rcu;

static inline int sim_take_rcu(void)
{
	return sim_atomic++;
}

static inline void sim_drop_rcu(int *unused)
{
	sim_atomic--;
}

/* Number of grace periods. */
extern unsigned long sim_grace_periods;
#define synchronize_rcu()	(sim_might_sleep(), sim_grace_periods++)

/* sim_flush_work() does the scheduled work. */
struct work_struct {
	void (*fn)(struct work_struct *work);
	bool pending;
};

#define DECLARE_WORK(name, function)					\
	struct work_struct name = { .fn = function }

void schedule_work(struct work_struct *work);
void sim_flush_work(void);

struct completion {
	pthread_mutex_t m;
	pthread_cond_t c;
	bool done;
};

static inline void init_completion(struct completion *x)
{
	pthread_mutex_init(&x->m, NULL);
	pthread_cond_init(&x->c, NULL);
	x->done = false;
}

static inline void complete(struct completion *x)
{
	pthread_mutex_lock(&x->m);
	x->done = true;
	pthread_cond_broadcast(&x->c);
	pthread_mutex_unlock(&x->m);
}

static inline void wait_for_completion(struct completion *x)
{
	pthread_mutex_lock(&x->m);
	while (!x->done)
		pthread_cond_wait(&x->c, &x->m);
	pthread_mutex_unlock(&x->m);
}

struct task_struct;

static inline void *sim_thread(void *arg)
{
	int (*work)(void *) = ((void **)arg)[0];
	void *data = ((void **)arg)[1];

	free(arg);
	work(data);
	return NULL;
}

static inline struct task_struct *sim_kthread_run(int (*work)(void *), void *data)
{
	void **arg = malloc(2 * sizeof(*arg));
	pthread_t thread;

	arg[0] = work;
	arg[1] = data;
	if (pthread_create(&thread, NULL, sim_thread, arg)) {
		free(arg);
		return ERR_PTR(-EAGAIN);
	}
	pthread_detach(thread);
	return (struct task_struct *)1;
}

#define kthread_run(work, data, name, ...)	sim_kthread_run(work, data)
#define kthread_complete_and_exit(x, code)	do { complete(x); return code; } while (0)

#endif /* KHO_CUSTOM_LOCKS_H */
