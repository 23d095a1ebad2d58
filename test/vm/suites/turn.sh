# shellcheck shell=dash disable=SC1091,SC2015,SC2016,SC2034
# Whose turn it is: random machines whose guilty party is known, by the default policy; in turn-container-host and
# turn-kubernetes by those. Each machine is one seed of test/vm/machine.c, and each policy has seeds of its own: `--append
# machines=N` for N of them, `--append "machines=1 seed=N"` for one alone. The table is on stdout.
# boot: --mem 768 --clock virtual
. /test/lib.sh

POLICY=${POLICY:-host}

option()
{
	local value
	value=$(sed -n "s/.* $1=\([^ ]*\).*/\1/p" /proc/cmdline)
	echo "${value:-$2}"
}

MACHINES=$(option machines 5)
T_TIMEOUT=$((300 + MACHINES * 150)) # of the guest's own time, which waiting does not take

# machines FIRST ARGUMENT...: from that seed on, one guard for all of them
machines()
{
	local seed code=0
	seed=$(option seed "$1")
	shift
	echo 0 >/proc/sys/fs/pipe-user-pages-soft # no limit: pipes are one way to take memory
	guard_start "$@"
	machine --policy "$POLICY" --guard "$GUARD_PID" --root "$CG" --seed "$seed" --count "$MACHINES" \
		>"$T/machines" 2>"$T/machine.err" || code=$?
	sed 's/^/# /' "$T/machines" "$T/machine.err" >&3
	never_hung
	guard_stop
	assert_eq 0 "$code" 'status of machine'
}

# Size decides where there was no calm, and whatever comes back with its processes is size.
shared_memory_counts()
{
	local memory seed=0
	guard_start
	for memory in shared memfd sysv tables; do
		seed=$((seed + 1))
		machine --root "$CG" --seed $seed --calm 1 --kind single --memory $memory >"$T/machines" ||
			fail "$(cat "$T/machines")"
		assert_has "$(cat "$T/machines")" ' kernel=0 '
	done
	guard_stop
}

by_policy()
{
	case $POLICY in
	host) machines 1000 ;; # the default
	container-host) machines 2000 --policy /policies/container-host.json ;;
	kubernetes) machines 3000 --policy /policies/kubernetes.json ;;
	esac
}

[ "$POLICY" != host ] ||
	t 'shared memory, memfds, System V segments and page tables count' shared_memory_counts
t "whoever took the memory dies, by the policy $POLICY" by_policy
t_plan_end
