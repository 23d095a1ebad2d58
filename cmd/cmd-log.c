/* SPDX-License-Identifier: Apache-2.0 */
/* The kernel's OOM reports in a log, or in the kernel's own ring. */
#include "cmd.h"
#include "log-tell.h"
#include "opt.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#define READ_SIZE  (256U << 10) /* a record of /dev/kmsg has 8 KiB at the most */
#define WRITE_SIZE (64U << 10)
#define QUIET_MS   3000 /* after which a report that was begun is told */
#define LOOK_BYTES (16U << 20) /* by then a log has shown to be one */

const char help_log[] =
	"Usage: cgguard log [OPTION...] [FILE|-]\n"
	"Tell what the kernel's OOM killer did and why, by the log FILE (- is stdin): as dmesg, "
	"journalctl\n"
	"(short forms, json, export), syslog, a console or a container runtime have it, of kernels "
	"from 3.x on.\n"
	"Without FILE, by this machine's own: /dev/kmsg.\n\n"
	"  --kmsg    read /dev/kmsg: what is there (the default)\n"
	"  --follow  and go on, until a signal ends it\n"
	"  --json    one JSON object in a line for each report, with all that it says: the table "
	"of tasks too\n\n"
	"A report of which lines are missing is told as far as it goes, and \"truncated\".\n"
	"Exit codes: 0 reports were found; 1 none; 2 no such file, or no log; 3 the kernel's log "
	"can't be read.\n";

struct reading {
	const char *name; /* of the log */
	bool json, follow;
	bool failed; /* stdout has */
	bool told;
	char *text; /* of a report */
	char head[8]; /* of the log */
	struct cgg_log *log;
};

static void on_report(void *user, const struct cgg_log_report *report)
{
	struct reading *r = user;
	long len;

	if (r->failed)
		return;
	if (r->json) {
		len = cgg_log_json(report, r->text, CGG_LOG_JSON_SIZE);
		if (len > 0) {
			r->text[len] = '\n';
			fwrite(r->text, 1, (size_t)len + 1, stdout);
		}
	} else {
		if (r->told)
			putchar('\n');
		log_tell(report);
	}
	r->told = true;
	r->failed = (r->follow && fflush(stdout) != 0) || ferror(stdout);
}

/* What a file without a report begins with, if it is no text. */
static int no_log(const struct reading *r)
{
	static const struct {
		const char *magic;
		size_t len;
		const char *what, *how;
	} kinds[] = {
		{"\x1f\x8b", 2, "compressed (gzip)", "zcat FILE | cgguard log -"},
		{"\xfd"
		 "7zXZ",
		 5, "compressed (xz)", "xzcat FILE | cgguard log -"},
		{"\x28\xb5\x2f\xfd", 4, "compressed (zstd)", "zstdcat FILE | cgguard log -"},
		{"BZh", 3, "compressed (bzip2)", "bzcat FILE | cgguard log -"},
		{"LPKSHHRH", 8, "a journal", "journalctl --file FILE -o export | cgguard log -"},
		{"\x7f"
		 "ELF",
		 4, "a program", "is there a log of that name elsewhere?"},
	};
	struct cgg_log_read read;

	cgg_log_get_read(r->log, &read);
	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		if (memcmp(r->head, kinds[i].magic, kinds[i].len) == 0)
			return complain(EXIT_INPUT, "%s is no text, it is %s: %s", r->name,
					kinds[i].what, kinds[i].how);
	}
	if (read.zeros > 0)
		return complain(EXIT_INPUT, "%s is no log: %" PRIu64 " of %" PRIu64 " bytes are 0",
				r->name, read.zeros, read.bytes);
	if (read.lines <= 1 && read.longest_bytes > CGG_LOG_LINE_SIZE)
		return complain(EXIT_INPUT, "%s is no log: one line of %" PRIu64 " bytes", r->name,
				read.longest_bytes);
	return 0;
}

/* After the last byte: the exit code. */
static int verdict(struct reading *r)
{
	struct cgg_log_read read;
	int code;

	cgg_log_flush(r->log);
	cgg_log_get_read(r->log, &read);
	if (read.reports > 0)
		return EXIT_DONE;
	code = no_log(r);
	if (code != 0)
		return code;
	if (read.bytes == 0)
		return complain(EXIT_NO, "%s is empty", r->name);
	return complain(EXIT_NO, "no OOM report in the %" PRIu64 " lines of %s", read.lines,
			r->name);
}

/* Bytes that never end, and never were a log: a device, or a program's output. */
static bool is_hopeless(const struct reading *r)
{
	struct cgg_log_read read;

	cgg_log_get_read(r->log, &read);
	return read.reports == 0 && read.bytes >= LOOK_BYTES &&
	       (read.zeros > read.bytes / 300 || (read.lines == 0 && read.longest_bytes > 0));
}

static int read_file(struct reading *r, int fd, char *buf)
{
	size_t seen = 0;
	ssize_t n;

	while ((n = read(fd, buf, READ_SIZE)) != 0) {
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return complain(EXIT_MACHINE, "cannot read %s: %s", r->name,
					strerror(errno));
		for (ssize_t i = 0; i < n && seen < sizeof(r->head); i++)
			r->head[seen++] = buf[i];
		cgg_log_feed(r->log, buf, (size_t)n);
		if (r->failed || is_hopeless(r))
			break;
	}
	return verdict(r);
}

static int no_kmsg(int error)
{
	const char *hint = error == ENOENT ? "there is none here, as in a container"
					   : "it takes root or CAP_SYSLOG, on the host";

	return complain(EXIT_MACHINE,
			"cannot read /dev/kmsg: %s: %s; or give a log: cgguard log FILE",
			strerror(error), hint);
}

/* One record at a time. EPIPE: what we would have read next was overwritten; it goes on behind. */
static int read_kmsg(struct reading *r, int fd, char *buf)
{
	struct pollfd p = {.fd = fd, .events = POLLIN};

	while (!r->failed) {
		ssize_t n = read(fd, buf, READ_SIZE);

		if (n > 0) {
			cgg_log_feed(r->log, buf, (size_t)n);
			continue;
		}
		if (n < 0 && (errno == EINTR || errno == EPIPE))
			continue;
		if (n < 0 && errno != EAGAIN)
			return no_kmsg(errno);
		if (!r->follow)
			break;
		if (poll(&p, 1, QUIET_MS) == 0)
			cgg_log_flush(r->log);
	}
	return verdict(r);
}

static bool is_kmsg(const struct stat *st)
{
	return S_ISCHR(st->st_mode) && st->st_rdev == makedev(1, 11);
}

/* A file, or stdin; *ret_kmsg: it is /dev/kmsg by another name. */
static int open_log(const char *path, int *ret_fd, bool *ret_kmsg)
{
	bool in = strcmp(path, "-") == 0;
	int fd = in ? STDIN_FILENO : open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	struct stat st;

	if (fd < 0 && errno == EPERM)
		return no_kmsg(errno);
	if (fd < 0 || fstat(fd, &st) < 0)
		return complain(errno == EACCES ? EXIT_MACHINE : EXIT_INPUT, "cannot read %s: %s",
				path, strerror(errno));
	*ret_fd = fd;
	*ret_kmsg = is_kmsg(&st);
	if (S_ISDIR(st.st_mode))
		return complain(EXIT_INPUT, "%s is a directory: name a file of it", path);
	if (!in && S_ISCHR(st.st_mode) && !*ret_kmsg && !isatty(fd) &&
	    st.st_rdev != makedev(1, 3)) /* /dev/null is empty */
		return complain(EXIT_INPUT, "%s is a device, not a log", path);
	if (!in && !*ret_kmsg)
		fcntl(fd, F_SETFL, 0); /* a FIFO is waited for */
	return 0;
}

static int run(struct reading *r, const char *path)
{
	const struct cgg_log_options options = {
		.report = on_report,
		.user = r,
		.tasks = r->json, /* in sentences they are not told */
	};
	char *buf = malloc(READ_SIZE);
	bool kmsg = false;
	struct cgg_error err;
	int fd = -1, code;

	setvbuf(stdout, NULL, _IOFBF, WRITE_SIZE);
	r->text = calloc(1, CGG_LOG_JSON_SIZE);
	code = open_log(path, &fd, &kmsg);
	if (code == 0 && (!buf || !r->text))
		code = complain(EXIT_MACHINE, "out of memory");
	if (code == 0 && cgg_log_open(&options, &r->log, &err) < 0)
		code = complain(EXIT_MACHINE, "%s", err.msg);
	if (code == 0)
		code = kmsg ? read_kmsg(r, fd, buf) : read_file(r, fd, buf);
	cgg_log_close(r->log);
	if (fd > STDIN_FILENO)
		close(fd);
	free(r->text);
	free(buf);
	return code;
}

int cmd_log(int argc, char **argv)
{
	struct reading r = {0};
	struct opt o;
	int code = opt_read(argc, argv, "jkF", &o);

	if (code != 0)
		return code;
	if (o.nargs > 1)
		return complain(EXIT_INPUT, "log: one FILE at the most");
	if (o.nargs == 1 && (o.kmsg || o.follow))
		return complain(EXIT_INPUT, "log: --%s reads /dev/kmsg, not %s",
				o.kmsg ? "kmsg" : "follow", o.args[0]);
	r.name = o.nargs == 1 ? o.args[0] : "/dev/kmsg";
	r.json = o.json;
	r.follow = o.follow;
	code = run(&r, r.name);
	return code;
}
