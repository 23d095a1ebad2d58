/* SPDX-License-Identifier: Apache-2.0 */
/* Which groups a domain has, by each unit of a rule, and which of them are protected. */
#include "kit/snap.h"
#include "kit/t.h"

#include "rank/rank.h"

struct group_row {
	const char *name, *tree, *domain;
	enum cgg_unit unit;
	const char *include, *exclude;
	const char *groups; /* path[:p] [:u=path], by path; ":1" = one process of it */
};

#define LEAF  CGG_UNIT_LEAF
#define OOM   CGG_UNIT_OOM_GROUP
#define MATCH CGG_UNIT_MATCH

#define USER  "/user.slice/user-1000.slice/user@1000.service"
#define POD   "/kubepods/pod11111111-2222-3333-4444-555555555555"
#define HEX   "012345678901234567890123456789012345678901234567890123456789abc"

static const struct group_row group_rows[] = {
	{"only what holds processes", "/a current=1\n/a/b procs=1 current=1\n/c current=1", "/",
	 LEAF, NULL, NULL, "/a/b"},
	{"a service is one, however it splits itself",
	 "/s.service current=9\n/s.service/a procs=1 current=4\n/s.service/b procs=1 current=5",
	 "/", LEAF, NULL, NULL, "/s.service"},
	{"an OOM unit above the owner wins",
	 "/x group=1 current=9\n/x/a.scope procs=1 current=4\n/x/b.scope procs=1 current=5", "/",
	 LEAF, NULL, NULL, "/x"},
	{"an owner above the OOM unit wins",
	 "/m/l.scope current=9\n/m/l.scope/container group=1 procs=2 current=9", "/", LEAF, NULL,
	 NULL, "/m/l.scope"},
	{"an OOM unit above the domain does not count",
	 "/x group=1 current=9\n/x/d/a procs=1 current=4\n/x/d/b procs=1 current=5", "/x/d", LEAF,
	 NULL, NULL, "/x/d/a /x/d/b"},
	{"the domain's own processes make it a candidate", "/a procs=2 current=9", "/a", LEAF, NULL,
	 NULL, "/a"},
	{"the true root is never one", "/ procs=100\n/a procs=1 current=1", "/", LEAF, NULL, NULL,
	 "/a"},
	{"a namespace's root may be", "/ procs=100 current=9", "/", LEAF, NULL, NULL, "/"},
	{"what a group has below is not counted twice",
	 "/a procs=1 current=9\n/a/b procs=1 current=5", "/", LEAF, NULL, NULL, "/a"},
	{"an empty child hides nothing", "/a procs=3 current=9\n/a/empty", "/", LEAF, NULL, NULL,
	 "/a"},
	{"a child without the controller hides nothing", "/a current=9\n/a/x bare procs=3", "/",
	 LEAF, NULL, NULL, "/a"},
	{"nor two levels of them", "/a current=9\n/a/x bare\n/a/x/y bare procs=3", "/", LEAF, NULL,
	 NULL, "/a"},
	{"a slice loses one process for what can't be told apart in it",
	 "/s.slice current=9\n/s.slice/x.service bare procs=3\n/s.slice/y.service bare procs=1",
	 "/", LEAF, NULL, NULL, "/s.slice:1"},
	{"so does a session", "/u/user@1.service current=9\n/u/user@1.service/x bare procs=3", "/",
	 LEAF, NULL, NULL, "/u/user@1.service:1"},
	{"and as the kernel would", "/s.slice current=9\n/s.slice/x.service bare procs=3", "/", OOM,
	 NULL, NULL, "/s.slice:1"},
	{"the domain itself too", "/s.slice current=9\n/s.slice/x.service bare procs=3", "/s.slice",
	 LEAF, NULL, NULL, "/s.slice:1"},
	{"it dies whole where the kernel kills it whole",
	 "/s.slice current=9 group=1\n/s.slice/x.service bare procs=3", "/", LEAF, NULL, NULL,
	 "/s.slice:u=/s.slice"},
	{"or where the rule matches it", "/s.slice current=9\n/s.slice/x.service bare procs=3", "/",
	 MATCH, "/s.slice", NULL, "/s.slice"},
	{"what is deeper is part of it, beside a slice with services of their own",
	 "/s.slice current=9\n/s.slice/t.slice bare\n/s.slice/t.slice/x.service bare procs=3\n"
	 "/z.slice current=9\n/z.slice/x.service current=9 procs=1",
	 "/", LEAF, NULL, NULL, "/s.slice:1 /z.slice/x.service"},
	{"never what has a controller: its own group",
	 "/s.slice current=9\n/s.slice/x.service current=1 procs=3\n/s.slice/x.service/y bare "
	 "procs=1\n"
	 "/s.slice/z.service current=8 procs=1",
	 "/", LEAF, NULL, NULL, "/s.slice/x.service /s.slice/z.service"},
	{"children that could not be read now may have one",
	 "/a current=9\n/a/x bare procs=3 unread=1", "/", LEAF, NULL, NULL, "/a/x"},
	{"globs may name what is in it",
	 "/s.slice current=9\n/s.slice/x.service bare procs=3\n/s.slice/y.service bare procs=1",
	 "/", LEAF, "/s.slice/**", "/s.slice/x*", "/s.slice:1"},
	{"not if nothing is left", "/s.slice current=9\n/s.slice/x.service bare procs=3", "/", LEAF,
	 "/s.slice/y*", NULL, ""},
	{"nor itself excluded", "/s.slice current=9\n/s.slice/x.service bare procs=3", "/", LEAF,
	 "/s.slice/**", "/s.slice", ""},
	{"but a user's own is a group, where its memory is counted and nowhere else",
	 USER " uid=1000 current=9\n" USER "/x.slice uid=1000 current=9 procs=1\n" USER
	      "/x.slice/y uid=1000 bare procs=1",
	 "/", LEAF, NULL, NULL, USER "/x.slice"},
	{"a user who takes the controller away from all is one",
	 USER " uid=1000 current=9\n" USER "/x.scope uid=1000 bare procs=1\n" USER
	      "/y.slice/z.scope uid=1000 bare procs=1",
	 "/", LEAF, NULL, NULL, USER},
	{"nor for a process in the slice itself",
	 "/s.slice current=9 procs=1\n/s.slice/a.service current=5 procs=1", "/", LEAF, NULL, NULL,
	 "/s.slice/a.service"},
	{"a sibling with the controller: the bare one is unknown, its parent no group",
	 "/a current=9\n/a/x bare procs=3\n/a/y procs=1 current=4", "/", LEAF, NULL, NULL,
	 "/a/x /a/y"},
	{"threads belong to the domain above", "/a current=9\n/a/t bare threaded procs=4", "/",
	 LEAF, NULL, NULL, "/a"},
	{"threads below a holder", "/a current=9 procs=1\n/a/t bare threaded procs=4", "/", OOM,
	 NULL, NULL, "/a:1"},
	{"threads beside a child with the controller",
	 "/a current=9\n/a/m current=1\n/a/t bare threaded procs=4", "/", LEAF, NULL, NULL, "/a"},
	{"threads are no candidate of their own",
	 "/a current=9 procs=1\n/a/m current=1\n/a/t bare threaded procs=4", "/", OOM, NULL, NULL,
	 "/a:1"},
	{"not by match either", "/a current=9 procs=1\n/a/t bare threaded procs=4", "/", MATCH,
	 "/a/t", NULL, ""},
	{"threads below threads", "/a current=9\n/a/t bare threaded\n/a/t/u bare threaded procs=1",
	 "/", LEAF, NULL, NULL, "/a"},
	{"include and exclude speak of the group's path",
	 "/a.service/x procs=1 current=1\n/b.service procs=1 current=1\n/c procs=1 current=1", "/",
	 LEAF, "/*.service", "/b*", "/a.service"},
	{"include of an inner path alone does not include the group",
	 "/a.service/x procs=1 current=1", "/", LEAF, "/a.service/x", NULL, ""},

	{"oom-group: units and single cgroups",
	 "/a group=1 current=9\n/a/b procs=1 current=4\n/c procs=2 current=1\n/d.service/e procs=1",
	 "/", OOM, NULL, NULL, "/a:u=/a /c:1 /d.service/e:1"},
	{"oom-group: nested single ones are each their own",
	 "/a procs=1 current=9\n/a/b procs=1 current=4", "/", OOM, NULL, NULL, "/a:1 /a/b:1"},
	{"oom-group: a bare child's memory is its parent's", "/a current=9\n/a/b bare procs=1", "/",
	 OOM, NULL, NULL, "/a:1"},
	{"oom-group: a unit without processes is no candidate", "/a group=1 current=9\n/a/b", "/",
	 OOM, NULL, NULL, ""},

	{"match: the topmost that is included",
	 "/k/p/a procs=1 current=1\n/k/p/b procs=1 current=1\n/x procs=1 current=1", "/", MATCH,
	 "/k/**", NULL, "/k/p"},
	{"match: excluded tops give way to what is below",
	 "/k/p/a procs=1 current=1\n/k/p/b procs=1 current=1", "/", MATCH, "/k/**", "/k/p",
	 "/k/p/a /k/p/b"},
	{"match: the domain itself can match", "/k/p procs=1 current=1", "/k/p", MATCH, "/k/*",
	 NULL, "/k/p"},
	{"match: what is above the domain is not asked", "/k/p/a procs=1 current=1", "/k/p/a",
	 MATCH, "/k/p", NULL, ""},
	{"match without include: the domain itself",
	 "/k current=9\n/k/a procs=1 current=1\n/k/b procs=1 current=1", "/k", MATCH, NULL, NULL,
	 "/k"},
	{"match without include at the true root: what is directly below",
	 "/ procs=9\n/k/a procs=1 current=1\n/l procs=1 current=1\n/m current=1", "/", MATCH, NULL,
	 NULL, "/k /l"},

	{"a monitor beside its container is no candidate",
	 "/s.slice/crio-1.scope procs=1 anon=9Mi\n/s.slice/crio-conmon-1.scope procs=1 anon=1Mi\n"
	 "/libpod_parent/conmon procs=2 anon=7Mi\n/libpod_parent/libpod-2 procs=1 anon=9Mi\n"
	 "/libpod_parent/libpod-3 procs=1 anon=9Mi\n"
	 "/libpod_parent/libpod-conmon-2 procs=1 anon=1Mi\n"
	 "/lxc.monitor.web procs=1 anon=1Mi\n/lxc.payload.web uid=100000 procs=1 anon=9Mi",
	 "/", LEAF, NULL, NULL,
	 "/libpod_parent/libpod-2 /libpod_parent/libpod-3 /lxc.payload.web /s.slice/crio-1.scope"},
	{"one beside no container, or one that is empty, is like anybody",
	 "/s.slice/crio-conmon-1.scope procs=1 anon=1Mi\n/s.slice/crio-2.scope\n"
	 "/s.slice/crio-conmon-2.scope procs=1 anon=1Mi\n/lxc.monitor.web procs=1 anon=1Mi\n"
	 "/conmon procs=1 anon=1Mi",
	 "/", LEAF, NULL, NULL,
	 "/conmon /lxc.monitor.web /s.slice/crio-conmon-1.scope /s.slice/crio-conmon-2.scope"},
	{"scopes that are called monitors are like anybody, however small and many",
	 "/q/a-conmon-1.scope procs=1 anon=3Mi\n/q/a-conmon-2.scope procs=1 anon=3Mi\n"
	 "/q/good.service procs=1 anon=2Mi\n/q/pause procs=1 anon=1Mi",
	 "/", LEAF, NULL, NULL, "/q/a-conmon-1.scope /q/a-conmon-2.scope /q/good.service /q/pause"},
	{"a hog can't hide behind a monitor's name, page cache is no hog",
	 "/s.slice/libpod-1.scope procs=1 anon=9Mi\n/s.slice/libpod-2.scope procs=1 anon=9Mi\n"
	 "/s.slice/libpod-conmon-1.scope procs=1 current=9Mi anon=5Mi\n"
	 "/s.slice/libpod-conmon-2.scope procs=1 current=1Gi anon=2Mi file=1022Mi",
	 "/", LEAF, NULL, NULL,
	 "/s.slice/libpod-1.scope /s.slice/libpod-2.scope /s.slice/libpod-conmon-1.scope"},
	{"nor one in page tables",
	 "/s.slice/libpod-1.scope procs=1 anon=9Mi\n"
	 "/s.slice/libpod-conmon-1.scope procs=1 current=9Mi kernel=8Mi",
	 "/", LEAF, NULL, NULL, "/s.slice/libpod-1.scope /s.slice/libpod-conmon-1.scope"},
	{"nor many behind one container",
	 "/libpod_parent/conmon procs=9 anon=5Mi\n/libpod_parent/libpod-2 procs=1 anon=9Mi", "/",
	 LEAF, NULL, NULL, "/libpod_parent/conmon /libpod_parent/libpod-2"},
	{"what a user has made is no monitor",
	 USER "/libpod-1.scope procs=1 anon=9Mi\n" USER
	      "/libpod-conmon-1.scope procs=1 anon=1Mi uid=1000",
	 "/", LEAF, NULL, NULL, USER "/libpod-1.scope " USER "/libpod-conmon-1.scope"},
	{"nor is what a container has made",
	 "/docker/x/libpod-1 group=1 procs=1 anon=9Mi\n/docker/x/libpod-conmon-1 procs=1 anon=1Mi",
	 "/", OOM, NULL, NULL, "/docker/x/libpod-1 /docker/x/libpod-conmon-1:1"},
	{"nor one that can't be read",
	 "/s.slice/libpod-1.scope procs=1 anon=9Mi\n/s.slice/libpod-conmon-1.scope procs=1", "/",
	 LEAF, NULL, NULL, "/s.slice/libpod-1.scope /s.slice/libpod-conmon-1.scope"},
	{"a domain of its own makes no candidate of a monitor",
	 "/s.slice/libpod-1.scope procs=1 anon=9Mi\n"
	 "/s.slice/libpod-conmon-1.scope procs=1 anon=1Mi",
	 "/s.slice/libpod-conmon-1.scope", LEAF, NULL, NULL, ""},
	{"of the small containers of a pod the first is its sandbox",
	 POD "/" HEX "1 procs=1 anon=1Mi id=3\n" POD "/" HEX "2 procs=1 anon=1Mi id=4\n" POD "/" HEX
	     "3 procs=1 anon=9Mi id=5",
	 "/", LEAF, NULL, NULL, POD "/" HEX "2 " POD "/" HEX "3"},
	{"one that holds more is none",
	 POD "/" HEX "1 procs=1 anon=5Mi id=3\n" POD "/" HEX "2 procs=1 anon=9Mi id=4", "/", LEAF,
	 NULL, NULL, POD "/" HEX "1 " POD "/" HEX "2"},
	{"and what was there before need not be",
	 POD "/" HEX "1 procs=1 anon=5Mi id=3\n" POD "/" HEX "2 procs=1 anon=1Mi id=4\n" POD "/" HEX
	     "3 procs=1 anon=0 id=5",
	 "/", LEAF, NULL, NULL, POD "/" HEX "1 " POD "/" HEX "3"},
	{"nor one that is alone",
	 POD "/" HEX "1 procs=1 anon=1Mi id=3\n" POD "/" HEX "2 anon=1Mi id=4", "/", LEAF, NULL,
	 NULL, POD "/" HEX "1"},
	{"nor one outside a pod",
	 "/docker/a procs=1 anon=1Mi id=3\n/docker/b procs=1 anon=9Mi id=4", "/", LEAF, NULL, NULL,
	 "/docker/a /docker/b"},
	{"nor one in what is only called a pod",
	 "/kubepods/pod-mine/" HEX "1 procs=1 anon=1Mi id=3\n/kubepods/pod-mine/" HEX
	 "2 procs=1 anon=9Mi id=4",
	 "/", LEAF, NULL, NULL, "/kubepods/pod-mine/" HEX "1 /kubepods/pod-mine/" HEX "2"},
	{"nor in a pod below what a user has made",
	 "/kubepods uid=1000\n" POD "/" HEX "1 procs=1 anon=1Mi id=3\n" POD "/" HEX
	 "2 procs=1 anon=9Mi id=4",
	 "/", LEAF, NULL, NULL, POD "/" HEX "1 " POD "/" HEX "2"},
	{"the unit the kernel would kill: one for all members",
	 "/m/l.scope current=9\n/m/l.scope/container group=1 procs=2 current=9\n/m/l.scope/empty",
	 "/", LEAF, NULL, NULL, "/m/l.scope:u=/m/l.scope/container"},
	{"the unit the kernel would kill: two are none",
	 "/m/l.scope/a group=1 procs=2 current=9\n/m/l.scope/b group=1 procs=1", "/", LEAF, NULL,
	 NULL, "/m/l.scope:u="},
};

/* Whether a group is as "path[:1][:u=unit]" says. */
static void check_group(const struct cgg_snapshot *snap, const struct cgg_group *group, char *want)
{
	char *unit = strstr(want, ":u="), *one;

	if (unit)
		*unit = '\0';
	one = strstr(want, ":1");
	if (one)
		*one = '\0';
	T_EQ_STR(snap->cgroups[group->cgroup].path, want);
	T_EQ_INT(group->whole, !one);
	if (unit)
		T_EQ_INT(group->oom_unit, unit[3] ? kit_at(snap, unit + 3) : CGG_NONE);
}

TEST(groups_are_formed_by_the_unit_of_the_rule)
{
	const enum cgg_rank_key by_path[1] = {0};

	for (size_t i = 0; i < CGG_ARRAY_LEN(group_rows); i++) {
		const struct group_row *row = &group_rows[i];
		struct cgg_snapshot *snap = kit_snap(row->tree);
		struct rank_spec spec = {
			.domain = kit_at(snap, row->domain),
			.unit = row->unit,
			.keys = by_path,
			.include = {&row->include, row->include ? 1 : 0},
			.exclude = {&row->exclude, row->exclude ? 1 : 0},
		};
		struct cgg_group groups[16];
		char *want = strdup(row->groups), *save, *word = strtok_r(want, " ", &save);
		size_t n, k = 0;

		T_ROW(row->name);
		T_MUST(want && snap->n <= CGG_ARRAY_LEN(groups));
		n = rank_groups(snap, &spec, groups);
		for (; word && k < n; word = strtok_r(NULL, " ", &save))
			check_group(snap, &groups[k++], word);
		T_ASSERT(!word);
		T_EQ_INT(n, k);
		free(want);
		kit_snap_free(snap);
	}
}

TEST(a_domain_beyond_the_snapshot_has_no_groups)
{
	struct cgg_snapshot *snap = kit_snap("/a procs=1");
	struct rank_spec spec = {.domain = 7};
	struct cgg_group groups[2];

	T_EQ_INT(rank_groups(snap, &spec, groups), 0);
	kit_snap_free(snap);
}

/* ---- protection ------------------------------------------------------------------------- */

struct protect_row {
	const char *name, *tree, *domain;
	enum cgg_unit unit;
	const char *glob; /* NULL: none */
	uint64_t own_id;
	const char *group;
	bool protect;
};

static const struct protect_row protect_rows[] = {
	{"nothing", "/a procs=1 id=5", "/", LEAF, NULL, 6, "/a", false},
	{"its own path", "/a procs=1", "/", LEAF, "/a", 0, "/a", true},
	{"another's path", "/a procs=1", "/", LEAF, "/b", 0, "/a", false},
	{"an ancestor's path", "/a/b/c procs=1", "/", LEAF, "/a", 0, "/a/b/c", true},
	{"an ancestor's path above the domain", "/a/b/c procs=1", "/a/b", LEAF, "/a", 0, "/a/b/c",
	 true},
	{"the path of the domain", "/a/b/c procs=1", "/a/b", LEAF, "/a/b", 0, "/a/b/c", true},
	{"a sibling of an ancestor", "/a/b/c procs=1\n/a/x procs=1", "/", LEAF, "/a/x", 0, "/a/b/c",
	 false},
	{"something inside", "/a.service/db procs=1\n/a.service/web procs=1", "/", LEAF,
	 "/a.service/db", 0, "/a.service", true},
	{"something empty inside", "/a.service/db\n/a.service/web procs=1", "/", LEAF,
	 "/a.service/db", 0, "/a.service", false},
	{"something inside that is populated further down", "/a.service/db/x procs=1", "/", LEAF,
	 "/a.service/db", 0, "/a.service", true},
	{"something inside that may be populated for all we know",
	 "/a.service/db noprocs\n/a.service/web procs=1", "/", LEAF, "/a.service/db", 0,
	 "/a.service", true},
	{"something inside, said to be empty", "/a.service/db populated=0\n/a.service/web procs=1",
	 "/", LEAF, "/a.service/db", 0, "/a.service", false},
	{"something inside, said to be populated",
	 "/a.service/db populated=1\n/a.service/web procs=1", "/", LEAF, "/a.service/db", 0,
	 "/a.service", true},
	{"what is inside one process's cgroup is not touched",
	 "/a procs=1 current=2\n/a/b procs=1 current=1", "/", OOM, "/a/b", 0, "/a", false},
	{"something inside that a user has made and named",
	 "/a.scope procs=1\n/a.scope/db procs=1 uid=1000", "/", LEAF, "/a.scope/db", 0, "/a.scope",
	 false},
	{"something inside a container that is uid 0 in there too",
	 "/docker/a/podman.service procs=1", "/", LEAF, "/**/podman.service", 0, "/docker/a",
	 false},
	{"something inside that the host's root made in what a user did",
	 "/a procs=1 uid=1000\n/a/x uid=1000\n/a/x/db procs=1", "/", LEAF, "/a/**/db", 0, "/a",
	 true},
	{"the guard's own cgroup", "/a procs=1 id=5", "/", LEAF, NULL, 5, "/a", true},
	{"an ancestor of the guard's own", "/a id=5\n/a/g.scope procs=1 id=6", "/", MATCH, NULL, 5,
	 "/a", true},
	{"of a slice without controllers below another one's process dies",
	 "/s.slice current=9\n/s.slice/a.service bare procs=1\n/s.slice/b.service bare procs=1",
	 "/", LEAF, "/s.slice/a.service", 0, "/s.slice", false},
	{"or one's of another service than the guard",
	 "/s.slice current=9 id=5\n/s.slice/a.service bare procs=1\n/s.slice/g.service bare "
	 "procs=1",
	 "/", LEAF, NULL, 5, "/s.slice", false},
	{"but not if nobody else is there",
	 "/s.slice current=9\n/s.slice/a.service bare procs=1\n/s.slice/b.service bare", "/", LEAF,
	 "/s.slice/a.service", 0, "/s.slice", true},
	{"nor where all is protected", "/s.slice current=9\n/s.slice/a.service bare procs=1", "/",
	 LEAF, "/s.slice", 0, "/s.slice", true},
};

TEST(protection_holds_for_the_group_what_is_above_and_what_is_inside)
{
	const enum cgg_rank_key by_path[1] = {0};

	for (size_t i = 0; i < CGG_ARRAY_LEN(protect_rows); i++) {
		const struct protect_row *row = &protect_rows[i];
		struct cgg_snapshot *snap = kit_snap(row->tree);
		struct rank_spec spec = {
			.domain = kit_at(snap, row->domain),
			.unit = row->unit,
			.keys = by_path,
			.protect = {&row->glob, row->glob ? 1 : 0},
			.own_ids = &row->own_id,
			.nown_ids = 1,
		};
		struct cgg_group groups[16];
		size_t n = rank_groups(snap, &spec, groups), at = 0;

		T_ROW(row->name);
		while (at < n && groups[at].cgroup != kit_at(snap, row->group))
			at++;
		T_ASSERT(at < n);
		if (at < n)
			T_EQ_INT(groups[at].protect, row->protect);
		kit_snap_free(snap);
	}
}

/* ---- who is spared where one process dies ------------------------------------------------- */

struct spare_row {
	const char *name, *tree;
	const char *include, *exclude, *protect;
	uint64_t own_id;
	bool left;
	const char *spared; /* paths */
};

#define SERVICES                                                                                   \
	"/s.slice current=9\n/s.slice/a.service bare procs=1\n/s.slice/b.service bare\n"           \
	"/s.slice/b.service/x bare procs=2\n/s.slice/c.service bare procs=1 id=77\n"

static const struct spare_row spare_rows[] = {
	{"nobody", SERVICES, NULL, NULL, NULL, 0, true, ""},
	{"what is protected, and all below it", SERVICES, NULL, NULL, "/s.slice/b*", 0, true,
	 "/s.slice/b.service"},
	{"each once", SERVICES, NULL, "/s.slice/b.service/*", "/s.slice/{b,a}.service", 0, true,
	 "/s.slice/a.service /s.slice/b.service"},
	{"what is excluded", SERVICES, NULL, "/**/x", NULL, 0, true, "/s.slice/b.service/x"},
	{"what is not included", SERVICES, "/s.slice/b*", NULL, NULL, 0, true,
	 "/s.slice/a.service /s.slice/c.service"},
	{"the guard's own", SERVICES, NULL, NULL, NULL, 77, true, "/s.slice/c.service"},
	{"all", SERVICES, NULL, NULL, "/s.slice/*", 0, false,
	 "/s.slice/a.service /s.slice/b.service /s.slice/c.service"},
	{"a name that a user gave spares nobody",
	 "/s.slice current=9\n/s.slice/u bare uid=1000\n/s.slice/u/a.service bare uid=1000 procs=1",
	 NULL, NULL, "/**/a.service", 0, true, ""},
	{"processes beside those that are included can't be told apart",
	 "/s.slice current=9 procs=1\n/s.slice/a.service bare procs=1", "/s.slice/a*", NULL, NULL,
	 0, false, ""},
};

TEST(who_is_spared_where_one_process_dies)
{
	for (size_t i = 0; i < CGG_ARRAY_LEN(spare_rows); i++) {
		const struct spare_row *row = &spare_rows[i];
		struct cgg_snapshot *snap = kit_snap(row->tree);
		struct rank_spec spec = {
			.include = {&row->include, row->include ? 1 : 0},
			.exclude = {&row->exclude, row->exclude ? 1 : 0},
			.protect = {&row->protect, row->protect ? 1 : 0},
			.own_ids = &row->own_id,
			.nown_ids = 1,
		};
		uint64_t ids[RANK_SPARED_MAX];
		struct rank_spared spared = rank_spare(snap, &spec, kit_at(snap, "/s.slice"), ids);
		char *want = strdup(row->spared), *save, *word = strtok_r(want, " ", &save);
		uint32_t k = 0;

		T_ROW(row->name);
		T_EQ_INT(spared.left, row->left);
		for (; word && k < spared.n; word = strtok_r(NULL, " ", &save))
			T_EQ_INT(ids[k++], snap->cgroups[kit_at(snap, word)].id);
		T_ASSERT(!word);
		T_EQ_INT(spared.n, k);
		free(want);
		kit_snap_free(snap);
	}
}

TEST(where_its_memory_is_counted)
{
	struct cgg_snapshot *snap = kit_snap(SERVICES);

	T_EQ_INT(rank_counted_in(snap, kit_at(snap, "/s.slice/b.service/x")),
		 kit_at(snap, "/s.slice"));
	T_EQ_INT(rank_counted_in(snap, kit_at(snap, "/s.slice")), CGG_NONE);
	T_EQ_INT(rank_counted_in(snap, 0), CGG_NONE);
	kit_snap_free(snap);
}

#define MIB (1ULL << 20)

TEST(a_group_that_loses_one_process_gives_back_no_more_than_that_has)
{
	static const struct {
		const char *name;
		uint64_t a, b, c; /* MiB of the largest process of each service, 0: not known */
		const char *protect;
		uint64_t gain;
	} rows[] = {
		{"the largest", 100, 300, 200, NULL, 300},
		{"of those that are not spared", 100, 300, 200, "/s.slice/b.service", 200},
		{"one is not known", 100, 300, 0, NULL, 1000},
		{"of a spared one that does not matter", 100, 0, 200, "/s.slice/b.service", 200},
		{"all are small", 1, 3, 2, NULL, 64},
	};
	const enum cgg_rank_key by_path[1] = {0};

	for (size_t i = 0; i < CGG_ARRAY_LEN(rows); i++) {
		struct cgg_snapshot *snap = kit_snap(
			"/s.slice current=1000Mi anon=1000Mi\n/s.slice/a.service bare procs=1\n"
			"/s.slice/b.service bare procs=1\n/s.slice/c.service bare procs=1");
		struct rank_spec spec = {.keys = by_path,
					 .protect = {&rows[i].protect, rows[i].protect ? 1 : 0}};
		struct cgg_group groups[8];

		T_ROW(rows[i].name);
		snap->cgroups[kit_at(snap, "/s.slice/a.service")].gain_bytes = rows[i].a * MIB;
		snap->cgroups[kit_at(snap, "/s.slice/b.service")].gain_bytes = rows[i].b * MIB;
		snap->cgroups[kit_at(snap, "/s.slice/c.service")].gain_bytes = rows[i].c * MIB;
		T_EQ_INT(rank_groups(snap, &spec, groups), 1);
		T_EQ_INT(groups[0].term[CGG_RANK_GAIN], rows[i].gain * MIB);
		T_EQ_INT(groups[0].term[CGG_RANK_UNRECLAIMABLE], 1000 * MIB);
		kit_snap_free(snap);
	}
}

/* Where there are too many cgroups, what has no controller is not in the table. */
TEST(a_slice_that_is_not_looked_into_loses_one_process_if_none_in_it_can_be_protected)
{
	static const struct {
		const char *name, *protect;
		uint64_t own_id;
		bool is_protected;
	} rows[] = {
		{"nothing is", NULL, 0, false},
		{"another path", "/t.slice/a.service", 0, false},
		{"one like it", "/s.slices/a.service", 0, false},
		{"below it", "/s.slice/a.service", 0, true},
		{"anywhere", "/**/a.service", 0, true},
		{"the guard", NULL, 5, true},
	};
	const enum cgg_rank_key by_path[1] = {0};

	for (size_t i = 0; i < CGG_ARRAY_LEN(rows); i++) {
		struct cgg_snapshot *snap = kit_snap("/s.slice current=9 procs=1 id=5");
		struct rank_spec spec = {.keys = by_path,
					 .protect = {&rows[i].protect, rows[i].protect ? 1 : 0},
					 .own_ids = &rows[i].own_id,
					 .nown_ids = 1};
		struct cgg_group groups[2];

		T_ROW(rows[i].name);
		snap->cgroups[kit_at(snap, "/s.slice")].cut = true;
		T_EQ_INT(rank_groups(snap, &spec, groups), 1);
		T_ASSERT(!groups[0].whole);
		T_EQ_INT(groups[0].protect, rows[i].is_protected);
		kit_snap_free(snap);
	}
}
