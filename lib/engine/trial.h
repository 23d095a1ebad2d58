/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Policy tests: a machine told in a few lines, what happens to it as time goes by, and what must be
 * decided. trial-read.c reads their parts; trial.c plays them and
 * trial-ladder.c acts, by the deciders of the daemon; trial-compare.c judges.
 */
#pragma once

#include "engine/pairs.h"
#include "policy/doc.h"
#include "policy/ladder.h"
#include "policy/policy.h"
#include "snap/model.h"
#include "util/json.h"

#define TRIAL_TESTS_MAX	     1000
#define TRIAL_STEPS_MAX	     256
#define TRIAL_DECISIONS_MAX  16 /* in one step */
#define TRIAL_CANDIDATES_MAX 16 /* of one expectation */
#define TRIAL_LOOKS_MAX	     100000 /* in one test */

/* One decision that must be. Strings are the document's; what is NULL or not has_ may be anything. */
struct trial_expect {
	const char *rule, *domain, *victim, *action, *scope;
	bool nobody; /* "victim": null */
	bool has_dry_run, dry_run;
	const char *candidate[TRIAL_CANDIDATES_MAX]; /* the first ones, in order */
	size_t ncandidates;
	const char *actions[POLICY_ACTIONS_MAX];
	size_t nactions;
};

struct trial_step {
	uint64_t at_us;
	bool ramp, has_set;
	struct doc_node set, kernel_kills;
	const char *kernel_victim; /* NULL: none */
	struct trial_expect expect[TRIAL_DECISIONS_MAX];
	size_t nexpect;
};

/* dir: what a relative "root" is relative to. model is to be finished, also on failure. */
int trial_read_machine(const struct doc_node *test, const char *dir, struct model *model);
int trial_read_set(const struct doc_node *set, struct model *model);
/* node must outlive ret. */
int trial_read_step(const struct doc_node *node, struct trial_step *ret);
int trial_read_time(const struct doc_node *node, uint64_t *ret_us);

/* trial-tree.c: of the text of a recorded tree. */
int trial_read_tree(const struct doc_node *root, struct model *model);

/* What the readers share. */
int trial_fail_memory(const struct doc_node *node, int r); /* r of the model, told */
int trial_told(const struct doc_node *node, int r); /* 0, or what the first mistake was */
char trial_first_byte(const struct doc_node *node);
bool trial_is_null(const struct doc_node *node);
bool trial_is_path(const char *path);

/* All of a file, to be freed. */
int trial_read_file(const char *path, char **ret, size_t *ret_len, struct cgg_error *err);

/* "dir/path", or path alone where it begins with '/'; to be freed. */
char *trial_path(const char *dir, const char *path);

/* ---- trial-compare.c: what must be beside what was ---- */

/* One decision that was made. */
struct trial_got {
	const char *rule, *domain, *victim, *scope; /* victim NULL: nobody could be chosen */
	const char *actions[POLICY_ACTIONS_MAX];
	size_t nactions;
	bool dry_run;
	const char *candidate[TRIAL_CANDIDATES_MAX];
	size_t ncandidates;
	uint64_t at_us;
};

/* Put "differences" if there are any. Whether it is what was expected. */
bool trial_compare(struct json *j, const struct trial_step *step, const struct trial_got *got,
		   size_t ngot);
void trial_put_expected(struct json *j, const struct trial_step *step);
void trial_put_got(struct json *j, const struct trial_got *got, size_t ngot);

/* Whether got i is as expected. */
bool trial_agrees(const struct trial_expect *want, const struct trial_got *got);

/* ---- trial.c: a story as it goes; trial-ladder.c: what is decided ---- */

#define TRIAL_BEGIN_US 1000000ULL /* of every story; 0 is never */

/* A decision with all that it stood on. */
struct decision {
	struct trial_got got;
	struct pair pair;
	const struct cgg_snapshot *snap; /* one of kept[] */
	uint32_t victim; /* in snap, CGG_NONE: none */
	bool kills; /* it */
};

/* An incident under way: one rule in one domain. */
struct trial_incident {
	bool used;
	uint16_t rule;
	uint64_t domain_id, victim_id;
	bool whole; /* the victim is more than one of its processes */
	struct ladder ladder;
	uint64_t ends_us; /* the rung is over by itself then, UINT64_MAX: at its deadline */
	bool past; /* the danger is, in this look */
	struct decision *decision; /* that the rungs begun in this look belong to, NULL: none yet */
};

/* The way to a step, in a straight line. */
struct ramp {
	bool on;
	uint64_t from_us, whole_us; /* so long it is from there */
	uint64_t held_us; /* since then somebody was throttled or frozen for so long */
};

struct trial {
	const char *dir;
	cgg_policy_problem_fn fn; /* each mistake of the file */
	void *user;
	struct cgg_error *err;
	struct json *j;
	const struct cgg_policy *policy;
	struct model now;
	struct pairs pairs;
	struct cgg_snapshot *snap; /* the last one */
	bool snap_kept;
	uint64_t time_us, every_us;
	unsigned int nlooks;
	struct cgg_snapshot *kept[TRIAL_DECISIONS_MAX];
	size_t nkept;
	struct decision decision[TRIAL_DECISIONS_MAX]; /* since the last step */
	size_t ndecisions;
	size_t look_begins; /* decisions before this look */
	struct trial_incident incident[LADDER_SLOTS]; /* as many as the daemon has */
	struct ramp ramp;
	struct trial_step step;
	size_t passed, failed;
};

int trial_no_memory(const struct trial *t);

/* The rule is true there, and no incident of it is under way: choose, and begin, unless the kernel was first. */
void trial_begin(struct trial *t, struct pair *pair, bool preempted);

/* That of a rule in a domain, or NULL. */
struct trial_incident *trial_incident_of(struct trial *t, const struct pair *pair);

/* What has become of its rung. past: the danger is. */
void trial_follow(struct trial *t, struct pair *pair, struct trial_incident *in, bool past);

/* Which rung of it is under way, and for how long yet. */
void trial_tell(struct trial *t, const struct pair *pair, struct tell *ret);

/* Those whose domain is gone end. */
void trial_tidy(struct trial *t);

/* When the next rung ends, UINT64_MAX: none will; whether one holds its victim where it is. */
uint64_t trial_next(const struct trial *t);
bool trial_holds(const struct trial *t);

/* Go to t->step, look on the way and there. */
int trial_play(struct trial *t, bool first);

/* Put all of a failure; true if there is none. */
bool trial_judge(struct trial *t, size_t number);

/* The story is over; t can begin another one. */
void trial_end(struct trial *t);

/* ---- trial-file.c: see cgg_policy_test() ---- */
int trial_run(const char *path, cgg_policy_problem_fn fn, void *user, char **ret_json,
	      struct cgg_error *err);
