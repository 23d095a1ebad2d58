# shellcheck shell=dash disable=SC1003,SC1091,SC2005,SC2015,SC2016,SC2034,SC2046,SC2317
# What is wrong with a policy, a permission or the tree is said in a sentence, with the way out; and
# where it can, the guard goes on.
. /test/lib.sh

# run_is STATUS ARGUMENT...: cgguard run ends with it, soon, after saying one line, kept in $T/said
run_is()
{
	local expected=$1
	shift
	assert_fails "$expected" timeout 5 cgguard run "$@" >"$T/out" 2>"$T/said"
	assert_eq 1 "$(wc -l <"$T/said")" "lines of $(cat "$T/said")"
	assert_eq '' "$(cat "$T/out")" stdout
}

# good_policy: a rule that never holds
good_policy()
{
	cat <<-END
		{"version": 1, "rules": [{"name": "${1-calm}", "domain": "/",
		 "when": {"available_below": "1%"}, "then": [{"action": "notify"}]}]}
	END
}

bad_policy_starts_nothing()
{
	echo '{"version": 1, "rules": [{"nmae": "x"}]}' >"$T/p.json"
	run_is 2 --policy "$T/p.json"
	said "cgguard: $T/p.json:1:27: /rules/0: "
	said "'nmae'"
	said 'name'
	printf '{"version": 1,\n "rules": [}\n' >"$T/p.json"
	run_is 2 --policy "$T/p.json"
	said "cgguard: $T/p.json:2:"
	good_policy | sed 's/1%/1parsec/' >"$T/p.json"
	run_is 2 --policy "$T/p.json"
	said "$T/p.json:2:"
	said /rules/0/when/available_below
	: >"$T/p.json"
	run_is 2 --policy "$T/p.json"
	said "$T/p.json"
}

# A file of another user's beside cgguard is not executed, with all of its powers.
without_the_guards_own_program_nothing_starts()
{
	good_policy >"$T/p.json"
	cp "$(command -v cgguard)" "$T/cgguard"
	assert_fails 3 timeout 5 "$T/cgguard" run --policy "$T/p.json" >"$T/out" 2>"$T/said"
	said "cgguard: cannot find cgguard-guard beside cgguard or in "
	said "install cgguard again"
	printf '#!/bin/sh\n: >%s/executed\n' "$T" >"$T/cgguard-guard"
	chmod 755 "$T/cgguard-guard"
	chown 1000 "$T/cgguard-guard"
	assert_fails 3 timeout 5 "$T/cgguard" run --policy "$T/p.json" >"$T/out" 2>"$T/said"
	said "cgguard: cannot find cgguard-guard"
	[ ! -e "$T/executed" ] || fail 'it was executed'
	assert_fails 2 "$(dirname "$(command -v cgguard)")/cgguard-guard" run 2>"$T/said"
	said "this name is for a process that 'cgguard run' starts"
	for name in cgguard-front cgguard-keeper cgguard-reader; do
		ln -sf "$(command -v cgguard)" "$T/$name"
		assert_fails 2 env -i PATH="$T" $name 2>"$T/said"
		said "this name is for a process that 'cgguard run' starts"
	done
}

missing_policy_starts_nothing()
{
	run_is 2 --policy "$T/none.json"
	said "$T/none.json: No such file or directory"
	mkdir "$T/empty"
	echo text >"$T/empty/README"
	run_is 2 --policy "$T/empty"
	said "$T/empty"
	said '.json'
	run_is 2 --policy "$T/none.json/x"
}

writable_policy_starts_nothing()
{
	good_policy >"$T/p.json"
	chmod 0666 "$T/p.json"
	run_is 2 --policy "$T/p.json"
	said "$T/p.json: others can write it (mode 0666): chmod go-w"
	chmod 0664 "$T/p.json"
	run_is 2 --policy "$T/p.json"
	chmod 0644 "$T/p.json"
	chown 1000 "$T/p.json"
	run_is 2 --policy "$T/p.json"
	said 'belongs to uid 1000'
	chown 0 "$T/p.json"
	mkdir "$T/d"
	mv "$T/p.json" "$T/d"
	chmod 0777 "$T/d"
	run_is 2 --policy "$T/d"
	said "$T/d: others can write it"
	chmod 0755 "$T/d"
	guard_start --policy "$T/d"
	guard_stop
	assert_eq 0 "$(guard_rc)" 'exit code'
}

directory_is_merged_or_refused()
{
	mkdir "$T/d"
	good_policy first >"$T/d/10.json"
	good_policy second >"$T/d/20.json"
	guard_start --policy "$T/d"
	assert_has "$(cat "$T/guard.err")" "by 2 rules of $T/d"
	guard_stop
	good_policy first >"$T/d/30.json"
	run_is 2 --policy "$T/d"
	said "$T/d/30.json"
	said "$T/d/10.json:1:"
}

wrong_use_starts_nothing()
{
	run_is 2 --no-such-option
	run_is 2 --policy
	run_is 2 surplus
	said surplus
	run_is 2 --incidents "$T/none/incidents.jsonl"
	said "$T/none/incidents.jsonl"
	run_is 2 --root "$T/none"
	said "$T/none"
	assert_fails 2 cgguard no-such-command
	assert_fails 2 cgguard
}

tree_without_memory_is_told()
{
	t_defer "echo +memory >$CG/cgroup.subtree_control"
	echo -memory >"$CG/cgroup.subtree_control" || fail "can't disable it"
	run_is 3
	said 'the memory controller is not enabled'
	said "echo +memory > $CG/cgroup.subtree_control"
}

# as_user COMMAND...: by uid 1000, in /guard
as_user()
{
	cg_create /guard
	(guard_enter && exec timeout 30 su -s /bin/sh user -c "$*") >"$T/guard.out" 2>"$T/guard.err" 3>&- &
	GUARD_PID=$!
	wait_until 10 'grep -q guarding "$T/guard.err" || ! alive $GUARD_PID'
}

user_goes_on_without()
{
	as_user cgguard run
	alive "$GUARD_PID" || fail "it has ended: $(cat "$T/guard.err")"
	assert_has "$(cat "$T/guard.err")" 'oom_score_adj to -1000 (CAP_SYS_RESOURCE)'
	assert_has "$(cat "$T/guard.err")" 'cannot raise our priority (CAP_SYS_NICE)'
	assert_has "$(cat "$T/guard.err")" 'cannot lock memory (CAP_IPC_LOCK)'
}

user_tells_what_it_cannot_kill()
{
	cg_create /box memory.max=64M memory.swap.max=0
	policy p <<-END
		{"version": 1, "rules": [{"name": "box", "each": "/box",
		 "when": {"unreclaimable_above": "50%"},
		 "then": [{"action": "kill", "scope": "group", "deadline": "500ms"}]}]}
	END
	as_user cgguard run --policy "$T/p.json"
	cg_run /box hog hold 40 >/dev/null
	cp "$T/guard.out" "$T/incidents.jsonl"
	within 10 'cp "$T/guard.out" "$T/incidents.jsonl"; [ "$(incident_count)" -ge 1 ]'
	pick 1
	says outcome failed
	says victim.cgroup /box
	says victim.kill.errno 1
	assert_has "$(got why_not)" 'CAP_KILL is needed'
	assert_alive /box 1
	sleep 3
	# The same that failed is not tried again and again.
	cp "$T/guard.out" "$T/incidents.jsonl"
	assert_between 1 2 "$(incident_count)" incidents
	alive "$GUARD_PID" || fail 'it has ended'
}

# A user to whom a subtree was given can do all there: such is rootless.
user_kills_in_its_own_tree()
{
	cg_create /user memory.max=200M memory.swap.max=0
	cg_create /user/app memory.max=64M memory.swap.max=0
	cg_create /user/guard
	chown -R 1000 "$CG/user"
	policy p <<-END
		{"version": 1, "rules": [{"name": "app", "each": "/app",
		 "when": {"unreclaimable_above": "50%"},
		 "then": [{"action": "notify"}, {"action": "kill", "scope": "group"}]}]}
	END
	GUARD_CGROUP=/user/guard as_user cgguard run --root "$CG/user" --policy "$T/p.json"
	cg_run /user/app hog hold 40 >/dev/null
	assert_dead /user/app 15
	cp "$T/guard.out" "$T/incidents.jsonl"
	incidents_are 1
	pick 1
	says outcome killed
	says victim.cgroup /app
	says_between victim.freed_bytes $((32 << 20)) $((64 << 20))
}

# Where /proc shows others' processes to nobody but who may trace them, Landlock would hide them from us.
hidden_processes_are_seen()
{
	cg_create /box memory.max=64M memory.swap.max=0
	policy p <<-END
		{"version": 1, "rules": [{"name": "box", "each": "/box", "when": {"unreclaimable_above": "50%"},
		 "then": [{"action": "kill", "scope": "process"}]}]}
	END
	t_defer 'mount -o remount,hidepid=off /proc'
	mount -o remount,hidepid=invisible /proc || fail "can't hide processes"
	guard_start --policy "$T/p.json"
	assert_has "$(cat "$T/guard.err")" '/proc is mounted with hidepid'
	cg_run /box su -s /bin/sh user -c 'exec hog hold 40' >/dev/null
	assert_dead /box 15
	incidents_are 1
	pick 1
	says outcome killed
	says victim.processes.0.comm hog
}

t 'a bad policy starts nothing, and is named with the place' bad_policy_starts_nothing
t 'without the guard s own program nothing starts' without_the_guards_own_program_nothing_starts
t 'a missing policy starts nothing' missing_policy_starts_nothing
t 'a policy that others can write starts nothing' writable_policy_starts_nothing
t 'the files of a directory are merged, or none counts' directory_is_merged_or_refused
t 'wrong use starts nothing' wrong_use_starts_nothing
t 'a tree without its memory controller is told, with the remedy' tree_without_memory_is_told
t 'processes that /proc hides from others are seen and killed' hidden_processes_are_seen
t 'a user goes on without locked memory, exemption and priority' user_goes_on_without
t 'a user is told what it cannot kill' user_tells_what_it_cannot_kill
t 'a user kills in a tree of its own' user_kills_in_its_own_tree
t_plan_end
