/* SPDX-License-Identifier: Apache-2.0 */
/* The parts that records of every kind have. */
#include "engine/record.h"

#include "engine/guard.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

void incident_path(char *ret, const char *path)
{
	size_t len = strlen(path);

	if (len < INCIDENT_PATH_MAX)
		memcpy(ret, path, len + 1);
	else /* the tail tells more than the head */
		snprintf(ret, INCIDENT_PATH_MAX, "...%s", path + len - (INCIDENT_PATH_MAX - 4));
}

/* "2026-11-22T23:54:49.123456Z". gmtime_r(3) may read files and allocate at its first call. */
void record_time(struct json *j, const char *key)
{
	struct timespec ts;
	char text[96]; /* as long as the compiler can imagine it */
	int64_t days, era, doe, yoe, doy, mp;
	unsigned int secs;

	clock_gettime(CLOCK_REALTIME, &ts);
	/* days to civil date: Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms" */
	days = ts.tv_sec / 86400 + 719468;
	secs = (unsigned int)(ts.tv_sec % 86400);
	era = days / 146097;
	doe = days - era * 146097;
	yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365;
	doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
	mp = (5 * doy + 2) / 153;
	snprintf(text, sizeof(text), "%04d-%02d-%02dT%02u:%02u:%02u.%06uZ",
		 (int)(yoe + era * 400 + (mp >= 10)), (int)(mp < 10 ? mp + 3 : mp - 9),
		 (int)(doy - (153 * mp + 2) / 5 + 1), secs / 3600, secs / 60 % 60, secs % 60,
		 (unsigned int)(ts.tv_nsec / 1000) % 1000000);
	json_str(j, key, text);
}

static void put_known(struct json *j, const char *key, const char *value)
{
	if (*value)
		json_str(j, key, value);
}

void record_resource(struct json *j, const struct cgg_owners *owners, const char *path,
		     uint64_t bound)
{
	struct cgg_owner o;

	if (!owners_find(owners, path, bound, &o))
		return;
	json_open(j, "resource", '{');
	put_known(j, "container.runtime", o.runtime);
	put_known(j, "container.id", o.container);
	put_known(j, o.pod_name[0] ? "k8s.container.name" : "container.name", o.name);
	put_known(j, "container.image.name", o.image);
	put_known(j, "k8s.pod.uid", o.pod);
	put_known(j, "k8s.pod.name", o.pod_name);
	put_known(j, "k8s.namespace.name", o.pod_namespace);
	put_known(j, "systemd.unit", o.unit);
	json_close(j, '}');
}
