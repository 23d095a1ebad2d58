/* SPDX-License-Identifier: Apache-2.0 */
/* cgguard adjust: read and set oom_score_adj. */
#include "cmd.h"
#include "opt.h"
#include "print.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char help_adjust[] =
	"Usage: cgguard adjust [OPTION...] PID VALUE\n"
	"       cgguard adjust [OPTION...] --cgroup PATH VALUE\n"
	"Set oom_score_adj of a process, or of all in a cgroup and below, and say what it was "
	"before, and\n"
	"what it makes of the score. VALUE is from -1000 (never to be killed) to 1000; +N and +=N "
	"raise what\n"
	"it was by N, -=N lowers it (-N is the value -N). Each process is held by a pidfd.\n\n"
	"  --cgroup PATH  all of them; what they fork inherits it\n"
	"  --force        though it would leave a cgroup with memory.max without anybody whom the "
	"kernel may\n"
	"                 kill: at that limit, whoever asks for memory then spins\n"
	"  --root DIR     another cgroup2 mount, or a cgroup below one\n"
	"  --json         one JSON object for each process\n\n"
	"Going below what a process inherited takes CAP_SYS_RESOURCE, of the machine and not of a "
	"container.\n"
	"Exit codes: 0 done; 1 refused, or no such process; 2 a bad value, a thread, no such "
	"cgroup; 3 not\n"
	"permitted.\n";

static void print_one(void *user, const struct cgg_adjusted *a)
{
	const struct opt *o = user;
	char *comm = print_path(a->comm);

	if (o->json) {
		struct json_object *j = json_object_new_object();

		json_object_object_add(j, "pid", json_object_new_int(a->pid));
		json_object_object_add(j, "comm", json_object_new_string(comm));
		json_object_object_add(j, "ok", json_object_new_boolean(a->code == 0));
		json_object_object_add(j, "before", json_object_new_int(a->before));
		json_object_object_add(j, "after", json_object_new_int(a->after));
		if (a->have_scores) {
			json_object_object_add(j, "score_before",
					       json_object_new_int(a->score_before));
			json_object_object_add(j, "score_after",
					       json_object_new_int(a->score_after));
		}
		if (a->why)
			json_object_object_add(j, "why", json_object_new_string(a->why));
		print_json_text(json_object_to_json_string_ext(
			j, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE));
		json_object_put(j);
	} else if (a->code == 0) {
		printf("%" PRId32 " (%s): oom_score_adj %" PRId32 " -> %" PRId32, a->pid, comm,
		       a->before, a->after);
		if (a->have_scores)
			printf(", oom_score %" PRId32 " -> %" PRId32, a->score_before,
			       a->score_after);
		putchar('\n');
	}
	free(comm);
}

/* "-500", "+100", "+=100", "-=100" */
static bool read_value(const char *text, struct cgg_adjust_options *ao)
{
	const char *digits = text + strspn(text, "+-=");
	size_t len = (size_t)(digits - text);
	unsigned long v;
	char *end;

	errno = 0;
	v = strtoul(digits, &end, 10);
	if (errno != 0 || *digits < '0' || *digits > '9' || *end != '\0' ||
	    v > CGG_ADJ_MAX - CGG_ADJ_MIN)
		return false;
	ao->value = text[0] == '-' ? -(int32_t)v : (int32_t)v;
	ao->relative = text[0] == '+' || len == 2;
	if (!ao->relative && v > CGG_ADJ_MAX)
		return false;
	return len == 0 || (len == 1 && text[0] != '=') ||
	       (len == 2 && text[0] != '=' && text[1] == '=');
}

/* A value may look like an option: take it out before those are read. */
static const char *take_value(int *argc, char **argv)
{
	const char *value = NULL;

	for (int i = 1; i < *argc && !value; i++) {
		if (argv[i][0] != '-' || argv[i][1] == '\0' || !strchr("0123456789=", argv[i][1]) ||
		    strcmp(argv[i - 1], "--cgroup") == 0 || strcmp(argv[i - 1], "--root") == 0)
			continue;
		value = argv[i];
		memmove(&argv[i], &argv[i + 1], (size_t)(*argc - i) * sizeof(*argv));
		--*argc;
	}
	return value;
}

static int read_all(int argc, char **argv, struct opt *o, struct cgg_adjust_options *ao)
{
	const char *value = take_value(&argc, argv);
	int code = opt_read(argc, argv, "rjco", o);
	int want;

	if (code != 0)
		return code;
	want = (o->domain ? 0 : 1) + (value ? 0 : 1);
	if (o->nargs != want)
		return complain(EXIT_INPUT,
				"adjust: one process id, or --cgroup PATH, and one value");
	if (!o->domain && !opt_pid(o->args[0], &ao->pid))
		return complain(EXIT_INPUT, "adjust: '%s' is no process id", o->args[0]);
	if (!value)
		value = o->args[o->nargs - 1];
	if (!read_value(value, ao))
		return complain(EXIT_INPUT,
				"adjust: '%s' is no value: -1000 to 1000, or +N, +=N, -=N", value);
	return 0;
}

int cmd_adjust(int argc, char **argv)
{
	struct cgg_adjust_options ao = {0};
	struct cgg_tree *tree = NULL;
	struct cgg_error err = {0};
	struct opt o;
	int code = read_all(argc, argv, &o, &ao), r;

	if (code != 0)
		return code;
	r = cgg_tree_open(o.root, &tree, &err);
	if (r < 0)
		return complain(exit_tree(r, o.root), "%s", err.msg);
	ao.path = o.domain;
	ao.force = o.force;
	ao.adjusted = print_one;
	ao.user = &o;
	r = cgg_adjust(tree, &ao, &err);
	if (r == 0 && err.msg[0])
		complain(0, "warning: %s", err.msg);
	else if (r == CGG_REFUSED)
		code = complain(EXIT_NO, "refused: %s; --force does it all the same", err.msg);
	else if (r != 0)
		code = complain(r > 0 ? EXIT_NO : exit_code(r), "%s", err.msg);
	cgg_tree_close(tree);
	return code;
}
