/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/tick.h"
#include "kit/guard.h"
#include "snap/take.h"
#include "util/clock.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define FULL                                                                                       \
	"memory.current=94371840 memory.max=104857600 memory.swap.current=0 memory.oom.group=0 "   \
	"cgroup.procs=99999999 cgroup.events='populated 1\\nfrozen 0\\n' "                         \
	"memory.stat='anon 94371840\\nactive_anon 94371840\\nfile 0\\nshmem 0\\n'\n"
#define FREE "memory.current=4096 memory.max=max\n"

static struct cgg_tree *tree;
static struct cgg_guard *g;
static const char *top;
static char notices[4096];

static void on_report(void *user, enum cgg_report kind, const char *text, size_t len)
{
	(void)user;
	if (kind == CGG_REPORT_NOTICE && strlen(notices) + len + 2 < sizeof(notices))
		snprintf(notices + strlen(notices), len + 2, "%s\n", text);
}

/* The tree as a guard sees it that has just begun. */
static void begin(const char *text, const char *rules)
{
	static const struct cgg_guard_options options = {.report = on_report, .dry_run = true};
	char json[1024];

	notices[0] = '\0';
	top = kit_tree(text);
	snprintf(json, sizeof(json), "{\"version\": 1, \"protect\": [\"/a\"], \"rules\": [%s]}",
		 rules);
	g = kit_guard(top, json, &options);
	tree = g->view.tree;
}

#define EACH_RULE(each, when)                                                                      \
	"{\"name\": \"r\", \"each\": \"" each "\", \"when\": " when                                \
	", \"then\": [{\"action\": \"kill\", \"scope\": \"group\"}]}"
#define HALF EACH_RULE("/**", "{\"unreclaimable_above\": \"50%\"}")

/* Whatever has an index finds the same cgroup in the table and in the snapshot. */
static void check_one_generation(void)
{
	T_EQ_INT(g->view.snap.n, tree->n);
	T_ASSERT(g->look.groups != NULL);
	for (uint32_t i = 0; i < tree->n && i < g->view.snap.n; i++) {
		T_EQ_STR(g->view.snap.cgroups[i].path, tree->entry[i].path);
		T_ASSERT(g->view.snap.cgroups[i].id == tree->entry[i].id);
		for (uint32_t slot = g->seen[i].domain; slot != CGG_NONE;
		     slot = g->domains.slot[slot].next) {
			T_EQ_INT(g->domains.slot[slot].index, i);
			T_ASSERT(g->domains.slot[slot].id == tree->entry[i].id);
		}
	}
}

static unsigned int ndomains(void)
{
	unsigned int n = 0;

	for (uint32_t slot = 0; slot < g->domains.n; slot++)
		n += g->domains.slot[slot].used;
	return n;
}

/* ---- the table and its snapshot ------------------------------------------------------- */

TEST(a_table_that_finds_no_room_for_its_snapshot_changes_nothing)
{
	struct cgg_error err = {0};
	size_t size;

	begin("/ cgroup.controllers=memory memory.current=1\n/b " FULL, HALF);
	size = g->view.states.size;
	g->view.states.size = 2 * sizeof(*g->seen) + 16;
	kit_tree_add(top, "/a " FULL);
	T_EQ_INT(guard_rescan(g, &err), -ENOMEM);
	T_HAS(err.msg, "no room for a snapshot of 3 cgroups");
	check_one_generation();
	T_EQ_INT(tree->n, 2);
	T_EQ_STR(g->view.snap.cgroups[1].path, "/b");
	tick(g, clock_now_us() + 5000000); /* what is known is guarded on */
	g->view.states.size = size;
	T_EQ_INT(guard_rescan(g, &err), 0);
	T_EQ_INT(tree->n, 3);
	check_one_generation();
	kit_guard_end(g);
}

TEST(the_worst_tree_has_room)
{
	begin("/a " FREE, HALF);
	arena_reset(&g->view.paths[0]);
	arena_reset(&g->view.paths[1]);
	for (int i = 0; i < 2; i++)
		T_ASSERT(arena_alloc(&g->view.paths[i], CGG_TREE_MAX * (CGG_PATH_MAX + 1UL)));
	arena_reset(&g->view.cgroups);
	T_ASSERT(arena_alloc(&g->view.cgroups, CGG_TREE_MAX * sizeof(*g->view.snap.cgroups)));
	arena_reset(&g->view.states);
	T_ASSERT(arena_alloc(&g->view.states, CGG_TREE_MAX * sizeof(*g->seen)));
	arena_reset(&g->view.rooms);
	T_ASSERT(arena_alloc(&g->view.rooms, CGG_TREE_MAX * sizeof(*g->look.groups)));
	kit_guard_end(g);
}

TEST(when_many_are_removed_at_once_the_others_keep_what_was_known_of_them)
{
	char line[32];

	begin("/ memory.current=1\n/z memory.current=1\n/k/x memory.current=1\n/k/y "
	      "memory.current=1",
	      HALF);
	for (int i = 0; i < 40; i++) {
		snprintf(line, sizeof(line), "/j%02d/in", i);
		kit_tree_add(top, line);
	}
	T_EQ_INT(guard_rescan(g, NULL), 0);
	for (uint32_t i = 0; i < g->view.snap.n; i++)
		g->seen[i].kills = 1000 + (uint32_t)g->view.snap.cgroups[i].id;
	for (int i = 0; i < 40; i++) {
		snprintf(line, sizeof(line), "/j%02d", i);
		kit_tree_remove(top, line);
	}
	kit_tree_remove(top, "/k/x");
	kit_tree_add(top, "/k/x memory.current=1"); /* another one */
	T_EQ_INT(guard_rescan(g, NULL), 0);
	T_EQ_INT(g->view.snap.n, 5);
	for (uint32_t i = 0; i < g->view.snap.n; i++) {
		bool fresh = strcmp(g->view.snap.cgroups[i].path, "/k/x") == 0;

		T_EQ_INT(g->seen[i].kills, fresh ? 0 : 1000 + (uint32_t)g->view.snap.cgroups[i].id);
	}
	kit_guard_end(g);
}

TEST(who_scans_the_tree_besides_the_guard_does_not_make_it_mistake_cgroups)
{
	struct cgg_error err = {0};

	begin("/ cgroup.controllers=memory memory.current=1\n/b " FULL "/c " FULL, HALF);
	kit_tree_remove(top, "/b");
	kit_tree_add(top, "/a " FULL);
	T_EQ_INT(tree_scan(tree, &err), 0);
	T_EQ_INT(guard_dispatch(g, &err), 0);
	check_one_generation();
	kit_guard_end(g);
}

/* ---- domains -------------------------------------------------------------------------- */

/* The cgroups that have a domain, by path. */
static const char *domains(void)
{
	static char text[512];
	int n = 0;

	text[0] = '\0';
	for (uint32_t i = 0; i < g->view.snap.n; i++) {
		if (g->seen[i].domain != CGG_NONE && n < (int)sizeof(text) - 64)
			n += snprintf(text + n, sizeof(text) - (size_t)n, "%s ",
				      g->view.snap.cgroups[i].path);
	}
	return text;
}

/* The cgroups grow up: whoever sets limits has done it. */
static void years_pass(void)
{
	for (uint32_t i = 0; i < g->view.snap.n; i++)
		g->seen[i].found_us = 1;
	for (int turn = 0; turn < 50; turn++) {
		for (uint32_t slot = 0; slot < g->domains.n; slot++) {
			g->domains.slot[slot].found_us = 1;
			g->domains.slot[slot].due_us = 0;
		}
		g->plan.far_after_us = g->domains.match_after_us = 0;
		T_MUST(guard_dispatch(g, NULL) == 0);
	}
}

static const char tower[] = "/ memory.current=1\n/a " FREE "/a/b " FREE "/a/b/c " FREE
			    "/a/b/c/limited memory.current=4096 memory.max=8192\n"
			    "/a/b/c/limited/d " FREE;

TEST(a_cgroup_without_a_limit_of_its_own_needs_no_domain_below_one_that_has_it)
{
	begin(tower, HALF);
	T_EQ_STR(domains(), "/a /a/b /a/b/c /a/b/c/limited /a/b/c/limited/d ");
	years_pass();
	T_EQ_STR(domains(), "/a /a/b/c/limited ");
	/* a limit that comes later is noticed */
	kit_tree_add(top, "/a/b memory.max=65536");
	years_pass();
	T_EQ_STR(domains(), "/a /a/b /a/b/c/limited ");
	kit_tree_add(top, "/a/b memory.max=max\n/a/b/c/limited memory.max=max");
	years_pass();
	T_EQ_STR(domains(), "/a ");
	kit_guard_end(g);
}

TEST(a_cgroup_without_a_memory_controller_needs_no_domain_until_it_has_one)
{
	begin("/ memory.current=1 cgroup.subtree_control=memory\n/a " FREE
	      "/a cgroup.subtree_control=pids\n/a/x\n/a/y\n/b " FREE,
	      EACH_RULE("/**", "{\"usage_above\": \"1Gi\"}"));
	T_EQ_STR(domains(), "/a /b "); /* not even a look */
	years_pass();
	T_EQ_STR(domains(), "/a /b ");
	kit_tree_add(top, "/a/x " FREE "/a/y " FREE "/a cgroup.subtree_control=memory");
	years_pass();
	T_EQ_STR(domains(), "/a /a/x /a/y /b ");
	kit_guard_end(g);
}

TEST(one_more_child_of_a_cgroup_that_has_none_with_memory_needs_no_domain_at_all)
{
	begin("/ memory.current=1 cgroup.subtree_control=memory\n/a " FREE
	      "/a cgroup.subtree_control=pids\n/a/x\n/b " FREE
	      "/b cgroup.subtree_control='cpu memory'\n/b/threaded\n/b/x " FREE,
	      EACH_RULE("/**", "{\"usage_above\": \"1Gi\"}"));
	years_pass();
	T_EQ_STR(domains(), "/a /b /b/x ");
	kit_tree_add(top, "/a/y\n/b/y " FREE);
	T_EQ_INT(guard_rescan(g, NULL), 0);
	T_EQ_STR(domains(), "/a /b /b/x /b/y ");
	kit_tree_add(top, "/a/x " FREE "/a/y " FREE "/a cgroup.subtree_control=memory");
	years_pass();
	T_EQ_STR(domains(), "/a /a/x /a/y /b /b/x /b/y ");
	kit_guard_end(g);
}

TEST(a_rule_that_looks_at_no_ancestor_or_not_at_the_limit_has_all_its_domains)
{
	begin(tower, EACH_RULE("/**/d", "{\"unreclaimable_above\": \"50%\"}"));
	years_pass();
	T_EQ_STR(domains(), "/a/b/c/limited/d ");
	kit_guard_end(g);
	begin(tower, EACH_RULE("/**", "{\"usage_above\": \"1Gi\"}"));
	years_pass();
	T_EQ_STR(domains(), "/a /a/b /a/b/c /a/b/c/limited /a/b/c/limited/d ");
	kit_guard_end(g);
}

TEST(whoever_makes_ten_thousand_cgroups_takes_the_slots_of_nobody)
{
	char line[64];
	int fd;

	begin("/ memory.current=1\n/docker/one " FULL "/user",
	      EACH_RULE("/*/*", "{\"usage_above\": \"50%\"}"));
	fd = kit_tree_fd(top, "/user");
	for (int i = 0; i < 10000; i++) {
		snprintf(line, sizeof(line), "%d", i);
		T_MUST(mkdirat(fd, line, 0755) == 0);
	}
	close(fd);
	T_EQ_INT(guard_rescan(g, NULL), 0);
	T_EQ_INT(ndomains(), GUARD_DOMAINS_MAX);
	T_HAS(notices, "more than 8192 cgroups match the rules");
	kit_tree_add(top, "/docker/two " FULL "/zlate/three " FULL);
	T_EQ_INT(guard_rescan(g, NULL), 0);
	T_EQ_INT(ndomains(), GUARD_DOMAINS_MAX);
	T_ASSERT(g->seen[tree_find(tree, "/docker/one")].domain != CGG_NONE);
	T_ASSERT(g->seen[tree_find(tree, "/docker/two")].domain != CGG_NONE);
	T_ASSERT(g->seen[tree_find(tree, "/zlate/three")].domain != CGG_NONE);
	check_one_generation();
	kit_tree_remove(top, "/user");
	T_EQ_INT(guard_rescan(g, NULL), 0);
	T_EQ_INT(ndomains(), 3);
	T_EQ_STR(g->lack[LACK_SLOTS], "");
	kit_guard_end(g);
}

TEST(an_owner_leaves_places_of_incidents_to_others)
{
	uint32_t user, b;

	begin("/ memory.current=1\n/user/1 " FREE "/user/2 " FREE "/b " FREE,
	      EACH_RULE("/**", "{\"usage_above\": \"50%\"}"));
	user = tree_find(tree, "/user");
	b = tree_find(tree, "/b");
	for (int i = 0; i < LADDER_SLOTS / 2; i++) {
		T_ASSERT(incident_has_place(g, tree_find(tree, "/user/1")));
		g->incidents.slot[i].used = true;
		g->incidents.slot[i].owner_id = tree->entry[user].id;
	}
	T_ASSERT(!incident_has_place(g, tree_find(tree, "/user/1")));
	T_ASSERT(!incident_has_place(g, tree_find(tree, "/user/2")));
	T_ASSERT(incident_has_place(g, b));
	g->incidents.slot[0].ladder.state = LADDER_PREEMPTED;
	T_ASSERT(incident_has_place(g, tree_find(tree, "/user/2")));
	for (int i = 0; i < LADDER_SLOTS; i++)
		g->incidents.slot[i].used = false;
	kit_guard_end(g);
}

TEST(another_policy_has_its_own_domains)
{
	const struct cgg_policy *policy;
	struct cgg_policy *other;
	struct cgg_error err = {0};

	begin("/ memory.current=1\n/a " FULL "/b " FULL, HALF);
	policy = g->policy;
	T_EQ_STR(domains(), "/a /b ");
	other = kit_load(
		"{\"version\": 1, \"rules\": [" EACH_RULE("/b", "{\"usage_above\": \"50%\"}") "]}",
		&err);
	T_MUST(other);
	T_EQ_INT(guard_set_policy(g, other), 0);
	T_EQ_STR(domains(), "/b ");
	check_one_generation();
	T_EQ_INT(guard_set_policy(g, policy), 0);
	T_EQ_STR(domains(), "/a /b ");
	cgg_policy_free(other);
	kit_guard_end(g);
}

/* Processor time of this process: on a busy machine, too, what the guard itself took. */
static uint64_t cpu_now_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

/* How much processor time passed between two looks at the domain of a path, at the most. */
static uint64_t longest_wait_us(const char *path, int turns)
{
	const struct guard_domain *d = &g->domains.slot[g->seen[tree_find(tree, path)].domain];
	uint64_t longest = 0, looked_us = d->looked_us, since_us = cpu_now_us();

	for (int turn = 0; turn < turns; turn++) {
		uint64_t now = cpu_now_us();

		T_MUST(guard_dispatch(g, NULL) == 0);
		if (now - since_us > longest)
			longest = now - since_us;
		if (d->looked_us != looked_us)
			since_us = now;
		looked_us = d->looked_us;
		usleep(200);
	}
	return longest;
}

TEST(a_crowd_keeps_nobody_waiting)
{
	char line[64];

	begin("/ memory.current=1\n/user " FREE
	      "/services/web memory.current=4096 memory.max=104857600",
	      EACH_RULE("/*/*", "{\"usage_above\": \"50%\"}"));
	for (int i = 0; i < 3000; i++) {
		snprintf(line, sizeof(line), "/user/%d memory.current=4096 memory.max=1048576", i);
		kit_tree_add(top, line);
	}
	T_EQ_INT(guard_rescan(g, NULL), 0);
	T_EQ_INT(ndomains(), 3001);
	T_ASSERT(longest_wait_us("/services/web", 4000) < 1000000);
	kit_guard_end(g);
}

/* ---- watches -------------------------------------------------------------------------- */

static uint32_t nwatches(void)
{
	return files_count(&g->files);
}

TEST(the_watches_of_a_thousand_cgroups_end_with_them)
{
	uint32_t before, most = 0;
	char line[256];

	begin("/ memory.current=1 cgroup.subtree_control=memory\n/stays " FULL
	      "/stays memory.events='high 0\\n'\n",
	      HALF);
	for (int turn = 0; turn < 3; turn++)
		T_MUST(guard_dispatch(g, NULL) == 0);
	before = nwatches();
	T_ASSERT(before >= 2);
	for (int wave = 0; wave < 50; wave++) {
		for (int i = 0; i < 20; i++) {
			snprintf(line, sizeof(line),
				 "/c%02d " FREE "/c%02d memory.high=max memory.min=0 "
				 "memory.events='high 0\\n'\n",
				 i, i);
			kit_tree_add(top, line);
		}
		T_MUST(guard_rescan(g, NULL) == 0);
		for (uint32_t i = 1; i < g->view.snap.n; i++) { /* as a brake and a hook do */
			T_MUST(files_watch(&g->files, i, "memory.high", WATCH_BY_BRAKE) > 0 ||
			       strcmp(g->view.snap.cgroups[i].path, "/stays") == 0);
			(void)files_watch(&g->files, i, "memory.high", WATCH_BY_RESET);
			(void)files_watch(&g->files, i, "memory.min", WATCH_BY_RESET);
		}
		T_MUST(guard_dispatch(g, NULL) == 0);
		most = nwatches() > most ? nwatches() : most;
		for (int i = 0; i < 20; i++) {
			snprintf(line, sizeof(line), "/c%02d", i);
			kit_tree_remove(top, line);
		}
		T_MUST(guard_rescan(g, NULL) == 0);
		T_MUST(guard_dispatch(g, NULL) == 0);
		T_EQ_INT(nwatches(), before);
	}
	T_ASSERT(most >= before + 3 * 20);
	kit_guard_end(g);
}

TEST(when_events_were_lost_each_limit_is_read_again)
{
	begin("/ memory.current=1\n/a " FREE "/b " FREE, HALF);
	years_pass();
	for (uint32_t i = 1; i < g->view.snap.n; i++)
		g->view.snap.cgroups[i].have |= CGG_HAVE_MAX;
	watches_fire_all(
		&g->files.watches[WATCHES_OF_LIMITS]); /* IN_Q_OVERFLOW, see tree_events_read() */
	files_work(&g->files);
	for (uint32_t i = 1; i < g->view.snap.n; i++) {
		T_ASSERT(!(g->view.snap.cgroups[i].have & CGG_HAVE_MAX));
		for (uint32_t slot = g->seen[i].domain; slot != CGG_NONE;
		     slot = g->domains.slot[slot].next)
			T_EQ_INT(g->domains.slot[slot].limit_us, 0);
	}
	T_ASSERT(g->domains.match_due);
	kit_guard_end(g);
}
