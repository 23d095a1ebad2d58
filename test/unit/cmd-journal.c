/* SPDX-License-Identifier: Apache-2.0 */
/* The journal's entries: their fields and ids, and that a journal that does not read holds up nobody long. */
#include "kit/t.h"
#include "kit/tree.h"

#include "../cmd/journal.h"
#include "../cmd/sink.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define KILLED                                                                                     \
	"{\"event\": \"incident\", \"number\": 1, \"rule\": \"box\", \"domain\": \"/a.slice\", "   \
	"\"outcome\": \"killed\", \"dry_run\": false, \"victim\": {\"cgroup\": "                   \
	"\"/a.slice/shop.service\", \"kill\": {\"members\": 5}, \"freed_bytes\": 138412032}}"

static char dir[] = "/tmp/cgguard-journal.XXXXXX", at[64];

/* Somebody who reads there, or could. */
static int journald(void)
{
	struct sockaddr_un to = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (!at[0]) {
		T_MUST(mkdtemp(dir));
		snprintf(at, sizeof(at), "%s/socket", dir);
	}
	unlink(at);
	memcpy(to.sun_path, at, strlen(at) + 1);
	T_MUST(fd >= 0 && bind(fd, (struct sockaddr *)&to, sizeof(to)) == 0);
	T_MUST(journal_open(at) == 0);
	T_MUST(recv(fd, &to, sizeof(to), 0) == 0); /* "is somebody there?" */
	return fd;
}

static void leave(int fd)
{
	close(fd);
	unlink(at);
	rmdir(dir);
	at[0] = '\0';
	memcpy(dir + sizeof(dir) - 7, "XXXXXX", 6);
}

static const char *entry(int fd)
{
	static char text[1 << 18];
	ssize_t n = recv(fd, text, sizeof(text) - 1, 0);

	text[n > 0 ? n : 0] = '\0';
	return text;
}

static const char *send_one(int fd, const char *record)
{
	T_ASSERT(journal_send(record, strlen(record)));
	return entry(fd);
}

TEST(a_kill_is_an_entry_with_fields)
{
	int fd = journald();

	T_EQ_STR(send_one(fd, KILLED), "MESSAGE=Killed /a.slice/shop.service: 5 processes, 132M "
				       "freed; memory was short in "
				       "/a.slice (rule box)\n"
				       "MESSAGE_ID=cf89c5909fcf44e6bcda97b83e2f1e1b\n"
				       "PRIORITY=4\n"
				       "SYSLOG_IDENTIFIER=cgguard\n"
				       "CGGUARD_EVENT=incident\n"
				       "CGGUARD_OUTCOME=killed\n"
				       "CGGUARD_RULE=box\n"
				       "CGGUARD_DOMAIN=/a.slice\n"
				       "CGGUARD_VICTIM=/a.slice/shop.service\n"
				       "CGGUARD_FREED_BYTES=138412032\n"
				       "UNIT=shop.service\n"
				       "CGGUARD_INCIDENT=" KILLED "\n");
	leave(fd);
}

TEST(each_outcome_has_its_id_and_priority)
{
	static const struct {
		const char *event, *outcome, *id, *priority;
		bool dry_run;
	} rows[] = {
		{"incident", "unfinished", "caf5f9ca75ee49a2b2467ba0115f4723", "3", false},
		{"incident", "no-victim", "caf5f9ca75ee49a2b2467ba0115f4723", "3", false},
		{"incident", "kernel-was-first", "caf5f9ca75ee49a2b2467ba0115f4723", "3", false},
		{"incident", "would-kill", "efd342eb5e8d411680cb2a375b5b45a2", "5", true},
		{"incident", "no-victim", "efd342eb5e8d411680cb2a375b5b45a2", "5", true},
		{"incident", "kernel-killed", "7631067b6b69438884d28323dff319b8", "4", false},
		{"incident", "averted", "efd342eb5e8d411680cb2a375b5b45a2", "5", false},
		{"notice", "notified", "efd342eb5e8d411680cb2a375b5b45a2", "5", false},
	};
	int fd = journald();

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		char record[256], want[128];
		const char *got;

		T_ROW(rows[i].outcome);
		snprintf(record, sizeof(record),
			 "{\"event\": \"%s\", \"outcome\": \"%s\", \"rule\": \"r\", \"domain\": "
			 "\"/\", "
			 "\"dry_run\": %s}",
			 rows[i].event, rows[i].outcome, rows[i].dry_run ? "true" : "false");
		snprintf(want, sizeof(want), "\nMESSAGE_ID=%s\nPRIORITY=%s\n", rows[i].id,
			 rows[i].priority);
		got = send_one(fd, record);
		T_ASSERT(strstr(got, want) != NULL);
		T_ASSERT(strstr(got, "\nCGGUARD_VICTIM=") == NULL);
	}
	leave(fd);
}

TEST(a_value_is_one_field_whatever_is_in_it)
{
	int fd = journald();

	T_ASSERT(strstr(send_one(fd, "{\"event\": \"incident\", \"outcome\": \"killed\", \"rule\": "
				     "\"a\\nPRIORITY=0\", \"domain\": \"/\"}"),
			"\nCGGUARD_RULE=a\\x0aPRIORITY=0\n") != NULL);
	T_ASSERT(strstr(send_one(fd, "{\"event\": \"incident\", \"outcome\": \"no-victim\", "
				     "\"rule\": \"r\", \"domain\": \"/\\u001b[31m\\u202e\"}"),
			"MESSAGE=Memory is short in /\\x1b[31m\\xe2\\x80\\xae (rule r)") != NULL);
	T_EQ_STR(send_one(fd, "no \x1b[31mrecord"),
		 "MESSAGE=no \\x1b[31mrecord\nSYSLOG_IDENTIFIER=cgguard\n");
	T_EQ_STR(send_one(fd, "no record"), "MESSAGE=no record\nSYSLOG_IDENTIFIER=cgguard\n");
	leave(fd);
}

TEST(a_record_that_is_too_large_is_told_without_its_text)
{
	static char record[200000];
	int fd = journald();
	size_t len;
	const char *got;

	memset(record, ' ', sizeof(record) - 1);
	memcpy(record, KILLED, strlen(KILLED));
	len = strlen(record);
	T_ASSERT(journal_send(record, len));
	got = entry(fd);
	T_ASSERT(strstr(got, "CGGUARD_VICTIM=/a.slice/shop.service\n") != NULL);
	T_ASSERT(strstr(got, "CGGUARD_INCIDENT") == NULL);
	leave(fd);
}

TEST(where_nobody_reads_it_says_so)
{
	int fd = journald();

	T_EQ_INT(journal_open("/nonexistent/socket"), -ENOENT);
	T_EQ_INT(
		journal_open("/a-path-that-is-longer-than-the-108-bytes-which-the-name-of-a-socket-"
			     "may-have-in-linux-and-in-all-other-systems"),
		-ENAMETOOLONG);
	leave(fd);
}

TEST(a_journal_that_does_not_read_holds_up_nobody)
{
	int fd = journald(), sent = 0, taken = 0;
	struct timespec from, to;
	struct sink s;
	pid_t writer;

	T_MUST(sink_init(&s) == 0);
	writer = fork();
	if (writer == 0)
		_exit(sink_write(&s, -1, journal_send) == 0 ? 0 : 1);
	T_MUST(writer > 0);
	clock_gettime(CLOCK_MONOTONIC, &from);
	for (; sent < 2000; sent++)
		sink_put(&s, KILLED, strlen(KILLED));
	clock_gettime(CLOCK_MONOTONIC, &to);
	T_ASSERT((to.tv_sec - from.tv_sec) * 1000 + (to.tv_nsec - from.tv_nsec) / 1000000 < 1000);
	T_ASSERT(sink_dropped(&s) > 0);
	for (int i = 0; i < 500 && taken < 5; i++) { /* the writer's turn may be late */
		taken += strstr(entry(fd), "CGGUARD_RULE=box\n") != NULL;
		nanosleep(&(struct timespec){.tv_nsec = 10000000}, NULL);
	}
	T_EQ_INT(taken, 5);
	kill(writer, SIGKILL);
	T_EQ_INT(waitpid(writer, NULL, 0), writer);
	sink_deinit(&s);
	leave(fd);
}
