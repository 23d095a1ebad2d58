/* SPDX-License-Identifier: Apache-2.0 */
/* Read meminfo and vmstat's count of OOM kills. */
#include "cgfs/host.h"

#include "cgfs/memory.h"
#include "util/fdio.h"
#include "util/parse.h"

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
