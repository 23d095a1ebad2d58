/* SPDX-License-Identifier: Apache-2.0 */
/* The parts of a record that a kill by hand, or explain, writes too. */
#pragma once

#include "act/kill.h"
#include "hook/owners.h"
#include "policy/decide.h"
#include "util/json.h"

void record_time(struct json *j, const char *key);
void record_kill(struct json *j, const struct kill_result *k);

/* Whose a cgroup is, by the names that OpenTelemetry has for it; nothing where its path says nothing. */
void record_resource(struct json *j, const struct cgg_owners *owners, const char *path,
		     uint64_t bound);
