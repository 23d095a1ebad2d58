/* SPDX-License-Identifier: Apache-2.0 */
/* Read the options of all commands from one table. */
#include "opt.h"

#include "cmd.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The letter stands for the option in opt_read()'s accepts; there are no short options. */
static const struct option options[] = {
	{"root", required_argument, NULL, 'r'},
	{"policy", required_argument, NULL, 'p'},
	{"incidents", required_argument, NULL, 'i'},
	{"json", no_argument, NULL, 'j'},
	{"dry-run", no_argument, NULL, 'n'},
	{"once", no_argument, NULL, '1'},
	{"follow-policy", no_argument, NULL, 'w'},
	{"process", no_argument, NULL, 'P'},
	{"exempt", required_argument, NULL, 'e'},
	{"deadline", required_argument, NULL, 'd'},
	{"for", required_argument, NULL, 'f'},
	{"by", required_argument, NULL, 'b'},
	{"unit", required_argument, NULL, 'u'},
	{"domain", required_argument, NULL, 'D'},
	{"include", required_argument, NULL, 'I'},
	{"exclude", required_argument, NULL, 'X'},
	{"state", required_argument, NULL, 's'},
	{"status", required_argument, NULL, 'q'},
	{"metrics-file", required_argument, NULL, 'm'},
	{"metrics-listen", required_argument, NULL, 'l'},
	{"top", required_argument, NULL, 't'},
	{"all", no_argument, NULL, 'a'},
	{"kmsg", no_argument, NULL, 'k'},
	{"follow", no_argument, NULL, 'F'},
	{"sandbox", required_argument, NULL, 'S'},
	{"cgroup", required_argument, NULL, 'c'},
	{"explain", no_argument, NULL, 'E'},
	{"kernel", no_argument, NULL, 'K'},
	{"force", no_argument, NULL, 'o'},
	{NULL, 0, NULL, 0},
};

static int read_keys(struct opt *o, char *list)
{
	char *save = NULL;

	for (char *name = strtok_r(list, ",", &save); name; name = strtok_r(NULL, ",", &save)) {
		enum cgg_rank_key key = cgg_rank_key_parse(name);

		if (key == CGG_RANK_KEY_MAX) {
			complain(EXIT_INPUT, "--by: no key '%s'; there are:", name);
			for (int i = 0; i < CGG_RANK_KEY_MAX; i++)
				complain(EXIT_INPUT, "  %s",
					 cgg_rank_key_name((enum cgg_rank_key)i));
			return EXIT_INPUT;
		}
		if (o->nkeys == CGG_RANK_KEYS_MAX)
			return complain(EXIT_INPUT, "--by: more than %d keys", CGG_RANK_KEYS_MAX);
		o->key[o->nkeys++] = key;
	}
	return 0;
}

static int read_time(const char *option, const char *text, uint64_t *ret_us)
{
	char *end;
	unsigned long long v;

	errno = 0;
	v = strtoull(text, &end, 10);
	*ret_us = 0;
	if (errno == 0 && end != text && *text != '-') {
		if (strcmp(end, "ms") == 0 && v > 0 && v <= 3600000)
			*ret_us = v * 1000;
		else if (strcmp(end, "s") == 0 && v > 0 && v <= 3600)
			*ret_us = v * 1000000;
	}
	if (*ret_us == 0)
		return complain(EXIT_INPUT, "--%s '%s': a time up to an hour, like 500ms or 10s",
				option, text);
	return 0;
}

static int read_unit(struct opt *o, const char *text)
{
	static const char *const names[] = {"leaf", "oom-group", "match"};

	for (int i = 0; i < CGG_UNIT_MAX; i++) {
		if (strcmp(text, names[i]) == 0) {
			o->unit = (enum cgg_unit)i;
			return 0;
		}
	}
	return complain(EXIT_INPUT, "--unit '%s': leaf, oom-group or match", text);
}

static int read_glob(const char *option, const char *glob, const char **list, size_t *n)
{
	if (*glob != '/')
		return complain(EXIT_INPUT, "--%s '%s': a path glob starts with '/'", option, glob);
	if (*n == OPT_GLOBS_MAX)
		return complain(EXIT_INPUT, "--%s: more than %d", option, OPT_GLOBS_MAX);
	list[(*n)++] = glob;
	return 0;
}

static int read_top(struct opt *o, const char *text)
{
	char *end;

	errno = 0;
	o->top_given = true;
	o->top = strtoul(text, &end, 10);
	if (errno != 0 || end == text || *end != '\0' || *text == '-')
		return complain(EXIT_INPUT, "--top '%s': how many, 0 for all", text);
	return 0;
}

static int read_exempt(struct opt *o, const char *text)
{
	o->kill_exempt = strcmp(text, "kill") == 0;
	if (!o->kill_exempt && strcmp(text, "spare") != 0)
		return complain(EXIT_INPUT, "--exempt '%s': spare or kill", text);
	return 0;
}

static int read_sandbox(struct opt *o, const char *text)
{
	o->no_sandbox = strcmp(text, "off") == 0;
	if (!o->no_sandbox && strcmp(text, "on") != 0)
		return complain(EXIT_INPUT, "--sandbox '%s': on or off", text);
	return 0;
}

static int read_one(struct opt *o, int c, char *arg)
{
	switch (c) {
	case 'r':
		o->root = arg;
		return 0;
	case 'p':
		if (o->npolicies == CGG_POLICY_PATHS_MAX)
			return complain(EXIT_INPUT, "--policy: more than %d", CGG_POLICY_PATHS_MAX);
		o->policy[o->npolicies++] = arg;
		return 0;
	case 'i':
		o->incidents = arg;
		return 0;
	case 'j':
		o->json = true;
		return 0;
	case 'n':
		o->dry_run = true;
		return 0;
	case 'w':
		o->follow_policy = true;
		return 0;
	case '1':
		o->once = true;
		return 0;
	case 'P':
		o->process = true;
		return 0;
	case 'a':
		o->all = true;
		return 0;
	case 'k':
		o->kmsg = true;
		return 0;
	case 'F':
		o->follow = true;
		return 0;
	case 's':
		o->state = arg;
		return 0;
	case 'q':
		o->status = arg;
		return 0;
	case 'm':
		o->metrics_file = arg;
		return 0;
	case 'l':
		o->metrics_listen = arg;
		return 0;
	case 'E':
		o->explain = true;
		return 0;
	case 'K':
		o->kernel = true;
		return 0;
	case 'o':
		o->force = true;
		return 0;
	case 'c':
	case 'D':
		o->domain = opt_cgroup(arg);
		return 0;
	case 'e':
		return read_exempt(o, arg);
	case 'd':
		return read_time("deadline", arg, &o->deadline_us);
	case 'f':
		return read_time("for", arg, &o->for_us);
	case 'b':
		return read_keys(o, arg);
	case 'u':
		return read_unit(o, arg);
	case 't':
		return read_top(o, arg);
	case 'S':
		return read_sandbox(o, arg);
	case 'I':
		return read_glob("include", arg, o->include, &o->ninclude);
	default:
		return read_glob("exclude", arg, o->exclude, &o->nexclude);
	}
}

/* Name what was written: a long option of other commands, an unknown one, or a letter. */
static int no_option(char **argv, const char *known)
{
	char letter[] = {'-', (char)optopt, '\0'};
	const char *dashes = known ? "--" : "";
	const char *name = known ? known : optopt ? letter : argv[optind - 1];

	return complain(EXIT_INPUT, "%s: no option '%s%s'; cgguard %s --help lists them", argv[0],
			dashes, name, argv[0]);
}

int opt_read(int argc, char **argv, const char *accepts, struct opt *ret)
{
	int c, index = 0, r;

	*ret = (struct opt){.top = 20};
	opterr = 0;
	optind = 1;
	while ((c = getopt_long(argc, argv, ":", options, &index)) != -1) {
		if (c == ':')
			return complain(EXIT_INPUT, "%s: %s needs a value", argv[0],
					argv[optind - 1]);
		if (c == '?' || !strchr(accepts, c))
			return no_option(argv, c == '?' ? NULL : options[index].name);
		r = read_one(ret, c, optarg);
		if (r != 0)
			return r;
	}
	ret->args = argv + optind;
	ret->nargs = argc - optind;
	return 0;
}

int opt_read_run(int argc, char **argv, struct opt *ret)
{
	return opt_read(argc, argv, "prin1sSwqml", ret);
}

int opt_load_policy(const struct opt *o, struct cgg_policy **ret, struct cgg_error *err)
{
	if (o->npolicies == 0)
		return cgg_policy_default(ret, err);
	return cgg_policy_load(o->policy, o->npolicies, ret, err);
}

const char *opt_policy_name(const struct opt *o, char *buf, size_t size)
{
	size_t len = 0;

	if (o->npolicies == 0)
		return NULL;
	for (size_t i = 0; i < o->npolicies && len < size; i++) {
		len += (size_t)snprintf(buf + len, size - len, "%s", i > 0 ? ", " : "");
		if (len < size)
			len += cgg_text_printable(o->policy[i], buf + len, size - len);
	}
	return buf;
}

char *opt_cgroup(char *path)
{
	for (size_t len = strlen(path); len > 1 && path[len - 1] == '/';)
		path[--len] = '\0';
	return path;
}

bool opt_pid(const char *text, int32_t *ret)
{
	char *end;
	unsigned long v;

	errno = 0;
	v = strtoul(text, &end, 10);
	if (errno != 0 || *text < '0' || *text > '9' || *end != '\0' || v == 0 || v > INT32_MAX)
		return false;
	*ret = (int32_t)v;
	return true;
}
