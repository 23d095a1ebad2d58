/* SPDX-License-Identifier: Apache-2.0 */
/* What the guard is doing, as JSON in pieces: see cgg_guard_status(). */
#pragma once

#include "cgguard-guard.h"

long status_piece(const struct cgg_guard *g, uint64_t *position, char *buf, size_t size);
