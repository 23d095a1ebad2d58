/* SPDX-License-Identifier: Apache-2.0 */
/* Whose a cgroup path is, by the names that runtimes give. */
#include "kit/t.h"

#include "util/owner.h"

#define ID  "46b3e0a4df44b752b841aecca454e6e78995d567912a84950390bae6f6777a63"
#define UID "94eb36cd-29e1-478b-b365-4cb5dfc7d6fb"
#define POD "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
#define UND "94eb36cd_29e1_478b_b365_4cb5dfc7d6fb"

static const struct {
	const char *path, *runtime, *container, *pod, *unit, *inside;
} rows[] = {
	/* Docker, of both drivers, rootless, in a parent of its own (--cgroup-parent, ECS), with cri-dockerd */
	{"/docker/" ID, "docker", ID, "", ""},
	{"/docker/" ID "/init", "docker", ID, "", "", "/init"},
	{"/mine/" ID, "", ID, "", ""},
	{"/ecs/1234/" ID, "", ID, "", ""},
	{"/user.slice/user-1000.slice/user@1000.service/user.slice/docker-" ID ".scope", "docker",
	 ID, "", "user@1000.service"},
	{"/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod" UND ".slice/docker-" ID
	 ".scope",
	 "docker", ID, UID, ""},
	{"/system.slice/nerdctl-" ID ".scope", "containerd", ID, "", ""},
	{"/system.slice/docker-" ID ".scope", "docker", ID, "", ""},
	{"/kubepods/burstable/pod" UID "/" ID, "", ID, UID, ""},
	{"/kubepods/pod" UID, "", "", UID, ""},
	{"/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod" UND
	 ".slice/cri-containerd-" ID ".scope",
	 "containerd", ID, UID, ""},
	{"/kubepods.slice/kubepods-pod" UND ".slice/crio-" ID ".scope/container", "cri-o", ID, UID,
	 "", "/container"},
	{"/kubepods/besteffort/pod" UID "/crio-" ID, "cri-o", ID, UID, ""},
	{"/kubepods.slice/kubepods-pod" UND ".slice/crio-conmon-" ID ".scope", "", "", UID,
	 "crio-conmon-" ID ".scope"},
	{"/kubepods/pod" UID "/crio-conmon-" ID, "", "", UID, ""},
	/* the kubelet in a --cgroup-root of its own; as kind's nodes see themselves */
	{"/kubelet.slice/kubelet-kubepods.slice/kubelet-kubepods-besteffort.slice/"
	 "kubelet-kubepods-besteffort-pod" UND ".slice/cri-containerd-" ID ".scope",
	 "containerd", ID, UID, ""},
	{"/kubelet/kubepods/burstable/pod" UID "/" ID, "", ID, UID, ""},
	{"/kubepods.slice/kubepods-besteffort.slice/"
	 "kubepods-besteffort-pod0123456789abcdef0123456789abcdef.slice",
	 "", "", "0123456789abcdef0123456789abcdef", ""},
	/* Podman, of both drivers, rootless, in pods */
	{"/machine.slice/libpod-" ID ".scope", "podman", ID, "", ""},
	{"/machine.slice/machine-libpod_pod_" POD ".slice/libpod-" ID ".scope/container", "podman",
	 ID, POD, "", "/container"},
	{"/libpod_parent/" POD "/libpod-" ID, "podman", ID, POD, ""},
	{"/libpod_parent/" POD, "", "", POD, ""},
	{"/system.slice/web.service/libpod-payload-" ID, "podman", ID, "", "web.service"},
	{"/libpod_parent/conmon", "", "", "", ""},
	{"/libpod_parent/libpod-conmon-" ID, "", "", "", ""},
	{"/machine.slice/libpod-conmon-" ID ".scope", "", "", "", "libpod-conmon-" ID ".scope"},
	{"/user.slice/user-1000.slice/user@1000.service/user.slice/libpod-" ID ".scope/container",
	 "podman", ID, "", "user@1000.service", "/container"},
	{"/libpod_parent/libpod-" ID, "podman", ID, "", ""},
	/* runtimes without an engine */
	{"/system.slice/crun-mybox.scope/container", "crun", "mybox", "", "", "/container"},
	{"/system.slice/runc-mybox.scope", "runc", "mybox", "", ""},
	/* systemd in a container, and nodes that are containers: kind, sysbox, LXC */
	{"/lxc.payload.web/system.slice/nginx.service", "lxc", "web", "", "",
	 "/system.slice/nginx.service"},
	{"/lxc/39004/ns/system.slice/docker-" ID ".scope", "lxc", "39004", "", "",
	 "/ns/system.slice/docker-" ID ".scope"},
	{"/machine.slice/systemd-nspawn@web.service/payload/system.slice/db.service",
	 "systemd-nspawn", "web", "", "", "/payload/system.slice/db.service"},
	{"/machine.slice/libpod-" ID ".scope/container/init.scope", "podman", ID, "", "",
	 "/container/init.scope"},
	{"/system.slice/docker-" ID ".scope/kubelet.slice/kubelet-kubepods.slice", "docker", ID, "",
	 "", "/kubelet.slice/kubelet-kubepods.slice"},
	{"/docker/" ID "/syscont-cgroup-root/system.slice/ssh.service", "docker", ID, "", "",
	 "/syscont-cgroup-root/system.slice/ssh.service"},
	{"/garden/guid-1", "garden", "guid-1", "", ""},
	{"/system.slice/ssh.service", "", "", "", "ssh.service"},
	{"/system.slice/db.service/worker.service", "", "", "", "db.service"},
	{"/user.slice/user-1000.slice/user@1000.service/app.slice/firefox.service", "", "", "",
	 "firefox.service"},
	{"/user.slice/user-0.slice/session-4.scope", "", "", "", "session-4.scope"},
	{"/openrc.sshd", "", "", "", "openrc.sshd"},
	{"/openrc/sshd", "", "", "", "sshd"},
	{"/", "", "", "", ""},
	{"", "", "", "", ""},
	{"/a/b/c", "", "", "", ""},
	{"/.scope/docker-.scope/pod", "", "", "", "docker-.scope"},
	{"/kubepods/podX/pod" UID "x", "", "", "", ""},
	{"/kubepods.slice/kubepods-podX.slice", "", "", "", ""},
	{"/pods-pod" UND ".slice", "", "", "", ""},
	{"//docker//" ID "//x", "docker", ID, "", "", "//x"},
	{"docker/" ID, "", "", "", ""},
	{".../docker/" ID, "", "", "", ""},
};

TEST(a_path_says_whose_it_is)
{
	for (size_t i = 0; i < CGG_ARRAY_LEN(rows); i++) {
		struct cgg_owner o;
		bool any = owner_of(rows[i].path, &o);

		T_ROW(rows[i].path);
		T_EQ_STR(o.runtime, rows[i].runtime);
		T_EQ_STR(o.container, rows[i].container);
		T_EQ_STR(o.pod, rows[i].pod);
		T_EQ_STR(o.unit, rows[i].unit);
		T_EQ_STR(o.inside, rows[i].inside ? rows[i].inside : "");
		T_EQ_INT(any, *o.container || *o.pod || *o.unit);
	}
}

TEST(what_runs_in_a_container_can_not_take_anothers_name)
{
	struct cgg_owner o;

	T_ASSERT(owner_of("/docker/mine/kubepods/pod" UID "/cri-containerd-" ID ".scope/x.service",
			  &o));
	T_EQ_STR(o.container, "mine");
	T_EQ_STR(o.pod, "");
	T_EQ_STR(o.unit, "");
}

#define KIND "/system.slice/docker-" ID ".scope"

/* Told apart: what the host's runtime says, and what is claimed in there. */
TEST(what_is_inside_is_told_as_a_claim)
{
	struct cgg_owner o;
	char text[4096];
	struct json j;

	json_begin(&j, text, sizeof(text));
	json_open(&j, NULL, '{');
	owner_put_of(&j, "owner",
		     KIND "/kubelet.slice/kubelet-kubepods.slice/kubelet-kubepods-pod" UND
			  ".slice/cri-containerd-" POD ".scope/system.slice/x.service");
	owner_put_of(&j, "none", "/a/b");
	json_close(&j, '}');
	T_ASSERT(json_end(&j) > 0);
	T_EQ_STR(text, "{\"owner\":{\"runtime\":\"docker\",\"container\":\"" ID
		       "\",\"inside\":{\"runtime\":\"containerd\",\"container\":\"" POD
		       "\",\"pod\":\"" UID "\"}}}");
	T_ASSERT(owner_of(KIND "/system.slice/a.service/b", &o));
	T_ASSERT(owner_of(o.inside, &o));
	T_EQ_STR(o.unit, "a.service");
}

TEST(names_of_any_length_are_held)
{
	char path[8192];
	struct cgg_owner o;

	memset(path, 'x', sizeof(path));
	memcpy(path, "/lxc.payload.", 13);
	path[sizeof(path) - 1] = '\0';
	T_ASSERT(owner_of(path, &o));
	T_EQ_INT(strlen(o.container), CGG_OWNER_SIZE - 1);
}
