/* SPDX-License-Identifier: Apache-2.0 */
/* Reads what one text says of a policy, and adds it to that. */
#include "policy/keep.h"
#include "policy/read.h"

#include <errno.h>

#define COOLDOWN_US 1000000ULL /* of a rule that names none */

static void read_defaults(const struct doc_node *node, struct read *read)
{
	static const char *const keys[] = {"dry_run", "cooldown", "honour_xattrs"};
	struct doc_node value;

	if (doc_object(node, keys, CGG_ARRAY_LEN(keys)) < 0)
		return;
	if (doc_get(node, "dry_run", &value))
		doc_bool(&value, &read->dry_run);
	if (doc_get(node, "cooldown", &value))
		read_time(&value, 0, &read->cooldown_us);
	if (doc_get(node, "honour_xattrs", &value))
		doc_bool(&value, &read->honour_xattrs);
}

static void read_priority(const struct doc_node *member, void *user)
{
	struct cgg_policy *policy = user;
	struct rank_priority *priority;
	struct doc_node key = *member;
	int64_t number = 0;
	int r;

	if (policy->npriority == POLICY_GLOBS_MAX) {
		doc_fail(member, "more than %d priorities", POLICY_GLOBS_MAX);
		return;
	}
	priority = &policy->priority[policy->npriority];
	key.at_key = true;
	r = read_glob_text(&key, policy, member->key, &priority->glob);
	if (doc_int(member, -POLICY_PRIORITY_MAX, POLICY_PRIORITY_MAX, &number) == 0 && r == 0) {
		priority->priority = (int32_t)number;
		policy->npriority++;
	}
}

static void read_priorities(const struct doc_node *node, struct cgg_policy *policy)
{
	if (!policy->priority)
		policy->priority =
			policy_keep(policy, POLICY_GLOBS_MAX * sizeof(*policy->priority));
	if (!policy->priority)
		doc_no_memory(node);
	else
		doc_members(node, read_priority, policy);
}

static void read_rules(const struct doc_node *node, struct read *read)
{
	size_t n;

	if (doc_array(node, 1, POLICY_RULES_MAX, &n) < 0)
		return;
	for (size_t i = 0; i < n; i++) {
		struct doc_node item = doc_item(node, i);

		read_rule(&item, (uint32_t)i, read);
	}
}

/* Before all else: another version has another grammar. */
static bool is_other_version(const struct doc_node *root)
{
	struct doc_node value;
	int64_t version;

	if (!doc_is_object(root) || !doc_get(root, "version", &value) || !doc_is_int(&value) ||
	    doc_int(&value, 0, INT32_MAX, &version) < 0 || version == 1)
		return false;
	doc_fail(&value, "version %lld: this cgguard reads version 1", (long long)version);
	return true;
}

/* What a file says of itself. */
static void read_head(const struct doc_node *root)
{
	struct doc_node value;
	const char *ignored;
	int64_t version;

	if (doc_need(root, "version", &value) == 0 && !doc_is_int(&value))
		doc_int(&value, 1, 1, &version);
	if (doc_get(root, "$schema", &value))
		doc_string(&value, "the schema's address", &ignored);
	if (doc_get(root, "description", &value))
		doc_string(&value, "a sentence", &ignored);
}

static void read_document(const struct doc_node *root, struct read *read)
{
	static const char *const keys[] = {"$schema", "version",    "description", "defaults",
					   "protect", "priorities", "rules"};
	struct doc_node value;

	if (is_other_version(root) || doc_object(root, keys, CGG_ARRAY_LEN(keys)) < 0)
		return;
	read_head(root);
	if (doc_get(root, "defaults", &value))
		read_defaults(&value, read);
	if (doc_get(root, "protect", &value))
		read_globs(&value, read->policy, 0, &read->policy->protect);
	if (doc_get(root, "priorities", &value))
		read_priorities(&value, read->policy);
	if (doc_get(root, "rules", &value))
		read_rules(&value, read);
}

void read_text(struct read *read, const char *file, const char *text, size_t len)
{
	struct doc_node root;
	struct doc doc;

	read->dry_run = false;
	read->honour_xattrs = false;
	read->cooldown_us = COOLDOWN_US;
	if (len > POLICY_FILE_MAX) {
		problem_file(read->problems, -EINVAL, file, "larger than %u bytes",
			     POLICY_FILE_MAX);
		return;
	}
	if (doc_open(&doc, file, text, len, read->problems) < 0)
		return;
	root = doc_root(&doc);
	if (read_keep_string(&root, read->policy, file, &read->file) == 0)
		read_document(&root, read);
	doc_close(&doc);
}
