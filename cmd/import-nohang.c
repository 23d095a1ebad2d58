/* SPDX-License-Identifier: Apache-2.0 */
/* nohang: "KEY = VALUE" lines; thresholds to warn, to ask (soft) and to kill (hard), by memory and swap
 * or by pressure; and lists of regular expressions that change badness. */
#include "cmd.h"
#include "import.h"

#include <stdlib.h>
#include <string.h>

struct level {
	double mem, swap; /* below 0: megabytes */
	double psi;
};

struct nohang {
	struct import *im;
	struct level warn, ask, kill;
	bool psi, zram, warnings;
	char psi_metrics[32];
	double psi_duration, psi_delay, grace, delay, warn_delay;
};

/* ---- settings ------------------------------------------------------------------------- */

/* "5 %" or "512 M", the latter as less than 0. */
static bool read_level(const char *value, double *ret)
{
	char copy[64], *end;

	snprintf(copy, sizeof(copy), "%s", value);
	end = copy + strspn(copy, "0123456789.");
	if (strchr("%M", end[strspn(end, " \t")]) == NULL)
		return false;
	if (strchr(end, 'M')) {
		*end = '\0';
		if (!import_number(copy, ret))
			return false;
		*ret = -*ret;
		return true;
	}
	*end = '\0';
	return import_number(copy, ret);
}

enum kind { LEVEL, NUMBER, FLAG, METRICS, SILENT, PROGRAM };

struct setting {
	const char *key;
	enum kind kind;
	size_t offset;
};

#define AT(member) offsetof(struct nohang, member)

static const struct setting settings[] = {
	{"warning_threshold_min_mem", LEVEL, AT(warn.mem)},
	{"warning_threshold_min_swap", LEVEL, AT(warn.swap)},
	{"warning_threshold_max_psi", NUMBER, AT(warn.psi)},
	{"soft_threshold_min_mem", LEVEL, AT(ask.mem)},
	{"soft_threshold_min_swap", LEVEL, AT(ask.swap)},
	{"soft_threshold_max_psi", NUMBER, AT(ask.psi)},
	{"hard_threshold_min_mem", LEVEL, AT(kill.mem)},
	{"hard_threshold_min_swap", LEVEL, AT(kill.swap)},
	{"hard_threshold_max_psi", NUMBER, AT(kill.psi)},
	{"psi_checking_enabled", FLAG, AT(psi)},
	{"psi_metrics", METRICS, 0},
	{"psi_excess_duration", NUMBER, AT(psi_duration)},
	{"psi_post_action_delay", NUMBER, AT(psi_delay)},
	{"zram_checking_enabled", FLAG, AT(zram)},
	{"low_memory_warnings_enabled", FLAG, AT(warnings)},
	{"min_post_warning_delay", NUMBER, AT(warn_delay)},
	{"max_soft_exit_time", NUMBER, AT(grace)},
	{"post_soft_action_delay", NUMBER, AT(delay)},
	{"post_kill_exe", PROGRAM, 0},
	{"warning_exe", PROGRAM, 0},
	/* of zram only where that is on; of the program's own business */
	{"warning_threshold_max_zram", SILENT, 0},
	{"soft_threshold_max_zram", SILENT, 0},
	{"hard_threshold_max_zram", SILENT, 0},
	{"fill_rate_mem", SILENT, 0},
	{"fill_rate_swap", SILENT, 0},
	{"fill_rate_zram", SILENT, 0},
	{"max_sleep", SILENT, 0},
	{"min_sleep", SILENT, 0},
	{"post_zombie_delay", SILENT, 0},
	{"victim_cache_time", SILENT, 0},
	{"exe_timeout", SILENT, 0},
	{"env_cache_time", SILENT, 0},
	{"print_config_at_startup", SILENT, 0},
	{"print_mem_check_results", SILENT, 0},
	{"min_mem_report_interval", SILENT, 0},
	{"print_proc_table", SILENT, 0},
	{"extra_table_info", SILENT, 0},
	{"print_victim_status", SILENT, 0},
	{"print_victim_cmdline", SILENT, 0},
	{"max_victim_ancestry_depth", SILENT, 0},
	{"print_statistics", SILENT, 0},
	{"debug_psi", SILENT, 0},
	{"debug_gui_notifications", SILENT, 0},
	{"debug_sleep", SILENT, 0},
	{"debug_threading", SILENT, 0},
	{"separate_log", SILENT, 0},
	{"hide_corrective_action_type", SILENT, 0},
};

/* Harmless at these, else told. */
static const struct other {
	const char *key, *harmless, *why, *nearest;
} others[] = {
	{"psi_path", "/proc/pressure/memory", "pressure is the domain's own", "'domain'"},
	{"post_action_gui_notifications", "False", "there are no windows to show it in",
	 "the step 'notify': a line of JSON that a script can read"},
	{"ignore_positive_oom_score_adj", "False",
	 "oom_score_adj is the kernel's and always counts", NULL},
	{"min_badness", "1", "a group is chosen first, by what it would give back", NULL},
};

static void lost(struct nohang *n, const char *key, const char *value, const char *why,
		 const char *nearest)
{
	char what[512];

	snprintf(what, sizeof(what), "%s = %s", key, value);
	import_lost(n->im, what, why, nearest);
}

static bool set(struct nohang *n, const struct setting *s, const char *value)
{
	char *at = (char *)n + s->offset;
	double number;

	switch (s->kind) {
	case LEVEL:
		if (!read_level(value, &number))
			return false;
		memcpy(at, &number, sizeof(number));
		return true;
	case NUMBER:
		if (!import_number(value, &number))
			return false;
		memcpy(at, &number, sizeof(number));
		return true;
	case FLAG:
		*(bool *)at = strcmp(value, "True") == 0;
		return *(bool *)at || strcmp(value, "False") == 0;
	case METRICS:
		snprintf(n->psi_metrics, sizeof(n->psi_metrics), "%s", value);
		return true;
	case PROGRAM:
		if (*value)
			lost(n, s->key, value, "no program is started",
			     "cgguard run --incidents, which a script can read");
		return true;
	case SILENT:
		break;
	}
	return true;
}

static void read_setting(struct nohang *n, const char *key, const char *value)
{
	for (size_t i = 0; i < sizeof(settings) / sizeof(settings[0]); i++) {
		if (strcmp(settings[i].key, key) != 0)
			continue;
		if (!set(n, &settings[i], value))
			lost(n, key, value, "not a value that is known", "the default");
		return;
	}
	for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
		if (strcmp(others[i].key, key) != 0)
			continue;
		if (strcmp(others[i].harmless, value) != 0)
			lost(n, key, value, others[i].why, others[i].nearest);
		return;
	}
	lost(n, key, value, "not a setting that is known", NULL);
}

/* ---- expressions ---------------------------------------------------------------------- */

/* A simple expression on a path ("^/workload", "/foo\.service$") as globs; false: it isn't simple. */
static bool to_glob(const char *re, char *buf, size_t size)
{
	bool start = *re == '^', end = false;
	size_t len = 0;

	re += start;
	if (start && *re != '/')
		return false;
	len = (size_t)snprintf(buf, size, "%s", start ? "" : "/**");
	if (!start && *re == '/') /* any number of whole segments before it */
		len = (size_t)snprintf(buf, size, "/**");
	for (; *re; re++) {
		if (len + 4 >= size)
			return false;
		if (*re == '$' && re[1] == '\0')
			end = true;
		else if (*re == '\\' && re[1] && strchr("./-$^+*?()[]{}|", re[1]) &&
			 !strchr("*?[{", re[1]))
			buf[len++] = *++re;
		else if (strchr("\\.*+?()[]{}|^$", *re))
			return false;
		else
			buf[len++] = *re;
	}
	snprintf(buf + len, size - len, "%s", end ? "" : "**");
	return true;
}

static void read_badness(struct nohang *n, const char *key, char *value)
{
	char *re = strstr(value, "///"), glob[512];
	double number;
	bool negative;

	if (!re) {
		lost(n, key, value, "not a line that is known", NULL);
		return;
	}
	*re = '\0';
	re = import_trim(re + 3);
	value = import_trim(value);
	negative = *value == '-';
	if (strcmp(key, "@BADNESS_ADJ_RE_CGROUP_V2") != 0) {
		lost(n, key, re, "no process is picked by its name, path, user or environment",
		     "'priorities', by the cgroup's path");
	} else if (!import_number(value + negative, &number) || !to_glob(re, glob, sizeof(glob))) {
		lost(n, key, re, "not a simple expression", "'priorities', by a glob");
	} else {
		number = number > 1000 ? 1000 : number; /* badness: more goes first */
		json_object_object_add(n->im->priorities, glob,
				       json_object_new_int((int)(negative ? number : -number)));
	}
}

static void read_line(struct nohang *n, char *line)
{
	char *value;

	if (!*line || strchr("# \t\r", *line)) /* indented lines are prose */
		return;
	line = import_trim(line);
	if (*line == '@') {
		value = line + strcspn(line, " \t");
		if (*value)
			*value++ = '\0';
		if (strncmp(line, "@BADNESS_ADJ_RE_", 16) == 0)
			read_badness(n, line, value);
		else
			lost(n, line, import_trim(value), "no program is started",
			     "the step 'terminate', which asks the process to end");
		return;
	}
	value = strchr(line, '=');
	if (!value) {
		import_lost(n->im, line, "not a line that is known", NULL);
		return;
	}
	*value++ = '\0';
	read_setting(n, import_trim(line), import_trim(value));
}

/* ---- rules ---------------------------------------------------------------------------- */

static void add_below(struct json_object *all, const char *name, double level)
{
	char buf[IMPORT_TEXT];

	if (level < 0)
		import_bytes(buf, -level * 1048576);
	else
		import_share(buf, level);
	if (level < 100)
		json_object_array_add(all, import_cond(name, buf));
}

static struct json_object *when_low(const struct level *level)
{
	struct json_object *all = json_object_new_array();

	add_below(all, "available_below", level->mem);
	add_below(all, "swap_free_below", level->swap);
	return import_join("all", all);
}

static struct json_object *when_stalled(const struct nohang *n, const struct level *level)
{
	const char *average = strstr(n->psi_metrics, "_avg");
	double window = average ? strtod(average + 4, NULL) : 10;

	return import_pressure(strncmp(n->psi_metrics, "some", 4) != 0, level->psi,
			       n->psi_duration > window ? n->psi_duration : window);
}

enum step { WARN, ASK, KILL };

static void add_rule(struct nohang *n, const char *name, struct json_object *when, enum step step,
		     double cooldown)
{
	char buf[2][IMPORT_TEXT];
	struct import_rule rule = {
		.name = name,
		.where = "/",
		.when = when,
		.unit = step == WARN ? NULL : "leaf",
		.rank = {"priority", "gain"},
		.then = json_object_new_array(),
		.cooldown = import_time(buf[0], cooldown),
	};

	import_step(rule.then, "notify", NULL, NULL, NULL);
	if (step == ASK)
		import_step(rule.then, "terminate", "process", "grace",
			    import_time(buf[1], n->grace));
	if (step != WARN)
		import_step(rule.then, "kill", "process", NULL, NULL);
	import_add(n->im, &rule);
}

static void add_rules(struct nohang *n)
{
	add_rule(n, "hard", when_low(&n->kill), KILL, n->delay);
	add_rule(n, "soft", when_low(&n->ask), ASK, n->delay);
	if (n->psi) {
		add_rule(n, "hard-pressure", when_stalled(n, &n->kill), KILL, n->psi_delay);
		add_rule(n, "soft-pressure", when_stalled(n, &n->ask), ASK, n->psi_delay);
		import_lost(n->im, "psi_metrics", "an average that has to stay above the threshold",
			    "pressure over the whole of psi_excess_duration");
	}
	if (n->warnings)
		add_rule(n, "warning", when_low(&n->warn), WARN, n->warn_delay);
	if (n->zram)
		import_lost(n->im, "zram_checking_enabled", "zram's own use is not looked at",
			    "swap_free_below: what is in zram is swap");
	import_lost(n->im, "the choice of a process",
		    "the victim there is the one process with the highest badness",
		    "of the group that would give back most, the process with the highest badness; "
		    "'scope': 'group' for all of it");
}

int import_nohang(struct import *im, int nargs, char **args)
{
	struct nohang n = {
		.im = im,
		.warn = {20, 25, 10},
		.ask = {5, 10, 40},
		.kill = {2, 4, 90},
		.psi_metrics = "full_avg10",
		.psi_duration = 30,
		.psi_delay = 15,
		.grace = 10,
		.delay = 3,
		.warn_delay = 60,
	};
	char *text = import_read(args[0]), *at = text, *line;

	(void)nargs;
	if (!text)
		return EXIT_INPUT;
	im->file = args[0];
	while ((line = import_line(&at)))
		read_line(&n, line);
	add_rules(&n);
	free(text);
	return 0;
}
