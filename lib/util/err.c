/* SPDX-License-Identifier: Apache-2.0 */
/* Fill in errors. */
#include "util/err.h"

#include "util/path.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

int err_fail(struct cgg_error *err, int code, const char *fmt, ...)
{
	va_list ap;

	if (!err)
		return code;
	err->code = code;
	va_start(ap, fmt);
	vsnprintf(err->msg, sizeof(err->msg), fmt, ap);
	va_end(ap);
	text_make_printable(err->msg, sizeof(err->msg));
	return code;
}

int err_errno(struct cgg_error *err, int code, const char *fmt, ...)
{
	va_list ap;
	int len;

	if (!err)
		return code;
	err->code = code;
	va_start(ap, fmt);
	len = vsnprintf(err->msg, sizeof(err->msg), fmt, ap);
	va_end(ap);
	if (len >= 0 && (size_t)len < sizeof(err->msg))
		snprintf(err->msg + len, sizeof(err->msg) - (size_t)len, ": %s", strerror(-code));
	text_make_printable(err->msg, sizeof(err->msg));
	return code;
}

int err_wrap(struct cgg_error *err, int code, const char *fmt, ...)
{
	char before[sizeof(err->msg)];
	va_list ap;
	size_t len;

	if (!err)
		return code;
	err->code = code;
	memcpy(before, err->msg, sizeof(before));
	before[sizeof(before) - 1] = '\0';
	va_start(ap, fmt);
	vsnprintf(err->msg, sizeof(err->msg), fmt, ap);
	va_end(ap);
	len = strlen(err->msg);
	snprintf(err->msg + len, sizeof(err->msg) - len, ": %s", before);
	text_make_printable(err->msg, sizeof(err->msg));
	return code;
}
