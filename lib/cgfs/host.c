/* SPDX-License-Identifier: Apache-2.0 */
#include "cgfs/host.h"

#include "cgfs/memory.h"
#include "util/fdio.h"

#include <errno.h>
#include <string.h>

/* "Key:   123 kB" */
static bool meminfo(const char *text, const char *key, uint64_t *ret_bytes)
{
	size_t len = strlen(key);

	for (const char *p = text; p; p = strchr(p, '\n') ? strchr(p, '\n') + 1 : NULL) {
		uint64_t kb = 0;

		if (strncmp(p, key, len) != 0 || p[len] != ':')
			continue;
		for (p += len + 1; *p == ' '; p++)
			;
		if (*p < '0' || *p > '9')
			return false;
		for (; *p >= '0' && *p <= '9'; p++)
			kb = kb * 10 + (uint64_t)(*p - '0');
		*ret_bytes = kb * 1024;
		return true;
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
	char buf[16384], *p;
	uint64_t v = 0;

	if (fdio_read_at(procfd, "vmstat", buf, sizeof(buf)) < 0)
		return;
	p = strstr(buf, "\noom_kill ");
	if (!p)
		return;
	for (p += strlen("\noom_kill "); *p >= '0' && *p <= '9'; p++)
		v = v * 10 + (uint64_t)(*p - '0');
	h->oom_kill = v;
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
