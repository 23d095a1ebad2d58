/* SPDX-License-Identifier: Apache-2.0 */
/* Collect what is wrong with a policy, and print it with its line. */
#include "policy/problem.h"

#include "util/err.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

bool problems_full(const struct problems *problems)
{
	return problems->n >= CGG_POLICY_PROBLEMS_MAX;
}

static void set_error(const struct problems *problems, int code, const struct cgg_policy_problem *p)
{
	char place[32] = "";

	if (p->line > 0)
		snprintf(place, sizeof(place), "%u:%u: ", p->line, p->column);
	err_fail(problems->err, code, "%s:%s%s%s%s%s", p->file, place[0] ? "" : " ", place,
		 p->pointer, p->pointer[0] ? ": " : "", p->message);
}

int problem_add(struct problems *problems, int code, const struct cgg_policy_problem *problem)
{
	if (problems->n == 0) {
		problems->code = code;
		set_error(problems, code, problem);
	}
	if (problems->fn && !problems_full(problems))
		problems->fn(problems->user, problem);
	problems->n++;
	return code;
}

int problem_file(struct problems *problems, int code, const char *file, const char *fmt, ...)
{
	char message[PROBLEM_SIZE];
	struct cgg_policy_problem problem = {.file = file, .pointer = "", .message = message};
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(message, sizeof(message), fmt, ap);
	va_end(ap);
	return problem_add(problems, code, &problem);
}

int problem_errno(struct problems *problems, int code, const char *file)
{
	return problem_file(problems, code, file, "%s", strerror(-code));
}

int problems_end(struct problems *problems)
{
	struct cgg_policy_problem more = {.file = problems->path, .pointer = ""};
	char message[64];

	if (problems->n > CGG_POLICY_PROBLEMS_MAX && problems->fn) {
		snprintf(message, sizeof(message), "%u more problems are not shown",
			 problems->n - CGG_POLICY_PROBLEMS_MAX);
		more.message = message;
		problems->fn(problems->user, &more);
	}
	return problems->code;
}
