/* SPDX-License-Identifier: Apache-2.0 */
/* What cgguard-hook gives up before it reads anything that somebody else has written. */
#pragma once

/* AddressSanitizer makes system calls of its own and needs terabytes. gcc and clang say differently that it is on. */
#if defined(__SANITIZE_ADDRESS__)
#define HOOK_SANITIZED
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define HOOK_SANITIZED
#endif
#endif

#include <stdbool.h>

/*
 * For a hook: no capability but to write where others own files, no file to be written but in the cgroup tree
 * and the state directory (which is made if make), no system call but its own, little memory. A kernel that
 * can't do one of these does without: a container must start all the same.
 */
void hook_sandbox_enter(const char *state_dir, bool make);

/* For a process that only reads and writes what is open: nothing but that. */
void hook_sandbox_seal(void);
