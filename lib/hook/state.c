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
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#define PREFIX "io.cgguard."

const char *const state_files[STATE_ASKS] = {"memory.oom.group", "memory.high", "memory.swap.max"};

/* ---- files ---------------------------------------------------------------------------- */

static char *read_whole(int fd, size_t *ret_len)
{
	CGG_AUTO_FREE char *text = NULL;
	struct stat st;
	size_t len = 0;
	char *whole;

	if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode) || st.st_size > CGG_HOOK_TEXT_MAX)
		return NULL;
	text = malloc((size_t)st.st_size + 1);
	while (text && len < (size_t)st.st_size) {
		ssize_t n = read(fd, text + len, (size_t)st.st_size - len);

		if (n <= 0)
			break;
		len += (size_t)n;
	}
	if (!text)
		return NULL;
	text[len] = '\0';
	*ret_len = len;
	whole = text;
	text = NULL;
	return whole;
}

bool state_scan_fd(int fd, struct scan *s, char **ret_text)
{
	size_t len = 0;

	*ret_text = fd < 0 ? NULL : read_whole(fd, &len);
	if (*ret_text && text_init(s, "the file", *ret_text, len, NULL) == 0)
		return true;
	free(*ret_text);
	return false;
}

bool state_scan_file(const char *path, struct scan *s, char **ret_text)
{
	CGG_AUTO_FD fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);

	return state_scan_fd(fd, s, ret_text);
}

/* ---- annotations ---------------------------------------------------------------------- */

/* "io.cgguard.memory.high" for all containers of a pod, "io.cgguard.memory.high/NAME" for one. */
static void read_ask(const struct scan *s, uint32_t value, const char *name, struct state *st)
{
	name += strlen(PREFIX);
	for (size_t i = 0; i < STATE_ASKS; i++) {
		size_t n = strlen(state_files[i]);
		struct state_ask *ask = &st->ask[i];

		if (strncmp(name, state_files[i], n) != 0 || (name[n] != '\0' && name[n] != '/'))
			continue;
		if (name[n] == '/' && strcmp(name + n + 1, st->owner.name) != 0)
			return; /* for another container of the pod */
		ask->asked = true;
		if (!text_string(s, value, ask->value, sizeof(ask->value)))
			snprintf(ask->value, sizeof(ask->value), "?");
		return;
	}
	snprintf(st->unknown, sizeof(st->unknown), PREFIX "%.100s", name);
}

void state_read_asks(const struct scan *s, uint32_t annotations, struct state *st)
{
	char name[256];

	/* that for one container after that for all of the pod: it counts */
	for (int of_one = 0; of_one < 2; of_one++) {
		for (uint32_t i = scan_first(s, annotations); i != SCAN_NONE;
		     i = scan_next(s, annotations, i)) {
			scan_name(s, i, name, sizeof(name));
			if (strncmp(name, PREFIX, strlen(PREFIX)) == 0 &&
			    (strchr(name, '/') != NULL) == of_one)
				read_ask(s, i, name, st);
		}
	}
}

/* ---- the state ------------------------------------------------------------------------- */

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
	    !state_scan_file(path, &config, &text)) {
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
