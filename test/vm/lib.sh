# shellcheck shell=dash disable=SC2015,SC2016,SC2038,SC2046,SC1091,SC3045,SC3060
# What the suites in the guest stand on: TAP, cgroups, workloads, the guard. Busybox ash.
#
# A suite starts with ". /test/lib.sh", has one function per test, runs each by
# "t 'what must hold' function", and ends with t_plan_end. A test runs in a subshell with
# its own directory $T, and ends at the first failing assertion. Whatever it leaves behind
# (cgroups, processes, frozen or not) is removed afterwards. Cgroup paths start with '/',
# which is the root, $CG. guard.sh, read at the end, has what is about cgguard itself.
#
# A fork takes 2 ms here and a program 8, so what is polled does without where it can, and reads no
# further than it must: read takes a file byte by byte.

T_COUNT=0
T_TIMEOUT=60                    # seconds per test; a suite may set it
T_HOME=${T_HOME-/init.scope}    # tests run in a cgroup of it
T_KEEP=" $(cd "${CG-/}" && echo */) " # what was there before the first test is none of theirs
exec 3>&1                       # TAP; a test's own output goes to $T/log
echo "# Linux $(uname -r)" >&3

# ---- TAP ----------------------------------------------------------------------------

# t NAME FUNCTION: run one test
t()
{
	t_selected "$1" "$2" || return 0
	local body watchdog code
	T_COUNT=$((T_COUNT + 1))
	T=/tmp/t.$T_COUNT
	mkdir "$T"
	: >"$T/log"
	T_OOM_KILLS=$(vmstat_oom_kill)
	echo "# $(date +%T) $2" >/dev/console
	[ -z "${CG-}" ] || mkdir -p "$CG$T_HOME/test"

	(
		[ -z "${CG-}" ] || echo 0 >"$CG$T_HOME/test/cgroup.procs"
		"$2"
	) >"$T/log" 2>&1 &
	body=$!
	(
		sleep "$T_TIMEOUT" &
		trap 'kill $!; exit' TERM
		wait $!
		echo "# expected an end, got none in $T_TIMEOUT s" >&3
		: >"$T/failed"
		kill -9 $body
	) 2>/dev/null &
	watchdog=$!
	wait $body
	code=$?
	kill $watchdog
	[ $code -eq 0 ] || : >"$T/failed"
	t_cleanup

	if [ -e "$T/failed" ]; then
		t_show "$T/log" "$T/guard.err" "$T/incidents.jsonl"
		dmesg | tail -n 60 >/dev/console
		echo "not ok $T_COUNT - $1" >&3
	elif [ -e "$T/skip" ]; then
		echo "ok $T_COUNT - $1 # SKIP $(cat "$T/skip")" >&3
	else
		echo "ok $T_COUNT - $1" >&3
	fi
	rm -rf "$T"
}

t_plan_end()
{
	echo "1..$T_COUNT" >&3
}

# t_selected NAME FUNCTION: boot's arguments name tests by either, globs allowed
t_selected()
{
	[ -s /test/only ] || return 0
	local pattern
	while IFS= read -r pattern; do
		# shellcheck disable=SC2254
		case $1 in $pattern) return 0 ;; esac
		# shellcheck disable=SC2254
		case $2 in $pattern) return 0 ;; esac
	done </test/only
	return 1
}

t_show()
{
	local file
	for file; do
		[ -s "$file" ] && tail -n 40 "$file" | sed "s|^|#   ${file##*/}: |" >&3
	done
}

# say TEXT: a number that the test has measured, beside its result
say()
{
	echo "# $*" >&3
}

t_skip()
{
	echo "$*" >"$T/skip"
	exit 0
}

# t_defer COMMAND: run it after the test, before its cgroups are removed; last in, first out
t_defer()
{
	echo "$*" >>"$T/defer"
}

t_cleanup()
{
	[ ! -e "$T/defer" ] || tac "$T/defer" >"$T/undo"
	[ ! -e "$T/undo" ] || . "$T/undo" >>"$T/log" 2>&1
	[ -n "${CG-}" ] || return 0
	local dir
	[ ! -d "$CG/guard" ] || t_remove "$CG/guard"
	for dir in "$CG"/*/; do
		dir=${dir%/}
		case $T_KEEP in *" ${dir##*/}/ "*) ;; *) t_remove "$dir" ;; esac
	done
	t_remove "$CG$T_HOME/test"
}

# t_remove DIR: kill all in it, wait, remove it and what is below; again, if somebody has moved in meanwhile
t_remove()
{
	within 10 "t_kill '$1' && t_rmdir '$1'" && return
	echo "# expected ${1#"$CG"} to become empty, got" $(cg_pids "${1#"$CG"}") >&3
	: >"$T/failed"
}

t_rmdir()
{
	find "$1" -depth -type d -exec rmdir {} + 2>/dev/null
	[ ! -d "$1" ]
}

# t_kill DIR: succeeds when nothing is left. Both ways: cgroup.kill stops forks, but before
# some 6.x kernel it doesn't reach a process whose leader is a zombie, nor a threaded cgroup. A
# thread that is just being released is listed as 0, which is our own process group to kill(1).
t_kill()
{
	! grep -q '^populated 1' "$1/cgroup.events" && return
	echo 1 >"$1/cgroup.kill"
	find "$1" -name cgroup.threads -exec cat {} + | grep -vx 0 | xargs -r kill -9
	return 1
} 2>/dev/null

# ---- Assertions: each ends the test when it doesn't hold ------------------------------

fail()
{
	echo "# $*" >&3
	: >"$T/failed"
	exit 1
}

# assert_eq EXPECTED GOT [WHAT]
assert_eq()
{
	[ "$1" = "$2" ] || fail "${3+$3: }expected '$1' got '$2'"
}

# assert_between LOW HIGH GOT [WHAT]: numbers, both ends included
assert_between()
{
	[ "$3" -ge "$1" ] && [ "$3" -le "$2" ] || fail "${4+$4: }expected $1..$2 got '$3'"
}

# assert_has TEXT PART: PART may hold wildcards
assert_has()
{
	# shellcheck disable=SC2254
	case $1 in
	*$2*) ;;
	*) fail "expected '*$2*' got '$1'" ;;
	esac
}

# assert_ok COMMAND... and assert_fails STATUS COMMAND...
assert_ok()
{
	"$@" || fail "expected status 0 got $? from: $*"
}

assert_fails()
{
	local expected=$1 got=0
	shift
	"$@" || got=$?
	[ "$got" -eq "$expected" ] || fail "expected status $expected got $got from: $*"
}

# assert_alive PATH N: exactly N processes live in it and below
assert_alive()
{
	local got
	got=$(cg_alive "$1")
	[ "$got" -eq "$2" ] || fail "expected $2 alive in $1 got $got:" $(cg_pids "$1")
}

# assert_dead PATH [SECONDS]: nothing lives in it and below, or it is gone, within 5 s
assert_dead()
{
	within "${2-5}" "cg_empty '$1' && [ \"\$(cg_alive '$1')\" -eq 0 ]" ||
		fail "expected none alive in $1 got" $(cg_pids "$1")
}

# assert_no_oom_kill: the kernel has killed nothing since the test began
assert_no_oom_kill()
{
	local file path
	for file in "$CG"/*/memory.events; do
		[ -e "$file" ] || continue
		path=${file#"$CG"} path=${path%/*}
		assert_eq 0 "$(cg_event "$path" memory.events oom_kill)" "oom_kill of $path"
	done
	assert_eq "$T_OOM_KILLS" "$(vmstat_oom_kill)" "oom_kill of /proc/vmstat"
}

# ---- Time -----------------------------------------------------------------------------

# now_cs: hundredths of a second since boot, in $NOW_CS
now_cs()
{
	local up rest
	# shellcheck disable=SC2034
	read -r up rest </proc/uptime
	NOW_CS=$((${up%.*} * 100 + 1${up#*.} - 100))
}

# within SECONDS COMMAND...: poll until it succeeds; the status says whether it did.
# A single argument is evaluated: within 5 '[ "$(cg_alive /a)" -eq 3 ]'
within()
{
	local end pause=12500
	now_cs
	end=$((NOW_CS + $1 * 100))
	shift
	until if [ $# -eq 1 ]; then eval "$1"; else "$@"; fi; do
		now_cs
		[ "$NOW_CS" -lt "$end" ] || return 1
		usleep $pause
		[ $pause -ge 100000 ] || pause=$((pause * 2))
	done
}

# wait_until SECONDS COMMAND...: the same as an assertion
wait_until()
{
	within "$@" || fail "expected within $1 s: $(shift && echo "$*")"
}

# ---- Cgroups --------------------------------------------------------------------------

# user_subtree: /user belongs to uid 1000; without a memory controller below it
user_subtree()
{
	cg_create /user
	echo '-memory -pids -cpu' >"$CG/user/cgroup.subtree_control"
	chown -R 1000 "$CG/user"
}

# as_user COMMAND...: in a cgroup of the user's, by uid 1000
as_user()
{
	su user -s /bin/sh -c "exec $*" </dev/null >/dev/null 2>&1 3>&-
}

# cg_create PATH [FILE=VALUE...]: with its ancestors, which hand down what the root does
cg_create()
{
	local path=$1 at=$CG rest=${1#/}/ setting controllers
	shift
	read -r controllers <"$CG/cgroup.subtree_control"
	[ -z "$controllers" ] || controllers="+${controllers// / +}"
	while [ -n "$rest" ]; do
		[ "$at" = "$CG" ] || echo "$controllers" >"$at/cgroup.subtree_control" ||
			fail "can't enable controllers in ${at#"$CG"}"
		at=$at/${rest%%/*} rest=${rest#*/}
		[ -d "$at" ] || mkdir "$at" || fail "can't create ${at#"$CG"}"
	done
	for setting; do
		cg_write "$path" "${setting%%=*}" "${setting#*=}"
	done
}

# cg_run PATH COMMAND...: start it in the background, oom_score_adj 0; print its pid.
# It is in the cgroup when this returns. Its output goes to $T/log.
cg_run()
{
	local path=$1
	shift
	(
		echo 0 >"$CG$path/cgroup.procs" && echo 0 >/proc/self/oom_score_adj || exit
		exec "$@"
	) </dev/null >>"$T/log" 2>&1 3>&- &
	within 5 "cg_joined $! '$path'"
	echo $!
}

# cg_joined PID PATH: it is there, or has ended
cg_joined()
{
	local line
	while IFS= read -r line; do
		[ "$line" != "0::$2" ] || return 0
	done 2>/dev/null <"/proc/$1/cgroup"
	[ ! -e "/proc/$1" ]
}

cg_write()
{
	echo "$3" >"$CG$1/$2" || fail "can't write '$3' to $1/$2"
}

cg_read()
{
	cat "$CG$1/$2"
}

# cg_event PATH FILE KEY: the number beside KEY, for memory.events, memory.stat and so on
cg_event()
{
	local key value
	while read -r key value; do
		[ "$key" != "$3" ] || { echo "$value"; return; }
	done <"$CG$1/$2"
}

# cg_pids PATH: of it and all below
cg_pids()
{
	local pid dir
	while read -r pid; do
		echo "$pid"
	done <"$CG$1/cgroup.procs"
	for dir in "$CG$1"/*/; do
		dir=${dir%/}
		[ ! -d "$dir" ] || cg_pids "${dir#"$CG"}"
	done
} 2>/dev/null

# cg_empty PATH: nobody is there and below, as the kernel says, or it is gone
cg_empty()
{
	local key value=0
	read -r key value 2>/dev/null <"$CG$1/cgroup.events"
	return "${value:-0}"
}

cg_procs()
{
	cg_pids "$1" | wc -l
}

# cg_alive PATH: how many of its processes have a thread that isn't a zombie
cg_alive()
{
	local count=0 pid
	for pid in $(cg_pids "$1"); do
		alive "$pid" && count=$((count + 1))
	done
	echo $count
}

# alive PID: the process exists and has a thread that isn't a zombie
alive()
{
	local stat line
	for stat in /proc/"$1"/task/*/stat; do
		line=
		# as far as the state: "1234567 (123456789012345) S"
		read -r -n 32 line 2>/dev/null <"$stat" || continue
		case ${line##*) } in [!ZX]*) return 0 ;; esac
	done 2>/dev/null
	return 1
}

# state PID: R S D T Z ..., nothing when it is gone
state()
{
	sed -n 's/^.*) \(.\) .*/\1/p' "/proc/$1/stat" 2>/dev/null
}

vmstat_oom_kill()
{
	sed -n 's/^oom_kill //p' /proc/vmstat
}

# need_module NAME: insert it and what it needs; skip the test where the kernel has none
need_module()
{
	[ -e "/test/modules/$1.order" ] || t_skip "the kernel has no $1"
	local file
	while read -r file; do
		insmod "/test/modules/$file" 2>&1 | grep -v 'File exists'
	done <"/test/modules/$1.order"
}

# disk MIB DIR: an ext4 file system on a loop device, mounted on DIR for this test
disk()
{
	need_module loop
	dd if=/dev/zero of="$T/disk" bs=1M count="$1" 2>/dev/null && mke2fs -F "$T/disk" >/dev/null &&
		mkdir -p "$2" && mount -t ext4 -o loop "$T/disk" "$2" || fail "no disk on $2"
	t_defer "umount -l '$2'"
}

. /test/guard.sh
