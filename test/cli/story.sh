#!/bin/sh
# Policy tests from outside: what passes, what fails and how it is told, what is no test.
set -u
# shellcheck source=test/cli/cli.sh
. "$(dirname "$0")/cli.sh"

cat >"$dir/policy.json" <<'END'
{"version": 1, "protect": ["/db"], "rules": [{"name": "low", "domain": "/",
 "when": {"all": [{"available_below": "10%"}, {"available_below": "50%"}]},
 "candidates": {"unit": "leaf"}, "rank": ["priority", "gain"],
 "then": [{"action": "notify"}, {"action": "kill", "scope": "group"}]}]}
END

# story FILE VICTIM [STEP]: a file of one test
story()
{
	cat >"$dir/$1.json" <<END
{"version": 1, "policy": "policy.json", "tests": [{"name": "the leak",
 "host": {"total": "1000Mi", "available": "40%"},
 "tree": {"/db": {"anon": "500Mi", "procs": 1}, "/leak": {"anon": "300Mi", "procs": 5}, "/small": {"anon": "20Mi", "procs": 1}},
 "steps": [{"at": "0s", "expect": "nothing"},
  {"at": "2s", "set": {"host": {"available": "80Mi"}}, "expect": {"rule": "low", "victim": "$2"}}${3-}]}]}
END
	sed -i 's/"40%"/"400Mi"/' "$dir/$1.json"
}

story good /leak
run test "$dir/good.json"
is 0
silent err
out_has "ok      $dir/good.json: the leak" '1 passed, 0 failed'
run test --json "$dir/good.json"
is 0
is_json
out_has '"ok": true' '"passed": 1'
verdict "a test that passes"

story bad /small
run test "$dir/bad.json"
is 1
silent err
sed "s|$dir/||" "$dir/out" >"$dir/told"
cat >"$dir/golden" <<'END'
FAILED  bad.json: the leak
    step 2, at 2.0s
    expected:
      rule low; victim /small
    got:
      at 2.0s; rule low; domain /; victim /leak; scope group; actions notify, kill
    * victim: expected '/small', got '/leak'
    why: rule low in / is true
      limit 1000M, usage 920M, unreclaimable 920M, available 80M, swap free 0B
      all                                    true
        available below 10.00%        8.00%  true, by 2.00%
        available below 50.00%    8.00%  true, by 42.00%
        #  CGROUP  priority  gain
        1  /db            0  500M  protected by "/db"
        2  /leak          0  300M  <- first that may be acted on
        3  /small         0   20M
0 passed, 1 failed
END
# the width of the first column is not the point
sed 's/   *[0-9.]*%  / /; s/  */ /g' "$dir/told" >"$dir/told.1"
sed 's/   *[0-9.]*%  / /; s/  */ /g' "$dir/golden" >"$dir/golden.1"
diff "$dir/golden.1" "$dir/told.1" >"$dir/diff" || wrong "$(head -c 900 "$dir/diff")"
verdict "a failure says what was expected, what came, and why"

story quiet /leak ', {"at": "9s", "expect": {"rule": "low", "victim": "/db"}}'
run test "$dir/quiet.json"
is 1
out_has 'got:' 'nothing' "rule 'low' was expected to act, and did not" 'available below 10.00%'
verdict "a decision that did not come: the numbers that it would have stood on"

# refused TEXT WHAT...: a file that is no test
refused()
{
	echo "$1" >"$dir/wrong.json"
	shift
	run test "$dir/wrong.json"
	is 2
	err_has "$dir/wrong.json:" "$@"
	out_has '0 passed, 0 failed'
}
head='"version": 1, "policy": "policy.json"'
steps='"steps": [{"at": "0s", "expect": "nothing"}]'
refused '{' 'wrong.json:'
refused "{\"policy\": \"policy.json\", \"tests\": []}" "'version' is missing"
refused "{$head, \"tests\": []}" '/tests'
refused "{$head, \"tests\": [{\"name\": \"x\", \"tree\": {\"/a\": {\"anno\": \"1Mi\"}}, $steps}]}" \
	'/tests/0/tree/~1a' "did you mean 'anon'"
refused "{$head, \"tests\": [{\"name\": \"x\", \"tree\": {\"a\": {}}, $steps}]}" "a cgroup's path"
refused "{$head, \"tests\": [{\"name\": \"x\", \"tree\": {\"/a\": {\"anon\": \"1M\"}}, $steps}]}" "'1M'"
refused "{$head, \"tests\": [{\"name\": \"x\", \"host\": {\"total\": \"1Gi\"}, $steps}]}" "'available' is missing"
refused "{$head, \"tests\": [{\"name\": \"x\", \"steps\": [{\"at\": \"0s\", \"expect\": {\"rule\": \"lwo\"}}]}]}" \
	"no rule 'lwo'"
refused "{$head, \"tests\": [{\"name\": \"x\", \"steps\": [{\"at\": \"0s\"}]}]}" "'expect' is missing"
refused "{$head, \"tests\": [{\"name\": \"x\", \"steps\": [{\"at\": \"1s\", \"expect\": \"nothing\"}, {\"at\": \"1s\", \"expect\": \"nothing\"}]}]}" \
	'order of their times'
refused "{$head, \"tests\": [{\"name\": \"x\", \"steps\": [{\"at\": \"0s\", \"set\": {\"/no\": null}, \"expect\": \"nothing\"}]}]}" \
	'no such cgroup'
refused '{"version": 1, "policy": "none.json", "tests": []}' 'none.json'
refused "{$head, \"tests\": [{\"name\": \"x\", \"root\": \"none\", $steps}]}" '/tests/0/root'
verdict "what is wrong with a file is told with its place"

cat >"$dir/wrong.json" <<'END'
{"version": 1, "policy": "policy.json", "tests": [
 {"name": "x", "tree": {"/a": {"anno": "1Mi"}, "b": {}}, "steps": [{"at": "0s", "expect": "nothing"}]},
 {"name": "y", "steps": [{"at": 5, "expect": "nothing"}]},
 {"name": "z", "steps": [{"at": "0s", "expect": {"rule": "low", "victm": "/a"}}]}]}
END
run test "$dir/wrong.json"
is 2
err_has 'wrong.json:2:32: /tests/0/tree/~1a' 'wrong.json:2:' "/tests/0/tree/b" 'wrong.json:3:33: /tests/1/steps/0/at' \
	"did you mean 'victim'"
run test --json "$dir/wrong.json"
is 2
is_json
out_has '"problems":' '"pointer": "/tests/1/steps/0/at"'
verdict "all mistakes of a file are told in one run"

run test
is 2
complains
run test "$dir/none"
is 2
mkdir "$dir/empty"
run test "$dir/empty"
is 2
err_has 'no file named *.json'
truncate -s 5M "$dir/large"
run test "$dir/large"
is 2
err_has "$dir/large: larger than 4 MiB"
mkfifo "$dir/fifo"
run test "$dir/fifo"
is 2
err_has "$dir/fifo: not a regular file"
echo "{\"version\": 1, \"policy\": \"fifo\", \"tests\": []}" >"$dir/of-fifo.json"
run test "$dir/of-fifo.json"
is 2
err_has '/policy: ' 'not a regular file'
verdict "without a file there is nothing to pass"

cat >"$dir/choice-policy.json" <<'END'
{"version": 1, "defaults": {"honour_xattrs": true}, "rules": [
 {"name": "as-the-kernel", "domain": "/k", "when": {"unreclaimable_above": "80%"}, "candidates": {"unit": "leaf"},
  "rank": ["badness"], "then": [{"action": "kill", "scope": "process"}]},
 {"name": "stalled", "domain": "/s", "when": {"unreclaimable_above": "80%"}, "candidates": {"unit": "leaf"},
  "rank": ["pressure", "gain"], "then": [{"action": "kill", "scope": "group"}]}]}
END
cat >"$dir/choice.json" <<'END'
{"version": 1, "policy": "choice-policy.json", "tests": [
 {"name": "the process that the kernel would take", "steps": [{"at": "0s", "expect": {"rule": "as-the-kernel", "victim": "/k/b",
   "candidates": ["/k/b", "/k/a", "/k/spared"]}}],
  "tree": {"/k": {"max": "100Mi"}, "/k/a": {"anon": "50Mi", "procs": 1, "badness": 12800},
   "/k/b": {"anon": "30Mi", "procs": 1, "badness": 15200}, "/k/spared": {"anon": "9Mi", "procs": 1}}},
 {"name": "who stands still", "steps": [{"at": "0s", "expect": {"rule": "stalled", "victim": "/s/b"}}],
  "tree": {"/s": {"max": "100Mi"}, "/s/a": {"anon": "50Mi", "procs": 1, "pressure": {"full": "2%"}},
   "/s/b": {"anon": "40Mi", "procs": 1, "pressure": {"full": "30%"}}}},
 {"name": "marks", "steps": [{"at": "0s", "expect": {"rule": "stalled", "victim": "/s/own",
   "candidates": ["/s/omit", "/s/own", "/s/avoid"]}}],
  "tree": {"/s": {"max": "100Mi"}, "/s/omit": {"anon": "50Mi", "procs": 1, "xattrs": ["user.oomd_omit"]},
   "/s/avoid": {"anon": "30Mi", "procs": 1, "xattrs": ["trusted.oomd_avoid"], "uid": 1000},
   "/s/own": {"anon": "10Mi", "procs": 1, "xattrs": ["user.oomd_omit"], "uid": 1000}}}]}
END
run test "$dir/choice.json"
is 0
out_has '3 passed, 0 failed'
sed -i 's|"victim": "/s/own"|"victim": "/s/omit"|' "$dir/choice.json"
run test "$dir/choice.json"
is 1
out_has 'protected by "user.oomd_omit"' 'after all others, by trusted.oomd_avoid' \
	'(user.oomd_omit does not count: it belongs to uid 1000, the domain does not)'
verdict "badness, pressure and marks can be told, and a failure says which mark counts"

# /shop/db has processes at 0, -900 and -1000, /vip has -1000 alone, and one of /loose can't be seen
tree oom
cat >"$dir/adj-policy.json" <<'END'
{"version": 1, "rules": [{"name": "low", "domain": "/", "when": {"available_below": "50%"},
 "candidates": {"unit": "leaf", "exclude_oom_score_adj_below": 250}, "rank": ["oom_score_adj", "usage"],
 "then": [{"action": "kill", "scope": "group"}]}]}
END
run explain --root "$root" --policy "$dir/adj-policy.json"
is 0
out_has 'its oom_score_adj 0 is below 250' 'its oom_score_adj -1000 is below 250' \
	"whether its oom_score_adj is below 250 can't be read"
run rank --root "$root" --by oom_score_adj --json
is 0
out_has '"oom_score_adj": 300' '"oom_score_adj": 200' '"oom_score_adj": -1000'
run tree --root "$root" --all --json
cp "$dir/out" "$dir/adj-tree.json"
for root in "$root" "$dir/adj-tree.json"; do
	cat >"$dir/adj.json" <<END
{"version": 1, "policy": "adj-policy.json", "tests": [{"name": "of a recording", "root": "$root",
 "tree": {"/box": {"anon": "50Mi"}, "/vip": {"anon": "60Mi"}, "/loose": {"anon": "70Mi"}},
 "steps": [{"at": "0s", "expect": {"rule": "low", "victim": "/box", "candidates": ["/box"]}}]}]}
END
	run test "$dir/adj.json"
	is 0
done
verdict "oom_score_adj is read of processes, recorded, and who is below or unknown is passed over"

# ladder RUNGS MEMORY STEPS: the stories of one ladder, in a container of 100 MiB
ladder()
{
	cat >"$dir/ladder-policy.json" <<END
{"version": 1, "rules": [{"name": "full", "domain": "/c", "when": {"unreclaimable_above": "90%"}, "cooldown": "0s",
 "then": [{"action": "notify"}, $1]}]}
END
	cat >"$dir/ladder.json" <<END
{"version": 1, "policy": "ladder-policy.json", "tests": [{"name": "ladder", "host": {"total": "1Gi", "available": "500Mi",
 "swap_total": "100Mi", "swap_free": "100Mi"},
 "tree": {"/c": {"max": "100Mi"}, "/c/one": {$2, "procs": 4}}, "steps": [$3]}]}
END
	run test "$dir/ladder.json"
}
rungs='{"action": "reclaim", "amount": "20Mi"}, {"action": "throttle", "for": "1s"},
 {"action": "terminate", "grace": "2s"}, {"action": "kill"}'
begins='{"at": "0s", "expect": {"rule": "full", "actions": ["notify", "reclaim"]}}'
step() { echo "{\"at\": \"$1\", \"expect\": ${2-\"nothing\"}}"; }
does() { echo "{\"rule\": \"full\", \"victim\": \"/c/one\", \"actions\": [\"$1\"]}"; }

ladder "$rungs" '"anon": "95Mi", "swap_max": "0"' "$begins,
 $(step 100ms "$(does throttle)"), $(step 1050ms), $(step 1100ms "$(does terminate)"),
 $(step 3050ms), $(step 3100ms "$(does kill)"), $(step 1min)"
is 0
verdict "a ladder whose rungs are of no use is climbed to its end, each rung in its time"

ladder "$rungs" '"anon": "95Mi"' "$begins, $(step 1min)"
is 0
ladder "$rungs" '"anon": "40Mi", "unevictable": "40Mi", "kernel": "55Mi", "slab_reclaimable": "5Mi"' "$begins, $(step 200ms "$(does throttle)")"
is 0
ladder "$rungs" '"anon": "95Mi"' "$begins, $(step 1s "$(does throttle)")"
sed 's|"/c/one": {|"/c/x.scope/in": {|' "$dir/ladder.json" >"$dir/inner.json"
run test "$dir/inner.json"
is 1
out_has 'usage 75M, unreclaimable 75M, available 25M, swap free 80M'
verdict "what reclaim can swap out is gone, what it can't leads to the next rung"

ladder "$rungs" '"anon": "95Mi", "swap_max": "0", "sigterm": "1500ms"' "$begins,
 $(step 1100ms "[$(does throttle), $(does terminate)]"), $(step 2500ms),
 {\"at\": \"2700ms\", \"set\": {\"/c/one\": {\"anon\": \"95Mi\", \"procs\": 4}}, \"expect\": {\"rule\": \"full\", \"action\": \"reclaim\"}}"
is 0
ladder "$rungs" '"anon": "95Mi", "swap_max": "0", "sigterm": "2500ms"' "$begins,
 $(step 2s "[$(does throttle), $(does terminate)]"), $(step 4s "$(does kill)"), $(step 1min)"
is 0
ladder '{"action": "terminate", "scope": "process", "grace": "2s"}' '"anon": "95Mi", "sigterm": "1s"' '
 {"at": "0s", "expect": {"rule": "full", "action": "terminate", "scope": "process"}},
 {"at": "900ms", "expect": "nothing"}, {"at": "5s", "expect": "nothing"}'
is 0
verdict "who heeds SIGTERM in time is not killed, who doesn't is"

ladder "$rungs" '"anon": "95Mi", "swap_max": "0"' "$begins,
 {\"at\": \"2s\", \"expect\": [$(does throttle), $(does terminate)]},
 {\"at\": \"2500ms\", \"set\": {\"/c/one\": {\"anon\": \"10Mi\"}}, \"expect\": \"nothing\"}, $(step 1min)"
is 0
verdict "a danger that is past ends the ladder, whatever ended it"

ladder '{"action": "throttle", "for": "2s"}, {"action": "kill"}' '"anon": "50Mi"' "$(step 0s),
 {\"at\": \"10s\", \"ramp\": true, \"set\": {\"/c/one\": {\"anon\": \"100Mi\"}},
 \"expect\": [{\"rule\": \"full\", \"action\": \"throttle\"}, $(does kill)]}"
is 0
ladder '{"action": "throttle", "for": "1s"}' '"anon": "50Mi"' "$(step 0s),
 {\"at\": \"10s\", \"ramp\": true, \"set\": {\"/c/one\": {\"anon\": \"100Mi\"}}, \"expect\": \"nothing\"}"
is 1
out_has 'at 8.0s; rule full' 'at 9.1s; rule full' 'unreclaimable 90M'
out_lacks 'unreclaimable 91M' 'unreclaimable 92M' 'unreclaimable 95M'
verdict "who is throttled does not grow on meanwhile"

# race MORE STEP: /c has two groups and is near its limit for a second; then STEP
race()
{
	cat >"$dir/race-policy.json" <<END
{"version": 1, "rules": [{"name": "full", "domain": "/c", "cooldown": "0s", "when": {"unreclaimable_above": "90%", "for": "1s"},
 "then": [{"action": "kill", "deadline": "2s"}]}]}
END
	cat >"$dir/race.json" <<END
{"version": 1, "policy": "race-policy.json", "tests": [{"name": "race",
 "tree": {"/c": {"max": "100Mi"}, "/c/one": {"anon": "60Mi", "procs": 2$1}, "/c/two": {"anon": "35Mi", "procs": 1}},
 "steps": [{"at": "0s", "expect": "nothing"}, $2]}]}
END
	run test "$dir/race.json"
}
race ', "oom_group": true' '{"at": "1s", "kernel_kills": "/c/one", "expect": "nothing"}, {"at": "10s", "expect": "nothing"}'
is 0
race ', "oom_group": true' '{"at": "1s", "set": {"/c/one": {"procs": 0}}, "expect": {"rule": "full", "victim": "/c/two"}}'
is 0
race '' '{"at": "1s", "kernel_kills": "/c/one", "expect": "nothing"}, {"at": "10s", "expect": "nothing"}'
is 0
race ', "shmem": "55Mi"' '{"at": "1s", "kernel_kills": "/c/one", "set": {"/c/two": {"anon": "80Mi"}}, "expect": "nothing"},
 {"at": "1200ms", "expect": "nothing"}, {"at": "3s", "expect": {"rule": "full", "victim": "/c/two"}}'
is 0
race '' '{"at": "1s", "kernel_kills": "/c/none", "expect": "nothing"}'
is 2
err_has '/tests/0/steps/1/kernel_kills' 'no such cgroup'
race '' '{"at": "1s", "set": {"/c": {"max": "100Mi", "events": {"oom": 1, "oom_kill": 1}}}, "expect": {"rule": "full", "victim": "/c/one"}}'
is 0
race ', "oom_group": true' '{"at": "1s", "kernel_kills": "/c/one", "set": {"/c/two": {"anon": "35Mi"}, "/c/three": {"anon": "60Mi", "procs": 1}}, "expect": "nothing"},
 {"at": "1200ms", "kernel_kills": "/c/two", "expect": "nothing"}, {"at": "9s", "expect": "nothing"}'
is 0
verdict "after a kill of the kernel's no innocent dies, and the rule acts if that was not enough"

race ', "sigkill": "never"' '{"at": "1s", "expect": {"rule": "full", "victim": "/c/one"}}, {"at": "2900ms", "expect": "nothing"},
 {"at": "4500ms", "expect": {"rule": "full", "victim": "/c/two", "candidates": ["/c/one", "/c/two"]}}, {"at": "1min", "expect": "nothing"}'
is 0
race ', "sigkill": "1500ms"' '{"at": "1s", "expect": {"rule": "full", "victim": "/c/one"}}, {"at": "10s", "expect": "nothing"}'
is 0
race ', "sigkill": "3s"' '{"at": "1s", "expect": {"rule": "full", "victim": "/c/one"}},
 {"at": "10s", "expect": {"rule": "full", "victim": "/c/two"}}'
is 1
out_has "rule 'full' was expected to act, and did not"
race ', "sigkill": "never"' '{"at": "1s", "expect": {"rule": "full", "victim": "/c/one"}},
 {"at": "1min", "set": {"/c/two": {"procs": 1, "anon": "35Mi"}}, "expect": [{"rule": "full", "victim": "/c/two"}]},
 {"at": "62s", "expect": {"rule": "full", "victim": "/c/two"}}, {"at": "63s", "set": {"/c/two": {"procs": 1, "anon": "35Mi"}}, "expect": "nothing"},
 {"at": "65s", "expect": {"rule": "full", "victim": "/c/one"}}'
is 0
race ', "sigkill": "soon"' '{"at": "1s", "expect": "nothing"}'
is 2
err_has '/tests/0/tree/~1c~1one/sigkill' "'soon'"
verdict "who does not die in time is passed over for a minute"

ladder '{"action": "throttle", "for": "2s"}, {"action": "kill"}' '"anon": "95Mi"' '
 {"at": "0s", "expect": {"rule": "full", "actions": ["notify", "throttle"]}},
 {"at": "2s", "set": {"/c/one": {"anon": "89Mi"}}, "expect": "nothing"}, {"at": "9s", "expect": "nothing"}'
is 0
verdict "before each rung the domain is sampled again: below the threshold the ladder ends"

ladder "$rungs" '"anon": "95Mi", "swap_max": "0"' "$begins, $(step 2s "$(does kill)")"
is 1
out_has "action 1: expected 'kill', got 'throttle'" "rule 'full' acted on '/c/one', which was not expected"
ladder "$rungs" '"anon": "95Mi", "swap_max": "0"' "$begins, $(step 1500ms "[$(does throttle), $(does terminate), $(does kill)]")"
is 1
out_has "rule 'full' was expected to act, and did not" 'under way: terminate, for another 1.6s'
verdict "a failure says which rung is under way"

tree host
cat >"$dir/recorded.json" <<END
{"version": 1, "policy": "policy.json", "tests": [{"name": "recorded", "root": "$root",
 "steps": [{"at": "0s", "expect": "nothing"},
  {"at": "3s", "set": {"host": {"available": "100Mi"}}, "expect": {"rule": "low", "victim": "/system.slice/db.service"}}]}]}
END
run test "$dir/recorded.json"
is 0
out_has '1 passed, 0 failed'
verdict "a story can begin with a recorded machine"

run tree --all --json --root "$root"
is 0
cp "$dir/out" "$dir/tree.json"
for from in "$root" tree.json; do
	cat >"$dir/printed.json" <<END
{"version": 1, "policy": "policy.json", "tests": [{"name": "printed", "root": "$from",
 "steps": [{"at": "0s", "expect": "nothing"},
  {"at": "3s", "set": {"host": {"available": "100Mi"}}, "expect": {"rule": "low", "candidates": ["/nobody"]}}]}]}
END
	run test "$dir/printed.json"
	is 1
	out_has 'limit ' '/system.slice/db.service'
	mv "$dir/out" "$dir/of-${from##*/}"
done
diff "$dir/of-${root##*/}" "$dir/of-tree.json" >"$dir/diff" || wrong "$(head -c 900 "$dir/diff")"
echo '{"cgroups": [{"cgroup": "/a", "current_bytes": "much"}], "host": {}}' >"$dir/tree.json"
run test "$dir/printed.json"
is 2
err_has 'tree.json:1:' '/cgroups/0/current_bytes' 'expected a number'
verdict "or with what tree --json printed"

# hog UID: whether a group is spared for a cgroup inside that is this user's
hog()
{
	cat >"$dir/tree.json" <<END
{"host": {"total_bytes": 1048576000, "available_bytes": 104857600}, "cgroups": [{"cgroup": "/", "processes": 0},
 {"cgroup": "/hog", "current_bytes": 524288000, "stat": {"anon": 524288000}, "processes": 2},
 {"cgroup": "/hog/db", "uid": $1, "current_bytes": 4096, "stat": {"anon": 4096}, "processes": 1}]}
END
	cat >"$dir/hog.json" <<END
{"version": 1, "policy": "inside.json", "tests": [{"name": "printed", "root": "tree.json",
 "steps": [{"at": "0s", "expect": {"rule": "low", "victim": $2}}]}]}
END
	run test "$dir/hog.json"
	is 0
}
sed 's|"/db"|"/hog/db"|; s|"10%"|"20%"|' "$dir/policy.json" >"$dir/inside.json"
hog 1000 '"/hog"'
hog 0 null
verdict "whose a printed cgroup is decides whether its name protects"
end
