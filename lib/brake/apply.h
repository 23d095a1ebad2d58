/* SPDX-License-Identifier: Apache-2.0 */
/* One brake's file: what brake.c asks of apply.c. */
#pragma once

#include "brake/brake.h"

/* Others, or the slow writer, may have written memory.high. */
void brake_verify(struct brakes *b, struct brake *one);

/* Watch what tells of it, as it holds a value of ours, and is quiet or not. */
void brake_listen(struct brakes *b, struct brake *one);
