#!/bin/sh
# For node-problem-detector: 0 is well, 1 is a problem, 2 unknown; stdout is the message.
# usage: cgguard-check.sh guard|incidents     CGGUARD is the program, STATE where the last number is kept
set -u
program=${CGGUARD:-cgguard} state=${STATE:-/tmp/cgguard-incidents}

if ! answer=$("$program" status --json 2>/dev/null); then
	[ "${1-}" = guard ] || exit 2
	echo "no memory guard answers on this node, or its loop hangs"
	exit 1
fi
case ${1-} in
guard)
	echo "the memory guard of the node answers"
	;;
incidents)
	now=$(printf '%s\n' "$answer" | sed -n 's/^.*"counters": *{[^}]*"incidents": *\([0-9][0-9]*\).*$/\1/p')
	[ -n "$now" ] || exit 2
	before=$now
	[ ! -s "$state" ] || before=$(cat "$state")
	echo "$now" >"$state"
	# fewer than before: it was started anew
	if [ "$now" -gt "$before" ]; then
		echo "memory was short $((now - before)) times; 'cgguard status' on the node has who was killed and why"
		exit 1
	fi
	echo "no incident"
	;;
*)
	echo "usage: cgguard-check.sh guard|incidents"
	exit 2
	;;
esac
