/* SPDX-License-Identifier: Apache-2.0 */
/* Marks of directories: which words mean yes, who could have set them, and what can't be read. */
#include "kit/t.h"
#include "kit/tree.h"

#include "cgfs/marks.h"

#include <errno.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

/* False where this file system or this user can't have the attribute. */
static bool set(const char *top, const char *name, const char *value, size_t len)
{
	char path[512];

	snprintf(path, sizeof(path), "%s/a", top);
	removexattr(path, name);
	return setxattr(path, name, value, len, 0) == 0;
}

static struct cgg_cgroup marks_of(const char *top)
{
	CGG_AUTO_FD fd = kit_tree_fd(top, "/a");
	struct cgg_cgroup cg = {.marks = 0xffff, .owner_uid = 4711};

	cgfs_read_marks(fd, &cg);
	return cg;
}

TEST(a_directory_without_marks_has_its_owner)
{
	const char *top = kit_tree("/a");
	char path[512];

	snprintf(path, sizeof(path), "%s/a", top);
	T_EQ_INT(marks_of(top).marks, 0);
	T_EQ_INT(marks_of(top).owner_uid, geteuid());
	T_MUST(chmod(path, 0775) == 0);
	T_EQ_INT(marks_of(top).marks, CGG_MARK_SHARED);
}

TEST(a_mark_is_a_word_that_means_yes)
{
	static const struct {
		const char *value;
		size_t len;
		bool yes;
	} rows[] = {
		{"1", 1, true},
		{"1\0", 2, true},
		{"yes", 3, true},
		{"TRUE", 4, true},
		{"on", 2, true},
		{"t", 1, true},
		{"0", 1, false},
		{"no", 2, false},
		{"", 0, false},
		{"hello", 5, false},
		{"11", 2, false},
		{"1\n", 2, false},
		{"truetruetrue", 12, false},
	};
	static const struct {
		const char *name;
		uint32_t mark;
	} names[] = {
		{"user.oomd_omit", CGG_MARK_USER_OMIT},
		{"user.oomd_avoid", CGG_MARK_USER_AVOID},
		{"trusted.oomd_omit", CGG_MARK_TRUSTED_OMIT},
		{"trusted.oomd_avoid", CGG_MARK_TRUSTED_AVOID},
	};

	for (size_t n = 0; n < CGG_ARRAY_LEN(names); n++) {
		const char *top = kit_tree("/a");

		for (size_t i = 0; i < CGG_ARRAY_LEN(rows); i++) {
			T_ROW(rows[i].value);
			if (set(top, names[n].name, rows[i].value, rows[i].len))
				T_EQ_INT(marks_of(top).marks, rows[i].yes ? names[n].mark : 0);
		}
	}
}

TEST(what_can_not_be_read_is_told)
{
	struct cgg_cgroup cg = {.marks = 0};

	cgfs_read_marks(-1, &cg);
	T_EQ_INT(cg.marks, CGG_MARK_UNREADABLE);
}
