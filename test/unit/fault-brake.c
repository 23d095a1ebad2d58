/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Brakes are set and let go while one system call fails. Whatever fails: memory.high holds the guard's value or what
 * was there before, the journal says which, all is put back at the end, and no fd is left open.
 */
#include "kit/brake.h"
#include "kit/kernel.h"

#include "brake/host.h"
#include "util/clock.h"
#include "util/fdio.h"

#define MIB    1048576ULL
#define KEEPS  (8 + BRAKE_SPARE)
#define THEIRS "1073741824"

static const char machine[] =
	"root sys/fs/cgroup\nproc vmstat=\n/ cgroup.controllers=memory\n"
	"/a memory.high=" THEIRS " memory.current=104857600 memory.events.local='high 0'\n"
	"/b memory.high=" THEIRS " memory.current=209715200 memory.events.local='high 0'\n";

struct scenario {
	const char *top;
	char dir[32];
	bool host;
	const char *
		before; /* in memory.high: of the host's brakes others' own value, of rules nobody's */
	struct kit_group a, b;
	struct cgg_tree *tree;
	struct journal journal;
	struct brakes brakes;
	struct kit_refusals refusals; /* whatever they are */
	unsigned int nfired;
};

static const char *high(const struct kit_group *g)
{
	static char text[64];

	T_MUST(fdio_read_line(g->dirfd, "memory.high", text, sizeof(text)) == 0);
	return text;
}

/* As the loop does: again after a while, if something was left to do. */
static void flush(struct scenario *s)
{
	for (int i = 0; i < 20; i++) {
		brakes_flush(&s->brakes);
		if (!brakes_pending(&s->brakes))
			return;
	}
}

static void set(struct scenario *s, struct host_brake *host)
{
	uint32_t a = tree_find(s->tree, "/a"), b = tree_find(s->tree, "/b");

	if (s->host) {
		(void)host_brake_match(host, &s->brakes, true);
		(void)host_brake_spread(host, &s->brakes, 256 * MIB, 1024 * MIB, clock_now_us());
	} else {
		T_ASSERT(brakes_want(&s->brakes, a, BRAKE_RULE, 228 * MIB) == 0);
		T_ASSERT(brakes_want(&s->brakes, b, BRAKE_RULE, 328 * MIB) == 0);
	}
	flush(s);
}

/* Nothing fails any more: where the guard ended with a value of its own, the next start knows. */
static void on_left(void *user, const struct journal_record *r, const char *path)
{
	struct scenario *s = user;
	struct kit_group *g = strcmp(path, "/a") == 0 ? &s->a : &s->b;

	T_EQ_STR(r->before, s->before);
	if (strcmp(high(g), r->after) == 0 || strcmp(high(g), r->was) == 0)
		kit_group_put(g, "memory.high", s->before);
}

static void run(void *user, const struct fault *f, const char *row)
{
	static const char *const held[] = {"239075328", "343932928"};
	struct scenario *s = user;
	struct host_brake host = {.n = 0};
	struct fault_seen seen;
	unsigned int fds;
	bool opened;

	T_ROW(row);
	kit_group_put(&s->a, "memory.high", s->before);
	kit_group_put(&s->b, "memory.high", s->before);
	fds = kit_count_fds();
	fault_begin(f);
	opened = tree_open(s->top, &s->tree, NULL) == 0;
	if (opened && tree_scan(s->tree, NULL) == 0) {
		(void)journal_init(&s->journal, s->dir, KEEPS, NULL);
		if (brakes_init(&s->brakes, 8, s->tree, &s->journal, NULL, &kit_brake_ops,
				&s->refusals) == 0) {
			if (s->journal.place == JOURNAL_IN_FILE &&
			    tree_find(s->tree, "/a") != CGG_NONE &&
			    tree_find(s->tree, "/b") != CGG_NONE)
				set(s, &host);
			fault_pause();
			T_ASSERT(f || (strcmp(high(&s->a), held[0]) == 0 &&
				       brakes_count(&s->brakes) == 2));
			T_ASSERT(strcmp(high(&s->a), held[0]) == 0 ||
				 strcmp(high(&s->a), s->before) == 0);
			T_ASSERT(strcmp(high(&s->b), held[1]) == 0 ||
				 strcmp(high(&s->b), s->before) == 0);
			fault_resume();
			brakes_deinit(&s->brakes);
		}
		journal_finish(&s->journal);
	}
	tree_close(s->tree);
	s->tree = NULL;
	seen = fault_end();
	s->nfired += seen.fired;
	if (!f)
		fault_ran(&seen);
	T_EQ_INT(kit_count_fds(), fds);
	if (f && journal_init(&s->journal, s->dir, KEEPS, NULL) == 0) {
		T_ASSERT(journal_recover(&s->journal, on_left, s) >= 0);
		journal_finish(&s->journal);
	}
	T_EQ_STR(high(&s->a), s->before);
	T_EQ_STR(high(&s->b), s->before);
}

static void all_faults(bool host, const char *before)
{
	static struct scenario s;

	s = (struct scenario){.dir = "/dev/shm/fault-brake.XXXXXX",
			      .host = host,
			      .before = before,
			      .top = kit_tree(machine)};
	T_MUST(mkdtemp(s.dir));
	s.a.dirfd = kit_tree_fd(s.top, "/a");
	s.b.dirfd = kit_tree_fd(s.top, "/b");
	kit_kernel_start(&s.a, &s.b);
	fault_each(run, &s, 20);
	T_ROW(NULL);
	T_ASSERT(fault_is_filtered() || s.nfired > 20);
	close(s.a.dirfd);
	close(s.b.dirfd);
	kit_tree_into(s.dir, "");
}

TEST(the_brakes_of_rules)
{
	all_faults(false, "max");
}

TEST(the_brakes_of_the_host)
{
	all_faults(true, THEIRS);
}
