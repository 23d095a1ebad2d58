# shellcheck shell=dash disable=SC1091,SC2015,SC2016,SC2034,SC2046,SC2317
# boot: --image crun,curl,dbus,docker.io,podman,runc,systemd-sysv --systemd --append apparmor=0
# boot: --add @source@/deploy/hook
# cgguard-hook in the place of Docker's and containerd's runtime, with both cgroup drivers, as
# deploy/hook/README.md has it. Each test stands on those before it. (apparmor=0: the kernel has it, the
# image lacks its parser, and Docker asks for it then.)
. /test/lib.sh

T_TIMEOUT=150

T_KEEP="$T_KEEP docker/ default/ kubepods.slice/ "
HOOK=/usr/libexec/oci/hooks.d/cgguard-hook
REG=/run/cgguard/containers

mkdir -p /etc/docker /usr/libexec/oci/hooks.d
ln -sf /usr/local/bin/cgguard-hook $HOOK

# engine DRIVER DATA-ROOT: Docker by the README's daemon.json, with an image called box
engine()
{
	need_module overlay
	sed -n '/daemon.json/,/^Labels/s/^    //p' /test/hook/README.md >/etc/docker/daemon.json
	sed -i 's|"runtimes": {|& "closed": {"path": "'$HOOK'", "runtimeArgs": ["--fail-closed", "--allow", "memory.oom.group,memory.high", "--runtime=/usr/bin/runc"]},|' \
		/etc/docker/daemon.json
	echo "DOCKER_OPTS='--bridge=none --iptables=false --exec-opt native.cgroupdriver=$1 --data-root=$2'" \
		>/etc/default/docker
	systemctl restart docker || fail "no Docker: $(journalctl -q -n 20 -u docker)"
	mkdir -p "$T/root/bin"
	cp /test/bin/busybox /test/bin/hog "$T/root/bin/"
	ln -sf busybox "$T/root/bin/sh"
	tar -C "$T/root" -c . | docker import -c 'ENV PATH=/bin' -c 'CMD ["hog", "sleep"]' - box:1 || fail 'no image'
}

# box NAME ARGUMENT...: a container that is there for the tests after this one as well; $ID, $BOX its cgroup
box()
{
	docker run -d --network none -m 64m --name "$@" >"$T/run.out" 2>"$T/run.err" ||
		fail "expected docker to start $1, got $(cat "$T/run.err")"
	ID=$(cat "$T/run.out")
	BOX=$(sed 's/.*"cgroup":"\([^"]*\)".*/\1/' "$REG/$ID.json") ||
		fail "expected $1 to be registered, got $(hook_log)"
}

hook_log()
{
	journalctl -q --no-pager -b -o cat -t cgguard-hook
}

# has FILE=VALUE...: of $BOX
has()
{
	local setting
	for setting; do
		assert_eq "${setting#*=}" "$(cg_read "$BOX" "${setting%%=*}")" "${setting%%=*}"
	done
}

# named NAME: by Docker's own name and image, wherever cgguard shows it
named()
{
	local sought=$1
	assert_has "$(cat "$REG/$ID.json")" '"runtime":"docker","name":"'"$sought"'","image":"box:1"'
	cgguard rank --top 0 | grep -qF "(docker container $(echo "$ID" | cut -c1-12) ($sought))" ||
		fail "expected rank to name $sought, got $(cgguard rank --top 0)"
	cgguard tree >"$T/tree"
	assert_has "$(cat "$T/tree")" "docker container $(echo "$ID" | cut -c1-12) ($sought)"
	cgguard explain --json "$BOX" | tr -d '\n ' >"$T/json"
	assert_has "$(cat "$T/json")" '"name":"'"$sought"'","image":"box:1"'
	cgguard rank --json --top 0 | tr -d '\n ' >"$T/json"
	assert_has "$(cat "$T/json")" '"container":"'"$ID"'","name":"'"$sought"'","image":"box:1"'
}

asked="--label io.cgguard.memory.oom.group=1 --label io.cgguard.memory.high=95% --label io.cgguard.memory.swap.max=0"
# when the file is there it leaks, each time that it is started
leak='hog sleep & exec hog --wait /go anon 200 200'

# leaks [TIMES]: $ID dies whole at its limit, named
leaks()
{
	guard_start --policy /policies/container-host.json
	: >"/proc/$(cg_pids "$BOX" | head -n 1)/root/go"
	wait_until 90 "sleep 1; [ \"\$(incident_count)\" -ge ${1-1} ]"
	pick "${1-1}"
	says outcome killed
	says rule container-limit
	says victim.cgroup "$BOX"
	says victim.scope group
	says victim.processes.# 2
	says victim.owner.runtime docker
	says victim.owner.container "$ID"
	says victim.owner.name web
	says victim.owner.image box:1
	guard_stop
	assert_no_oom_kill
}

systemd_driver()
{
	local before
	engine systemd /var/lib/docker
	# shellcheck disable=SC2086
	box web $asked --restart on-failure:1 box:1 sh -c "$leak"
	assert_eq "/system.slice/docker-$ID.scope" "$BOX" 'its cgroup'
	has memory.max=67108864 memory.oom.group=1 memory.high=63750144 memory.swap.max=0
	named web
	assert_eq cgguard "$(docker info -f '{{.DefaultRuntime}}')" 'default runtime'
	assert_eq '' "$(hook_log)" 'what the hook has to say'
	assert_eq '' "$(journalctl -q -b -u docker | grep 'cgguard-hook version')" 'what Docker has to say of it'
	before=$(pidof dockerd containerd)
	leaks 2
	# Docker has started all of it again, once as it was asked to; it knows nothing of why it died
	wait_until 60 "sleep 1; [ ! -e $REG/$ID.json ]"
	assert_eq '1 137 false' "$(docker inspect -f '{{.RestartCount}} {{.State.ExitCode}} {{.State.OOMKilled}}' web)" \
		'restarts, exit code, OOMKilled'
	assert_eq "$before" "$(pidof dockerd containerd)" 'Docker and containerd'
}
t 'Docker, systemd driver: as labels ask, named, dies whole by container-host.json, starts again' systemd_driver

bad_labels()
{
	box odd --label io.cgguard.memory.oom.group=1 --label io.cgguard.memory.high=50% \
		--label io.cgguard.memory.swap.max=much --label io.cgguard.memory.max=1 box:1
	has memory.max=67108864 memory.high=33554432 memory.oom.group=1
	assert_has "$(hook_log)" "$ID: io.cgguard.memory.swap.max is not set to 'much': it is a size"
	assert_has "$(hook_log)" "$ID: there is no annotation io.cgguard.memory.max"
	# by systemd, that resets the other files of the scope as well: the guard puts them back
	guard_start --policy /policies/container-host.json
	docker update --memory 128m --memory-swap 256m odd || fail 'docker update'
	wait_until 30 'cgguard status --json | tr -d " " | grep -q "\"resets_undone\":[2-9]"'
	has memory.max=134217728 memory.high=33554432 memory.swap.max=134217728 memory.oom.group=1
	guard_stop
	docker rm -f odd
	[ ! -e "$REG/$ID.json" ] || fail 'expected it to be taken off'
}
t 'a label that can not be meant: the container starts, the log says why; docker update' bad_labels

fails_closed()
{
	! docker run --runtime closed --network none -m 64m --label io.cgguard.memory.swap.max=0 --name bad box:1 \
		>"$T/out" 2>&1 || fail 'expected it not to start'
	assert_has "$(cat "$T/out")" "io.cgguard.memory.swap.max is not set to '0': the host does not allow it"
	assert_eq '' "$(ls $REG)" registered
	box good --runtime closed --label io.cgguard.memory.oom.group=1 box:1
	has memory.oom.group=1
	docker rm -f good bad
	[ ! -e "$REG/$ID.json" ] || fail 'expected it to be taken off'
}
t '--fail-closed, --allow in Docker: what is not allowed does not start, and says why' fails_closed

# Whoever builds an image writes its LABELs. They ask, but name nobody, and make no sandbox.
images_labels()
{
	local users=/user.slice/user-1000.slice/user@1000.service/app.slice short claims
	docker create --name bare box:1
	claims='io.kubernetes.cri.container-type=sandbox io.kubernetes.cri.container-name=etcd
		io.kubernetes.cri.image-name=registry.k8s.io/etcd io.kubernetes.cri.sandbox-name=etcd-0
		io.kubernetes.cri.sandbox-namespace=kube-system io.kubernetes.cri.sandbox-uid=11111111-29e1-478b-b365-4cb5dfc7d6fb
		io.kubernetes.container.name=etcd io.kubernetes.pod.name=etcd-0 io.kubernetes.pod.namespace=kube-system
		io.kubernetes.docker.type=podsandbox io.container.manager=libpod nerdctl/name=etcd'
	docker commit -c "LABEL $(printf %s "$claims" | tr -s '\n\t' ' ')" bare evil:1 || fail 'no image'
	docker rm bare
	box honest --label io.cgguard.memory.high=50% -v /:/data/containers:ro evil:1
	has memory.high=33554432
	assert_has "$(cat "$REG/$ID.json")" '"sandbox":false,"runtime":"docker","name":"honest","image":"evil:1"'
	assert_eq '' "$(grep -e etcd -e kube-system -e podman "$REG/$ID.json")" 'what its image claims'
	short=$(echo "$ID" | cut -c1-12)
	assert_has "$(cgguard rank --top 0)" "(docker container $short (honest))"
	# a user gives a cgroup of his the name of the container's
	cg_create "$users/docker-$ID.scope"
	t_defer "rmdir $CG$users/docker-$ID.scope $CG$users"
	cg_run "$users/docker-$ID.scope" hog hold 30 >/dev/null
	cgguard rank --top 0 >"$T/rank"
	assert_eq 1 "$(grep -c "docker container $short" "$T/rank")" "rank's lines of it"
	policy user <<-END
		{"version": 1, "rules": [{"name": "user", "each": "$users/docker-*.scope",
		 "when": {"usage_above": "2Mi"}, "then": [{"action": "kill"}]}]}
	END
	guard_start --policy "$T/user.json"
	incidents_are 1 60
	pick 1
	says outcome killed
	says victim.cgroup "$users/docker-$ID.scope"
	says victim.owner.unit user@1000.service
	assert_eq '' "$(grep -e honest -e evil -e '"container' "$T/record")" 'the record on its container'
	guard_stop
	docker rm -f honest
}
t 'LABELs of an image name nobody and make no sandbox; nor does the name of a cgroup' images_labels

cgroupfs_driver()
{
	engine cgroupfs /srv/docker
	# shellcheck disable=SC2086
	box web $asked box:1 sh -c "$leak"
	assert_eq "/docker/$ID" "$BOX" 'its cgroup'
	has memory.max=67108864 memory.oom.group=1 memory.high=63750144 memory.swap.max=0
	leaks
	wait_until 60 "sleep 1; [ ! -e $REG/$ID.json ]"
}
t 'the same with the cgroupfs driver, and its data elsewhere' cgroupfs_driver

# task NAME ARGUMENT...: a container of containerd alone
task()
{
	local name=$1
	shift
	t_defer "ctr task rm -f $name; ctr container rm $name"
	ctr run -d --runc-binary /usr/local/bin/cgguard-runc --memory-limit 67108864 "$@" \
		docker.io/library/box:1 "$name" sh -c "$leak" || fail "expected ctr to start $name"
	assert_has "$(cat $REG/"$name".json)" '"runtime":"containerd"'
	BOX=$(sed 's/.*"cgroup":"\([^"]*\)".*/\1/' "$REG/$name.json")
}

# Debian's containerd is Docker's as well, and can be had alone.
containerd_alone()
{
	docker save -o /var/tmp/box.tar box:1
	ctr image import /var/tmp/box.tar || fail 'no image'
	systemctl stop docker.socket docker
	grep -A1 '^    #!/bin/sh' /test/hook/README.md | sed 's/^    //' \
		>/usr/local/bin/cgguard-runc
	chmod +x /usr/local/bin/cgguard-runc
	task unit --label io.cgguard.memory.oom.group=1 --cgroup system.slice:ctr:unit --runc-systemd-cgroup
	assert_eq /system.slice/ctr-unit.scope "$BOX" 'its cgroup'
	has memory.max=67108864 memory.oom.group=1
	task plain --annotation io.cgguard.memory.high=95%
	assert_eq /default/plain "$BOX" 'its cgroup'
	has memory.max=67108864 memory.high=63750144
	assert_has "$(cgguard rank --top 0)" '(containerd container plain)'
	guard_start --policy /policies/container-host.json
	: >"/proc/$(cg_pids "$BOX" | head -n 1)/root/go"
	incidents_are 1 60
	pick 1
	says outcome killed
	says victim.cgroup "$BOX"
	says victim.owner.container plain
	guard_stop
	ctr task rm plain
	[ ! -e $REG/plain.json ] || fail 'expected it to be taken off'
}
t 'containerd alone, by ctr, both drivers: as labels ask, named, dies whole by container-host.json' containerd_alone

# ---- the kubelet's calls ------------------------------------------------------------------

# A protobuf message is its fields one after the other. text NUMBER STRING, message NUMBER <FIELDS, number
# NUMBER VALUE, pair NUMBER KEY VALUE (of a map): one field.
text()
{
	printf %s "$2" | message "$1"
}

message()
{
	local field
	field=$(mktemp "$T/field.XXXXXX")
	cat >"$field"
	varint $(($1 * 8 + 2))
	varint "$(wc -c <"$field")"
	cat "$field"
	rm "$field"
}

number()
{
	varint $(($1 * 8))
	varint "$2"
}

pair()
{
	(text 1 "$2"; text 2 "$3") | message "$1"
}

varint()
{
	local rest=$1
	while [ "$rest" -ge 128 ]; do
		byte $((rest % 128 + 128))
		rest=$((rest / 128))
	done
	byte "$rest"
}

byte()
{
	# shellcheck disable=SC2059
	printf "\\$(printf %03o "$1")"
}

# cri METHOD <MESSAGE: the words of its answer
cri()
{
	local size
	cat >"$T/body"
	size=$(wc -c <"$T/body")
	(byte 0; byte 0; byte 0; byte $((size / 256)); byte $((size % 256)); cat "$T/body") >"$T/frame"
	/usr/bin/curl -sS --http2-prior-knowledge --unix-socket /run/containerd/containerd.sock -D "$T/head" \
		-o "$T/answer" -H 'content-type: application/grpc' -H 'te: trailers' --data-binary @"$T/frame" \
		"http://localhost/runtime.v1.RuntimeService/$1" || fail "$1 can't be called"
	grep -q '^grpc-status: 0' "$T/head" || fail "$1: $(cat "$T/head")"
	strings -n 4 "$T/answer"
}

# pod: a PodSandboxConfig with the host's network
pod()
{
	(text 1 shop-0; text 2 $POD; text 3 prod) | message 1
	pair 7 io.cgguard.memory.oom.group 1
	pair 7 io.cgguard.memory.swap.max/web 0
	pair 7 io.cgguard.memory.high/other 50%
	(text 1 "${SLICE##*/}"; (number 1 2 | message 1) | message 2) | message 8
}

# container: a ContainerConfig of web, with a limit
container()
{
	text 1 web | message 1
	text 1 docker.io/library/box:1 | message 2
	text 3 sh
	text 3 -c
	text 3 'hog sleep & exec hog --wait /go anon 200 10'
	(number 4 67108864 | message 1) | message 15
}

POD=94eb36cd-29e1-478b-b365-4cb5dfc7d6fb
SLICE=/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod94eb36cd_29e1_478b_b365_4cb5dfc7d6fb.slice

as_the_kubelet_does()
{
	local sandbox
	sed -n '/config.toml/,/^.ctr run/s/^    //p' /test/hook/README.md >/etc/containerd/config.toml
	printf '[plugins."io.containerd.grpc.v1.cri"]\nsandbox_image = "docker.io/library/box:1"\n' \
		>>/etc/containerd/config.toml
	systemctl restart containerd || fail "no containerd: $(journalctl -q -n 20 -u containerd)"
	ctr -n k8s.io image import /var/tmp/box.tar || fail 'no image'
	pod >"$T/pod"
	message 1 <"$T/pod" | cri RunPodSandbox >"$T/words"
	sandbox=$(grep -o '[0-9a-f]\{64\}' "$T/words")
	(text 1 "$sandbox"; container | message 2; message 3 <"$T/pod") | cri CreateContainer >"$T/words"
	ID=$(grep -o '[0-9a-f]\{64\}' "$T/words")
	text 1 "$ID" | cri StartContainer
	BOX=$SLICE/cri-containerd-$ID.scope
	has memory.max=67108864 memory.oom.group=1 memory.swap.max=0 memory.high=max
	# the sandbox is no container that anybody has asked for
	assert_eq 0 "$(cg_read "$SLICE/cri-containerd-$sandbox.scope" memory.oom.group)" "the sandbox's memory.oom.group"
	assert_has "$(cat "$REG/$sandbox.json")" '"sandbox":true'
	assert_eq '' "$(hook_log | grep -e "$ID" -e "$sandbox")" 'what the hook has to say'
	assert_has "$(cgguard rank --top 0)" "(containerd container $(echo "$ID" | cut -c1-12) (web) of pod prod/shop-0)"
	guard_start --policy /policies/kubernetes.json
	: >"/proc/$(cg_pids "$BOX" | head -n 1)/root/go"
	incidents_are 1 60
	pick 1
	says outcome killed
	says rule container-limit
	says victim.cgroup "$BOX"
	says victim.processes.# 2
	says victim.owner.runtime containerd
	says victim.owner.name web
	says victim.owner.image docker.io/library/box:1
	says victim.owner.pod $POD
	says victim.owner.pod_name shop-0
	says victim.owner.pod_namespace prod
	guard_stop
	assert_alive "$SLICE/cri-containerd-$sandbox.scope" 1
	wait_until 30 "sleep 1; text 1 $ID | cri ContainerStatus | grep -qx '.*Error.*'"
	text 1 "$sandbox" | cri StopPodSandbox
	[ ! -e "$REG/$ID.json" ] && [ ! -e "$REG/$sandbox.json" ] || fail 'expected them to be taken off'
}
t "containerd, by the kubelet's calls: as a pod's annotations ask, named, one container of it dies whole" as_the_kubelet_does
t_plan_end
