/* SPDX-License-Identifier: Apache-2.0 */
/* See cgguard-log.h. */
#pragma once

#include "cgguard.h"

int log_open(const struct cgg_log_options *options, struct cgg_log **ret_log,
	     struct cgg_error *err);
void log_feed(struct cgg_log *log, const char *data, size_t len);
void log_flush(struct cgg_log *log);
void log_get_read(const struct cgg_log *log, struct cgg_log_read *ret);
struct cgg_log *log_close(struct cgg_log *log);

/* In render.c. */
long log_json(const struct cgg_log_report *report, char *buf, size_t size);
