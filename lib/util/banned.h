/* SPDX-License-Identifier: Apache-2.0 */
/* Functions that have no safe use here become compile errors; the build includes this everywhere. */
#pragma once

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#pragma GCC poison strcpy strcat sprintf vsprintf strtok atoi atol atoll gets system
