/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A guard that is asked for text, and a front that asks it: another process, as in the daemon. The guard's loop is a thread of
 * the test, and notes how long an answer took it at worst.
 */
#pragma once

#include "kit/t.h"

#include "../cmd/ask.h"

#include <dirent.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/epoll.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

struct kit_asked {
	struct ask ask;
	ask_fn fn[ASK_TEXTS];
	void *user;
	_Atomic bool stop, hangs;
	uint64_t worst_ms;
	_Atomic unsigned int wakeups;
	int epoll_fd;
	pid_t front;
	pthread_t loop;
};

static inline uint64_t kit_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

static inline void kit_sleep_ms(long ms)
{
	nanosleep(&(struct timespec){.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000}, NULL);
}

static inline void *kit_asked_loop(void *arg)
{
	struct kit_asked *k = arg;

	while (!atomic_load(&k->stop)) {
		struct epoll_event e;
		uint64_t start;
		int ms = 10;

		ask_turn(&k->ask, k->epoll_fd, &ms);
		if (epoll_wait(k->epoll_fd, &e, 1, ms) != 1)
			continue;
		while (atomic_load(&k->hangs) && !atomic_load(&k->stop))
			kit_sleep_ms(10);
		start = kit_ms();
		atomic_fetch_add(&k->wakeups, 1);
		ask_answer(&k->ask, k->fn, k->user);
		if (kit_ms() - start > k->worst_ms)
			k->worst_ms = kit_ms() - start;
	}
	return NULL;
}

/* run: in the front, which lives until it is killed. */
static inline void kit_asked_front(struct kit_asked *k, void (*run)(struct kit_asked *k))
{
	fflush(stdout);
	k->front = fork();
	T_MUST(k->front >= 0);
	if (k->front > 0)
		return;
	run(k);
	for (;;)
		pause();
}

static inline void kit_asked_begin(struct kit_asked *k, ask_fn fn, void *user)
{
	*k = (struct kit_asked){.user = user, .epoll_fd = epoll_create1(EPOLL_CLOEXEC)};
	for (int i = 0; i < ASK_TEXTS; i++)
		k->fn[i] = fn;
	T_MUST(k->epoll_fd >= 0 && ask_init(&k->ask) == 0);
	T_MUST(ask_watch(&k->ask, k->epoll_fd) == 0);
}

static inline void kit_asked_guard(struct kit_asked *k)
{
	T_MUST(pthread_create(&k->loop, NULL, kit_asked_loop, k) == 0);
}

static inline void kit_asked_kill_front(struct kit_asked *k)
{
	kill(k->front, SIGKILL);
	T_EQ_INT(waitpid(k->front, NULL, 0), k->front);
}

static inline void kit_asked_end(struct kit_asked *k)
{
	atomic_store(&k->stop, true);
	pthread_join(k->loop, NULL);
	close(k->epoll_fd);
	ask_deinit(&k->ask);
}

/* Open fds of the front, and a few more. */
static inline unsigned int kit_asked_fds(const struct kit_asked *k)
{
	char path[64];
	unsigned int n = 0;
	DIR *dir;

	snprintf(path, sizeof(path), "/proc/%d/fd", (int)k->front);
	dir = opendir(path);
	while (dir && readdir(dir))
		n++;
	if (dir)
		closedir(dir);
	return n;
}
