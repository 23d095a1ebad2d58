/* SPDX-License-Identifier: Apache-2.0 */
/* Badness, oom_score_adj and marks of candidates, read where a rule asks for them. */
#include "policy/candidates.h"

#include "cgfs/marks.h"
#include "cgfs/procs.h"
#include "cgfs/tree.h"
#include "rank/badness.h"
#include "snap/procs.h"
#include "util/attr.h"
#include "util/fdio.h"

#include <unistd.h>

bool candidates_has_key(const struct policy_rule *rule, enum cgg_rank_key key)
{
	for (size_t i = 0; i < rule->nkeys; i++) {
		if (rule->key[i] == key)
			return true;
	}
	return false;
}

/* ---- badness -------------------------------------------------------------------------- */

/* The processes of one cgroup as they are read. */
struct census {
	int procfd;
	uint64_t page_bytes, total_pages;
	uint32_t left; /* so many may still be read */
	bool more; /* there are some that were not */
	bool any; /* the kernel could choose one of them */
	int64_t points; /* the highest */
	int32_t adj; /* the highest, 0 at the least */
};

static int read_one(void *user, pid_t pid)
{
	struct census *census = user;
	struct cgfs_proc p;
	int64_t points;
	int r;

	if (pid == 0 || census->left == 0) {
		census->more = true;
		return census->left == 0;
	}
	census->left--;
	r = cgfs_proc_read(census->procfd, pid, &p);
	census->more |= r < 0 && !fdio_is_gone(r);
	if (r < 0 || badness_exemption(&p) != CGG_EXEMPT_NO)
		return 0;
	points = badness_of(&p, census->total_pages, census->page_bytes);
	if (!census->any || points > census->points)
		census->points = points;
	census->any = true;
	if (p.oom_score_adj > census->adj)
		census->adj = p.oom_score_adj;
	return 0;
}

/* Many small processes must hide nothing: where not all were read, all its memory is one process's. */
static void count_as_one(struct census *census, const struct cgg_cgroup *cg)
{
	uint64_t pages = cg->current_bytes / census->page_bytes;
	int64_t points;

	if (!(cg->have & CGG_HAVE_CURRENT))
		return;
	if (cg->have & CGG_HAVE_SWAP_CURRENT)
		pages += cg->swap_current_bytes / census->page_bytes;
	points = badness_points(pages, census->adj, census->total_pages);
	if (!census->any || points > census->points)
		census->points = points;
	census->any = true;
}

void candidates_read_badness(const struct cgg_tree *tree, struct cgg_snapshot *snap,
			     uint32_t domain)
{
	const uint64_t page_bytes = (uint64_t)sysconf(_SC_PAGESIZE);
	const uint64_t total = badness_total_pages(snap, domain, page_bytes);
	uint32_t left = CGG_BADNESS_PER_TREE;
	uint32_t end = snap->cgroups[domain].end;

	for (uint32_t i = domain; i < end; i++)
		snap->cgroups[i].has_badness = false;
	for (uint32_t i = domain; i < end; i++) {
		struct cgg_cgroup *cg = &snap->cgroups[i];
		uint32_t most = left < CGG_BADNESS_PER_CGROUP ? left : CGG_BADNESS_PER_CGROUP;
		struct census census = {
			.procfd = tree->root.procfd,
			.page_bytes = page_bytes,
			.total_pages = total,
			.left = most,
		};

		if (cg->have & CGG_HAVE_POPULATED && !cg->populated) {
			i = cg->end - 1;
			continue;
		}
		census.more |= fdio_is_passing(snap_procs(tree, snap, i, read_one, &census));
		left -= most - census.left;
		if (census.more)
			count_as_one(&census, cg);
		cg->has_badness = census.any;
		cg->badness_pages = census.points;
	}
}

/* ---- oom_score_adj -------------------------------------------------------------------- */

/* The processes of one cgroup as they are asked. */
struct adj_census {
	int procfd;
	uint32_t left; /* so many may still be asked */
	int32_t enough; /* nobody more is asked when one has as much */
	bool any, unread;
	int32_t highest;
};

static int ask_adj(void *user, pid_t pid)
{
	struct adj_census *census = user;
	int32_t adj = 0;
	int r;

	if (pid == 0 || census->left == 0) {
		census->unread = true;
		return census->left == 0;
	}
	census->left--;
	r = cgfs_proc_adj(census->procfd, pid, &adj);
	census->unread |= r < 0 && !fdio_is_gone(r);
	if (r < 0)
		return 0;
	if (!census->any || adj > census->highest)
		census->highest = adj;
	census->any = true;
	return adj >= census->enough;
}

/*
 * Whoever has many processes must hide neither himself nor others: each cgroup gets its first ones read,
 * and the rest of the tree's only while there are some left.
 */
static uint32_t read_adj(const struct cgg_tree *tree, struct cgg_snapshot *snap, uint32_t index,
			 int32_t enough, uint32_t left)
{
	struct cgg_cgroup *cg = &snap->cgroups[index];
	uint32_t most = left < CGG_ADJ_PER_CGROUP ? left : CGG_ADJ_PER_CGROUP;
	struct adj_census census = {.procfd = tree->root.procfd, .enough = enough};
	int r;

	if (most < CGG_ADJ_AT_LEAST)
		most = CGG_ADJ_AT_LEAST;
	census.left = most;
	r = snap_procs(tree, snap, index, ask_adj, &census);
	cg->adj_unread = census.unread || (r < 0 && !fdio_is_gone(r));
	cg->oom_score_adj = census.highest;
	cg->have |= census.any ? CGG_HAVE_ADJ : 0;
	most -= census.left;
	return most < left ? left - most : 0;
}

void candidates_read_adj(const struct cgg_tree *tree, struct cgg_snapshot *snap, uint32_t domain,
			 int32_t enough)
{
	uint32_t left = CGG_ADJ_PER_TREE, end = snap->cgroups[domain].end;

	for (uint32_t i = domain; i < end; i++) {
		snap->cgroups[i].have &= ~(uint32_t)CGG_HAVE_ADJ;
		snap->cgroups[i].adj_unread = false;
	}
	for (uint32_t i = domain; i < end; i++) {
		struct cgg_cgroup *cg = &snap->cgroups[i];

		if (i > 0 && cg->have & CGG_HAVE_POPULATED && !cg->populated)
			i = cg->end - 1;
		else if (i > 0 || cg->have & CGG_HAVE_CURRENT) /* the kernel's own root is nobody */
			left = read_adj(tree, snap, i, enough, left);
	}
}

/* ---- marks ---------------------------------------------------------------------------- */

static void read_marks(const struct cgg_tree *tree, struct cgg_snapshot *snap, uint32_t domain)
{
	uint32_t end = snap->cgroups[domain].end;

	for (uint32_t i = domain; i < end; i++)
		snap->cgroups[i].marks = 0;
	for (uint32_t i = domain; i < end; i++) {
		struct cgg_cgroup *cg = &snap->cgroups[i];
		CGG_AUTO_FD opened = -1;

		if (i != domain && cg->have & CGG_HAVE_POPULATED && !cg->populated)
			i = cg->end - 1; /* nobody is there to be spared */
		else if (snap_is_held(tree, snap, i))
			cgfs_read_marks(tree_dir(tree, i, &opened), cg);
	}
}

/* ---- all ------------------------------------------------------------------------------ */

void candidates_read(const struct cgg_tree *tree, struct cgg_snapshot *snap,
		     const struct policy_rule *rule, uint32_t domain)
{
	if (candidates_has_key(rule, CGG_RANK_BADNESS))
		candidates_read_badness(tree, snap, domain);
	if (candidates_has_key(rule, CGG_RANK_OOM_SCORE_ADJ))
		candidates_read_adj(tree, snap, domain, CGG_ADJ_MAX);
	else if (rule->spares_adj)
		candidates_read_adj(tree, snap, domain, rule->least_adj);
	if (rule->honour_xattrs)
		read_marks(tree, snap, domain);
}
