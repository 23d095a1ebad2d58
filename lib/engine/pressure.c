/* SPDX-License-Identifier: Apache-2.0 */
/* The registry of PSI triggers: armed where they are wanted, closed when their cgroup is removed. */
#include "engine/pressure.h"

#include "cgfs/pressure.h"
#include "util/attr.h"
#include "util/glob.h"

#include <errno.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#define STALL_US  50000
#define WINDOW_US 1000000

static bool is_used(const struct pressure_trigger *t)
{
	return t->source.ready != NULL;
}

static void disarm(struct pressure_trigger *t)
{
	if (!is_used(t))
		return;
	source_remove(t->of->epoll_fd, &t->source);
	close(t->source.fd);
}

void pressure_init(struct pressure *p, int epoll_fd, void (*stalled)(void *user),
		   void (*lost)(void *user, uint64_t id), void *user)
{
	*p = (struct pressure){
		.epoll_fd = epoll_fd, .stalled = stalled, .lost = lost, .user = user};
	for (size_t i = 0; i < PRESSURE_MAX; i++)
		p->trigger[i] = (struct pressure_trigger){.of = p};
}

void pressure_deinit(struct pressure *p)
{
	for (size_t i = 0; i < PRESSURE_MAX; i++)
		disarm(&p->trigger[i]);
}

/* ---- where ----------------------------------------------------------------------------- */

static uint32_t rule_top(const struct cgg_snapshot *snap, const struct policy_rule *rule)
{
	uint32_t top = 0;

	for (uint32_t i = 0; i < snap->n; i++) {
		const char *path = snap->cgroups[i].path;
		size_t len = strlen(path);

		if (strncmp(rule->domain, path, len) != 0 || glob_literal(rule->domain) < len)
			continue;
		if (rule->domain[len] == '/' || rule->domain[len] == '\0')
			top = i;
	}
	return top;
}

uint32_t pressure_tops(const struct cgg_policy *policy, const struct cgg_snapshot *snap,
		       uint32_t tops[PRESSURE_MAX], uint32_t *ret_left_out)
{
	uint32_t n = 0;

	*ret_left_out = CGG_NONE;
	for (size_t i = 0; i < policy->nrules; i++) {
		uint32_t top = rule_top(snap, &policy->rule[i]), k = 0;

		while (k < n && tops[k] != top)
			k++;
		if (k == PRESSURE_MAX)
			*ret_left_out = top;
		else if (k == n)
			tops[n++] = top;
	}
	return n;
}

/* ---- triggers --------------------------------------------------------------------------- */

/*
 * While its cgroup is being removed, and from then on, a trigger is ready with EPOLLERR until it is closed. The
 * kernel wakes us in the middle of rmdir(2), before inotify reports it: a real-time loop that only went on
 * polling would keep that very rmdir from its processor.
 */
static void on_trigger(void *user, uint32_t events)
{
	struct pressure_trigger *t = user;
	struct pressure *p = t->of;

	p->stalled(p->user);
	if (!(events & (EPOLLERR | EPOLLHUP)))
		return;
	disarm(t);
	p->lost(p->user, t->id);
}

static struct pressure_trigger *find(struct pressure *p, uint64_t id)
{
	for (size_t i = 0; i < PRESSURE_MAX; i++) {
		if (is_used(&p->trigger[i]) && p->trigger[i].id == id)
			return &p->trigger[i];
	}
	return NULL;
}

/* 0, CGG_GONE or a negative errno. */
static int arm(struct pressure *p, const struct cgg_tree *tree, uint32_t top)
{
	bool host = top == 0 && tree->root.procfd >= 0, slow;
	CGG_AUTO_FD opened = -1;
	int dirfd = host ? tree->root.procfd : tree_dir(tree, top, &opened);
	struct pressure_trigger *t = p->trigger;
	int fd = dirfd < 0 ? dirfd
			   : cgfs_pressure_arm(dirfd, host ? "pressure/memory" : "memory.pressure",
					       false, STALL_US, WINDOW_US, &slow);

	if (fd == -ENODEV || (fd == -ENOENT && !host &&
			      (dirfd < 0 || faccessat(dirfd, "cgroup.procs", F_OK, 0) < 0)))
		return CGG_GONE;
	if (fd < 0)
		return fd;
	while (is_used(t)) /* there is a free one: no more than PRESSURE_MAX are wanted */
		t++;
	if (source_add(p->epoll_fd, &t->source, fd, EPOLLPRI, on_trigger, t) < 0) {
		close(fd);
		return 0;
	}
	t->id = tree->entry[top].id;
	p->slow |= slow;
	return 0;
}

static void disarm_others(struct pressure *p, const struct cgg_tree *tree, const uint32_t *tops,
			  uint32_t n)
{
	for (size_t i = 0; i < PRESSURE_MAX; i++) {
		uint32_t k = 0;

		while (k < n && tree->entry[tops[k]].id != p->trigger[i].id)
			k++;
		if (k == n)
			disarm(&p->trigger[i]);
	}
}

int pressure_match(struct pressure *p, const struct cgg_tree *tree, const uint32_t *tops,
		   uint32_t n, uint32_t *ret_refused)
{
	int why = 0;

	disarm_others(p, tree, tops, n);
	for (uint32_t i = 0; i < n; i++) {
		uint64_t id = tree->entry[tops[i]].id;
		int r = find(p, id) ? 0 : arm(p, tree, tops[i]);

		if (r == CGG_GONE)
			p->lost(p->user, id);
		if (r < 0 && why == 0) {
			why = r;
			*ret_refused = tops[i];
		}
	}
	return why;
}

uint32_t pressure_count(const struct pressure *p)
{
	uint32_t n = 0;

	for (size_t i = 0; i < PRESSURE_MAX; i++)
		n += is_used(&p->trigger[i]);
	return n;
}

const struct pressure_trigger *pressure_get(const struct pressure *p, uint32_t position)
{
	for (size_t i = 0; i < PRESSURE_MAX; i++) {
		if (is_used(&p->trigger[i]) && position-- == 0)
			return &p->trigger[i];
	}
	return NULL;
}
