/* SPDX-License-Identifier: Apache-2.0 */
/* Where the cgroup of a systemd unit is: systemd.slice(5), systemd.unit(5). */
#include "import.h"

#include <string.h>

static void append(char *buf, size_t size, const char *text, size_t n)
{
	size_t len = strlen(buf);

	for (size_t i = 0; i < n && len + 3 < size; i++) {
		if (strchr("\\*?[{", text[i]))
			buf[len++] = '\\';
		buf[len++] = text[i];
	}
	buf[len] = '\0';
}

static void append_glob(char *buf, size_t size, const char *text)
{
	size_t len = strlen(buf);

	snprintf(buf + len, size - len, "%s", text);
}

/* "a-b.slice" is /a.slice/a-b.slice; "a-.slice", of a drop-in, all a-*.slice. */
static void append_slice(char *buf, size_t size, const char *name)
{
	size_t len = strlen(name) - strlen(".slice");

	if (strcmp(name, "-.slice") == 0)
		return;
	for (size_t i = 1; i <= len; i++) {
		if (i < len && name[i] != '-')
			continue;
		append_glob(buf, size, "/");
		append(buf, size, name, i);
		append_glob(buf, size, i == len && name[i - 1] == '-' ? "*.slice" : ".slice");
		if (i + 1 == len && name[i] == '-') {
			append_glob(buf, size, "/");
			append(buf, size, name, len);
			append_glob(buf, size, "*.slice");
			return;
		}
	}
}

static bool ends_with(const char *text, const char *end)
{
	size_t len = strlen(text), n = strlen(end);

	return len >= n && strcmp(text + len - n, end) == 0;
}

static void append_template_slice(char *buf, size_t size, const char *name)
{
	size_t n = strcspn(name, "@");

	append_glob(buf, size, "/system-");
	for (size_t i = 0; i < n; i++) {
		if (name[i] == '-')
			append_glob(buf, size, "\\\\x2d");
		else
			append(buf, size, name + i, 1);
	}
	append_glob(buf, size, ".slice");
}

bool import_unit_path(const char *name, const char *slice, bool user, char *buf, size_t size)
{
	const char *suffix = strrchr(name, '.'), *at = strchr(name, '@');
	bool many = suffix && suffix > name && suffix[-1] == '-' && !ends_with(name, ".slice");

	buf[0] = '\0';
	if (user)
		append_glob(buf, size, "/user.slice/user-*.slice/user@*.service");
	if (ends_with(name, ".slice")) {
		append_slice(buf, size, name);
		if (!*buf)
			append_glob(buf, size, "/");
		return true;
	}
	if (strcmp(name, "service") == 0 || strcmp(name, "scope") == 0) {
		append_glob(buf, size, "/**/*.");
		append_glob(buf, size, name);
		return true;
	}
	if (!ends_with(name, ".service") && !ends_with(name, ".scope"))
		return false;
	if (strcmp(name, "init.scope") == 0)
		append_glob(buf, size, "");
	else if (slice[0] && ends_with(slice, ".slice"))
		append_slice(buf, size, slice);
	else if (!user && strncmp(name, "user@", 5) == 0)
		append_glob(buf, size, "/user.slice/user-*.slice");
	else
		append_glob(buf, size, user ? "/app.slice" : "/system.slice");
	if (at && !user && !slice[0] && strncmp(name, "user@", 5) != 0)
		append_template_slice(buf, size, name);
	append_glob(buf, size, "/");
	append(buf, size, name, (size_t)((at && at[1] == '.' ? at + 1 : suffix) - name));
	append_glob(buf, size, many || (at && at[1] == '.') ? "*" : "");
	append_glob(buf, size, suffix);
	return true;
}
