/* SPDX-License-Identifier: Apache-2.0 */
/* Whose a cgroup is: its container, pod and unit. A part of cgguard.h, which includes it. */
#ifndef CGGUARD_OWNER_H
#define CGGUARD_OWNER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define CGG_OWNER_SIZE 128 /* of a string with its NUL; what is longer is cut */

/*
 * Whose a cgroup is, by the names that runtimes and systemd give to its path. Empty strings where it says
 * nothing. Read from the top, and no further than the outermost container: what is below is named by
 * whoever runs in it, who could take the names of another. Fields are only ever appended.
 */
struct cgg_owner {
	/* docker, containerd, cri-o, podman, lxc, systemd-nspawn or garden; "" where the path has only an id */
	char runtime[CGG_OWNER_SIZE];
	char container[CGG_OWNER_SIZE]; /* the container's id, or name (lxc, systemd-nspawn) */
	char pod[CGG_OWNER_SIZE]; /* the pod's uid, with dashes; Podman's has an id */
	char unit[CGG_OWNER_SIZE]; /* systemd's or OpenRC's service, or scope */
	/* What no path says: as the runtime has told cgguard-hook, "" where it has not. */
	char name[CGG_OWNER_SIZE], image[CGG_OWNER_SIZE];
	char pod_name[CGG_OWNER_SIZE], pod_namespace[CGG_OWNER_SIZE];
	/* The rest of the path below the container, which it has named itself; "" where there is none. A part
	 * of the path that was given. cgg_owner_of() tells what it claims: the units of systemd in a
	 * container, the pods of a node that is a container (kind, sysbox, LXC). */
	const char *inside;
};

/*
 * Whether the path, which begins with '/', says anything; fills *ret either way. Pure: looks at nothing
 * but its argument, in any thread. Since 0.1.
 */
bool cgg_owner_of(const char *path, struct cgg_owner *ret);

struct cgg_error;
struct cgg_snapshot;

/* The containers that cgguard-hook has registered in a state directory. */
struct cgg_owners;

#define CGG_OWNERS_MAX 4096 /* are held; those that have ended make room first */

/*
 * Read who is registered. state_dir: of cgg_guard_options, NULL: /run/cgguard; where it is not there nobody
 * is. root: of cgg_tree_open(), at which the paths begin that will be asked for. watch: make it where it is
 * missing, hear of who comes later, and take off those whose cgroup is gone (after a crash of their runtime).
 * CGG_UNSUPPORTED: inotify has no room, and it is looked for changes every second; err says why. Errors:
 * -ENOMEM, -EPERM others can write the directory, -EMFILE. Since 0.1.
 */
int cgg_owners_open(const char *state_dir, const char *root, bool watch,
		    struct cgg_owners **ret_owners, struct cgg_error *err);

/* An fd that becomes readable when cgg_owners_dispatch() has something to do; -1 without watch. Since 0.1. */
int cgg_owners_get_fd(const struct cgg_owners *owners);

/* Take in some of who came or went, without blocking; who went is known for a while yet. Since 0.1. */
void cgg_owners_dispatch(struct cgg_owners *owners);

/*
 * cgg_owner_of() of a cgroup of a snapshot, and the names that were registered for that very cgroup, by the
 * kernel's id of it, or for the next one above it; also where the path says nothing. A cgroup that has only
 * the name, or the path, of one that was registered gets none. owners may be NULL. Allocates nothing. To be
 * called by the thread that dispatches. Since 0.1.
 */
bool cgg_owners_find(const struct cgg_owners *owners, const struct cgg_snapshot *snap,
		     uint32_t index, struct cgg_owner *ret);

/* NULL is fine; returns NULL. Since 0.1. */
struct cgg_owners *cgg_owners_close(struct cgg_owners *owners);

#ifdef __cplusplus
}
#endif
#endif
