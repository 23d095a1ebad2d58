# The bench's own observer (test/bench): who killed whom, and when, whatever the guard.
# boot: --add @build@/test/bench/observe --add @build@/test/bench/bare
. /test/lib.sh
mkdir -p /sys/kernel/tracing
mount -t tracefs tracefs /sys/kernel/tracing

# look_on GUARD OPTION...: the observer at /box, in the background; what it tells goes to $T/seen
look_on()
{
	local guard=$1
	shift
	cp /usr/bin/hog "$T/leak"
	cp /usr/bin/hog "$T/database"
	observe --seconds 40 --group "$CG/box" --name leak --innocent database --guard "$guard" \
		--ready "$T/ready" "$@" >"$T/seen" 3>&- &
	OBSERVER=$!
	wait_until 10 '[ -e "$T/ready" ]'
}

# saw KEY VALUE
saw()
{
	assert_eq "$2" "$(json-get "$T/seen" 1 "$1")" "$1"
}

# saw_between KEY LOW HIGH
saw_between()
{
	assert_between "$2" "$3" "$(json-get "$T/seen" 1 "$1")" "$1"
}

the_kernels_kills_are_seen()
{
	cg_create /box memory.max=48M memory.swap.max=0
	dmesg -c >/dev/null
	look_on 0 --line $((40 * 1048576)) --seconds 8
	cg_run /box "$T/database" hold 30
	cg_run /box "$T/leak" anon 20 5
	wait $OBSERVER
	saw crossed true
	saw first kernel
	saw wrong_by_kernel 1
	saw wrong_name database
	# who is largest goes first; the leak too, where it asks again before that memory is back
	dmesg | sed -n 's/.*Killed process [0-9]* (\([a-z]*\)).*/\1/p' >"$T/killed"
	saw guilty_by_kernel "$(grep -cx leak "$T/killed")"
	saw kernel_kills "$(grep -c . "$T/killed")"
	saw_between kernel_us 1 30000000
	saw_between peak_bytes $((40 * 1048576)) $((48 * 1048576))
}

a_guards_kill_is_told_apart()
{
	cg_create /guard
	cg_create /box memory.max=64M memory.high=48M memory.swap.max=0
	(echo 0 >"$CG/guard/cgroup.procs" && exec bare "$CG/box") 3>&- &
	guard=$!
	wait_until 5 'grep -q inotify /proc/'$guard'/fdinfo/*'
	look_on $guard --breach --line $((48 * 1048576))
	cg_run /box "$T/leak" anon 100 max
	wait $OBSERVER
	saw first guard
	saw guilty_by_guard 1
	saw guilty_by_kernel 0
	saw wrong_by_guard 0
	saw guilty_gone true
	saw_between signal_us 0 10000000
	saw_between freed_us "$(json-get "$T/seen" 1 signal_us)" 20000000
	assert_no_oom_kill
}

nobodys_kill_is_nobodys()
{
	cg_create /box memory.max=64M
	look_on 0 --line $((60 * 1048576)) --seconds 2
	cg_run /box "$T/leak" hold 20
	wait $OBSERVER
	saw crossed false
	saw first nobody
	saw signal_us null
	saw guilty_gone false
}

t "the kernel's kill of an innocent is seen as such" the_kernels_kills_are_seen
t "a guard's kill is told apart from the kernel's" a_guards_kill_is_told_apart
t 'where nobody kills, nobody is named' nobodys_kill_is_nobodys
t_plan_end
