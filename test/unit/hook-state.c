/* SPDX-License-Identifier: Apache-2.0 */
/* What a hook makes of a state: what it is not misled by, what it sets, what it registers. */
#include "kit/t.h"
#include "kit/tree.h"

#include "hook/record.h"
#include "hook/state.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

#define ID   "46b3e0a4df44b752b841aecca454e6e78995d567912a84950390bae6f6777a63"
#define UID  "94eb36cd-29e1-478b-b365-4cb5dfc7d6fb"
#define BOX  "/libpod-" ID ".scope/container"
#define CRIO "/kubepods/crio-" ID

/* Bundles, as engines name them; their last part is the id. */
#define CRI_TASK     "/run/containerd/io.containerd.runtime.v2.task/k8s.io/"
#define NERDCTL_TASK "/run/containerd/io.containerd.runtime.v2.task/default/"
#define STORAGE(id)  "/run/containers/storage/overlay-containers/" id "/userdata"

/* A machine with the process 50 in a container, and the hook elsewhere. */
#define MACHINE                                                                                    \
	"root cgroup\n"                                                                            \
	"/hook cgroup.procs=9\n" BOX " memory.events=x memory.oom.group=1 memory.high=max "        \
	"memory.max=268435456 memory.swap.max=1048576\n" CRIO " cgroup.procs=52\n"                 \
	"/bare cgroup.procs=60\n"                                                                  \
	"proc/self cgroup='0::/hook\\n'\n"                                                         \
	"proc/50 cgroup='1:name=systemd:/x\\n0::" BOX "\\n'\n"                                     \
	"proc/52 cgroup='0::" CRIO "\\n'\n"                                                        \
	"proc/60 cgroup='0::/bare\\n'\n"                                                           \
	"proc/70 cgroup='0::/hook\\n'\n"                                                           \
	"proc/71 cgroup='0::/\\n'\n"                                                               \
	"proc/72 cgroup='0::/../other\\n'\n"                                                       \
	"proc/73 cgroup='0::/gone (deleted)\\n'\n"                                                 \
	"proc/74 cgroup='0::/..nearly\\n'\n"                                                       \
	"/..nearly cgroup.procs=74\n"

static char notes[4096];

static void on_note(void *user, const char *text)
{
	size_t len = strlen(notes);

	(void)user;
	snprintf(notes + len, sizeof(notes) - len, "%s\n", text);
}

/* Begin (or end) on a fresh machine; top says where that is. */
static int run(const char **top, bool begin, uint32_t allow, const char *state,
	       struct cgg_error *err)
{
	static char dirs[3][512];
	struct cgg_hook_options o = {.allow = allow,
				     .high_min_bytes = 32U << 20,
				     .note = on_note,
				     .state_dir = dirs[0],
				     .cgroup_dir = dirs[1],
				     .proc_dir = dirs[2]};

	if (!*top)
		*top = kit_tree(MACHINE);
	snprintf(dirs[0], sizeof(dirs[0]), "%s/state", *top);
	snprintf(dirs[1], sizeof(dirs[1]), "%s/cgroup", *top);
	snprintf(dirs[2], sizeof(dirs[2]), "%s/proc", *top);
	notes[0] = '\0';
	return begin ? cgg_hook_begin(&o, state, strlen(state), err)
		     : cgg_hook_end(&o, state, strlen(state), err);
}

static const char *read_value(const char *top, const char *cgroup, const char *file)
{
	static char text[256];
	char path[1024];
	int fd;
	ssize_t n;

	snprintf(path, sizeof(path), "%s/cgroup%s/%s", top, cgroup, file);
	fd = open(path, O_RDONLY);
	n = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);
	T_MUST(n >= 0);
	close(fd);
	text[n] = '\0';
	text[strcspn(text, "\n")] = '\0';
	return text;
}

static int record_of(const char *top, const char *id, struct record *ret)
{
	char dir[512], name[256];
	int fd, r;

	snprintf(dir, sizeof(dir), "%s/state", top);
	snprintf(name, sizeof(name), "%s.json", id);
	fd = record_dir(dir, false);
	if (fd < 0)
		return fd;
	r = record_read(fd, name, ret);
	close(fd);
	return r;
}

/* ---- bad states ---------------------------------------------------------------------- */

TEST(a_state_that_can_not_be_used_is_refused_with_the_reason)
{
	static const struct {
		const char *state;
		int code;
		const char *why;
	} rows[] = {
		{"", -EINVAL, "is empty"},
		{" ", -EINVAL, "the text ends"},
		{"{", -EINVAL, "the text ends"},
		{"[]", -EINVAL, "no JSON object"},
		{"\"x\"", -EINVAL, "no JSON object"},
		{"{\"id\":\"x\",\"pid\":50,}", -EINVAL, "no JSON"},
		{"{'id':'x'}", -EINVAL, "double quotes"},
		{"{\"id\":\"\xff\"}", -EINVAL, "UTF-8"},
		{"{\"id\":\"x\",\"id\":\"y\",\"pid\":50}", -EINVAL, "\"id\" twice"},
		{"{\"pid\":50}", -EINVAL, "no \"id\""},
		{"{\"id\":7,\"pid\":50}", -EINVAL, "no \"id\""},
		{"{\"id\":\"\",\"pid\":50}", -EINVAL, "none of a container"},
		{"{\"id\":\"..\",\"pid\":50}", -EINVAL, "none of a container"},
		{"{\"id\":\"a/b\",\"pid\":50}", -EINVAL, "none of a container"},
		{"{\"id\":\"a\\nb\",\"pid\":50}", -EINVAL, "none of a container"},
		{"{\"id\":\"" ID ID "\",\"pid\":50}", -EINVAL, "none of a container"},
		{"{\"id\":\"x\"}", -EINVAL, "\"pid\" is 0"},
		{"{\"id\":\"x\",\"pid\":0,\"status\":\"created\"}", -EINVAL, "\"pid\" is 0"},
		{"{\"id\":\"x\",\"pid\":1,\"status\":\"creating\"}", -EINVAL, "\"pid\" is 1"},
		{"{\"id\":\"x\",\"pid\":-1}", -EINVAL, "\"pid\" is 0"},
		{"{\"id\":\"x\",\"pid\":\"50\"}", -EINVAL, "\"pid\" is 0"},
		{"{\"id\":\"x\",\"pid\":5e1}", -EINVAL, "\"pid\" is 0"},
		{"{\"id\":\"x\",\"pid\":99999999999999999999}", -EINVAL, "\"pid\" is 0"},
		{"{\"id\":\"x\",\"pid\":51}", -ESRCH, "has ended"},
		{"{\"id\":\"x\",\"pid\":50,\"status\":\"stopped\"}", -ESRCH, "stopped"},
		{"{\"id\":\"x\",\"pid\":70}", -ENOENT, "holds the hook as well"},
		{"{\"id\":\"x\",\"pid\":71}", -ENOENT, "holds the hook as well"},
		{"{\"id\":\"x\",\"pid\":72}", -EINVAL, "cgroup namespace"},
		{"{\"id\":\"x\",\"pid\":73}", -ENOENT, "gone (deleted)"},
	};

	for (size_t i = 0; i < CGG_ARRAY_LEN(rows); i++) {
		struct cgg_error err = {0};
		struct record record;
		const char *top = NULL;

		T_ROW(rows[i].state);
		T_EQ_INT(run(&top, true, CGG_HOOK_ALL, rows[i].state, &err), rows[i].code);
		T_HAS(err.msg, rows[i].why);
		T_EQ_STR(notes, "");
		T_EQ_INT(record_of(top, "x", &record), -ENOENT);
	}
}

TEST(a_state_larger_than_its_bound_is_refused)
{
	struct cgg_hook_options o = {0};
	struct cgg_error err = {0};

	T_EQ_INT(cgg_hook_begin(&o, "", CGG_HOOK_TEXT_MAX + 1, &err), -EINVAL);
	T_HAS(err.msg, "larger");
	T_EQ_INT(cgg_hook_end(&o, "", CGG_HOOK_TEXT_MAX + 1, &err), -EINVAL);
}

/* What is not ours is no matter: another version's members, an annotation of any form. */
TEST(what_is_unknown_is_passed_over)
{
	const char *top = NULL;

	T_EQ_INT(
		run(&top, true, CGG_HOOK_ALL,
		    "{\"ociVersion\":\"9.9\",\"id\":\"x\",\"pid\":74,\"root\":\"/r\",\"more\":[{}],"
		    "\"annotations\":{\"a\":\"b\",\"io.cgguardian\":\"1\",\"c\":null}}",
		    NULL),
		0);
	T_EQ_STR(notes, "");
}

/* ---- what is set ---------------------------------------------------------------------- */

TEST(annotations_are_set_within_the_bounds)
{
	static const struct {
		const char *name, *value, *file, *want, *why;
		uint32_t allow;
	} rows[] = {
		{"memory.oom.group", "0", "memory.oom.group", "0", "", CGG_HOOK_ALL},
		{"memory.oom.group", "2", "memory.oom.group", "1", "0 or 1", CGG_HOOK_ALL},
		{"memory.oom.group", "", "memory.oom.group", "1", "0 or 1", CGG_HOOK_ALL},
		{"memory.oom.group", "0", "memory.oom.group", "1", "host does not allow",
		 CGG_HOOK_HIGH},
		{"memory.high", "128Mi", "memory.high", "134217728", "", CGG_HOOK_ALL},
		{"memory.high", "50%", "memory.high", "134217728", "", CGG_HOOK_ALL},
		{"memory.high", "134217729", "memory.high", "134217728", "", CGG_HOOK_ALL},
		{"memory.high", "31Mi", "memory.high", "max", "below the least", CGG_HOOK_ALL},
		{"memory.high", "0", "memory.high", "max", "below the least", CGG_HOOK_ALL},
		{"memory.high", "257Mi", "memory.high", "max", "above memory.max", CGG_HOOK_ALL},
		{"memory.high", "101%", "memory.high", "max", "it is a size", CGG_HOOK_ALL},
		{"memory.high", "max", "memory.high", "max", "it is a size", CGG_HOOK_ALL},
		{"memory.high", "128M", "memory.high", "max", "it is a size", CGG_HOOK_ALL},
		{"memory.high", "-1", "memory.high", "max", "it is a size", CGG_HOOK_ALL},
		{"memory.high", "128Mi", "memory.high", "max", "host does not allow", 0},
		{"memory.high/web", "128Mi", "memory.high", "134217728", "", CGG_HOOK_ALL},
		{"memory.high/db", "128Mi", "memory.high", "max", "", CGG_HOOK_ALL},
		/* a plain file keeps what is behind */
		{"memory.swap.max", "0", "memory.swap.max", "0048576", "", CGG_HOOK_ALL},
		{"memory.swap.max", "1Mi", "memory.swap.max", "1048576", "", CGG_HOOK_ALL},
		{"memory.swap.max", "2Mi", "memory.swap.max", "1048576", "above what the runtime",
		 CGG_HOOK_ALL},
		{"memory.max", "1Gi", "memory.max", "268435456", "no annotation", CGG_HOOK_ALL},
		{"memory.highest", "1Gi", "memory.high", "max", "no annotation", CGG_HOOK_ALL},
	};

	for (size_t i = 0; i < CGG_ARRAY_LEN(rows); i++) {
		const char *top = NULL;
		char state[512];

		snprintf(state, sizeof(state),
			 "{\"id\":\"x\",\"pid\":50,\"bundle\":\"" CRI_TASK "x\",\"annotations\":{"
			 "\"io.cgguard.%s\":\"%s\",\"io.kubernetes.cri.container-type\":"
			 "\"container\",\"io.kubernetes.cri.container-name\":\"web\"}}",
			 rows[i].name, rows[i].value);
		T_ROW(state);
		T_EQ_INT(run(&top, true, rows[i].allow, state, NULL), *rows[i].why ? 1 : 0);
		T_EQ_STR(read_value(top, BOX, rows[i].file), rows[i].want);
		T_HAS(notes, rows[i].why);
	}
}

/* For the guard, that puts it back: what was set, where, and what stood there. */
TEST(each_value_has_the_name_of_its_file)
{
	T_EQ_STR(cgg_hook_value_name(0), "memory.oom.group");
	T_EQ_STR(cgg_hook_value_name(1), "memory.high");
	T_EQ_STR(cgg_hook_value_name(2), "memory.swap.max");
	T_EQ_INT(1U << 3, CGG_HOOK_ALL + 1);
	T_ASSERT(!cgg_hook_value_name(3));
}

TEST(what_was_set_is_registered_and_what_was_refused_is_not)
{
	struct record record;
	const char *top = NULL;
	char path[1024];
	struct stat st;

	T_EQ_INT(run(&top, true, CGG_HOOK_ALL,
		     "{\"id\":\"x\",\"pid\":50,\"annotations\":{"
		     "\"io.cgguard.memory.high\":\"50%\",\"io.cgguard.memory.swap.max\":\"2Mi\","
		     "\"io.cgguard.memory.oom.group\":\"0\"}}",
		     NULL),
		 1);
	T_EQ_INT(record_of(top, "x", &record), 0);
	snprintf(path, sizeof(path), "%s/cgroup%s", top, BOX);
	T_MUST(stat(path, &st) == 0);
	T_EQ_INT((long long)record.applied.id, (long long)st.st_ino);
	T_EQ_STR(record.applied.set[0].value, "0");
	T_EQ_STR(record.applied.set[0].before, "1");
	T_EQ_STR(record.applied.set[1].value, "134217728");
	T_EQ_STR(record.applied.set[1].before, "max");
	T_EQ_STR(record.applied.set[2].value, "");
	top = NULL;
	T_EQ_INT(run(&top, true, CGG_HOOK_ALL, "{\"id\":\"x\",\"pid\":50}", NULL), 0);
	T_EQ_INT(record_of(top, "x", &record), 0);
	T_EQ_INT((long long)record.applied.id, 0);
}

TEST(what_is_said_of_one_container_counts_before_what_is_said_of_the_pod)
{
	const char *top = NULL;

	T_EQ_INT(run(&top, true, CGG_HOOK_ALL,
		     "{\"id\":\"x\",\"pid\":50,\"bundle\":\"" CRI_TASK "x\",\"annotations\":{"
		     "\"io.cgguard.memory.high/web\":\"64Mi\",\"io.cgguard.memory.high\":\"128Mi\","
		     "\"io.kubernetes.cri.container-type\":\"container\","
		     "\"io.kubernetes.cri.container-name\":\"web\"}}",
		     NULL),
		 0);
	T_EQ_STR(read_value(top, BOX, "memory.high"), "67108864");
}

TEST(a_sandbox_is_left_as_it_is)
{
	struct record record;
	const char *top = NULL;

	T_EQ_INT(run(&top, true, CGG_HOOK_ALL,
		     "{\"id\":\"x\",\"pid\":50,\"bundle\":\"" CRI_TASK
		     "x\",\"annotations\":{\"io.cgguard.memory.high\":\"64Mi\","
		     "\"io.kubernetes.cri.container-type\":\"sandbox\"}}",
		     NULL),
		 0);
	T_EQ_STR(read_value(top, BOX, "memory.high"), "max");
	T_EQ_INT(record_of(top, "x", &record), 0);
	T_ASSERT(record.sandbox);
}

TEST(a_cgroup_without_memory_is_told_of_and_registered)
{
	struct record record;
	const char *top = NULL;

	T_EQ_INT(run(&top, true, CGG_HOOK_ALL,
		     "{\"id\":\"x\",\"pid\":60,\"annotations\":{\"io.cgguard.memory.high\":"
		     "\"64Mi\"}}",
		     NULL),
		 1);
	T_HAS(notes, "no memory controller");
	T_EQ_INT(record_of(top, "x", &record), 0);
	T_EQ_STR(record.path, "/bare");
}

/* ---- who is registered ----------------------------------------------------------------- */

/* What others write into annotations and labels: names, and the words of every engine. */
#define CLAIMS                                                                                     \
	"\"io.kubernetes.cri.container-name\":\"etcd\","                                           \
	"\"io.kubernetes.cri.container-type\":\"sandbox\","                                        \
	"\"io.kubernetes.cri.image-name\":\"registry.k8s.io/etcd\","                               \
	"\"io.kubernetes.cri.sandbox-name\":\"etcd-0\","                                           \
	"\"io.kubernetes.cri.sandbox-namespace\":\"kube-system\","                                 \
	"\"io.kubernetes.cri.sandbox-uid\":\"11111111-29e1-478b-b365-4cb5dfc7d6fb\","              \
	"\"nerdctl/name\":\"etcd\""
#define CRIO_CLAIMS                                                                                \
	"\"io.kubernetes.container.name\":\"etcd\",\"io.kubernetes.pod.name\":\"etcd-0\","         \
	"\"io.kubernetes.pod.namespace\":\"kube-system\","                                         \
	"\"io.kubernetes.pod.uid\":\"11111111-29e1-478b-b365-4cb5dfc7d6fb\","                      \
	"\"io.kubernetes.cri-o.ImageName\":\"registry.k8s.io/etcd\","                              \
	"\"io.kubernetes.cri-o.ContainerType\":\"sandbox\""
#define CRIO_SAYS                                                                                  \
	"\"io.container.manager\":\"cri-o\",\"io.kubernetes.cri-o.ContainerType\":\"container\","  \
	"\"io.kubernetes.container.name\":\"web\","                                                \
	"\"io.kubernetes.cri-o.ImageName\":\"quay.io\\/nginx\","                                   \
	"\"io.kubernetes.pod.name\":\"shop-0\",\"io.kubernetes.pod.namespace\":\"prod\","          \
	"\"io.kubernetes.pod.uid\":\"" UID "\""
#define CRI_SAYS                                                                                   \
	"\"io.kubernetes.cri.container-type\":\"container\","                                      \
	"\"io.kubernetes.cri.container-name\":\"web\","                                            \
	"\"io.kubernetes.cri.image-name\":\"docker.io/library/nginx:1\","                          \
	"\"io.kubernetes.cri.sandbox-name\":\"shop-0\","                                           \
	"\"io.kubernetes.cri.sandbox-namespace\":\"prod\","                                        \
	"\"io.kubernetes.cri.sandbox-uid\":\"" UID "\""
#define LIBPOD "\"io.container.manager\":\"libpod\""

TEST(each_engines_names_are_registered_and_no_others)
{
	static const struct {
		unsigned int pid;
		const char *bundle, *annotations, *runtime, *name, *image, *pod, *pod_name, *space;
	} rows[] = {
		{50, "", "", "", "", "", "", "", ""},
		{50, CRI_TASK ID, CRI_SAYS, "containerd", "web", "docker.io/library/nginx:1", UID,
		 "shop-0", "prod"},
		{50, CRI_TASK ID, CRI_SAYS "," CRIO_CLAIMS ",\"nerdctl/name\":\"etcd\"," LIBPOD,
		 "containerd", "web", "docker.io/library/nginx:1", UID, "shop-0", "prod"},
		{52, STORAGE(ID), CRIO_SAYS, "cri-o", "web", "quay.io/nginx", UID, "shop-0",
		 "prod"},
		{52, STORAGE(ID), CLAIMS "," CRIO_SAYS, "cri-o", "web", "quay.io/nginx", UID,
		 "shop-0", "prod"},
		/* what nobody could say so is not believed: no engine is known */
		{50, "", CRI_SAYS "," LIBPOD, "", "", "", "", "", ""},
		{50, "/run/x", CRIO_SAYS, "", "", "", "", "", ""},
		{50, CRI_TASK "other", CRI_SAYS, "", "", "", "", "", ""},
		{50, "/srv/moby/x", CRI_SAYS, "", "", "", "", "", ""},
		{50, "/-containers/" ID "/userdata", CRI_SAYS "," LIBPOD, "", "", "", "", "", ""},
		{50, "/x-containers/" ID "/userdata", CRI_SAYS, "podman", "", "", "", "", ""},
		{50, "/run/k8s.io/" ID, CRI_SAYS, "", "", "", "", "", ""},
		{50, "/k8s.io/" ID, CRI_SAYS, "", "", "", "", "", ""},
		{50, ID, CRI_SAYS, "", "", "", "", "", ""},
		/* in containerd, of another client */
		{50, NERDCTL_TASK ID, CRI_SAYS "," CRIO_CLAIMS, "containerd", "", "", "", "", ""},
		{50, NERDCTL_TASK ID, CRIO_CLAIMS ",\"nerdctl/name\":\"web\"", "containerd", "web",
		 "", "", "", ""},
		{50, CRI_TASK ID, "\"nerdctl/name\":\"web\"", "containerd", "web", "", "", "", ""},
		/* a sandbox of the kubelet's has no name to be claimed */
		{50, CRI_TASK ID,
		 "\"io.kubernetes.cri.container-type\":\"sandbox\",\"nerdctl/name\":\"etcd\"",
		 "containerd", "", "", "", "", ""},
		{50, STORAGE(ID), LIBPOD "," CLAIMS "," CRIO_CLAIMS, "podman", "", "", "", "", ""},
		{50, STORAGE(ID), LIBPOD ",\"io.kubernetes.cri-o.SandboxID\":\"" ID "\"", "podman",
		 "", "", ID, "", ""},
		/* by the cgroup that the engine has made, whatever a pod or a user says */
		{52, STORAGE(ID), LIBPOD "," CRIO_CLAIMS, "cri-o", "", "", "", "", ""},
		{50, STORAGE(ID), "\"io.container.manager\":\"cri-o\"," CRIO_CLAIMS, "podman", "",
		 "", "", "", ""},
		{50, STORAGE(ID), CLAIMS "," CRIO_CLAIMS, "podman", "", "", "", "", ""},
		{52, STORAGE(ID),
		 "\"io.container.manager\":\"cri-o\",\"io.kubernetes.container.name\":"
		 "\"a\\u00e9\\\"b\"",
		 "cri-o", "a\xc3\xa9\"b", "", "", "", ""},
	};

	for (size_t i = 0; i < CGG_ARRAY_LEN(rows); i++) {
		const char *top = NULL;
		struct record record;
		char state[4096];

		snprintf(state, sizeof(state),
			 "{\"id\":\"" ID "\",\"pid\":%u,\"bundle\":\"%s\",\"annotations\":{%s}}",
			 rows[i].pid, rows[i].bundle, rows[i].annotations);
		T_ROW(state);
		T_EQ_INT(run(&top, true, 0, state, NULL), 0);
		T_EQ_INT(record_of(top, ID, &record), 0);
		T_EQ_STR(record.id, ID);
		T_EQ_STR(record.path, rows[i].pid == 50 ? BOX : CRIO);
		T_ASSERT(record.cgroup_id != 0);
		T_EQ_STR(record.owner.runtime, rows[i].runtime);
		T_EQ_STR(record.owner.name, rows[i].name);
		T_EQ_STR(record.owner.image, rows[i].image);
		T_EQ_STR(record.owner.pod, rows[i].pod);
		T_EQ_STR(record.owner.pod_name, rows[i].pod_name);
		T_EQ_STR(record.owner.pod_namespace, rows[i].space);
		T_EQ_INT(run(&top, false, 0, "{\"id\":\"" ID "\",\"pid\":0}", NULL), 0);
		T_EQ_INT(record_of(top, ID, &record), -ENOENT);
		T_EQ_INT(run(&top, false, 0, "{\"id\":\"" ID "\"}", NULL), 0);
	}
}

/* An ask is not dropped because somebody says that nobody could have asked. */
TEST(only_the_engine_makes_a_sandbox)
{
	static const struct {
		unsigned int pid;
		const char *bundle, *annotations;
		bool sandbox;
	} rows[] = {
		{50, "", CLAIMS "," CRIO_CLAIMS, false},
		{50, NERDCTL_TASK ID, CLAIMS "," CRIO_CLAIMS, false},
		{50, CRI_TASK ID, CRI_SAYS "," CRIO_CLAIMS, false},
		{50, CRI_TASK ID, CLAIMS, true},
		{50, STORAGE(ID), LIBPOD "," CLAIMS "," CRIO_CLAIMS, false},
		{50, STORAGE(ID), "\"io.container.manager\":\"cri-o\"," CRIO_CLAIMS, false},
		{52, STORAGE(ID), CLAIMS "," CRIO_SAYS, false},
		{52, STORAGE(ID), "\"io.container.manager\":\"cri-o\"," CRIO_CLAIMS, true},
		/* a pod's annotations come after those of CRI-O in its sandbox, but labels after them */
		{52, STORAGE(ID),
		 "\"io.container.manager\":\"cri-o\",\"io.kubernetes.container.name\":\"POD\","
		 "\"io.kubernetes.cri-o.ContainerType\":\"container\","
		 "\"io.kubernetes.cri-o.ImageName\":\"etcd\"",
		 true},
	};

	for (size_t i = 0; i < CGG_ARRAY_LEN(rows); i++) {
		const char *top = NULL;
		struct record record;
		char state[4096];

		snprintf(state, sizeof(state),
			 "{\"id\":\"" ID "\",\"pid\":%u,\"bundle\":\"%s\",\"annotations\":{"
			 "\"io.cgguard.memory.high\":\"64Mi\",%s}}",
			 rows[i].pid, rows[i].bundle, rows[i].annotations);
		T_ROW(state);
		(void)run(&top, true, CGG_HOOK_ALL, state, NULL);
		T_EQ_INT(record_of(top, ID, &record), 0);
		T_EQ_INT(record.sandbox, rows[i].sandbox);
		if (rows[i].pid == 50)
			T_EQ_STR(read_value(top, BOX, "memory.high"),
				 rows[i].sandbox ? "max" : "67108864");
		if (rows[i].sandbox && rows[i].pid == 52)
			T_EQ_STR(record.owner.image, "");
	}
}

/* Podman keeps names in a list beside its bundles; a state without annotations leaves them to the bundle. */
TEST(what_the_state_leaves_out_is_looked_up)
{
	const char *top = kit_tree(MACHINE), *text;
	struct record record;
	char state[1024];

	text = "overlay-containers containers.json="
	       "'[{\"id\":\"y\",\"names\":[\"db\"]},{\"id\":\"x\",\"names\":[\"web\"]}]'\n"
	       "overlay-containers/x/userdata config.json="
	       "'{\"annotations\":{\"io.container.manager\":\"libpod\","
	       "\"io.cgguard.memory.high\":\"64Mi\"}}'\n";
	kit_tree_add(top, text);
	snprintf(state, sizeof(state),
		 "{\"id\":\"x\",\"pid\":50,\"bundle\":\"%s/overlay-containers/x/userdata\"}", top);
	T_EQ_INT(run(&top, true, CGG_HOOK_ALL, state, NULL), 0);
	T_EQ_INT(record_of(top, "x", &record), 0);
	T_EQ_STR(record.owner.name, "web");
	T_EQ_STR(record.owner.runtime, "podman");
	T_EQ_STR(read_value(top, BOX, "memory.high"), "67108864");
}

/* Its annotations are its pod's: nobody has asked for what holds the namespaces. */
TEST(the_infra_of_a_pod_of_podmans_is_a_sandbox)
{
	static const struct {
		const char *name, *high;
		bool sandbox;
	} rows[] = {
		{"e9dfb3308508-infra", "max", true},
		{"e9dfb330850-infra", "67108864", false},
		{"e9dfb3308508-infrared", "67108864", false},
		{"shop-infra", "67108864", false},
	};

	for (size_t i = 0; i < CGG_ARRAY_LEN(rows); i++) {
		const char *top = kit_tree(MACHINE);
		struct record record;
		char text[1024];

		T_ROW(rows[i].name);
		snprintf(text, sizeof(text),
			 "vfs-containers containers.json='[{\"id\":\"x\",\"names\":[\"%s\"]}]'\n",
			 rows[i].name);
		kit_tree_add(top, text);
		snprintf(text, sizeof(text),
			 "{\"id\":\"x\",\"pid\":50,\"bundle\":\"%s/vfs-containers/x/userdata\","
			 "\"annotations\":{\"io.container.manager\":\"libpod\","
			 "\"io.cgguard.memory.high\":\"64Mi\"}}",
			 top);
		T_EQ_INT(run(&top, true, CGG_HOOK_ALL, text, NULL), 0);
		T_EQ_INT(record_of(top, "x", &record), 0);
		T_EQ_INT(record.sandbox, rows[i].sandbox);
		T_EQ_STR(record.owner.name, rows[i].name);
		T_EQ_STR(read_value(top, BOX, "memory.high"), rows[i].high);
	}
}

#define POD	 "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
#define IN_A_POD "/machine-libpod_pod_" POD ".slice/libpod-" ID ".scope"

TEST(the_pod_of_a_cgroup_counts_before_what_podman_says)
{
	const char *top =
		kit_tree("root cgroup\n/hook cgroup.procs=9\n" IN_A_POD " cgroup.procs=50\n"
			 "proc/self cgroup='0::/hook\\n'\n"
			 "proc/50 cgroup='0::" IN_A_POD "\\n'\n");
	struct record record;

	T_EQ_INT(run(&top, true, 0,
		     "{\"id\":\"" ID
		     "\",\"pid\":50,\"annotations\":{\"io.container.manager\":\"libpod\","
		     "\"io.kubernetes.cri-o.SandboxID\":\"" ID "\"}}",
		     NULL),
		 0);
	T_EQ_INT(record_of(top, ID, &record), 0);
	T_EQ_STR(record.owner.pod, POD);
}

#define BOXED "/lib/elsewhere/containers/" ID "/"

#define K8S   "k8s_web_shop-0_prod_" UID "_0"
#define REALLY                                                                                     \
	"\"io.kubernetes.container.name\":\"web\",\"io.kubernetes.docker.type\":\"container\""

/* Docker before 24 has labels alone, and its data-root may be anywhere; annotations count before labels. */
TEST(dockers_labels_are_looked_up_where_its_mounts_are_from)
{
	static const struct {
		const char *annotations, *labels, *high, *called, *name, *pod_name, *note;
		int failed;
		bool sandbox;
	} rows[] = {
		{"", "null", "max", "web", "web", "", "", 0, false},
		{"", "{\"io.cgguard.memory.high\":\"64Mi\"}", "67108864", "web", "web", "", "", 0,
		 false},
		{"", "{\"io.cgguard.memory.high/web\":\"64Mi\"}", "67108864", "web", "web", "", "",
		 0, false},
		{"", "{\"io.cgguard.memory.high/db\":\"64Mi\"}", "max", "web", "web", "", "", 0,
		 false},
		{"", "{\"io.cgguard.memory.high\":\"1Mi\"}", "max", "web", "web", "",
		 "below the least", 1, false},
		{"\"io.cgguard.memory.high\":\"128Mi\"", "{\"io.cgguard.memory.high\":\"64Mi\"}",
		 "134217728", "web", "web", "", "", 0, false},
		/* of the image, or of who may only name annotations: nobody's names but its own */
		{"", "{" CLAIMS "," CRIO_CLAIMS "," LIBPOD "}", "max", "web", "web", "", "", 0,
		 false},
		{"",
		 "{\"io.cgguard.memory.high\":\"64Mi\"," CLAIMS ",\"io.kubernetes.docker.type\":"
		 "\"podsandbox\"}",
		 "67108864", "web", "web", "", "", 0, false},
		{CLAIMS "," CRIO_CLAIMS "," LIBPOD, "null", "max", "web", "web", "", "", 0, false},
		/* cri-dockerd's name holds the pod's */
		{"", "{\"io.cgguard.memory.high/web\":\"64Mi\"," REALLY "}", "67108864", K8S, "web",
		 "shop-0", "", 0, false},
		{"", "{\"io.cgguard.memory.high\":\"64Mi\"," CLAIMS "}", "67108864",
		 K8S "_0a1b2c3d", "web", "shop-0", "", 0, false},
		{"", "{\"io.cgguard.memory.high\":\"64Mi\"}", "max",
		 "k8s_POD_shop-0_prod_" UID "_1", "POD", "shop-0", "", 0, true},
		{"", "{" REALLY "}", "max", "k8s_web_shop-0_prod_" UID, "k8s_web_shop-0_prod_" UID,
		 "", "", 0, false},
		{"", "{" REALLY "}", "max", "k8s_web_shop-0_prod_none_0",
		 "k8s_web_shop-0_prod_none_0", "", "", 0, false},
		{"", "{" REALLY "}", "max", K8S "_x", K8S "_x", "", "", 0, false},
		{"", "{" REALLY "}", "max", "k8s____0", "k8s____0", "", "", 0, false},
	};

	for (size_t i = 0; i < CGG_ARRAY_LEN(rows); i++) {
		const char *top = kit_tree(MACHINE);
		struct record record;
		char text[8192];

		T_ROW(rows[i].labels);
		snprintf(text, sizeof(text),
			 "task/moby/" ID " config.json='{\"mounts\":[{\"source\":\"proc\"},{},"
			 "{\"destination\":\"/etc/hosts\",\"source\":\"/containers/x/hosts\"},"
			 "{\"destination\":\"/etc/hosts\",\"source\":\"%s" BOXED "hosts\"}],"
			 "\"annotations\":{%s}}'\n"
			 "lib/elsewhere/containers/" ID " config.v2.json='{\"Name\":\"/%s\","
			 "\"Config\":{\"Image\":\"nginx:1\",\"Labels\":%s}}'\n",
			 top, rows[i].annotations, rows[i].called, rows[i].labels);
		kit_tree_add(top, text);
		snprintf(text, sizeof(text),
			 "{\"id\":\"" ID "\",\"pid\":50,\"bundle\":\"%s/task/moby/" ID "\"}", top);
		T_EQ_INT(run(&top, true, CGG_HOOK_ALL, text, NULL), rows[i].failed);
		T_HAS(notes, rows[i].note);
		T_EQ_STR(read_value(top, BOX, "memory.high"), rows[i].high);
		T_EQ_INT(record_of(top, ID, &record), 0);
		T_EQ_STR(record.owner.runtime, "docker");
		T_EQ_STR(record.owner.name, rows[i].name);
		T_EQ_STR(record.owner.image, "nginx:1");
		T_EQ_STR(record.owner.pod_name, rows[i].pod_name);
		T_EQ_STR(record.owner.pod_namespace, *rows[i].pod_name ? "prod" : "");
		T_EQ_STR(record.owner.pod, *rows[i].pod_name ? UID : "");
		T_EQ_INT(record.sandbox, rows[i].sandbox);
	}
}

/* A text in which each @ becomes a machine's directory. */
static void put_top(char *to, size_t size, const char *text, const char *top)
{
	size_t len = 0;

	for (; *text; text++) {
		len += (size_t)(*text == '@' ? snprintf(to + len, size - len, "%s", top)
					     : snprintf(to + len, size - len, "%c", *text));
		T_MUST(len < size);
	}
}

/* A bind mount of any source is the user's; root reads nothing that he could have put there. */
TEST(dockers_directory_is_not_chosen_by_a_users_mount)
{
#define MINE			"@/lib/elsewhere/containers/" ID
#define EVIL			"@/evil/containers/" ID
#define AT(destination, source) "{\"destination\":\"" destination "\",\"source\":\"" source "\"}"
	static const struct {
		const char *mounts, *name;
	} rows[] = {
		{AT("/etc/hosts", MINE "/hosts"), "web"},
		{AT("/etc/hostname", MINE "/hostname"), "web"},
		{AT("/etc/resolv.conf", MINE "/resolv.conf"), "web"},
		{AT("/data", EVIL "/hosts") "," AT("/etc/hosts", MINE "/hosts"), "web"},
		{AT("/data/etc/hosts", EVIL "/hosts") "," AT("/etc/hosts", MINE "/hosts"), "web"},
		{AT("/data", EVIL "/x"), ""},
		{AT("/etc/hosts", EVIL "/hostname"), ""},
		{AT("/etc/hosts", EVIL "/x/hosts"), ""},
		{AT("/etc/hosts", EVIL "/hosts") "," AT("/etc/hostname", MINE "/hostname"), ""},
		/* through a link, a file that others can write, no file */
		{AT("/etc/hosts", "@/link/containers/" ID "/hosts"), ""},
		{AT("/etc/hosts", "@/lib/../lib/elsewhere/containers/" ID "/hosts"), ""},
		{AT("/etc/hosts", "@/linked/containers/" ID "/hosts"), ""},
		{AT("/etc/hosts", "@/open/containers/" ID "/hosts"), ""},
		{AT("/etc/hosts", "@/pipe/containers/" ID "/hosts"), ""},
		{AT("/etc/hosts", "@/dir/containers/" ID "/hosts"), ""},
	};
	static const char *const places[] = {"lib/elsewhere", "evil", "open", "pipe", "linked"};

	for (size_t i = 0; i < CGG_ARRAY_LEN(rows); i++) {
		const char *top = kit_tree(MACHINE);
		char text[4096], mounts[2048], path[1024];
		struct record record;

		T_ROW(rows[i].mounts);
		for (size_t n = 0; n < CGG_ARRAY_LEN(places); n++) {
			snprintf(text, sizeof(text),
				 "%s/containers/" ID " config.v2.json='{\"Name\":\"/%s\"}'\n",
				 places[n], n ? "evil" : "web");
			kit_tree_add(top, text);
		}
		snprintf(text, sizeof(text), "dir/containers/" ID "/config.v2.json x=1\n");
		kit_tree_add(top, text);
		snprintf(path, sizeof(path), "%s/link", top);
		snprintf(text, sizeof(text), "%s/evil", top);
		T_MUST(symlink(text, path) == 0);
		snprintf(path, sizeof(path), "%s/linked/containers/" ID "/config.v2.json", top);
		snprintf(text, sizeof(text), "%s/evil/containers/" ID "/config.v2.json", top);
		T_MUST(unlink(path) == 0 && symlink(text, path) == 0);
		snprintf(path, sizeof(path), "%s/open/containers/" ID "/config.v2.json", top);
		T_MUST(chmod(path, 0666) == 0);
		snprintf(path, sizeof(path), "%s/pipe/containers/" ID "/config.v2.json", top);
		T_MUST(unlink(path) == 0 && mkfifo(path, 0600) == 0);
		put_top(mounts, sizeof(mounts), rows[i].mounts, top);
		snprintf(text, sizeof(text), "task/moby/" ID " config.json='{\"mounts\":[%s]}'\n",
			 mounts);
		kit_tree_add(top, text);
		snprintf(text, sizeof(text),
			 "{\"id\":\"" ID "\",\"pid\":50,\"bundle\":\"%s/task/moby/" ID "\"}", top);
		T_EQ_INT(run(&top, true, CGG_HOOK_ALL, text, NULL), 0);
		T_EQ_INT(record_of(top, ID, &record), 0);
		T_EQ_STR(record.owner.runtime, "docker");
		T_EQ_STR(record.owner.name, rows[i].name);
	}
}

/* Without Kubernetes nothing but the bundle tells of containerd. */
TEST(containerds_own_are_its)
{
	static const char *const rows[][3] = {
		{"/run/containerd/io.containerd.runtime.v2.task/default/x", "containerd", "web"},
		{"/run/user/1000/bundle", "", ""},
	};

	for (size_t i = 0; i < CGG_ARRAY_LEN(rows); i++) {
		const char *top = NULL;
		struct record record;
		char state[512];

		T_ROW(rows[i][0]);
		snprintf(state, sizeof(state),
			 "{\"id\":\"x\",\"pid\":50,\"bundle\":\"%s\",\"annotations\":{"
			 "\"nerdctl/name\":\"web\"}}",
			 rows[i][0]);
		T_EQ_INT(run(&top, true, 0, state, NULL), 0);
		T_EQ_INT(record_of(top, "x", &record), 0);
		T_EQ_STR(record.owner.runtime, rows[i][1]);
		T_EQ_STR(record.owner.name, rows[i][2]);
	}
}

TEST(a_directory_that_others_can_write_is_not_believed)
{
	const char *top = kit_tree(MACHINE);
	struct record record;
	char dir[512];

	snprintf(dir, sizeof(dir), "%s/state", top);
	T_MUST(mkdir(dir, 0700) == 0 && chmod(dir, 0770) == 0);
	T_EQ_INT(run(&top, true, 0, "{\"id\":\"x\",\"pid\":50}", NULL), 1);
	T_HAS(notes, "not writable by others");
	T_EQ_INT(record_of(top, "x", &record), -EPERM);
}

/* The guard of the unit is a user of its own, who has made the directory; the hook is root's. */
TEST(a_directory_of_the_guards_user_is_believed_by_root)
{
	const char *top = kit_tree(MACHINE);
	struct record record;
	char dir[512];

	snprintf(dir, sizeof(dir), "%s/state", top);
	T_MUST(mkdir(dir, 0755) == 0);
	if (chown(dir, 1000, 1000) < 0) {
		T_SKIP("only root can give it away");
		return;
	}
	T_EQ_INT(run(&top, true, 0, "{\"id\":\"x\",\"pid\":50}", NULL), 0);
	T_EQ_INT(record_of(top, "x", &record), 0);
}

/* ---- into a configuration -------------------------------------------------------------- */

#define A "{\"path\":\"/h\",\"args\":[\"/h\",\"-x\",\"createRuntime\"],\"timeout\":5}"
#define Z "{\"path\":\"/h\",\"args\":[\"/h\",\"-x\",\"poststop\"],\"timeout\":5}"

TEST(hooks_are_put_into_a_configuration_and_all_else_stays)
{
	static const char *const argv[] = {"/h", "-x"};
	static const struct {
		const char *config, *want; /* NULL: refused */
	} rows[] = {
		{"{}", "{\"hooks\":{\"createRuntime\":[" A "],\"poststop\":[" Z "]}}"},
		{" {\n \"a\": 1.50 }\n",
		 " {\"hooks\":{\"createRuntime\":[" A "],\"poststop\":[" Z "]},\n \"a\": 1.50 }\n"},
		{"{\"hooks\": {}, \"a\": 1}",
		 "{\"hooks\": {\"createRuntime\":[" A "],\"poststop\":[" Z "]}, \"a\": 1}"},
		{"{\"hooks\": {\"prestart\": []}}",
		 "{\"hooks\": {\"createRuntime\":[" A "],\"poststop\":[" Z "],\"prestart\": []}}"},
		{"{\"hooks\": {\"poststop\": [ ], \"createRuntime\": [{\"path\":\"/z\"}]}}",
		 "{\"hooks\": {\"poststop\": [" Z " ], \"createRuntime\": [" A
		 ",{\"path\":\"/z\"}]}}"},
		{"{\"hooks\": {\"createRuntime\": [1]}}",
		 "{\"hooks\": {\"poststop\":[" Z "],\"createRuntime\": [" A ",1]}}"},
		{"{\"hooks\": null}", NULL},
		{"{\"hooks\": {\"poststop\": {}}}", NULL},
		{"[]", NULL},
		{"{", NULL},
		{"", NULL},
	};

	for (size_t i = 0; i < CGG_ARRAY_LEN(rows); i++) {
		struct cgg_error err = {0};
		char *text = NULL;
		int r = cgg_hook_insert(rows[i].config, strlen(rows[i].config), argv, 2, &text,
					&err);

		T_ROW(rows[i].config);
		T_EQ_INT(r, rows[i].want ? 0 : -EINVAL);
		if (rows[i].want && text)
			T_EQ_STR(text, rows[i].want);
		T_EQ_INT(err.msg[0] != '\0', !rows[i].want);
		free(text);
	}
}
