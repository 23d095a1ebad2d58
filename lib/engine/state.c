/* SPDX-License-Identifier: Apache-2.0 */
/* The journal in the state directory: opened before anything is changed, and what an earlier run left is put back. */
#include "engine/state.h"

#include "engine/brake.h"
#include "engine/guard.h"
#include "util/fdio.h"

#include <string.h>

void state_open(struct cgg_guard *g)
{
	struct cgg_error err = {0};

	if (journal_init(&g->journal, g->options.state_dir, GUARD_BRAKES_MAX, &err) < 0)
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

/* The file still holds one of the values of that run: write what others had written before. */
static void put_back(void *user, const struct journal_record *r, const char *path)
{
	const char *file = journal_target_name(r->target);
	struct cgg_guard *g = user;
	uint32_t index = tree_find_id(g->view.tree, r->id);
	CGG_AUTO_FD opened = -1;
	char now[JOURNAL_VALUE_MAX];
	int dirfd;

	(void)path; /* of that time; the cgroup may have another by now */
	if (index == CGG_NONE)
		return;
	dirfd = tree_dir(g->view.tree, index, &opened);
	if (fdio_read_line(dirfd, file, now, sizeof(now)) < 0)
		return;
	if ((strcmp(now, r->after) == 0 || strcmp(now, r->was) == 0) &&
	    fdio_write_at(dirfd, file, r->before) == 0)
		guard_notice(g, "put back %s of '%s' to %s, which an earlier run had left at %s",
			     file, g->view.tree->entry[index].path, r->before, now);
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
