/* SPDX-License-Identifier: Apache-2.0 */
/* The thread that writes what may take long: it holds up nobody, loses no fd, and ends. */
#include "kit/t.h"
#include "kit/tree.h"

#include "act/writer.h"

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

TEST(what_is_asked_for_is_written_in_that_order)
{
	T_MUST(pipe(pipe_fd) == 0 && writer_init(&writer) == 0);
	for (int i = 0; i < 3 * WRITER_QUEUE; i++) {
		char value[WRITER_VALUE_MAX];

		snprintf(value, sizeof(value), "%d ", i % 10);
		while (!put(value))
			usleep(1000);
	}
	while (atomic_load(&writer.taken) != atomic_load(&writer.put))
		usleep(1000);
	writer_finish(&writer);
	T_EQ_INT(strncmp(rest(), "0 1 2 3 4 5 6 7 8 9 0 1 ", 24), 0);
}

TEST(a_write_that_hangs_holds_up_nobody_and_what_is_too_much_is_said)
{
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
	while (atomic_load(&writer.taken) != atomic_load(&writer.put))
		usleep(1000);
	T_EQ_INT(kit_count_fds(), fds);
	writer_finish(&writer);
	T_EQ_STR(rest(), "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxy");
}

static void *finish(void *ended)
{
	writer_finish(&writer);
	atomic_store((_Atomic bool *)ended, true);
	return NULL;
}

TEST(its_end_waits_for_the_write_under_way_and_does_not_begin_another)
{
	static _Atomic bool ended;
	unsigned int fds = kit_count_fds();
	pthread_t thread;

	fill();
	T_MUST(writer_init(&writer) == 0);
	T_ASSERT(put("x"));
	usleep(50000); /* until it is at it */
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
