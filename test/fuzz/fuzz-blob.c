/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Any bytes as a compiled policy, as they are and behind a head that is right. What is refused has an error that says
 * what; what is accepted is the one way to write that policy, and can be described and decided on.
 */
#include "fuzz.h"

#include "kit/snap.h"

#include "policy/blob.h"
#include "policy/decide.h"
#include "policy/load.h"

#include <string.h>

#define HEAD 32 /* magic, version, layout, size */

static void decide(const struct cgg_policy *policy, const struct policy_rule *rule,
		   const struct cgg_snapshot *snap)
{
	struct policy_reading reading[POLICY_CONDS_MAX];
	struct policy_held held = {0};
	struct cgg_group groups[8];
	uint32_t victim;
	size_t n;

	MUST(snap->n <= 8);
	for (uint64_t at_us = 1000000; at_us < 3000000; at_us += 500000)
		(void)policy_holds(rule, snap, 0, &held, at_us, reading);
	n = policy_choose(policy, rule, snap, 0, &(struct policy_known){0}, groups, &victim);
	MUST(n <= snap->n && (victim == CGG_NONE || victim < n));
}

static void use(const struct cgg_policy *policy)
{
	static struct cgg_snapshot *snap;
	char line[4096];

	if (!snap)
		snap = kit_snap("host total=1Gi available=9Mi swap_total=1Gi swap_free=1Mi\n"
				"/a max=10Mi current=9Mi anon=9Mi procs=3\n/b/c anon=5Mi procs=1");
	for (size_t i = 0; i < policy->nrules; i++) {
		MUST(policy_describe(&policy->rule[i], line, sizeof(line)) > 0);
		decide(policy, &policy->rule[i], snap);
	}
}

static void check(const uint8_t *data, size_t size)
{
	struct cgg_policy *policy = NULL;
	struct cgg_error err = {0};
	uint8_t *again;
	size_t n = 0;
	int r = blob_unpack(data, size, &policy, &err);

	MUST(r <= 0 && (r == 0) == !!policy && (r == 0) == !err.msg[0]);
	if (!policy)
		return;
	again = malloc(size + 1);
	MUST(again && blob_pack(policy, again, size, &n, &err) == 0);
	MUST(n == size && memcmp(again, data, size) == 0);
	free(again);
	use(policy);
	policy_free(policy);
}

/* The head of this build, which is not the one that a kept file was made by. */
static void mend(uint8_t *data, size_t size)
{
	static const char text[] = "{\"version\":1,\"rules\":[{\"name\":\"r\",\"domain\":\"/\","
				   "\"when\":{\"usage_above\":\"1Mi\"},\"then\":[{\"action\":"
				   "\"notify\"}]}]}";
	static uint8_t head[1024];
	struct cgg_policy *policy = NULL;
	uint64_t whole = size;
	size_t n;

	if (head[0] == 0) {
		MUST(policy_load_text("FILE", text, sizeof(text) - 1, &policy, NULL) == 0);
		MUST(blob_pack(policy, head, sizeof(head), &n, NULL) == 0 && n > HEAD);
		policy_free(policy);
	}
	memcpy(data, head, HEAD);
	memcpy(data + HEAD - sizeof(whole), &whole, sizeof(whole));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	/* the buffer has exactly this size, so that AddressSanitizer finds a read behind its last byte */
	uint8_t *copy = malloc(size ? size : 1);

	MUST(copy);
	memcpy(copy, data, size);
	check(copy, size);
	if (size >= HEAD) {
		mend(copy, size);
		check(copy, size);
	}
	free(copy);
	return 0;
}
