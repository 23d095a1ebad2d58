# shellcheck shell=dash disable=SC1003,SC1091,SC2005,SC2015,SC2016,SC2034,SC2046,SC2317
# The daemon guards a host by its built-in policy: whom it kills, whom not, and what it says of it.
. /test/lib.sh

# services N: N small services that have done nothing
services()
{
	local i=0
	while [ $((i += 1)) -le "$1" ]; do
		cg_create "/svc/$i"
		cg_run "/svc/$i" hog hold 2 >/dev/null
	done
}

leak_dies_whole()
{
	local i
	services 20
	cg_create /leak
	guard_start
	for i in 1 2 3 4 5; do
		cg_run /leak hog anon 400 20 >/dev/null
	done
	assert_dead /leak 60
	incidents_are 1
	pick 1
	says_killed /leak 600 host-low /
	says victim.kill.members 5
	says victim.processes.0.comm hog
	says candidates.0.cgroup /leak
	says candidates.0.verdict fit
	says candidates_total 23
	sleep 2
	incidents_are 1
	assert_eq notice "$(incident 1 event)" 'event of the first record'
	assert_eq 2 "$(incidents | wc -l)" records
	assert_alive /svc 20
	assert_no_oom_kill
	assert_eq 1 "$(grep -c . "$T/guard.err")" 'lines on stderr'
	guard_stop
	assert_eq 0 "$(guard_rc)" 'exit code'
}

swarm_dies_and_the_large_lives()
{
	local db
	cg_create /db
	cg_create /swarm
	db=$(cg_run /db hog hold 200)
	guard_start
	# all are there before the first one grows, however slow the machine is
	cg_run /swarm hog swarm 60 20 2 "$T/grow" >/dev/null
	wait_until 60 '[ "$(cg_alive /swarm)" -eq 61 ]'
	: >"$T/grow"
	assert_dead /swarm 60
	alive "$db" || fail 'the innocent has died'
	incidents_are 1
	pick 1
	says_killed /swarm 400 host-low /
	says victim.kill.members 61
	says victim.processes.# 16
	assert_no_oom_kill
}

fork_bomb_is_contained()
{
	services 10
	cg_create /bomb pids.max=500
	guard_start
	cg_run /bomb hog fork 3 >/dev/null
	wait_until 30 '[ "$(cg_read /bomb pids.current)" -gt 50 ]'
	wait_until 60 '[ "$(incident_count)" -ge 1 ]'
	assert_dead /bomb 20
	assert_alive /svc 10
	pick 1
	says victim.cgroup /bomb
	says outcome killed
	says_between victim.kill.members 20 501
	assert_no_oom_kill
}

empty_child_hides_nothing()
{
	cg_create /box memory.max=128M memory.swap.max=0
	mkdir "$CG/box/empty"
	guard_start
	cg_run /box hog sleep >/dev/null
	cg_run /box hog anon 200 20 >/dev/null
	assert_dead /box 20
	incidents_are 1
	pick 1
	says_killed /box 120 group-limit /box
	assert_no_oom_kill
}

splitting_a_scope_hides_nothing()
{
	cg_create /apps/box.scope/main memory.low=0
	cg_create /apps/box.scope/own
	cg_create /apps/other.scope
	guard_start
	cg_run /apps/other.scope hog hold 20 >/dev/null
	cg_run /apps/box.scope/main hog sleep >/dev/null
	cg_run /apps/box.scope/main hog --cgroup apps/box.scope/own anon 1000 200 >/dev/null
	assert_dead /apps/box.scope 60
	assert_alive /apps/other.scope 1
	incidents_are 1
	pick 1
	says_killed /apps/box.scope 600 host-low /
	says victim.kill.members 2
	assert_no_oom_kill
}

# dies_by_name NAME SHOWN: a cgroup of that name at its limit dies, and is shown so
dies_by_name()
{
	mkdir "$CG/$1" || fail "can't create it"
	cg_write "/$1" memory.max 64M
	cg_write "/$1" memory.swap.max 0
	: >"$T/incidents.jsonl"
	cg_run "/$1" hog hold 56 >/dev/null
	wait_until 10 "[ \"\$(cg_event '/$1' memory.stat anon)\" -ge $((56 << 20)) ]"
	cg_run "/$1" hog anon 64 3 >/dev/null # slow: names are what this is about
	within 15 '[ "$(incident_count)" -eq 1 ]' || fail "no incident of $2, $(cg_event "/$1" memory.events oom_kill) killed by the kernel"
	assert_dead "/$1"
	json_lines "$T/incidents.jsonl"
	pick 1
	says_killed "/$2" 60 group-limit "/$2"
}

any_name_dies()
{
	local long255 bytes255
	long255=$(printf '%0255d' 7)
	bytes255=$(printf '%0255d' 7 | tr 07 '\377\376')
	guard_start
	dies_by_name 'two words "quoted" and $HOME' 'two words "quoted" and $HOME'
	dies_by_name 'back\slash\x41' 'back\x5cslash\x5cx41'
	dies_by_name "$(printf 'b\377d\033[31m')" 'b\xffd\x1b[31m'
	dies_by_name "$long255" "$long255"
	dies_by_name "$bytes255" "$(printf '%0255d' 7 | sed 's/0/\\xff/g; s/7/\\xfe/')"
	assert_no_oom_kill
}

protected_is_passed_over()
{
	local at=1
	cg_create /precious
	cg_create /small
	sed 's|"/init.scope",|&"/precious",|' /policies/host.json >"$T/p.json"
	guard_start --policy "$T/p.json"
	cg_run /precious hog hold 500 >/dev/null
	wait_until 20 '[ "$(cg_event /precious memory.stat anon)" -ge $((500 << 20)) ]'
	cg_run /small hog anon 400 100 >/dev/null
	assert_dead /small 60
	incidents_are 1
	assert_alive /precious 1
	pick 1
	says_killed /small 150 host-low /
	says candidates.0.cgroup /small # who can't be the victim is not read, and listed behind
	says candidates.0.verdict fit
	while [ $at -lt 10 ] && [ "$(got candidates.$at.cgroup)" != /precious ]; do
		at=$((at + 1))
	done
	says candidates.$at.verdict protected
	assert_no_oom_kill
}

one_kill_is_enough()
{
	cg_create /large
	cg_create /hog
	guard_start
	cg_run /large hog hold 250 >/dev/null
	cg_run /hog hog anon 900 300 >/dev/null
	assert_dead /hog 60
	sleep 3
	incidents_are 1
	assert_alive /large 1
	pick 1
	says_killed /hog 350 host-low /
	assert_no_oom_kill
}

t 'a leak of five workers dies whole, and only it' leak_dies_whole
t 'a swarm dies, and not the largest process' swarm_dies_and_the_large_lives
t 'a fork bomb is ended to its last process' fork_bomb_is_contained
t 'an empty child hides nothing' empty_child_hides_nothing
t 'a scope that splits itself dies whole' splitting_a_scope_hides_nothing
t 'a cgroup of any name dies, and is named in the record' any_name_dies
t 'a protected group is passed over even when it is the largest' protected_is_passed_over
t 'after one kill the host recovers, and nobody else dies' one_kill_is_enough
t_plan_end
