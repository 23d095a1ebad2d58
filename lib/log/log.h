/* SPDX-License-Identifier: Apache-2.0 */
/* See cgguard-log.h. */
#pragma once

#include "cgguard.h"

int log_open(const struct cgg_log_options *options, struct cgg_log **ret_log,
	     struct cgg_error *err);

/* The same, but memory is touched as it is used: most of it is for reports larger than any. */
int log_new(const struct cgg_log_options *options, struct cgg_log **ret_log, struct cgg_error *err);

/* 0: nothing was begun that a flush would tell; else a number that changes when more of it comes. */
uint64_t log_pending(const struct cgg_log *log);

void log_feed(struct cgg_log *log, const char *data, size_t len);
void log_flush(struct cgg_log *log);
void log_get_read(const struct cgg_log *log, struct cgg_log_read *ret);
struct cgg_log *log_close(struct cgg_log *log);

/* In render.c. */
long log_json(const struct cgg_log_report *report, char *buf, size_t size);
