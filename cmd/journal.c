/* SPDX-License-Identifier: Apache-2.0 */
/* Send incidents to systemd's journal. */
#include "journal.h"

#include "cgguard.h"
#include "print.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#define ENTRY_MAX (160 << 10) /* a record and what is said of it; less than a socket takes */
#define TRIES	  100
#define TRY_NS	  20000000

static struct journal {
	int fd;
	struct sockaddr_un to;
	size_t len;
	char entry[ENTRY_MAX];
} journal = {.fd = -1};

enum kind { KILLED, NOT_FREED, SHORT, BY_KERNEL };

static const struct {
	const char *id;
	int priority; /* syslog(3) */
} kinds[] = {
	[KILLED] = {"cf89c5909fcf44e6bcda97b83e2f1e1b", 4},
	[NOT_FREED] = {"caf5f9ca75ee49a2b2467ba0115f4723", 3},
	[SHORT] = {"efd342eb5e8d411680cb2a375b5b45a2", 5},
	[BY_KERNEL] = {"7631067b6b69438884d28323dff319b8", 4},
};

int journal_open(const char *path)
{
	int r;

	if (!path)
		path = JOURNAL_SOCKET;
	if (strlen(path) >= sizeof(journal.to.sun_path))
		return -ENAMETOOLONG;
	journal.to = (struct sockaddr_un){.sun_family = AF_UNIX};
	memcpy(journal.to.sun_path, path, strlen(path) + 1);
	journal.fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (journal.fd < 0)
		return -errno;
	/* An entry without a field: says whether somebody is there, and is no entry. */
	if (sendto(journal.fd, "", 0, MSG_NOSIGNAL, (const struct sockaddr *)&journal.to,
		   sizeof(journal.to)) >= 0 ||
	    errno == EAGAIN)
		return 0;
	r = -errno;
	close(journal.fd);
	journal.fd = -1;
	return r;
}

/* ---- an entry ------------------------------------------------------------------------- */

/* What does not fit is not told: the record comes last. */
static void put(const char *name, const char *value, size_t len)
{
	size_t name_len = strlen(name);

	if (!value || len == 0 || name_len + len + 2 > sizeof(journal.entry) - journal.len)
		return;
	memcpy(journal.entry + journal.len, name, name_len);
	journal.len += name_len;
	journal.entry[journal.len++] = '=';
	memcpy(journal.entry + journal.len, value, len);
	for (size_t i = journal.len; i < journal.len + len; i++) { /* a line is a field */
		if (journal.entry[i] == '\n' || journal.entry[i] == '\0')
			journal.entry[i] = ' ';
	}
	journal.len += len;
	journal.entry[journal.len++] = '\n';
}

static void put_text(const char *name, const char *value)
{
	char shown[4096];

	if (!value)
		return;
	cgg_text_printable(value, shown, sizeof(shown));
	put(name, shown, strlen(shown));
}

static void putf(const char *name, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

static void putf(const char *name, const char *fmt, ...)
{
	char text[2048];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	put_text(name, text);
}

static struct json_object *get(struct json_object *o, const char *key)
{
	return json_object_object_get(o, key);
}

static const char *text_of(struct json_object *o, const char *key)
{
	struct json_object *v = get(o, key);

	return v ? json_object_get_string(v) : NULL;
}

static enum kind kind_of(const char *event, const char *outcome, bool dry_run)
{
	static const char *const mild[] = {"notified", "averted", "ladder-ended", "would-kill",
					   "gone"};

	if (strcmp(outcome, "killed") == 0)
		return KILLED;
	if (strcmp(outcome, "kernel-killed") == 0)
		return BY_KERNEL;
	if (dry_run || strcmp(event, "incident") != 0)
		return SHORT;
	for (size_t i = 0; i < sizeof(mild) / sizeof(mild[0]); i++) {
		if (strcmp(outcome, mild[i]) == 0)
			return SHORT;
	}
	return NOT_FREED;
}

/* Whose it was, by the names that other entries of the journal have. */
static void put_owner(const char *cgroup)
{
	struct cgg_owner owner;

	if (!cgroup || !cgg_owner_of(cgroup, &owner))
		return;
	put_text("UNIT", owner.unit);
	put_text("CONTAINER_ID_FULL", owner.container);
	put_text("CGGUARD_POD", owner.pod);
}

static void put_message(struct json_object *o, enum kind kind, const char *outcome)
{
	struct json_object *victim = get(o, "victim"), *freed = get(victim, "freed_bytes");
	const char *cgroup = text_of(victim, "cgroup"), *domain = text_of(o, "domain");
	const char *rule = text_of(o, "rule"), *why = text_of(o, "why_not");
	int64_t members = json_object_get_int64(get(get(victim, "kill"), "members"));
	char size[PRINT_SIZE];

	if (kind == KILLED)
		putf("MESSAGE",
		     "Killed %s: %" PRId64 " processes, %s freed; memory was short in %s (rule %s)",
		     cgroup, members,
		     print_bytes(freed, (uint64_t)json_object_get_int64(freed), size), domain,
		     rule);
	else if (kind == BY_KERNEL)
		putf("MESSAGE", "The kernel's OOM killer killed in %s", cgroup ? cgroup : "/");
	else
		putf("MESSAGE", "Memory is short in %s (rule %s): %s%s%s%s%s", domain, rule,
		     outcome, cgroup ? ", " : "", cgroup ? cgroup : "", why ? ", " : "",
		     why ? why : "");
}

static void make_entry(struct json_object *o, const char *record, size_t len)
{
	struct json_object *victim = get(o, "victim");
	const char *outcome = text_of(o, "outcome"), *event = text_of(o, "event");
	const char *cgroup = text_of(victim, "cgroup");
	enum kind kind = kind_of(event ? event : "", outcome ? outcome : "",
				 json_object_get_boolean(get(o, "dry_run")));

	journal.len = 0;
	put_message(o, kind, outcome ? outcome : "");
	put_text("MESSAGE_ID", kinds[kind].id);
	putf("PRIORITY", "%d", kinds[kind].priority);
	put_text("SYSLOG_IDENTIFIER", "cgguard");
	put_text("CGGUARD_EVENT", event);
	put_text("CGGUARD_OUTCOME", outcome);
	put_text("CGGUARD_RULE", text_of(o, "rule"));
	put_text("CGGUARD_DOMAIN", text_of(o, "domain"));
	put_text("CGGUARD_VICTIM", cgroup);
	put_text("CGGUARD_FREED_BYTES", text_of(victim, "freed_bytes"));
	put_owner(cgroup);
	put("CGGUARD_INCIDENT", record, len);
}

/* ---- sent ----------------------------------------------------------------------------- */

static bool send_entry(void)
{
	for (int i = 0; i < TRIES; i++) {
		if (sendto(journal.fd, journal.entry, journal.len, MSG_NOSIGNAL,
			   (const struct sockaddr *)&journal.to, sizeof(journal.to)) >= 0)
			return true;
		/* full, short of memory, or just being started anew */
		if (errno != EAGAIN && errno != ENOBUFS && errno != ENOMEM &&
		    errno != ECONNREFUSED && errno != EINTR)
			return false;
		nanosleep(&(struct timespec){.tv_nsec = TRY_NS}, NULL);
	}
	return false;
}

bool journal_send(const char *record, size_t len)
{
	struct json_tokener *parser = json_tokener_new();
	struct json_object *o = NULL;
	bool sent;

	if (parser)
		o = json_tokener_parse_ex(parser, record, (int)len);
	if (json_object_is_type(o, json_type_object)) {
		make_entry(o, record, len);
	} else {
		journal.len = 0;
		put_text("MESSAGE", record);
		put_text("SYSLOG_IDENTIFIER", "cgguard");
	}
	sent = send_entry();
	json_object_put(o);
	if (parser)
		json_tokener_free(parser);
	return sent;
}
