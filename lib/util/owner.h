/* SPDX-License-Identifier: Apache-2.0 */
/* See cgg_owner_of(). */
#pragma once

#include "cgguard.h"

bool owner_of(const char *path, struct cgg_owner *ret);
