/* SPDX-License-Identifier: Apache-2.0 */
/* The policies that we ship: they load, and do in typical machines what their README says. */
#include "kit/policy.h"
#include "kit/snap.h"
#include "kit/t.h"

#include "policy/decide.h"
#include "util/glob.h"

#include <string.h>

static struct cgg_policy *shipped_policy(const char *file)
{
	struct cgg_error err = {0};
	struct cgg_policy *policy = kit_load_file(POLICY_DIR, file, &err);

	T_EQ_STR(err.msg, "");
	T_MUST(policy);
	return policy;
}

struct shipped_row {
	const char *file;
	size_t nrules;
	const char *rule; /* the first one, described */
};

static const struct shipped_row shipped[] = {
	{"host.json", 3,
	 "host-low: / when all(any(all(available below 5.00%, available below 2GiB), available "
	 "below "
	 "64MiB, all(available below 10.00%, time to limit below 500ms)), any(swap free below "
	 "10.00%, "
	 "full pressure above 20.00% for 2s)); candidates: unit leaf by priority, taken, gain; "
	 "then notify, "
	 "kill the group within 10s; cooldown 1s"},
	{"kubernetes.json", 6, "node-low: / when "},
	{"systemd.json", 3, "machine-low: / when "},
	{"container-limit.json", 3,
	 "scope-limit: each /**/{docker,libpod,nerdctl,cri-containerd,crio}-*.scope when all("
	 "unreclaimable above 92.00%, available below 256MiB, swap free below 10.00%); candidate: "
	 "itself; then notify, kill the group within 10s; cooldown 1s; memory.high held as a "
	 "brake"},
	{"container-host.json", 3, "container-limit: each /{**/docker-*.scope,"},
	{"supervised.json", 2,
	 "when unreclaimable above 80.00% for 10s; candidate: itself; then "
	 "notify; cooldown 600s"},
	{"desktop.json", 3, "terminate one process within 500ms, kill one process within 10s"},
	{"ci-runner.json", 5, "job-limit: each /{**/docker-*.scope,"},
	{"database.json", 4, "warn-host: / when any(available below 15.00% for 30s, "},
};

TEST(they_load_and_describe_themselves)
{
	for (size_t i = 0; i < CGG_ARRAY_LEN(shipped); i++) {
		struct cgg_policy *policy = shipped_policy(shipped[i].file);
		char text[1024];

		T_ROW(shipped[i].file);
		T_EQ_INT(policy->nrules, shipped[i].nrules);
		T_ASSERT(policy_describe(&policy->rule[0], text, sizeof(text)) < sizeof(text));
		T_HAS(text, shipped[i].rule);
		policy_free(policy);
	}
}

/* A machine, and what each rule that holds there would do: "rule domain victim; ..." in order. */
struct machine {
	const char *name, *file, *tree, *decisions;
};

#define ROOMY "host total=8Gi available=6Gi free=1Gi swap_total=0 swap_free=0 full=0s\n"
#define SHORT "host total=8Gi available=300Mi free=90Mi swap_total=0 swap_free=0 full=0s\n"
#define USER  "/user.slice/user-1000.slice/user@1000.service"
#define PODS  "/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod1.slice"
#define BEST  "/kubepods.slice/kubepods-besteffort.slice/kubepods-besteffort-pod2.slice"

static const struct machine machines[] = {
	{"nothing is near", "host.json", ROOMY "/system.slice/a.service procs=1 anon=1Gi", ""},
	{"short of memory: the largest service", "host.json",
	 SHORT "/system.slice/a.service procs=1 anon=1Gi\n/system.slice/b.service procs=9 anon=2Gi",
	 "host-low / /system.slice/b.service"},
	{"swap still helps", "host.json",
	 "host total=8Gi available=300Mi free=90Mi swap_total=8Gi swap_free=4Gi full=0s\n"
	 "/system.slice/a.service procs=1 anon=1Gi",
	 ""},
	{"300 MiB of 64 GiB is short, 3 GiB of them are enough", "host.json",
	 "host total=64Gi available=3Gi free=1Gi swap_total=0 swap_free=0 full=0s\n"
	 "/a procs=1 anon=1Gi",
	 ""},
	{"60 MiB of 512 MiB is short", "host.json",
	 "host total=512Mi available=60Mi free=10Mi swap_total=0 swap_free=0 full=0s\n"
	 "/a procs=1 anon=100Mi",
	 "host-low / /a"},
	{"a swarm dies, the database lives", "host.json",
	 SHORT "/s.scope procs=60 anon=4Gi\n/system.slice/db.service procs=1 anon=3Gi",
	 "host-low / /s.scope"},
	{"the system's own and the runtimes are left alone", "host.json",
	 SHORT "/init.scope procs=1 anon=3Gi\n/system.slice/containerd.service procs=9 anon=3Gi\n"
	       "/system.slice/ssh.service procs=9 anon=3Gi\n/openrc.sshd procs=1 anon=3Gi\n"
	       "/system.slice/systemd-journald.service procs=1 anon=3Gi\n"
	       "/system.slice/sshd@1.service procs=1 anon=3Gi\n/a procs=1 anon=100Mi",
	 "host-low / /a"},
	{"a process of a session's manager can hide nothing", "host.json",
	 SHORT USER "/init.scope procs=5 anon=3Gi\n/a procs=1 anon=100Mi",
	 "host-low / " USER "/init.scope"},
	{"a service at its own limit dies whole", "host.json",
	 ROOMY "/system.slice/a.service max=100Mi anon=99Mi\n"
	       "/system.slice/a.service/1 procs=1 anon=50Mi\n"
	       "/system.slice/a.service/2 procs=1 anon=49Mi",
	 "unit-limit /system.slice/a.service /system.slice/a.service; "
	 "group-limit /system.slice/a.service /system.slice/a.service/1"},
	{"page cache at the limit is no danger", "host.json",
	 ROOMY "/system.slice/a.service procs=1 max=100Mi current=100Mi anon=20Mi file=80Mi", ""},
	{"a slice at its limit loses its largest group", "host.json",
	 ROOMY "/my.slice max=100Mi anon=99Mi\n/my.slice/a.service procs=1 anon=50Mi\n"
	       "/my.slice/b.service procs=1 anon=49Mi",
	 "group-limit /my.slice /my.slice/a.service"},
	{"a session at its limit loses its largest service", "host.json",
	 ROOMY USER " max=100Mi anon=99Mi\n" USER "/app.slice/a.service procs=1 anon=50Mi\n" USER
		    "/init.scope procs=1 anon=2Mi",
	 "unit-limit " USER " " USER "/app.slice/a.service; group-limit " USER " " USER
	 "/app.slice/a.service"},
	{"a Docker container of the cgroupfs driver at its limit", "host.json",
	 ROOMY "/docker/c max=100Mi anon=99Mi procs=3",
	 "unit-limit /docker/c /docker/c; group-limit /docker/c /docker/c"},

	{"a node that is short: best effort first, if that helps", "kubernetes.json",
	 SHORT PODS "/cri-containerd-1.scope procs=1 anon=2Gi adj=900\n" BEST
		    "/cri-containerd-2.scope procs=1 anon=400Mi adj=1000\n"
		    "/system.slice/a.service procs=1 anon=4Gi",
	 "node-low / " BEST "/cri-containerd-2.scope"},
	{"guaranteed last, cgroupfs", "kubernetes.json",
	 SHORT "/kubepods/pod3/c procs=1 anon=2Gi adj=-997\n"
	       "/kubepods/burstable/pod1/c procs=1 anon=100Mi adj=900",
	 "node-low / /kubepods/burstable/pod1/c"},
	{"who is at -997 is passed over, and so is who can't be asked", "kubernetes.json",
	 SHORT "/kubepods/burstable/pod1/c procs=1 anon=2Gi adj=-997\n"
	       "/kubepods/burstable/pod2/c procs=1 anon=1Gi\n"
	       "/kubepods/burstable/pod3/c procs=1 anon=100Mi adj=3",
	 "node-low / /kubepods/burstable/pod3/c"},
	{"nothing but pods", "kubernetes.json", SHORT "/system.slice/a.service procs=1 anon=4Gi",
	 "node-low / -"},
	{"a container at its limit, by its memory.oom.group", "kubernetes.json",
	 ROOMY PODS "/crio-1.scope max=100Mi anon=99Mi group=1 procs=3\n" PODS
		    "/crio-2.scope max=100Mi anon=99Mi procs=3",
	 "container-limit " PODS "/crio-1.scope " PODS "/crio-1.scope; container-limit " PODS
	 "/crio-2.scope " PODS "/crio-2.scope(one process)"},
	{"the same with cgroupfs", "kubernetes.json",
	 ROOMY "/kubepods/burstable/pod1/c max=100Mi anon=99Mi group=1 procs=3",
	 "container-limit-cgroupfs /kubepods/burstable/pod1/c /kubepods/burstable/pod1/c"},
	{"a pod at its limit loses its largest container", "kubernetes.json",
	 ROOMY PODS " max=100Mi anon=99Mi\n" PODS "/crio-1.scope anon=60Mi procs=3\n" PODS
		    "/crio-2.scope anon=39Mi procs=3",
	 "pod-limit " PODS " " PODS "/crio-1.scope"},

	{"applications before services, the desktop last", "systemd.json",
	 SHORT USER "/app.slice/a.scope procs=1 anon=400Mi\n" USER
		    "/session.slice/shell.service procs=1 anon=3Gi\n"
		    "/system.slice/a.service procs=1 anon=2Gi",
	 "machine-low / " USER "/app.slice/a.scope"},
	{"a service at its MemoryMax=", "systemd.json",
	 ROOMY "/system.slice/a.service max=100Mi anon=99Mi procs=3",
	 "service-limit /system.slice/a.service /system.slice/a.service"},
	{"a user at the slice's MemoryMax=", "systemd.json",
	 ROOMY "/user.slice/user-1000.slice max=100Mi anon=99Mi\n" USER
	       "/app.slice/a.scope procs=1 anon=60Mi\n" USER "/app.slice/b.scope procs=1 anon=30Mi",
	 "user-limit /user.slice/user-1000.slice " USER "/app.slice/a.scope"},

	{"the host is nobody's business here", "container-limit.json",
	 SHORT "/system.slice/docker-1.scope procs=1 anon=4Gi", ""},
	{"containers of every engine", "container-limit.json",
	 ROOMY "/system.slice/docker-1.scope max=100Mi anon=99Mi procs=3\n"
	       "/machine.slice/libpod-1.scope/container max=100Mi anon=99Mi procs=3\n"
	       "/docker/c max=100Mi anon=99Mi procs=3\n/lxc.payload.c max=100Mi anon=99Mi procs=3",
	 "scope-limit /system.slice/docker-1.scope /system.slice/docker-1.scope; "
	 "crun-limit /machine.slice/libpod-1.scope/container "
	 "/machine.slice/libpod-1.scope/container; "
	 "cgroupfs-limit /docker/c /docker/c; cgroupfs-limit /lxc.payload.c /lxc.payload.c"},

	{"of a container host, a container, though a service is larger", "container-host.json",
	 SHORT "/system.slice/docker-1.scope procs=3 anon=1Gi\n"
	       "/user.slice/user-1000.slice/user@1000.service/user.slice/libpod-1.scope "
	       "procs=3 anon=2Gi\n/system.slice/a.service procs=1 anon=4Gi\n"
	       "/system.slice/containerd.service procs=9 anon=4Gi",
	 "host-low / /user.slice/user-1000.slice/user@1000.service/user.slice/libpod-1.scope"},
	{"and where there is none, a service", "container-host.json",
	 "host total=8Gi available=60Mi free=9Mi swap_total=0 swap_free=0 full=0s\n"
	 "/system.slice/a.service procs=1 anon=4Gi\n/system.slice/docker.service procs=9 anon=5Gi",
	 "host-low / -; host-last / /system.slice/a.service"},
	{"a container of it at its limit", "container-host.json",
	 ROOMY "/machine.slice/libpod-1.scope max=100Mi anon=93Mi procs=3\n"
	       "/docker/c max=100Mi anon=91Mi procs=3",
	 "container-limit /machine.slice/libpod-1.scope /machine.slice/libpod-1.scope"},
	{"4 GiB of 64 GiB are room enough", "container-host.json",
	 "host total=256Gi available=90Gi free=9Gi swap_total=0 swap_free=0 full=0s\n"
	 "/docker/c max=64Gi anon=60Gi procs=3",
	 ""},

	{"a supervised container gives one worker", "supervised.json",
	 ROOMY "/system.slice/docker-1.scope max=100Mi anon=91Mi procs=3",
	 "worker /system.slice/docker-1.scope /system.slice/docker-1.scope"},

	{"the browser, and no larger application, while there is time", "desktop.json",
	 "host total=16Gi available=1200Mi free=90Mi swap_total=0 swap_free=0 full=0s\n" USER
	 "/app.slice/app-gnome-firefox-42.scope procs=9 anon=2Gi\n" USER
	 "/app.slice/app-gnome-gimp-43.scope procs=1 anon=4Gi",
	 "tab / " USER "/app.slice/app-gnome-firefox-42.scope"},
	{"the application, never the shell", "desktop.json",
	 SHORT USER "/app.slice/app-gnome-gimp-43.scope procs=1 anon=1Gi\n" USER
		    "/session.slice/org.gnome.Shell@wayland.service procs=9 anon=3Gi\n" USER
		    "/init.scope procs=2 anon=3Gi\n/system.slice/gdm.service procs=1 anon=3Gi",
	 "tab / -; application / " USER "/app.slice/app-gnome-gimp-43.scope; login / -"},
	{"a session in one scope loses a process", "desktop.json",
	 SHORT "/user.slice/user-1000.slice/session-2.scope procs=90 anon=6Gi",
	 "tab / -; application / -; login / /user.slice/user-1000.slice/session-2.scope"},

	{"a job dies, the engine and the runner live", "ci-runner.json",
	 "host total=16Gi available=900Mi free=90Mi swap_total=0 swap_free=0 full=0s\n"
	 "/system.slice/docker-1.scope procs=9 anon=2Gi\n"
	 "/system.slice/docker.service procs=9 anon=4Gi\n"
	 "/system.slice/gitlab-runner.service procs=2 anon=3Gi",
	 "host-low / /system.slice/docker-1.scope; shell-job / "
	 "/system.slice/gitlab-runner.service"},
	{"a job without a container", "ci-runner.json",
	 SHORT "/system.slice/actions.runner.x.service procs=9 anon=6Gi",
	 "host-low / -; shell-job / /system.slice/actions.runner.x.service"},

	{"all but the database", "database.json",
	 SHORT "/system.slice/postgresql@15-main.service procs=90 anon=6Gi\n"
	       "/system.slice/system-postgresql.slice/postgresql@15-x.service procs=9 anon=6Gi\n"
	       "/system.slice/a.service procs=1 anon=900Mi\n"
	       "/user.slice/user-0.slice/session-1.scope procs=1 anon=500Mi",
	 "host-low / /user.slice/user-0.slice/session-1.scope; "
	 "host-last / /user.slice/user-0.slice/session-1.scope"},
	{"a database alone is the kernel's", "database.json",
	 SHORT
	 "/system.slice/system-redis\\x2dserver.slice/redis-server@1.service procs=9 anon=6Gi",
	 "host-low / -; host-last / -"},
};

#define CGROUPS_MAX 32

/* What one rule does in one domain, added to the line. */
static size_t decide(const struct cgg_policy *policy, const struct policy_rule *rule,
		     const struct cgg_snapshot *snap, uint32_t domain, char *buf, size_t size)
{
	struct policy_reading reading[POLICY_CONDS_MAX];
	struct cgg_group groups[CGROUPS_MAX];
	struct policy_held held = {0};
	uint32_t victim = CGG_NONE;
	bool found;

	/* the second look has a past to compare with */
	policy_holds(rule, snap, domain, &held, 1000000, reading);
	if (policy_holds(rule, snap, domain, &held, 2000000, reading) != POLICY_TRUE)
		return 0;
	policy_choose(policy, rule, snap, domain, &(struct policy_known){0}, groups, &victim);
	found = victim != CGG_NONE;
	return (size_t)snprintf(buf, size, "%s %s %s%s; ", rule->name, snap->cgroups[domain].path,
				found ? snap->cgroups[groups[victim].cgroup].path : "-",
				found && !groups[victim].whole ? "(one process)" : "");
}

TEST(they_do_in_typical_machines_what_their_readme_says)
{
	for (size_t i = 0; i < CGG_ARRAY_LEN(machines); i++) {
		struct cgg_policy *policy = shipped_policy(machines[i].file);
		struct cgg_snapshot *snap = kit_snap(machines[i].tree);
		char got[2048] = "";
		size_t len = 0;

		T_ROW(machines[i].name);
		T_MUST(snap->n <= CGROUPS_MAX);
		for (size_t r = 0; r < policy->nrules; r++) {
			for (uint32_t d = 0; d < snap->n; d++) {
				if (policy_is_domain(&policy->rule[r], snap->cgroups[d].path))
					len += decide(policy, &policy->rule[r], snap, d, got + len,
						      sizeof(got) - len);
			}
		}
		got[len > 2 ? len - 2 : 0] = '\0';
		T_EQ_STR(got, machines[i].decisions);
		kit_snap_free(snap);
		policy_free(policy);
	}
}

/* ---- names that users give ---------------------------------------------------------------- */

/* Cgroups that belong to a user, or to a container: who runs there makes what it likes below. */
static const char *const users[] = {
	USER,
	USER "/app.slice",
	USER "/session.slice",
	USER "/app.slice/run-r1.scope",
	USER "/user.slice/libpod-1.scope",
	"/user.slice/user-1000.slice/session-2.scope",
	"/system.slice/a.service",
	"/system.slice/docker-1.scope",
	"/machine.slice/libpod-1.scope",
	"/machine.slice/systemd-nspawn@a.service",
	"/docker/a",
	"/lxc.payload.a",
	"/libpod_parent/libpod-1",
	PODS "/cri-containerd-1.scope",
};

/* A name that the end of a glob without braces matches, its last n segments. False: there are less. */
static bool example(const char *glob, size_t n, char *ret)
{
	const char *at = glob + strlen(glob);

	for (; n > 0; n--) {
		if (at == glob)
			return false;
		while (*--at != '/')
			continue;
	}
	for (; *at; at++) {
		if (*at == '[') {
			*ret++ = at[1] == '!' ? '~' : at[1];
			at = strchr(at, ']');
		} else if (*at == '\\') {
			*ret++ = *++at;
		} else {
			*ret++ = *at == '*' || *at == '?' ? 'x' : *at;
		}
	}
	*ret = '\0';
	return true;
}

static bool covers(const char *glob, const char *path)
{
	char top[512];

	for (size_t len = strlen(path); len > 0; len--) {
		if (path[len] != '/' && path[len] != '\0')
			continue;
		snprintf(top, sizeof(top), "%.*s", (int)len, path);
		if (glob_match(glob, top))
			return true;
	}
	return false;
}

/* Whether something below a user's cgroup is matched, and not all of the cgroup: so that the name matters. */
static bool user_can_use(const char *glob, const char *user)
{
	char path[1024], name[512];

	for (size_t n = 1; !covers(glob, user) && example(glob, n, name); n++) {
		snprintf(path, sizeof(path), "%s%s", user, name);
		if (glob_match(glob, path))
			return true;
	}
	return false;
}

/* The end of an alternative, or of all of them, that begins at s. */
static const char *alternative_end(const char *s)
{
	for (int depth = 0; *s && (depth > 0 || (*s != ',' && *s != '}')); s++) {
		depth += (*s == '{') - (*s == '}');
		s += *s == '\\' && s[1];
	}
	return s;
}

/* One who can: of each way to choose among the alternatives in braces. NULL: nobody. */
static const char *who_can_use(const char *glob)
{
	const char *open = glob, *end, *at, *who = NULL;
	char one[1024];

	while (*open && *open != '{')
		open += *open == '\\' && open[1] ? 2 : 1;
	if (!*open) {
		for (size_t i = 0; i < CGG_ARRAY_LEN(users) && !who; i++)
			who = user_can_use(glob, users[i]) ? users[i] : NULL;
		return who;
	}
	for (end = open + 1; *(end = alternative_end(end)) == ',';)
		end++;
	for (at = open + 1; !who && at <= end; at = alternative_end(at) + 1) {
		snprintf(one, sizeof(one), "%.*s%.*s%s", (int)(open - glob), glob,
			 (int)(alternative_end(at) - at), at, end + 1);
		who = who_can_use(one);
	}
	return who;
}

static void check_glob(const char *glob)
{
	const char *who = who_can_use(glob);

	if (who)
		printf("# '%s' protects what is made below %s\n", glob, who);
	T_ASSERT(!who);
}

TEST(they_protect_nobody_by_a_name_that_its_user_gives)
{
	for (size_t i = 0; i < CGG_ARRAY_LEN(shipped); i++) {
		struct cgg_policy *policy = shipped_policy(shipped[i].file);

		T_ROW(shipped[i].file);
		for (size_t g = 0; g < policy->protect.n; g++)
			check_glob(policy->protect.glob[g]);
		for (size_t g = 0; g < policy->npriority; g++) {
			if (policy->priority[g].priority > 0)
				check_glob(policy->priority[g].glob);
		}
		policy_free(policy);
	}
}

TEST(a_glob_that_users_can_use_is_found)
{
	static const struct {
		const char *glob;
		bool found;
	} rows[] = {
		{"/**/podman.service", true},
		{"/user.slice/user-*.slice/user@*.service/**/{docker,podman}.service", true},
		{"/user.slice/user-*.slice/user@*.service/session.slice/**", true},
		{"/user.slice/**/app.slice/{dbus,xdg-*}.service", true},
		{"/{system.slice,user.slice/user-1000.slice/user@*.service}/[a-c]?.service", true},
		{"/user.slice/**", false},
		{"/user.slice/user-*.slice/user@*.service", false},
		{"/system.slice/{ssh,dbus}.service", false},
		{"/{openrc.,openrc/}{sshd,dbus}", false},
		{"/docker/*", false},
		{"/docker/*/db", true},
		{"/docker/a\\*b", false},
	};

	for (size_t i = 0; i < CGG_ARRAY_LEN(rows); i++) {
		T_ROW(rows[i].glob);
		T_EQ_INT(who_can_use(rows[i].glob) != NULL, rows[i].found);
	}
}
