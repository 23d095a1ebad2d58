/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Our hooks into a container's configuration, for engines that have no place to name them. The text stays as
 * it is but for what is put in: not a number or a name in it is written anew.
 */
#include "cgguard.h"
#include "hook/text.h"
#include "util/attr.h"
#include "util/err.h"
#include "util/json.h"

#include <errno.h>
#include <string.h>

#define ENTRY_SIZE 8192UL /* of one hook */
#define TIMEOUT_S  5

static const char *const stages[] = {"createRuntime", "poststop"};

struct edit {
	const char *text;
	size_t at, len, size; /* taken so far of the text; made so far; room */
	char *out;
};

static void put(struct edit *e, const char *s, size_t n)
{
	if (n < e->size - e->len) {
		memcpy(e->out + e->len, s, n);
		e->len += n;
	}
}

static void put_str(struct edit *e, const char *s)
{
	put(e, s, strlen(s));
}

/* The text up to there. */
static void copy_to(struct edit *e, size_t at)
{
	put(e, e->text + e->at, at - e->at);
	e->at = at;
}

static void put_entry(struct edit *e, const char *stage, const char *const *argv, size_t argc)
{
	char buf[ENTRY_SIZE];
	struct json j;

	json_begin(&j, buf, sizeof(buf));
	json_open(&j, NULL, '{');
	json_str(&j, "path", argv[0]);
	json_open(&j, "args", '[');
	for (size_t i = 0; i < argc; i++)
		json_str(&j, NULL, argv[i]);
	json_str(&j, NULL, stage);
	json_close(&j, ']');
	json_u64(&j, "timeout", TIMEOUT_S);
	json_close(&j, '}');
	if (json_end(&j) > 0)
		put_str(e, buf);
}

static void put_member(struct edit *e, const char *stage, const char *const *argv, size_t argc)
{
	put_str(e, "\"");
	put_str(e, stage);
	put_str(e, "\":[");
	put_entry(e, stage, argv, argc);
	put_str(e, "]");
}

static bool is_empty(const struct scan *s, uint32_t value)
{
	return scan_first(s, value) == SCAN_NONE;
}

/* Those stages that are not named go to the front, the others to the front of their lists, in text order. */
static void edit(struct edit *e, const struct scan *s, uint32_t hooks, const char *const *argv,
		 size_t argc)
{
	uint32_t list[CGG_ARRAY_LEN(stages)];
	bool any = false;

	copy_to(e, s->value[hooks].at + 1);
	for (size_t i = 0; i < CGG_ARRAY_LEN(stages); i++) {
		list[i] = text_get(s, hooks, stages[i]);
		if (list[i] != SCAN_NONE)
			continue;
		put_str(e, any ? "," : "");
		put_member(e, stages[i], argv, argc);
		any = true;
	}
	if (any && !is_empty(s, hooks))
		put_str(e, ",");
	for (uint32_t next = scan_first(s, hooks); next != SCAN_NONE;
	     next = scan_next(s, hooks, next)) {
		for (size_t i = 0; i < CGG_ARRAY_LEN(stages); i++) {
			if (list[i] != next)
				continue;
			copy_to(e, s->value[next].at + 1);
			put_entry(e, stages[i], argv, argc);
			put_str(e, is_empty(s, next) ? "" : ",");
		}
	}
}

static bool begins_with(const struct scan *s, uint32_t value, char c)
{
	return value != SCAN_NONE && s->text[s->value[value].at] == c;
}

static int insert(const struct scan *s, const char *const *argv, size_t argc, struct edit *e,
		  struct cgg_error *err)
{
	uint32_t hooks = text_get(s, 0, "hooks");

	if (!begins_with(s, 0, '{') || (hooks != SCAN_NONE && !begins_with(s, hooks, '{')))
		return err_fail(err, -EINVAL, "config.json or its \"hooks\" is no object");
	for (size_t i = 0; i < CGG_ARRAY_LEN(stages); i++) {
		uint32_t list = text_get(s, hooks, stages[i]);

		if (list != SCAN_NONE && !begins_with(s, list, '['))
			return err_fail(err, -EINVAL, "config.json: \"%s\" is no list", stages[i]);
	}
	if (hooks != SCAN_NONE) {
		edit(e, s, hooks, argv, argc);
	} else {
		copy_to(e, s->value[0].at + 1);
		put_str(e, "\"hooks\":{");
		put_member(e, stages[0], argv, argc);
		put_str(e, ",");
		put_member(e, stages[1], argv, argc);
		put_str(e, is_empty(s, 0) ? "}" : "},");
	}
	copy_to(e, s->len);
	return 0;
}

CGG_PUBLIC int cgg_hook_insert(const char *config, size_t len, const char *const *argv, size_t argc,
			       char **ret_text, struct cgg_error *err)
{
	struct edit e = {.text = config, .size = len + 4 * ENTRY_SIZE};
	struct scan s;
	int r;

	if (len > CGG_HOOK_TEXT_MAX)
		return err_fail(err, -EINVAL, "config.json is larger than %u bytes",
				CGG_HOOK_TEXT_MAX);
	r = text_init(&s, "config.json", config, len, err);
	if (r < 0)
		return r;
	e.out = malloc(e.size);
	if (!e.out) {
		scan_finish(&s);
		return err_fail(err, -ENOMEM, "out of memory");
	}
	r = insert(&s, argv, argc, &e, err);
	scan_finish(&s);
	if (r < 0) {
		free(e.out);
		return r;
	}
	e.out[e.len] = '\0';
	*ret_text = e.out;
	return 0;
}
