/* SPDX-License-Identifier: Apache-2.0 */
/* The state directory: what an earlier run wrote is read, what anybody else can have written is not. */
#include "kit/t.h"
#include "kit/tree.h"

#include "act/undo.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

#define LINE "7 memory.high max 4096 /box\n"

static void count(void *user, const struct undo_entry *e)
{
	if (e->id == 7 && strcmp(e->path, "/box") == 0)
		++*(int *)user;
}

/* A state directory with the file "undo" of this mode. */
static const char *state(mode_t mode)
{
	static char dir[4096];

	snprintf(dir, sizeof(dir), "%s/d", kit_tree("d other='" LINE "' undo='" LINE "'"));
	T_MUST(chmod(dir, 0700) == 0);
	T_MUST(chdir(dir) == 0 && chmod("undo", mode) == 0);
	return dir;
}

static int left(const char *dir, struct cgg_error *err)
{
	struct undo u;
	int n = 0, r = undo_init(&u, dir, err);

	if (r == 0)
		r = undo_left(&u, UNDO_FILE, count, &n, err);
	undo_finish(&u);
	return r < 0 ? r : n;
}

TEST(what_an_earlier_run_left_is_told_once)
{
	const char *dir = state(0600);
	struct cgg_error err;

	T_EQ_INT(left(dir, &err), 1);
	T_EQ_INT(left(dir, &err), 0);
}

TEST(a_link_is_not_followed)
{
	const char *dir = state(0600);
	struct cgg_error err;

	T_MUST(unlink("undo") == 0 && symlink("other", "undo") == 0);
	T_EQ_INT(left(dir, &err), -ELOOP);
	T_HAS(err.msg, "'undo' in the state directory, where links are not followed");
	T_ASSERT(access("other", F_OK) == 0);
}

TEST(what_others_can_write_is_not_read)
{
	static const mode_t modes[] = {0620, 0602, 0666};
	struct cgg_error err;

	for (size_t i = 0; i < CGG_ARRAY_LEN(modes); i++) {
		T_EQ_INT(left(state(modes[i]), &err), -EPERM);
		T_HAS(err.msg, "'undo' in the state directory is none of ours");
	}
}

TEST(what_is_no_file_is_not_read)
{
	const char *dir = state(0600);
	struct cgg_error err;

	T_MUST(unlink("undo") == 0 && mkfifo("undo", 0600) == 0);
	T_EQ_INT(left(dir, &err), -EPERM);
}

TEST(another_users_file_is_not_read)
{
	const char *dir = state(0600);
	struct cgg_error err;

	if (chown("undo", 1000, 1000) < 0) {
		T_SKIP("only root can give a file away");
		return;
	}
	T_EQ_INT(left(dir, &err), -EPERM);
}

TEST(a_directory_that_others_can_write_is_refused)
{
	const char *dir = state(0600);
	struct cgg_error err;

	T_MUST(chmod(dir, 0770) == 0);
	T_EQ_INT(left(dir, &err), -EPERM);
	T_HAS(err.msg, "chmod 700");
}

/* A state directory on a disk, where there is one. */
static bool on_disk(struct undo *u)
{
	static char dir[] = "state.XXXXXX", path[4200];
	struct cgg_error err;

	T_MUST(chdir("/var/tmp") == 0 && mkdtemp(dir));
	T_MUST(undo_init(u, dir, &err) == 0);
	snprintf(path, sizeof(path), "/var/tmp/%s", dir);
	T_MUST(chdir(path) == 0);
	if (!u->in_memory)
		return true;
	undo_finish(u);
	T_MUST(rmdir(path) == 0);
	T_SKIP("/var/tmp is in memory");
	return false;
}

static enum undo_done save(struct undo *u, const char *value)
{
	struct undo_save s;

	undo_save_begin(u, "brakes", &s);
	if (value)
		undo_save_line(&s, 7, "memory.high", "max", value, "/box");
	return undo_save_end(&s);
}

/* Until the thread has told. */
static enum undo_done told(struct undo *u)
{
	struct pollfd p = {.fd = u->told_fd, .events = POLLIN};
	uint64_t count;

	T_MUST(poll(&p, 1, 30000) == 1 && read(u->told_fd, &count, sizeof(count)) > 0);
	return undo_saved(u);
}

TEST(on_a_disk_a_thread_writes_and_tells_and_the_end_waits_for_it)
{
	static struct undo u;
	struct undo_entry *e;
	char dir[4200];

	if (!on_disk(&u))
		return;
	T_MUST(getcwd(dir, sizeof(dir)));
	T_EQ_INT(save(&u, "4096"), UNDO_LATER);
	T_EQ_INT(told(&u), UNDO_YES);
	T_ASSERT(access("brakes", F_OK) == 0);
	e = undo_note(&u, 7, "/box", "memory.high", "max", "4096");
	T_ASSERT(e && access("undo", F_OK) == 0); /* it is there when this has returned */
	undo_clear(&u, e);
	T_EQ_INT(save(&u, NULL), UNDO_LATER);
	undo_finish(&u);
	T_ASSERT(access("brakes", F_OK) < 0 && access("undo", F_OK) < 0);
	T_ASSERT(access(".other.new", F_OK) < 0 && access(".undo.new", F_OK) < 0);
	T_EQ_INT(rmdir(dir), 0);
}
