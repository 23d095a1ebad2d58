/* SPDX-License-Identifier: Apache-2.0 */
/* OOM units as the kernel finds them, and owners as we do. */
#include "kit/snap.h"
#include "kit/t.h"

#include "rank/rank.h"

/* ---- OOM units: mem_cgroup_get_oom_group(), case by case -------------------------------- */

struct unit_row {
	const char *name, *tree, *index, *domain, *unit; /* unit NULL: dies alone */
};

static const struct unit_row unit_rows[] = {
	{"no flag anywhere", "/a max=1Gi\n/a/b procs=1", "/a/b", "/a", NULL},
	{"flag on the victim's own cgroup", "/a max=1Gi\n/a/b group=1", "/a/b", "/a", "/a/b"},
	{"limit@a group@a/b/c: only c dies", "/a max=1Gi\n/a/b/c group=1\n/a/b/d procs=1", "/a/b/c",
	 "/a", "/a/b/c"},
	{"limit@a group@a/b/c: d is not in it", "/a max=1Gi\n/a/b/c group=1\n/a/b/d procs=1",
	 "/a/b/d", "/a", NULL},
	{"limit@a group@a/b: c dies", "/a max=1Gi\n/a/b group=1\n/a/b/c\n/a/b/d", "/a/b/c", "/a",
	 "/a/b"},
	{"limit@a group@a/b: and so does d", "/a max=1Gi\n/a/b group=1\n/a/b/c\n/a/b/d", "/a/b/d",
	 "/a", "/a/b"},
	{"group@a and a/b/c: the topmost wins", "/a max=1Gi group=1\n/a/b\n/a/b/c group=1",
	 "/a/b/c", "/a", "/a"},
	{"group@a/b and a/b/c, unflagged between",
	 "/a max=1Gi\n/a/b group=1\n/a/b/x\n/a/b/x/c group=1", "/a/b/x/c", "/a", "/a/b"},
	{"the domain itself counts", "/a max=1Gi group=1\n/a/b", "/a/b", "/a", "/a"},
	{"process in the domain itself", "/a max=1Gi group=1 procs=2", "/a", "/a", "/a"},
	{"flag above the domain is ignored", "/a group=1\n/a/b max=1Gi", "/a/b", "/a/b", NULL},
	{"flag above the domain, another within", "/a group=1\n/a/b max=1Gi\n/a/b/c group=1",
	 "/a/b/c", "/a/b", "/a/b/c"},
	{"global OOM: the topmost of all", "/a group=1\n/a/b group=1", "/a/b", "/", "/a"},
	{"global OOM without flags", "/a\n/a/b procs=1", "/a/b", "/", NULL},
	{"victim in the root", "/ procs=90\n/a group=1", "/", "/", NULL},
	{"victim moved out of the domain", "/a max=1Gi group=1\n/b group=1", "/b", "/a", NULL},
	{"the domain is below the victim", "/a group=1\n/a/b max=1Gi group=1", "/a", "/a/b", NULL},
	{"a sibling with the name as prefix", "/a max=1Gi group=1\n/ab group=1", "/ab", "/a", NULL},
	{"a namespace's root has the file", "/ current=1Mi group=1\n/a group=1", "/a", "/", "/"},
	{"unknown flag is no flag", "/a max=1Gi nogroup\n/a/b group=1", "/a/b", "/a", "/a/b"},
	{"no memory controller below the flag", "/a max=1Gi\n/a/b group=1\n/a/b/c bare", "/a/b/c",
	 "/a", "/a/b"},
};

TEST(the_oom_unit_is_what_the_kernel_finds)
{
	for (size_t i = 0; i < CGG_ARRAY_LEN(unit_rows); i++) {
		const struct unit_row *row = &unit_rows[i];
		struct cgg_snapshot *snap = kit_snap(row->tree);

		T_ROW(row->name);
		T_EQ_INT(rank_oom_unit(snap, kit_at(snap, row->index), kit_at(snap, row->domain)),
			 row->unit ? kit_at(snap, row->unit) : CGG_NONE);
		kit_snap_free(snap);
	}
}

TEST(an_index_beyond_the_snapshot_has_no_unit)
{
	struct cgg_snapshot *snap = kit_snap("/a group=1");

	T_EQ_INT(rank_oom_unit(snap, 2, 0), CGG_NONE);
	T_EQ_INT(rank_oom_unit(snap, 1, 2), CGG_NONE);
	T_EQ_INT(rank_oom_unit(snap, CGG_NONE, 0), CGG_NONE);
	T_ASSERT(!rank_is_below(snap, 2, 0) && !rank_is_below(snap, 1, 2));
	T_ASSERT(rank_is_below(snap, 1, 0) && rank_is_below(snap, 1, 1));
	kit_snap_free(snap);
}

/* A generator of its own: the same trees on every machine. */
static uint32_t next(uint32_t *state)
{
	*state = *state * 1664525U + 1013904223U;
	return *state >> 8;
}

#define RANDOM_MAX 40

/* A random tree in pre-order; paths are made for the naive reading of it. */
static void random_tree(uint32_t *state, struct cgg_snapshot *snap, char paths[][256])
{
	uint32_t stack[RANDOM_MAX], depth = 0;

	snap->n = 1 + next(state) % RANDOM_MAX;
	for (uint32_t i = 0; i < snap->n; i++) {
		struct cgg_cgroup *cg = &snap->cgroups[i];

		*cg = (struct cgg_cgroup){.path = paths[i], .parent = CGG_NONE, .end = i + 1};
		cg->oom_group = next(state) % 3 == 0;
		cg->have = next(state) % 5 ? CGG_HAVE_OOM_GROUP : 0;
		if (i == 0) {
			snprintf(paths[0], 256, "/");
			stack[depth++] = 0;
			continue;
		}
		depth = 1 + next(state) % depth;
		cg->parent = stack[depth - 1];
		snprintf(paths[i], 256, "%s/%u", depth == 1 ? "" : paths[cg->parent], i);
		stack[depth++] = i;
		for (uint32_t j = cg->parent; j != CGG_NONE; j = snap->cgroups[j].parent)
			snap->cgroups[j].end = i + 1;
	}
}

/* By paths alone: of all flagged cgroups between domain and index, the one with the shortest path. */
static uint32_t naive_unit(const struct cgg_snapshot *snap, uint32_t index, uint32_t domain)
{
	const char *path = snap->cgroups[index].path, *top = snap->cgroups[domain].path;
	uint32_t best = CGG_NONE;
	size_t best_len = SIZE_MAX;

	for (uint32_t i = 0; i < snap->n; i++) {
		const char *p = snap->cgroups[i].path;
		size_t len = i == 0 ? 0 : strlen(p), top_len = domain == 0 ? 0 : strlen(top);
		bool over = strncmp(path, p, len) == 0 && (path[len] == '/' || path[len] == '\0');
		bool under =
			strncmp(p, top, top_len) == 0 && (p[top_len] == '/' || p[top_len] == '\0');

		if (i == 0)
			over = true;
		if (domain == 0)
			under = true;
		if (over && under && (snap->cgroups[i].have & CGG_HAVE_OOM_GROUP) &&
		    snap->cgroups[i].oom_group && len < best_len) {
			best = i;
			best_len = len;
		}
	}
	return best;
}

TEST(a_naive_search_by_paths_finds_the_same_units_in_random_trees)
{
	static struct cgg_cgroup cgroups[RANDOM_MAX];
	static char paths[RANDOM_MAX][256];
	struct cgg_snapshot snap = {.cgroups = cgroups};
	uint32_t state = 20240229, found = 0;

	for (int round = 0; round < 2000; round++) {
		uint32_t index, domain, unit;

		random_tree(&state, &snap, paths);
		index = next(&state) % snap.n;
		domain = next(&state) % 3 ? 0 : next(&state) % snap.n;
		unit = rank_oom_unit(&snap, index, domain);
		found += unit != CGG_NONE;
		T_EQ_INT(unit, naive_unit(&snap, index, domain));
	}
	T_ASSERT(found > 500 && found < 1900); /* both answers were asked for */
}

/* ---- owners ----------------------------------------------------------------------------- */

#define HEX64	"0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
#define POD	"/kubepods/burstable/pod1b2c3d4e"
#define SESSION "/user.slice/user-1000.slice/user@1000.service"

struct owner_row {
	const char *name, *index, *domain, *owner;
};

static const struct owner_row owner_rows[] = {
	{"a service", "/system.slice/web.service", "/", "/system.slice/web.service"},
	{"a service's own children", "/system.slice/web.service/a/b", "/",
	 "/system.slice/web.service"},
	{"containerd, systemd driver",
	 "/kubepods.slice/kubepods-pod1.slice/cri-containerd-1.scope/x", "/",
	 "/kubepods.slice/kubepods-pod1.slice/cri-containerd-1.scope"},
	{"crun's container below its scope", "/machine.slice/libpod-1.scope/container", "/",
	 "/machine.slice/libpod-1.scope"},
	{"a scope within a scope", "/machine.slice/libpod-1.scope/inner.scope", "/",
	 "/machine.slice/libpod-1.scope"},
	{"containerd, cgroupfs driver", POD "/" HEX64 "/init", "/", POD "/" HEX64},
	{"a pod is no owner", POD "/infra/x", "/", POD "/infra/x"},
	{"63 digits are no container id",
	 "/x/123456789abcdef0123456789abcdef0123456789abcdef0123456789"
	 "abcdef/y",
	 "/", "/x/123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef/y"},
	{"Docker, cgroupfs driver", "/docker/buildkit/x", "/", "/docker/buildkit"},
	{"Docker in Docker", "/docker/" HEX64 "/docker/" HEX64, "/", "/docker/" HEX64},
	{"LXC 4", "/lxc.payload.web/system.slice/x.service", "/", "/lxc.payload.web"},
	{"LXC 3", "/lxc/web/system.slice/x.service", "/", "/lxc/web"},
	{"Podman, cgroupfs driver", "/libpod_parent/libpod-1/x", "/", "/libpod_parent/libpod-1"},
	{"Podman, cgroupfs driver, in a pod", "/libpod_parent/" HEX64 "/libpod-1/x", "/",
	 "/libpod_parent/" HEX64 "/libpod-1"},
	{"CRI-O, cgroupfs driver", POD "/crio-1/x", "/", POD "/crio-1"},
	{"OpenRC of old", "/openrc/sshd/x", "/", "/openrc/sshd"},
	{"OpenRC", "/openrc.sshd/x", "/", "/openrc.sshd"},
	{"Garden", "/garden/abc/x", "/", "/garden/abc"},
	{"a session is no owner, its services are", SESSION "/app.slice/web.service/x", "/",
	 SESSION "/app.slice/web.service"},
	{"a session's own cgroups stand alone", SESSION "/x/y", "/", SESSION "/x/y"},
	{"a user can't name a unit like a session", SESSION "/app.slice/user@1.service/x", "/",
	 SESSION "/app.slice/user@1.service"},
	{"init.scope is none", "/init.scope/x", "/", "/init.scope/x"},
	{"nothing matches", "/a/b/c", "/", "/a/b/c"},
	{"the domain is not its children's owner", "/system.slice/web.service/a/b",
	 "/system.slice/web.service", "/system.slice/web.service/a/b"},
	{"the domain is its own", "/system.slice/web.service", "/system.slice/web.service",
	 "/system.slice/web.service"},
	{"an owner within an owner that is the domain", "/a.service/b.service/c", "/a.service",
	 "/a.service/b.service"},
	{"not below the domain", "/a.service/b", "/x", "/a.service/b"},
};

TEST(an_owner_is_the_topmost_container_service_or_scope)
{
	for (size_t i = 0; i < CGG_ARRAY_LEN(owner_rows); i++) {
		const struct owner_row *row = &owner_rows[i];
		struct cgg_snapshot *snap;
		char tree[1024];

		snprintf(tree, sizeof(tree), "%s\n%s\n%s\n", row->index, row->domain, row->owner);
		snap = kit_snap(tree);
		T_ROW(row->name);
		T_EQ_STR(snap->cgroups[rank_owner(snap, kit_at(snap, row->index),
						  kit_at(snap, row->domain))]
				 .path,
			 row->owner);
		kit_snap_free(snap);
	}
}
