/* SPDX-License-Identifier: Apache-2.0 */
/* Write oom_score_adj of processes that are held by pidfd. */
#include "act/adjust.h"

#include "cgfs/procs.h"
#include "util/attr.h"
#include "util/err.h"
#include "util/fdio.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#define HELD_MAX   64 /* processes at a time; two fds each */
#define PASSES_MAX 16 /* who forks faster than that is not caught up with */

static bool is_dead(int code)
{
	return code == -ESRCH || fdio_is_gone(code);
}

int32_t adjust_value(int32_t value, bool relative, int32_t before)
{
	int32_t v = relative ? before + value : value;

	return v < CGG_ADJ_MIN ? CGG_ADJ_MIN : v > CGG_ADJ_MAX ? CGG_ADJ_MAX : v;
}

int adjust_is_process(int procfd, int32_t pid, struct cgg_error *err)
{
	struct cgfs_proc p;
	int r = cgfs_proc_read(procfd, pid, &p);

	if (r < 0 && !is_dead(r))
		return err_errno(err, r, "process %d can't be read", pid);
	if (r < 0) {
		err_fail(err, -ESRCH, "no process %d: it has ended, or never was", pid);
		return CGG_GONE;
	}
	if (p.process != 0 && p.process != pid)
		return err_fail(err, -EINVAL,
				"%d is a thread of process %d: oom_score_adj and the score are the "
				"process's, so name that",
				pid, p.process);
	return 0;
}

/* ---- one process ------------------------------------------------------------------------ */

struct held {
	pid_t pid;
	int pidfd, dirfd;
	bool listed; /* still a member once it was held */
};

static int hold(int procfd, pid_t pid, struct held *ret)
{
	CGG_AUTO_FD pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
	CGG_AUTO_FD dirfd = -1;
	char name[16];

	if (pidfd < 0)
		return -errno;
	snprintf(name, sizeof(name), "%d", pid);
	dirfd = openat(procfd, name, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (dirfd < 0)
		return -errno;
	/* it lives: so no other process has had its pid, and the directory is its own */
	if (syscall(SYS_pidfd_send_signal, pidfd, 0, NULL, 0) < 0 && errno != EPERM)
		return -errno;
	*ret = (struct held){pid, cgg_take_fd(&pidfd), cgg_take_fd(&dirfd), false};
	return 0;
}

static void let_go(const struct held *h)
{
	close(h->pidfd);
	close(h->dirfd);
}

static const char *why_not(const struct held *h, int code, int32_t before, int32_t value)
{
	struct stat st;

	if (code != -EACCES && code != -EPERM)
		return strerror(-code);
	if (fstat(h->dirfd, &st) == 0 && geteuid() != 0 && st.st_uid != geteuid())
		return "it belongs to another user";
	if (value < before)
		return "below what it inherited it takes CAP_SYS_RESOURCE (of the machine, not of "
		       "a container)";
	return strerror(-code);
}

/* Returns what is in its code. */
static int adjust_held(const struct held *h, const struct cgg_adjust_options *o)
{
	struct cgg_adjusted a = {.pid = h->pid};
	char text[16];
	int r = cgfs_proc_number(h->dirfd, "oom_score_adj", &a.before);
	long len = fdio_read_at(h->dirfd, "comm", a.comm, sizeof(a.comm));

	if (len > 0)
		a.comm[len - 1] = '\0'; /* the newline */
	a.have_scores = cgfs_proc_number(h->dirfd, "oom_score", &a.score_before) == 0;
	a.after = adjust_value(o->value, o->relative, a.before);
	snprintf(text, sizeof(text), "%d", a.after);
	if (r == 0)
		r = fdio_write_at(h->dirfd, "oom_score_adj", text);
	if (r < 0) {
		a.code = is_dead(r) ? CGG_GONE : r;
		a.why = a.code < 0 ? why_not(h, r, a.before, a.after) : "it has ended";
		a.after = a.before;
	}
	a.have_scores &= cgfs_proc_number(h->dirfd, "oom_score", &a.score_after) == 0;
	if (o->adjusted)
		o->adjusted(o->user, &a);
	return a.code;
}

static int fail(const struct held *h, int code, const struct cgg_adjust_options *o,
		struct cgg_error *err)
{
	int32_t before = 0;

	(void)cgfs_proc_number(h->dirfd, "oom_score_adj", &before);
	return err_fail(err, code, "oom_score_adj of process %d can't be set: %s", h->pid,
			why_not(h, code, before, adjust_value(o->value, o->relative, before)));
}

int adjust_process(int procfd, const struct cgg_adjust_options *o, struct cgg_error *err)
{
	struct held h = {.pidfd = -1, .dirfd = -1};
	int r = hold(procfd, o->pid, &h);

	if (r < 0 && !is_dead(r))
		return err_errno(err, r, "process %d can't be held", o->pid);
	if (r == 0) {
		r = adjust_held(&h, o);
		if (r < 0)
			fail(&h, r, o, err);
		let_go(&h);
	}
	if (r == CGG_GONE || is_dead(r)) {
		err_fail(err, -ESRCH, "no process %d: it has ended", o->pid);
		return CGG_GONE;
	}
	return r;
}

/* ---- a cgroup --------------------------------------------------------------------------- */

/* So many that were not handled before, from a place in the list on. */
struct batch {
	int procfd;
	uint32_t skip, at; /* the first ones are done */
	struct held held[HELD_MAX];
	uint32_t n;
	const struct cgg_adjust_options *o;
	bool only_changed; /* a later pass: who has the value already was done, or inherited it */
	pid_t missed; /* of this pass: one that lives, and could not be held; 0: none */
	int error; /* negative errno: why */
};

static int hold_next(void *user, pid_t pid)
{
	struct batch *b = user;
	int32_t now;
	int r;

	if (b->at++ < b->skip || pid == 0)
		return 0;
	if (b->only_changed && cgfs_proc_adj(b->procfd, pid, &now) == 0 && now == b->o->value)
		return 0;
	r = hold(b->procfd, pid, &b->held[b->n]);
	b->n += r == 0;
	if (r < 0 && !is_dead(r)) {
		b->missed = pid;
		b->error = r;
	}
	return b->n == HELD_MAX;
}

static int note_listed(void *user, pid_t pid)
{
	struct batch *b = user;

	for (uint32_t i = 0; i < b->n; i++)
		b->held[i].listed |= b->held[i].pid == pid;
	return 0;
}

struct tally {
	uint32_t done, failed;
};

/* One batch; 1 if there may be more. */
static int adjust_batch(struct batch *b, int dirfd, struct tally *tally, struct cgg_error *err)
{
	uint32_t n = 0;
	int r, more;

	b->at = b->n = 0;
	more = cgfs_procs_each_below(dirfd, hold_next, b, &n);
	b->skip = b->at;
	r = more < 0 ? more : cgfs_procs_each_below(dirfd, note_listed, b, &n);
	for (uint32_t i = 0; i < b->n; i++) {
		int code = r < 0 || !b->held[i].listed ? CGG_GONE : adjust_held(&b->held[i], b->o);

		tally->done += code == 0;
		if (code < 0 && tally->failed++ == 0)
			fail(&b->held[i], code, b->o, err);
		let_go(&b->held[i]);
	}
	return r < 0 ? r : more;
}

int adjust_below(int procfd, int dirfd, const struct cgg_adjust_options *o, struct cgg_error *err)
{
	struct tally tally = {0};
	struct batch b = {.procfd = procfd, .o = o};
	uint32_t before, passes = 0;
	int r;

	do {
		before = tally.done;
		b.skip = 0;
		b.missed = 0;
		while ((r = adjust_batch(&b, dirfd, &tally, err)) == 1)
			continue;
		b.only_changed = true;
	} while (r == 0 && !o->relative && tally.failed == 0 && tally.done > before &&
		 ++passes < PASSES_MAX);
	if (r < 0 && !fdio_is_gone(r))
		return err_errno(err, r, "the processes of '%s' can't be listed", o->path);
	if (tally.failed == 0 && b.missed != 0)
		return err_errno(err, b.error, "process %d of '%s' can't be held", b.missed,
				 o->path);
	if (tally.failed > 0)
		return err_wrap(err, -EACCES, "%u of %u", tally.failed, tally.failed + tally.done);
	if (tally.done > 0)
		return 0;
	err_fail(err, -ESRCH, "'%s' holds no process", o->path);
	return CGG_GONE;
}
