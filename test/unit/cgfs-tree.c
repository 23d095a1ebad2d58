/* SPDX-License-Identifier: Apache-2.0 */
/* The held tree: its order, its identity, its limits, and what it does when it can't hold it all. */
#include "kit/t.h"
#include "kit/tree.h"

#include "cgfs/own.h"
#include "cgfs/tree.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <sys/inotify.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

static struct cgg_tree *open_tree(const char *top)
{
	struct cgg_tree *tree = NULL;
	struct cgg_error err = {0};

	if (tree_open(top, &tree, &err) != 0)
		printf("# %s\n", err.msg);
	T_MUST(tree);
	return tree;
}

/* All paths, one line each, indented by depth. */
static const char *shape(const struct cgg_tree *tree)
{
	static char buf[4096];
	size_t len = 0;

	buf[0] = '\0';
	for (uint32_t i = 0; i < tree->n && len < sizeof(buf); i++)
		len += (size_t)snprintf(buf + len, sizeof(buf) - len, "%s ", tree->entry[i].path);
	return buf;
}

/* Whatever a scan found must hold together, whichever the tree. */
static void check_table(const struct cgg_tree *tree)
{
	for (uint32_t i = 0; i < tree->n; i++) {
		const struct tree_entry *e = &tree->entry[i];
		struct stat st;

		T_ASSERT(e->end > i && e->end <= tree->n);
		T_ASSERT(!e->moved);
		T_EQ_INT(tree_find_id(tree, e->id), i);
		T_ASSERT(fstat(e->dirfd, &st) == 0 && st.st_ino == e->id);
		if (i == 0) {
			T_EQ_INT(e->parent, CGG_NONE);
			T_EQ_INT(e->depth, 0);
			T_EQ_INT(e->end, tree->n);
			continue;
		}
		T_MUST(e->parent < i);
		T_EQ_INT(e->depth, tree->entry[e->parent].depth + 1);
		T_ASSERT(tree->entry[e->parent].end >= e->end);
		T_EQ_STR(e->name, strrchr(e->path, '/') + 1);
		/* the first child comes next, and each sibling where the one before has ended */
		if (e->parent != i - 1) {
			uint32_t before = i - 1;

			while (tree->entry[before].parent != e->parent)
				before = tree->entry[before].parent;
			T_EQ_INT(tree->entry[before].end, i);
			T_ASSERT(strcmp(tree->entry[before].name, e->name) < 0);
		}
	}
}

TEST(siblings_come_in_the_order_of_their_bytes_each_with_its_subtree)
{
	const char *top = kit_tree("/b/c/d\n/a\n/b/a\n/a-b/x\n/a/z\n/a!\n/B\n/\\xff\n/\\xc3\\xa9\n"
				   "/~\n/a.b");
	struct cgg_tree *tree = open_tree(top);

	T_EQ_STR(shape(tree), "/ /B /a /a/z /a! /a-b /a-b/x /a.b /b /b/a /b/c /b/c/d /~ /\xc3\xa9 "
			      "/\xff ");
	check_table(tree);
	T_EQ_INT(tree->entry[tree_find(tree, "/b")].end, tree_find(tree, "/b/c/d") + 1);
	T_EQ_INT(tree->entry[tree_find(tree, "/b/c/d")].depth, 3);
	T_EQ_INT(tree->entry[tree_find(tree, "/b/c/d")].parent, tree_find(tree, "/b/c"));
	tree_close(tree);
}

TEST(a_root_alone_is_a_tree_of_one)
{
	struct cgg_tree *tree = open_tree(kit_tree("/"));

	T_EQ_STR(shape(tree), "/ ");
	T_EQ_STR(tree->entry[0].name, "/");
	check_table(tree);
	tree_close(tree);
}

TEST(paths_and_ids_are_found_and_others_are_not)
{
	struct cgg_tree *tree = open_tree(kit_tree("/a/b\n/ab"));

	T_EQ_INT(tree_find(tree, "/"), 0);
	T_EQ_INT(tree_find(tree, "/a/b"), 2);
	T_EQ_INT(tree_find(tree, "/a/"), CGG_NONE);
	T_EQ_INT(tree_find(tree, "a"), CGG_NONE);
	T_EQ_INT(tree_find(tree, ""), CGG_NONE);
	T_EQ_INT(tree_find_id(tree, tree->entry[2].id), 2);
	T_EQ_INT(tree_find_id(tree, 0), CGG_NONE);
	T_EQ_INT(tree_find_id(tree, UINT64_MAX), CGG_NONE);
	tree_close(tree);
}

TEST(what_stays_keeps_its_fd_through_all_that_comes_and_goes_around_it)
{
	const char *top = kit_tree("/m/n\n/z");
	struct cgg_tree *tree = open_tree(top);
	int root = tree->entry[0].dirfd, m = tree->entry[1].dirfd, n = tree->entry[2].dirfd;
	uint64_t id = tree->entry[2].id;

	kit_tree_remove(top, "/z");
	kit_tree_add(top, "/a/b\n/m/a\n/m/n/o");
	T_EQ_INT(tree_scan(tree, NULL), 0);
	T_EQ_STR(shape(tree), "/ /a /a/b /m /m/a /m/n /m/n/o ");
	T_EQ_INT(tree->entry[0].dirfd, root);
	T_EQ_INT(tree->entry[tree_find(tree, "/m")].dirfd, m);
	T_EQ_INT(tree->entry[tree_find(tree, "/m/n")].dirfd, n);
	T_EQ_INT(tree->entry[tree_find(tree, "/m/n")].id, id);
	check_table(tree);
	tree_close(tree);
}

TEST(a_path_made_anew_is_another_cgroup_and_the_old_fd_never_reads_it)
{
	const char *top = kit_tree("/a/b memory.current=1");
	struct cgg_tree *tree = open_tree(top);
	uint64_t a = tree->entry[1].id, b = tree->entry[2].id;
	CGG_AUTO_FD old = dup(tree->entry[2].dirfd);

	kit_tree_remove(top, "/a");
	kit_tree_add(top, "/a/b memory.current=2");
	T_ASSERT(faccessat(tree->entry[2].dirfd, "memory.current", F_OK, 0) < 0);
	T_EQ_INT(tree_scan(tree, NULL), 0);
	T_EQ_STR(shape(tree), "/ /a /a/b ");
	T_ASSERT(tree->entry[1].id != a);
	T_ASSERT(tree->entry[2].id != b);
	T_EQ_INT(tree_find_id(tree, b), CGG_NONE);
	T_ASSERT(faccessat(old, "memory.current", F_OK, 0) < 0);
	T_ASSERT(faccessat(tree->entry[2].dirfd, "memory.current", F_OK, 0) == 0);
	check_table(tree);
	tree_close(tree);
}

TEST(the_generation_moves_when_the_cgroups_do_and_only_then)
{
	const char *top = kit_tree("/a/b memory.current=1\n/c");
	struct cgg_tree *tree = open_tree(top);
	uint64_t g = tree->generation;

	T_EQ_INT(tree_scan(tree, NULL), 0);
	T_EQ_INT(tree->generation, g);
	kit_tree_add(top, "/a/b memory.current=2 memory.max=3");
	T_EQ_INT(tree_scan(tree, NULL), 0);
	T_EQ_INT(tree->generation, g);
	kit_tree_add(top, "/d");
	T_EQ_INT(tree_scan(tree, NULL), 0);
	T_EQ_INT(tree->generation, g + 1);
	kit_tree_remove(top, "/d");
	kit_tree_add(top, "/d"); /* as many as before, but not the same */
	T_EQ_INT(tree_scan(tree, NULL), 0);
	T_EQ_INT(tree->generation, g + 2);
	kit_tree_remove(top, "/a/b");
	T_EQ_INT(tree_scan(tree, NULL), 0);
	T_EQ_INT(tree->generation, g + 3);
	T_EQ_INT(tree_scan(tree, NULL), 0);
	T_EQ_INT(tree->generation, g + 3);
	tree_close(tree);
}

TEST(links_and_files_with_the_names_of_cgroups_are_not_followed)
{
	const char *top = kit_tree("/a/b\n/plain x=1\nelsewhere/inner y=1\nroot t\n/real");
	struct cgg_tree *tree;
	char t[256];
	CGG_AUTO_FD fd = -1;

	snprintf(t, sizeof(t), "%s/t", top);
	fd = open(t, O_PATH | O_DIRECTORY | O_CLOEXEC);
	T_MUST(fd >= 0);
	T_MUST(symlinkat("../elsewhere", fd, "system.slice") == 0);
	T_MUST(symlinkat("..", fd, "up") == 0);
	T_MUST(symlinkat("nowhere", fd, "dangling") == 0);
	T_MUST(mkfifoat(fd, "user.slice", 0600) == 0);
	kit_tree_write(top, "/", "docker.service", "", 0);
	tree = open_tree(t);
	T_EQ_STR(shape(tree), "/ /real ");
	tree_close(tree);
}

TEST(a_child_may_be_named_like_a_control_file)
{
	const char *top = kit_tree("/a/memory.max memory.max=7\n/a/cgroup.kill\n/memory.stat/x\n"
				   "/-rf\n/...\n/\\x1b[31m\n/\\x01\n/{a,b}\n/a\\sb\n/\\\\x41");
	struct cgg_tree *tree = open_tree(top);

	T_EQ_STR(shape(tree), "/ /\x01 /\x1b[31m /-rf /... /\\x41 /a /a/cgroup.kill /a/memory.max "
			      "/a b /memory.stat /memory.stat/x /{a,b} ");
	check_table(tree);
	tree_close(tree);
}

TEST(a_name_may_be_as_long_as_the_kernel_allows)
{
	char text[600], name[256];
	struct cgg_tree *tree;

	memset(name, 'n', 255);
	name[255] = '\0';
	snprintf(text, sizeof(text), "/%s/%s", name, name);
	tree = open_tree(kit_tree(text));
	T_EQ_INT(tree->n, 3);
	T_EQ_INT(strlen(tree->entry[2].path), 512);
	T_EQ_STR(tree->entry[2].name, name);
	check_table(tree);
	tree_close(tree);
}

/* "/d/d/d..." of so many levels, each name as long as that. */
static char *deep_path(unsigned int levels, size_t name_len)
{
	char *p = malloc(levels * (name_len + 1) + 1), *at = p;

	T_MUST(p);
	for (unsigned int i = 0; i < levels; i++) {
		*at++ = '/';
		memset(at, 'd', name_len);
		at += name_len;
	}
	*at = '\0';
	return p;
}

TEST(a_path_may_have_1024_bytes_and_what_is_longer_counts_as_part_of_it)
{
	char *path = deep_path(40, 255);
	const char *top = kit_tree(path);
	struct cgg_tree *tree;

	kit_tree_add(top, "/z");
	tree = open_tree(top);
	T_EQ_INT(CGG_PATH_MAX, 1024);
	T_EQ_INT(tree->n, 6);
	T_EQ_INT(strlen(tree->entry[4].path), 1024);
	T_ASSERT(!tree->entry[3].cut && tree->entry[4].cut);
	T_EQ_STR(tree->entry[5].path, "/z");
	check_table(tree);
	tree_close(tree);
	free(path);
}

TEST(it_looks_128_levels_deep_and_no_deeper)
{
	char *path = deep_path(140, 1);
	const char *top = kit_tree(path);
	struct cgg_tree *tree;

	kit_tree_add(top, "/z");
	tree = open_tree(top);
	T_EQ_INT(CGG_DEPTH_MAX, 128);
	T_EQ_INT(tree->n, CGG_DEPTH_MAX + 2);
	T_EQ_INT(tree->entry[CGG_DEPTH_MAX].depth, CGG_DEPTH_MAX);
	T_EQ_STR(tree->entry[CGG_DEPTH_MAX + 1].path, "/z");
	check_table(tree);
	tree_close(tree);
	free(path);
}

/* Make or remove COUNT cgroups named by their number, below a path. */
static void make_many(const char *top, const char *path, unsigned int count)
{
	CGG_AUTO_FD fd = kit_tree_fd(top, path);
	char name[16];

	for (unsigned int i = 0; i < count; i++) {
		snprintf(name, sizeof(name), "%05u", (i * 7919) % count);
		T_MUST(mkdirat(fd, name, 0755) == 0);
	}
}

static struct rlimit set_nofile(rlim_t soft)
{
	struct rlimit old, rl;

	T_MUST(getrlimit(RLIMIT_NOFILE, &old) == 0);
	rl = old;
	rl.rlim_cur = soft < old.rlim_max ? soft : old.rlim_max;
	T_MUST(setrlimit(RLIMIT_NOFILE, &rl) == 0);
	return old;
}

TEST(five_thousand_siblings_are_held_in_order)
{
	const char *top = kit_tree("/many\n/z");
	struct rlimit old = set_nofile(8192), now;
	struct cgg_tree *tree;
	unsigned int before = kit_count_fds();

	T_MUST(getrlimit(RLIMIT_NOFILE, &now) == 0);
	if (now.rlim_cur < 6000) {
		T_SKIP("not so many fds are allowed here");
		return;
	}
	make_many(top, "/many", 5000);
	tree = open_tree(top);
	T_EQ_INT(tree->n, 5003);
	T_EQ_STR(tree->entry[2].name, "00000");
	T_EQ_STR(tree->entry[5001].name, "04999");
	check_table(tree);
	kit_tree_remove(top, "/many");
	T_EQ_INT(tree_scan(tree, NULL), 0);
	T_EQ_STR(shape(tree), "/ /z ");
	tree_close(tree);
	T_EQ_INT(kit_count_fds(), before);
	setrlimit(RLIMIT_NOFILE, &old);
}

TEST(a_scan_that_fails_leaves_the_old_table_whole_and_no_fd_behind)
{
	const char *top = kit_tree("/a/b memory.current=1\n/c");
	struct cgg_tree *tree = open_tree(top);
	uint64_t generation = tree->generation;
	struct cgg_error err = {0};
	struct rlimit old;
	unsigned int before;

	T_EQ_INT(tree_watch(tree), 0);
	before = kit_count_fds();
	make_many(top, "/a", 64);
	kit_tree_remove(top, "/c");
	old = set_nofile(3); /* not one more, not even for a moment */
	for (int i = 0; i < 3; i++) {
		T_EQ_INT(tree_scan(tree, &err), -EMFILE);
		T_HAS(err.msg, "LimitNOFILE");
		T_EQ_INT(tree_scan(tree, NULL), -EMFILE);
	}
	setrlimit(RLIMIT_NOFILE, &old);
	T_EQ_INT(kit_count_fds(), before);
	T_EQ_STR(shape(tree), "/ /a /a/b /c ");
	T_EQ_INT(tree->generation, generation);
	for (uint32_t i = 0; i < tree->n; i++) {
		T_ASSERT(!tree->entry[i].moved);
		T_ASSERT(tree->entry[i].wd >= 0);
		T_ASSERT(fcntl(tree->entry[i].dirfd, F_GETFD) >= 0);
		T_EQ_INT(tree_find_id(tree, tree->entry[i].id), i);
	}
	T_ASSERT(faccessat(tree->entry[2].dirfd, "memory.current", F_OK, 0) == 0);
	/* and with fds to be had again, it goes on as if nothing had been */
	T_EQ_INT(tree_scan(tree, &err), 0);
	T_EQ_INT(tree->n, 67);
	T_EQ_INT(tree->generation, generation + 1);
	check_table(tree);
	tree_close(tree);
}

TEST(with_few_fds_cgroups_are_opened_as_needed)
{
	const char *top = kit_tree("/a/b/c memory.current=7\n/z/y memory.current=9");
	unsigned int before = kit_count_fds();
	struct rlimit old = set_nofile(before + 20);
	struct cgg_tree *tree;
	uint32_t last;
	int opened;

	make_many(top, "/a", 64);
	tree = open_tree(top);
	last = tree->n - 1;
	T_EQ_INT(tree->n, 70);
	T_ASSERT(kit_count_fds() <= before + 20);
	T_EQ_STR(tree->entry[last].path, "/z/y");
	T_EQ_INT(tree->entry[last].dirfd, -1);
	T_ASSERT(tree->nunheld > 50 && tree->entry[0].dirfd >= 0);
	T_ASSERT(faccessat(tree_dir(tree, last, &opened), "memory.current", F_OK, 0) == 0);
	T_EQ_INT(close(opened), 0);
	/* another one of that name is not it */
	kit_tree_remove(top, "/z/y");
	kit_tree_add(top, "/z/x\n/z/y memory.current=9");
	T_EQ_INT(tree_dir(tree, last, &opened), -ENOENT);
	T_EQ_INT(opened, -1);
	/* and with more to be had, they are held again */
	setrlimit(RLIMIT_NOFILE, &old);
	T_EQ_INT(tree_scan(tree, NULL), 0);
	T_EQ_INT(tree->n, 71);
	T_EQ_INT(tree->nunheld, 0);
	check_table(tree);
	tree_close(tree);
	T_EQ_INT(kit_count_fds(), before);
}

TEST(too_many_without_memory_of_their_own_hide_nobody_else)
{
	const char *top =
		kit_tree("/ cgroup.subtree_control=memory\n/a cgroup.subtree_control=pids\n"
			 "/z/y memory.current=9\n/z cgroup.subtree_control=memory");
	struct cgg_tree *tree;

	make_many(top, "/a", CGG_TREE_MAX);
	tree = open_tree(top);
	T_ASSERT(tree->sparse);
	T_EQ_STR(shape(tree), "/ /a /z /z/y ");
	T_ASSERT(tree->entry[1].cut && !tree->entry[2].cut);
	check_table(tree);
	tree_close(tree);
}

TEST(opening_that_fails_leaves_no_fd_behind)
{
	const char *top = kit_tree("/");
	unsigned int before;
	struct cgg_tree *tree = NULL;
	struct cgg_error err = {0};
	struct rlimit old;

	make_many(top, "/", 64);
	before = kit_count_fds();
	old = set_nofile(3);
	for (rlim_t limit = 3; !tree && limit < 64; limit++) {
		struct rlimit now = {limit, old.rlim_max};
		int r;

		T_MUST(setrlimit(RLIMIT_NOFILE, &now) == 0);
		r = tree_open(top, &tree, limit % 2 ? &err : NULL);
		T_EQ_INT(r, tree ? 0 : -EMFILE);
		setrlimit(RLIMIT_NOFILE, &old);
		T_ASSERT(tree || kit_count_fds() == before);
	}
	T_MUST(tree);
	T_EQ_INT(tree->n, 65);
	tree_close(tree);
	T_EQ_INT(kit_count_fds(), before);
}

TEST(closing_gives_back_every_fd)
{
	unsigned int before = kit_count_fds();
	const char *top = kit_tree("root sys/fs/cgroup\n/a/b/c\n/d\nproc meminfo=1");
	struct cgg_tree *tree = open_tree(top);

	T_EQ_INT(tree_watch(tree), 0);
	kit_tree_add(top, "/e");
	T_EQ_INT(tree_scan(tree, NULL), 0);
	T_ASSERT(kit_count_fds() > before);
	tree_close(tree);
	T_EQ_INT(kit_count_fds(), before);
	T_ASSERT(!tree_close(NULL));
}

TEST(a_root_that_was_removed_is_gone_and_the_table_stays)
{
	const char *top = kit_tree("root t\n/a/b");
	struct cgg_tree *tree;
	struct cgg_error err = {0};
	char t[256];

	snprintf(t, sizeof(t), "%s/t", top);
	tree = open_tree(t);
	kit_tree_remove(top, "t");
	/* the directory that is held has no way in any more: what is below it is not there */
	T_EQ_INT(tree_scan(tree, &err), CGG_GONE);
	T_EQ_INT(tree->n, 3);
	tree_close(tree);
}

/* ---- in steps ------------------------------------------------------------------------- */

/* A scan step by step until it is idle or ready; the most system calls that one step counted. */
static uint32_t step_to_end(struct cgg_tree *tree, uint32_t calls)
{
	uint32_t most = 0;

	while (tree->scan.state == TREE_SCAN_DROP)
		T_MUST(tree_scan_step(tree, calls, NULL) == 0);
	do {
		T_EQ_INT(tree_scan_step(tree, calls, NULL), 0);
		most = tree->scan.calls > most ? tree->scan.calls : most;
	} while (tree->scan.state == TREE_SCAN_VISIT || tree->scan.state == TREE_SCAN_DROP);
	return most;
}

TEST(a_scan_in_steps_finds_what_a_whole_one_finds_and_the_old_table_stands_meanwhile)
{
	const char *top = kit_tree("/a/b memory.current=1\n/c\n/z/y/x");
	unsigned int before = kit_count_fds();
	struct cgg_tree *tree = open_tree(top), *whole;
	uint64_t generation = tree->generation;
	char found[4096];

	T_EQ_INT(tree_watch(tree), 0);
	make_many(top, "/a", 100);
	kit_tree_remove(top, "/c");
	T_EQ_INT(tree_scan_step(tree, 1, NULL), 0);
	T_EQ_INT(tree->scan.state, TREE_SCAN_VISIT);
	for (int i = 0; i < 10; i++) {
		T_EQ_INT(tree_scan_step(tree, 1, NULL), 0);
		T_EQ_STR(shape(tree), "/ /a /a/b /c /z /z/y /z/y/x ");
		T_ASSERT(fcntl(tree->entry[2].dirfd, F_GETFD) >= 0);
		T_EQ_INT(tree_find_id(tree, tree->entry[5].id), 5);
	}
	T_ASSERT(step_to_end(tree, 20) < 60);
	T_EQ_INT(tree->scan.state, TREE_SCAN_READY);
	T_EQ_INT(tree->n, 7);
	T_EQ_INT(tree->generation, generation);
	tree_scan_adopt(tree);
	T_EQ_INT(tree->n, 106);
	T_EQ_INT(tree->generation, generation + 1);
	check_table(tree);
	T_EQ_INT(tree->scan.state, TREE_SCAN_DROP);
	T_EQ_INT(tree_scan_step(tree, 1000, NULL), 0);
	T_EQ_INT(tree->scan.state, TREE_SCAN_IDLE);
	snprintf(found, sizeof(found), "%s", shape(tree));
	whole = open_tree(top);
	T_EQ_STR(shape(whole), found);
	tree_close(whole);
	tree_close(tree);
	T_EQ_INT(kit_count_fds(), before);
}

TEST(where_nothing_has_changed_the_table_does_not_change_places)
{
	const char *top = kit_tree("/a/b\n/c");
	struct cgg_tree *tree = open_tree(top);
	const struct tree_entry *entry = tree->entry;
	uint64_t generation = tree->generation;

	for (int i = 0; i < 5; i++) {
		step_to_end(tree, 3);
		T_EQ_INT(tree->scan.state, TREE_SCAN_IDLE);
		T_ASSERT(tree->entry == entry);
		T_EQ_INT(tree->generation, generation);
		T_ASSERT(!tree->entry[1].moved);
	}
	tree_close(tree);
}

TEST(a_table_that_is_discarded_takes_its_fds_with_it)
{
	const char *top = kit_tree("/a\n/b");
	unsigned int before, begun = kit_count_fds();
	struct cgg_tree *tree = open_tree(top);

	before = kit_count_fds();
	make_many(top, "/a", 30);
	for (int i = 0; i < 3; i++) {
		step_to_end(tree, 10);
		T_EQ_INT(tree->scan.state, TREE_SCAN_READY);
		T_ASSERT(kit_count_fds() > before);
		tree_scan_discard(tree);
		T_EQ_STR(shape(tree), "/ /a /b ");
		T_EQ_INT(tree_scan_step(tree, 12, NULL), 0);
		T_EQ_INT(tree->scan.state, TREE_SCAN_DROP); /* that too is done in steps */
		while (tree->scan.state == TREE_SCAN_DROP)
			T_EQ_INT(tree_scan_step(tree, 12, NULL), 0);
		T_EQ_INT(kit_count_fds(), before);
	}
	T_EQ_INT(tree_scan_step(tree, 30, NULL), 0);
	T_EQ_INT(tree->scan.state, TREE_SCAN_VISIT);
	tree_close(tree); /* in the middle of one */
	T_EQ_INT(kit_count_fds(), begun);
}

TEST(no_step_takes_long_among_twenty_thousand)
{
	const char *top = kit_tree("/user cgroup.subtree_control=pids\n/z");
	struct rlimit old = set_nofile(65536);
	struct cgg_tree *tree = open_tree(top);
	uint32_t most;

	T_EQ_INT(tree_watch(tree), 0);
	make_many(top, "/user", 20000);
	most = step_to_end(tree, 600);
	T_ASSERT(most < 700);
	tree_scan_adopt(tree);
	T_EQ_INT(tree->n, 20003);
	kit_tree_remove(top, "/user");
	most = step_to_end(tree, 600);
	tree_scan_adopt(tree);
	for (uint32_t steps = 0; tree->scan.state == TREE_SCAN_DROP; steps++) {
		T_EQ_INT(tree_scan_step(tree, 600, NULL), 0);
		T_MUST(tree->scan.calls <= 700 && steps < 1000);
	}
	T_EQ_STR(shape(tree), "/ /z ");
	tree_close(tree);
	setrlimit(RLIMIT_NOFILE, &old);
}

static uint32_t count_killfds(const struct cgg_tree *tree)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < tree->n; i++)
		n += tree->entry[i].killfd >= 0;
	return n;
}

TEST(cgroup_kill_of_many_is_opened_a_part_at_a_time)
{
	const char *top = kit_tree("/a cgroup.kill=0\n/b\n");
	struct rlimit old = set_nofile(65536);
	struct cgg_tree *tree = open_tree(top);
	uint32_t begun;

	for (int i = 0; i < 300; i++) {
		char text[64];

		snprintf(text, sizeof(text), "/b/%03d cgroup.kill=0\n/c%03d\n", i, i);
		kit_tree_add(top, text);
	}
	T_EQ_INT(tree_scan(tree, NULL), 0);
	T_EQ_INT(tree->n, 603);
	T_EQ_INT(count_killfds(tree), 0);
	for (uint32_t turn = 1; tree_wants_kill(tree); turn++) {
		begun = kit_count_fds();
		tree_hold_kill(tree, 100);
		T_ASSERT(kit_count_fds() - begun <= 100);
		T_MUST(turn <= 7); /* those without the file count, too */
	}
	T_EQ_INT(count_killfds(tree), 301);
	T_EQ_INT(tree->nkill, 301);
	kit_tree_add(top, "/d cgroup.kill=0\n");
	T_EQ_INT(tree_scan(tree, NULL), 0);
	T_ASSERT(tree_wants_kill(tree));
	tree_hold_kill(tree, 1);
	T_EQ_INT(count_killfds(tree), 302);
	tree_close(tree);
	setrlimit(RLIMIT_NOFILE, &old);
}

/* ---- inotify ------------------------------------------------------------------------- */

static void no_file(void *user, int wd)
{
	++*(int *)user;
}

static bool stale(struct cgg_tree *tree)
{
	int files = 0;
	bool r = tree_events_read(tree, tree->inotify_fd, no_file, &files);

	T_EQ_INT(files, 0);
	return r;
}

TEST(what_comes_and_goes_makes_the_table_stale)
{
	const char *top = kit_tree("/a/b\n/c");
	struct cgg_tree *tree = open_tree(top);

	T_EQ_INT(tree_watch(tree), 0);
	T_ASSERT(!tree->watch_short);
	T_ASSERT(!stale(tree));
	kit_tree_add(top, "/a/b/new");
	T_ASSERT(stale(tree));
	T_ASSERT(!stale(tree));
	T_EQ_INT(tree_scan(tree, NULL), 0);
	T_ASSERT(!stale(tree));
	kit_tree_add(top, "/a/b/new/child"); /* in what was found by that scan */
	T_ASSERT(stale(tree));
	T_EQ_INT(tree_scan(tree, NULL), 0);
	kit_tree_remove(top, "/a/b/new");
	T_ASSERT(stale(tree));
	T_EQ_INT(tree_scan(tree, NULL), 0);
	kit_tree_remove(top, "/c");
	T_ASSERT(stale(tree));
	T_EQ_INT(tree_scan(tree, NULL), 0);
	T_ASSERT(!stale(tree));
	T_EQ_STR(shape(tree), "/ /a /a/b ");
	tree_close(tree);
}

TEST(files_that_change_do_not_make_it_stale)
{
	const char *top = kit_tree("/a memory.current=1");
	struct cgg_tree *tree = open_tree(top);

	T_EQ_INT(tree_watch(tree), 0);
	kit_tree_add(top, "/a memory.current=2 memory.peak=3");
	T_ASSERT(!stale(tree));
	tree_close(tree);
}

TEST(an_unwatched_tree_can_be_watched_again)
{
	const char *top = kit_tree("/a");
	struct cgg_tree *tree = open_tree(top);

	for (int i = 0; i < 3; i++) {
		char line[16];

		T_EQ_INT(tree_watch(tree), 0);
		snprintf(line, sizeof(line), "/a/%d", i);
		kit_tree_add(top, line);
		T_ASSERT(stale(tree));
		tree_unwatch(tree);
		T_EQ_INT(tree->inotify_fd, -1);
		T_EQ_INT(tree_scan(tree, NULL), 0);
	}
	T_EQ_INT(tree->n, 5);
	tree_close(tree);
}

TEST(the_first_scan_with_a_watch_finds_what_came_before_it)
{
	const char *top = kit_tree("/a");
	struct cgg_tree *tree = open_tree(top);

	kit_tree_add(top, "/a/b");
	T_EQ_INT(tree_watch(tree), 0);
	kit_tree_add(top, "/a/b/c");
	T_EQ_INT(tree_scan(tree, NULL), 0);
	T_EQ_STR(shape(tree), "/ /a /a/b /a/b/c ");
	T_ASSERT(!tree->watch_short);
	T_ASSERT(!stale(tree));
	kit_tree_add(top, "/a/b/c/d");
	T_ASSERT(stale(tree));
	tree_close(tree);
}

static unsigned int next_random(void)
{
	static unsigned int seed = 11;

	return (seed = seed * 1103515245U + 12345U) >> 8;
}

/* Make or remove one cgroup somewhere, among few names, so that many come again. */
static void change_something(const char *top)
{
	char line[64];
	int n = 0;

	for (unsigned int depth = 1 + next_random() % 4; depth > 0; depth--)
		n += snprintf(line + n, sizeof(line) - (size_t)n, "/%c", 'a' + next_random() % 4);
	if (next_random() % 3 == 0) {
		CGG_AUTO_FD fd = -1;
		char path[128];

		snprintf(path, sizeof(path), "%s%s", top, line);
		fd = open(path, O_PATH);
		if (fd >= 0)
			kit_tree_remove(top, line);
	} else {
		kit_tree_add(top, line);
	}
}

TEST(by_events_alone_the_table_is_what_a_fresh_one_is)
{
	const char *top = kit_tree("/a/b/c");
	struct cgg_tree *tree = open_tree(top), *fresh;

	T_EQ_INT(tree_watch(tree), 0);
	step_to_end(tree, 1000);
	for (int round = 0; round < 300; round++) {
		char found[4096];
		bool due = true;

		for (unsigned int n = next_random() % 5; n > 0; n--)
			change_something(top);
		/* as the loop does it: some of a scan, something happens, what happened is read ... */
		while (due || tree->scan.state != TREE_SCAN_IDLE) {
			due &= tree->scan.state != TREE_SCAN_IDLE;
			T_MUST(tree_scan_step(tree, 1 + next_random() % 20, NULL) == 0);
			if (tree->scan.state == TREE_SCAN_READY)
				tree_scan_adopt(tree);
			if (next_random() % 16 == 0)
				change_something(top);
			due |= stale(tree);
		}
		fresh = open_tree(top);
		snprintf(found, sizeof(found), "%s", shape(tree));
		T_EQ_STR(found, shape(fresh));
		check_table(tree);
		tree_close(fresh);
	}
	tree_close(tree);
}

TEST(where_nothing_has_happened_nothing_is_listed)
{
	const char *top = kit_tree("/a/b\n/z");
	struct rlimit old = set_nofile(8192);
	struct cgg_tree *tree = open_tree(top);

	make_many(top, "/a", 2000);
	T_EQ_INT(tree_watch(tree), 0);
	step_to_end(tree, 100000);
	tree_scan_adopt(tree);
	step_to_end(tree, 100000);
	(void)stale(tree);
	kit_tree_add(top, "/z/new");
	T_ASSERT(stale(tree));
	T_ASSERT(step_to_end(tree, 100000) < 100);
	T_EQ_INT(tree->scan.state, TREE_SCAN_READY);
	tree_scan_adopt(tree);
	T_EQ_INT(tree->n, 2005);
	check_table(tree);
	tree_close(tree);
	setrlimit(RLIMIT_NOFILE, &old);
}

TEST(a_directory_that_is_given_to_another_user_is_noticed)
{
	const char *top = kit_tree("/a/b\n/c");
	struct cgg_tree *tree = open_tree(top);
	CGG_AUTO_FD fd = kit_tree_fd(top, "/a");

	if (geteuid() != 0) {
		T_SKIP("only root gives files away");
		tree_close(tree);
		return;
	}
	tree->root.live = true;
	T_EQ_INT(tree_watch(tree), 0);
	step_to_end(tree, 1000);
	T_EQ_INT(fchownat(fd, "b", 1000, 1000, 0), 0);
	T_ASSERT(stale(tree));
	step_to_end(tree, 1000);
	T_EQ_INT(tree->scan.state, TREE_SCAN_READY);
	tree_scan_adopt(tree);
	T_EQ_STR(tree->entry[2].path, "/a/b");
	T_EQ_INT(tree->entry[2].owner_uid, 1000);
	T_EQ_INT(tree->entry[1].owner_uid, 0);
	tree_close(tree);
}

TEST(what_is_not_watched_is_verified)
{
	const char *top = kit_tree("/a/b\n/c/d\n/e/f");
	struct cgg_tree *tree = open_tree(top);
	bool round = false, found = false;

	T_EQ_INT(tree_watch(tree), 0);
	step_to_end(tree, 1000);
	/* as if there had been no more watches */
	for (uint32_t i = 1; i < tree->n; i++) {
		(void)inotify_rm_watch(tree->inotify_fd, tree->entry[i].wd);
		tree->entry[i].wd = -1;
	}
	(void)stale(tree);
	kit_tree_add(top, "/a/b/new");
	kit_tree_remove(top, "/c/d");
	T_ASSERT(!stale(tree));
	while (!round)
		found |= tree_verify(tree, 1, &round);
	T_ASSERT(found);
	step_to_end(tree, 1000);
	tree_scan_adopt(tree);
	T_EQ_STR(shape(tree), "/ /a /a/b /a/b/new /c /e /e/f ");
	T_ASSERT(!tree->watch_short); /* and there were watches again */
	check_table(tree);
	tree_close(tree);
}

struct maker {
	int fd;
	_Atomic int wanted, made;
};

#define NESTS 150

/* As a runtime does: a pod, and at once what is in it. */
static void *make_nests(void *arg)
{
	struct maker *m = arg;
	char name[64];

	for (int i = 1; i <= NESTS; i++) {
		while (m->wanted < i)
			sched_yield();
		snprintf(name, sizeof(name), "pod%d", i);
		(void)mkdirat(m->fd, name, 0755);
		for (volatile int spin = 0; spin < i * 300; spin++)
			;
		snprintf(name, sizeof(name), "pod%d/c", i);
		(void)mkdirat(m->fd, name, 0755);
		m->made = i;
	}
	return NULL;
}

TEST(a_cgroup_made_while_its_parent_is_scanned_is_found_in_the_end)
{
	struct rlimit old = set_nofile(8192);
	const char *top = kit_tree("/");
	struct cgg_tree *tree = open_tree(top);
	CGG_AUTO_FD fd = kit_tree_fd(top, "/");
	struct maker m = {.fd = fd};
	unsigned int missed = 0;
	pthread_t thread;

	T_EQ_INT(tree_watch(tree), 0);
	T_MUST(pthread_create(&thread, NULL, make_nests, &m) == 0);
	for (int i = 1; i <= NESTS; i++) {
		m.wanted = i;
		while (m.made < i) {
			if (stale(tree))
				T_EQ_INT(tree_scan(tree, NULL), 0);
		}
		while (stale(tree))
			T_EQ_INT(tree_scan(tree, NULL), 0);
		missed += tree->n != 1 + 2 * (uint32_t)i;
	}
	pthread_join(thread, NULL);
	T_EQ_INT(missed, 0);
	check_table(tree);
	tree_close(tree);
	setrlimit(RLIMIT_NOFILE, &old);
}

/* ---- where the root is --------------------------------------------------------------- */

TEST(a_bare_tree_has_no_proc_and_a_recorded_machine_has_its_own)
{
	const char *bare = kit_tree("/a");
	const char *machine = kit_tree("root sys/fs/cgroup\n/a\nproc meminfo=1");
	const char *no_proc = kit_tree("root sys/fs/cgroup\n/b");
	struct cgg_tree *tree = open_tree(bare);

	T_EQ_INT(tree->root.procfd, -1);
	T_ASSERT(!tree->root.live);
	T_EQ_STR(tree->root.shown, bare);
	tree_close(tree);
	tree = open_tree(machine);
	T_EQ_STR(shape(tree), "/ /a ");
	T_ASSERT(!tree->root.live);
	T_ASSERT(tree->root.procfd >= 0);
	T_ASSERT(faccessat(tree->root.procfd, "meminfo", F_OK, 0) == 0);
	tree_close(tree);
	tree = open_tree(no_proc);
	T_EQ_STR(shape(tree), "/ /b ");
	T_ASSERT(tree->root.procfd < 0);
	tree_close(tree);
}

TEST(a_root_that_is_no_directory_is_told_of_by_name)
{
	const char *top = kit_tree("/ file=1");
	struct cgg_tree *tree = NULL;
	struct cgg_error err = {0};
	char path[256];

	snprintf(path, sizeof(path), "%s/nowhere", top);
	T_EQ_INT(tree_open(path, &tree, &err), -ENOENT);
	T_EQ_INT(err.code, -ENOENT);
	T_HAS(err.msg, path);
	T_HAS(err.msg, "No such file or directory");
	snprintf(path, sizeof(path), "%s/file", top);
	T_EQ_INT(tree_open(path, &tree, &err), -ENOTDIR);
	T_HAS(err.msg, "Not a directory");
	T_EQ_INT(tree_open("", &tree, &err), -ENOENT);
	T_EQ_INT(tree_open("", &tree, NULL), -ENOENT);
	T_ASSERT(!tree);
}

TEST(our_own_cgroup_is_not_looked_for_in_a_recording)
{
	struct cgg_tree *tree = open_tree(kit_tree("/a"));
	uint64_t ids[8];
	size_t n = 7;

	T_EQ_INT(cgfs_own_ids(&tree->root, ids, 8, &n), 0);
	T_EQ_INT(n, 0);
	tree_close(tree);
}
