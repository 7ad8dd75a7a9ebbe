// SPDX-License-Identifier: GPL-2.0
/*
 * khoctl - looks inside a handover, and tells before a kexec whether the next
 * kernel can read it.
 */

#define _GNU_SOURCE
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "khoctl.h"

/* What the words of a command ask for. */
struct options {
	bool json;
	const char *root;
	const char *from;
	const char *to;
	const char *as;
	int nr;
	char **words;
};

static int complain(void)
{
	fprintf(stderr, "khoctl: %s\n", failure());
	return EXIT_UNKNOWN;
}

static int show_result(const struct options *o, struct json_object *what,
		       void (*print)(struct json_object *what))
{
	if (!what)
		return complain();
	if (o->json)
		print_json(what);
	else
		print(what);
	json_object_put(what);
	if (fflush(stdout) || ferror(stdout)) {
		fail("cannot write: %s", strerror(errno));
		return complain();
	}
	return EXIT_SAFE;
}

static int wrong_words(const char *verb, const char *want)
{
	fail("%s: want %s; 'khoctl --help' has all verbs", verb, want);
	return complain();
}

static int verb_abi(const struct options *o)
{
	struct set *set = calloc(1, sizeof(*set));
	int err, status;

	if (o->nr > 1) {
		free(set);
		return wrong_words("abi", "one image, or none for the running kernel");
	}
	if (!set)
		err = fail("out of memory");
	else
		err = o->nr ? image_open(o->words[0], set) : running_set(o->root, set);
	status = err ? complain() : show_result(o, set_json(set), print_abi);
	if (set)
		set_free(set);
	free(set);
	return status;
}

static struct json_object *check(const struct options *o, struct set *from, struct set *to,
				 int *status)
{
	struct json_object *result;
	char why[512] = "";
	struct use use;

	if (image_open(o->to, to))
		return NULL;
	if (o->from)
		return image_open(o->from, from) ? NULL : check_sets(from, to, NULL, status);

	if (running_set(o->root, from))
		return NULL;
	if (running_use(o->root, &use))
		snprintf(why, sizeof(why), "%s", failure());
	result = check_sets(from, to, &use, status);
	if (*why)
		json_object_object_add(result, "not_known", json_object_new_string(why));
	use_free(&use);
	return result;
}

static int verb_check(const struct options *o)
{
	struct set *sets = calloc(2, sizeof(*sets));
	int status = EXIT_UNKNOWN, failed;

	if (!sets) {
		fail("out of memory");
		return complain();
	}
	if (o->nr || !o->to) {
		free(sets);
		return wrong_words("check", "--to IMAGE, and --from IMAGE if it is not running");
	}
	failed = show_result(o, check(o, &sets[0], &sets[1], &status), print_check);
	set_free(&sets[0]);
	set_free(&sets[1]);
	free(sets);
	return failed ?: status;
}

static int verb_dump(const struct options *o)
{
	if (o->nr != 1)
		return wrong_words("dump", "one file or folder");
	return show_result(o, dump_path(o->words[0], o->as), print_tree);
}

static int verb_show(const struct options *o)
{
	if (o->nr)
		return wrong_words("show", "no words");
	return show_result(o, running_show(o->root), print_tree);
}

static const struct verb {
	const char *name;
	int (*run)(const struct options *o);
} verbs[] = {
	{ "abi", verb_abi },
	{ "check", verb_check },
	{ "dump", verb_dump },
	{ "show", verb_show },
};

static const char help[] =
"usage: khoctl abi [IMAGE]                     versions of the running kernel or of an image\n"
"       khoctl check [--from IMAGE] --to IMAGE  can the second kernel read what the first writes?\n"
"       khoctl dump [--as TYPE] FILE|FOLDER    data of a handover, decoded\n"
"       khoctl show                            what this kernel hands over, and what came in\n"
"\n"
"  -j, --json       the result as JSON\n"
"  -R, --root DIR   look below DIR instead of /\n"
"  -f, --from IMAGE the first kernel, instead of the running one\n"
"  -t, --to IMAGE   the kernel that is started\n"
"  -a, --as TYPE    of a file to dump: tree, luo, sessions, files, memfd\n"
"  -h, --help       this text\n"
"\n"
"IMAGE is a vmlinux, bzImage, arm64 Image, EFI zboot image or UKI, compressed or not.\n"
"exit status: 0 safe, 1 something in use would be lost, 2 cannot tell\n";

static const struct option long_options[] = {
	{ "json", no_argument, NULL, 'j' },
	{ "root", required_argument, NULL, 'R' },
	{ "from", required_argument, NULL, 'f' },
	{ "to", required_argument, NULL, 't' },
	{ "as", required_argument, NULL, 'a' },
	{ "help", no_argument, NULL, 'h' },
	{ }
};

int main(int argc, char **argv)
{
	struct options o = { .root = "" };
	int c;

	while ((c = getopt_long(argc, argv, "jR:f:t:a:h", long_options, NULL)) != -1) {
		switch (c) {
		case 'j':
			o.json = true;
			break;
		case 'R':
			o.root = optarg;
			break;
		case 'f':
			o.from = optarg;
			break;
		case 't':
			o.to = optarg;
			break;
		case 'a':
			o.as = optarg;
			break;
		case 'h':
			fputs(help, stdout);
			return EXIT_SAFE;
		default:
			return EXIT_UNKNOWN;
		}
	}
	if (optind == argc) {
		fputs(help, stderr);
		return EXIT_UNKNOWN;
	}

	o.nr = argc - optind - 1;
	o.words = argv + optind + 1;
	for (size_t i = 0; i < sizeof(verbs) / sizeof(*verbs); i++) {
		if (!strcmp(verbs[i].name, argv[optind]))
			return verbs[i].run(&o);
	}
	fail("'%s' is not a verb: abi, check, dump, show", argv[optind]);
	return complain();
}
