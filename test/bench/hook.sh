# shellcheck shell=dash disable=SC1091,SC2034
# What cgguard-hook adds to a container's life, beside hooks that do nothing: each container is run, does
# nothing, and is gone. What run wants is in /test/bench.conf: RACES.
. /test/lib.sh
RACES=20
[ ! -e /test/bench.conf ] || . /test/bench.conf
T_TIMEOUT=7000

# bundle NAME [PROGRAM ARGV0]: $T/NAME, with that as its createRuntime and poststop hook
bundle()
{
	local root=$T/$1/rootfs hooks=''
	mkdir -p "$root/bin" "$root/proc" "$root/dev" "$root/sys"
	cp /test/bin/busybox "$root/bin/true"
	[ $# -eq 1 ] || hooks="\"hooks\": {
		\"createRuntime\": [{\"path\": \"$2\", \"args\": [\"$3\", \"createRuntime\"]}],
		\"poststop\": [{\"path\": \"$2\", \"args\": [\"$3\", \"poststop\"]}]},"
	cat >"$T/$1/config.json" <<-END
		{"ociVersion": "1.0.2", $hooks
		 "process": {"user": {"uid": 0, "gid": 0}, "cwd": "/", "env": ["PATH=/bin"], "args": ["true"]},
		 "root": {"path": "rootfs"},
		 "mounts": [{"destination": "/proc", "type": "proc", "source": "proc"}],
		 "annotations": {"io.cgguard.memory.high": "80%", "io.kubernetes.cri.container-name": "web"},
		 "linux": {"cgroupsPath": "/box/c1", "resources": {"memory": {"limit": 268435456}},
		  "namespaces": [{"type": "pid"}, {"type": "mount"}, {"type": "cgroup"}]}}
	END
}

# by_turns RUNTIME WHAT
by_turns()
{
	turns "$RACES" /dev/null \
		none "/usr/bin/$1" run -b "$T/none" c1 -- \
		"true, static" "/usr/bin/$1" run -b "$T/static" c1 -- \
		"true, dynamic" "/usr/bin/$1" run -b "$T/dynamic" c1 -- \
		"cgguard-hook" "/usr/bin/$1" run -b "$T/hook" c1 >"$T/turns" || fail "$1"
	sed "s/.*/# bench {\"scenario\":\"hook\",\"guard\":\"$2\",&}/" "$T/turns" >&3
}

hook()
{
	local runtime
	cg_create /box
	bundle none
	bundle static /test/bin/busybox true
	bundle dynamic /usr/bin/true true
	bundle hook /usr/local/bin/cgguard-hook cgguard-hook
	for runtime in crun runc; do
		by_turns $runtime $runtime
	done
	guard_start --policy /policies/container-host.json
	for runtime in crun runc; do
		by_turns $runtime "$runtime, guarded"
	done
	guard_stop
}
t 'what a hook costs a container' hook
t_plan_end
