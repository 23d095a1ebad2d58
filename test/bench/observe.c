/* SPDX-License-Identifier: Apache-2.0 */
/*
 * observe: what happens to a group that runs out of memory, as the kernel tells it, whoever guards it.
 *
 * Signals, kills by the kernel and the first reclaim come from tracepoints, with the kernel's own
 * times; usage and MemAvailable are read each millisecond, at real-time priority. The guard is one
 * process like any other here: whose thread sent a signal says who was first.
 *
 * Prints one JSON object: times in us after the danger line was crossed, null what never happened.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <sched.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define STEP_US	   1000
#define TAIL_US	   300000 /* after the end, for what is still under way */
#define AFTER_US   15000000 /* after the first kill: the group is gone by then, or won't be */
#define PIDS_MAX   8192
#define COMM_MAX   16 /* a comm */
#define TRACE	   "/sys/kernel/tracing/instances/bench"
#define TRACE_SIZE 65536

static const char usage[] =
	"usage: observe --seconds N --group DIR --name COMM [OPTION...]\n"
	"  --seconds N      end after that long; sooner when the group is gone, or 15 s after the "
	"first kill\n"
	"  --group DIR      the group that is guilty, --name: its processes' name\n"
	"  --guard PID      whose signals are the guard's\n"
	"  --line BYTES     danger: the group's memory.current is at that\n"
	"  --available KIB  danger: MemAvailable is below that\n"
	"  --breach         danger: the group is made to reclaim, if that comes before the line\n"
	"  --innocent NAME  who must not die; may be given more than once\n"
	"  --ready FILE     made when all is set up\n";

static struct {
	uint64_t seconds, line_bytes, available_kib;
	const char *group, *name, *ready, *innocent[8];
	size_t ninnocent;
	long guard;
	bool breach;
} opt;

static struct {
	uint64_t start_us, now_us, before_us, cross_us, breach_us, signal_us, kernel_us, freed_us,
		empty_us;
	uint64_t usage, peak, available_kib, least_kib;
	unsigned int by_guard, by_kernel, wrong_by_guard, wrong_by_kernel;
	unsigned int terms, kernel_kills;
	char wrong[COMM_MAX];
	bool populated, seen;
} is;

static struct {
	long pid;
	bool by_kernel;
} signalled[PIDS_MAX];
static size_t nsignalled;

__attribute__((format(printf, 1, 2))) _Noreturn static void die(const char *format, ...)
{
	int code = errno;
	va_list args;

	va_start(args, format);
	fputs("observe: ", stderr);
	vfprintf(stderr, format, args);
	fprintf(stderr, ": %s\n", strerror(code));
	va_end(args);
	exit(1);
}

static uint64_t now_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

/* ---- what the kernel says ------------------------------------------------------------- */

static void put(const char *file, const char *text)
{
	char path[256];
	int fd;

	snprintf(path, sizeof(path), "%s/%s", TRACE, file);
	fd = open(path, O_WRONLY | O_TRUNC | O_CLOEXEC);
	if (fd < 0 || write(fd, text, strlen(text)) < 0)
		die("%s", path);
	close(fd);
}

/*
 * The instance is left there for the next observer: where a tracepoint comes or goes the kernel patches its
 * own code, and an emulator of two processors now and then runs the old code for ever.
 */
static int trace_open(void)
{
	int fd;

	if (mkdir(TRACE, 0700) < 0 && errno != EEXIST)
		die("%s", TRACE);
	put("trace_clock", "mono");
	put("buffer_size_kb", "1024");
	put("events/signal/signal_generate/filter", "sig == 9 || sig == 15");
	put("events/signal/signal_generate/enable", "1");
	put("events/oom/mark_victim/enable", "1");
	put("events/vmscan/mm_vmscan_memcg_reclaim_begin/filter", opt.breach ? "0" : "order > 99");
	put("events/vmscan/mm_vmscan_memcg_reclaim_begin/enable", "1");
	put("trace", ""); /* what an earlier one has left */
	fd = open(TRACE "/trace_pipe", O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	if (fd < 0)
		die("trace_pipe");
	return fd;
}

/* Sent by a thread of the guard? It may be gone by now, but guards live on. */
static bool is_guards(long tid)
{
	char path[64];

	if (opt.guard == 0)
		return false;
	snprintf(path, sizeof(path), "/proc/%ld/task/%ld", opt.guard, tid);
	return access(path, F_OK) == 0;
}

static bool is_innocent(const char *name)
{
	for (size_t i = 0; i < opt.ninnocent; i++) {
		if (strcmp(opt.innocent[i], name) == 0)
			return true;
	}
	return false;
}

/* Once for each process, whoever was first. text: "comm=NAME pid=..." */
static void count(long pid, const char *text, bool by_kernel)
{
	char name[COMM_MAX] = "";
	bool guilty;

	sscanf(text, "comm=%15[^ ]", name);
	guilty = strcmp(name, opt.name) == 0;

	if (!guilty && !is_innocent(name))
		return;
	for (size_t i = 0; i < nsignalled; i++) {
		if (signalled[i].pid == pid)
			return;
	}
	if (nsignalled < PIDS_MAX) {
		signalled[nsignalled].pid = pid;
		signalled[nsignalled++].by_kernel = by_kernel;
	}
	if (guilty)
		by_kernel ? is.by_kernel++ : is.by_guard++;
	else
		by_kernel ? is.wrong_by_kernel++ : is.wrong_by_guard++;
	if (!guilty)
		snprintf(is.wrong, sizeof(is.wrong), "%s", name);
}

/* "TASK-TID [CPU] FLAGS SECONDS.MICROS: EVENT: key=value ..." */
static void trace_line(char *line)
{
	char *cpu = strstr(line, " ["), *tid, *time, *event, *name, *pid;
	uint64_t us, sec;
	long sender;

	if (!cpu)
		return;
	*cpu = '\0';
	tid = strrchr(line, '-');
	time = strchr(cpu + 1, ']');
	event = time ? strstr(time, ": ") : NULL;
	if (!tid || !event)
		return;
	/* flags such as "d..2." come before the time */
	for (char *p = event; p > time; p--) {
		if (p[-1] == ' ') {
			time = p;
			break;
		}
	}
	sec = strtoull(time, &time, 10);
	us = *time == '.' ? sec * 1000000 + strtoull(time + 1, NULL, 10) : 0;
	sender = strtol(tid + 1, NULL, 10);
	while (*line == ' ')
		line++;
	*tid = '\0';
	event += 2;

	if (strncmp(event, "mm_vmscan_memcg_reclaim_begin", 29) == 0) {
		if (!is.breach_us && strcmp(line, opt.name) == 0)
			is.breach_us = us;
		return;
	}
	if (strncmp(event, "mark_victim", 11) == 0) {
		if (!is.kernel_us)
			is.kernel_us = us;
		is.kernel_kills++;
		return;
	}
	name = strstr(event, "comm=");
	pid = name ? strstr(name, " pid=") : NULL;
	if (strncmp(event, "signal_generate", 15) != 0 || !pid)
		return;
	/* SI_KERNEL: the kernel's killer, which works in whatever thread could get no memory, be it the
	 * guard's */
	if (!strstr(event, " code=128 ") && is_guards(sender)) {
		if (!is.signal_us)
			is.signal_us = us;
		is.terms += strstr(event, "sig=15 ") != NULL;
		count(strtol(pid + 5, NULL, 10), name, false);
	} else if (sender != 1) {
		count(strtol(pid + 5, NULL, 10), name, true);
	}
}

static void trace_read(int fd)
{
	static char text[TRACE_SIZE + 1];
	static size_t kept;
	ssize_t n;

	while ((n = read(fd, text + kept, TRACE_SIZE - kept)) > 0) {
		char *line = text, *end;

		text[kept + (size_t)n] = '\0';
		while ((end = strchr(line, '\n')) != NULL) {
			*end = '\0';
			trace_line(line);
			line = end + 1;
		}
		kept = strlen(line);
		if (kept == TRACE_SIZE)
			kept = 0;
		memmove(text, line, kept);
	}
}

/* ---- what is read --------------------------------------------------------------------- */

static int open_in(const char *dir, const char *file)
{
	char path[512];

	snprintf(path, sizeof(path), "%s/%s", dir, file);
	return open(path, O_RDONLY | O_CLOEXEC);
}

/* False: it is gone. */
static bool read_text(int fd, char *text, size_t size)
{
	ssize_t n = pread(fd, text, size - 1, 0);

	if (n < 0)
		return false;
	text[n] = '\0';
	return true;
}

static void look_usage(int fd)
{
	uint64_t before = is.usage;
	char text[32];

	is.usage = read_text(fd, text, sizeof(text)) ? strtoull(text, NULL, 10) : 0;
	if (is.usage > is.peak)
		is.peak = is.usage;
	/* between this sample and the one before, as if it had grown evenly */
	if (!is.cross_us && opt.line_bytes && is.usage >= opt.line_bytes)
		is.cross_us = is.before_us + (is.now_us - is.before_us) *
						     (opt.line_bytes - before) /
						     (is.usage - before);
	if (!is.freed_us && (is.signal_us || is.kernel_us) && is.usage <= is.peak / 10)
		is.freed_us = is.now_us;
}

static void look_host(int fd)
{
	char text[512];
	const char *at;

	if (!read_text(fd, text, sizeof(text)) || !(at = strstr(text, "MemAvailable:")))
		die("meminfo");
	is.available_kib = strtoull(at + 13, NULL, 10);
	if (!is.least_kib || is.available_kib < is.least_kib)
		is.least_kib = is.available_kib;
	if (!is.cross_us && opt.available_kib && is.available_kib < opt.available_kib)
		is.cross_us = is.now_us;
}

static void look_populated(int fd)
{
	char text[128];

	is.populated = read_text(fd, text, sizeof(text)) && strstr(text, "populated 1");
	if (is.populated)
		is.seen = true;
	else if (is.seen && !is.empty_us)
		is.empty_us = is.now_us;
}

/* Whatever the kill at that time could do is done. */
static bool ended(uint64_t kill_us)
{
	return kill_us && is.now_us > kill_us + AFTER_US;
}

static void watch(void)
{
	int trace = trace_open(), usage_fd = open_in(opt.group, "memory.current");
	int events = open_in(opt.group, "cgroup.events"), meminfo = open_in("/proc", "meminfo");
	uint64_t end_us;
	struct timespec next;

	if (usage_fd < 0 || events < 0 || meminfo < 0)
		die("%s", opt.group);
	if (opt.ready)
		close(open(opt.ready, O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
	is.start_us = is.now_us = now_us();
	end_us = is.start_us + opt.seconds * 1000000;
	clock_gettime(CLOCK_MONOTONIC, &next);
	for (uint64_t turn = 0;; turn++) {
		is.before_us = is.now_us;
		is.now_us = now_us();
		look_usage(usage_fd);
		if (opt.available_kib ? turn % 2 == 0 : turn % 64 == 0)
			look_host(meminfo);
		look_populated(events);
		trace_read(trace);
		if (is.breach_us && (!is.cross_us || is.breach_us < is.cross_us))
			is.cross_us = is.breach_us;
		if (is.empty_us && end_us > is.empty_us + TAIL_US)
			end_us = is.empty_us + TAIL_US;
		if (is.now_us >= end_us || ended(is.signal_us) || ended(is.kernel_us))
			break;
		next.tv_nsec += STEP_US * 1000;
		if (next.tv_nsec >= 1000000000) {
			next.tv_nsec -= 1000000000;
			next.tv_sec++;
		}
		if ((uint64_t)next.tv_sec * 1000000 + (uint64_t)next.tv_nsec / 1000 < is.now_us)
			clock_gettime(CLOCK_MONOTONIC, &next); /* late: no catching up */
		else
			clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &next, NULL);
	}
	look_usage(usage_fd);
	close(trace);
}

/* ---- what is told --------------------------------------------------------------------- */

/* After the line; before it (a guard may be earlier than the line) is negative. */
static void tell_time(const char *key, uint64_t us)
{
	uint64_t from = is.cross_us;

	if (!us || !from)
		printf("\"%s\":null,", key);
	else if (us >= from)
		printf("\"%s\":%" PRIu64 ",", key, us - from);
	else
		printf("\"%s\":-%" PRIu64 ",", key, from - us);
}

static void tell(void)
{
	bool guard_first = is.signal_us && (!is.kernel_us || is.signal_us < is.kernel_us);

	printf("{\"crossed\":%s,", is.cross_us ? "true" : "false");
	tell_time("signal_us", is.signal_us);
	tell_time("kernel_us", is.kernel_us);
	tell_time("freed_us", is.freed_us);
	tell_time("empty_us", is.empty_us);
	printf("\"first\":\"%s\",", guard_first ? "guard" : is.kernel_us ? "kernel" : "nobody");
	printf("\"guilty_by_guard\":%u,\"guilty_by_kernel\":%u,", is.by_guard, is.by_kernel);
	printf("\"wrong_by_guard\":%u,\"wrong_by_kernel\":%u,\"wrong_name\":\"%s\",",
	       is.wrong_by_guard, is.wrong_by_kernel, is.wrong);
	printf("\"terms\":%u,\"kernel_kills\":%u,", is.terms, is.kernel_kills);
	printf("\"guilty_gone\":%s,", is.populated ? "false" : "true");
	printf("\"peak_bytes\":%" PRIu64 ",\"left_bytes\":%" PRIu64 ",", is.peak, is.usage);
	printf("\"least_available_kib\":%" PRIu64 ",\"ran_us\":%" PRIu64 "}\n", is.least_kib,
	       is.now_us - is.start_us);
}

static uint64_t number(const char *text)
{
	char *end;
	uint64_t value = strtoull(text, &end, 10);

	if (end == text || *end != '\0') {
		fputs(usage, stderr);
		exit(100);
	}
	return value;
}

static bool option(const char *key, const char *value)
{
	if (strcmp(key, "--seconds") == 0)
		opt.seconds = number(value);
	else if (strcmp(key, "--group") == 0)
		opt.group = value;
	else if (strcmp(key, "--name") == 0)
		opt.name = value;
	else if (strcmp(key, "--guard") == 0)
		opt.guard = (long)number(value);
	else if (strcmp(key, "--line") == 0)
		opt.line_bytes = number(value);
	else if (strcmp(key, "--available") == 0)
		opt.available_kib = number(value);
	else if (strcmp(key, "--ready") == 0)
		opt.ready = value;
	else if (strcmp(key, "--innocent") == 0 &&
		 opt.ninnocent < sizeof(opt.innocent) / sizeof(*opt.innocent))
		opt.innocent[opt.ninnocent++] = value;
	else
		return false;
	return true;
}

int main(int argc, char **argv)
{
	struct sched_param priority = {.sched_priority = 50};
	int i = 1;

	while (i < argc) {
		if (strcmp(argv[i], "--breach") == 0) {
			opt.breach = true;
			i++;
		} else if (i + 1 < argc && option(argv[i], argv[i + 1])) {
			i += 2;
		} else {
			break;
		}
	}
	if (i < argc || !opt.group || !opt.name || !opt.seconds) {
		fputs(usage, stderr);
		return 100;
	}
	if (mlockall(MCL_CURRENT | MCL_FUTURE) < 0 ||
	    sched_setscheduler(0, SCHED_FIFO, &priority) < 0)
		die("real-time priority");
	watch();
	tell();
	return 0;
}
