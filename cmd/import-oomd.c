/* SPDX-License-Identifier: Apache-2.0 */
/*
 * oomd: a ruleset is a list of groups of detectors, and a chain of actions; if all detectors of any
 * group agree, the chain runs. Detectors and actions name cgroups each for themselves. A rule of ours is
 * about one domain and kills inside it: so a ruleset becomes a rule for each group and each cgroup that
 * the group looks at, with those victims that are inside.
 */
#include "cmd.h"
#include "import.h"

#include <stdlib.h>
#include <string.h>

#define COOLDOWN_S 15.0 /* oomd's post_action_delay */

static struct json_object *member(struct json_object *o, const char *key)
{
	struct json_object *value = NULL;

	if (!json_object_is_type(o, json_type_object))
		return NULL;
	json_object_object_get_ex(o, key, &value);
	return value;
}

static const char *text_of(struct json_object *o, const char *key)
{
	struct json_object *value = member(o, key);

	return value ? json_object_get_string(value) : NULL;
}

static double number_of(struct json_object *o, const char *key, double otherwise)
{
	const char *text = text_of(o, key);
	double value;

	return text && import_number(text, &value) ? value : otherwise;
}

static bool is_true(struct json_object *o, const char *key)
{
	const char *text = text_of(o, key);

	return text && (strcmp(text, "true") == 0 || strcmp(text, "1") == 0);
}

/* ---- one group of detectors ----------------------------------------------------------- */

struct group {
	struct import *im;
	const char *ruleset;
	struct json_object *conds;
	const char *cgroup; /* of all detectors */
	bool two_cgroups, pressure, memory, weaker, reclaim;
};

static void lost(struct group *g, const char *plugin, const char *why, const char *nearest)
{
	char what[1280];

	snprintf(what, sizeof(what), "ruleset '%s', %s", g->ruleset, plugin);
	import_lost(g->im, what, why, nearest);
}

static void add(struct group *g, struct json_object *cond, double seconds)
{
	char buf[IMPORT_TEXT];

	if (seconds > 0)
		import_put(cond, "for", import_time(buf, seconds));
	json_object_array_add(g->conds, cond);
}

/* "50%", "1.5G", "1.5M 32K 512" (sums), "900" (megabytes). */
static const char *amount(const char *text, char buf[IMPORT_TEXT])
{
	char copy[128], *save = NULL;
	double sum = 0, value;
	size_t len = strlen(text);
	bool bare = true;

	snprintf(copy, sizeof(copy), "%s", text);
	if (len > 0 && len < sizeof(copy) && copy[len - 1] == '%') {
		copy[len - 1] = '\0';
		return import_number(copy, &value) ? import_share(buf, value) : NULL;
	}
	for (char *part = strtok_r(copy, " ", &save); part; part = strtok_r(NULL, " ", &save)) {
		static const char letters[] = "KMGT";
		char *last = part + strlen(part) - 1;
		const char *letter = strchr(letters, *last >= 'a' ? *last - 'a' + 'A' : *last);

		if (letter) {
			bare = false;
			*last = '\0';
		}
		if (!import_number(part, &value))
			return NULL;
		for (long n = letter ? letter - letters + 1 : 0; n > 0; n--)
			value *= 1024;
		sum += value;
	}
	return sum > 0 ? import_bytes(buf, bare ? sum * 1048576 : sum) : NULL;
}

static void read_pressure(struct group *g, const char *name, struct json_object *args)
{
	double threshold = number_of(args, "threshold", 0);
	double duration = number_of(args, "duration", 0);
	const char *resource = text_of(args, "resource");
	bool rising = strcmp(name, "pressure_rising_beyond") == 0;

	if (!resource || strcmp(resource, "memory") != 0 || threshold <= 0) {
		g->weaker = true;
		lost(g, name, "only pressure on memory is known here, above a threshold", NULL);
		return;
	}
	g->pressure = g->memory = true;
	if (rising) {
		add(g, import_pressure(true, threshold, duration > 60 ? duration : 60), 0);
		add(g, import_pressure(true, threshold, 10), 0);
		lost(g, "fast_fall_ratio of pressure_rising_beyond",
		     "whether pressure falls is not looked at",
		     "the last 10 s must be above the threshold too");
		return;
	}
	add(g, import_pressure(true, threshold, duration > 10 ? duration : 10), 0);
}

static void read_above(struct group *g, const char *name, struct json_object *args)
{
	const char *anon = text_of(args, "threshold_anon"), *all = text_of(args, "threshold");
	const char *text = anon ? anon : all ? all : "";
	char buf[IMPORT_TEXT];

	if (!amount(text, buf)) {
		g->weaker = true;
		lost(g, name, "its threshold is no amount", NULL);
		return;
	}
	g->memory = true;
	if (strchr(text, '%') && g->cgroup && strcmp(g->cgroup, "/") != 0)
		lost(g, name, "a percentage of the host's memory there",
		     "the percentage here is of the cgroup's own effective limit, where it has "
		     "one");
	add(g, import_cond(anon ? "unreclaimable_above" : "usage_above", buf),
	    number_of(args, "duration", 0));
}

static void read_detector(struct group *g, struct json_object *detector)
{
	const char *name = text_of(detector, "name");
	struct json_object *args = member(detector, "args");
	const char *cgroup = text_of(args, "cgroup");
	char buf[IMPORT_TEXT];

	if (!name)
		return;
	if (strcmp(name, "dump_cgroup_overview") == 0) {
		lost(g, name, "an overview in the log",
		     "each incident holds the numbers and the first candidates; cgguard tree, "
		     "rank");
		return;
	}
	if (cgroup) {
		g->two_cgroups |= g->cgroup && strcmp(g->cgroup, cgroup) != 0;
		g->cgroup = cgroup;
	}
	if (strcmp(name, "pressure_above") == 0 || strcmp(name, "pressure_rising_beyond") == 0) {
		read_pressure(g, name, args);
	} else if (strcmp(name, "memory_above") == 0) {
		read_above(g, name, args);
	} else if (strcmp(name, "swap_free") == 0) {
		add(g,
		    import_cond("swap_free_below",
				import_share(buf, number_of(args, "threshold_pct", 10))),
		    0);
	} else if (strcmp(name, "memory_reclaim") == 0) {
		g->reclaim = true;
	} else {
		g->weaker = true;
		lost(g, name, "there is no such condition", NULL);
	}
}

/* What the detectors say together, beyond each by itself. */
static void complete(struct group *g)
{
	if (g->reclaim && g->pressure) {
		lost(g, "memory_reclaim", "there is no such condition",
		     "none is needed: stalls for memory come of reclaiming it");
	} else if (g->reclaim) {
		g->weaker = true;
		lost(g, "memory_reclaim", "there is no such condition", "pressure_above");
	}
	if (!g->memory && json_object_array_length(g->conds) > 0) {
		lost(g, "swap_free", "short of swap alone is no danger, and always so without swap",
		     "available_below 10% is asked for too");
		json_object_array_add(g->conds, import_cond("available_below", "10%"));
	}
}

/* ---- the chain of actions ------------------------------------------------------------- */

static const struct killer {
	const char *name, *rank, *why, *nearest;
} killers[] = {
	{"kill_by_memory_size_or_growth", "over_protection",
	 "size_threshold, growth and pressure of each candidate are not weighed",
	 "rank over_protection (memory.current less memory.low); 'gain' leaves page cache out"},
	{"kill_by_swap_usage", "swap", NULL, NULL},
	{"kill_by_pressure", "gain", "there is no rank by pressure", "rank gain"},
	{"kill_by_io_cost", "gain", "there is no rank by I/O", "rank gain"},
	{"kill_by_pg_scan", "gain", "there is no rank by pages scanned", "rank gain"},
};

struct chain {
	const struct killer *killer;
	struct json_object *args;
	struct json_object *victims; /* globs */
	double delay;
};

static const struct killer *find_killer(const char *name)
{
	for (size_t i = 0; name && i < sizeof(killers) / sizeof(killers[0]); i++) {
		if (strcmp(killers[i].name, name) == 0)
			return &killers[i];
	}
	return NULL;
}

static void read_actions(struct group *g, struct json_object *actions, struct chain *ret)
{
	size_t n = json_object_is_type(actions, json_type_array) ? json_object_array_length(actions)
								 : 0;

	for (size_t i = 0; i < n; i++) {
		struct json_object *action = json_object_array_get_idx(actions, i);
		const char *name = text_of(action, "name");
		const struct killer *killer = find_killer(name);

		if (!name || strcmp(name, "continue") == 0 || strcmp(name, "stop") == 0)
			continue;
		if (!killer) {
			lost(g, name, "there is no such action",
			     strcmp(name, "senpai") == 0 ? "reclaim" : NULL);
		} else if (ret->killer) {
			lost(g, name, "a rule kills by one order",
			     "further keys in 'rank' decide among equals");
		} else {
			ret->killer = killer;
			ret->args = member(action, "args");
			if (killer->why)
				lost(g, name, killer->why, killer->nearest);
			if (is_true(ret->args, "always_continue"))
				lost(g, name, "always_continue: nothing can follow a kill", NULL);
			ret->delay = number_of(ret->args, "post_action_delay", ret->delay);
		}
	}
}

/* A pattern of oomd as a glob of ours: from the root, no '/' at its end. */
static void to_glob(const char *pattern, char *buf, size_t size)
{
	size_t len;

	pattern += strspn(pattern, "/");
	snprintf(buf, size, "/%s", pattern);
	len = strlen(buf);
	while (len > 1 && buf[len - 1] == '/')
		buf[--len] = '\0';
}

static bool is_inside(const char *pattern, const char *domain)
{
	size_t len = strlen(domain);

	return strcmp(domain, "/") == 0 ||
	       (strncmp(pattern, domain, len) == 0 && (pattern[len] == '/' || !pattern[len]));
}

/* The patterns of the cgroups that a killer looks at, as globs. */
static void read_victims(struct group *g, struct chain *chain)
{
	const char *list = text_of(chain->args, "cgroup");
	char *copy = strdup(list ? list : ""), *save = NULL;

	for (char *part = copy ? strtok_r(copy, ",", &save) : NULL; part;
	     part = strtok_r(NULL, ",", &save)) {
		char glob[1024];

		if (json_object_array_length(chain->victims) == IMPORT_ITEMS) {
			lost(g, chain->killer->name, "it names more than 300 cgroups",
			     "the first 300 of them");
			break;
		}
		to_glob(part, glob, sizeof(glob));
		import_push(chain->victims, glob);
	}
	free(copy);
}

static struct json_object *victims(const struct chain *chain, const char *domain)
{
	struct json_object *include = json_object_new_array();
	bool recursive = is_true(chain->args, "recursive");

	for (size_t i = 0; i < json_object_array_length(chain->victims); i++) {
		struct json_object *one = json_object_array_get_idx(chain->victims, i);
		const char *glob = json_object_get_string(one);
		bool top = strcmp(glob, "/") == 0;
		char below[1040];

		if (!is_inside(glob, domain))
			continue;
		snprintf(below, sizeof(below), "%s/**", top ? "" : glob);
		if (!top)
			import_push(include, glob);
		if (recursive || top)
			import_push(include, below);
	}
	if (json_object_array_length(include) > 0)
		return include;
	json_object_put(include);
	return NULL;
}

/* ---- rules ---------------------------------------------------------------------------- */

static void add_rule(struct group *g, const struct chain *chain, const char *title,
		     const char *domain)
{
	struct import_rule rule = {.name = g->ruleset, .description = title, .where = domain};
	struct json_object *include, *conds = NULL;
	char buf[IMPORT_TEXT];

	if (json_object_array_length(g->im->rules) >= IMPORT_ITEMS)
		return; /* a policy of so many is refused when it is checked */
	include = victims(chain, domain);
	if (!include) {
		lost(g, domain, "it looks at one cgroup and kills in another",
		     "a rule with the domain / and conditions on the host");
		return;
	}
	json_object_deep_copy(g->conds, &conds, NULL);
	rule.when = import_join("all", conds);
	rule.include = include;
	rule.unit = is_true(chain->args, "recursive") ? "leaf" : "match";
	rule.rank[0] = "priority";
	rule.rank[1] = chain->killer->rank;
	rule.rank[2] = strcmp(chain->killer->rank, "gain") == 0 ? NULL : "gain";
	rule.then = json_object_new_array();
	import_step(rule.then, "notify", NULL, NULL, NULL);
	import_step(rule.then, "kill", "group", NULL, NULL);
	rule.cooldown = import_time(buf, chain->delay);
	rule.dry_run = g->weaker || is_true(chain->args, "dry");
	import_add(g->im, &rule);
}

static void read_group(struct import *im, const char *ruleset, struct json_object *group,
		       const struct chain *chain)
{
	struct group g = {.im = im, .ruleset = ruleset, .conds = json_object_new_array()};
	const char *title = NULL;
	char *copy, *save = NULL;

	for (size_t i = 0; i < json_object_array_length(group); i++) {
		struct json_object *item = json_object_array_get_idx(group, i);

		if (json_object_is_type(item, json_type_string))
			title = json_object_get_string(item);
		else
			read_detector(&g, item);
	}
	complete(&g);
	if (json_object_array_length(g.conds) == 0) {
		lost(&g, title ? title : "detectors", "no condition is left of it", NULL);
	} else if (g.two_cgroups) {
		lost(&g, title ? title : "detectors", "it asks about two cgroups at once",
		     "a rule for each: a rule is about one domain");
	} else if (chain->killer) {
		copy = strdup(g.cgroup ? g.cgroup : "/");
		for (char *part = copy ? strtok_r(copy, ",", &save) : NULL; part;
		     part = strtok_r(NULL, ",", &save)) {
			char domain[1024];

			to_glob(part, domain, sizeof(domain));
			add_rule(&g, chain, title, domain);
		}
		free(copy);
	}
	json_object_put(g.conds);
}

static void read_ruleset(struct import *im, struct json_object *ruleset)
{
	static const char *const known[] = {"name", "detectors", "actions", "silence-logs",
					    "post_action_delay"};
	const char *name = text_of(ruleset, "name");
	struct json_object *groups = member(ruleset, "detectors");
	struct chain chain = {.delay = number_of(ruleset, "post_action_delay", COOLDOWN_S),
			      .victims = json_object_new_array()};
	struct group all = {.im = im, .ruleset = name ? name : "rule"};

	json_object_object_foreach(ruleset, key, value)
	{
		bool found = false;

		(void)value;
		for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
			found |= strcmp(key, known[i]) == 0;
		if (!found)
			lost(&all, key, "there is no such setting",
			     strstr(key, "drop-in") ? "files of a directory add up" : NULL);
	}
	read_actions(&all, member(ruleset, "actions"), &chain);
	if (chain.killer)
		read_victims(&all, &chain);
	else
		lost(&all, "actions", "nothing is killed by it", "a rule of 'notify' alone");
	for (size_t i = 0;
	     json_object_is_type(groups, json_type_array) && i < json_object_array_length(groups);
	     i++) {
		struct json_object *group = json_object_array_get_idx(groups, i);

		if (json_object_is_type(group, json_type_array))
			read_group(im, all.ruleset, group, &chain);
	}
	json_object_put(chain.victims);
}

int import_oomd(struct import *im, int nargs, char **args)
{
	char *text = import_read(args[0]);
	struct json_object *root, *rulesets;
	enum json_tokener_error error;
	int code = 0;

	(void)nargs;
	if (!text)
		return EXIT_INPUT;
	im->file = args[0];
	root = json_tokener_parse_verbose(text, &error);
	free(text);
	if (!root)
		return complain(EXIT_INPUT, "%s: %s", args[0], json_tokener_error_desc(error));
	rulesets = member(root, "rulesets");
	if (!json_object_is_type(rulesets, json_type_array))
		code = complain(EXIT_INPUT, "%s: no list of 'rulesets' in it", args[0]);
	for (size_t i = 0; code == 0 && i < json_object_array_length(rulesets); i++) {
		struct json_object *ruleset = json_object_array_get_idx(rulesets, i);

		if (json_object_is_type(ruleset, json_type_object))
			read_ruleset(im, ruleset);
	}
	import_default(im, "honour_xattrs");
	import_lost(im, "trusted.oomd_prefer, user.oomd_prefer", "no mark makes a cgroup go first",
		    "priorities; oomd_avoid counts, but not one that serves only who set it");
	if (code == 0 && member(root, "prekill_hooks"))
		import_lost(im, "prekill_hooks", "nothing is waited for before a kill",
			    "the step 'notify', whose notice comes before the next step begins");
	json_object_put(root);
	return code;
}
