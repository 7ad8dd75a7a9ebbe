// SPDX-License-Identifier: GPL-2.0
/* The outgoing handover in debugfs: versions and preserved memory. */

#include "shims.h"

#include <kernel/liveupdate/kexec_handover_internal.h>
#include <linux/kexec_handover.h>

static char *shown(struct kunit *test, int (*show)(struct seq_file *m, void *v))
{
	struct seq_file *m = kunit_kzalloc(test, sizeof(*m), GFP_KERNEL);

	KUNIT_EXPECT_EQ(test, show(m, NULL), 0);
	return m->text;
}

static bool has_line(const char *text, const char *line)
{
	size_t len = strlen(line);

	for (; text; text = strchr(text, '\n'), text = text ? text + 1 : NULL) {
		if (!strncmp(text, line, len) && text[len] == '\n')
			return true;
	}
	return false;
}

static void out_report_test_compat(struct kunit *test)
{
	static const char * const lines[] = {
		"kho: kho-v4;radix-v1;vmalloc-v1", "radix: radix-v1", "vmalloc: vmalloc-v1",
		"block: block-v1", "luo: luo-v5;block-v1", "memfd: memfd-v2;vmalloc-v1",
		"kexec-metadata: kexec-metadata-v1", "timeline: timeline-v1",
	};
	const char *text = shown(test, kho_out_compat_show);

	for (unsigned int i = 0; i < ARRAY_SIZE(lines); i++)
		KUNIT_EXPECT_TRUE_MSG(test, has_line(text, lines[i]), "%s", lines[i]);
	/* An alias, such as "kho-v4" alone, is never written. */
	KUNIT_EXPECT_NULL(test, strstr(text, "kho-v4: "));
}

static unsigned long long value(const char *text, const char *key)
{
	const char *at = strstr(text, key);

	return at ? strtoull(at + strlen(key), NULL, 10) : 0;
}

static void out_report_test_preserved(struct kunit *test)
{
	const char *before = shown(test, kho_out_preserved_show), *after;
	struct page *page = alloc_pages(GFP_KERNEL, 3);

	KUNIT_ASSERT_NOT_NULL(test, page);
	KUNIT_ASSERT_EQ(test, kho_preserve_pages(page, 8), 0);
	after = shown(test, kho_out_preserved_show);
	KUNIT_EXPECT_EQ(test, value(before, "order 3: "), 0);
	KUNIT_EXPECT_EQ(test, value(after, "order 3: "), 8 * PAGE_SIZE);
	KUNIT_EXPECT_NULL(test, strstr(after, "order 4: "));
	KUNIT_EXPECT_EQ(test, value(after, "total: "), value(before, "total: ") + 8 * PAGE_SIZE);
	KUNIT_EXPECT_EQ(test, value(after, "order 0: "), value(before, "order 0: "));
	KUNIT_EXPECT_GE(test, value(after, "map: "), value(before, "map: ") + PAGE_SIZE);

	kho_unpreserve_pages(page, 8);
	after = shown(test, kho_out_preserved_show);
	KUNIT_EXPECT_EQ(test, value(after, "total: "), value(before, "total: "));
	__free_pages(page, 3);
}

static void out_report_exit(struct kunit *test)
{
	sim_boot_cold();
}

static struct kunit_case out_report_cases[] = {
	KUNIT_CASE(out_report_test_compat),
	KUNIT_CASE(out_report_test_preserved),
	{}
};

static struct kunit_suite out_report_suite = {
	.name = "unit-out-report",
	.exit = out_report_exit,
	.test_cases = out_report_cases,
};

kunit_test_suite(out_report_suite);
