/* SPDX-License-Identifier: Apache-2.0 */
/* Print the daemon's own lines of a status. */
#include "about.h"

#include "print.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

void about_without(struct about *a, const char *text)
{
	char *shown = print_message(text);

	if (!a->without)
		a->without = json_object_new_array();
	json_object_array_add(a->without, json_object_new_string(shown));
	free(shown);
}

void about_refused(struct about *a, const char *why)
{
	struct json_object *o = why ? json_object_new_string(why) : NULL;

	free(a->refused);
	a->refused = o ? strdup(json_object_to_json_string_ext(o, JSON_C_TO_STRING_PLAIN)) : NULL;
	json_object_put(o);
}

int about_begin(struct about *a, const char *policy)
{
	struct json_object *o = json_object_new_object();
	char *shown = print_message(policy ? policy : "built-in host.json");
	const char *text;
	size_t len;

	json_object_object_add(o, "cgguard", json_object_new_string(cgg_version()));
	json_object_object_add(o, "pid", json_object_new_int64(getpid()));
	json_object_object_add(o, "policy", json_object_new_string(shown ? shown : ""));
	json_object_object_add(o, "without", a->without ? a->without : json_object_new_array());
	a->without = NULL;
	free(shown);
	text = json_object_to_json_string_ext(o, JSON_C_TO_STRING_PLAIN);
	len = strlen(text);
	if (len > 2) /* without the braces */
		a->fixed = strndup(text + 1, len - 2);
	json_object_put(o);
	return a->fixed ? 0 : -ENOMEM;
}

void about_end(struct about *a)
{
	json_object_put(a->without);
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
