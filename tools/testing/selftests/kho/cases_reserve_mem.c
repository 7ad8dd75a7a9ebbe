// SPDX-License-Identifier: GPL-2.0
/*
 * Cases of regions of reserve_mem=.
 */

#include "steps.h"

static void no_faults(void)
{
	logged("duplicate, the first owner", 0);
	logged("]: discarded", 0);
	logged("is lost", 0);
	logged("not preserved", 0);
}

static void not_revived(const char *name)
{
	run("! dmesg | grep -F \"Revived memory reservation '%s'\"", name);
}

/*
 * Before regions are preserved, by the kernel that preserved the region, and by the
 * one after it.  File, region and scratch are more than all memory: some of the file is where
 * the region was.
 */
KHO_TEST(reserve_mem_released,
	 "A reserve_mem= region that is released is preserved no longer; its memory can be.",
	 .hops = 3, .deadline = 40,
	 .append = { "reserve_mem=520M:2M:gone reserve_mem=1048577:64:khotest reserve_mem=5000:64:early "
		     "kho_scratch=32M,96M,32M "
		     "test_kho.release=early",
		     "reserve_mem=20M:2M:gone reserve_mem=1048577:64:khotest reserve_mem=5000:64:early" })
{
	static const struct memfd a[] = { { "a", 480 * MIB, 3 } };
	static const struct memfd b[] = { { "b", 400 * MIB, 4 } };

	switch (hop) {
	case 0:
		/* in pages of 4 KiB, and of 64 */
		run("dmesg | grep -E 'Freeing reserve_mem:early memory: (8|64)K'");
		region_fill("khotest", 77);
		region_release("gone");
		keep("main", a);
		region_reused();
		region_check("khotest", 77);
		break;
	case 1:
		no_faults();
		not_revived("early");
		not_revived("gone");
		logs("Revived memory reservation 'khotest'");
		region_check("khotest", 77);
		claim("main", a);
		close_fd("a");
		region_release("khotest");
		run("dmesg | grep -E 'Freeing reserve_mem:khotest memory: (1028|1088)K'");
		keep("main", b);
		break;
	case 2:
		no_faults();
		not_revived("khotest");
		claim("main", b);
		churn();
		break;
	}
}
