/* SPDX-License-Identifier: Apache-2.0 */
/* Values out of a JSON text that was scanned strictly: objects' members, strings, whole numbers. */
#pragma once

#include "policy/scan.h"

struct cgg_error;

/* Scan a text, in which nothing may be wrong. name is for messages. 0, -EINVAL, -ENOMEM. */
int text_init(struct scan *scan, const char *name, const char *text, size_t len,
	      struct cgg_error *err);

/* Scan a file of an engine's. *ret_text is to be freed, and the scan to be finished, where it can be had. */
bool text_scan_file(const char *path, struct scan *scan, char **ret_text);
bool text_scan_fd(int fd, struct scan *scan, char **ret_text);

/* The member of an object; SCAN_NONE where there is none, or parent is no object. */
uint32_t text_get(const struct scan *scan, uint32_t parent, const char *name);

/* A string as it is meant, cut to size; "" where it is none. Returns whether it is one. */
bool text_string(const struct scan *scan, uint32_t value, char *buf, size_t size);

/* A member's, in one. */
bool text_member(const struct scan *scan, uint32_t parent, const char *name, char *buf,
		 size_t size);

/* A whole number, not negative; false where it is none. */
bool text_number(const struct scan *scan, uint32_t value, uint64_t *ret);
