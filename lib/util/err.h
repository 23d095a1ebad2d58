/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Errors: a code and one sentence, in the caller's frame. Filling one can't fail. The sentence is printable,
 * whatever the names in it are: see cgg_text_printable().
 */
#pragma once

#include "cgguard.h"
#include "util/attr.h"

/* Fill err (which may be NULL) and return code, a negative errno. */
int err_fail(struct cgg_error *err, int code, const char *fmt, ...) CGG_PRINTF(3, 4);

/* The same, with ": " and strerror(-code) at the end. */
int err_errno(struct cgg_error *err, int code, const char *fmt, ...) CGG_PRINTF(3, 4);

/* Put "context: " before what err says already; returns code. */
int err_wrap(struct cgg_error *err, int code, const char *fmt, ...) CGG_PRINTF(3, 4);
