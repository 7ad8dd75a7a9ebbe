// SPDX-License-Identifier: GPL-2.0
/*
 * Steps of a client of memcached: items of seeded data are set, and each is
 * compared.
 */

#include "handover.h"

#include <sys/socket.h>
#include <sys/un.h>

#define CACHE		"/run/memcached/socket"
#define WAIT_MS		10000	/* for the server to listen */
#define BATCH		50	/* keys in a request */
#define ITEM_MAX	1024

static size_t item_fill(u8 *item, u64 nr)
{
	size_t len = 100 + nr * 37 % 700;

	pattern_fill(item, len, nr, 0);

	return len;
}

static int cache_connect(void)
{
	struct sockaddr_un to = { .sun_family = AF_UNIX, .sun_path = CACHE };
	int sock = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	for (unsigned int ms = 0; sock >= 0 && ms < WAIT_MS; ms += 10) {
		if (!connect(sock, (struct sockaddr *)&to, sizeof(to)))
			return sock;
		usleep(10000);
	}
	close(sock);

	return problem(-ETIMEDOUT, CACHE ": %s", strerror(errno));
}

/* Runs @talk on a connection. */
static int with_cache(int (*talk)(FILE *in, FILE *out, u64 nr), u64 nr)
{
	FILE *in, *out;
	int sock, err;

	sock = cache_connect();
	if (sock < 0)
		return sock;
	in = fdopen(sock, "r");
	out = fdopen(dup(sock), "w");
	err = in && out ? talk(in, out, nr) : problem(-ENOMEM, "no memory");
	if (out)
		fclose(out);
	if (in)
		fclose(in);
	else
		close(sock);

	return err;
}

static int set_items(FILE *in, FILE *out, u64 nr)
{
	u8 item[ITEM_MAX];
	char line[128];

	for (u64 i = 0; i < nr; i++) {
		size_t len = item_fill(item, i);

		fprintf(out, "set k%llu 0 0 %zu noreply\r\n", i, len);
		fwrite(item, 1, len, out);
		fprintf(out, "\r\n");
	}
	/* memcached answers this after it has set all items. */
	fprintf(out, "version\r\n");
	if (fflush(out) || !fgets(line, sizeof(line), in))
		return problem(-EIO, "the connection broke");
	if (strncmp(line, "VERSION ", 8))
		return problem(-EIO, "memcached: %s", line);

	return 0;
}

/*
 * Counts valid items in an answer.  They must be in order, so that an item is
 * not counted twice.
 */
static int count_right(FILE *in, u64 from, u64 end)
{
	u8 item[ITEM_MAX], want[ITEM_MAX];
	unsigned long long nr;
	char line[128];
	int right = 0;
	size_t len;

	while (fgets(line, sizeof(line), in) && strcmp(line, "END\r\n")) {
		if (sscanf(line, "VALUE k%llu 0 %zu", &nr, &len) != 2 ||
		    len > ITEM_MAX || fread(item, 1, len, in) != len ||
		    !fgets(line, sizeof(line), in))
			return problem(-EIO, "memcached: %s", line);
		if (nr < from || nr >= end)
			continue;
		right += len == item_fill(want, nr) && !memcmp(item, want, len);
		from = nr + 1;
	}

	return right;
}

static int check_items(FILE *in, FILE *out, u64 nr)
{
	u64 right = 0;

	for (u64 from = 0, end; from < nr; from = end) {
		int more;

		end = min(from + BATCH, nr);
		fprintf(out, "get");
		for (u64 i = from; i < end; i++)
			fprintf(out, " k%llu", i);
		fprintf(out, "\r\n");
		fflush(out);
		more = count_right(in, from, end);
		if (more < 0)
			return more;
		right += more;
	}
	note("memcached has %llu of %llu items", right, nr);

	return right == nr ? 0 : problem(-EIO, "items are lost");
}

DEFINE_STEP_AS(items_set, (u64 nr), with_cache(set_items, nr), "items-set %llu", nr)
DEFINE_STEP_AS(items_check, (u64 nr), with_cache(check_items, nr), "items-check %llu",
	       nr)
