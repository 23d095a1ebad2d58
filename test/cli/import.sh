#!/bin/sh
# What is made of other guards' configurations, in test/import: a policy as expected, which the reader
# accepts, and what is lost.
set -u
# shellcheck source=test/cli/cli.sh
. "$(dirname "$0")/cli.sh"
cd "$(dirname "$0")/../import" || exit 1

for pair in oomd:oomd.json systemd-oomd:systemd earlyoom:earlyoom.default nohang:nohang.conf; do
	kind=${pair%:*} file=${pair#*:}
	run import "$kind" "$file"
	is 0
	for made in "out policy.json" "err lost"; do
		golden=$kind.${made#* }
		diff -u "$golden" "$dir/${made% *}" >"$dir/diff" ||
			wrong "$last: not as in $golden:" "$(head -n 40 "$dir/diff")"
	done
	cp "$dir/out" "$dir/made.json"
	chmod 600 "$dir/made.json"
	run check "$dir/made.json"
	is 0
	run import --json "$kind" "$file"
	is 0
	is_json
	out_has '"policy":' '"lost":' '"why":'
	silent err
	verdict "$kind: a policy that is good, and what is lost"
done

run import systemd-oomd systemd/oomd.conf systemd/system/-.slice.d/10-root.conf
is 0
out_has '"name": "swap"' '"available_below": "10%"'
out_lacks '"pressure_above"'
run import earlyoom -m 5
is 0
out_has '"available_below": "5%"' '"available_below": "2.50%"' '"swap_free_below": "10%"'
run import earlyoom -s0 -m=0
is 0
out_has '"swap_free_below": "0.01%"' '"available_below": "0.01%"'
run import earlyoom -M 2048,1024 -g
is 0
out_has '"available_below": "2Mi"' '"available_below": "1Mi"' '"scope": "group"'
out_lacks '"available_below": "10%"'
run import earlyoom -- --dryrun
is 0
out_has '"dry_run": true'
verdict "files and arguments by themselves"

# ManagedOOMPreference= is an xattr on the unit's cgroup, set by systemd, also by systemctl set-property
mkdir "$dir/units"
printf '[Slice]\nManagedOOMSwap=kill\n' >"$dir/units/-.slice"
run import systemd-oomd "$dir/units"
is 0
out_has '"honour_xattrs": true'
cp "$dir/out" "$dir/marks.json"
cat >"$dir/story.json" <<END
{"version": 1, "policy": "marks.json", "tests": [{"name": "marks", "host": {"total": "10Gi", "available": "500Mi",
  "swap_total": "1Gi", "swap_free": "50Mi"},
 "tree": {"/system.slice/omit.service": {"anon": "5Gi", "swap": "500Mi", "procs": 1, "xattrs": ["user.oomd_omit"]},
  "/system.slice/avoid.service": {"anon": "2Gi", "swap": "300Mi", "procs": 1, "xattrs": ["user.oomd_avoid"]},
  "/system.slice/other.service": {"anon": "1Gi", "swap": "100Mi", "procs": 1}},
 "steps": [{"at": "0s", "expect": {"rule": "swap", "victim": "/system.slice/other.service",
  "candidates": ["/system.slice/omit.service", "/system.slice/other.service", "/system.slice/avoid.service"]}}]}]}
END
run test "$dir/story.json"
is 0
verdict "what systemd marks by ManagedOOMPreference= counts as it did there"

printf '{"rulesets": []}' >"$dir/empty"
printf '[OOM]\nSwapUsedLimit=80%%\n' >"$dir/oomd.conf"
for args in "oomd $dir/empty" "systemd-oomd $dir/oomd.conf"; do
	# shellcheck disable=SC2086
	run import $args
	is 1
	silent out
	err_has 'nothing in it could be made a rule'
done
verdict "what has no rule in it makes none"

printf '{"rulesets": [' >"$dir/cut"
printf 'a\0b' >"$dir/nul"
i=0
printf '{"rulesets": [' >"$dir/many"
while [ $i -lt 65 ]; do
	[ $i -eq 0 ] || printf ',' >>"$dir/many"
	printf '{"name": "r", "detectors": [["a", {"name": "memory_above", "args": {"cgroup": "/", "threshold": "%dM"}}]], "actions": [{"name": "kill_by_pressure", "args": {"cgroup": "a"}}]}' $((i + 1)) >>"$dir/many"
	i=$((i + 1))
done
printf ']}' >>"$dir/many"
truncate -s 2M "$dir/large"
mkfifo "$dir/fifo"
for args in '' elsewhere '--wrong oomd' oomd "oomd $dir/cut" "oomd $dir/nul" "oomd $dir/none" "oomd $dir" \
	"oomd $dir/fifo" "nohang $dir/large" "oomd $dir/many" 'oomd oomd.json nohang.conf' nohang earlyoom \
	'earlyoom -m' 'earlyoom -m much' "earlyoom $dir/none" "systemd-oomd $dir/none"; do
	# shellcheck disable=SC2086
	run import $args
	is 2
	complains
done
verdict "what can't be read is refused, with a sentence"
end
