/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The specification does not promise that a container's cgroup is there when its hooks run, but crun and
 * runc have put the process into it by then, and set its limits. A container may ask for less than it was
 * given, never for more, but for what the host allows.
 */
#include "hook/place.h"

#include "hook/note.h"
#include "util/attr.h"
#include "util/err.h"
#include "util/fdio.h"
#include "util/owner.h"
#include "util/parse.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#define PAGE 4096ULL

/* ---- where ---------------------------------------------------------------------------- */

/* The path in the line of cgroup2, "0::/path". */
static int read_path(const char *proc_dir, const char *pid, char *ret)
{
	char file[STATE_PATH_MAX], buf[2 * PLACE_PATH_MAX];
	char *line, *end;
	long len;

	snprintf(file, sizeof(file), "%s/%s/cgroup", proc_dir, pid);
	len = fdio_read_at(AT_FDCWD, file, buf, sizeof(buf));
	if (len < 0)
		return (int)len;
	for (line = buf; *line; line = end + 1) {
		end = strchr(line, '\n');
		if (!end)
			break;
		*end = '\0';
		if (strncmp(line, "0::", 3) != 0)
			continue;
		if (strlen(line + 3) >= PLACE_PATH_MAX)
			return -ENAMETOOLONG;
		memcpy(ret, line + 3, strlen(line + 3) + 1);
		return 0;
	}
	return -ENOENT;
}

/* At or below. */
static bool is_below(const char *path, const char *top)
{
	size_t n = strlen(top);

	return strcmp(top, "/") == 0 ||
	       (strncmp(path, top, n) == 0 && (path[n] == '\0' || path[n] == '/'));
}

static bool has_ended(int pidfd)
{
	struct pollfd p = {.fd = pidfd, .events = POLLIN};

	return pidfd >= 0 && poll(&p, 1, 0) == 1;
}

/*
 * Of the cgroups above it, the ids of that which is named after the container, and of its pod's: what is
 * registered is known by ids, not by names that others can give to cgroups of theirs.
 */
static void find_above(const struct state *state, struct place *p)
{
	struct cgg_owner whole, part;
	char path[PLACE_PATH_MAX], *slash;
	int fd = p->dirfd, up;
	struct stat st;

	memcpy(path, p->path, sizeof(path));
	owner_of(path, &whole);
	while ((slash = strrchr(path, '/'))) {
		bool named;

		*slash = '\0';
		owner_of(path, &part);
		named = part.container[0] && strcmp(part.container, state->id) == 0;
		if (!named && (!part.pod[0] || strcmp(part.pod, whole.pod) != 0))
			break;
		up = openat(fd, "..", O_PATH | O_DIRECTORY | O_CLOEXEC);
		if (fd != p->dirfd)
			close(fd);
		fd = up;
		if (fd < 0 || fstat(fd, &st) < 0)
			break;
		if (named)
			p->top_id = st.st_ino;
		else if (!part.container[0])
			p->pod_id = st.st_ino;
	}
	if (fd != p->dirfd)
		cgg_close_fd(&fd);
}

static int open_place(const struct cgg_hook_options *o, struct place *ret, struct cgg_error *err)
{
	const char *root = o->cgroup_dir ? o->cgroup_dir : "/sys/fs/cgroup";
	CGG_AUTO_FD rootfd = open(root, O_PATH | O_DIRECTORY | O_CLOEXEC);
	struct stat st;

	ret->dirfd = rootfd < 0 ? -1
				: openat(rootfd, ret->path + 1,
					 O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (ret->dirfd < 0 || fstat(ret->dirfd, &st) < 0)
		return err_errno(err, -errno, "its cgroup '%s' below '%s'", ret->path, root);
	ret->id = st.st_ino;
	return 0;
}

int place_find(const struct cgg_hook_options *o, const struct state *state, struct place *ret,
	       struct cgg_error *err)
{
	const char *proc = o->proc_dir ? o->proc_dir : "/proc";
	CGG_AUTO_FD pidfd = -1;
	char pid[24], own[PLACE_PATH_MAX];
	int r;

	ret->dirfd = -1;
	ret->top_id = ret->pod_id = 0;
	if (state->pid <= 1 || state->pid > INT32_MAX)
		return err_fail(err, -EINVAL,
				"the state's \"pid\" is %" PRIu64 ": no process of a container as "
				"the host sees it (createContainer and startContainer hooks are "
				"told another; status \"%s\")",
				state->pid, state->status);
	snprintf(pid, sizeof(pid), "%" PRIu64, state->pid);
	if (!o->proc_dir) {
		pidfd = (int)syscall(SYS_pidfd_open, (int)state->pid, 0);
		if (pidfd < 0 && errno == ESRCH)
			return err_fail(err, -ESRCH, "its process %s has ended", pid);
	}
	r = read_path(proc, pid, ret->path);
	if (r == -ENOENT || r == -ESRCH)
		return err_fail(err, -ESRCH, "its process %s has ended, or is in no cgroup2", pid);
	if (r < 0)
		return err_errno(err, r, "%s/%s/cgroup", proc, pid);
	if (strcmp(ret->path, "/..") == 0 || strncmp(ret->path, "/../", 4) == 0)
		return err_fail(err, -EINVAL,
				"its cgroup '%s' is outside of the hook's cgroup namespace",
				ret->path);
	if (read_path(proc, "self", own) == 0 && is_below(own, ret->path))
		return err_fail(err, -ENOENT,
				"it has no cgroup of its own: '%s' holds the hook as well",
				ret->path);
	r = open_place(o, ret, err);
	if (r == 0)
		find_above(state, ret);
	if (r == 0 && has_ended(pidfd)) {
		place_close(ret);
		return err_fail(err, -ESRCH, "its process %s has ended", pid);
	}
	return r;
}

void place_close(struct place *place)
{
	cgg_close_fd(&place->dirfd);
	place->dirfd = -1;
}

/* ---- what ----------------------------------------------------------------------------- */

/*
 * Where its memory is counted: here, or further up in what is named after the container, where it has made
 * cgroups inside without that controller.
 */
static int memory_dir(const struct place *p)
{
	struct cgg_owner whole, part;
	char path[PLACE_PATH_MAX], *slash;
	int fd = openat(p->dirfd, ".", O_PATH | O_DIRECTORY | O_CLOEXEC);

	memcpy(path, p->path, sizeof(path));
	owner_of(path, &whole);
	while (fd >= 0 && faccessat(fd, "memory.events", F_OK, 0) < 0) {
		int up = openat(fd, "..", O_PATH | O_DIRECTORY | O_CLOEXEC);

		close(fd);
		fd = up;
		slash = strrchr(path, '/');
		if (slash)
			*slash = '\0';
		if (!slash || !owner_of(path, &part) || !part.container[0] ||
		    strcmp(part.container, whole.container) != 0) {
			cgg_close_fd(&fd);
			return -1;
		}
	}
	return fd;
}

/* A limit as it is now, UINT64_MAX: none. */
static int read_limit(int dirfd, const char *file, uint64_t *ret)
{
	char buf[64];
	long len = fdio_read_at(dirfd, file, buf, sizeof(buf));

	return len < 0 ? (int)len : parse_u64_or_max(buf, ret);
}

struct ask {
	const struct cgg_hook_options *o;
	const struct state *state;
	const char *file, *value;
	char *now, *before; /* to be filled in when it is set */
	int dirfd;
};

/* NULL: *text is what to write. Else why not. */
static const char *check_group(const struct ask *a, char *text, size_t size)
{
	if (strcmp(a->value, "0") != 0 && strcmp(a->value, "1") != 0)
		return "it is 0 or 1";
	snprintf(text, size, "%s", a->value);
	return NULL;
}

static const char *check_high(const struct ask *a, char *text, size_t size)
{
	uint64_t max, now, want;
	uint32_t share;

	if (read_limit(a->dirfd, "memory.max", &max) < 0 ||
	    read_limit(a->dirfd, "memory.high", &now) < 0)
		return "what is set now can't be read";
	if (parse_share(a->value, &share) == 0) {
		if (max == UINT64_MAX)
			return "a share of memory.max, and that is not set";
		want = max / 10000 * share + max % 10000 * share / 10000;
	} else if (parse_size(a->value, &want) < 0) {
		return "it is a size like 512Mi, or a share of memory.max like 80%";
	}
	want = want / PAGE * PAGE;
	if (want < a->o->high_min_bytes)
		return "it is below the least that the host allows: what begins there crawls";
	if (want > max)
		return "it is above memory.max, and would never be reached";
	if (want > now)
		return "the runtime has set a lower one";
	snprintf(text, size, "%" PRIu64, want);
	return NULL;
}

static const char *check_swap(const struct ask *a, char *text, size_t size)
{
	uint64_t now, want;

	if (read_limit(a->dirfd, "memory.swap.max", &now) < 0)
		return "there is no swap accounting here";
	if (parse_size(a->value, &want) < 0)
		return "it is a size like 0 or 512Mi";
	want = want / PAGE * PAGE;
	if (want > now && want > a->o->swap_max_bytes)
		return "it is above what the runtime has set, and above what the host allows";
	snprintf(text, size, "%" PRIu64, want);
	return NULL;
}

static bool read_value(const struct ask *a, char *ret)
{
	return fdio_read_line(a->dirfd, a->file, ret, PLACE_VALUE_MAX) == 0;
}

/* As the kernel shows it then: a guard compares it with what is there later. */
static int set(const struct ask *a, const char *text)
{
	bool known = read_value(a, a->before);
	int r = fdio_write_at(a->dirfd, a->file, text);

	if (r < 0 || !known || !read_value(a, a->now))
		a->now[0] = '\0';
	return r;
}

static int apply_one(const struct ask *a, uint32_t bit,
		     const char *(*check)(const struct ask *a, char *text, size_t size))
{
	const char *why = NULL;
	char text[32];
	int r;

	if (!(a->o->allow & bit))
		why = "the host does not allow it";
	else if (a->dirfd < 0)
		why = "its cgroup has no memory controller";
	else
		why = check(a, text, sizeof(text));
	if (!why) {
		r = set(a, text);
		if (r < 0)
			why = strerror(-r);
	}
	if (!why)
		return 0;
	hook_note(a->o, "%s: io.cgguard.%s is not set to '%s': %s", a->state->id, a->file, a->value,
		  why);
	return 1;
}

int place_apply(const struct cgg_hook_options *o, const struct state *state, struct place *place)
{
	struct place_applied *to = &place->applied;
	static const char *(*const check[STATE_ASKS])(const struct ask *, char *, size_t) = {
		check_group, check_high, check_swap};
	CGG_AUTO_FD dirfd = -1;
	struct stat st;
	int failed = 0;

	for (size_t i = 0; i < STATE_ASKS; i++) {
		struct ask a = {.o = o,
				.state = state,
				.file = state_files[i],
				.now = to->set[i].value,
				.before = to->set[i].before};

		/* a pod's annotations are its containers'; nobody has asked for the sandbox's own */
		if (!state->ask[i].asked || state->sandbox)
			continue;
		if (dirfd < 0)
			dirfd = memory_dir(place);
		a.dirfd = dirfd;
		a.value = state->ask[i].value;
		failed += apply_one(&a, 1U << i, check[i]);
		if (to->set[i].value[0] && fstat(dirfd, &st) == 0)
			to->id = st.st_ino;
	}
	if (state->unknown[0]) {
		hook_note(o, "%s: there is no annotation %s: after io.cgguard. goes %s, %s or %s",
			  state->id, state->unknown, state_files[0], state_files[1],
			  state_files[2]);
		failed++;
	}
	return failed;
}
