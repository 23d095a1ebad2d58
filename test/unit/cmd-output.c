/* SPDX-License-Identifier: Apache-2.0 */
/* The filter in front of stdout: every byte at every place of a word is escaped, or is not. */
#include "kit/t.h"

#include "../cmd/output.h"
#include "cgguard.h"

#include <fcntl.h>
#include <unistd.h>

#define LEN 17 /* two words, and a byte */

/* What the filter makes of a text. */
static const char *filtered(const char *text, size_t len)
{
	static char out[4 * 8192 + 1];
	static bool begun;
	int pipe_fds[2], saved;
	ssize_t n;

	fflush(stdout); /* the kit's lines */
	T_MUST(pipe2(pipe_fds, O_CLOEXEC) == 0);
	saved = dup(STDOUT_FILENO);
	T_MUST(saved >= 0 && dup2(pipe_fds[1], STDOUT_FILENO) == STDOUT_FILENO);
	if (!begun)
		output_begin();
	begun = true;
	fwrite(text, 1, len, stdout);
	fflush(stdout);
	n = read(pipe_fds[0], out, sizeof(out) - 1);
	T_MUST(dup2(saved, STDOUT_FILENO) == STDOUT_FILENO);
	close(saved);
	close(pipe_fds[0]);
	close(pipe_fds[1]);
	out[n > 0 ? n : 0] = '\0';
	return out;
}

TEST(each_byte_is_escaped_wherever_it_stands)
{
	for (int byte = 1; byte < 256; byte++) {
		for (size_t at = 0; at < LEN - 1; at++) { /* a lead byte at the end would be kept */
			char text[LEN + 1], want[4 * LEN + 1];

			memset(text, 'a', LEN);
			text[at] = (char)byte;
			text[LEN] = '\0';
			if (byte == '\n' || byte == '\t')
				memcpy(want, text, sizeof(text));
			else
				cgg_text_printable(text, want, sizeof(want));
			T_EQ_STR(filtered(text, LEN), want);
		}
	}
}

TEST(a_nul_is_escaped)
{
	T_EQ_STR(filtered("a\0b", 3), "a\\x00b");
}

TEST(what_is_longer_than_the_buffer_comes_whole)
{
	static char text[8192];

	memset(text, 'x', sizeof(text) - 1);
	text[5000] = '\033';
	T_EQ_INT(strlen(filtered(text, sizeof(text) - 1)), sizeof(text) - 1 + 3);
}
