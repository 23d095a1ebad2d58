/* SPDX-License-Identifier: Apache-2.0 */
/* Write oom_score_adj of processes that are held. See cgg_adjust(). */
#pragma once

#include "cgguard.h"

/* What a value makes of what it was. */
int32_t adjust_value(int32_t value, bool relative, int32_t before);

/* 0; CGG_GONE; -EINVAL: it is a thread. err says which. */
int adjust_is_process(int procfd, int32_t pid, struct cgg_error *err);

/* options->pid, or all at and below dirfd. */
int adjust_process(int procfd, const struct cgg_adjust_options *options, struct cgg_error *err);
int adjust_below(int procfd, int dirfd, const struct cgg_adjust_options *options,
		 struct cgg_error *err);
