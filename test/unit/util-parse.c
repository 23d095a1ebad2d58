/* SPDX-License-Identifier: Apache-2.0 */
/* Numbers of kernel files and of people: the whole text, exactly, or an error. */
#include "kit/t.h"

#include "util/parse.h"

#include <errno.h>

#define KEPT 4242 /* what a failed parse must leave alone */

struct number_row {
	const char *text;
	int code;
	uint64_t value;
};

typedef int (*parse_fn)(const char *, uint64_t *);

static void check_rows(parse_fn parse, const struct number_row *rows, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		uint64_t value = KEPT;

		T_ROW(rows[i].text);
		T_EQ_INT(parse(rows[i].text, &value), rows[i].code);
		T_EQ_INT(value, rows[i].code < 0 ? KEPT : rows[i].value);
	}
}

#define CHECK_ROWS(parse, rows) check_rows(parse, rows, CGG_ARRAY_LEN(rows))

static const struct number_row u64_rows[] = {
	{"0", 0, 0},
	{"7\n", 0, 7},
	{"007", 0, 7},
	{"18446744073709551615", 0, UINT64_MAX},
	{"18446744073709551616", -ERANGE, 0},
	{"99999999999999999999999", -ERANGE, 0},
	{"", -EINVAL, 0},
	{"\n", -EINVAL, 0},
	{" 7", -EINVAL, 0},
	{"7 ", -EINVAL, 0},
	{"7\n\n", -EINVAL, 0},
	{"+7", -EINVAL, 0},
	{"-7", -EINVAL, 0},
	{"0x7", -EINVAL, 0},
	{"7.0", -EINVAL, 0},
	{"max", -EINVAL, 0},
};

TEST(unsigned_numbers)
{
	CHECK_ROWS(parse_u64, u64_rows);
}

static const struct number_row max_rows[] = {
	{"max", 0, UINT64_MAX},	 {"max\n", 0, UINT64_MAX}, {"4096\n", 0, 4096},
	{"maximum", -EINVAL, 0}, {"Max", -EINVAL, 0},	   {"", -EINVAL, 0},
};

TEST(limits_of_cgroup_files)
{
	CHECK_ROWS(parse_u64_or_max, max_rows);
}

static const struct number_row size_rows[] = {
	{"0", 0, 0},
	{"4096", 0, 4096},
	{"4096B", 0, 4096},
	{"1Ki", 0, 1024},
	{"1KiB", 0, 1024},
	{"512Mi", 0, 512ULL << 20},
	{"512MiB", 0, 512ULL << 20},
	{"2Gi", 0, 2ULL << 30},
	{"2GiB", 0, 2ULL << 30},
	{"3Ti", 0, 3ULL << 40},
	{"3TiB", 0, 3ULL << 40},
	{"1kB", 0, 1000},
	{"1MB", 0, 1000000},
	{"1GB", 0, 1000000000},
	{"1TB", 0, 1000000000000},
	{"1.5Ki", 0, 1536},
	{"0.001MB", 0, 1000},
	{"0.125Mi", 0, 131072},
	{"0.001Ki", 0, 1}, /* rounded down to the byte */
	{"1.0", 0, 1},
	{"16383Ti", 0, 16383ULL << 40},
	{"16777216Ti", -ERANGE, 0},
	{"99999999999Ti", -ERANGE, 0},
	{"1.5", -EINVAL, 0},
	{"1.0001Ki", -EINVAL, 0},
	{"1.Ki", -EINVAL, 0},
	{".5Ki", -EINVAL, 0},
	{"", -EINVAL, 0},
	{"Ki", -EINVAL, 0},
	{"-1Ki", -EINVAL, 0},
	{"1 Ki", -EDOM, 0},
	{"1K", -EDOM, 0},
	{"1M", -EDOM, 0},
	{"1G", -EDOM, 0},
	{"1T", -EDOM, 0},
	{"1KB", -EDOM, 0},
	{"1ki", -EDOM, 0},
	{"1Mi ", -EDOM, 0},
	{"1Mi\n", -EDOM, 0},
};

TEST(sizes_of_people)
{
	CHECK_ROWS(parse_size, size_rows);
}

static const struct number_row duration_rows[] = {
	{"500us", 0, 500},
	{"200ms", 0, 200000},
	{"2s", 0, 2000000},
	{"1.5s", 0, 1500000},
	{"0.001ms", 0, 1},
	{"2min", 0, 120000000},
	{"1h", 0, 3600000000ULL},
	{"0s", 0, 0},
	{"0.5us", -EINVAL, 0},
	{"5", -EDOM, 0},
	{"5m", -EDOM, 0},
	{"5 s", -EDOM, 0},
	{"5S", -EDOM, 0},
	{"", -EINVAL, 0},
	{"s", -EINVAL, 0},
	{"-1s", -EINVAL, 0},
	{"99999999999999h", -ERANGE, 0},
};

TEST(times_of_people)
{
	CHECK_ROWS(parse_duration, duration_rows);
}

static int share(const char *text, uint64_t *ret)
{
	uint32_t permyriad = KEPT;
	int r = parse_share(text, &permyriad);

	*ret = permyriad;
	return r;
}

static const struct number_row share_rows[] = {
	{"8%", 0, 800},		 {"0%", 0, 0},	       {"12.5%", 0, 1250},
	{"0.01%", 0, 1},	 {"100%", 0, 10000},   {"100.00%", 0, 10000},
	{"100.01%", -ERANGE, 0}, {"101%", -ERANGE, 0}, {"0.001%", -EINVAL, 0},
	{"8", -EDOM, 0},	 {"8 %", -EDOM, 0},    {"8%%", -EDOM, 0},
	{"%", -EINVAL, 0},	 {"", -EINVAL, 0},     {"-1%", -EINVAL, 0},
	{".5%", -EINVAL, 0},
};

TEST(shares_of_people)
{
	CHECK_ROWS(share, share_rows);
}

struct signed_row {
	const char *text;
	int code;
	int64_t value;
};

static const struct signed_row i64_rows[] = {
	{"-1000", 0, -1000},
	{"1000\n", 0, 1000},
	{"0", 0, 0},
	{"-0", 0, 0},
	{"9223372036854775807", 0, INT64_MAX},
	{"-9223372036854775807", 0, -INT64_MAX},
	{"9223372036854775808", -ERANGE, 0},
	{"--1", -EINVAL, 0},
	{"-", -EINVAL, 0},
	{"- 1", -EINVAL, 0},
	{"1.5", -EINVAL, 0},
};

TEST(signed_numbers)
{
	for (size_t i = 0; i < CGG_ARRAY_LEN(i64_rows); i++) {
		int64_t value = KEPT;

		T_ROW(i64_rows[i].text);
		T_EQ_INT(parse_i64(i64_rows[i].text, &value), i64_rows[i].code);
		T_EQ_INT(value, i64_rows[i].code < 0 ? KEPT : i64_rows[i].value);
	}
}

TEST(hundredths_tell_where_they_end)
{
	const char *end = NULL;
	uint64_t value = 0;

	T_EQ_INT(parse_hundredths("12.34 avg60", &end, &value), 0);
	T_EQ_INT(value, 1234);
	T_EQ_STR(end, " avg60");
	T_EQ_INT(parse_hundredths("5", &end, &value), 0);
	T_EQ_INT(value, 500);
	T_EQ_STR(end, "");
	T_EQ_INT(parse_hundredths("0.5x", &end, &value), 0);
	T_EQ_INT(value, 50);
	T_EQ_STR(end, "x");
	T_EQ_INT(parse_hundredths("1.234", &end, &value), -EINVAL);
	T_EQ_INT(parse_hundredths("x", &end, &value), -EINVAL);
	T_EQ_INT(parse_hundredths("184467440737095517", &end, &value), -ERANGE);
}

struct keyed_row {
	const char *name, *text, *key;
	int code;
	uint64_t value;
};

static const struct keyed_row keyed_rows[] = {
	{"the first", "low 1\nhigh 2\n", "low", 0, 1},
	{"the last", "low 1\nhigh 2\n", "high", 0, 2},
	{"without a final newline", "low 1\nhigh 2", "high", 0, 2},
	{"not a part of another", "oom_kill 5\noom 3\n", "oom", 0, 3},
	{"not the end of another", "x_oom 5\noom 3\n", "oom", 0, 3},
	{"missing", "low 1\n", "high", -ENOENT, 0},
	{"empty", "", "high", -ENOENT, 0},
	{"not a number", "low x\n", "low", -EINVAL, 0},
	{"no number", "low \nhigh 2\n", "low", -EINVAL, 0},
	{"too large", "low 18446744073709551616\n", "low", -ERANGE, 0},
};

TEST(values_of_flat_keyed_files)
{
	for (size_t i = 0; i < CGG_ARRAY_LEN(keyed_rows); i++) {
		const struct keyed_row *row = &keyed_rows[i];
		uint64_t value = KEPT;

		T_ROW(row->name);
		T_EQ_INT(parse_keyed(row->text, row->key, &value), row->code);
		T_EQ_INT(value, row->code < 0 ? KEPT : row->value);
	}
}
