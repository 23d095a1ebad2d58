#!/bin/sh
# What is asked wrongly is refused with exit code 2, a sentence, and nothing done.
set -u
# shellcheck source=test/cli/cli.sh
. "$(dirname "$0")/cli.sh"
commands='adjust check explain kill rank run score tree'
tree host

run
is 2
silent out
err_has 'Usage: cgguard COMMAND' 'Exit codes'
verdict "without a command it tells how it is used, on stderr"

for arg in --help -h help; do
	run "$arg"
	is 0
	silent err
	out_has 'Usage: cgguard COMMAND' '--version' 'Exit codes'
	for command in $commands; do
		out_has "  $command "
	done
done
verdict "--help lists every command"

for command in $commands; do
	for args in "$command --help" "$command -h" "help $command" "$command --root x --help"; do
		# shellcheck disable=SC2086
		run $args
		is 0
		silent err
		out_has "cgguard $command - " "Usage: cgguard $command"
	done
done
verdict "each command tells all of itself"

# Known: it takes its value or not, and then there is always an argument too many.
for command in $commands; do
	run "$command" --help
	grep -oE '^  --[a-z-]+' "$dir/out" | tr -d ' ' >"$dir/options"
	while IFS= read -r option; do
		run "$command" "$option" x y z
		is 2
		! grep -qF "no option" "$dir/err" || wrong "$last: told of, but not known"
	done <"$dir/options"
done
verdict "what help tells of is known"

run --version
is 0
silent err
grep -qxE 'cgguard [0-9]+\.[0-9]+\.[0-9]+' "$dir/out" || wrong "--version: $(cat "$dir/out")"
verdict "--version is one line"

for command in frob Run -x --root '' ' run' 'run '; do
	run "$command"
	is 2
	complains
	err_has "no command '$command'"
done
verdict "an unknown command is named"

for command in $commands; do
	for option in --frob --frob=1 -x; do
		run "$command" "$option"
		is 2
		complains
		err_has "$command: no option '$option'" "cgguard $command --help"
	done
done
verdict "an unknown option is named"

run rank -xy
is 2
err_has "-x"
run tree --by usage
is 2
err_has "--by"
run check --root "$root"
is 2
err_has "--root"
run run --json
is 2
err_has "--json"
run kill --all /a
is 2
err_has "--all"
verdict "an option that the command does not have is named, not its value"

for pair in 'rank --root' 'rank --policy' 'rank --by' 'rank --unit' 'rank --domain' 'rank --include' \
	'rank --exclude' 'rank --top' 'tree --root' 'run --root' 'run --policy' 'run --incidents' \
	'kill --exempt' 'kill --deadline' 'kill --policy' 'kill --root'; do
	# shellcheck disable=SC2086
	run $pair
	is 2
	complains
	err_has "${pair#* } needs a value"
done
verdict "an option without its value is named"

run tree --json=yes --root "$root"
is 2
complains
run tree --all=1 --root "$root"
is 2
complains
verdict "a value where none is taken is refused"

run rank --root "$root" /system.slice
is 2
err_has "/system.slice" --domain
run tree --root "$root" / /system.slice
is 2
run run --root "$root" policy.json
is 2
err_has "policy.json" --policy
run kill --root "$root"
is 2
run kill --root "$root" /a /b
is 2
verdict "arguments that are too many or too few are refused"

run rank --root "$root" --by usage,frob
is 2
err_has "no key 'frob'" over_protection
run rank --root "$root" --by usage,usage,usage,usage,usage,usage,usage,usage,usage
is 2
err_has "more than 8"
for unit in '' leaves LEAF; do
	run rank --root "$root" --unit "$unit"
	is 2
	err_has "--unit '$unit'"
done
for top in '' x -1 1x 1.5 99999999999999999999; do
	run rank --root "$root" --top "$top"
	is 2
	err_has "--top '$top'"
done
for glob in '' system.slice '*'; do
	run rank --root "$root" --include "$glob"
	is 2
	err_has "--include '$glob'"
	run rank --root "$root" --exclude "$glob"
	is 2
	err_has "--exclude '$glob'"
done
run rank --root "$root" --domain /nowhere
is 2
err_has "/nowhere"
verdict "values of rank's options that can't be are named"

for time in '' 5 s -5s 0s 3601s 1h 1.5s 5sec 99999999999999999999s; do
	run kill --root "$root" --deadline "$time" /a
	is 2
	complains
	err_has "--deadline '$time'"
done
run kill --root "$root" --deadline 1s --deadline banana /a
is 2
err_has "--deadline 'banana'"
run kill --root "$root" --exempt all /a
is 2
err_has "--exempt 'all'"
verdict "values of kill's options that can't be are named"

for args in tree explain 'explain --kernel' 'rank --domain'; do
	# shellcheck disable=SC2086
	run $args /system.slice/db.service/ --root "$root"
	out_has /system.slice/db.service
	silent err
done
verdict "a slash after a cgroup's path is a shell's"

for args in 'tree --root' 'rank --root' 'run --root' 'kill /a --root'; do
	# shellcheck disable=SC2086
	run $args "$dir/nowhere"
	is 2
	complains
	err_has "$dir/nowhere" "No such file"
done
mkdir "$dir/plain" "$dir/empty"
: >"$dir/empty/cgroup.procs"
for args in 'tree --root' 'rank --root' 'explain --root' 'score --root'; do
	# shellcheck disable=SC2086
	run $args "$dir/plain"
	is 2
	complains
	err_has "'$dir/plain' is no tree of cgroups: there is no cgroup.procs in it"
done
run rank --root "$dir/empty"
is 1
err_has 'nobody to rank'
verdict "a root that is not there, or holds no cgroups, is named"
end
