/* SPDX-License-Identifier: Apache-2.0 */
/* Read a cgroup's extended attributes, and by whom they can have been set. */
#include "cgfs/marks.h"

#include "util/attr.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <sys/xattr.h>

/* The words that systemd takes for yes. */
static bool is_yes(const char *value, size_t len)
{
	static const char *const words[] = {"1", "yes", "y", "true", "t", "on"};

	if (len > 0 && value[len - 1] == '\0')
		len--;
	for (size_t i = 0; i < CGG_ARRAY_LEN(words); i++) {
		if (strlen(words[i]) == len && strncasecmp(value, words[i], len) == 0)
			return true;
	}
	return false;
}

void cgfs_read_marks(int dirfd, struct cgg_cgroup *cg)
{
	static const struct {
		const char *name;
		uint32_t mark;
	} xattrs[] = {
		{"user.oomd_omit", CGG_MARK_USER_OMIT},
		{"user.oomd_avoid", CGG_MARK_USER_AVOID},
		{"trusted.oomd_omit", CGG_MARK_TRUSTED_OMIT},
		{"trusted.oomd_avoid", CGG_MARK_TRUSTED_AVOID},
	};
	char path[32], value[8];
	struct stat st;

	cg->marks = 0;
	/* fgetxattr() takes no O_PATH fd; its name in /proc leads to the very same directory */
	snprintf(path, sizeof(path), "/proc/self/fd/%d", dirfd);
	for (size_t i = 0; i < CGG_ARRAY_LEN(xattrs); i++) {
		ssize_t len = getxattr(path, xattrs[i].name, value, sizeof(value));

		if (len >= 0 && is_yes(value, (size_t)len))
			cg->marks |= xattrs[i].mark;
		/* ERANGE: longer than any yes */
		else if (len < 0 && errno != ENODATA && errno != EOPNOTSUPP && errno != ERANGE)
			cg->marks |= CGG_MARK_UNREADABLE;
	}
	if (fstat(dirfd, &st) < 0) {
		cg->marks |= CGG_MARK_UNREADABLE;
		return;
	}
	cg->owner_uid = st.st_uid;
	if (st.st_mode & (S_IWGRP | S_IWOTH))
		cg->marks |= CGG_MARK_SHARED;
}
