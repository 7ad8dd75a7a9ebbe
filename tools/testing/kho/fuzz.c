// SPDX-License-Identifier: GPL-2.0
/* Functions that fuzz targets share, see fuzz.h. */

#include "fuzz.h"

#include <kernel/liveupdate/kexec_handover_internal.h>

#define MAX_LANDMARKS	64

struct fuzz_target *fuzz_targets;

static struct {
	void *mem;
	size_t size;
} landmarks[MAX_LANDMARKS];

static unsigned int nr_landmarks;

u8 in_u8(struct input *in)
{
	return in->at < in->end ? *in->at++ : 0;
}

u16 in_u16(struct input *in)
{
	u16 low = in_u8(in);

	return low | in_u8(in) << 8;
}

u64 in_u64(struct input *in)
{
	u64 x = 0;

	for (int i = 0; i < 8; i++)
		x |= (u64)in_u8(in) << 8 * i;
	return x;
}

unsigned int in_below(struct input *in, unsigned int below)
{
	return (below > 256 ? in_u16(in) : in_u8(in)) % below;
}

bool in_left(const struct input *in)
{
	return in->at < in->end;
}

void fuzz_landmarks_reset(void)
{
	nr_landmarks = 0;
}

void fuzz_landmark(const void *mem, size_t size)
{
	if (nr_landmarks == MAX_LANDMARKS)
		return;
	landmarks[nr_landmarks].mem = (void *)mem;
	landmarks[nr_landmarks++].size = size;
}

static u64 landmark_phys(struct input *in)
{
	phys_addr_t end = SIM_PAGES * PAGE_SIZE;

	if (!nr_landmarks)
		return end;
	/*
	 * Landmarks outside of simulated memory count as the end of that
	 * memory.
	 */
	return min(virt_to_phys(landmarks[in_below(in, nr_landmarks)].mem), end);
}

u64 fuzz_value(struct input *in)
{
	static const u64 special[] = {
		0, 1, ~0ULL, 1ULL << 63, -PAGE_SIZE, 1ULL << 50, PAGE_SIZE,
		SIM_PAGES * PAGE_SIZE, (SIM_PAGES - 1) * PAGE_SIZE,
		SIM_PAGES / 2 * PAGE_SIZE, 0xffffffff, 1ULL << 32, 1ULL << 52,
	};

	switch (in_u8(in) % 8) {
	case 0:
		return in_u64(in);
	case 1:
		return in_u8(in);
	case 2:
		return in_u16(in);
	case 3:
		return (u64)in_below(in, SIM_PAGES) << PAGE_SHIFT;
	case 4:
		return BIT(in_u8(in) % 64) + (s8)in_u8(in);
	case 5:
		return special[in_below(in, ARRAY_SIZE(special))];
	case 6:
		return landmark_phys(in) + (s8)in_u8(in);
	default:
		return landmark_phys(in);
	}
}

static void damage_word(struct input *in)
{
	unsigned int which = in_below(in, nr_landmarks);
	size_t nr = landmarks[which].size / sizeof(u64);
	u64 *word = landmarks[which].mem;
	u8 how = in_u8(in);

	/* The first words are the most interesting ones. */
	word += in_below(in, min_t(size_t, nr, how & 8 ? 8 : 65536));
	switch (how % 4) {
	case 0:
		*word ^= BIT(in_u8(in) % 64);
		break;
	case 1:
		*word += (s8)in_u8(in);
		break;
	default:
		*word = fuzz_value(in);
	}
}

void fuzz_damage(struct input *in, unsigned int max)
{
	while (nr_landmarks && in_left(in) && max--)
		damage_word(in);
}

void fuzz_begin(void)
{
	fuzz_landmarks_reset();
	sim_boot_cold();
}

bool fuzz_hop(void)
{
	struct sim_handover h = sim_kexec();

	return sim_boot_warm(&h);
}

void fuzz_end(void)
{
	static struct seq_file m;
	struct page *page;

	m.used = 0;
	kho_unclaimed_show(&m, NULL);
	kho_compat_show(&m, NULL);
	kho_unclaimed_release();

	/*
	 * A handover that is refused before memory is reserved leaves memory
	 * free.  Without a free page, it must have been accepted, or discarded
	 * later.
	 */
	page = alloc_pages(GFP_KERNEL | __GFP_ZERO, 0);
	if (page)
		__free_page(page);
	else
		BUG_ON(!is_kho_boot() && !sim_logged("handover: discarded, invalid memory map:"));

	sim_kmalloc_forget();
	sim_vmalloc_forget();
}

void fuzz_run(const struct fuzz_target *target, const u8 *data, size_t size)
{
	struct input in = { data, data + size };

	sim_log_clear();
	target->one(&in);
}

const struct fuzz_target *fuzz_find(const char *name)
{
	const struct fuzz_target *t;

	for (t = fuzz_targets; t && strcmp(t->name, name); t = t->next)
		;
	return t;
}
