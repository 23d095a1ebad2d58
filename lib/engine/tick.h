/* SPDX-License-Identifier: Apache-2.0 */
/* One tick: every domain that is due is looked at. */
#pragma once

#include "cgguard.h"

struct cgg_guard;

void tick(struct cgg_guard *g, uint64_t now_us);
