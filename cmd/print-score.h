/* SPDX-License-Identifier: Apache-2.0 */
/* Processes and the kernel's opinion of them, for eyes and for programs. */
#pragma once

#include "cgguard.h"

#include <json-c/json.h>

/* What a list of processes is about. */
struct print_scores {
	const struct cgg_snapshot *snap;
	const struct cgg_scores *s;
	uint32_t asked; /* the cgroup that was asked about: an index */
};

/* "1234 (comm)", printable. */
const char *print_process(const struct cgg_score *p, char *buf, size_t size);

/* The path of a cgroup of the snapshot, printable; to be freed. */
char *print_index(const struct print_scores *ps, uint32_t index);

/* "/box at its memory.max of 64M" or "the host"; "/a has none of its own: " may stand before it. */
void print_domain_of(const struct print_scores *ps);

/* What the kernel makes of badness, in one sentence. */
const char *print_formula(enum cgg_formula formula);

/* The table's head, and a row of the process that would be taken as number place (0: never). */
void print_score_head(void);
void print_score_row(const struct print_scores *ps, const struct cgg_score *p, size_t place);

struct json_object *print_score_json(const struct print_scores *ps, const struct cgg_score *p);

/* What is said of all: domain, formula, totals. */
struct json_object *print_scores_json(const struct print_scores *ps);
