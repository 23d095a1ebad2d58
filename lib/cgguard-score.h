/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the kernel's OOM killer thinks of processes, and what it would do: a part of cgguard.h, which
 * includes it.
 *
 * The kernel compares processes by badness: pages of RAM, swap and page tables, and oom_score_adj
 * thousandths of a total. What that total is depends on whose memory has run out: of a cgroup at its
 * memory.max it is that limit and the swap that the cgroup may use, of the host its RAM and swap. So with
 * oom_score_adj the order in a limit may differ from that on the host, which /proc/PID/oom_score shows.
 */
#ifndef CGGUARD_SCORE_H
#define CGGUARD_SCORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

struct cgg_error;
struct cgg_snapshot;
struct cgg_tree;

/* How the running kernel counts, as its own scores show: never by its version, for it is backported. */
enum cgg_formula {
	CGG_FORMULA_UNKNOWN, /* no score told; counted as SIGNED */
	/* 5.9 and later, 5.4.y from some release on: badness may be negative, and oom_score is
	 * (1000 + badness * 1000 / total) * 2 / 3 */
	CGG_FORMULA_SIGNED,
	/* 3.5 to 5.8: badness is 1 at the least, oom_score is badness * 1000 / total. Until 4.16 root's
	 * processes get 3 % less, which is not counted here */
	CGG_FORMULA_AT_LEAST_1,
};

/* Why the kernel would never choose a process. */
enum cgg_exempt {
	CGG_EXEMPT_NO, /* it could */
	CGG_EXEMPT_INIT, /* PID 1 of the machine; that of a container is not */
	CGG_EXEMPT_KTHREAD,
	CGG_EXEMPT_NO_MEMORY, /* it has ended, and has none of its own */
	CGG_EXEMPT_ADJ, /* oom_score_adj -1000 */
	CGG_EXEMPT_VFORK, /* still uses its parent's memory, which waits for it in vfork() */
};

/* "init", "kernel thread", ...; "" for CGG_EXEMPT_NO, NULL beyond the enum. Since 0.1. */
const char *cgg_exempt_name(enum cgg_exempt exempt);

/* Which values of a struct cgg_score were read. */
enum cgg_score_have {
	CGG_SCORE_HAVE_MEMORY = 1 << 0, /* pages, and so the badness that is counted of them */
	CGG_SCORE_HAVE_ADJ = 1 << 1,
	CGG_SCORE_HAVE_ACTUAL = 1 << 2, /* /proc/PID/oom_score */
	CGG_SCORE_HAVE_HOST = 1 << 3, /* what it is on the host, and predicted */
	CGG_SCORE_HAVE_LIMIT = 1 << 4, /* what it is in a limit */
	CGG_SCORE_HAVE_SHARED = 1 << 5, /* who shares its memory: takes the right to ptrace it */
};

#define CGG_SCORE_NAME_SIZE 64

/* One process. Pages are of struct cgg_scores' page_bytes. Fields are only ever appended. */
struct cgg_score {
	int32_t pid, parent; /* in our PID namespace */
	uint32_t uid;
	uint32_t have; /* enum cgg_score_have bits */
	enum cgg_exempt exempt;
	char state; /* as in /proc/PID/stat */
	char comm[CGG_SCORE_NAME_SIZE]; /* any bytes */
	uint32_t cgroup; /* index in the snapshot; CGG_NONE: not below the tree's root */
	uint32_t unit; /* what dies with it, were it chosen: an index, or CGG_NONE: it alone */
	uint32_t
		memory; /* those with the same number share their memory; 0: its own, or not known */
	uint32_t seen; /* its place in the kernel's walk: of equals the last one is taken */

	uint64_t anon_pages, file_pages, shmem_pages, swap_pages, pagetables_pages;
	/* anon, file and shmem as they count here: kernels from 6.2 on leave out what a processor has not added
	 * yet, some dozens of pages, where they choose */
	uint64_t counted_rss_pages;
	int32_t oom_score_adj;
	int64_t host_adj_pages, host_badness; /* what oom_score_adj weighs, and all of it */
	int32_t predicted, actual; /* /proc/PID/oom_score, which is about the host */

	/* The same in a limit: that of the domain, or where that is the host, of the nearest cgroup up from
	 * its own that has one (CGG_NONE: no limit). */
	uint32_t limit;
	uint64_t limit_total_pages;
	int64_t limit_adj_pages, limit_badness;

	bool member; /* of the domain; else it only dies with one that is */
	bool dies; /* if the domain runs out of memory */
};

/* What would happen in a domain. Fields are only ever appended. */
struct cgg_scores {
	/* As the kernel would choose; then who is exempt, or not known; then those outside who die too. */
	const struct cgg_score *score;
	size_t n;
	/* Whose memory it is that runs out: an index, 0 for the host. A cgroup without memory.max has no OOM
	 * of its own: then it is the next one up that has. */
	uint32_t domain;
	bool host;
	enum cgg_formula formula;
	bool rough; /* counted_rss_pages are not the exact sum: as the scores show, or nothing does */
	uint64_t page_bytes;
	uint64_t total_pages, host_total_pages; /* 0: not known */
	int32_t panic_on_oom; /* vm.panic_on_oom: 1 the host's OOM is a panic, 2 any */
	bool kills_allocating; /* vm.oom_kill_allocating_task: on the host who asks for memory is taken */

	size_t ndie; /* 0: nobody can be chosen, and who asks for memory waits for ever */
	uint32_t unit; /* what dies whole, or CGG_NONE */
	size_t ntied; /* others with the victim's badness: it was seen last */
	uint64_t
		frees_bytes; /* RAM, at most: anonymous pages (some may be shared) and page tables */
	uint64_t frees_swap_bytes;
	uint32_t
		nunseen; /* processes of the tree in PID namespaces that ours doesn't show: not here */
};

/*
 * Read every process, and say what the kernel would do if domain (an index of snap, which was taken of
 * tree) ran out of memory: score[0] is the victim if ndie > 0. Ends with cgg_scores_free(). Errors: -EINVAL
 * no such domain; -ENOENT there is no /proc beside the tree; -ENOMEM. Since 0.1.
 */
int cgg_scores_take(struct cgg_tree *tree, const struct cgg_snapshot *snap, uint32_t domain,
		    struct cgg_scores **ret_scores, struct cgg_error *err);

/* NULL is fine; returns NULL. Since 0.1. */
struct cgg_scores *cgg_scores_free(struct cgg_scores *scores);

/*
 * Whether pid is a process. Positive answer: CGG_GONE there is none. Errors: -EINVAL it is the id of a
 * thread (err says of which process), or another errno where it can't be read. Since 0.1.
 */
int cgg_process_check(const struct cgg_tree *tree, int32_t pid, struct cgg_error *err);

/* The lowest, which exempts, and the highest oom_score_adj. */
#define CGG_ADJ_MIN (-1000)
#define CGG_ADJ_MAX 1000

/* One process that was adjusted, or not. */
struct cgg_adjusted {
	int32_t pid;
	char comm[CGG_SCORE_NAME_SIZE]; /* any bytes */
	int32_t before, after; /* oom_score_adj */
	bool have_scores;
	int32_t score_before, score_after; /* /proc/PID/oom_score */
	int code; /* 0, CGG_GONE it ended meanwhile, or a negative errno and why not: */
	const char *why;
};

typedef void (*cgg_adjusted_fn)(void *user, const struct cgg_adjusted *adjusted);

struct cgg_adjust_options {
	int32_t pid; /* of one process; or, if 0, */
	const char *path; /* of all in this cgroup and below */
	int32_t value;
	/* To what it is; the result stays in CGG_ADJ_MIN to CGG_ADJ_MAX. Of a cgroup, who is forked meanwhile
	 * gets a value that is not relative, and may miss one that is. */
	bool relative;
	bool force; /* though a limit would be left without anybody whom the kernel may kill */
	cgg_adjusted_fn adjusted; /* called for each process; may be NULL */
	void *user;
};

/*
 * Set oom_score_adj. Each process is held by a pidfd, so that a reused pid is never written to. Positive
 * answers: CGG_GONE no such process (or nobody in that cgroup), CGG_REFUSED every member of a cgroup with
 * memory.max would be at -1000: at that limit the kernel finds nobody to kill, and who asks for memory spins
 * (with force err.msg says so, else it is empty). Errors: -EINVAL a bad value, or pid is that of a thread
 * (err says whose); -ENOENT no such cgroup; -EACCES not ours, or lowering it takes CAP_SYS_RESOURCE.
 * Since 0.1.
 */
int cgg_adjust(struct cgg_tree *tree, const struct cgg_adjust_options *options,
	       struct cgg_error *err);

#ifdef __cplusplus
}
#endif
#endif
