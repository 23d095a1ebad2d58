/* SPDX-License-Identifier: Apache-2.0 */
/* Records are JSON whatever is in them, and whole or not there at all. */
#include "kit/t.h"

#include "util/json.h"
#include "util/path.h"

#include <errno.h>
/* its type has the name of our function */
#define json_bool json_c_bool
#include <json-c/json.h>
#undef json_bool

static char text[8192];

/* Begin, in the large buffer. */
static struct json begin(void)
{
	struct json j;

	json_begin(&j, text, sizeof(text));
	return j;
}

TEST(commas_stand_between_values_and_nowhere_else)
{
	struct json j = begin();

	json_open(&j, NULL, '{');
	json_u64(&j, "a", 1);
	json_open(&j, "empty", '{');
	json_close(&j, '}');
	json_open(&j, "list", '[');
	json_u64(&j, NULL, 1);
	json_open(&j, NULL, '[');
	json_close(&j, ']');
	json_open(&j, NULL, '{');
	json_bool(&j, "x", true);
	json_bool(&j, "y", false);
	json_close(&j, '}');
	json_i64(&j, NULL, -2);
	json_i64(&j, NULL, -3);
	json_null(&j, NULL);
	json_str(&j, NULL, "s");
	json_close(&j, ']');
	json_null(&j, "n");
	json_close(&j, '}');
	T_EQ_INT(json_end(&j), (int64_t)strlen(text));
	T_EQ_STR(text, "{\"a\":1,\"empty\":{},\"list\":[1,[],{\"x\":true,\"y\":false},-2,-3,null,"
		       "\"s\"],\"n\":null}");
}

TEST(numbers_are_exact_to_the_last)
{
	struct json j = begin();

	json_open(&j, NULL, '[');
	json_u64(&j, NULL, 0);
	json_u64(&j, NULL, UINT64_MAX);
	json_i64(&j, NULL, INT64_MAX);
	json_i64(&j, NULL, INT64_MIN);
	json_i64(&j, NULL, -1);
	json_i64(&j, NULL, 0);
	json_close(&j, ']');
	T_ASSERT(json_end(&j) > 0);
	T_EQ_STR(text, "[0,18446744073709551615,9223372036854775807,-9223372036854775808,-1,0]");
}

/* What json-c reads of a string that we wrote. */
static void check_string(const char *value)
{
	char shown[4096];
	struct json j = begin();
	struct json_object *o, *got;

	json_open(&j, NULL, '{');
	json_str(&j, value, value);
	json_close(&j, '}');
	T_MUST(json_end(&j) > 0);
	for (const char *c = text; *c; c += utf8_len(c))
		T_MUST(utf8_len(c) > 0 && (unsigned char)*c >= 0x20);
	path_printable(value, shown, sizeof(shown));
	o = json_tokener_parse(text);
	if (!o || !json_object_object_get_ex(o, shown, &got))
		T_FAIL("not what was meant: %s", text);
	else
		T_EQ_STR(json_object_get_string(got), shown);
	json_object_put(o);
}

TEST(strings_are_what_is_shown_of_them_everywhere)
{
	static const char *const values[] = {
		"",
		"plain",
		"say \"hello\"",
		"\\",
		"\\\"",
		"C:\\x41",
		"/slash/",
		"\b\f\n\r\t",
		"\x01\x1f\x7f",
		"\xc3\xa9 \xe2\x82\xac \xf0\x9f\x98\x80",
		"\xc2\x85 and \xc2\x9b",
		"\xff\xfe\x80",
		"\xe2\x82",
		"\xed\xa0\x80",
		"\xe2\x80\xa8\xe2\x80\xa9",
		"{\"a\":[1,2]}",
		"</script>",
	};

	for (size_t i = 0; i < CGG_ARRAY_LEN(values); i++) {
		T_ROW(values[i]);
		check_string(values[i]);
	}
}

TEST(every_two_bytes_are_written_as_they_are_shown)
{
	for (unsigned int a = 1; a < 256; a++) {
		for (unsigned int b = 1; b < 256; b++)
			check_string((char[]){(char)a, (char)b, '\0'});
	}
}

TEST(random_bytes_are_written_as_they_are_shown)
{
	uint32_t state = 9;
	char value[40];

	for (int i = 0; i < 20000; i++) {
		size_t len = (size_t)(i % (int)sizeof(value));

		for (size_t k = 0; k < len; k++) {
			state = state * 1664525U + 1013904223U;
			/* mostly what begins and goes on with UTF-8 */
			value[k] = (char)(state >> 30 ? 0x80 | state >> 24 : state >> 16);
			if (!value[k])
				value[k] = '"';
		}
		value[len] = '\0';
		check_string(value);
	}
}

static void write_record(struct json *j)
{
	json_open(j, NULL, '{');
	json_str(j, "cgroup", "/a\"b\n\xc2\x85\xff\xe2\x82\xac");
	json_i64(j, "n", -12);
	json_u64(j, "u", UINT64_MAX);
	json_open(j, "list", '[');
	json_bool(j, NULL, true);
	json_null(j, NULL);
	json_close(j, ']');
	json_close(j, '}');
}

TEST(a_record_is_whole_or_not_there_whatever_the_size)
{
	struct json whole = begin();
	long len;

	write_record(&whole);
	len = json_end(&whole);
	T_MUST(len > 80);
	for (size_t size = 0; size <= (size_t)len + 3; size++) {
		char *buf = malloc(size + 8); /* its end is watched by the sanitizer, and by us */
		struct json j;

		T_MUST(buf);
		memset(buf, 'X', size + 8);
		json_begin(&j, buf, size);
		write_record(&j);
		if (size > (size_t)len) {
			T_EQ_INT(json_end(&j), len);
			T_EQ_STR(buf, text);
		} else {
			T_EQ_INT(json_end(&j), -ENOSPC);
		}
		T_ASSERT(memcmp(buf + size, "XXXXXXXX", 8) == 0);
		free(buf);
	}
}

TEST(what_did_not_fit_is_not_forgotten_by_what_would)
{
	char buf[8];
	struct json j;

	json_begin(&j, buf, sizeof(buf));
	json_open(&j, NULL, '[');
	json_str(&j, NULL, "too long for this");
	json_close(&j, ']');
	T_EQ_INT(json_end(&j), -ENOSPC);
	T_EQ_INT(json_end(&j), -ENOSPC);
}

TEST(nothing_in_no_room_is_no_text)
{
	char buf[2] = "XX";
	struct json j;

	json_begin(&j, buf, 0);
	T_EQ_INT(json_end(&j), -ENOSPC);
	T_EQ_INT(buf[0], 'X');
	json_begin(&j, buf, 1);
	T_EQ_INT(json_end(&j), 0);
	T_EQ_INT(buf[0], '\0');
}

TEST(a_sentence_with_escaped_names_is_not_escaped_again)
{
	char buf[128];
	struct json j;

	json_begin(&j, buf, sizeof(buf));
	json_open(&j, NULL, '[');
	json_str(&j, NULL, "'\\x1b' \xe2\x80\xae");
	json_text(&j, NULL, "'\\x1b' \xe2\x80\xae");
	json_close(&j, ']');
	T_ASSERT(json_end(&j) > 0);
	T_EQ_STR(buf,
		 "[\"'\\\\x5cx1b' \\\\xe2\\\\x80\\\\xae\",\"'\\\\x1b' \\\\xe2\\\\x80\\\\xae\"]");
}
