/* SPDX-License-Identifier: Apache-2.0 */
/* The memory that a policy keeps of its files: pieces that end with it. */
#include "policy/keep.h"

#include <stddef.h>
#include <stdlib.h>

/* A piece of the policy's memory. */
struct policy_string {
	struct policy_string *next;
	_Alignas(max_align_t) char data[];
};

void *policy_keep(struct cgg_policy *policy, size_t size)
{
	struct policy_string *piece = malloc(sizeof(*piece) + size);

	if (!piece)
		return NULL;
	piece->next = policy->strings;
	policy->strings = piece;
	return piece->data;
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
