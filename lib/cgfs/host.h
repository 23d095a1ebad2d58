/* SPDX-License-Identifier: Apache-2.0 */
/* The host's own numbers, from the /proc that belongs to the tree. */
#pragma once

#include "cgguard.h"

/* Fill in what want (enum cgg_host_have) asks for and this machine has. procfd -1: nothing. */
void cgfs_host_read(int procfd, uint32_t want, struct cgg_host *host);

/*
 * The RAM that zram devices used as swap take: the sum of compr_data_size in their mm_stat. The kernel charges it to no
 * cgroup. Needs CGG_HOST_HAVE_SWAP, and the /sys beside that /proc. zswap does not count here: the kernel charges its
 * pages, and memory.stat tells of them.
 */
void cgfs_host_read_zram(int procfd, struct cgg_host *host);
