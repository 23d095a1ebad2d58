/* SPDX-License-Identifier: Apache-2.0 */
/* Read memory.* of a cgroup into a struct cgg_cgroup, and derive what is not in any file. */
#include "cgfs/memory.h"

#include "cgfs/fields.h"
#include "cgfs/procs.h"
#include "util/attr.h"
#include "util/fdio.h"
#include "util/parse.h"

#include <errno.h>
#include <string.h>

#define HUGE_LEAST ((uint64_t)2 << 20)
#define FILE_MAX   16384 /* memory.stat is 1.5 KiB today; larger than this is an error */

struct keyed {
	const char *key;
	size_t len;
	size_t offset;
};

#define KEYED(type, key)                                                                           \
	{                                                                                          \
#key, sizeof(#key) - 1, offsetof(type, key)                                        \
	}

/*
 * Give every line "key number" whose key is listed to its field. One pass over the text. A text that
 * has none of them is not that file: -EINVAL, since unknown is not zero.
 */
static int parse_flat(const char *text, const struct keyed *keys, size_t n, void *ret)
{
	int r = -EINVAL;

	for (const char *next; *text; text = next) {
		size_t len = 0;

		while (text[len] > ' ')
			len++;
		for (size_t i = 0; i < n && text[len] == ' '; i++) {
			if (keys[i].len != len || keys[i].key[0] != text[0] ||
			    memcmp(text, keys[i].key, len) != 0)
				continue;
			if (parse_digits(text + len + 1,
					 (uint64_t *)(void *)((char *)ret + keys[i].offset)) == 0)
				r = 0;
			break;
		}
		next = strchr(text + len, '\n');
		if (!next)
			break;
		next++;
	}
	return r;
}

int cgfs_parse_events(const char *text, struct cgg_events *ret)
{
	static const struct keyed keys[] = {
#define ROW(key) KEYED(struct cgg_events, key),
		CGFS_EVENTS(ROW)
#undef ROW
	};

	*ret = (struct cgg_events){0};
	return parse_flat(text, keys, CGG_ARRAY_LEN(keys), ret);
}

int cgfs_parse_stat(const char *text, struct cgg_stat *ret)
{
	static const struct keyed keys[] = {
#define ROW(key) KEYED(struct cgg_stat, key),
		CGFS_STAT(ROW)
#undef ROW
	};

	*ret = (struct cgg_stat){0};
	return parse_flat(text, keys, CGG_ARRAY_LEN(keys), ret);
}

/* "total=NUMBER" at the end of a line. */
static int parse_total(const char *line, const char *end, uint64_t *ret)
{
	const char *total = strstr(line, "total=");
	char digits[24] = "";
	size_t len;

	if (!total || (end && total > end))
		return -EINVAL;
	total += strlen("total=");
	len = end ? (size_t)(end - total) : strlen(total);
	if (len >= sizeof(digits))
		return -EINVAL;
	memcpy(digits, total, len);
	return parse_u64(digits, ret) < 0 ? -EINVAL : 0;
}

static int parse_pressure_line(const char *text, const char *name, uint32_t *ret_avg10,
			       uint64_t *ret_total)
{
	const char *line = text, *avg10, *end;
	uint64_t v;

	while (line && strncmp(line, name, strlen(name)) != 0) {
		line = strchr(line, '\n');
		if (line)
			line++;
	}
	if (!line)
		return -ENOENT;
	end = strchr(line, '\n');
	avg10 = strstr(line, "avg10=");
	if (!avg10 || (end && avg10 > end))
		return -EINVAL;
	if (parse_hundredths(avg10 + strlen("avg10="), &avg10, &v) < 0 || v > 10000)
		return -EINVAL;
	*ret_avg10 = (uint32_t)v;
	return parse_total(line, end, ret_total);
}

int cgfs_parse_pressure(const char *text, struct cgg_pressure *ret)
{
	struct cgg_pressure p = {0};
	int r;

	if (parse_pressure_line(text, "some ", &p.some_avg10_permyriad, &p.some_total_us) < 0)
		return -EINVAL;
	r = parse_pressure_line(text, "full ", &p.full_avg10_permyriad, &p.full_total_us);
	if (r < 0 && r != -ENOENT) /* there may be no full line */
		return -EINVAL;
	*ret = p;
	return 0;
}

/*
 * The LRU lists are disjoint, and active_anon + inactive_anon hold anon, shmem and swap cache, so
 * that mlocked memory (unevictable) is not counted twice as anon + shmem + unevictable would.
 */
void cgfs_derive(struct cgg_cgroup *cg)
{
	const struct cgg_stat *s = &cg->detail->stat;
	uint64_t lru = s->inactive_anon + s->active_anon + s->unevictable;
	uint64_t plain = s->anon + s->shmem;
	uint64_t kernel = s->slab_unreclaimable + s->kernel_stack + s->pagetables +
			  s->sec_pagetables + s->percpu + s->vmalloc + s->zswap;
	uint64_t shmem;

	/* 5.18+: counts all the kernel's, also what has no key of its own, as pipes and Unix sockets */
	if (s->kernel > s->slab_reclaimable && s->kernel - s->slab_reclaimable > kernel)
		kernel = s->kernel - s->slab_reclaimable;
	/* the key hugetlb is there only where huge pages are charged to memory.current */
	cg->unreclaimable_bytes = (lru > plain ? lru : plain) + kernel + s->sock + s->hugetlb;
	/* memory.stat may be 2 s old, memory.current never is: the part can't exceed the whole */
	if (cg->have & CGG_HAVE_CURRENT && cg->unreclaimable_bytes > cg->current_bytes)
		cg->unreclaimable_bytes = cg->current_bytes;
	shmem = s->shmem < cg->unreclaimable_bytes ? s->shmem : cg->unreclaimable_bytes;
	if (cg->mapped_bytes > shmem)
		cg->mapped_bytes = shmem;
	cg->gain_bytes = cg->unreclaimable_bytes - shmem + cg->mapped_bytes;
	cg->hugetlb_bytes = s->hugetlb;
}

void cgfs_mapped(struct cgg_cgroup *cg, uint64_t bytes)
{
	uint64_t shmem = cgfs_shmem(cg);

	cg->gain_bytes -= cg->mapped_bytes;
	cg->mapped_bytes = bytes < shmem ? bytes : shmem;
	cg->gain_bytes += cg->mapped_bytes;
}

void cgfs_find_huge(struct cgg_cgroup *cg, uint64_t lag_bytes)
{
	struct cgg_stat *s = &cg->detail->stat;
	uint64_t lists = s->inactive_file + s->active_file;
	uint64_t cache = s->file > s->shmem ? s->file - s->shmem : 0;
	uint64_t told =
		cg->unreclaimable_bytes + s->slab_reclaimable + (lists > cache ? lists : cache);

	if (!(cg->have & CGG_HAVE_CURRENT) || s->hugetlb > 0 || cg->current_bytes <= told ||
	    cg->current_bytes - told <= lag_bytes)
		return;
	s->hugetlb = (cg->current_bytes - told) / HUGE_LEAST * HUGE_LEAST;
	cgfs_derive(cg);
}

void cgfs_settle(struct cgg_cgroup *cg, uint64_t lag_bytes)
{
	const struct cgg_stat *s = &cg->detail->stat;
	uint64_t told =
		cg->unreclaimable_bytes + s->inactive_file + s->active_file + s->slab_reclaimable;
	uint64_t untold, more;

	if (!(cg->have & CGG_HAVE_CURRENT) || told == 0 || cg->current_bytes <= told)
		return;
	untold = cg->current_bytes - told;
	if (untold > lag_bytes)
		untold = lag_bytes;
	more = (uint64_t)((unsigned __int128)untold * cg->unreclaimable_bytes / told);
	cg->unreclaimable_bytes += more;
	cg->gain_bytes += more;
}

/* A file with one number, or "max". */
int cgfs_read_number(int dirfd, const char *file, uint64_t *ret)
{
	char buf[64];
	long len = fdio_read_at(dirfd, file, buf, sizeof(buf));

	if (len < 0)
		return (int)len;
	return parse_u64_or_max(buf, ret);
}

int cgfs_read_number_fd(int fd, uint64_t *ret)
{
	char buf[64];
	long len = fdio_read(fd, buf, sizeof(buf));

	return len < 0 ? (int)len : parse_u64_or_max(buf, ret);
}

static int read_procs_count(int dirfd, struct cgg_cgroup *cg)
{
	uint32_t n = 0;
	int r = cgfs_procs_each(dirfd, NULL, NULL, &n);
	uint64_t populated = 0;
	char buf[FILE_MAX];

	/* what is deeper than we look counts where the looking ends: nobody hides by depth */
	if (r == 0 && n == 0 && cg->cut &&
	    fdio_read_at(dirfd, "cgroup.events", buf, sizeof(buf)) >= 0 &&
	    parse_keyed(buf, "populated", &populated) == 0)
		n = populated != 0;

	cg->threaded = r == -EOPNOTSUPP;
	cg->nprocs = n;
	return cg->threaded ? 0 : r;
}

static int read_one(int dirfd, enum cgg_have what, struct cgg_cgroup *cg)
{
	char buf[FILE_MAX];
	uint64_t v = 0;
	int r;
	static const struct {
		enum cgg_have what;
		const char *file;
		size_t offset;
	} numbers[] = {
#define ROW(word, member, bit, file) {CGG_HAVE_##bit, file, offsetof(struct cgg_cgroup, member)},
		CGFS_NUMBERS(ROW)
#undef ROW
	};

	for (size_t i = 0; i < CGG_ARRAY_LEN(numbers); i++) {
		if (numbers[i].what == what)
			return cgfs_read_number(
				dirfd, numbers[i].file,
				(uint64_t *)(void *)((char *)cg + numbers[i].offset));
	}
	switch (what) {
	case CGG_HAVE_OOM_GROUP:
		r = cgfs_read_number(dirfd, "memory.oom.group", &v);
		cg->oom_group = v == 1;
		return r;
	case CGG_HAVE_POPULATED:
		r = (int)fdio_read_at(dirfd, "cgroup.events", buf, sizeof(buf));
		if (r >= 0)
			r = parse_keyed(buf, "populated", &v);
		cg->populated = v == 1;
		return r;
	case CGG_HAVE_PROCS:
		return read_procs_count(dirfd, cg);
	case CGG_HAVE_EVENTS:
	case CGG_HAVE_EVENTS_LOCAL:
		r = (int)fdio_read_at(
			dirfd, what == CGG_HAVE_EVENTS ? "memory.events" : "memory.events.local",
			buf, sizeof(buf));
		if (r < 0)
			return r;
		return cgfs_parse_events(buf, what == CGG_HAVE_EVENTS ? &cg->detail->events
								      : &cg->detail->events_local);
	case CGG_HAVE_STAT:
		r = (int)fdio_read_at(dirfd, "memory.stat", buf, sizeof(buf));
		if (r < 0)
			return r;
		r = cgfs_parse_stat(buf, &cg->detail->stat);
		cgfs_derive(cg);
		return r;
	case CGG_HAVE_PRESSURE:
		r = (int)fdio_read_at(dirfd, "memory.pressure", buf, sizeof(buf));
		return r < 0 ? r : cgfs_parse_pressure(buf, &cg->pressure);
	default:
		return -EINVAL;
	}
}

int cgfs_read(int dirfd, uint32_t want, struct cgg_cgroup *cg)
{
	bool gone = false;

	for (uint32_t bit = 1; bit < CGG_HAVE_ALL; bit <<= 1) {
		int r;

		if (!(want & bit))
			continue;
		cg->have &= ~bit;
		cg->unread &= ~bit;
		r = read_one(dirfd, (enum cgg_have)bit, cg);
		if (fdio_is_passing(r))
			cg->unread |= bit;
		if (bit == CGG_HAVE_MAX) /* there is a limit, only we can't see it */
			cg->limit_unknown = fdio_is_passing(r);
		if (r == 0)
			cg->have |= bit;
		else if (r == -ENODEV)
			gone = true;
	}
	/* A file that is missing and a cgroup that is missing both say ENOENT: ask for one that every
	 * cgroup has. */
	if (!gone && (cg->have & want) == 0 && want != 0)
		gone = faccessat(dirfd, "cgroup.procs", F_OK, 0) < 0 && errno == ENOENT;
	return gone ? CGG_GONE : 0;
}
