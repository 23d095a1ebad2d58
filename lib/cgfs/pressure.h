/* SPDX-License-Identifier: Apache-2.0 */
/* PSI triggers: wake me when tasks stalled for so long in such a window. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

/*
 * Arm a trigger on pressure file name at dirfd. Returns the fd, to be watched for EPOLLPRI and closed
 * to disarm, or a negative errno. Without CAP_SYS_RESOURCE only windows in multiples of 2 s are
 * served: on EINVAL, EPERM or EACCES it is tried again so, with the same share; *ret_slow says so.
 */
int cgfs_pressure_arm(int dirfd, const char *name, bool full, uint32_t stall_us, uint32_t window_us,
		      bool *ret_slow);
