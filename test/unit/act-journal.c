/* SPDX-License-Identifier: Apache-2.0 */
/* The journal: what a crash at any point leaves is what the next start finds, and nobody else's file is read. */
#include "kit/t.h"
#include "kit/tree.h"

#include "act/journal.h"
#include "util/fdio.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define KEEPS 100

static char state[64]; /* a directory on a tmpfs */
static char cgroup[4096]; /* one that only looks so */

static void remove_all(void)
{
	static const char *const files[] = {"journal", "other"};
	int dirfd = state[0] ? open(state, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;

	for (size_t i = 0; dirfd >= 0 && i < CGG_ARRAY_LEN(files); i++)
		(void)unlinkat(dirfd, files[i], 0);
	if (dirfd >= 0)
		close(dirfd);
	if (state[0])
		(void)rmdir(state);
}

static void begin(void)
{
	static bool registered;

	remove_all();
	snprintf(state, sizeof(state), "%s", "/dev/shm/act-journal.XXXXXX");
	T_MUST(mkdtemp(state));
	snprintf(cgroup, sizeof(cgroup), "%s/box", kit_tree("/box memory.high=max"));
	if (!registered)
		atexit(remove_all);
	registered = true;
}

static int cgroup_fd(void)
{
	int fd = open(cgroup, O_PATH | O_DIRECTORY | O_CLOEXEC);

	T_MUST(fd >= 0);
	return fd;
}

static const char *high(void)
{
	static char text[JOURNAL_VALUE_MAX];
	int fd = cgroup_fd();

	T_MUST(fdio_read_at(fd, "memory.high", text, sizeof(text)) > 0);
	text[strcspn(text, "\n")] = '\0';
	close(fd);
	return text;
}

static void set_high(const char *value)
{
	int fd = openat(cgroup_fd(), "memory.high", O_WRONLY | O_TRUNC | O_CLOEXEC);

	T_MUST(fd >= 0 && write(fd, value, strlen(value)) == (ssize_t)strlen(value));
	close(fd);
}

static void put_back(void *user, const struct journal_record *r, const char *path)
{
	++*(int *)user;
	T_EQ_STR(path, "/box");
	T_EQ_INT(r->id, 7);
	T_EQ_STR(journal_target_name(r->target), "memory.high");
	if (strcmp(high(), r->after) == 0 || strcmp(high(), r->was) == 0)
		set_high(r->before);
}

/* What the next start finds, and puts back. */
static int recovered(void)
{
	struct journal j;
	struct cgg_error err;
	int n = 0, r;

	r = journal_init(&j, state, KEEPS, &err);
	T_EQ_INT(r, 0);
	if (r == 0)
		r = journal_recover(&j, put_back, &n);
	T_EQ_INT(r, n);
	journal_finish(&j);
	return n;
}

/* ---- a crash ------------------------------------------------------------------------------ */

#define STEPS 12

/* Two values of ours, one after the other, and then put back; _exit() after that many steps. */
static void change(int steps)
{
	struct journal j;
	struct journal_slot *s = NULL;

	T_MUST(journal_init(&j, state, KEEPS, NULL) == 0);
	T_MUST(journal_keep(&j, 3, &s) == 0);
	for (int step = 0; step < steps; step++) {
		switch (step) {
		case 0:
			journal_intend(s, 7, "/box", JOURNAL_HIGH, "max", "8192", "");
			break;
		case 1:
			set_high("8192");
			break;
		case 2:
			journal_applied(s);
			break;
		case 3:
			journal_intend(s, 7, "/box", JOURNAL_HIGH, "max", "4096", "8192");
			break;
		case 4:
			set_high("4096");
			break;
		case 5:
			journal_applied(s);
			break;
		case 6: /* somebody else has written it */
			set_high("1048576");
			break;
		case 7:
			journal_intend(s, 7, "/box", JOURNAL_HIGH, "1048576", "4096", "");
			break;
		case 8:
			set_high("4096");
			break;
		case 9:
			journal_applied(s);
			break;
		case 10:
			set_high("1048576");
			break;
		default:
			journal_clear(s);
		}
	}
	_exit(0);
}

TEST(a_crash_after_any_step_is_put_back_by_the_next_start)
{
	for (int steps = 0; steps <= STEPS; steps++) {
		char row[16];
		int status;
		pid_t pid;

		begin();
		snprintf(row, sizeof(row), "%d steps", steps);
		T_ROW(row);
		fflush(stdout);
		pid = fork();
		T_MUST(pid >= 0);
		if (pid == 0)
			change(steps);
		T_MUST(waitpid(pid, &status, 0) == pid && status == 0);
		T_EQ_INT(recovered(), steps >= 1 && steps < STEPS);
		T_EQ_STR(high(), steps <= 6 ? "max" : "1048576");
		T_EQ_INT(recovered(), 0);
	}
}

static void note(void *user, const struct journal_record *r, const char *path)
{
	(void)path;
	memcpy(user, r->after, sizeof(r->after));
}

/* The nth byte of a record is the last one that was written. */
TEST(a_record_that_is_half_written_is_none)
{
	struct journal_slot *s = NULL;
	struct journal j;
	char found[JOURNAL_VALUE_MAX];

	begin();
	for (size_t n = 0; n <= sizeof(struct journal_record); n++) {
		struct journal_slot last, next;
		bool second, whole; /* what was not written yet may be equal */

		T_MUST(journal_init(&j, state, KEEPS, NULL) == 0);
		T_MUST(journal_keep(&j, 0, &s) == 0);
		journal_intend(s, 7, "/box", JOURNAL_HIGH, "max", "8192", "");
		last = *s;
		journal_intend(s, 7, "/box", JOURNAL_HIGH, "max", "4096", "8192");
		next = *s;
		second = memcmp(&last.record[0], &next.record[0], sizeof(last.record[0])) == 0;
		*s = last;
		memcpy(&s->record[second], &next.record[second], n);
		whole = memcmp(&s->record[second], &next.record[second],
			       sizeof(struct journal_record)) == 0;
		T_ASSERT(!whole || n > offsetof(struct journal_record, was));
		T_EQ_STR(journal_read(s)->after, whole ? "4096" : "8192");
		journal_finish(&j);
		T_MUST(journal_init(&j, state, KEEPS, NULL) == 0);
		T_EQ_INT(journal_recover(&j, note, found), 1);
		T_EQ_STR(found, whole ? "4096" : "8192");
		journal_finish(&j);
	}
}

TEST(a_slot_that_never_was_whole_is_free)
{
	struct journal_slot *s = NULL;
	struct journal j;

	begin();
	T_MUST(journal_init(&j, state, KEEPS, NULL) == 0);
	T_MUST(journal_keep(&j, 0, &s) == 0);
	T_ASSERT(!journal_read(s));
	journal_applied(s);
	T_ASSERT(!journal_read(s));
	for (int byte = 0; byte < (int)sizeof(*s); byte++) {
		memset(s, byte, sizeof(*s));
		T_ASSERT(!journal_read(s));
	}
	journal_finish(&j);
	T_EQ_INT(recovered(), 0);
}

/* ---- room --------------------------------------------------------------------------------- */

TEST(what_is_not_used_takes_no_memory)
{
	struct journal_slot *s[3] = {NULL};
	struct journal j;
	struct stat before, after;

	begin();
	T_MUST(journal_init(&j, state, 10000, NULL) == 0);
	T_MUST(fstat(j.fd, &before) == 0);
	T_ASSERT(before.st_size > 10000 * (off_t)sizeof(struct journal_slot));
	T_ASSERT(before.st_blocks * 512 <= 48 << 10);
	T_EQ_INT(journal_keep(&j, 9999, &s[0]), 0);
	T_EQ_INT(journal_keep(&j, 9998, &s[1]), 0);
	T_EQ_INT(journal_keep(&j, 10000, &s[2]), -ENOSPC);
	T_MUST(fstat(j.fd, &after) == 0);
	T_ASSERT(after.st_blocks - before.st_blocks <= 2 * 4096 / 512);
	T_ASSERT(s[0] == s[1] + 1);
	journal_finish(&j);
	T_EQ_INT(recovered(), 0);
	T_MUST(journal_init(&j, state, KEEPS, NULL) == 0); /* nor does it when it is read */
	T_MUST(fstat(j.fd, &before) == 0);
	T_EQ_INT(before.st_blocks, after.st_blocks);
	journal_finish(&j);
}

TEST(actions_have_so_many_slots_and_no_more)
{
	static struct journal_slot *s[JOURNAL_ACTIONS];
	struct journal j;
	int n = 0;

	begin();
	T_MUST(journal_init(&j, state, KEEPS, NULL) == 0);
	for (int i = 0; i < JOURNAL_ACTIONS; i++) {
		s[i] = journal_add(&j, 7, "/box", JOURNAL_HIGH, "max", "4096");
		T_ASSERT(s[i] && journal_read(s[i])->state == JOURNAL_INTENDED);
	}
	T_ASSERT(!journal_add(&j, 7, "/box", JOURNAL_HIGH, "max", "4096"));
	journal_remove(&j, s[5]);
	T_ASSERT(journal_add(&j, 7, "/box", JOURNAL_HIGH, "max", "4096") == s[5]);
	journal_remove(&j, s[5]);
	journal_finish(&j);
	T_MUST(journal_init(&j, state, KEEPS, NULL) == 0);
	T_EQ_INT(journal_recover(&j, put_back, &n), JOURNAL_ACTIONS - 1);
	T_ASSERT(journal_add(&j, 7, "/box", JOURNAL_HIGH, "max", "4096"));
	journal_finish(&j);
}

TEST(of_a_long_path_the_end_is_kept)
{
	char path[1000];
	struct journal_slot *s;
	struct journal j;

	begin();
	memset(path, 'x', sizeof(path));
	memcpy(path + sizeof(path) - 5, "/end", 5);
	T_MUST(journal_init(&j, NULL, KEEPS, NULL) == 0);
	s = journal_add(&j, 7, path, JOURNAL_CPU_MAX, "1000 100000", "max 100000");
	T_MUST(s);
	T_EQ_INT(strlen(s->path), JOURNAL_PATH_MAX - 1);
	T_HAS(s->path, "x/end");
	T_EQ_STR(journal_read(s)->before, "1000 100000");
	journal_remove(&j, s);
	T_EQ_STR(s->path, "");
	journal_finish(&j);
}

TEST(without_a_directory_it_works_and_nothing_is_left)
{
	struct journal_slot *s = NULL;
	struct journal j;
	int n = 0;

	T_EQ_INT(journal_init(&j, NULL, KEEPS, NULL), 0);
	T_EQ_INT(j.place, JOURNAL_ANONYMOUS);
	T_EQ_INT(journal_keep(&j, KEEPS - 1, &s), 0);
	journal_intend(s, 7, "/box", JOURNAL_HIGH, "max", "4096", "");
	T_EQ_STR(journal_read(s)->after, "4096");
	T_EQ_INT(journal_recover(&j, put_back, &n), 0);
	journal_finish(&j);
}

/* ---- whose file --------------------------------------------------------------------------- */

/* A directory with a journal in which there is something to put back. */
static void begin_with_one(void)
{
	struct journal j;

	begin();
	T_MUST(journal_init(&j, state, KEEPS, NULL) == 0);
	T_MUST(journal_add(&j, 7, "/box", JOURNAL_HIGH, "max", "4096"));
	journal_finish(&j);
	T_MUST(chdir(state) == 0);
}

/* It is refused, and nothing is put back; what is used instead outlives nobody. */
static void refused(int code, const char *why)
{
	struct journal_slot *s;
	struct cgg_error err;
	struct journal j;
	int n = 0;

	T_EQ_INT(journal_init(&j, state, KEEPS, &err), code);
	T_HAS(err.msg, why);
	T_EQ_INT(j.place, JOURNAL_UNUSABLE);
	T_EQ_INT(journal_recover(&j, put_back, &n), 0);
	T_EQ_INT(n, 0);
	s = journal_add(&j, 7, "/box", JOURNAL_HIGH, "max", "4096");
	T_ASSERT(s && journal_read(s));
	journal_finish(&j);
}

TEST(a_link_is_not_followed)
{
	begin_with_one();
	T_MUST(rename("journal", "other") == 0 && symlink("other", "journal") == 0);
	refused(-ELOOP, "'journal' in the state directory, where links are not followed");
	T_ASSERT(access("other", F_OK) == 0);
}

TEST(what_others_can_write_is_not_read)
{
	static const mode_t modes[] = {0620, 0602, 0666};

	for (size_t i = 0; i < CGG_ARRAY_LEN(modes); i++) {
		begin_with_one();
		T_MUST(chmod("journal", modes[i]) == 0);
		refused(-EPERM, "'journal' in the state directory is none of ours");
	}
}

TEST(what_is_no_file_is_not_read)
{
	begin_with_one();
	T_MUST(unlink("journal") == 0 && mkfifo("journal", 0600) == 0);
	refused(-EPERM, "'journal' in the state directory is none of ours");
}

TEST(another_users_file_is_not_read)
{
	begin_with_one();
	if (chown("journal", 1000, 1000) < 0) {
		T_SKIP("only root can give a file away");
		return;
	}
	refused(-EPERM, "'journal' in the state directory is none of ours");
}

TEST(a_directory_that_others_can_write_is_refused)
{
	begin_with_one();
	T_MUST(chmod(state, 0770) == 0);
	refused(-EPERM, "chmod 700");
}

TEST(a_second_guard_is_kept_off_by_the_lock)
{
	struct cgg_error err;
	struct journal j;

	begin();
	T_EQ_INT(journal_init(&j, state, KEEPS, &err), 0);
	refused(-EBUSY, "another guard uses the state directory");
	journal_finish(&j);
	T_EQ_INT(journal_init(&j, state, KEEPS, &err), 0);
	journal_finish(&j);
}

TEST(a_directory_on_a_disk_is_refused)
{
	char dir[] = "/var/tmp/act-journal.XXXXXX";
	struct cgg_error err;
	struct journal j;

	T_MUST(mkdtemp(dir));
	if (journal_init(&j, dir, KEEPS, &err) == 0) {
		T_SKIP("/var/tmp is in memory");
	} else {
		T_HAS(err.msg, "is not on a tmpfs");
		T_EQ_INT(j.place, JOURNAL_UNUSABLE);
	}
	journal_finish(&j);
	T_EQ_INT(rmdir(dir), 0); /* nothing was made in it */
}

TEST(a_file_of_another_version_is_told_of_and_begun_anew)
{
	static const char *const texts[] = {"7 memory.high max 4096 /box\n", "cgguardJ\2"};

	for (size_t i = 0; i < CGG_ARRAY_LEN(texts); i++) {
		struct cgg_error err;
		struct journal j;
		int n = 0, fd;

		T_ROW(texts[i]);
		begin_with_one();
		fd = open("journal", O_WRONLY | O_CLOEXEC);
		T_MUST(write(fd, texts[i], strlen(texts[i])) > 0);
		close(fd);
		T_EQ_INT(journal_init(&j, state, KEEPS, &err), 0);
		T_ASSERT(j.of_other_version);
		T_EQ_INT(journal_recover(&j, put_back, &n), 0);
		T_MUST(journal_add(&j, 7, "/box", JOURNAL_HIGH, "max", "4096"));
		journal_finish(&j);
		T_EQ_INT(recovered(), 1);
	}
}

TEST(a_file_that_was_cut_off_is_read_as_far_as_it_goes)
{
	struct cgg_error err;
	struct journal j;
	int n = 0;

	begin_with_one();
	T_MUST(truncate("journal", 4096 + 3 * 512 + 100) == 0);
	T_EQ_INT(journal_init(&j, state, KEEPS, &err), 0);
	T_EQ_INT(journal_recover(&j, put_back, &n), 1);
	journal_finish(&j);
}
