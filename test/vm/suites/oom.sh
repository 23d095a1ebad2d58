# What we say that the kernel would do, and what it does.
# boot: --swap 64 --cpus 1 --mem 640
# boot: --try stress
. /test/lib.sh
T_TIMEOUT=180

# Another TAP program's tests as ours, as they come.
include()
{
	command -v "$1" >/dev/null || { t "$1 was built" false; return; }
	{ "$1" 2>&1; echo "exit $?"; } | while IFS= read -r line; do
		case $line in
		'ok '*) T_COUNT=$((T_COUNT + 1)); echo "ok $T_COUNT - ${line#* - }" >&3 ;;
		'not ok '*) T_COUNT=$((T_COUNT + 1)); echo "not ok $T_COUNT - ${line#* - }" >&3 ;;
		1..*) echo "$((T_COUNT + ${line#1..}))" >/tmp/planned ;;
		'exit 0') ;;
		*) echo "# ${line#\# }" >&3 ;;
		esac
	done
	T_COUNT=$(cat /tmp/planned)
}


# value FILE KEY: the first of that name in JSON
value()
{
	sed -n "s/.*\"$2\": \{0,1\}\"\{0,1\}\([^,\"}]*\).*/\1/p" "$1" | head -n 1
}

# score PID: into $T/score, and check that the kernel's score is the one predicted
score()
{
	cgguard score --json "$1" >"$T/score" || fail "no score of $1"
	assert_between $(($(value "$T/score" predicted) - 1)) $(($(value "$T/score" predicted) + 1)) \
		"$(value "$T/score" oom_score)" "score of $1"
	value "$T/score" oom_score
}

# formula PID: the score by /proc/PID/status and the rule that is told
formula()
{
	local kb total pages adj badness
	kb=$(sed -n 's/^\(VmRSS\|VmSwap\|VmPTE\):[^0-9]*\([0-9]*\) kB/\2/p' "/proc/$1/status" | tr '\n' + | sed 's/+$//')
	total=$(sed -n 's/^\(MemTotal\|SwapTotal\):[^0-9]*\([0-9]*\) kB/\2/p' /proc/meminfo | tr '\n' + | sed 's/+$//')
	pages=$(((kb) / 4)) total=$(((total) / 4))
	read -r adj <"/proc/$1/oom_score_adj"
	badness=$((pages + adj * (total / 1000)))
	echo $(((1000 + badness * 1000 / total) * 2 / 3))
}

# stress_child MIB: a process of Debian's stress that holds so much, in /article
stress_child()
{
	local parent child
	parent=$(cg_run /article stress --vm 1 --vm-bytes "$1M" --vm-hang 0)
	wait_until 60 "[ -n \"\$(cat /proc/$parent/task/$parent/children)\" ]"
	child=$(cat "/proc/$parent/task/$parent/children")
	child=${child% }
	wait_until 60 "[ \$(sed -n 's/^VmRSS:[^0-9]*\\([0-9]*\\) kB/\\1/p' /proc/$child/status) -ge $(($1 * 1024)) ]"
	echo "$child"
}

# adjusted PID VALUE: by cgguard, which says before and after; the score is by the formula
adjusted()
{
	cgguard adjust "$1" "$2" >"$T/adjusted" || fail "adjust $1 $2"
	assert_has "$(cat "$T/adjusted")" "$1 (stress): oom_score_adj"
	assert_has "$(cat "$T/adjusted")" "oom_score $SCORE -> $(cat "/proc/$1/oom_score")"
	read -r SCORE <"/proc/$1/oom_score"
	assert_between $(($(formula "$1") - 1)) $(($(formula "$1") + 1)) "$SCORE" "score of $1 at $2"
}

# reports: of the kernel's log, one JSON object for each
reports()
{
	cgguard log --json --kmsg
}

the_articles_example()
{
	command -v stress >/dev/null || t_skip 'no stress on this machine: apt-get install stress'
	local small large base before disk
	disk=$(sed -n 's/^\(\/[^ ]*\) .*/\1/p' /proc/swaps)
	swapoff "$disk" && t_defer "swapon $disk"
	cg_create /article
	small=$(stress_child 80)
	large=$(stress_child 160)

	# scores are as their memory, from that of an empty process
	base=$((1000 * 2 / 3))
	SCORE=$(score "$small")
	assert_between 180 220 $((($(score "$large") - base) * 100 / (SCORE - base))) \
		'what the larger has more, in percent of the smaller'
	cgguard score "$small" "$large" >"$T/table"
	assert_has "$(cat "$T/table")" 'Formula: oom_score = (1000 + badness * 1000 / total) * 2 / 3'
	assert_eq "$large $small" "$(sed -nE 's/^ *[0-9]+ +([0-9]+) .*/\1/p' "$T/table" | tr '\n' ' ' | sed 's/ $//')"
	before=$SCORE
	for value in -50 -100 500 900 0; do
		adjusted "$small" $value
		echo "# $small at $value: $SCORE" >&3
	done
	assert_between $((before - 1)) $((before + 1)) "$SCORE"
	read -r SCORE <"/proc/$large/oom_score"
	for value in -100 500 +400; do
		adjusted "$large" $value
	done
	assert_eq 900 "$(cat "/proc/$large/oom_score_adj")"

	# the first of the article's lines: a limit
	cg_write /article memory.max 280M
	cgguard explain --kernel --json /article >"$T/predicted"
	assert_eq "$large" "$(value "$T/predicted" victim)" 'predicted at the limit'
	cg_run /article hog --adj -500 hold 60 >/dev/null
	wait_until 60 "! alive $large"
	within 10 '[ -n "$(reports)" ]'
	reports | tail -n 1 >"$T/report"
	assert_eq cgroup "$(value "$T/report" scope)" "$(cat "$T/report")"
	assert_has "$(cat "$T/report")" "\"oom_memcg\":\"/article\""
	assert_has "$(cat "$T/report")" "\"pid\":$large,"
	assert_has "$(cat "$T/report")" '"oom_score_adj":900'
	assert_has "$(dmesg)" "Memory cgroup out of memory: Killed process $large (stress)"

	# and the second: the whole machine
	cg_write /article memory.max max
	cgguard adjust "$small" 500
	cgguard explain --kernel --json >"$T/predicted"
	assert_eq "$small" "$(value "$T/predicted" victim)" 'predicted on the host'
	cg_create /filler
	# more than there is: after the one chosen it takes the filler itself, and who started stress
	cg_run /filler hog --adj -900 anon 2000 >/dev/null
	wait_until 120 "! alive $small"
	within 10 'reports | tail -n 1 | grep -q "\"scope\":\"host\""'
	reports | grep "\"scope\":\"host\"" | head -n 1 >"$T/report"
	assert_has "$(cat "$T/report")" "\"pid\":$small,"
	assert_has "$(dmesg)" "Out of memory: Killed process $small (stress)"
}

the_kernel_finds_nobody_and_we_say_so_before()
{
	cg_create /spared memory.max=40M memory.swap.max=0
	local member filler
	member=$(cg_run /spared hog hold 8)
	wait_until 20 "[ \$(cg_read /spared memory.current) -gt 8000000 ]"
	assert_fails 1 cgguard adjust "$member" -1000 2>"$T/said"
	assert_has "$(cat "$T/said")" 'finds nobody to kill'
	assert_eq 0 "$(cat "/proc/$member/oom_score_adj")"
	assert_ok cgguard adjust "$member" -999
	assert_ok cgguard adjust --force "$member" -1000 2>"$T/said"
	assert_has "$(cat "$T/said")" 'warning: every process in*is now at -1000'
	assert_fails 1 cgguard explain --kernel /spared >"$T/out"
	assert_has "$(cat "$T/out")" 'find nobody to kill'
	# with one who can be killed there is nothing to refuse, until it would be the last
	filler=$(cg_run /spared hog --delay 3600000 sleep)
	assert_ok cgguard adjust "$member" -1000
	assert_fails 1 cgguard adjust --cgroup /spared -1000
	assert_fails 1 cgguard adjust "$filler" -=2000
	kill -9 "$filler"
	wait_until 10 "! alive $filler"
	# so it is
	filler=$(cg_run /spared hog --adj -1000 anon 80)
	wait_until 30 '[ "$(cg_event /spared memory.events oom)" -gt 3 ]'
	assert_eq 0 "$(cg_event /spared memory.events oom_kill)" oom_kill
	kill -9 "$filler"
	wait_until 20 "! alive $filler"
}

a_whole_cgroup_is_adjusted_and_what_it_forks()
{
	cg_create /many
	cg_create /many/in
	for i in 1 2 3; do cg_run /many/in hog hold 2 >/dev/null; done
	cg_run /many/in hog swarm 4 1 >/dev/null
	wait_until 20 '[ "$(cg_procs /many)" -eq 8 ]'
	assert_ok cgguard adjust --cgroup /many 300 --json >"$T/out"
	assert_eq 8 "$(grep -c '"ok":true,"before":0,"after":300,"score_before":' "$T/out")" "$(cat "$T/out")"
	for pid in $(cg_pids /many); do
		assert_eq 300 "$(cat "/proc/$pid/oom_score_adj")"
	done
	assert_ok cgguard adjust --cgroup /many -=100 >"$T/out"
	assert_eq 8 "$(grep -c 'oom_score_adj 300 -> 200' "$T/out")"
	cg_create /nobody
	assert_fails 1 cgguard adjust --cgroup /nobody 5
	assert_fails 2 cgguard adjust --cgroup /nowhere 5
}

what_is_none_of_ours_is_named()
{
	local pid thread theirs
	cg_create /box
	pid=$(cg_run /box hog threadzombie 4)
	wait_until 10 "[ \$(ls /proc/$pid/task | wc -l) -eq 2 ]"
	for thread in "/proc/$pid/task/"*; do
		thread=${thread##*/}
		[ "$thread" != "$pid" ] || continue
		assert_fails 2 cgguard score "$thread" 2>"$T/said"
		assert_has "$(cat "$T/said")" "$thread is a thread of process $pid"
		assert_fails 2 cgguard adjust "$thread" 5 2>"$T/said"
		assert_has "$(cat "$T/said")" "$thread is a thread of process $pid"
	done
	score "$pid" >/dev/null # whose leader has ended
	kill -9 "$pid" && wait_until 10 "! alive $pid"
	assert_fails 1 cgguard score "$pid" 2>"$T/said"
	assert_has "$(cat "$T/said")" "no process $pid"
	assert_fails 1 cgguard adjust "$pid" 5 2>"$T/said"
	assert_has "$(cat "$T/said")" "no process $pid"
	pid=$(cg_run /box hog sleep)
	theirs=$(cg_run /box su -s /bin/sh user -c 'exec hog sleep')
	wait_until 10 "[ \$(stat -c %u /proc/$theirs) -eq 1000 ]"
	assert_fails 3 su -s /bin/sh user -c "cgguard adjust $pid 5" 2>"$T/said"
	assert_has "$(cat "$T/said")" 'it belongs to another user'
	assert_ok su -s /bin/sh user -c "cgguard adjust $theirs 5"
	assert_fails 3 su -s /bin/sh user -c "cgguard adjust $theirs -5" 2>"$T/said"
	assert_has "$(cat "$T/said")" 'CAP_SYS_RESOURCE'
	assert_eq 5 "$(cat "/proc/$theirs/oom_score_adj")"
}

what_is_swapped_out_counts_as_before()
{
	local pid before
	cg_create /out
	pid=$(cg_run /out hog hold 30)
	wait_until 20 "[ \$(cg_read /out memory.current) -gt 30000000 ]"
	before=$(score "$pid")
	assert_eq 0 "$(value "$T/score" swap_pages)"
	echo 16M >"$CG/out/memory.reclaim"
	within 20 "[ \$(cg_read /out memory.swap.current) -gt 8000000 ]" || fail "$(cat /proc/swaps) $(cg_read /out memory.swap.current)"
	assert_between $((before - 1)) $((before + 1)) "$(score "$pid")"
	[ "$(value "$T/score" swap_pages)" -gt 2000 ] || fail "not swapped out: $(cat "$T/score")"
	assert_has "$(cgguard explain --kernel /out)" 'ran out of memory now'
}

pid_1_of_a_container_is_no_init()
{
	cat >"$T/inside" <<-END
		echo 0 >/proc/self/oom_score_adj
		cgguard score --json 1 >$T/one
		cat /proc/1/oom_score >$T/shown
	END
	unshare -m -p -f --mount-proc sh "$T/inside"
	assert_eq 1 "$(value "$T/one" pid)" "$(cat "$T/one")"
	assert_eq '' "$(value "$T/one" exempt)"
	[ "$(cat "$T/shown")" -gt 0 ] || fail 'the kernel exempts it'
	assert_between $(($(cat "$T/shown") - 1)) $(($(cat "$T/shown") + 1)) "$(value "$T/one" predicted)"
	cgguard score --json 1 >"$T/one"
	assert_eq init "$(value "$T/one" exempt)"
}

dmesg -n 1
t "two children of stress: scores, adjustments, and the kernel's two lines" the_articles_example
t 'a limit without anybody to kill: refused, told, and as the kernel does it' \
	the_kernel_finds_nobody_and_we_say_so_before
t 'a whole cgroup is adjusted' a_whole_cgroup_is_adjusted_and_what_it_forks
t "a thread, the dead, and what is another's are named" what_is_none_of_ours_is_named
t 'what is swapped out counts as before' what_is_swapped_out_counts_as_before
t 'PID 1 of a container can be chosen, that of the machine can not' pid_1_of_a_container_is_no_init
if t_selected live-oom live-oom; then
	# the newer kernel is the same code but for its counters: half as many there
	case $(uname -r) in 6.1.*) ;; *) export OOM_CASES=100 ;; esac
	include live-oom
fi
t_plan_end
