/* SPDX-License-Identifier: Apache-2.0 */
/* The library from outside: what cgguard.h promises, of the shared object and nothing else. */
#include <cgguard.h>

#include "kit/t.h"
#include "kit/tree.h"

#include <errno.h>
#include <poll.h>

/* A machine with a container of two processes' groups, a service and a bare cgroup. */
#define MACHINE                                                                                    \
	"root sys/fs/cgroup\n"                                                                     \
	"/ cgroup.procs=1\n"                                                                       \
	"/big.scope memory.current=6000000 memory.max=8000000 memory.oom.group=1 "                 \
	"cgroup.procs='10\\n11\\n' memory.stat='anon 5000000\\nshmem 100000\\n' "                  \
	"memory.swap.current=1000\n"                                                               \
	"/small.service memory.current=2000000 memory.max=max memory.oom.group=0 cgroup.procs=12 " \
	"memory.stat='anon 1900000\\n'\n"                                                          \
	"/bare\n"                                                                                  \
	"proc meminfo='MemTotal: 100000 kB\\nMemFree: 10000 kB\\nMemAvailable: 50000 kB\\n"        \
	"SwapTotal: 0 kB\\nSwapFree: 0 kB\\n'\n"                                                   \
	"proc/11 stat='11 (a) S 1 1 1 0 -1 0 0' status='VmRSS: 4000 kB\\n' oom_score_adj=-9\n"     \
	"proc/12 stat='12 (b) S 1 1 1 0 -1 0 0' status='VmRSS: 1900 kB\\n' oom_score_adj=0\n"

static int load_path(const char *path, struct cgg_policy **ret, struct cgg_error *err)
{
	return cgg_policy_load(&path, 1, ret, err);
}

static struct cgg_tree *open_machine(void)
{
	struct cgg_tree *tree = NULL;
	struct cgg_error err = {0};

	if (cgg_tree_open(kit_tree(MACHINE), &tree, &err) != 0)
		printf("# %s\n", err.msg);
	T_MUST(tree);
	return tree;
}

static struct cgg_snapshot *take(struct cgg_tree *tree)
{
	struct cgg_snapshot *snap = NULL;

	T_MUST(cgg_snapshot_take(tree, &snap, NULL) == 0);
	return snap;
}

TEST(the_version_is_three_numbers)
{
	unsigned int a, b, c;
	char end;

	T_EQ_INT(sscanf(cgg_version(), "%u.%u.%u%c", &a, &b, &c, &end), 3);
}

TEST(every_free_takes_NULL_and_gives_NULL)
{
	T_ASSERT(!cgg_tree_close(NULL));
	T_ASSERT(!cgg_snapshot_free(NULL));
	T_ASSERT(!cgg_groups_free(NULL));
	T_ASSERT(!cgg_policy_free(NULL));
	T_ASSERT(!cgg_scores_free(NULL));
}

TEST(a_tree_that_is_not_there_is_an_error_with_a_sentence_or_without)
{
	struct cgg_tree *tree = (void *)&tree; /* must stay as it is */
	struct cgg_error err = {0};

	T_EQ_INT(cgg_tree_open("/nonexistent/tree", &tree, &err), -ENOENT);
	T_EQ_INT(err.code, -ENOENT);
	T_HAS(err.msg, "/nonexistent/tree");
	T_EQ_INT(cgg_tree_open("/nonexistent/tree", &tree, NULL), -ENOENT);
	T_ASSERT(tree == (void *)&tree);
}

TEST(this_machine_s_own_tree_opens_or_says_why_not)
{
	struct cgg_tree *tree = NULL;
	struct cgg_error err = {0};
	int r = cgg_tree_open(NULL, &tree, &err);

	if (r == 0) {
		T_ASSERT(tree);
	} else {
		T_ASSERT(r == -ENOTSUP || r == -ENOENT || r == -EACCES || r == -EMFILE);
		T_EQ_INT(err.code, r);
		T_HAS(err.msg, "cgroup");
	}
	cgg_tree_close(tree);
}

TEST(what_the_kernel_would_do_is_told_of_a_recording)
{
	struct cgg_tree *tree = open_machine();
	struct cgg_snapshot *snap = take(tree);
	struct cgg_scores *scores = NULL;
	struct cgg_error err = {0};

	T_EQ_INT(cgg_scores_take(tree, snap, 99, &scores, &err), -EINVAL);
	T_ASSERT(!scores);
	T_EQ_INT(cgg_scores_take(tree, snap, 0, &scores, &err), 0);
	T_MUST(scores);
	T_ASSERT(scores->host);
	T_EQ_INT(scores->n, 2);
	T_EQ_INT(scores->ndie, 1);
	T_EQ_INT(scores->score[0].pid, 11);
	T_EQ_INT(scores->unit, cgg_snapshot_find(snap, "/big.scope"));
	T_EQ_INT(cgg_process_check(tree, 11, &err), 0);
	T_EQ_INT(cgg_process_check(tree, 4711, &err), CGG_GONE);
	T_HAS(err.msg, "4711");
	for (int i = 0; i <= CGG_EXEMPT_VFORK; i++)
		T_ASSERT(cgg_exempt_name((enum cgg_exempt)i));
	T_ASSERT(!cgg_exempt_name((enum cgg_exempt)(CGG_EXEMPT_VFORK + 1)));
	cgg_scores_free(scores);
	cgg_snapshot_free(snap);
	cgg_tree_close(tree);
}

TEST(a_recording_is_not_adjusted)
{
	struct cgg_tree *tree = open_machine();
	struct cgg_adjust_options o = {.pid = 11, .value = 5};
	struct cgg_error err = {0};

	T_EQ_INT(cgg_adjust(tree, &o, &err), -EINVAL);
	T_HAS(err.msg, "recording");
	T_EQ_INT(cgg_adjust(tree, &o, NULL), -EINVAL);
	o.value = 1001;
	T_EQ_INT(cgg_adjust(tree, &o, &err), -EINVAL);
	T_HAS(err.msg, "from -1000 to 1000");
	cgg_tree_close(tree);
}

TEST(a_snapshot_tells_what_is_in_the_tree)
{
	struct cgg_tree *tree = open_machine();
	struct cgg_snapshot *snap = take(tree);
	const struct cgg_host *host = cgg_snapshot_host(snap);
	const struct cgg_cgroup *big;

	T_EQ_INT(cgg_snapshot_count(snap), 4);
	T_EQ_STR(cgg_snapshot_get(snap, 0)->path, "/");
	T_EQ_INT(cgg_snapshot_find(snap, "/big.scope"), 2);
	T_EQ_INT(cgg_snapshot_find(snap, "/none"), CGG_NONE);
	T_EQ_INT(cgg_snapshot_find(snap, ""), CGG_NONE);
	T_ASSERT(!cgg_snapshot_get(snap, 4));
	T_ASSERT(!cgg_snapshot_get(snap, CGG_NONE));
	big = cgg_snapshot_get(snap, 2);
	T_EQ_INT(big->current_bytes, 6000000);
	T_EQ_INT(big->limit_bytes, 8000000);
	T_EQ_INT(big->nprocs, 2);
	T_EQ_INT(big->unreclaimable_bytes, 5100000);
	T_EQ_INT(big->gain_bytes, 5000000);
	T_ASSERT(big->oom_group);
	T_ASSERT(!(big->have & CGG_HAVE_PEAK));
	T_EQ_INT(cgg_snapshot_get(snap, 1)->have, CGG_HAVE_PROCS);
	T_EQ_INT(host->total_bytes, 102400000);
	T_EQ_INT(host->have, CGG_HOST_HAVE_MEMORY | CGG_HOST_HAVE_SWAP | CGG_HOST_HAVE_SWAP_RAM);
	T_ASSERT(cgg_snapshot_time_us(snap) > 0);
	cgg_tree_close(tree);
	T_EQ_STR(cgg_snapshot_get(snap, 2)->name, "big.scope"); /* it outlives the tree */
	cgg_snapshot_free(snap);
}

TEST(a_tree_that_was_removed_can_not_be_taken)
{
	const char *top = kit_tree("root t\n/a");
	struct cgg_snapshot *snap = NULL;
	struct cgg_tree *tree = NULL;
	struct cgg_error err = {0};
	char t[256];

	snprintf(t, sizeof(t), "%s/t", top);
	T_MUST(cgg_tree_open(t, &tree, NULL) == 0);
	kit_tree_remove(top, "t");
	T_ASSERT(cgg_snapshot_take(tree, &snap, &err) < 0);
	T_HAS(err.msg, "removed");
	T_ASSERT(cgg_snapshot_take(tree, &snap, NULL) < 0);
	T_ASSERT(!snap);
	cgg_tree_close(tree);
}

TEST(rates_need_two_snapshots)
{
	struct cgg_tree *tree = open_machine();
	struct cgg_snapshot *a = take(tree), *b;

	poll(NULL, 0, 2);
	b = take(tree);
	T_ASSERT(!cgg_snapshot_get(b, 2)->has_growth);
	cgg_snapshot_rates(b, a);
	T_ASSERT(cgg_snapshot_get(b, 2)->has_growth);
	T_EQ_INT(cgg_snapshot_get(b, 2)->growth_bytes_per_s, 0);
	cgg_snapshot_free(a);
	cgg_snapshot_free(b);
	cgg_tree_close(tree);
}

TEST(oom_units_are_what_the_kernel_finds)
{
	struct cgg_tree *tree = open_machine();
	struct cgg_snapshot *snap = take(tree);

	T_EQ_INT(cgg_oom_unit(snap, 2, 0), 2);
	T_EQ_INT(cgg_oom_unit(snap, 3, 0), CGG_NONE);
	T_EQ_INT(cgg_oom_unit(snap, 2, 3), CGG_NONE);
	T_EQ_INT(cgg_oom_unit(snap, 4, 0), CGG_NONE);
	T_EQ_INT(cgg_oom_unit(snap, 2, 4), CGG_NONE);
	T_EQ_INT(cgg_oom_unit(snap, CGG_NONE, CGG_NONE), CGG_NONE);
	cgg_snapshot_free(snap);
	cgg_tree_close(tree);
}

TEST(keys_have_names_and_names_have_keys)
{
	for (int key = 0; key < CGG_RANK_KEY_MAX; key++) {
		const char *name = cgg_rank_key_name((enum cgg_rank_key)key);

		T_MUST(name);
		T_EQ_INT(cgg_rank_key_parse(name), key);
	}
	T_ASSERT(!cgg_rank_key_name(CGG_RANK_KEY_MAX));
	T_ASSERT(!cgg_rank_key_name((enum cgg_rank_key) - 1));
	T_EQ_INT(cgg_rank_key_parse("nonsense"), CGG_RANK_KEY_MAX);
	T_EQ_INT(cgg_rank_key_parse(""), CGG_RANK_KEY_MAX);
}

TEST(a_fixture_is_ranked_by_usage_and_otherwise_by_what_is_asked)
{
	static const enum cgg_rank_key by_age[] = {CGG_RANK_AGE};
	struct cgg_tree *tree = open_machine();
	struct cgg_snapshot *snap = take(tree);
	struct cgg_rank_options o = {0};
	struct cgg_group *groups = NULL;
	size_t n = 0;

	T_MUST(cgg_rank(snap, &o, &groups, &n, NULL) == 0);
	T_EQ_INT(n, 2);
	T_EQ_STR(cgg_snapshot_get(snap, groups[0].cgroup)->path, "/big.scope");
	T_EQ_INT(groups[0].term[CGG_RANK_USAGE], 6001000);
	T_EQ_INT(groups[0].oom_unit, 2);
	T_ASSERT(groups[0].whole && !groups[0].protect);
	T_ASSERT(groups[0].known & 1U << CGG_RANK_GAIN);
	T_ASSERT(!(groups[0].known & 1U << CGG_RANK_GROWTH));
	T_EQ_STR(cgg_snapshot_get(snap, groups[1].cgroup)->path, "/small.service");
	groups = cgg_groups_free(groups);
	o.keys = by_age;
	o.nkeys = 1;
	T_MUST(cgg_rank(snap, &o, &groups, &n, NULL) == 0);
	T_EQ_INT(n, 2);
	T_ASSERT(groups[0].term[CGG_RANK_AGE] > groups[1].term[CGG_RANK_AGE]);
	cgg_groups_free(groups);
	cgg_snapshot_free(snap);
	cgg_tree_close(tree);
}

TEST(globs_and_a_domain_choose_who_is_ranked)
{
	static const char *const include[] = {"/*.scope", "/*.service"}, *const exclude[] = {
										 "/small*"};
	struct cgg_tree *tree = open_machine();
	struct cgg_snapshot *snap = take(tree);
	struct cgg_rank_options o = {
		.include = include, .ninclude = 2, .exclude = exclude, .nexclude = 1};
	struct cgg_group *groups = NULL;
	size_t n = 9;

	for (int unit = 0; unit < CGG_UNIT_MAX; unit++) {
		o.unit = (enum cgg_unit)unit;
		T_MUST(cgg_rank(snap, &o, &groups, &n, NULL) == 0);
		T_EQ_INT(n, 1);
		T_EQ_INT(groups[0].cgroup, 2);
		groups = cgg_groups_free(groups);
	}
	o.domain = 3; /* nothing of what is asked for is in it */
	T_MUST(cgg_rank(snap, &o, &groups, &n, NULL) == 0);
	T_EQ_INT(n, 0);
	cgg_groups_free(groups);
	cgg_snapshot_free(snap);
	cgg_tree_close(tree);
}

TEST(a_ranking_that_can_not_be_is_refused)
{
	static const enum cgg_rank_key nine[CGG_RANK_KEYS_MAX + 1],
		bad[] = {CGG_RANK_KEY_MAX}, worse[] = {(enum cgg_rank_key)1000};
	struct cgg_tree *tree = open_machine();
	struct cgg_snapshot *snap = take(tree);
	struct cgg_group *groups = NULL;
	struct cgg_error err = {0};
	size_t n = 77;
	const struct cgg_rank_options wrong[] = {
		{.domain = 4},
		{.domain = CGG_NONE},
		{.unit = CGG_UNIT_MAX},
		{.keys = nine, .nkeys = CGG_RANK_KEYS_MAX + 1},
		{.keys = bad, .nkeys = 1},
		{.keys = worse, .nkeys = 1},
	};

	for (size_t i = 0; i < CGG_ARRAY_LEN(wrong); i++) {
		err.msg[0] = '\0';
		T_EQ_INT(cgg_rank(snap, &wrong[i], &groups, &n, &err), -EINVAL);
		T_ASSERT(err.msg[0]);
		T_EQ_INT(cgg_rank(snap, &wrong[i], &groups, &n, NULL), -EINVAL);
		T_ASSERT(!groups && n == 77);
		groups = NULL;
	}
	cgg_snapshot_free(snap);
	cgg_tree_close(tree);
}

/* ---- policies ------------------------------------------------------------------------ */

#define POLICY                                                                                     \
	"{\"version\": 1, \"protect\": [\"/small.service\"], \"rules\": [{\"name\": \"r\", "       \
	"\"domain\": \"/\", \"when\": {\"available_below\": \"99%\"}, "                            \
	"\"then\": [{\"action\": \"notify\"}]}]}\n"

/* A file of this text in a directory of its own; its path. */
static const char *policy_file(const char *text)
{
	static char path[256];
	const char *top = kit_tree("p");

	kit_tree_write(top, "p", "policy.json", text, strlen(text));
	snprintf(path, sizeof(path), "%s/p/policy.json", top);
	return path;
}

static struct cgg_policy *load(const char *text)
{
	struct cgg_policy *policy = NULL;
	struct cgg_error err = {0};

	if (load_path(policy_file(text), &policy, &err) != 0)
		printf("# %s\n", err.msg);
	T_MUST(policy);
	return policy;
}

TEST(the_default_policy_has_rules_that_say_what_they_do)
{
	struct cgg_policy *policy = NULL;
	char line[512], small[8];

	T_MUST(cgg_policy_default(&policy, NULL) == 0);
	T_ASSERT(cgg_policy_rules(policy) > 0);
	for (size_t i = 0; i < cgg_policy_rules(policy); i++) {
		size_t len = cgg_policy_describe(policy, i, line, sizeof(line));

		T_ASSERT(len > 10 && !strchr(line, '\n'));
		T_EQ_INT(cgg_policy_describe(policy, i, small, sizeof(small)), len);
		T_EQ_INT(strlen(small), 7);
		T_EQ_INT(cgg_policy_describe(policy, i, NULL, 0), len);
	}
	T_EQ_INT(cgg_policy_describe(policy, cgg_policy_rules(policy), line, sizeof(line)), 0);
	T_EQ_STR(line, "");
	T_EQ_INT(cgg_policy_describe(policy, SIZE_MAX, NULL, 0), 0);
	cgg_policy_free(policy);
}

TEST(a_policy_is_loaded_whole_or_not_at_all)
{
	struct cgg_policy *policy = load(POLICY);
	struct cgg_error err = {0};
	const char *bad;

	T_EQ_INT(cgg_policy_rules(policy), 1);
	cgg_policy_free(policy);
	policy = NULL;
	T_EQ_INT(load_path("/nonexistent/policy.json", &policy, &err), -ENOENT);
	T_HAS(err.msg, "/nonexistent/policy.json");
	T_EQ_INT(load_path("/nonexistent/policy.json", &policy, NULL), -ENOENT);
	bad = policy_file("{\"version\": 1, \"rulez\": []}");
	T_EQ_INT(load_path(bad, &policy, &err), -EINVAL);
	T_ASSERT(strncmp(err.msg, bad, strlen(bad)) == 0);
	T_HAS(err.msg, "rulez");
	T_EQ_INT(load_path(bad, &policy, NULL), -EINVAL);
	T_ASSERT(!policy);
}

TEST(a_ranking_honours_the_policy_s_protection)
{
	struct cgg_tree *tree = open_machine();
	struct cgg_snapshot *snap = take(tree);
	struct cgg_policy *policy = load(POLICY);
	struct cgg_rank_options o = {.policy = policy};
	struct cgg_group *groups = NULL;
	size_t n = 0;

	T_MUST(cgg_rank(snap, &o, &groups, &n, NULL) == 0);
	T_EQ_INT(n, 2);
	T_ASSERT(!groups[0].protect && groups[1].protect);
	cgg_groups_free(groups);
	cgg_policy_free(policy);
	cgg_snapshot_free(snap);
	cgg_tree_close(tree);
}

TEST(badness_is_a_rank_key_once_it_was_read)
{
	static const enum cgg_rank_key by[] = {CGG_RANK_BADNESS};
	struct cgg_tree *tree = open_machine();
	struct cgg_snapshot *snap = take(tree);
	struct cgg_rank_options o = {.keys = by, .nkeys = 1};
	struct cgg_group *groups = NULL;
	size_t n = 0;

	T_EQ_INT(cgg_snapshot_badness(snap, tree, cgg_snapshot_count(snap), NULL), -EINVAL);
	T_EQ_INT(cgg_snapshot_badness(snap, tree, 0, NULL), 0);
	T_MUST(cgg_rank(snap, &o, &groups, &n, NULL) == 0);
	T_EQ_INT(n, 2);
	T_EQ_INT(groups[0].term[CGG_RANK_BADNESS], 1000 - 9 * 25); /* of 100000 kB */
	T_EQ_INT(groups[1].term[CGG_RANK_BADNESS], 475);
	cgg_groups_free(groups);
	cgg_snapshot_free(snap);
	cgg_tree_close(tree);
}

/* ---- text ---------------------------------------------------------------------------- */

TEST(text_is_made_safe_and_globs_match)
{
	char buf[32];

	T_EQ_INT(cgg_path_printable("/a\n", buf, sizeof(buf)), 6);
	T_EQ_STR(buf, "/a\\x0a");
	T_EQ_INT(cgg_path_printable("/a\n", NULL, 0), 6);
	T_ASSERT(cgg_glob_match("/*.scope", "/big.scope"));
	T_ASSERT(!cgg_glob_match("/*.scope", "/a/big.scope"));
	T_ASSERT(cgg_glob_match("/**", "/a/b"));
	T_ASSERT(!cgg_glob_match("", "/a"));
	T_ASSERT(!cgg_glob_match("/[", "/["));
}
