/* SPDX-License-Identifier: Apache-2.0 */
/* The parts that records of every kind have: whose a cgroup is, a path of any length, the time. */
#include "kit/t.h"
#include "kit/tree.h"

#include "engine/incident.h"
#include "engine/record.h"
#include "hook/record.h"

#include <time.h>
#include <unistd.h>

#define ID  "46b3e0a4df44b752b841aecca454e6e78995d567912a84950390bae6f6777a63"
#define UID "94eb36cd-29e1-478b-b365-4cb5dfc7d6fb"

static char dir[512];

/* What a hook has told of a container. */
static void add(const char *path, uint64_t cgroup_id, const char *pod)
{
	struct state state = {.owner.inside = ""};
	struct place place = {.id = cgroup_id};
	int fd = record_dir(dir, true);

	T_MUST(fd >= 0);
	snprintf(state.id, sizeof(state.id), "%s", ID);
	snprintf(place.path, sizeof(place.path), "%s", path);
	snprintf(state.owner.name, sizeof(state.owner.name), "web");
	snprintf(state.owner.image, sizeof(state.owner.image), "nginx:1");
	if (*pod) {
		snprintf(state.owner.pod, sizeof(state.owner.pod), UID);
		snprintf(state.owner.pod_name, sizeof(state.owner.pod_name), "%s", pod);
		snprintf(state.owner.pod_namespace, sizeof(state.owner.pod_namespace), "shop");
	}
	T_MUST(record_write(fd, &state, &place) == 0);
	close(fd);
}

static const char *resource(const struct cgg_owners *owners, const char *path, uint64_t bound)
{
	static char buf[4096];
	struct json j;

	json_begin(&j, buf, sizeof(buf));
	json_open(&j, NULL, '{');
	record_resource(&j, owners, path, bound);
	json_close(&j, '}');
	T_MUST(json_end(&j) > 0);
	return buf;
}

TEST(a_container_is_told_by_the_names_that_its_path_and_its_runtime_give)
{
	static const struct {
		const char *path, *pod, *want;
	} rows[] = {
		{"/docker/" ID, "",
		 "{\"resource\":{\"container.runtime\":\"docker\",\"container.id\":\"" ID
		 "\",\"container.name\":\"web\",\"container.image.name\":\"nginx:1\"}}"},
		{"/kubepods/pod" UID "/crio-" ID, "shop-0",
		 "{\"resource\":{\"container.runtime\":\"cri-o\",\"container.id\":\"" ID
		 "\",\"k8s.container.name\":\"web\",\"container.image.name\":\"nginx:1\","
		 "\"k8s.pod.uid\":\"" UID "\",\"k8s.pod.name\":\"shop-0\","
		 "\"k8s.namespace.name\":\"shop\"}}"},
	};

	for (size_t i = 0; i < CGG_ARRAY_LEN(rows); i++) {
		struct cgg_owners *owners = NULL;

		T_ROW(rows[i].path);
		snprintf(dir, sizeof(dir), "%s/state", kit_tree("/x"));
		add(rows[i].path, 7, rows[i].pod);
		T_MUST(cgg_owners_open(dir, NULL, false, &owners, NULL) == 0);
		T_EQ_STR(resource(owners, rows[i].path, 7), rows[i].want);
		cgg_owners_close(owners);
	}
}

TEST(what_no_runtime_has_told_of_is_told_by_its_path_and_nothing_where_that_says_nothing)
{
	T_EQ_STR(resource(NULL, "/system.slice/cron.service", 0),
		 "{\"resource\":{\"systemd.unit\":\"cron.service\"}}");
	T_EQ_STR(resource(NULL, "/a/b", 0), "{}");
}

TEST(of_a_path_that_is_too_long_the_end_is_kept)
{
	char path[2 * INCIDENT_PATH_MAX], got[INCIDENT_PATH_MAX];

	memset(path, 'x', sizeof(path));
	memcpy(path + sizeof(path) - 5, "/end", 5);
	path[0] = '/';
	incident_path(got, path);
	T_EQ_INT(strlen(got), INCIDENT_PATH_MAX - 1);
	T_EQ_INT(strncmp(got, "...x", 4), 0);
	T_EQ_STR(got + strlen(got) - 4, "/end");
	incident_path(got, "/short");
	T_EQ_STR(got, "/short");
}

TEST(the_time_is_what_gmtime_says)
{
	char buf[128], want[48];
	time_t before = time(NULL);
	struct tm tm;
	struct json j;

	json_begin(&j, buf, sizeof(buf));
	json_open(&j, NULL, '{');
	record_time(&j, "time");
	json_close(&j, '}');
	T_MUST(json_end(&j) > 0);
	/* the second may have ended meanwhile */
	for (time_t t = before; t <= before + 1; t++) {
		T_MUST(gmtime_r(&t, &tm));
		strftime(want, sizeof(want), "{\"time\":\"%Y-%m-%dT%H:%M:%S.", &tm);
		if (strncmp(buf, want, strlen(want)) == 0)
			break;
		T_ASSERT(t == before);
	}
}
