// SPDX-License-Identifier: GPL-2.0
/*
 * khoctl - inspects a handover, and checks before a kexec whether the next
 * kernel can read the data.
 */

#define _GNU_SOURCE
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "khoctl.h"

/* Options and arguments of a command. */
struct options {
	bool json;
	const char *root;
	const char *from;
	const char *to;
	const char *as;
	const char *memory;
	bool force;
	bool yes;
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
	fail("%s: expected %s; see 'khoctl --help'", verb, want);
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

/* Compares the kernels that the options name; NULL and a failure on error. */
static struct json_object *make_check(const struct options *o, int *status)
{
	struct set *sets = calloc(2, sizeof(*sets));
	struct json_object *result;

	*status = EXIT_UNKNOWN;
	if (!sets)
		return fail("out of memory"), NULL;
	result = check(o, &sets[0], &sets[1], status);
	set_free(&sets[0]);
	set_free(&sets[1]);
	free(sets);
	return result;
}

static int verb_check(const struct options *o)
{
	int status, failed;

	if (o->nr || !o->to)
		return wrong_words("check",
				   "--to IMAGE, and --from IMAGE unless the first kernel is the running one");
	failed = show_result(o, make_check(o, &status), print_check);
	return failed ?: status;
}

static int verb_dump(const struct options *o)
{
	if (o->nr != 1)
		return wrong_words("dump", "one file or folder");
	return show_result(o, dump_path(o->words[0], o->as, o->memory), print_tree);
}

static int verb_show(const struct options *o)
{
	if (o->nr)
		return wrong_words("show", "no arguments");
	return show_result(o, running_show(o->root), print_tree);
}

static int verb_timeline(const struct options *o)
{
	if (o->nr)
		return wrong_words("timeline", "no arguments");
	return show_result(o, timeline_show(o->root), print_timeline);
}

/*
 * Prints that a verb without output of its own is done, and the image or session that it
 * has acted on.  @key and @what are NULL if the verb has acted on neither.
 */
static int show_done(const struct options *o, const char *verb, const char *key, const char *what)
{
	struct json_object *done = json_result(verb);

	if (key)
		json_object_object_add(done, key, json_text(what, strlen(what)));
	return show_result(o, done, print_done);
}

/*
 * An image that would lose data is only loaded with --force.  The result of the
 * check is printed on stderr, so that stdout has one JSON object.
 */
static int verb_load(const struct options *o)
{
	struct options words = *o;
	struct json_object *result;
	int status;

	if (o->nr < 1)
		return wrong_words("load", "an image, then arguments for kexec");
	words.to = o->words[0];
	words.from = NULL;
	result = make_check(&words, &status);
	if (!result && !o->force)
		return complain();
	if (!result)
		complain();
	else if (status != EXIT_SAFE)
		fprintf(stderr, "khoctl: %s: %s\n", words.to, json_string(result, "sentence"));
	json_object_put(result);
	if (status != EXIT_SAFE && !o->force)
		return status;

	return load_image(o->words) ? complain() : show_done(o, "load", "image", words.to);
}

/* Asks the user, unless --yes is given. */
static int agreed(const struct options *o, const char *question)
{
	return o->yes || confirm(question) ? 0 : fail("nothing was done");
}

static int verb_finish(const struct options *o)
{
	char question[256];

	if (o->nr != 1)
		return wrong_words("finish", "the name of one session");
	snprintf(question, sizeof(question),
		 "Finish session '%.64s'? Files that were not retrieved are lost.", o->words[0]);
	if (agreed(o, question) || finish_session(o->root, o->words[0], o->force))
		return complain();
	return show_done(o, "finish", "session", o->words[0]);
}

static int verb_release(const struct options *o)
{
	if (o->nr)
		return wrong_words("release", "no arguments");
	if (agreed(o, "Release unclaimed memory? Data that no owner has restored is lost.") ||
	    release_unclaimed(o->root))
		return complain();
	return show_done(o, "release", NULL, NULL);
}

static const struct verb {
	const char *name;
	int (*run)(const struct options *o);
	bool passes_words;	/* options after the first argument are for another program */
} verbs[] = {
	{ "abi", verb_abi, false },
	{ "check", verb_check, false },
	{ "dump", verb_dump, false },
	{ "finish", verb_finish, false },
	{ "load", verb_load, true },
	{ "release", verb_release, false },
	{ "show", verb_show, false },
	{ "timeline", verb_timeline, false },
};

static const char help[] =
"usage: khoctl abi [IMAGE]                     versions of the running kernel or of an image\n"
"       khoctl check [--from IMAGE] --to IMAGE  can the second kernel read what the first writes?\n"
"       khoctl dump [--as TYPE] FILE|FOLDER    data of a handover, decoded\n"
"       khoctl show                            outgoing and incoming data of this kernel\n"
"       khoctl timeline                        when both kernels reached each step\n"
"       khoctl load [--force] IMAGE [WORDS]    check, then 'kexec -s -l IMAGE WORDS'\n"
"       khoctl finish [-y] [--force] SESSION   end an incoming session\n"
"       khoctl release [-y]                    free the memory that no owner has restored\n"
"\n"
"  -j, --json       the result as JSON\n"
"  -R, --root DIR   read a copy of /sys, /proc and /dev below DIR\n"
"  -f, --from IMAGE the first kernel, instead of the running one\n"
"  -t, --to IMAGE   the second kernel, which kexec would start\n"
"  -a, --as TYPE    type of the file that dump decodes:\n"
"                   tree, luo, sessions, files, memfd, metadata, timeline\n"
"  -m, --memory CORE  vmcore with the preserved pages, for dump with a folder\n"
"  -F, --force      load what the check refuses; finish files without a handler\n"
"  -y, --yes        do not ask\n"
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
	{ "memory", required_argument, NULL, 'm' },
	{ "force", no_argument, NULL, 'F' },
	{ "yes", no_argument, NULL, 'y' },
	{ "help", no_argument, NULL, 'h' },
	{ }
};

/* Returns -1 to continue, or the exit status. */
static int read_options(struct options *o, int argc, char **argv, const char *letters)
{
	int c;

	while ((c = getopt_long(argc, argv, letters, long_options, NULL)) != -1) {
		switch (c) {
		case 'j':
			o->json = true;
			break;
		case 'R':
			o->root = optarg;
			break;
		case 'f':
			o->from = optarg;
			break;
		case 't':
			o->to = optarg;
			break;
		case 'a':
			o->as = optarg;
			break;
		case 'm':
			o->memory = optarg;
			break;
		case 'F':
			o->force = true;
			break;
		case 'y':
			o->yes = true;
			break;
		case 'h':
			fputs(help, stdout);
			return EXIT_SAFE;
		default:
			return EXIT_UNKNOWN;
		}
	}
	return -1;
}

static const struct verb *find_verb(const char *name)
{
	for (size_t i = 0; i < sizeof(verbs) / sizeof(*verbs); i++) {
		if (!strcmp(verbs[i].name, name))
			return &verbs[i];
	}
	fail("'%s' is not a verb: 'khoctl --help' has all of them", name);
	return NULL;
}

#define LETTERS	"jR:f:t:a:m:Fyh"

int main(int argc, char **argv)
{
	struct options o = { .root = "" };
	const struct verb *verb;
	int at, status = read_options(&o, argc, argv, "+" LETTERS);

	if (status >= 0)
		return status;
	if (optind == argc) {
		fputs(help, stderr);
		return EXIT_UNKNOWN;
	}
	verb = find_verb(argv[optind]);
	if (!verb)
		return complain();

	/* Options may follow the verb.  getopt_long() expects the program name before them. */
	at = optind;
	argv[at] = argv[0];
	optind = 0;
	status = read_options(&o, argc - at, argv + at, verb->passes_words ? "+" LETTERS : LETTERS);
	if (status >= 0)
		return status;
	o.nr = argc - at - optind;
	o.words = argv + at + optind;
	return verb->run(&o);
}
