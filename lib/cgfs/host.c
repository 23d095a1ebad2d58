/* SPDX-License-Identifier: Apache-2.0 */
/* Read meminfo, vmstat's count of OOM kills, and what zram takes. */
#include "cgfs/host.h"

#include "cgfs/memory.h"
#include "util/fdio.h"
#include "util/parse.h"

#include <stdio.h>
#include <string.h>

/* lxcfs has served wrapped negative numbers: those are none. */
static bool parse_kb(const char *s, uint64_t *ret_bytes)
{
	uint64_t kb = 0, bytes;

	if (*s < '0' || *s > '9')
		return false;
	for (; *s >= '0' && *s <= '9'; s++) {
		if (__builtin_mul_overflow(kb, 10U, &kb) ||
		    __builtin_add_overflow(kb, (uint64_t)(*s - '0'), &kb))
			return false;
	}
	if (__builtin_mul_overflow(kb, 1024U, &bytes))
		return false;
	*ret_bytes = bytes;
	return true;
}

/* "Key:   123 kB" */
static bool meminfo(const char *text, const char *key, uint64_t *ret_bytes)
{
	size_t len = strlen(key);

	for (const char *p = text; p; p = strchr(p, '\n') ? strchr(p, '\n') + 1 : NULL) {
		if (strncmp(p, key, len) != 0 || p[len] != ':')
			continue;
		for (p += len + 1; *p == ' '; p++)
			;
		return parse_kb(p, ret_bytes);
	}
	return false;
}

static void read_meminfo(int procfd, uint32_t want, struct cgg_host *h)
{
	char buf[8192];

	if (fdio_read_at(procfd, "meminfo", buf, sizeof(buf)) < 0)
		return;
	if (want & CGG_HOST_HAVE_MEMORY && meminfo(buf, "MemTotal", &h->total_bytes) &&
	    meminfo(buf, "MemAvailable", &h->available_bytes) &&
	    meminfo(buf, "MemFree", &h->free_bytes) && h->available_bytes <= h->total_bytes)
		h->have |= CGG_HOST_HAVE_MEMORY;
	/* lxcfs has served SwapFree above SwapTotal: then neither is known */
	if (want & CGG_HOST_HAVE_SWAP && meminfo(buf, "SwapTotal", &h->swap_total_bytes) &&
	    meminfo(buf, "SwapFree", &h->swap_free_bytes) &&
	    h->swap_free_bytes <= h->swap_total_bytes)
		h->have |= CGG_HOST_HAVE_SWAP;
}

static void read_oom_kill(int procfd, struct cgg_host *h)
{
	char buf[16384];

	if (fdio_read_at(procfd, "vmstat", buf, sizeof(buf)) >= 0 &&
	    parse_keyed(buf, "oom_kill", &h->oom_kill) == 0)
		h->have |= CGG_HOST_HAVE_OOM_KILL;
}

void cgfs_host_read(int procfd, uint32_t want, struct cgg_host *host)
{
	char buf[512];

	host->have &= ~want;
	if (procfd < 0)
		return;
	if (want & (CGG_HOST_HAVE_MEMORY | CGG_HOST_HAVE_SWAP))
		read_meminfo(procfd, want, host);
	if (want & CGG_HOST_HAVE_PRESSURE &&
	    fdio_read_at(procfd, "pressure/memory", buf, sizeof(buf)) > 0 &&
	    cgfs_parse_pressure(buf, &host->pressure) == 0)
		host->have |= CGG_HOST_HAVE_PRESSURE;
	if (want & CGG_HOST_HAVE_OOM_KILL)
		read_oom_kill(procfd, host);
}

/* The compressed size of one: the second number of its mm_stat. */
static bool read_compressed(int procfd, const char *number, size_t len, uint64_t *ret)
{
	char name[64], buf[512], *from, *end;

	if (snprintf(name, sizeof(name), "../sys/block/zram%.*s/mm_stat", (int)len, number) >=
		    (int)sizeof(name) ||
	    fdio_read_at(procfd, name, buf, sizeof(buf)) < 0)
		return false;
	from = buf + strspn(buf, " ");
	from += strcspn(from, " ");
	from += strspn(from, " ");
	end = from + strcspn(from, " \n");
	*end = '\0';
	return parse_u64(from, ret) == 0;
}

void cgfs_host_read_zram(int procfd, struct cgg_host *host)
{
	const char *const zram = "/dev/zram";
	uint64_t used, sum = 0, one;
	char buf[4096];

	host->have &= ~(uint32_t)CGG_HOST_HAVE_SWAP_RAM;
	if (!(host->have & CGG_HOST_HAVE_SWAP))
		return;
	used = host->swap_total_bytes - host->swap_free_bytes;
	if (used > 0 && fdio_read_at(procfd, "swaps", buf, sizeof(buf)) < 0)
		return;
	for (const char *line = used > 0 ? buf : NULL; line; line = strchr(line, '\n')) {
		const char *number = line += *line == '\n';
		size_t len;

		if (strncmp(line, zram, strlen(zram)) != 0)
			continue;
		number += strlen(zram);
		len = strspn(number, "0123456789");
		if (len == 0 || !strchr(" \t", number[len]))
			continue;
		if (!read_compressed(procfd, number, len, &one) ||
		    __builtin_add_overflow(sum, one, &sum))
			return;
	}
	host->swap_ram_bytes = sum < used ? sum : used;
	host->have |= CGG_HOST_HAVE_SWAP_RAM;
}
