/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The hook of an OCI runtime. A container waits for it: so it is one small program, ends in any case before
 * its deadline, and unless it is told otherwise never keeps a container from starting.
 */
#include "cgguard.h"
#include "hook-sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define DEADLINE_MS 1000 /* runtimes have none of their own unless the configuration says so */
#define HIGH_MIN    (32ULL << 20) /* below that runc itself takes 10 s to start a container */
#define NAME	    "cgguard-hook"

static const char usage[] =
	"Usage: " NAME " [OPTION...] STAGE\n"
	"An OCI runtime's hook: the container's state is read from stdin. STAGE createRuntime (or "
	"prestart,\n"
	"poststart) sets what the annotations io.cgguard.memory.oom.group, .memory.high and\n"
	".memory.swap.max ask for, and registers the container with cgguard run; poststop takes it "
	"off.\n\n"
	"  --allow LIST     of what annotations may ask for, by commas; '' for nothing (default: "
	"all)\n"
	"  --high-min SIZE  no memory.high below this many bytes (default 33554432)\n"
	"  --swap-max SIZE  no memory.swap.max above this many, unless the runtime has set more "
	"(default 0)\n"
	"  --state DIR      of cgguard run (default /run/cgguard)\n"
	"  --fail-closed    the container does not start if anything was not done\n\n"
	"       " NAME " [OPTION...] --runtime=PROGRAM [ARGUMENT...]\n"
	"Become that runtime, with this hook (and its OPTIONs) in the container that it is to "
	"create: "
	"for\n"
	"Docker, which has no place for hooks, and asks for its --version.\n\n"
	"What was not done, and why, goes to stderr and to the system's log. It ends after 1 s at "
	"the most.\n"
	"Exit codes: 0, whatever happened; with --fail-closed 1, something was not done. 2 wrong "
	"usage.\n";

static bool fail_closed;
static char text[CGG_HOOK_TEXT_MAX + 2];

/* ---- where it can be seen ---------------------------------------------------------------- */

/* syslog(3) would open files of the C library's. -1: there is no log. */
static int log_fd = -1;

static void open_log(void)
{
	struct sockaddr_un at = {.sun_family = AF_UNIX, .sun_path = "/dev/log"};

	log_fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (log_fd < 0 || connect(log_fd, (const struct sockaddr *)&at, sizeof(at)) == 0)
		return;
	close(log_fd);
	log_fd = -1;
}

/* How much of a buffer snprintf(3) has filled; it tells how long the text would have been. */
static size_t filled(int len, size_t size)
{
	if (len < 0)
		return 0;
	return (size_t)len < size ? (size_t)len : size - 1;
}

/* A line that is too long is cut. Without a log, the kernel's. */
static void log_line(const char *line)
{
	char record[1280];
	size_t len =
		filled(snprintf(record, sizeof(record), "<28>" NAME "[%d]: %s", getpid(), line),
		       sizeof(record));
	int fd;

	if (log_fd >= 0 && send(log_fd, record, len, MSG_NOSIGNAL) == (ssize_t)len)
		return;
	fd = open("/dev/kmsg", O_WRONLY | O_CLOEXEC | O_NONBLOCK);
	if (fd < 0)
		return;
	/* the kernel takes 1 KiB at a time */
	len = filled(snprintf(record, 1000, "<4>" NAME ": %s", line), 1000);
	(void)!write(fd, record, len);
	close(fd);
}

static void note(void *user, const char *line)
{
	(void)user;
	fprintf(stderr, NAME ": %s\n", line);
	log_line(line);
}

/* From the handler: nothing but calls of the kernel. */
static void on_alarm(int signal)
{
	static const char line[] = "<4>" NAME ": nothing more was done: it took longer than 1 s\n";
	int fd = open("/dev/kmsg", O_WRONLY | O_CLOEXEC | O_NONBLOCK);

	(void)signal;
	(void)!write(fd, line, sizeof(line) - 1);
	(void)!write(STDERR_FILENO, line + 3, sizeof(line) - 4);
	_exit(fail_closed ? EXIT_FAILURE : EXIT_SUCCESS);
}

/* ---- what it is started with ------------------------------------------------------------- */

/* crun blocks most signals, and leaves no umask; older runc leaves fds open. */
static void reset(void)
{
	const struct itimerval deadline = {.it_value.tv_usec = DEADLINE_MS * 1000L % 1000000,
					   .it_value.tv_sec = DEADLINE_MS / 1000};
	struct sigaction sa = {.sa_handler = on_alarm};
	sigset_t none;

	sigemptyset(&none);
	sigaction(SIGALRM, &sa, NULL);
	sa.sa_handler = SIG_IGN;
	sigaction(SIGPIPE, &sa, NULL);
	sigprocmask(SIG_SETMASK, &none, NULL);
	setitimer(ITIMER_REAL, &deadline, NULL);
	umask(077);
	(void)syscall(SYS_close_range, 3U, ~0U, 0U);
}

/* Its length, or a negative errno; as much as there is, up to one byte too many. */
static long read_all(int fd)
{
	size_t len = 0;

	while (len <= CGG_HOOK_TEXT_MAX) {
		ssize_t n = read(fd, text + len, CGG_HOOK_TEXT_MAX + 1 - len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (n == 0)
			break;
		len += (size_t)n;
	}
	return (long)len;
}

static bool read_allow(char *list, uint32_t *ret)
{
	char *save = NULL;

	*ret = 0;
	for (char *name = strtok_r(list, ",", &save); name; name = strtok_r(NULL, ",", &save)) {
		unsigned int n = 0;
		const char *known;

		while ((known = cgg_hook_value_name(n)) && strcmp(name, known) != 0)
			n++;
		if (!known)
			return false;
		*ret |= 1U << n;
	}
	return true;
}

static bool read_bytes(const char *digits, uint64_t *ret)
{
	char *end;

	errno = 0;
	*ret = strtoull(digits, &end, 10);
	return errno == 0 && *end == '\0' && *digits >= '0' && *digits <= '9';
}

/* A configuration that can't be meant: the container is not to blame. */
static int bad_usage(const char *what)
{
	char line[256];

	snprintf(line, sizeof(line), "nothing was done: %.100s (--help says what there is)", what);
	note(NULL, line);
	return fail_closed ? 2 : EXIT_SUCCESS;
}

static const char *read_options(int argc, char **argv, struct cgg_hook_options *o)
{
	static const struct option all[] = {
		{"allow", required_argument, NULL, 'a'},
		{"high-min", required_argument, NULL, 'h'},
		{"swap-max", required_argument, NULL, 's'},
		{"state", required_argument, NULL, 'd'},
		{"fail-closed", no_argument, NULL, 'c'},
		{"help", no_argument, NULL, '?'},
		{NULL, 0, NULL, 0},
	};
	const char *wrong = NULL;
	int c;

	opterr = 0;
	while ((c = getopt_long(argc, argv, "", all, NULL)) >= 0) {
		if (c == 'a' && !read_allow(optarg, &o->allow))
			wrong = "--allow names what there is not";
		else if (c == 'h' && !read_bytes(optarg, &o->high_min_bytes))
			wrong = "--high-min takes bytes";
		else if (c == 's' && !read_bytes(optarg, &o->swap_max_bytes))
			wrong = "--swap-max takes bytes";
		else if (c == 'd')
			o->state_dir = optarg;
		else if (c == 'c')
			fail_closed = true;
		else if (c == '?')
			wrong = "no such option";
	}
	return wrong;
}

/* ---- in a runtime's place ---------------------------------------------------------------- */

/* The first word of a runtime's arguments that is none of its global options. */
static char **subcommand(char **argv)
{
	static const char *const with_value[] = {"--root", "--log",	 "--log-format",
						 "--criu", "--rootless", "--cgroup-manager"};

	for (; *argv && **argv == '-'; argv++) {
		for (size_t i = 0; i < sizeof(with_value) / sizeof(with_value[0]); i++) {
			if (strcmp(*argv, with_value[i]) != 0)
				continue;
			if (argv[1])
				argv++;
			break;
		}
	}
	return argv;
}

static const char *bundle_of(char **argv)
{
	for (; *argv; argv++) {
		if (strncmp(*argv, "--bundle=", 9) == 0)
			return *argv + 9;
		if ((strcmp(*argv, "--bundle") == 0 || strcmp(*argv, "-b") == 0) && argv[1])
			return argv[1];
	}
	return ".";
}

struct inserted {
	bool done;
	struct cgg_error err;
};

/* Write the text with the hooks to fd, in a process that can do nothing else: image authors write in it. */
static void insert(int fd, size_t len, const char *const *argv, size_t argc, struct inserted *ret)
{
	char *edited = NULL;
	size_t at = 0, n;

	hook_sandbox_seal();
	if (cgg_hook_insert(text, len, argv, argc, &edited, &ret->err) < 0)
		_exit(EXIT_FAILURE);
	for (n = strlen(edited); at < n;) {
		ssize_t w = write(fd, edited + at, n - at);

		if (w <= 0) {
			snprintf(ret->err.msg, sizeof(ret->err.msg), "config.json: %s",
				 strerror(errno));
			_exit(EXIT_FAILURE);
		}
		at += (size_t)w;
	}
	ret->done = true;
	_exit(EXIT_SUCCESS);
}

static int insert_apart(int fd, size_t len, const char *const *argv, size_t argc,
			struct cgg_error *err)
{
	struct inserted *shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE,
				       MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	pid_t pid = shared == MAP_FAILED ? -1 : fork();
	bool done;

	if (pid < 0) {
		snprintf(err->msg, sizeof(err->msg), "no process to read it: %s", strerror(errno));
		return -EAGAIN;
	}
	if (pid == 0)
		insert(fd, len, argv, argc, shared);
	/* where SIGCHLD is ignored this fails, when the process has ended */
	while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
		;
	done = shared->done;
	shared->err.msg[sizeof(shared->err.msg) - 1] = '\0';
	if (!done)
		snprintf(err->msg, sizeof(err->msg), "%s",
			 shared->err.msg[0] ? shared->err.msg : "config.json: its reader has died");
	munmap(shared, sizeof(*shared));
	return done ? 0 : -EINVAL;
}

/* By rename: the runtime reads the one or the other. 0 or a negative errno. */
static int replace(int dirfd, size_t len, mode_t mode, const char *const *argv, size_t argc,
		   struct cgg_error *err)
{
	static const char temporary[] = ".config.json.cgguard";
	int fd = openat(dirfd, temporary, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC,
			0600);
	int r = fd < 0 ? -errno : insert_apart(fd, len, argv, argc, err);

	if (r == 0 &&
	    (fchmod(fd, mode & 07777) < 0 || renameat(dirfd, temporary, dirfd, "config.json") < 0))
		r = -errno;
	if (fd < 0)
		return r;
	close(fd);
	if (r < 0)
		(void)unlinkat(dirfd, temporary, 0);
	return r;
}

static int add_hooks(const char *bundle, const char *const *argv, size_t argc,
		     struct cgg_error *err)
{
	int dirfd = open(bundle, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int fd = dirfd < 0 ? -1 : openat(dirfd, "config.json", O_RDONLY | O_CLOEXEC);
	struct stat st = {0};
	long len = 0;
	int r;

	r = fd < 0 || fstat(fd, &st) < 0 ? -errno : 0;
	if (r == 0)
		len = read_all(fd);
	r = len < 0 ? (int)len : r;
	if (r == 0)
		r = replace(dirfd, (size_t)len, st.st_mode, argv, argc, err);
	if (r < 0 && !err->msg[0])
		snprintf(err->msg, sizeof(err->msg), "config.json: %s", strerror(-r));
	if (fd >= 0)
		close(fd);
	if (dirfd >= 0)
		close(dirfd);
	return r;
}

/* argv[0 to n) are the hook's, argv[n] is --runtime=PROGRAM, what follows is the runtime's. */
static int become(char **argv, int n)
{
	const char *const runtime = argv[n] + strlen("--runtime=");
	char **rest = argv + n + 1, **command = subcommand(rest);
	char self[4096], line[4200];
	struct cgg_error err = {0};
	ssize_t len = readlink("/proc/self/exe", self, sizeof(self) - 1);

	if (len > 0 && *command &&
	    (strcmp(*command, "create") == 0 || strcmp(*command, "run") == 0)) {
		self[len] = '\0';
		argv[0] = self;
		if (add_hooks(bundle_of(command), (const char *const *)argv, (size_t)n, &err) < 0) {
			snprintf(line, sizeof(line), "the container has no hook: %s", err.msg);
			note(NULL, line);
			if (fail_closed)
				return EXIT_FAILURE;
		}
	}
	rest[-1] = argv[n] + strlen("--runtime=");
	execvp(runtime, rest - 1);
	snprintf(line, sizeof(line), "--runtime=%.2000s: %s", runtime, strerror(errno));
	note(NULL, line);
	return 127;
}

/* ---- in its own --------------------------------------------------------------------------- */

static int act(const struct cgg_hook_options *o, const char *stage)
{
	struct cgg_error err = {0};
	char line[sizeof(err.msg) + 32];
	bool begins = strcmp(stage, "poststop") != 0;
	long len;
	int r;

	hook_sandbox_enter(o->state_dir ? o->state_dir : "/run/cgguard", begins);
	len = read_all(STDIN_FILENO);
	if (len < 0) {
		snprintf(line, sizeof(line), "nothing was done: stdin: %s", strerror((int)-len));
		note(NULL, line);
		return EXIT_FAILURE;
	}
	if (!begins)
		r = cgg_hook_end(o, text, (size_t)len, &err);
	else
		r = cgg_hook_begin(o, text, (size_t)len, &err);
	/* what does not start is not registered; crun as Podman calls it runs no poststop then */
	if (r > 0 && fail_closed)
		(void)cgg_hook_end(o, text, (size_t)len, NULL);
	if (r < 0) {
		snprintf(line, sizeof(line), "nothing was done: %s", err.msg);
		note(NULL, line);
	}
	return r == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

int main(int argc, char **argv)
{
	static const char *const stages[] = {"createRuntime", "prestart", "poststart", "poststop"};
	struct cgg_hook_options o = {
		.allow = CGG_HOOK_ALL, .high_min_bytes = HIGH_MIN, .note = note};
	const char *wrong;
	bool known = false;

	if (argc == 2 && strcmp(argv[1], "--help") == 0)
		return fputs(usage, stdout) < 0;
	/* Docker asks this of what stands in its daemon.json, without the arguments beside it. */
	if (argc == 2 && strcmp(argv[1], "--version") == 0)
		return printf(NAME " version " CGG_VERSION "\n") < 0;
	for (int i = 1; i < argc; i++) {
		if (strncmp(argv[i], "--runtime=", 10) == 0) {
			open_log();
			wrong = read_options(i, argv, &o);
			return wrong ? bad_usage(wrong) : become(argv, i);
		}
	}
	reset();
	open_log();
	wrong = read_options(argc, argv, &o);
	for (size_t i = 0; optind == argc - 1 && i < sizeof(stages) / sizeof(stages[0]); i++)
		known |= strcmp(argv[optind], stages[i]) == 0;
	if (wrong || !known)
		return bad_usage(wrong ? wrong
				       : "name one STAGE: createRuntime, prestart, poststart or "
					 "poststop");
	return act(&o, argv[optind]) == EXIT_SUCCESS || !fail_closed ? EXIT_SUCCESS : EXIT_FAILURE;
}
