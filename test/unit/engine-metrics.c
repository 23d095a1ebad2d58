/* SPDX-License-Identifier: Apache-2.0 */
/* What Prometheus is told: in its format, whole in pieces, and of containers that are no more. */
#include "kit/policy.h"
#include "kit/snap.h"
#include "kit/t.h"

#include "engine/guard.h"
#include "util/clock.h"

#include <errno.h>
#include <sys/wait.h>

#define ALL_SIZE ((size_t)8 << 20)

#define DOCKER                                                                                     \
	"/system.slice/"                                                                           \
	"docker-0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef.scope"

static void *keep(void *p)
{
	static void *kept[64];
	static size_t n;

	T_MUST(p && n < CGG_ARRAY_LEN(kept));
	kept[n++] = p;
	return p;
}

static struct cgg_guard *guard_of(const char *tree)
{
	static const char policy[] =
		"{\"version\": 1, \"rules\": [{\"name\": \"box\", \"each\": \"/**\", "
		"\"when\": {\"unreclaimable_above\": \"50%\"}, \"then\": [{\"action\": "
		"\"kill\"}]}]}";
	struct cgg_guard *g = keep(calloc(1, sizeof(*g)));
	struct cgg_snapshot *snap = keep(kit_snap(tree));
	struct cgg_error err = {0};

	g->policy = keep(kit_load(policy, &err));
	g->view.snap = *snap;
	g->domains.slot = keep(calloc(snap->n, sizeof(*g->domains.slot)));
	g->look.root_has_current = true;
	g->domains.n = snap->n;
	g->started_us = clock_now_us();
	for (uint32_t i = 0; i < snap->n; i++)
		g->domains.slot[i] =
			(struct guard_domain){.used = true,
					      .id = snap->cgroups[i].id,
					      .index = i,
					      .looked_us = clock_now_us(),
					      .level_bytes = snap->cgroups[i].current_bytes};
	return g;
}

static const char *told(const struct cgg_guard *g, size_t size)
{
	char *all = keep(calloc(1, ALL_SIZE)), *piece = malloc(size);
	uint64_t position = 0;
	size_t len = 0;
	long n;

	T_MUST(piece);
	while ((n = cgg_guard_metrics(g, &position, piece, size)) > 0) {
		T_MUST((size_t)n < size && len + (size_t)n < ALL_SIZE && piece[n] == '\0');
		memcpy(all + len, piece, (size_t)n);
		len += (size_t)n;
	}
	T_EQ_INT(n, 0);
	free(piece);
	return all;
}

TEST(counters_and_gauges_have_their_values)
{
	struct cgg_guard *g = guard_of("/a max=100Mi current=40Mi anon=30Mi");
	const char *text;

	g->count.wakeups = 7;
	g->count.by_kmsg = 3;
	g->brakes.drift = 2;
	g->resets.undone = 3;
	g->files.limit = 8192;
	g->files.nrefused = 4;
	g->files.watches[WATCHES_OF_EVENTS].nused = 5;
	metrics_incident(g, "killed", "/a", 0, true, 4096);
	metrics_incident(g, "killed", "/a", 0, true, 4096);
	metrics_incident(g, "averted", "/a", 0, false, 0);
	text = told(g, CGG_STATUS_MIN);
	T_HAS(text, "\n# TYPE cgguard_loop_wakeups_total counter\ncgguard_loop_wakeups_total 7\n");
	T_HAS(text, "cgguard_wakeups_total{cause=\"kmsg\"} 3\n");
	T_HAS(text, "cgguard_brake_drift_total 2\n");
	T_HAS(text, "cgguard_inotify_watches{of=\"directories\"} 0\n"
		    "cgguard_inotify_watches{of=\"files\"} 5\n");
	T_HAS(text, "cgguard_inotify_watches_limit 8192\n");
	T_HAS(text, "cgguard_inotify_watches_refused_total 4\n");
	T_HAS(text, "cgguard_resets_undone_total 3\n");
	T_HAS(text, "cgguard_incidents_total{outcome=\"killed\"} 2\n");
	T_HAS(text, "cgguard_incidents_total{outcome=\"averted\"} 1\n");
	T_HAS(text, "cgguard_freed_bytes_total 8192\n");
	T_HAS(text, "cgguard_container_kills_total{id=\"/a\"} 2\n");
	T_HAS(text, "cgguard_domain_memory_bytes{rule=\"box\",id=\"/a\"} 41943040\n");
	T_HAS(text, "cgguard_domain_limit_bytes{rule=\"box\",id=\"/a\"} 104857600\n");
	T_HAS(text, "cgguard_domain_headroom_bytes{rule=\"box\",id=\"/a\"} 10485760\n");
	T_HAS(text, "cgguard_domain_unreclaimable_ratio{rule=\"box\",id=\"/a\"} 0.3000\n");
}

TEST(what_is_unknown_is_not_told)
{
	const char *text = told(guard_of("/a current=40Mi"), CGG_STATUS_MIN);

	T_ASSERT(!strstr(text, "cgguard_domain_limit_bytes{"));
	T_ASSERT(!strstr(text, "cgguard_domain_headroom_bytes{"));
	T_ASSERT(!strstr(text, "cgguard_domain_unreclaimable_ratio{"));
	T_ASSERT(!strstr(text, "cgguard_container_"
			       "oom_events_total{"));
}

TEST(a_container_is_counted_after_its_end)
{
	struct cgg_guard *g = guard_of("/a current=1Mi");

	metrics_kernel(g, DOCKER, 0, 3);
	metrics_kernel(g, DOCKER, 0, 1);
	T_HAS(told(g, CGG_STATUS_MIN),
	      "cgguard_container_oom_events_total{id=\"" DOCKER
	      "\",name=\"0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef\"} 2\n");
	T_HAS(told(g, CGG_STATUS_MIN), "cgguard_container_oom_killed_processes_total{id=\"" DOCKER);
}

TEST(of_too_many_containers_nothing_is_lost)
{
	struct cgg_guard *g = guard_of("/a current=1Mi");
	uint64_t sum = 0, series = 0;
	char path[32];

	for (int i = 0; i < 1000; i++) {
		snprintf(path, sizeof(path), "/c/%d", i);
		metrics_kernel(g, path, 0, 1);
	}
	metrics_kernel(g, "", 0, 1); /* nobody knows where */
	for (const char *at = told(g, CGG_STATUS_MIN);
	     (at = strstr(at, "\ncgguard_container_oom_events_total{"));) {
		at = strchr(at, '}') + 2;
		sum += strtoull(at, NULL, 10);
		series++;
	}
	T_EQ_INT(sum, 1001);
	T_EQ_INT(series, CGG_METRICS_CONTAINERS_MAX + 1);
	T_HAS(told(g, CGG_STATUS_MIN), "{id=\"other\"} 873\n");
	T_HAS(told(g, CGG_STATUS_MIN), "{id=\"/c/999\"} 1\n");
}

TEST(a_name_of_any_bytes_breaks_no_line)
{
	struct cgg_guard *g = guard_of("/a current=1Mi");

	metrics_kernel(g, "/a\"b\\c\nd\x01\xff}", 0, 1);
	T_HAS(told(g, CGG_STATUS_MIN), "{id=\"/a\\\"b\\\\x5cc\\\\x0ad\\\\x01\\\\xff}\"} 1\n");
}

TEST(pieces_of_any_size_are_the_same_text)
{
	struct cgg_guard *g = guard_of("/a max=1Gi current=1Mi\n/b current=1Mi\n/c current=1Mi");
	char path[512];

	for (int i = 0; i < 100; i++) {
		snprintf(path, sizeof(path), "/%0400d", i);
		metrics_kernel(g, path, 0, 1);
	}
	T_EQ_STR(told(g, CGG_STATUS_MIN), told(g, 1 << 20));
	T_EQ_INT(cgg_guard_metrics(g, &(uint64_t){0}, path, sizeof(path)), -ENOSPC);
}

TEST(promtool_finds_nothing_wrong)
{
	struct cgg_guard *g = guard_of("/a max=100Mi current=40Mi anon=30Mi\n" DOCKER
				       " max=10Mi current=4Mi anon=3Mi");
	int status;
	FILE *f;

	metrics_kernel(g, DOCKER, 0, 3);
	metrics_kernel(g, "/a\"b\\c\nd\x01\xff}", 0, 1);
	metrics_incident(g, "killed", DOCKER, 0, true, 4096);
	f = popen("command -v promtool >/dev/null || { cat >/dev/null; exit 127; }; "
		  "promtool check metrics >&2",
		  "w");
	T_MUST(f);
	fputs(told(g, CGG_STATUS_MIN), f);
	status = pclose(f);
	if (WIFEXITED(status) && WEXITSTATUS(status) == 127)
		T_SKIP("no promtool here (Debian: prometheus)");
	else
		T_EQ_INT(status, 0);
}
