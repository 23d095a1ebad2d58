/* SPDX-License-Identifier: Apache-2.0 */
/* The signaller's own side: which job is stepped next, and what follows when one has ended. */
#include "act/signaller.h"

#include "cgfs/host.h"
#include "cgfs/memory.h"
#include "util/attr.h"
#include "util/clock.h"
#include "util/err.h"
#include "util/fdio.h"
#include "util/thread.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/eventfd.h>

#define JOBS_WITH_FD 16 /* from the start: more than there are places for kills */
#define JOB_FDS_PART 8 /* or this part of the fds that the process may have, if that is less */
/* below_children() of cgfs/procs.c is what needs this much, at CGG_DEPTH_MAX */
#define STACK_SIZE     (CGG_DEPTH_MAX * 6144 + (128 << 10))

#define PLACE_US       10000 /* so often a kill that has no place asks for one */
#define ACTION_LATE_US 250000 /* an action that begins late by as much still has its whole time */
#define END_MARGIN_US  2000000

/* ---- results ------------------------------------------------------------------------- */

/* patience_us: nobody takes the result until then: see go_on_alone(). */
static void done(struct signaller *s, struct job *j, uint64_t patience_us)
{
	enum job_state expected = JOB_DONE;

	j->patience_us = patience_us;
	if (j->kill) {
		j->result = j->kill->res;
		s->kill_used[j->kill - s->kill] = false;
		j->kill = NULL;
	}
	atomic_store(&j->state, JOB_DONE);
	if (atomic_load(&j->left))
		(void)atomic_compare_exchange_strong(&j->state, &expected, JOB_FREE);
	(void)eventfd_write(s->done_fd, 1);
}

static bool leads_to_a_kill(const struct job *j)
{
	enum action_outcome outcome = j->action_result.outcome;

	return j->last.armed && outcome != ACTION_EARLY && outcome != ACTION_GONE &&
	       outcome != ACTION_WOULD && outcome != ACTION_MISMATCH;
}

static void action_done(struct signaller *s, struct job *j)
{
	j->action_result = j->action.res;
	done(s, j, leads_to_a_kill(j) ? clock_now_us() + JOB_PATIENCE_US : UINT64_MAX);
}

/* ---- kills --------------------------------------------------------------------------- */

/* A place for one more kill; if there is none, that of the one that has waited longest for its victims. */
static struct kill *place_of(struct signaller *s)
{
	struct kill *oldest = NULL;

	for (size_t i = 0; i < KILLS; i++) {
		if (!s->kill_used[i]) {
			s->kill_used[i] = true;
			return &s->kill[i];
		}
		if (s->kill[i].state == KILL_IN_WAIT &&
		    (!oldest || s->kill[i].res.signal_us < oldest->res.signal_us))
			oldest = &s->kill[i];
	}
	if (oldest)
		(void)kill_yield(oldest, KILL_YIELD_US); /* it is there at the next attempt */
	return NULL;
}

/* At the end of the guard no kill lasts longer than SIGNALLER_FINISH_US. */
static void bound_deadline(const struct signaller *s, struct kill *k)
{
	if (s->stop_us != 0 && k->req.deadline_us > s->stop_us + SIGNALLER_FINISH_US)
		k->req.deadline_us = s->stop_us + SIGNALLER_FINISH_US;
}

static bool begin_kill(struct signaller *s, struct job *j, const struct kill_request *req)
{
	j->kill = place_of(s);
	if (!j->kill)
		return false;
	j->is_begun = true;
	kill_begin(j->kill, req, &s->reaper);
	bound_deadline(s, j->kill);
	return true;
}

static bool is_kill(const struct job *j)
{
	enum job_state state = atomic_load(&j->state);

	return state == JOB_AUTONOMOUS || (state == JOB_BUSY && !j->is_action);
}

/* One step of each kill that is due. True: there was one. */
static bool step_kills(struct signaller *s)
{
	bool any = false, waits = false;

	for (size_t i = 0; i < JOBS; i++) {
		struct job *j = &s->job[i];

		if (!is_kill(j))
			continue;
		if (!j->kill && !begin_kill(s, j, &j->request)) {
			waits = true;
			continue;
		}
		if (j->kill->due_us > clock_now_us())
			continue;
		kill_step(j->kill);
		any = true;
		if (j->kill->state == KILL_IN_END)
			done(s, j, UINT64_MAX);
	}
	if (!waits)
		atomic_store(&s->waiting_since_us, 0);
	else if (atomic_load(&s->waiting_since_us) == 0)
		atomic_store(&s->waiting_since_us, clock_now_us());
	return any;
}

/* ---- actions, and the kill that nobody ordered ---------------------------------------- */

static bool level_of(const struct job_last *l, int procfd, uint64_t *ret)
{
	struct cgg_host host = {0};
	struct cgg_detail detail;
	struct cgg_cgroup cg = {.detail = &detail};
	uint32_t want = l->by_usage ? CGG_HAVE_CURRENT : CGG_HAVE_STAT;

	if (l->dirfd < 0) {
		cgfs_host_read(procfd, CGG_HOST_HAVE_MEMORY, &host);
		*ret = host.total_bytes - host.available_bytes;
		return host.have & CGG_HOST_HAVE_MEMORY;
	}
	if (cgfs_read(l->dirfd, want, &cg) != 0 || !(cg.have & want))
		return false;
	*ret = l->by_usage ? cg.current_bytes : cg.unreclaimable_bytes;
	return true;
}

/* Nobody has come for the result: they never will, or late. */
static void go_on_alone(struct signaller *s, struct job *j)
{
	enum job_state expected = JOB_DONE;
	uint64_t level;

	j->patience_us = UINT64_MAX;
	if (!atomic_compare_exchange_strong(&j->state, &expected, JOB_AUTONOMOUS))
		return; /* it was taken */
	if (j->last.bound_bytes == 0 || !level_of(&j->last, j->request.procfd, &level) ||
	    level < j->last.bound_bytes) {
		done(s, j, UINT64_MAX);
		return;
	}
	j->request.process = j->last.process;
	j->request.kill_exempt = j->last.kill_exempt;
	j->request.deadline_us = clock_now_us() + j->last.within_us;
	j->was_autonomous = true;
	atomic_store(&j->autonomous_us, j->request.deadline_us);
}

static void tell_hold(struct signaller *s, struct job *j)
{
	if (j->action.kind != ACTION_THROTTLE || j->action.state != ACTION_IN_HOLD)
		return;
	atomic_store(&j->holds, true);
	(void)eventfd_write(s->done_fd, 1);
}

static bool step_action(struct signaller *s, struct job *j)
{
	enum job_state state = atomic_load(&j->state);
	uint64_t now;

	/* most places are free, and where the clock is a system call it is not read for them */
	if (state != JOB_DONE && (state != JOB_BUSY || !j->is_action))
		return false;
	now = clock_now_us();
	if (state == JOB_DONE) {
		if (s->stop_us != 0 || now < j->patience_us)
			return false;
		go_on_alone(s, j);
		return true;
	}
	if (!j->is_begun) {
		uint64_t late_us = now - j->ordered_us;

		action_begin(&j->action, &j->request, &j->asked, &s->writer);
		j->action.req.deadline_us += late_us < ACTION_LATE_US ? late_us : ACTION_LATE_US;
		j->is_begun = true;
	}
	if (atomic_load(&j->cancelled))
		action_cancel(&j->action);
	if (!action_is_due(&j->action, now))
		return false;
	action_step(&j->action, &s->scratch);
	tell_hold(s, j);
	if (j->action.state == ACTION_IN_END)
		action_done(s, j);
	return true;
}

/* One step of one action that is due, in turn. True: there was one. */
static bool step_actions(struct signaller *s)
{
	for (uint32_t i = 0; i < JOBS; i++) {
		uint32_t at = (s->turn + i) % JOBS;

		if (step_action(s, &s->job[at])) {
			s->turn = at + 1;
			return true;
		}
	}
	return false;
}

/* ---- the thread ---------------------------------------------------------------------- */

static uint64_t due_of(const struct job *j, struct pollfd *ret_fd, bool *ret_has_fd)
{
	enum job_state state = atomic_load(&j->state);

	*ret_has_fd = false;
	if (state == JOB_DONE)
		return j->patience_us;
	if (state == JOB_FREE)
		return UINT64_MAX;
	if (is_kill(j)) {
		*ret_has_fd = j->kill && kill_wait_fd(j->kill, ret_fd);
		return j->kill ? j->kill->due_us : clock_now_us() + PLACE_US;
	}
	*ret_has_fd = j->is_begun && action_wait_fd(&j->action, ret_fd);
	return j->is_begun ? j->action.due_us : 0;
}

/* An fd that has something to say: its job is due. */
static void wake(struct signaller *s, int fd)
{
	for (size_t i = 0; i < JOBS; i++) {
		struct job *j = &s->job[i];
		struct pollfd p;
		bool has = false;

		(void)due_of(j, &p, &has);
		if (has && p.fd == fd && j->kill)
			j->kill->due_us = 0;
		else if (has && p.fd == fd)
			j->action.due_us = 0;
	}
}

static void wait_due(struct signaller *s)
{
	struct pollfd fds[1 + JOBS] = {{.fd = s->wake_fd, .events = POLLIN}};
	uint64_t next = UINT64_MAX, now = clock_now_us();
	nfds_t n = 1;
	eventfd_t count;
	int ms = -1;

	for (size_t i = 0; i < JOBS; i++) {
		bool has;
		uint64_t due = due_of(&s->job[i], &fds[n], &has);

		n += has;
		if (due < next)
			next = due;
	}
	if (next != UINT64_MAX)
		ms = next <= now ? 0 : (int)((next - now + 999) / 1000);
	if (poll(fds, n, ms) <= 0)
		return;
	if (fds[0].revents)
		(void)eventfd_read(s->wake_fd, &count);
	for (nfds_t i = 1; i < n; i++) {
		if (fds[i].revents)
			wake(s, fds[i].fd);
	}
}

static void begin_stop(struct signaller *s)
{
	s->stop_us = clock_now_us();
	for (size_t i = 0; i < JOBS; i++) {
		struct job *j = &s->job[i];
		enum job_state state = atomic_load(&j->state);

		if (state == JOB_BUSY && j->is_action)
			atomic_store(&j->cancelled, true);
		else if (j->kill)
			bound_deadline(s, j->kill);
	}
}

static bool is_busy(const struct signaller *s)
{
	for (size_t i = 0; i < JOBS; i++) {
		enum job_state state = atomic_load(&s->job[i].state);

		if (state == JOB_BUSY || state == JOB_AUTONOMOUS)
			return true;
	}
	return false;
}

static void *signaller_main(void *arg)
{
	struct signaller *s = arg;

	for (;;) {
		if (atomic_load(&s->stop) && s->stop_us == 0)
			begin_stop(s);
		if (s->stop_us != 0) {
			while (step_actions(s)) /* they are undone first */
				;
			if (!is_busy(s))
				return NULL;
		}
		if (!step_kills(s) && !step_actions(s))
			wait_due(s);
	}
}

/* ---- start and end ------------------------------------------------------------------- */

/* The others get theirs when they begin, and keep it. */
static int job_reserve_fd(struct job *j, size_t index)
{
	if (index >= JOBS_WITH_FD || index >= fdio_spare(-1) / JOB_FDS_PART)
		return 0;
	j->dirfd = open("/", O_PATH | O_CLOEXEC);
	return j->dirfd < 0 ? -errno : 0;
}

void signaller_clear(struct signaller *s)
{
	s->wake_fd = s->done_fd = s->reaper.wake_fd = s->writer.wake_fd = -1;
	for (size_t i = 0; i < JOBS; i++)
		s->job[i].dirfd = s->job[i].killfd = s->job[i].lastfd = -1;
}

int signaller_init(struct signaller *s, struct cgg_error *err)
{
	int r;

	signaller_clear(s);
	s->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	s->done_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	r = s->wake_fd < 0 || s->done_fd < 0 ? -errno : 0;
	for (size_t i = 0; r == 0 && i < JOBS; i++)
		r = job_reserve_fd(&s->job[i], i);
	if (r == 0)
		r = reaper_init(&s->reaper);
	if (r == 0)
		r = writer_init(&s->writer);
	s->writer.told_fd = s->wake_fd;
	if (r == 0)
		r = thread_start_as(&s->thread, "signaller", THREAD_BELOW, STACK_SIZE,
				    signaller_main, s);
	s->started = r == 0;
	if (r == 0)
		return 0;
	(void)signaller_finish(s);
	return err_errno(err, r, "cannot start the kill threads");
}

bool signaller_finish(struct signaller *s)
{
	if (s->started) {
		atomic_store(&s->stop, true);
		(void)eventfd_write(s->wake_fd, 1);
		if (!thread_join(s->thread, (SIGNALLER_FINISH_US + END_MARGIN_US) / 1000))
			return false;
		s->started = false;
	}
	if (!reaper_finish(&s->reaper) || !writer_finish(&s->writer))
		return false;
	for (size_t i = 0; i < JOBS; i++) {
		cgg_close_fd(&s->job[i].dirfd);
		cgg_close_fd(&s->job[i].killfd);
		cgg_close_fd(&s->job[i].lastfd);
	}
	cgg_close_fd(&s->wake_fd);
	cgg_close_fd(&s->done_fd);
	signaller_clear(s);
	return true;
}
