#!/bin/sh
# What the kernel would do on a recorded machine: score, explain --kernel, and what adjust refuses.
set -u
# shellcheck source=test/cli/cli.sh
. "$(dirname "$0")/cli.sh"
tree oom

# pids: of the rows of a table, in order
pids()
{
	sed -nE 's/^ *[0-9-]+ +([0-9]+) +[0-9-]+ +[0-9-]+ .*/\1/p' "$dir/out" | tr '\n' ' '
}

# pids_are 'PID PID '
pids_are()
{
	got=$(pids)
	[ "$got" = "$1" ] || wrong "$last: in the order '$got', not '$1'"
}

run score --root "$root"
is 0
silent err
pids_are '11 40 22 10 21 20 23 1 24 30 31 '
out_has 'In the order for the host: total 256000 pages' \
	'Formula: oom_score = (1000 + badness * 1000 / total) * 2 / 3' \
	'all of /shop' 'exempt: -1000' 'exempt: init' '1 more are in PID namespaces'
out_lacks kthreadd
verdict "the host's processes in its order, exempt ones last"

run score --root "$root" --all
is 0
out_has kthreadd 'exempt: kernel thread'
run score --root "$root" --top 1
pids_are '11 '
out_has '... 10 more'
verdict "as many as asked for"

run score --root "$root" --cgroup /box
is 0
pids_are '10 11 '
out_has 'In the order for /box at its memory.max of 64M: total 16384 pages' \
	'in /box' '10 (worker) comes before 11 (cache), on the host after it'
run score --root "$root" --cgroup /shop/db
is 0
pids_are '22 23 24 '
out_has '/shop at its memory.max of 400M'
out_lacks 'The order in a limit'
verdict "a cgroup's processes in the order at its limit, and where that differs from the host's"

run score --root "$root" --json --all
is 0
is_json
python3 - "$dir/out" <<'P' || wrong "$last: a score that is not as predicted"
import json, sys
o = json.load(open(sys.argv[1]))
assert o["formula"] == "signed" and o["host"] and o["order_differs"] and o["unseen"] == 1
for p in o["processes"]:
    assert p["predicted"] == p["oom_score"], p
    memory = sum(p[k + "_pages"] for k in ("anon", "file", "shmem", "swap", "pagetables"))
    assert p["host_badness_pages"] == memory + p["oom_score_adj"] * 256, p
    assert p["host_adj_pages"] == p["oom_score_adj"] * 256, p
assert [p["pid"] for p in o["processes"][:2]] == [11, 40]
P
verdict "JSON has every term, and scores as predicted"

run score --root "$root" 22 10
is 0
pids_are '22 10 '
run score --root "$root" 22 4711
is 1
err_has 'no process 4711'
pids_are '22 '
run score --root "$root" 4711
is 1
complains
for bad in x -1 0 '' 12x 99999999999; do
	run score --root "$root" -- "$bad"
	is 2
	complains
	err_has "'$bad' is no process id"
done
run score --root "$root" --cgroup /nowhere
is 2
complains
run score --root "$root" --cgroup /box 10
is 2
complains
tree host
run score --root "$root"
is 1
verdict "a process that is not there, and what is none, are named"

tree oom
run score --root "$root" --explain
is 0
out_has 'CAP_SYS_ADMIN' 'until 4.16' 'nice, run time' '5.0'
verdict "the folklore is told"

run explain --kernel --root "$root" /shop
is 0
silent err
out_has 'If /shop at its memory.max of 400M ran out of memory now' 'kill 22 (postgres) of /shop/db' \
	'badness 39220 of 102400 pages: anon 30000 + file 200 + shmem 9000' \
	'and all of /shop (memory.oom.group): 4 die in all' 'with it: 21 (nginx), 20 (nginx), 23 (writer)' \
	'would free up to 127M' 'Exempt: 24 (keeper) -1000'
verdict "a domain: the victim with its terms, who dies with it, who is exempt"

run explain --kernel --root "$root" /box
is 0
out_has 'kill 10 (worker)' 'and nobody else' 'next 11 (cache)'
run explain --kernel --root "$root" /shop/db
out_has '/shop/db has no memory.max of its own: its OOM would be that of /shop'
run explain --kernel --root "$root"
is 0
out_has 'If the host ran out of memory now' 'kill 11 (cache) of /box'
run explain --kernel --root "$root" /vip
is 1
out_has 'find nobody to kill' 'for ever' 'e\x1b[31mvil'
! LC_ALL=C grep -q "$(printf '\033')" "$dir/out" || wrong "$last: an escape on stdout"
verdict "one process alone, a limit further up, the host, nobody"

run explain --kernel --root "$root" --json /shop
is 0
is_json
python3 - "$dir/out" <<'P' || wrong "$last: not what was predicted"
import json, sys
o = json.load(open(sys.argv[1]))
assert o["victim"] == 22 and o["kills_whole"] == "/shop" and o["domain"] == "/shop", o
assert sorted(p["pid"] for p in o["dies"]) == [20, 21, 22, 23]
assert [p["pid"] for p in o["exempt"]] == [24]
assert o["frees_bytes"] == (30000 + 1000 + 1000 + 500 + 4 * 20) * 4096
P
echo 2 >"$root/proc/sys/vm/panic_on_oom"
run explain --kernel --root "$root" /shop
out_has 'vm.panic_on_oom'
echo 0 >"$root/proc/sys/vm/panic_on_oom"
echo 1 >"$root/proc/sys/vm/oom_kill_allocating_task"
run explain --kernel --root "$root"
out_has 'vm.oom_kill_allocating_task'
run explain --kernel --root "$root" /shop
out_lacks 'vm.oom_kill_allocating_task' # of the host only
verdict "JSON says the same; settings that change everything are told"

run explain --kernel --root "$root" /nowhere
is 2
complains
run explain --kernel --root "$root" --policy x
is 2
complains
verdict "what can't be answered is refused with the reason"

run adjust --root "$root" 10 500
is 2
complains
err_has recording
grep -qx 0 "$root/proc/10/oom_score_adj" || wrong "$last: it has written"
for bad in 1001 -1001 x +-5 =5 '' 1e3 +2001; do
	run adjust --root "$root" 10 "$bad"
	is 2
	complains
	err_has "'$bad' is no value" # before anything is said of the machine
done
run adjust 10
is 2
complains
run adjust --root "$root" --cgroup /box 10 5
is 2
complains
run adjust x 5
is 2
complains
verdict "adjust refuses a recording and what is no value"
end
