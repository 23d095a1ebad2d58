/* SPDX-License-Identifier: Apache-2.0 */
/* Characters of a JSON text that need not be terminated. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Letters, digits and '_': what people take for one word. */
bool scan_is_word(int c);

/* Length of the valid UTF-8 sequence at text[at]; 0 if there is none. */
size_t scan_utf8_len(const char *text, size_t len, size_t at);

/* The code point of \uXXXX at text[at], of both if it is a surrogate pair; its length, 0: malformed. */
size_t scan_escape(const char *text, size_t len, size_t at, uint32_t *ret);

/* The next character that a checked string means; 0 at its closing quote. */
uint32_t scan_char(const char *text, size_t len, size_t *at);

/* The same as UTF-8, at most four bytes; how many. */
size_t scan_put(char *buf, uint32_t c);
