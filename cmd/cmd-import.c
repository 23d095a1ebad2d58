/* SPDX-License-Identifier: Apache-2.0 */
/* cgguard import: another guard's configuration as a policy. */
#include "cmd.h"
#include "import.h"
#include "print.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

const char help_import[] =
	"Usage: cgguard import [--json] oomd FILE\n"
	"       cgguard import [--json] systemd-oomd [DIR|FILE...]\n"
	"       cgguard import [--json] earlyoom FILE|ARGUMENT...\n"
	"       cgguard import [--json] nohang FILE\n"
	"Make a policy of another guard's configuration. The policy goes to stdout, and is one "
	"that\n"
	"cgguard check accepts; what could not be carried over goes to stderr, a line each: what, "
	"why,\n"
	"and the nearest thing that there is. A rule that lost one of its conditions has dry_run "
	"set:\n"
	"it says what it would do, and does nothing, until somebody has looked at it.\n\n"
	"  oomd          its JSON, with comments\n"
	"  systemd-oomd  oomd.conf, units and their drop-ins, or directories of them; with none "
	"given,\n"
	"                what this machine has\n"
	"  earlyoom      its arguments, or a file that sets EARLYOOM_ARGS (/etc/default/earlyoom)\n"
	"  nohang        its configuration\n\n"
	"  --json   one object on stdout: policy, and lost, a list of file, what, why, nearest\n\n"
	"Exit codes: 0 done; 1 nothing in it could be made a rule; 2 it can't be read.\n";

static const struct source {
	const char *name;
	int (*read)(struct import *im, int nargs, char **args);
	int min, max;
} sources[] = {
	{"earlyoom", import_earlyoom, 1, 1000},
	{"nohang", import_nohang, 1, 1},
	{"oomd", import_oomd, 1, 1},
	{"systemd-oomd", import_systemd, 0, 1000},
};

static struct json_object *build(const struct import *im, const char *from)
{
	struct json_object *o = json_object_new_object();
	char text[96];

	import_put(o, "$schema", "schema.json");
	json_object_object_add(o, "version", json_object_new_int(1));
	snprintf(text, sizeof(text), "Made by cgguard import of a configuration of %s.", from);
	import_put(o, "description", text);
	json_object_object_foreach(im->head, key, value)
		json_object_object_add(o, key, json_object_get(value));
	if (json_object_array_length(im->protect) > 0)
		json_object_object_add(o, "protect", json_object_get(im->protect));
	if (json_object_object_length(im->priorities) > 0)
		json_object_object_add(o, "priorities", json_object_get(im->priorities));
	json_object_object_add(o, "rules", json_object_get(im->rules));
	return o;
}

/* What can't be loaded must not be handed out: read it as run would. */
static int check(struct json_object *policy)
{
	const char *text = json_object_to_json_string(policy);
	int fd = memfd_create("policy", MFD_CLOEXEC), r = -1;
	struct cgg_policy *loaded = NULL;
	struct cgg_error err = {0};
	char path[64];
	const char *named = path;

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	if (fd < 0 || fchmod(fd, 0600) < 0 ||
	    write(fd, text, strlen(text)) != (ssize_t)strlen(text)) {
		complain(0, "cannot check what was made of it: %s", strerror(errno));
	} else {
		r = cgg_policy_load(&named, 1, &loaded, &err);
		if (r < 0)
			complain(0, "what was made of it is no good policy: %s",
				 err.msg + (strncmp(err.msg, path, strlen(path)) == 0
						    ? strlen(path) + 2
						    : 0));
	}
	cgg_policy_free(loaded);
	if (fd >= 0)
		close(fd);
	return r < 0 ? EXIT_INPUT : EXIT_DONE;
}

static const char *text_of(struct json_object *o, const char *key)
{
	struct json_object *value;

	return json_object_object_get_ex(o, key, &value) ? json_object_get_string(value) : NULL;
}

static void print_lost(struct json_object *lost)
{
	for (size_t i = 0; i < json_object_array_length(lost); i++) {
		struct json_object *o = json_object_array_get_idx(lost, i);
		const char *nearest = text_of(o, "nearest");

		fprintf(stderr, "%s: %s: %s%s%s\n", text_of(o, "file"), text_of(o, "what"),
			text_of(o, "why"), nearest ? "; nearest: " : "", nearest ? nearest : "");
	}
}

static int print_all(struct import *im, const char *from, bool json)
{
	struct json_object *policy = NULL, *o;
	int code = EXIT_NO;

	if (json_object_array_length(im->rules) > 0) {
		policy = build(im, from);
		code = check(policy);
	}
	if (code == EXIT_INPUT) {
		json_object_put(policy);
		return code;
	}
	if (json) {
		o = json_object_new_object();
		json_object_object_add(o, "policy", policy);
		json_object_object_add(o, "lost", json_object_get(im->lost));
		print_json(o);
		return code;
	}
	if (policy)
		print_json(policy);
	print_lost(im->lost);
	return policy ? code : complain(code, "nothing in it could be made a rule");
}

int cmd_import(int argc, char **argv)
{
	const struct source *source = NULL;
	struct import im;
	bool json = false;
	int at = 1, code;

	for (; at < argc && argv[at][0] == '-'; at++) {
		if (strcmp(argv[at], "--json") != 0)
			return complain(EXIT_INPUT,
					"import: no option '%s'; cgguard import --help lists them",
					argv[at]);
		json = true;
	}
	for (size_t i = 0; at < argc && i < sizeof(sources) / sizeof(sources[0]); i++) {
		if (strcmp(argv[at], sources[i].name) == 0)
			source = &sources[i];
	}
	if (!source)
		return complain(EXIT_INPUT,
				"import: from what? oomd, systemd-oomd, earlyoom or nohang");
	at++;
	if (at < argc && strcmp(argv[at], "--") == 0)
		at++;
	if (argc - at < source->min || argc - at > source->max)
		return complain(EXIT_INPUT, "import %s: %s", source->name,
				argc - at < source->min ? "what is to be read?" : "one file");
	import_begin(&im);
	code = source->read(&im, argc - at, argv + at);
	if (code == 0)
		code = print_all(&im, source->name, json);
	import_end(&im);
	return code;
}
