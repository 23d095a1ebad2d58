/* SPDX-License-Identifier: Apache-2.0 */
/* Logs of which each entry is an object with fields: JSON of the journal and of containers, journal export. */
#pragma once

#include "log/line.h"

#define ENVELOPE_TEXT_SIZE 16384

/* What an entry says, wherever it says it. */
struct envelope {
	bool has_text, foreign, boot, epoch;
	uint64_t boot_us, epoch_us;
	size_t text_len, host_len;
	char host[CGG_LOG_WORD_SIZE];
	char text[ENVELOPE_TEXT_SIZE];
};

/* One line that begins with {. False: no JSON object with a message in it. */
bool envelope_json(struct log_span line, struct envelope *ret);

/* One field of an entry: what counts is kept. */
void envelope_field(struct envelope *e, struct log_span key, struct log_span value);

/* An entry without fields. */
void envelope_clear(struct envelope *e);
