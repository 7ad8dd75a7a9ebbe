// SPDX-License-Identifier: GPL-2.0
/* The kernel's log, see print.h. */

#include "../shims.h"

static char buf[1 << 16];
static size_t used;
unsigned int sim_interval;
bool sim_log_shown;

/* Pointer formats that only the kernel has. */
static int print_pointer(char *to, size_t size, char kind, const void *p)
{
	switch (kind) {
	case 'a':
		return snprintf(to, size, "0x%016llx", *(const u64 *)p);
	case 'e':
		if (IS_ERR(p))
			return snprintf(to, size, "%ld", PTR_ERR(p));
		fallthrough;
	default:
		return snprintf(to, size, "%p", p);
	}
}

/* %*pE: characters that cannot be printed become octal numbers. */
static int print_escaped(char *to, size_t size, int len, va_list *args)
{
	const u8 *text = va_arg(*args, u8 *);
	size_t at = 0;

	for (int i = 0; i < len && at + 5 < size; i++) {
		if (text[i] >= ' ' && text[i] <= '~')
			to[at++] = text[i];
		else
			at += snprintf(to + at, size - at, "\\%03o", text[i]);
	}
	return at;
}

/* Prints one argument with the format in @spec, whose last character is @c. */
static int print_spec(char *to, size_t size, const char *spec, va_list *args)
{
	size_t len = strlen(spec);
	char c = spec[len - 1];
	bool wide = strchr(spec, 'l') || strchr(spec, 'z');
	int star;

	if (strchr(spec, '*')) {
		star = va_arg(*args, int);
		if (c == 's')
			return snprintf(to, size, spec, star, va_arg(*args, char *));
		if (wide)
			return snprintf(to, size, spec, star, va_arg(*args, long));
		return snprintf(to, size, spec, star, va_arg(*args, int));
	}
	if (c == 's')
		return snprintf(to, size, spec, va_arg(*args, char *));
	if (c == '%')
		return snprintf(to, size, "%%");
	if (wide)
		return snprintf(to, size, spec, va_arg(*args, long));
	return snprintf(to, size, spec, va_arg(*args, int));
}

int sim_vsnprintf(char *to, size_t size, const char *fmt, va_list list)
{
	va_list args;
	size_t at = 0;

	va_copy(args, list);
	while (*fmt && at + 1 < size) {
		size_t len = strcspn(fmt + 1, "diuxXcsp%") + 2;
		char spec[16];

		if (*fmt != '%') {
			to[at++] = *fmt++;
			continue;
		}
		BUG_ON(len >= sizeof(spec));
		memcpy(spec, fmt, len);
		spec[len] = 0;
		fmt += len;
		if (!strcmp(spec, "%*p") && *fmt == 'E') {
			fmt++;
			at += print_escaped(to + at, size - at, va_arg(args, int),
					    &args);
		} else if (spec[len - 1] == 'p') {
			char kind = *fmt == 'a' || *fmt == 'e' ? *fmt++ : 0;

			at += print_pointer(to + at, size - at, kind,
					    va_arg(args, void *));
		} else {
			at += print_spec(to + at, size - at, spec, &args);
		}
	}
	va_end(args);

	at = min(at, size - 1);
	to[at] = 0;
	return at;
}

void sim_printk(const char *fmt, ...)
{
	va_list args;

	/* A full log is cleared, as the last lines matter most. */
	if (used > sizeof(buf) - 1024)
		used = 0;

	va_start(args, fmt);
	if (sim_log_shown) {
		char line[1024];

		sim_vsnprintf(line, sizeof(line), fmt, args);
		fprintf(stderr, "%s", line);
	}
	used += sim_vsnprintf(buf + used, sizeof(buf) - used, fmt, args);
	va_end(args);
}

void sim_log_clear(void)
{
	used = 0;
	buf[0] = 0;
}

const char *sim_log(void)
{
	return buf;
}

bool sim_logged(const char *text)
{
	return strstr(buf, text);
}
