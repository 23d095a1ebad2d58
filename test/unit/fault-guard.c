/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A guard from its start to its end, with one danger in between, and one system call that fails. The machine is
 * made of files, the processes are real ones. Whatever fails: the group in danger ends, no other does, the record
 * is true, limits are as before, and no fd is left open.
 */
#include "kit/kernel.h"
#include "kit/policy.h"

#include "engine/guard.h"
#include "util/clock.h"
#include "util/fdio.h"

#include <errno.h>
#include <json-c/json.h>
#include <poll.h>

#define SECOND 1000000ULL

#define GROUP(path, mib)                                                                           \
	path " memory.max=max memory.high=max memory.oom.group=0 memory.swap.current=0 "           \
	     "memory.current=" mib "000000 cgroup.kill= cgroup.freeze=0 "                          \
	     "memory.events='oom_kill 0\\n' memory.events.local='high 0\\n' "                      \
	     "memory.stat='anon " mib "000000\\ninactive_anon " mib "000000\\n'\n"
#define HOST(kb)                                                                                   \
	"MemTotal: 1048576 kB\nMemFree: 9000 kB\nMemAvailable: " kb " kB\n"                        \
	"SwapTotal: 0 kB\nSwapFree: 0 kB\n"

static const char machine[] = "root sys/fs/cgroup\n"
			      "proc vmstat='oom_kill 0\\n'\n"
			      "/ cgroup.controllers='cpu memory\\n'\n" GROUP("/h", "20");
static const char large[] = "root sys/fs/cgroup\n" GROUP("/g", "400");

/* What happens in the third turn of the loop. */
enum event { NOTHING, A_RELOAD, A_NEWCOMER };

struct scenario {
	const char *policy;
	enum event event;
	bool begun; /* the large group is there */
	char dir[32]; /* the guard's state */
	const char *top;
	struct cgg_policy *loaded;
	struct kit_group g, h;
	struct json_object *first; /* record */
	unsigned int nrecords, nfired;
};

static void put(int dirfd, const char *file, const char *text)
{
	struct kit_group at = {.dirfd = dirfd};

	kit_group_put(&at, file, text);
}

/* Memory comes back with the last of the large group. */
static void on_empty(struct kit_group *g)
{
	put(g->dirfd, "memory.stat", "anon 0\ninactive_anon 0\n");
	put(g->dirfd, "memory.current", "0\n");
	put(g->procfd, "meminfo", HOST("500000"));
}

static void say(const struct kit_group *g, unsigned int kib)
{
	char text[512];

	for (size_t i = 0; i < g->n; i++) {
		snprintf(text, sizeof(text),
			 "proc/%d oom_score_adj=0 stat='%d (x) S 1 1 1 0 -1 0 0 0 0 0 0 0 0 0 20 0 "
			 "1 0 "
			 "7 0 %u\\n' status='VmRSS: %u kB\\n'",
			 g->pid[i], g->pid[i], kib / 4, kib);
		kit_tree_add(g->top, text);
	}
}

static void start_one(struct scenario *s, struct kit_group *g, const char *path, size_t n,
		      void (*on_empty_fn)(struct kit_group *g))
{
	kit_group_prepare(g, s->top, path, n);
	close(g->procfd);
	g->procfd = kit_tree_fd(s->top, "proc");
	say(g, 1000);
	g->on_empty = on_empty_fn;
	kit_group_keep_on(g);
}

static void start_large(struct scenario *s)
{
	kit_tree_add(s->top, large);
	start_one(s, &s->g, "/g", 2, on_empty);
	s->begun = true;
}

static void start(struct scenario *s)
{
	kit_tree_add(s->top, machine);
	kit_tree_add(s->top, large);
	kit_tree_remove(s->top, "/g");
	s->begun = false;
	start_one(s, &s->h, "/h", 1, NULL);
	s->g = (struct kit_group){.top = s->top, .dirfd = -1, .procfd = -1};
	if (s->event != A_NEWCOMER)
		start_large(s);
	put(s->h.procfd, "meminfo", HOST("20000"));
	kit_kernel_start(&s->g, &s->h);
	s->first = NULL;
	s->nrecords = 0;
}

static void end_one(struct kit_group *g)
{
	char path[32];

	kit_group_end(g);
	for (size_t i = 0; i < g->n; i++) {
		snprintf(path, sizeof(path), "proc/%d", g->pid[i]);
		kit_tree_remove(g->top, path);
	}
}

static void on_report(void *user, enum cgg_report kind, const char *text, size_t len)
{
	struct scenario *s = user;

	(void)len;
	if (kind != CGG_REPORT_INCIDENT)
		return;
	s->nrecords++;
	if (!s->first)
		s->first = json_tokener_parse(text);
}

static void on_nothing(void *user, enum cgg_report kind, const char *text, size_t len)
{
	(void)user;
	(void)kind;
	(void)text;
	(void)len;
}

static bool is_gone(struct kit_group *g)
{
	for (size_t i = 0; i < g->n; i++) {
		if (!kit_is_killed(g->pid[i]))
			return false;
	}
	return true;
}

/* The kernel has said that a cgroup or a process is no more: then the other one may be the larger. */
static bool says_gone(const struct fault *f)
{
	return f && (f->error == ENODEV || f->error == ENOENT || f->error == ESRCH);
}

/* As a daemon does that is told to reload: again, until it has worked. */
static void reload(struct scenario *s, struct cgg_guard *g)
{
	for (int i = 0; i < 20 && guard_set_policy(g, s->loaded) < 0; i++)
		usleep(1000);
}

static void happens(struct scenario *s, struct cgg_guard *g)
{
	if (s->event == A_RELOAD) {
		reload(s, g);
	} else if (s->event == A_NEWCOMER) {
		fault_pause();
		start_large(s);
		fault_resume();
	}
}

/* Guard until the large group is dead and the record of it is written, or for so long. */
static void guard_for_a_while(struct scenario *s, struct cgg_guard *g, const struct fault *f)
{
	uint64_t until = clock_now_us() + (f && f->lasting ? SECOND : 8 * SECOND);
	bool busy = true;
	int turn = 0, r;

	while ((!s->begun || kit_group_alive(&s->g) > 0 || !s->first || busy) &&
	       clock_now_us() < until) {
		struct cgg_error err = {0};

		poll(&(struct pollfd){.fd = g->epoll_fd, .events = POLLIN}, 1, 20);
		r = guard_dispatch(g, &err);
		if (r == -ENODEV && says_gone(f)) /* of the root */
			break;
		T_EQ_INT(r, 0);
		if (++turn == 3)
			happens(s, g);
		guard_state(g, &busy, NULL, NULL);
	}
}

static void check_value(const struct kit_group *g, const char *file, const char *want)
{
	char text[64] = "";

	T_ASSERT(fdio_read_at(g->dirfd, file, text, sizeof(text)) > 0);
	T_EQ_STR(text, want);
}

static const char *victim(struct scenario *s)
{
	struct json_object *v = json_object_object_get(s->first, "victim");

	return v ? json_object_get_string(json_object_object_get(v, "cgroup")) : NULL;
}

/* Where it lasts, or is forbidden, there may be nothing that the guard can do. */
static bool may_fail(const struct fault *f)
{
	return f && (f->lasting || f->error == EACCES || f->error == EPERM);
}

/* What the guard is forbidden to read it passes over. */
static bool may_be_another(const struct fault *f)
{
	return says_gone(f) || (f && f->error == EACCES);
}

static void check(struct scenario *s, const struct fault *f, bool opened)
{
	T_ASSERT(may_be_another(f) || !is_gone(&s->h));
	if (!opened) {
		T_ASSERT(f && (!s->begun || !is_gone(&s->g)) && s->nrecords == 0);
		return;
	}
	T_ASSERT(says_gone(f) || may_fail(f) || is_gone(&s->g));
	T_ASSERT(says_gone(f) || may_fail(f) || s->first != NULL);
	if (s->first && !may_be_another(f) && (victim(s) || !may_fail(f)))
		T_EQ_STR(victim(s), "/g");
	check_value(&s->h, "memory.high", "max\n");
	if (says_gone(f) || !s->begun)
		return;
	check_value(&s->g, "memory.high", "max\n");
	check_value(&s->g, "cgroup.freeze", "0\n");
}

/* What could not be put back is by the next start. */
static void start_again(struct scenario *s)
{
	struct cgg_guard_options o = {.report = on_nothing, .state_dir = s->dir};
	struct cgg_policy *harmless =
		kit_load("{\"version\": 1, \"rules\": [{\"name\": \"r\", " RULE "}]}", NULL);
	struct cgg_tree *tree = NULL;
	struct cgg_guard *g;

	fault_begin(NULL);
	T_MUST(harmless && tree_open(s->top, &tree, NULL) == 0);
	tree->root.live = true;
	T_ASSERT(guard_open(tree, harmless, &o, &g, NULL) == 0);
	guard_close(g);
	tree_close(tree);
	fault_end();
	cgg_policy_free(harmless);
}

static void run(void *user, const struct fault *f, const char *row)
{
	struct scenario *s = user;
	struct cgg_guard_options o = {.report = on_report, .user = user, .state_dir = s->dir};
	struct cgg_error err = {0};
	struct cgg_tree *tree = NULL;
	struct cgg_guard *g = NULL;
	struct cgg_policy *other = kit_load("{\"version\": 1, " RULES, &err);
	struct fault_seen seen;
	unsigned int fds;
	int r;

	T_ROW(row);
	s->loaded = kit_load(s->policy, &err);
	T_MUST(s->loaded && other);
	start(s);
	fds = kit_count_fds();
	fault_begin(f);
	r = tree_open(s->top, &tree, &err);
	if (r == 0) {
		tree->root.live = true; /* for all that the guard can see */
		r = guard_open(tree, s->event == A_RELOAD ? other : s->loaded, &o, &g, &err);
	}
	if (r == 0) {
		guard_for_a_while(s, g, f);
		guard_close(g);
	} else {
		T_ASSERT(r < 0 && err.msg[0]);
	}
	tree_close(tree);
	seen = fault_end();
	s->nfired += seen.fired;
	if (fault_is_filtered())
		printf("# %s of '%s'\n", row, seen.what);
	if (s->event == A_NEWCOMER && s->begun)
		fds += 2; /* the test's own, of the group */
	T_EQ_INT(kit_count_fds(), fds);
	if (!f)
		fault_ran(&seen);
	if (f && f->lasting)
		start_again(s);
	check(s, f, r == 0);
	cgg_policy_free(s->loaded);
	cgg_policy_free(other);
	json_object_put(s->first);
	if (s->begun)
		end_one(&s->g);
	end_one(&s->h);
}

static void all_faults(const char *policy, enum event event)
{
	static struct scenario s;

	s = (struct scenario){.policy = policy, .event = event};
	snprintf(s.dir, sizeof(s.dir), "/dev/shm/fault-guard.XXXXXX");
	T_MUST(mkdtemp(s.dir));
	s.top = kit_tree(machine);
	fault_each(run, &s, event == NOTHING ? 6 : 4);
	T_ROW(NULL);
	T_ASSERT(fault_is_filtered() || s.nfired > 40);
	kit_tree_into(s.dir, "");
}

static const char ladder[] =
	"{\"version\": 1, \"rules\": [{\"name\": \"box\", \"each\": \"/g\", "
	"\"brake\": true, \"cooldown\": \"0ms\", \"when\": {\"usage_above\": \"300Mi\"}, "
	"\"then\": [{\"action\": \"throttle\", \"for\": \"10ms\"}, "
	"{\"action\": \"freeze\", \"for\": \"10ms\"}, "
	"{\"action\": \"terminate\", \"grace\": \"2s\"}, "
	"{\"action\": \"kill\", \"scope\": \"group\"}]}]}";

static const char host[] = "{\"version\": 1, \"rules\": [{\"name\": \"host\", \"domain\": \"/\", "
			   "\"cooldown\": \"0ms\", \"when\": {\"available_below\": \"10%\"}, "
			   "\"then\": [{\"action\": \"kill\", \"scope\": \"group\"}]}]}";

/* Its members end when they are asked to. */
TEST(a_ladder_in_a_limit)
{
	all_faults(ladder, NOTHING);
}

TEST(a_kill_for_the_host)
{
	all_faults(host, NOTHING);
}

TEST(a_kill_by_a_policy_that_is_reloaded)
{
	all_faults(ladder, A_RELOAD);
}

TEST(a_kill_of_a_group_that_has_come_meanwhile)
{
	all_faults(ladder, A_NEWCOMER);
}
