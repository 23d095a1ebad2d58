/* SPDX-License-Identifier: Apache-2.0 */
#include "act/freeze.h"

#include "util/fdio.h"

#define FILE_NAME "cgroup.freeze"

/* Whether it is known to be running. */
static bool is_thawed(const struct freeze *f)
{
	char buf[UNDO_VALUE_MAX];

	return fdio_read_at(f->req->dirfd, FILE_NAME, buf, sizeof(buf)) > 0 && buf[0] == '0';
}

static void forget(struct freeze *f)
{
	if (!f->entry)
		return;
	undo_drop(f->req->undo, f->entry);
	f->entry = NULL;
	(void)undo_write(f->req->undo);
}

/* Only where that can't wait for a disk: the kill does not. Else a crash within it leaves them frozen. */
static void note(struct freeze *f)
{
	struct undo *undo = f->req->undo;

	if (!undo || !undo->in_memory || !f->req->path || f->req->id == 0)
		return;
	f->entry = undo_add(undo, f->req->id, f->req->path, FILE_NAME, "0", "1");
	if (f->entry && !undo_write(undo))
		forget(f);
}

/* What is paused already has been paused by its owner; SIGKILL ends it all the same. */
bool freeze_set(struct freeze *f)
{
	if (!is_thawed(f))
		return false;
	note(f);
	f->set = fdio_write_at(f->req->dirfd, FILE_NAME, "1") == 0;
	if (!f->set)
		forget(f);
	return f->set;
}

void freeze_put_back(struct freeze *f)
{
	if (f->set && !is_thawed(f))
		(void)fdio_write_at(f->req->dirfd, FILE_NAME, "0");
	f->set = false;
	forget(f);
}
