/* SPDX-License-Identifier: Apache-2.0 */
/* The host's own numbers, from the /proc that belongs to the tree. */
#pragma once

#include "cgguard.h"

/* Fill in what want (enum cgg_host_have) asks for and this machine has. procfd -1: nothing. */
void cgfs_host_read(int procfd, uint32_t want, struct cgg_host *host);
