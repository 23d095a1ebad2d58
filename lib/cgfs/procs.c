/* SPDX-License-Identifier: Apache-2.0 */
/* Read cgroup.procs and cgroup.threads of a subtree, and a process from /proc. */
#include "cgfs/procs.h"

#include "cgguard.h"
#include "util/attr.h"
#include "util/fdio.h"
#include "util/parse.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#define PF_EXITING 0x00000004
#define PF_KTHREAD 0x00200000
#define READ_FLAGS (O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NOCTTY | O_NONBLOCK)

/* The numbers of one buffer; a number cut off at its end is kept in *partial for the next. */
static int each_line(const char *buf, ssize_t len, uint64_t *partial, bool *in_number,
		     cgfs_pid_fn fn, void *user, uint32_t *n)
{
	for (ssize_t i = 0; i < len; i++) {
		int r;

		if (buf[i] >= '0' && buf[i] <= '9') {
			if (*partial <= INT32_MAX) /* what is larger is no pid */
				*partial = *partial * 10 + (uint64_t)(buf[i] - '0');
			*in_number = true;
			continue;
		}
		if (!*in_number)
			continue;
		++*n;
		r = fn && *partial <= INT32_MAX ? fn(user, (pid_t)*partial) : 0;
		*partial = 0;
		*in_number = false;
		if (r != 0)
			return r;
	}
	return 0;
}

int cgfs_procs_each(int dirfd, cgfs_pid_fn fn, void *user, uint32_t *ret_n)
{
	CGG_AUTO_FD fd = openat(dirfd, "cgroup.procs", READ_FLAGS);
	uint64_t partial = 0;
	bool in_number = false;
	char buf[4096];
	ssize_t len;

	if (fd < 0)
		return -errno;
	while ((len = read(fd, buf, sizeof(buf))) != 0) {
		int r;

		if (len < 0 && errno == EINTR)
			continue;
		if (len < 0)
			return -errno;
		r = each_line(buf, len, &partial, &in_number, fn, user, ret_n);
		if (r != 0)
			return r;
	}
	return each_line("\n", 1, &partial, &in_number, fn, user, ret_n);
}

static int below(int dirfd, unsigned int depth, cgfs_dir_fn fn, void *user);

/* Each subdirectory of dirfd. Recursion is bounded by CGG_DEPTH_MAX; a frame is about 5 KiB. */
static int below_children(int dirfd, unsigned int depth, cgfs_dir_fn fn, void *user)
{
	_Alignas(struct dirent64) char buf[4096];
	CGG_AUTO_FD fd = openat(dirfd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	long len;

	if (fd < 0)
		return -errno;
	while ((len = syscall(SYS_getdents64, fd, buf, sizeof(buf))) > 0) {
		for (long at = 0; at < len;) {
			struct dirent64 *d = (struct dirent64 *)(void *)(buf + at);
			CGG_AUTO_FD child = -1;
			int r;

			at += d->d_reclen;
			if (d->d_type != DT_DIR || strcmp(d->d_name, ".") == 0 ||
			    strcmp(d->d_name, "..") == 0)
				continue;
			child = openat(fd, d->d_name,
				       O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
			if (child < 0) {
				if (fdio_is_gone(-errno))
					continue;
				return -errno;
			}
			r = below(child, depth + 1, fn, user);
			if (r != 0)
				return r;
		}
	}
	return len < 0 && !fdio_is_gone(-errno) ? -errno : 0;
}

int cgfs_populated_fd(int events_fd)
{
	char buf[256];
	uint64_t v;
	long len = fdio_read(events_fd, buf, sizeof(buf));

	if (fdio_is_gone(len))
		return 0;
	if (len < 0)
		return (int)len;
	return parse_keyed(buf, "populated", &v) == 0 ? v != 0 : -EINVAL;
}

int cgfs_populated(int dirfd)
{
	CGG_AUTO_FD fd = openat(dirfd, "cgroup.events", READ_FLAGS);

	if (fd < 0)
		return fdio_is_gone(-errno) ? 0 : -errno;
	return cgfs_populated_fd(fd);
}

/* Who makes thousands of empty cgroups in his must not put off its end. */
static bool is_empty(int dirfd)
{
	char buf[256];
	uint64_t populated;

	return fdio_read_at(dirfd, "cgroup.events", buf, sizeof(buf)) > 0 &&
	       parse_keyed(buf, "populated", &populated) == 0 && populated == 0;
}

static int below(int dirfd, unsigned int depth, cgfs_dir_fn fn, void *user)
{
	struct stat st;
	int r = fn(user, dirfd, depth);

	if (r != 0)
		return r == CGFS_PASS_OVER ? 0 : r;
	if (fstat(dirfd, &st) < 0 || st.st_nlink == 2 || depth == CGG_DEPTH_MAX || is_empty(dirfd))
		return 0;
	r = below_children(dirfd, depth, fn, user);
	return fdio_is_gone(r) ? 0 : r;
}

int cgfs_each_below(int dirfd, cgfs_dir_fn fn, void *user)
{
	return below(dirfd, 0, fn, user);
}

struct each_proc {
	cgfs_pid_fn fn;
	void *user;
	uint32_t *n;
	const struct cgfs_but *but;
};

/* CGFS_PASS_OVER: its processes are not wanted. Where that can't be told they are not listed either. */
static int is_passed_over(const struct cgfs_but *but, int dirfd)
{
	struct stat st;

	if (but->n == 0)
		return 0;
	if (fstat(dirfd, &st) < 0)
		return -errno;
	for (uint32_t i = 0; i < but->n; i++) {
		if (but->id[i] == st.st_ino)
			return CGFS_PASS_OVER;
	}
	return 0;
}

static int list_one(void *user, int dirfd, unsigned int depth)
{
	const struct each_proc *e = user;
	int r = depth > 0 ? is_passed_over(e->but, dirfd) : 0;

	if (r != 0)
		return r;
	r = cgfs_procs_each(dirfd, e->fn, e->user, e->n);
	/* a threaded cgroup's processes are listed by its domain ancestor; a removed one has none */
	return depth > 0 && (r == -EOPNOTSUPP || fdio_is_gone(r)) ? 0 : r;
}

int cgfs_procs_each_below(int dirfd, cgfs_pid_fn fn, void *user, uint32_t *ret_n)
{
	return cgfs_procs_each_but(dirfd, &(struct cgfs_but){0}, fn, user, ret_n);
}

int cgfs_procs_each_but(int dirfd, const struct cgfs_but *but, cgfs_pid_fn fn, void *user,
			uint32_t *ret_n)
{
	struct each_proc e = {fn, user, ret_n, but};

	return below(dirfd, 0, list_one, &e);
}

static long read_proc(int procfd, pid_t pid, const char *file, char *buf, size_t size)
{
	char path[64];

	snprintf(path, sizeof(path), "%d/%s", pid, file);
	return fdio_read_at(procfd, path, buf, size);
}

int cgfs_proc_number(int dirfd, const char *file, int32_t *ret)
{
	char buf[32];
	int64_t v;
	long len = fdio_read_at(dirfd, file, buf, sizeof(buf));

	if (len < 0)
		return (int)len;
	if (parse_i64(buf, &v) < 0 || v < INT32_MIN || v > INT32_MAX)
		return -EINVAL;
	*ret = (int32_t)v;
	return 0;
}

static int read_number(int procfd, pid_t pid, const char *file, int32_t *ret)
{
	char path[64];

	snprintf(path, sizeof(path), "%d/%s", pid, file);
	return cgfs_proc_number(procfd, path, ret);
}

int cgfs_proc_adj(int procfd, pid_t pid, int32_t *ret)
{
	return read_number(procfd, pid, "oom_score_adj", ret);
}

int cgfs_proc_score(int procfd, pid_t pid, int32_t *ret)
{
	return read_number(procfd, pid, "oom_score", ret);
}

/* "VmRSS:\t  123 kB", a line of /proc/PID/status. True for VmRSS, which whoever has memory has. */
static bool status_line(const char *line, struct cgfs_proc *p)
{
	uint64_t process = (uint64_t)p->process, uid = p->uid;
	const struct {
		const char *key;
		uint64_t *value, unit;
	} keys[] = {
		{"VmRSS:", &p->rss_bytes, 1024},
		{"VmSwap:", &p->swap_bytes, 1024},
		{"VmPTE:", &p->pagetables_bytes, 1024},
		{"RssAnon:", &p->anon_bytes, 1024},
		{"RssFile:", &p->file_bytes, 1024},
		{"RssShmem:", &p->shmem_bytes, 1024},
		{"Tgid:", &process, 1},
		{"Uid:", &uid, 1},
	};

	for (size_t i = 0; i < CGG_ARRAY_LEN(keys); i++) {
		const char *s = line + strlen(keys[i].key);
		uint64_t v = 0;

		if (strncmp(line, keys[i].key, strlen(keys[i].key)) != 0)
			continue;
		s += strspn(s, " \t");
		for (; *s >= '0' && *s <= '9'; s++)
			v = v * 10 + (uint64_t)(*s - '0');
		*keys[i].value = v * keys[i].unit;
		p->process = (pid_t)process;
		p->uid = (uint32_t)uid;
		return i == 0;
	}
	return false;
}

/* By the line, of any length: Groups alone may be longer than all the rest. */
static bool read_memory(int dirfd, const char *path, struct cgfs_proc *p)
{
	CGG_AUTO_FD fd = openat(dirfd, path, READ_FLAGS);
	bool found = false, within = false;
	char buf[4096], *line, *next;
	off_t at = 0;
	ssize_t n;

	while (fd >= 0 && (n = pread(fd, buf, sizeof(buf) - 1, at)) != 0) {
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno != ESRCH) /* else it has ended, and holds nothing */
			return false;
		if (n < 0)
			break;
		buf[n] = '\0';
		for (line = buf; (next = strchr(line, '\n')); line = next + 1) {
			found |= !within && status_line(line, p);
			within = false;
		}
		if (line == buf) { /* no end of it here */
			within = true;
			line += n;
		}
		at += line - buf;
	}
	p->memory_known |= fd >= 0;
	return found;
}

int cgfs_proc_shmem(int procfd, pid_t pid, uint64_t *ret)
{
	struct cgfs_proc p = {.pid = pid};
	char path[32];

	snprintf(path, sizeof(path), "%d/status", pid);
	if (!read_memory(procfd, path, &p))
		return p.memory_known ? -ESRCH : -EIO;
	*ret = p.shmem_bytes;
	return 0;
}

/* The fields of /proc/PID/stat after the state, the fourth of the line first. */
static int stat_fields(const char *at, struct cgfs_proc *p)
{
	enum { PARENT = 4, FLAGS = 9, START = 22, RSS = 24, STACK = 28 };
	char *end;

	for (int field = PARENT; field <= STACK; field++, at = end) {
		unsigned long long v = strtoull(at, &end, 10); /* one below zero wraps */

		if (end == at)
			return field <= FLAGS ? -EINVAL : 0; /* the later ones are worth having */
		if (field == PARENT)
			p->parent = (pid_t)v;
		else if (field == FLAGS) {
			p->kthread = v & PF_KTHREAD;
			p->exiting = v & PF_EXITING;
		} else if (field == START)
			p->start_ticks = v;
		else if (field == STACK)
			p->stack_start = v;
		else if (field == RSS) {
			p->rough_rss_pages = v;
			p->rough_known = true;
		}
	}
	return 0;
}

/* What a line of /proc/PID/stat says. */
static int parse_stat(const char *line, struct cgfs_proc *p)
{
	/* pid (comm) state ...: comm may hold anything, so its end is the last ')' */
	const char *open = strchr(line, '('), *close = strrchr(line, ')');

	if (!open || !close || close < open || close[1] != ' ' || close[2] == '\0')
		return -EINVAL;
	snprintf(p->comm, sizeof(p->comm), "%.*s", (int)(close - open - 1), open + 1);
	p->state = close[2];
	return stat_fields(close + 3, p);
}

/* What the leader's would say, were it still there. */
static void read_thread_stat(int taskfd, const char *thread_id, struct cgfs_proc *p)
{
	struct cgfs_proc thread = {0};
	char path[32], buf[4096];

	p->rough_known = false;
	p->holder = (pid_t)strtol(thread_id, NULL, 10);
	snprintf(path, sizeof(path), "%.10s/stat", thread_id);
	if (fdio_read_at(taskfd, path, buf, sizeof(buf)) <= 0 || parse_stat(buf, &thread) < 0)
		return;
	p->rough_known = thread.rough_known;
	p->rough_rss_pages = thread.rough_rss_pages;
	p->stack_start = thread.stack_start;
}

/* A leader that has ended shows no memory while its threads hold it all: ask those. */
static void read_thread_memory(int procfd, struct cgfs_proc *p)
{
	_Alignas(struct dirent64) char buf[1024];
	char path[64];
	CGG_AUTO_FD fd = -1;
	long len;

	snprintf(path, sizeof(path), "%d/task", p->pid);
	fd = openat(procfd, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	while (fd >= 0 && (len = syscall(SYS_getdents64, fd, buf, sizeof(buf))) > 0) {
		for (long at = 0; at < len;) {
			struct dirent64 *d = (struct dirent64 *)(void *)(buf + at);

			at += d->d_reclen;
			if (d->d_name[0] < '1' || d->d_name[0] > '9' || strlen(d->d_name) > 10)
				continue;
			snprintf(path, sizeof(path), "%.10s/status", d->d_name);
			if (!read_memory(fd, path, p))
				continue;
			read_thread_stat(fd, d->d_name, p);
			return;
		}
	}
}

int cgfs_proc_read_rough(int procfd, pid_t pid, struct cgfs_proc *ret)
{
	struct cgfs_proc p = {.pid = pid, .holder = pid};
	char buf[4096];
	long len = read_proc(procfd, pid, "stat", buf, sizeof(buf));
	int r = len < 0 ? (int)len : parse_stat(buf, &p);

	if (r < 0)
		return r;
	p.adj_known = cgfs_proc_adj(procfd, pid, &p.oom_score_adj) == 0;
	*ret = p;
	return 0;
}

void cgfs_proc_read_rest(int procfd, struct cgfs_proc *p)
{
	char path[64];

	snprintf(path, sizeof(path), "%d/status", p->pid);
	if (p->kthread)
		p->memory_known = true; /* that it has none */
	else if (!read_memory(procfd, path, p))
		read_thread_memory(procfd, p);
}

int cgfs_proc_read(int procfd, pid_t pid, struct cgfs_proc *ret)
{
	int r = cgfs_proc_read_rough(procfd, pid, ret);

	if (r == 0)
		cgfs_proc_read_rest(procfd, ret);
	return r;
}
