/* SPDX-License-Identifier: Apache-2.0 */
/* The program that guards: it is what 'cgguard run' becomes. */
#include "about.h"
#include "cgguard-guard.h"
#include "cmd.h"
#include "front.h"
#include "keeper.h"
#include "kmsg.h"
#include "metrics.h"
#include "notify.h"
#include "opt.h"
#include "policy-watch.h"
#include "process.h"
#include "sandbox.h"
#include "self.h"
#include "serve.h"

#include <errno.h>
#include <fcntl.h>
#include <locale.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <unistd.h>

#define DRAIN_MS 1000

struct daemon {
	struct opt o;
	const char *mount; /* of the cgroups, where no --root is given; or why there is none */
	struct cgg_policy *policy;
	struct cgg_tree *tree;
	struct cgg_guard *guard;
	struct cgg_owners *owners; /* NULL: containers have no names */
	struct front front;
	struct about about;
	struct notify notify;
	struct kmsg kmsg; /* open before the sandbox */
	uint64_t incidents; /* that systemd was told of */
	struct policy_watch policy_watch;
	struct keeper keeper;
	int signal_fd, epoll_fd;
};

static void note(struct daemon *d, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

static void note(struct daemon *d, const char *fmt, ...)
{
	char text[1024], shown[1024] = "cgguard: ";
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	cgg_text_printable(text, shown + 9, sizeof(shown) - 9); /* one line */
	sink_put(&d->front.messages, shown, strlen(shown));
}

static const char *state_dir(const struct daemon *d)
{
	return d->o.state ? d->o.state : STATE_DIR;
}

static void on_self_notice(void *user, const char *text)
{
	struct daemon *d = user;

	about_without(&d->about, text);
	note(d, "%s", text);
}

static void on_report(void *user, enum cgg_report kind, const char *text, size_t len)
{
	struct daemon *d = user;

	if (kind == CGG_REPORT_INCIDENT)
		sink_put(&d->front.incidents, text, len);
	else if (kind == CGG_REPORT_NOTICE)
		note(d, "%.*s", (int)len, text);
}

static void on_sandbox_notice(void *user, const char *text)
{
	struct daemon *d = user;

	about_without(&d->about, text);
	complain(EXIT_DONE, "%s", text);
}

/* Without it we guard as well; only where a path was asked for, it is an error. */
static int listen_status(struct daemon *d)
{
	char buf[108];
	const char *path = d->o.status;
	int r;

	if (d->o.once || (path && strcmp(path, "off") == 0))
		return 0;
	r = path ? 0 : serve_default_path(true, buf, sizeof(buf));
	if (r == 0)
		r = listen_unix(path ? path : buf, 0600, 0, &d->front.status);
	if (r < 0 && path)
		return complain(exit_daemon(r, EXIT_INPUT),
				"cannot answer 'cgguard status' at '%s': %s", path, serve_why(r));
	if (r < 0)
		complain(EXIT_DONE,
			 "'cgguard status' will have no answer (%s): --status gives another place",
			 serve_why(r));
	return 0;
}

static int listen_metrics(struct daemon *d)
{
	const char *where = d->o.metrics_listen;
	int r = where ? metrics_listen(where, &d->front.metrics) : 0;

	if (r < 0)
		return complain(exit_daemon(r, EXIT_INPUT), "cannot tell metrics at '%s': %s",
				where, metrics_why(r));
	return 0;
}

static void open_owners(struct daemon *d)
{
	struct cgg_error err = {0};
	char text[sizeof(err.msg) + 64];

	int r = cgg_owners_open(state_dir(d), d->o.root, true, &d->owners, &err);

	if (r == 0)
		return;
	snprintf(text, sizeof(text), "%s; %s", err.msg,
		 r == CGG_UNSUPPORTED ? "looking for new containers' names every second"
				      : "going on without the names of containers");
	on_sandbox_notice(d, text);
}

/* Before the first thread, after what is opened once, and before a byte of others' is read. */
static void confine(struct daemon *d)
{
	const struct sandbox_paths paths = {
		.root = d->o.root,
		.watched = d->o.policy, /* where inotify has no room for them */
		.nwatched = d->o.follow_policy ? d->o.npolicies : 0,
		.state = state_dir(d),
		.socket = {listen_path(&d->front.status), listen_path(&d->front.metrics)},
		.xattrs = true, /* until the policy says that it takes none */
	};

	if (d->o.no_sandbox)
		on_sandbox_notice(d, "--sandbox off: NOT CONFINED. The guard keeps every "
				     "capability, file and system call that it was started with; "
				     "use this for debugging only");
	else
		sandbox_begin(&paths, on_sandbox_notice, d);
}

/* Open outputs and sockets, and start the processes that use them and read policies: before anything else is opened. */
static int start_others(struct daemon *d, char *const *args)
{
	int program = process_take(PROCESS_PROGRAM), incidents = process_take(PROCESS_INCIDENTS);
	int messages, code = 0, r;

	if (program < 0)
		return complain(EXIT_INPUT, PROCESS_MISUSED);
	messages = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 3);
	if (messages < 0) /* started without a stderr */
		messages = open("/dev/null", O_WRONLY | O_CLOEXEC);
	r = front_init(&d->front, incidents, messages);
	if (r == 0) {
		code = listen_status(d);
		if (code == 0)
			code = listen_metrics(d);
		if (code == 0)
			r = keeper_start(&d->keeper, program, args, &d->front);
	}
	close(program);
	if (code != 0)
		return code;
	return r < 0 ? complain(exit_daemon(r, EXIT_MACHINE),
				"cannot start the processes that read policies and write "
				"incidents: %s",
				strerror(-r))
		     : 0;
}

/* Give up all powers but the guard's, and read the policy then. */
static int confine_and_load(struct daemon *d)
{
	struct cgg_error err = {0};
	int r;

	kmsg_open(&d->kmsg);
	confine(d);
	r = keeper_load(&d->keeper, &d->policy, &err);
	if (r < 0)
		return complain(exit_daemon(r, EXIT_INPUT), "%s", err.msg);
	if (!d->o.no_sandbox && !cgg_policy_honours_xattrs(d->policy))
		sandbox_without_xattrs(on_sandbox_notice, d);
	open_owners(d);
	return 0;
}

/* What is shown beside the service's name. */
static void tell_state(struct daemon *d, const char *news)
{
	cgg_guard_state(d->guard, NULL, NULL, &d->incidents);
	notify_send(&d->notify, "%sSTATUS=guarding by %zu rules%s; %llu incidents", news,
		    cgg_policy_rules(d->policy), d->o.dry_run ? ", dry run" : "",
		    (unsigned long long)d->incidents);
}

static void refuse(struct daemon *d, const char *why)
{
	note(d, "%s; the old policy stays in force", why);
	about_refused(&d->about, why);
	d->about.reloads_refused++;
	notify_send(&d->notify,
		    "READY=1\nSTATUS=the new policy is wrong, the old one stays in force");
}

/* The keeper answers some time: the loop goes on meanwhile. */
static void reload(struct daemon *d)
{
	struct cgg_error err = {0};

	notify_reloading(&d->notify);
	if (keeper_ask(&d->keeper, &err) < 0)
		refuse(d, err.msg);
}

static void on_policy(struct daemon *d)
{
	char shown[512];
	const char *name = opt_policy_name(&d->o, shown, sizeof(shown));
	struct cgg_policy *fresh = NULL;
	struct cgg_error err = {0};
	bool asked = d->keeper.asked;
	int r = keeper_take(&d->keeper, &fresh, &err);

	if (r == -EAGAIN)
		return;
	if (!asked) { /* it has ended: nobody waits for a policy */
		note(d, "%s", err.msg);
		return;
	}
	if (r == 0)
		r = cgg_guard_set_policy(d->guard, fresh, &err);
	if (r < 0) {
		cgg_policy_free(fresh);
		refuse(d, err.msg);
		return;
	}
	if (cgg_policy_honours_xattrs(fresh) && !cgg_policy_honours_xattrs(d->policy) &&
	    !d->o.no_sandbox)
		note(d, "the new policy honours xattrs, and those of trusted. can't be seen until "
			"the guard is started anew: CAP_SYS_ADMIN was given up");
	cgg_policy_free(d->policy);
	d->policy = fresh;
	about_refused(&d->about, NULL);
	d->about.reloads++;
	note(d, "reloaded: %zu rules from %s", cgg_policy_rules(fresh),
	     name ? name : "the built-in default");
	tell_state(d, "READY=1\n");
}

/* True: end. */
static bool on_signal(struct daemon *d)
{
	struct signalfd_siginfo si;
	bool end = false;

	while (read(d->signal_fd, &si, sizeof(si)) == (ssize_t)sizeof(si)) {
		if (si.ssi_signo == SIGHUP)
			reload(d);
		else
			end = true;
	}
	return end;
}

static int watch(struct daemon *d, int fd)
{
	struct epoll_event e = {.events = EPOLLIN, .data.fd = fd};

	return epoll_ctl(d->epoll_fd, EPOLL_CTL_ADD, fd, &e);
}

static int watch_all(struct daemon *d)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGHUP);
	sigprocmask(SIG_BLOCK, &set, NULL);
	d->signal_fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	d->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	if (d->signal_fd < 0 || d->epoll_fd < 0 || watch(d, d->signal_fd) < 0 ||
	    watch(d, cgg_guard_get_fd(d->guard)) < 0 || watch(d, d->keeper.fd) < 0 ||
	    ask_watch(&d->front.ask, d->epoll_fd) < 0 ||
	    (d->owners && watch(d, cgg_owners_get_fd(d->owners)) < 0) ||
	    (d->policy_watch.fd >= 0 && watch(d, d->policy_watch.fd) < 0))
		return complain(exit_daemon(-errno, EXIT_MACHINE), "cannot wait for events: %s",
				strerror(errno));
	return 0;
}

static void tell_drops(struct daemon *d)
{
	uint64_t dropped = sink_dropped(&d->front.incidents);

	d->about.incidents_dropped += dropped;
	d->about.messages_dropped += sink_dropped(&d->front.messages);
	if (dropped)
		note(d, "%llu incident records could not be written (slow, full or closed output)",
		     (unsigned long long)dropped);
}

/* Until a signal ends it, or --once is through. Returns an exit code. */
static int loop(struct daemon *d)
{
	static const ask_fn texts[ASK_TEXTS] = {
		[ASK_STATUS] = about_piece, [ASK_METRICS] = about_metrics};
	uint64_t incidents;
	bool settled = false;

	for (;;) {
		struct epoll_event e[6];
		int ms = notify_turn(&d->notify), n;
		struct cgg_error err = {0};

		if (policy_watch_turn(&d->policy_watch, &ms))
			reload(d);
		ask_turn(&d->front.ask, d->epoll_fd, &ms);
		n = epoll_wait(d->epoll_fd, e, 6, d->o.once ? 50 : ms);
		if (n < 0 && errno != EINTR)
			return complain(EXIT_AGAIN, "cannot wait for events: %s", strerror(errno));
		for (int i = 0; i < n; i++) {
			if (e[i].data.fd == d->signal_fd) {
				if (on_signal(d))
					return EXIT_DONE;
			} else if (e[i].data.fd == d->front.ask.fd) {
				ask_answer(&d->front.ask, texts, &d->about);
			} else if (e[i].data.fd == d->keeper.fd) {
				on_policy(d);
			} else if (e[i].data.fd == d->policy_watch.fd) {
				policy_watch_read(&d->policy_watch);
			} else if (d->owners && e[i].data.fd == cgg_owners_get_fd(d->owners)) {
				if (n == 1) /* it reads files: after a kill that may be due */
					cgg_owners_dispatch(d->owners);
			} else if (cgg_guard_dispatch(d->guard, &err) < 0) {
				note(d, "%s", err.msg);
				return EXIT_AGAIN;
			}
		}
		tell_drops(d);
		cgg_guard_state(d->guard, NULL, d->o.once ? &settled : NULL, &incidents);
		if (incidents != d->incidents)
			tell_state(d, "");
		if (d->o.once && settled)
			return incidents ? EXIT_NO : EXIT_DONE;
	}
}

static int start(struct daemon *d)
{
	char shown[512], text[256];
	const char *name = opt_policy_name(&d->o, shown, sizeof(shown));
	struct cgg_guard_options go = {.dry_run = d->o.dry_run,
				       .report = on_report,
				       .hang = self_hang,
				       .user = d,
				       .state_dir = state_dir(d),
				       .owners = d->owners};
	struct cgg_error err = {0};
	int r;

	signal(SIGPIPE, SIG_IGN);
	if (d->o.follow_policy) {
		r = policy_watch_open(&d->policy_watch, d->o.policy, d->o.npolicies);
		if (r < 0)
			return complain(EXIT_INPUT, "--follow-policy: cannot watch %s: %s",
					name ? name : "the built-in policy", strerror(-r));
		if (d->policy_watch.error < 0) {
			snprintf(text, sizeof(text), POLICY_WATCH_POLLS,
				 strerror(-d->policy_watch.error));
			on_self_notice(d, text);
		}
	}
	if (!d->o.root && *d->mount != '/')
		return complain(EXIT_MACHINE, "%s", d->mount);
	r = cgg_guard_open_tree(d->o.root ? d->o.root : d->mount, &d->tree, &err);
	if (r == 0) {
		self_prepare(on_self_notice, d);
		r = cgg_guard_open(d->tree, d->policy, &go, &d->guard, &err);
	}
	if (r == -ENOENT && d->o.root && exit_may_come(d->o.root))
		return complain(EXIT_AGAIN, "%s", err.msg);
	if (r < 0)
		return complain(exit_daemon(r, exit_tree(r, d->o.root)), "%s", err.msg);
	if (kmsg_follow(&d->kmsg, d->guard, &err) < 0)
		note(d, "%s; OOM kills of the kernel are told without what its log says", err.msg);
	d->about.guard = d->guard;
	r = notify_open(&d->notify);
	if (r < 0)
		note(d, "NOTIFY_SOCKET '%s': %s; nobody is told that we are ready",
		     getenv("NOTIFY_SOCKET"), strerror(-r));
	r = watch_all(d);
	if (r != 0)
		return r;
	if (!d->o.no_sandbox)
		sandbox_seal(on_sandbox_notice, d);
	if (about_begin(&d->about, name) < 0)
		return complain(EXIT_AGAIN, "out of memory");
	note(d, "guarding %s by %zu rules of %s%s", d->o.root ? d->o.root : "this machine",
	     cgg_policy_rules(d->policy),
	     name ? name : "the built-in default (policies/host.json; --policy gives another)",
	     d->o.dry_run ? ", dry run: nothing is touched" : "");
	tell_state(d, "READY=1\n");
	return loop(d);
}

/* argv: that of 'cgguard run', without the first, and where cgroups are mounted as one more. */
static int guard_main(int argc, char **argv)
{
	struct daemon d = {.signal_fd = -1,
			   .epoll_fd = -1,
			   .notify.fd = -1,
			   .policy_watch.fd = -1,
			   .keeper.fd = -1,
			   .kmsg.fd = -1};
	int code;

	front_clear(&d.front);
	self_small_pages();
	code = opt_read_run(argc, argv, &d.o);
	if (code == 0 && d.o.nargs == 0)
		code = complain(EXIT_INPUT, PROCESS_MISUSED);
	if (code == 0) {
		d.mount = d.o.args[d.o.nargs - 1];
		code = start_others(&d, argv);
	}
	if (code == 0)
		code = confine_and_load(&d);
	if (code == 0)
		code = start(&d);
	notify_send(&d.notify, "STOPPING=1\nSTATUS=ending: what was changed is put back");
	front_hide(&d.front);
	cgg_guard_close(d.guard);
	if (d.front.messages.ring)
		tell_drops(&d);
	front_deinit(&d.front, DRAIN_MS);
	keeper_stop(&d.keeper);
	cgg_owners_close(d.owners);
	cgg_tree_close(d.tree);
	cgg_policy_free(d.policy);
	about_end(&d.about);
	notify_close(&d.notify);
	kmsg_close(&d.kmsg);
	policy_watch_close(&d.policy_watch);
	if (d.signal_fd >= 0)
		close(d.signal_fd);
	if (d.epoll_fd >= 0)
		close(d.epoll_fd);
	return code;
}

int main(int argc, char **argv)
{
	setlocale(LC_CTYPE, "");
	(void)prctl(PR_SET_NAME, "cgguard", 0, 0, 0);
	if (argc < 2)
		return complain(EXIT_INPUT, PROCESS_MISUSED);
	return guard_main(argc - 1, argv + 1);
}
