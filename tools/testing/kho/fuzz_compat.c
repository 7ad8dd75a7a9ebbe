// SPDX-License-Identifier: GPL-2.0
/*
 * Fuzz target "compat": a string from another kernel.  Reading past its end is
 * detected, and the results of all functions must be consistent.
 */

#include "fuzz.h"

#include <kernel/liveupdate/kexec_handover_internal.h>
#include <linux/kho/abi/kexec_handover.h>
#include <linux/kho/abi/luo.h>
#include <linux/kho/abi/memfd.h>
#include <linux/kho/compat.h>

static const char * const ours[] = {
	KHO_FDT_COMPATIBLE, LUO_ABI_COMPATIBLE, MEMFD_LUO_FH_COMPATIBLE,
	KHO_FDT_COMPAT_BASE, KHO_RADIX_COMPATIBLE, "",
};

static void check_part(const struct kho_compat_part *part, const char *s, size_t size)
{
	/*
	 * A part is inside the string, unless it comes from an expanded alias.
	 */
	if (part->len && part->s >= s && part->s < s + size)
		BUG_ON(part->s + part->len > s + size);
	if (part->len)
		BUG_ON(memchr(part->s, ';', part->len) ||
		       kho_compat_name_len(part) > part->len);
}

static void check(const char *s, size_t size, const char *supported)
{
	bool same = true, covers = true, malformed = false;
	unsigned int steps = 0;
	struct kho_compat_it it;

	kho_compat_it_init(&it, s, size, supported);
	while (kho_compat_it_next(&it)) {
		BUG_ON(++steps > 2 * KHO_COMPAT_MAX);
		check_part(&it.offered, s, size);
		check_part(&it.supported, supported, strlen(supported));
		same &= it.verdict == KHO_COMPAT_SAME;
		covers &= it.verdict == KHO_COMPAT_SAME ||
			  it.verdict == KHO_COMPAT_UNKNOWN;
		malformed |= it.verdict == KHO_COMPAT_MALFORMED;
	}

	BUG_ON(malformed != !!kho_compat_validate(s, size));
	BUG_ON(malformed && steps != 1);
	BUG_ON(kho_compat_match(s, size, supported) != same);
	BUG_ON(kho_compat_includes(s, size, supported) != covers);
	if (!malformed && *supported)
		BUG_ON(same && !kho_compat_same_base(s, size, supported));
	kho_compat_report(s, size, supported);
}

FUZZ_TARGET(compat)
{
	static struct seq_file m;
	const char *supported = ours[in_below(in, ARRAY_SIZE(ours))];
	size_t size = in->end - in->at;
	char *s = malloc(size);

	memcpy(s, in->at, size);
	check(s, size, supported);
	kho_compat_has(s, size, KHO_VMALLOC_COMPATIBLE);

	/* A valid string matches itself. */
	if (!kho_compat_validate(s, size))
		BUG_ON(!kho_compat_match(s, size, s) && strlen(s));

	m.used = 0;
	kho_compat_show(&m, NULL);
	free(s);
}
