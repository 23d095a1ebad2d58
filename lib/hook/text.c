/* SPDX-License-Identifier: Apache-2.0 */
/* Scan a JSON text, or a file of one; find members in it, without a parser and without allocating. */
#include "hook/text.h"

#include "cgguard.h"
#include "policy/scan-char.h"
#include "util/attr.h"
#include "util/err.h"
#include "util/parse.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#define NAME_MAX_LEN 256 /* of a member that is looked for */

int text_init(struct scan *scan, const char *name, const char *text, size_t len,
	      struct cgg_error *err)
{
	unsigned int line, column;
	int r;

	if (len == 0) /* the scanner would say it less plainly */
		return err_fail(err, -EINVAL, "%s is empty", name);
	r = scan_init(scan, text, len);
	if (r == -ENOMEM)
		return err_fail(err, -ENOMEM, "out of memory");
	if (scan->nwrong > 0) {
		scan_place(scan, scan->wrong[0].at, &line, &column);
		r = err_fail(err, -EINVAL, "%s is no JSON: %u:%u: %s", name, line, column,
			     scan->wrong[0].what);
		scan_finish(scan);
		return r;
	}
	for (uint32_t i = 0; i < scan->n; i++) {
		char member[64];

		if (scan->value[i].first == i)
			continue;
		scan_name(scan, i, member, sizeof(member));
		scan_finish(scan);
		return err_fail(err, -EINVAL, "%s has \"%s\" twice in one object", name, member);
	}
	return 0;
}

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

bool text_scan_fd(int fd, struct scan *s, char **ret_text)
{
	size_t len = 0;

	*ret_text = fd < 0 ? NULL : read_whole(fd, &len);
	if (*ret_text && text_init(s, "the file", *ret_text, len, NULL) == 0)
		return true;
	free(*ret_text);
	return false;
}

bool text_scan_file(const char *path, struct scan *s, char **ret_text)
{
	CGG_AUTO_FD fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);

	return text_scan_fd(fd, s, ret_text);
}

static char first_char(const struct scan *scan, uint32_t value)
{
	if (value >= scan->n)
		return '\0';
	return scan->text[scan->value[value].at];
}

/* Most names hold no escape, and are compared where they stand. */
static bool is_named(const struct scan *scan, uint32_t value, const char *name)
{
	const char *at = scan->text + scan->value[value].key_at + 1;
	size_t left = scan->len - scan->value[value].key_at - 1, n = strlen(name), plain = 0;
	char shown[NAME_MAX_LEN];

	while (plain < left && at[plain] != '"' && at[plain] != '\\')
		plain++;
	if (plain < left && at[plain] == '"')
		return plain == n && memcmp(at, name, n) == 0;
	scan_name(scan, value, shown, sizeof(shown));
	return strcmp(shown, name) == 0;
}

uint32_t text_get(const struct scan *scan, uint32_t parent, const char *name)
{
	if (first_char(scan, parent) != '{')
		return SCAN_NONE;
	for (uint32_t i = scan_first(scan, parent); i != SCAN_NONE;
	     i = scan_next(scan, parent, i)) {
		if (is_named(scan, i, name))
			return i;
	}
	return SCAN_NONE;
}

bool text_string(const struct scan *scan, uint32_t value, char *buf, size_t size)
{
	size_t at, len = 0;
	char one[4];

	buf[0] = '\0';
	if (first_char(scan, value) != '"')
		return false;
	at = scan->value[value].at + 1;
	for (;;) {
		uint32_t c = scan_char(scan->text, scan->len, &at);
		size_t n = c ? scan_put(one, c) : 0;

		if (n == 0 || len + n >= size)
			break;
		memcpy(buf + len, one, n);
		len += n;
	}
	buf[len] = '\0';
	return true;
}

bool text_member(const struct scan *scan, uint32_t parent, const char *name, char *buf, size_t size)
{
	return text_string(scan, text_get(scan, parent, name), buf, size);
}

bool text_number(const struct scan *scan, uint32_t value, uint64_t *ret)
{
	char digits[24];
	size_t len;

	if (first_char(scan, value) < '0' || first_char(scan, value) > '9')
		return false;
	len = scan->value[value].end - scan->value[value].at;
	if (len >= sizeof(digits))
		return false;
	memcpy(digits, scan->text + scan->value[value].at, len);
	digits[len] = '\0';
	return parse_u64(digits, ret) == 0;
}
