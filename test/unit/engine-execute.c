/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The rungs of a ladder, from the daemon's loop to the signaller, on a machine made of files: what can't be begun for
 * want of something, and the throttle, which is a want of the registry of brakes while it lasts. To write a file here
 * replaces what is in it, as the kernel does.
 */
#include "kit/guard.h"
#include "kit/replace.h"

#include "util/clock.h"
#include "util/fdio.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <unistd.h>

#define GROUP(path, pid, mib)                                                                      \
	path " cgroup.procs=" pid " cgroup.events='populated 1\\n' memory.max=max "                \
	     "memory.high=max memory.oom.group=0 memory.swap.current=0 memory.current=" mib        \
	     "000000 memory.stat='anon " mib "000000\\ninactive_anon " mib "000000\\n'\n"

static const char machine[] =
	"root sys/fs/cgroup\n"
	"proc meminfo='MemTotal: 1048576 kB\\nMemFree: 9000 kB\\nMemAvailable: 20000 "
	"kB\\nSwapTotal: 0 kB\\nSwapFree: 0 kB\\n' vmstat='oom_kill 0\\n'\n"
	"/ cgroup.controllers='cpu memory\\n'\n" GROUP("/large", "2147483001", "400")
		GROUP("/next", "2147483002",
		      "300") "/large cgroup.kill=\n/box memory.max=100000000 memory.high=max "
			     "memory.current=1000000 memory.events.local='high 0\\n' "
			     "memory.stat='anon 1000000\\ninactive_anon 1000000\\n'\n";

#define LARGE "399998976" /* a whole number of pages */

#define THROTTLE(name, time)                                                                       \
	"{\"name\": \"" name "\", \"domain\": \"/\", \"cooldown\": \"1h\", \"when\": "             \
	"{\"available_below\": \"10%\"}, \"then\": [{\"action\": \"throttle\", \"for\": \"" time   \
	"\"}, {\"action\": \"notify\"}]}"
#define POLICY(rules) "{\"version\": 1, \"rules\": [" rules "]}"

int __real_openat64(int dirfd, const char *name, int flags, mode_t mode);
int __wrap_openat64(int dirfd, const char *name, int flags, mode_t mode);

int __real_job_start(struct signaller *s, struct job *j, const struct kill_request *request,
		     const struct action_request *action, const struct job_last *last);
int __wrap_job_start(struct signaller *s, struct job *j, const struct kill_request *request,
		     const struct action_request *action, const struct job_last *last);

static int open_error; /* of memory.high, to write it */
static struct {
	int error;
	unsigned int n, others; /* jobs that were asked for; of another victim than the large one */
} jobs;

int __wrap_openat64(int dirfd, const char *name, int flags, mode_t mode)
{
	if (open_error && strcmp(name, "memory.high") == 0 && (flags & O_ACCMODE) == O_WRONLY) {
		errno = open_error;
		return -1;
	}
	return __real_openat64(dirfd, name, flags, mode);
}

int __wrap_job_start(struct signaller *s, struct job *j, const struct kill_request *request,
		     const struct action_request *action, const struct job_last *last)
{
	jobs.n++;
	jobs.others += strcmp(request->path, "/large") != 0;
	if (jobs.error)
		return jobs.error;
	return __real_job_start(s, j, request, action, last);
}

static struct {
	unsigned int n;
	char text[2][8192];
} records;

static void record(void *user, enum cgg_report kind, const char *text, size_t len)
{
	(void)user;
	(void)len;
	if (kind == CGG_REPORT_INCIDENT && strstr(text, "\"event\":\"incident\"") &&
	    records.n < CGG_ARRAY_LEN(records.text))
		snprintf(records.text[records.n++], sizeof(records.text[0]), "%s", text);
}

struct life {
	const char *top;
	struct cgg_guard *g;
	int large; /* its directory */
};

static struct life begin(const char *policy)
{
	struct life l = {.top = kit_tree(machine)};
	const struct cgg_guard_options options = {.report = record};

	records.n = 0;
	memset(&jobs, 0, sizeof(jobs));
	l.large = kit_tree_fd(l.top, "/large");
	l.g = kit_guard(l.top, policy, &options);
	return l;
}

static void end(struct life *l)
{
	kit_guard_end(l->g);
	close(l->large);
}

static const char *high(const struct life *l)
{
	static char text[64];

	if (fdio_read_line(l->large, "memory.high", text, sizeof(text)) < 0)
		text[0] = '\0'; /* it is being written */
	return text;
}

static void until_high(struct life *l, const char *value)
{
	uint64_t end_us = clock_now_us() + 5000000;

	while (strcmp(high(l), value) != 0 && clock_now_us() < end_us)
		kit_guard_turn(l->g);
	T_EQ_STR(high(l), value);
}

static void until_reported(struct life *l, unsigned int n)
{
	uint64_t end_us = clock_now_us() + 5000000;

	while (records.n < n && clock_now_us() < end_us)
		kit_guard_turn(l->g);
	T_EQ_INT(records.n, n);
}

TEST(memory_high_is_held_at_what_is_used_until_the_deadline)
{
	struct life l = begin(POLICY(THROTTLE("host", "300ms")));

	until_high(&l, LARGE);
	until_reported(&l, 1);
	T_EQ_STR(high(&l), "max"); /* before it is told */
	T_HAS(records.text[0], "\"outcome\":\"done\"");
	T_EQ_INT(brakes_count(&l.g->brakes), 0);
	end(&l);
}

TEST(the_end_of_the_guard_puts_it_back)
{
	struct life l = begin(POLICY(THROTTLE("host", "9s")));
	uint64_t start = clock_now_us();

	until_high(&l, LARGE);
	end(&l);
	T_ASSERT(clock_now_us() < start + 3000000);
	l.large = kit_tree_fd(l.top, "/large");
	T_EQ_STR(high(&l), "max");
	close(l.large);
}

TEST(a_reload_leaves_a_throttle_alone)
{
	struct life l = begin(POLICY(THROTTLE("host", "600ms")));

	until_high(&l, LARGE);
	T_EQ_INT(guard_set_policy(l.g, l.g->policy), 0);
	kit_guard_turn(l.g);
	T_EQ_STR(high(&l), LARGE);
	until_reported(&l, 1);
	T_EQ_STR(high(&l), "max");
	end(&l);
}

TEST(of_two_on_one_cgroup_the_lower_counts_and_each_ends_at_its_own_time)
{
	struct life l = begin(POLICY(THROTTLE("one", "300ms") ", " THROTTLE("two", "1500ms")));

	until_reported(&l, 1);
	T_HAS(records.text[0], "\"rule\":\"one\"");
	T_EQ_STR(high(&l), LARGE);
	until_reported(&l, 2);
	T_EQ_STR(high(&l), "max");
	end(&l);
}

TEST(what_others_write_meanwhile_is_told_and_put_back)
{
	struct life l = begin(POLICY(THROTTLE("host", "500ms")));

	until_high(&l, LARGE);
	kit_tree_write(l.top, "/large", "memory.high", "500000000\n", 10);
	kit_guard_turn(l.g);
	until_high(&l, LARGE);
	until_reported(&l, 1);
	T_EQ_STR(high(&l), "500000000");
	T_HAS(records.text[0], "\"drifted\":1");
	end(&l);
}

/* Its time is not waited for: what comes next in the ladder may be the kill. */
TEST(one_that_can_not_be_written_ends_at_once)
{
	static const struct {
		int error;
		const char *outcome;
	} rows[] = {{EACCES, "\"outcome\":\"failed\""},
		    {EMFILE, "\"outcome\":\"failed\""},
		    {ENOENT, "\"outcome\":\"unsupported\""}};

	for (size_t i = 0; i < CGG_ARRAY_LEN(rows); i++) {
		struct life l = begin(POLICY(THROTTLE("host", "9s")));

		T_ROW(strerror(rows[i].error));
		open_error = rows[i].error;
		until_reported(&l, 1);
		open_error = 0;
		T_HAS(records.text[0], rows[i].outcome);
		T_EQ_STR(high(&l), "max");
		end(&l);
	}
}

TEST(a_victim_that_is_removed_takes_its_throttle_along)
{
	struct life l = begin(POLICY(THROTTLE("host", "9s")));

	until_high(&l, LARGE);
	kit_tree_remove(l.top, "/large");
	for (int i = 0; i < 400 && tree_find(l.g->view.tree, "/large") != CGG_NONE; i++)
		kit_guard_turn(l.g);
	T_EQ_INT(tree_find(l.g->view.tree, "/large"), CGG_NONE);
	kit_guard_turn(l.g);
	T_EQ_INT(brakes_count(&l.g->brakes), 0);
	end(&l);
}

/* ---- what can't be begun ------------------------------------------------------------------ */

TEST(a_passing_shortage_takes_no_other_victim)
{
	static const int errors[] = {-EMFILE, -ENFILE, -ENOMEM};

	for (size_t i = 0; i < CGG_ARRAY_LEN(errors); i++) {
		struct life l = begin(POLICY(THROTTLE("host", "9s")));

		T_ROW(strerror(-errors[i]));
		jobs.error = errors[i];
		for (int k = 0; k < 1000 && jobs.n < 5; k++)
			kit_guard_turn(l.g);
		T_ASSERT(jobs.n >= 5);
		jobs.error = 0;
		until_high(&l, LARGE);
		T_EQ_INT(jobs.others, 0);
		T_EQ_INT(records.n, 0);
		end(&l);
	}
}

TEST(a_shortage_that_lasts_is_told_and_the_next_candidate_taken)
{
	struct life l = begin(POLICY(THROTTLE("host", "9s")));
	uint64_t start = clock_now_us();

	jobs.error = -EMFILE;
	until_reported(&l, 1);
	T_ASSERT(clock_now_us() - start >= 400000);
	T_HAS(records.text[0], "\"outcome\":\"failed\"");
	T_HAS(records.text[0], "\"errno\":24");
	for (int k = 0; k < 1000 && jobs.others == 0; k++)
		kit_guard_turn(l.g);
	T_ASSERT(jobs.others > 0);
	end(&l);
}

TEST(a_victim_that_is_gone_is_not_waited_for)
{
	struct life l = begin(POLICY(THROTTLE("host", "9s")));

	jobs.error = -ENOENT;
	until_reported(&l, 1);
	T_EQ_INT(jobs.n - jobs.others, 1);
	T_HAS(records.text[0], "\"outcome\":\"gone\"");
	end(&l);
}

/* Actions that hang have all the places: the ladder goes on without this one. */
TEST(an_action_without_a_place_is_passed_over)
{
	struct life l = begin(POLICY(THROTTLE("host", "9s")));
	struct signaller *s = &l.g->signaller;

	for (size_t i = 0; i < JOBS_OF_ACTIONS; i++) {
		s->job[i].is_action = true;
		atomic_store(&s->job[i].state, JOB_DONE);
		s->job[i].patience_us = UINT64_MAX;
	}
	until_reported(&l, 1);
	T_HAS(records.text[0], "\"outcome\":\"failed\"");
	T_EQ_INT(jobs.n, 0);
	for (size_t i = 0; i < JOBS_OF_ACTIONS; i++)
		atomic_store(&s->job[i].state, JOB_FREE);
	end(&l);
}

/* ---- the end of the guard ----------------------------------------------------------------- */

static struct {
	const struct life *life;
	uint64_t lifted_us; /* memory.high of the innocent one was as before */
	_Atomic bool over;
} seen;

static void *look_on(void *arg)
{
	int box = kit_tree_fd(seen.life->top, "/box");
	char text[64];

	(void)arg;
	while (!atomic_load(&seen.over) && seen.lifted_us == 0) {
		if (fdio_read_line(box, "memory.high", text, sizeof(text)) == 0 &&
		    strcmp(text, "max") == 0)
			seen.lifted_us = clock_now_us();
		usleep(1000);
	}
	close(box);
	return NULL;
}

/* A victim that does not die is waited for; who is at a brake, and has nothing to do with it, is not kept waiting. */
TEST(at_the_end_brakes_are_lifted_before_a_kill_is_waited_for)
{
	struct life l = begin(POLICY(
		"{\"name\": \"host\", \"domain\": \"/\", \"cooldown\": \"1h\", \"when\": "
		"{\"available_below\": \"10%\"}, \"then\": [{\"action\": \"kill\", \"deadline\": "
		"\"2s\"}]}, {\"name\": \"box\", \"each\": \"/box\", \"brake\": true, \"when\": "
		"{\"unreclaimable_above\": \"90%\"}, \"then\": [{\"action\": \"kill\"}]}"));
	uint64_t end_us = clock_now_us() + 5000000, start;
	pthread_t thread;

	while ((brakes_count(&l.g->brakes) == 0 || jobs.n == 0) && clock_now_us() < end_us)
		kit_guard_turn(l.g);
	T_EQ_INT(brakes_count(&l.g->brakes), 1);
	T_EQ_INT(jobs.n, 1);
	usleep(100000);
	seen.life = &l;
	T_MUST(pthread_create(&thread, NULL, look_on, NULL) == 0);
	usleep(20000);
	T_EQ_INT(seen.lifted_us, 0);
	start = clock_now_us();
	end(&l);
	T_ASSERT(clock_now_us() - start > 1000000); /* for the victim */
	atomic_store(&seen.over, true);
	pthread_join(thread, NULL);
	T_ASSERT(seen.lifted_us >= start && seen.lifted_us < start + 500000);
	T_EQ_INT(records.n, 1);
	T_HAS(records.text[0], "\"outcome\":\"unfinished\"");
}
