/* SPDX-License-Identifier: Apache-2.0 */
/* Who is chosen, who is passed over and why, and what a look says of its numbers. */
#include "kit/story.h"

/* Rows that say nothing else are about size; policy-turn.c is about who took it. */
#define BY_GAIN(more)                                                                              \
	((more) && strstr((more), "\"rank\"") ? "" : ", \"rank\": [\"priority\", \"gain\"]")

/* A policy, a tree, and who is chosen; the candidates in order with why they are not fit. */
struct choice {
	const char *name, *where, *more, *top; /* of the policy; NULL: "/", nothing, nothing */
	const char *domain, *tree;
	uint64_t own_id, stuck_id;
	const char *order; /* "path" or "path(why)", separated by blanks */
	const char *victim; /* NULL: nobody */
};

#define GIB    "host total=1Gi available=50Mi free=9Mi\n"

#define HONOUR "\"honour_xattrs\": true"

#define ADJ    "\"candidates\": {\"exclude_oom_score_adj_below\": -900}"

static const struct choice choices[] = {
	{"the largest gain", NULL, NULL, NULL, "/",
	 GIB "/a procs=1 anon=20Mi\n/b procs=1 anon=30Mi\n/c procs=1 anon=11Mi", 0, 0, "/b /a /c",
	 "/b"},
	{"a page cache hog is not worth killing", NULL, NULL, NULL, "/",
	 GIB "/hog procs=1 current=900Mi anon=1Mi file=899Mi\n/a procs=1 current=30Mi anon=30Mi", 0,
	 0, "/a /hog(no gain)", "/a"},
	{"nor one of tmpfs, which outlives it", NULL, NULL, NULL, "/",
	 GIB "/hog procs=1 anon=1Mi shmem=899Mi\n/a procs=1 anon=30Mi", 0, 0, "/a /hog(no gain)",
	 "/a"},
	{"by usage it comes first, and still is passed over", NULL, "\"rank\": [\"usage\"]", NULL,
	 "/",
	 GIB "/hog procs=1 current=900Mi anon=1Mi file=899Mi\n/a procs=1 current=30Mi anon=30Mi", 0,
	 0, "/hog(no gain) /a", "/a"},
	{"the floor is a hundredth of the limit", NULL, NULL, NULL, "/",
	 "host total=1000Mi available=50Mi free=9Mi\n/a procs=1 anon=10485700\n"
	 "/b procs=1 anon=10485699",
	 0, 0, "/a /b(no gain)", "/a"},
	{"but 64 MiB are enough on any host", NULL, NULL, NULL, "/",
	 "host total=64Gi available=1Gi free=1Gi\n/a procs=1 anon=64Mi\n/b procs=1 anon=67108863",
	 0, 0, "/a /b(no gain)", "/a"},
	{"or 1 MiB where the limit is unknown", NULL, NULL, NULL, "/",
	 "/a procs=1 anon=1Mi\n/b procs=1 anon=1048575", 0, 0, "/a /b(no gain)", "/a"},
	{"nothing is no gain, however small the limit", "\"domain\": \"/s\"", NULL, NULL, "/s",
	 "/s max=100\n/s/a procs=1 anon=0\n/s/b procs=1 anon=1", 0, 0, "/s/b /s/a(no gain)",
	 "/s/b"},
	{"unknown gain is last and never acted on", NULL, NULL, NULL, "/",
	 GIB "/a procs=1 current=900Mi", 0, 0, "/a(gain unknown)", NULL},
	{"priority before gain", NULL, NULL,
	 "\"priorities\": {\"/b\": -5, \"/**\": 0, \"/a\": -9}, ", "/",
	 GIB "/a procs=1 anon=50Mi\n/b procs=1 anon=11Mi", 0, 0, "/b /a", "/b"},
	{"priority without gain is passed over", NULL, NULL, "\"priorities\": {\"/b\": -5}, ", "/",
	 GIB "/a procs=1 anon=50Mi\n/b procs=1 anon=0", 0, 0, "/b(no gain) /a", "/a"},
	{"protected: its path", NULL, NULL, "\"protect\": [\"/b\"], ", "/",
	 GIB "/a procs=1 anon=20Mi\n/b procs=1 anon=30Mi", 0, 0, "/b(protected) /a", "/a"},
	{"protected: what is below", NULL, NULL, "\"protect\": [\"/s\"], ", "/",
	 GIB "/a procs=1 anon=20Mi\n/s/b procs=1 anon=30Mi", 0, 0, "/s/b(protected) /a", "/a"},
	{"protected: what holds it", NULL, NULL, "\"protect\": [\"/b.service/db\"], ", "/",
	 GIB "/a procs=1 anon=20Mi\n/b.service anon=30Mi\n/b.service/db procs=1", 0, 0,
	 "/b.service(protected) /a", "/a"},
	{"protected: all of them", NULL, NULL, "\"protect\": [\"/*\"], ", "/",
	 GIB "/a procs=1 anon=20Mi\n/b procs=1 anon=30Mi", 0, 0, "/b(protected) /a(protected)",
	 NULL},
	{"protected: the guard itself", NULL, NULL, NULL, "/",
	 GIB "/a procs=1 anon=20Mi\n/b procs=1 anon=30Mi id=77", 77, 0, "/b(protected) /a", "/a"},
	{"marks count for nothing unless the rule says so", NULL, NULL, NULL, "/",
	 GIB "/a procs=1 anon=20Mi\n/b procs=1 anon=30Mi marks=6", 0, 0, "/b /a", "/b"},
	{"omitted by root", NULL, HONOUR, NULL, "/",
	 GIB "/a procs=1 anon=20Mi\n/b procs=1 anon=30Mi marks=2\n/c procs=1 anon=25Mi marks=4", 0,
	 0, "/b(protected) /c(protected) /a", "/a"},
	{"avoided by root: after all others, but before nobody", NULL, HONOUR, NULL, "/",
	 GIB "/a procs=1 anon=20Mi\n/b procs=1 anon=30Mi marks=8\n/c procs=1 anon=25Mi marks=16", 0,
	 0, "/a /b /c", "/a"},
	{"all avoided: the first of them", NULL, HONOUR, NULL, "/",
	 GIB "/a procs=1 anon=20Mi marks=8\n/b procs=1 anon=30Mi marks=16", 0, 0, "/b /a", "/b"},
	{"the owner's word does not spare him on the host", NULL, HONOUR, NULL, "/",
	 GIB "/a procs=1 anon=20Mi\n/b procs=1 anon=30Mi marks=4 uid=1000\n"
	     "/c procs=1 anon=25Mi marks=16 uid=1000",
	 0, 0, "/b /c /a", "/b"},
	{"but root's does", NULL, HONOUR, NULL, "/",
	 GIB "/a procs=1 anon=20Mi\n/b procs=1 anon=30Mi marks=2 uid=1000\n"
	     "/c procs=1 anon=25Mi marks=8 uid=1000",
	 0, 0, "/b(protected) /a /c", "/a"},
	{"in his own domain his word counts", "\"domain\": \"/u\"", HONOUR, NULL, "/u",
	 "/u max=1Gi uid=1000\n/u/a procs=1 anon=20Mi uid=1000\n"
	 "/u/b procs=1 anon=30Mi marks=4 uid=1000\n/u/c procs=1 anon=40Mi marks=16 uid=1000",
	 0, 0, "/u/b(protected) /u/a /u/c", "/u/a"},
	{"somebody else's there does not", "\"domain\": \"/u\"", HONOUR, NULL, "/u",
	 "/u max=1Gi uid=1000\n/u/a procs=1 anon=20Mi\n/u/b procs=1 anon=30Mi marks=4 uid=7", 0, 0,
	 "/u/b /u/a", "/u/b"},
	{"nor that of root in a container", NULL, HONOUR, NULL, "/",
	 GIB "/a procs=1 anon=20Mi\n/docker/b anon=30Mi\n/docker/b/x procs=1 marks=4", 0, 0,
	 "/docker/b /a", "/docker/b"},
	{"but in the container's own domain", "\"domain\": \"/docker/b\"", HONOUR, NULL,
	 "/docker/b",
	 "/docker/b max=1Gi\n/docker/b/x procs=1 anon=30Mi marks=4\n/docker/b/y procs=1 anon=20Mi",
	 0, 0, "/docker/b/x(protected) /docker/b/y", "/docker/b/y"},
	{"nor any user's where others can write", NULL, HONOUR, NULL, "/",
	 GIB "/a procs=1 anon=20Mi\n/b procs=1 anon=30Mi marks=36", 0, 0, "/b /a", "/b"},
	{"a mark holds for what is below, up to the domain", NULL, HONOUR, NULL, "/",
	 GIB "/a procs=1 anon=20Mi\n/s marks=2\n/s/b procs=1 anon=30Mi", 0, 0, "/s/b(protected) /a",
	 "/a"},
	{"but not from above it", "\"domain\": \"/s/t\"", HONOUR, NULL, "/s/t",
	 "/s marks=2\n/s/t max=1Gi\n/s/t/b procs=1 anon=30Mi", 0, 0, "/s/t/b", "/s/t/b"},
	{"and for what would take it along", NULL, HONOUR, NULL, "/",
	 GIB "/a procs=1 anon=20Mi\n/b.service anon=30Mi\n/b.service/db procs=1 marks=2\n"
	     "/b.service/x procs=1 marks=8",
	 0, 0, "/b.service(protected) /a", "/a"},
	{"what can't be read may be a mark", NULL, HONOUR, NULL, "/",
	 GIB "/a procs=1 anon=20Mi\n/b procs=1 anon=30Mi marks=1", 0, 0, "/b(protected) /a", "/a"},
	{"stuck: killed before and still there", NULL, NULL, NULL, "/",
	 GIB "/a procs=1 anon=20Mi\n/b procs=1 anon=30Mi id=77", 0, 77, "/b(stuck) /a", "/a"},
	{"include and exclude", NULL,
	 "\"candidates\": {\"include\": [\"/k/**\"], \"exclude\": [\"/k/b\"]}", NULL, "/",
	 GIB "/a procs=1 anon=90Mi\n/k/b procs=1 anon=80Mi\n/k/c procs=1 anon=30Mi", 0, 0, "/k/c",
	 "/k/c"},
	{"by OOM unit", NULL, "\"candidates\": {\"unit\": \"oom-group\"}", NULL, "/",
	 GIB "/a group=1 anon=50Mi\n/a/1 procs=1 anon=25Mi\n/a/2 procs=1 anon=25Mi\n"
	     "/b procs=1 anon=30Mi",
	 0, 0, "/a /b", "/a"},
	{"each: the cgroup itself, whole", "\"each\": \"/k/*\"", NULL, NULL, "/k/c",
	 GIB "/k/c max=100Mi anon=99Mi\n/k/c/1 procs=1 anon=50Mi\n/k/c/2 procs=1 anon=49Mi", 0, 0,
	 "/k/c", "/k/c"},
	{"each: but not if it is protected", "\"each\": \"/k/*\"", NULL,
	 "\"protect\": [\"/k/c/2\"], ", "/k/c",
	 GIB "/k/c max=100Mi anon=99Mi\n/k/c/1 procs=1 anon=50Mi\n/k/c/2 procs=1 anon=49Mi", 0, 0,
	 "/k/c(protected)", NULL},
	{"each: of its parts, if candidates say so", "\"each\": \"/k/*\"",
	 "\"candidates\": {\"unit\": \"leaf\"}", NULL, "/k/c",
	 GIB "/k/c max=100Mi anon=99Mi\n/k/c/1 procs=1 anon=50Mi\n/k/c/2 procs=1 anon=49Mi", 0, 0,
	 "/k/c/1 /k/c/2", "/k/c/1"},
	{"of a lower oom_score_adj than the rule takes", NULL, ADJ, NULL, "/",
	 GIB "/a procs=1 anon=20Mi adj=-997\n/b procs=1 anon=30Mi adj=-901\n"
	     "/c procs=1 anon=11Mi adj=-900",
	 0, 0, "/b(oom_score_adj too low) /a(oom_score_adj too low) /c", "/c"},
	{"all of them are", NULL, ADJ, NULL, "/", GIB "/a procs=1 anon=20Mi adj=-997", 0, 0,
	 "/a(oom_score_adj too low)", NULL},
	{"unknown is not 0", NULL, ADJ, NULL, "/",
	 GIB "/a procs=1 anon=20Mi adj=0\n/b procs=1 anon=30Mi", 0, 0,
	 "/b(oom_score_adj unknown) /a", "/a"},
	{"low, and not all were read: unknown", NULL, ADJ, NULL, "/",
	 GIB "/a procs=9 anon=20Mi adj=-997 adj=?", 0, 0, "/a(oom_score_adj unknown)", NULL},
	{"high enough, whoever was not read", NULL, ADJ, NULL, "/",
	 GIB "/a procs=9 anon=20Mi adj=3 adj=?", 0, 0, "/a", "/a"},
	{"the highest of a group: of a pod's pause and its container", NULL, ADJ, NULL, "/",
	 GIB "/p group=1 anon=20Mi\n/p/pause procs=1 anon=1Mi adj=-998\n"
	     "/p/main procs=1 anon=19Mi adj=500",
	 0, 0, "/p", "/p"},
	{"without the key anybody will do", NULL, NULL, NULL, "/",
	 GIB "/a procs=1 anon=20Mi adj=-999\n/b procs=1 anon=11Mi", 0, 0, "/a /b", "/a"},
	{"by the key: the highest first, unknown last", NULL,
	 "\"rank\": [\"oom_score_adj\", \"gain\"]", NULL, "/",
	 GIB "/a procs=1 anon=90Mi adj=-997\n/b procs=1 anon=91Mi adj=-997\n"
	     "/c procs=1 anon=11Mi adj=3\n/d procs=1 anon=12Mi adj=1000\n/e procs=1 anon=99Mi",
	 0, 0, "/d /c /b /a /e", "/d"},
	{"nobody there", NULL, NULL, NULL, "/", GIB "/a anon=20Mi", 0, 0, "", NULL},
};

static struct cgg_policy *policy_of(const struct choice *choice)
{
	struct cgg_error err = {0};
	struct cgg_policy *policy;
	char text[2048];

	snprintf(text, sizeof(text),
		 "{\"version\": 1, %s\"rules\": [{\"name\": \"r\", %s, \"when\": {\"usage_above\": "
		 "\"1Mi\"}, \"then\": [{\"action\": \"kill\"}]%s%s%s}]}",
		 choice->top ? choice->top : "",
		 choice->where ? choice->where : "\"domain\": \"/\"", choice->more ? ", " : "",
		 choice->more ? choice->more : "", BY_GAIN(choice->more));
	policy = kit_load(text, &err);
	T_EQ_STR(err.msg, "");
	T_MUST(policy);
	return policy;
}

static void choose(const struct choice *choice)
{
	struct cgg_policy *policy = policy_of(choice);
	struct cgg_snapshot *snap = kit_snap(choice->tree);
	uint32_t domain = kit_at(snap, choice->domain), victim = 12345;
	struct policy_known known = {&choice->own_id, 1, &choice->stuck_id, 1, NULL};
	struct cgg_group groups[16];
	char order[512] = "";
	size_t len = 0, n;

	T_MUST(snap->n <= CGG_ARRAY_LEN(groups));
	T_ASSERT(policy_is_domain(&policy->rule[0], choice->domain));
	n = policy_choose(policy, &policy->rule[0], snap, domain, &known, groups, &victim);
	for (size_t i = 0; i < n; i++) {
		enum policy_unfit unfit =
			policy_unfit(&policy->rule[0], snap, domain, &groups[i], &known);
		bool fit = unfit == POLICY_FIT;

		len += (size_t)snprintf(order + len, sizeof(order) - len, "%s%s%s%s%s",
					i ? " " : "", snap->cgroups[groups[i].cgroup].path,
					fit ? "" : "(", fit ? "" : policy_unfit_name(unfit),
					fit ? "" : ")");
	}
	T_EQ_STR(order, choice->order);
	T_EQ_INT(victim == CGG_NONE, choice->victim == NULL);
	if (choice->victim && victim < n)
		T_EQ_STR(snap->cgroups[groups[victim].cgroup].path, choice->victim);
	kit_snap_free(snap);
	policy_free(policy);
}

/* In a container the guard guards the cgroup that it is in, by one process at a time. */
TEST(who_takes_one_process_may_look_at_the_guards_own_cgroup)
{
	static const struct {
		const char *then;
		bool own;
	} rows[] = {
		{"{\"action\": \"notify\"}, {\"action\": \"terminate\", \"scope\": \"process\", "
		 "\"grace\": \"1s\"}, {\"action\": \"kill\", \"scope\": \"process\"}",
		 true},
		{"{\"action\": \"kill\", \"scope\": \"group\"}", false},
		{"{\"action\": \"terminate\", \"scope\": \"group\", \"grace\": \"1s\"}, "
		 "{\"action\": \"kill\", \"scope\": \"process\"}",
		 false},
		{"{\"action\": \"throttle\", \"for\": \"1s\"}, {\"action\": \"kill\", \"scope\": "
		 "\"process\"}",
		 false},
		{"{\"action\": \"freeze\", \"for\": \"1s\"}, {\"action\": \"kill\", \"scope\": "
		 "\"process\"}",
		 false},
	};

	for (size_t i = 0; i < CGG_ARRAY_LEN(rows); i++) {
		struct cgg_snapshot *snap =
			kit_snap("/ procs=3 max=1Gi anon=900Mi current=900Mi id=77");
		struct cgg_error err = {0};
		struct cgg_group groups[4];
		uint64_t own = 77, stuck = 0;
		struct cgg_policy *policy;
		char text[1024];
		uint32_t victim;

		snprintf(text, sizeof(text),
			 "{\"version\": 1, \"rules\": [{\"name\": \"r\", \"domain\": \"/\", "
			 "\"when\": "
			 "{\"unreclaimable_above\": \"80%%\"}, \"then\": [%s]}]}",
			 rows[i].then);
		T_ROW(rows[i].then);
		policy = kit_load(text, &err);
		T_EQ_STR(err.msg, "");
		T_MUST(policy);
		T_EQ_INT(policy_choose(policy, &policy->rule[0], snap, 0,
				       &(struct policy_known){&own, 1, &stuck, 1, NULL}, groups,
				       &victim),
			 1);
		T_EQ_INT(victim, rows[i].own ? 0 : CGG_NONE);
		kit_snap_free(snap);
		cgg_policy_free(policy);
	}
}

TEST(the_victim_is_the_first_that_is_fit)
{
	for (size_t i = 0; i < CGG_ARRAY_LEN(choices); i++) {
		T_ROW(choices[i].name);
		choose(&choices[i]);
	}
}

/* 100 MiB of swap, 5 of them free: /a has most of it, on a disk, and /b most memory. */
#define SWAP                                                                                       \
	"host total=1Gi available=50Mi free=9Mi swap_total=100Mi swap_free=5Mi swap_ram=0\n"       \
	"/a procs=1 current=5Mi anon=5Mi swap=90Mi swap_max=max\n"                                 \
	"/b procs=1 current=40Mi anon=40Mi swap=0 swap_max=max\n"                                  \
	"/l max=99Mi current=90Mi anon=90Mi swap=45Mi swap_max=50Mi\n"                             \
	"/l/a procs=1 current=9Mi anon=9Mi swap=45Mi swap_max=max\n"                               \
	"/l/b procs=1 current=39Mi anon=39Mi swap=0 swap_max=max"

TEST(where_swap_is_what_is_short_a_groups_swap_counts)
{
	static const struct {
		const char *name, *domain, *when, *victim;
	} rows[] = {
		{"swap alone", "/", "{\"swap_free_below\": \"10%\"}", "/a"},
		{"memory and swap", "/",
		 "{\"all\": [{\"available_below\": \"8%\"}, {\"swap_free_below\": \"10%\"}]}",
		 "/a"},
		{"there is enough of it", "/",
		 "{\"any\": [{\"available_below\": \"8%\"}, {\"swap_free_below\": \"5%\"}]}", "/b"},
		{"the rule does not ask", "/", "{\"available_below\": \"8%\"}", "/b"},
		{"of a limit too", "/l", "{\"swap_free_below\": \"20%\"}", "/l/a"},
		{"of a limit, by memory", "/l", "{\"unreclaimable_above\": \"80%\"}", "/l/b"},
	};

	for (size_t i = 0; i < CGG_ARRAY_LEN(rows); i++) {
		struct cgg_snapshot *snap = kit_snap(SWAP);
		const struct policy_known known = {0};
		struct cgg_error err = {0};
		struct cgg_policy *policy;
		struct cgg_group groups[8];
		char text[1024];
		uint32_t victim;

		snprintf(text, sizeof(text),
			 "{\"version\": 1, \"rules\": [{\"name\": \"r\", \"domain\": \"%s\", "
			 "\"when\": %s, "
			 "\"candidates\": {\"exclude\": [\"/l\"]}, \"then\": [{\"action\": "
			 "\"kill\"}]}]}",
			 rows[i].domain, rows[i].when);
		T_ROW(rows[i].name);
		policy = kit_load(text, &err);
		T_EQ_STR(err.msg, "");
		T_MUST(policy);
		policy_choose(policy, &policy->rule[0], snap, kit_at(snap, rows[i].domain), &known,
			      groups, &victim);
		T_MUST(victim != CGG_NONE);
		T_EQ_STR(snap->cgroups[groups[victim].cgroup].path, rows[i].victim);
		kit_snap_free(snap);
		policy_free(policy);
	}
}

struct domain_row {
	const char *where, *path;
	bool is;
};

static const struct domain_row domain_rows[] = {
	{"\"domain\": \"/\"", "/", true},	 {"\"domain\": \"/\"", "/a", false},
	{"\"domain\": \"/a\"", "/a", true},	 {"\"domain\": \"/a\"", "/a/b", false},
	{"\"domain\": \"/a\"", "/ab", false},	 {"\"each\": \"/a/*\"", "/a/b", true},
	{"\"each\": \"/a/*\"", "/a/b/c", false}, {"\"each\": \"/a/*\"", "/a", false},
	{"\"each\": \"/**\"", "/a/b", true},	 {"\"each\": \"/**\"", "/", false},
};

TEST(domains_are_named_by_path_or_glob)
{
	for (size_t i = 0; i < CGG_ARRAY_LEN(domain_rows); i++) {
		struct choice choice = {.where = domain_rows[i].where};
		struct cgg_policy *policy = policy_of(&choice);

		T_ROW(domain_rows[i].where);
		T_EQ_INT(policy_is_domain(&policy->rule[0], domain_rows[i].path),
			 domain_rows[i].is);
		policy_free(policy);
	}
}

/* ---- what could not be read ---------------------------------------------------------------- */

struct unread_row {
	const char *name, *more, *top, *tree; /* of the policy, as above */
	uint64_t own_id;
	uint32_t n;
};

#define NO_CURRENT " unread=1"
#define NO_UNIT	   " unread=128"
#define NO_STAT	   " unread=1024"
#define NO_PROCS   " unread=16384"
#define B	   "\n/b procs=1 current=30Mi anon=30Mi"

static const struct unread_row unread_rows[] = {
	{"all was read", NULL, NULL, GIB "/a procs=1 current=90Mi" B, 0, 0},
	{"its memory.stat, and it is larger", NULL, NULL, GIB "/a procs=1 current=90Mi" NO_STAT B,
	 0, 1},
	{"and smaller", NULL, NULL, GIB "/a procs=1 current=20Mi" NO_STAT B, 0, 0},
	{"and nobody else is there", NULL, NULL, GIB "/a procs=1 current=20Mi" NO_STAT, 0, 1},
	{"and below the floor", NULL, NULL, GIB "/a procs=1 current=2Mi" NO_STAT, 0, 0},
	{"its size", NULL, NULL, GIB "/a procs=1" NO_CURRENT B, 0, 1},
	{"its processes", NULL, NULL, GIB "/a current=90Mi anon=90Mi" NO_PROCS B, 0, 1},
	{"whether it dies whole", NULL, NULL, GIB "/b procs=1 current=30Mi anon=30Mi" NO_UNIT, 0,
	 1},
	{"whether what holds the victim dies whole", NULL, NULL,
	 GIB "/p current=30Mi" NO_UNIT "\n/p/b procs=1 current=30Mi anon=30Mi", 0, 1},
	{"what is within the victim", "\"candidates\": {\"unit\": \"leaf\"}", NULL,
	 GIB "/b.service procs=1 current=30Mi anon=30Mi\n/b.service/in current=30Mi" NO_PROCS, 0,
	 0},
	{"one that is protected", NULL, "\"protect\": [\"/a\"], ",
	 GIB "/a/in procs=1 current=90Mi" NO_STAT B, 0, 0},
	{"one that is no candidate", "\"candidates\": {\"include\": [\"/b\"]}", NULL,
	 GIB "/a procs=1 current=90Mi" NO_STAT B, 0, 0},
	{"one within a candidate", "\"candidates\": {\"include\": [\"/a\", \"/b\"]}", NULL,
	 GIB "/a current=90Mi\n/a/in procs=1 current=90Mi" NO_STAT B, 0, 1},
	{"one that is to die later", NULL, "\"priorities\": {\"/b\": -5}, ",
	 GIB "/a procs=1 current=90Mi" NO_STAT B, 0, 0},
	{"one that is to die first", NULL, "\"priorities\": {\"/a\": -5}, ",
	 GIB "/a procs=1 current=20Mi" NO_STAT B, 0, 1},
	{"our own", NULL, NULL, GIB "/a procs=1 current=90Mi id=77" NO_STAT B, 77, 0},
	{"by what was taken, where it is too small to help",
	 "\"rank\": [\"priority\", \"taken\", \"gain\"]", NULL,
	 GIB "/a procs=1 current=4Mi" NO_STAT B, 0, 0},
	{"by what was taken, where it may help", "\"rank\": [\"priority\", \"taken\", \"gain\"]",
	 NULL, GIB "/a procs=1 current=300Mi" NO_STAT B, 0, 1},
	{"by growth, of which its size says nothing", "\"rank\": [\"growth\"]", NULL,
	 GIB "/a procs=1 current=20Mi" NO_STAT B, 0, 1},
	{"the kernel's root", NULL, NULL, GIB "/ unread=16384" B, 0, 0},
};

TEST(what_could_not_be_read_and_may_have_been_the_better_victim_is_counted)
{
	for (size_t i = 0; i < CGG_ARRAY_LEN(unread_rows); i++) {
		const struct unread_row *row = &unread_rows[i];
		struct cgg_snapshot *snap = kit_snap(row->tree);
		struct cgg_group groups[16];
		struct cgg_error err = {0};
		struct cgg_policy *policy;
		char text[2048];
		uint32_t victim;

		T_ROW(row->name);
		snprintf(text, sizeof(text),
			 "{\"version\": 1, %s\"rules\": [{\"name\": \"r\", \"domain\": \"/\", "
			 "\"when\": {\"usage_above\": \"1%%\"}, \"then\": [{\"action\": "
			 "\"kill\"}]%s%s%s}]}",
			 row->top ? row->top : "", row->more ? ", " : "",
			 row->more ? row->more : "", BY_GAIN(row->more));
		policy = kit_load(text, &err);
		T_EQ_STR(err.msg, "");
		T_MUST(policy && snap->n <= CGG_ARRAY_LEN(groups));
		policy_choose(policy, &policy->rule[0], snap, 0,
			      &(struct policy_known){.own_ids = &row->own_id, .nown_ids = 1},
			      groups, &victim);
		T_EQ_INT(policy_unread(policy, &policy->rule[0], snap, 0, &row->own_id, 1,
				       victim == CGG_NONE ? NULL : &groups[victim]),
			 row->n);
		policy_free(policy);
		kit_snap_free(snap);
	}
}

/* ---- readings --------------------------------------------------------------------------- */

struct reading_row {
	const char *when, *first, *then; /* a second apart; first may be NULL */
	bool known;
	int64_t value, threshold;
};

static const struct reading_row reading_rows[] = {
	{"{\"usage_above\": \"90%\"}", NULL, "/a max=100Mi current=45Mi", true, 4500, 9000},
	{"{\"usage_above\": \"90Mi\"}", NULL, "/a current=45Mi", true, 45 << 20, 90 << 20},
	{"{\"usage_above\": \"90%\"}", NULL, "/a", false, 0, 0},
	{"{\"headroom_below\": \"1Mi\"}", NULL, "/a max=3Mi current=1Mi", true, 2 << 20, 1 << 20},
	{"{\"pressure_above\": {\"some\": \"20%\"}}", "/a some=0s full=0s", "/a some=123ms full=0s",
	 true, 1230, 2000},
	{"{\"pressure_above\": {\"some\": \"20%\"}}", "/a some=0s full=0s", "/a some=9s full=0s",
	 true, 10000, 2000},
	{"{\"growth_above\": \"5Mi\"}", "/a current=9Mi", "/a current=7Mi", true, -(2 << 20),
	 5 << 20},
	{"{\"growth_above\": \"10%\"}", "/a max=50Mi current=1Mi", "/a max=50Mi current=4Mi", true,
	 3 << 20, 5 << 20},
	{"{\"time_to_limit_below\": \"2s\"}", "/a max=9Mi anon=1Mi", "/a max=9Mi anon=3Mi", true,
	 3000000, 2000000},
	{"{\"time_to_limit_below\": \"2s\"}", "/a max=9Mi anon=3Mi", "/a max=9Mi anon=3Mi", true,
	 INT64_MAX, 2000000},
	{"{\"events_above\": {\"oom\": 4, \"window\": \"10s\"}}", "/a ev_oom=5", "/a ev_oom=7",
	 true, 2, 4},
	{"{\"usage_above\": \"16000000000000000\"}", NULL, "/a current=18446744073709551615", true,
	 INT64_MAX, 16000000000000000},
};

TEST(a_reading_tells_value_and_threshold_in_the_condition_s_unit)
{
	for (size_t i = 0; i < CGG_ARRAY_LEN(reading_rows); i++) {
		const struct reading_row *row = &reading_rows[i];
		struct cgg_policy *policy = rule_of(row->when);
		struct policy_reading reading[POLICY_CONDS_MAX];
		struct policy_held held = {0};

		T_ROW(row->when);
		for (int look = row->first ? 0 : 1; look < 2; look++) {
			struct cgg_snapshot *snap = kit_snap(look ? row->then : row->first);

			policy_holds(&policy->rule[0], snap, 1, &held, 1000000 + look * 1000000U,
				     reading);
			kit_snap_free(snap);
		}
		T_EQ_INT(reading->known, row->known);
		T_EQ_INT(reading->value, row->value);
		T_EQ_INT(reading->threshold, row->threshold);
		policy_free(policy);
	}
}

TEST(a_reading_tells_how_long_it_has_been_true)
{
	struct cgg_policy *policy = rule_of("{\"usage_above\": \"1Mi\", \"for\": \"3s\"}");
	struct cgg_snapshot *snap = kit_snap("/a current=2Mi");
	struct policy_reading reading[POLICY_CONDS_MAX];
	struct policy_held held = {0};

	for (uint64_t s = 1; s <= 5; s++) {
		policy_holds(&policy->rule[0], snap, 1, &held, s * 1000000, reading);
		T_EQ_INT(reading->held_us, (s - 1) * 1000000);
		T_EQ_INT(reading->truth, s >= 4 ? POLICY_TRUE : POLICY_FALSE);
	}
	policy_forget(&held);
	T_EQ_INT(policy_holds(&policy->rule[0], snap, 1, &held, 6000000, reading), POLICY_FALSE);
	T_EQ_INT(reading->held_us, 0);
	kit_snap_free(snap);
	policy_free(policy);
}

TEST(a_forgotten_past_is_unknown_again)
{
	struct cgg_policy *policy = rule_of("{\"growth_above\": \"1Mi\"}");
	struct cgg_snapshot *less = kit_snap("/a current=2Mi"), *more = kit_snap("/a current=20Mi");
	struct policy_reading reading[POLICY_CONDS_MAX];
	struct policy_held held = {0};
	const struct policy_rule *rule = &policy->rule[0];

	T_EQ_INT(policy_holds(rule, less, 1, &held, 1000000, reading), POLICY_UNKNOWN);
	T_EQ_INT(policy_holds(rule, more, 1, &held, 2000000, reading), POLICY_TRUE);
	policy_forget(&held);
	T_EQ_INT(policy_holds(rule, more, 1, &held, 3000000, reading), POLICY_UNKNOWN);
	T_EQ_INT(policy_holds(rule, more, 1, &held, 4000000, reading), POLICY_FALSE);
	kit_snap_free(less);
	kit_snap_free(more);
	policy_free(policy);
}

TEST(a_rule_without_a_condition_or_a_domain_never_holds)
{
	struct cgg_policy *policy = rule_of("{\"not\": {\"usage_above\": \"1Mi\"}}");
	struct cgg_snapshot *snap = kit_snap("/a current=2");
	struct policy_reading reading[POLICY_CONDS_MAX];
	struct policy_held held = {0};
	struct policy_rule empty = {.nconds = 0};

	T_EQ_INT(policy_holds(&empty, snap, 1, &held, 5, reading), POLICY_UNKNOWN);
	T_EQ_INT(policy_holds(&policy->rule[0], snap, CGG_NONE, &held, 5, reading), POLICY_UNKNOWN);
	T_EQ_INT(policy_holds(&policy->rule[0], snap, 1, &held, 5, reading), POLICY_TRUE);
	kit_snap_free(snap);
	policy_free(policy);
}

TEST(every_name_is_there)
{
	for (int i = 0; i < POLICY_COND_MAX; i++)
		T_ASSERT(policy_cond_name((enum policy_cond_kind)i));
	T_EQ_STR(policy_cond_name(POLICY_COND_MAX), "unknown");
	T_EQ_STR(policy_action_name(POLICY_KILL), "kill");
	T_EQ_STR(policy_action_name(POLICY_ACTION_MAX), "unknown");
	T_EQ_STR(policy_event_name(POLICY_EVENT_OOM_KILL), "oom_kill");
	T_EQ_STR(policy_unit_name(CGG_UNIT_OOM_GROUP), "oom-group");
	T_EQ_STR(policy_unfit_name(POLICY_FIT), "fit");
	T_EQ_STR(policy_unfit_name(POLICY_UNFIT_STUCK), "stuck");
}
