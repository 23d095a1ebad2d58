/* SPDX-License-Identifier: Apache-2.0 */
/* Errors: always a code and a terminated sentence, however long what went into it was. */
#include "kit/t.h"

#include "util/err.h"

#include <errno.h>

#define ROOM (sizeof(((struct cgg_error *)0)->msg))

static char long_text[2 * ROOM];

static const char *of_length(size_t len)
{
	memset(long_text, 'x', sizeof(long_text));
	long_text[len] = '\0';
	return long_text;
}

TEST(a_failure_is_its_code_and_its_sentence)
{
	struct cgg_error err = {0};

	T_EQ_INT(err_fail(&err, -EINVAL, "cgroup '%s': %d", "/a", 5), -EINVAL);
	T_EQ_INT(err.code, -EINVAL);
	T_EQ_STR(err.msg, "cgroup '/a': 5");
	T_EQ_INT(err_errno(&err, -ENOENT, "cannot open '%s'", "x"), -ENOENT);
	T_EQ_INT(err.code, -ENOENT);
	T_EQ_STR(err.msg, "cannot open 'x': No such file or directory");
}

TEST(wrapping_puts_what_was_meant_before_what_happened)
{
	struct cgg_error err = {0};

	err_errno(&err, -EACCES, "cannot read '%s'", "f");
	T_EQ_INT(err_wrap(&err, -EACCES, "policy %d", 3), -EACCES);
	T_EQ_INT(err_wrap(&err, -EPERM, "start"), -EPERM);
	T_EQ_INT(err.code, -EPERM);
	T_EQ_STR(err.msg, "start: policy 3: cannot read 'f': Permission denied");
}

TEST(nobody_has_to_be_told)
{
	T_EQ_INT(err_fail(NULL, -EINVAL, "%s", "x"), -EINVAL);
	T_EQ_INT(err_errno(NULL, -ENOENT, "%s", "x"), -ENOENT);
	T_EQ_INT(err_wrap(NULL, -EPERM, "%s", "x"), -EPERM);
}

TEST(what_is_too_long_is_cut_at_its_end_and_nowhere_beyond)
{
	for (size_t len = ROOM - 60; len < ROOM + 60; len++) {
		struct {
			struct cgg_error err;
			char guard[8];
		} e;
		size_t want = len < ROOM - 1 ? len : ROOM - 1;

		memset(&e, 'G', sizeof(e));
		err_fail(&e.err, -1, "%s", of_length(len));
		T_EQ_INT(strlen(e.err.msg), want);
		memset(&e, 'G', sizeof(e));
		err_errno(&e.err, -EPERM, "%s", of_length(len));
		T_ASSERT(strlen(e.err.msg) >= want && strlen(e.err.msg) < ROOM);
		T_ASSERT(strncmp(e.err.msg, long_text, want) == 0);
		memset(&e, 'G', sizeof(e));
		snprintf(e.err.msg, sizeof(e.err.msg), "inner");
		err_wrap(&e.err, -EPERM, "%s", of_length(len));
		T_ASSERT(strlen(e.err.msg) >= want && strlen(e.err.msg) < ROOM);
		T_ASSERT(memcmp(e.guard, "GGGGGGGG", 8) == 0);
	}
}

TEST(wrapping_something_long_keeps_its_beginning)
{
	struct cgg_error err;

	err_fail(&err, -1, "%s", of_length(ROOM + 5));
	for (int i = 0; i < 10; i++)
		err_wrap(&err, -1, "level %d", i);
	T_EQ_INT(strlen(err.msg), ROOM - 1);
	T_ASSERT(strncmp(err.msg, "level 9: level 8: ", 18) == 0);
	memset(&err, 'U', sizeof(err)); /* never filled in */
	T_EQ_INT(err_wrap(&err, -EIO, "what"), -EIO);
	T_EQ_INT(strlen(err.msg), ROOM - 1);
	T_ASSERT(strncmp(err.msg, "what: UUUU", 10) == 0);
}

TEST(formats_in_what_is_told_are_not_formats)
{
	struct cgg_error err = {0};

	err_fail(&err, -1, "%s", "100%n %s");
	err_wrap(&err, -1, "a");
	T_EQ_STR(err.msg, "a: 100%n %s");
}

TEST(a_name_in_what_is_told_drives_no_terminal)
{
	struct cgg_error err = {0};

	err_fail(&err, -1, "'%s'", "/a\x1b]0;x\a\n\xe2\x80\xae\xff");
	T_EQ_STR(err.msg, "'/a\\x1b]0;x\\x07\\x0a\\xe2\\x80\\xae\\xff'");
	err_wrap(&err, -1, "%s", "b\x1b");
	T_EQ_STR(err.msg, "b\\x1b: '/a\\x1b]0;x\\x07\\x0a\\xe2\\x80\\xae\\xff'");
	err_errno(&err, -ENOENT, "%s", "\x7f");
	T_EQ_STR(err.msg, "\\x7f: No such file or directory");
}
