/* SPDX-License-Identifier: Apache-2.0 */
/* The journal in the state directory: opened before anything is changed, and what an earlier run left is put back. */
#include "engine/state.h"

#include "engine/brake.h"
#include "engine/guard.h"
#include "util/fdio.h"

#include <string.h>
#include <time.h>

#define AGAIN_MS  10
#define AGAIN_MAX 50

void state_open(struct cgg_guard *g)
{
	struct cgg_error err = {0};

	if (journal_init(&g->journal, g->options.state_dir, GUARD_BRAKES_MAX + BRAKE_SPARE, &err) <
	    0)
		guard_lacks(g, LACK_STATE,
			    "%s; going on without brakes, and what a crash leaves changed will not "
			    "be put back",
			    err.msg);
	if (g->journal.of_other_version)
		guard_notice(g,
			     "'%s' in the state directory is of another version: what it left "
			     "changed is not put back",
			     JOURNAL_FILE);
}

/* 1: the file still held one of the values of that run, and holds what others had written before; 0: it did not. */
static int write_before(const struct cgg_guard *g, uint32_t index, const struct journal_record *r,
			char *ret_now)
{
	const char *file = journal_target_name(r->target);
	CGG_AUTO_FD opened = -1;
	int dirfd = tree_dir(g->view.tree, index, &opened);
	int code = dirfd < 0 ? dirfd : fdio_read_line(dirfd, file, ret_now, JOURNAL_VALUE_MAX);

	if (code < 0 || (strcmp(ret_now, r->after) != 0 && strcmp(ret_now, r->was) != 0))
		return code;
	code = fdio_write_at(dirfd, file, r->before);
	return code < 0 ? code : 1;
}

/* The slot is free after it: what fails for want of memory or fds is tried again for a while. */
static void put_back(void *user, const struct journal_record *r, const char *path)
{
	struct cgg_guard *g = user;
	uint32_t index = tree_find_id(g->view.tree, r->id);
	char now[JOURNAL_VALUE_MAX] = "";
	int code = 0;

	(void)path; /* of that time; the cgroup may have another by now */
	if (index == CGG_NONE)
		return;
	for (int i = 0; i < AGAIN_MAX; i++) {
		code = write_before(g, index, r, now);
		if (code >= 0 || fdio_is_gone(code))
			break;
		nanosleep(&(struct timespec){.tv_nsec = AGAIN_MS * 1000000L}, NULL);
	}
	if (code > 0)
		guard_notice(g, "put back %s of '%s' to %s, which an earlier run had left at %s",
			     journal_target_name(r->target), g->view.tree->entry[index].path,
			     r->before, now);
	else if (code < 0 && !fdio_is_gone(code))
		guard_notice(
			g,
			"cannot put back %s of '%s' (%s): an earlier run left it at %s, it was %s",
			journal_target_name(r->target), g->view.tree->entry[index].path,
			strerror(-code), r->after, r->before);
}

void state_recover(struct cgg_guard *g)
{
	int r = journal_recover(&g->journal, put_back, g);

	if (r < 0)
		guard_notice(g,
			     "cannot read '%s' in the state directory (%s): what an earlier run "
			     "left changed is not put back",
			     JOURNAL_FILE, strerror(-r));
}
