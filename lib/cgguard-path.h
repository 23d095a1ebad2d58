/* SPDX-License-Identifier: Apache-2.0 */
/* Cgroup paths: shown, matched, and whose they are. A part of cgguard.h, which includes it. */
#ifndef CGGUARD_PATH_H
#define CGGUARD_PATH_H

#include <stdbool.h>
#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

/*
 * A cgroup path made safe for terminals, logs and JSON: control characters, backslashes and bytes
 * that are not UTF-8 become \xNN. Always terminated; returns the length it wanted. Since 0.1.
 */
size_t cgg_path_printable(const char *path, char *buf, size_t size);

/*
 * Whether a path matches a glob: * and ? within a segment, ** across segments, [a-z] [!a-z],
 * {a,b}, \ quotes. Linear in the path for each pattern. Since 0.1.
 */
bool cgg_glob_match(const char *glob, const char *path);

#define CGG_OWNER_SIZE 128 /* of a string with its NUL; what is longer is cut */

/*
 * What a cgroup path says of its owner, by the names that runtimes and systemd give. Empty strings where it
 * says nothing. Read from the top, and no further than the container: what is below is named by whoever
 * runs in it.
 */
struct cgg_owner {
	/* docker, containerd, cri-o, podman, lxc or garden; "" where the path has only an id */
	char runtime[CGG_OWNER_SIZE];
	char container[CGG_OWNER_SIZE]; /* the container's id, or name (lxc) */
	char pod[CGG_OWNER_SIZE]; /* the pod's uid, with dashes */
	char unit[CGG_OWNER_SIZE]; /* systemd's or OpenRC's service, or scope */
};

/* Whether the path says anything; fills *ret either way. Since 0.1. */
bool cgg_owner_of(const char *path, struct cgg_owner *ret);

#ifdef __cplusplus
}
#endif
#endif
