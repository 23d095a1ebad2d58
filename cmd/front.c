/* SPDX-License-Identifier: Apache-2.0 */
/* Write what the guard reports, and answer who asks for it, in a process that can do nothing else. */
#include "front.h"

#include "journal.h"
#include "metrics.h"
#include "sandbox.h"
#include "self.h"
#include "serve.h"
#include "thread.h"
#include "title.h"

#include <errno.h>
#include <poll.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define DRAIN_MS 1000

static void close_one(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

static void close_its_own(struct front *f)
{
	close_one(&f->incidents_fd);
	close_one(&f->messages_fd);
	close_one(&f->guard_fd);
	listen_close(&f->status);
	listen_close(&f->metrics);
}

void front_clear(struct front *f)
{
	memset(f, 0, sizeof(*f));
	f->incidents_fd = f->messages_fd = f->guard_fd = f->life_fd = -1;
	f->status.fd = f->metrics.fd = f->ask.fd = -1;
}

int front_init(struct front *f, int incidents_fd, int messages_fd)
{
	int life[2] = {-1, -1}, r;

	front_clear(f);
	f->incidents_fd = incidents_fd;
	f->messages_fd = messages_fd;
	r = sink_init(&f->incidents);
	if (r == 0)
		r = sink_init(&f->messages);
	if (r == 0)
		r = ask_init(&f->ask);
	/* not pipe(2), which the unit's filter of system calls denies with all of @ipc */
	if (r == 0 && socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, life) < 0)
		r = -errno;
	if (r < 0) {
		front_deinit(f, 0);
		return r;
	}
	f->guard_fd = life[0];
	f->life_fd = life[1];
	return 0;
}

void front_is_forked(struct front *f)
{
	close_its_own(f);
}

void front_keep(struct front *f)
{
	close_one(&f->life_fd);
}

void front_stop_listening(struct front *f)
{
	listen_stop(&f->status);
	listen_stop(&f->metrics);
}

void front_hide(struct front *f)
{
	listen_remove(&f->status);
	listen_remove(&f->metrics);
}

void front_deinit(struct front *f, int ms)
{
	front_hide(f);
	if (f->incidents.ring && f->messages.ring) {
		if (!sink_drain(&f->incidents, ms))
			ms = 0;
		(void)sink_drain(&f->messages, ms);
	}
	close_one(&f->life_fd);
	close_its_own(f);
	ask_deinit(&f->ask);
	free(f->metrics_file);
	f->metrics_file = NULL;
	sink_deinit(&f->incidents);
	sink_deinit(&f->messages);
}

/* ---- the process -------------------------------------------------------------------------- */

struct output {
	struct sink *sink;
	int fd; /* -1: the journal */
	const char *first; /* a line that is written before all others, "": none */
	_Atomic bool ended;
};

static void *output_main(void *user)
{
	struct output *o = user;

	if (*o->first)
		(void)!write(o->fd, o->first, strlen(o->first));
	if (sink_write(o->sink, o->fd, o->fd < 0 ? journal_send : NULL) < 0)
		_exit(1); /* no memory: the keeper starts another one */
	atomic_store(&o->ended, true);
	return NULL;
}

static bool begin(struct output *o, const char *name)
{
	pthread_t thread;

	return thread_begin(&thread, name, output_main, o) == 0;
}

/* Write the error to stderr, unless that would block: metrics over HTTP go on. */
static void on_metrics_failed(void *user, int negative_errno)
{
	const struct front *f = user;
	struct pollfd p = {.fd = f->messages_fd, .events = POLLOUT};
	char file[256], text[512];
	int len;

	cgg_text_printable(f->metrics_file, file, sizeof(file));
	len = snprintf(text, sizeof(text),
		       "cgguard: cannot write metrics to '%s': %s; it is tried again every 15 s\n",
		       file, strerror(-negative_errno));
	if (poll(&p, 1, 0) == 1 && p.revents == POLLOUT)
		(void)!write(f->messages_fd, text, (size_t)len);
}

static bool answers(const struct front *f)
{
	return f->metrics_file || f->metrics.fd >= 0;
}

/* Load what answering needs from files, before the sandbox denies all files. */
static bool prepare_to_answer(struct front *f)
{
	const struct metrics_options options = {.file = f->metrics_file,
						.listen_fd = f->metrics.fd,
						.failed = on_metrics_failed,
						.user = f};

	return !answers(f) || metrics_prepare(&options) == 0;
}

static bool begin_to_answer(struct front *f)
{
	return (f->status.fd < 0 || serve_start(f->status.fd, &f->ask) == 0) &&
	       (!answers(f) || metrics_start(&f->ask) == 0);
}

_Noreturn void front_run(struct front *f, bool confined, const char *why)
{
	char first[256] = "";
	struct output incidents = {.sink = &f->incidents, .fd = f->incidents_fd, .first = ""};
	struct output messages = {.sink = &f->messages, .fd = f->messages_fd, .first = first};
	struct pollfd guard = {.fd = f->guard_fd};

	title_set("cgguard-front");
	self_may_be_victim();
	if (*why)
		snprintf(first, sizeof(first),
			 "cgguard: the process that writes this (cgguard-front) %s: another one "
			 "continues\n",
			 why);
	if (!prepare_to_answer(f))
		_exit(1);
	if (confined)
		sandbox_front(f->metrics_file);
	if (!begin(&incidents, "incidents") || !begin(&messages, "messages") || !begin_to_answer(f))
		_exit(1);
	if (confined)
		sandbox_front_seal(answers(f));
	while (poll(&guard, 1, -1) <= 0)
		;
	front_stop_listening(f);
	if (f->metrics_file)
		metrics_end();
	sink_end(&f->incidents);
	sink_end(&f->messages);
	for (int ms = 0; ms < DRAIN_MS; ms++) {
		if (atomic_load(&incidents.ended) && atomic_load(&messages.ended))
			break;
		nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
	}
	_exit(0);
}
