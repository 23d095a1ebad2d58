/* SPDX-License-Identifier: Apache-2.0 */
/* Amounts, shares, times and globs of a policy, and what to say when they are wrong. */
#include "policy/keep.h"
#include "policy/read.h"

#include "util/glob.h"
#include "util/parse.h"
#include "util/path.h"

#include <errno.h>
#include <strings.h>

#define SIZE_EXPECTED "a size like \"512Mi\" or a share like \"8%\""
#define TIME_EXPECTED "a time like \"200ms\""

int read_keep_string(const struct doc_node *node, struct cgg_policy *policy, const char *text,
		     const char **ret)
{
	size_t size = strlen(text) + 1;
	char *copy = policy_keep(policy, size);

	if (!copy)
		return doc_no_memory(node);
	memcpy(copy, text, size);
	*ret = copy;
	return 0;
}

static const char *unit_of(const char *text)
{
	return text + strspn(text, "0123456789.");
}

/* A number with a unit that we don't know: name the one that was meant. */
static int fail_unit(const struct doc_node *node, const char *text, const char *const *units,
		     size_t n)
{
	const char *unit = unit_of(text);
	const char *nearest = doc_nearest(unit, units, n);
	char shown[64];

	path_printable(text, shown, sizeof(shown));
	if (nearest)
		return doc_fail(node, "'%s': unknown unit; did you mean '%.*s%s'?", shown,
				(int)(unit - text), text, nearest);
	return doc_fail(node, "'%s': unknown unit; expected one like \"%s\" or \"%s\"", shown,
			units[0], units[1]);
}

static int fail_size(const struct doc_node *node, const char *text, int code)
{
	static const char *const units[] = {"Mi", "MB",	 "Gi",	"GB",  "Ki",  "kB", "Ti",
					    "TB", "MiB", "GiB", "KiB", "TiB", "B"};
	static const struct {
		const char *unit, *either;
	} bare[] = {{"K", "Ki or kB"}, {"M", "Mi or MB"}, {"G", "Gi or GB"}, {"T", "Ti or TB"}};
	const char *unit = unit_of(text);
	char shown[64];

	path_printable(text, shown, sizeof(shown));
	if (code == -ERANGE)
		return doc_fail(node, "'%s' is too large", shown);
	if (code != -EDOM)
		return doc_fail(node, "'%s': expected %s", shown, SIZE_EXPECTED);
	for (size_t i = 0; i < CGG_ARRAY_LEN(bare); i++) {
		if (strcasecmp(unit, bare[i].unit) == 0)
			return doc_fail(node, "'%s': %s? (1024 or 1000 based)", shown,
					bare[i].either);
	}
	return fail_unit(node, text, units, CGG_ARRAY_LEN(units));
}

static int parse_share_text(const struct doc_node *node, const char *text, uint32_t *ret_permyriad)
{
	int r = parse_share(text, ret_permyriad);
	char shown[64];

	if (r == 0)
		return 0;
	path_printable(text, shown, sizeof(shown));
	if (r == -ERANGE)
		return doc_fail(node, "'%s' is more than 100%%", shown);
	return doc_fail(node, "'%s': expected a share like \"8%%\" or \"12.5%%\"", shown);
}

int read_share(const struct doc_node *node, uint32_t *ret_permyriad)
{
	const char *text = NULL;
	int r = doc_string(node, "a share like \"8%\"", &text);

	if (r == 0)
		r = parse_share_text(node, text, ret_permyriad);
	if (r == 0 && *ret_permyriad == 0)
		return doc_fail(node, "0%% of the time is always reached: expected more");
	return r;
}

int read_amount(const struct doc_node *node, struct policy_amount *ret)
{
	struct policy_amount amount = {0};
	const char *text = NULL;
	int r = doc_string(node, SIZE_EXPECTED, &text);

	if (r < 0)
		return r;
	amount.is_share = strchr(text, '%') != NULL;
	if (amount.is_share) {
		r = parse_share_text(node, text, &amount.share_permyriad);
		if (r < 0)
			return r;
	} else {
		r = parse_size(text, &amount.bytes);
		if (r < 0)
			return fail_size(node, text, r);
	}
	if (amount.bytes == 0 && amount.share_permyriad == 0)
		return doc_fail(node, "nothing is below 0 and everything above: expected more");
	*ret = amount;
	return 0;
}

static int fail_time(const struct doc_node *node, const char *text, int code)
{
	static const char *const units[] = {"s", "ms", "us", "min", "h"};
	const char *unit = unit_of(text);
	char shown[64];

	path_printable(text, shown, sizeof(shown));
	if (code == -ERANGE)
		return doc_fail(node, "'%s' is too long", shown);
	if (code != -EDOM)
		return doc_fail(node, "'%s': expected %s", shown, TIME_EXPECTED);
	if (!*unit)
		return doc_fail(node, "'%s' has no unit: \"%ss\" or \"%sms\"?", shown, shown,
				shown);
	if (strcmp(unit, "m") == 0)
		return doc_fail(node, "'%s': min or ms?", shown);
	return fail_unit(node, text, units, CGG_ARRAY_LEN(units));
}

int read_time(const struct doc_node *node, uint64_t min_us, uint64_t *ret_us)
{
	const char *text = NULL;
	int r = doc_string(node, TIME_EXPECTED, &text);
	uint64_t time_us;

	if (r < 0)
		return r;
	r = parse_duration(text, &time_us);
	if (r < 0)
		return fail_time(node, text, r);
	if (time_us < min_us)
		return doc_fail(node, "'%s' is too short: at least 1ms", text);
	if (time_us > POLICY_TIME_MAX_US)
		return doc_fail(node, "'%s' is too long: at most 1h", text);
	*ret_us = time_us;
	return 0;
}

int read_glob_text(const struct doc_node *node, struct cgg_policy *policy, const char *text,
		   const char **ret)
{
	const char *wrong = glob_check(text);
	char shown[96];

	if (!wrong)
		return read_keep_string(node, policy, text, ret);
	path_printable(text, shown, sizeof(shown));
	return doc_fail(node, "'%s': %s", shown, wrong);
}

int read_glob(const struct doc_node *node, struct cgg_policy *policy, const char **ret)
{
	const char *text = NULL;
	int r = doc_string(node, "a glob like \"/system.slice/**\"", &text);

	return r < 0 ? r : read_glob_text(node, policy, text, ret);
}

/* Appends to what is there: the files of a directory add to one list. */
int read_globs(const struct doc_node *node, struct cgg_policy *policy, size_t min,
	       struct rank_globs *globs)
{
	const char **list;
	size_t n, kept = globs->n;
	int r = doc_array(node, min, POLICY_GLOBS_MAX - globs->n, &n);

	if (r < 0)
		return r;
	list = policy_keep(policy, (globs->n + n) * sizeof(*list));
	if (!list)
		return doc_no_memory(node);
	if (globs->n > 0)
		memcpy(list, globs->glob, globs->n * sizeof(*list));
	for (size_t i = 0; i < n; i++) {
		struct doc_node item = doc_item(node, i);

		if (read_glob(&item, policy, &list[kept]) == 0)
			kept++;
	}
	globs->glob = list;
	globs->n = kept;
	return 0;
}
