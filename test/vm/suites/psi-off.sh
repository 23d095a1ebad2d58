# shellcheck shell=dash disable=SC1003,SC1091,SC2005,SC2015,SC2016,SC2034,SC2046,SC2317
# boot: --psi off --append lsm=yama
# Without pressure information the guard says so, and guards by memory alone. The same of Landlock.
. /test/lib.sh

own_limit_is_guarded()
{
	[ ! -e /proc/pressure ] || fail 'there is pressure information'
	cg_create /box memory.max=128M memory.swap.max=0
	guard_start
	assert_has "$(cat "$T/guard.err")" 'PSI is off; boot with psi=1'
	assert_eq 1 "$(grep -c PSI "$T/guard.err")" 'lines about PSI'
	assert_has "$(cgguard status)" 'PSI is off; boot with psi=1'
	cg_run /box hog sleep >/dev/null
	cg_run /box hog anon 300 20 >/dev/null
	assert_dead /box 20
	incidents_are 1
	pick 1
	says_killed /box 120 group-limit /box
	assert_no_oom_kill
}

host_is_guarded()
{
	cg_create /leak
	cg_create /other
	guard_start
	cg_run /other hog hold 50 >/dev/null
	cg_run /leak hog sleep >/dev/null
	cg_run /leak hog anon 1000 40 >/dev/null
	assert_dead /leak 60
	incidents_are 1
	pick 1
	says_killed /leak 600 host-low /
	assert_alive /other 1
	assert_no_oom_kill
}

landlock_is_missed_and_the_rest_holds()
{
	guard_start
	assert_has "$(cat "$T/guard.err")" "files can't be confined by Landlock"
	assert_has "$(cat "$T/guard.err")" 'boot with lsm=landlock'
	assert_eq 1 "$(grep -c Landlock "$T/guard.err")" 'lines about Landlock'
	assert_has "$(cat "/proc/$GUARD_PID/status")" 'Seccomp:	2'
	assert_has "$(cat "/proc/$GUARD_PID/status")" 'CapBnd:	0000000000000000'
	guard_stop
}

t 'a kernel without Landlock is told of, and the rest of the sandbox holds' \
	landlock_is_missed_and_the_rest_holds
t 'a container at its limit dies whole without PSI' own_limit_is_guarded
t 'a leak on the host dies whole without PSI' host_is_guarded
t_plan_end
