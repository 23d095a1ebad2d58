/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who is in a group: may it be killed at all, who has to be spared, who would be the one to die. held.c
 * holds them.
 */
#include "act/members.h"

#include "cgfs/procs.h"
#include "rank/badness.h"
#include "snap/take.h"
#include "util/attr.h"
#include "util/fdio.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

/* ---- the first look ------------------------------------------------------------------ */

/* Keep the largest few for the record, largest first. */
void members_remember(struct kill_result *res, const struct cgfs_proc *p)
{
	uint32_t at = res->nproc;

	while (at > 0 && res->proc[at - 1].rss_bytes < p->rss_bytes)
		at--;
	if (at == KILL_PROCS_MAX)
		return;
	if (res->nproc < KILL_PROCS_MAX)
		res->nproc++;
	memmove(&res->proc[at + 1], &res->proc[at], (res->nproc - 1 - at) * sizeof(res->proc[0]));
	res->proc[at] = (struct kill_proc){.pid = p->pid,
					   .state = p->state,
					   .oom_score_adj = p->oom_score_adj,
					   .rss_bytes = p->rss_bytes};
	memcpy(res->proc[at].comm, p->comm, sizeof(p->comm));
}

/* What the record and the rules above want to know; all of it only where that may matter. */
static bool read_member(const struct members *run, pid_t pid, struct cgfs_proc *ret)
{
	const uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE);

	if (cgfs_proc_read_rough(run->req->procfd, pid, ret) < 0)
		return false;
	if (ret->rough_rss_pages == 0) /* 0: has its leader ended? */
		cgfs_proc_read_rest(run->req->procfd, ret);
	else
		ret->rss_bytes = ret->rough_rss_pages * page;
	return true;
}

/* Who is in there: may we act at all, and who has to be spared. */
int members_census(void *user, pid_t pid)
{
	struct members *run = user;
	struct kill_result *res = run->res;
	struct cgfs_proc p;
	enum exemption exemption;
	bool known;

	res->members++;
	if (pid == 0) {
		res->hidden++;
		return 0;
	}
	if (pid == run->self)
		run->self_inside = true;
	if (pid == 1)
		run->init_inside = true;
	/* names are for the record: not worth a long delay in a large group */
	known = res->members <= KILL_PROCS_MAX && read_member(run, pid, &p);
	if (known)
		members_remember(res, &p);
	if (known && p.adj_known)
		exemption = p.oom_score_adj == CGG_ADJ_MIN ? EXEMPT_YES : EXEMPT_NO;
	else
		exemption = members_exemption(run, pid);
	res->exempt += exemption == EXEMPT_YES;
	run->unknown += exemption == EXEMPT_UNKNOWN;
	if (run->hold_early && res->members <= MEMBERS_FIRST && pid > 1 && pid != run->self &&
	    (exemption == EXEMPT_NO || !run->spare))
		(void)members_take(run, pid);
	return 0;
}

static int count_zero(void *user, pid_t pid)
{
	*(uint32_t *)user += pid == 0;
	return 0;
}

void members_recount_hidden(struct members *run)
{
	uint32_t zeros = 0, n = 0;

	if (run->res->hidden == 0)
		return;
	(void)cgfs_procs_each_below(run->req->dirfd, count_zero, &zeros, &n);
	if (zeros < run->res->hidden)
		run->res->hidden = zeros;
}

/* ---- one of them ---- */

/* What is left, for the record. */
int members_remain(void *user, pid_t pid)
{
	struct members *run = user;
	struct kill_result *res = run->res;
	struct kill_proc *k = &res->remaining[res->nremaining];
	struct cgfs_proc p;

	if (pid == 0 || (run->spare && members_exemption(run, pid) != EXEMPT_NO) ||
	    cgfs_proc_read(run->req->procfd, pid, &p) < 0)
		return 0;
	*k = (struct kill_proc){.pid = pid, .state = p.state, .rss_bytes = p.rss_bytes};
	memcpy(k->comm, p.comm, sizeof(p.comm));
	return ++res->nremaining == CGG_ARRAY_LEN(res->remaining);
}

/* The kernel's choice. Of equals, the last seen wins, as there. */
int members_choose(void *user, pid_t pid)
{
	const uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE);
	struct members *run = user;
	enum cgg_exempt exemption;
	struct cgfs_proc p;
	int64_t points;
	int r;

	if (pid <= 1 || pid == run->self)
		return 0;
	r = cgfs_proc_read(run->req->procfd, pid, &p);
	if (r == 0 && run->spare && !p.adj_known && members_exemption(run, pid) == EXEMPT_UNKNOWN)
		run->unknown++;
	if (r == -ENOENT || r == -ESRCH)
		(void)members_has_ended(run, pid);
	else if (r < 0)
		run->error = r;
	/* it is just ending, or could be the largest */
	if (r == 0 && (!p.memory_known || !p.adj_known) && run->error == 0)
		run->error = -EAGAIN;
	if (r < 0 || (run->spare && !p.adj_known) || !p.memory_known)
		return 0;
	exemption = badness_exemption(&p);
	if (exemption != CGG_EXEMPT_NO && (exemption != CGG_EXEMPT_ADJ || run->spare))
		return 0;
	points = badness_of(&p, run->req->total_bytes / page, page);
	if (run->best.pid != 0 && points < run->best_points)
		return 0;
	run->best = p;
	run->best_points = points;
	return 0;
}

bool members_find_worst(struct members *run)
{
	members_let_go(run);
	run->best.pid = 0;
	members_list(run, members_choose);
	return !members_may_come(run, members_learn_until_us(run));
}
