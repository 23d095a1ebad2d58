/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The values of one cgroup. Every file may be missing (older kernel, root, swap off, controller not
 * enabled): then its bit of have stays clear. Keys are found by name, never by place.
 */
#pragma once

#include "cgguard.h"

/*
 * Read what want (enum cgg_have) asks for into cg, setting have bits for what was read and clearing
 * those of what was asked for and not there. Returns 0, or CGG_GONE: the cgroup was removed. What is of a
 * struct cgg_detail takes one in cg->detail.
 */
int cgfs_read(int dirfd, uint32_t want, struct cgg_cgroup *cg);

/* A number (or "max") of a file, as memory.current; or from an fd that is open. 0 or a negative errno. */
int cgfs_read_number(int dirfd, const char *file, uint64_t *ret);
int cgfs_read_number_fd(int fd, uint64_t *ret);

/* Text to values, for what comes from elsewhere than a file. -EINVAL when it has none of the keys. */
int cgfs_parse_events(const char *text, struct cgg_events *ret);
int cgfs_parse_stat(const char *text, struct cgg_stat *ret);

/* "some avg10=1.23 ... total=45" lines. -EINVAL when it isn't that. full may be missing. */
int cgfs_parse_pressure(const char *text, struct cgg_pressure *ret);

/*
 * Compute unreclaimable_bytes and gain_bytes (see the README of lib/). mapped_bytes keeps its value, at most the shared
 * memory there is: memory.stat of a domain is read again between reading its processes and the kill.
 */
void cgfs_derive(struct cgg_cgroup *cg);

/* The part of the unreclaimable bytes that is shared memory and files on a tmpfs. */
static inline uint64_t cgfs_shmem(const struct cgg_cgroup *cg)
{
	return cg->unreclaimable_bytes - (cg->gain_bytes - cg->mapped_bytes);
}

/* So much shared memory is mapped by its processes, and freed by a kill; not more than it has. 0: none. */
void cgfs_mapped(struct cgg_cgroup *cg, uint64_t bytes);

/*
 * Find huge pages where the mount has memory_hugetlb_accounting and the kernel's memory.stat has no "hugetlb" (6.6 to 6.12
 * at least): memory.current includes them, and no LRU list holds them. So they are the part of memory.current that
 * memory.stat does not tell of, if it exceeds lag_bytes; in whole pages of 2 MiB.
 */
void cgfs_find_huge(struct cgg_cgroup *cg, uint64_t lag_bytes);

/*
 * memory.stat lags behind memory.current: each processor keeps up to 64 pages that are charged and not yet
 * used (MEMCG_CHARGE_BATCH), and as many that are used and not yet counted. What is in the one and not
 * in the other, lag_bytes at the most, is taken to be of the kinds that memory.stat tells of, in their
 * proportion: a hog that was just stopped at its brake is as large as it is, and a group full of page
 * cache is not called unreclaimable.
 */
void cgfs_settle(struct cgg_cgroup *cg, uint64_t lag_bytes);
