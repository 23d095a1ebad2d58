/* SPDX-License-Identifier: Apache-2.0 */
/* The state directory at the start: what an earlier run has left changed is put back. */
#include "engine/guard.h"

#include "util/err.h"
#include "util/fdio.h"

#include <string.h>

/* A run that was ended by force left a value changed: put it back, if it still is what was set. */
static void put_back(void *user, const struct undo_entry *e)
{
	struct cgg_guard *g = user;
	uint32_t index = tree_find_id(g->view.tree, e->id);
	CGG_AUTO_FD opened = -1;
	char now[UNDO_VALUE_MAX];
	int dirfd;

	if (index == CGG_NONE)
		return;
	dirfd = tree_dir(g->view.tree, index, &opened);
	if (fdio_read_at(dirfd, e->file, now, sizeof(now)) <= 0)
		return;
	now[strcspn(now, "\n")] = '\0';
	if (strcmp(now, e->after) == 0 && fdio_write_at(dirfd, e->file, e->before) == 0)
		guard_notice(g, "put back %s of '%s' to %s, which an earlier run had left at %s",
			     e->file, g->view.tree->entry[index].path, e->before, e->after);
}

int state_init(struct cgg_guard *g, struct cgg_error *ret_err)
{
	static const char *const files[] = {UNDO_FILE, BRAKE_FILE};
	struct cgg_error err = {0};
	int r;

	if (undo_init(&g->undo, g->options.state_dir, &err) < 0)
		guard_lacks(g, LACK_STATE,
			    "%s; going on, but what a crash leaves changed will not be put back",
			    err.msg);
	for (size_t i = 0; i < CGG_ARRAY_LEN(files); i++) {
		if (undo_left(&g->undo, files[i], put_back, g, &err) < 0)
			guard_notice(g,
				     "%s; going on, but what an earlier run left changed there is "
				     "not put back",
				     err.msg);
	}
	r = watch_state(g);
	return r < 0 ? err_errno(ret_err, r, "cannot watch the state directory") : 0;
}
