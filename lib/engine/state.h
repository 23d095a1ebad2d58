/* SPDX-License-Identifier: Apache-2.0 */
/* The journal in the state directory. */
#pragma once

#include "cgguard.h"

struct cgg_guard;

void state_open(struct cgg_guard *g);
void state_recover(struct cgg_guard *g); /* what an earlier run has left changed is put back */
