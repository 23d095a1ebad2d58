/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The guard, a kill by hand, and the packed policies that the guard takes: for the program cgguard, which is linked with them.
 * They are no part of libcgguard, and this header is not installed. Units, errors, ownership and threads are as in cgguard.h.
 */
#pragma once

#include "cgguard.h"

/* ---- the guard ----------------------------------------------------------------------- */

/* What a guard tells its owner; text is one line without a newline, valid in the call only. */
enum cgg_report {
	CGG_REPORT_INCIDENT, /* one JSON object: what happened, start to end */
	CGG_REPORT_NOTICE, /* for people: what it goes on without, what it retries */
	CGG_REPORT_DEBUG,
};

typedef void (*cgg_report_fn)(void *user, enum cgg_report kind, const char *text, size_t len);

struct cgg_guard_options {
	bool dry_run; /* decide and report, touch nothing */
	cgg_report_fn report; /* must not block: a kill may be waiting behind it */
	void *user;
	/* On a tmpfs: the journal of what is changed (a brake, a freeze, cpu.max) until it is put back; the
	 * next start does so after a crash. Made if missing; unusable: no brakes. NULL: no journal. */
	const char *state_dir;
	/* Called from another thread, every 2 s once cgg_guard_dispatch() has not come back for 4 s: it
	 * hangs, in the kernel say. A ladder under way still ends in its kill. Must not block. May be NULL. */
	void (*hang)(void *user, uint64_t for_us);
	const struct cgg_owners *owners; /* for names, and resets to undo; borrowed, may be NULL */
};

struct cgg_guard;

/* Find where cgroup v2 is mounted, as cgg_tree_open() does without a root. 0, or the errors of that. */
int cgg_guard_find_tree(char *ret, size_t size, struct cgg_error *err);

/* cgg_tree_open() of a root that is named: it needs no library. */
int cgg_guard_open_tree(const char *root, struct cgg_tree **ret_tree, struct cgg_error *err);

/*
 * Guard a tree by a policy. Borrows both until the guard is closed (or the policy replaced).
 * Starts its kill threads and arms what can wake it. Errors: -ENOMEM, -EMFILE, -EAGAIN.
 */
int cgg_guard_open(struct cgg_tree *tree, const struct cgg_policy *policy,
		   const struct cgg_guard_options *options, struct cgg_guard **ret_guard,
		   struct cgg_error *err);

/* An fd that becomes readable when cgg_guard_dispatch() has something to do. */
int cgg_guard_get_fd(const struct cgg_guard *guard);

/*
 * Do what is due and return without blocking: look, decide, look again, act, follow up. From wake-up to
 * kill it allocates nothing. Errors end the guarding: -EBADF, -ENODEV (the tree's root is gone).
 */
int cgg_guard_dispatch(struct cgg_guard *guard, struct cgg_error *err);

/*
 * Put another policy in place; actions under way finish by the old one's terms. On failure the
 * old one stays. The guard borrows the new one from then on.
 */
int cgg_guard_set_policy(struct cgg_guard *guard, const struct cgg_policy *policy,
			 struct cgg_error *err);

/*
 * Whether an action is under way, and how many incidents there were so far. With *ret_settled every rule
 * has been looked at for as long as its conditions need (for one-shot use). Any ret may be NULL.
 */
void cgg_guard_state(const struct cgg_guard *guard, bool *ret_busy, bool *ret_settled,
		     uint64_t *ret_incidents);

/* Bytes that the largest piece of cgg_guard_status() fits in. */
#define CGG_STATUS_MIN 16384

/*
 * How the guard is: its rules, how far each domain is from danger, when it is looked at next and what
 * wakes us then, what it goes on without, counters, the last incidents. One JSON object, told piece by
 * piece, so that a buffer of size >= CGG_STATUS_MIN bytes serves a tree of any size: *position is 0 at
 * first, and each call puts the next piece, terminated, into buf and returns its length; 0 when all is
 * told. Allocates nothing and reads no file: the numbers are those of the last looks. To be called by
 * the thread that dispatches; it may dispatch between two pieces (who comes or goes meanwhile is told
 * or not). Members are only ever added. Errors: -ENOSPC size is too small.
 */
long cgg_guard_status(const struct cgg_guard *guard, uint64_t *position, char *buf, size_t size);

/* Wait for a kill under way (until its deadline), end the threads. NULL is fine; returns NULL. */
struct cgg_guard *cgg_guard_close(struct cgg_guard *guard);

/* ---- what it tells besides ------------------------------------------------------------- */

/*
 * Every OOM kill of the kernel below the guarded root becomes an incident. memory.events tells that there was
 * one, and how many died; the kernel's log tells who, also when the cgroup is gone by then. So give the guard
 * that log: fd is /dev/kmsg, open to read and O_NONBLOCK, and taken over, also on failure; what is in it so
 * far is passed over. It is read by a thread that is started here, with no more priority than anybody's. fd
 * -1 says that it can't be had, and why: why is what status tells of it, after "the kernel's log can't be
 * read". Without a call of this, memory.events is all there is, and nothing is told of that.
 * Once, after cgg_guard_open(). Errors: -EINVAL no kmsg, or a second time; -EAGAIN no thread; -EMFILE. The
 * guard goes on without it then, as status tells.
 */
int cgg_guard_read_kmsg(struct cgg_guard *guard, int fd, const char *why, struct cgg_error *err);

/* Series of one name at the most: domains, and containers that something has happened to. */
#define CGG_METRICS_DOMAINS_MAX	   512
#define CGG_METRICS_CONTAINERS_MAX 128

/*
 * The guard's counters and gauges in the text format of Prometheus (0.0.4), told piece by piece like
 * cgg_guard_status(), and by the same rules: size >= CGG_STATUS_MIN, *position 0 at first, 0 when all is
 * told, by the thread that dispatches. Allocates nothing and reads no file: gauges are as of the last looks.
 * Labels are those of cAdvisor. What is counted of a container is kept after its end; of more than
 * CGG_METRICS_CONTAINERS_MAX the one that nothing has happened to for longest is added to the series with
 * the id "other". Errors: -ENOSPC size is too small.
 */
long cgg_guard_metrics(const struct cgg_guard *guard, uint64_t *position, char *buf, size_t size);

/* ---- one kill by hand ---------------------------------------------------------------- */

struct cgg_kill_options {
	bool process; /* only the process with the highest badness, not all */
	bool dry_run;
	bool kill_exempt; /* also processes with oom_score_adj -1000 */
	uint64_t deadline_us; /* 0: 10 seconds */
	const struct cgg_policy *policy; /* whose protect list counts; may be NULL */
};

/*
 * Kill a group (or one process of it) with every guard of the daemon's: never the root, our own cgroup or
 * an ancestor, PID 1, what the policy protects. Blocks until it is empty or the deadline has passed. The
 * incident, one JSON object, goes to buf, terminated. Positive answers: CGG_GONE, CGG_REFUSED,
 * CGG_UNFINISHED (still dying, named in the incident). Errors: -ENOENT no such cgroup, -EPERM, -ENOSPC buf
 * is too small.
 */
int cgg_kill(struct cgg_tree *tree, const char *path, const struct cgg_kill_options *options,
	     char *buf, size_t size, struct cgg_error *err);

/* ---- policies from another process ----------------------------------------------------- */

#define CGG_POLICY_PACKED_MAX (8U << 20) /* bytes of the largest packed policy */

/*
 * Pack a policy into bytes, a buffer of size bytes; NULL: only count. *ret_size is the number of bytes. A packed policy is
 * for cgg_policy_unpack() of the same build. Allocates nothing. Errors: -EFBIG it is larger than size or
 * CGG_POLICY_PACKED_MAX.
 */
int cgg_policy_pack(const struct cgg_policy *policy, void *bytes, size_t size, size_t *ret_size,
		    struct cgg_error *err);

/*
 * The policy that was packed. The bytes may come from an untrusted process: every number, name, path and glob is checked,
 * and a policy that cgg_policy_load() could not have made is refused. The policy keeps nothing of bytes, and is the
 * caller's: cgg_policy_free(). Errors: -EINVAL (err.msg says which byte), -ENOMEM.
 */
int cgg_policy_unpack(const void *bytes, size_t size, struct cgg_policy **ret_policy,
		      struct cgg_error *err);
