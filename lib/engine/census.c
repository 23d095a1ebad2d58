/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which process the kernel sees first matters only among equals. On the host it is the older one. At a limit
 * the kernel walks the cgroups in pre-order, the older sibling first (ids grow); the processes of each as
 * cgroup.procs lists them. Where several cgroups count their memory in one, for they have no controller of
 * their own, that which got its first process earlier comes first: as near as can be told from here.
 */
#include "engine/census.h"

#include "cgfs/sharing.h"
#include "cgfs/tree.h"
#include "rank/rank.h"
#include "snap/procs.h"
#include "util/attr.h"
#include "util/fdio.h"
#include "util/parse.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>

/* ---- who is where ----------------------------------------------------------------------- */

/* Room for one more at the end of an array; NULL: out of memory. */
static void *more(void *array, size_t n, size_t *room, size_t size)
{
	if (n < *room)
		return array;
	*room = *room ? *room * 2 : 256;
	return reallocarray(array, *room, size);
}

static int note_member(void *user, pid_t pid)
{
	struct census *c = user;
	struct census_member *grown;

	if (pid == 0) {
		c->nunseen += rank_is_below(c->snap, c->cgroup, c->domain);
		return 0;
	}
	grown = more(c->member, c->nmember, &c->member_room, sizeof(*grown));
	if (!grown)
		return -ENOMEM;
	c->member = grown;
	grown[c->nmember] = (struct census_member){
		.pid = pid,
		.cgroup = c->cgroup,
		.order = (uint32_t)c->nmember,
		.counted = c->counted,
	};
	c->nmember++;
	return 0;
}

static int list_members(struct census *c, uint32_t index)
{
	const struct cgg_cgroup *cg = &c->snap->cgroups[index];
	int r;

	if (cg->threaded || !snap_is_held(c->tree, c->snap, index))
		return 0;
	c->cgroup = index;
	/* the first one that is listed, or one with memory of its own, begins a new count */
	if (index == 0 || cg->have & (CGG_HAVE_CURRENT | CGG_HAVE_MAX))
		c->counted++;
	r = snap_procs(c->tree, c->snap, index, note_member, c);
	return r == -ENOMEM ? r : 0;
}

static int by_id(const void *a, const void *b, void *user)
{
	const struct cgg_cgroup *cg = ((const struct census *)user)->snap->cgroups;
	uint64_t x = cg[*(const uint32_t *)a].id, y = cg[*(const uint32_t *)b].id;

	return (x > y) - (x < y);
}

/* Bounded by CGG_DEPTH_MAX. kids is a stack with room for all that are below. */
static int walk(struct census *c, uint32_t index, uint32_t *kids)
{
	uint32_t n = 0;
	int r = list_members(c, index);

	for (uint32_t i = index + 1; i < c->snap->cgroups[index].end; i = c->snap->cgroups[i].end)
		kids[n++] = i;
	if (c->tree->root.live && n > 1) /* a recording's ids are its file system's */
		qsort_r(kids, n, sizeof(*kids), by_id, c);
	for (uint32_t i = 0; i < n && r == 0; i++)
		r = walk(c, kids[i], kids + n);
	return r;
}

/* Of what begins with a pid_t. */
static int by_pid(const void *a, const void *b)
{
	pid_t x = *(const pid_t *)a, y = *(const pid_t *)b;

	return (x > y) - (x < y);
}

static void sort_by_pid(void *array, size_t n, size_t size)
{
	if (n > 0)
		qsort(array, n, size, by_pid);
}

const struct census_member *census_member_of(const struct census *c, pid_t pid)
{
	return c->nmember == 0 ? NULL
			       : bsearch(&pid, c->member, c->nmember, sizeof(*c->member), by_pid);
}

/* ---- what they are ---------------------------------------------------------------------- */

static int read_one(struct census *c, pid_t pid)
{
	struct cgfs_proc *grown = more(c->proc, c->nproc, &c->proc_room, sizeof(*grown));
	int r;

	if (!grown)
		return -ENOMEM;
	c->proc = grown;
	r = cgfs_proc_read(c->tree->root.procfd, pid, &grown[c->nproc]);
	if (r == -ESRCH || fdio_is_gone(r))
		return 0;
	if (r < 0) /* it is there, and not known */
		grown[c->nproc] = (struct cgfs_proc){.pid = pid, .comm = "?", .state = '?'};
	c->nproc++;
	return 0;
}

static int read_processes(struct census *c)
{
	_Alignas(struct dirent64) char buf[8192];
	CGG_AUTO_FD fd = openat(c->tree->root.procfd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int r = fd < 0 ? -errno : 0;
	long len;

	while (r == 0 && (len = syscall(SYS_getdents64, fd, buf, sizeof(buf))) > 0) {
		for (long at = 0; at < len && r == 0;) {
			struct dirent64 *d = (struct dirent64 *)(void *)(buf + at);
			uint64_t pid;

			at += d->d_reclen;
			if (parse_u64(d->d_name, &pid) == 0 && pid > 0 && pid <= INT32_MAX)
				r = read_one(c, (pid_t)pid);
		}
	}
	sort_by_pid(c->proc, c->nproc, sizeof(*c->proc));
	return r;
}

static const struct cgfs_proc *proc_of(const struct census *c, pid_t pid)
{
	return c->nproc == 0 ? NULL : bsearch(&pid, c->proc, c->nproc, sizeof(*c->proc), by_pid);
}

/* The kernel's number of the initial PID namespace (PROC_PID_INIT_INO). */
static bool is_nested(const struct cgfs_root *root)
{
	char text[64] = "";
	ssize_t n = 0;

	if (root->live)
		n = readlinkat(root->procfd, "self/ns/pid", text, sizeof(text) - 1);
	return n > 0 && strcmp(text, "pid:[4026531836]") != 0;
}

static int find_sharing(struct census *c)
{
	CGG_AUTO_FREE struct cgfs_sharer *sharer = calloc(c->nproc + 1, sizeof(*sharer));

	c->memory = calloc(c->nproc + 1, sizeof(*c->memory));
	if (!sharer || !c->memory)
		return -ENOMEM;
	for (size_t i = 0; i < c->nproc; i++)
		sharer[i] = (struct cgfs_sharer){c->proc[i].holder, c->proc[i].stack_start, i, 0};
	c->sharing = c->tree->root.live && cgfs_sharing(sharer, c->nproc);
	for (size_t i = 0; i < c->nproc && c->sharing; i++)
		c->memory[sharer[i].user] = sharer[i].memory;
	for (size_t i = 0; i < c->nproc; i++) {
		const struct cgfs_proc *parent = proc_of(c, c->proc[i].parent);

		c->proc[i].in_vfork = c->memory[i] != 0 && parent &&
				      c->memory[parent - c->proc] == c->memory[i] &&
				      cgfs_waits_in_vfork(c->tree->root.procfd, c->proc[i].parent);
	}
	return 0;
}

/* ---- when they are seen ----------------------------------------------------------------- */

static int by_age(const void *a, const void *b, void *user)
{
	const struct cgfs_proc *proc = ((const struct census *)user)->proc;
	const struct cgfs_proc *x = &proc[*(const uint32_t *)a], *y = &proc[*(const uint32_t *)b];

	if (x->start_ticks != y->start_ticks)
		return x->start_ticks < y->start_ticks ? -1 : 1;
	return (x->pid > y->pid) - (x->pid < y->pid);
}

/* Pids begin anew when there are none left: they alone are no age. */
int census_ages(struct census *c, uint32_t *age)
{
	CGG_AUTO_FREE uint32_t *oldest_first = calloc(c->nproc + 1, sizeof(*oldest_first));

	if (!oldest_first)
		return -ENOMEM;
	for (uint32_t i = 0; i < c->nproc; i++)
		oldest_first[i] = i;
	qsort_r(oldest_first, c->nproc, sizeof(*oldest_first), by_age, c);
	for (uint32_t i = 0; i < c->nproc; i++)
		age[oldest_first[i]] = i;
	return 0;
}

/* When a cgroup got its first process: it is as old as that at the most. */
static int by_count_and_age(const void *a, const void *b, void *oldest)
{
	const struct census_member *x = a, *y = b;
	const uint32_t *age = oldest;

	if (x->counted != y->counted)
		return x->counted < y->counted ? -1 : 1;
	if (x->cgroup != y->cgroup && age[x->cgroup] != age[y->cgroup])
		return age[x->cgroup] < age[y->cgroup] ? -1 : 1;
	return (x->order > y->order) - (x->order < y->order);
}

static int see_members(struct census *c)
{
	CGG_AUTO_FREE uint32_t *oldest = malloc((c->snap->n + 1) * sizeof(*oldest));
	CGG_AUTO_FREE uint32_t *age = calloc(c->nproc + 1, sizeof(*age));
	int r = oldest && age ? census_ages(c, age) : -ENOMEM;

	if (r < 0)
		return r;
	memset(oldest, 0xff, (c->snap->n + 1) * sizeof(*oldest));
	for (size_t i = 0; i < c->nmember; i++) {
		const struct cgfs_proc *p = proc_of(c, c->member[i].pid);

		if (p && age[p - c->proc] < oldest[c->member[i].cgroup])
			oldest[c->member[i].cgroup] = age[p - c->proc];
	}
	if (c->nmember > 0)
		qsort_r(c->member, c->nmember, sizeof(*c->member), by_count_and_age, oldest);
	for (size_t i = 0; i < c->nmember; i++)
		c->member[i].order = (uint32_t)i;
	return 0;
}

/* ---- all -------------------------------------------------------------------------------- */

int census_take(struct census *c)
{
	CGG_AUTO_FREE uint32_t *kids = calloc(c->snap->n, sizeof(*kids));
	int r = kids ? walk(c, 0, kids) : -ENOMEM;

	if (r == 0)
		r = read_processes(c);
	if (r == 0 && c->nproc > 0)
		c->proc[0].nested = is_nested(&c->tree->root); /* PID 1, if it is there */
	if (r == 0)
		r = see_members(c);
	sort_by_pid(c->member, c->nmember, sizeof(*c->member));
	return r < 0 ? r : find_sharing(c);
}

void census_finish(struct census *c)
{
	free(c->member);
	free(c->proc);
	free(c->memory);
}
