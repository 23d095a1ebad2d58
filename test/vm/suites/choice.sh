# shellcheck shell=dash disable=SC1091,SC2016,SC2034
# Who is chosen, by what only a real kernel has: processes with their oom_score_adj, and marks on cgroups.
. /test/lib.sh
T_TIMEOUT=120

# a rule on DOMAIN with more keys
rule()
{
	policy p <<-END
		{"version": 1, "rules": [{"name": "choice", "domain": "$1",
		 "when": {"unreclaimable_above": "60%"}, $2, "cooldown": "1s",
		 "then": [{"action": "kill", "scope": "group"}]}]}
	END
}

# holder PATH MIB [OPTION...]: has the memory when this returns
holder()
{
	local path=$1 size=$2
	shift 2
	cg_create "$path"
	cg_run "$path" hog "$@" hold "$size" >/dev/null
	wait_until 20 "[ \"\$(cg_read $path memory.current)\" -ge $((size << 20)) ]"
}

# of 128 MiB each of 1000 is 32 pages
badness_is_the_kernels_choice()
{
	cg_create /d memory.max=128M memory.swap.max=0
	holder /d/large 60
	holder /d/small 24 --adj 400
	holder /d/spared 2 --adj -1000
	assert_eq '/d/small /d/large /d/spared' "$(echo $(cgguard rank --by badness --domain /d --json |
		sed -n 's/^ *"cgroup": "\(.*\)",$/\1/p'))" 'who comes first'
	rule /d '"rank": ["badness"]'
	guard_start --policy "$T/p.json"
	assert_dead /d/small 20
	incidents_are 1
	assert_alive /d/large 1
	assert_alive /d/spared 1
	pick 1
	says victim.cgroup /d/small
	says_between candidates.0.order.badness $((400 * 32 + (24 << 8))) $((400 * 32 + (26 << 8)))
	says_between candidates.1.order.badness $((60 << 8)) $((62 << 8))
}

marks_spare_and_put_off_and_only_serve_others()
{
	cg_create /m memory.max=128M memory.swap.max=0
	holder /m/omitted 50
	holder /m/avoided 30
	holder /m/own 20
	hog mark "$CG/m/omitted" user.oomd_omit 1 || fail 'no mark by root'
	hog mark "$CG/m/avoided" trusted.oomd_avoid true || fail 'no trusted mark'
	chown 1000:1000 "$CG/m/own" || fail 'no delegation'
	hog --uid 1000 mark "$CG/m/own" user.oomd_omit 1 || fail 'no mark by its owner'
	assert_fails 1 hog --uid 1000 mark "$CG/m/own" trusted.oomd_omit 1
	rule /m '"honour_xattrs": true'
	cgguard explain --policy "$T/p.json" /m >"$T/explained"
	for line in '/m/omitted .* protected by "user.oomd_omit"' \
		'/m/avoided .* after all others, by trusted.oomd_avoid' \
		'/m/own .* <- first .*user.oomd_omit does not count: .* uid 1000'; do
		grep -q "$line" "$T/explained" || fail "explain does not say '$line': $(cat "$T/explained")"
	done
	guard_start --policy "$T/p.json"
	assert_dead /m/own 20
	assert_dead /m/avoided 20
	incidents_are 2
	assert_alive /m/omitted 1
	pick 1
	says victim.cgroup /m/own
	pick 2
	says victim.cgroup /m/avoided
	says candidates.1.xattr user.oomd_omit # not read, and behind
}

among_his_own_a_user_decides()
{
	cg_create /u memory.max=128M memory.swap.max=0
	holder /u/editor 60
	holder /u/tab 30
	chown 1000:1000 "$CG/u" "$CG/u/editor" "$CG/u/tab" || fail 'no delegation'
	hog --uid 1000 mark "$CG/u/editor" user.oomd_avoid 1 || fail 'no mark by its owner'
	rule /u '"honour_xattrs": true'
	guard_start --policy "$T/p.json"
	assert_dead /u/tab 20
	incidents_are 1
	assert_alive /u/editor 1
}

# by_taken [MORE]: a rule of /d by what was taken, when it has been calm for long enough
by_taken()
{
	policy p <<-END
		{"version": 1, ${1-} "rules": [{"name": "taken", "domain": "/d",
		 "when": {"unreclaimable_above": "90%"}, "rank": ["priority", "taken", "gain"], "cooldown": "1s",
		 "then": [{"action": "kill", "scope": "group"}]}]}
	END
	guard_start --policy "$T/p.json"
	sleep 24
}

# A user's 30 scopes, each too small to help, beside a database that is larger than all of them.
a_herd_dies_until_it_is_enough()
{
	cg_create /d memory.max=256M memory.swap.max=0
	holder /d/db 130
	cg_create /d/u
	chown 1000:1000 "$CG/d/u" || fail 'no delegation'
	by_taken
	for n in $(seq 1 30); do
		cg_create "/d/u/w$n"
		cg_run "/d/u/w$n" hog hold 4 >/dev/null
	done
	wait_until 20 '[ "$(incident_count)" -ge 1 ]'
	pick 1
	case $(got victim.cgroup) in /d/u/w*) ;; *) fail "$(got victim.cgroup) has died" ;; esac
	says herd.owner /d/u
	says_between herd.killed 2 16
	says_between herd.taken_bytes $((30 << 20)) $((140 << 20))
	assert_alive /d/db 1
	[ "$(cg_alive /d/u)" -ge 10 ] || fail "$(cg_alive /d/u) of 30 are left"
	assert_no_oom_kill
}

# Six small ones that the policy lets die first can't help; the leak can.
the_leak_dies_before_those_that_go_first()
{
	cg_create /d memory.max=256M memory.swap.max=0
	for n in 1 2 3 4 5 6; do
		holder "/d/pod$n" 3
	done
	cg_create /d/leak
	cg_run /d/leak hog hold 60 >/dev/null
	by_taken '"priorities": {"/d/pod*": -100},'
	cg_run /d/leak hog anon 200 20 >/dev/null
	assert_dead /d/leak 30
	incidents_are 1
	for n in 1 2 3 4 5 6; do
		assert_alive "/d/pod$n" 1
	done
	pick 1
	says victim.cgroup /d/leak
	says_between candidates.0.order.taken $((30 << 20)) $((190 << 20))
	assert_no_oom_kill
}

t 'badness is the choice of the kernel' badness_is_the_kernels_choice
t 'marks spare, put off, and only for others' marks_spare_and_put_off_and_only_serve_others
t 'among his own a user decides' among_his_own_a_user_decides
t 'a herd dies until it is enough, and the larger database lives' a_herd_dies_until_it_is_enough
t 'a leak dies before those that go first and do not help' the_leak_dies_before_those_that_go_first
t_plan_end
