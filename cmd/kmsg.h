/* SPDX-License-Identifier: Apache-2.0 */
/* The kernel's log, opened before the sandbox: afterwards neither the file nor the capability is ours. */
#pragma once

#include "cgguard-guard.h"

struct kmsg {
	int fd; /* -1: errno error */
	int error;
};

/* Who starts us may have opened it: a service manager as our stdin, so that we never have the capability. */
void kmsg_open(struct kmsg *k);

/* See cgg_guard_read_kmsg(). */
int kmsg_follow(struct kmsg *k, struct cgg_guard *guard, struct cgg_error *err);
void kmsg_close(struct kmsg *k);
