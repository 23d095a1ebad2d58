/* SPDX-License-Identifier: Apache-2.0 */
/* The host's own numbers, from the /proc that belongs to the tree. */
#pragma once

#include "cgguard.h"

/* Fill in what want (enum cgg_host_have) asks for and this machine has. procfd -1: nothing. */
void cgfs_host_read(int procfd, uint32_t want, struct cgg_host *host);

/*
 * How much RAM is taken by what is swapped out: zram keeps it compressed (compr_data_size of mm_stat, of the devices that
 * are swap), and charges it to no cgroup. Needs CGG_HOST_HAVE_SWAP, and the /sys beside that /proc. zswap is not
 * meant: its pages are charged, and in memory.stat.
 */
void cgfs_host_read_zram(int procfd, struct cgg_host *host);
