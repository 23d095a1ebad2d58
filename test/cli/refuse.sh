#!/bin/sh
# Recordings are read. Nothing is guarded or killed by what they say.
set -u
# shellcheck source=test/cli/cli.sh
. "$(dirname "$0")/cli.sh"

for name in host inside; do
	tree "$name"
	for args in '' --once '--once --dry-run' --dry-run; do
		# shellcheck disable=SC2086
		run run $args --root "$root"
		is 2
		silent out
		err_has "recording"
	done
done
verdict "run refuses a recording"

# Where incidents are written is opened with all that we have: no detour over what is another user's.
mkfifo "$dir/fifo"
echo theirs >"$dir/theirs"
ln "$dir/theirs" "$dir/second"
ln -s theirs "$dir/link"
run run --root "$root" --incidents "$dir/fifo"
is 2
complains
err_has "$dir/fifo" 'nobody reads'
run run --root "$root" --incidents "$dir/second"
is 2
complains
err_has 'another name'
rm "$dir/second"
run run --root "$root" --incidents "$dir/link"
err_has recording
run run --root "$root" --incidents /dev/null
err_has recording
run run --root "$root" --incidents /dev/stdout
err_has recording
if [ "$(id -u)" = 0 ]; then
	chown -h 65534 "$dir/link"
	chmod 755 "$dir"
	run run --root "$root" --incidents "$dir/link"
	is 2
	complains
	err_has 'a link of another user'
	ln -s /nowhere/at/all "$dir/dangling"
	chown -h 65534 "$dir/dangling" "$dir/theirs"
	run run --root "$root" --incidents "$dir/dangling"
	err_has 'a link of another user'
	run run --root "$root" --incidents "$dir/theirs"
	is 2
	complains
	err_has "another user's"
fi
[ "$(cat "$dir/theirs")" = theirs ] || wrong "it was written"
verdict "incidents go to no file of another user, and wait for no reader"

tree host
victim=/system.slice/db.service
for args in '' --dry-run --process '--process --dry-run' '--exempt kill' '--deadline 100ms'; do
	# shellcheck disable=SC2086
	run kill $args --root "$root" $victim
	is 1
	err_has "$victim" "recording"
	is_json
	out_has '"outcome":"refused"' "\"cgroup\":\"$victim\""
done
run kill --root "$root" /
is 1
verdict "kill refuses a recording, and says so in its record"

run kill --root "$root" /nowhere
is 2
complains
err_has /nowhere
run kill --root "$root" system.slice
is 2
err_has system.slice
verdict "a cgroup that is not there is named"

# The numbers in a recording are somebody's pids: ours are alive.
sleep 60 &
sleeper=$!
echo $sleeper >"$root/sys/fs/cgroup/system.slice/db.service/cgroup.procs"
run kill --root "$root" $victim
is 1
kill -0 $sleeper || wrong "$last: it has killed a process of this machine"
kill $sleeper
[ ! -s "$root/sys/fs/cgroup/system.slice/db.service/cgroup.kill" ] || wrong "$last: it has written cgroup.kill"
verdict "no process of this machine is touched"
end
