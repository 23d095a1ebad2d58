/* SPDX-License-Identifier: Apache-2.0 */
/* The thread that writes what may take long: it holds up nobody, loses no fd, and ends. */
#include "kit/t.h"
#include "kit/tree.h"

#include "act/writer.h"

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <unistd.h>

static struct writer writer;
static int pipe_fd[2]; /* its writing end blocks, once it is full */
static size_t filled;

static void fill(void)
{
	static const char page[4096];
	int flags;

	T_MUST(pipe(pipe_fd) == 0);
	flags = fcntl(pipe_fd[1], F_GETFL);
	T_MUST(fcntl(pipe_fd[1], F_SETFL, flags | O_NONBLOCK) == 0);
	for (filled = 0; write(pipe_fd[1], page, sizeof(page)) > 0;)
		filled += sizeof(page);
	T_MUST(fcntl(pipe_fd[1], F_SETFL, flags) == 0);
}

static void drain(void)
{
	static char page[4096];

	for (size_t n = 0; n < filled;) {
		ssize_t r = read(pipe_fd[0], page, sizeof(page));

		T_MUST(r > 0);
		n += (size_t)r;
	}
}

/* All that is written from now on until the last writing end is closed. */
static const char *rest(void)
{
	static char text[4096];
	size_t len = 0;
	ssize_t n;

	close(pipe_fd[1]);
	while ((n = read(pipe_fd[0], text + len, sizeof(text) - 1 - len)) > 0)
		len += (size_t)n;
	text[len] = '\0';
	close(pipe_fd[0]);
	return text;
}

static bool put(const char *value)
{
	int fd = dup(pipe_fd[1]);

	T_MUST(fd >= 0);
	if (writer_put(&writer, fd, value))
		return true;
	close(fd);
	return false;
}

static void wait_idle(void)
{
	for (size_t i = 0; i < WRITER_QUEUE; i++) {
		while (atomic_load(&writer.order[i].state) != WRITER_FREE)
			usleep(1000);
	}
}

/* The write that hung may need a while to come back. */
static void finish_it(void)
{
	while (!writer_finish(&writer))
		continue;
}

/* Until the thread is at the first order, which hangs. */
static void wait_writing(void)
{
	enum writer_state state;

	do {
		usleep(1000);
		state = atomic_load(&writer.order[0].state);
	} while (state != WRITER_WRITING && state != WRITER_WRITING_LEFT);
}

TEST(what_is_asked_for_is_written_in_that_order)
{
	char expected[3001] = "";

	T_MUST(pipe(pipe_fd) == 0 && writer_init(&writer) == 0);
	for (int i = 0; i < (int)CGG_ARRAY_LEN(expected) - 1; i++) {
		char value[2] = {(char)('a' + i % 26), '\0'};

		expected[i] = value[0];
		while (!put(value))
			usleep(1000);
	}
	wait_idle();
	finish_it();
	T_EQ_STR(rest(), expected);
}

TEST(a_write_that_hangs_holds_up_nobody_and_what_is_too_much_is_said)
{
	char expected[WRITER_QUEUE + 2];
	unsigned int fds;
	int n = 0;

	fill();
	T_MUST(writer_init(&writer) == 0);
	fds = kit_count_fds();
	while (n <= WRITER_QUEUE && put("x"))
		n++;
	T_EQ_INT(n, WRITER_QUEUE);
	T_EQ_INT(kit_count_fds(), fds + WRITER_QUEUE);
	drain();
	while (!put("y"))
		usleep(1000);
	wait_idle();
	T_EQ_INT(kit_count_fds(), fds);
	finish_it();
	memset(expected, 'x', WRITER_QUEUE);
	memcpy(expected + WRITER_QUEUE, "y", 2);
	T_EQ_STR(rest(), expected);
}

static void *finish(void *ended)
{
	finish_it();
	atomic_store((_Atomic bool *)ended, true);
	return NULL;
}

/* Ordered, and asked about or not. */
TEST(who_has_ordered_a_write_can_ask_what_came_of_it_or_cancel_it)
{
	unsigned int fds;
	struct writer_order *first, *second, *third;
	int result = 1;

	fill();
	T_MUST(writer_init(&writer) == 0);
	fds = kit_count_fds();
	first = writer_begin(&writer, dup(pipe_fd[1]), "1");
	wait_writing();
	second = writer_begin(&writer, dup(pipe_fd[1]), "2");
	third = writer_begin(&writer, dup(pipe_fd[0]), "3");
	T_MUST(first && second && third);
	T_ASSERT(!writer_take(first, &result) && !writer_take(second, &result));
	T_ASSERT(writer_cancel(second));
	T_ASSERT(!writer_cancel(first)); /* too late: it is at it */
	drain();
	while (!writer_take(third, &result))
		usleep(1000);
	T_EQ_INT(result, -EBADF);
	wait_idle();
	T_EQ_INT(kit_count_fds(), fds);
	finish_it();
	T_EQ_STR(rest(), "1");
}

TEST(an_end_that_finds_a_write_hanging_waits_for_it_no_longer_than_a_moment)
{
	fill();
	T_MUST(writer_init(&writer) == 0);
	T_ASSERT(put("x"));
	wait_writing();
	T_ASSERT(!writer_finish(&writer));
	drain();
	finish_it();
	T_EQ_STR(rest(), "x");
}

TEST(its_end_waits_for_the_write_under_way_and_does_not_begin_another)
{
	static _Atomic bool ended;
	unsigned int fds = kit_count_fds();
	pthread_t thread;

	fill();
	T_MUST(writer_init(&writer) == 0);
	T_ASSERT(put("x"));
	wait_writing();
	T_ASSERT(put("y"));
	T_MUST(pthread_create(&thread, NULL, finish, &ended) == 0);
	usleep(100000);
	T_ASSERT(!atomic_load(&ended));
	drain();
	pthread_join(thread, NULL);
	T_EQ_STR(rest(), "x");
	T_EQ_INT(kit_count_fds(), fds);
	T_ASSERT(!writer_put(&writer, -1, "z"));
}
