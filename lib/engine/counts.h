/* SPDX-License-Identifier: Apache-2.0 */
/* Deaths by the kernel's OOM killer, as memory.events counts them. */
#pragma once

#include "snap/snapshot.h"

struct cgg_guard;

/* n deaths more in a cgroup; gone: it was removed. */
typedef void (*counts_fn)(struct cgg_guard *g, const char *path, uint64_t id, bool gone, uint32_t n,
			  uint32_t group_kills, uint64_t now_us);

void counts_begin(struct cgg_guard *g); /* what was counted before is not reported */
bool counts_is_gone(const struct cgg_guard *g, uint32_t index); /* since the last scan */

/* Find deaths that were not accounted for. False: there are many cgroups, and the next turn continues. */
bool counts_look(struct cgg_guard *g, uint64_t now_us);

/* Remember a cgroup that a scan did not find any more; the snapshot still has it. */
void counts_forget(struct cgg_guard *g, uint32_t index, uint64_t now_us);

void counts_listen(struct cgg_guard *g); /* where the log can't be read */
void counts_unlisten(struct cgg_guard *g);
void counts_on_file(void *user, uint32_t index, int wd, uint64_t now_us); /* a watch_fn */
