/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The program's stdout and stderr: all that is printed passes here last, so that no value, wherever it comes
 * from, can drive a terminal or forge a line's look. See cgg_text_printable() for what becomes \xNN.
 */
#pragma once

/* Put the filter in front of both streams; what is printed later passes through it. */
void output_begin(void);
