/* SPDX-License-Identifier: Apache-2.0 */
/* Reports to the caller of cgg_hook_begin() and cgg_hook_end() what could not be done. */
#pragma once

#include "cgguard.h"
#include "util/attr.h"

void hook_note(const struct cgg_hook_options *options, const char *fmt, ...) CGG_PRINTF(2, 3);
