/* SPDX-License-Identifier: Apache-2.0 */
/* What one more of many cgroups takes of the guard's memory. test/vm/suites/memory.sh measures it on a real kernel. */
#include "kit/guard.h"
#include "util/clock.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23
#endif

#define BEFORE 2000
#define MORE   8000

static struct cgg_guard *g;
static bool no_memory;

/* Instead of libc's. */
int madvise(void *at, size_t size, int advice)
{
	if (no_memory && advice == MADV_POPULATE_WRITE) {
		errno = ENOMEM;
		return -1;
	}
	return (int)syscall(SYS_madvise, at, size, advice);
}

static const char *top;

static void on_report(void *user, enum cgg_report kind, const char *text, size_t len)
{
}

static size_t touched(const struct arena *a)
{
	size_t n = 0, pages = a->size / 4096;
	unsigned char *is = malloc(pages + 1);

	T_MUST(is && mincore(a->base, pages * 4096, is) == 0);
	for (size_t i = 0; i < pages; i++)
		n += is[i] & 1;
	free(is);
	return n * 4096;
}

/* All that grows with the cgroups. */
static size_t all(bool print)
{
	const struct cgg_tree *t = g->view.tree;
	const struct {
		const char *name;
		const struct arena *arena;
	} arenas[] = {
		{"the table", &t->arena[t->current]},
		{"the next table", &t->arena[!t->current]},
		{"the scan under way", &t->scratch},
		{"the snapshot", &g->view.cgroups},
		{"paths", &g->view.paths[g->view.current]},
		{"the next paths", &g->view.paths[!g->view.current]},
		{"states", &g->view.states},
		{"what is ranked", &g->view.rooms},
		{"matching", &g->domains.match_arena},
		{"domains", &g->domains.arena},
		{"brakes", &g->brakes.arena},
		{"history", &g->history.arena},
		{"watches of limits", &g->files.watches[WATCHES_OF_LIMITS].arena},
		{"watches of events", &g->files.watches[WATCHES_OF_EVENTS].arena},
	};
	size_t sum = 0;

	for (size_t i = 0; i < CGG_ARRAY_LEN(arenas); i++) {
		size_t bytes = touched(arenas[i].arena);

		sum += bytes;
		if (print)
			printf("# %6zu KiB %s\n", bytes / 1024, arenas[i].name);
	}
	return sum;
}

static void add(const char *parent, int n)
{
	char *text = malloc((size_t)n * 32), *at = text;

	T_MUST(text);
	for (int i = 0; i < n; i++)
		at += snprintf(at, 32, "%s/%d\n", parent, i);
	kit_tree_add(top, text);
	free(text);
}

TEST(one_of_a_crowd_takes_no_more_than_its_share)
{
	static const struct cgg_guard_options options = {.report = on_report, .dry_run = true};
	struct cgg_error err = {0};
	struct rlimit files;
	size_t before, each;

	T_MUST(getrlimit(RLIMIT_NOFILE, &files) == 0);
	files.rlim_cur = files.rlim_max;
	T_MUST(setrlimit(RLIMIT_NOFILE, &files) == 0);
	top = kit_tree("/user/a\n/user/b");
	g = kit_guard(
		top,
		"{\"version\": 1, \"rules\": [{\"name\": \"r\", \"each\": \"/box\", \"when\": "
		"{\"unreclaimable_above\": \"90%\"}, \"then\": [{\"action\": \"kill\", \"scope\": "
		"\"group\"}]}]}",
		&options);
	add("/user/a", BEFORE);
	T_EQ_INT(guard_rescan(g, NULL), 0);
	before = all(false);
	add("/user/b", MORE);
	T_EQ_INT(guard_rescan(g, NULL), 0);
	T_EQ_INT(g->view.snap.n, 1 + 3 + BEFORE + MORE);
	each = (all(true) - before) / MORE;
	printf("# %zu bytes each\n", each);
	T_ASSERT(each <= 384 + 2 * sizeof("/user/b/1234"));
	/* a scan that can't have its memory back fails whole, and waits for none */
	no_memory = true;
	add("/user/c", 1);
	T_EQ_INT(guard_rescan(g, &err), -ENOMEM);
	T_HAS(err.msg, "no memory for a table of 10004 cgroups");
	T_EQ_INT(g->view.snap.n, 1 + 3 + BEFORE + MORE);
	no_memory = false;
	T_EQ_INT(guard_rescan(g, &err), 0);
	T_EQ_INT(g->view.snap.n, 1 + 3 + BEFORE + MORE + 2);
	kit_guard_end(g);
}
