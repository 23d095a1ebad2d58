/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The owner of memory.high, on a tree of plain files: who wants it where, what others write meanwhile, what a crash
 * leaves. To write a file here replaces what is in it, as the kernel does; a test can make it fail.
 */
#include "kit/brake.h"
#include "kit/t.h"
#include "kit/tree.h"

#include "util/clock.h"
#include "util/fdio.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/eventfd.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define MIB(n) ((uint64_t)(n) << 20)

ssize_t __real_write(int fd, const void *buf, size_t n);
ssize_t __wrap_write(int fd, const void *buf, size_t n);
int __real_openat64(int dirfd, const char *name, int flags, mode_t mode);
int __wrap_openat64(int dirfd, const char *name, int flags, mode_t mode);

static struct {
	int write_error, read_error; /* of memory.high */
	bool others; /* it is they who write */
	int writes; /* of ours */
	int exit_after; /* that many writes; 0: not */
} shim;

ssize_t __wrap_write(int fd, const void *buf, size_t n)
{
	struct stat st;

	if (shim.others || fstat(fd, &st) < 0 || !S_ISREG(st.st_mode))
		return __real_write(fd, buf, n);
	if (shim.write_error) {
		errno = shim.write_error;
		return -1;
	}
	shim.writes++;
	T_MUST(ftruncate(fd, 0) == 0);
	n = (size_t)pwrite(fd, buf, n, 0);
	if (shim.writes == shim.exit_after)
		_exit(0);
	return (ssize_t)n;
}

int __wrap_openat64(int dirfd, const char *name, int flags, mode_t mode)
{
	if (shim.read_error && strcmp(name, "memory.high") == 0 &&
	    (flags & O_ACCMODE) == O_RDONLY) {
		errno = shim.read_error;
		return -1;
	}
	return __real_openat64(dirfd, name, flags, mode);
}

/* ---- the tree ----------------------------------------------------------------------------- */

static const char *top;
static struct cgg_tree *tree;
static struct journal journal;
static struct writer writer; /* without a thread: serve() is it */
static struct brakes brakes;
static struct kit_refusals refusals;
static char state[64];

static void set(uint32_t index, const char *file, const char *value)
{
	char text[64];

	snprintf(text, sizeof(text), "%s\n", value);
	shim.others = true;
	kit_tree_write(top, tree->entry[index].path, file, text, strlen(text));
	shim.others = false;
}

static const char *get(uint32_t index)
{
	static char text[64];
	int opened = -1, dirfd = tree_dir(tree, index, &opened);
	int fd = __real_openat64(dirfd, "memory.high", O_RDONLY | O_CLOEXEC, 0);

	T_MUST(fdio_read(fd, text, sizeof(text)) >= 0);
	close(fd);
	if (opened >= 0)
		close(opened);
	text[strcspn(text, "\n")] = '\0';
	return text;
}

#define T_HIGH(index, mib) T_EQ_INT(strtoull(get(index), NULL, 10), MIB(mib))

static void open_brakes(const char *dir)
{
	struct cgg_error err = {0};

	T_MUST(journal_init(&journal, dir, 8 + BRAKE_SPARE, &err) == 0);
	writer = (struct writer){.wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK), .told_fd = -1};
	T_MUST(brakes_init(&brakes, 8, tree, &journal, &writer, &kit_brake_ops, &refusals) == 0);
}

static void begin(void)
{
	struct cgg_error err = {0};

	memset(&shim, 0, sizeof(shim));
	refusals = (struct kit_refusals){0};
	shim.others = true;
	top = kit_tree("/ cgroup.controllers=memory\n"
		       "/a memory.high=max memory.current=52428800 memory.events.local='high 0'\n"
		       "/b memory.high=max memory.current=52428800 memory.events.local='high 0'\n");
	T_MUST(tree_open(top, &tree, &err) == 0);
	T_MUST(tree_scan(tree, &err) >= 0 && tree->n == 3);
	shim.others = false;
	open_brakes(NULL);
}

static void end(void)
{
	brakes_deinit(&brakes);
	journal_finish(&journal);
	close(writer.wake_fd);
	tree_close(tree);
}

/* ---- the slow writer ---------------------------------------------------------------------- */

/* The order that waits or is written, NULL: none. */
static struct writer_order *order(void)
{
	for (size_t i = 0; i < WRITER_QUEUE; i++) {
		if (atomic_load(&writer.order[i].state) != WRITER_FREE)
			return &writer.order[i];
	}
	return NULL;
}

static void begin_write(void)
{
	T_MUST(order());
	T_EQ_INT(atomic_load(&order()->state), WRITER_WAITING);
	atomic_store(&order()->state, WRITER_WRITING);
}

/* The kernel has taken the value, and reclaims. */
static void take_value(void)
{
	struct writer_order *o = order();

	o->result = write(o->fd, o->value, strlen(o->value)) < 0 ? -errno : 0;
}

static void end_write(void)
{
	struct writer_order *o = order();

	close(o->fd);
	atomic_store(&o->state,
		     atomic_load(&o->state) == WRITER_WRITING ? WRITER_DONE : WRITER_FREE);
}

static void serve(void)
{
	if (!order() || atomic_load(&order()->state) != WRITER_WAITING)
		return;
	begin_write();
	take_value();
	end_write();
}

/* As often as the guard's loop would, until nothing is left to be done. */
static void flush(void)
{
	for (int i = 0; i < 100 && brakes_pending(&brakes); i++) {
		brakes_flush(&brakes);
		serve();
	}
	T_ASSERT(!brakes_pending(&brakes));
}

static void want(uint32_t index, enum brake_want kind, uint64_t bytes)
{
	T_EQ_INT(brakes_want(&brakes, index, kind, bytes), 0);
	flush();
}

static void throttle(uint64_t bytes)
{
	T_EQ_INT(brakes_want(&brakes, 1, BRAKE_THROTTLE, bytes), 0);
	brakes_flush(&brakes);
}

static enum brake_state state_of(uint32_t index)
{
	const struct brake *one = brakes_find(&brakes, index);

	return one ? one->state : BRAKE_FREE;
}

/* ---- wants -------------------------------------------------------------------------------- */

TEST(the_lowest_want_is_written_and_the_first_value_put_back)
{
	begin();
	want(1, BRAKE_RULE, MIB(90));
	T_HIGH(1, 90);
	want(1, BRAKE_HOST, MIB(80));
	T_HIGH(1, 80);
	want(1, BRAKE_RULE, MIB(70));
	T_HIGH(1, 70);
	want(1, BRAKE_RULE, MIB(85));
	T_HIGH(1, 80);
	T_EQ_INT(brakes_held(&brakes, 1), MIB(80));
	T_EQ_INT(brakes_count(&brakes), 1);
	want(1, BRAKE_HOST, 0);
	T_HIGH(1, 85);
	want(1, BRAKE_RULE, 0);
	T_EQ_STR(get(1), "max");
	T_EQ_INT(brakes_count(&brakes), 0);
	T_EQ_INT(brakes_held(&brakes, 1), 0);
	T_EQ_STR(get(2), "max");
	end();
}

TEST(nothing_is_written_at_use_or_below)
{
	begin();
	want(1, BRAKE_RULE, MIB(50));
	want(1, BRAKE_HOST, MIB(45));
	T_EQ_STR(get(1), "max");
	T_EQ_INT(shim.writes, 0);
	T_EQ_INT(state_of(1), BRAKE_IDLE);
	end();
}

/* A hog at its brake is above it; so may it be of where the brake is to be raised to. */
TEST(a_brake_that_may_not_be_raised_yet_stays)
{
	begin();
	want(1, BRAKE_RULE, MIB(60));
	set(1, "memory.current", "73400320");
	want(1, BRAKE_RULE, MIB(65));
	T_HIGH(1, 60);
	want(1, BRAKE_RULE, MIB(80));
	T_HIGH(1, 80);
	end();
}

/* ---- others ------------------------------------------------------------------------------- */

/* With inotify, or found when the guard is about to write. */
TEST(what_others_write_meanwhile_is_what_is_put_back)
{
	for (int told = 0; told < 2; told++) {
		T_ROW(told ? "by inotify" : "read before it is written");
		begin();
		want(1, BRAKE_HOST, MIB(90));
		set(1, "memory.high", "209715200");
		if (told)
			T_EQ_INT(brakes_on_file(&brakes, 1, 11), BRAKE_WRITTEN);
		want(1, BRAKE_HOST, MIB(80));
		T_HIGH(1, 80);
		T_EQ_INT(brakes.drift, 1);
		want(1, BRAKE_HOST, 0);
		T_HIGH(1, 200);
		end();
	}
}

TEST(a_lower_one_of_others_stands_until_it_is_another)
{
	begin();
	set(1, "memory.high", "62914560");
	want(1, BRAKE_HOST, MIB(90));
	T_HIGH(1, 60);
	T_EQ_INT(state_of(1), BRAKE_YIELDED);
	set(1, "memory.high", "max");
	T_EQ_INT(brakes_on_file(&brakes, 1, 11), BRAKE_WRITTEN);
	flush();
	T_HIGH(1, 90);
	set(1, "memory.high", "68157440"); /* while it is held */
	brakes_on_file(&brakes, 1, 11);
	flush();
	T_HIGH(1, 65);
	T_EQ_INT(state_of(1), BRAKE_YIELDED);
	want(1, BRAKE_HOST, MIB(60)); /* and is undercut still */
	T_HIGH(1, 60);
	want(1, BRAKE_HOST, MIB(80)); /* but never exceeded */
	T_HIGH(1, 65);
	want(1, BRAKE_HOST, 0);
	T_HIGH(1, 65);
	end();
}

/* A rule's brake is for those whose memory.high is nobody's. */
TEST(a_rule_leaves_alone_whatever_others_have_set)
{
	begin();
	set(1, "memory.high", "104857600"); /* above the rule's */
	want(1, BRAKE_RULE, MIB(90));
	T_HIGH(1, 100);
	T_EQ_INT(state_of(1), BRAKE_YIELDED);
	T_EQ_INT(brakes_held(&brakes, 1), 0);
	want(1, BRAKE_HOST,
	     MIB(95)); /* the host's goes below theirs, and the rule's is no lower for that */
	T_HIGH(1, 95);
	want(1, BRAKE_HOST, 0);
	T_HIGH(1, 100);
	set(1, "memory.high", "max");
	T_EQ_INT(brakes_on_file(&brakes, 1, 11), BRAKE_WRITTEN);
	flush();
	T_HIGH(1, 90);
	set(1, "memory.high", "104857600"); /* while it is held */
	T_EQ_INT(brakes_on_file(&brakes, 1, 11), BRAKE_WRITTEN);
	flush();
	T_HIGH(1, 100);
	T_EQ_INT(state_of(1), BRAKE_YIELDED);
	throttle(MIB(50)); /* in force only once it is written */
	T_EQ_INT(brakes_throttled(&brakes, 1), 0);
	flush();
	T_HIGH(1, 50);
	T_EQ_INT(brakes_throttled(&brakes, 1), 1);
	throttle(0);
	flush();
	T_HIGH(1, 100);
	want(1, BRAKE_RULE, 0);
	T_HIGH(1, 100);
	end();
}

TEST(a_value_of_ours_is_never_taken_for_theirs)
{
	begin();
	want(1, BRAKE_RULE, MIB(90));
	brakes_on_file(&brakes, 1, 11); /* of the guard's own write */
	flush();
	T_EQ_INT(brakes.drift, 0);
	set(1, "memory.high", "94371840"); /* nor one that others write as well */
	brakes_on_file(&brakes, 1, 11);
	want(1, BRAKE_RULE, 0);
	T_EQ_STR(get(1), "max");
	T_EQ_INT(brakes.drift, 0);
	end();
}

/* ---- a throttle ---------------------------------------------------------------------------- */

TEST(a_throttle_is_the_lowest_want_and_the_slow_writer_writes_it)
{
	for (int braked = 0; braked < 2; braked++) {
		T_ROW(braked ? "on a brake" : "without one");
		begin();
		want(1, BRAKE_RULE, braked ? MIB(90) : 0);
		throttle(MIB(50));
		T_EQ_INT(shim.writes, braked);
		T_EQ_INT(state_of(1), BRAKE_WRITING);
		T_EQ_INT(brakes_throttled(&brakes, 1), 0);
		flush();
		T_HIGH(1, 50);
		T_EQ_INT(state_of(1), BRAKE_HELD);
		T_EQ_INT(brakes_throttled(&brakes, 1), 1);
		/* who is throttled makes events all the time: they tell nothing */
		T_EQ_INT(brakes_held(&brakes, 1), 0);
		want(1, BRAKE_HOST, MIB(40)); /* below use: no brake is written there */
		want(1, BRAKE_RULE, braked ? MIB(85) : 0);
		T_HIGH(1, 50);
		want(1, BRAKE_HOST, 0);
		throttle(0);
		flush();
		T_HIGH(1, braked ? 85 : 0);
		T_EQ_INT(brakes_held(&brakes, 1), braked ? MIB(85) : 0);
		T_EQ_INT(brakes.drift, 0);
		T_ASSERT(!order());
		want(1, BRAKE_RULE, 0);
		T_EQ_STR(get(1), "max");
		end();
	}
}

TEST(a_brake_in_force_that_is_lower_stays_under_a_throttle)
{
	begin();
	want(1, BRAKE_RULE, MIB(60));
	set(1, "memory.current", "73400320");
	throttle(MIB(70));
	T_HIGH(1, 60);
	T_EQ_INT(brakes_throttled(&brakes, 1), 1);
	throttle(0);
	T_HIGH(1, 60);
	end();
}

/* A brake may not be written at use: the throttle's value must not stay in its place. */
TEST(the_value_of_a_throttle_stays_no_longer_than_it)
{
	begin();
	want(1, BRAKE_RULE, MIB(90));
	set(1, "memory.current", "99614720");
	want(1, BRAKE_RULE, MIB(100));
	throttle(MIB(95));
	flush();
	T_HIGH(1, 95);
	want(1, BRAKE_RULE, MIB(92));
	T_HIGH(1, 95);
	throttle(0);
	flush();
	T_EQ_STR(get(1), "max");
	T_EQ_INT(brakes_count(&brakes), 0);
	set(1, "memory.current", "4096");
	want(1, BRAKE_RULE, MIB(91)); /* as soon as it may be */
	T_HIGH(1, 91);
	end();
}

/* What the writer has not begun is not written; what it is at is waited for until the kernel has taken it. */
TEST(a_throttle_that_ends_early_is_undone_also_while_the_writer_hangs)
{
	for (int begun = 0; begun < 2; begun++) {
		unsigned int fds;

		T_ROW(begun ? "in it" : "elsewhere");
		begin();
		want(1, BRAKE_RULE, MIB(90));
		fds = kit_count_fds();
		throttle(MIB(50));
		if (begun)
			begin_write();
		throttle(0);
		T_EQ_INT(state_of(1), begun ? BRAKE_WRITING : BRAKE_HELD);
		T_HIGH(1, 90);
		if (begun) {
			T_ASSERT(brakes_pending(&brakes));
			brakes_flush(&brakes);
			T_HIGH(1, 90);
			take_value();
			T_HIGH(1, 50);
			brakes_flush(&brakes);
			T_HIGH(1, 90);
			T_EQ_INT(atomic_load(&order()->state), WRITER_WRITING_LEFT);
			end_write();
		}
		T_ASSERT(!order());
		T_EQ_INT(kit_count_fds(), fds);
		T_HIGH(1, 90);
		end();
	}
}

TEST(what_others_write_within_a_throttle_is_what_is_put_back)
{
	static const struct {
		const char *name;
		bool begun, taken; /* by the writer, when they write */
		const char *theirs;
		uint64_t within, after; /* MiB */
		uint32_t drift;
	} rows[] = {
		{"an update", true, true, "209715200", 50, 200, 1},
		{"a reset", true, true, "max", 50, 0, 1},
		{"a lower one", true, true, "41943040", 40, 40, 1},
		{"before the writer is at it", false, false, "209715200", 50, 200, 0},
		{"and lower", false, false, "41943040", 40, 40, 0},
		{"while the writer is at it", true, false, "209715200", 50, 200, 0},
	};

	for (size_t i = 0; i < CGG_ARRAY_LEN(rows); i++) {
		T_ROW(rows[i].name);
		begin();
		throttle(MIB(50));
		if (rows[i].begun)
			begin_write();
		if (rows[i].taken) {
			take_value();
			end_write();
			flush();
		}
		set(1, "memory.high", rows[i].theirs);
		T_EQ_INT(brakes_on_file(&brakes, 1, 11), BRAKE_WRITTEN);
		brakes_flush(&brakes);
		if (rows[i].begun && !rows[i].taken) {
			take_value();
			end_write();
		}
		flush();
		T_HIGH(1, rows[i].within);
		T_EQ_INT(brakes_throttled(&brakes, 1), 1);
		T_EQ_INT(brakes_drift(&brakes, 1), rows[i].drift);
		throttle(0);
		flush();
		T_HIGH(1, rows[i].after);
		end();
	}
}

/* He has grown beyond what others allow him: to write that is as slow as a throttle. */
TEST(what_is_put_back_below_use_is_the_slow_writers)
{
	begin();
	set(1, "memory.high", "104857600");
	want(1, BRAKE_HOST, MIB(90));
	set(1, "memory.current", "115343360");
	T_EQ_INT(brakes_want(&brakes, 1, BRAKE_HOST, 0), 0);
	brakes_flush(&brakes);
	T_EQ_INT(state_of(1), BRAKE_WRITING);
	T_HIGH(1, 90);
	flush();
	T_HIGH(1, 100);
	T_EQ_INT(state_of(1), BRAKE_IDLE);
	end();
}

TEST(a_throttle_that_can_not_be_is_told)
{
	static const struct {
		int error;
		bool written; /* else it is the slow writer's write that fails */
	} rows[] = {{EMFILE, false}, {ENOMEM, false}, {ENOENT, false},
		    {EACCES, true},  {EROFS, true},   {ENOMEM, true}};

	for (size_t i = 0; i < CGG_ARRAY_LEN(rows); i++) {
		T_ROW(strerror(rows[i].error));
		begin();
		want(1, BRAKE_RULE, MIB(90));
		if (!rows[i].written)
			shim.read_error = rows[i].error;
		throttle(MIB(50));
		if (rows[i].written) {
			shim.write_error = rows[i].error;
			begin_write();
			take_value();
			end_write();
			brakes_flush(&brakes);
		}
		T_EQ_INT(brakes_throttled(&brakes, 1), -rows[i].error);
		shim.read_error = shim.write_error = 0;
		throttle(0);
		flush();
		T_HIGH(1, 90);
		end();
	}
	begin();
	T_EQ_INT(brakes_throttled(&brakes, 1), -ENOENT);
	for (size_t i = 0; i < WRITER_QUEUE; i++)
		atomic_store(&writer.order[i].state, WRITER_CLAIMED);
	throttle(MIB(50));
	T_EQ_INT(brakes_throttled(&brakes, 1), -EBUSY);
	throttle(0);
	T_EQ_STR(get(1), "max");
	end();
}

TEST(a_throttle_ends_with_its_cgroup_also_while_it_is_written)
{
	struct cgg_error err = {0};

	for (int begun = 0; begun < 2; begun++) {
		unsigned int fds;

		begin();
		fds = kit_count_fds();
		throttle(MIB(50));
		if (begun)
			begin_write();
		kit_tree_remove(top, "/a");
		tree_stale_wd(tree, -1);
		T_MUST(tree_scan(tree, &err) >= 0 && tree->n == 2);
		brakes_relocate(&brakes);
		if (begun)
			end_write();
		T_ASSERT(!order());
		T_ASSERT(kit_count_fds() <= fds);
		T_EQ_INT(brakes_count(&brakes), 0);
		T_EQ_INT(state_of(1), BRAKE_FREE);
		end();
	}
}

TEST(the_end_lifts_all_at_once_and_waits_a_moment_for_the_writer)
{
	for (int i = 0; i < 3; i++) {
		const struct journal_slot *s;
		uint64_t start;

		T_ROW(((const char *const[]){"in force", "not begun", "the writer hangs"})[i]);
		begin();
		want(2, BRAKE_RULE, MIB(90));
		want(1, BRAKE_RULE, MIB(90));
		throttle(MIB(50));
		if (i == 0)
			flush();
		if (i == 2)
			begin_write();
		s = brakes_find(&brakes, 1)->slot;
		start = clock_now_us();
		brakes_deinit(&brakes);
		T_ASSERT(clock_now_us() - start < (i == 2 ? 5000000 : 10000));
		T_EQ_STR(get(2), "max");
		T_HIGH(1, i == 2 ? 90 : 0);
		/* the journal knows what the next start has to put back */
		T_EQ_INT(journal_read(s) != NULL, i == 2);
		if (i == 2) {
			T_EQ_STR(journal_read(s)->before, "max");
			T_EQ_STR(journal_read(s)->after, "52428800");
			T_EQ_STR(journal_read(s)->was, "94371840");
			take_value();
			end_write();
		}
		end();
	}
}

/* ---- errors ------------------------------------------------------------------------------- */

TEST(what_may_pass_is_tried_again_and_what_is_forbidden_is_not)
{
	static const struct {
		int error;
		bool passes;
	} rows[] = {{ENOMEM, true},  {EMFILE, true}, {ENFILE, true}, {EIO, true},
		    {EACCES, false}, {EPERM, false}, {EROFS, false}};

	for (int written = 0; written < 2; written++) {
		for (size_t i = 0; i < CGG_ARRAY_LEN(rows); i++) {
			int error = rows[i].error;
			T_ROW(strerror(error));
			begin();
			*(written ? &shim.write_error : &shim.read_error) = error;
			T_EQ_INT(brakes_want(&brakes, 1, BRAKE_RULE, MIB(90)), 0);
			brakes_flush(&brakes);
			T_EQ_STR(get(1), "max");
			T_EQ_INT(brakes_count(&brakes), 0);
			T_EQ_INT(brakes_pending(&brakes), rows[i].passes);
			T_EQ_INT(refusals.error, rows[i].passes ? 0 : -error);
			shim.write_error = shim.read_error = 0;
			brakes_flush(&brakes);
			T_HIGH(1, rows[i].passes ? 90 : 0);
			if (rows[i].passes) { /* and is let go in the same way */
				*(written ? &shim.write_error : &shim.read_error) = error;
				T_EQ_INT(brakes_want(&brakes, 1, BRAKE_RULE, 0), 0);
				brakes_flush(&brakes);
				T_HIGH(1, 90);
				shim.write_error = shim.read_error = 0;
				flush();
				T_EQ_STR(get(1), "max");
			}
			end();
		}
	}
}

TEST(there_are_so_many_brakes_and_no_more)
{
	struct cgg_error err = {0};

	begin();
	for (int i = 0; i < 8; i++) {
		char text[64];

		snprintf(text, sizeof(text), "/c%d memory.high=max memory.current=4096\n", i);
		kit_tree_add(top, text);
	}
	tree_stale_wd(tree, -1);
	T_MUST(tree_scan(tree, &err) >= 0 && tree->n == 11);
	brakes_relocate(&brakes);
	for (uint32_t i = 1; i <= 8; i++)
		want(i, BRAKE_RULE, MIB(90));
	T_EQ_INT(brakes_want(&brakes, 9, BRAKE_RULE, MIB(90)), -ENOSPC);
	T_EQ_INT(brakes_want(&brakes, 9, BRAKE_RULE, 0), 0);
	T_EQ_INT(brakes_count(&brakes), 8);
	/* but for a throttle there is room, and has been before */
	T_ASSERT(brakes.nready > 8 && brakes.brake[8].slot);
	want(9, BRAKE_THROTTLE, MIB(90));
	T_HIGH(9, 90);
	T_EQ_INT(refusals.no_room, 0);
	end();
}

/* A user who gives one after the other of his cgroups a limit would take them all. */
TEST(one_of_which_nothing_is_wanted_any_more_makes_room)
{
	struct cgg_error err = {0};
	uint32_t late = 9;

	begin();
	for (int i = 0; i < 8; i++) {
		char text[64];

		snprintf(text, sizeof(text), "/c%d memory.high=max memory.current=4096\n", i);
		kit_tree_add(top, text);
	}
	tree_stale_wd(tree, -1);
	T_MUST(tree_scan(tree, &err) >= 0 && tree->n == 11);
	brakes_relocate(&brakes);
	for (uint32_t i = 1; i <= 8; i++)
		want(i, BRAKE_RULE, MIB(90));
	want(3, BRAKE_RULE, 0);
	want(late, BRAKE_RULE, MIB(90));
	T_ASSERT(brakes_find(&brakes, late) && !brakes_find(&brakes, 3));
	T_EQ_INT(brakes_find(&brakes, late)->bytes, MIB(90));
	T_EQ_INT(brakes_count(&brakes), 8);
	T_EQ_INT(brakes_want(&brakes, 3, BRAKE_RULE, MIB(90)), -ENOSPC);
	end();
}

TEST(a_brake_goes_where_its_cgroup_goes_and_ends_with_it)
{
	struct cgg_error err = {0};
	uint32_t b;

	begin();
	want(1, BRAKE_RULE, MIB(80));
	want(2, BRAKE_RULE, MIB(90));
	kit_tree_remove(top, "/a");
	kit_tree_add(top, "/0 memory.high=max memory.current=4096\n/00 memory.high=max\n");
	tree_stale_wd(tree, -1);
	T_MUST(tree_scan(tree, &err) >= 0 && tree->n == 4);
	brakes_relocate(&brakes);
	b = tree_find(tree, "/b");
	T_EQ_INT(b, 3);
	T_EQ_INT(brakes_count(&brakes), 1);
	T_EQ_INT(brakes_wanted(&brakes, b, BRAKE_RULE), MIB(90));
	T_EQ_INT(state_of(1), BRAKE_FREE);
	want(1, BRAKE_RULE, MIB(70)); /* in the place that is free */
	T_HIGH(1, 70);
	T_EQ_INT(brakes.n, 2);
	want(b, BRAKE_RULE, 0);
	T_EQ_STR(get(b), "max");
	end();
}

/* ---- a crash ------------------------------------------------------------------------------ */

static void put_back(void *user, const struct journal_record *r, const char *path)
{
	uint32_t index = tree_find_id(tree, r->id);

	(void)user;
	T_EQ_STR(path, "/a");
	T_EQ_INT(index, 1);
	if (strcmp(get(1), r->after) == 0 || strcmp(get(1), r->was) == 0)
		set(1, "memory.high", r->before);
}

static const char *state_dir(void)
{
	snprintf(state, sizeof(state), "%s", "/dev/shm/brake.XXXXXX");
	T_MUST(mkdtemp(state));
	return state;
}

static void remove_state(void)
{
	T_MUST(chdir(state) == 0 && unlink("journal") == 0 && chdir("/") == 0 && rmdir(state) == 0);
}

/* A brake, a throttle on it, a value of others in between, and the end; _exit() after so many steps. */
static void live(int steps, int writes)
{
	shim.exit_after = shim.writes + writes; /* before the journal says that it is applied */

	for (int step = 0; step < steps; step++) {
		switch (step) {
		case 0:
			want(1, BRAKE_RULE, MIB(90));
			break;
		case 1:
			want(1, BRAKE_RULE, MIB(80));
			break;
		case 2:
			throttle(MIB(50));
			break;
		case 3:
			flush();
			break;
		case 4:
			want(1, BRAKE_RULE, 0);
			break;
		case 5:
			want(1, BRAKE_THROTTLE, 0);
			break;
		case 6:
			want(1, BRAKE_RULE, MIB(90));
			break;
		case 7:
			set(1, "memory.high", "209715200");
			break;
		case 8:
			brakes_on_file(&brakes, 1, 11);
			break;
		case 9:
			flush();
			break;
		default:
			want(1, BRAKE_RULE, 0);
		}
	}
	_exit(0);
}

TEST(after_a_crash_at_any_step_the_next_start_puts_back_what_others_wrote_last)
{
	for (int row = 1; row <= 18; row++) {
		int steps = row <= 11 ? row : 11, writes = row <= 11 ? 100 : row - 11;
		bool theirs = row <= 11 ? steps >= 8 : writes >= 6;
		struct cgg_error err = {0};
		char name[64];
		int status;
		pid_t pid;

		snprintf(name, sizeof(name), "%d steps, %d writes", steps, writes);
		T_ROW(name);
		begin();
		brakes_deinit(&brakes);
		journal_finish(&journal);
		state_dir();
		fflush(stdout);
		pid = fork();
		T_MUST(pid >= 0);
		if (pid == 0) {
			open_brakes(state);
			live(steps, writes);
		}
		T_MUST(waitpid(pid, &status, 0) == pid && status == 0);
		T_MUST(journal_init(&journal, state, 8 + BRAKE_SPARE, &err) == 0);
		T_ASSERT(journal_recover(&journal, put_back, NULL) >= 0);
		T_EQ_INT(strtoull(get(1), NULL, 10), theirs ? MIB(200) : 0);
		T_EQ_INT(journal_recover(&journal, put_back, NULL), 0);
		journal_finish(&journal);
		tree_close(tree);
		remove_state();
	}
}
