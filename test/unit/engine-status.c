/* SPDX-License-Identifier: Apache-2.0 */
/* The status of a guard: whole in pieces of any size, true to what was looked at. */
#include "kit/policy.h"
#include "kit/snap.h"
#include "kit/t.h"

#include "engine/guard.h"
#include "util/clock.h"

#include <errno.h>
#include <json-c/json.h>

#define ALL_SIZE ((size_t)8 << 20)

/* What lives as long as the program, within a leak checker's sight. */
static void *keep(void *p)
{
	static void *kept[64];
	static size_t n;

	T_MUST(p && n < CGG_ARRAY_LEN(kept));
	kept[n++] = p;
	return p;
}

/* A guard as far as status reads it: a policy, a snapshot, and a domain of rule 0 for each cgroup. */
static struct cgg_guard *guard_of(const char *policy, const char *tree)
{
	struct cgg_guard *g = keep(calloc(1, sizeof(*g)));
	struct cgg_snapshot *snap = keep(kit_snap(tree));
	struct cgg_error err = {0};

	g->policy = keep(kit_load(policy, &err));
	g->view.snap = *snap;
	g->view.tree = keep(calloc(1, sizeof(*g->view.tree)));
	g->domains.slot = keep(calloc(snap->n, sizeof(*g->domains.slot)));
	g->view.tree->root.procfd = -1;
	g->look.root_has_current = true;
	g->domains.n = snap->n;
	g->started_us = clock_now_us();
	for (uint32_t i = 0; i < snap->n; i++)
		g->domains.slot[i] = (struct guard_domain){
			.used = true, .id = snap->cgroups[i].id, .index = i, .due_us = UINT64_MAX};
	return g;
}

/* All pieces, as one text. */
static char *told(const struct cgg_guard *g, size_t size)
{
	char *all = calloc(1, ALL_SIZE), *piece = malloc(size);
	uint64_t position = 0;
	size_t len = 0;
	long n;

	T_MUST(all && piece);
	while ((n = cgg_guard_status(g, &position, piece, size)) > 0) {
		T_MUST((size_t)n < size && len + (size_t)n < ALL_SIZE && piece[n] == '\0');
		memcpy(all + len, piece, (size_t)n);
		len += (size_t)n;
	}
	T_EQ_INT(n, 0);
	free(piece);
	return all;
}

static struct json_object *parsed(const struct cgg_guard *g, size_t size)
{
	char *text = told(g, size);
	struct json_object *o = keep(json_tokener_parse(text));

	free(text);
	return o;
}

static struct json_object *at(struct json_object *o, const char *list, size_t i)
{
	struct json_object *a = json_object_object_get(o, list);

	T_MUST(a && i < json_object_array_length(a));
	return json_object_array_get_idx(a, i);
}

static int64_t number(struct json_object *o, const char *key)
{
	struct json_object *v = json_object_object_get(o, key);

	T_MUST(v && json_object_is_type(v, json_type_int));
	return json_object_get_int64(v);
}

static const char *text(struct json_object *o, const char *key)
{
	struct json_object *v = json_object_object_get(o, key);

	return v ? json_object_get_string(v) : "(none)";
}

static const char box[] =
	"{\"version\": 1, \"rules\": [{\"name\": \"box\", \"each\": \"/**\", \"brake\": true, "
	"\"when\": {\"unreclaimable_above\": \"50%\"}, "
	"\"then\": [{\"action\": \"kill\", \"scope\": \"group\"}]}]}";

TEST(a_domain_far_from_danger_tells_its_distance_and_no_more)
{
	struct cgg_guard *g = guard_of(box, "host total=1Gi available=1Gi free=1Gi\n"
					    "/a max=100Mi current=10Mi");
	struct guard_domain *d = &g->domains.slot[1];
	struct json_object *o;

	d->looked_us = clock_now_us();
	d->due_us = d->looked_us + 60000000;
	d->level_bytes = 10 << 20;
	d->brake_at = 50 << 20;
	o = at(parsed(g, CGG_STATUS_MIN), "domains", 1);
	T_EQ_STR(text(o, "rule"), "box");
	T_EQ_STR(text(o, "domain"), "/a");
	T_EQ_INT(number(o, "level_bytes"), 10 << 20);
	T_EQ_INT(number(o, "limit_bytes"), 100 << 20);
	T_EQ_INT(number(o, "gate_bytes"), 50 << 20);
	T_EQ_INT(number(o, "distance_bytes"), 40 << 20);
	T_EQ_INT(number(o, "brake_bytes"), 50 << 20);
	T_ASSERT(number(o, "next_look_us") > 50000000);
	T_EQ_STR(text(o, "watched_by"), "level");
	T_EQ_STR(text(o, "is"), "false");
	o = at(o, "when", 0);
	T_EQ_STR(text(o, "is"), "unknown");
	T_EQ_STR(text(o, "why_unknown"), "so far from danger it isn't watched");
}

TEST(a_domain_in_danger_tells_each_condition_as_it_was_read)
{
	struct cgg_guard *g = guard_of(box, "host total=1Gi available=1Gi free=1Gi\n"
					    "/a max=100Mi current=90Mi anon=60Mi");
	struct guard_domain *d = &g->domains.slot[1];
	struct policy_held past = {0}, before;
	struct json_object *o;

	d->looked_us = d->evaluated_us = clock_now_us();
	d->level_bytes = 60 << 20;
	g->history.entry = &past;
	d->history = 1;
	before = past;
	o = at(parsed(g, CGG_STATUS_MIN), "domains", 1);
	T_EQ_INT(number(o, "distance_bytes"), -(10 << 20));
	T_EQ_STR(text(o, "watched_by"), "looks");
	T_EQ_STR(text(o, "is"), "true");
	T_ASSERT(json_object_object_get(o, "next_look_us") == NULL); /* null: by an event only */
	o = at(o, "when", 0);
	T_EQ_STR(text(o, "condition"), "unreclaimable_above");
	T_EQ_STR(text(o, "is"), "true");
	T_EQ_INT(number(o, "value"), 6000);
	T_EQ_INT(number(o, "threshold"), 5000);
	T_ASSERT(memcmp(&before, &past, sizeof(before)) == 0); /* asking changes nothing */
}

TEST(a_domain_that_was_not_looked_at_has_no_numbers)
{
	struct cgg_guard *g = guard_of(box, "host total=1Gi available=1Gi free=1Gi\n/a max=100Mi");
	struct json_object *o = at(parsed(g, CGG_STATUS_MIN), "domains", 1);

	T_ASSERT(!json_object_object_get_ex(o, "level_bytes", NULL));
	T_ASSERT(!json_object_object_get_ex(o, "distance_bytes", NULL));
	T_ASSERT(!json_object_object_get_ex(o, "looked_ago_us", NULL));
}

TEST(large_trees_are_told_whole_in_pieces_of_any_size)
{
	static const size_t sizes[] = {CGG_STATUS_MIN, CGG_STATUS_MIN + 777, 65536, ALL_SIZE};
	size_t size = 3000 * 64;
	char *tree = keep(calloc(1, size));
	size_t len = (size_t)snprintf(tree, size, "host total=1Gi available=1Gi free=1Gi\n");
	struct cgg_guard *g;

	for (unsigned int i = 0; i < 3000; i++)
		len += (size_t)snprintf(tree + len, size - len, "/x%u/service max=100Mi\n", i);
	g = guard_of(box, tree);
	for (size_t i = 0; i < CGG_ARRAY_LEN(sizes); i++) {
		struct json_object *o = parsed(g, sizes[i]);

		T_EQ_INT(json_object_array_length(json_object_object_get(o, "domains")),
			 g->view.snap.n);
		T_EQ_INT(number(o, "domains_total"), g->view.snap.n);
		T_EQ_STR(text(at(o, "domains", 2), "domain"), g->view.snap.cgroups[2].path);
		T_EQ_STR(text(at(o, "domains", g->view.snap.n - 1), "domain"),
			 g->view.snap.cgroups[g->view.snap.n - 1].path);
	}
	T_EQ_INT(cgg_guard_status(g, &(uint64_t){0}, tree, CGG_STATUS_MIN - 1), -ENOSPC);
}

/* Every string as long and as badly escaped as it can be: each piece still has room for one more. */
TEST(the_worst_of_each_kind_fits_in_the_smallest_piece)
{
	struct cgg_guard *g = guard_of(box, "host total=1Gi available=1Gi free=1Gi\n"
					    "/a max=100Mi current=90Mi anon=60Mi");
	struct policy_rule *rule = (struct policy_rule *)&g->policy->rule[0];
	char *path = keep(malloc(30001));
	struct json_object *o;

	memset(path, '\x01', 30000);
	path[0] = '/';
	path[30000] = '\0';
	g->view.snap.cgroups[1].path = path;
	rule->file = rule->domain = path;
	memset(rule->name, '\\', POLICY_NAME_MAX);
	rule->nconds = POLICY_CONDS_MAX;
	for (uint8_t i = 1; i < POLICY_CONDS_MAX; i++) {
		rule->cond[i] = (struct policy_cond){
			.kind = POLICY_PRESSURE_ABOVE,
			.end = (uint8_t)(i + 1),
			.for_us = POLICY_TIME_MAX_US,
			.share_permyriad = 10000,
			.full = true,
		};
	}
	rule->cond[0] = (struct policy_cond){.kind = POLICY_ALL, .end = POLICY_CONDS_MAX};
	for (size_t i = 0; i < LACK_MAX; i++)
		memset(g->lack[i], '\x01', GUARD_LACK_MAX - 1);
	for (uint32_t i = 0; i < GUARD_PAST_MAX; i++) {
		g->incidents.past[i] =
			(struct guard_past){.number = i ? i : 8, .outcome = "unfinished"};
		memset(g->incidents.past[i].rule, '"', POLICY_NAME_MAX);
		memset(g->incidents.past[i].domain, '\x01', INCIDENT_PATH_MAX - 1);
		memset(g->incidents.past[i].victim, '\x01', INCIDENT_PATH_MAX - 1);
	}
	g->incidents.nreported = GUARD_PAST_MAX;
	g->domains.slot[1].looked_us = g->domains.slot[1].evaluated_us = clock_now_us();
	o = parsed(g, CGG_STATUS_MIN);
	T_EQ_INT(json_object_array_length(json_object_object_get(o, "domains")), 2);
	T_EQ_INT(json_object_array_length(json_object_object_get(o, "incidents")), GUARD_PAST_MAX);
	T_EQ_INT(number(at(o, "incidents", 0), "number"), 1);
	T_EQ_INT(number(at(o, "incidents", 7), "number"), 8);
}

TEST(what_the_guard_lacks_is_told_until_it_is_there_again)
{
	struct cgg_guard *g = guard_of(box, "host total=1Gi available=1Gi free=1Gi\n/a max=100Mi");
	struct json_object *o;

	guard_lacks(g, LACK_PRESSURE, "no '%s'", "psi");
	guard_lacks(g, LACK_PRESSURE, "not told twice");
	o = parsed(g, CGG_STATUS_MIN);
	T_EQ_STR(text(at(o, "fallbacks", 0), "what"), "pressure");
	T_EQ_STR(text(at(o, "fallbacks", 0), "text"), "no 'psi'");
	guard_has(g, LACK_PRESSURE);
	o = parsed(g, CGG_STATUS_MIN);
	T_EQ_INT(json_object_array_length(json_object_object_get(o, "fallbacks")), 0);
}
