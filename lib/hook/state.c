/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A state is written by a runtime, but much in it comes from who asked for the container: names and values
 * are bytes of any kind, of which nothing becomes a path but the id, which may hold what ids hold only.
 */
#include "hook/state.h"

#include "hook/engine.h"
#include "util/attr.h"
#include "util/err.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static bool is_id(const char *id)
{
	return id[0] != '\0' && id[0] != '.' &&
	       strspn(id, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.+-") ==
		       strlen(id);
}

/* Annotations come after Docker's labels: what they ask for counts. */
static void ask_engines(struct state *st, const struct scan *state, const struct scan *config)
{
	const struct scan *s = state;
	uint32_t annotations = text_get(state, 0, "annotations");

	if (annotations == SCAN_NONE && config) {
		s = config;
		annotations = text_get(config, 0, "annotations");
	}
	engine_read(st, s, annotations, config);
	if (annotations != SCAN_NONE)
		state_read_asks(s, annotations, st);
}

/* The bundle's config.json, for what the state doesn't tell. */
static void read_names_and_asks(const struct scan *state, struct state *st)
{
	char path[STATE_PATH_MAX + 16];
	struct scan config;
	char *text;

	snprintf(path, sizeof(path), "%s/config.json", st->bundle[0] ? st->bundle : ".");
	if ((text_get(state, 0, "annotations") != SCAN_NONE && !engine_is_docker(st)) ||
	    !text_scan_file(path, &config, &text)) {
		ask_engines(st, state, NULL);
		return;
	}
	ask_engines(st, state, &config);
	scan_finish(&config);
	free(text);
}

static int read_scanned(const struct scan *s, struct state *st, struct cgg_error *err)
{
	if (s->text[s->value[0].at] != '{')
		return err_fail(err, -EINVAL, "the state is no JSON object");
	if (!text_member(s, 0, "id", st->id, sizeof(st->id)))
		return err_fail(err, -EINVAL, "the state has no \"id\"");
	if (!is_id(st->id) || strlen(st->id) == sizeof(st->id) - 1)
		return err_fail(err, -EINVAL,
				"the state's \"id\" is none of a container (letters, digits and "
				"_ . + - in up to %zu)",
				sizeof(st->id) - 2);
	text_member(s, 0, "status", st->status, sizeof(st->status));
	text_member(s, 0, "bundle", st->bundle, sizeof(st->bundle));
	if (!text_number(s, text_get(s, 0, "pid"), &st->pid))
		st->pid = 0;
	snprintf(st->owner.container, CGG_OWNER_SIZE, "%s", st->id);
	read_names_and_asks(s, st);
	return 0;
}

int state_read(const char *text, size_t len, struct state *ret, struct cgg_error *err)
{
	struct scan s;
	int r = text_init(&s, "the state", text, len, err);

	*ret = (struct state){.owner.inside = ""};
	if (r < 0)
		return r;
	r = read_scanned(&s, ret, err);
	scan_finish(&s);
	return r;
}
