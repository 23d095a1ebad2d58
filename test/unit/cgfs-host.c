/* SPDX-License-Identifier: Apache-2.0 */
/* The host's numbers, from a /proc of any kernel or container. */
#include "kit/t.h"
#include "kit/tree.h"

#include "cgfs/host.h"

#include <fcntl.h>

#define ALL                                                                                        \
	(CGG_HOST_HAVE_MEMORY | CGG_HOST_HAVE_SWAP | CGG_HOST_HAVE_PRESSURE |                      \
	 CGG_HOST_HAVE_OOM_KILL)

static struct cgg_host read_host(const char *text, uint32_t want)
{
	struct cgg_host h = {.have = ALL}; /* from before: to be cleared */
	CGG_AUTO_FD fd = kit_tree_fd(kit_tree(text), "proc");

	cgfs_host_read(fd, want, &h);
	return h;
}

TEST(a_whole_proc_gives_all_values)
{
	struct cgg_host h = read_host(
		"proc meminfo='MemTotal:        8000000 kB\\nMemFree:          500000 kB\\n"
		"MemAvailable:    3000000 kB\\nBuffers:               0 kB\\nSwapCached:      0 "
		"kB\\n"
		"SwapTotal:       2000000 kB\\nSwapFree:        1500000 kB\\n' "
		"vmstat='nr_free_pages 125000\\noom_kill 3\\nswap_ra 0\\n'\n"
		"proc/pressure memory='some avg10=1.50 avg60=0 avg300=0 total=7\\n"
		"full avg10=0.50 avg60=0 avg300=0 total=5\\n'",
		ALL);

	T_EQ_INT(h.have, ALL);
	T_EQ_INT(h.total_bytes, 8000000ULL * 1024);
	T_EQ_INT(h.available_bytes, 3000000ULL * 1024);
	T_EQ_INT(h.free_bytes, 500000ULL * 1024);
	T_EQ_INT(h.swap_total_bytes, 2000000ULL * 1024);
	T_EQ_INT(h.swap_free_bytes, 1500000ULL * 1024);
	T_EQ_INT(h.oom_kill, 3);
	T_EQ_INT(h.pressure.some_avg10_permyriad, 150);
	T_EQ_INT(h.pressure.full_total_us, 5);
}

static const struct {
	const char *name, *meminfo;
	uint32_t have;
} meminfos[] = {
	{"as it is",
	 "MemTotal: 100 kB\\nMemFree: 5 kB\\nMemAvailable: 50 kB\\nSwapTotal: 9 kB\\nSwapFree: 9 "
	 "kB\\n",
	 CGG_HOST_HAVE_MEMORY | CGG_HOST_HAVE_SWAP},
	{"all of it available", "MemTotal: 100 kB\\nMemFree: 5 kB\\nMemAvailable: 100 kB\\n",
	 CGG_HOST_HAVE_MEMORY},
	{"no MemAvailable (before 3.14)",
	 "MemTotal: 100 kB\\nMemFree: 5 kB\\nSwapTotal: 0 kB\\nSwapFree: 0 kB\\n",
	 CGG_HOST_HAVE_SWAP},
	{"more available than there is (lxcfs)",
	 "MemTotal: 100 kB\\nMemFree: 5 kB\\nMemAvailable: 101 kB\\n", 0},
	{"no MemTotal", "MemFree: 5 kB\\nMemAvailable: 50 kB\\n", 0},
	{"no MemFree", "MemTotal: 100 kB\\nMemAvailable: 50 kB\\n", 0},
	{"more swap free than there is (lxcfs)",
	 "MemTotal: 100 kB\\nMemFree: 5 kB\\nMemAvailable: 50 kB\\nSwapTotal: 8 kB\\nSwapFree: 9 "
	 "kB\\n",
	 CGG_HOST_HAVE_MEMORY},
	{"swap free below zero, wrapped", "SwapTotal: 0 kB\\nSwapFree: 18446744073709551612 kB\\n",
	 0},
	{"swap free that wraps when made bytes",
	 "SwapTotal: 8 kB\\nSwapFree: 18014398509481984 kB\\n", 0},
	{"swap free of more than 64 bits", "SwapTotal: 8 kB\\nSwapFree: 18446744073709551616 kB\\n",
	 0},
	{"memory that wraps when made bytes",
	 "MemTotal: 18014398509482084 kB\\nMemFree: 5 kB\\nMemAvailable: 50 kB\\n", 0},
	{"no swap at all", "SwapTotal: 0 kB\\nSwapFree: 0 kB\\n", CGG_HOST_HAVE_SWAP},
	{"only SwapTotal", "SwapTotal: 5 kB\\n", 0},
	{"keys that only begin or end like ours",
	 "XMemTotal: 1 kB\\nMemTotalX: 1 kB\\nMemTotal : 1 kB\\nMemFree: 1 kB\\nMemAvailable: 1 "
	 "kB\\n",
	 0},
	{"negative", "MemTotal: -1 kB\\nMemFree: 5 kB\\nMemAvailable: 0 kB\\n", 0},
	{"no number", "MemTotal: kB\\nMemFree: 5 kB\\nMemAvailable: 0 kB\\n", 0},
	{"no final newline", "MemTotal: 100 kB\\nMemFree: 5 kB\\nMemAvailable: 50 kB",
	 CGG_HOST_HAVE_MEMORY},
	{"empty", "", 0},
	{"garbage", "\\xff\\x01MemTotal", 0},
};

TEST(what_meminfo_can_not_mean_is_not_known)
{
	for (size_t i = 0; i < CGG_ARRAY_LEN(meminfos); i++) {
		char text[1024];
		struct cgg_host h;

		snprintf(text, sizeof(text), "proc meminfo='%s'", meminfos[i].meminfo);
		h = read_host(text, ALL);
		T_ROW(meminfos[i].name);
		T_EQ_INT(h.have, meminfos[i].have);
		if (h.have & CGG_HOST_HAVE_MEMORY)
			T_EQ_INT(h.total_bytes, 102400);
	}
}

static const struct {
	const char *name, *vmstat;
	bool known;
	uint64_t oom_kill;
} vmstats[] = {
	{"among others", "pgfault 1\\noom_kill 17\\npswpin 4\\n", true, 17},
	{"the first line", "oom_kill 4\\npgfault 1\\n", true, 4},
	{"the last, without a newline", "pgfault 1\\noom_kill 5", true, 5},
	{"none (before 4.13)", "pgfault 1\\npswpin 2\\n", false, 0},
	{"keys that only begin or end like it", "xoom_kill 5\\noom_kill_x 6\\noom_killed 7\\n",
	 false, 0},
	{"no number", "pgfault 1\\noom_kill many\\n", false, 0},
	{"too large", "pgfault 1\\noom_kill 18446744073709551616\\n", false, 0},
	{"empty", "", false, 0},
};

TEST(oom_kill_is_known_where_vmstat_has_it)
{
	for (size_t i = 0; i < CGG_ARRAY_LEN(vmstats); i++) {
		char text[512];
		struct cgg_host h;

		snprintf(text, sizeof(text), "proc vmstat='%s'", vmstats[i].vmstat);
		h = read_host(text, ALL);
		T_ROW(vmstats[i].name);
		T_EQ_INT(h.have, vmstats[i].known ? CGG_HOST_HAVE_OOM_KILL : 0);
		if (vmstats[i].known)
			T_EQ_INT(h.oom_kill, vmstats[i].oom_kill);
	}
}

TEST(an_empty_proc_gives_nothing)
{
	T_EQ_INT(read_host("proc", ALL).have, 0);
	T_EQ_INT(read_host("proc/pressure cpu=1", ALL).have, 0);
}

/* 60 MiB are swapped out, of which zram holds some. */
static const struct {
	const char *name, *more;
	bool known;
	uint64_t bytes;
} zrams[] = {
	{"two devices of zram, and a disk",
	 "proc swaps='Filename\\t\\tType\\n/dev/zram0   "
	 "partition\\t9\\t9\\t5\\n/dev/zram12\\tpartition\\t9\\n"
	 "/dev/vda file\\t9\\n'\n"
	 "sys/block/zram0 mm_stat='  16777216  4194304  5000000  0  0\\n'\n"
	 "sys/block/zram12 mm_stat='16777216 1048576 2000000\\n'\n"
	 "sys/block/zram1 mm_stat='16777216 7 7\\n'",
	 true, 5242880},
	{"a file system on zram is no swap",
	 "proc swaps='Filename\\n/dev/vda file\\t9\\n'\nsys/block/zram0 mm_stat='9 9 9\\n'", true,
	 0},
	{"nor what is only called so",
	 "proc swaps='Filename\\n/dev/zram0x file\\t9\\n/swap/dev/zram0 file\\t9\\n/dev/zram "
	 "file\\n'\n"
	 "sys/block/zram0 mm_stat='9 9 9\\n'",
	 true, 0},
	{"more than is swapped out (read a moment apart)",
	 "proc swaps='/dev/zram0 partition\\n'\nsys/block/zram0 mm_stat='99999999 99999999 9\\n'",
	 true, 62914560},
	{"no mm_stat (before 4.7)", "proc swaps='/dev/zram0 partition\\n'\nsys/block/zram0 stat=1",
	 false, 0},
	{"one that is no number",
	 "proc swaps='/dev/zram0 partition\\n'\nsys/block/zram0 mm_stat='9 x 9\\n'", false, 0},
	{"one that ends early",
	 "proc swaps='/dev/zram0 partition\\n'\nsys/block/zram0 mm_stat='9\\n'", false, 0},
	{"no /sys", "proc swaps='/dev/zram0 partition\\n'", false, 0},
	{"no list of swaps", "sys/block/zram0 mm_stat='9 9 9\\n'", false, 0},
};

TEST(what_zram_takes_is_known_where_its_devices_are_swap)
{
	for (size_t i = 0; i < CGG_ARRAY_LEN(zrams); i++) {
		struct cgg_host h = {.have = CGG_HOST_HAVE_SWAP | CGG_HOST_HAVE_SWAP_RAM,
				     .swap_total_bytes = 100 << 20,
				     .swap_free_bytes = 40 << 20};
		char text[1024];
		const char *top;
		CGG_AUTO_FD fd = -1;

		snprintf(text, sizeof(text), "proc meminfo=1\n%s", zrams[i].more);
		top = kit_tree(text);
		fd = kit_tree_fd(top, "proc");
		T_ROW(zrams[i].name);
		cgfs_host_read_zram(fd, &h);
		T_EQ_INT(h.have & CGG_HOST_HAVE_SWAP_RAM,
			 zrams[i].known ? CGG_HOST_HAVE_SWAP_RAM : 0);
		if (zrams[i].known)
			T_EQ_INT(h.swap_ram_bytes, zrams[i].bytes);
	}
}

TEST(where_nothing_is_swapped_out_no_file_is_read)
{
	struct cgg_host h = {.have = CGG_HOST_HAVE_SWAP, .swap_ram_bytes = 7};

	cgfs_host_read_zram(-1, &h);
	T_EQ_INT(h.have, CGG_HOST_HAVE_SWAP | CGG_HOST_HAVE_SWAP_RAM);
	T_EQ_INT(h.swap_ram_bytes, 0);
	h.have = 0; /* how much is swapped out is not known */
	cgfs_host_read_zram(-1, &h);
	T_EQ_INT(h.have, 0);
}

TEST(without_a_proc_nothing_is_known)
{
	struct cgg_host h = {.have = ALL};

	cgfs_host_read(-1, ALL, &h);
	T_EQ_INT(h.have, 0);
}

TEST(only_what_is_wanted_is_read)
{
	const char *text = "proc meminfo='MemTotal: 100 kB\\nMemFree: 5 kB\\nMemAvailable: 50 kB\\n"
			   "SwapTotal: 9 kB\\nSwapFree: 9 kB\\n' vmstat='oom_kill 1\\n'\n"
			   "proc/pressure memory='some avg10=0.00 total=1\\n'";

	for (uint32_t bit = 1; bit < ALL; bit <<= 1) {
		CGG_AUTO_FD fd = kit_tree_fd(kit_tree(text), "proc");
		struct cgg_host h = {0};

		cgfs_host_read(fd, bit, &h);
		T_EQ_INT(h.have, bit);
	}
}

TEST(this_machine_has_memory)
{
	CGG_AUTO_FD fd = open("/proc", O_PATH | O_DIRECTORY | O_CLOEXEC);
	struct cgg_host h = {0};

	cgfs_host_read(fd, ALL, &h);
	T_ASSERT(h.have & CGG_HOST_HAVE_MEMORY);
	T_ASSERT(h.total_bytes > 16U << 20);
	T_ASSERT(h.available_bytes > 0 && h.available_bytes <= h.total_bytes);
	T_ASSERT(h.have & CGG_HOST_HAVE_SWAP);
}
