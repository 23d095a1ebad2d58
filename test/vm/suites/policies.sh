# shellcheck shell=dash disable=SC1003,SC1091,SC2005,SC2015,SC2016,SC2034,SC2046,SC2317
# The ready policies for Kubernetes and systemd do what they say.
. /test/lib.sh

HEX=0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef

# fills CGROUP: one process there grows to 200 MiB at once, and beyond 256 MiB so slowly that a busy
# test machine has time; prints its PID
fills()
{
	cg_run "$1" hog grow 200 300 10
}

# pod KIND UID: with a sandbox and a container of 256 MiB, sets $POD, $SANDBOX and $CONTAINER
pod()
{
	POD=/kubepods.slice/kubepods-$1.slice/kubepods-$1-pod$2.slice
	SANDBOX=$POD/cri-containerd-$(echo $HEX | tr 0-9 a-j | cut -c 11-)0123456789.scope
	CONTAINER=$POD/cri-containerd-$HEX.scope
	cg_create "$SANDBOX"
	cg_create "$CONTAINER" memory.max=256M memory.swap.max=0
	cg_run "$SANDBOX" hog sleep >/dev/null
}

kubernetes_container_dies_whole()
{
	pod burstable 1234
	cg_write "$CONTAINER" memory.oom.group 1
	guard_start --policy /policies/kubernetes.json
	cg_run "$CONTAINER" hog hold 5 >/dev/null
	fills "$CONTAINER" >/dev/null
	assert_dead "$CONTAINER" 20
	incidents_are 1
	assert_alive "$SANDBOX" 1
	pick 1
	says_killed "$CONTAINER" 240 container-limit "$CONTAINER"
	says victim.oom_group true
	assert_no_oom_kill
}

kubernetes_single_process()
{
	pod burstable 1234
	guard_start --policy /policies/kubernetes.json
	cg_run "$CONTAINER" hog hold 5 >/dev/null
	hog=$(fills "$CONTAINER")
	wait_until 20 "! alive $hog"
	incidents_are 1
	assert_alive "$CONTAINER" 1
	assert_alive "$SANDBOX" 1
	pick 1
	says outcome killed
	says victim.scope process
	says victim.processes.0.pid "$hog"
	says_between victim.freed_bytes $((180 << 20)) $((256 << 20))
	says_numbers
	assert_no_oom_kill
}

kubernetes_with_cgroupfs()
{
	local pod=/kubepods/burstable/pod01234567-89ab-cdef-0123-456789abcdef
	cg_create "$pod/$HEX" memory.max=256M memory.swap.max=0 memory.oom.group=1
	cg_create "$pod/sandbox"
	guard_start --policy /policies/kubernetes.json
	cg_run "$pod/sandbox" hog sleep >/dev/null
	cg_run "$pod/$HEX" hog hold 5 >/dev/null
	fills "$pod/$HEX" >/dev/null
	assert_dead "$pod/$HEX" 20
	incidents_are 1
	assert_alive "$pod/sandbox" 1
	pick 1
	says_killed "$pod/$HEX" 240 container-limit-cgroupfs "$pod/$HEX"
	assert_no_oom_kill
}

kubernetes_node_goes_by_class()
{
	local best burst sandbox
	pod besteffort 1
	best=$CONTAINER
	cg_write "$best" memory.max max
	pod burstable 2
	burst=$CONTAINER sandbox=$SANDBOX
	cg_write "$burst" memory.max max
	cg_create /system.slice/database.service
	guard_start --policy /policies/kubernetes.json
	cg_run /system.slice/database.service hog hold 200 >/dev/null
	cg_run "$best" hog hold 100 >/dev/null
	cg_run "$burst" hog anon 900 40 >/dev/null
	assert_dead "$best" 60
	incidents_are 1
	assert_alive "$burst" 1
	pick 1
	says_killed "$best" 100 node-low /
	assert_dead "$burst" 60
	incidents_are 2
	assert_alive /system.slice/database.service 1
	assert_alive "$sandbox" 1
	pick 2
	says_killed "$burst" 300 node-low /
	assert_no_oom_kill
}

systemd_service_dies_whole()
{
	cg_create /system.slice/web.service memory.max=256M memory.swap.max=0
	cg_create /system.slice/db.service
	guard_start --policy /policies/systemd.json
	cg_run /system.slice/db.service hog hold 20 >/dev/null
	cg_run /system.slice/web.service hog sleep >/dev/null
	fills /system.slice/web.service >/dev/null
	assert_dead /system.slice/web.service 20
	incidents_are 1
	assert_alive /system.slice/db.service 1
	pick 1
	says_killed /system.slice/web.service 240 service-limit /system.slice/web.service
	assert_no_oom_kill
}

systemd_user_loses_an_application()
{
	local user=/user.slice/user-1000.slice
	local manager=$user/user@1000.service
	cg_create "$manager/app.slice/app-x.scope"
	cg_create "$manager/app.slice/app-y.scope"
	cg_create "$manager/session.slice/shell.service"
	cg_create "$manager/init.scope"
	cg_create "$user/session-1.scope"
	cg_write "$user" memory.swap.max 0
	cg_write "$user" memory.max 256M
	guard_start --policy /policies/systemd.json
	cg_run "$manager/init.scope" hog sleep >/dev/null
	cg_run "$user/session-1.scope" hog hold 4 >/dev/null
	cg_run "$manager/session.slice/shell.service" hog hold 150 >/dev/null
	cg_run "$manager/app.slice/app-y.scope" hog hold 8 >/dev/null
	cg_run "$manager/app.slice/app-x.scope" hog sleep >/dev/null
	cg_run "$manager/app.slice/app-x.scope" hog anon 128 10 >/dev/null
	assert_dead "$manager/app.slice/app-x.scope" 20
	incidents_are 1
	assert_alive "$user" 4
	pick 1
	says_killed "$manager/app.slice/app-x.scope" 70 user-limit "$user"
	assert_no_oom_kill
}

systemd_machine_spares_the_session()
{
	local manager=/user.slice/user-1000.slice/user@1000.service
	cg_create "$manager/app.slice/app-x.scope"
	cg_create "$manager/session.slice/shell.service"
	cg_create /system.slice/db.service
	cg_create /system.slice/sshd.service
	guard_start --policy /policies/systemd.json
	cg_run "$manager/session.slice/shell.service" hog hold 150 >/dev/null
	cg_run /system.slice/db.service hog hold 150 >/dev/null
	cg_run /system.slice/sshd.service hog hold 4 >/dev/null
	cg_run "$manager/app.slice/app-x.scope" hog anon 900 40 >/dev/null
	assert_dead "$manager/app.slice/app-x.scope" 60
	incidents_are 1
	assert_alive "$manager" 1
	assert_alive /system.slice 2
	pick 1
	says_killed "$manager/app.slice/app-x.scope" 250 machine-low /
	assert_no_oom_kill
}

t 'kubernetes.json: a container dies whole, its sandbox lives' kubernetes_container_dies_whole
t 'kubernetes.json: without memory.oom.group one process dies' kubernetes_single_process
t 'kubernetes.json: the same with the cgroupfs driver' kubernetes_with_cgroupfs
t 'kubernetes.json: best effort dies before a larger burstable' kubernetes_node_goes_by_class
t 'systemd.json: a service dies whole' systemd_service_dies_whole
t 'systemd.json: a user loses an application, not the session' systemd_user_loses_an_application
t 'systemd.json: the machine loses an application, not the session' systemd_machine_spares_the_session
t_plan_end
