/* SPDX-License-Identifier: Apache-2.0 */
/* Write cgroup.freeze, and put it back. The journal has it before the cgroup does. */
#include "act/freeze.h"

#include "util/fdio.h"

#define FILE_NAME "cgroup.freeze"

/* Whether it is known to be running. */
static bool is_thawed(const struct freeze *f)
{
	char buf[JOURNAL_VALUE_MAX];

	return fdio_read_at(f->req->dirfd, FILE_NAME, buf, sizeof(buf)) > 0 && buf[0] == '0';
}

static void forget(struct freeze *f)
{
	if (f->slot)
		journal_remove(f->req->journal, f->slot);
	f->slot = NULL;
}

/* Without a slot a crash within the kill leaves members frozen that are spared; the kill does not wait for one. */
static void note(struct freeze *f)
{
	const struct kill_request *req = f->req;

	if (req->journal && req->path && req->id != 0)
		f->slot = journal_add(req->journal, req->id, req->path, JOURNAL_FREEZE, "0", "1");
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

bool freeze_put_back(struct freeze *f)
{
	int r = f->set && !is_thawed(f) ? fdio_write_at(f->req->dirfd, FILE_NAME, "0") : 0;

	if (r < 0 && !fdio_is_gone(r))
		return false;
	f->set = false;
	forget(f);
	return true;
}
