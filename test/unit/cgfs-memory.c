/* SPDX-License-Identifier: Apache-2.0 */
/* The values of one cgroup, whatever kernel, or hand, has written its files. */
#include "kit/t.h"
#include "kit/tree.h"

#include "cgfs/memory.h"

#include <errno.h>
#include <fcntl.h>

/* Every file that is read, with a value of its own. */
static const struct {
	uint32_t have;
	const char *file, *text; /* as kit_tree wants it */
} files[] = {
	{CGG_HAVE_CURRENT, "memory.current", "9001"},
	{CGG_HAVE_MAX, "memory.max", "1002"},
	{CGG_HAVE_HIGH, "memory.high", "1003"},
	{CGG_HAVE_LOW, "memory.low", "1004"},
	{CGG_HAVE_MIN, "memory.min", "1005"},
	{CGG_HAVE_SWAP_CURRENT, "memory.swap.current", "1006"},
	{CGG_HAVE_SWAP_MAX, "memory.swap.max", "1007"},
	{CGG_HAVE_OOM_GROUP, "memory.oom.group", "1"},
	{CGG_HAVE_EVENTS, "memory.events",
	 "'low 1\\nhigh 2\\nmax 3\\noom 4\\noom_kill 5\\noom_group_kill 6\\n'"},
	{CGG_HAVE_EVENTS_LOCAL, "memory.events.local", "'low 7\\nhigh 8\\nmax 9\\noom 10\\n'"},
	{CGG_HAVE_STAT, "memory.stat", "'anon 2001\\nfile 2002\\nshmem 2003\\n'"},
	{CGG_HAVE_PRESSURE, "memory.pressure",
	 "'some avg10=1.50 avg60=0.00 avg300=0.00 total=31\\n"
	 "full avg10=0.25 avg60=0.00 avg300=0.00 total=32\\n'"},
	{CGG_HAVE_PEAK, "memory.peak", "1008"},
	{CGG_HAVE_POPULATED, "cgroup.events", "'populated 1\\nfrozen 0\\n'"},
	{CGG_HAVE_PROCS, "cgroup.procs", "'11\\n12\\n13\\n'"},
};

/* A cgroup with all the files but those. */
static const char *tree_without(uint32_t without)
{
	char text[2048];
	size_t len = (size_t)snprintf(text, sizeof(text), "/a");
	const char *top;

	for (size_t i = 0; i < CGG_ARRAY_LEN(files); i++) {
		if (!(without & files[i].have))
			len += (size_t)snprintf(text + len, sizeof(text) - len, " %s=%s",
						files[i].file, files[i].text);
	}
	top = kit_tree(text);
	if (without & CGG_HAVE_PROCS)
		kit_tree_remove(top, "/a/cgroup.procs");
	return top;
}

static int read_at(const char *top, const char *path, uint32_t want, struct cgg_cgroup *cg)
{
	CGG_AUTO_FD fd = kit_tree_fd(top, path);

	return cgfs_read(fd, want, cg);
}

/* The values above, those that were read. */
static void check_values(const struct cgg_cgroup *cg)
{
#define CHECK(bit, got, want)                                                                      \
	do {                                                                                       \
		if (cg->have & (bit))                                                              \
			T_EQ_INT(got, want);                                                       \
	} while (0)
	CHECK(CGG_HAVE_CURRENT, cg->current_bytes, 9001);
	CHECK(CGG_HAVE_MAX, cg->max_bytes, 1002);
	CHECK(CGG_HAVE_HIGH, cg->high_bytes, 1003);
	CHECK(CGG_HAVE_LOW, cg->low_bytes, 1004);
	CHECK(CGG_HAVE_MIN, cg->min_bytes, 1005);
	CHECK(CGG_HAVE_SWAP_CURRENT, cg->swap_current_bytes, 1006);
	CHECK(CGG_HAVE_SWAP_MAX, cg->swap_max_bytes, 1007);
	CHECK(CGG_HAVE_PEAK, cg->peak_bytes, 1008);
	CHECK(CGG_HAVE_OOM_GROUP, cg->oom_group, true);
	CHECK(CGG_HAVE_POPULATED, cg->populated, true);
	CHECK(CGG_HAVE_PROCS, cg->nprocs, 3);
	CHECK(CGG_HAVE_EVENTS, cg->detail->events.low, 1);
	CHECK(CGG_HAVE_EVENTS, cg->detail->events.high, 2);
	CHECK(CGG_HAVE_EVENTS, cg->detail->events.max, 3);
	CHECK(CGG_HAVE_EVENTS, cg->detail->events.oom, 4);
	CHECK(CGG_HAVE_EVENTS, cg->detail->events.oom_kill, 5);
	CHECK(CGG_HAVE_EVENTS, cg->detail->events.oom_group_kill, 6);
	CHECK(CGG_HAVE_EVENTS_LOCAL, cg->detail->events_local.low, 7);
	CHECK(CGG_HAVE_EVENTS_LOCAL, cg->detail->events_local.oom, 10);
	CHECK(CGG_HAVE_EVENTS_LOCAL, cg->detail->events_local.oom_kill, 0);
	CHECK(CGG_HAVE_STAT, cg->detail->stat.anon, 2001);
	CHECK(CGG_HAVE_STAT, cg->detail->stat.file, 2002);
	CHECK(CGG_HAVE_STAT, cg->detail->stat.shmem, 2003);
	CHECK(CGG_HAVE_STAT, cg->unreclaimable_bytes, 4004);
	CHECK(CGG_HAVE_STAT, cg->gain_bytes, 2001);
	CHECK(CGG_HAVE_PRESSURE, cg->pressure.some_avg10_permyriad, 150);
	CHECK(CGG_HAVE_PRESSURE, cg->pressure.full_avg10_permyriad, 25);
	CHECK(CGG_HAVE_PRESSURE, cg->pressure.some_total_us, 31);
	CHECK(CGG_HAVE_PRESSURE, cg->pressure.full_total_us, 32);
#undef CHECK
}

TEST(a_cgroup_with_every_file_has_every_value)
{
	struct cgg_cgroup cg = {.detail = &(struct cgg_detail){.stat = {0}}};

	T_EQ_INT(read_at(tree_without(0), "/a", CGG_HAVE_ALL, &cg), 0);
	T_EQ_INT(cg.have, CGG_HAVE_ALL);
	T_ASSERT(!cg.threaded);
	check_values(&cg);
}

TEST(a_missing_file_takes_its_own_value_away_and_no_other)
{
	for (size_t i = 0; i < CGG_ARRAY_LEN(files); i++) {
		struct cgg_cgroup cg = {.detail = &(struct cgg_detail){.stat = {0}},
					.have = CGG_HAVE_ALL}; /* from before: to be cleared */

		T_ROW(files[i].file);
		T_EQ_INT(read_at(tree_without(files[i].have), "/a", CGG_HAVE_ALL, &cg), 0);
		T_EQ_INT(cg.have, CGG_HAVE_ALL & ~files[i].have);
		check_values(&cg);
	}
}

TEST(only_what_is_wanted_is_read_and_the_rest_is_left_as_it_is)
{
	const char *top = tree_without(0);

	for (size_t i = 0; i < CGG_ARRAY_LEN(files); i++) {
		struct cgg_cgroup cg = {.detail = &(struct cgg_detail){.stat = {0}}};

		T_ROW(files[i].file);
		T_EQ_INT(read_at(top, "/a", files[i].have, &cg), 0);
		T_EQ_INT(cg.have, files[i].have);
		check_values(&cg);
		cg = (struct cgg_cgroup){.detail = &(struct cgg_detail){.stat = {0}},
					 .have = CGG_HAVE_ALL,
					 .limit_bytes = 5};
		T_EQ_INT(read_at(top, "/a", files[i].have, &cg), 0);
		T_EQ_INT(cg.have, CGG_HAVE_ALL);
		T_EQ_INT(cg.limit_bytes, 5);
	}
}

TEST(a_cgroup_without_the_memory_controller_is_still_there)
{
	struct cgg_cgroup cg = {.detail = &(struct cgg_detail){.stat = {0}}, .have = CGG_HAVE_ALL};

	T_EQ_INT(read_at(kit_tree("/a"), "/a", CGG_HAVE_ALL, &cg), 0);
	T_EQ_INT(cg.have, CGG_HAVE_PROCS);
	T_EQ_INT(cg.nprocs, 0);
	cg.have = CGG_HAVE_ALL;
	T_EQ_INT(read_at(kit_tree("/a"), "/a", CGG_HAVE_CURRENT, &cg), 0);
	T_ASSERT(!(cg.have & CGG_HAVE_CURRENT));
}

TEST(a_removed_cgroup_is_gone_whatever_is_asked_of_it)
{
	const char *top = tree_without(0);
	CGG_AUTO_FD fd = kit_tree_fd(top, "/a");
	struct cgg_cgroup cg = {.detail = &(struct cgg_detail){.stat = {0}}};

	T_EQ_INT(cgfs_read(fd, CGG_HAVE_ALL, &cg), 0);
	kit_tree_remove(top, "/a");
	for (size_t i = 0; i < CGG_ARRAY_LEN(files); i++) {
		T_ROW(files[i].file);
		T_EQ_INT(cgfs_read(fd, files[i].have, &cg), CGG_GONE);
	}
	T_EQ_INT(cgfs_read(fd, CGG_HAVE_ALL, &cg), CGG_GONE);
	T_EQ_INT(cg.have, 0);
	kit_tree_add(top, "/a memory.current=5");
	T_EQ_INT(cgfs_read(fd, CGG_HAVE_ALL, &cg), CGG_GONE); /* another one of that name */
}

/* ---- numbers ------------------------------------------------------------------------- */

static const struct {
	const char *name, *text;
	bool known;
	uint64_t value;
} numbers[] = {
	{"zero", "0", true, 0},
	{"max", "max", true, CGG_MAX},
	{"max without a newline", "'max'", true, CGG_MAX},
	{"a number without a newline", "'4096'", true, 4096},
	{"the largest there is", "18446744073709551615", true, UINT64_MAX},
	{"the largest page counter", "9223372036854771712", true, 9223372036854771712U},
	{"one more than the largest", "18446744073709551616", false, 0},
	{"much more", "99999999999999999999999999999999", false, 0},
	{"empty", "''", false, 0},
	{"only a newline", "'\\n'", false, 0},
	{"negative", "-1", false, 0},
	{"a sign", "+1", false, 0},
	{"a space before", "' 1\\n'", false, 0},
	{"a space after", "'1 \\n'", false, 0},
	{"two numbers", "'1 2\\n'", false, 0},
	{"two lines", "'1\\n2\\n'", false, 0},
	{"a word", "infinity", false, 0},
	{"maximum", "maximum", false, 0},
	{"MAX", "MAX", false, 0},
	{"hexadecimal", "0x10", false, 0},
	{"a unit", "4K", false, 0},
	{"a fraction", "1.5", false, 0},
	{"a NUL in it", "'1\\x002\\n'", true, 1}, /* the text ends there */
	{"longer than any number",
	 "0000000000000000000000000000000000000000000000000000000000000000000000000001", false, 0},
};

TEST(a_limit_is_a_number_or_max_and_nothing_else)
{
	for (size_t i = 0; i < CGG_ARRAY_LEN(numbers); i++) {
		struct cgg_cgroup cg = {.detail = &(struct cgg_detail){.stat = {0}}};
		const char *top = kit_tree("/a memory.current=77");
		char text[256];

		snprintf(text, sizeof(text), "/a memory.max=%s", numbers[i].text);
		kit_tree_add(top, text);
		T_ROW(numbers[i].name);
		T_EQ_INT(read_at(top, "/a", CGG_HAVE_ALL, &cg), 0);
		T_EQ_INT(!!(cg.have & CGG_HAVE_MAX), numbers[i].known);
		if (numbers[i].known)
			T_EQ_INT(cg.max_bytes, numbers[i].value);
		T_EQ_INT(cg.current_bytes, 77);
	}
}

TEST(a_number_is_read_from_the_start_of_an_fd_each_time)
{
	const char *top = kit_tree("/a memory.current=1");
	CGG_AUTO_FD dir = kit_tree_fd(top, "/a");
	CGG_AUTO_FD fd = openat(dir, "memory.current", O_RDONLY | O_CLOEXEC);
	uint64_t v = 0;

	T_EQ_INT(cgfs_read_number_fd(fd, &v), 0);
	T_EQ_INT(v, 1);
	kit_tree_add(top, "/a memory.current=23456");
	T_EQ_INT(cgfs_read_number_fd(fd, &v), 0);
	T_EQ_INT(v, 23456);
	kit_tree_add(top, "/a memory.current=nonsense");
	T_ASSERT(cgfs_read_number_fd(fd, &v) < 0);
	T_EQ_INT(v, 23456);
	T_ASSERT(cgfs_read_number_fd(-1, &v) < 0);
}

TEST(the_oom_group_flag_is_1_and_nothing_else)
{
	struct cgg_cgroup cg = {.detail = &(struct cgg_detail){.stat = {0}}};

	read_at(kit_tree("/a memory.oom.group=0"), "/a", CGG_HAVE_OOM_GROUP, &cg);
	T_ASSERT(!cg.oom_group && cg.have == CGG_HAVE_OOM_GROUP);
	read_at(kit_tree("/a memory.oom.group=1"), "/a", CGG_HAVE_OOM_GROUP, &cg);
	T_ASSERT(cg.oom_group && cg.have == CGG_HAVE_OOM_GROUP);
	read_at(kit_tree("/a memory.oom.group=yes"), "/a", CGG_HAVE_OOM_GROUP, &cg);
	T_ASSERT(!cg.oom_group && cg.have == 0);
}

TEST(a_cgroup_whose_events_do_not_say_populated_may_be_either)
{
	struct cgg_cgroup cg = {.detail = &(struct cgg_detail){.stat = {0}}};

	read_at(kit_tree("/a cgroup.events='frozen 0\\npopulated 1\\n'"), "/a", CGG_HAVE_POPULATED,
		&cg);
	T_ASSERT(cg.populated && cg.have == CGG_HAVE_POPULATED);
	read_at(kit_tree("/a cgroup.events='populated 0\\n'"), "/a", CGG_HAVE_POPULATED, &cg);
	T_ASSERT(!cg.populated && cg.have == CGG_HAVE_POPULATED);
	read_at(kit_tree("/a cgroup.events='frozen 0\\n'"), "/a", CGG_HAVE_POPULATED, &cg);
	T_EQ_INT(cg.have, 0);
	read_at(kit_tree("/a cgroup.events='not_populated 1\\n'"), "/a", CGG_HAVE_POPULATED, &cg);
	T_EQ_INT(cg.have, 0);
	read_at(kit_tree("/a cgroup.events='populated\\n'"), "/a", CGG_HAVE_POPULATED, &cg);
	T_EQ_INT(cg.have, 0);
}

/* ---- keyed files --------------------------------------------------------------------- */

/* memory.stat as Linux 5.4 has it: no "kernel", "pagetables" or "swapcached". */
#define STAT_5_4                                                                                   \
	"anon 1048576\nfile 524288\nkernel_stack 36864\nslab 28672\nsock 4096\nshmem 65536\n"      \
	"file_mapped 0\nfile_dirty 0\nfile_writeback 0\nanon_thp 0\ninactive_anon 1100000\n"       \
	"active_anon 4096\ninactive_file 400000\nactive_file 50000\nunevictable 8192\n"            \
	"slab_reclaimable 20480\nslab_unreclaimable 8192\npgfault 660\npgmajfault 0\n"             \
	"workingset_refault 0\nworkingset_activate 0\nthp_fault_alloc 0\n"

/* As Linux 6.12 has it. */
#define STAT_6_12                                                                                  \
	"anon 1048576\nfile 524288\nkernel 200704\nkernel_stack 36864\npagetables 40960\n"         \
	"sec_pagetables 0\npercpu 1200\nsock 4096\nvmalloc 0\nshmem 65536\nzswap 0\nzswapped 0\n"  \
	"file_mapped 0\nfile_dirty 0\nfile_writeback 0\nswapcached 0\nanon_thp 0\nfile_thp 0\n"    \
	"shmem_thp 0\ninactive_anon 1100000\nactive_anon 4096\ninactive_file 400000\n"             \
	"active_file 50000\nunevictable 8192\nslab_reclaimable 20480\nslab_unreclaimable 8192\n"   \
	"slab 28672\nworkingset_refault_anon 0\npgscan 0\npgsteal 0\npgfault 660\n"

TEST(memory_stat_of_an_old_kernel)
{
	struct cgg_cgroup cg = {.detail = &(struct cgg_detail){.stat = {0}}};

	T_EQ_INT(cgfs_parse_stat(STAT_5_4, &cg.detail->stat), 0);
	T_EQ_INT(cg.detail->stat.anon, 1048576);
	T_EQ_INT(cg.detail->stat.file, 524288);
	T_EQ_INT(cg.detail->stat.kernel, 0);
	T_EQ_INT(cg.detail->stat.kernel_stack, 36864);
	T_EQ_INT(cg.detail->stat.pagetables, 0);
	T_EQ_INT(cg.detail->stat.sock, 4096);
	T_EQ_INT(cg.detail->stat.shmem, 65536);
	T_EQ_INT(cg.detail->stat.slab_reclaimable, 20480);
	T_EQ_INT(cg.detail->stat.slab_unreclaimable, 8192);
	T_EQ_INT(cg.detail->stat.unevictable, 8192);
	T_EQ_INT(cg.detail->stat.inactive_anon, 1100000);
	T_EQ_INT(cg.detail->stat.active_anon, 4096);
	T_EQ_INT(cg.detail->stat.inactive_file, 400000);
	T_EQ_INT(cg.detail->stat.active_file, 50000);
	cgfs_derive(&cg);
	/* anon + shmem are more than the lists hold here (some pages are on none) */
	T_EQ_INT(cg.unreclaimable_bytes, 1048576 + 65536 + 8192 + 36864 + 4096);
	T_EQ_INT(cg.gain_bytes, cg.unreclaimable_bytes - 65536);
}

TEST(memory_stat_of_a_new_kernel)
{
	struct cgg_cgroup cg = {.detail = &(struct cgg_detail){.stat = {0}}};

	T_EQ_INT(cgfs_parse_stat(STAT_6_12, &cg.detail->stat), 0);
	T_EQ_INT(cg.detail->stat.kernel, 200704);
	T_EQ_INT(cg.detail->stat.pagetables, 40960);
	T_EQ_INT(cg.detail->stat.percpu, 1200);
	cgfs_derive(&cg);
	/* "kernel" counts what none of the others does */
	T_EQ_INT(cg.unreclaimable_bytes, 1048576 + 65536 + (200704 - 20480) + 4096);
	T_EQ_INT(cg.gain_bytes, cg.unreclaimable_bytes - 65536);
}

static const struct {
	const char *name, *text;
	int result;
	uint64_t anon, shmem;
} stats[] = {
	{"in another order", "shmem 2\nzzz 9\nanon 1\n", 0, 1, 2},
	{"without the final newline", "anon 1\nshmem 2", 0, 1, 2},
	{"keys that only begin or end like ours", "anon_thp 7\nxanon 8\nanon 1\nshmem_thp 9\n", 0,
	 1, 0},
	{"one key of ours alone", "shmem 3\n", 0, 0, 3},
	{"the largest number", "anon 18446744073709551615\nshmem 2\n", 0, UINT64_MAX, 2},
	{"a number that is too large", "anon 18446744073709551616\nshmem 2\n", 0, 0, 2},
	{"a negative number", "anon -4096\nshmem 2\n", 0, 0, 2},
	{"a key without a number", "anon\nshmem 2\n", 0, 0, 2},
	{"a key with no more than a space", "anon \nshmem 2\n", 0, 0, 2},
	{"a word for a number", "anon many\nshmem 2\n", 0, 0, 2},
	{"empty lines", "\n\nanon 1\n\nshmem 2\n\n", 0, 1, 2},
	{"lines without a key", " 5\nanon 1\n 6\nshmem 2\n", 0, 1, 2},
	{"empty", "", -EINVAL, 0, 0},
	{"a newline", "\n", -EINVAL, 0, 0},
	{"another file's", "populated 1\nfrozen 0\n", -EINVAL, 0, 0},
	{"garbage", "\x01\x02\xff\xfe anon=1", -EINVAL, 0, 0},
	{"one long word", "anonanonanonanonanonanonanonanonanon", -EINVAL, 0, 0},
	{"no numbers at all", "anon x\nshmem y\n", -EINVAL, 0, 0},
};

TEST(keys_are_found_by_name_wherever_they_stand)
{
	for (size_t i = 0; i < CGG_ARRAY_LEN(stats); i++) {
		struct cgg_stat s = {.anon = 55, .shmem = 66, .file = 77};

		T_ROW(stats[i].name);
		T_EQ_INT(cgfs_parse_stat(stats[i].text, &s), stats[i].result);
		T_EQ_INT(s.anon, stats[i].anon);
		T_EQ_INT(s.shmem, stats[i].shmem);
		T_EQ_INT(s.file, 0); /* nothing stays from before */
	}
}

TEST(events_have_all_six_counters_or_those_the_kernel_knows)
{
	struct cgg_events e;

	T_EQ_INT(cgfs_parse_events("low 1\nhigh 2\nmax 3\noom 4\noom_kill 5\noom_group_kill 6\n",
				   &e),
		 0);
	T_EQ_INT(e.low, 1);
	T_EQ_INT(e.oom, 4);
	T_EQ_INT(e.oom_kill, 5);
	T_EQ_INT(e.oom_group_kill, 6);
	T_EQ_INT(
		cgfs_parse_events("oom_kill 5\noom 4\nsomething_new 8\nmax 3\nhigh 2\nlow 1\n", &e),
		0);
	T_EQ_INT(e.max, 3);
	T_EQ_INT(e.oom_kill, 5);
	T_EQ_INT(e.oom_group_kill, 0);
	T_EQ_INT(cgfs_parse_events("", &e), -EINVAL);
	T_EQ_INT(e.max, 0);
}

TEST(a_keyed_file_without_any_of_its_keys_is_not_known_to_be_zero)
{
	struct cgg_cgroup cg = {.detail = &(struct cgg_detail){.stat = {0}}};
	const char *top = kit_tree("/a memory.stat='' memory.events='' memory.events.local=x "
				   "cgroup.events='' memory.pressure=''");

	T_EQ_INT(read_at(top, "/a", CGG_HAVE_ALL, &cg), 0);
	T_EQ_INT(cg.have, CGG_HAVE_PROCS);
}

TEST(a_file_of_16_KiB_or_more_is_not_believed)
{
	const char *top = kit_tree("/a memory.current=5");
	struct cgg_cgroup cg = {.detail = &(struct cgg_detail){.stat = {0}}};
	size_t len = 0;
	static char text[20000];

	len = (size_t)snprintf(text, sizeof(text), "anon 1\nshmem 2\n");
	while (len < 16383 - 16)
		len += (size_t)snprintf(text + len, sizeof(text) - len, "filler_%05zu 1\n", len);
	memset(text + len, '\n', sizeof(text) - len);
	kit_tree_write(top, "/a", "memory.stat", text, 16383);
	T_EQ_INT(read_at(top, "/a", CGG_HAVE_ALL, &cg), 0);
	T_ASSERT(cg.have & CGG_HAVE_STAT);
	T_EQ_INT(cg.detail->stat.shmem, 2);
	kit_tree_write(top, "/a", "memory.stat", text, 16384);
	T_EQ_INT(read_at(top, "/a", CGG_HAVE_ALL, &cg), 0);
	T_ASSERT(!(cg.have & CGG_HAVE_STAT));
	T_ASSERT(cg.have & CGG_HAVE_CURRENT);
}

TEST(any_bytes_at_all_are_read_without_harm)
{
	const char *top = kit_tree("/a");
	uint32_t state = 20260;
	char text[600];

	for (int round = 0; round < 200; round++) {
		struct cgg_cgroup cg = {.detail = &(struct cgg_detail){.stat = {0}}};
		size_t len = (state >> 8) % sizeof(text);

		for (size_t i = 0; i < len; i++) {
			state = state * 1664525U + 1013904223U;
			text[i] = "anon file\n0123456789 shmem some full avg10=.total=\xff"
				[(state >> 10) % 51];
		}
		for (size_t i = 0; i < CGG_ARRAY_LEN(files); i++)
			kit_tree_write(top, "/a", files[i].file, text, len);
		T_EQ_INT(read_at(top, "/a", CGG_HAVE_ALL, &cg), 0);
		T_EQ_INT(cg.have & ~(uint32_t)CGG_HAVE_ALL, 0);
		T_ASSERT(cg.have & CGG_HAVE_PROCS);
	}
}

/* ---- what is derived ----------------------------------------------------------------- */

TEST(mlocked_memory_is_counted_once)
{
	/* 100 of anon, all of it mlocked: on the unevictable list and on no other */
	struct cgg_cgroup cg = {
		.detail = &(struct cgg_detail){.stat = {.anon = 100, .unevictable = 100}}};

	cgfs_derive(&cg);
	T_EQ_INT(cg.unreclaimable_bytes, 100);
	T_EQ_INT(cg.gain_bytes, 100);
	/* half of it */
	cg.detail->stat = (struct cgg_stat){.anon = 100, .unevictable = 50, .active_anon = 50};
	cgfs_derive(&cg);
	T_EQ_INT(cg.unreclaimable_bytes, 100);
	/* mlocked file pages are in neither anon nor shmem, and can't be given back either */
	cg.detail->stat =
		(struct cgg_stat){.anon = 100, .file = 70, .unevictable = 70, .active_anon = 100};
	cgfs_derive(&cg);
	T_EQ_INT(cg.unreclaimable_bytes, 170);
	/* nor is shmem on the lists counted a second time */
	cg.detail->stat = (struct cgg_stat){.anon = 60, .shmem = 40, .inactive_anon = 100};
	cgfs_derive(&cg);
	T_EQ_INT(cg.unreclaimable_bytes, 100);
	T_EQ_INT(cg.gain_bytes, 60);
}

/* Whatever the kernel names it by: the group's own counters have it, though no process shows it as RSS. */
TEST(memory_of_the_kernel_s_and_huge_pages_are_unreclaimable_and_gain)
{
	static const struct {
		const char *name, *stat;
		uint64_t bytes;
	} rows[] = {
		{"page tables", "anon 1\nkernel 90\npagetables 80\n", 91},
		{"page tables, before 5.18", "anon 1\npagetables 80\n", 81},
		{"those of virtual machines", "anon 1\nsec_pagetables 70\n", 71},
		{"pipes and Unix sockets, which have no key",
		 "anon 1\nkernel 95\nslab_reclaimable 5\n", 91},
		{"buffers of TCP", "anon 1\nkernel 9\nsock 60\n", 70},
		{"what is compressed", "anon 1\nkernel 50\nzswap 40\nzswapped 160\n", 51},
		{"vmalloc and percpu", "anon 1\nvmalloc 30\npercpu 20\n", 51},
		{"huge pages, where they are charged", "anon 1\nkernel 9\nhugetlb 2097152\n",
		 2097162},
		{"all of it once",
		 "anon 1\nkernel 90\npagetables 40\nvmalloc 20\npercpu 5\nzswap 9\n", 91},
	};

	for (size_t i = 0; i < CGG_ARRAY_LEN(rows); i++) {
		struct cgg_cgroup cg = {.detail = &(struct cgg_detail){.stat = {0}}};

		T_ROW(rows[i].name);
		T_EQ_INT(cgfs_parse_stat(rows[i].stat, &cg.detail->stat), 0);
		cgfs_derive(&cg);
		T_EQ_INT(cg.unreclaimable_bytes, rows[i].bytes);
		T_EQ_INT(cg.gain_bytes, rows[i].bytes);
	}
}

TEST(what_can_be_given_back_is_not_unreclaimable)
{
	struct cgg_cgroup cg = {
		.detail = &(struct cgg_detail){
			.stat = {.file = 1000, .inactive_file = 500, .active_file = 500}}};

	cgfs_derive(&cg);
	T_EQ_INT(cg.unreclaimable_bytes, 0);
	cg.detail->stat = (struct cgg_stat){.slab_reclaimable = 300, .kernel = 300};
	cgfs_derive(&cg);
	T_EQ_INT(cg.unreclaimable_bytes, 0);
	cg.detail->stat =
		(struct cgg_stat){.slab_reclaimable = 300, .slab_unreclaimable = 20, .kernel = 330};
	cgfs_derive(&cg);
	T_EQ_INT(cg.unreclaimable_bytes, 30); /* what is not named is not given back */
	cg.detail->stat.kernel = 310; /* read a moment apart: never less than its parts */
	cgfs_derive(&cg);
	T_EQ_INT(cg.unreclaimable_bytes, 20);
}

TEST(what_the_kernel_has_not_counted_yet_is_of_the_kinds_that_it_has)
{
	static const struct {
		const char *name;
		uint64_t current, anon, file, lag, unreclaimable;
	} rows[] = {
		{"a hog at its brake is as large as it is", 1000, 950, 0, 100, 1000},
		{"page cache stays page cache", 1000, 90, 810, 100, 100},
		{"no more than the lag", 1000, 400, 0, 100, 500},
		{"a recording has none", 1000, 950, 0, 0, 950},
		{"what was counted since is no more than all", 1000, 1100, 0, 100, 1000},
		{"nothing counted yet says nothing", 1000, 0, 0, 100, 0},
	};

	for (size_t i = 0; i < CGG_ARRAY_LEN(rows); i++) {
		struct cgg_cgroup cg = {
			.have = CGG_HAVE_CURRENT | CGG_HAVE_STAT,
			.current_bytes = rows[i].current,
			.detail = &(struct cgg_detail){.stat = {.anon = rows[i].anon,
								.active_anon = rows[i].anon,
								.file = rows[i].file,
								.active_file = rows[i].file}}};

		T_ROW(rows[i].name);
		cgfs_derive(&cg);
		cgfs_settle(&cg, rows[i].lag);
		T_EQ_INT(cg.unreclaimable_bytes, rows[i].unreclaimable);
		T_EQ_INT(cg.gain_bytes, rows[i].unreclaimable);
	}
}

/* Kernels that charge huge pages and have no key for them; 8 MiB lag. */
TEST(huge_pages_are_what_memory_stat_does_not_tell_of)
{
	static const struct {
		const char *name, *stat;
		uint64_t current_mib, unreclaimable_mib, huge_mib;
	} rows[] = {
		{"some", "anon 10485760\nactive_anon 10485760\n", 111, 110, 100},
		{"beside page cache", "file 83886080\nactive_file 83886080\n", 180, 100, 100},
		{"isolated from its list", "file 83886080\n", 180, 100, 100},
		{"beside slabs", "kernel 20971520\nslab_reclaimable 10485760\n", 60, 50, 40},
		{"no more than the lag", "anon 10485760\nactive_anon 10485760\n", 18, 10, 0},
		{"told already", "anon 10485760\nactive_anon 10485760\nhugetlb 41943040\n", 70, 50,
		 40},
		{"all is told", "anon 10485760\nactive_anon 10485760\n", 10, 10, 0},
	};

	for (size_t i = 0; i < CGG_ARRAY_LEN(rows); i++) {
		struct cgg_cgroup cg = {.have = CGG_HAVE_CURRENT | CGG_HAVE_STAT,
					.current_bytes = rows[i].current_mib << 20,
					.detail = &(struct cgg_detail){.stat = {0}}};

		T_ROW(rows[i].name);
		T_EQ_INT(cgfs_parse_stat(rows[i].stat, &cg.detail->stat), 0);
		cgfs_derive(&cg);
		cgfs_find_huge(&cg, 8 << 20);
		T_EQ_INT(cg.unreclaimable_bytes, rows[i].unreclaimable_mib << 20);
		T_EQ_INT(cg.gain_bytes, rows[i].unreclaimable_mib << 20);
		T_EQ_INT(cg.hugetlb_bytes, rows[i].huge_mib << 20);
	}
}

TEST(where_not_all_is_known_no_huge_pages_are_found)
{
	struct cgg_cgroup cg = {.have = CGG_HAVE_STAT,
				.current_bytes = 999 << 20,
				.detail = &(struct cgg_detail){.stat = {.anon = 1 << 20}}};

	cgfs_derive(&cg);
	cgfs_find_huge(&cg, 0);
	T_EQ_INT(cg.hugetlb_bytes, 0);
}

TEST(kernel_memory_counts_by_its_parts_where_there_is_no_sum)
{
	struct cgg_cgroup cg = {.detail =
					&(struct cgg_detail){.stat = {.slab_unreclaimable = 1,
								      .kernel_stack = 20,
								      .pagetables = 300,
								      .percpu = 4000,
								      .sock = 50000,
								      .slab_reclaimable = 600000}}};

	cgfs_derive(&cg);
	T_EQ_INT(cg.unreclaimable_bytes, 54321);
	T_EQ_INT(cg.gain_bytes, 54321);
}

TEST(a_part_that_was_read_earlier_is_no_more_than_the_whole)
{
	struct cgg_cgroup cg = {.have = CGG_HAVE_CURRENT,
				.current_bytes = 70,
				.detail = &(struct cgg_detail){.stat = {.anon = 100, .shmem = 20}}};

	cgfs_derive(&cg);
	T_EQ_INT(cg.unreclaimable_bytes, 70);
	T_EQ_INT(cg.gain_bytes, 50);
	cg.current_bytes = 10;
	cgfs_derive(&cg);
	T_EQ_INT(cg.gain_bytes, 0);
	cg.have = 0; /* where the whole is not known, it bounds nothing */
	cgfs_derive(&cg);
	T_EQ_INT(cg.unreclaimable_bytes, 120);
}

TEST(shared_memory_outlives_a_kill)
{
	struct cgg_cgroup cg = {.detail = &(struct cgg_detail){.stat = {.anon = 10, .shmem = 90}}};

	cgfs_derive(&cg);
	T_EQ_INT(cg.unreclaimable_bytes, 100);
	T_EQ_INT(cg.gain_bytes, 10);
	cg.detail->stat = (struct cgg_stat){.shmem = 90};
	cgfs_derive(&cg);
	T_EQ_INT(cg.gain_bytes, 0);
}

/* ---- pressure ------------------------------------------------------------------------ */

#define SOME(avg10, total) "some avg10=" avg10 " avg60=9.99 avg300=9.99 total=" total "\n"
#define FULL(avg10, total) "full avg10=" avg10 " avg60=9.99 avg300=9.99 total=" total "\n"

static const struct {
	const char *name, *text;
	int result;
	struct cgg_pressure p;
} pressures[] = {
	{"as the kernel writes it", SOME("1.23", "456") FULL("0.45", "78"), 0, {123, 45, 456, 78}},
	{"all of the time", SOME("100.00", "1") FULL("99.99", "0"), 0, {10000, 9999, 1, 0}},
	{"no full line", SOME("1.00", "2"), 0, {100, 0, 2, 0}},
	{"full first", FULL("0.45", "78") SOME("1.23", "456"), 0, {123, 45, 456, 78}},
	{"no final newline",
	 SOME("1.23", "456") "full avg10=0.45 avg60=0.00 avg300=0.00 total=78",
	 0,
	 {123, 45, 456, 78}},
	{"another line first",
	 "most avg10=9.00 total=9\n" SOME("1.23", "456") FULL("0.45", "78"),
	 0,
	 {123, 45, 456, 78}},
	{"the largest total", SOME("0.00", "18446744073709551615"), 0, {0, 0, UINT64_MAX, 0}},
	{"no decimals", "some avg10=7 total=5\n", 0, {700, 0, 5, 0}},
	{"before it was merged",
	 "aggr 316016073\nsome 0.00 0.03 0.05\nfull 0.00 0.03 0.05\n",
	 -EINVAL,
	 {0}},
	{"without totals",
	 "some avg10=0.22 avg60=0.17 avg300=1.11\n" FULL("1.00", "3"),
	 -EINVAL,
	 {0}},
	{"without avg10", "some avg60=0.22 total=5\n" FULL("1.00", "3"), -EINVAL, {0}},
	{"a broken full line", SOME("1.00", "2") "full avg10=x total=3\n", -EINVAL, {0}},
	{"a full line alone", FULL("1.00", "2"), -EINVAL, {0}},
	{"a total that is no number", SOME("1.00", "lots"), -EINVAL, {0}},
	{"a total that is too large", SOME("1.00", "18446744073709551616"), -EINVAL, {0}},
	{"a total that is negative", SOME("1.00", "-1"), -EINVAL, {0}},
	{"a share of more than all", SOME("100.01", "1"), -EINVAL, {0}},
	{"a share beyond 32 bits", SOME("42949673.00", "1"), -EINVAL, {0}},
	{"too many decimals", SOME("1.234", "1"), -EINVAL, {0}},
	{"some in the middle of a line", "not some avg10=1.00 total=2\n", -EINVAL, {0}},
	{"empty", "", -EINVAL, {0}},
	{"a word", "some", -EINVAL, {0}},
	{"garbage", "\xff\xfe\x01", -EINVAL, {0}},
};

TEST(pressure_is_two_lines_or_one)
{
	for (size_t i = 0; i < CGG_ARRAY_LEN(pressures); i++) {
		const struct cgg_pressure *want = &pressures[i].p;
		struct cgg_pressure p = {1, 2, 3, 4};

		T_ROW(pressures[i].name);
		T_EQ_INT(cgfs_parse_pressure(pressures[i].text, &p), pressures[i].result);
		if (pressures[i].result != 0) {
			T_ASSERT(p.some_total_us == 3 && p.full_avg10_permyriad == 2);
			continue;
		}
		T_EQ_INT(p.some_avg10_permyriad, want->some_avg10_permyriad);
		T_EQ_INT(p.full_avg10_permyriad, want->full_avg10_permyriad);
		T_EQ_INT(p.some_total_us, want->some_total_us);
		T_EQ_INT(p.full_total_us, want->full_total_us);
	}
}
