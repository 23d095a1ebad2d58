/* SPDX-License-Identifier: Apache-2.0 */
/* Write over the arguments that the kernel shows of a process. */
#include "title.h"

#include <errno.h>
#include <string.h>
#include <sys/prctl.h>

static struct {
	char *begin; /* NULL: not known */
	size_t room;
} title;

bool title_begin(struct opt *o, int argc, char **argv)
{
	char *begin = program_invocation_name, *end = begin + strlen(begin) + 1;
	char *copy[CGG_POLICY_PATHS_MAX];

	for (size_t i = 0; i < o->npolicies; i++) {
		copy[i] = strdup(o->policy[i]);
		if (!copy[i])
			return false;
	}
	for (size_t i = 0; i < o->npolicies; i++)
		o->policy[i] = copy[i];
	/* the strings of argv stand behind the program's name in memory */
	for (int i = 0; i < argc; i++) {
		if (argv[i] == end) {
			end += strlen(end) + 1;
			i = -1; /* getopt(3) may have changed their order */
		}
	}
	title.begin = begin;
	title.room = (size_t)(end - begin) - 1;
	return true;
}

void title_set(const char *name)
{
	size_t len = strlen(name);

	(void)prctl(PR_SET_NAME, name, 0, 0, 0);
	if (!title.begin)
		return;
	memset(title.begin, 0, title.room);
	memcpy(title.begin, name, title.room < len ? title.room : len);
}
