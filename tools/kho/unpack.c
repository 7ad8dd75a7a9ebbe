// SPDX-License-Identifier: GPL-2.0
/*
 * Unpacks compressed kernels.  The build of a kernel appends data to the compressed
 * stream.  Each stream is read to its end, and the bytes after it are ignored.
 */

#include <stdlib.h>
#include <string.h>

#include <lz4.h>
#include <lzma.h>
#include <zlib.h>
#include <zstd.h>

#ifdef HAVE_BZIP2
#include <bzlib.h>
#endif
#ifdef HAVE_LZO
#include <lzo/lzo1x.h>
#endif

#include "khoctl.h"

#define STEP		(1UL << 20)

/* Larger than any kernel; a small damaged file may unpack to any size. */
size_t unpack_limit = 1UL << 30;

/* A buffer for unpacked data, which grows. */
struct out {
	uint8_t *data;
	size_t size;
	size_t capacity;
};

/* Makes space for @more bytes. */
static int out_grow(struct out *out, size_t more)
{
	size_t capacity = out->capacity ?: STEP;
	uint8_t *data;

	if (more > unpack_limit - out->size)
		return fail("unpacks to more than %zu MiB", unpack_limit >> 20);
	while (capacity < out->size + more)
		capacity *= 2;
	if (capacity == out->capacity)
		return 0;

	data = realloc(out->data, capacity);
	if (!data)
		return fail("out of memory");
	out->data = data;
	out->capacity = capacity;
	return 0;
}

static int unpack_gzip(const struct blob *in, struct out *out)
{
	z_stream z = { .next_in = (void *)in->data, .avail_in = in->size };
	int ret = inflateInit2(&z, 16 + MAX_WBITS);

	while (ret == Z_OK) {
		if (out_grow(out, STEP)) {
			inflateEnd(&z);
			return -1;
		}
		z.next_out = out->data + out->size;
		z.avail_out = STEP;
		ret = inflate(&z, Z_NO_FLUSH);
		out->size += STEP - z.avail_out;
	}
	inflateEnd(&z);

	return ret == Z_STREAM_END ? 0 : fail("gzip stream is damaged or ends early");
}

static int unpack_lzma(const struct blob *in, struct out *out, bool alone)
{
	lzma_stream s = LZMA_STREAM_INIT;
	lzma_ret ret = alone ? lzma_alone_decoder(&s, unpack_limit) :
			       lzma_stream_decoder(&s, unpack_limit, 0);

	s.next_in = in->data;
	s.avail_in = in->size;
	while (ret == LZMA_OK) {
		if (out_grow(out, STEP)) {
			lzma_end(&s);
			return -1;
		}
		s.next_out = out->data + out->size;
		s.avail_out = STEP;
		ret = lzma_code(&s, LZMA_RUN);
		out->size += STEP - s.avail_out;
	}
	lzma_end(&s);

	return ret == LZMA_STREAM_END ? 0 : fail("%s stream is damaged or ends early",
						 alone ? "lzma" : "xz");
}

static int unpack_xz(const struct blob *in, struct out *out)
{
	return unpack_lzma(in, out, false);
}

static int unpack_alone(const struct blob *in, struct out *out)
{
	return unpack_lzma(in, out, true);
}

static int unpack_zstd(const struct blob *in, struct out *out)
{
	ZSTD_inBuffer src = { in->data, in->size, 0 };
	ZSTD_DCtx *ctx = ZSTD_createDCtx();
	size_t ret = 1;

	if (!ctx)
		return fail("out of memory");
	/* Kernels are compressed with windows of up to 128 MiB. */
	ZSTD_DCtx_setParameter(ctx, ZSTD_d_windowLogMax, 27);
	while (ret && !ZSTD_isError(ret)) {
		ZSTD_outBuffer dst = { NULL, STEP, 0 };
		size_t before = src.pos;

		if (out_grow(out, STEP)) {
			ZSTD_freeDCtx(ctx);
			return -1;
		}
		dst.dst = out->data + out->size;
		ret = ZSTD_decompressStream(ctx, &dst, &src);
		out->size += dst.pos;
		if (!dst.pos && src.pos == before)
			break;
	}
	ZSTD_freeDCtx(ctx);

	return ret ? fail("zstd stream is damaged or ends early") : 0;
}

/* The legacy format of lz4: each block follows its compressed size. */
#define LZ4_BLOCK	(8UL << 20)

static int unpack_lz4(const struct blob *in, struct out *out)
{
	struct blob block;
	size_t at = 4;

	while (at + 4 <= in->size) {
		uint32_t size = get32(in->data + at);
		int got;

		at += 4;
		/* The build appends the size of the kernel, which is not a block. */
		if (!size || size > LZ4_COMPRESSBOUND(LZ4_BLOCK) ||
		    !blob_part(in, at, size, &block))
			break;
		if (out_grow(out, LZ4_BLOCK))
			return -1;
		got = LZ4_decompress_safe((void *)block.data, (void *)(out->data + out->size),
					  size, LZ4_BLOCK);
		if (got < 0)
			return fail("lz4 stream is damaged");
		out->size += got;
		at += size;
		if ((size_t)got < LZ4_BLOCK)
			break;
	}

	return out->size ? 0 : fail("lz4 stream is damaged or ends early");
}

#ifdef HAVE_BZIP2
static int unpack_bzip2(const struct blob *in, struct out *out)
{
	bz_stream s = { .next_in = (void *)in->data, .avail_in = in->size };
	int ret = BZ2_bzDecompressInit(&s, 0, 0);

	while (ret == BZ_OK) {
		unsigned int left = s.avail_in;

		if (out_grow(out, STEP)) {
			BZ2_bzDecompressEnd(&s);
			return -1;
		}
		s.next_out = (char *)out->data + out->size;
		s.avail_out = STEP;
		ret = BZ2_bzDecompress(&s);
		out->size += STEP - s.avail_out;
		if (s.avail_out == STEP && left == s.avail_in)
			break;
	}
	BZ2_bzDecompressEnd(&s);

	return ret == BZ_STREAM_END ? 0 : fail("bzip2 stream is damaged or ends early");
}
#endif

#ifdef HAVE_LZO
#define LZO_ADLER32_D	0x001
#define LZO_ADLER32_C	0x002
#define LZO_FILTER	0x800
#define LZO_CRC32_D	0x100
#define LZO_CRC32_C	0x200
#define LZO_BLOCK	(64UL << 20)

/* Offset of the first block in a file of lzop, 0 if the file is too short. */
static size_t lzop_blocks(const struct blob *in, uint32_t *flags)
{
	size_t at = 9, version, name;

	if (in->size < 48)
		return 0;
	version = in->data[at] << 8 | in->data[at + 1];
	/* versions of lzop, of its library and of the format, method and level */
	at += version >= 0x940 ? 8 : 5;
	*flags = get32_big(in->data + at);
	at += *flags & LZO_FILTER ? 8 : 4;
	/* mode and time */
	at += version >= 0x940 ? 12 : 8;
	name = in->data[at];
	at += 1 + name + 4;

	return at < in->size ? at : 0;
}

static int unpack_lzo(const struct blob *in, struct out *out)
{
	uint32_t flags, full, size, sums;
	struct blob block;
	size_t at = lzop_blocks(in, &flags);

	while (at && at + 8 <= in->size) {
		lzo_uint got;

		full = get32_big(in->data + at);
		if (!full)
			return 0;
		size = get32_big(in->data + at + 4);
		sums = !!(flags & LZO_ADLER32_D) + !!(flags & LZO_CRC32_D);
		if (size < full)
			sums += !!(flags & LZO_ADLER32_C) + !!(flags & LZO_CRC32_C);
		at += 8 + 4 * sums;
		if (full > LZO_BLOCK || size > full || !blob_part(in, at, size, &block))
			break;
		if (out_grow(out, full))
			return -1;
		got = full;
		if (size == full)
			memcpy(out->data + out->size, block.data, size);
		else if (lzo1x_decompress_safe(block.data, size, out->data + out->size, &got, NULL))
			break;
		out->size += got;
		at += size;
	}

	return fail("lzo stream is damaged or ends early");
}
#endif

static const struct packer {
	const char *name;
	const char *magic;
	size_t len;
	int (*unpack)(const struct blob *in, struct out *out);
} packers[] = {
	{ "gzip", "\x1f\x8b\x08", 3, unpack_gzip },
	{ "xz", "\xfd" "7zXZ", 6, unpack_xz },
	{ "zstd", "\x28\xb5\x2f\xfd", 4, unpack_zstd },
	{ "lz4", "\x02\x21\x4c\x18", 4, unpack_lz4 },
#ifdef HAVE_BZIP2
	{ "bzip2", "BZh", 3, unpack_bzip2 },
#else
	{ "bzip2", "BZh", 3, NULL },
#endif
#ifdef HAVE_LZO
	{ "lzo", "\x89LZO\0\r\n\x1a\n", 9, unpack_lzo },
#else
	{ "lzo", "\x89LZO\0\r\n\x1a\n", 9, NULL },
#endif
	/*
	 * This format has no magic number.  Compare the start of a header with
	 * the usual settings, after all other formats.
	 */
	{ "lzma", "\x5d\0\0", 3, unpack_alone },
};

static const struct packer *find_packer(const struct blob *packed)
{
	for (size_t i = 0; i < sizeof(packers) / sizeof(*packers); i++) {
		if (blob_starts(packed, packers[i].magic, packers[i].len))
			return &packers[i];
	}
	return NULL;
}

/* Name of the compressor, NULL if @packed is not compressed. */
const char *unpack_name(const struct blob *packed)
{
	const struct packer *packer = find_packer(packed);

	return packer ? packer->name : NULL;
}

int unpack(const struct blob *packed, struct blob *plain)
{
	const struct packer *packer = find_packer(packed);
	struct out out = { };

	if (!packer)
		return fail("not compressed in a way that khoctl knows");
	if (!packer->unpack)
		return fail("compressed with %s, which this khoctl was built without",
			    packer->name);
	if (packer->unpack(packed, &out)) {
		free(out.data);
		return -1;
	}
	*plain = (struct blob){ .data = out.data, .size = out.size, .owned = true };
	return 0;
}
