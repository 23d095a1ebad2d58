# shellcheck shell=dash disable=SC1091,SC2016,SC2034,SC2046,SC2317
# boot: --image crun,curl,dbus,docker.io,podman,runc,systemd-sysv --systemd
# boot: --add @source@/deploy/hook --try @build@/test/vm/sidecar.tar --try @build@/test/vm/daemonset.tar
# cgguard-hook under crun, runc and podman, and the guard that is told.
. /test/lib.sh

T_TIMEOUT=150
HOOK=/usr/local/bin/cgguard-hook
REG=/run/cgguard/containers

# bundle ANNOTATIONS CGROUPSPATH [CREATE-HOOKS] [ID]: a bundle that sleeps, in $B, which is where containerd
# has those of the kubelet's containers; theirs is the engine whose annotations are believed then
bundle()
{
	local root create=${3-}
	B=$T/io.containerd.runtime.v2.task/k8s.io/${4-c1} root=$B/rootfs
	[ -n "$create" ] || create="{\"path\":\"$HOOK\",\"args\":[\"h\",\"createRuntime\"],\"timeout\":9}"
	mkdir -p "$root/bin" "$root/proc" "$root/dev" "$root/sys"
	[ -e "$root/bin/sleep" ] || cp /test/bin/busybox "$root/bin/sleep"
	[ -e "$root/bin/hog" ] || cp /test/bin/hog "$root/bin/hog"
	cat >"$B/config.json" <<-END
		{"ociVersion": "1.0.2",
		 "process": {"user": {"uid": 0, "gid": 0}, "cwd": "/", "env": ["PATH=/bin"],
		  "args": ["sleep", "300"]},
		 "root": {"path": "rootfs"},
		 "mounts": [{"destination": "/proc", "type": "proc", "source": "proc"}],
		 "annotations": {$1},
		 "hooks": {"createRuntime": [$create],
		  "poststop": [{"path": "$HOOK", "args": ["h", "poststop"], "timeout": 9}]},
		 "linux": {"cgroupsPath": "$2",
		  "resources": {"memory": {"limit": 268435456}},
		  "namespaces": [{"type": "pid"}, {"type": "mount"}, {"type": "cgroup"}]}}
	END
}

# box RUNTIME-AND-OPTIONS: run the bundle as container c1; it is removed after the test
box()
{
	t_defer "$* delete -f c1"
	"$@" run -d -b "$B" c1 </dev/null >"$T/run.out" 2>&1 ||
		fail "expected $* to start a container, got $(cat "$T/run.out")"
}

# as_asked RUNTIME-AND-OPTIONS: what annotations ask for is set where its processes are, it is
# registered, and taken off at its end
as_asked()
{
	local dir
	box "$@"
	[ -s $REG/c1.json ] || fail "expected c1 to be registered, got $(journalctl -q -t cgguard-hook)"
	dir=$(sed 's/.*"cgroup":"\([^"]*\)".*/\1/' $REG/c1.json)
	assert_has "$(cat $REG/c1.json)" '"name":"web"'
	assert_eq 1 "$(cg_read "$dir" memory.oom.group)" memory.oom.group
	assert_eq 134217728 "$(cg_read "$dir" memory.high)" memory.high
	assert_between 1 9 "$(cg_pids "$dir" | wc -l)" 'processes there'
	"$@" delete -f c1
	[ ! -e $REG/c1.json ] || fail 'expected c1 to be taken off'
	rm -f "$T/defer"
}

asks='"io.cgguard.memory.oom.group": "1", "io.cgguard.memory.high": "50%", "io.kubernetes.cri.container-type": "container", "io.kubernetes.cri.container-name": "web"'

cgroupfs_driver()
{
	bundle "$asks" /box/c1
	as_asked crun
	as_asked runc
}
t 'crun and runc, cgroupfs driver: as asked, registered, taken off' cgroupfs_driver

systemd_driver()
{
	bundle "$asks" system.slice:mine:c1
	as_asked crun --systemd-cgroup
	as_asked runc --systemd-cgroup
}
t 'crun and runc, systemd driver: as asked, registered, taken off' systemd_driver

# Where /proc shows a process only to who may trace it.
hidden_processes()
{
	mount -o remount,hidepid=2 /proc || fail 'no hidepid'
	t_defer 'mount -o remount,hidepid=0 /proc'
	bundle "$asks" /box/c1
	as_asked crun
	mount -o remount,hidepid=0 /proc
}
t 'where /proc hides processes the hook finds the cgroup all the same' hidden_processes

# elsewhere: $B is where no engine has its bundles
elsewhere()
{
	mv "$B" "$T/b"
	B=$T/b
}

# Whoever writes annotations can write those of every engine; the administrator's asks hold all the same.
claims()
{
	bundle "$asks, \"io.kubernetes.cri.sandbox-name\": \"etcd-0\", \"io.kubernetes.pod.name\": \"etcd-0\",
		\"io.container.manager\": \"libpod\", \"io.kubernetes.cri-o.ContainerType\": \"sandbox\"" /box/c1
	sed -i 's/"container-type": "container"/"container-type": "sandbox"/' "$B/config.json"
	elsewhere
	box crun
	assert_eq '{"version":1,"container":"c1","cgroup":"/box/c1"' "$(cut -d, -f 1-3 $REG/c1.json)" registered
	assert_has "$(cat $REG/c1.json)" '"sandbox":false'
	assert_eq '' "$(grep -e etcd-0 -e web -e runtime $REG/c1.json)" 'names that were claimed'
	assert_eq 1 "$(cg_read /box/c1 memory.oom.group)" memory.oom.group
	assert_eq 134217728 "$(cg_read /box/c1 memory.high)" memory.high
}
t 'annotations of an engine that did not make it: no name, no sandbox; what was asked for is set' claims

# A guard of what is in a container looks at a part of it.
below_it()
{
	local root pid
	bundle "$asks" /box/c1
	box crun
	mkdir "$CG/box/c1/init"
	for pid in $(cg_pids /box/c1); do
		echo "$pid" >"$CG/box/c1/init/cgroup.procs"
	done
	cg_create /box/c1/in/deep
	for root in /box /box/c1 /box/c1/in /box/c1/in/deep; do
		cgguard tree --json --root "$CG$root" | tr -d '\n ' >"$T/json"
		assert_has "$(cat "$T/json")" '"container":"c1","name":"web"'
	done
	cg_create /box/c2/in
	assert_eq '' "$(cgguard tree --json --root "$CG/box/c2/in" | grep -w web)" 'the name of another'
}
t 'a root in a container is known as a part of it' below_it

# as Docker does, with a runtime that is told of nothing
runtimes_place()
{
	local runtime
	for runtime in crun runc; do
		bundle "$asks" /box/c1
		sed -i '/"hooks"/,/poststop/d' "$B/config.json"
		! grep -q hooks "$B/config.json" || fail 'there are hooks'
		as_asked $HOOK --runtime=$runtime --log /dev/null
		assert_has "$(cat "$B/config.json")" '"hooks":{"createRuntime":[{"path":"'$HOOK'"'
	done
}
t 'in the place of a runtime it adds itself, and becomes that' runtimes_place

# seen TEXT: the log has it
seen()
{
	printf '%s\n' "$1" >"$T/sought"
	within 5 'journalctl -q --no-pager -b | grep cgguard-hook | grep -qF -f "$T/sought"' ||
		fail "expected the log to say '$1', got $(journalctl -q --no-pager -b | grep cgguard-hook | tail -n 20)"
}

bad_input()
{
	local hooks='' input runtime
	head -c 1100000 /dev/zero | tr '\0' ' ' >"$T/huge"
	echo '{"id": "c2", "pid": 0, "status": "created"}' >"$T/zero"
	echo '{"id": "c3", "pid": 1}' >"$T/one"
	echo '{"id": "c4", "pid": 4194303}' >"$T/dead"
	echo '{"id": "c5", "pid": ' >"$T/malformed"
	for input in /dev/null huge zero one dead malformed; do
		case $input in /*) ;; *) input=$T/$input ;; esac
		hooks="$hooks${hooks:+,}{\"path\":\"/bin/sh\",\"timeout\":9,\"args\":[\"sh\",\"-c\",
			\"exec $HOOK createRuntime <$input\"]}"
	done
	bundle '' /box/c1 "$hooks"
	for runtime in crun runc; do
		box $runtime
		$runtime delete -f c1
	done
	seen 'the state is empty'
	seen 'larger than 1048576'
	seen "c2: the state's \"pid\" is 0"
	seen "c3: the state's \"pid\" is 1"
	seen 'c4: its process 4194303 has ended'
	seen 'the text ends before the JSON does'
	assert_eq '' "$(ls $REG)" registered
}
t 'a state that is empty, huge, malformed, of pid 0, 1 or the dead: the container starts, the log says why' bad_input

fail_closed()
{
	local runtime
	bundle '"io.cgguard.memory.high": "1Gi"' /box/c1 \
		"{\"path\":\"$HOOK\",\"args\":[\"h\",\"--fail-closed\",\"createRuntime\"],\"timeout\":9}"
	for runtime in crun runc; do
		t_defer "$runtime delete -f c1"
		! $runtime run -d -b "$B" c1 </dev/null >"$T/out" 2>&1 ||
			fail "expected $runtime not to start it"
	done
	seen "io.cgguard.memory.high is not set to '1Gi': it is above memory.max"
	assert_eq '' "$(ls $REG)" 'registered, of those that have not started'
	# a pipe that never ends: its own deadline comes before the runtime's
	bundle '' /box/c1 "{\"path\":\"$T/slow\",\"timeout\":9}"
	mkfifo "$T/pipe"
	printf '#!/bin/sh\nexec 3<>%s\nexec %s createRuntime <&3\n' "$T/pipe" $HOOK >"$T/slow"
	chmod +x "$T/slow"
	box crun
	seen 'it took longer than 1 s'
}
t '--fail-closed keeps it from starting; a state that never ends does not' fail_closed

# engine ARGUMENT...: the image's podman, with the shipped hooks unless others are named
engine()
{
	# in a unit it would leave its monitor there
	env -u INVOCATION_ID podman --storage-driver vfs --cgroup-manager "${MANAGER-systemd}" "$@"
}

# Without an image: a directory is the root.
podman_box()
{
	local name=$1
	shift
	t_defer "podman --storage-driver vfs rm -f -t 0 $name"
	engine "$@" --cgroupns private --name "$name" --rootfs "$B/rootfs" hog hold 40 >"$T/podman.out" 2>"$T/podman.err" ||
		fail "expected podman to run $name, got $(cat "$T/podman.err")"
	ID=$(cat "$T/podman.out")
}

# hooks DIR OPTION...: the shipped hooks there, with these options
hooks()
{
	local dir=$1 file options=''
	shift
	[ $# -eq 0 ] || options=$(printf '"%s", ' "$@")
	mkdir -p "$dir" /usr/libexec/oci/hooks.d
	ln -sf $HOOK /usr/libexec/oci/hooks.d/cgguard-hook
	for file in /test/hook/*.json; do
		sed "s|\"args\": \[\"cgguard-hook\", |&$options|" "$file" >"$dir/${dir##*/}-${file##*/}"
	done
}

# registered TEXT...: $ID is, with these in it
registered()
{
	local text
	[ -s "$REG/$ID.json" ] || fail "expected $ID to be registered, got $(journalctl -q -t cgguard-hook)"
	for text; do
		assert_has "$(cat "$REG/$ID.json")" "$text"
	done
}

# helps CGROUP: a process of the engine's is in there, and it is a helper: no candidate, and not killed by hand
helps()
{
	[ -n "$(cg_pids "$1")" ] || fail "nobody in $1"
	assert_has "$(cgguard explain "$1" --policy /policies/host.json)" "a container runtime's helper"
	assert_fails 1 cgguard kill "$1" >"$T/out" 2>"$T/said"
	said "a container runtime's helper"
}

podman_tells()
{
	local dir id
	bundle '' /x
	hooks /usr/share/containers/oci/hooks.d
	podman_box web run -d --network none --annotation io.cgguard.memory.oom.group=1
	id=$ID
	registered '"name":"web"'
	dir=$(sed 's/.*"cgroup":"\([^"]*\)".*/\1/' $REG/"$id".json)
	assert_eq 1 "$(cg_read "$dir" memory.oom.group)" memory.oom.group
	assert_has "$(cgguard rank --top 0)" "(podman container $(echo "$id" | cut -c1-12) (web))"
	helps "/machine.slice/libpod-conmon-$id.scope"
	# A guard that starts later knows it, and names it when it dies. Its rule leaves libpod-conmon-*.scope alone:
	# podman itself is in there, and not exempt, until conmon runs.
	cat >"$T/p.json" <<-END
		{"version": 1, "rules": [{"name": "any", "each": "/machine.slice/libpod-[0-9a-f][0-9a-f]*.scope",
		 "when": {"usage_above": "2Mi"}, "then": [{"action": "kill", "scope": "group"}]}]}
	END
	guard_start --policy "$T/p.json"
	wait_until 20 'incident_has outcome killed'
	incident_has victim.owner.name web || fail "expected web to be named, got $(incidents)"
	incident_has victim.owner.runtime podman || fail 'expected its runtime'
	incident_has victim.owner.container "$id" || fail 'expected its id'
	assert_has "$(cgguard status)" "(web))"
	wait_until 20 "[ ! -e $REG/$id.json ]"
	# one that comes while it runs
	podman_box later run -d --network none
	wait_until 20 'incident_has victim.owner.name later'
}
t 'podman: the shipped hooks.d, and who was killed is named' podman_tells

podman_pods()
{
	local pod dir
	bundle '' /x
	hooks /usr/share/containers/oci/hooks.d
	hooks "$T/closed" --fail-closed
	tar -C "$B/rootfs" -cf "$T/box.tar" .
	engine import -c 'ENV PATH=/bin' -c 'CMD ["hog", "sleep"]' "$T/box.tar" box:1 >/dev/null || fail 'no image'
	t_defer 'podman --storage-driver vfs pod rm -f -t 0 -a'
	pod=$(engine pod create --name shop --network none --infra-image box:1) || fail 'no pod'
	podman_box web run -d --pod shop --annotation io.cgguard.memory.oom.group=1
	registered '"runtime":"podman","name":"web"' '"pod":"'"$pod"'"' '"memory.oom.group":{"value":"1"' \
		"/machine-libpod_pod_$pod.slice/libpod-$ID.scope"
	cgguard tree >"$T/tree"
	assert_has "$(cat "$T/tree")" "podman container $(echo "$ID" | cut -c1-12) (web) of pod $pod"
	ID=$(engine inspect -f '{{.Id}}' "$(echo "$pod" | cut -c1-12)-infra")
	registered '"sandbox":true'
	helps "/machine.slice/machine-libpod_pod_$pod.slice/libpod-$ID.scope"
	engine pod rm -f -t 0 shop >/dev/null || fail 'pod rm'
	assert_eq '' "$(ls $REG)" registered
	# The cgroup of one without an infra says nothing of the pod.
	MANAGER=cgroupfs
	pod=$(engine pod create --name bare --infra=false) || fail 'no pod'
	podman_box plain run -d --pod bare --network none --annotation io.cgguard.memory.high=64Mi
	registered '"cgroup":"/libpod_parent/libpod-'"$ID"'"' '"name":"plain"' '"pod":"'"$pod"'"'
	assert_eq 67108864 "$(cg_read "/libpod_parent/libpod-$ID" memory.high)" memory.high
	assert_has "$(cgguard rank --top 0)" "(podman container $(echo "$ID" | cut -c1-12) (plain) of pod $pod)"
	engine pod rm -f -t 0 bare >/dev/null || fail 'pod rm'
	assert_eq '' "$(ls $REG)" registered
	! engine --hooks-dir "$T/closed" run --network none -m 64m --annotation io.cgguard.memory.high=1Gi \
		--name bad --rootfs "$B/rootfs" hog sleep >"$T/out" 2>&1 || fail 'expected it not to start'
	assert_has "$(cat "$T/out")" 'error executing hook'
	seen "io.cgguard.memory.high is not set to '1Gi': it is above memory.max"
	engine rm -f bad
	assert_eq '' "$(ls $REG)" registered
}
t 'podman: pods, cgroupfs, --fail-closed: named with their pod, taken off' podman_pods

# A user's own podman, as a service has it (--cgroups=split), without a session.
podman_rootless()
{
	local own=$T/run/cgguard
	bundle '' /x
	hooks "$T/shipped"
	hooks "$T/own" --state "$own"
	mkdir -p /run/cgguard/containers "$T/run" "$T/home"
	chown -R 1000 "$T/run" "$T/home" "$B"
	grep -q ^joe: /etc/passwd || echo "joe:x:1000:1000::$T/home:/bin/sh" >>/etc/passwd
	cat >"$T/joe.sh" <<-END
		engine="podman --storage-driver vfs --cgroup-manager cgroupfs --hooks-dir $T/shipped --hooks-dir $T/own"
		\$engine run -d --cgroups split --network none --name mine --annotation io.cgguard.memory.high=64Mi \\
			--rootfs $B/rootfs hog hold 40 >$T/home/id
		while [ ! -e $T/home/go ]; do sleep 1; done
		\$engine rm -f -t 0 mine
	END
	systemd-run -q --unit=joe --uid=1000 -p Delegate=yes --setenv=HOME="$T/home" --setenv=XDG_RUNTIME_DIR="$T/run" \
		--setenv=PATH=/usr/bin:/bin:/usr/sbin /bin/sh "$T/joe.sh" || fail 'no unit'
	t_defer 'journalctl -q -n 20 -o cat -u joe'
	wait_until 100 '[ -s "$T/home/id" ]'
	seen "it is not registered in '/run/cgguard/containers': Permission denied: the engine is a user's"
	ID=$(cat "$T/home/id")
	assert_eq 67108864 "$(cg_read "/system.slice/joe.service/libpod-payload-$ID" memory.high)" memory.high
	REG=$own/containers registered '"runtime":"podman","name":"mine"' '"cgroup":"/system.slice/joe.service/libpod-payload-'"$ID"'"'
	# a guard of that directory names it
	policy any <<-END
		{"version": 1, "rules": [{"name": "any", "each": "/system.slice/joe.service/libpod-payload-*",
		 "when": {"usage_above": "2Mi"}, "then": [{"action": "kill", "scope": "group"}]}]}
	END
	guard_start --policy "$T/any.json" --state "$own"
	wait_until 20 'incident_has outcome killed'
	incident_has victim.owner.name mine || fail "expected mine to be named, got $(incidents)"
	incident_has victim.owner.container "$ID" || fail "expected its id, got $(incidents)"
	: >"$T/home/go"
	wait_until 30 '! systemctl is-active -q joe'
	assert_eq '' "$(ls "$own/containers")" registered
}
t 'podman of a user: it starts, the log says why it is not registered; where he can write it is' podman_rootless

# pod_begin NAME: the pod of a manifest, in the cgroup /NAME; the guest's files are its image
pod_begin()
{
	mkdir "$T/pod" "$T/root"
	tar -xf "/test/$1.tar" -C "$T/pod" || fail "no bundle of $1"
	mount --bind / "$T/root" || fail "can't mount"
	t_defer "umount $T/root"
	sed -i -e "s|@ROOT@|$T/root|" -e "s|@BUNDLE@|$T/pod|" -e "s|@CGROUP@|/$1|" "$T/pod/config.json"
	t_defer "crun delete -f $1"
	crun run -d -b "$T/pod" "$1" </dev/null >"$T/pod.out" 2>"$T/guard.err" ||
		fail "expected crun to start $1, got $(cat "$T/guard.err")"
	wait_until 20 'grep -q guarding "$T/guard.err"'
}

# pod_records: what the guard in there has recorded becomes the test's records
pod_records()
{
	grep '^{' "$T/pod.out" >"$T/incidents.jsonl"
}

# assert_lacks_powers CGROUP: its processes are not root and can become nothing more
assert_lacks_powers()
{
	local pid
	for pid in $(cg_pids "$1"); do
		assert_eq 0000000000000000 "$(sed -n 's/^CapPrm:.//p' "/proc/$pid/status")" capabilities
		assert_eq 1000 "$(sed -n 's/^Uid:.\([0-9]*\).*/\1/p' "/proc/$pid/status")" uid
	done
}

guards_itself()
{
	[ -e /test/sidecar.tar ] || t_skip 'where this was built there was no python3-yaml'
	printf '#!/bin/sh\nwhile :; do /test/bin/hog anon 200 20; done\n' >/usr/local/bin/supervisor
	chmod +x /usr/local/bin/supervisor
	pod_begin sidecar
	assert_has "$(cat "/proc/$(cg_pids /sidecar | head -n 1)/mounts")" '/sys/fs/cgroup cgroup2 ro,'
	assert_lacks_powers /sidecar
	# two workers, one after the other, are asked to end before the limit; the container lives on
	wait_until 40 'pod_records; [ "$(incident_count)" -ge 2 ]'
	assert_eq averted "$(incident all outcome | grep -vx notified | sort -u)" outcomes
	assert_has "$(incidents)" '"action":"terminate"'
	assert_has "$(cat "$T/guard.err")" Terminated
	assert_has "$(crun list)" running
	assert_eq 0 "$(cg_event /sidecar memory.events oom_kill)" oom_kill
	assert_no_oom_kill
}
t 'a container guards itself with the privileges of sidecar.yaml: SIGTERM before the limit' guards_itself

guards_the_node()
{
	local pod=94eb36cd-29e1-478b-b365-4cb5dfc7d6fb id
	id=$(printf '%064d' 7)
	[ -e /test/daemonset.tar ] || t_skip 'where this was built there was no python3-yaml'
	ln -sf /usr/local/bin/cgguard /usr/bin/cgguard
	[ -d /run/cgguard ] || mkdir -m 700 /run/cgguard
	pod_begin daemonset
	assert_eq 0000000001804022 "$(sed -n 's/^CapBnd:.//p' "/proc/$(cg_pids /daemonset | head -n 1)/status")" capabilities
	bundle "\"io.cgguard.memory.oom.group\": \"1\", \"io.kubernetes.cri.container-type\": \"container\",
		\"io.kubernetes.cri.container-name\": \"web\"" "/kubepods/burstable/pod$pod/$id" '' "$id"
	sed -i -e 's/"sleep", "300"/"hog", "anon", "300", "10"/' "$B/config.json"
	t_defer "crun delete -f $id"
	crun run -d -b "$B" "$id" </dev/null >"$T/run.out" 2>&1 ||
		fail "expected crun to start it, got $(cat "$T/run.out")"
	wait_until 90 'pod_records; incident_has outcome killed'
	incident_has victim.owner.pod $pod || fail "expected its pod, got $(incidents)"
	incident_has victim.owner.name web || fail "expected its name, got $(incidents)"
	incident_has victim.scope group || fail 'expected it to die whole'
	assert_no_oom_kill
	assert_has "$(crun list)" daemonset
}
t 'the guard of a node, with the privileges of daemonset.yaml: a container at its limit dies, named' guards_the_node

t_plan_end
