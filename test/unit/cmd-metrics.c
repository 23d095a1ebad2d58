/* SPDX-License-Identifier: Apache-2.0 */
/* Metrics over HTTP and as a file: whole for who asks rightly, and no harm by who doesn't. */
#include "kit/asked.h"
#include "kit/tree.h"

#include "../cmd/metrics.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#define PIECES 20

/* A guard whose front tells the metrics. */
struct daemon {
	struct kit_asked guard;
	struct listen_at socket;
	char dir[128], file[160], path[160], where[192];
	const char *wanted; /* the file, NULL: none */
	int failed[2]; /* a pipe: errors of the file, an int each */
	_Atomic unsigned int asked;
};

static long tell(void *user, unsigned int number, char *buf, size_t size)
{
	struct daemon *d = user;

	if (number == 0)
		d->asked++;
	if (number == PIECES)
		return 0;
	return snprintf(buf, size, "piece_%u %4096u\n", number, number);
}

static void on_failed(void *user, int negative_errno)
{
	const struct daemon *d = user;

	(void)!write(d->failed[1], &negative_errno, sizeof(negative_errno));
}

static void on_end(int signal)
{
	(void)signal;
	metrics_end();
	_exit(0);
}

static void tell_metrics(struct kit_asked *k)
{
	const struct daemon *d = k->user;
	const struct metrics_options options = {
		.file = d->wanted, .listen_fd = d->socket.fd, .failed = on_failed, .user = k->user};

	signal(SIGTERM, on_end);
	if (metrics_prepare(&options) < 0 || metrics_start(&k->ask) < 0)
		_exit(1);
}

/* The first error of the file; 0: none within so many ms. */
static int error_of(const struct daemon *d, int ms)
{
	struct pollfd p = {.fd = d->failed[0], .events = POLLIN};
	int error = 0;

	if (poll(&p, 1, ms) == 1)
		T_EQ_INT(read(d->failed[0], &error, sizeof(error)), sizeof(error));
	return error;
}

static void prepare(struct daemon *d, bool file, bool http)
{
	memset(d, 0, sizeof(*d));
	d->socket.fd = -1;
	snprintf(d->dir, sizeof(d->dir), "%s", kit_tree("a x=1"));
	snprintf(d->file, sizeof(d->file), "%s/m.prom", d->dir);
	snprintf(d->path, sizeof(d->path), "%s/m.sock", d->dir);
	snprintf(d->where, sizeof(d->where), "unix:%s", d->path);
	d->wanted = file ? d->file : NULL;
	T_MUST(pipe2(d->failed, O_CLOEXEC) == 0);
	T_MUST(!http || metrics_listen(d->where, &d->socket) == 0);
}

static void start(struct daemon *d)
{
	kit_asked_begin(&d->guard, tell, d);
	kit_asked_front(&d->guard, tell_metrics);
	listen_close(&d->socket);
	kit_asked_guard(&d->guard);
}

static void begin(struct daemon *d, bool file, bool http)
{
	prepare(d, file, http);
	start(d);
}

static void end(struct daemon *d)
{
	uint64_t start = kit_ms();

	listen_remove(&d->socket);
	kill(d->guard.front, SIGTERM);
	T_EQ_INT(waitpid(d->guard.front, NULL, 0), d->guard.front);
	kit_asked_end(&d->guard);
	close(d->failed[0]);
	close(d->failed[1]);
	T_ASSERT(kit_ms() - start < 3000);
	T_ASSERT(d->guard.worst_ms < 500);
	T_ASSERT(access(d->file, F_OK) < 0 && access(d->path, F_OK) < 0);
}

static int dial(const struct daemon *d)
{
	struct sockaddr_un at = {.sun_family = AF_UNIX};
	struct timeval wait = {.tv_sec = 20};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	T_MUST(fd >= 0 && strlen(d->path) < sizeof(at.sun_path));
	memcpy(at.sun_path, d->path, strlen(d->path));
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof(wait));
	if (connect(fd, (const struct sockaddr *)&at, sizeof(at)) < 0) {
		close(fd);
		return -1;
	}
	return fd;
}

/* All that comes until the end. */
static const char *take(int fd)
{
	static char buf[1 << 20];
	size_t len = 0;
	ssize_t n;

	while (len + 1 < sizeof(buf) && (n = read(fd, buf + len, sizeof(buf) - 1 - len)) > 0)
		len += (size_t)n;
	buf[len] = '\0';
	close(fd);
	return buf;
}

static const char *ask(const struct daemon *d, const char *request)
{
	int fd = dial(d);

	T_MUST(fd >= 0);
	T_ASSERT(send(fd, request, strlen(request), MSG_NOSIGNAL) == (ssize_t)strlen(request));
	return take(fd);
}

#define GET "GET /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"

TEST(who_asks_gets_it_all)
{
	struct daemon d;
	const char *text;

	begin(&d, false, true);
	text = ask(&d, GET);
	T_HAS(text, "HTTP/1.1 200 OK\r\n");
	T_HAS(text, "text/plain; version=0.0.4");
	T_HAS(text, "\r\n\r\npiece_0 ");
	T_HAS(text, "19\n");
	T_HAS(ask(&d, "GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"), " 404 ");
	T_HAS(ask(&d, "POST /metrics HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n"
		      "Connection: close\r\n\r\nabc"),
	      " 405 ");
	T_HAS(ask(&d, "HEAD /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"), " 200 OK");
	end(&d);
}

TEST(many_who_ask_make_one_question)
{
	struct daemon d;

	begin(&d, false, true);
	for (int i = 0; i < 200; i++)
		T_HAS(ask(&d, GET), "piece_19");
	T_ASSERT(d.asked <= 20); /* one in a second, on a slow machine too */
	end(&d);
}

TEST(what_is_no_request_is_refused)
{
	static char huge[65536];
	struct daemon d;
	int fd;

	begin(&d, false, true);
	T_ASSERT(!strstr(ask(&d, "\r\n\x01\xff\r\n\r\n"), "piece"));
	T_ASSERT(!strstr(ask(&d, "GET\r\n\r\n"), "piece"));
	memset(huge, 'a', sizeof(huge) - 1);
	memcpy(huge, "GET /metrics HTTP/1.1\r\nHost: ", 29);
	memcpy(huge + sizeof(huge) - 5, "\r\n\r\n", 4);
	fd = dial(&d);
	T_MUST(fd >= 0);
	(void)send(fd, huge, sizeof(huge) - 1, MSG_NOSIGNAL);
	T_ASSERT(!strstr(take(fd), "piece"));
	T_HAS(ask(&d, GET), "piece_19");
	T_ASSERT(d.asked <= 2);
	end(&d);
}

TEST(who_is_slow_is_shown_out)
{
	struct daemon d;
	uint64_t start = kit_ms();
	const char *text = "";
	int slow[16];

	begin(&d, false, true);
	for (size_t i = 0; i < CGG_ARRAY_LEN(slow); i++)
		slow[i] = dial(&d);
	kit_sleep_ms(100);
	while (kit_ms() < start + 60000 && !strstr(text, "piece_19")) {
		int fd = dial(&d);

		for (size_t i = 0; i < CGG_ARRAY_LEN(slow); i++) /* now and then a byte */
			(void)send(slow[i], "G", 1, MSG_NOSIGNAL);
		if (fd >= 0 && send(fd, GET, strlen(GET), MSG_NOSIGNAL) > 0)
			text = take(fd);
		else if (fd >= 0)
			close(fd);
		kit_sleep_ms(300);
	}
	T_HAS(text, "piece_19");
	for (size_t i = 0; i < CGG_ARRAY_LEN(slow); i++)
		close(slow[i]);
	end(&d);
}

TEST(a_thousand_connections_cost_a_few)
{
	unsigned int fds, most = 0;
	struct daemon d;

	begin(&d, false, true);
	T_HAS(ask(&d, GET), "piece_19");
	fds = kit_asked_fds(&d.guard);
	for (int i = 0; i < 1000; i++) {
		int fd = dial(&d);

		if (fd >= 0)
			close(fd);
		if (kit_asked_fds(&d.guard) > most)
			most = kit_asked_fds(&d.guard);
	}
	T_ASSERT(most < fds + 40);
	T_HAS(ask(&d, GET), "piece_19");
	end(&d);
}

TEST(a_loop_that_hangs_is_not_waited_for)
{
	struct daemon d;

	begin(&d, false, true);
	d.guard.hangs = true;
	T_HAS(ask(&d, GET), " 503 ");
	d.guard.hangs = false;
	T_HAS(ask(&d, GET), " 200 OK");
	end(&d);
}

TEST(the_file_is_whole_whenever_it_is_read)
{
	struct daemon d;
	struct stat st;
	char buf[256] = "";
	int fd = -1;

	begin(&d, true, false);
	for (int i = 0; i < 1000 && fd < 0; i++) {
		kit_sleep_ms(10);
		fd = open(d.file, O_RDONLY | O_CLOEXEC);
	}
	T_MUST(fd >= 0);
	T_ASSERT(fstat(fd, &st) == 0 && st.st_size > 4096 * PIECES);
	T_EQ_INT(st.st_mode & 0777, 0644);
	T_ASSERT(read(fd, buf, sizeof(buf) - 1) > 0);
	T_HAS(buf, "piece_0 ");
	close(fd);
	end(&d);
}

TEST(what_stands_where_the_file_is_made_holds_up_nobody)
{
	static const char *const kinds[] = {"FIFO", "link", "file", "directory"};
	char at[512], other[512], text[8] = "";
	struct daemon d;

	for (size_t i = 0; i < CGG_ARRAY_LEN(kinds); i++) {
		int fd, r = 0;

		T_ROW(kinds[i]);
		prepare(&d, true, false);
		snprintf(at, sizeof(at), "%s.new", d.file);
		snprintf(other, sizeof(other), "%s.other", d.file);
		fd = open(other, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
		T_MUST(fd >= 0 && write(fd, "theirs", 6) == 6);
		close(fd);
		T_MUST((i == 0	 ? mkfifo(at, 0600)
			: i == 1 ? symlink(other, at)
			: i == 2 ? link(other, at)
				 : mkdir(at, 0700)) == 0);
		start(&d);
		for (int n = 0; n < 500 && r == 0 && access(d.file, F_OK) < 0; n++)
			r = error_of(&d, 10);
		T_EQ_INT(r, i == 3 ? -EEXIST : 0);
		T_EQ_INT(access(d.file, F_OK), i == 3 ? -1 : 0);
		fd = open(other, O_RDONLY | O_CLOEXEC);
		T_ASSERT(read(fd, text, sizeof(text)) == 6 && memcmp(text, "theirs", 6) == 0);
		close(fd);
		(void)unlink(other);
		(void)rmdir(at);
		end(&d);
	}
}

TEST(a_file_that_cannot_be_written_is_told_once)
{
	struct daemon d;

	prepare(&d, true, false);
	d.wanted = "/nonexistent/m.prom";
	start(&d);
	T_EQ_INT(error_of(&d, 10000), -ENOENT);
	T_EQ_INT(error_of(&d, 500), 0);
	end(&d);
}

TEST(only_this_machine_is_listened_to)
{
	static const struct {
		const char *where;
		int r;
	} rows[] = {
		{"0.0.0.0:9", -EPERM},
		{"192.0.2.1:9100", -EPERM},
		{"[::]:9100", -EPERM},
		{"[2001:db8::1]:9100", -EPERM},
		{":9100", -EDESTADDRREQ},
		{"host.example:9100", -EDESTADDRREQ},
		{"127.0.0.1", -EDESTADDRREQ},
		{"127.0.0.1:0", -EDESTADDRREQ},
		{"127.0.0.1:70000", -EDESTADDRREQ},
		{"127.0.0.1:9100x", -EDESTADDRREQ},
		{"", -EDESTADDRREQ},
		{"[:9100", -EDESTADDRREQ},
		{"unix:/nonexistent/x.sock", -ENOENT},
	};
	struct listen_at l;

	for (size_t i = 0; i < CGG_ARRAY_LEN(rows); i++) {
		T_ROW(rows[i].where);
		T_EQ_INT(metrics_listen(rows[i].where, &l), rows[i].r);
		T_EQ_INT(l.fd, -1);
		T_ASSERT(strlen(metrics_why(rows[i].r)) > 10);
	}
}
