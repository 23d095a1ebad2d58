/* SPDX-License-Identifier: Apache-2.0 */
/* The write-ahead journal: its file, its slots, and what an earlier run left in them. */
#include "act/journal.h"

#include "util/attr.h"
#include "util/err.h"
#include "util/fdio.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#define PAGE	   4096U
#define TMPFS_TYPE 0x01021994 /* statfs(2) */
#define RAMFS_TYPE 0x858458f6

/* The first page of the file; the slots follow. */
struct header {
	char magic[8];
	uint32_t version, slot_size;
};

static const struct header header = {
	.magic = {'c', 'g', 'g', 'u', 'a', 'r', 'd', 'J'},
	.version = JOURNAL_VERSION,
	.slot_size = sizeof(struct journal_slot),
};

_Static_assert(sizeof(struct journal_record) == 128, "no padding: every byte is in the sum");
_Static_assert(PAGE % sizeof(struct journal_slot) == 0, "no slot is on two pages");

const char *journal_target_name(enum journal_target target)
{
	static const char *const names[JOURNAL_TARGETS] = {
		[JOURNAL_HIGH] = "memory.high",
		[JOURNAL_FREEZE] = "cgroup.freeze",
		[JOURNAL_CPU_MAX] = "cpu.max",
	};

	return names[target];
}

/* ---- records ---------------------------------------------------------------------------- */

/* FNV-1a: it has to tell a whole record from a half-written one, and nothing else. */
static uint64_t sum_of(const struct journal_record *r)
{
	const unsigned char *bytes = (const unsigned char *)r;
	uint64_t sum = 0xcbf29ce484222325U;

	for (size_t i = sizeof(r->sum); i < sizeof(*r); i++)
		sum = (sum ^ bytes[i]) * 0x100000001b3U;
	return sum;
}

static bool is_text(const char *value)
{
	return memchr(value, '\0', JOURNAL_VALUE_MAX) != NULL;
}

static bool is_valid(const struct journal_record *r)
{
	return r->number != 0 && r->sum == sum_of(r) && r->state <= JOURNAL_APPLIED &&
	       r->target < JOURNAL_TARGETS && is_text(r->before) && is_text(r->after) &&
	       is_text(r->was);
}

static const struct journal_record *newest(const struct journal_slot *s)
{
	const struct journal_record *a = &s->record[0], *b = &s->record[1];

	if (!is_valid(a) || !is_valid(b))
		return is_valid(a) ? a : is_valid(b) ? b : NULL;
	return (int32_t)(a->number - b->number) > 0 ? a : b;
}

const struct journal_record *journal_read(const struct journal_slot *s)
{
	const struct journal_record *r = newest(s);

	return r && r->state != JOURNAL_FREE ? r : NULL;
}

/* Over the older record, or the one that is not valid. */
static void put(struct journal_slot *s, struct journal_record r)
{
	const struct journal_record *last = newest(s);

	r.number = last ? last->number + 1 : 1;
	r.number += r.number == 0;
	r.sum = sum_of(&r);
	memcpy(&s->record[last == &s->record[0]], &r, sizeof(r));
	/* what follows in the program comes after it: the cgroup's file is written then */
	atomic_signal_fence(memory_order_seq_cst);
}

static void copy_value(char *ret, const char *value)
{
	(void)!snprintf(ret, JOURNAL_VALUE_MAX, "%s", value);
}

/* Keep the end of a path that is too long. */
static void copy_path(struct journal_slot *s, const char *path)
{
	size_t len = strlen(path);

	if (strcmp(s->path, path) == 0)
		return;
	if (len >= sizeof(s->path))
		path += len - sizeof(s->path) + 1;
	snprintf(s->path, sizeof(s->path), "%s", path);
}

void journal_intend(struct journal_slot *s, uint64_t id, const char *path,
		    enum journal_target target, const char *before, const char *after,
		    const char *was)
{
	struct journal_record r = {.id = id, .state = JOURNAL_INTENDED, .target = (uint8_t)target};

	copy_value(r.before, before);
	copy_value(r.after, after);
	copy_value(r.was, was);
	copy_path(s, path);
	put(s, r);
}

void journal_applied(struct journal_slot *s)
{
	const struct journal_record *last = journal_read(s);
	struct journal_record r;

	if (!last)
		return;
	r = *last;
	r.state = JOURNAL_APPLIED;
	memset(r.was, 0, sizeof(r.was));
	put(s, r);
}

void journal_clear(struct journal_slot *s)
{
	put(s, (struct journal_record){.state = JOURNAL_FREE});
	s->path[0] = '\0';
}

/* ---- slots ------------------------------------------------------------------------------ */

static struct journal_slot *slot_at(const struct journal *j, uint32_t n)
{
	return (struct journal_slot *)(void *)(j->map + PAGE) + n;
}

/* Memory for a part of the file, so that nothing which is written there can fail. */
static int populate(struct journal *j, size_t from, size_t len)
{
	if (j->place == JOURNAL_IN_FILE && fallocate(j->fd, 0, (off_t)from, (off_t)len) < 0 &&
	    errno != EOPNOTSUPP) /* as on a ramfs, which has no limit either */
		return errno == EINTR ? -ENOMEM : -errno; /* the next attempt may pass */
	for (size_t at = from; at < from + len; at += PAGE) {
		volatile char *page = j->map + at;

		*page = *page;
	}
	return 0;
}

struct journal_slot *journal_add(struct journal *j, uint64_t id, const char *path,
				 enum journal_target target, const char *before, const char *after)
{
	for (uint32_t n = 0; j->map && n < JOURNAL_ACTIONS; n++) {
		struct journal_slot *s = slot_at(j, n);

		if (atomic_exchange(&j->taken[n], true))
			continue;
		journal_intend(s, id, path, target, before, after, "");
		return s;
	}
	return NULL;
}

void journal_remove(struct journal *j, struct journal_slot *s)
{
	journal_clear(s);
	atomic_store(&j->taken[s - slot_at(j, 0)], false);
}

uint32_t journal_count(const struct journal *j, enum journal_target target)
{
	uint32_t n = 0;

	for (uint32_t i = 0; j->map && i < JOURNAL_ACTIONS; i++) {
		const struct journal_record *r = journal_read(slot_at(j, i));

		n += r && r->target == target;
	}
	return n;
}

bool journal_has(const struct journal *j, uint64_t id, enum journal_target target)
{
	bool has = false;

	for (uint32_t i = 0; j->map && i < JOURNAL_ACTIONS && !has; i++) {
		const struct journal_record *r = journal_read(slot_at(j, i));

		has = r && r->id == id && r->target == target;
	}
	return has;
}

int journal_keep(struct journal *j, uint32_t n, struct journal_slot **ret)
{
	struct journal_slot *s;
	int r;

	if (!j->map || n >= j->nkeeps)
		return -ENOSPC;
	s = slot_at(j, JOURNAL_ACTIONS + n);
	r = populate(j, (size_t)((char *)s - j->map) / PAGE * PAGE, PAGE);
	if (r < 0)
		return r;
	*ret = s;
	return 0;
}

/* ---- an earlier run --------------------------------------------------------------------- */

static ssize_t read_at(int fd, void *buf, size_t size, off_t at)
{
	ssize_t n;

	do
		n = pread(fd, buf, size, at);
	while (n < 0 && errno == EINTR);
	return n;
}

/* Read, not mapped: of the parts that were never used a mapping would take memory. */
int journal_recover(struct journal *j, journal_fn fn, void *user)
{
	struct journal_slot s;
	int n = 0;

	for (off_t at = PAGE; (uint64_t)at + sizeof(s) <= j->left; at += (off_t)sizeof(s)) {
		const struct journal_record *r;
		ssize_t len = read_at(j->fd, &s, sizeof(s), at);
		if (len != (ssize_t)sizeof(s))
			return len < 0 ? -errno : -EIO;
		r = journal_read(&s);
		if (!r)
			continue;
		s.path[sizeof(s.path) - 1] = '\0';
		fn(user, r, s.path);
		journal_clear((struct journal_slot *)(void *)(j->map + at));
		n++;
	}
	j->left = 0;
	return n;
}

/* ---- the file --------------------------------------------------------------------------- */

static int open_dir(struct journal *j, const char *dir, struct cgg_error *err)
{
	CGG_AUTO_FD fd = -1;
	struct statfs fs;
	struct stat st;

	if (mkdir(dir, 0700) < 0 && errno != EEXIST)
		return err_errno(err, -errno, "cannot make the state directory '%s'", dir);
	fd = open(dir, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &st) < 0 || fstatfs(fd, &fs) < 0)
		return err_errno(err, -errno, "cannot open the state directory '%s'", dir);
	if (st.st_uid != geteuid() || st.st_mode & (S_IWGRP | S_IWOTH))
		return err_fail(
			err, -EPERM,
			"the state directory '%s' has to be ours and not writable by others: "
			"chown %u %s; chmod 700 %s",
			dir, geteuid(), dir, dir);
	/* the lock ends with the fd: a second guard would put back what the first one holds */
	if (flock(fd, LOCK_EX | LOCK_NB) < 0)
		return err_fail(err, -EBUSY,
				"another guard uses the state directory '%s' (--state gives this "
				"one its own)",
				dir);
	if ((uint32_t)fs.f_type != TMPFS_TYPE && (uint32_t)fs.f_type != RAMFS_TYPE)
		return err_fail(err, -EMEDIUMTYPE,
				"the state directory '%s' is not on a tmpfs: writing to it could "
				"wait for a disk",
				dir);
	j->dirfd = cgg_take_fd(&fd);
	return 0;
}

static int open_file(struct journal *j, struct cgg_error *err)
{
	CGG_AUTO_FD fd =
		openat(j->dirfd, JOURNAL_FILE,
		       O_RDWR | O_CREAT | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC, 0600);
	struct header found = {.version = 0};
	ssize_t len = 0;
	struct stat st;

	if (fd < 0 || fstat(fd, &st) < 0)
		return err_errno(err, -errno, "cannot open '%s' in the state directory%s",
				 JOURNAL_FILE,
				 errno == ELOOP ? ", where links are not followed" : "");
	if (!S_ISREG(st.st_mode) || st.st_uid != geteuid() || st.st_mode & (S_IWGRP | S_IWOTH))
		return err_fail(err, -EPERM,
				"'%s' in the state directory is none of ours: not a file that "
				"belongs to uid %u and that nobody else can write; remove it",
				JOURNAL_FILE, (unsigned int)geteuid());
	if (st.st_size > 0)
		len = read_at(fd, &found, sizeof(found), 0);
	if (len < 0)
		return err_errno(err, -errno, "cannot read '%s' in the state directory",
				 JOURNAL_FILE);
	if (st.st_size > 0 &&
	    (len != (ssize_t)sizeof(found) || memcmp(&found, &header, sizeof(found)) != 0)) {
		j->of_other_version = found.magic[0] != '\0'; /* else it was never begun */
		if (ftruncate(fd, 0) < 0)
			return err_errno(err, -errno, "cannot empty '%s' in the state directory",
					 JOURNAL_FILE);
		st.st_size = 0;
	}
	if (st.st_size < (off_t)j->size && ftruncate(fd, (off_t)j->size) < 0)
		return err_errno(err, -errno, "cannot make '%s' in the state directory",
				 JOURNAL_FILE);
	j->left = (uint64_t)st.st_size < j->size ? (uint64_t)st.st_size : j->size;
	j->fd = cgg_take_fd(&fd);
	return 0;
}

static int map(struct journal *j, int flags, int fd)
{
	void *p = mmap(NULL, j->size, PROT_READ | PROT_WRITE, flags, fd, 0);

	if (p == MAP_FAILED)
		return -errno;
	j->map = p;
	return 0;
}

static int use_file(struct journal *j, const char *dir, struct cgg_error *err)
{
	int r = open_dir(j, dir, err);

	if (r == 0)
		r = open_file(j, err);
	if (r < 0)
		return r;
	r = map(j, MAP_SHARED, j->fd);
	if (r == 0) {
		j->place = JOURNAL_IN_FILE;
		r = populate(j, 0, PAGE + JOURNAL_ACTIONS * sizeof(struct journal_slot));
	}
	if (r < 0)
		return err_errno(err, r, "no room for '%s' in the state directory '%s'",
				 JOURNAL_FILE, dir);
	memcpy(j->map, &header, sizeof(header));
	return 0;
}

static size_t size_of(uint32_t nkeeps)
{
	size_t size = PAGE + (JOURNAL_ACTIONS + nkeeps) * sizeof(struct journal_slot);

	return (size + PAGE - 1) / PAGE * PAGE;
}

int journal_init(struct journal *j, const char *dir, uint32_t nkeeps, struct cgg_error *err)
{
	int r, mapped;

	*j = (struct journal){.dirfd = -1, .fd = -1, .nkeeps = nkeeps, .size = size_of(nkeeps)};
	r = dir ? use_file(j, dir, err) : 0;
	if (r == 0 && dir)
		return 0;
	journal_finish(j);
	j->place = r < 0 ? JOURNAL_UNUSABLE : JOURNAL_ANONYMOUS;
	j->size = size_of(nkeeps);
	mapped = map(j, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1);
	if (j->map)
		mapped = populate(j, 0, PAGE + JOURNAL_ACTIONS * sizeof(struct journal_slot));
	return r < 0 ? r : mapped < 0 ? err_errno(err, mapped, "no room for the journal") : 0;
}

void journal_finish(struct journal *j)
{
	if (j->map)
		munmap(j->map, j->size);
	cgg_close_fd(&j->fd);
	cgg_close_fd(&j->dirfd);
	j->map = NULL;
	j->fd = j->dirfd = -1;
	j->size = 0;
}
