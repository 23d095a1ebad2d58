/* SPDX-License-Identifier: Apache-2.0 */
/* Read the values that annotations, or Docker's labels, ask for in files of the container's cgroup. */
#include "hook/state.h"

#include <stdio.h>
#include <string.h>

#define PREFIX "io.cgguard."

const char *const state_files[STATE_ASKS] = {"memory.oom.group", "memory.high", "memory.swap.max"};

/* "io.cgguard.memory.high" for all containers of a pod, "io.cgguard.memory.high/NAME" for one. */
static void read_ask(const struct scan *s, uint32_t value, const char *name, struct state *st)
{
	name += strlen(PREFIX);
	for (size_t i = 0; i < STATE_ASKS; i++) {
		size_t n = strlen(state_files[i]);
		struct state_ask *ask = &st->ask[i];

		if (strncmp(name, state_files[i], n) != 0 || (name[n] != '\0' && name[n] != '/'))
			continue;
		if (name[n] == '/' && strcmp(name + n + 1, st->owner.name) != 0)
			return; /* for another container of the pod */
		ask->asked = true;
		if (!text_string(s, value, ask->value, sizeof(ask->value)))
			snprintf(ask->value, sizeof(ask->value), "?");
		return;
	}
	snprintf(st->unknown, sizeof(st->unknown), PREFIX "%.100s", name);
}

void state_read_asks(const struct scan *s, uint32_t annotations, struct state *st)
{
	char name[256];

	/* that for one container after that for all of the pod: it counts */
	for (int of_one = 0; of_one < 2; of_one++) {
		for (uint32_t i = scan_first(s, annotations); i != SCAN_NONE;
		     i = scan_next(s, annotations, i)) {
			scan_name(s, i, name, sizeof(name));
			if (strncmp(name, PREFIX, strlen(PREFIX)) == 0 &&
			    (strchr(name, '/') != NULL) == of_one)
				read_ask(s, i, name, st);
		}
	}
}
