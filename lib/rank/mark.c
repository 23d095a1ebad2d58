/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Marks that ask for mercy. trusted.* is root's word. user.* may be the word of whoever owns the cgroup, so it
 * counts by systemd-oomd's rule: the cgroup belongs to root (not to root in a container of the domain), or to
 * the same user as the domain, who harms nobody else by it.
 */
#include "rank/rank.h"

#include "cgfs/marks.h"

#define OMITS  (CGG_MARK_USER_OMIT | CGG_MARK_TRUSTED_OMIT | CGG_MARK_UNREADABLE)
#define AVOIDS (CGG_MARK_USER_AVOID | CGG_MARK_TRUSTED_AVOID)
#define USERS  (CGG_MARK_USER_OMIT | CGG_MARK_USER_AVOID)

bool rank_user_marks_count(const struct cgg_snapshot *snap, uint32_t domain, uint32_t index)
{
	const struct cgg_cgroup *cg = &snap->cgroups[index];

	if (cg->marks & CGG_MARK_SHARED)
		return false;
	if (cg->owner_uid == 0)
		return !rank_is_in_container(snap, index, domain);
	return cg->owner_uid == snap->cgroups[domain].owner_uid;
}

/* The strongest mark of one cgroup that counts; the lowest bit is the strongest. */
static uint32_t mark_of(const struct cgg_snapshot *snap, uint32_t domain, uint32_t index)
{
	uint32_t marks = snap->cgroups[index].marks & (OMITS | AVOIDS);

	if (marks & USERS && !rank_user_marks_count(snap, domain, index))
		marks &= ~(uint32_t)USERS;
	return marks & -marks;
}

static void take_stronger(const struct cgg_snapshot *snap, uint32_t domain, uint32_t index,
			  struct cgg_group *group)
{
	uint32_t mark = mark_of(snap, domain, index);

	if (mark != 0 && (group->mark == 0 || mark < group->mark)) {
		group->mark = mark;
		group->marked = index;
	}
}

void rank_mark(const struct cgg_snapshot *snap, uint32_t domain, uint32_t end,
	       struct cgg_group *group)
{
	for (uint32_t i = group->cgroup;; i = snap->cgroups[i].parent) {
		take_stronger(snap, domain, i, group);
		if (i == domain || i == CGG_NONE)
			break;
	}
	for (uint32_t i = group->cgroup + 1; i < end; i++) {
		if (snap->cgroups[i].marks != 0)
			take_stronger(snap, domain, i, group);
	}
	group->protect |= (group->mark & OMITS) != 0;
	group->avoid = (group->mark & AVOIDS) != 0;
}
