/* SPDX-License-Identifier: Apache-2.0 */
/* See cgg_hook_begin(). */
#pragma once

#include "cgguard.h"
#include "util/attr.h"

void hook_note(const struct cgg_hook_options *options, const char *fmt, ...) CGG_PRINTF(2, 3);
