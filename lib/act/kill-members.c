/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The first states of a kill: its members are listed before anything is done to them, and of scope process the worst
 * one is held.
 */
#include "act/machine.h"

#include "cgfs/memory.h"
#include "util/fdio.h"
#include "util/parse.h"

#include <errno.h>
#include <sys/stat.h>

#define AGAIN_US   10000
#define STAT_TRIES 3
#define WHY_MISMATCH                                                                               \
	"the directory at hand is another cgroup's than the one that was chosen: nothing was "     \
	"signalled"

static struct oom_counters read_counters(const struct kill *k, uint32_t want)
{
	struct cgg_detail detail;
	struct cgg_cgroup cg = {.detail = &detail};

	cgfs_read(k->req.dirfd, want, &cg);
	return oom_counters_of(&cg);
}

/* Whether the kernel has killed in the group since it was chosen. Read twice, see oom_concerns(). */
static bool is_late(const struct kill *k)
{
	struct oom_counters now;
	bool late = k->req.oom.known;

	if (late) {
		now = read_counters(k, CGG_HAVE_EVENTS);
		late = now.kills > k->req.oom.kills;
	}
	for (int i = 0; late && i < 2; i++) {
		now = read_counters(k, CGG_HAVE_EVENTS | CGG_HAVE_EVENTS_LOCAL);
		late = oom_concerns(&k->req.oom, &now);
	}
	return late;
}

static void measure_before(const struct kill_request *req, struct kill_result *res)
{
	res->before_known = req->before_known;
	res->before_bytes = req->before_bytes;
	res->swap_before_bytes = req->swap_before_bytes;
	if (req->before_known)
		return;
	res->before_known = cgfs_read_number(req->dirfd, "memory.current", &res->before_bytes) == 0;
	(void)cgfs_read_number(req->dirfd, "memory.swap.current", &res->swap_before_bytes);
}

bool kill_is_chosen(const struct kill_request *req)
{
	struct stat st;
	int r;

	if (req->dirfd < 0 || req->id == 0)
		return req->dirfd >= 0;
	for (int i = 0; (r = fstat(req->dirfd, &st)) < 0 && errno == ENOMEM && i < STAT_TRIES; i++)
		continue;
	return r == 0 && st.st_ino == req->id;
}

static void refuse(struct kill *k, const char *why)
{
	k->res.why = why;
	kill_finish(k, KILL_REFUSED);
}

/* The members are known. */
static void judge(struct kill *k)
{
	const struct members *m = &k->members;

	members_recount_hidden(&k->members);
	if (k->req.process) {
		kill_enter(k, KILL_IN_CHOICE);
	} else if (m->self_inside) {
		refuse(k, "the guard itself is inside");
	} else if (m->init_inside) {
		refuse(k, "PID 1 is inside");
	} else if (k->req.dry_run) {
		kill_finish(k, KILL_WOULD);
	} else if (is_late(k)) {
		kill_finish(k, KILL_LATE);
	} else { /* who may have to be spared is not killed with the others */
		kill_begin_signal(k, !m->spare || (k->res.exempt == 0 && m->unknown == 0)
					     ? KILL_BY_FILE
					     : KILL_BY_PIDFD);
	}
}

/*
 * Who is in there. Listing them opens files, which takes memory and fds: where there are none now, again
 * until the deadline. Nobody is killed unlisted: we, or one who must be spared, could be among them. Whether a
 * member must be spared is worth a wait as well, but not the whole: then it is, and the others die.
 */
void kill_step_members(struct kill *k)
{
	struct members *m = &k->members;
	struct kill_result *res = &k->res;
	uint64_t until_us = members_learn_until_us(m);
	uint32_t n = 0;
	int r;

	if (!kill_is_chosen(&k->req)) {
		res->why = WHY_MISMATCH;
		kill_finish(k, KILL_MISMATCH);
		return;
	}
	if (!res->before_known)
		measure_before(&k->req, res);
	res->members = res->hidden = res->exempt = res->nproc = 0;
	members_let_go(m);
	r = cgfs_procs_each_below(k->req.dirfd, members_census, m, &n);
	if (r < 0) {
		until_us = k->req.deadline_us;
		m->error = r;
	}
	if (r == -EOPNOTSUPP)
		kill_finish(
			k,
			kill_fail(k, r,
				  "it is threaded: its processes belong to the domain cgroup above "
				  "it"));
	else if (fdio_is_gone(r) || (r == 0 && res->members == 0 && !kill_is_populated(k)))
		kill_finish(k, KILL_GONE);
	else if (members_may_come(m, until_us) && (r < 0 || (m->spare && m->unknown > 0)))
		kill_stay(k, AGAIN_US);
	else if (r < 0)
		kill_finish(k, kill_fail(k, r, "its processes could not be listed"));
	else
		judge(k);
}

static enum kill_outcome no_process(struct kill *k)
{
	if (k->res.hidden > 0)
		return kill_fail(
			k, -ESRCH,
			"its processes are in a PID namespace that the guard can't see: run it "
			"in the host's, or use scope group");
	if (k->members.unknown > 0 || k->members.error < 0)
		return kill_nobody_reached(k);
	return kill_is_populated(k) ? kill_fail(k, -ESRCH, "it holds no process that may be killed")
				    : KILL_GONE;
}

void kill_step_choice(struct kill *k)
{
	struct members *m = &k->members;

	if (!members_find_worst(m)) {
		kill_stay(k, AGAIN_US);
		return;
	}
	k->res.unknown = m->unknown;
	if (m->best.pid == 0) {
		kill_finish(k, no_process(k));
		return;
	}
	k->res.nproc = 0;
	members_remember(&k->res, &m->best);
	if (k->req.dry_run)
		kill_finish(k, KILL_WOULD);
	else if (is_late(k))
		kill_finish(k, KILL_LATE);
	else if (members_hold_worst(m))
		kill_begin_signal(k, KILL_ONE);
	/* it has ended, or has moved elsewhere: another one is the worst now */
	else if (kill_is_overdue(k) || (m->error < 0 && !members_may_come(m, k->req.deadline_us)))
		kill_finish(k, kill_nobody_reached(k));
	else
		kill_stay(k, AGAIN_US);
}
