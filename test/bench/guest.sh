# shellcheck shell=dash
# The bench in the guest: systemd is process 1, workloads are in /work.slice, one container each. For
# each guard: start it, make the scenario's trouble, let observe tell what came of it, print a record.
# What run wants is in /test/bench.conf: SCENARIOS, GUARDS, IDLE (seconds), RACES.
systemctl daemon-reload
cp /test/rivals/work.slice /etc/systemd/system/
mkdir -p /etc/systemd/oomd.conf.d
cp /test/rivals/oomd.conf /etc/systemd/oomd.conf.d/
sed -f /test/rivals/nohang.sed /etc/nohang/nohang.conf >/run/nohang.conf
systemctl daemon-reload
systemctl start work.slice
systemctl is-system-running --wait >/dev/console
. /test/lib.sh
SCENARIOS='' GUARDS=''
. /test/bench.conf
T_TIMEOUT=$((IDLE + 400))
W=/work.slice
ROLES='leak database bystander cache'
for role in $ROLES; do
	cp /test/bin/hog "/usr/local/bin/$role"
done
FILE=/var/bench.file

# ---- guards: start, and set GUARD to the process ------------------------------------------

# guard_run COMMAND...: in /guard, as well protected as systemd-oomd's unit has it
guard_run()
{
	(
		echo 0 >"$CG/guard/cgroup.procs" && echo -900 >/proc/self/oom_score_adj || exit
		exec "$@"
	) </dev/null >"$T/guard.out" 2>"$T/guard.err" 3>&- &
	GUARD=$!
}

start_none() { GUARD=0; }
start_cgguard()
{
	guard_run cgguard run --policy /policies/container-host.json --state /run/cgguard \
		--incidents "$T/incidents.jsonl"
	wait_until 20 'grep -q guarding "$T/guard.err"'
}
start_cgguard_default()
{
	guard_run cgguard run --state /run/cgguard --incidents "$T/incidents.jsonl"
	wait_until 20 'grep -q guarding "$T/guard.err"'
}
start_earlyoom()
{
	guard_run earlyoom -r 3600 -m 10,5 -p \
		--avoid '^(systemd.*|dbus-daemon|sh|observe|earlyoom)$'
	wait_until 20 'grep -q "SIGKILL when" "$T/guard.err"'
}
start_nohang()
{
	guard_run python3 -u /usr/sbin/nohang --monitor --config /run/nohang.conf
	wait_until 60 'grep -q "Monitoring has started" "$T/guard.out"'
}
start_oomd()
{
	INLINE_LOGGING=1 guard_run oomd --config /test/rivals/oomd.json --interval 1 \
		--cgroup-fs /sys/fs/cgroup
	wait_until 20 'grep -q . "$T/guard.err" "$T/guard.out"'
}
start_systemd_oomd()
{
	assert_ok systemctl start systemd-oomd
	GUARD=$(systemctl show -P MainPID systemd-oomd)
	wait_until 20 'oomctl | grep -q "Path: /work.slice"'
}

# The bare watcher looks after one group, which is there by now.
start_bare()
{
	local max
	max=$(cg_read "$GUILTY" memory.max)
	cg_write "$GUILTY" memory.high $((max / 100 * 92))
	guard_run bare "$CG$GUILTY"
}

stop_guard()
{
	if [ "$1" = systemd-oomd ]; then
		systemctl stop systemd-oomd.socket systemd-oomd.service
	elif [ "$GUARD" -ne 0 ]; then
		kill "$GUARD"
		within 5 '! alive $GUARD' || kill -9 "$GUARD"
	fi
}

# threads FILE FIELD: the sum over the guard's threads
threads()
{
	cat /proc/"$GUARD"/task/*/"$1" 2>/dev/null | awk "$2 END { printf \"%d\", n }"
}

# costs: what the guard has cost so far, in WAKES and CPU (us)
costs()
{
	WAKES=$(threads status '/^voluntary_ctxt/ { n += $2 }')
	CPU=$(threads schedstat '{ n += $1 / 1000 }')
}

# cost_since WAKES CPU: the same since then
cost_since()
{
	costs
	WAKES=$((WAKES - $1)) CPU=$((CPU - $2))
}

pss_kib()
{
	sed -n 's/^Pss: *\([0-9]*\) kB/\1/p' "/proc/$GUARD/smaps_rollup"
}

# ---- scenarios: prepare makes cgroups, trouble starts what is wrong ------------------------

GUILTY=$W/docker-leak.scope
DB=$W/docker-db.scope
BY=$W/docker-web.scope

# neighbours MIB: a database of that size and something small, in containers of their own
neighbours()
{
	cg_create "$DB"
	cg_create "$BY"
	cg_run "$DB" database hold "$1" >/dev/null
	cg_run "$BY" bystander hold 5 >/dev/null
	wait_until 30 "[ \"\$(cg_read $DB memory.current)\" -gt $(($1 * 1000000)) ]"
}

# limited MIB: the guilty container has a limit of its own
limited()
{
	cg_create "$GUILTY" memory.max="$1"M memory.swap.max=0
	neighbours 50
	LINE="--line $(($1 * 1048576 / 10 * 9))" # 90 % of its limit
	LASTS=30
}

# scenario NAME: what it does; by default, a host that runs out because of one container, beside a
# database that is larger than most and innocent.
scenario()
{
	SCENARIO=$1
	LASTS=60
	LINE="--available $(($(sed -n 's/^MemTotal: *\([0-9]*\) kB/\1/p' /proc/meminfo) / 10))"
	prepare()
	{
		cg_create "$GUILTY"
		neighbours 150
	}
	case $SCENARIO in
	leak-slow) trouble() { cg_run "$GUILTY" leak grow 400 1500 20; } ;;
	leak-fast|leak-swap) trouble() { cg_run "$GUILTY" leak anon 3000 max; } ;;
	swarm) trouble() { cg_run "$GUILTY" leak swarm 60 20 1; } ;;
	fork-bomb)
		prepare()
		{
			cg_create "$GUILTY" pids.max=600
			neighbours 150
		}
		trouble() { cg_run "$GUILTY" leak fork 2; }
		;;
	split)
		prepare()
		{
			local part
			for part in 1 2 3 4 5 6 7 8; do
				cg_create "$GUILTY/part$part"
			done
			neighbours 150
		}
		trouble()
		{
			local part
			for part in 1 2 3 4 5 6 7 8; do
				cg_run "$GUILTY/part$part" leak anon 400 5
			done
		}
		;;
	empty-child)
		prepare()
		{
			cg_create "$GUILTY"
			mkdir "$CG$GUILTY/x"
			neighbours 150
		}
		trouble() { cg_run "$GUILTY" leak grow 400 1500 50; }
		;;
	limit-*)
		# limit-MIB-RATE
		prepare()
		{
			local mib=${SCENARIO#limit-}
			limited "${mib%-*}"
		}
		trouble() { cg_run "$GUILTY" leak anon 256 "${SCENARIO##*-}"; }
		;;
	thrash)
		# Only page cache, more than fits: nobody is guilty, nobody must die.
		prepare()
		{
			limited 128
			[ -s $FILE ] || dd if=/dev/zero of=$FILE bs=1M count=300 2>/dev/null
			sync
			echo 3 >/proc/sys/vm/drop_caches
		}
		trouble()
		{
			# full at once; then at random
			cg_run "$GUILTY" dd if=$FILE of=/dev/null bs=1M
			cg_run "$GUILTY" cache cache $FILE 300
		}
		;;
	esac
}

# ---- one guard in one scenario --------------------------------------------------------------

# say KEY VALUE ...: one record on the TAP stream
say()
{
	local first=1
	printf '# bench {' >&3
	while [ $# -ge 2 ]; do
		[ $first -eq 1 ] || printf ',' >&3
		first=0
		printf '"%s":%s' "$1" "$2" >&3
		shift 2
	done
	printf '}\n' >&3
}

clean()
{
	local dir
	for dir in "$CG$W"/*/; do
		t_remove "${dir%/}"
	done
	echo 3 >/proc/sys/vm/drop_caches
}

one()
{
	local observed wakes cpu
	cg_create /guard
	t_defer clean
	t_defer "stop_guard $NAME"
	prepare
	"start_$(echo "$NAME" | tr - _)"
	echo "GUARD=$GUARD" >>"$T/defer"
	sleep 4
	costs
	wakes=$WAKES cpu=$CPU
	rm -f /tmp/observing
	# shellcheck disable=SC2086
	observe --seconds $LASTS --group "$CG$GUILTY" --name leak --innocent database \
		--innocent bystander --innocent cache --guard "$GUARD" --ready /tmp/observing $LINE \
		>"$T/observed" 3>&- &
	observer=$!
	wait_until 20 '[ -e /tmp/observing ]'
	trouble
	wait $observer
	echo 1 >"$CG$GUILTY/cgroup.kill" # no fork: a bomb that nobody stopped leaves no room for one
	observed=$(cat "$T/observed")
	[ -n "$observed" ] || fail 'expected a record of the observer'
	set -- scenario "\"$SCENARIO\"" guard "\"$NAME\"" seen "$observed"
	if [ "$GUARD" -ne 0 ]; then
		alive "$GUARD" || echo "# $NAME has died" >&3
		cost_since "$wakes" "$cpu"
		set -- "$@" alive "$(alive "$GUARD" && echo true || echo false)" \
			wakes "$WAKES" cpu_us "$CPU" \
			pss_kib "$(pss_kib)"
	fi
	say "$@"
	cat "$T/guard.err" "$T/guard.out" "$T/incidents.jsonl" >/dev/console 2>/dev/null
	[ "$NAME" != systemd-oomd ] || journalctl -u systemd-oomd -n 20 --no-pager >/dev/console
}

# ---- idle: what it costs to have nothing to do ----------------------------------------------

idle_tree()
{
	local pod i=0
	[ ! -d "$CG$W/idle0" ] || return 0
	for pod in 0 1 2 3 4 5 6 7 8 9; do
		cg_create "$W/idle$pod/docker-0.scope"
		i=1
		while [ $i -lt 100 ]; do
			mkdir "$CG$W/idle$pod/docker-$i.scope"
			echo 64M >"$CG$W/idle$pod/docker-$i.scope/memory.max"
			i=$((i + 1))
		done
	done
	for i in "$CG$W"/idle*/*.scope; do
		(echo 0 >"$i/cgroup.procs" && exec bystander sleep) </dev/null >/dev/null 2>&1 3>&- &
	done
	sleep 10
	assert_eq 1000 "$(cg_procs $W)" 'processes in 1000 cgroups'
}

idle()
{
	local began wakes cpu
	cg_create /guard
	t_defer "stop_guard $NAME"
	idle_tree
	"start_$(echo "$NAME" | tr - _)"
	echo "GUARD=$GUARD" >>"$T/defer"
	sleep 15
	costs
	wakes=$WAKES cpu=$CPU
	began=$(cut -d' ' -f1 /proc/uptime | tr -d .)
	sleep "$IDLE"
	cost_since "$wakes" "$cpu"
	began=$(($(cut -d' ' -f1 /proc/uptime | tr -d .) - began))
	say scenario '"idle"' guard "\"$NAME\"" cgroups 1000 measured_ms ${began}0 \
		alive "$(alive "$GUARD" && echo true || echo false)" \
		wakes "$WAKES" cpu_us "$CPU" \
		pss_kib "$(pss_kib)"
}

# ---- breach: from the danger line until the memory is back -----------------------------------

# nothing_cached GROUP: nothing of it can be reclaimed. What is read of the programs is then the shell's.
nothing_cached()
{
	echo 16M 2>/dev/null >"$CG$1/memory.reclaim" # whatever there is
	cat /bin/sh /lib/*/libc.so.6 /lib64/ld-*.so.2 "$(command -v leak)" >/dev/null
}

# cgguard_of WHO COMMAND...: a cgguard for one container, with a directory of its own
cgguard_of()
{
	local who=$1 T=$T/$1
	shift
	mkdir "$T"
	cat >"$T/policy.json" <<-END
	{"version": 1, "rules": [{"name": "box", "each": "/**/docker-$who.scope", "brake": true,
	 "cooldown": "0ms", "when": {"unreclaimable_above": "90%"}, "then": [{"action": "kill"}]}]}
	END
	guard_run "$@" run --policy "$T/policy.json" --state "/run/$who" \
		--incidents "$T/incidents.jsonl"
	wait_until 20 '[ "$(cg_read $W/docker-'"$who"'.scope memory.high)" != max ]'
}

# look_to_signal WHO RUN: microseconds, as its record of that run says
look_to_signal()
{
	local T=$T/$1
	if within 10 "[ \"\$(incident_count)\" -ge $2 ]"; then
		incident -1 times_us.signalled
	else
		echo null
	fi
}

# Some containers, whose danger line is 90 %: one is the guard's, whose rule says so, one the bare watcher's, whose
# memory.high is there, and where there is a build from before, one its. A leak at full speed in each in turn.
breach()
{
	local run=0 size=${SCENARIO#breach-} high who all at looked breach
	high=$((size * 1048576 / 10 * 9 / 4096 * 4096))
	all='cgguard bare'
	[ ! -d /test/before ] || all='cgguard before bare'
	cg_create /guard
	t_defer clean
	for who in $all; do
		cg_create "$W/docker-$who.scope" memory.max="$size"M memory.swap.max=0
	done
	cgguard_of cgguard cgguard
	cgguard=$GUARD
	before=''
	if [ -d /test/before ]; then
		cgguard_of before env LD_LIBRARY_PATH=/test/before /test/before/cgguard
		before=$GUARD
	fi
	cg_write $W/docker-bare.scope memory.high $high
	guard_run bare "$CG$W/docker-bare.scope"
	bare=$GUARD
	t_defer "kill $cgguard $before $bare; sleep 1"
	while [ $run -lt "$RACES" ]; do
		run=$((run + 1))
		for who in $all; do
			at=$W/docker-$who.scope
			eval "GUARD=\$$who"
			rm -f /tmp/observing
			nothing_cached "$at"
			breach= # the brake is below the line: its reclaim does not count
			[ "$who" != bare ] || breach=--breach
			observe --seconds 20 --group "$CG$at" --name leak --guard "$GUARD" $breach \
				--line $high --ready /tmp/observing >"$T/observed" 3>&- &
			observer=$!
			wait_until 20 '[ -e /tmp/observing ]'
			cg_run "$at" leak anon 400 max >/dev/null
			wait $observer
			looked=null # from the look that saw the danger
			[ "$who" = bare ] || looked=$(look_to_signal "$who" $run)
			say scenario "\"breach-$size\"" guard "\"$who\"" run $run \
				look_to_signal_us "$looked" seen "$(cat "$T/observed")"
		done
		all="${all#* } ${all%% *}" # nobody is always the first, or always behind the same one
	done
}

for name in $SCENARIOS; do
	scenario "$name"
	case $name in
	breach-*) t "$name: cgguard and the bare watcher, $RACES times each" breach ;;
	*)
		for NAME in $GUARDS; do
			GUARD=0
			case $name-$NAME in
			idle-none|idle-bare) ;;
			idle-*) t "$name: $NAME" idle ;;
			limit-*) t "$name: $NAME" one ;;
			*-bare) ;; # it knows of one container's limit and of nothing else
			*) t "$name: $NAME" one ;;
			esac
		done
		[ "$name" != idle ] || clean
		;;
	esac
done
t_plan_end
