/* SPDX-License-Identifier: Apache-2.0 */
/* Policies as bytes: what comes back is equal; what is not a policy, or not whole, is refused. */
#include "kit/cond.h"
#include "kit/policy.h"
#include "kit/snap.h"
#include "kit/t.h"

#include "policy/blob.h"
#include "policy/decide.h"

#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct bytes {
	uint8_t *data;
	size_t size;
};

static struct bytes pack(const struct cgg_policy *policy)
{
	struct cgg_error err = {0};
	struct bytes bytes = {NULL, 0};
	size_t size = 0;

	T_EQ_INT(blob_pack(policy, NULL, 0, &bytes.size, &err), 0);
	T_EQ_STR(err.msg, "");
	bytes.data = malloc(bytes.size + 1);
	T_MUST(bytes.data && blob_pack(policy, bytes.data, bytes.size, &size, &err) == 0);
	T_EQ_INT(size, bytes.size);
	return bytes;
}

/* The buffer has exactly this size, so that AddressSanitizer finds a read behind its last byte. */
static struct cgg_policy *unpack(const uint8_t *data, size_t size, struct cgg_error *err)
{
	uint8_t *exact = malloc(size ? size : 1);
	struct cgg_policy *policy = NULL;
	int r;

	T_MUST(exact);
	if (size > 0)
		memcpy(exact, data, size);
	r = blob_unpack(exact, size, &policy, err);
	free(exact);
	T_ASSERT((r == 0) == (policy != NULL) && (r == 0) == (err->msg[0] == '\0'));
	return policy;
}

/* ---- equal ------------------------------------------------------------------------------ */

static void same_globs(const struct rank_globs *a, const struct rank_globs *b)
{
	T_EQ_INT(a->n, b->n);
	for (size_t i = 0; i < a->n && i < b->n; i++)
		T_EQ_STR(a->glob[i], b->glob[i]);
}

static void same_cond(const struct policy_cond *a, const struct policy_cond *b)
{
	T_EQ_INT(a->kind, b->kind);
	T_EQ_INT(a->end, b->end);
	kit_same_values(a, b);
}

static void same_action(const struct policy_action *a, const struct policy_action *b)
{
	T_EQ_INT(a->kind, b->kind);
	T_EQ_INT(a->process, b->process);
	T_EQ_INT(a->kill_exempt, b->kill_exempt);
	T_EQ_INT(a->deadline_us, b->deadline_us);
	kit_same_amount(&a->amount, &b->amount);
}

static void same_rule(const struct policy_rule *a, const struct policy_rule *b)
{
	char said[4096], again[4096];

	policy_describe(a, said, sizeof(said));
	policy_describe(b, again, sizeof(again));
	T_EQ_STR(again, said);
	T_EQ_STR(a->name, b->name);
	T_EQ_STR(a->file, b->file);
	T_EQ_STR(a->domain, b->domain);
	T_EQ_INT(a->each, b->each);
	T_EQ_INT(a->nconds, b->nconds);
	for (size_t i = 0; i < a->nconds; i++)
		same_cond(&a->cond[i], &b->cond[i]);
	T_EQ_INT(a->unit, b->unit);
	same_globs(&a->include, &b->include);
	same_globs(&a->exclude, &b->exclude);
	T_EQ_INT(a->spares_adj, b->spares_adj);
	T_EQ_INT(a->least_adj, b->least_adj);
	T_EQ_INT(a->nkeys, b->nkeys);
	for (size_t i = 0; i < a->nkeys; i++)
		T_EQ_INT(a->key[i], b->key[i]);
	T_EQ_INT(a->nactions, b->nactions);
	for (size_t i = 0; i < a->nactions; i++)
		same_action(&a->action[i], &b->action[i]);
	T_EQ_INT(a->cooldown_us, b->cooldown_us);
	T_EQ_INT(a->dry_run, b->dry_run);
	T_EQ_INT(a->honour_xattrs, b->honour_xattrs);
	T_EQ_INT(a->brake, b->brake);
}

static void same_policy(const struct cgg_policy *a, const struct cgg_policy *b)
{
	T_EQ_INT(a->nrules, b->nrules);
	for (size_t i = 0; i < a->nrules && i < b->nrules; i++)
		same_rule(&a->rule[i], &b->rule[i]);
	same_globs(&a->protect, &b->protect);
	T_EQ_INT(a->npriority, b->npriority);
	for (size_t i = 0; i < a->npriority && i < b->npriority; i++) {
		T_EQ_STR(a->priority[i].glob, b->priority[i].glob);
		T_EQ_INT(a->priority[i].priority, b->priority[i].priority);
	}
}

/* The decisions of a policy on a machine that is short of everything: each rule's truth and victim. */
static void decide(const struct cgg_policy *policy, char *buf, size_t size)
{
	struct cgg_snapshot *snap = kit_snap(
		"host total=8Gi available=9Mi free=1Mi swap_total=1Gi swap_free=0 full=900ms\n"
		"/system.slice/a.service procs=1 max=100Mi anon=99Mi\n"
		"/kubepods/burstable/pod1/c procs=3 anon=2Gi adj=900\n/b procs=2 anon=1Gi");
	struct policy_reading reading[POLICY_CONDS_MAX];
	struct cgg_group groups[32];
	size_t len = 0;

	T_MUST(snap->n <= CGG_ARRAY_LEN(groups));
	buf[0] = '\0';
	for (size_t i = 0; i < policy->nrules && len < size; i++) {
		struct policy_held held = {0};
		uint32_t victim = CGG_NONE, d = policy->rule[i].each ? snap->n - 1 : 0;
		enum policy_truth truth;

		policy_holds(&policy->rule[i], snap, d, &held, 1000000, reading);
		truth = policy_holds(&policy->rule[i], snap, d, &held, 2000000, reading);
		policy_choose(policy, &policy->rule[i], snap, d, &(struct policy_known){0}, groups,
			      &victim);
		len += (size_t)snprintf(
			buf + len, size - len, "%d %s;", (int)truth,
			victim == CGG_NONE ? "-" : snap->cgroups[groups[victim].cgroup].path);
	}
	kit_snap_free(snap);
}

static struct cgg_policy *load(const char *dir, const char *name)
{
	struct cgg_error err = {0};
	struct cgg_policy *policy = kit_load_file(dir, name, &err);

	T_EQ_STR(err.msg, "");
	T_MUST(policy);
	return policy;
}

static void for_all_in(const char *dir, void (*fn)(const struct cgg_policy *policy))
{
	DIR *d = opendir(dir);
	struct cgg_policy *policy;
	unsigned int n = 0;
	struct dirent *entry;

	T_MUST(d);
	while ((entry = readdir(d))) {
		size_t len = strlen(entry->d_name);

		if (len < 5 || strcmp(entry->d_name + len - 5, ".json") != 0 ||
		    strcmp(entry->d_name, "schema.json") == 0)
			continue;
		T_ROW(entry->d_name);
		policy = load(dir, entry->d_name);
		fn(policy);
		policy_free(policy);
		n++;
	}
	closedir(d);
	T_ASSERT(n > 5);
}

static void check_round_trip(const struct cgg_policy *policy)
{
	struct bytes bytes = pack(policy), second;
	struct cgg_error err = {0};
	struct cgg_policy *again = unpack(bytes.data, bytes.size, &err);
	char said[4096], same[4096];

	T_EQ_STR(err.msg, "");
	T_MUST(again);
	same_policy(policy, again);
	decide(policy, said, sizeof(said));
	decide(again, same, sizeof(same));
	T_EQ_STR(same, said);
	second = pack(again);
	T_ASSERT(second.size == bytes.size && memcmp(second.data, bytes.data, bytes.size) == 0);
	policy_free(again);
	free(bytes.data);
	free(second.data);
}

TEST(a_policy_comes_back_as_it_was)
{
	for_all_in(POLICY_DIR, check_round_trip);
	for_all_in(FIXTURE_DIR "/accept", check_round_trip);
}

/* ---- broken ----------------------------------------------------------------------------- */

/* Either it is refused, or it is the one way to write a policy, which can be decided on. */
static void check_bytes(const uint8_t *data, size_t size, unsigned int *accepted)
{
	struct cgg_error err = {0};
	struct cgg_policy *policy = unpack(data, size, &err);
	char said[4096];
	struct bytes again;

	if (!policy)
		return;
	++*accepted;
	again = pack(policy);
	T_ASSERT(again.size == size && memcmp(again.data, data, size) == 0);
	if (*accepted % 64 == 0)
		decide(policy, said, sizeof(said));
	free(again.data);
	policy_free(policy);
}

static void check_corruptions(const struct cgg_policy *policy)
{
	static const uint8_t flips[] = {0x01, 0x06, 0x80, 0xff};
	struct bytes bytes = pack(policy);
	unsigned int accepted = 0;

	for (size_t i = 0; i < bytes.size; i++) {
		for (size_t k = 0; k < sizeof(flips); k++) {
			bytes.data[i] ^= flips[k];
			check_bytes(bytes.data, bytes.size, &accepted);
			bytes.data[i] ^= flips[k];
		}
	}
	T_ASSERT(accepted > 0 &&
		 accepted < 3 * bytes.size); /* other letters of a glob are a glob */
	free(bytes.data);
}

TEST(any_one_byte_that_is_another_is_refused_or_another_policy)
{
	for_all_in(POLICY_DIR, check_corruptions);
}

static void check_truncations(const struct cgg_policy *policy)
{
	struct bytes bytes = pack(policy);
	uint64_t size;

	for (size_t n = 0; n <= bytes.size + 1; n++) {
		struct cgg_error err = {0};
		struct cgg_policy *got;

		if (n == bytes.size)
			continue;
		bytes.data[bytes.size] = 0; /* one more */
		T_ASSERT(!unpack(bytes.data, n, &err));
		size = n; /* and with a head that agrees */
		if (n < 32)
			continue;
		memcpy(bytes.data + 24, &size, sizeof(size));
		err = (struct cgg_error){0};
		got = unpack(bytes.data, n, &err);
		T_ASSERT(!got);
		size = bytes.size;
		memcpy(bytes.data + 24, &size, sizeof(size));
	}
	free(bytes.data);
}

TEST(what_is_cut_off_or_goes_on_is_refused)
{
	for_all_in(POLICY_DIR, check_truncations);
}

static struct cgg_policy *breakable(void)
{
	struct cgg_error err = {0};
	struct cgg_policy *policy = kit_load(
		"{\"version\": 1, \"protect\": [\"/p\"], \"priorities\": {\"/q\": 5}, \"rules\": ["
		"{\"name\": \"r\", \"domain\": \"/d\", \"when\": {\"all\": [{\"usage_above\": "
		"\"90%\"},"
		" {\"not\": {\"pressure_above\": {\"full\": \"20%\", \"for\": \"1s\"}}},"
		" {\"time_to_limit_below\": \"2s\"},"
		" {\"events_above\": {\"oom\": 3, \"window\": \"9s\"}}]},"
		" \"candidates\": {\"include\": [\"/i\"], \"exclude\": [\"/x\"],"
		" \"exclude_oom_score_adj_below\": -5}, \"rank\": [\"usage\", \"gain\"],"
		" \"then\": [{\"action\": \"throttle\", \"for\": \"1s\"},"
		" {\"action\": \"reclaim\", \"amount\": \"1Mi\"}, {\"action\": \"kill\"}]},"
		"{\"name\": \"s\", " RULE "}]}",
		&err);

	T_EQ_STR(err.msg, "");
	T_MUST(policy);
	return policy;
}

#define BREAK(what, statement)                                                                     \
	static void break_##what(struct cgg_policy *p, struct policy_rule *r)                      \
	{                                                                                          \
		(void)p;                                                                           \
		(void)r;                                                                           \
		statement;                                                                         \
	}

static const char *long_globs[POLICY_GLOBS_MAX + 1];
static const char *open_glob[] = {"/[a"}, *no_slash[] = {"i"}, *empty[] = {""};

BREAK(nrules_0, p->nrules = 0)
BREAK(nrules, p->nrules = POLICY_RULES_MAX + 1)
BREAK(protect_n, p->protect = ((struct rank_globs){long_globs, POLICY_GLOBS_MAX + 1}))
BREAK(protect, p->protect = ((struct rank_globs){open_glob, 1}))
BREAK(npriority, p->npriority = POLICY_GLOBS_MAX + 1)
BREAK(priority, p->priority[0].priority = 1001)
BREAK(priority_low, p->priority[0].priority = -1001)
BREAK(priority_glob, p->priority[0].glob = "no/slash")
BREAK(name, memcpy(r->name, "a b", 4))
BREAK(name_none, r->name[0] = '\0')
BREAK(name_twice, memcpy(r->name, "s", 2))
BREAK(file, r->file = "")
BREAK(domain, r->domain = "d")
BREAK(domain_dots, r->domain = "/a/../b")
BREAK(domain_glob, r->domain = "/a/*")
BREAK(each, (r->domain = "/{a", r->each = true))
BREAK(nconds_0, r->nconds = 0)
BREAK(nconds, r->nconds = POLICY_CONDS_MAX + 1)
BREAK(nconds_less, r->nconds--)
BREAK(kind, r->cond[1].kind = POLICY_COND_MAX)
BREAK(leaf_as_list, r->cond[1].kind = POLICY_ANY)
BREAK(list_as_leaf, r->cond[0].kind = POLICY_USAGE_ABOVE)
BREAK(end_0, r->cond[0].end = 0)
BREAK(end_back, r->cond[2].end = 1)
BREAK(end_far, r->cond[1].end = 200)
BREAK(end_short, r->cond[0].end--)
BREAK(end_across, r->cond[2].end = 3)
BREAK(not_of_two, r->cond[2].end = 5)
BREAK(share, r->cond[1].amount.share_permyriad = 10001)
BREAK(share_0, r->cond[1].amount.share_permyriad = 0)
BREAK(share_and_bytes, r->cond[1].amount.bytes = 1)
BREAK(bytes_0, r->cond[1].amount = (struct policy_amount){0})
BREAK(amount_of_a_list, r->cond[0].amount.bytes = 1)
BREAK(for_short, r->cond[1].for_us = 999)
BREAK(for_long, r->cond[1].for_us = POLICY_TIME_MAX_US + 1)
BREAK(for_of_events, r->cond[5].for_us = 1000000)
BREAK(time, r->cond[4].time_us = 0)
BREAK(time_long, r->cond[4].time_us = POLICY_TIME_MAX_US + 1)
BREAK(time_elsewhere, r->cond[1].time_us = 1000000)
BREAK(window, r->cond[5].window_us = 0)
BREAK(window_elsewhere, r->cond[1].window_us = 1000000)
BREAK(count, r->cond[5].count = 0)
BREAK(count_large, r->cond[5].count = 1ULL << 31)
BREAK(pressure, r->cond[3].share_permyriad = 10001)
BREAK(pressure_0, r->cond[3].share_permyriad = 0)
BREAK(full_elsewhere, r->cond[1].full = true)
BREAK(event, r->cond[5].event = 4)
BREAK(event_elsewhere, r->cond[1].event = POLICY_EVENT_OOM)
BREAK(unit, r->unit = CGG_UNIT_MAX)
BREAK(unit_of_nothing, (r->unit = CGG_UNIT_MATCH, r->include.n = 0))
BREAK(include_n, r->include = ((struct rank_globs){long_globs, POLICY_GLOBS_MAX + 1}))
BREAK(include, r->include = ((struct rank_globs){no_slash, 1}))
BREAK(exclude, r->exclude = ((struct rank_globs){empty, 1}))
BREAK(least_adj, r->least_adj = 1001)
BREAK(least_adj_low, r->least_adj = -1000)
BREAK(least_adj_off, r->spares_adj = false)
BREAK(nkeys_0, r->nkeys = 0)
BREAK(nkeys, r->nkeys = CGG_RANK_KEYS_MAX + 1)
BREAK(key, r->key[0] = CGG_RANK_KEY_MAX)
BREAK(key_twice, r->key[1] = r->key[0])
BREAK(nactions_0, r->nactions = 0)
BREAK(nactions, r->nactions = POLICY_ACTIONS_MAX + 1)
BREAK(action, r->action[2].kind = POLICY_ACTION_MAX)
BREAK(after_a_kill, r->action[0].kind = POLICY_KILL)
BREAK(scope, r->action[0].process = true)
BREAK(exempt, r->action[1].kill_exempt = true)
BREAK(deadline, r->action[2].deadline_us = POLICY_TIME_MAX_US + 1)
BREAK(deadline_0, r->action[2].deadline_us = 0)
BREAK(throttle, r->action[0].deadline_us = POLICY_THROTTLE_MAX_US + 1)
BREAK(amount_of_a_kill, r->action[2].amount.bytes = 1)
BREAK(amount_of_reclaim, r->action[1].amount.bytes = 0)
BREAK(cooldown, r->cooldown_us = POLICY_TIME_MAX_US + 1)
BREAK(brake, (r->brake = true, r->cond[0].kind = POLICY_ANY))

#define ROW(what)                                                                                  \
	{                                                                                          \
#what, break_##what                                                                \
	}

static const struct {
	const char *name;
	void (*fn)(struct cgg_policy *p, struct policy_rule *r);
} breaks[] = {
	ROW(nrules_0),
	ROW(nrules),
	ROW(protect_n),
	ROW(protect),
	ROW(npriority),
	ROW(priority),
	ROW(priority_low),
	ROW(priority_glob),
	ROW(name),
	ROW(name_none),
	ROW(name_twice),
	ROW(file),
	ROW(domain),
	ROW(domain_dots),
	ROW(domain_glob),
	ROW(each),
	ROW(nconds_0),
	ROW(nconds),
	ROW(nconds_less),
	ROW(kind),
	ROW(leaf_as_list),
	ROW(list_as_leaf),
	ROW(end_0),
	ROW(end_back),
	ROW(end_far),
	ROW(end_short),
	ROW(end_across),
	ROW(not_of_two),
	ROW(share),
	ROW(share_0),
	ROW(share_and_bytes),
	ROW(bytes_0),
	ROW(amount_of_a_list),
	ROW(for_short),
	ROW(for_long),
	ROW(for_of_events),
	ROW(time),
	ROW(time_long),
	ROW(time_elsewhere),
	ROW(window),
	ROW(window_elsewhere),
	ROW(count),
	ROW(count_large),
	ROW(pressure),
	ROW(pressure_0),
	ROW(full_elsewhere),
	ROW(event),
	ROW(event_elsewhere),
	ROW(unit),
	ROW(unit_of_nothing),
	ROW(include_n),
	ROW(include),
	ROW(exclude),
	ROW(least_adj),
	ROW(least_adj_low),
	ROW(least_adj_off),
	ROW(nkeys_0),
	ROW(nkeys),
	ROW(key),
	ROW(key_twice),
	ROW(nactions_0),
	ROW(nactions),
	ROW(action),
	ROW(after_a_kill),
	ROW(scope),
	ROW(exempt),
	ROW(deadline),
	ROW(deadline_0),
	ROW(throttle),
	ROW(amount_of_a_kill),
	ROW(amount_of_reclaim),
	ROW(cooldown),
	ROW(brake),
};

/* Packing and unpacking check by one function, see blob.c; what no struct can hold is below. */
TEST(each_field_that_is_wrong_is_refused_by_its_name)
{
	for (size_t i = 0; i < CGG_ARRAY_LEN(long_globs); i++)
		long_globs[i] = "/g";
	for (size_t i = 0; i < CGG_ARRAY_LEN(breaks); i++) {
		struct cgg_policy *policy = breakable();
		struct cgg_error err = {0};
		size_t size;

		T_ROW(breaks[i].name);
		breaks[i].fn(policy, &policy->rule[0]);
		T_EQ_INT(blob_pack(policy, NULL, 0, &size, &err), -EINVAL);
		T_HAS(err.msg, "compiled policy, byte ");
		policy_free(policy);
	}
}

/* Eight bytes of ones anywhere: right nowhere but as bytes of an amount. */
TEST(each_number_is_bounded)
{
	struct cgg_policy *policy = breakable();
	struct bytes bytes = pack(policy);
	unsigned int accepted = 0;

	for (size_t i = 0; i + 8 <= bytes.size; i++) {
		uint64_t was, all = UINT64_MAX;

		memcpy(&was, bytes.data + i, 8);
		memcpy(bytes.data + i, &all, 8);
		check_bytes(bytes.data, bytes.size, &accepted);
		memcpy(bytes.data + i, &was, 8);
	}
	/* the amounts of reclaim and of rule "s"; and two and three bytes of the latter's "for" are a time */
	T_EQ_INT(accepted, 4);
	free(bytes.data);
	policy_free(policy);
}

TEST(a_text_ends_where_it_says)
{
	struct cgg_policy *policy = breakable();
	struct bytes bytes = pack(policy);
	struct cgg_error err = {0};
	uint8_t *at = NULL;

	for (size_t i = 0; i + 3 <= bytes.size && !at; i++)
		at = memcmp(bytes.data + i, "/d", 3) == 0 ? bytes.data + i : NULL;
	T_MUST(at);
	at[2] = 'x';
	T_ASSERT(!unpack(bytes.data, bytes.size, &err));
	T_HAS(err.msg, "'domain' is no text of 2 bytes");
	at[2] = at[1] = '\0';
	err = (struct cgg_error){0};
	T_ASSERT(!unpack(bytes.data, bytes.size, &err));
	T_HAS(err.msg, "'domain' is no text of 2 bytes");
	free(bytes.data);
	policy_free(policy);
}

TEST(another_build_is_refused)
{
	static const struct {
		size_t at;
		const char *says;
	} rows[] = {
		{0, "'magic'"}, {8, "'version'"}, {16, "'layout of this build'"}, {24, "'size'"}};
	struct cgg_policy *policy = breakable();
	struct bytes bytes = pack(policy);

	for (size_t i = 0; i < CGG_ARRAY_LEN(rows); i++) {
		struct cgg_error err = {0};

		bytes.data[rows[i].at] ^= 1;
		T_ASSERT(!unpack(bytes.data, bytes.size, &err));
		T_HAS(err.msg, rows[i].says);
		bytes.data[rows[i].at] ^= 1;
	}
	free(bytes.data);
	policy_free(policy);
}

TEST(there_is_a_largest)
{
	struct cgg_policy *policy = breakable();
	struct cgg_policy *got = NULL;
	struct cgg_error err = {0};
	uint8_t few[100];
	size_t size;

	T_EQ_INT(blob_pack(policy, few, sizeof(few), &size, &err), -EFBIG);
	T_ASSERT(size > sizeof(few));
	T_EQ_INT(blob_unpack(few, (size_t)BLOB_MAX + 1, &got, &err), -EINVAL);
	T_HAS(err.msg, "larger than");
	policy_free(policy);
}
