/* SPDX-License-Identifier: Apache-2.0 */
/* The loop's two ends: what has happened, and when to wake for what is due next. */
#pragma once

#include "cgguard.h"

struct cgg_guard;

int watch_init(struct cgg_guard *g, struct cgg_error *err);
void watch_finish(struct cgg_guard *g);
void watch_pressure_again(struct cgg_guard *g, uint64_t now_us); /* where one was lost */
void watch_pressure(struct cgg_guard *g); /* (re)arm PSI triggers for the policy's domains */
void watch_tell_shortage(struct cgg_guard *g); /* of watches */
void watch_read(struct cgg_guard *g, uint64_t now_us); /* take in what has happened */
void watch_sleep(struct cgg_guard *g, uint64_t now_us); /* arm the timer for what is next */
