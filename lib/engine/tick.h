/* SPDX-License-Identifier: Apache-2.0 */
/* One tick: every domain that is due is looked at. */
#pragma once

#include "cgguard.h"

struct cgg_guard;
struct guard_domain;

void tick(struct cgg_guard *g, uint64_t now_us);
void tick_look(struct cgg_guard *g, struct guard_domain *d, uint64_t now_us);
