// SPDX-License-Identifier: GPL-2.0
/*
 * KUnit tests of the keys in the map of preserved memory.  A key stands for a
 * block of pages.  kho_abi_kunit.c tests the exact values of keys.
 */

#include <kunit/test.h>
#include <linux/array_size.h>
#include <linux/bits.h>
#include <linux/kho/abi/kexec_handover.h>
#include <linux/module.h>

/* Number of keys in one leaf of the tree. */
#define LEAF_KEYS	BIT(KHO_BITMAP_SIZE_LOG2)

static void kho_radix_key_test_orders(struct kunit *test)
{
	for (unsigned int order = 0; order <= KHO_MAX_ORDER; order++) {
		phys_addr_t size = (phys_addr_t)PAGE_SIZE << order;
		const phys_addr_t addresses[] = { 0, size, 5 * size, -size };

		for (int i = 0; i < ARRAY_SIZE(addresses); i++) {
			unsigned long key = kho_encode_key(addresses[i], order);
			phys_addr_t phys = ~addresses[i];
			unsigned int got = ~order;

			KUNIT_ASSERT_TRUE_MSG(test, kho_decode_key(key, &phys, &got),
					      "order %u, key %#lx", order, key);
			KUNIT_EXPECT_EQ(test, got, order);
			KUNIT_EXPECT_EQ(test, phys, addresses[i]);
		}
	}
}

/* All keys of a leaf have one order, and every key fits into the tree. */
static void kho_radix_key_test_width(struct kunit *test)
{
	for (unsigned int order = 0; order <= KHO_MAX_ORDER; order++) {
		unsigned long key = kho_encode_key(0, order);

		KUNIT_EXPECT_EQ(test, key, BIT(KHO_RADIX_KEY_WIDTH - 1 - order));
		KUNIT_EXPECT_GE(test, key, LEAF_KEYS);
	}
}

static void kho_radix_key_test_neighbours(struct kunit *test)
{
	KUNIT_EXPECT_EQ(test, kho_encode_key(7 * PAGE_SIZE, 0) + 1,
			kho_encode_key(8 * PAGE_SIZE, 0));
	KUNIT_EXPECT_EQ(test, kho_encode_key(12 * PAGE_SIZE, 2) + 1,
			kho_encode_key(16 * PAGE_SIZE, 2));
}

static const struct bad_key {
	const char *name;
	unsigned long key;
} bad_keys[] = {
	{ "no bit", 0 },
	{ "lowest bit", 1 },
	{ "marker below the largest order", LEAF_KEYS >> 1 },
	{ "last key of the first leaf", LEAF_KEYS - 1 },
	{ "marker above order 0", BIT(KHO_RADIX_KEY_WIDTH) },
	{ "all bits", ~0UL },
};

KUNIT_ARRAY_PARAM_DESC(bad_key, bad_keys, name);

static void kho_radix_key_test_refused(struct kunit *test)
{
	const struct bad_key *bad = test->param_value;
	phys_addr_t phys = 0x5000;
	unsigned int order = 42;

	KUNIT_EXPECT_FALSE(test, kho_decode_key(bad->key, &phys, &order));
	KUNIT_EXPECT_EQ(test, phys, 0x5000);
	KUNIT_EXPECT_EQ(test, order, 42);
}

static struct kunit_case kho_radix_key_cases[] = {
	KUNIT_CASE(kho_radix_key_test_orders),
	KUNIT_CASE(kho_radix_key_test_width),
	KUNIT_CASE(kho_radix_key_test_neighbours),
	KUNIT_CASE_PARAM(kho_radix_key_test_refused, bad_key_gen_params),
	{}
};

static struct kunit_suite kho_radix_key_suite = {
	.name = "kho-radix-key",
	.test_cases = kho_radix_key_cases,
};

kunit_test_suite(kho_radix_key_suite);

MODULE_DESCRIPTION("KUnit tests of the keys of the KHO memory map");
MODULE_LICENSE("GPL");
