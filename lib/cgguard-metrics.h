/* SPDX-License-Identifier: Apache-2.0 */
/* The numbers of a guard as Prometheus reads them: a part of cgguard.h, which includes it. */
#ifndef CGGUARD_METRICS_H
#define CGGUARD_METRICS_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

struct cgg_guard;

/* Series of one name at the most: domains, and containers that something has happened to. */
#define CGG_METRICS_DOMAINS_MAX	   512
#define CGG_METRICS_CONTAINERS_MAX 128

/*
 * The guard's counters and gauges in the text format of Prometheus (0.0.4), told piece by piece like
 * cgg_guard_status(), and by the same rules: size >= CGG_STATUS_MIN, *position 0 at first, 0 when all is
 * told, by the thread that dispatches. Allocates nothing and reads no file: gauges are as of the last looks.
 * Labels are those of cAdvisor. What is counted of a container is kept after its end; of more than
 * CGG_METRICS_CONTAINERS_MAX the one that nothing has happened to for longest is added to the series with
 * the id "other". Errors: -ENOSPC size is too small. Since 0.1.
 */
long cgg_guard_metrics(const struct cgg_guard *guard, uint64_t *position, char *buf, size_t size);

#ifdef __cplusplus
}
#endif
#endif
