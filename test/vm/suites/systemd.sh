# shellcheck shell=dash disable=SC1091,SC2015,SC2016,SC2034,SC2046
# boot: --image crun,curl,dbus,docker.io,podman,runc,systemd-sysv --systemd
# boot: --add @build@/test/vm/debs
# The Debian packages on a real systemd: installed, running from the shipped unit, and gone again. Each
# test stands on those before it.
. /test/lib.sh

T_TIMEOUT=150
T_KEEP="$T_KEEP cgguard.slice/ box.slice/ "
DEBIAN=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
KILLED=cf89c5909fcf44e6bcda97b83e2f1e1b
SERVICE=/cgguard.slice/cgguard.service
POLICIES=/etc/cgguard/policy.d

# What boot has put there is no package's, and the image says that no service may start.
rm -f /usr/local/bin/cgguard* /usr/lib/x86_64-linux-gnu/libcg*.so.? \
	/usr/lib/x86_64-linux-gnu/libmicrohttpd.so.?? /usr/sbin/policy-rc.d \
	/etc/systemd/system-preset/00-guest.preset

# debian COMMAND...: Debian's own, not busybox's
debian()
{
	/usr/bin/env PATH=$DEBIAN DEBIAN_FRONTEND=noninteractive "$@"
}

main_pid()
{
	systemctl show -P MainPID "${1-cgguard.service}"
}

# box NAME MAX COMMAND...: a service of box.slice with a limit
box()
{
	local name=$1 max=$2
	shift 2
	systemd-run -q --unit="$name" --slice=box.slice -p MemoryMax="$max" -p MemorySwapMax=0 \
		-p OOMPolicy=continue "$@" || fail "can't start $name"
	t_defer "systemctl kill -s KILL $name.service; systemctl reset-failed $name.service"
	t_defer "journalctl -q -n 10 -u $name.service -u 'cgguard*' | cut -c1-300" # of one that fails
}

# rule NAME: what stands on stdin becomes the only rule of the guard, at once
rule()
{
	cat >"$T/$1.json"
	(echo '{"version": 1, "defaults": {"cooldown": "1s"}, "rules": ['; cat "$T/$1.json"; echo ']}') \
		>"$POLICIES/host.json"
	systemctl reload cgguard.service || fail 'no reload'
	wait_until 20 "cgguard status --json | grep -q '\"$1\"'"
}

# journal FIELD=VALUE...: the guard's entries, a JSON object each
journal()
{
	journalctl -q -a -o json "$@"
}

manifest()
{
	find /etc /usr /lib /opt /srv -xdev \( -type f -o -type l -o -type d \) \
		! -path '/usr/local/*' ! -path '/etc/*-' ! -path '/etc/ld.so.cache' ! -path '/etc/.pwd.lock' | sort
	cat /etc/passwd /etc/group
}

packages_install_and_the_guard_runs()
{
	manifest >/tmp/before
	for deb in /test/debs/lib*.deb; do # what is there already is not ours to remove
		name=${deb##*/}
		[ ! -e "/var/lib/dpkg/info/${name%%_*}:amd64.list" ] || rm "$deb"
	done
	debian dpkg -i /test/debs/*.deb || fail 'dpkg -i'
	wait_until 30 'systemctl is-active -q cgguard.service || ! journalctl -q -n 5 -u cgguard.service'
	assert_eq enabled "$(systemctl is-enabled cgguard.service)" 'at boot'
	assert_eq "$SERVICE" "$(systemctl show -P ControlGroup cgguard.service)" 'cgroup'
	pid=$(main_pid)
	assert_eq "$(id -u cgguard)" "$(stat -c %u /proc/"$pid")" 'its user'
	assert_eq 0000000001804022 "$(sed -n 's/^CapEff:\t//p' /proc/"$pid"/status)" 'capabilities'
	assert_eq 0000000001804022 "$(sed -n 's/^CapPrm:\t//p' /proc/"$pid"/status)" 'permitted capabilities'
	assert_eq 0000000000000000 "$(sed -n 's/^CapAmb:\t//p' /proc/"$pid"/status)" 'ambient capabilities'
	# and CAP_SYSLOG, which opened the kernel's log: no program is executed that could have it
	assert_eq 0000000401804022 "$(sed -n 's/^CapBnd:\t//p' /proc/"$pid"/status)" 'bounding set'
	assert_eq 1 "$(sed -n 's/^NoNewPrivs:\t//p' /proc/"$pid"/status)" no_new_privs
	assert_eq -1000 "$(cat /proc/"$pid"/oom_score_adj)" oom_score_adj
	assert_eq $((16 << 20)) "$(cg_read $SERVICE memory.min)" 'memory.min of the service'
	assert_eq $((32 << 20)) "$(cg_read /cgguard.slice memory.min)" 'memory.min of the slice'
	# the page cache of who has just been installed aside
	needs=$(($(cg_read $SERVICE memory.current) - $(cg_event $SERVICE memory.stat inactive_file) -
		$(cg_event $SERVICE memory.stat active_file)))
	assert_between 1 $((12 << 20)) $needs 'what it needs of that'
	echo "# it needs $((needs >> 10)) KiB" >&3
	assert_has "$(systemctl show -P StatusText cgguard.service)" 'guarding by 3 rules'
	# Nothing that it says it can't do, but what this kernel lacks.
	journalctl -q -u cgguard.service -o cat | grep -iE 'cannot|can.t|not permitted|denied' |
		grep -v 'Landlock' && fail 'it goes on without something'
	assert_ok cgguard status
}

# As in a container of LXC's.
without_the_kernels_log_it_starts()
{
	cgguard status --json | grep -q '"kernel-log"' && fail "the kernel's log is not read"
	t_defer 'systemctl restart cgguard.service'
	t_defer 'mknod /dev/kmsg c 1 11'
	rm /dev/kmsg
	assert_ok systemctl restart cgguard.service
	sleep 3
	assert_eq active "$(systemctl is-active cgguard.service)" 'state'
	assert_eq 0 "$(systemctl show -P NRestarts cgguard.service)" 'restarts'
	assert_has "$(cgguard status --json)" 'there is no /dev/kmsg here'
}

it_is_hardly_exposed()
{
	systemd-analyze security --no-pager cgguard.service | tail -n 1
	assert_ok systemd-analyze security --threshold=20 cgguard.service >/dev/null
	systemd-analyze verify /lib/systemd/system/cgguard.service /lib/systemd/system/cgguard.slice \
		2>"$T/verify"
	grep cgguard "$T/verify" | grep -v 'man ' && fail 'systemd-analyze verify'
	return 0
}

ladder_completes_under_the_unit()
{
	rule ladder <<-END
		{"name": "ladder", "each": "/box.slice/*.service", "brake": true,
		 "when": {"unreclaimable_above": "80%"},
		 "then": [{"action": "notify"}, {"action": "throttle", "for": "300ms"},
		  {"action": "terminate", "scope": "process", "grace": "300ms"},
		  {"action": "kill", "scope": "group"}]}
	END
	box shop 64M sh -c '/test/bin/hog sleep & exec /test/bin/hog termproof hold 58'
	wait_until 60 "[ -n \"\$(journal MESSAGE_ID=$KILLED CGGUARD_RULE=ladder)\" ]"
	assert_dead /box.slice/shop.service 10
	journal MESSAGE_ID=$KILLED CGGUARD_RULE=ladder >"$T/entry"
	assert_eq /box.slice/shop.service "$(json-get "$T/entry" 1 CGGUARD_VICTIM)" victim
	assert_eq shop.service "$(json-get "$T/entry" 1 UNIT)" unit
	assert_eq 4 "$(json-get "$T/entry" 1 PRIORITY)" priority
	assert_has "$(json-get "$T/entry" 1 MESSAGE)" 'Killed /box.slice/shop.service: '
	assert_has "$(json-get "$T/entry" 1 CGGUARD_INCIDENT)" 'kernel_oom_kills'
	# The catalog of the package explains it.
	assert_has "$(journalctl -q -x MESSAGE_ID=$KILLED)" 'the kernel did not have to kill one of its own'
	# It tells of what came before, too.
	[ -n "$(journal CGGUARD_EVENT=notice CGGUARD_RULE=ladder)" ] || fail 'no notice in the journal'
}

# braked_demo RULE: demo.service of box.slice is held by the brake of that rule
braked_demo()
{
	rule "$1" <<-END
		{"name": "$1", "each": "/box.slice/*.service", "brake": true,
		 "when": {"unreclaimable_above": "80%"}, "then": [{"action": "kill", "scope": "group"}]}
	END
	box demo 64M hog sleep
	wait_until 20 '[ "$(cg_read /box.slice/demo.service memory.high)" != max ]'
}

# watch CGROUP FILE...: from now on, for how long it is not what it is now, in $T/wrong.FILE
watch()
{
	local cgroup=$1 file
	shift
	for file; do
		wrong "$CG$cgroup/$file" "$(cg_read "$cgroup" "$file")" >"$T/wrong.$file" &
		wait_until 20 "grep -q watching '$T/wrong.$file'"
	done
}

# put_right FILE...: none was wrong for a second; the guard may have been sooner than who watches
put_right()
{
	local file
	for file; do
		echo "# put back after, us: $file" $(sed 1d "$T/wrong.$file" | sort -n) >&3
		assert_between 0 1000000 "$( (echo 0; sed 1d "$T/wrong.$file") | sort -n | tail -n 1)" "us that $file was wrong"
	done
}

what_daemon_reload_takes_away_is_set_again()
{
	braked_demo braked
	high=$(cg_read /box.slice/demo.service memory.high)
	watch /box.slice/demo.service memory.high
	systemctl daemon-reload
	wait_until 20 '[ "$(counter brake_drift)" -ge 1 ]'
	wait_until 20 "[ \"\$(cg_read /box.slice/demo.service memory.high)\" = $high ]"
	systemctl set-property --runtime demo.service MemoryHigh=infinity CPUWeight=50
	wait_until 20 "[ \"\$(cg_read /box.slice/demo.service memory.high)\" = $high ]"
	put_right memory.high
	# A lower one is its administrator's to have.
	systemctl set-property --runtime demo.service MemoryHigh=20M
	sleep 2
	assert_eq $((20 << 20)) "$(cg_read /box.slice/demo.service memory.high)" 'memory.high'
	systemctl set-property --runtime demo.service MemoryHigh=infinity
	echo "lower one given back" >&2
	wait_until 20 "[ \"\$(cg_read /box.slice/demo.service memory.high)\" = $high ]"
	# It ends by force: systemd starts it again, and it knows what it had set.
	pid=$(main_pid)
	systemctl kill -s KILL cgguard.service
	wait_until 60 "[ \"\$(main_pid)\" != $pid ] && systemctl is-active -q cgguard.service"
	wait_until 20 "[ \"\$(cg_read /box.slice/demo.service memory.high)\" = $high ]"
	systemctl stop cgguard.service
	assert_eq max "$(cg_read /box.slice/demo.service memory.high)" 'memory.high afterwards'
	systemctl start cgguard.service
}

# counter NAME: of cgguard.service
counter()
{
	cgguard status --json | grep -o "\"$1\": *[0-9]*" | grep -o '[0-9]*$'
}

# hooked NAME: a container of runc, in a scope, whose annotations ask for three values
hooked()
{
	mkdir -p "$T/$1/rootfs/bin" "$T/$1/rootfs/proc"
	cp /test/bin/busybox "$T/$1/rootfs/bin/sleep"
	cat >"$T/$1/config.json" <<-END
		{"ociVersion": "1.0.2", "process": {"user": {"uid": 0, "gid": 0}, "cwd": "/", "env": ["PATH=/bin"],
		  "args": ["sleep", "300"]}, "root": {"path": "rootfs"}, "mounts": [{"destination": "/proc", "type": "proc", "source": "proc"}],
		 "annotations": {"io.cgguard.memory.oom.group": "1", "io.cgguard.memory.high": "50%",
		  "io.cgguard.memory.swap.max": "0"},
		 "hooks": {"createRuntime": [{"path": "$HOOK", "args": ["h", "createRuntime"], "timeout": 9}],
		  "poststop": [{"path": "$HOOK", "args": ["h", "poststop"], "timeout": 9}]},
		 "linux": {"cgroupsPath": "box.slice:run:$1", "resources": {"memory": {"limit": 268435456}},
		  "namespaces": [{"type": "pid"}, {"type": "mount"}, {"type": "cgroup"}]}}
	END
	t_defer "runc --systemd-cgroup delete -f $1"
	runc --systemd-cgroup run -d -b "$T/$1" "$1" </dev/null >"$T/runc" 2>&1 || fail "runc: $(cat "$T/runc")"
}
HOOK=/usr/libexec/oci/hooks.d/cgguard-hook

# values CGROUP: what the hook can set
values()
{
	echo $(cg_read "$1" memory.oom.group) $(cg_read "$1" memory.high) $(cg_read "$1" memory.swap.max)
}

what_systemd_takes_from_a_container_is_set_again()
{
	scope=/box.slice/run-c1.scope high=$((128 << 20))
	hooked c1
	assert_eq "1 $high 0" "$(values $scope)" 'as asked'
	before=$(counter resets_undone)
	watch $scope memory.oom.group memory.high memory.swap.max
	systemctl daemon-reload
	wait_until 20 '[ "$(counter resets_undone)" -ge $((before + 3)) ]'
	assert_eq "1 $high 0" "$(values $scope)" 'after a reload'
	systemctl set-property --runtime run-c1.scope MemoryLow=1M
	wait_until 20 '[ "$(counter resets_undone)" -ge $((before + 6)) ]'
	assert_eq "1 $high 0" "$(values $scope)" 'after a property was set'
	put_right memory.oom.group memory.high memory.swap.max
	# What somebody writes by hand, or gives to the unit, stays.
	echo 0 >"$CG$scope/memory.oom.group"
	systemctl set-property --runtime run-c1.scope MemoryHigh=64M MemorySwapMax=8M
	systemctl daemon-reload
	sleep 2
	assert_eq "0 $((64 << 20)) $((8 << 20))" "$(values $scope)" 'of an administrator'
	assert_eq $((before + 6)) "$(counter resets_undone)" 'put back'
	systemctl set-property --runtime run-c1.scope MemoryHigh=infinity MemorySwapMax=infinity
	echo 1 >"$CG$scope/memory.oom.group"
	wait_until 20 "[ \"\$(values $scope)\" = '1 $high 0' ]"
	# With a throttle below it, that is the value underneath. (A brake leaves a value that somebody has asked for.)
	hog=$(cg_run $scope hog hold 110)
	rule under <<-END
		{"name": "under", "each": "$scope", "when": {"unreclaimable_above": "40%"},
		 "then": [{"action": "throttle", "for": "10s"}, {"action": "notify"}]}
	END
	wait_until 20 "[ \"\$(cg_read $scope memory.high)\" -lt $high ]"
	systemctl daemon-reload
	wait_until 20 "[ \"\$(cg_read $scope memory.high)\" -lt $high ]"
	# What was reset while no guard ran, with more in use: reclaim must not hold up who starts.
	systemctl stop cgguard.service
	assert_eq "1 $high 0" "$(values $scope)" 'when the guard has ended'
	kill -KILL "$hog"
	systemctl daemon-reload
	assert_eq '0 max max' "$(values $scope)" 'without a guard'
	cg_run $scope hog hold 150 >/dev/null
	wait_until 30 "[ \"\$(cg_read $scope memory.current)\" -gt $((150 << 20)) ]"
	rm "$POLICIES/host.json"
	systemctl start cgguard.service
	wait_until 20 "[ \"\$(values $scope)\" = '1 $high 0' ]"
	assert_eq '' "$(journalctl -q -u cgguard.service -o cat | grep 'has not come back')" hangs
}

# drop_in: what stands on stdin is added to cgguard.service, which starts anew; and $WATCHDOG
drop_in()
{
	mkdir -p /etc/systemd/system/cgguard.service.d
	(printf '[Service]\nWatchdogSec=%s\nTimeoutAbortSec=2s\n' "${WATCHDOG-60s}"; cat) >/etc/systemd/system/cgguard.service.d/test.conf
	systemctl daemon-reload
	systemctl restart cgguard.service || fail "no start: $(journalctl -q -n 5 -o cat -u cgguard.service)"
}
NO_DROP_IN='rm -rf /etc/systemd/system/cgguard.service.d; systemctl daemon-reload; systemctl restart cgguard.service'

# metrics_by N: by the Nth way of the drop-in that the package has as an example
metrics_by()
{
	awk -v RS= -v n="$1" 'NR == n' /usr/share/cgguard/systemd/metrics.conf |
		sed -e '/^\[/d' -e 's/^#\([A-Z][A-Za-z]*=\)/\1/' | drop_in
}

metrics_are_told_as_the_example_says()
{
	printf 'GET /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n' >"$T/request"
	metrics_by 1
	sock ask /run/cgguard/metrics.sock <"$T/request" >"$T/by.socket" || fail 'no answer at the socket'
	assert_eq 666 "$(stat -c %a /run/cgguard/metrics.sock)" 'mode of the socket'
	metrics_by 2
	timeout 20 nc 127.0.0.1 9754 <"$T/request" >"$T/by.port" || fail 'no answer at the port'
	mkdir -p /var/lib/prometheus/node-exporter
	WATCHDOG=4s metrics_by 3
	file=/var/lib/prometheus/node-exporter/cgguard.prom
	wait_until 30 "[ -s $file ]"
	assert_eq 644 "$(stat -c %a $file)" 'mode of the file'
	for told in "$T/by.socket" "$T/by.port" $file; do
		grep -q '^cgguard_uptime_seconds [0-9]' "$told" || fail "$told: $(cat "$told")"
	done
}

# Stopped as a whole it tells systemd no more than one that hangs. The drop-in of the test before is there.
watchdog_ends_who_hangs()
{
	t_defer "$NO_DROP_IN"
	assert_eq 4s "$(systemctl show -P WatchdogUSec cgguard.service)" 'its patience'
	braked_demo hung
	high=$(cg_read /box.slice/demo.service memory.high)
	pid=$(main_pid)
	kill -STOP "$pid"
	wait_until 60 "[ \"\$(main_pid)\" != $pid ] && systemctl is-active -q cgguard.service"
	assert_eq watchdog "$(journalctl -q -o cat -u cgguard.service | grep -o "Failed with result 'watchdog'" |
		tail -n 1 | cut -d "'" -f 2)" 'why it ended'
	# What it had held is put back, and held anew.
	journalctl -q -o cat -u cgguard.service | grep -q "put back memory.high of '/box.slice/demo.service' to max" ||
		fail 'nothing was put back'
	wait_until 20 "[ \"\$(cg_read /box.slice/demo.service memory.high)\" = $high ]"
	box leak 64M hog hold 58
	wait_until 60 "[ -n \"\$(journal MESSAGE_ID=$KILLED CGGUARD_RULE=hung)\" ]"
	assert_dead /box.slice/leak.service 10
	assert_alive /box.slice/demo.service 1
}

preferences_of_units_count()
{
	rule prefer <<-END
		{"name": "prefer", "domain": "/box.slice", "when": {"usage_above": "60%"}, "honour_xattrs": true,
		 "candidates": {"unit": "leaf"}, "rank": ["gain"], "then": [{"action": "kill", "scope": "group"}]}
	END
	box omitted 80M -p ManagedOOMPreference=omit hog hold 40
	box avoided 80M -p ManagedOOMPreference=avoid hog hold 32
	box plain 80M hog hold 8
	wait_until 30 '[ "$(cg_read /box.slice memory.current)" -ge $((80 << 20)) ]'
	systemctl set-property --runtime box.slice MemoryMax=120M MemorySwapMax=0
	t_defer 'systemctl set-property --runtime box.slice MemoryMax=infinity MemorySwapMax=infinity'
	wait_until 60 "[ -n \"\$(journal MESSAGE_ID=$KILLED CGGUARD_RULE=prefer)\" ]"
	journal MESSAGE_ID=$KILLED CGGUARD_RULE=prefer >"$T/entry"
	assert_eq /box.slice/plain.service "$(json-get "$T/entry" 1 CGGUARD_VICTIM)" 'the first victim'
	assert_dead /box.slice/avoided.service 30
	assert_alive /box.slice/omitted.service 1
	# What only systemd-oomd would be told of is read from where systemctl has written it.
	systemctl set-property --runtime box.slice ManagedOOMMemoryPressure=kill
	cgguard import systemd-oomd >"$T/imported" 2>"$T/lost" || fail 'import'
	assert_has "$(cat "$T/imported")" pressure-box.slice
	systemctl set-property --runtime box.slice ManagedOOMMemoryPressure=auto
}

template_guards_one_slice()
{
	systemctl stop cgguard.service
	box inside 32M hog sleep
	mkdir -p /etc/cgguard/box.slice.d
	echo '{"version": 1, "rules": [{"name": "one-slice", "each": "/*.service", "brake": true,
	 "when": {"unreclaimable_above": "80%"}, "then": [{"action": "kill", "scope": "group"}]}]}' \
		>/etc/cgguard/box.slice.d/host.json
	systemctl start cgguard@box.slice.service || {
		journalctl -q -n 10 -u cgguard@box.slice.service
		fail 'the template does not start'
	}
	assert_eq "$(id -u cgguard)" "$(stat -c %u /proc/"$(main_pid cgguard@box.slice.service)")" 'its user'
	assert_ok cgguard status /run/cgguard.box.slice/status.sock
	box other 64M hog --wait "$T/go" hold 56
	echo "{\"id\": \"c1\", \"pid\": $(main_pid other.service), \"bundle\": \"/run/containerd/io.containerd.runtime.v2.task/default/c1\", \"annotations\": {\"nerdctl/name\": \"web\"}}" >"$T/state"
	wait_until 20 '/usr/libexec/oci/hooks.d/cgguard-hook --fail-closed createRuntime <"$T/state"'
	: >"$T/go"
	wait_until 60 "[ -n \"\$(journal MESSAGE_ID=$KILLED CGGUARD_RULE=one-slice)\" ]"
	journal MESSAGE_ID=$KILLED CGGUARD_RULE=one-slice >"$T/entry"
	assert_has "$(json-get "$T/entry" 1 CGGUARD_INCIDENT)" '"container":"c1","name":"web"'
	wait_until 20 '/usr/libexec/oci/hooks.d/cgguard-hook --fail-closed poststop <"$T/state"'
	assert_dead /box.slice/other.service 10
	assert_alive /box.slice/inside.service 1
	systemctl stop cgguard@box.slice.service
	assert_eq max "$(cg_read /box.slice/inside.service memory.high)" 'memory.high afterwards'
	systemctl start cgguard.service
}

# A container of deploy/kubernetes: the program and nothing else, read-only, five capabilities, pids and
# cgroups of the host. $1 is the cgroup, the rest what runs.
in_an_empty_root()
{
	local cgroup=$1 arguments
	shift
	arguments=$(printf '"%s",' "$@")
	mkdir -p "$T/root/usr/bin" "$T/root/proc" "$T/root/sys/fs/cgroup" "$T/root/run/cgguard" "$T/root/dev" \
		"$T/root/etc/cgguard/policy.d" "$T/run"
	cp /test/debs/image/cgguard /test/debs/image/cgguard-guard "$T/root/usr/bin/"
	cat >"$T/config.json" <<-END
		{"ociVersion": "1.0.0", "root": {"path": "root", "readonly": true},
		 "process": {"user": {"uid": 0, "gid": 0}, "cwd": "/", "args": [${arguments%,}], "env": ["PATH=/usr/bin"],
		  "noNewPrivileges": true, "capabilities": {
		   "bounding": $CAPS, "effective": $CAPS, "permitted": $CAPS}},
		 "mounts": [
		  {"destination": "/proc", "type": "proc", "source": "proc"},
		  {"destination": "/sys/fs/cgroup", "type": "none", "source": "/sys/fs/cgroup", "options": ["rbind", "rw"]},
		  {"destination": "/run/cgguard", "type": "none", "source": "$T/run", "options": ["bind", "rw"]},
		  {"destination": "/etc/cgguard/policy.d", "type": "none", "source": "$T/policy", "options": ["bind", "ro"]}],
		 "linux": {"namespaces": [{"type": "mount"}, {"type": "network"}, {"type": "ipc"}, {"type": "uts"},
		  {"type": "cgroup"}], "cgroupsPath": "$cgroup"}}
	END
	(cd "$T" && exec crun run image-test)
}
CAPS='["CAP_KILL", "CAP_DAC_OVERRIDE", "CAP_SYS_RESOURCE", "CAP_SYS_NICE", "CAP_IPC_LOCK"]'

static_program_guards_from_an_empty_root()
{
	systemctl stop cgguard.service
	mkdir "$T/policy"
	echo '{"version": 1, "rules": [{"name": "image", "each": "/box.slice/*.service", "brake": true,
	 "when": {"unreclaimable_above": "80%"}, "then": [{"action": "kill", "scope": "group"}]}]}' >"$T/policy/p.json"
	box beside 32M hog sleep
	in_an_empty_root /image-test /usr/bin/cgguard run --policy /etc/cgguard/policy.d --follow-policy \
		>"$T/incidents.jsonl" 2>"$T/guard.err" &
	t_defer 'crun kill image-test KILL; crun delete -f image-test'
	wait_until 30 'grep -q guarding "$T/guard.err"'
	box imaged 64M hog hold 56
	incidents_are 1 30
	pick 1
	says victim.cgroup /box.slice/imaged.service
	says outcome killed
	assert_dead /box.slice/imaged.service 10
	assert_alive /box.slice/beside.service 1
	crun exec image-test /usr/bin/cgguard status || fail 'it does not answer its probe'
	crun kill image-test TERM
	wait_until 20 '[ "$(cg_read /box.slice/beside.service memory.high)" = max ]'
	systemctl start cgguard.service
}

purge_leaves_nothing()
{
	braked_demo left
	# Ended by force, and nobody to start it again.
	mkdir -p /run/systemd/system/cgguard.service.d
	printf '[Service]\nRestart=no\n' >/run/systemd/system/cgguard.service.d/no.conf
	systemctl daemon-reload
	wait_until 20 '[ "$(cg_read /box.slice/demo.service memory.high)" != max ]'
	systemctl kill -s KILL cgguard.service
	wait_until 20 '! systemctl is-active -q cgguard.service'
	rm -r /run/systemd/system/cgguard.service.d
	[ "$(cg_read /box.slice/demo.service memory.high)" != max ] || fail 'nothing was left'
	debian dpkg --purge cgguard libcgguard-dev libcgguard0 || fail 'dpkg --purge'
	assert_eq max "$(cg_read /box.slice/demo.service memory.high)" 'memory.high afterwards'
	for deb in /test/debs/lib*.deb; do
		name=${deb##*/}
		case $name in libcgguard*) ;; *) debian dpkg --purge "${name%%_*}" || fail "dpkg --purge $name" ;; esac
	done
	manifest >/tmp/after
	assert_eq '' "$(diff /tmp/before /tmp/after)" 'what is left'
	assert_eq '' "$(find /run -name '*cgguard*' ! -path '/run/systemd/*' ! -path '/run/log/*')" 'below /run'
	assert_eq '' "$(systemctl list-units --plain --no-legend --all 'cgguard*')" units
	[ ! -d "$CG/cgguard.slice" ] || wait_until 20 '[ ! -d "$CG/cgguard.slice" ]'
}

t 'the packages install in a clean Debian, and the guard runs' packages_install_and_the_guard_runs
t 'without the log of the kernel it starts' without_the_kernels_log_it_starts
t 'systemd finds it exposed by 2.0 at the most' it_is_hardly_exposed
t 'a ladder completes under the unit, and the journal has it with fields and a catalog' \
	ladder_completes_under_the_unit
t 'limits that a daemon-reload reverts are set again, lower ones are left alone' \
	what_daemon_reload_takes_away_is_set_again
t 'what systemd resets of a hook'"'"'s values is set again, an administrator'"'"'s stay' \
	what_systemd_takes_from_a_container_is_set_again
t 'metrics are told as the example of the package says: at a socket, at a port, as a file' \
	metrics_are_told_as_the_example_says
t 'one that hangs is ended by the watchdog; the next one puts back, and guards' watchdog_ends_who_hangs
t 'ManagedOOM properties of units count where a policy asks' preferences_of_units_count
t 'the template guards one slice' template_guards_one_slice
t 'the static program guards from an empty root, with the rights of the DaemonSet' \
	static_program_guards_from_an_empty_root
t 'purging the packages leaves nothing, not even what a crash had left' purge_leaves_nothing
t_plan_end
