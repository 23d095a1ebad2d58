/* SPDX-License-Identifier: Apache-2.0 */
/* What only a whole report tells. */
#pragma once

#include "log/assemble.h"

void finish_report(struct assemble_slot *s);
