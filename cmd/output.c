/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One idea: whoever prints a name should escape it, newlines too, but one call among hundreds will be
 * forgotten. So the streams themselves escape what is left, but for the newlines and tabs of the texts.
 */
#include "output.h"

#include "cgguard.h"

#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define PIECE 256 /* bytes that are escaped at once */

struct output {
	int fd;
	size_t n; /* of held */
	char held[PIECE + 1];
	size_t len; /* of out */
	char out[16 * PIECE];
};

static bool write_all(int fd, const char *text, size_t len)
{
	while (len > 0) {
		ssize_t n = write(fd, text, len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return false;
		text += n;
		len -= (size_t)n;
	}
	return true;
}

static bool flush(struct output *o)
{
	size_t len = o->len;

	o->len = 0;
	return write_all(o->fd, o->out, len);
}

static bool put(struct output *o, const char *text, size_t len)
{
	if (o->len + len > sizeof(o->out)) {
		if (!flush(o))
			return false;
		if (len > sizeof(o->out))
			return write_all(o->fd, text, len);
	}
	memcpy(o->out + o->len, text, len);
	o->len += len;
	return true;
}

/* The bytes at the end of held that are the beginning of a character. */
static size_t cut_off(const struct output *o)
{
	for (size_t k = 1; k <= 3 && k <= o->n; k++) {
		unsigned char c = (unsigned char)o->held[o->n - k];

		if (c >= 0xc0)
			return k < (c < 0xe0 ? 2U : c < 0xf0 ? 3U : 4U) ? k : 0;
		if (c < 0x80)
			return 0;
	}
	return 0;
}

/* Escape what is held, but for the last keep bytes. */
static bool pass(struct output *o, size_t keep)
{
	char kept[4], shown[4 * PIECE + 1];
	size_t len;

	if (o->n == keep)
		return true;
	memcpy(kept, o->held + o->n - keep, keep);
	o->held[o->n - keep] = '\0';
	len = cgg_text_printable(o->held, shown, sizeof(shown));
	memcpy(o->held, kept, keep);
	o->n = keep;
	return put(o, shown, len);
}

static bool is_plain(char c)
{
	return (c >= ' ' && c < 0x7f) || c == '\n' || c == '\t';
}

/* Whether eight bytes are all of ' ' to '~': a byte below or above sets its own highest bit, or a higher byte's. */
static bool is_plain_word(const char *text)
{
	const uint64_t each = 0x0101010101010101;
	uint64_t word;

	memcpy(&word, text, sizeof(word));
	return ((word | (word + each) | (word - each * ' ')) & each << 7) == 0;
}

/* The number of bytes at the beginning of a text that need no escape: nearly all of nearly every text. */
static size_t plain_bytes(const char *text, size_t size)
{
	size_t n = 0;

	for (;;) {
		if (size - n >= sizeof(uint64_t) && is_plain_word(text + n))
			n += sizeof(uint64_t);
		else if (n < size && is_plain(text[n]))
			n++;
		else
			return n;
	}
}

static ssize_t on_write(void *cookie, const char *text, size_t size)
{
	struct output *o = cookie;
	bool ok = true;

	for (size_t i = 0; ok && i < size; i++) {
		if (o->n == 0) {
			size_t n = plain_bytes(text + i, size - i);

			ok = put(o, text + i, n);
			i += n;
			if (i == size)
				break;
		}
		if (text[i] == '\n' || text[i] == '\t') {
			ok = pass(o, 0) && put(o, &text[i], 1);
		} else if (text[i] == '\0') {
			ok = pass(o, 0) && put(o, "\\x00", 4);
		} else {
			o->held[o->n++] = text[i];
			if (o->n == PIECE)
				ok = pass(o, cut_off(o));
		}
	}
	return ok && pass(o, cut_off(o)) && flush(o) ? (ssize_t)size : 0;
}

static FILE *begin(struct output *o, FILE *stream)
{
	FILE *f = fopencookie(o, "w", (cookie_io_functions_t){.write = on_write});

	if (!f)
		return stream; /* out of memory: what follows says so */
	setvbuf(f, NULL, o->fd == STDERR_FILENO ? _IONBF : isatty(o->fd) ? _IOLBF : _IOFBF, BUFSIZ);
	return f;
}

void output_begin(void)
{
	static struct output out = {.fd = STDOUT_FILENO}, err = {.fd = STDERR_FILENO};

	stdout = begin(&out, stdout);
	stderr = begin(&err, stderr);
}
