/* SPDX-License-Identifier: Apache-2.0 */
/* Write what the guard reports, and answer who asks for it, in a process that can do nothing else. */
#include "front.h"

#include "cmd.h"
#include "journal.h"
#include "metrics.h"
#include "opt.h"
#include "sandbox.h"
#include "serve.h"
#include "thread.h"

#include <errno.h>
#include <poll.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define DRAIN_MS 1000

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

/* What the front works with: rings, questions and sockets that the guard has made. */
struct its_own {
	struct sink incidents, messages;
	struct ask ask;
	int status_fd, metrics_fd; /* -1: none is asked for */
	const char *metrics_file; /* NULL: none */
};

static int given(enum process_fd fd)
{
	return process_has(fd) ? (int)fd : -1;
}

static bool attach(struct its_own *o)
{
	o->status_fd = given(PROCESS_STATUS);
	o->metrics_fd = given(PROCESS_METRICS);
	return process_has(PROCESS_LIFE) &&
	       sink_attach(&o->incidents, PROCESS_INCIDENTS_RING) == 0 &&
	       sink_attach(&o->messages, PROCESS_MESSAGES_RING) == 0 &&
	       ask_attach(&o->ask, PROCESS_ASK, PROCESS_ASK_MEMORY) == 0;
}

/* Write the error to stderr, unless that would block: metrics over HTTP go on. */
static void on_metrics_failed(void *user, int negative_errno)
{
	const struct its_own *o = user;
	struct pollfd p = {.fd = PROCESS_MESSAGES, .events = POLLOUT};
	char file[256], text[512];
	int len;

	cgg_text_printable(o->metrics_file, file, sizeof(file));
	len = snprintf(text, sizeof(text),
		       "cgguard: cannot write metrics to '%s': %s; it is tried again every 15 s\n",
		       file, strerror(-negative_errno));
	if (poll(&p, 1, 0) == 1 && p.revents == POLLOUT)
		(void)!write(PROCESS_MESSAGES, text, (size_t)len);
}

static bool tells_metrics(const struct its_own *o)
{
	return o->metrics_file || o->metrics_fd >= 0;
}

/* Load what answering needs from files, before the sandbox denies all files. */
static bool prepare_to_answer(struct its_own *o)
{
	const struct metrics_options options = {.file = o->metrics_file,
						.listen_fd = o->metrics_fd,
						.failed = on_metrics_failed,
						.user = o};

	return !tells_metrics(o) || metrics_prepare(&options) == 0;
}

static bool begin_to_answer(struct its_own *o)
{
	return (o->status_fd < 0 || serve_start(o->status_fd, &o->ask) == 0) &&
	       (!tells_metrics(o) || metrics_start(&o->ask) == 0);
}

static void wait_for_end_of_guard(void)
{
	struct pollfd guard = {.fd = PROCESS_LIFE};

	while (poll(&guard, 1, -1) <= 0)
		;
}

static void wait_until_written(const struct output *incidents, const struct output *messages)
{
	for (int ms = 0; ms < DRAIN_MS; ms++) {
		if (atomic_load(&incidents->ended) && atomic_load(&messages->ended))
			break;
		nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
	}
}

/* The process ends without the C library's exit(3): its threads go on to the end. */
static _Noreturn void run(struct its_own *o, bool confined, const char *why)
{
	char first[256] = "";
	struct output incidents = {
		.sink = &o->incidents, .fd = given(PROCESS_INCIDENTS), .first = ""};
	struct output messages = {.sink = &o->messages, .fd = PROCESS_MESSAGES, .first = first};

	if (*why)
		snprintf(first, sizeof(first),
			 "cgguard: the process that writes this (cgguard-front) %s: another one "
			 "continues\n",
			 why);
	if ((incidents.fd < 0 && journal_open(NULL) < 0) || !prepare_to_answer(o))
		_exit(1); /* the keeper starts another one */
	if (confined)
		sandbox_front(o->metrics_file);
	if (!begin(&incidents, "incidents") || !begin(&messages, "messages") || !begin_to_answer(o))
		_exit(1);
	if (confined)
		sandbox_front_seal(tells_metrics(o));
	wait_for_end_of_guard();
	listen_stop(o->status_fd);
	listen_stop(o->metrics_fd);
	if (o->metrics_file)
		metrics_end();
	sink_end(&o->incidents);
	sink_end(&o->messages);
	wait_until_written(&incidents, &messages);
	_exit(0);
}

int front_main(int argc, char **argv)
{
	static struct its_own own; /* its threads use it */
	struct opt o;

	if (opt_read_run(argc, argv, &o) != 0 || o.nargs == 0 || !attach(&own))
		return complain(EXIT_INPUT, PROCESS_MISUSED);
	own.metrics_file = o.metrics_file;
	run(&own, !o.no_sandbox, o.args[o.nargs - 1]);
}
