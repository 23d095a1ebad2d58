/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The doors of cgguard.h that a hook goes through. They stand here, and not with the others, so that a
 * program linked with the archive is made of this floor and what is below it.
 */
#include "hook/engine.h"
#include "hook/note.h"
#include "hook/record.h"
#include "util/err.h"

#include <errno.h>
#include <string.h>

/* It is named, if it can be. */
static int fail(const struct state *state, int r, struct cgg_error *err)
{
	return state->id[0] ? err_wrap(err, r, "%s", state->id) : r;
}

/* Of an engine that is a user's (rootless), the directory is root's. */
static const char *why_not(int r)
{
	if (r == -EPERM)
		return "the directory has to be ours, and not writable by others";
	if (r == -EACCES)
		return "Permission denied: the engine is a user's, and that directory is not; a "
		       "guard of his own can be told by --state (deploy/hook/README.md, Rootless)";
	return strerror(-r);
}

static int not_registered(const struct cgg_hook_options *o, const struct state *state, int r)
{
	hook_note(o, "%s: it is not registered in '%s/" RECORD_DIR "': %s", state->id,
		  o->state_dir ? o->state_dir : RECORD_STATE_DIR, why_not(r));
	return 1;
}

CGG_PUBLIC const char *cgg_hook_value_name(unsigned int n)
{
	return n < STATE_ASKS ? state_files[n] : NULL;
}

CGG_PUBLIC int cgg_hook_begin(const struct cgg_hook_options *o, const char *text, size_t len,
			      struct cgg_error *err)
{
	struct state state;
	struct place place = {.dirfd = -1};
	CGG_AUTO_FD dir = -1;
	int r, failed;

	if (len > CGG_HOOK_TEXT_MAX)
		return err_fail(err, -EINVAL, "the state is larger than %u bytes",
				CGG_HOOK_TEXT_MAX);
	r = state_read(text, len, &state, err);
	if (r == 0 && strcmp(state.status, "stopped") == 0)
		r = err_fail(err, -ESRCH, "it has stopped");
	if (r == 0)
		r = place_find(o, &state, &place, err);
	if (r < 0)
		return fail(&state, r, err);
	engine_correct(&state, place.path);
	failed = place_apply(o, &state, &place);
	dir = record_dir(o->state_dir, true);
	r = dir < 0 ? dir : record_write(dir, &state, &place);
	place_close(&place);
	return r < 0 ? failed + not_registered(o, &state, r) : failed;
}

CGG_PUBLIC int cgg_hook_end(const struct cgg_hook_options *o, const char *text, size_t len,
			    struct cgg_error *err)
{
	struct state state;
	CGG_AUTO_FD dir = -1;
	int r;

	if (len > CGG_HOOK_TEXT_MAX)
		return err_fail(err, -EINVAL, "the state is larger than %u bytes",
				CGG_HOOK_TEXT_MAX);
	r = state_read(text, len, &state, err);
	if (r < 0)
		return fail(&state, r, err);
	dir = record_dir(o->state_dir, false);
	r = dir < 0 ? dir : record_remove(dir, state.id);
	/* one that began before the hook was there has none */
	return r == 0 || r == -ENOENT ? 0 : not_registered(o, &state, r);
}
