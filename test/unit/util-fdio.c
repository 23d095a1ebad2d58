/* SPDX-License-Identifier: Apache-2.0 */
/* Small files at a directory: whole or an error, and nothing that one could have to wait for. */
#include "kit/t.h"
#include "kit/tree.h"

#include "util/fdio.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

TEST(a_file_is_read_whole_and_terminated)
{
	CGG_AUTO_FD dir = kit_tree_fd(kit_tree("d f='hello\\n' empty='' nul='a\\x00b'"), "d");
	char buf[64];

	memset(buf, 'X', sizeof(buf));
	T_EQ_INT(fdio_read_at(dir, "f", buf, sizeof(buf)), 6);
	T_EQ_STR(buf, "hello\n");
	T_EQ_INT(fdio_read_at(dir, "empty", buf, sizeof(buf)), 0);
	T_EQ_STR(buf, "");
	T_EQ_INT(fdio_read_at(dir, "nul", buf, sizeof(buf)), 3);
	T_EQ_STR(buf, "a");
}

TEST(a_line_is_read_without_its_newline_and_an_empty_file_is_an_error)
{
	CGG_AUTO_FD dir = kit_tree_fd(kit_tree("d f='max\\n' bare='7' empty=''"), "d");
	char buf[8];

	T_EQ_INT(fdio_read_line(dir, "f", buf, sizeof(buf)), 0);
	T_EQ_STR(buf, "max");
	T_EQ_INT(fdio_read_line(dir, "bare", buf, sizeof(buf)), 0);
	T_EQ_STR(buf, "7");
	T_EQ_INT(fdio_read_line(dir, "empty", buf, sizeof(buf)), -EIO);
	T_EQ_INT(fdio_read_line(dir, "none", buf, sizeof(buf)), -ENOENT);
	T_EQ_INT(fdio_read_line(dir, "f", buf, 4), -EFBIG);
}

TEST(a_file_that_does_not_fit_is_an_error_at_each_size)
{
	const char *top = kit_tree("d");
	CGG_AUTO_FD dir = kit_tree_fd(top, "d");
	static char bytes[6000];

	memset(bytes, 'b', sizeof(bytes));
	for (size_t len = 0; len < 40; len++) {
		kit_tree_write(top, "d", "f", bytes, len);
		for (size_t size = 1; size < 44; size++) {
			char *buf = malloc(size);

			T_MUST(buf);
			T_EQ_INT(fdio_read_at(dir, "f", buf, size),
				 len < size ? (int64_t)len : -EFBIG);
			if (len < size)
				T_EQ_INT(strlen(buf), len);
			free(buf);
		}
	}
	kit_tree_write(top, "d", "f", bytes, sizeof(bytes));
	T_EQ_INT(fdio_read_at(dir, "f", (char[4096]){0}, 4096), -EFBIG);
	T_EQ_INT(fdio_read_at(dir, "f", (char[6001]){0}, 6001), 6000);
}

TEST(what_is_no_file_is_an_error_and_blocks_nobody)
{
	const char *top = kit_tree("d f=secret\nd/sub x=1");
	CGG_AUTO_FD dir = kit_tree_fd(top, "d");
	unsigned int before = kit_count_fds();
	char buf[64] = "kept";

	T_MUST(mkfifoat(dir, "fifo", 0600) == 0);
	T_MUST(symlinkat("f", dir, "link") == 0);
	T_MUST(symlinkat("nowhere", dir, "dangling") == 0);
	T_EQ_INT(fdio_read_at(dir, "sub", buf, sizeof(buf)), -EISDIR);
	T_EQ_INT(fdio_read_at(dir, "fifo", buf, sizeof(buf)), -ESPIPE);
	T_EQ_INT(fdio_read_at(dir, "link", buf, sizeof(buf)), -ELOOP);
	T_EQ_INT(fdio_read_at(dir, "dangling", buf, sizeof(buf)), -ELOOP);
	T_EQ_INT(fdio_read_at(dir, "none", buf, sizeof(buf)), -ENOENT);
	T_EQ_INT(fdio_read_at(dir, "f/x", buf, sizeof(buf)), -ENOTDIR);
	T_EQ_INT(fdio_read_at(-1, "f", buf, sizeof(buf)), -EBADF);
	T_EQ_STR(buf, "kept");
	T_EQ_INT(fdio_write_at(dir, "sub", "1"), -EISDIR);
	T_EQ_INT(fdio_write_at(dir, "fifo", "1"), -ENXIO);
	T_EQ_INT(fdio_write_at(dir, "link", "1"), -ELOOP);
	T_EQ_INT(fdio_write_at(dir, "none", "1"), -ENOENT); /* never made */
	T_ASSERT(faccessat(dir, "none", F_OK, 0) < 0);
	T_EQ_INT(kit_count_fds(), before);
}

TEST(an_fd_is_read_from_its_start_each_time)
{
	const char *top = kit_tree("d f=one");
	CGG_AUTO_FD dir = kit_tree_fd(top, "d");
	CGG_AUTO_FD fd = openat(dir, "f", O_RDONLY | O_CLOEXEC);
	char buf[16];

	T_EQ_INT(fdio_read(fd, buf, sizeof(buf)), 4);
	T_EQ_INT(fdio_read(fd, buf, sizeof(buf)), 4);
	T_EQ_STR(buf, "one\n");
	kit_tree_add(top, "d f=three");
	T_EQ_INT(fdio_read(fd, buf, sizeof(buf)), 6);
	T_EQ_STR(buf, "three\n");
	T_EQ_INT(fdio_read(-1, buf, sizeof(buf)), -EBADF);
}

TEST(text_is_written_in_one_go)
{
	const char *top = kit_tree("d f=before");
	CGG_AUTO_FD dir = kit_tree_fd(top, "d");
	char buf[16];

	T_EQ_INT(fdio_write_at(dir, "f", "AFTER"), 0);
	T_EQ_INT(fdio_read_at(dir, "f", buf, sizeof(buf)), 7);
	T_EQ_STR(buf, "AFTERe\n"); /* a control file has no length to cut */
	T_EQ_INT(fdio_write_at(AT_FDCWD, "/dev/full", "x"), -ENOSPC);
	T_EQ_INT(fdio_write_at(AT_FDCWD, "/dev/null", "x"), 0);
}

TEST(what_says_gone_is_known_and_other_errors_are_not_taken_for_it)
{
	T_ASSERT(fdio_is_gone(-ENOENT) && fdio_is_gone(-ENODEV) && fdio_is_gone(-ENOTDIR));
	T_ASSERT(!fdio_is_gone(0) && !fdio_is_gone(ENOENT) && !fdio_is_gone(-EACCES) &&
		 !fdio_is_gone(-EMFILE) && !fdio_is_gone(-EOPNOTSUPP));
}
