/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cgguard - a cgroup v2 aware memory guard: the library.
 *
 * Read a cgroup v2 tree, find what dies together (OOM units), rank whole groups of
 * processes by what they use, and act by a policy before the kernel's OOM killer has to.
 *
 * Conventions
 * - int functions return 0 when done, a negative errno on failure (then @err says why, in
 *   a sentence), or a positive answer that their comment names (CGG_GONE, ...).
 * - ret_ parameters are written on success only. err may be NULL everywhere.
 * - Sizes are bytes, times are microseconds of CLOCK_MONOTONIC, shares are permyriad
 *   (1/100 of a percent, 10000 = all of it). Nothing here is floating point.
 * - Who allocates: cgg_X_open/new/load/take give the caller an object, which cgg_X_close/free
 *   ends; these accept NULL. Pointers got from an object live as long as it does.
 * - Threads: one object, one thread at a time. Different objects are independent.
 */
#ifndef CGGUARD_H
#define CGGUARD_H

#include "cgguard-owner.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* ---- answers and errors -------------------------------------------------------------- */

/* Positive answers of int functions. They are facts, not failures. */
#define CGG_GONE	1 /* the cgroup was removed meanwhile (or the process has ended) */
#define CGG_UNSUPPORTED 2 /* this kernel, mount or cgroup has no such file */
#define CGG_REFUSED	3 /* the guard will not do this; err says which rule forbids it */
#define CGG_UNFINISHED	4 /* the deadline passed before all was done */

/*
 * A failure, in the caller's own frame: filling it in can't fail.
 * code is the negative errno that the function returned; msg is one sentence without a
 * final newline: what, which, why, and the next step where there is one. Since 0.1.
 */
struct cgg_error {
	int code;
	char msg[508];
};

/* The library's version, "MAJOR.MINOR.PATCH". Static storage. Since 0.1. */
const char *cgg_version(void);

/* ---- the tree ------------------------------------------------------------------------ */

/* Marks "no cgroup" where an index into a snapshot is expected. */
#define CGG_NONE UINT32_MAX

/*
 * A held cgroup v2 tree: an O_PATH directory fd for each cgroup, so that whatever is read
 * or done later is done to the very cgroup that was found, never to its path's next owner.
 */
struct cgg_tree;

/*
 * Open the tree that this machine's memory controller lives on, found through libcgroup.
 * root: NULL for that; else a directory: a cgroup2 mount or a cgroup below one, a recorded
 * machine (holding sys/fs/cgroup and proc), or a directory tree laid out like a cgroup2 one.
 * Errors: -ENOENT no such directory or no cgroup v2 at all; -ENOTSUP v1 or hybrid hierarchy,
 * or the memory controller is off: err says what was found, what is needed, how to get it;
 * -EACCES; -ENOMEM; -E2BIG more than CGG_TREE_MAX cgroups. Since 0.1.
 */
int cgg_tree_open(const char *root, struct cgg_tree **ret_tree, struct cgg_error *err);

/* Close it and every fd it holds. NULL is fine; returns NULL. Since 0.1. */
struct cgg_tree *cgg_tree_close(struct cgg_tree *tree);

/*
 * How far a tree is looked at: what is deeper, has a longer path or, where there are too many, has no
 * memory controller of its own counts as part of the ancestor where the looking ends.
 */
#define CGG_TREE_MAX  65536
#define CGG_DEPTH_MAX 128
#define CGG_PATH_MAX  1024

/* ---- snapshots ----------------------------------------------------------------------- */

/* Which values of a struct cgg_cgroup were read (bits of .have). Unknown is never zero. */
enum cgg_have {
	CGG_HAVE_CURRENT = 1 << 0,
	CGG_HAVE_MAX = 1 << 1,
	CGG_HAVE_HIGH = 1 << 2,
	CGG_HAVE_LOW = 1 << 3,
	CGG_HAVE_MIN = 1 << 4,
	CGG_HAVE_SWAP_CURRENT = 1 << 5,
	CGG_HAVE_SWAP_MAX = 1 << 6,
	CGG_HAVE_OOM_GROUP = 1 << 7,
	CGG_HAVE_EVENTS = 1 << 8,
	CGG_HAVE_EVENTS_LOCAL = 1 << 9,
	CGG_HAVE_STAT = 1 << 10,
	CGG_HAVE_PRESSURE = 1 << 11,
	CGG_HAVE_PEAK = 1 << 12,
	CGG_HAVE_POPULATED = 1 << 13,
	CGG_HAVE_PROCS = 1 << 14,
	CGG_HAVE_ALL = (1 << 15) - 1, /* of the cgroup's files */
	CGG_HAVE_ADJ = 1 << 15, /* by cgg_snapshot_badness() */
};

/* "max": no limit of its own. */
#define CGG_MAX UINT64_MAX

/* One line of a pressure file. avg10 is a share in permyriad, total is microseconds. */
struct cgg_pressure {
	uint32_t some_avg10_permyriad, full_avg10_permyriad;
	uint64_t some_total_us, full_total_us;
};

/* memory.events or memory.events.local; counters, hierarchical in the former. */
struct cgg_events {
	uint64_t low, high, max, oom, oom_kill, oom_group_kill;
};

/* The parts of memory.stat that decisions stand on; bytes. A missing key is 0. */
struct cgg_stat {
	uint64_t anon, file, shmem, kernel, kernel_stack, pagetables, percpu, sock;
	uint64_t slab_reclaimable, slab_unreclaimable, unevictable, vmalloc, sec_pagetables, zswap;
	uint64_t inactive_anon, active_anon, inactive_file, active_file, hugetlb;
};

struct cgg_detail {
	struct cgg_stat stat;
	struct cgg_events events, events_local;
};

/* One cgroup at one instant. Only values whose bit is in .have were read. Fields are appended: never copy it. */
struct cgg_cgroup {
	const char *path; /* "/" is the tree's root; any byte but '/' and NUL within a name */
	const char *name; /* last segment of path */
	uint64_t id; /* the kernel's cgroup id (inode); a re-created path has another */
	uint32_t parent; /* index; CGG_NONE for the root */
	uint32_t end; /* its subtree is [own index, end): cgroups stand in pre-order */
	uint32_t depth; /* 0 for the root */
	uint32_t have; /* enum cgg_have bits */
	uint64_t current_bytes, peak_bytes;
	uint64_t max_bytes, high_bytes, low_bytes, min_bytes;
	uint64_t swap_current_bytes, swap_max_bytes;
	bool oom_group; /* memory.oom.group */
	bool populated; /* processes in the subtree */
	bool threaded; /* holds threads of a domain ancestor; no memory files, no processes */
	uint32_t nprocs; /* processes directly in it (zombie leaders with live threads too) */
	struct cgg_detail *detail; /* never NULL here */
	struct cgg_pressure pressure;
	/* Derived, with have & CGG_HAVE_STAT: what reclaim can't give back, what a kill of the whole subtree would really
	 * free; of that huge pages, and shared memory that its processes have mapped (a file on a tmpfs outlives them). */
	uint64_t unreclaimable_bytes, gain_bytes, hugetlb_bytes, mapped_bytes;
	uint64_t limit_bytes; /* derived: the least memory.max up to the root, or RAM, or CGG_MAX */
	/* Derived by cgg_snapshot_rates(): bytes per second of memory.current; else 0. */
	int64_t growth_bytes_per_s;
	int64_t badness_pages; /* by cgg_snapshot_badness(): of a process in it */
	bool has_growth, has_badness;
	bool limit_unknown; /* a memory.max on the way up could not be read for want of memory or fds */
	bool cut; /* what is below is not here (CGG_TREE_MAX): its processes count as at least one */
	uint32_t marks, owner_uid; /* xattrs that a rule honours; of the directory (recording: 0) */
	uint32_t unread; /* enum cgg_have bits: there was no memory or fd to read them */
	bool adj_unread; /* there are processes whose oom_score_adj was not read; of those that were the highest: */
	int32_t oom_score_adj;
};

/* Which values of a struct cgg_host were read. */
enum cgg_host_have {
	CGG_HOST_HAVE_MEMORY = 1 << 0,
	CGG_HOST_HAVE_SWAP = 1 << 1,
	CGG_HOST_HAVE_PRESSURE = 1 << 2,
	CGG_HOST_HAVE_OOM_KILL = 1 << 3,
	CGG_HOST_HAVE_SWAP_RAM = 1 << 4,
};

/* The host at the same instant: /proc/meminfo, /proc/vmstat, /proc/pressure/memory. */
struct cgg_host {
	uint32_t have;
	uint64_t total_bytes, available_bytes, free_bytes;
	uint64_t swap_total_bytes, swap_free_bytes, swap_ram_bytes; /* RAM that zram takes for it */
	struct cgg_pressure pressure;
	uint64_t oom_kill; /* processes the kernel's OOM killer has ended since boot */
};

/* The tree at one instant; immutable. */
struct cgg_snapshot;

/*
 * Look for new and removed cgroups, then read every value of all that are there. A cgroup
 * that vanishes while it is read keeps what was read of it. Errors: -ENOMEM, -E2BIG. Since 0.1.
 */
int cgg_snapshot_take(struct cgg_tree *tree, struct cgg_snapshot **ret_snap, struct cgg_error *err);

/* NULL is fine; returns NULL. Since 0.1. */
struct cgg_snapshot *cgg_snapshot_free(struct cgg_snapshot *snap);

/* How many cgroups it holds; index 0 is the root. Since 0.1. */
uint32_t cgg_snapshot_count(const struct cgg_snapshot *snap);

/* The cgroup at an index below the count; NULL beyond. Since 0.1. */
const struct cgg_cgroup *cgg_snapshot_get(const struct cgg_snapshot *snap, uint32_t index);

/* The index of a path ("/a/b"), or CGG_NONE. Since 0.1. */
uint32_t cgg_snapshot_find(const struct cgg_snapshot *snap, const char *path);

/* The host's values at the same instant. Since 0.1. */
const struct cgg_host *cgg_snapshot_host(const struct cgg_snapshot *snap);

/* When it was taken, CLOCK_MONOTONIC microseconds. Since 0.1. */
uint64_t cgg_snapshot_time_us(const struct cgg_snapshot *snap);

/* Fill in growth of every cgroup of snap that prev holds too (same id, not just same path). Since 0.1. */
void cgg_snapshot_rates(struct cgg_snapshot *snap, const struct cgg_snapshot *prev);

/*
 * Fill in badness and oom_score_adj of what is at or below domain: of the processes in each cgroup the highest
 * that the kernel would compare. tree: that snap was taken of. Errors: -EINVAL no such domain. Since 0.1.
 */
int cgg_snapshot_badness(struct cgg_snapshot *snap, const struct cgg_tree *tree, uint32_t domain,
			 struct cgg_error *err);

/* ---- ranking ------------------------------------------------------------------------- */

/*
 * The OOM unit of a process in cgroup index when domain runs out of memory, exactly as
 * mem_cgroup_get_oom_group() finds it (kernel 4.19 to 7.x): the topmost cgroup with
 * memory.oom.group=1 from index up to and including domain. CGG_NONE: the process dies
 * alone. The kernel's root has no such file and so never is one. Since 0.1.
 */
uint32_t cgg_oom_unit(const struct cgg_snapshot *snap, uint32_t index, uint32_t domain);

/* What a group is ranked by. Larger comes first, except where noted. */
enum cgg_rank_key {
	CGG_RANK_USAGE, /* memory.current + memory.swap.current */
	CGG_RANK_UNRECLAIMABLE, /* see struct cgg_cgroup */
	CGG_RANK_GAIN, /* bytes a kill would free */
	CGG_RANK_SWAP, /* memory.swap.current */
	CGG_RANK_GROWTH, /* bytes per second; needs an earlier snapshot */
	CGG_RANK_OVER_PROTECTION, /* memory.current above max(memory.low, memory.min) */
	CGG_RANK_SHARE_OF_LIMIT, /* memory.current in permyriad of its effective limit */
	CGG_RANK_AGE, /* youngest first: the kernel hands out ids in order */
	CGG_RANK_PRIORITY, /* the policy's number; the LOWEST comes first */
	CGG_RANK_PRESSURE, /* "full" avg10 of its own memory.pressure, in permyriad */
	CGG_RANK_BADNESS, /* in pages; needs cgg_snapshot_badness() */
	CGG_RANK_OOM_SCORE_ADJ, /* the highest of its processes; needs cgg_snapshot_badness() */
	CGG_RANK_TAKEN, /* unreclaimable bytes more than when its domain was last calm; known to guards */
	CGG_RANK_KEY_MAX
};

/* Its name in policies and on the command line; NULL beyond the enum. Since 0.1. */
const char *cgg_rank_key_name(enum cgg_rank_key key);

/* The key of a name, or CGG_RANK_KEY_MAX. Since 0.1. */
enum cgg_rank_key cgg_rank_key_parse(const char *name);

/* How candidates are formed of the cgroups that hold processes. */
enum cgg_unit {
	/* The cgroup itself, raised to the container, service or scope it is part of (a
	 * workload can't hide by splitting itself), and to its OOM unit. */
	CGG_UNIT_LEAF,
	/* As the kernel: the OOM unit; where there is none, one process of the cgroup. */
	CGG_UNIT_OOM_GROUP,
	/* The topmost cgroup that the include globs match and the exclude globs don't. */
	CGG_UNIT_MATCH,
	CGG_UNIT_MAX
};

/* One ranked group. */
struct cgg_group {
	uint32_t cgroup; /* index of the cgroup at its top */
	uint32_t oom_unit; /* what the kernel would kill with it: an index or CGG_NONE */
	bool whole; /* false: only one process of it (CGG_UNIT_OOM_GROUP without a unit) */
	bool protect; /* the policy, or the guard itself, forbids to touch it */
	bool spared; /* its oom_score_adj is below what the rule takes, or not known */
	uint32_t known; /* bit 1 << key: the term could be read */
	int64_t term[CGG_RANK_KEY_MAX];
	bool avoid; /* a mark: after all that have none */
	uint32_t mark, marked; /* the one that counts, 0: none; and of which cgroup */
	uint32_t owner; /* with CGG_RANK_TAKEN: the cgroup that answers for it */
	bool helps, herd, front; /* gives back half of what is missing; with others of its owner */
	int64_t order_taken, order_gain, guess; /* that count: its own, or of its herd */
};

#define CGG_RANK_KEYS_MAX 8 /* keys in one order */
struct cgg_policy;

struct cgg_rank_options {
	uint32_t domain; /* index: only groups at or below it; 0 for all */
	enum cgg_unit unit;
	const enum cgg_rank_key *keys; /* in order; ties go by path. NULL: usage */
	size_t nkeys; /* up to CGG_RANK_KEYS_MAX */
	const char *const *include; /* globs; NULL: everything */
	size_t ninclude;
	const char *const *exclude;
	size_t nexclude;
	const struct cgg_policy *policy; /* for protect and priorities; may be NULL */
};

/*
 * Rank the groups of a snapshot: total and repeatable order, unknown terms last. The array
 * belongs to the caller, who frees it with cgg_groups_free(). Errors: -EINVAL, -ENOMEM. Since 0.1.
 */
int cgg_rank(const struct cgg_snapshot *snap, const struct cgg_rank_options *options,
	     struct cgg_group **ret_groups, size_t *ret_n, struct cgg_error *err);

/* NULL is fine; returns NULL. Since 0.1. */
struct cgg_group *cgg_groups_free(struct cgg_group *groups);

/* ---- policies ------------------------------------------------------------------------ */

#define CGG_POLICY_PATHS_MAX 8

/*
 * Load a policy of n files and directories: the files first, then the directories' *.json in the order of
 * their names; of one name in several directories the first directory's. Errors: -ENOENT, -EACCES, -EPERM
 * (others can write it), -EINVAL (err.msg begins with FILE: and the place). Nothing is half loaded. Since 0.1.
 */
int cgg_policy_load(const char *const *paths, size_t n, struct cgg_policy **ret_policy,
		    struct cgg_error *err);

/*
 * One thing that is wrong with a policy. line and column (in characters) begin with 1; line 0 is the whole
 * file. pointer is a JSON Pointer (RFC 6901), "" for all. All but file, which is as it was given, is valid
 * UTF-8 without control characters. Since 0.1.
 */
struct cgg_policy_problem {
	const char *file;
	unsigned int line, column;
	const char *pointer;
	const char *message; /* what was expected, and often what to write instead */
};

/* The problem and its strings are valid in the call only. */
typedef void (*cgg_policy_problem_fn)(void *user, const struct cgg_policy_problem *problem);
#define CGG_POLICY_PROBLEMS_MAX 20 /* are told; the next one says how many more there are */

/*
 * Read a policy like cgg_policy_load(), keep nothing of it, and call fn for each thing that is wrong: file by
 * file, what concerns several rules last. Errors: as there; err says the first problem. Since 0.1.
 */
int cgg_policy_check(const char *const *paths, size_t n, cgg_policy_problem_fn fn, void *user,
		     struct cgg_error *err);

/* The built-in default, policies/host.json. Errors: -ENOMEM. Since 0.1. */
int cgg_policy_default(struct cgg_policy **ret_policy, struct cgg_error *err);

/* NULL is fine; returns NULL. Since 0.1. */
struct cgg_policy *cgg_policy_free(struct cgg_policy *policy);

/* How many rules it has. Since 0.1. */
size_t cgg_policy_rules(const struct cgg_policy *policy);

/* Whether a rule honours xattrs; trusted. ones take CAP_SYS_ADMIN. Since 0.1. */
bool cgg_policy_honours_xattrs(const struct cgg_policy *policy);

/*
 * One rule in one line for people ("host-low: / when available below 8.00% ..."), into buf,
 * always terminated. Returns the length it wanted, like snprintf. Since 0.1.
 */
size_t cgg_policy_describe(const struct cgg_policy *policy, size_t rule, char *buf, size_t size);

/* ---- what a policy would do ------------------------------------------------------------- */

struct cgg_explain_options {
	const char *path; /* the cgroup that is asked about; NULL: the root */
	uint64_t for_us; /* watch a live tree for so long at the most; 0: one look */
	uint32_t top; /* this many candidates of each rule, and the one chosen; 0: all */
	const struct cgg_owners *owners; /* whose names are told; may be NULL */
};

/*
 * Why a cgroup would be acted on, or not, as one JSON object: which rules look at it and how far each
 * condition is from true ("as_domain"), which could choose it, its place in their order and what
 * protects it ("as_candidate"). Decided by what decides in the daemon; touches nothing. A live tree is
 * watched until the conditions have the past that they need; a recorded one is a single moment, and what
 * needs a past is "unknown". The text is the caller's: cgg_text_free(). Errors: -ENOENT no such cgroup,
 * -ENOMEM, -E2BIG. Since 0.1.
 */
int cgg_explain(struct cgg_tree *tree, const struct cgg_policy *policy,
		const struct cgg_explain_options *options, char **ret_json, struct cgg_error *err);

/*
 * Play a file of policy tests (see policies/tests/README.md). The result is one JSON object: "passed",
 * "failed", and for each of "tests" its name, "ok", and if it failed what was expected, what was decided
 * and every number that led there. Failed tests are no error. The text is the caller's: cgg_text_free().
 * fn is called for each mistake of the file. Errors: -EINVAL the file or its policy is wrong (err.msg says
 * the first), -ENOENT, -EACCES, -ENOMEM, -E2BIG. Since 0.1.
 */
int cgg_policy_test(const char *path, cgg_policy_problem_fn fn, void *user, char **ret_json,
		    struct cgg_error *err);

/* NULL is fine; returns NULL. Since 0.1. */
char *cgg_text_free(char *text);

#ifdef __cplusplus
}
#endif

#include "cgguard-hook.h"
#include "cgguard-log.h"
#include "cgguard-path.h"
#include "cgguard-score.h"
#endif
