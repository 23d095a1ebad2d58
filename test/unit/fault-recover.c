/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The start after a crash, with one system call that fails. Whatever fails: what the crash left changed is put back at
 * this start, or at the next, or the guard says that it is not. A value of others stands.
 */
#include "kit/kernel.h"
#include "kit/policy.h"

#include "engine/brake.h"
#include "engine/guard.h"
#include "util/fdio.h"

#include <errno.h>

static const char machine[] =
	"root sys/fs/cgroup\n"
	"proc vmstat='oom_kill 0\\n' meminfo='MemTotal: 1024 kB\\nMemAvailable: 900 kB\\n'\n"
	"/ cgroup.controllers='cpu memory\\n'\n"
	"/g memory.current=4096 memory.max=max memory.high=4096 cgroup.freeze=1 "
	"cpu.max='max 100000\\n'\n";

struct scenario {
	char dir[40];
	const char *top;
	struct kit_group g;
	struct cgg_policy *policy;
	unsigned int nfired, nnotices;
};

static void put(const struct scenario *s, const char *file, const char *value)
{
	kit_group_put(&s->g, file, value);
}

/* A run that froze a group, throttled it and lifted its cpu.max, and crashed. */
static void crash(struct scenario *s)
{
	struct journal j;
	struct stat st;

	put(s, "memory.high", "4096\n");
	put(s, "cgroup.freeze", "1\n");
	put(s, "cpu.max", "max 100000\n");
	T_MUST(fstat(s->g.dirfd, &st) == 0);
	T_MUST(journal_init(&j, s->dir, GUARD_BRAKES_MAX, NULL) == 0);
	T_MUST(journal_add(&j, st.st_ino, "/g", JOURNAL_HIGH, "max", "4096"));
	T_MUST(journal_add(&j, st.st_ino, "/g", JOURNAL_FREEZE, "0", "1"));
	T_MUST(journal_add(&j, st.st_ino, "/g", JOURNAL_CPU_MAX, "5000 100000", "max 100000"));
	T_MUST(journal_add(&j, st.st_ino + 1000, "/gone", JOURNAL_FREEZE, "0", "1"));
	journal_finish(&j);
}

static bool is(const struct scenario *s, const char *file, const char *want)
{
	char text[64] = "";

	return fdio_read_line(s->g.dirfd, file, text, sizeof(text)) == 0 && strcmp(text, want) == 0;
}

static bool is_put_back(const struct scenario *s)
{
	return is(s, "memory.high", "max") && is(s, "cgroup.freeze", "0") &&
	       is(s, "cpu.max", "5000 100000");
}

static void on_report(void *user, enum cgg_report kind, const char *text, size_t len)
{
	struct scenario *s = user;

	(void)len;
	s->nnotices += kind == CGG_REPORT_NOTICE &&
		       (strstr(text, "not be put back") || strstr(text, "not put back") ||
			strstr(text, "cannot put back"));
}

/* With that fault, NULL: none. 0, or why the guard could not be opened. */
static int start(struct scenario *s, const struct fault *f, struct fault_seen *ret_seen)
{
	struct cgg_guard_options o = {.report = on_report, .user = s, .state_dir = s->dir};
	struct cgg_error err = {0};
	struct cgg_tree *tree = NULL;
	struct cgg_guard *g = NULL;
	int r;

	fault_begin(f);
	r = tree_open(s->top, &tree, &err);
	if (r == 0) {
		tree->root.live = true; /* for all that the guard can see */
		r = guard_open(tree, s->policy, &o, &g, &err);
	}
	T_ASSERT(r == 0 || err.msg[0]);
	guard_close(g);
	tree_close(tree);
	*ret_seen = fault_end();
	return r;
}

static void run(void *user, const struct fault *f, const char *row)
{
	struct scenario *s = user;
	struct fault_seen seen;
	unsigned int fds;

	T_ROW(row);
	crash(s);
	s->nnotices = 0;
	fds = kit_count_fds();
	(void)start(s, f, &seen);
	s->nfired += seen.fired;
	if (!f)
		fault_ran(&seen);
	T_EQ_INT(kit_count_fds(), fds);
	if (is_put_back(s))
		return;
	T_ASSERT(f != NULL);
	/* said, or the kernel has said that the cgroup is no more */
	if (s->nnotices > 0 || (f && (f->error == ENOENT || f->error == ENODEV)))
		return;
	T_EQ_INT(start(s, NULL, &seen), 0);
	T_ASSERT(is_put_back(s));
}

static void begin(struct scenario *s)
{
	struct cgg_error err = {0};

	*s = (struct scenario){.dir = "/dev/shm/fault-recover.XXXXXX", .top = kit_tree(machine)};
	T_MUST(mkdtemp(s->dir));
	s->g.dirfd = kit_tree_fd(s->top, "/g");
	s->policy = kit_load("{\"version\": 1, " RULES, &err);
	T_MUST(s->policy);
	kit_kernel_start(&s->g, NULL);
}

static void end(struct scenario *s)
{
	close(s->g.dirfd);
	cgg_policy_free(s->policy);
	kit_tree_into(s->dir, "");
}

TEST(what_a_crash_left_is_put_back_or_said)
{
	static struct scenario s;

	begin(&s);
	fault_each(run, &s, 8);
	T_ASSERT(fault_is_filtered() || s.nfired > 40);
	end(&s);
}

TEST(a_value_that_others_have_written_since_stands)
{
	static struct scenario s;
	struct fault_seen seen;

	begin(&s);
	crash(&s);
	put(&s, "memory.high", "12288\n");
	T_EQ_INT(start(&s, NULL, &seen), 0);
	T_ASSERT(is(&s, "memory.high", "12288"));
	T_ASSERT(is(&s, "cgroup.freeze", "0"));
	end(&s);
}
