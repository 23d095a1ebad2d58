/* SPDX-License-Identifier: Apache-2.0 */
/*
 * turns N STDIN NAME PROGRAM ARGUMENT... [-- NAME PROGRAM ARGUMENT...]...: run each N times, by turns, so that
 * what else the machine does falls on all alike. Told of each: the medians of how long it took, from before it
 * is made until it has ended, and of the processor time of it and all that it has waited for.
 */
#include <fcntl.h>
#include <inttypes.h>
#include <spawn.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>

#define RUNS_MAX 10000
#define WHO_MAX	 16

extern char **environ;

static struct who {
	char **argv; /* its name first */
	uint32_t wall_us[RUNS_MAX], cpu_us[RUNS_MAX];
} all[WHO_MAX];

static uint64_t now_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

static uint64_t us(const struct timeval *t)
{
	return (uint64_t)t->tv_sec * 1000000 + (uint64_t)t->tv_usec;
}

static bool run(struct who *who, long i, const char *stdin_file)
{
	posix_spawn_file_actions_t files;
	struct rusage used;
	uint64_t began;
	int status, r;
	pid_t pid;

	posix_spawn_file_actions_init(&files);
	posix_spawn_file_actions_addopen(&files, 0, stdin_file, O_RDONLY, 0);
	posix_spawn_file_actions_addopen(&files, 1, "/dev/null", O_WRONLY, 0);
	began = now_us();
	r = posix_spawn(&pid, who->argv[1], &files, NULL, who->argv + 1, environ);
	if (r == 0 && wait4(pid, &status, 0, &used) == pid) {
		who->wall_us[i] = (uint32_t)(now_us() - began);
		who->cpu_us[i] = (uint32_t)(us(&used.ru_utime) + us(&used.ru_stime));
	}
	posix_spawn_file_actions_destroy(&files);
	if (r != 0 || status != 0)
		fprintf(stderr, "turns: %s: %s\n", who->argv[0], r ? strerror(r) : "it has failed");
	return r == 0 && status == 0;
}

static int compare(const void *a, const void *b)
{
	const uint32_t *l = a, *r = b;

	return (*l > *r) - (*l < *r);
}

static uint32_t median(uint32_t *values, long n)
{
	qsort(values, (size_t)n, sizeof(*values), compare);
	return values[n / 2];
}

int main(int argc, char **argv)
{
	long n = argc > 1 ? strtol(argv[1], NULL, 10) : 0;
	int nall = 0;

	for (int i = 2; i + 2 < argc && nall < WHO_MAX; i++) {
		all[nall++].argv = argv + i + 1;
		while (i + 1 < argc && strcmp(argv[i + 1], "--") != 0)
			i++;
		if (i + 1 < argc)
			argv[i + 1] = NULL;
	}
	if (n < 1 || n > RUNS_MAX || nall == 0) {
		fputs("usage: turns N STDIN NAME PROGRAM ARGUMENT... [-- ...]\n", stderr);
		return 100;
	}
	for (long i = 0; i < n; i++) {
		for (int k = 0; k < nall; k++) {
			if (!run(&all[k], i, argv[2]))
				return 1;
		}
	}
	for (int k = 0; k < nall; k++)
		printf("\"hook\":\"%s\",\"runs\":%ld,\"wall_us\":%" PRIu32 ",\"cpu_us\":%" PRIu32
		       "\n",
		       all[k].argv[0], n, median(all[k].wall_us, n), median(all[k].cpu_us, n));
	return 0;
}
