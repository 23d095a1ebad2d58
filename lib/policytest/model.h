/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The simulated machine of a policy test: written in a few lines, or begun with a recorded one, and changed by its steps.
 * Values that are not given follow as the kernel would have it: a cgroup's memory is what its children add up
 * to, it has no limit, no pressure and no events.
 */
#pragma once

#include "snap/snapshot.h"

#define MODEL_CGROUPS_MAX 4096 /* told ones; a recorded tree has its own bound */

enum model_as { MODEL_SIZE, MODEL_COUNT };

/* One number of a cgroup or of the host that can be told. */
struct model_field {
	const char *name;
	enum model_as as;
	size_t offset; /* of a uint64_t in struct cgg_cgroup, its struct cgg_detail, or struct cgg_host */
	bool in_detail;
	uint32_t have;
};

/* The first fields of a cgroup: they add up in the parent where it is told nothing else. */
enum model_sum {
	MODEL_CURRENT,
	MODEL_ANON,
	MODEL_FILE,
	MODEL_SHMEM,
	MODEL_MAPPED,
	MODEL_KERNEL,
	MODEL_SLAB,
	MODEL_UNEVICTABLE,
	MODEL_SWAP,
	MODEL_SUMS
};

extern const struct model_field model_cgroup_fields[], model_host_fields[];
extern const size_t model_ncgroup_fields, model_nhost_fields;

struct model_cgroup {
	char *path;
	struct cgg_cgroup cg; /* with a detail of its own */
	uint32_t given; /* bit: index into model_cgroup_fields */
	uint32_t hidden; /* CGG_HAVE_ bits that can't be read */
	uint32_t some_permyriad, full_permyriad; /* stalled from now on */
	bool loaded; /* of a recorded tree: nothing follows */
	bool heeds_sigterm; /* its processes end so long after it, else never: */
	uint64_t sigterm_us;
	uint64_t ends_us; /* they got it, and end then; 0: they did not */
	bool ends_one; /* one of them did */
	bool calm_told; /* what it had when calm ended: */
	uint64_t calm_bytes;
	uint64_t sigkill_us; /* they need so long after SIGKILL, UINT64_MAX: they never end */
};

struct model {
	struct model_cgroup *cgroup; /* by place in the tree */
	size_t n, room;
	uint64_t last_id;
	struct cgg_host host;
	bool free_told; /* else it is what is available */
	uint32_t some_permyriad, full_permyriad;
	bool calm_told; /* of one at least */
};

void model_finish(struct model *model);

/* All return 0 or -ENOMEM (model_add: -E2BIG, too many or too deep). */
int model_load(struct model *model, const struct cgg_snapshot *snap);
int model_copy(const struct model *from, struct model *ret);

/* The cgroup of a path; it and its parents are made where they are missing. */
int model_add(struct model *model, const char *path, struct model_cgroup **ret);
struct model_cgroup *model_find(struct model *model, const char *path);
void model_remove(struct model *model, const char *path); /* and all below */

/* Time goes by: pressure adds up. */
void model_pass(struct model *model, uint64_t us);

/* Part of the way to another state: sizes of what is in both move. */
void model_blend(struct model *model, const struct model *target, uint64_t part, uint64_t whole);

bool model_is_inside(const char *path, const char *top); /* below it */

/* The value of a field of model_cgroup_fields, or model_host_fields. */
uint64_t *model_at(const struct model_field *field, struct cgg_cgroup *cg);
uint64_t model_get(const struct model_field *field, const struct cgg_cgroup *cg);
uint64_t *model_host_at(const struct model_field *field, struct cgg_host *host);

/* ---- model-act.c: what is done to a group of the snapshot that was just made of the model ---- */

/* All of it is killed, or one process, which has its even share of the memory. What it frees is missing
 * above it, and to be had on the host. */
void model_kill(struct model *model, const struct cgg_snapshot *snap, uint32_t victim,
		bool process);

/*
 * The kernel's OOM killer takes one of its processes, or the whole OOM unit that it is in: they are counted as killed
 * there, above, and of the host. model_release() of *ret_victim and *ret_process gives back their memory.
 */
void model_oom_kill(struct model *model, const struct cgg_snapshot *snap, uint32_t victim,
		    uint32_t *ret_victim, bool *ret_process);

/*
 * It gets SIGKILL: when the slowest of its processes has ended, and its memory is back; UINT64_MAX: one at least never
 * ends.
 */
uint64_t model_sigkill(struct model *model, const struct cgg_snapshot *snap, uint32_t victim,
		       bool process, uint64_t now_us);

/* What was used by a victim that is dead comes back. */
void model_release(struct model *model, const struct cgg_snapshot *snap, uint32_t victim,
		   bool process);

/* It gets SIGTERM: when the slowest of its processes has ended, or 0: one at least does not heed it. */
uint64_t model_terminate(struct model *model, const struct cgg_snapshot *snap, uint32_t victim,
			 bool process, uint64_t now_us);

/* The next one that ends by SIGTERM, its time 0 if there is none. */
uint64_t model_next_end(const struct model *model, uint32_t *ret_index);

/* So much is taken back at the most: page cache and slab, then what there is swap for. How much it was. */
uint64_t model_reclaim(struct model *model, const struct cgg_snapshot *snap, uint32_t victim,
		       uint64_t amount_bytes);

/* The tree at this moment; model_snap_free() ends it. */
int model_snap(const struct model *model, uint64_t time_us, struct cgg_snapshot **ret);
struct cgg_snapshot *model_snap_free(struct cgg_snapshot *snap);
