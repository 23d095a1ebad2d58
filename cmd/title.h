/* SPDX-License-Identifier: Apache-2.0 */
/* The name of a process, as ps(1) and top(1) show it. */
#pragma once

#include "opt.h"

/*
 * The strings of argv are going to be overwritten: copy the options that point there. Once, in a process that was forked for a
 * task of its own. False: no memory; title_set() then sets the short name only.
 */
bool title_begin(struct opt *o, int argc, char **argv);

/* Set the short name (15 bytes) and, in the place of the arguments, the long one. */
void title_set(const char *name);
