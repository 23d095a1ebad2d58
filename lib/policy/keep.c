/* SPDX-License-Identifier: Apache-2.0 */
/* The memory that a policy keeps of its files: pieces that end with it. */
#include "policy/load.h"
#include "policy/read.h"

#include <string.h>

/* A piece of the policy's memory. */
struct policy_string {
	struct policy_string *next;
	_Alignas(max_align_t) char data[];
};

void *read_keep(struct cgg_policy *policy, size_t size)
{
	struct policy_string *piece = malloc(sizeof(*piece) + size);

	if (!piece)
		return NULL;
	piece->next = policy->strings;
	policy->strings = piece;
	return piece->data;
}

int read_keep_string(const struct doc_node *node, struct cgg_policy *policy, const char *text,
		     const char **ret)
{
	size_t size = strlen(text) + 1;
	char *copy = read_keep(policy, size);

	if (!copy)
		return doc_no_memory(node);
	memcpy(copy, text, size);
	*ret = copy;
	return 0;
}

struct cgg_policy *policy_free(struct cgg_policy *policy)
{
	struct policy_string *piece = policy ? policy->strings : NULL;

	while (piece) {
		struct policy_string *next = piece->next;

		free(piece);
		piece = next;
	}
	free(policy);
	return NULL;
}
