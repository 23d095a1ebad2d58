/* SPDX-License-Identifier: Apache-2.0 */
/* Marks on a cgroup: the extended attributes of systemd-oomd and oomd, and who could have set them. */
#pragma once

#include "cgguard.h"

/* Extended attributes that ask for mercy, as systemd-oomd's. The lower bit is the stronger one. */
enum cgg_mark {
	CGG_MARK_UNREADABLE = 1 << 0, /* whether there are any: taken for omit */
	CGG_MARK_TRUSTED_OMIT = 1 << 1, /* never to be chosen */
	CGG_MARK_USER_OMIT = 1 << 2,
	CGG_MARK_TRUSTED_AVOID = 1 << 3, /* only after all others */
	CGG_MARK_USER_AVOID = 1 << 4,
	CGG_MARK_SHARED =
		1 << 5, /* others than the owner can write the directory: no user. one counts */
};

/*
 * Read the marks of the cgroup that dirfd (O_PATH is enough) holds into cg. A few system calls, no
 * allocation; needs /proc. What can't be read is CGG_MARK_UNREADABLE.
 */
void cgfs_read_marks(int dirfd, struct cgg_cgroup *cg);
