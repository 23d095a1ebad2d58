/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The kernel's answer when the code under test writes to a control file of a fake cgroup (fault_on_write): what
 * was written replaces the value, cgroup.kill kills the members. And whether a process has been sent SIGKILL,
 * which is certain before it has died of it.
 */
#pragma once

#include "kit/fault.h"
#include "kit/group.h"

#define KIT_KERNEL_GROUPS 4

static struct kit_group *kit_kernel_group[KIT_KERNEL_GROUPS];

/* The group at a path. */
static inline struct kit_group *kit_kernel_find(const char *path)
{
	struct stat st, own;

	for (size_t i = 0; i < KIT_KERNEL_GROUPS && kit_kernel_group[i]; i++) {
		struct kit_group *g = kit_kernel_group[i];

		if (stat(path, &st) == 0 && fstat(g->dirfd, &own) == 0 && st.st_ino == own.st_ino &&
		    st.st_dev == own.st_dev)
			return g;
	}
	return NULL;
}

static inline void kit_kernel_write(int fd, const void *buf, size_t len)
{
	char link[32], path[256], *file, value[64];
	struct kit_group *g;
	ssize_t n;

	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	n = readlink(link, path, sizeof(path) - 1);
	if (n <= 0)
		return;
	path[n] = '\0';
	file = strrchr(path, '/');
	if (path[0] != '/' || !file || file == path || len + 16 > sizeof(value))
		return;
	*file++ = '\0';
	g = kit_kernel_find(path);
	if (!g)
		return;
	if (strcmp(file, "cgroup.kill") == 0) {
		for (size_t i = 0; i < g->n; i++) {
			if (atomic_load(&g->lives[i]))
				kill(g->pid[i], SIGKILL);
		}
		T_MUST(ftruncate(fd, 0) == 0);
		return;
	}
	snprintf(value, sizeof(value), "%.*s%s\n", (int)len, (const char *)buf,
		 strcmp(file, "cpu.max") == 0 && !memchr(buf, ' ', len) ? " 100000" : "");
	T_MUST(ftruncate(fd, 0) == 0 &&
	       pwrite(fd, value, strlen(value), 0) == (ssize_t)strlen(value));
}

/* These are all that there are. */
static inline void kit_kernel_start(struct kit_group *g, struct kit_group *other)
{
	kit_kernel_group[0] = g;
	kit_kernel_group[1] = other;
	fault_on_write = kit_kernel_write;
}

/* Dead, or about to die: SIGKILL is pending. */
static inline bool kit_is_killed(pid_t pid)
{
	char path[32], line[128];
	uint64_t pending;
	bool killed = true;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/status", pid);
	f = fopen(path, "r");
	while (f && fgets(line, sizeof(line), f)) {
		if (strncmp(line, "State:", 6) == 0)
			killed = strchr("ZX", line[7]) != NULL;
		if (sscanf(line, "SigPnd: %" SCNx64, &pending) == 1)
			killed |= pending >> (SIGKILL - 1) & 1;
	}
	if (f)
		fclose(f);
	return killed;
}
