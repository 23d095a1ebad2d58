/* SPDX-License-Identifier: Apache-2.0 */
/* Find the mount of this machine's cgroups. */
#pragma once

#include "cgguard.h"

/* Put the directory of the memory controller's hierarchy into ret. 0, or a negative errno: it has none that is of cgroup v2. */
int cgfs_mount_find(char *ret, size_t size, struct cgg_error *err);
