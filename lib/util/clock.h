/* SPDX-License-Identifier: Apache-2.0 */
/* The one clock of the library: every time in it, unless its name says otherwise, is of this clock. */
#pragma once

#include <stdint.h>

/* CLOCK_MONOTONIC in microseconds. It never fails and never goes back. */
uint64_t clock_now_us(void);
