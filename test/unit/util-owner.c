/* SPDX-License-Identifier: Apache-2.0 */
/* Whose a cgroup path is, by the names that runtimes give. */
#include "kit/t.h"

#include "util/owner.h"

#define ID  "46b3e0a4df44b752b841aecca454e6e78995d567912a84950390bae6f6777a63"
#define UID "94eb36cd-29e1-478b-b365-4cb5dfc7d6fb"
#define UND "94eb36cd_29e1_478b_b365_4cb5dfc7d6fb"

static const struct {
	const char *path, *runtime, *container, *pod, *unit;
} rows[] = {
	{"/docker/" ID, "docker", ID, "", ""},
	{"/docker/" ID "/init", "docker", ID, "", ""},
	{"/system.slice/docker-" ID ".scope", "docker", ID, "", ""},
	{"/kubepods/burstable/pod" UID "/" ID, "", ID, UID, ""},
	{"/kubepods/pod" UID, "", "", UID, ""},
	{"/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod" UND
	 ".slice/cri-containerd-" ID ".scope",
	 "containerd", ID, UID, ""},
	{"/kubepods.slice/kubepods-pod" UND ".slice/crio-" ID ".scope/container", "cri-o", ID, UID,
	 ""},
	{"/kubepods.slice/kubepods-besteffort.slice/"
	 "kubepods-besteffort-pod0123456789abcdef0123456789abcdef.slice",
	 "", "", "0123456789abcdef0123456789abcdef", ""},
	{"/machine.slice/libpod-" ID ".scope", "podman", ID, "", ""},
	{"/machine.slice/libpod-conmon-" ID ".scope", "", "", "", "libpod-conmon-" ID ".scope"},
	{"/user.slice/user-1000.slice/user@1000.service/user.slice/libpod-" ID ".scope/container",
	 "podman", ID, "", "user@1000.service"},
	{"/libpod_parent/libpod-" ID, "podman", ID, "", ""},
	{"/lxc.payload.web/system.slice/nginx.service", "lxc", "web", "", ""},
	{"/lxc/39004/ns/system.slice/docker-" ID ".scope", "lxc", "39004", "", ""},
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
