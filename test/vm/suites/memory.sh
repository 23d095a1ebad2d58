# shellcheck shell=dash disable=SC1091,SC2005,SC2015,SC2016,SC2034,SC2046,SC2317
# What one more of many cgroups costs: of the guard's own memory, and of the kernel's on its account.
# boot: --cpus 2 --mem 1536
. /test/lib.sh
T_TIMEOUT=240
GUARD_START_S=60

# own, kernel: bytes, without what the kernel only keeps in case that it is asked for again
own()
{
	echo $(($(sed -n 's/^VmRSS:[^0-9]*\([0-9]*\).*/\1/p' "/proc/$GUARD_PID/status") * 1024))
}

kernel()
{
	# what was used lately only loses its mark at first
	for _ in 1 2 3; do
		echo 2 >/proc/sys/vm/drop_caches
	done
	sleep 3 # memory.stat lags
	cg_event /guard memory.stat kernel
}

# cgroups: how many the guard knows
cgroups()
{
	local n
	n=$(cgguard status 2>/dev/null | sed -n '1s/.* \([0-9]*\) cgroups.*/\1/p')
	echo "${n:-0}"
}

# costs WHAT N OWN KERNEL: each of N since own and kernel were $OWN and $KERNEL
costs()
{
	local own kernel
	assert_eq 0 "$(sed -n 's/^AnonHugePages:[^0-9]*\([0-9]*\).*/\1/p' "/proc/$GUARD_PID/smaps_rollup")" \
		'KiB of huge pages of our own'
	own=$((($(own) - OWN) / $2)) kernel=$((($(kernel) - KERNEL) / $2))
	echo "# $1: $own bytes of our own each, $kernel of the kernel's" >&3
	assert_between 0 "$3" "$own" "bytes of our own, $1"
	assert_between 0 "$4" "$kernel" "bytes of the kernel's, $1"
}

start()
{
	ulimit -Hn 100000
	ulimit -n 100000
	guard_start "$@"
}

# A user's cgroups, without a memory controller below his own
a_crowd()
{
	cg_create /user
	echo '-memory -pids -cpu' >"$CG/user/cgroup.subtree_control"
	mkdir "$CG/user/a" "$CG/user/b"
	chown -R 1000 "$CG/user"
	start --policy /policies/host.json
	t_defer "seq 0 9999 | sed 's|^|$CG/user/b/|' | xargs rmdir 2>/dev/null || :"
	t_defer "seq 0 1999 | sed 's|^|$CG/user/a/|' | xargs rmdir 2>/dev/null || :"
	su user -s /bin/sh -c "exec pest many $CG/user/a 2000" </dev/null
	wait_until 60 '[ "$(cgroups)" -ge 2000 ]'
	sleep 5
	OWN=$(own) KERNEL=$(kernel)
	su user -s /bin/sh -c "exec pest many $CG/user/b 10000" </dev/null
	wait_until 90 '[ "$(cgroups)" -ge 12000 ]'
	sleep 10
	costs 'one of a crowd without memory' 10000 480 1500
	guard_stop
}

# boxes FROM TO
boxes()
{
	i=$1
	while [ "$i" -lt "$2" ]; do
		i=$((i + 1))
		mkdir "$CG/boxes/$i" && echo 64M >"$CG/boxes/$i/memory.max"
	done
}

# settled N: all are known, watched, and no longer young
settled()
{
	wait_until 60 "[ \"\$(cgroups)\" -ge $1 ]"
	[ "$BRAKE" = false ] || wait_until 90 "[ \"\$(cg_read /boxes/$1 memory.high)\" != max ]"
	sleep 8
}

# limited OWN KERNEL: containers with a limit of their own, each a domain
limited()
{
	cg_create /boxes
	t_defer "seq 1 2400 | sed 's|^|$CG/boxes/|' | xargs rmdir"
	echo +memory >"$CG/boxes/cgroup.subtree_control"
	policy p <<-END
	{"version": 1, "rules": [{"name": "box", "each": "/boxes/*", "brake": $BRAKE,
	 "when": {"unreclaimable_above": "90%"}, "then": [{"action": "kill"}]}]}
	END
	start --policy "$T/p.json" --state "$T/state"
	boxes 0 1200 # more than have cgroup.kill or memory.current held
	settled 1200
	OWN=$(own) KERNEL=$(kernel)
	boxes 1200 2400
	settled 2400
	costs "with a limit, brake $BRAKE" 1200 "$1" "$2"
	guard_stop
}

far_from_danger()
{
	BRAKE=false
	limited 930 1500
}

with_a_brake()
{
	BRAKE=true
	limited 1700 2300
}

t 'one of a crowd of empty cgroups' a_crowd
t 'a container with a limit, far from danger' far_from_danger
t 'a container with a limit and a brake' with_a_brake
t_plan_end
