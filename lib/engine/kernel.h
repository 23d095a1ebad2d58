/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the kernel's OOM killer did below our root, each of its kills once. Two tell of it, and neither all:
 * memory.events counts, in the victim's cgroup and all above it, and is gone with the cgroup; the kernel's
 * log says who, but a storm drowns its reports, and it may not be ours to read. kmsg.c reads the one in a
 * thread of its own, counts.c the other, kernel.c puts them together, kernel-tell.c writes the record.
 */
#pragma once

#include "cgguard-guard.h"

#include "engine/counts.h"
#include "util/source.h"

#include <pthread.h>
#include <stdatomic.h>
#include <string.h>

#define KERNEL_DEAD_MAX	   8 /* of one report, in full */
#define KERNEL_QUEUE	   8 /* reports between the thread and the loop */
#define KERNEL_PENDING_MAX 8
#define KERNEL_TOLD_MAX	   16 /* remembered, so that nothing is told twice */
#define KERNEL_GONE_MAX	   32 /* cgroups that were removed of late */
#define KERNEL_TOPS_MAX                                                                            \
	256 /* children of the root that are listened to, where the log can't be read */

#define KERNEL_LOG_WAIT_US                                                                         \
	2000000 /* for the log to tell of what is counted: its reader has no priority */
#define KERNEL_TOLD_US	     10000000 /* what was told is remembered so long */
#define KERNEL_COUNT_WAIT_US 200000 /* for all deaths of one kill to be counted */

struct cgg_log;
struct incident;
struct json;

/* One report of the log, as much of it as a record has. Paths are absolute. */
struct kernel_report {
	uint64_t boot_us;
	bool has_boot, group;
	enum cgg_log_scope scope;
	char constraint[32];
	char oom_memcg[CGG_PATH_MAX], task_memcg[CGG_PATH_MAX], group_path[CGG_PATH_MAX];
	char invoker[CGG_LOG_NAME_SIZE];
	uint32_t have; /* CGG_LOG_MEMORY, CGG_LOG_SWAP */
	struct cgg_log_counter memory, swap;
	struct cgg_log_dead dead[KERNEL_DEAD_MAX]; /* the victim first */
	uint32_t ndead; /* of all */
	uint64_t ntasks;
};

/* One OOM: told when all that could be known of it is, or has had its time. */
struct kernel_kill {
	bool used;
	uint64_t since_us; /* first heard of */
	uint64_t due_us; /* told then, whatever is missing */
	char cgroup[CGG_PATH_MAX]; /* the victim's, below our root; "": not known */
	uint64_t id; /* of it; 0: not known */
	uint64_t bound; /* see owners_bound() */
	bool gone; /* it was removed */
	bool by_log;
	bool one_of; /* it is not known which of the dead it was */
	uint32_t counted; /* deaths by memory.events */
	uint32_t group_kills; /* of them by memory.oom.group */
	struct incident *late; /* of a rule that would have acted, NULL: none */
	struct kernel_report report; /* by_log */
};

/* What was told. */
struct kernel_told {
	uint64_t since_us, told_us; /* told_us 0: none */
	char cgroup[CGG_PATH_MAX], group_path[CGG_PATH_MAX];
	uint32_t deaths, counted;
	bool by_log;
};

struct kernel_gone {
	uint64_t when_us, id;
	uint64_t bound; /* see owners_bound() */
	char path[CGG_PATH_MAX];
};

/* A cgroup and its owner, see owners_bound(). */
struct kernel_place {
	const char *path;
	uint64_t bound;
};

struct guard_kernel {
	/* the thread's */
	pthread_t thread;
	bool started;
	int log_fd, stop_fd;
	int told_fd; /* eventfd: there is something for the loop */
	struct cgg_log *log;
	/* a ring with one writer and one reader */
	_Atomic uint32_t head, tail; /* reports ever put and taken */
	_Atomic uint64_t lost; /* for which there was no room */
	_Atomic bool torn; /* the log has overwritten what was not read yet */
	struct kernel_report queue[KERNEL_QUEUE];

	/* the loop's */
	bool reads; /* the thread does */
	bool knows_root; /* what our root is called in the log */
	char root[CGG_PATH_MAX]; /* that, "" for the kernel's own */
	uint64_t count_us; /* look at the counters then, 0: no reason to */
	uint32_t count_at, count_end; /* of a look at them that takes several turns, 0: none */
	uint64_t count_generation; /* of the table that it is about */
	uint64_t listen_us; /* not before, and again then; 0: we do */
	uint32_t noise; /* events since then that told of no kill */
	uint64_t noise_us;
	struct {
		uint64_t id;
		int wd;
	} top[KERNEL_TOPS_MAX];
	uint32_t ntops;
	struct kernel_report taken;
	struct kernel_kill pending[KERNEL_PENDING_MAX];
	struct kernel_told told[KERNEL_TOLD_MAX];
	uint32_t ntold;
	struct kernel_gone gone[KERNEL_GONE_MAX];
	uint32_t ngone;
	struct source on_log;
	counts_fn counted; /* deaths that the counters have found are given to it */
};

struct guard_domain;

/* ---- kmsg.c ---- */
int kmsg_start(struct guard_kernel *k, int fd, struct cgg_error *err);
void kmsg_finish(struct guard_kernel *k);
bool kmsg_take(struct guard_kernel *k,
	       struct kernel_report *ret); /* the next one, if there is one */
void kmsg_report(void *user, const struct cgg_log_report *report); /* a cgg_log_fn */

/* ---- kernel.c ---- */
/* CGG_PATH_MAX bytes; a longer path is cut. */
static inline void kernel_copy(char *to, const char *path)
{
	size_t len = strnlen(path, CGG_PATH_MAX - 1);

	memcpy(to, path, len);
	to[len] = '\0';
}

void kernel_init(struct guard_kernel *k);
void kernel_begin(struct cgg_guard *g); /* when the tree is known */
void kernel_finish(struct cgg_guard *g); /* tell all */
int kernel_read_log(struct cgg_guard *g, int fd, const char *why, struct cgg_error *err);
void kernel_work(struct cgg_guard *g, uint64_t now_us); /* what is due */
uint64_t kernel_due_us(const struct cgg_guard *g); /* UINT64_MAX: nothing is */
bool kernel_is_busy(const struct cgg_guard *g);

/*
 * A rule would have acted, but the kernel was first. The incident is kept until what the kernel did is
 * known, and is told with it; one that was told already is dropped.
 */
void kernel_late(struct cgg_guard *g, struct incident *in, uint64_t now_us);
/* A slot for one; if none is free, that of the oldest which is kept so, and is told now. NULL: none. */
struct incident *kernel_incident_new(struct cgg_guard *g);

static inline bool kernel_is_fresh(const struct kernel_told *t, uint64_t now_us)
{
	return t->told_us != 0 && now_us < t->told_us + KERNEL_TOLD_US;
}

/* ---- kernel-lost.c: deaths without a place, places without a name ---- */
void lost_find(struct guard_kernel *k, uint64_t now_us); /* those that belong together become due */

/* ---- kernel-tell.c ---- */
/* domain: of the limit, by the log; its path is NULL where that is not known. */
void kernel_tell(struct cgg_guard *g, struct kernel_kill *kill, const struct kernel_place *domain);

/* ---- kernel-put.c ---- */
uint64_t kernel_deaths(const struct kernel_kill *kill);
void kernel_put_path(struct json *j, const char *key, const char *path); /* nothing for "" */
void kernel_put(struct json *j, const struct kernel_kill *kill); /* "kernel": {...} */
/* "victim": {...}, and whose it is */
void kernel_put_victim(struct json *j, const struct cgg_guard *g, const struct kernel_kill *kill);
