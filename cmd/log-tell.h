/* SPDX-License-Identifier: Apache-2.0 */
/* An OOM report in sentences. */
#pragma once

#include "cgguard.h"

/* To stdout, a paragraph of a few lines. */
void log_tell(const struct cgg_log_report *report);
