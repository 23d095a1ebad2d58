/* SPDX-License-Identifier: Apache-2.0 */
/* A policy test with one incident more than there are slots: what waits is reported, and has its turn. */
#include "kit/t.h"

#include "cgguard.h"
#include "policy/ladder.h"

#include <unistd.h>

#define DECISION "{\"rule\": \"full\", \"domain\": \"/c%d\", \"action\": \"%s\"}"

static char *write_file(const char *text)
{
	char *path = strdup("/tmp/policytest.XXXXXX");
	int fd = mkstemp(path);

	T_MUST(fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text));
	close(fd);
	return path;
}

/* Each container gets into danger 100 ms after the one before, and gets SIGTERM, which it ignores; the last one waits. */
static void write_story(FILE *f, const char *policy)
{
	fprintf(f, "{\"version\": 1, \"policy\": \"%s\", \"tests\": [{\"name\": \"slots\", ",
		policy);
	fprintf(f, "\"tree\": {");
	for (int i = 0; i <= LADDER_SLOTS_ACTING; i++)
		fprintf(f, "%s\"/c%d\": {\"max\": \"100Mi\", \"anon\": \"1Mi\", \"procs\": 1}",
			i > 0 ? ", " : "", i);
	fprintf(f, "}, \"steps\": [");
	for (int i = 0; i <= LADDER_SLOTS_ACTING; i++)
		fprintf(f,
			"{\"at\": \"%dms\", \"set\": {\"/c%d\": {\"anon\": \"95Mi\"}}, "
			"\"expect\": " DECISION "}, ",
			i * 100, i, i, i < LADDER_SLOTS_ACTING ? "terminate" : "wait");
	/* said once; when another one's danger is past there is a slot */
	fprintf(f, "{\"at\": \"20s\", \"expect\": \"nothing\"}, ");
	fprintf(f,
		"{\"at\": \"21s\", \"set\": {\"/c0\": {\"anon\": \"1Mi\"}}, \"expect\": " DECISION
		"}",
		LADDER_SLOTS_ACTING, "terminate");
	fprintf(f, "]}]}");
}

TEST(an_incident_without_a_slot_waits_and_that_is_a_decision)
{
	char *policy =
		write_file("{\"version\": 1, \"rules\": [{\"name\": \"full\", \"each\": \"/*\", "
			   "\"when\": {\"unreclaimable_above\": \"90%\"}, "
			   "\"then\": [{\"action\": \"terminate\", \"grace\": \"60s\"}]}]}");
	char *text = NULL, *file, *json = NULL;
	struct cgg_error err = {0};
	size_t len;
	FILE *f = open_memstream(&text, &len);
	int r;

	T_MUST(f);
	write_story(f, policy);
	fclose(f);
	file = write_file(text);
	r = cgg_policy_test(file, NULL, NULL, &json, &err);
	T_EQ_INT(r, 0);
	T_HAS(json ? json : err.msg, "\"passed\":1,\"failed\":0");
	unlink(policy);
	unlink(file);
	free(policy);
	free(file);
	free(text);
	free(json);
}
