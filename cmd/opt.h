/* SPDX-License-Identifier: Apache-2.0 */
/* Options of all commands: each reads what it knows of one list, so that they mean the same everywhere. */
#pragma once

#include "cgguard.h"

#define OPT_GLOBS_MAX 32

struct opt {
	const char *root, *incidents, *domain, *state, *status, *metrics_file, *metrics_listen;
	const char *policy[CGG_POLICY_PATHS_MAX];
	size_t npolicies;
	bool json, dry_run, once, follow_policy, process, kill_exempt, all, kmsg, follow,
		no_sandbox, explain, kernel, force;
	enum cgg_unit unit;
	enum cgg_rank_key key[CGG_RANK_KEYS_MAX];
	size_t nkeys;
	const char *include[OPT_GLOBS_MAX], *exclude[OPT_GLOBS_MAX];
	size_t ninclude, nexclude;
	uint64_t deadline_us, for_us;
	unsigned long top;
	bool top_given;
	char **args; /* what is left */
	int nargs;
};

/*
 * Read argv by the letters of accepts (see opt.c). 0, or an exit code after complaining.
 */
int opt_read(int argc, char **argv, const char *accepts, struct opt *ret);

/* Those of 'cgguard run', which its other processes read too. */
int opt_read_run(int argc, char **argv, struct opt *ret);

/* The policy of all --policy; without one, the built-in default. */
int opt_load_policy(const struct opt *o, struct cgg_policy **ret, struct cgg_error *err);

/* For people: the paths, or NULL for the default. */
const char *opt_policy_name(const struct opt *o, char *buf, size_t size);

/* A cgroup's path, in its place: shells complete a directory's with a slash. */
char *opt_cgroup(char *path);

/* A process id, as people write it. */
bool opt_pid(const char *text, int32_t *ret);
