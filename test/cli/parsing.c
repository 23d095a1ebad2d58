/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Preloaded into the program: tells with which powers a policy is parsed. $PARSING is where, a file that is
 * there: which files can be written is what is asked.
 */
#include <dlfcn.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

struct json_object;
struct json_tokener;

__attribute__((visibility("default"))) struct json_object *
json_tokener_parse_ex(struct json_tokener *tok, const char *text, int len);

static int out = -1, status_fd = -1;

/* Before the program begins: later both files are out of its reach. The second one shows what it has when it is read. */
__attribute__((constructor)) static void begin(void)
{
	const char *path = getenv("PARSING");

	if (path)
		out = open(path, O_WRONLY | O_APPEND | O_CLOEXEC);
	status_fd = open("/proc/self/status", O_RDONLY | O_CLOEXEC);
}

struct json_object *json_tokener_parse_ex(struct json_tokener *tok, const char *text, int len)
{
	struct json_object *(*next)(struct json_tokener *, const char *, int);
	static const char yes[] = "\nOther:\tyes\n", no[] = "\nOther:\tno\n";
	char status[8192] = "";
	int other = open(getenv("PARSING") ? getenv("PARSING") : "/", O_RDONLY | O_CLOEXEC);

	if (read(status_fd, status, sizeof(status) - 1) > 0 && out >= 0) {
		const char *last = other < 0 ? no : yes;
		struct iovec parts[] = {{status, strlen(status)}, {(void *)last, strlen(last)}};

		(void)!writev(out, parts, 2); /* write(2) is not allowed there */
	}
	if (other >= 0)
		close(other);
	*(void **)&next = dlsym(RTLD_NEXT, "json_tokener_parse_ex");
	return next(tok, text, len);
}
