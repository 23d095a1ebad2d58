#!/bin/sh
# A large configuration is read in a time that grows as it does: four times as much takes less than nine times as
# long, where a loop within a loop would take sixteen.
set -u
# shellcheck source=test/cli/cli.sh
. "$(dirname "$0")/cli.sh"

# config KIND BYTES: a configuration of many alike
cat >"$dir/config.py" <<'END'
import json, sys
kind, size = sys.argv[1], int(sys.argv[2])
def set(cgroup, kill):
    return {"name": "a", "detectors": [["g", {"name": "memory_above", "args": {"cgroup": cgroup, "threshold": "50%"}}]],
            "actions": [{"name": "kill_by_swap_usage", "args": {"cgroup": kill, "recursive": "true"}}]}
def many(item):
    return item * (size // len(item))
if kind == "rulesets":
    one = set("x", "x/*")
    print(json.dumps({"rulesets": [one] * (size // len(json.dumps(one)))}))
elif kind == "domains":
    print(json.dumps({"rulesets": [set(many("/,")[:size // 2], many("b,")[:size // 2])]}))
elif kind == "outside":
    print(json.dumps({"rulesets": [set(many("x,")[:size // 2], many("b,")[:size // 2])]}))
elif kind == "settings":
    print(json.dumps({"rulesets": [dict(set("x", "x/*"), **{"k%d" % i: 1 for i in range(size // 12)})]}))
elif kind == "nohang":
    print(many("@BADNESS_ADJ_RE_CGROUP_V2  100 /// ^/workload\n"))
elif kind == "nohang-settings":
    print("\n".join("k%d = 1" % i for i in range(size // 12)))
elif kind == "earlyoom":
    print("EARLYOOM_ARGS=\"%s\"" % many("-m 5 --avoid '(^|/)(init|sshd)$' "))
elif kind == "systemd":
    print("[OOM]\n" + many("SwapUsedLimit=90%\nDefaultMemoryPressureLimit=60%\n"))
END

# took KIND FROM BYTES: the least of three times in ms, in $ms
took()
{
	python3 "$dir/config.py" "$1" "$3" >"$dir/oomd.conf"
	ms=1000000
	for _ in 1 2 3; do
		start=$(date +%s%N)
		run import --json "$2" "$dir/oomd.conf"
		now=$((($(date +%s%N) - start) / 1000000))
		[ $now -ge $ms ] || ms=$now
		[ "$status" -le 2 ] || wrong "$last of $3 bytes: exit code $status after $now ms"
	done
}

for kind in rulesets:oomd domains:oomd outside:oomd settings:oomd nohang:nohang nohang-settings:nohang \
	earlyoom:earlyoom systemd:systemd-oomd; do
	took "${kind%:*}" "${kind#*:}" 120000
	quarter=$ms
	took "${kind%:*}" "${kind#*:}" 480000
	echo "# $kind: 120 KB $quarter ms, 480 KB $ms ms"
	# what takes next to no time is noise
	[ $ms -le 1000 ] || [ $ms -le $((quarter * 9)) ] || wrong "$kind: 120 KB $quarter ms, 480 KB $ms ms"
done
verdict "four times as much takes less than nine times as long"
end
