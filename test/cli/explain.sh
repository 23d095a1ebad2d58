#!/bin/sh
# What explain says of recorded machines.
set -u
# shellcheck source=test/cli/cli.sh
. "$(dirname "$0")/cli.sh"
tree host

run explain --root "$root"
is 0
silent err
out_has 'rule host-low: not true; then notify, kill the whole group of /system.slice/db.service' \
	'available below 5.00%                11.24%  false, 6.24% away' \
	'available below 2.0G                   884M  true, by 1.1G' \
	'unknown: it needs a past, and a recorded tree is one moment' \
	'group-limit: looks at 14 cgroups, true in none' '... 3 more'
verdict "the root: each condition with its distance, the candidates, the other rules"

run explain --root "$root" /system.slice/docker.service
is 0
out_has 'rule host-low in /: not true' '5 of 8  /system.slice/docker.service' \
	'protected by "/system.slice/{containerd,docker,crio,podman,kubelet,k3s,k3s-agent}.service"'
run explain --root "$root" /system.slice/db.service
out_has 'the kernel would kill all of /system.slice/db.service' 'rule unit-limit: not true'
run explain --root "$root" /system.slice
out_has '1 of 8  /system.slice/db.service'
run explain --root "$root" /system.slice/docker-4f6b0c1d2e3a4f6b0c1d2e3a4f6b0c1d2e3a4f6b0c1d2e3a4f6b0c1d2e3a4f6b.scope
out_has 'is docker container 4f6b0c1d2e3a' '     docker container 4f6b0c1d2e3a'
verdict "another cgroup: its place, its protection, its OOM unit, what it holds"

run explain --root "$root" --json --top 1
is 0
is_json
out_has '"rule": "host-low"' '"distance": 624' '"unit": "permyriad"' '"chosen": true' '"candidates_total": 8'
out_lacks '"rank": 2'
verdict "JSON says the same, exactly"

run explain --root "$root" /nowhere
is 2
complains
err_has "no cgroup '/nowhere'"
run explain --root "$root" / /system.slice
is 2
complains
run explain --root "$root" --for 2
is 2
complains
err_has "--for '2'"
run explain --root "$root" --policy "$dir/none.json"
is 2
complains
run explain --root "$dir/none"
is 2
complains
verdict "what can't be answered is refused with the reason"
end
