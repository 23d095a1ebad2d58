/* SPDX-License-Identifier: Apache-2.0 */
/* What the kernel itself would do, if a domain ran out of memory now. */
#pragma once

#include "opt.h"

/* Prints it; returns an exit code. */
int explain_kernel(const struct opt *o);
