/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Any bytes as a policy. Beyond not to crash: what is accepted says nothing, what is refused has an
 * error that begins with the file; places lie within the text; asking again gives the same answer; and
 * of the scan, each value has a pointer and stands inside the one that it is part of.
 */
#include "fuzz.h"

#include "policy/load.h"
#include "policy/scan.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct heard {
	const char *text;
	size_t len, lines;
	unsigned int n;
};

static void hear(void *user, const struct cgg_policy_problem *p)
{
	struct heard *heard = user;

	heard->n++;
	MUST(strcmp(p->file, "FILE") == 0);
	MUST(p->message[0] && strlen(p->message) < 1024 && strlen(p->pointer) < 1024);
	MUST((p->line == 0) == (p->column == 0));
	MUST(p->line <= heard->lines && p->column <= heard->len + 1);
	MUST(!p->pointer[0] || p->pointer[0] == '/');
}

static void check_policy(const char *text, size_t len)
{
	struct heard heard = {.text = text, .len = len, .lines = 1}, again;
	struct cgg_policy *policy = NULL;
	struct cgg_error err = {0};
	char line[4096];
	int r;

	for (size_t i = 0; i < len; i++)
		heard.lines += text[i] == '\n';
	again = heard;
	r = policy_check_text("FILE", text, len, hear, &heard, &err);
	MUST(r <= 0 && (r < 0) == (heard.n > 0));
	MUST(heard.n <= CGG_POLICY_PROBLEMS_MAX + 1);
	MUST(r == 0 || strncmp(err.msg, "FILE:", 5) == 0);
	MUST(policy_check_text("FILE", text, len, hear, &again, &err) == r && again.n == heard.n);
	MUST(policy_load_text("FILE", text, len, &policy, &err) == r && (r == 0) == !!policy);
	for (size_t i = 0; policy && i < policy->nrules; i++)
		MUST(policy_describe(&policy->rule[i], line, sizeof(line)) > 0);
	policy_free(policy);
}

static void check_scan(const char *text, size_t len)
{
	char pointer[256];
	struct scan scan;
	int r = scan_init(&scan, text, len);

	MUST(r == 0 || (r == -EINVAL && scan.nwrong > 0));
	for (unsigned int i = 0; i < scan.nwrong; i++)
		MUST(scan.wrong[i].what[0] && scan.wrong[i].at <= len &&
		     scan.wrong[i].in < (scan.n ? scan.n : 1));
	for (uint32_t i = 0; i < scan.n && i < 512; i++) {
		const struct scan_value *v = &scan.value[i];

		scan_pointer(&scan, i, pointer, sizeof(pointer));
		MUST((i == 0) == !pointer[0]);
		if (r < 0)
			continue;
		MUST(v->at < v->end && v->end <= len && v->next > i && v->next <= scan.n);
		MUST(v->first <= i && v->last >= i);
		for (uint32_t c = scan_first(&scan, i); c != SCAN_NONE; c = scan_next(&scan, i, c))
			MUST(scan.value[c].at > v->at && scan.value[c].end < v->end);
	}
	scan_finish(&scan);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	/* of exactly this size, so that one byte too far is seen */
	char *text = malloc(size ? size : 1);

	MUST(text);
	memcpy(text, data, size);
	check_policy(text, size);
	check_scan(text, size);
	free(text);
	return 0;
}
