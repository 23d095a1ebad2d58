/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cost: what a look at 1,000 cgroups costs, in instructions, for callgrind to count (the script of that
 * name), and in system calls, which it counts and prints. The tree is made of files like a kernel's, so that
 * the same work is done each time; what the kernel itself needs for a read is not in it.
 *
 *	cost_open	tables, matching, the first scan: done once
 *	cost_snapshot	the whole tree read, as rank, tree and explain do
 *	cost_bare	the least that can be: the same files, each opened, read and closed
 *	cost_look	ticks until each of the policy's domains has been sampled
 *	cost_near	the same, and each container is close to its limit, by page cache
 *	cost_choose	the candidates of the first rule read, and the victim chosen
 *	cost_scan	the tables brought up to date after cgroups came or went
 *	cost_stall	a wake-up by pressure: whoever can be in danger is looked at, before its time
 *	cost_wake	with --braked, and nothing else: all limits are held by brakes, and the host is due
 *
 * With --time it prints how long a snapshot takes, over each bare loop beside it, as medians; with --check
 * it is a test of how many system calls there are.
 */
#include "cgguard-guard.h"
#include "engine/guard.h"

#include "cgfs/fields.h"
#include "engine/look.h"
#include "engine/tick.h"
#include "engine/watch.h"
#include "kit/tree.h"
#include "util/attr.h"
#include "util/clock.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#define PODS	   40
#define CONTAINERS 25
#define CGROUPS	   1000UL
#define ROUNDS	   31
#define FDS	   4096
#define HOUR_US	   3600000000ULL
#define STEP(name) static __attribute__((noinline)) void name

/* ---- system calls, counted ------------------------------------------------------------ */

static unsigned long calls;

#define COUNT(type, name, params, args)                                                            \
	type __real_##name params;                                                                 \
	type __wrap_##name params;                                                                 \
	type __wrap_##name params                                                                  \
	{                                                                                          \
		calls++;                                                                           \
		return __real_##name args;                                                         \
	}

struct stat;
COUNT(int, openat64, (int dir, const char *path, int flags, mode_t mode), (dir, path, flags, mode))
COUNT(ssize_t, pread64, (int fd, void *buf, size_t size, off_t at), (fd, buf, size, at))
COUNT(ssize_t, read, (int fd, void *buf, size_t size), (fd, buf, size))
COUNT(int, close, (int fd), (fd))
COUNT(int, fstat64, (int fd, struct stat *st), (fd, st))
COUNT(int, faccessat, (int dir, const char *path, int mode, int flags), (dir, path, mode, flags))

/* ---- the machine ---------------------------------------------------------------------- */

static const char stat_keys[] =
	"anon file kernel kernel_stack pagetables sec_pagetables percpu sock vmalloc shmem zswap "
	"zswapped file_mapped file_dirty file_writeback swapcached anon_thp file_thp shmem_thp "
	"inactive_anon active_anon inactive_file active_file unevictable slab_reclaimable "
	"slab_unreclaimable slab workingset_refault_anon workingset_refault_file "
	"workingset_activate_anon workingset_activate_file workingset_restore_anon "
	"workingset_restore_file workingset_nodereclaim pgscan pgsteal pgscan_kswapd "
	"pgscan_direct pgsteal_kswapd pgsteal_direct pgfault pgmajfault pgrefill pgactivate "
	"pgdeactivate pglazyfree pglazyfreed zswpin zswpout thp_fault_alloc thp_collapse_alloc ";

static struct cgg_tree *tree;
static struct cgg_policy *policy;
static struct cgg_guard *guard;
static struct cgg_error err;
static const char *top;

static void print_stat(FILE *out, unsigned int mib)
{
	const char *at = stat_keys, *end;

	fputs("memory.stat='", out);
	for (; (end = strchr(at, ' ')) != NULL; at = end + 1) {
		bool big = strncmp(at, "anon ", 5) == 0 || strncmp(at, "inactive_anon ", 14) == 0;

		fprintf(out, "%.*s\\s%u\\n", (int)(end - at), at, big ? mib << 20 : 4096 * mib);
	}
	fputs("' ", out);
}

static void print_group(FILE *out, const char *path, unsigned int mib, const char *max)
{
	fprintf(out,
		"%s memory.current=%u memory.peak=0 memory.max=%s memory.high=max memory.low=0 "
		"memory.min=0 "
		"memory.swap.current=0 memory.swap.max=0 memory.oom.group=0 cgroup.procs= "
		"cgroup.events='populated\\s1\\nfrozen\\s0\\n' cgroup.type=domain "
		"memory.events.local='low\\s0\\nhigh\\s0\\nmax\\s0\\noom\\s0\\noom_kill\\s0\\n"
		"oom_group_kill\\s0\\n' "
		"memory.events='low\\s0\\nhigh\\s0\\nmax\\s0\\noom\\s0\\noom_kill\\s0\\n"
		"oom_group_kill\\s0\\n' "
		"memory.pressure='some\\savg10=0.00\\savg60=0.00\\savg300=0.00\\stotal=0\\n"
		"full\\savg10=0.00\\savg60=0.00\\savg300=0.00\\stotal=0\\n' ",
		path, (mib << 20) + (1U << 20), max);
	print_stat(out, mib);
	fputc('\n', out);
}

static char *machine(void)
{
	char *text = NULL, path[64];
	size_t size;
	FILE *out = open_memstream(&text, &size);

	fputs("root sys/fs/cgroup\n/ cgroup.procs=1\n"
	      "proc meminfo='MemTotal:\\s16000000\\skB\\nMemFree:\\s9000000\\skB\\n"
	      "MemAvailable:\\s12000000\\skB\\nSwapTotal:\\s0\\skB\\nSwapFree:\\s0\\skB\\n'\n",
	      out);
	for (unsigned int pod = 0; pod < PODS; pod++) {
		snprintf(path, sizeof(path), "/pod%u", pod);
		print_group(out, path, CONTAINERS * 8, "max");
		for (unsigned int i = 1; i < CONTAINERS; i++) {
			snprintf(path, sizeof(path), "/pod%u/docker-%u.scope", pod, i);
			print_group(out, path, 1 + i % 16, "67108864");
		}
	}
	fclose(out);
	return text;
}

STEP(cost_open)(void)
{
	if (cgg_guard_open(tree, policy, NULL, &guard, &err) < 0) {
		fprintf(stderr, "cost: %s\n", err.msg);
		exit(1);
	}
}

STEP(cost_snapshot)(void)
{
	struct cgg_snapshot *snap;

	if (cgg_snapshot_take(tree, &snap, &err) == 0)
		cgg_snapshot_free(snap);
}

/* All files of all cgroups that a snapshot reads. */
static const char *const files[] = {
#define FILE_OF(word, member, bit, file) file,
	CGFS_NUMBERS(FILE_OF)
#undef FILE_OF
		"memory.oom.group",
	"cgroup.events",
	"cgroup.procs",
	"memory.events",
	"memory.events.local",
	"memory.stat",
	"memory.pressure",
};

static void bare(const int *fds)
{
	char buf[16384];

	for (uint32_t i = 1, k = 0; i < tree->n; i++) {
		for (size_t f = 0; f < CGG_ARRAY_LEN(files); f++, k++) {
			int fd = fds ? fds[k]
				     : openat(tree->entry[i].dirfd, files[f], O_RDONLY | O_CLOEXEC);

			if (pread(fd, buf, sizeof(buf), 0) < 0) {
				perror(files[f]);
				exit(1);
			}
			if (!fds)
				close(fd);
		}
	}
}

STEP(cost_bare)(void)
{
	bare(NULL);
}

static void look_at_all(uint64_t now_us)
{
	uint64_t before;

	do {
		before = guard->count.looks;
		tick(guard, now_us);
	} while (guard->count.looks > before);
}

STEP(cost_look)(uint64_t now_us)
{
	look_at_all(now_us);
}

STEP(cost_near)(uint64_t now_us)
{
	static volatile bool differs; /* or the compiler makes one function of both */

	differs = !differs;
	look_at_all(now_us);
}

STEP(cost_choose)(uint64_t now_us)
{
	uint64_t stuck[POLICY_EXCLUDED_MAX];
	struct guard_domain *d = &guard->domains.slot[guard->seen[0].domain];
	const struct policy_rule *rule = &policy->rule[d->rule];
	struct policy_known known;
	uint32_t victim;

	look_prepare(guard, rule, d->index, true, now_us);
	known = look_known(guard, d, stuck, now_us);
	look_choose(guard, rule, d->index, &known, &victim);
}

STEP(cost_scan)(void)
{
	(void)guard_rescan(guard, &err);
}

STEP(cost_stall)(void)
{
	(void)cgg_guard_dispatch(guard, &err);
}

STEP(cost_wake)(void)
{
	uint64_t now_us = clock_now_us();

	guard->domains.slot[guard->seen[0].domain].due_us = now_us;
	tick(guard, now_us);
	watch_sleep(guard, now_us);
}

/* A guard whose brakes are held: the journal of what they change takes a tmpfs. False: there is none. */
static bool open_braked(void)
{
	struct cgg_guard_options options = {.state_dir = kit_tree("state x=1")};
	uint64_t until_us;

	if (cgg_guard_open(tree, policy, &options, &guard, &err) < 0)
		return false;
	/* cgroups that are new are looked at, whatever is held there */
	until_us = clock_now_us() + 2ULL * GUARD_YOUNG_US;
	while (clock_now_us() < until_us) {
		(void)cgg_guard_dispatch(guard, &err);
		usleep(10000);
	}
	return brakes_count(&guard->brakes) == PODS * (CONTAINERS - 1);
}

static void check(int number, const char *what, unsigned long count, unsigned long most)
{
	printf("%sok %d - %s\n", count <= most ? "" : "not ", number, what);
	if (count > most)
		printf("# %lu system calls, more than %lu\n", count, most);
}

static void measure_wake(void)
{
	if (!open_braked()) {
		printf("1..0 # SKIP no brakes here: %s\n", err.msg);
		return;
	}
	calls = 0;
	cost_wake();
	printf("# wake %lu\n1..1\n", calls);
	check(1, "a wake-up for the host alone takes 10 system calls, however many limits are held",
	      calls, 10);
}

static void fill_limits(void)
{
	for (unsigned int pod = 0; pod < PODS; pod++) {
		for (unsigned int i = 1; i < CONTAINERS; i++) {
			char path[64];

			snprintf(path, sizeof(path), "/pod%u/docker-%u.scope", pod, i);
			kit_tree_write(top, path, "memory.current", "66900000\n", 9);
		}
	}
}

static int by_size(const void *a, const void *b)
{
	const double *x = a, *y = b;

	return (*x > *y) - (*x < *y);
}

static double took(void (*step)(const int *fds), const int *fds)
{
	uint64_t start = clock_now_us();

	step(fds);
	return (double)(clock_now_us() - start);
}

static void whole(const int *fds)
{
	(void)fds;
	cost_snapshot();
}

/* Each round: a snapshot, and both loops. */
static void compare(unsigned int rounds)
{
	int *fds = calloc(tree->n * CGG_ARRAY_LEN(files), sizeof(*fds));
	double *opened = calloc(rounds, sizeof(*opened)), *held = calloc(rounds, sizeof(*held));

	for (uint32_t i = 1, k = 0; i < tree->n; i++) {
		for (size_t f = 0; f < CGG_ARRAY_LEN(files); f++)
			fds[k++] = openat(tree->entry[i].dirfd, files[f], O_RDONLY | O_CLOEXEC);
	}
	for (unsigned int i = 0; i < rounds; i++) {
		double snapshot = took(whole, NULL);

		opened[i] = snapshot / took(bare, NULL);
		held[i] = snapshot / took(bare, fds);
	}
	qsort(opened, rounds, sizeof(*opened), by_size);
	qsort(held, rounds, sizeof(*held), by_size);
	printf("# snapshot: %.2f of opening, reading and closing the same files, %.2f of pread "
	       "alone\n",
	       opened[rounds / 2], held[rounds / 2]);
	free(fds);
	free(opened);
	free(held);
}

#define RUN(step, ...)                                                                             \
	do {                                                                                       \
		calls = 0;                                                                         \
		cost_##step(__VA_ARGS__);                                                          \
		step##_calls = calls;                                                              \
		printf("# %s %lu\n", #step, calls);                                                \
	} while (0)

static unsigned long open_calls, snapshot_calls, bare_calls, look_calls, near_calls, choose_calls,
	scan_calls, stall_calls;

static void measure_looks(const char *mode)
{
	uint64_t now_us = clock_now_us() + HOUR_US;

	RUN(open);
	look_at_all(now_us);
	for (int i = 0; i < 64; i++) /* its files are watched, some in each turn */
		(void)cgg_guard_dispatch(guard, &err);
	RUN(snapshot);
	RUN(bare);
	if (strcmp(mode, "--time") == 0)
		compare(ROUNDS);
	look_at_all(now_us += HOUR_US);
	RUN(look, now_us += 20000000);
	RUN(choose, now_us);
	fill_limits();
	RUN(near, now_us += 20000000);
	RUN(scan);
	guard->view.scan_due = false;
	for (int i = 0; i < 4; i++) /* what the looks above left to do: brakes, and their events */
		(void)cgg_guard_dispatch(guard, &err);
	RUN(stall);
	if (strcmp(mode, "--check") == 0) {
		puts("1..3");
		check(1, "a look of all rules takes 3 system calls a cgroup", look_calls,
		      3 * CGROUPS);
		check(2, "a look of all rules near danger takes 26 a cgroup", near_calls,
		      26 * CGROUPS);
		check(3, "a snapshot reads each file once", snapshot_calls,
		      bare_calls + 2 * CGROUPS);
	}
}

int main(int argc, char **argv)
{
	char *text = machine();
	const char *mode = argc > 2 ? argv[2] : "";
	struct rlimit fds;

	getrlimit(RLIMIT_NOFILE, &fds);
	fds.rlim_cur = fds.rlim_max;
	if (fds.rlim_max < FDS || setrlimit(RLIMIT_NOFILE, &fds) < 0) {
		printf("1..0 # SKIP fewer than %d fds\n", FDS);
		return 0;
	}
	top = kit_tree(text);
	if (argc < 2 || cgg_policy_load((const char *const *)&argv[1], 1, &policy, &err) < 0 ||
	    cgg_tree_open(top, &tree, &err) < 0) {
		fprintf(stderr, "cost: %s\n",
			argc > 1 ? err.msg : "usage: cost POLICY [--time|--check|--braked]");
		return 1;
	}
	tree->root.live = true; /* files that stand still, for a guard */
	if (strcmp(mode, "--braked") == 0)
		measure_wake();
	else
		measure_looks(mode);
	cgg_guard_close(guard);
	cgg_tree_close(tree);
	cgg_policy_free(policy);
	free(text);
	return 0;
}
