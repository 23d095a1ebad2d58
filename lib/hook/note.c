/* SPDX-License-Identifier: Apache-2.0 */
/* Formats a report, printable, and hands it to the note of the options. */
#include "hook/note.h"

#include "util/path.h"

#include <stdarg.h>
#include <stdio.h>

void hook_note(const struct cgg_hook_options *o, const char *fmt, ...)
{
	char text[1024], shown[1024];
	va_list ap;

	if (!o->note)
		return;
	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	path_printable(text, shown, sizeof(shown));
	o->note(o->user, shown);
}
