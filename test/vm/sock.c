/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sock: the other ends of the guard's sockets, for the test guest.
 *
 *   sock recv PATH       be what NOTIFY_SOCKET names (a path, or @name): print each datagram on a line,
 *                        its own lines joined by '|', after the time in us of CLOCK_MONOTONIC
 *   sock hold PATH N     connect N times, say half a request, never read; print how many were let in
 *   sock ask PATH        send what stands on stdin, print what is answered until the other one closes
 */
#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

static int die(const char *what)
{
	fprintf(stderr, "sock: %s: %s\n", what, strerror(errno));
	return 1;
}

static socklen_t name(const char *path, struct sockaddr_un *at)
{
	size_t len = strlen(path);

	memset(at, 0, sizeof(*at));
	at->sun_family = AF_UNIX;
	if (len >= sizeof(at->sun_path))
		exit(die("the name is too long"));
	memcpy(at->sun_path, path, len);
	if (*path == '@')
		at->sun_path[0] = '\0';
	return (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len);
}

static int receive(const char *path)
{
	struct sockaddr_un at;
	socklen_t len = name(path, &at);
	int fd = socket(AF_UNIX, SOCK_DGRAM, 0);
	char text[4096];
	ssize_t n;

	if (fd < 0 || bind(fd, (struct sockaddr *)&at, len) < 0)
		return die(path);
	while ((n = recv(fd, text, sizeof(text) - 1, 0)) >= 0) {
		struct timespec ts;

		clock_gettime(CLOCK_MONOTONIC, &ts);
		text[n] = '\0';
		for (char *p = text; (p = strchr(p, '\n')) != NULL;)
			*p = '|';
		printf("%lld %s\n", (long long)ts.tv_sec * 1000000 + ts.tv_nsec / 1000, text);
		fflush(stdout);
	}
	return die("recv");
}

static int hold(const char *path, int count)
{
	struct sockaddr_un at;
	socklen_t len = name(path, &at);
	int in = 0;

	for (int i = 0; i < count; i++) {
		int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);

		if (fd < 0)
			return die("socket");
		if (connect(fd, (struct sockaddr *)&at, len) < 0) {
			close(fd);
			continue;
		}
		in++;
		(void)send(fd, "GET /sta", 8, MSG_NOSIGNAL);
	}
	printf("%d\n", in);
	fflush(stdout);
	pause();
	return 0;
}

static int ask(const char *path)
{
	struct sockaddr_un at;
	socklen_t len = name(path, &at);
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);
	char text[4096];
	ssize_t n;

	if (fd < 0 || connect(fd, (struct sockaddr *)&at, len) < 0)
		return die(path);
	while ((n = read(STDIN_FILENO, text, sizeof(text))) > 0) {
		if (send(fd, text, (size_t)n, MSG_NOSIGNAL) != n)
			return die("send");
	}
	while ((n = recv(fd, text, sizeof(text), 0)) > 0)
		fwrite(text, 1, (size_t)n, stdout);
	return n < 0 ? die("recv") : 0;
}

int main(int argc, char **argv)
{
	if (argc == 3 && strcmp(argv[1], "recv") == 0)
		return receive(argv[2]);
	if (argc == 4 && strcmp(argv[1], "hold") == 0)
		return hold(argv[2], atoi(argv[3]));
	if (argc == 3 && strcmp(argv[1], "ask") == 0)
		return ask(argv[2]);
	fprintf(stderr, "usage: sock recv PATH | sock hold PATH N | sock ask PATH\n");
	return 2;
}
