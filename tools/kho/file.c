// SPDX-License-Identifier: GPL-2.0
/* Reads files into memory, and numbers from memory. */

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "khoctl.h"

/* Larger than any kernel; the size of files in sysfs and debugfs is unknown. */
#define FILE_MAX	(1UL << 30)
#define STEP		65536

uint16_t get16(const uint8_t *p)
{
	return p[0] | p[1] << 8;
}

uint32_t get32(const uint8_t *p)
{
	return get16(p) | (uint32_t)get16(p + 2) << 16;
}

uint64_t get64(const uint8_t *p)
{
	return get32(p) | (uint64_t)get32(p + 4) << 32;
}

uint32_t get32_big(const uint8_t *p)
{
	return (uint32_t)p[0] << 24 | p[1] << 16 | p[2] << 8 | p[3];
}

void blob_free(struct blob *blob)
{
	if (blob->owned)
		free((void *)blob->data);
	*blob = (struct blob){ };
}

/* Returns false if the part is not inside @blob. */
bool blob_part(const struct blob *blob, uint64_t offset, uint64_t size, struct blob *part)
{
	if (offset > blob->size || size > blob->size - offset)
		return false;
	*part = (struct blob){ .data = blob->data + offset, .size = size };
	return true;
}

bool blob_starts(const struct blob *blob, const char *with, size_t len)
{
	return blob->size >= len && !memcmp(blob->data, with, len);
}

static int fd_read(int fd, const char *path, struct blob *blob)
{
	uint8_t *data = NULL;
	size_t size = 0, capacity = 0;
	ssize_t got;

	do {
		if (size == capacity) {
			uint8_t *more = realloc(data, capacity = capacity ? 2 * capacity : STEP);

			if (!more || capacity > FILE_MAX) {
				free(more ?: data);
				return fail("%s: larger than %lu MiB", path, FILE_MAX >> 20);
			}
			data = more;
		}
		got = read(fd, data + size, capacity - size);
		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0) {
			free(data);
			return fail("%s: %s", path, strerror(errno));
		}
		size += got;
	} while (got);

	*blob = (struct blob){ .data = data, .size = size, .owned = true };
	return 0;
}

/* Reads the whole file.  Pipes and devices are refused, because they may not end. */
int blob_read(const char *path, struct blob *blob)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	struct stat st;
	int err;

	if (fd < 0)
		return fail("%s: %s", path, strerror(errno));
	if (fstat(fd, &st))
		err = fail("%s: %s", path, strerror(errno));
	else if (S_ISDIR(st.st_mode))
		err = fail("%s: is a folder", path);
	else if (!S_ISREG(st.st_mode))
		err = fail("%s: is not a regular file", path);
	else
		err = fd_read(fd, path, blob);
	close(fd);
	return err;
}

int path_below(const char *root, const char *path, char *name, size_t size)
{
	if (snprintf(name, size, "%s%s", root, path) >= (int)size)
		return fail("%s: too long", root);
	return 0;
}

int read_below(const char *root, const char *path, struct blob *blob)
{
	char name[4096];

	return path_below(root, path, name, sizeof(name)) ?: blob_read(name, blob);
}

/* Calls @visit for each line of a text: a key, a colon and a value. */
void text_lines(const struct blob *text, line_visit visit, void *ctx)
{
	char *copy = strndup((const char *)text->data, text->size), *line, *value, *rest = NULL;

	for (line = copy ? strtok_r(copy, "\n", &rest) : NULL; line;
	     line = strtok_r(NULL, "\n", &rest)) {
		value = strstr(line, ": ");
		if (!value)
			continue;
		*value = '\0';
		visit(ctx, line, value + 2);
	}
	free(copy);
}
