#!/bin/sh
# What can't be written is an error, and a descriptor that is closed is nobody else's.
set -u
# shellcheck source=test/cli/cli.sh
. "$(dirname "$0")/cli.sh"
tree host

# to full|closed ARGUMENT...: with a stdout that has no room, or none at all
to()
{
	where=$1
	shift
	last="cgguard $* (stdout: $where)"
	if [ "$where" = full ]; then
		timeout -k 5 20 "$CGGUARD" "$@" >/dev/full 2>"$dir/err" </dev/null
	else
		timeout -k 5 20 "$CGGUARD" "$@" >&- 2>"$dir/err" </dev/null
	fi
	status=$?
	: >"$dir/out"
	saw "$last"
}

# A tree that prints more than any buffer holds.
big=$dir/big
mkdir "$big"
: >"$big/cgroup.procs"
i=0
while [ $i -lt 300 ]; do
	mkdir "$big/cgroup-with-a-long-name-$i"
	echo $i >"$big/cgroup-with-a-long-name-$i/cgroup.procs"
	i=$((i + 1))
done

for where in full closed; do
	for args in --help --version 'rank --help' check 'check --json' "tree --root $root" \
		"tree --json --root $root" "rank --root $root" "rank --json --root $root" \
		"tree --root $big" "tree --json --root $big" "rank --top 0 --root $big"; do
		# shellcheck disable=SC2086
		to "$where" $args
		is 3
		err_has "cgguard: " "cannot write"
	done
	verdict "stdout is $where: exit code 3 and the reason"
done

to full tree --root "$root" /nowhere
is 1
to full frob
is 2
verdict "what failed before there was anything to write keeps its exit code"

run tree --root "$root"
cp "$dir/out" "$dir/want"
"$CGGUARD" tree --root "$root" 2>&- <&- >"$dir/out"
status=$?
saw "without stdin and stderr"
is 0
cmp -s "$dir/out" "$dir/want" || wrong "closed stdin and stderr change the output"
"$CGGUARD" frob 2>&- <&- >"$dir/out"
status=$?
is 2
silent out
verdict "closed stdin and stderr change nothing"

# A reader that goes away: the shell's own business, but no hang and no crash.
"$CGGUARD" tree --json --root "$big" 2>"$dir/err" | head -n 1 >"$dir/out"
last='cgguard tree --json | head -n 1'
saw "$last"
out_has '{'
status=0
is 0
verdict "a reader may leave early"
end
