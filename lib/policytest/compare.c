/* SPDX-License-Identifier: Apache-2.0 */
/* What was expected beside what was decided, and how they differ. */
#include "policytest/compare.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define LINE_MAX_ 1200

static bool same(const char *a, const char *b)
{
	return a && b ? strcmp(a, b) == 0 : a == b;
}

/* An open list: opened by the first line that is put. */
struct lines {
	struct json *j;
	const char *key;
	size_t n;
};

static void put_line(struct lines *lines, const char *fmt, ...) CGG_PRINTF(2, 3);

static void put_line(struct lines *lines, const char *fmt, ...)
{
	char text[LINE_MAX_];
	va_list ap;

	if (lines->n++ == 0 && lines->j)
		json_open(lines->j, lines->key, '[');
	if (!lines->j)
		return;
	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	json_str(lines->j, NULL, text);
}

static const char *last_action(const struct actual_decision *got)
{
	return got->nactions > 0 ? got->actions[got->nactions - 1] : "nothing";
}

static void compare_text(struct lines *lines, const char *what, const char *want, const char *got)
{
	if (want && !same(want, got))
		put_line(lines, "%s: expected '%s', got %s%s%s", what, want, got ? "'" : "",
			 got ? got : "nobody", got ? "'" : "");
}

static void compare_list(struct lines *lines, const char *what, const char *const *want,
			 size_t nwant, const char *const *got, size_t ngot)
{
	for (size_t i = 0; i < nwant; i++) {
		if (i >= ngot)
			put_line(lines, "%s %zu: expected '%s', got none", what, i + 1, want[i]);
		else if (strcmp(want[i], got[i]) != 0)
			put_line(lines, "%s %zu: expected '%s', got '%s'", what, i + 1, want[i],
				 got[i]);
	}
}

static void compare_one(struct lines *lines, const struct scenario_decision *want,
			const struct actual_decision *got)
{
	compare_text(lines, "rule", want->rule, got->rule);
	compare_text(lines, "domain", want->domain, got->domain);
	compare_text(lines, "victim", want->victim, got->victim);
	if (want->nobody && got->victim)
		put_line(lines, "victim: expected nobody, got '%s'", got->victim);
	compare_text(lines, "action", want->action, last_action(got));
	if (want->scope && got->victim)
		compare_text(lines, "scope", want->scope, got->scope);
	compare_list(lines, "action", want->actions, want->nactions, got->actions, got->nactions);
	if (want->nactions > 0 && want->nactions < got->nactions)
		put_line(lines, "actions: expected %zu, got %zu", want->nactions, got->nactions);
	compare_list(lines, "candidate", want->candidate, want->ncandidates, got->candidate,
		     got->ncandidates);
	if (want->has_dry_run && want->dry_run != got->dry_run)
		put_line(lines, "dry_run: expected %s, got %s", want->dry_run ? "true" : "false",
			 got->dry_run ? "true" : "false");
}

bool compare_agrees(const struct scenario_decision *want, const struct actual_decision *got)
{
	struct lines lines = {0};

	compare_one(&lines, want, got);
	return lines.n == 0;
}

bool compare_decisions(struct json *j, const struct scenario_step *step,
		       const struct actual_decision *got, size_t ngot)
{
	struct lines lines = {.j = j, .key = "differences"};

	for (size_t i = 0; i < step->nexpect || i < ngot; i++) {
		if (i >= ngot)
			put_line(&lines, "rule '%s' was expected to act, and did not",
				 step->expect[i].rule);
		else if (i >= step->nexpect)
			put_line(&lines, "rule '%s' acted on %s%s%s, which was not expected",
				 got[i].rule, got[i].victim ? "'" : "",
				 got[i].victim ? got[i].victim : "nobody",
				 got[i].victim ? "'" : "");
		else
			compare_one(&lines, &step->expect[i], &got[i]);
	}
	if (lines.n > 0)
		json_close(j, ']');
	return lines.n == 0;
}

/* ---- as JSON -------------------------------------------------------------------------- */

static void put_text(struct json *j, const char *key, const char *value)
{
	if (value)
		json_str(j, key, value);
}

static void put_list(struct json *j, const char *key, const char *const *list, size_t n)
{
	if (n == 0)
		return;
	json_open(j, key, '[');
	for (size_t i = 0; i < n; i++)
		json_str(j, NULL, list[i]);
	json_close(j, ']');
}

void compare_put_expected(struct json *j, const struct scenario_step *step)
{
	json_open(j, "expected", '[');
	for (size_t i = 0; i < step->nexpect; i++) {
		const struct scenario_decision *want = &step->expect[i];

		json_open(j, NULL, '{');
		put_text(j, "rule", want->rule);
		put_text(j, "domain", want->domain);
		put_text(j, "victim", want->victim);
		if (want->nobody)
			json_null(j, "victim");
		put_text(j, "action", want->action);
		put_list(j, "actions", want->actions, want->nactions);
		put_text(j, "scope", want->scope);
		put_list(j, "candidates", want->candidate, want->ncandidates);
		if (want->has_dry_run)
			json_bool(j, "dry_run", want->dry_run);
		json_close(j, '}');
	}
	json_close(j, ']');
}

void compare_put_actual(struct json *j, const struct actual_decision *got, size_t ngot)
{
	json_open(j, "got", '[');
	for (size_t i = 0; i < ngot; i++) {
		json_open(j, NULL, '{');
		json_u64(j, "at_us", got[i].at_us);
		json_str(j, "rule", got[i].rule);
		json_str(j, "domain", got[i].domain);
		if (got[i].victim)
			json_str(j, "victim", got[i].victim);
		else
			json_null(j, "victim");
		json_str(j, "action", last_action(&got[i]));
		if (got[i].victim)
			json_str(j, "scope", got[i].scope);
		put_list(j, "actions", got[i].actions, got[i].nactions);
		if (got[i].dry_run)
			json_bool(j, "dry_run", true);
		json_close(j, '}');
	}
	json_close(j, ']');
}
