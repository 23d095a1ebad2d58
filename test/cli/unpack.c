/* SPDX-License-Identifier: Apache-2.0 */
/* unpack TEXT DIR: a tree in the text format of kit/tree.h into a directory that is there. */
#include "kit/tree.h"

#include <stdio.h>
#include <stdlib.h>

int main(int argc, char **argv)
{
	static char text[262144];
	FILE *f = argc == 3 ? fopen(argv[1], "re") : NULL;
	size_t len;

	if (!f) {
		fprintf(stderr, "usage: unpack TEXT DIR\n");
		return 2;
	}
	len = fread(text, 1, sizeof(text) - 1, f);
	if (ferror(f) || !feof(f)) {
		fprintf(stderr, "unpack: %s: cannot be read whole\n", argv[1]);
		return 1;
	}
	fclose(f);
	text[len] = '\0';
	kit_tree_into(argv[2], text);
	return 0;
}
