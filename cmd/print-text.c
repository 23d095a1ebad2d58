/* SPDX-License-Identifier: Apache-2.0 */
/* Make names and sentences printable. */
#include "print-text.h"

#include "cgguard.h"

#include <stdio.h>
#include <stdlib.h>

static char *show(const char *text, size_t (*printable)(const char *, char *, size_t))
{
	size_t len = printable(text, NULL, 0) + 1;
	char *p = malloc(len);

	if (!p) {
		fputs("cgguard: out of memory\n", stderr);
		exit(3);
	}
	printable(text, p, len);
	return p;
}

char *print_path(const char *path)
{
	return show(path, cgg_path_printable);
}

char *print_message(const char *text)
{
	return show(text, cgg_text_printable);
}
