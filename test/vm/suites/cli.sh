# shellcheck shell=dash disable=SC1003,SC1091,SC2005,SC2015,SC2016,SC2034,SC2046,SC2317
# tree, rank and check on a live tree: what they show is what the kernel says, aligned, and JSON for
# programs.
. /test/lib.sh

# show STATUS COMMAND...: cgguard COMMAND ends with it; its words are in $T/out and $T/said
show()
{
	local expected=$1 got=0
	shift
	cgguard "$@" >"$T/out" 2>"$T/said" || got=$?
	[ "$expected" -eq "$got" ] || fail "expected $expected got $got from $*: $(cat "$T/said")"
}

# json COMMAND...: the same, whose output is one JSON document; it becomes $T/record
json()
{
	show 0 "$@" --json
	tr '\n' ' ' <"$T/out" >"$T/record"
	json-get "$T/record" 1 . >/dev/null || fail "no JSON from $*: $(cat "$T/out")"
}

# line PATTERN: the one line of $T/out with it
line()
{
	assert_eq 1 "$(grep -c -e "$1" "$T/out")" "lines with '$1'"
	grep -e "$1" "$T/out"
}

# aligned HEADING PATTERN...: in lines with PATTERN a column ends where HEADING ends in the heading
aligned()
{
	local heading=$1 head end pattern column
	shift
	head=$(grep -e "$heading" "$T/out" | head -n 1)
	end=${head%%"$heading"*}$heading
	for pattern; do
		column=$(line "$pattern" | cut -c "${#end}")
		[ -n "${column#[ ]}" ] || fail "nothing under the end of $heading in: $(line "$pattern")"
		column=$(line "$pattern" | cut -c "$((${#end} + 1))")
		[ -z "${column#[ ]}" ] || fail "something beyond $heading in: $(line "$pattern")"
	done
}

# a_tree: /pod is an OOM unit of two, /free has none, /deep one within another
a_tree()
{
	cg_create /pod/main memory.max=64M
	cg_create /pod/side
	cg_write /pod memory.oom.group 1
	cg_create /free
	cg_create /free/a-name-that-is-rather-long-for-a-column-of-a-table
	cg_create /free/short
	cg_create /unused
	cg_run /pod/main hog hold 20 >/dev/null
	cg_run /pod/side hog hold 3 >/dev/null
	cg_run /free/short hog hold 40 >/dev/null
	cg_run /free/short hog sleep >/dev/null
	cg_run /free/a-name-that-is-rather-long-for-a-column-of-a-table hog hold 5 >/dev/null
	wait_until 10 '[ "$(cg_event /pod memory.stat anon)" -ge $((23 << 20)) ]'
	wait_until 10 '[ "$(cg_event /free memory.stat anon)" -ge $((45 << 20)) ]'
}

tree_shows_what_dies_together()
{
	a_tree
	show 0 tree
	assert_eq '' "$(cat "$T/said")" stderr
	assert_has "$(head -n 1 "$T/out")" 'host: '
	assert_has "$(head -n 1 "$T/out")" 'available, no swap'
	case $(line '- pod ') in '* '*) ;; *) fail "no '*': $(line '- pod ')" ;; esac
	case $(line '- main ') in '| '*) ;; *) fail "no '|': $(line '- main ')" ;; esac
	case $(line '- side ') in '| '*) ;; *) fail "no '|': $(line '- side ')" ;; esac
	case $(line '- short ') in '  '*) ;; *) fail "a mark: $(line '- short ')" ;; esac
	assert_has "$(tail -n 1 "$T/out")" '* dies whole (memory.oom.group)'
	assert_has "$(line '- main ')" '% of 64'
	assert_eq 0 "$(grep -c unused "$T/out")" 'lines about an empty cgroup'
	aligned USAGE '- pod ' '- main ' '- short ' '- a-name-that'
	aligned UNRECL '- pod ' '- main ' '- short ' '- a-name-that'
	aligned SWAP '- pod ' '- main ' '- short ' '- a-name-that'
	aligned PROCS '- pod ' '- main ' '- short ' '- a-name-that'
	show 0 tree --all
	line '- unused '
}

tree_of_a_part()
{
	a_tree
	show 0 tree /pod
	assert_eq 0 "$(grep -c short "$T/out")" 'lines about others'
	line '/pod '
	line '- main '
	show 1 tree /nowhere
	assert_has "$(cat "$T/said")" "no cgroup '/nowhere'"
	assert_eq '' "$(cat "$T/out")" stdout
	show 2 tree /pod /free
	show 2 tree --no-such-option
	show 2 tree --root "$T/none"
}

tree_in_json()
{
	a_tree
	json tree /pod
	says cgroups.# 3
	says cgroups.0.cgroup /pod
	says cgroups.0.oom_group true
	says cgroups.0.oom_unit /pod
	says cgroups.0.processes 0
	says cgroups.1.cgroup /pod/main
	says cgroups.1.id "$(stat -c %i "$CG/pod/main")"
	says cgroups.1.oom_group false
	says cgroups.1.oom_unit /pod
	says cgroups.1.processes 1
	says cgroups.1.max_bytes $((64 << 20))
	says cgroups.1.limit_bytes $((64 << 20))
	says cgroups.2.max_bytes max
	says_between cgroups.1.current_bytes $((20 << 20)) $((24 << 20))
	says_between cgroups.1.stat.anon $((20 << 20)) $((24 << 20))
	says_between host.total_bytes $((900 << 20)) $((1024 << 20))
	json tree
	says cgroups.0.cgroup /
}

rank_orders_whole_groups()
{
	a_tree
	show 0 rank --top 3
	assert_eq '' "$(cat "$T/said")" stderr
	assert_has "$(line '^  1 ')" ' /free/short '
	assert_has "$(line '^  2 ')" ' /pod '
	assert_has "$(line '^  1 ')" ' 2  one process'
	assert_has "$(line '^  2 ')" ' 2  the whole group'
	assert_has "$(tail -n 1 "$T/out")" 'more (--top 0 shows all)'
	aligned USAGE '^  1 ' '^  2 ' '^  3 '
	aligned GAIN '^  1 ' '^  2 ' '^  3 '
	aligned PROCS '^  1 ' '^  2 ' '^  3 '
	show 0 rank --top 0
	assert_eq 0 "$(grep -c unused "$T/out")" 'lines about an empty cgroup'
	assert_has "$(line a-name-that)" ' 1  one process'
}

rank_takes_its_options()
{
	a_tree
	show 0 rank --domain /free --by gain,age
	assert_eq 2 "$(grep -c ' /free/' "$T/out")" groups
	assert_eq 0 "$(grep -c ' /pod' "$T/out")" 'groups of others'
	show 0 rank --include '/free/**' --exclude '/free/a-*'
	assert_has "$(line '^  1 ')" ' /free/short '
	assert_eq 0 "$(grep -c '^  2 ' "$T/out")" 'second groups'
	show 0 rank --include '/{pod,free}' --unit match
	assert_has "$(line '^  1 ')" ' /free '
	assert_has "$(line '^  2 ')" ' /pod '
	show 1 rank --include '/nobody' --unit match
	show 2 rank --by beauty
	assert_has "$(cat "$T/said")" 'over_protection'
	show 2 rank --unit beauty
	show 2 rank --domain /nowhere
	show 2 rank --top many
	show 2 rank --include relative
	show 2 rank surplus
	show 2 rank --policy "$T/none.json"
}

rank_in_json()
{
	a_tree
	json rank --by gain
	says groups.0.cgroup /free/short
	says groups.0.whole true
	says groups.0.protected false
	says groups.1.cgroup /pod
	says groups.1.oom_unit /pod
	says_between groups.0.terms.usage $((40 << 20)) $((44 << 20))
	says_between groups.0.terms.gain $((40 << 20)) $((44 << 20))
	says_between groups.1.terms.gain $((23 << 20)) $((27 << 20))
	assert_fails 1 got groups.0.terms.growth
	json rank --by growth --domain /free
	got groups.0.terms.growth || fail 'no growth'
}

rank_knows_protection()
{
	a_tree
	policy p <<-END
		{"version": 1, "protect": ["/free/short"], "priorities": {"/pod": -5},
		 "rules": [{"name": "any", "domain": "/",
		 "when": {"available_below": "1%"}, "then": [{"action": "notify"}]}]}
	END
	show 0 rank --policy "$T/p.json" --by priority,usage
	assert_has "$(line '^  1 ')" ' /pod '
	assert_has "$(line '^  1 ')" 'priority -5'
	assert_has "$(line ' /free/short ')" '(protected)'
	json rank --policy "$T/p.json" --include /free/short --unit match
	says groups_total 1
	says groups.0.protected true
}

any_name_is_shown()
{
	local raw
	raw=$(printf 'a b"\377\033[1m\\')
	mkdir "$CG/$raw"
	cg_run "/$raw" hog hold 30 >/dev/null
	wait_until 10 '[ "$(cat "$CG/$raw/cgroup.procs" | wc -l)" -eq 1 ]'
	show 0 tree
	! grep -q "$(printf '[\001-\010\013-\037\177-\377]')" "$T/out" || fail 'bytes that a terminal obeys'
	line 'a b"\\xff\\x1b\[1m\\x5c'
	json tree "/$raw"
	says cgroups.0.cgroup '/a b"\xff\x1b[1m\x5c'
}

check_tells_of_policies()
{
	local file
	show 0 check
	assert_has "$(head -n 1 "$T/out")" 'built-in host.json: good, '
	for file in /policies/*.json; do
		case $file in */schema.json) continue ;; esac
		show 0 check "$file"
		assert_has "$(head -n 1 "$T/out")" "$file: good, "
		[ "$(wc -l <"$T/out")" -ge 2 ] || fail "no rule described: $(cat "$T/out")"
	done
	echo '{"version": 1}' >"$T/bad.json"
	show 2 check /policies/host.json "$T/bad.json" "$T/none.json"
	assert_has "$(cat "$T/out")" '/policies/host.json: good, '
	assert_eq 2 "$(wc -l <"$T/said")" 'lines on stderr'
	assert_has "$(cat "$T/said")" "$T/bad.json: "
	cgguard check --json /policies/host.json "$T/bad.json" >"$T/out"
	assert_eq 2 $? 'exit code'
	tr '\n' ' ' <"$T/out" >"$T/record"
	says 0.ok true
	says 0.policy /policies/host.json
	says 1.ok false
	assert_has "$(got 1.error)" "$T/bad.json: "
}

help_is_there()
{
	local command
	assert_ok cgguard --help >"$T/out"
	assert_has "$(cat "$T/out")" 'Exit codes: 0 done'
	for command in check kill rank run tree; do
		grep -q "^  $command " "$T/out" || fail "no $command in the help"
		assert_ok cgguard "$command" --help >"$T/help"
		assert_has "$(head -n 1 "$T/help")" "cgguard $command - "
	done
	assert_has "$(cgguard --version)" 'cgguard '
}

full_output_is_an_error()
{
	cgguard tree >/dev/full 2>"$T/said"
	assert_eq 3 $? 'exit code'
	assert_has "$(cat "$T/said")" 'cannot write the output'
}

t 'tree shows what dies together, aligned' tree_shows_what_dies_together
t 'tree shows a part of the tree' tree_of_a_part
t 'tree gives JSON that agrees with the kernel' tree_in_json
t 'rank orders whole groups, aligned' rank_orders_whole_groups
t 'rank takes its options' rank_takes_its_options
t 'rank gives JSON with all terms' rank_in_json
t 'rank knows what a policy protects and prefers' rank_knows_protection
t 'a cgroup of any name is shown and harms no terminal' any_name_is_shown
explain_watches_the_live_tree()
{
	cg_create /box memory.max=128M memory.swap.max=0
	cg_run /box hog hold 100 >/dev/null
	wait_until 10 '[ "$(cg_read /box memory.current)" -gt 100000000 ]'
	cat >"$T/p.json" <<-END
	{"version": 1, "rules": [
	 {"name": "over", "each": "/box", "when": {"unreclaimable_above": "50%"}, "then": [{"action": "kill"}]},
	 {"name": "far", "each": "/box", "when": {"unreclaimable_above": "95%"}, "then": [{"action": "kill"}]},
	 {"name": "calm", "each": "/box", "when": {"growth_above": "10MiB", "for": "500ms"},
	  "then": [{"action": "notify"}]}]}
	END
	assert_ok cgguard explain --policy "$T/p.json" /box >"$T/out"
	cat "$T/out"
	assert_has "$(cat "$T/out")" 'rule over: TRUE now; would kill the whole group of /box'
	assert_has "$(cat "$T/out")" 'rule far: not true'
	assert_has "$(cat "$T/out")" 'rule calm: not true' # watched for long enough to know
	assert_ok cgguard explain --json --policy "$T/p.json" /box >"$T/out"
	assert_fails 2 cgguard explain --policy "$T/p.json" /nobody
	assert_alive /box 1
}

t 'explain tells of the live tree, and touches nothing' explain_watches_the_live_tree
t 'check tells of good and bad policies' check_tells_of_policies
t 'each command has its help' help_is_there
t 'output that cannot be written is an error' full_output_is_an_error
t_plan_end
