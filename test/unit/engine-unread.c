/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A guard on a machine made of files, some of which can't be opened for a while: whom it chooses, and where it
 * holds a brake.
 * Opening is wrapped (see meson.build), so that it fails where and when a test wants it to.
 */
#include "kit/policy.h"
#include "kit/t.h"
#include "kit/tree.h"

#include "engine/guard.h"
#include "util/clock.h"
#include "util/fdio.h"

#include <errno.h>
#include <fcntl.h>
#include <json-c/json.h>
#include <limits.h>
#include <poll.h>
#include <stdarg.h>
#include <sys/stat.h>
#include <unistd.h>

#define MS   1000ULL
#define EVER UINT_MAX

/* What can't be opened: a file of one cgroup, so many times. */
static struct {
	const char *file;
	ino_t dir;
	bool written; /* only to be written */
	int error;
	unsigned int times, opened, refused;
} broken;

int __real_openat64(int dirfd, const char *name, int flags, ...);
int __wrap_openat64(int dirfd, const char *name, int flags, ...);

int __wrap_openat64(int dirfd, const char *name, int flags, ...)
{
	unsigned int mode = 0;
	struct stat st;
	va_list ap;

	if (broken.file && strcmp(name, broken.file) == 0 && fstat(dirfd, &st) == 0 &&
	    st.st_ino == broken.dir && (!broken.written || flags & O_WRONLY)) {
		broken.opened++;
		if (broken.refused < broken.times) {
			broken.refused++;
			errno = broken.error;
			return -1;
		}
	}
	if (flags & O_CREAT) {
		va_start(ap, flags);
		mode = va_arg(ap, unsigned int);
		va_end(ap);
	}
	return __real_openat64(dirfd, name, flags, mode);
}

/* The first incident. */
struct told {
	struct json_object *incident;
	uint64_t when_us;
};

static void tell(void *user, enum cgg_report kind, const char *text, size_t len)
{
	struct told *told = user;

	(void)len;
	if (kind != CGG_REPORT_INCIDENT || told->incident)
		return;
	told->incident = json_tokener_parse(text);
	told->when_us = clock_now_us();
}

static const char *string(const struct told *told, const char *object, const char *key)
{
	struct json_object *o = told->incident;

	if (object)
		o = json_object_object_get(o, object);
	return o ? json_object_get_string(json_object_object_get(o, key)) : NULL;
}

#define GROUP(path, pid, mib)                                                                      \
	path " cgroup.procs=" pid " cgroup.events='populated 1\\n' memory.max=max "                \
	     "memory.oom.group=0 memory.swap.current=0 memory.current=" mib "000000 "              \
	     "memory.stat='anon " mib "000000\\ninactive_anon " mib "000000\\n'\n"

static const char machine[] =
	"root sys/fs/cgroup\n"
	"proc meminfo='MemTotal: 1048576 kB\\nMemFree: 9000 kB\\nMemAvailable: 20000 kB\\n"
	"SwapTotal: 0 kB\\nSwapFree: 0 kB\\n' vmstat='oom_kill 0\\n'\n"
	"/ cgroup.controllers='cpu memory\\n'\n" GROUP("/large", "2147483001", "400")
		GROUP("/next", "2147483002", "300") GROUP("/small", "2147483003", "20");

#define LOW(rank)                                                                                  \
	"{\"version\": 1, \"rules\": [{\"name\": \"host\", \"domain\": \"/\", \"cooldown\": "      \
	"\"0ms\", " rank                                                                           \
	"\"when\": {\"available_below\": \"10%\"}, \"then\": [{\"action\": \"kill\"}]}]}"

static const char by_taken[] = LOW("");
static const char by_gain[] = LOW("\"rank\": [\"priority\", \"gain\"], ");

static const char *rule = by_taken;

/* From the next attempt on. */
static void break_file(const char *top, const char *cgroup, const char *file, int error,
		       unsigned int times)
{
	int fd = kit_tree_fd(top, cgroup);
	struct stat st;

	T_MUST(fd >= 0 && fstat(fd, &st) == 0);
	close(fd);
	broken.dir = st.st_ino;
	broken.error = error;
	broken.times = times;
	broken.opened = broken.refused = 0;
	broken.written = false;
	broken.file = file;
}

static struct cgg_guard *guard_it(const char *top, const char *policy, struct cgg_guard_options *o)
{
	struct cgg_policy *loaded;
	struct cgg_error err = {0};
	struct cgg_tree *tree = NULL;
	struct cgg_guard *g = NULL;

	T_MUST(tree_open(top, &tree, &err) == 0);
	tree->root.live = true; /* for all that the guard can see */
	loaded = kit_load(policy, &err);
	T_MUST(loaded && guard_open(tree, loaded, o, &g, &err) == 0);
	return g;
}

static void end_it(struct cgg_guard *g)
{
	const struct cgg_policy *policy = g->policy;
	struct cgg_tree *tree = g->view.tree;

	broken.file = NULL;
	guard_close(g);
	cgg_policy_free((struct cgg_policy *)policy);
	tree_close(tree);
}

static void turn(struct cgg_guard *g)
{
	poll(&(struct pollfd){.fd = g->epoll_fd, .events = POLLIN}, 1, 5);
	T_MUST(guard_dispatch(g, NULL) == 0);
}

/* The loop is that late each time. */
static useconds_t late_us;

/* Guard the machine at top until the first incident; how long that took from the first look on. */
static uint64_t first_incident_at(const char *top, const char *cgroup, const char *file, int error,
				  unsigned int times, struct told *told)
{
	struct cgg_guard_options o = {.dry_run = true, .report = tell, .user = told};
	struct cgg_guard *g = guard_it(top, rule, &o);
	uint64_t start = clock_now_us();

	*told = (struct told){0};
	break_file(top, cgroup, file, error, times);
	while (!told->incident && clock_now_us() < start + 10000 * MS) {
		usleep(late_us);
		turn(g);
	}
	T_MUST(told->incident);
	end_it(g);
	return told->when_us - start;
}

static uint64_t first_incident(const char *cgroup, const char *file, int error, unsigned int times,
			       struct told *told)
{
	return first_incident_at(kit_tree(machine), cgroup, file, error, times, told);
}

TEST(a_larger_candidate_that_can_not_be_read_for_a_moment_is_read_again)
{
	static const char *const files[] = {"memory.stat", "memory.current", "cgroup.procs",
					    "memory.oom.group"};
	static const int errors[] = {ENOMEM, ENFILE, EMFILE, ENOMEM};

	for (size_t i = 0; i < CGG_ARRAY_LEN(files); i++) {
		struct told told;

		T_ROW(files[i]);
		first_incident("/large", files[i], errors[i], 3, &told);
		T_EQ_STR(string(&told, "victim", "cgroup"), "/large");
		T_EQ_INT(broken.refused, 3);
		T_ASSERT(!string(&told, NULL, "candidates_unread"));
		json_object_put(told.incident);
	}
}

TEST(a_loop_that_is_late_reads_it_again_before_it_passes_it_over)
{
	struct told told;

	late_us = 250 * MS;
	first_incident("/large", "memory.stat", ENFILE, 2, &told);
	late_us = 0;
	T_EQ_STR(string(&told, "victim", "cgroup"), "/large");
	json_object_put(told.incident);
}

TEST(one_that_can_never_be_read_does_not_protect_everybody_for_ever)
{
	struct told told;
	uint64_t took = first_incident("/large", "memory.stat", ENFILE, EVER, &told);

	T_EQ_STR(string(&told, "victim", "cgroup"), "/next");
	T_EQ_STR(string(&told, NULL, "candidates_unread"), "1");
	T_HAS(json_object_to_json_string(told.incident), "gain unknown");
	T_ASSERT(took >= 150 * MS);
	json_object_put(told.incident);
}

TEST(one_that_can_not_come_first_is_not_even_asked)
{
	static const struct {
		const char *rule, *has;
		bool asked;
	} rows[] = {{by_gain, "gain unknown", true}, {by_taken, "behind", false}};

	for (size_t i = 0; i < CGG_ARRAY_LEN(rows); i++) {
		struct told told;

		T_ROW(rows[i].has);
		rule = rows[i].rule;
		first_incident("/small", "memory.stat", EACCES, EVER, &told);
		rule = by_taken;
		T_EQ_STR(string(&told, "victim", "cgroup"), "/large");
		T_HAS(json_object_to_json_string(told.incident), rows[i].has);
		T_EQ_INT(broken.refused > 0, rows[i].asked);
		json_object_put(told.incident);
	}
}

TEST(one_that_is_too_small_or_only_forbidden_delays_nobody)
{
	static const struct {
		const char *cgroup, *victim;
		int error;
	} rows[] = {{"/small", "/large", ENOMEM}, {"/large", "/next", EACCES}};

	for (size_t i = 0; i < CGG_ARRAY_LEN(rows); i++) {
		struct told told;

		T_ROW(rows[i].cgroup);
		first_incident(rows[i].cgroup, "memory.stat", rows[i].error, EVER, &told);
		T_EQ_STR(string(&told, "victim", "cgroup"), rows[i].victim);
		T_ASSERT(broken.refused <= 2); /* not again and again */
		json_object_put(told.incident);
	}
}

TEST(what_the_kernel_killed_in_a_domain_that_is_its_own_victim_is_read_by_the_look_alone)
{
	const char *top = kit_tree(machine);
	struct told told;

	kit_tree_add(top, "root sys/fs/cgroup\n/large memory.max=410000000 "
			  "memory.events='oom 2\noom_kill 2\n' memory.events.local='oom 1\n'");
	rule = "{\"version\": 1, \"rules\": [{\"name\": \"box\", \"each\": \"/large\", \"when\": "
	       "{\"unreclaimable_above\": \"90%\"}, \"then\": [{\"action\": \"kill\"}]}]}";
	first_incident_at(top, "/large", "memory.events.local", 0, 0, &told);
	rule = by_taken;
	T_EQ_STR(string(&told, "victim", "cgroup"), "/large");
	T_EQ_INT(broken.opened, 1);
	json_object_put(told.incident);
}

/* ---- brakes ------------------------------------------------------------------------------ */

#define BRAKED                                                                                     \
	"{\"version\": 1, \"rules\": [{\"name\": \"box\", \"each\": \"/large\", \"brake\": %s, "   \
	"\"when\": {\"unreclaimable_above\": \"80%%\"}, \"then\": [{\"action\": \"kill\"}]}]}"

static bool has_brake(const char *top)
{
	char text[32] = "";
	int dirfd = kit_tree_fd(top, "/large");
	int fd = __real_openat64(dirfd, "memory.high", O_RDONLY | O_CLOEXEC);

	T_MUST(fdio_read(fd, text, sizeof(text)) > 0);
	close(fd);
	close(dirfd);
	return text[0] != 'm';
}

/* Until memory.high is, or is no longer, what it was; false: it has not come to that in this time. */
static bool comes_to(struct cgg_guard *g, const char *top, bool brake, uint64_t within_us)
{
	uint64_t until = clock_now_us() + within_us;

	while (has_brake(top) != brake && clock_now_us() < until)
		turn(g);
	return has_brake(top) == brake;
}

TEST(a_brake_that_can_not_be_set_or_lifted_for_a_moment_is_tried_again)
{
	static const struct {
		const char *name;
		int error;
		bool written, passing;
	} rows[] = {
		{"no memory to read", ENOMEM, false, true},
		{"no memory to write", ENOMEM, true, true},
		{"no fds of ours", EMFILE, false, true},
		{"no fds of the system's", ENFILE, true, true},
		{"not permitted", EACCES, true, false},
	};

	for (size_t i = 0; i < CGG_ARRAY_LEN(rows); i++) {
		const char *top = kit_tree(machine);
		struct cgg_guard_options o = {0};
		struct cgg_policy *with, *without;
		struct cgg_error err = {0};
		struct cgg_guard *g;
		char text[512];

		T_ROW(rows[i].name);
		kit_tree_add(top, "root sys/fs/cgroup\n/large memory.max=900000000 memory.high=max "
				  "memory.events.local='high 0\n'");
		snprintf(text, sizeof(text), BRAKED, "true");
		g = guard_it(top, text, &o);
		break_file(top, "/large", "memory.high", rows[i].error, 3);
		broken.written = rows[i].written;
		T_EQ_INT(comes_to(g, top, true, rows[i].passing ? 10000 * MS : 1000 * MS),
			 rows[i].passing);
		T_ASSERT(broken.refused >= 1);
		if (rows[i].passing) {
			snprintf(text, sizeof(text), BRAKED, "false");
			without = kit_load(text, &err);
			with = (struct cgg_policy *)g->policy;
			T_MUST(without);
			break_file(top, "/large", "memory.high", rows[i].error, 3);
			broken.written = rows[i].written;
			T_EQ_INT(guard_set_policy(g, without), 0);
			T_ASSERT(has_brake(top));
			T_ASSERT(comes_to(g, top, false, 10000 * MS));
			cgg_policy_free(with);
		}
		end_it(g);
	}
}
