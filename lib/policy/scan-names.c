/* SPDX-License-Identifier: Apache-2.0 */
/* Names that occur twice in one object, by the characters that they mean. */
#include "policy/scan.h"

#include "policy/scan-char.h"

#include <errno.h>
#include <stdlib.h>

/* -1, 0, 1: two names in quotes, compared by the characters that they mean. */
static int compare_names(const struct scan *s, size_t a, size_t b)
{
	uint32_t ca, cb;

	a++;
	b++;
	do {
		ca = scan_char(s->text, s->len, &a);
		cb = scan_char(s->text, s->len, &b);
	} while (ca == cb && ca != 0);
	return ca < cb ? -1 : ca > cb;
}

static int compare_members(const void *a_, const void *b_, void *scan)
{
	const struct scan *s = scan;
	uint32_t a = *(const uint32_t *)a_, b = *(const uint32_t *)b_;
	int r = compare_names(s, s->value[a].key_at, s->value[b].key_at);

	return r ? r : (a > b) - (a < b);
}

/* Link the members of one object that have the same name. */
static void link_members(struct scan *s, uint32_t object, uint32_t *members)
{
	uint32_t n = 0;

	for (uint32_t i = scan_first(s, object); i != SCAN_NONE; i = scan_next(s, object, i))
		members[n++] = i;
	qsort_r(members, n, sizeof(*members), compare_members, s);
	for (uint32_t i = 0, same; i < n; i = same) {
		for (same = i + 1; same < n; same++) {
			if (compare_names(s, s->value[members[i]].key_at,
					  s->value[members[same]].key_at) != 0)
				break;
		}
		for (uint32_t j = i; j < same; j++) {
			s->value[members[j]].first = members[i];
			s->value[members[j]].last = members[same - 1];
		}
	}
}

int scan_link_names(struct scan *s)
{
	uint32_t *members = malloc(s->n * sizeof(*members));

	if (!members)
		return -ENOMEM;
	for (uint32_t i = 0; i < s->n; i++) {
		if (s->text[s->value[i].at] == '{')
			link_members(s, i, members);
	}
	free(members);
	return 0;
}
