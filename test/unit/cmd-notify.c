/* SPDX-License-Identifier: Apache-2.0 */
/* What systemd is told: at the socket that it named, at half of its watchdog's time, never waited for. */
#include "kit/t.h"
#include "kit/tree.h"

#include "../cmd/notify.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

static uint64_t now_us(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000 + (uint64_t)ts.tv_nsec / 1000;
}

static void forget(void)
{
	unsetenv("NOTIFY_SOCKET");
	unsetenv("WATCHDOG_USEC");
	unsetenv("WATCHDOG_PID");
}

/* A receiver at an abstract name of this process, as the environment names it. */
static int receiver(void)
{
	struct sockaddr_un at = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	int len = snprintf(at.sun_path, sizeof(at.sun_path), "@cgguard-unit-%d", (int)getpid());

	forget();
	setenv("NOTIFY_SOCKET", at.sun_path, 1);
	at.sun_path[0] = '\0';
	T_MUST(fd >= 0 &&
	       bind(fd, (struct sockaddr *)&at,
		    (socklen_t)(offsetof(struct sockaddr_un, sun_path) + (size_t)len)) == 0);
	return fd;
}

static const char *received(int fd)
{
	static char text[1024];
	ssize_t n = recv(fd, text, sizeof(text) - 1, 0);

	text[n > 0 ? n : 0] = '\0';
	return text;
}

TEST(where_nobody_asked_nothing_is_done)
{
	struct notify n;

	forget();
	setenv("WATCHDOG_USEC", "1000", 1);
	T_EQ_INT(notify_open(&n), 0);
	T_EQ_INT(n.fd, -1);
	notify_send(&n, "READY=1");
	T_EQ_INT(notify_turn(&n), -1);
	notify_close(&n);
}

TEST(a_name_that_is_none_is_refused)
{
	static const struct {
		const char *name;
		int want;
	} rows[] = {
		{"relative", -EINVAL}, {"vsock:2:1234", -EINVAL}, {"@", -EINVAL}, {"/", -EINVAL}};
	char path[200];
	struct notify n;

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		T_ROW(rows[i].name);
		setenv("NOTIFY_SOCKET", rows[i].name, 1);
		T_EQ_INT(notify_open(&n), rows[i].want);
		T_EQ_INT(n.fd, -1);
	}
	T_ROW("too long");
	memset(path, 'x', sizeof(path) - 1);
	path[0] = '/';
	path[sizeof(path) - 1] = '\0';
	setenv("NOTIFY_SOCKET", path, 1);
	T_EQ_INT(notify_open(&n), -ENAMETOOLONG);
	forget();
}

TEST(messages_arrive_at_an_abstract_name_and_at_a_path)
{
	struct sockaddr_un at = {.sun_family = AF_UNIX};
	const char *dir = kit_tree("");
	struct notify n;
	int fd = receiver();

	T_EQ_INT(notify_open(&n), 0);
	notify_send(&n, "READY=1\nSTATUS=by %d rules", 3);
	T_EQ_STR(received(fd), "READY=1\nSTATUS=by 3 rules");
	T_EQ_INT(notify_turn(&n), -1); /* no watchdog, no timer */
	notify_close(&n);
	close(fd);

	snprintf(at.sun_path, sizeof(at.sun_path), "%s/notify", dir);
	fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	T_MUST(bind(fd, (struct sockaddr *)&at, sizeof(at)) == 0);
	setenv("NOTIFY_SOCKET", at.sun_path, 1);
	T_EQ_INT(notify_open(&n), 0);
	notify_send(&n, "STOPPING=1");
	T_EQ_STR(received(fd), "STOPPING=1");
	close(fd);
	notify_send(&n, "READY=1"); /* who has gone is not waited for */
	T_EQ_INT(n.nowed, 0);
	notify_close(&n);
}

TEST(a_reload_carries_the_time_at_which_it_began)
{
	uint64_t before, said = 0;
	struct notify n;
	int fd = receiver();

	T_EQ_INT(notify_open(&n), 0);
	before = now_us();
	notify_reloading(&n);
	T_EQ_INT(sscanf(received(fd), "RELOADING=1\nMONOTONIC_USEC=%" SCNu64, &said), 1);
	T_ASSERT(said >= before && said <= now_us());
	notify_close(&n);
	close(fd);
}

TEST(a_sign_of_life_comes_at_half_of_the_watchdogs_time)
{
	struct notify n;
	int fd = receiver(), ms;

	setenv("WATCHDOG_USEC", "400000", 1);
	T_EQ_INT(notify_open(&n), 0);
	ms = notify_turn(&n);
	T_EQ_STR(received(fd), "WATCHDOG=1");
	T_ASSERT(ms > 100 && ms <= 200);
	T_ASSERT(notify_turn(&n) <= 200);
	T_EQ_STR(received(fd), ""); /* not due yet */
	n.alive_us = now_us() - 1;
	T_ASSERT(notify_turn(&n) > 100);
	T_EQ_STR(received(fd), "WATCHDOG=1");
	notify_close(&n);
	close(fd);
}

TEST(a_watchdog_for_another_process_is_none_of_ours)
{
	static const struct {
		const char *usec, *pid;
		bool ours;
	} rows[] = {
		{"1000000", NULL, true}, {"1000000", "1", false}, {"1000000", "x", false},
		{"0", NULL, false},	 {"", NULL, false},	  {"-5", NULL, false},
		{"1e6", NULL, false},
	};
	struct notify n;
	char pid[24];
	int fd = receiver();

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		T_ROW(rows[i].usec);
		setenv("WATCHDOG_USEC", rows[i].usec, 1);
		if (rows[i].pid)
			setenv("WATCHDOG_PID", rows[i].pid, 1);
		else
			unsetenv("WATCHDOG_PID");
		T_EQ_INT(notify_open(&n), 0);
		T_EQ_INT(n.watchdog_us > 0, rows[i].ours);
		notify_close(&n);
	}
	T_ROW("our pid");
	setenv("WATCHDOG_USEC", "1000000", 1);
	snprintf(pid, sizeof(pid), "%d", (int)getpid());
	setenv("WATCHDOG_PID", pid, 1);
	T_EQ_INT(notify_open(&n), 0);
	T_EQ_INT(n.watchdog_us, 500000);
	notify_close(&n);
	close(fd);
}

/* The receiver's queue is full: nobody waits, and all comes later in its order. */
TEST(what_finds_no_room_is_kept_in_order_and_sent_later)
{
	struct notify n;
	int fd = receiver(), filled = 0;

	T_EQ_INT(notify_open(&n), 0);
	while (n.nowed == 0 && filled < 100000) {
		notify_send(&n, "filler");
		filled++;
	}
	T_EQ_INT(n.nowed, 1);
	notify_reloading(&n);
	notify_send(&n, "READY=1");
	T_EQ_INT(n.nowed, 3);
	for (int i = 0; i < 10; i++)
		notify_send(&n, "more than anybody is owed");
	T_EQ_INT(n.nowed, NOTIFY_OWED_MAX);
	T_ASSERT(notify_turn(&n) <= 100 && notify_turn(&n) >= 0);
	while (*received(fd))
		;
	n.retry_us = 0;
	T_EQ_INT(notify_turn(&n), -1);
	T_EQ_STR(received(fd), "filler");
	T_HAS(received(fd), "RELOADING=1");
	T_EQ_STR(received(fd), "READY=1");
	notify_close(&n);
	close(fd);
	forget();
}
