/* SPDX-License-Identifier: Apache-2.0 */
/* How the globs of a rank_spec apply to one cgroup. */
#include "rank/rank.h"

#include "util/glob.h"

bool rank_any_glob(const struct rank_globs *globs, const char *path)
{
	for (size_t i = 0; i < globs->n; i++) {
		if (glob_match(globs->glob[i], path))
			return true;
	}
	return false;
}

bool rank_is_own(const struct rank_spec *spec, uint64_t id)
{
	for (size_t i = 0; i < spec->nown_ids; i++) {
		if (spec->own_ids[i] == id)
			return true;
	}
	return false;
}
