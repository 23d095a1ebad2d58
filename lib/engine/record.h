/* SPDX-License-Identifier: Apache-2.0 */
/* The parts of a record that a kill by hand writes too. */
#pragma once

#include "act/kill.h"
#include "util/json.h"

void record_time(struct json *j, const char *key);
void record_kill(struct json *j, const struct kill_result *k);
