/* SPDX-License-Identifier: Apache-2.0 */
/* Ask the daemon over its socket, and show its answer: for programs as it is, for eyes as a page. */
#include "cmd.h"
#include "opt.h"
#include "print-owner.h"
#include "print.h"
#include "serve.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

const char help_status[] =
	"Usage: cgguard status [--json] [--top N] [PATH]\n"
	"Ask the guard that runs how it is: how far each domain is from danger, when it looks next "
	"and\n"
	"what wakes it, what it goes on without and why, its last incidents, what it has cost. "
	"PATH is its\n"
	"socket, as run --status names it (default /run/cgguard/status.sock; where we aren't "
	"root,\n"
	"cgguard/status.sock in $XDG_RUNTIME_DIR). It answers its own user and root.\n\n"
	"  --top N   only the N domains nearest to danger (default 20, 0: all)\n"
	"  --json    all of it\n\n"
	"Exit codes: 1 no guard answers there, 4 it is there, but its loop hangs.\n";

#define ANSWER_MAX ((size_t)64 << 20)
#define WAIT_S	   10

/* ---- ask ----------------------------------------------------------------------------- */

static int dial(const char *path, int *ret_fd)
{
	struct sockaddr_un at = {.sun_family = AF_UNIX};
	struct timeval wait = {.tv_sec = WAIT_S};
	int fd;

	if (strlen(path) >= sizeof(at.sun_path))
		return -ENAMETOOLONG;
	memcpy(at.sun_path, path, strlen(path) + 1);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	if (setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof(wait)) < 0 ||
	    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &wait, sizeof(wait)) < 0 ||
	    connect(fd, (const struct sockaddr *)&at, sizeof(at)) < 0) {
		int r = -errno;

		close(fd);
		return r;
	}
	*ret_fd = fd;
	return 0;
}

/* All of it, terminated; to be freed. NULL and errno. */
static char *read_all(int fd)
{
	size_t len = 0, room = 0;
	char *text = NULL;

	for (;;) {
		ssize_t n;

		if (len + 1 >= room) {
			char *more = room < ANSWER_MAX
					     ? realloc(text, room = room ? 2 * room : 65536)
					     : NULL;

			if (!more) {
				free(text);
				errno = ENOMEM;
				return NULL;
			}
			text = more;
		}
		n = read(fd, text + len, room - len - 1);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0) {
			free(text);
			return NULL;
		}
		text[len += (size_t)n] = '\0';
		if (n == 0)
			return text;
	}
}

static int no_answer(const char *path, int r)
{
	switch (r) {
	case -ENOENT:
	case -ECONNREFUSED:
	case -ENOTDIR:
		return complain(EXIT_NO, "no guard answers at '%s' (is 'cgguard run' running?)",
				path);
	case -EACCES:
	case -EPERM:
		return complain(EXIT_MACHINE, "'%s': %s; a guard answers its own user and root",
				path, strerror(-r));
	case -EAGAIN:
		return complain(EXIT_TIMEOUT, "'%s' has not answered for %d s", path, WAIT_S);
	default:
		return complain(r == -ENAMETOOLONG ? EXIT_INPUT : EXIT_MACHINE, "'%s': %s", path,
				serve_why(r));
	}
}

/* The answer as an object, or an exit code after complaining. */
static int fetch(const char *path, struct json_object **ret)
{
	int fd = -1, r = dial(path, &fd);
	char *text;

	if (r < 0)
		return no_answer(path, r);
	text = read_all(fd);
	r = -errno; /* of read_all(), if it failed */
	close(fd);
	if (!text)
		return no_answer(path, r);
	if (*text == '\0') {
		free(text);
		return complain(EXIT_MACHINE,
				"'%s' gives no answer: a guard answers its own user and root",
				path);
	}
	*ret = json_tokener_parse(text);
	free(text);
	if (!*ret || !json_object_is_type(*ret, json_type_object)) {
		json_object_put(*ret);
		return complain(EXIT_MACHINE, "'%s' has not given a whole answer: ask again", path);
	}
	return 0;
}

/* ---- show ---------------------------------------------------------------------------- */

static const char *str(struct json_object *o, const char *key)
{
	struct json_object *v = json_object_object_get(o, key);

	return v ? json_object_get_string(v) : "-";
}

static int64_t num(struct json_object *o, const char *key)
{
	return json_object_get_int64(json_object_object_get(o, key));
}

static bool is(struct json_object *o, const char *key)
{
	return json_object_get_boolean(json_object_object_get(o, key));
}

static size_t count(struct json_object *list)
{
	return json_object_is_type(list, json_type_array) ? json_object_array_length(list) : 0;
}

static const char *bytes(struct json_object *o, const char *key, char buf[PRINT_SIZE])
{
	struct json_object *v = json_object_object_get(o, key);
	int64_t n = json_object_get_int64(v);

	if (v && n < 0) { /* beyond the gate */
		print_bytes(true, (uint64_t)-n, buf);
		memmove(buf + 1, buf, PRINT_SIZE - 2);
		buf[0] = '-';
		buf[PRINT_SIZE - 1] = '\0';
		return buf;
	}
	return print_bytes(v != NULL, (uint64_t)n, buf);
}

/* "9.2 s", "3 h 5 min". */
static const char *span(int64_t us, char buf[PRINT_SIZE])
{
	int64_t s = us / 1000000;

	if (us < 1000000)
		snprintf(buf, PRINT_SIZE, "%d ms", (int)(us / 1000));
	else if (s < 60)
		snprintf(buf, PRINT_SIZE, "%d.%d s", (int)s, (int)(us / 100000 % 10));
	else if (s < 3600)
		snprintf(buf, PRINT_SIZE, "%d min %d s", (int)(s / 60), (int)(s % 60));
	else
		snprintf(buf, PRINT_SIZE, "%d h %d min", (int)(s / 3600 % 1000000),
			 (int)(s / 60 % 60));
	return buf;
}

/* By what is left to the gate; who has none, or was not looked at, last. */
static int64_t left(struct json_object *domain)
{
	struct json_object *v = json_object_object_get(domain, "distance_bytes");

	return v ? json_object_get_int64(v) : INT64_MAX;
}

static int nearer(const void *a, const void *b)
{
	int64_t x = left(*(struct json_object *const *)a),
		y = left(*(struct json_object *const *)b);

	return x < y ? -1 : x > y;
}

/* One condition that was read: "unreclaimable_above is 60 % of 50 %". */
static void show_condition(struct json_object *c)
{
	struct json_object *v = json_object_object_get(c, "value");
	const char *unit = str(c, "unit");
	bool share = strcmp(unit, "permyriad") == 0;
	char is_now[PRINT_SIZE], bound[PRINT_SIZE];

	if (!v)
		return;
	if (strncmp(unit, "bytes", 5) == 0) {
		bytes(c, "value", is_now);
		bytes(c, "threshold", bound);
	} else {
		snprintf(is_now, sizeof(is_now), "%lld",
			 (long long)num(c, "value") / (share ? 100 : 1));
		snprintf(bound, sizeof(bound), "%lld",
			 (long long)num(c, "threshold") / (share ? 100 : 1));
	}
	printf("      %*s%s %s: %s%s, its bound is %s%s\n", (int)(num(c, "depth") % 8 * 2), "",
	       str(c, "condition"), str(c, "is"), is_now, share ? " %" : "", bound,
	       share ? " %" : "");
}

static void show_domain(struct json_object *d)
{
	struct json_object *when = json_object_object_get(d, "when"), *next;
	char level[PRINT_SIZE], gate[PRINT_SIZE], limit[PRINT_SIZE], dist[PRINT_SIZE],
		wait[PRINT_SIZE], whose[PRINT_OWNER_SIZE];

	next = json_object_object_get(d, "next_look_us");
	printf("  %7s %7s %7s %7s  %-11s %-6s %-8s %s\n", bytes(d, "distance_bytes", dist),
	       bytes(d, "level_bytes", level), bytes(d, "gate_bytes", gate),
	       bytes(d, "limit_bytes", limit),
	       next ? span(json_object_get_int64(next), wait) : "by event", str(d, "watched_by"),
	       str(d, "is"), str(d, "rule"));
	printf("      %s", str(d, "domain"));
	if (*print_owner_of_json(d, "owner", whose))
		printf(" (%s)", whose);
	if (json_object_object_get(d, "brake_bytes"))
		printf(", memory.high held at %s", bytes(d, "brake_bytes", level));
	if (json_object_object_get(d, "rests_us"))
		printf(", rests for %s", span(num(d, "rests_us"), wait));
	putchar('\n');
	for (size_t i = 0; i < count(when); i++)
		show_condition(json_object_array_get_idx(when, i));
}

static void show_domains(struct json_object *guard, unsigned long top)
{
	struct json_object *list = json_object_object_get(guard, "domains");
	size_t n = count(list);

	if (n == 0) {
		puts("\nNo cgroup matches any rule's domain.");
		return;
	}
	json_object_array_sort(list, nearer);
	if (top == 0 || top > n)
		top = n;
	printf("\n%zu domain%s%s\n  %7s %7s %7s %7s  %-11s %-6s %-8s %s\n", n, n == 1 ? "" : "s",
	       top < n ? ", the nearest first (--top 0 shows all):" : ", the nearest first:",
	       "LEFT", "LEVEL", "GATE", "LIMIT", "NEXT LOOK", "BY", "IS", "RULE");
	for (size_t i = 0; i < top; i++)
		show_domain(json_object_array_get_idx(list, i));
}

static void show_without(struct json_object *o, struct json_object *guard)
{
	struct json_object *own = json_object_object_get(o, "without");
	struct json_object *list = json_object_object_get(guard, "fallbacks");

	if (json_object_object_get(o, "policy_refused"))
		printf("\nThe policy that was read last is refused, the one before stays in "
		       "force:\n  %s\n",
		       str(o, "policy_refused"));
	if (count(own) + count(list) > 0)
		puts("\nIt goes on without:");
	for (size_t i = 0; i < count(own); i++)
		printf("  %s\n", json_object_get_string(json_object_array_get_idx(own, i)));
	for (size_t i = 0; i < count(list); i++)
		printf("  %s\n", str(json_object_array_get_idx(list, i), "text"));
}

static void show_triggers(struct json_object *guard)
{
	struct json_object *list = json_object_object_get(guard, "pressure_triggers");

	if (count(list) == 0)
		return;
	puts("\nMemory pressure (PSI) wakes it in:");
	for (size_t i = 0; i < count(list); i++) {
		struct json_object *t = json_object_array_get_idx(list, i);

		printf("  %s (%s)\n", str(t, "cgroup"), str(t, "file"));
	}
}

static void show_incidents(struct json_object *guard)
{
	struct json_object *now = json_object_object_get(guard, "under_way");
	struct json_object *list = json_object_object_get(guard, "incidents");
	char ago[PRINT_SIZE], freed[PRINT_SIZE], whose[PRINT_OWNER_SIZE];

	for (size_t i = 0; i < count(now); i++) {
		struct json_object *u = json_object_array_get_idx(now, i);

		printf("\nUnder way: %s of rule %s in %s, victim %s, for %s%s\n", str(u, "action"),
		       str(u, "rule"), str(u, "domain"), str(u, "victim"),
		       span(num(u, "since_us"), ago),
		       is(u, "overdue") ? ", hangs in the kernel" : "");
	}
	if (count(list) > 0)
		puts("\nLast incidents:");
	for (size_t i = 0; i < count(list); i++) {
		struct json_object *p = json_object_array_get_idx(list, i);

		printf("  %lld. %s ago, rule %s in %s: %s", (long long)num(p, "number"),
		       span(num(p, "ago_us"), ago), str(p, "rule"), str(p, "domain"),
		       str(p, "outcome"));
		if (json_object_object_get(p, "victim"))
			printf(" %s", str(p, "victim"));
		if (*print_owner_of_json(p, "victim_owner", whose))
			printf(" (%s)", whose);
		if (json_object_object_get(p, "freed_bytes"))
			printf(", %s freed", bytes(p, "freed_bytes", freed));
		putchar('\n');
	}
}

static void show_counters(struct json_object *o, struct json_object *guard)
{
	struct json_object *c = json_object_object_get(guard, "counters");
	struct json_object *dropped = json_object_object_get(o, "dropped");
	struct json_object *w = json_object_object_get(guard, "watches");

	printf("\n%lld wake-ups (timer %lld, inotify %lld, pressure %lld, workers %lld), %lld "
	       "looks, "
	       "%lld evaluations, %lld scans\n",
	       (long long)num(c, "wakeups"), (long long)num(c, "by_timer"),
	       (long long)num(c, "by_inotify"), (long long)num(c, "by_pressure"),
	       (long long)num(c, "by_worker"), (long long)num(c, "looks"),
	       (long long)num(c, "evaluations"), (long long)num(c, "scans"));
	printf("inotify watches %lld directories and %lld files, of %lld watches that this user "
	       "may "
	       "have; refused: %lld\n",
	       (long long)num(w, "directories"), (long long)num(w, "files"),
	       (long long)num(w, "limit"), (long long)num(w, "refused"));
	printf("%lld incidents, %lld kills, %lld brakes reset by others, %lld values of containers "
	       "put back; records dropped: %lld, messages: %lld\n",
	       (long long)num(c, "incidents"), (long long)num(c, "kills"),
	       (long long)num(c, "brake_drift"), (long long)num(c, "resets_undone"),
	       (long long)num(dropped, "incidents"), (long long)num(dropped, "messages"));
}

static void show(struct json_object *o, unsigned long top)
{
	struct json_object *guard = json_object_object_get(o, "guard");
	struct json_object *rules = json_object_object_get(guard, "rules");
	char up[PRINT_SIZE];

	printf("cgguard %s, pid %lld, up %s%s: %zu rule%s of %s, %lld cgroups, %lld brakes\n",
	       str(o, "cgguard"), (long long)num(o, "pid"), span(num(guard, "uptime_us"), up),
	       is(guard, "dry_run") ? ", dry run" : "", count(rules), count(rules) == 1 ? "" : "s",
	       str(o, "policy"), (long long)num(guard, "cgroups"), (long long)num(guard, "brakes"));
	show_without(o, guard);
	show_domains(guard, top);
	show_triggers(guard);
	show_incidents(guard);
	show_counters(o, guard);
}

int cmd_status(int argc, char **argv)
{
	struct json_object *o = NULL;
	char buf[108];
	const char *path = buf;
	struct opt opt;
	int code = opt_read(argc, argv, "jt", &opt);

	if (code != 0)
		return code;
	if (opt.nargs > 1)
		return complain(EXIT_INPUT, "status: what is '%s'?", opt.args[1]);
	if (opt.nargs == 1)
		path = opt.args[0];
	else if ((code = serve_default_path(false, buf, sizeof(buf))) < 0)
		return complain(EXIT_INPUT,
				"status: %s: name the guard's socket (cgguard status PATH)",
				serve_why(code));
	code = fetch(path, &o);
	if (code != 0)
		return code;
	if (json_object_object_get(o, "error"))
		code = complain(EXIT_TIMEOUT, "'%s': %s", path, str(o, "error"));
	else if (!opt.json)
		show(o, opt.top);
	if (opt.json)
		print_json(o);
	else
		json_object_put(o);
	return code;
}
