/* SPDX-License-Identifier: Apache-2.0 */
/* Names as policies, records and people write them. */
#include "policy/decide.h"

#include "util/attr.h"

#include <string.h>

#define NAME_OF(names, i) ((size_t)(i) < CGG_ARRAY_LEN(names) ? (names)[i] : "unknown")

const char *policy_cond_name(enum policy_cond_kind kind)
{
	static const char *const names[POLICY_COND_MAX] = {
		[POLICY_ALL] = "all",
		[POLICY_ANY] = "any",
		[POLICY_NOT] = "not",
		[POLICY_AVAILABLE_BELOW] = "available_below",
		[POLICY_SWAP_FREE_BELOW] = "swap_free_below",
		[POLICY_USAGE_ABOVE] = "usage_above",
		[POLICY_UNRECLAIMABLE_ABOVE] = "unreclaimable_above",
		[POLICY_HEADROOM_BELOW] = "headroom_below",
		[POLICY_PRESSURE_ABOVE] = "pressure_above",
		[POLICY_GROWTH_ABOVE] = "growth_above",
		[POLICY_TIME_TO_LIMIT_BELOW] = "time_to_limit_below",
		[POLICY_EVENTS_ABOVE] = "events_above",
	};

	return NAME_OF(names, kind);
}

const char *policy_action_name(enum policy_action_kind kind)
{
	static const char *const names[POLICY_ACTION_MAX] = {
		[POLICY_NOTIFY] = "notify",	  [POLICY_RECLAIM] = "reclaim",
		[POLICY_THROTTLE] = "throttle",	  [POLICY_FREEZE] = "freeze",
		[POLICY_TERMINATE] = "terminate", [POLICY_KILL] = "kill",
	};

	return NAME_OF(names, kind);
}

const char *policy_event_name(enum policy_event event)
{
	static const char *const names[] = {
		[POLICY_EVENT_HIGH] = "high",
		[POLICY_EVENT_MAX_] = "max",
		[POLICY_EVENT_OOM] = "oom",
		[POLICY_EVENT_OOM_KILL] = "oom_kill",
	};

	return NAME_OF(names, event);
}

const char *policy_unit_name(enum cgg_unit unit)
{
	static const char *const names[CGG_UNIT_MAX] = {
		[CGG_UNIT_LEAF] = "leaf",
		[CGG_UNIT_OOM_GROUP] = "oom-group",
		[CGG_UNIT_MATCH] = "match",
	};

	return NAME_OF(names, unit);
}

const char *policy_unfit_name(enum policy_unfit unfit)
{
	static const char *const names[] = {
		[POLICY_FIT] = "fit",
		[POLICY_UNFIT_PROTECTED] = "protected",
		[POLICY_UNFIT_NO_GAIN] = "no gain",
		[POLICY_UNFIT_UNKNOWN_GAIN] = "gain unknown",
		[POLICY_UNFIT_BEHIND] = "behind",
		[POLICY_UNFIT_STUCK] = "stuck",
		[POLICY_UNFIT_ADJ] = "oom_score_adj too low",
		[POLICY_UNFIT_UNKNOWN_ADJ] = "oom_score_adj unknown",
	};

	return NAME_OF(names, unfit);
}

bool policy_is_name(const char *text)
{
	static const char charset[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
				      "0123456789._-";
	size_t len = strlen(text);

	return len > 0 && len <= POLICY_NAME_MAX && strspn(text, charset) == len;
}

const char *policy_path_check(const char *text)
{
	size_t len = strlen(text);

	if (text[0] != '/')
		return "a path starts with '/', which is the root";
	if (strcspn(text, "*?[{") < len)
		return "one path is expected here; 'each' takes a glob";
	if (len > 1 && (text[len - 1] == '/' || strstr(text, "//") || strstr(text, "/./") ||
			strstr(text, "/../") || strcmp(text + len - 2, "/.") == 0 ||
			(len > 2 && strcmp(text + len - 3, "/..") == 0)))
		return "a path has no '//', no '.' or '..', and no '/' at its end";
	return NULL;
}
