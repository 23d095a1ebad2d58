/* SPDX-License-Identifier: Apache-2.0 */
/* What an OCI runtime's hook does, and who it has told of: a part of cgguard.h, which includes it. */
#ifndef CGGUARD_HOOK_H
#define CGGUARD_HOOK_H

#include "cgguard-owner.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

struct cgg_error;

/* Bytes of a state, a bundle's config.json or an engine's list; what is longer is refused. */
#define CGG_HOOK_TEXT_MAX (1U << 20)

/* What a container's annotations may ask for. */
enum cgg_hook_value {
	CGG_HOOK_OOM_GROUP = 1 << 0, /* io.cgguard.memory.oom.group: 0 or 1 */
	CGG_HOOK_HIGH = 1 << 1, /* io.cgguard.memory.high: a size, or a share of memory.max */
	CGG_HOOK_SWAP_MAX = 1 << 2, /* io.cgguard.memory.swap.max: a size */
	CGG_HOOK_ALL = (1 << 3) - 1,
};

/*
 * The file of the Nth of them (bit 1 << N), like "memory.high": what stands behind "io.cgguard." in an
 * annotation. NULL: there are no more. Since 0.1.
 */
const char *cgg_hook_value_name(unsigned int n);

struct cgg_hook_options {
	const char *state_dir; /* NULL: /run/cgguard. Who is registered is in its "containers" */
	const char *cgroup_dir; /* where cgroup2 is mounted; NULL: /sys/fs/cgroup */
	const char *proc_dir; /* NULL: /proc */
	/* The bounds: which values (enum cgg_hook_value), no memory.high below that many bytes, no
	 * memory.swap.max above as many, unless it is lower than what the runtime has set. */
	uint32_t allow;
	uint64_t high_min_bytes;
	uint64_t swap_max_bytes;
	/* Called for each thing that was not done, with the reason; text is one line. May be NULL. */
	void (*note)(void *user, const char *text);
	void *user;
};

/*
 * A container begins: state is the JSON that the runtime gives to its createRuntime, prestart or poststart
 * hooks. Set what its annotations ask for, within the bounds, and register whose its cgroup is by a file
 * that appears whole. Positive answer: how many things were not done, each told to note. Errors (nothing
 * was done): -EINVAL no such state, -ESRCH its process is gone, -ENOENT it has no cgroup of its own.
 * Since 0.1.
 */
int cgg_hook_begin(const struct cgg_hook_options *options, const char *state, size_t len,
		   struct cgg_error *err);

/* A container has ended (poststop): unregister it. Answers and errors as above. Since 0.1. */
int cgg_hook_end(const struct cgg_hook_options *options, const char *state, size_t len,
		 struct cgg_error *err);

/*
 * A container's config.json (OCI runtime specification) with one more createRuntime and poststop hook,
 * before those that it has: argv[0] is the program's path, the stage comes after the last of argc arguments.
 * All else stays as it is. The text is the caller's: free(3). Errors: -EINVAL it is none, -ENOMEM. Since 0.1.
 */
int cgg_hook_insert(const char *config, size_t len, const char *const *argv, size_t argc,
		    char **ret_text, struct cgg_error *err);

#ifdef __cplusplus
}
#endif
#endif
