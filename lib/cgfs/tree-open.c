/* SPDX-License-Identifier: Apache-2.0 */
/* A held tree's beginning and end, and those of its watches: what makes a scan, or has to end one. */
#include "cgfs/tree.h"

#include "util/attr.h"
#include "util/err.h"

#include <errno.h>
#include <sys/inotify.h>

/* address space, not memory; for the names too that a scan has yet to visit */
#define ARENA_SIZE ((size_t)CGG_TREE_MAX * (CGG_PATH_MAX + 128))
#define PREFAULT                                                                                   \
	((size_t)512 * (sizeof(struct tree_entry) + 128)) /* for so many, as the view has */

int tree_open(const char *root, struct cgg_tree **ret, struct cgg_error *err)
{
	struct cgg_tree *tree = calloc(1, sizeof(*tree));
	int r;

	if (!tree)
		return err_fail(err, -ENOMEM, "out of memory");
	tree->inotify_fd = -1;
	tree->root = (struct cgfs_root){.dirfd = -1, .procfd = -1};
	r = cgfs_root_open(root, &tree->root, err);
	if (r == 0 && (arena_init(&tree->arena[0], ARENA_SIZE, PREFAULT) < 0 ||
		       arena_init(&tree->arena[1], ARENA_SIZE, PREFAULT) < 0 ||
		       arena_init(&tree->scratch, ARENA_SIZE, PREFAULT) < 0))
		r = err_fail(err, -ENOMEM, "out of address space for the table of cgroups");
	if (r == 0)
		r = tree_scan(tree, err);
	if (r == CGG_GONE)
		r = err_fail(err, -ENOENT, "the tree '%s' was removed", tree->root.shown);
	if (r < 0) {
		tree_close(tree);
		return r;
	}
	*ret = tree;
	return 0;
}

struct cgg_tree *tree_close(struct cgg_tree *tree)
{
	if (!tree)
		return NULL;
	tree_scan_end(tree);
	for (uint32_t i = 0; i < tree->n; i++)
		tree_let_go(tree, &tree->entry[i]);
	cgg_close_fd(&tree->inotify_fd);
	cgfs_root_close(&tree->root);
	arena_finish(&tree->arena[0]);
	arena_finish(&tree->arena[1]);
	arena_finish(&tree->scratch);
	free(tree);
	return NULL;
}

int tree_watch(struct cgg_tree *tree)
{
	int fd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);

	if (fd < 0)
		return -errno;
	tree->inotify_fd = fd;
	tree->watch_short = false;
	tree_stale_wd(tree, -1); /* what came before is not told of */
	for (uint32_t i = 0; i < tree->n; i++) {
		CGG_AUTO_FD opened = -1;
		int dirfd = tree_dir(tree, i, &opened);

		if (dirfd >= 0)
			tree_watch_dir(tree, &tree->entry[i], dirfd);
		tree->watch_short |= tree->entry[i].wd < 0;
	}
	return 0;
}

void tree_unwatch(struct cgg_tree *tree)
{
	tree_scan_end(tree);
	cgg_close_fd(&tree->inotify_fd);
	tree->inotify_fd = -1;
	for (uint32_t i = 0; i < tree->n; i++)
		tree->entry[i].wd = -1;
}
