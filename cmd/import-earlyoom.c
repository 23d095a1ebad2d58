/* SPDX-License-Identifier: Apache-2.0 */
/*
 * earlyoom looks at the host alone, picks one process by the kernel's badness, asks it to end when memory
 * and swap are below one threshold, and kills it below another. Here a group is chosen first, by what it
 * would give back, and in it the process by badness.
 */
#include "cmd.h"
#include "import.h"

#include <stdlib.h>
#include <string.h>

/* Below which both act; an amount of 0 is not asked for. */
struct threshold {
	double mem_percent, mem_bytes, swap_percent, swap_bytes;
};

static struct json_object *when_low(const struct threshold *t)
{
	struct json_object *all = json_object_new_array();
	char buf[IMPORT_TEXT];

	if (t->mem_percent > 0)
		json_object_array_add(
			all, import_cond("available_below", import_share(buf, t->mem_percent)));
	if (t->mem_bytes > 0)
		json_object_array_add(
			all, import_cond("available_below", import_bytes(buf, t->mem_bytes)));
	/* at 100 % it is always true */
	if (t->swap_percent > 0 && t->swap_percent < 100)
		json_object_array_add(
			all, import_cond("swap_free_below", import_share(buf, t->swap_percent)));
	if (t->swap_bytes > 0)
		json_object_array_add(
			all, import_cond("swap_free_below", import_bytes(buf, t->swap_bytes)));
	return import_join("all", all);
}

struct how {
	const char *scope, *rank;
	double grace, cooldown;
};

static void add_host_rule(struct import *im, const char *name, const char *description,
			  struct json_object *when, bool ask, bool kill, const struct how *how)
{
	struct import_rule rule = {
		.name = name,
		.description = description,
		.where = "/",
		.when = when,
		.unit = ask || kill ? "leaf" : NULL,
		.rank = {"priority", how->rank},
		.then = json_object_new_array(),
	};
	char grace[IMPORT_TEXT], cooldown[IMPORT_TEXT];

	import_step(rule.then, "notify", NULL, NULL, NULL);
	if (ask)
		import_step(rule.then, "terminate", how->scope, "grace",
			    import_time(grace, how->grace));
	if (kill)
		import_step(rule.then, "kill", how->scope, NULL, NULL);
	if (how->cooldown > 0)
		rule.cooldown = import_time(cooldown, how->cooldown);
	import_add(im, &rule);
}

static void lost_common(struct import *im, const char *what)
{
	import_lost(im, what, "the victim there is the one process with the highest badness",
		    "of the group that would give back most, the process with the highest badness; "
		    "'scope': 'group' for all of it");
}

/* ---- earlyoom ------------------------------------------------------------------------- */

#define PROTECT_IT "'priorities' and 'protect', by the cgroup's path"
#define NO_ROOT	   "no process is picked by its user"

/* What each option is here; those that only concern the program are left out without a word. */
static const struct early_option {
	const char *name;
	bool value;
	const char *why, *nearest;
} early_options[] = {
	{"-m", true, NULL, NULL},
	{"-s", true, NULL, NULL},
	{"-M", true, NULL, NULL},
	{"-S", true, NULL, NULL},
	{"-g", false, NULL, NULL},
	{"--dryrun", false, NULL, NULL},
	{"--sort-by-rss", false, NULL, NULL},
	{"-r", true, NULL, NULL},
	{"-p", false, NULL, NULL},
	{"-d", false, NULL, NULL},
	{"--syslog", false, NULL, NULL},
	{"-n", false, "there is no D-Bus",
	 "the step 'notify': a line of JSON that a script can read"},
	{"-N", true, "no program is started", "cgguard run --incidents, which a script can read"},
	{"-P", true, "nothing is waited for before a kill", "the step 'notify'"},
	{"-i", false, "oom_score_adj is the kernel's and always counts", NULL},
	{"--prefer", true, "no process is picked by its name", PROTECT_IT},
	{"--avoid", true, "no process is spared by its name", PROTECT_IT},
	{"--ignore", true, "no process is spared by its name", PROTECT_IT},
	{"--ignore-root-user", false, NO_ROOT, PROTECT_IT},
	{"--kernel-oom", false, "the kernel's killer is not called", NULL},
	{"--use-kernel-oom", false, "the kernel's killer is not called", NULL},
};

struct early {
	struct import *im;
	struct threshold ask, kill;
	bool has_mem, has_swap, group, by_rss;
};

/* "10,5": half of the first where there is no second. */
static bool read_pair(const char *text, double factor, double *first, double *second)
{
	char copy[64], *comma;

	snprintf(copy, sizeof(copy), "%s", text);
	comma = strchr(copy, ',');
	if (comma)
		*comma = '\0';
	if (!import_number(copy, first))
		return false;
	*second = *first / 2;
	if (comma && !import_number(comma + 1, second))
		return false;
	/* below 0 there is nothing: the least that can be asked for */
	*first = *first > 0 ? *first * factor : factor * 0.01;
	*second = *second > 0 ? *second * factor : factor * 0.01;
	return true;
}

static bool read_threshold(struct early *e, char which, const char *value)
{
	switch (which) {
	case 'm':
		e->has_mem = true;
		return read_pair(value, 1, &e->ask.mem_percent, &e->kill.mem_percent);
	case 'M':
		e->has_mem = true;
		return read_pair(value, 1024, &e->ask.mem_bytes, &e->kill.mem_bytes);
	case 's':
		e->has_swap = true;
		return read_pair(value, 1, &e->ask.swap_percent, &e->kill.swap_percent);
	default:
		e->has_swap = true;
		return read_pair(value, 1024, &e->ask.swap_bytes, &e->kill.swap_bytes);
	}
}

static int apply(struct early *e, const struct early_option *option, const char *value)
{
	char what[256];

	if (option->why) {
		snprintf(what, sizeof(what), "%s%s%s", option->name, value ? " " : "",
			 value ? value : "");
		import_lost(e->im, what, option->why, option->nearest);
	} else if (strchr("msMS", option->name[1])) {
		if (!read_threshold(e, option->name[1], value))
			return complain(EXIT_INPUT, "%s: %s %s: not a number", e->im->file,
					option->name, value);
	} else if (strcmp(option->name, "-g") == 0) {
		e->group = true;
		import_lost(e->im, "-g", "process groups are no groups here", "the whole cgroup");
	} else if (strcmp(option->name, "--dryrun") == 0) {
		import_default(e->im, "dry_run");
	} else if (strcmp(option->name, "--sort-by-rss") == 0) {
		e->by_rss = true;
	}
	return 0;
}

static const struct early_option *find_option(const char *arg, const char **ret_value)
{
	*ret_value = NULL;
	for (size_t i = 0; i < sizeof(early_options) / sizeof(early_options[0]); i++) {
		const struct early_option *o = &early_options[i];
		size_t len = strlen(o->name);

		if (strcmp(arg, o->name) == 0)
			return o;
		if (strncmp(arg, o->name, len) != 0 || !o->value)
			continue;
		/* --avoid=X, -m5 */
		if (arg[len] == '=' || o->name[1] != '-') {
			*ret_value = arg + len + (arg[len] == '=');
			return o;
		}
	}
	return NULL;
}

static int read_options(struct early *e, int nargs, char **args)
{
	for (int i = 0; i < nargs; i++) {
		const char *value;
		const struct early_option *option = find_option(args[i], &value);
		int code;

		if (!option) {
			import_lost(e->im, args[i], "not an option that is known", NULL);
			continue;
		}
		if (option->value && !value) {
			if (++i == nargs)
				return complain(EXIT_INPUT, "%s: %s needs a value", e->im->file,
						option->name);
			value = args[i];
		}
		code = apply(e, option, value);
		if (code != 0)
			return code;
	}
	return 0;
}

static int early_rules(struct early *e)
{
	const struct how how = {
		.scope = e->group ? "group" : "process",
		.rank = e->by_rss ? "unreclaimable" : "gain",
		.grace = 10,
	};

	if (!e->has_mem) {
		e->ask.mem_percent = 10;
		e->kill.mem_percent = 5;
	}
	if (!e->has_swap) {
		e->ask.swap_percent = 10;
		e->kill.swap_percent = 5;
	}
	add_host_rule(e->im, "critical", "Below the second threshold: at once.", when_low(&e->kill),
		      false, true, &how);
	add_host_rule(e->im, "low", "Below the first threshold: asked to end.", when_low(&e->ask),
		      true, false, &how);
	if (!e->group)
		lost_common(e->im, "the choice of a process");
	return 0;
}

/* Split as a shell does: blanks, quotes, backslashes; in place. */
static int split(char *text, char **words, int max)
{
	char *out = text, quote = '\0';
	int n = 0;

	while (*text && n < max) {
		text += strspn(text, " \t");
		if (!*text)
			break;
		words[n++] = out;
		for (; *text && (quote || !strchr(" \t", *text)); text++) {
			if (quote ? *text == quote : strchr("'\"", *text) != NULL)
				quote = (char)(quote ? '\0' : *text);
			else
				*out++ = (char)(*text == '\\' && quote != '\'' && text[1] ? *++text
											  : *text);
		}
		if (*text)
			text++;
		*out++ = '\0';
	}
	return n;
}

/* The value of the last EARLYOOM_ARGS=... that is no comment, without its own quotes. */
static char *find_args(char *text)
{
	static const char name[] = "EARLYOOM_ARGS=";
	char *found = NULL, *line, *words[2];

	while ((line = import_line(&text))) {
		line = import_trim(line);
		if (strncmp(line, name, sizeof(name) - 1) == 0)
			found = split(line + sizeof(name) - 1, words, 1) > 0 ? words[0] : NULL;
	}
	return found;
}

int import_earlyoom(struct import *im, int nargs, char **args)
{
	struct early e = {.im = im};
	char *text = NULL, *words[64], *found;
	int code;

	im->file = "earlyoom";
	if (nargs == 1 && args[0][0] != '-') {
		im->file = args[0];
		text = import_read(args[0]);
		if (!text)
			return EXIT_INPUT;
		found = find_args(text);
		nargs = found ? split(found, words, 64) : 0;
		args = words;
	}
	code = read_options(&e, nargs, args);
	if (code == 0)
		code = early_rules(&e);
	free(text);
	return code;
}
