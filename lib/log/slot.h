/* SPDX-License-Identifier: Apache-2.0 */
/* The reports that are open. */
#pragma once

#include "log/assemble.h"

/* The newest open report of this origin, or NULL; one that waits for the death of pid comes first. */
struct assemble_slot *slot_find(struct assemble *a, const struct assemble_from *from, uint32_t pid);

/* A new report. */
struct assemble_slot *slot_begin(struct assemble *a, const struct assemble_from *from);

/* The same; the one before it (which may be NULL) gets no more. */
struct assemble_slot *slot_begin_after(struct assemble *a, const struct assemble_from *from,
				       struct assemble_slot *before);

/* The report that lacks what is in seen and has no outcome, else a new one. */
struct assemble_slot *slot_find_without(struct assemble *a, const struct assemble_from *from,
					uint32_t seen, uint32_t pid);

/* When who dies was named, or died. */
void slot_note_death(struct assemble_slot *s, const struct assemble_from *from);

/* Whether this death may be of the same OOM as the one before it. */
bool slot_in_pace(const struct assemble_slot *s, const struct assemble_from *from);

/* Whether who died is a thread of who was named. */
bool slot_is_thread(const struct assemble_slot *s, const struct assemble_from *from,
		    const struct match_fact *f);
