/* SPDX-License-Identifier: Apache-2.0 */
/* Print the daemon's own lines of a status. */
#include "about.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define TEXT_MAX 1024 /* of a message or a policy's name, printable */

/* Append text, made printable, to *to as a JSON string; where memory is short it is left out. Text that is printable needs no other escapes. */
static void append(char **to, const char *before, const char *text)
{
	char shown[TEXT_MAX], *at;
	size_t len = *to ? strlen(*to) : 0, n = strlen(before);

	cgg_text_printable(text, shown, sizeof(shown));
	at = realloc(*to, len + n + 2 * strlen(shown) + 3);
	if (!at)
		return;
	*to = at;
	memcpy(at + len, before, n);
	at += len + n;
	*at++ = '"';
	for (const char *c = shown; *c; c++) {
		if (*c == '"' || *c == '\\')
			*at++ = '\\';
		*at++ = *c;
	}
	*at++ = '"';
	*at = '\0';
}

void about_without(struct about *a, const char *text)
{
	append(&a->without, a->without ? "," : "", text);
}

void about_refused(struct about *a, const char *why)
{
	free(a->refused);
	a->refused = NULL;
	if (why)
		append(&a->refused, "", why);
}

int about_begin(struct about *a, const char *policy)
{
	char *name = NULL;
	int len;

	append(&name, "", policy ? policy : "built-in host.json");
	len = asprintf(&a->fixed, "\"cgguard\":\"%s\",\"pid\":%d,\"policy\":%s,\"without\":[%s]",
		       cgg_version(), (int)getpid(), name ? name : "\"\"",
		       a->without ? a->without : "");
	free(name);
	free(a->without);
	a->without = NULL;
	if (len < 0)
		a->fixed = NULL;
	return a->fixed ? 0 : -ENOMEM;
}

void about_end(struct about *a)
{
	free(a->without);
	free(a->fixed);
	free(a->refused);
}

long about_piece(void *user, unsigned int number, char *buf, size_t size)
{
	struct about *a = user;
	long n;

	if (number == 0) {
		a->position = 0;
		a->ended = false;
		n = snprintf(buf, size,
			     "{\"version\":1,%s%s%s,\"dropped\":{\"incidents\":%" PRIu64
			     ",\"messages\":%" PRIu64 "},\"guard\":",
			     a->fixed, a->refused ? ",\"policy_refused\":" : "",
			     a->refused ? a->refused : "", a->incidents_dropped,
			     a->messages_dropped);
		return n < 0 || (size_t)n >= size ? -ENOSPC : n;
	}
	if (a->ended)
		return 0;
	n = cgg_guard_status(a->guard, &a->position, buf, size);
	if (n != 0)
		return n;
	a->ended = true;
	return snprintf(buf, size, "}\n");
}

long about_metrics(void *user, unsigned int number, char *buf, size_t size)
{
	static const char form[] =
		"# HELP cgguard_build_info The version that runs.\n"
		"# TYPE cgguard_build_info gauge\n"
		"cgguard_build_info{version=\"%s\"} 1\n"
		"# HELP cgguard_dropped_lines_total Lines that an output did not take.\n"
		"# TYPE cgguard_dropped_lines_total counter\n"
		"cgguard_dropped_lines_total{sink=\"incidents\"} %" PRIu64 "\n"
		"cgguard_dropped_lines_total{sink=\"messages\"} %" PRIu64 "\n"
		"# HELP cgguard_reloads_total Policies loaded anew, and those that were refused.\n"
		"# TYPE cgguard_reloads_total counter\n"
		"cgguard_reloads_total{result=\"done\"} %" PRIu64 "\n"
		"cgguard_reloads_total{result=\"refused\"} %" PRIu64 "\n";
	struct about *a = user;
	int n;

	if (number > 0)
		return cgg_guard_metrics(a->guard, &a->metrics_position, buf, size);
	a->metrics_position = 0;
	n = snprintf(buf, size, form, cgg_version(), a->incidents_dropped, a->messages_dropped,
		     a->reloads, a->reloads_refused);
	return n < 0 || (size_t)n >= size ? -ENOSPC : n;
}
