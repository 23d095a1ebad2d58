/* SPDX-License-Identifier: Apache-2.0 */
#include "kit/tree.h"

#include "util/attr.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#define TOPS_MAX 512

static struct {
	char path[128];
	char root[64]; /* where "/" is below it */
	bool keep;
} tops[TOPS_MAX];
static size_t ntops;
static pid_t owner;

static _Noreturn void wrong(const char *what, const char *text)
{
	printf("Bail out! kit_tree: %s: '%.200s' (%s)\n", what, text, strerror(errno));
	exit(1);
}

static int open_dir(int at, const char *name)
{
	return openat(at, name, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
}

/* Everything below dirfd; what can't be removed stays, for whoever looks into it. */
static void clear(int dirfd)
{
	int fd = openat(dirfd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *d;

	while (dir && (d = readdir(dir))) {
		if (strcmp(d->d_name, ".") == 0 || strcmp(d->d_name, "..") == 0)
			continue;
		if (unlinkat(dirfd, d->d_name, 0) < 0) {
			CGG_AUTO_FD sub = open_dir(dirfd, d->d_name);

			if (sub >= 0)
				clear(sub);
			(void)unlinkat(dirfd, d->d_name, AT_REMOVEDIR);
		}
	}
	if (dir)
		closedir(dir);
}

static void remove_all(void)
{
	if (getpid() != owner)
		return;
	for (size_t i = 0; i < ntops; i++) {
		CGG_AUTO_FD fd = -1;

		if (tops[i].keep)
			continue;
		fd = open_dir(AT_FDCWD, tops[i].path);
		if (fd >= 0)
			clear(fd);
		(void)rmdir(tops[i].path);
	}
}

static size_t top_index(const char *top)
{
	for (size_t i = 0; i < ntops; i++) {
		if (strcmp(tops[i].path, top) == 0)
			return i;
	}
	wrong("not one of ours", top);
}

static int hex(char c)
{
	const char *digits = "0123456789abcdef", *p = c ? strchr(digits, c) : NULL;

	return p ? (int)(p - digits) : -1;
}

/* One byte of the text, escapes undone; *s is after it. */
static char unescape(const char **s)
{
	const char *p = *s;

	*s += 1;
	if (*p != '\\')
		return *p;
	*s += 1;
	switch (p[1]) {
	case 'n':
		return '\n';
	case 't':
		return '\t';
	case 's':
		return ' ';
	case '\\':
		return '\\';
	case 'x':
		if (hex(p[2]) < 0 || hex(p[3]) < 0)
			break;
		*s += 2;
		return (char)(hex(p[2]) * 16 + hex(p[3]));
	default:
		break;
	}
	wrong("unknown escape", p);
}

/* A word up to one of the stops, escapes undone, into buf; *s is at the stop. */
static size_t take_word(const char **s, const char *stops, char *buf, size_t size)
{
	size_t len = 0;

	while (**s && !strchr(stops, **s)) {
		if (len + 2 >= size)
			wrong("too long", buf);
		buf[len++] = unescape(s);
	}
	buf[len] = '\0';
	return len;
}

/* The directory of a path, each segment made where it is missing. */
static int make_dir(int top, const char *path, bool cgroup)
{
	int at = open_dir(top, ".");

	while (at >= 0 && *path) {
		size_t len = strcspn(path, "/");
		char name[NAME_MAX + 1];
		int next;

		if (len > NAME_MAX)
			wrong("name too long", path);
		memcpy(name, path, len);
		name[len] = '\0';
		path += len + (path[len] == '/');
		if (len == 0)
			continue;
		if (mkdirat(at, name, 0755) < 0 && errno != EEXIST)
			wrong("cannot make", name);
		next = open_dir(at, name);
		close(at);
		at = next;
		if (at >= 0 && cgroup && faccessat(at, "cgroup.procs", F_OK, 0) < 0) {
			CGG_AUTO_FD fd =
				openat(at, "cgroup.procs", O_WRONLY | O_CREAT | O_CLOEXEC, 0644);

			if (fd < 0)
				wrong("cannot write", name);
		}
	}
	if (at < 0)
		wrong("cannot open", path);
	return at;
}

static int path_fd(size_t i, const char *path, bool make)
{
	CGG_AUTO_FD top = open_dir(AT_FDCWD, tops[i].path);
	CGG_AUTO_FD root = -1;

	if (top < 0)
		wrong("cannot open", tops[i].path);
	if (*path != '/')
		return make_dir(top, path, false);
	root = make_dir(top, tops[i].root, false);
	if (make && faccessat(root, "cgroup.procs", F_OK, 0) < 0) {
		CGG_AUTO_FD fd = openat(root, "cgroup.procs", O_WRONLY | O_CREAT | O_CLOEXEC, 0644);

		if (fd < 0)
			wrong("cannot write", path);
	}
	return make_dir(root, path, make);
}

static void write_file(int dirfd, const char *file, const char *bytes, size_t len)
{
	CGG_AUTO_FD fd = openat(dirfd, file, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);

	if (fd < 0 || write(fd, bytes, len) != (ssize_t)len)
		wrong("cannot write", file);
}

static void add_file(int dirfd, const char **s)
{
	static char value[65536];
	char file[NAME_MAX + 2];
	size_t len;

	take_word(s, "= \n", file, sizeof(file));
	if (**s != '=')
		wrong("no value for", file);
	++*s;
	if (**s == '\'') {
		++*s;
		len = take_word(s, "'", value, sizeof(value));
		if (**s != '\'')
			wrong("no end of", file);
		++*s;
	} else {
		len = take_word(s, " \n", value, sizeof(value));
		value[len++] = '\n';
	}
	write_file(dirfd, file, value, len);
}

static void add_line(size_t i, const char **s)
{
	static char path[65536];
	CGG_AUTO_FD fd = -1;

	take_word(s, " \n", path, sizeof(path));
	*s += strspn(*s, " ");
	if (strcmp(path, "root") == 0) {
		take_word(s, " \n", tops[i].root, sizeof(tops[i].root));
		return;
	}
	fd = path_fd(i, path, true);
	while (**s && **s != '\n') {
		add_file(fd, s);
		*s += strspn(*s, " ");
	}
}

void kit_tree_add(const char *top, const char *text)
{
	size_t i = top_index(top);

	while (*text) {
		text += strspn(text, " \t\n");
		if (*text == '#')
			text += strcspn(text, "\n");
		else if (*text)
			add_line(i, &text);
	}
}

const char *kit_tree(const char *text)
{
	const char *tmp = getenv("TMPDIR"), *memory = "/dev/shm";
	char *path = tops[ntops].path;

	if (ntops == 0) {
		owner = getpid();
		atexit(remove_all);
	}
	if (ntops == TOPS_MAX)
		wrong("too many trees", text);
	if (!tmp) /* thousands of directories, for no longer than a test */
		tmp = access(memory, W_OK | X_OK) == 0 ? memory : "/tmp";
	snprintf(path, sizeof(tops[0].path), "%s/kit.XXXXXX", tmp);
	if (!mkdtemp(path))
		wrong("cannot make", path);
	ntops++;
	kit_tree_add(path, text);
	return path;
}

void kit_tree_into(const char *dir, const char *text)
{
	if (ntops == TOPS_MAX || strlen(dir) >= sizeof(tops[0].path))
		wrong("no room for", dir);
	tops[ntops].keep = true;
	snprintf(tops[ntops++].path, sizeof(tops[0].path), "%s", dir);
	kit_tree_add(dir, text);
}

void kit_tree_remove(const char *top, const char *path)
{
	static char parent[65536], name[NAME_MAX + 1];
	const char *slash = strrchr(path, '/');
	CGG_AUTO_FD at = -1, fd = -1;

	if (slash)
		snprintf(parent, sizeof(parent), "%.*s", (int)(slash - path + 1), path);
	else
		parent[0] = '\0';
	snprintf(name, sizeof(name), "%s", slash ? slash + 1 : path);
	at = path_fd(top_index(top), parent, false);
	fd = open_dir(at, name);
	if (fd >= 0)
		clear(fd);
	if (unlinkat(at, name, fd >= 0 ? AT_REMOVEDIR : 0) < 0)
		wrong("cannot remove", path);
}

void kit_tree_write(const char *top, const char *path, const char *file, const char *bytes,
		    size_t len)
{
	CGG_AUTO_FD fd = path_fd(top_index(top), path, true);

	write_file(fd, file, bytes, len);
}

int kit_tree_fd(const char *top, const char *path)
{
	return path_fd(top_index(top), path, false);
}

unsigned int kit_count_fds(void)
{
	DIR *dir = opendir("/proc/self/fd");
	unsigned int n = 0;

	if (!dir)
		wrong("cannot list", "/proc/self/fd");
	while (readdir(dir))
		n++;
	closedir(dir);
	return n;
}
