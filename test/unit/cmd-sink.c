/* SPDX-License-Identifier: Apache-2.0 */
/* The sink: in order, whole lines, and never a wait for who does not read. */
#include "kit/t.h"
#include "kit/tree.h"

#include "../cmd/sink.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <time.h>

static uint64_t now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

static void sleep_ms(long ms)
{
	nanosleep(&(struct timespec){.tv_nsec = ms * 1000000}, NULL);
}

static void make_pipe(int ends[2])
{
	T_MUST(pipe2(ends, O_CLOEXEC) == 0);
}

/* Lines "N xxx..." numbered from 0, of many lengths. */
static size_t make_line(char *buf, size_t size, unsigned int i)
{
	size_t fill = i * 37 % 700;
	int len = snprintf(buf, size, "%u ", i);

	memset(buf + len, 'x', fill);
	return (size_t)len + fill;
}

struct reader {
	int fd;
	unsigned int lines, wrong;
	bool slow;
};

/* Read until the end; each line must be the next one. */
static void *read_all(void *arg)
{
	struct reader *r = arg;
	FILE *f = fdopen(r->fd, "r");
	char line[1024], want[1024];

	while (f && fgets(line, sizeof(line), f)) {
		size_t len = make_line(want, sizeof(want), r->lines);

		want[len] = '\n';
		want[len + 1] = '\0';
		r->wrong += strcmp(line, want) != 0;
		r->lines++;
		if (r->slow && r->lines % 500 == 0)
			sleep_ms(1);
	}
	if (f)
		fclose(f);
	return NULL;
}

TEST(lines_come_out_as_they_went_in)
{
	char buf[64] = "";
	struct sink *s;
	int ends[2];

	make_pipe(ends);
	s = sink_new(ends[1]);
	T_MUST(s);
	T_ASSERT(sink_put(s, "one", 3));
	T_ASSERT(sink_put(s, "", 0));
	T_ASSERT(sink_put(s, "three and more", 5));
	T_EQ_INT(sink_dropped(s), 0);
	T_ASSERT(!sink_free(s, 5000));
	T_EQ_INT(read(ends[0], buf, sizeof(buf) - 1), 11);
	T_EQ_STR(buf, "one\n\nthree\n");
	T_EQ_INT(read(ends[0], buf, 1), 0); /* it has closed its end */
	close(ends[0]);
}

/* Several times round the ring, with a reader that is behind at times. */
static void run_round(bool slow, bool nonblock)
{
	struct reader r = {.slow = slow};
	unsigned int dropped = 0;
	pthread_t thread;
	char line[1024];
	struct sink *s;
	int ends[2];

	make_pipe(ends);
	if (nonblock)
		fcntl(ends[1], F_SETFL, O_NONBLOCK);
	r.fd = ends[0];
	s = sink_new(ends[1]);
	T_MUST(s);
	T_MUST(pthread_create(&thread, NULL, read_all, &r) == 0);
	for (unsigned int i = 0; i < 8000; i++) {
		size_t len = make_line(line, sizeof(line), i);

		while (!sink_put(s, line, len)) {
			dropped++;
			sleep_ms(1);
		}
	}
	T_EQ_INT(sink_dropped(s), dropped);
	T_EQ_INT(sink_dropped(s), 0);
	sink_free(s, 10000);
	pthread_join(thread, NULL);
	T_EQ_INT(r.lines, 8000);
	T_EQ_INT(r.wrong, 0);
}

TEST(many_times_round_the_ring_every_line_is_whole_and_in_order)
{
	run_round(false, false);
	run_round(true, false);
}

TEST(a_pipe_that_does_not_block_is_waited_for_by_the_thread)
{
	run_round(true, true);
}

TEST(a_line_as_large_as_the_ring_fits_and_a_larger_one_is_dropped)
{
	static char big[SINK_SIZE + 1];
	CGG_AUTO_FD null = open("/dev/null", O_WRONLY | O_CLOEXEC);
	struct sink *s = sink_new(dup(null));

	T_MUST(s);
	memset(big, 'b', sizeof(big));
	T_ASSERT(!sink_put(s, big, SINK_SIZE));
	T_ASSERT(!sink_put(s, big, SINK_SIZE + 1));
	T_EQ_INT(sink_dropped(s), 2);
	T_ASSERT(sink_put(s, big, SINK_SIZE - 1));
	T_EQ_INT(sink_dropped(s), 0);
	sink_free(s, 5000);
}

TEST(putting_never_waits_and_what_does_not_fit_is_counted)
{
	static char line[1000];
	unsigned int put = 0, refused = 0, read_lines = 0;
	uint64_t start = now_ms();
	char buf[4096];
	struct sink *s;
	ssize_t n;
	int ends[2];

	make_pipe(ends);
	s = sink_new(ends[1]);
	T_MUST(s);
	memset(line, 'y', sizeof(line));
	for (int i = 0; i < 2000; i++) {
		if (sink_put(s, line, sizeof(line)))
			put++;
		else
			refused++;
	}
	T_ASSERT(now_ms() - start < 2000);
	T_ASSERT(put >= SINK_SIZE / 1001);
	T_ASSERT(refused > 1000);
	T_EQ_INT(sink_dropped(s), refused);
	/* and with a reader again, what was taken comes whole */
	fcntl(ends[0], F_SETFL, O_NONBLOCK);
	for (start = now_ms(); read_lines < put && now_ms() - start < 10000;) {
		n = read(ends[0], buf, sizeof(buf));
		for (ssize_t i = 0; i < n; i++)
			read_lines += buf[i] == '\n';
		if (n < 0)
			sleep_ms(1);
	}
	T_EQ_INT(read_lines, put);
	T_ASSERT(sink_put(s, "room again", 10));
	sink_free(s, 5000);
	T_EQ_INT(read(ends[0], buf, sizeof(buf)), 11);
	close(ends[0]);
}

TEST(ending_takes_no_longer_than_it_may_while_the_reader_is_stuck)
{
	static char line[1000];
	static struct sink *s; /* nobody's from then on: its thread may be in the kernel still */
	uint64_t start;
	int ends[2];

	make_pipe(ends);
	s = sink_new(ends[1]);
	T_MUST(s);
	for (int i = 0; i < 400; i++)
		sink_put(s, line, sizeof(line));
	start = now_ms();
	T_ASSERT(!sink_free(s, 200));
	T_ASSERT(now_ms() - start >= 190 && now_ms() - start < 2000);
	close(ends[0]); /* lets the thread go */
	sleep_ms(50);
}

/* Wait for so many drops: the thread tells of them when it has tried. */
static uint64_t wait_dropped(struct sink *s, uint64_t want)
{
	uint64_t dropped = 0, start = now_ms();

	while (dropped < want && now_ms() - start < 2000) {
		dropped += sink_dropped(s);
		sleep_ms(1);
	}
	return dropped;
}

TEST(a_pipe_that_nobody_has_open_loses_lines_and_says_how_many)
{
	struct sigaction old, dfl = {.sa_handler = SIG_DFL};
	struct sink *s;
	int ends[2];

	make_pipe(ends);
	close(ends[0]);
	sigaction(SIGPIPE, &dfl, &old); /* not even then does it end us */
	s = sink_new(ends[1]);
	T_MUST(s);
	for (int i = 0; i < 50; i++)
		T_ASSERT(sink_put(s, "lost", 4));
	T_EQ_INT(wait_dropped(s, 50), 50);
	T_ASSERT(sink_put(s, "lost too", 8));
	T_EQ_INT(wait_dropped(s, 1), 1);
	sink_free(s, 5000);
	sigaction(SIGPIPE, &old, NULL);
}

TEST(a_full_disk_loses_lines_and_says_how_many)
{
	CGG_AUTO_FD full = open("/dev/full", O_WRONLY | O_CLOEXEC);
	struct sink *s = sink_new(dup(full));

	T_MUST(s);
	for (int i = 0; i < 50; i++)
		T_ASSERT(sink_put(s, "lost", 4));
	T_EQ_INT(wait_dropped(s, 50), 50);
	T_ASSERT(sink_put(s, "lost too", 8));
	T_EQ_INT(wait_dropped(s, 1), 1);
	sink_free(s, 5000);
}

TEST(an_fd_that_is_not_one_loses_lines_too)
{
	struct sink *s = sink_new(-1);

	T_MUST(s);
	T_ASSERT(sink_put(s, "lost", 4));
	T_EQ_INT(wait_dropped(s, 1), 1);
	sink_free(s, 5000);
}

TEST(ending_gives_back_the_fd_and_none_is_fine)
{
	unsigned int before = kit_count_fds();
	struct sink *s;

	for (int i = 0; i < 20; i++) {
		s = sink_new(open("/dev/null", O_WRONLY | O_CLOEXEC));
		T_MUST(s);
		sink_put(s, "x", 1);
		T_ASSERT(!sink_free(s, 5000));
	}
	T_EQ_INT(kit_count_fds(), before);
	T_ASSERT(!sink_free(NULL, 5000));
}
