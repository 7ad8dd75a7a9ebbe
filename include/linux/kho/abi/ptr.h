/* SPDX-License-Identifier: GPL-2.0 */

#ifndef _LINUX_KHO_ABI_PTR_H
#define _LINUX_KHO_ABI_PTR_H

#include <linux/io.h>
#include <linux/typecheck.h>
#include <linux/types.h>

/**
 * DOC: Kexec Handover pointers
 *
 * A pointer cannot cross a kexec: the next kernel maps memory elsewhere.  The
 * physical address is stored instead, always as a u64, with 0 for "none".  A
 * union adds the type of the object, for checks by the compiler.
 */

/**
 * DECLARE_KHOSER_PTR - declare a pointer for the next kernel
 * @name: name of the member or variable
 * @type: type of the pointer, for the compiler's checks only
 *
 * The size is eight bytes, even if pointers are smaller.
 */
#define DECLARE_KHOSER_PTR(name, type)					\
	union {								\
		u64 phys;						\
		type ptr;						\
	} name

/**
 * KHOSER_STORE_PTR - store the address of an object for the next kernel
 * @dest: lvalue declared with DECLARE_KHOSER_PTR()
 * @val: non-NULL pointer into the linear map, of the declared type
 */
#define KHOSER_STORE_PTR(dest, val)					\
({									\
	typeof(val) __val = (val);					\
	typecheck(typeof((dest).ptr), __val);				\
	(dest).phys = virt_to_phys(__val);				\
})

/**
 * KHOSER_LOAD_PTR - load a pointer that the previous kernel stored
 * @src: value declared with DECLARE_KHOSER_PTR()
 *
 * The address is not checked here.  If another kernel wrote it, the caller has
 * to check it before the pointer is followed.
 *
 * Return: address in the linear map, or NULL when nothing was stored.
 */
#define KHOSER_LOAD_PTR(src)						\
({									\
	u64 __phys = (src).phys;					\
	(typeof((src).ptr))(__phys ? phys_to_virt(__phys) : NULL);	\
})

#endif /* _LINUX_KHO_ABI_PTR_H */
