/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Definitions with exactly the same meaning as in the kernel: types, bits,
 * rounding, error pointers, atomic access to single words.
 */
#ifndef KHO_DUPLICATED_BASE_H
#define KHO_DUPLICATED_BASE_H

#include <asm-generic/errno.h>
#include <limits.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>

typedef unsigned char u8;
typedef unsigned short u16;
typedef unsigned int u32;
typedef unsigned long long u64;
typedef signed char s8;
typedef short s16;
typedef int s32;
typedef long long s64;
typedef u64 phys_addr_t;
typedef unsigned int gfp_t;
typedef unsigned long pgoff_t;

#define U64_MAX			((u64)~0ULL)
#define U32_MAX			((u32)~0U)
#ifndef UINT_MAX
#define UINT_MAX		U32_MAX
#endif

#define ENOTSUPP		524
#define ERESTARTSYS		512
#define ENOIOCTLCMD		515
#define MAX_ERRNO		4095

#define __packed		__attribute__((packed))
#define __used			__attribute__((used))
#define __section(s)		__attribute__((section(s)))
#define __aligned(n)		__attribute__((aligned(n)))
#define KHO_PASTE(a, b)		a##b
#define KHO_PASTED(a, b)	KHO_PASTE(a, b)
#define __UNIQUE_ID(name)	KHO_PASTED(name, __COUNTER__)
#define __maybe_unused		__attribute__((unused))
#undef __always_inline
#define __always_inline		inline __attribute__((always_inline))
#define noinline		__attribute__((noinline))
#define __must_check		__attribute__((warn_unused_result))
#define __user
#define __force
#define fallthrough		__attribute__((fallthrough))

#define likely(x)		__builtin_expect(!!(x), 1)
#define unlikely(x)		__builtin_expect(!!(x), 0)
#define __noreturn		__attribute__((noreturn))

/* Options of the kernel that is simulated. */
#define CONFIG_KEXEC_HANDOVER			1
#define CONFIG_KEXEC_HANDOVER_ENABLE_DEFAULT	1
#define CONFIG_LIVEUPDATE			1
#define CONFIG_MMU				1
#define CONFIG_X86_TSC				1
#define CONFIG_HAVE_ARCH_HUGE_VMALLOC		1

#define ENABLED_COMMA_1		0,
#define ENABLED_SECOND(a, b, ...)	b
#define ENABLED_VALUE(maybe_comma)	ENABLED_SECOND(maybe_comma 1, 0)
#define ENABLED_EXPANDED(value)	ENABLED_VALUE(ENABLED_COMMA_##value)
#define IS_ENABLED(option)	ENABLED_EXPANDED(option)

#define STRINGIFY(...)		#__VA_ARGS__
#define __stringify(...)	STRINGIFY(__VA_ARGS__)

#undef static_assert
#define static_assert(expr, ...)	_Static_assert(expr, #expr)
#define BUILD_BUG_ON_ZERO(bad)	((int)sizeof(char[1 - 2 * !!(bad)]) - 1)

#define BITS_PER_BYTE		8
#define BITS_PER_LONG		64
#define BIT(n)			(1UL << (n))
#define BIT_ULL(n)		(1ULL << (n))
#define BITS_TO_LONGS(n)	DIV_ROUND_UP(n, BITS_PER_LONG)
#define DIV_ROUND_UP(n, d)	(((n) + (d) - 1) / (d))
#define DIV_ROUND_UP_ULL(n, d)	DIV_ROUND_UP((u64)(n), (u64)(d))
#define ARRAY_SIZE(a)		(sizeof(a) / sizeof((a)[0]))

/* @a is a power of two in all of these. */
#define ALIGN(x, a)		(((x) + ((typeof(x))(a) - 1)) & ~((typeof(x))(a) - 1))
#define IS_ALIGNED(x, a)	(!((x) & ((typeof(x))(a) - 1)))
#define round_down(x, a)	((x) & ~((typeof(x))(a) - 1))
#define round_up(x, a)		ALIGN(x, a)

#define const_ilog2(n)		(63 - __builtin_clzll(n))
#define ilog2(n)		const_ilog2(n)
#define count_trailing_zeros(n)	__builtin_ctzll(n)

static inline u64 mul_u64_u64_div_u64(u64 a, u64 mul, u64 div)
{
	return (unsigned __int128)a * mul / div;
}

struct elf64_note {
	u32 n_namesz;
	u32 n_descsz;
	u32 n_type;
};

static inline u64 div64_u64_rem(u64 a, u64 div, u64 *rest)
{
	*rest = a % div;
	return a / div;
}

static inline unsigned long hweight_long(unsigned long word)
{
	return __builtin_popcountl(word);
}

static inline int fls64(u64 x)
{
	return x ? 64 - __builtin_clzll(x) : 0;
}

#define min(a, b) ({ __auto_type __a = (a); __auto_type __b = (b); __a < __b ? __a : __b; })
#define max(a, b) ({ __auto_type __a = (a); __auto_type __b = (b); __a > __b ? __a : __b; })
#define min_t(t, a, b)		min((t)(a), (t)(b))
#define max_t(t, a, b)		max((t)(a), (t)(b))

#define swap(a, b)		do { __auto_type __a = (a); (a) = (b); (b) = __a; } while (0)

#define typecheck(type, x)	({ type __dummy; (void)(&__dummy == &(x)); 1; })
#define container_of(ptr, type, member) \
	((type *)((char *)(ptr) - offsetof(type, member)))
#define sizeof_field(type, member)	sizeof(((type *)0)->member)
#define offsetofend(type, member) \
	(offsetof(type, member) + sizeof_field(type, member))

#define READ_ONCE(x)		__atomic_load_n(&(x), __ATOMIC_RELAXED)
#define WRITE_ONCE(x, v)	__atomic_store_n(&(x), v, __ATOMIC_RELAXED)
#define smp_load_acquire(p)	__atomic_load_n(p, __ATOMIC_ACQUIRE)
#define smp_store_release(p, v)	__atomic_store_n(p, v, __ATOMIC_RELEASE)

#define cmpxchg(ptr, old, new) ({					\
	typeof(*(ptr)) __seen = (old);					\
	__atomic_compare_exchange_n(ptr, &__seen, new, false,		\
				    __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST); \
	__seen;								\
})

#define xchg(ptr, v)		__atomic_exchange_n(ptr, v, __ATOMIC_SEQ_CST)

typedef struct {
	int counter;
} atomic_t;

#define atomic_read(a)		__atomic_load_n(&(a)->counter, __ATOMIC_SEQ_CST)
#define atomic_set(a, v)	__atomic_store_n(&(a)->counter, v, __ATOMIC_SEQ_CST)

typedef struct {
	long counter;
} atomic_long_t;

#define atomic_long_read(a)	atomic_read(a)
#define atomic_long_set(a, v)	atomic_set(a, v)
#define atomic_long_add(v, a)	((void)atomic_long_add_return(v, a))
#define atomic_long_add_return(v, a)					\
	__atomic_add_fetch(&(a)->counter, v, __ATOMIC_SEQ_CST)
#define atomic_add(v, a)	((void)__atomic_add_fetch(&(a)->counter, v, __ATOMIC_SEQ_CST))
#define atomic_inc(a)		atomic_add(1, a)
#define atomic_cmpxchg(a, o, n)	cmpxchg(&(a)->counter, o, n)

static inline void *ERR_PTR(long err)
{
	return (void *)err;
}

static inline long PTR_ERR(const void *ptr)
{
	return (long)ptr;
}

static inline bool IS_ERR(const void *ptr)
{
	return (unsigned long)ptr >= (unsigned long)-MAX_ERRNO;
}

static inline int PTR_ERR_OR_ZERO(const void *ptr)
{
	return IS_ERR(ptr) ? PTR_ERR(ptr) : 0;
}

static inline bool IS_ERR_OR_NULL(const void *ptr)
{
	return !ptr || IS_ERR(ptr);
}

#define check_add_overflow(a, b, sum)	__builtin_add_overflow(a, b, sum)

static inline size_t array_size(size_t a, size_t b)
{
	size_t size;

	return __builtin_mul_overflow(a, b, &size) ? SIZE_MAX : size;
}

static inline u64 mul_u64_u32_div(u64 a, u32 mul, u32 div)
{
	return (unsigned __int128)a * mul / div;
}

#define get_unaligned(p) ({						\
	const struct { typeof(*(p)) value; } __packed *__u =		\
		(const void *)(p);					\
	__u->value;							\
})

#define SZ_4K			0x1000UL
#define SZ_8K			0x2000UL
#define SZ_16K			0x4000UL
#define SZ_64K			0x10000UL
#define SZ_1M			0x100000UL
#define SZ_4M			0x400000UL
#define SZ_8M			0x800000UL
#define SZ_16M			0x1000000UL
#define SZ_64M			0x4000000UL
#define SZ_2M			0x200000UL
#define SZ_1G			0x40000000UL

#endif /* KHO_DUPLICATED_BASE_H */
