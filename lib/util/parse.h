/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Numbers of kernel files and of people. Whole string or nothing, overflow is an error, no locale.
 * All return 0 or -EINVAL / -ERANGE.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

int parse_u64(const char *s, uint64_t *ret);
int parse_i64(const char *s, int64_t *ret);

/* "max" (UINT64_MAX) or a number, a final newline allowed: limits in cgroup files. */
int parse_u64_or_max(const char *s, uint64_t *ret);

/* "512Mi" "1.5GiB" "100MB" "4096": bytes. Ki Mi Gi Ti (and KiB ...) are powers of 1024; kB MB GB TB
 * powers of 1000; a bare K, M, G, T is refused since it says neither (-EDOM). */
int parse_size(const char *s, uint64_t *ret_bytes);

/* "8%" "12.5%" up to "100%": permyriad. -ERANGE above 100%. */
int parse_share(const char *s, uint32_t *ret_permyriad);

/* "200ms" "1.5s" "2min" "1h" "500us": microseconds. A bare number is refused (-EDOM). */
int parse_duration(const char *s, uint64_t *ret_us);

/* Decimal digits, whatever is after them. */
int parse_digits(const char *s, uint64_t *ret);

/* The value of "key VALUE\n" in a flat keyed file, or -ENOENT. */
int parse_keyed(const char *text, const char *key, uint64_t *ret);

/* Decimal digits with up to two decimals ("12.34") as hundredths; *end is after them. */
int parse_hundredths(const char *s, const char **end, uint64_t *ret);
