// SPDX-License-Identifier: GPL-2.0
/*
 * Cases of regions of reserve_mem=, and of the pages of lib/test_kho.c.
 */

#include "steps.h"

KHO_TEST(test_kho, "lib/test_kho.c restores the pages that it preserved in the first kernel.")
{
	if (hop)
		logs("KHO restore succeeded");
}

static void revived(const char *name)
{
	logs(textf("Revived memory reservation '%s'", name));
}

KHO_TEST(reserve_mem, "A reserve_mem= region keeps its place and its bytes through two kexecs.",
	 .hops = 3, .deadline = 30, .append = { "reserve_mem=4M:4096:khotest" })
{
	if (!hop)
		region_fill("khotest", 77);
	else
		revived("khotest");
	region_check("khotest", 77);
	if (hop != 1)
		return;
	churn();
	region_check("khotest", 77);
}

/* The base does not preserve the last partial page, and allows two regions in a page. */
KHO_TEST(reserve_mem_odd_size, "Regions that end within a page keep every byte through two kexecs.",
	 .hops = 3, .deadline = 30,
	 .append = { "reserve_mem=9001:64:first reserve_mem=4000001:64:second reserve_mem=64:64:third" })
{
	static const struct {
		const char *name;
		u64 size;
	} regions[] = { { "first", 9001 }, { "second", 4000001 }, { "third", 64 } };

	if (hop)
		churn();
	for (unsigned int i = 0; !hop && i < ARRAY_SIZE(regions); i++)
		region_fill(regions[i].name, regions[i].size);
	for (unsigned int i = 0; i < ARRAY_SIZE(regions); i++)
		region_check(regions[i].name, regions[i].size);
}

static void no_faults(void)
{
	logged("duplicate, the first owner", 0);
	logged("]: discarded", 0);
	logged("is lost", 0);
	logged("not preserved", 0);
}

static void not_revived(const char *name)
{
	logged(textf("Revived memory reservation '%s'", name), 0);
}

#define RELEASED(size) \
	"reserve_mem=" size ":2M:gone reserve_mem=1048577:64:khotest reserve_mem=5000:64:early"

/*
 * Regions are released before they are preserved, by the kernel that preserved
 * them, and by the next kernel.  Another file fills the rest of memory, so most of
 * the file only fits into memory of the region.  With KASLR, the kernel might be in
 * the middle of memory, without space for the large region on either side.
 */
KHO_TEST(reserve_mem_released,
	 "A released reserve_mem= region is not preserved, and a file in its memory is.",
	 .hops = 3, .memory = 1536, .deadline = 40,
	 .append = { RELEASED("520M") " nokaslr kho_scratch=64M,640M,128M test_kho.release=early",
		     RELEASED("20M") })
{
	static const struct memfd a[] = { { "a", 480 * MIB, 3 } };
	static const struct memfd b[] = { { "b", 400 * MIB, 4 } };

	if (!hop) {
		/* sizes with pages of 4 KiB and of 64 KiB */
		run("dmesg | grep -E 'Freeing reserve_mem:early memory: (8|64)K'");
		region_fill("khotest", 77);
		memfd("other", most_of_memory(), 5);
		region_release("gone");
		keep("main", a);
		region_reused();
		close_fd("other");
		region_check("khotest", 77);
	} else if (hop == 1) {
		no_faults();
		not_revived("early");
		not_revived("gone");
		revived("khotest");
		region_check("khotest", 77);
		claim("main", a);
		close_fd("a");
		region_release("khotest");
		run("dmesg | grep -E 'Freeing reserve_mem:khotest memory: (1028|1088)K'");
		keep("main", b);
	} else {
		no_faults();
		not_revived("khotest");
		claim("main", b);
		churn();
	}
}
