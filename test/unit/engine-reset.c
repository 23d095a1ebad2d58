/* SPDX-License-Identifier: Apache-2.0 */
/* What was set for a container, and others reset: what is put back, how often, and when it is told. */
#include "kit/t.h"
#include "kit/tree.h"

#include "engine/guard.h"
#include "hook/record.h"
#include "util/clock.h"

#include <fcntl.h>
#include <sys/epoll.h>
#include <sys/stat.h>

#define MINUTE 60000000ULL
#define HIGH   "134217728"

static struct cgg_guard *g;
static struct cgg_owners *owners;
static const char *top;
static uint64_t now; /* of what is told */
static unsigned int notices;
static char notice[512];

static void on_report(void *user, enum cgg_report kind, const char *text, size_t len)
{
	(void)user;
	(void)kind;
	notices++;
	snprintf(notice, sizeof(notice), "%.*s", (int)len, text);
}

/* As the kernel's files take it: at once, and a shorter value ends at its newline. */
static void put(const char *file, const char *value)
{
	CGG_AUTO_FD dir = kit_tree_fd(top, "/box");
	CGG_AUTO_FD fd = openat(dir, file, O_WRONLY | O_CLOEXEC);
	char text[32];
	int len = snprintf(text, sizeof(text), "%s\n", value);

	T_MUST(fd >= 0 && write(fd, text, (size_t)len) == len);
}

static const char *got(const char *file)
{
	static char text[64];
	CGG_AUTO_FD dir = kit_tree_fd(top, "/box");
	CGG_AUTO_FD fd = openat(dir, file, O_RDONLY | O_CLOEXEC);
	ssize_t n = read(fd, text, sizeof(text) - 1);

	T_MUST(n > 0);
	text[n] = '\0';
	text[strcspn(text, "\n")] = '\0';
	return text;
}

static void on_file(void *user, int wd)
{
	struct watches *all = &g->files.watches[WATCHES_OF_LIMITS];
	struct watch w;

	(void)user;
	watches_fire(all, wd);
	while (watches_take(all, &w))
		reset_on_file(g, w.index, w.handle, now);
}

static void catch_up(void)
{
	tree_events_read(g->view.tree, g->view.tree->inotify_fd, on_file, NULL);
}

/* As a daemon-reload does it. */
static void reload(void)
{
	put("memory.min", "0");
	put("memory.high", "max");
	put("memory.oom.group", "0");
	catch_up();
}

/* Registered, and what was asked for has been set. */
static void registered(void)
{
	static char state_dir[256];
	struct state state = {.id = "c1", .owner.inside = ""};
	struct place place = {.path = "/box"};
	CGG_AUTO_FD box = kit_tree_fd(top, "/box");
	CGG_AUTO_FD dir = -1;
	struct stat st;

	T_MUST(fstat(box, &st) == 0);
	place.id = place.applied.id = st.st_ino;
	snprintf(place.applied.set[0].value, PLACE_VALUE_MAX, "1");
	snprintf(place.applied.set[0].before, PLACE_VALUE_MAX, "0");
	snprintf(place.applied.set[1].value, PLACE_VALUE_MAX, HIGH);
	snprintf(place.applied.set[1].before, PLACE_VALUE_MAX, "max");
	snprintf(state_dir, sizeof(state_dir), "%s/state", top);
	dir = record_dir(state_dir, true);
	T_MUST(dir >= 0 && record_write(dir, &state, &place) == 0);
	T_MUST(cgg_owners_open(state_dir, NULL, true, &owners, NULL) == 0);
}

static void start(const char *current)
{
	static struct guard_seen seen[2];
	static struct cgg_guard guard;
	char text[256];

	snprintf(text, sizeof(text),
		 "/box memory.min=0 memory.oom.group=1 memory.high=" HIGH " memory.current=%s",
		 current);
	top = kit_tree(text);
	g = &guard;
	*g = (struct cgg_guard){.epoll_fd = epoll_create1(EPOLL_CLOEXEC),
				.files = {.view = &guard.view, .events_fd = -1},
				.seen = seen,
				.options.report = on_report};
	seen[0] = seen[1] = (struct guard_seen){.reset = CGG_NONE, .domain = CGG_NONE};
	T_MUST(watches_init(&g->files.watches[WATCHES_OF_LIMITS]) == 0);
	registered();
	g->options.owners = owners;
	T_MUST(tree_open(top, &g->view.tree, NULL) == 0 && tree_watch(g->view.tree) == 0);
	T_MUST(writer_init(&g->signaller.writer) == 0 && reset_init(g, NULL) == 0);
	now = clock_now_us() + 2 * MINUTE;
	notices = 0;
}

static void stop(void)
{
	reset_finish(&g->resets);
	T_MUST(writer_finish(&g->signaller.writer));
	watches_finish(&g->files.watches[WATCHES_OF_LIMITS]);
	owners = cgg_owners_close(owners);
	tree_close(g->view.tree);
	close(g->epoll_fd);
}

TEST(what_systemd_resets_is_put_back_and_what_is_written_by_hand_stays)
{
	start("4096");
	reload();
	T_EQ_STR(got("memory.oom.group"), "1");
	T_EQ_STR(got("memory.high"), HIGH);
	T_EQ_INT(g->resets.undone, 2);
	catch_up(); /* our own writes */
	put("memory.oom.group", "0");
	catch_up();
	reload();
	T_EQ_STR(got("memory.oom.group"), "0");
	T_EQ_STR(got("memory.high"), HIGH);
	catch_up();
	put("memory.oom.group", "1");
	catch_up();
	reload();
	T_EQ_STR(got("memory.oom.group"), "1");
	T_EQ_INT(notices, 0);
	T_EQ_INT(g->resets.due_us, UINT64_MAX);
	stop();
}

TEST(a_file_that_is_opened_before_it_is_written_is_told_of_twice)
{
	start("4096");
	put("memory.min", "0");
	put("memory.high", HIGH); /* as it is: as open() with O_TRUNC is told of */
	catch_up();
	put("memory.high", "max");
	catch_up();
	T_EQ_STR(got("memory.high"), HIGH);
	catch_up();
	/* memory.oom.group was not written: long after, it is by hand */
	now += RESET_WRITE_US;
	put("memory.oom.group", "0");
	catch_up();
	T_EQ_STR(got("memory.oom.group"), "0");
	stop();
}

TEST(who_resets_more_than_thirty_times_in_a_minute_wins_until_it_is_over_and_is_told_once)
{
	uint64_t began;

	start("4096");
	began = now;
	for (int i = 0; i < RESET_PUTS_MAX / 2; i++, now += MINUTE / 100) {
		reload();
		T_EQ_STR(got("memory.oom.group"), "1");
	}
	T_EQ_INT(g->resets.undone, RESET_PUTS_MAX);
	T_EQ_INT(notices, 0);
	for (int i = 0; i < 5; i++) {
		reload();
		T_EQ_STR(got("memory.oom.group"), "0");
		T_EQ_STR(got("memory.high"), "max");
	}
	T_EQ_INT(notices, 1);
	T_HAS(notice, "what was set for the container in '/box' was reset more than 30 times in a "
		      "minute: memory.high is left at max until the minute is over");
	T_ASSERT(g->lack[LACK_RESET][0] != '\0');
	T_EQ_INT(g->resets.undone, RESET_PUTS_MAX);
	/* it has stopped: all is put back when the minute is over, not before */
	T_EQ_INT(g->resets.due_us, began + MINUTE);
	reset_work(g, began + MINUTE - 1);
	T_EQ_STR(got("memory.oom.group"), "0");
	now = began + MINUTE;
	reset_work(g, now);
	T_EQ_STR(got("memory.oom.group"), "1");
	T_EQ_STR(got("memory.high"), HIGH);
	T_EQ_INT(g->resets.undone, RESET_PUTS_MAX + 2);
	T_EQ_INT(g->resets.due_us, UINT64_MAX);
	T_EQ_STR(g->lack[LACK_RESET], "");
	/* it goes on: told in that minute again, and once */
	catch_up();
	for (int i = 0; i < RESET_PUTS_MAX; i++)
		reload();
	T_EQ_STR(got("memory.oom.group"), "0");
	T_EQ_INT(notices, 2);
	stop();
}

TEST(what_somebody_has_given_meanwhile_is_not_put_back_when_the_minute_is_over)
{
	start("4096");
	for (int i = 0; i < RESET_PUTS_MAX; i++)
		reload();
	put("memory.min", "0");
	put("memory.high", "268435456");
	catch_up();
	now += MINUTE;
	reset_work(g, now);
	T_EQ_STR(got("memory.high"), "268435456");
	T_EQ_STR(got("memory.oom.group"), "1");
	T_EQ_STR(g->lack[LACK_RESET], "");
	stop();
}

TEST(what_finds_no_room_among_what_waits_to_be_written_is_written_later)
{
	static const char page[65536];
	int pipes[2], n = 0;
	char buf[64];

	start("134217728"); /* so that to write memory.high would reclaim */
	T_MUST(pipe(pipes) == 0 && fcntl(pipes[1], F_SETPIPE_SZ, 65536) == 65536);
	T_MUST(write(pipes[1], page, sizeof(page)) == sizeof(page));
	while (writer_put(&g->signaller.writer, dup(pipes[1]), "x"))
		n++;
	T_EQ_INT(n, WRITER_QUEUE);
	reload();
	T_EQ_STR(got("memory.oom.group"), "1");
	T_EQ_STR(got("memory.high"), "max");
	T_EQ_INT(g->resets.due_us, now + RESET_AGAIN_US);
	T_EQ_INT(notices, 0);
	close(pipes[1]);
	for (ssize_t left = sizeof(page) + WRITER_QUEUE, r; left > 0; left -= r)
		T_MUST((r = read(pipes[0], buf, sizeof(buf))) > 0);
	for (size_t i = 0; i < WRITER_QUEUE; i++) {
		while (atomic_load(&g->signaller.writer.order[i].state) != WRITER_FREE)
			usleep(1000);
	}
	now += RESET_AGAIN_US;
	reset_work(g, now);
	for (int i = 0; i < 1000 && strcmp(got("memory.high"), HIGH) != 0; i++)
		usleep(10000);
	T_EQ_STR(got("memory.high"), HIGH);
	close(pipes[0]);
	stop();
}

TEST(where_writes_are_not_told_of_it_is_seen_by_its_value)
{
	start("4096");
	put("memory.oom.group", "0");
	put("memory.high", "max");
	reset_look(g, now);
	T_EQ_STR(got("memory.oom.group"), "1");
	T_EQ_STR(got("memory.high"), HIGH);
	T_EQ_INT(g->resets.undone, 2);
	put("memory.high", "268435456");
	reset_look(g, now);
	T_EQ_STR(got("memory.high"), "268435456");
	stop();
}
