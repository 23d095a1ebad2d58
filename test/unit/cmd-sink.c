/* SPDX-License-Identifier: Apache-2.0 */
/* The sink: whole lines in order, by a writer in another process; putting never waits for it. */
#include "kit/t.h"
#include "kit/tree.h"

#include "../cmd/sink.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

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

static struct sink sink;
static pid_t writer;

/* Fork a process that writes to fd. */
static void start_writer(int fd)
{
	writer = fork();
	T_MUST(writer >= 0);
	if (writer == 0)
		_exit(sink_write(&sink, fd, NULL) == 0 ? 0 : 1);
}

static void start(int fd)
{
	T_MUST(sink_init(&sink) == 0);
	start_writer(fd);
}

/* Takes over the writer's fd, -1: there is none. */
static void start_and_close(int fd)
{
	start(fd);
	if (fd >= 0)
		close(fd);
}

static void stop_writer(void)
{
	int status = -1;

	sink_end(&sink);
	T_EQ_INT(waitpid(writer, &status, 0), writer);
	T_EQ_INT(status, 0);
}

static void stop(void)
{
	stop_writer();
	sink_deinit(&sink);
}

static void kill_writer(void)
{
	kill(writer, SIGKILL);
	T_EQ_INT(waitpid(writer, NULL, 0), writer);
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
	int ends[2];

	make_pipe(ends);
	start_and_close(ends[1]);
	T_ASSERT(sink_put(&sink, "one", 3));
	T_ASSERT(sink_put(&sink, "", 0));
	T_ASSERT(sink_put(&sink, "three and more", 5));
	T_EQ_INT(sink_dropped(&sink), 0);
	T_ASSERT(sink_drain(&sink, 5000));
	stop();
	T_EQ_INT(read(ends[0], buf, sizeof(buf) - 1), 11);
	T_EQ_STR(buf, "one\n\nthree\n");
	T_EQ_INT(read(ends[0], buf, 1), 0); /* nobody has the other end */
	close(ends[0]);
}

/* Several times round the ring, with a reader that is behind at times. */
static void run_round(bool slow, bool nonblock)
{
	struct reader r = {.slow = slow};
	unsigned int dropped = 0;
	pthread_t thread;
	char line[1024];
	int ends[2];

	make_pipe(ends);
	if (nonblock)
		fcntl(ends[1], F_SETFL, O_NONBLOCK);
	r.fd = ends[0];
	start_and_close(ends[1]);
	T_MUST(pthread_create(&thread, NULL, read_all, &r) == 0);
	for (unsigned int i = 0; i < 8000; i++) {
		size_t len = make_line(line, sizeof(line), i);

		while (!sink_put(&sink, line, len)) {
			dropped++;
			sleep_ms(1);
		}
	}
	T_EQ_INT(sink_dropped(&sink), dropped);
	T_EQ_INT(sink_dropped(&sink), 0);
	stop();
	pthread_join(thread, NULL);
	T_EQ_INT(r.lines, 8000);
	T_EQ_INT(r.wrong, 0);
}

TEST(many_times_round_the_ring_every_line_is_whole_and_in_order)
{
	run_round(false, false);
	run_round(true, false);
}

TEST(a_pipe_that_does_not_block_is_waited_for)
{
	run_round(true, true);
}

TEST(a_line_as_large_as_the_ring_fits_and_a_larger_one_is_dropped)
{
	static char big[SINK_SIZE + 1];

	start_and_close(open("/dev/null", O_WRONLY | O_CLOEXEC));
	memset(big, 'b', sizeof(big));
	T_ASSERT(!sink_put(&sink, big, SINK_SIZE));
	T_ASSERT(!sink_put(&sink, big, SINK_SIZE + 1));
	T_EQ_INT(sink_dropped(&sink), 2);
	T_ASSERT(sink_put(&sink, big, SINK_SIZE - 1));
	T_EQ_INT(sink_dropped(&sink), 0);
	stop();
}

/* Put what fits, and more. Returns the lines that were taken. */
static unsigned int fill(void)
{
	static char line[1000];
	unsigned int put = 0;

	memset(line, 'y', sizeof(line));
	for (int i = 0; i < 2000; i++)
		put += sink_put(&sink, line, sizeof(line));
	return put;
}

static unsigned int read_lines(int fd, unsigned int wanted)
{
	unsigned int lines = 0;
	uint64_t start_ms = now_ms();
	char buf[4096];

	fcntl(fd, F_SETFL, O_NONBLOCK);
	while (lines < wanted && now_ms() - start_ms < 10000) {
		ssize_t n = read(fd, buf, sizeof(buf));

		for (ssize_t i = 0; i < n; i++)
			lines += buf[i] == '\n';
		if (n < 0)
			sleep_ms(1);
	}
	return lines;
}

TEST(putting_never_waits_and_what_does_not_fit_is_counted)
{
	uint64_t start_ms = now_ms();
	unsigned int put;
	char buf[4096];
	int ends[2];

	make_pipe(ends);
	start_and_close(ends[1]);
	put = fill();
	T_ASSERT(now_ms() - start_ms < 2000);
	T_ASSERT(put >= SINK_SIZE / 1001 && put < 1000);
	T_EQ_INT(sink_dropped(&sink), 2000 - put);
	/* and with a reader again, what was taken comes whole */
	T_EQ_INT(read_lines(ends[0], put), put);
	T_ASSERT(sink_put(&sink, "room again", 10));
	stop();
	T_EQ_INT(read(ends[0], buf, sizeof(buf)), 11);
	close(ends[0]);
}

TEST(waiting_for_a_reader_that_is_stuck_takes_no_longer_than_it_may)
{
	uint64_t start_ms;
	int ends[2];

	make_pipe(ends);
	start_and_close(ends[1]);
	(void)fill();
	start_ms = now_ms();
	T_ASSERT(!sink_drain(&sink, 200));
	T_ASSERT(now_ms() - start_ms >= 190 && now_ms() - start_ms < 2000);
	kill_writer();
	close(ends[0]);
	sink_deinit(&sink);
}

/* ---- a writer that ends ------------------------------------------------------------------- */

TEST(another_writer_continues_where_one_was_killed)
{
	struct reader r = {.slow = true};
	unsigned int put = 0;
	pthread_t thread;
	char line[1024];
	int ends[2];

	make_pipe(ends);
	r.fd = ends[0];
	start(ends[1]);
	for (unsigned int turn = 0; turn < 8; turn++) {
		/* nobody reads: the writer waits for the pipe, in the middle of a line */
		for (int misses = 0; misses < 20; misses++) {
			while (sink_put(&sink, line, make_line(line, sizeof(line), put)))
				put++;
			sleep_ms(5);
		}
		kill_writer();
		if (turn == 0)
			T_MUST(pthread_create(&thread, NULL, read_all, &r) == 0);
		start_writer(ends[1]);
	}
	close(ends[1]);
	stop();
	pthread_join(thread, NULL);
	T_EQ_INT(r.lines, put);
	T_EQ_INT(r.wrong, 0);
}

TEST(lines_wait_for_the_first_writer)
{
	char buf[16] = "";
	int ends[2];

	make_pipe(ends);
	T_MUST(sink_init(&sink) == 0);
	T_ASSERT(sink_put(&sink, "early", 5));
	T_ASSERT(!sink_drain(&sink, 5));
	start_writer(ends[1]);
	T_ASSERT(sink_drain(&sink, 5000));
	stop();
	T_EQ_INT(read(ends[0], buf, sizeof(buf) - 1), 6);
	T_EQ_STR(buf, "early\n");
	close(ends[0]);
	close(ends[1]);
}

/* ---- a writer in wrong hands --------------------------------------------------------------- */

TEST(whatever_the_ring_holds_the_guard_goes_on)
{
	uint64_t seed = 1, start_ms = now_ms();

	T_MUST(sink_init(&sink) == 0);
	for (int turn = 0; turn < 20000; turn++) {
		unsigned char *at = (unsigned char *)sink.ring;

		for (int i = 0; i < 8; i++) {
			seed = seed * 6364136223846793005ULL + 1442695040888963407ULL;
			at[seed >> 33 & 127] = turn % 3 == 0 ? 0xff : (unsigned char)(seed >> 50);
		}
		(void)sink_put(&sink, "a line", 6);
		(void)sink_dropped(&sink);
	}
	memset((void *)sink.ring, 0x80, 128);
	T_ASSERT(!sink_drain(&sink, 20));
	T_ASSERT(now_ms() - start_ms < 10000);
	sink_deinit(&sink);
}

/* Else it could end the guard, which would find no memory behind the end of a shorter ring. */
TEST(the_memory_of_a_ring_keeps_its_size)
{
	T_MUST(sink_init(&sink) == 0);
	T_EQ_INT(ftruncate(sink.fd, 0), -1);
	T_EQ_INT(ftruncate(sink.fd, 1 << 20), -1);
	T_ASSERT(sink_put(&sink, "a line", 6));
	sink_deinit(&sink);
}

TEST(only_the_memory_of_a_ring_is_taken_for_one)
{
	int fd = memfd_create("unsealed", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	struct stat st;
	struct sink other;

	T_MUST(sink_init(&sink) == 0 && fd >= 0 && fstat(sink.fd, &st) == 0);
	T_MUST(ftruncate(fd, st.st_size) == 0);
	T_EQ_INT(sink_attach(&other, fd), -EINVAL);
	T_MUST(ftruncate(fd, st.st_size - 1) == 0 &&
	       fcntl(fd, F_ADD_SEALS, F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW) == 0);
	T_EQ_INT(sink_attach(&other, fd), -EINVAL);
	T_EQ_INT(sink_attach(&other, -1), -EINVAL);
	T_EQ_INT(sink_attach(&other, sink.fd), 0);
	T_ASSERT(sink_put(&sink, "a line", 6));
	T_ASSERT(!sink_drain(&sink, 0));
	T_EQ_INT(other.fd, -1);
	sink_deinit(&other);
	sink_deinit(&sink);
	close(fd);
}

/* ---- an output that takes nothing ---------------------------------------------------------- */

/* Wait for so many drops: the writer counts them when it has tried. */
static uint64_t wait_dropped(uint64_t want)
{
	uint64_t dropped = 0, start_ms = now_ms();

	while (dropped < want && now_ms() - start_ms < 2000) {
		dropped += sink_dropped(&sink);
		sleep_ms(1);
	}
	return dropped;
}

static void assert_lost(int fd)
{
	signal(SIGPIPE, SIG_IGN); /* as in the front */
	start_and_close(fd);
	for (int i = 0; i < 50; i++)
		T_ASSERT(sink_put(&sink, "lost", 4));
	T_EQ_INT(wait_dropped(50), 50);
	T_ASSERT(sink_put(&sink, "lost too", 8));
	T_EQ_INT(wait_dropped(1), 1);
	stop();
}

TEST(a_pipe_that_nobody_has_open_loses_lines_and_says_how_many)
{
	int ends[2];

	make_pipe(ends);
	close(ends[0]);
	assert_lost(ends[1]);
}

TEST(a_full_disk_loses_lines_and_says_how_many)
{
	assert_lost(open("/dev/full", O_WRONLY | O_CLOEXEC));
}

TEST(an_fd_that_is_not_one_loses_lines_too)
{
	assert_lost(-1);
}

TEST(the_end_gives_all_back)
{
	unsigned int before = kit_count_fds();

	for (int i = 0; i < 20; i++) {
		start_and_close(open("/dev/null", O_WRONLY | O_CLOEXEC));
		sink_put(&sink, "x", 1);
		stop();
		sink_deinit(&sink);
	}
	T_EQ_INT(kit_count_fds(), before);
}
