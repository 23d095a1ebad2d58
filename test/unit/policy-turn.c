/* SPDX-License-Identifier: Apache-2.0 */
/* Whose turn it is: who took it, herds, and who helps. */
#include "kit/policy.h"
#include "kit/snap.h"
#include "kit/t.h"

#include "policy/decide.h"
#include "util/attr.h"

#include <stdio.h>
#include <string.h>

#define GROUPS_MAX 64

/* Of 1000 MiB 50 can be had, which is the line: 25 are missing, and who gives back 13 helps. */
#define HOST "host total=1000Mi available=50Mi free=9Mi\n"
#define CALM "host total=1000Mi available=150Mi free=9Mi\n"

struct turn_row {
	const char *name, *more, *top; /* of the policy, may be NULL */
	const char *then, *now; /* trees; then NULL: there was no calm */
	const char *order; /* paths; with '*' of a herd, with '-' of no help */
};

static const struct turn_row rows[] = {
	{"not who has much but who took it", NULL, NULL,
	 "/db procs=1 anon=500Mi id=1\n/leak procs=1 anon=100Mi id=2",
	 "/db procs=1 anon=500Mi id=1\n/leak procs=1 anon=200Mi id=2", "/leak /db"},
	{"made later: it took all that it has", NULL, NULL, "/db procs=1 anon=500Mi id=1",
	 "/db procs=1 anon=520Mi id=1\n/new procs=1 anon=80Mi id=2", "/new /db"},
	{"less than a sixth of the loss decides nothing", NULL, NULL,
	 "/db procs=1 anon=500Mi id=1\n/a procs=1 anon=100Mi id=2",
	 "/db procs=1 anon=500Mi id=1\n/a procs=1 anon=116Mi id=2", "/db /a"},
	{"what was swapped out was taken as well", NULL, NULL,
	 "/db procs=1 anon=400Mi swap=0 id=1\n/leak procs=1 anon=100Mi swap=0 id=2",
	 "/db procs=1 anon=450Mi swap=0 id=1\n/leak procs=1 anon=100Mi swap=200Mi id=2",
	 "/leak /db"},
	{"what is swapped in again was not", NULL, NULL,
	 "/db procs=1 anon=300Mi swap=200Mi id=1\n/leak procs=1 anon=100Mi swap=0 id=2",
	 "/db procs=1 anon=500Mi swap=0 id=1\n/leak procs=1 anon=190Mi swap=0 id=2", "/leak /db"},
	{"no calm: size decides", NULL, NULL, NULL,
	 "/db procs=1 anon=500Mi id=1\n/leak procs=1 anon=200Mi id=2", "/db /leak"},
	{"a restarted unit has what it had", NULL, NULL,
	 "/db.service procs=1 anon=300Mi id=1\n/leak procs=1 anon=100Mi id=2",
	 "/db.service procs=1 anon=310Mi id=9\n/leak procs=1 anon=190Mi id=2", "/leak /db.service"},
	{"and so has a sibling of another name", NULL, NULL,
	 "/u/w1 procs=1 anon=300Mi id=1 uid=7\n/u uid=7 id=5\n/leak procs=1 anon=100Mi id=2",
	 "/u/w2 procs=1 anon=310Mi id=9 uid=7\n/u uid=7 id=5\n/leak procs=1 anon=190Mi id=2",
	 "/leak /u/w2"},
	{"what a sibling gave back is not taken", NULL, NULL,
	 "/u/a procs=1 anon=300Mi id=1 uid=7\n/u/b procs=1 anon=100Mi id=3 uid=7\n/u uid=7 id=5\n"
	 "/leak procs=1 anon=100Mi id=2",
	 "/u/a procs=1 anon=100Mi id=1 uid=7\n/u/b procs=1 anon=310Mi id=3 uid=7\n/u uid=7 id=5\n"
	 "/leak procs=1 anon=190Mi id=2",
	 "/leak /u/b /u/a"},
	{"a herd is one candidate, the fastest taker first", NULL, NULL,
	 "/db procs=1 anon=500Mi id=1\n/u uid=7 id=5\n/u/a procs=1 anon=2Mi id=2",
	 "/db procs=1 anon=510Mi id=1\n/u uid=7 id=5\n/u/a procs=1 anon=8Mi id=2\n"
	 "/u/b procs=1 anon=10Mi id=3\n/u/c procs=1 anon=7Mi id=4\n/u/d procs=1 anon=9Mi id=6",
	 "/u/b* /u/d* /u/c* /u/a* /db"},
	{"no calm: a herd counts a fourth", NULL, NULL, NULL,
	 "/db procs=1 anon=15Mi\n/u uid=7\n/u/a procs=1 anon=10Mi\n/u/b procs=1 anon=9Mi\n"
	 "/u/c procs=1 anon=12Mi\n/u/d procs=1 anon=10Mi\n/u/e procs=1 anon=11Mi",
	 "/db /u/c* /u/e* /u/a* /u/d* /u/b*"},
	{"and is first with more than four times as much", NULL, NULL, NULL,
	 "/db procs=1 anon=15Mi\n/u uid=7\n/u/a procs=1 anon=12Mi\n/u/b procs=1 anon=12Mi\n"
	 "/u/c procs=1 anon=12Mi\n/u/d procs=1 anon=12Mi\n/u/e procs=1 anon=12Mi\n"
	 "/u/f procs=1 anon=12Mi",
	 "/u/a* /u/b* /u/c* /u/d* /u/e* /u/f* /db"},
	{"an owner's large unit is no part of its herd", NULL, NULL,
	 "/db procs=1 anon=500Mi id=1\n/u uid=7 id=5\n/u/big procs=1 anon=100Mi id=2 uid=7",
	 "/db procs=1 anon=500Mi id=1\n/u uid=7 id=5\n/u/big procs=1 anon=170Mi id=2 uid=7\n"
	 "/u/a procs=1 anon=10Mi id=3\n/u/b procs=1 anon=10Mi id=4",
	 "/u/big /u/a* /u/b* /db"},
	{"priority orders those that help", NULL, "\"priorities\": {\"/pod*\": -100}, ",
	 "/pod1 procs=1 anon=10Mi id=1\n/pod2 procs=1 anon=10Mi id=2\n/leak procs=1 anon=100Mi "
	 "id=3",
	 "/pod1 procs=1 anon=10Mi id=1\n/pod2 procs=1 anon=10Mi id=2\n/leak procs=1 anon=200Mi "
	 "id=3",
	 "/leak /pod1- /pod2-"},
	{"of those that help the lowest is first", NULL, "\"priorities\": {\"/pod*\": -100}, ",
	 "/pod1 procs=1 anon=13Mi id=1\n/leak procs=1 anon=100Mi id=3",
	 "/pod1 procs=1 anon=13Mi id=1\n/leak procs=1 anon=200Mi id=3", "/pod1 /leak"},
	{"members of a herd are of one priority", NULL, "\"priorities\": {\"/u/a\": -100}, ", NULL,
	 "/u uid=7\n/u/a procs=1 anon=7Mi\n/u/b procs=1 anon=9Mi\n/u/c procs=1 anon=9Mi",
	 "/u/b* /u/c* /u/a-"},
	{"nobody helps: the sums of owners", NULL, NULL, NULL,
	 "/x procs=1 anon=5Mi\n/u uid=7\n/u/a procs=1 anon=4Mi\n/u/b procs=1 anon=3Mi",
	 "/u/a*- /u/b*- /x-"},
	{"and never nobody: the smallest", NULL, NULL, NULL,
	 "/a procs=1 anon=1Mi\n/b procs=1 anon=2Mi", "/b- /a-"},
	{"what may not be touched is no part of a herd", NULL, "\"protect\": [\"/u/a\"], ", NULL,
	 "/x procs=1 anon=5Mi\n/u uid=7\n/u/a procs=1 anon=10Mi\n/u/b procs=1 anon=9Mi\n"
	 "/u/c procs=1 anon=9Mi",
	 "/u/b* /u/c* /u/a- /x-"},
	{"avoided ones are last", "\"honour_xattrs\": true, \"rank\": [\"taken\", \"gain\"]", NULL,
	 NULL, "/a procs=1 anon=90Mi marks=8\n/b procs=1 anon=20Mi\n/c procs=1 anon=5Mi",
	 "/b /c- /a"},
	{"a key before taken comes before it", "\"rank\": [\"oom_score_adj\", \"taken\", \"gain\"]",
	 NULL, "/a procs=1 anon=100Mi id=1 adj=0\n/b procs=1 anon=20Mi id=2 adj=9",
	 "/a procs=1 anon=190Mi id=1 adj=0\n/b procs=1 anon=20Mi id=2 adj=9", "/b /a"},
	{"one behind it says nothing of a herd", "\"rank\": [\"taken\", \"oom_score_adj\"]", NULL,
	 NULL,
	 "/a procs=1 anon=20Mi adj=0\n/u uid=7\n/u/a procs=1 anon=9Mi adj=99\n"
	 "/u/b procs=1 anon=9Mi adj=99",
	 "/a /u/a* /u/b*"},
	{"without gain it is last, and unknown", NULL, NULL,
	 "/a procs=1 anon=100Mi id=1\n/b procs=1 current=100Mi id=2",
	 "/a procs=1 anon=100Mi id=1\n/b procs=1 current=200Mi id=2", "/a /b-"},
};

static void set_owners(struct cgg_snapshot *snap)
{
	uint32_t *owner = calloc(snap->n, sizeof(*owner));

	T_MUST(owner);
	rank_owners(snap, owner);
	snap->owner = owner;
}

static struct cgg_snapshot *tree(const char *host, const char *text)
{
	struct cgg_snapshot *snap;
	char all[4096];

	snprintf(all, sizeof(all), "%s%s", host, text);
	snap = kit_snap(all);
	T_MUST(snap->n <= GROUPS_MAX);
	set_owners(snap);
	return snap;
}

static void tree_free(struct cgg_snapshot *snap)
{
	free((void *)(uintptr_t)snap->owner);
	kit_snap_free(snap);
}

static struct cgg_policy *policy_of(const struct turn_row *row)
{
	struct cgg_error err = {0};
	struct cgg_policy *policy;
	char text[2048];

	snprintf(text, sizeof(text),
		 "{\"version\": 1, %s\"rules\": [{\"name\": \"r\", \"domain\": \"/\", \"when\": "
		 "{\"available_below\": \"5%%\"}, \"then\": [{\"action\": \"kill\"}], %s}]}",
		 row->top ? row->top : "",
		 row->more ? row->more : "\"rank\": [\"priority\", \"taken\", \"gain\"]");
	policy = kit_load(text, &err);
	T_EQ_STR(err.msg, "");
	T_MUST(policy);
	return policy;
}

/* What was then, of a tree. */
static void record(const struct cgg_policy *policy, const char *then, struct calm_base *base,
		   struct calm_bases *ret)
{
	struct cgg_snapshot *snap = tree(CALM, then);
	struct cgg_group groups[GROUPS_MAX];
	uint32_t victim;
	size_t n = policy_choose(policy, &policy->rule[0], snap, 0, &(struct policy_known){0},
				 groups, &victim);

	calm_record(snap, groups, n, snap->host.total_bytes - snap->host.available_bytes, base,
		    GROUPS_MAX, ret);
	tree_free(snap);
}

TEST(whose_turn_it_is)
{
	for (size_t i = 0; i < CGG_ARRAY_LEN(rows); i++) {
		struct cgg_policy *policy = policy_of(&rows[i]);
		struct cgg_snapshot *snap = tree(HOST, rows[i].now);
		struct calm_base base[GROUPS_MAX];
		struct calm_bases bases;
		struct policy_known known = {.bases = rows[i].then ? &bases : NULL};
		struct cgg_group groups[GROUPS_MAX];
		char order[512] = "";
		uint32_t victim;
		size_t len = 0, n;

		T_ROW(rows[i].name);
		if (rows[i].then)
			record(policy, rows[i].then, base, &bases);
		n = policy_choose(policy, &policy->rule[0], snap, 0, &known, groups, &victim);
		T_ASSERT(victim != CGG_NONE);
		for (size_t g = 0; g < n; g++)
			len += (size_t)snprintf(order + len, sizeof(order) - len, "%s%s%s%s",
						g ? " " : "", snap->cgroups[groups[g].cgroup].path,
						groups[g].herd ? "*" : "",
						groups[g].helps ? "" : "-");
		T_EQ_STR(order, rows[i].order);
		tree_free(snap);
		policy_free(policy);
	}
}

TEST(what_each_has_taken_is_told)
{
	static const struct turn_row row = {.name = "row"};
	struct cgg_policy *policy = policy_of(&row);
	struct cgg_snapshot *snap =
		tree(HOST, "/a procs=1 anon=130Mi id=1\n/b procs=1 anon=4Mi id=2\n"
			   "/c procs=1 anon=70Mi id=3");
	struct calm_base base[GROUPS_MAX];
	struct calm_bases bases;
	struct policy_known known = {.bases = &bases};
	struct cgg_group groups[GROUPS_MAX];
	uint32_t victim;
	size_t n;

	record(policy, "/a procs=1 anon=100Mi id=1\n/b procs=1 anon=9Mi id=2", base, &bases);
	n = policy_choose(policy, &policy->rule[0], snap, 0, &known, groups, &victim);
	T_MUST(n == 3);
	T_EQ_INT(groups[0].term[CGG_RANK_TAKEN] >> 20, 70);
	T_EQ_INT(groups[0].order_taken >> 20, 70);
	T_EQ_INT(groups[1].term[CGG_RANK_TAKEN] >> 20, 30);
	T_EQ_INT(groups[1].order_taken >> 20, 30);
	T_EQ_INT(groups[2].term[CGG_RANK_TAKEN] >> 20, 0);
	for (size_t i = 0; i < n; i++)
		T_ASSERT(groups[i].known & 1U << CGG_RANK_TAKEN);
	n = policy_choose(policy, &policy->rule[0], snap, 0, &(struct policy_known){0}, groups,
			  &victim);
	for (size_t i = 0; i < n; i++)
		T_ASSERT(!(groups[i].known & 1U << CGG_RANK_TAKEN));
	tree_free(snap);
	policy_free(policy);
}

TEST(nobody_dies_for_next_to_nothing)
{
	static const struct turn_row row = {.name = "row"};
	static const struct {
		const char *name, *now, *victim;
	} trees[] = {
		{"all of it is on a tmpfs",
		 "/a procs=1 anon=3Mi shmem=500Mi\n/b procs=1 anon=2Mi shmem=400Mi", NULL},
		{"one gives back a hundredth of the limit",
		 "/a procs=1 anon=3Mi shmem=500Mi\n/b procs=1 anon=12Mi shmem=200Mi", "/b"},
		{"one is small, and has nothing that stays",
		 "/a procs=1 anon=3Mi shmem=500Mi\n/b procs=1 anon=1Mi", "/b"},
	};
	struct cgg_policy *policy = policy_of(&row);

	for (size_t i = 0; i < CGG_ARRAY_LEN(trees); i++) {
		struct cgg_snapshot *snap = tree(HOST, trees[i].now);
		struct cgg_group groups[GROUPS_MAX];
		uint32_t victim;

		T_ROW(trees[i].name);
		policy_choose(policy, &policy->rule[0], snap, 0, &(struct policy_known){0}, groups,
			      &victim);
		T_EQ_STR(victim == CGG_NONE ? "nobody" : snap->cgroups[groups[victim].cgroup].path,
			 trees[i].victim ? trees[i].victim : "nobody");
		tree_free(snap);
	}
	policy_free(policy);
}

/* ---- how much is missing --------------------------------------------------------------- */

TEST(enough_is_half_more_than_the_line_s_headroom)
{
	const struct calm_bases bases = {.level_bytes = 8000};
	struct turn_need need = turn_need(9500, 10000, 9600, &bases);

	T_EQ_INT(need.short_bytes, 350);
	T_EQ_INT(need.missing_bytes, 350);
	T_EQ_INT(need.lost_bytes, 1600);
	need = turn_need(9500, 10000, 9200, NULL);
	T_EQ_INT(need.short_bytes, 0);
	T_EQ_INT(need.missing_bytes, 100); /* a hundredth of the limit */
	T_EQ_INT(need.lost_bytes, 0);
	need = turn_need(0, 10000, 9999, &(struct calm_bases){.level_bytes = 9999});
	T_EQ_INT(need.short_bytes, 0);
	T_EQ_INT(need.lost_bytes, 0);
	need = turn_need(0, CGG_MAX, 9999, NULL);
	T_EQ_INT(need.missing_bytes, 1 << 20);
	need = turn_need(100, 10000, 200, NULL); /* nothing at all may be used: all of it */
	T_EQ_INT(need.short_bytes, 200);
}
