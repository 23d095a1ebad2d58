/* SPDX-License-Identifier: Apache-2.0 */
/* The order of paths, for what decides too: apart from what makes them safe to show. */
#include "util/path.h"

int path_order(const char *a, const char *b)
{
	for (;; a++, b++) {
		int ca = *a == '/' ? 1 : *a ? (unsigned char)*a + 1 : 0;
		int cb = *b == '/' ? 1 : *b ? (unsigned char)*b + 1 : 0;

		if (ca != cb)
			return ca < cb ? -1 : 1;
		if (ca == 0)
			return 0;
	}
}
