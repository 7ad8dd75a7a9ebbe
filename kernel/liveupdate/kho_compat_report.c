// SPDX-License-Identifier: GPL-2.0
/*
 * Report of the versions in a handover: each difference is logged once, and
 * debugfs lists all comparisons.
 *
 * The strings are copied: those of the previous kernel are in memory that is
 * freed, those of this kernel may be in a module.
 */

#define pr_fmt(fmt) "KHO: compat: " fmt

#include <linux/array_size.h>
#include <linux/cleanup.h>
#include <linux/kho/compat.h>
#include <linux/minmax.h>
#include <linux/printk.h>
#include <linux/seq_file.h>
#include <linux/spinlock.h>
#include <linux/string.h>
#include <linux/string_helpers.h>

#include "kexec_handover_internal.h"

/* Maximum number of comparisons in debugfs.  Others are only logged. */
#define KHO_COMPAT_RECORDS	16

/* Maximum number of characters of a malformed string in the log. */
#define KHO_COMPAT_EXCERPT	24

static struct kho_compat_record {
	size_t size;
	char offered[KHO_COMPAT_MAX];
	char supported[64];
} kho_compat_records[KHO_COMPAT_RECORDS];

static unsigned int kho_compat_nr_records;
static DEFINE_SPINLOCK(kho_compat_lock);

static const char * const kho_compat_words[] = {
	[KHO_COMPAT_SAME] = "same",
	[KHO_COMPAT_OTHER] = "other",
	[KHO_COMPAT_MISSING] = "missing",
	[KHO_COMPAT_UNKNOWN] = "unknown",
	[KHO_COMPAT_MALFORMED] = "malformed",
};

/* Return false when the same comparison was reported before. */
static bool kho_compat_remember(const char *offered, size_t size,
				const char *supported)
{
	struct kho_compat_record *rec;

	size = min_t(size_t, size, KHO_COMPAT_MAX);

	guard(spinlock_irqsave)(&kho_compat_lock);

	for (unsigned int i = 0; i < kho_compat_nr_records; i++) {
		rec = &kho_compat_records[i];
		if (rec->size != size || memcmp(rec->offered, offered, size))
			continue;
		if (!strcmp(rec->supported, supported))
			return false;
		/* A handler was registered or unregistered: the last comparison counts. */
		strscpy(rec->supported, supported);
		return true;
	}

	if (kho_compat_nr_records < ARRAY_SIZE(kho_compat_records)) {
		rec = &kho_compat_records[kho_compat_nr_records++];
		rec->size = size;
		memcpy(rec->offered, offered, size);
		strscpy(rec->supported, supported);
	}

	return true;
}

static const struct kho_compat_part *kho_compat_either(const struct kho_compat_it *it)
{
	return it->offered.len ? &it->offered : &it->supported;
}

static void kho_compat_print(const struct kho_compat_it *it)
{
	const struct kho_compat_part *named = kho_compat_either(it);
	const struct kho_compat_part none = { "none", 4 };
	const struct kho_compat_part *theirs = it->offered.len ? &it->offered : &none;
	const struct kho_compat_part *ours = it->supported.len ? &it->supported : &none;

	pr_warn_ratelimited("%.*s: previous kernel has %.*s, this one %.*s\n",
			    kho_compat_name_len(named), named->s, theirs->len,
			    theirs->s, ours->len, ours->s);
}

static void kho_compat_print_malformed(const char *offered, size_t size,
				       const char *supported, const char *why)
{
	char text[4 * KHO_COMPAT_EXCERPT + 1];
	size_t len;

	size = strnlen(offered, min_t(size_t, size, KHO_COMPAT_EXCERPT));
	len = string_escape_mem(offered, size, text, sizeof(text) - 1,
				ESCAPE_ANY | ESCAPE_NAP, NULL);
	text[len] = '\0';
	if (*supported)
		pr_warn_ratelimited("'%s' instead of '%s': %s\n", text,
				    supported, why);
	else
		pr_warn_ratelimited("'%s': %s\n", text, why);
}

/**
 * kho_compat_report - log a comparison and record it for debugfs
 * @offered: string of the previous kernel, not trusted
 * @size: bytes of the field that @offered is in
 * @supported: string of this kernel, empty for none
 *
 * The first report of a comparison logs a line for each component that differs.
 *
 * Context: Any.
 */
void kho_compat_report(const char *offered, size_t size, const char *supported)
{
	struct kho_compat_it it;
	const char *why;

	if (!kho_compat_remember(offered, size, supported))
		return;

	why = kho_compat_validate(offered, size);
	if (why) {
		kho_compat_print_malformed(offered, size, supported, why);
		return;
	}

	if (kho_compat_expand(offered) != offered)
		pr_info("'%s' stands for '%s'\n", offered,
			kho_compat_expand(offered));

	kho_compat_it_init(&it, offered, size, supported);
	while (kho_compat_it_next(&it)) {
		if (it.verdict != KHO_COMPAT_SAME)
			kho_compat_print(&it);
	}
}

/**
 * kho_compat_reported - check whether a comparison was reported
 *
 * Return: true when the previous kernel left a handover, of any version.
 */
bool kho_compat_reported(void)
{
	return READ_ONCE(kho_compat_nr_records);
}

static void kho_compat_show_part(struct seq_file *m,
				 const struct kho_compat_part *part,
				 unsigned int len)
{
	seq_printf(m, "%.*s ", len ?: 1, len ? part->s : "-");
}

static void kho_compat_show_record(struct seq_file *m,
				   const struct kho_compat_record *rec)
{
	struct kho_compat_part base = {
		rec->supported, strcspn(rec->supported, ";"),
	};
	struct kho_compat_it it;

	kho_compat_it_init(&it, rec->offered, rec->size, rec->supported);
	while (kho_compat_it_next(&it)) {
		const struct kho_compat_part *named = kho_compat_either(&it);

		if (it.verdict == KHO_COMPAT_MALFORMED)
			named = &base;
		else if (!base.len)
			base = it.offered;

		kho_compat_show_part(m, named, kho_compat_name_len(named));
		kho_compat_show_part(m, &it.offered, it.offered.len);
		kho_compat_show_part(m, &it.supported, it.supported.len);
		seq_printf(m, "%s ", kho_compat_words[it.verdict]);
		kho_compat_show_part(m, &base, kho_compat_name_len(&base));
		seq_putc(m, '\n');
	}
}

/**
 * kho_compat_show - list all comparisons so far
 * @m: the file; gets a line for each component: name, version of the previous
 *     kernel, version of this kernel, verdict, and the name of the base of the
 *     string
 * @v: unused
 *
 * Return: 0.
 */
int kho_compat_show(struct seq_file *m, void *v)
{
	guard(spinlock_irqsave)(&kho_compat_lock);

	for (unsigned int i = 0; i < kho_compat_nr_records; i++)
		kho_compat_show_record(m, &kho_compat_records[i]);
	return 0;
}
