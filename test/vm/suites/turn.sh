# shellcheck shell=dash disable=SC1091,SC2015,SC2016,SC2034
# Whose turn it is: random machines whose guilty party is known. Each is one
# seed of test/vm/machine.c; `--append machines=N` for more of them, `--append seed=N` for others, and with
# `machine SEED` one is seen alone.
# boot: --mem 1024
. /test/lib.sh

option()
{
	local n
	n=$(sed -n "s/.*$1=\([0-9]*\).*/\1/p" /proc/cmdline)
	echo "${n:-$2}"
}

MACHINES=$(option machines 3)
SEED=$(option seed 1)
T_TIMEOUT=$((60 + MACHINES * 150))
CALM_S=13 # more than the policies call calm

# machines STYLE ARGUMENT...: one guard for all of them
machines()
{
	local style="$1" n=0 asked=0 right=0 line kind first guilty innocent protected kernel missed=0
	shift
	guard_start "$@"
	sleep 15 # it knows that the machine is calm
	while [ $n -lt "$MACHINES" ]; do
		line=$(machine $((SEED + n)) "$CG" $CALM_S any "$style" 2>"$T/machine.err" | tee "$T/machine.out" | tail -n 1)
		n=$((n + 1))
		alive "$GUARD_PID" || fail "the guard ended: $line; $(cat "$T/guard.err")"
		case $line in
		seed=*) eval "$(echo "$line" | sed 's/seed=[^ ]* //; s/memory=[^ ]* units=[^ ]* //')" ;;
		*) fail "no machine: $(cat "$T/machine.err")" ;;
		esac
		[ "${protected%/*}" -eq 0 ] || fail "somebody protected died: $line"
		case $first,${innocent%/*},$kind in
		*,squatter) ;; # holds still: who takes meanwhile is to blame as much
		guilty,0,*) asked=$((asked + 1)) right=$((right + 1)) ;;
		*) asked=$((asked + 1)) ;;
		esac
		[ "$first" != nobody ] || [ "$kernel" -eq 0 ] || missed=$((missed + 1))
		echo "# $line$(sed -n 's/^# after/ after/p' "$T/machine.out")" >&3
	done
	never_hung
	guard_stop
	echo "# right: $right of $asked, seeds $SEED to $((SEED + MACHINES - 1))" >&3
	assert_eq 0 "$missed" 'times that nobody was found while the kernel killed'
	[ $((right * 100)) -ge $((asked * 99)) ] || fail "right: $right of $asked"
}

# Size decides where there was no calm, and whatever comes back with its processes is size.
shared_memory_counts()
{
	local memory line seed=$SEED
	guard_start
	for memory in shared memfd sysv tables; do
		seed=$((seed + 1))
		line=$(machine $seed "$CG" 1 single any $memory | tail -n 1)
		echo "# $line" >&3
		case $line in
		*first=guilty\ guilty=1/1\ innocent=0/*kernel=0*) ;;
		*) fail "$line" ;;
		esac
	done
	guard_stop
}

by_what_was_taken()
{
	policy p <<-'END'
		{"version": 1, "protect": ["/system.slice/dbus.service"], "rules": [{"name": "host", "domain": "/",
		 "when": {"available_below": "7%"}, "candidates": {"unit": "leaf"}, "rank": ["priority", "taken", "gain"],
		 "then": [{"action": "kill", "scope": "group"}]}]}
	END
	machines any --policy "$T/p.json"
}

t 'shared memory, memfds, System V segments and page tables count' shared_memory_counts
t 'whoever took the memory dies, by a policy that ranks by that' by_what_was_taken
t_plan_end
