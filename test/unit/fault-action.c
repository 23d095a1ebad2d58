/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An action of the signaller's in which one system call fails. Whatever fails: the outcome is true, what was changed is
 * put back or in the journal for the next start, nobody beside the group is touched, and no fd is left open.
 */
#include "kit/kernel.h"

#include "act/signaller.h"
#include "util/clock.h"
#include "util/fdio.h"

#include <errno.h>

#define MS 1000ULL

struct scenario {
	enum action_kind kind;
	const char *file, *before; /* what it changes; NULL: nothing */
	const char *top;
	char dir[32];
	struct journal journal;
	struct signaller signaller;
	unsigned int nfired;
};

static const char *value(const struct kit_group *g, const char *file)
{
	static char text[64];

	T_MUST(fdio_read_line(g->dirfd, file, text, sizeof(text)) == 0);
	return text;
}

/* The result, or that nothing was started. */
static enum action_outcome act(struct scenario *s, const struct kit_group *g, uint64_t id)
{
	const struct action_request action = {.kind = s->kind, .amount_bytes = 4096};
	struct kill_request req = {.dirfd = g->dirfd,
				   .procfd = g->procfd,
				   .killfd = -1,
				   .path = "/g",
				   .id = id,
				   .journal = &s->journal,
				   .total_bytes = 1ULL << 30,
				   .deadline_us = clock_now_us() +
						  (s->kind == ACTION_TERMINATE ? 2000 : 30) * MS};
	struct job *j = job_free(&s->signaller, true);

	T_MUST(j);
	if (job_start(&s->signaller, j, &req, &action, NULL) < 0)
		return ACTION_NONE;
	while (!job_take(j))
		usleep(1000);
	return j->action_result.outcome;
}

static void check(struct scenario *s, struct kit_group *g, const struct fault *f,
		  enum action_outcome outcome)
{
	switch (outcome) {
	case ACTION_DONE:
		for (int i = 0; s->kind == ACTION_TERMINATE && i < 2000 && kit_group_alive(g) > 0;
		     i++)
			usleep(1000);
		T_EQ_INT(kit_group_alive(g), s->kind == ACTION_TERMINATE ? 0 : 2);
		break;
	case ACTION_SHORT: /* less than was asked for, or somebody has not ended in time */
	case ACTION_GONE:
	case ACTION_UNSUPPORTED:
	case ACTION_FAILED:
	case ACTION_NONE:
	case ACTION_MISMATCH:
		T_ASSERT(f != NULL);
		break;
	default:
		T_FAIL("outcome %s", action_outcome_name(outcome));
	}
	if (s->kind != ACTION_TERMINATE)
		T_EQ_INT(kit_group_alive(g), 2);
}

/* As the next start does. */
static void on_left(void *user, const struct journal_record *r, const char *path)
{
	const struct kit_group *g = user;
	const char *file = journal_target_name(r->target);
	char text[64];

	(void)path;
	if (strcmp(value(g, file), r->after) != 0)
		return;
	snprintf(text, sizeof(text), "%s\n", r->before);
	kit_group_put(g, file, text);
}

static void run(void *user, const struct fault *f, const char *row)
{
	static struct kit_group g;
	struct scenario *s = user;
	enum action_outcome outcome = ACTION_NONE;
	struct fault_seen seen;
	unsigned int fds;
	struct stat st;

	T_ROW(row);
	kit_group_prepare(&g, s->top, "/g", 2);
	T_MUST(fstat(g.dirfd, &st) == 0);
	kit_kernel_start(&g, NULL);
	kit_group_put(&g, "memory.current", "8192\n");
	kit_group_put(&g, "memory.high", "max\n");
	kit_group_put(&g, "cgroup.freeze", "0\n");
	kit_group_put(&g, "memory.reclaim", "");
	kit_group_keep_on(&g);
	T_MUST(journal_init(&s->journal, s->dir, 0, NULL) == 0);
	memset(&s->signaller, 0, sizeof(s->signaller));
	fds = kit_count_fds();
	fault_begin(f);
	if (signaller_init(&s->signaller, NULL) == 0) {
		outcome = act(s, &g, st.st_ino);
		T_ASSERT(signaller_finish(&s->signaller));
	}
	seen = fault_end();
	s->nfired += seen.fired;
	if (!f)
		fault_ran(&seen);
	T_EQ_INT(kit_group_fds(fds), fds);
	check(s, &g, f, outcome);
	journal_finish(&s->journal);
	T_MUST(journal_init(&s->journal, s->dir, 0, NULL) == 0);
	if (f && (f->lasting || f->error == EACCES))
		(void)journal_recover(&s->journal, on_left, &g);
	journal_finish(&s->journal);
	/* nothing is put back in a cgroup that is no more */
	if (s->file && !(f && (f->error == ENODEV || f->error == ENOENT)))
		T_EQ_STR(value(&g, s->file), s->before);
	kit_group_end(&g);
}

static void all_faults(enum action_kind kind, const char *file, const char *before)
{
	static struct scenario s;

	s = (struct scenario){.kind = kind,
			      .file = file,
			      .before = before,
			      .dir = "/dev/shm/fault-action.XXXXXX",
			      .top = kit_tree("/g")};
	T_MUST(mkdtemp(s.dir));
	fault_each(run, &s, 8);
	T_ROW(NULL);
	T_ASSERT(fault_is_filtered() || s.nfired > 15);
	kit_tree_into(s.dir, "");
}

TEST(a_throttle)
{
	all_faults(ACTION_THROTTLE, "memory.high", "max");
}

TEST(a_freeze)
{
	all_faults(ACTION_FREEZE, "cgroup.freeze", "0");
}

TEST(a_reclaim)
{
	all_faults(ACTION_RECLAIM, NULL, NULL);
}

TEST(a_terminate)
{
	all_faults(ACTION_TERMINATE, NULL, NULL);
}
