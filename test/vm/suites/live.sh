# What only a program can try on the real kernel, and what the guard may not do on the way to a kill.
. /test/lib.sh

# Another TAP program's tests as ours.
include()
{
	command -v "$1" >/dev/null || { t "$1 was built" false; return; }
	"$1" >/tmp/included 2>&1
	echo "exit $?" >>/tmp/included
	while IFS= read -r line; do
		case $line in
		'ok '*) T_COUNT=$((T_COUNT + 1)); echo "ok $T_COUNT - ${line#* - }" >&3 ;;
		'not ok '*) T_COUNT=$((T_COUNT + 1)); echo "not ok $T_COUNT - ${line#* - }" >&3 ;;
		'exit 0' | 1..*) ;;
		'exit '*) echo "# $1: $line" >&3 ;;
		*) echo "# ${line#\# }" >&3 ;;
		esac
	done </tmp/included
	grep -q '^1\.\.' /tmp/included && ! grep -q '^Bail' /tmp/included || t "$1 ran to its end" false
}

from_wake_up_to_kill_nothing_is_allocated()
{
	[ -e /test/allocs.so ] || fail 'no allocs.so: build with -Dtests=true'
	cg_create /box memory.max=128M memory.swap.max=0
	export LD_PRELOAD=/test/allocs.so
	guard_start
	unset LD_PRELOAD
	cg_run /box hog sleep
	cg_run /box hog anon 300 50
	assert_dead /box 10
	cg_create /leak
	for i in 1 2 3 4 5; do
		cg_run /leak hog anon 400 20
	done
	assert_dead /leak 60
	guard_stop
	assert_no_oom_kill
	assert_eq 2 "$(incidents | grep -c '"event":"incident"')" incidents
	assert_eq 'allocations: 0, first by nobody' "$(grep allocations "$T/guard.err")"
}

include live-kill
t 'from wake-up to kill nothing is allocated, mapped or forked, for two kills and the cgroups made between' \
	from_wake_up_to_kill_nothing_is_allocated
t_plan_end
