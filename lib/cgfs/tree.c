/* SPDX-License-Identifier: Apache-2.0 */
/* The held tree between two scans: its directories, its watches, who is where. */
#include "cgfs/tree.h"

#include "util/attr.h"
#include "util/err.h"
#include "util/fdio.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/stat.h>

/* fds that are left for who opens one for a moment: half of a small limit, so many of a large one */
#define FDS_SPARE 1024
#define READS_MAX 16 /* buffers of events: who writes without end does not keep us */
/* IN_ATTRIB: a manager makes a cgroup, and gives it to a user then */
#define WATCH_DIR (IN_CREATE | IN_DELETE | IN_MOVED_TO | IN_MOVED_FROM | IN_ATTRIB | IN_ONLYDIR)

void tree_let_go(struct cgg_tree *tree, struct tree_entry *e)
{
	cgg_close_fd(&e->dirfd);
	cgg_close_fd(&e->killfd);
	tree->nkill -= e->killfd >= 0;
}

/*
 * Open by name from the nearest one that is held. The id says whether it is still that very cgroup:
 * whatever may stand at its path, and on the way there, by now.
 */
int tree_reach(const struct cgg_tree *tree, const struct tree_entry *entry, uint32_t index,
	       int *ret_opened)
{
	uint32_t chain[CGG_DEPTH_MAX + 1];
	size_t n = 0;
	struct stat st;
	int at, fd = -1;

	*ret_opened = -1;
	for (; entry[index].dirfd < 0 && entry[index].parent != CGG_NONE;
	     index = entry[index].parent)
		chain[n++] = index;
	at = entry[index].dirfd >= 0 ? entry[index].dirfd : tree->root.dirfd;
	if (n == 0)
		return at;
	index = chain[0];
	while (n-- > 0) {
		int next = openat(at, entry[chain[n]].name,
				  O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		int r = -errno;

		if (fd >= 0)
			close(fd);
		if (next < 0)
			return r;
		at = fd = next;
	}
	if (fstat(fd, &st) < 0 || st.st_ino != entry[index].id) {
		close(fd);
		return -ENOENT;
	}
	return *ret_opened = fd;
}

int tree_dir(const struct cgg_tree *tree, uint32_t index, int *ret_opened)
{
	*ret_opened = -1;
	if (tree->entry[index].dirfd >= 0)
		return tree->entry[index].dirfd;
	return tree_reach(tree, tree->entry, index, ret_opened);
}

void tree_watch_dir(struct cgg_tree *tree, struct tree_entry *e, int dirfd)
{
	char path[32];

	snprintf(path, sizeof(path), "/proc/self/fd/%d", dirfd);
	e->wd = inotify_add_watch(tree->inotify_fd, path, WATCH_DIR);
}

bool tree_is_scarce(int fd)
{
	return fdio_spare(fd) < FDS_SPARE && fdio_spare(fd) < (unsigned int)fd;
}

bool tree_wants_kill(const struct cgg_tree *tree)
{
	return tree->kill_at < tree->n && tree->nkill < TREE_KILL_MAX;
}

void tree_hold_kill(struct cgg_tree *tree, uint32_t calls)
{
	for (; calls > 0 && tree_wants_kill(tree); tree->kill_at++) {
		struct tree_entry *e = &tree->entry[tree->kill_at];

		if (e->killfd != -1 || e->dirfd < 0)
			continue;
		calls--;
		e->killfd = openat(e->dirfd, "cgroup.kill", O_WRONLY | O_CLOEXEC | O_NOFOLLOW);
		if (e->killfd >= 0 && tree_is_scarce(e->killfd)) {
			close(e->killfd);
			e->killfd = -1;
			tree->kill_at = tree->n;
			return;
		}
		if (e->killfd < 0)
			e->killfd = -2;
		else
			tree->nkill++;
	}
}

bool tree_events_read(struct cgg_tree *tree, int fd, void (*on_file)(void *user, int wd),
		      void *user)
{
	_Alignas(struct inotify_event) char buf[16384];
	bool stale = false;
	ssize_t len;

	for (int i = 0; i < READS_MAX && (len = read(fd, buf, sizeof(buf))) > 0; i++) {
		for (ssize_t at = 0; at < len;) {
			const struct inotify_event *e = (const void *)(buf + at);

			at += (ssize_t)(sizeof(*e) + e->len);
			if (e->mask & (IN_MODIFY | IN_Q_OVERFLOW))
				on_file(user, e->wd);
			if (fd == tree->inotify_fd && e->mask & (IN_Q_OVERFLOW | IN_ISDIR)) {
				tree_stale_wd(tree, e->wd);
				stale = true;
			}
		}
		if ((size_t)len < sizeof(buf) / 2) /* that was all, or nearly */
			break;
	}
	return stale;
}

/* ---- what is stale ------------------------------------------------------------------- */

static uint64_t wd_key(int wd)
{
	return (uint64_t)wd + 1;
}

static uint64_t id_key(uint64_t id)
{
	return id | (uint64_t)1 << 63;
}

static uint32_t stale_slot(const struct tree_stale *s, uint64_t key)
{
	uint32_t at = (uint32_t)(key * 0x9e3779b97f4a7c15ULL >> 32) % CGG_ARRAY_LEN(s->key);

	while (s->key[at] != 0 && s->key[at] != key)
		at = (at + 1) % CGG_ARRAY_LEN(s->key);
	return at;
}

static void add_stale(struct tree_stale *s, uint64_t key)
{
	uint32_t at = stale_slot(s, key);

	if (s->key[at] == key)
		return;
	if (s->n == TREE_STALE_MAX) {
		s->all = true;
		return;
	}
	s->key[at] = key;
	s->n++;
}

void tree_stale_wd(struct cgg_tree *tree, int wd)
{
	if (wd < 0)
		tree->stale[tree->stale_next].all = true;
	else
		add_stale(&tree->stale[tree->stale_next], wd_key(wd));
}

void tree_stale_id(struct cgg_tree *tree, uint64_t id)
{
	add_stale(&tree->stale[tree->stale_next], id_key(id));
}

bool tree_is_stale(const struct tree_stale *s, const struct tree_entry *e)
{
	return s->all || (e->wd >= 0 && s->key[stale_slot(s, wd_key(e->wd))] != 0) ||
	       s->key[stale_slot(s, id_key(e->id))] != 0;
}

/* Others may have given up theirs (max_user_watches is for all of a user's programs). */
static bool watch_again(struct cgg_tree *tree, uint32_t index)
{
	struct tree_entry *e = &tree->entry[index];
	CGG_AUTO_FD opened = -1;
	int dirfd = tree_dir(tree, index, &opened);

	if (dirfd < 0)
		return false;
	tree_watch_dir(tree, e, dirfd);
	if (e->wd >= 0)
		tree_stale_id(tree, e->id); /* what came before is not told of */
	return e->wd >= 0;
}

void tree_unwatch_again(struct cgg_tree *tree, uint32_t index)
{
	(void)inotify_rm_watch(tree->inotify_fd, tree->entry[index].wd);
	tree->entry[index].wd = -1;
	tree->watch_short = true;
}

/* One that is not watched: is it there, and a leaf still? What has children is listed each time. */
static bool verify_one(struct cgg_tree *tree, uint32_t index)
{
	struct tree_entry *e = &tree->entry[index];
	CGG_AUTO_FD opened = -1;
	int dirfd = tree_dir(tree, e->parent, &opened);
	struct stat st;

	if (dirfd < 0 || fstatat(dirfd, e->name, &st, AT_SYMLINK_NOFOLLOW) < 0 ||
	    st.st_ino != e->id) {
		tree_stale_id(tree, tree->entry[e->parent].id);
		return true;
	}
	if (st.st_nlink == 2 && e->end == index + 1 && st.st_uid == e->owner_uid &&
	    !watch_again(tree, index))
		return false;
	tree_stale_id(tree, e->id);
	return true;
}

bool tree_verify(struct cgg_tree *tree, uint32_t calls, bool *ret_round)
{
	bool stale = false;

	for (uint32_t used = 0; used < calls; tree->verify_at++) {
		if (tree->verify_at >= tree->n) {
			tree->verify_at = 1; /* the root is always listed */
			*ret_round = true;
			return stale;
		}
		if (tree->verify_at == 0 || tree->entry[tree->verify_at].wd >= 0)
			continue;
		stale |= verify_one(tree, tree->verify_at);
		used += tree->entry[tree->entry[tree->verify_at].parent].dirfd >= 0 ? 3 : 9;
	}
	*ret_round = false;
	return stale;
}

/* ---- who is where -------------------------------------------------------------------- */

uint32_t tree_find_id(const struct cgg_tree *tree, uint64_t id)
{
	if (tree->n == 0)
		return CGG_NONE;
	for (uint32_t at = (uint32_t)(id * 0x9e3779b97f4a7c15ULL >> 32) & tree->mask;
	     tree->slot[at] != CGG_NONE; at = (at + 1) & tree->mask) {
		if (tree->entry[tree->slot[at]].id == id)
			return tree->slot[at];
	}
	return CGG_NONE;
}

uint32_t tree_find(const struct cgg_tree *tree, const char *path)
{
	for (uint32_t i = 0; i < tree->n; i++) {
		if (strcmp(tree->entry[i].path, path) == 0)
			return i;
	}
	return CGG_NONE;
}
