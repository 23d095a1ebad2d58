/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The owner of each cgroup: the cgroup that answers for it when shares, sums and limits are by owner.
 *
 * Names are believed as far down as the host's root made every directory. There a user's slice, a pod, or a service,
 * scope or container (a machine is one) owns all that is below it; so does the topmost cgroup of another uid. A slice,
 * and a directory that holds any of those, owns itself alone: system.slice answers for none of its services. A directory
 * that holds none of those owns all that is below it.
 */
#include "rank/rank.h"

#include <string.h>

/* user-1000.slice of user.slice */
static bool is_users_slice(const struct cgg_cgroup *cg, const char *parent)
{
	const char *digits = cg->name + strlen("user-");

	if (strcmp(parent, "user.slice") != 0 || strncmp(cg->name, "user-", 5) != 0 ||
	    *digits < '0' || *digits > '9')
		return false;
	return strcmp(digits + strspn(digits, "0123456789"), ".slice") == 0;
}

/* What its name and uid say, if the host's root made all above it. */
enum kind { PLAIN, HOLDS_OTHERS, OWNS_ALL };

static enum kind kind_of(const struct cgg_snapshot *snap, uint32_t index)
{
	const struct cgg_cgroup *cg = &snap->cgroups[index];
	const char *parent;

	if (index == 0)
		return HOLDS_OTHERS;
	parent = snap->cgroups[cg->parent].name;
	if (cg->owner_uid != 0 || is_users_slice(cg, parent) || rank_is_pod(snap, index) ||
	    rank_is_owner(snap, index))
		return OWNS_ALL;
	return rank_holds_units(snap, index) ? HOLDS_OTHERS : PLAIN;
}

/* Into kind[]: what is plain, and holds one that is not, holds others. */
static void find_kinds(const struct cgg_snapshot *snap, uint32_t *kind)
{
	for (uint32_t i = 0; i < snap->n; i++)
		kind[i] = kind_of(snap, i);
	for (uint32_t i = snap->n; i-- > 1;) {
		uint32_t parent = snap->cgroups[i].parent;

		if (kind[i] != PLAIN && kind[parent] == PLAIN)
			kind[parent] = HOLDS_OTHERS;
	}
}

void rank_owners(const struct cgg_snapshot *snap, uint32_t *ret)
{
	find_kinds(snap, ret);
	for (uint32_t i = 0; i < snap->n;) {
		uint32_t end = ret[i] == HOLDS_OTHERS ? i + 1 : snap->cgroups[i].end;

		for (uint32_t top = i; i < end; i++)
			ret[i] = top;
	}
}
