/* SPDX-License-Identifier: Apache-2.0 */
/* The guard and a kill by hand as the program uses them: what cgguard-guard.h promises. */
#include "cgguard-guard.h"

#include "kit/policy.h"
#include "kit/t.h"
#include "kit/tree.h"

#include <errno.h>
#include <poll.h>

#define MACHINE                                                                                    \
	"root sys/fs/cgroup\n"                                                                     \
	"/big.scope memory.current=6000000 memory.max=8000000 cgroup.procs='10\\n11\\n'\n"         \
	"proc meminfo='MemTotal: 100000 kB\\nMemFree: 10000 kB\\nMemAvailable: 50000 kB\\n'\n"

#define POLICY                                                                                     \
	"{\"version\": 1, \"rules\": [{\"name\": \"r\", \"domain\": \"/\", "                       \
	"\"when\": {\"available_below\": \"99%\"}, \"then\": [{\"action\": \"notify\"}]}]}\n"

static struct cgg_tree *open_machine(void)
{
	struct cgg_tree *tree = NULL;

	T_MUST(cgg_tree_open(kit_tree(MACHINE), &tree, NULL) == 0);
	return tree;
}

static struct cgg_policy *load(void)
{
	struct cgg_error err = {0};
	struct cgg_policy *policy = kit_load(POLICY, &err);

	T_MUST(policy);
	return policy;
}

/* ---- the guard ----------------------------------------------------------------------- */

struct told {
	unsigned int incidents, notices;
	char last[4096];
};

static void tell(void *user, enum cgg_report kind, const char *text, size_t len)
{
	struct told *t = user;

	if (kind == CGG_REPORT_INCIDENT) {
		t->incidents++;
		snprintf(t->last, sizeof(t->last), "%.*s", (int)len, text);
	}
	t->notices += kind == CGG_REPORT_NOTICE;
}

TEST(a_recording_can_not_be_guarded)
{
	struct cgg_tree *tree = open_machine();
	struct cgg_policy *policy = load();
	const struct cgg_guard_options o = {.dry_run = true};
	struct cgg_guard *guard = NULL;
	struct cgg_error err = {0};
	unsigned int before = kit_count_fds();

	T_EQ_INT(cgg_guard_open(tree, policy, &o, &guard, &err), -EINVAL);
	T_HAS(err.msg, "recording");
	T_EQ_INT(cgg_guard_open(tree, policy, &o, &guard, NULL), -EINVAL);
	T_ASSERT(!guard);
	T_EQ_INT(kit_count_fds(), before);
	cgg_policy_free(policy);
	cgg_tree_close(tree);
}

/* Dry: it looks at this machine, where that can be, and touches nothing. */
TEST(a_guard_looks_decides_and_tells)
{
	struct cgg_policy *policy = load(), *other = NULL;
	struct told told = {0};
	const struct cgg_guard_options o = {.dry_run = true, .report = tell, .user = &told};
	struct cgg_guard *guard = NULL;
	struct cgg_tree *tree = NULL;
	struct cgg_error err = {0};
	uint64_t incidents = 0;
	bool busy, settled = false;

	if (cgg_tree_open(NULL, &tree, NULL) != 0) {
		cgg_policy_free(policy);
		T_SKIP("no cgroup v2 with memory here");
		return;
	}
	if (cgg_guard_open(tree, policy, &o, &guard, &err) != 0)
		T_FAIL("%s", err.msg);
	T_MUST(guard);
	T_ASSERT(cgg_guard_get_fd(guard) >= 0);
	for (int i = 0; i < 200 && !settled; i++) {
		struct pollfd p = {.fd = cgg_guard_get_fd(guard), .events = POLLIN};

		poll(&p, 1, 10);
		T_EQ_INT(cgg_guard_dispatch(guard, &err), 0);
		cgg_guard_state(guard, &busy, &settled, &incidents);
	}
	T_ASSERT(settled);
	T_EQ_INT(incidents, told.incidents);
	cgg_guard_state(guard, NULL, NULL, NULL);
	T_MUST(cgg_policy_default(&other, NULL) == 0);
	T_EQ_INT(cgg_guard_set_policy(guard, other, NULL), 0);
	cgg_policy_free(policy);
	T_EQ_INT(cgg_guard_dispatch(guard, NULL), 0);
	T_ASSERT(!cgg_guard_close(guard));
	cgg_policy_free(other);
	cgg_tree_close(tree);
}

TEST(no_guard_is_closed_as_well)
{
	T_ASSERT(!cgg_guard_close(NULL));
}

/* ---- a kill by hand -------------------------------------------------------------------- */

TEST(nothing_in_a_recording_is_ever_killed)
{
	struct cgg_tree *tree = open_machine();
	struct cgg_kill_options o = {0};
	struct cgg_error err = {0};
	char record[4096];

	for (int dry = 0; dry < 2; dry++) {
		o.dry_run = dry;
		record[0] = '\0';
		T_EQ_INT(cgg_kill(tree, "/big.scope", &o, record, sizeof(record), &err),
			 CGG_REFUSED);
		T_HAS(err.msg, "recording");
		T_HAS(record, "\"victim\":{\"cgroup\":\"/big.scope\"");
		T_EQ_INT(cgg_kill(tree, "/big.scope", &o, record, sizeof(record), NULL),
			 CGG_REFUSED);
	}
	T_EQ_INT(cgg_kill(tree, "/none", &o, record, sizeof(record), &err), -ENOENT);
	T_HAS(err.msg, "/none");
	T_EQ_INT(cgg_kill(tree, "/none", &o, record, sizeof(record), NULL), -ENOENT);
	for (size_t size = 0; size < 64; size += 9)
		T_EQ_INT(cgg_kill(tree, "/big.scope", &o, record, size, &err), -ENOSPC);
	cgg_tree_close(tree);
}
