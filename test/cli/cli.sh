# shellcheck shell=sh
# What the tests of the program from outside stand on: run it, say what must hold, give a verdict.
# CGGUARD is the program, UNPACK makes a tree of a text, TREES is where the texts are.
# shellcheck source=test/check/tap.sh
. "$(dirname "$0")/../check/tap.sh"

: "${CGGUARD:?}" "${UNPACK:?}" "${TREES:?}"
dir=$(mktemp -d "${TMPDIR:-/tmp}/cli.XXXXXX") || exit 1
trap 'rm -rf "$dir" "$problems" "$looked"' EXIT
status=0 last=

# run ARGUMENT...: stdout goes to $dir/out, stderr to $dir/err; $status
run()
{
	last="cgguard $*"
	timeout -k 5 20 "$CGGUARD" "$@" >"$dir/out" 2>"$dir/err" </dev/null
	status=$?
	sed -i '/^profiling:/d' "$dir/err" # test/coverage: a sandbox keeps gcov from its files
	saw "$last"
}

# is STATUS: of the last run, which neither crashed nor said that a sanitizer found something
is()
{
	[ "$status" -eq "$1" ] || wrong "$last: exit code $status, not $1: $(head -c 300 "$dir/err")"
	if grep -qE 'Sanitizer|runtime error' "$dir/err"; then
		wrong "$last: $(grep -m 1 -E 'Sanitizer|runtime error' "$dir/err")"
	fi
}

out_has()
{
	for text; do
		grep -qF -e "$text" "$dir/out" || wrong "$last: no '$text' on stdout: $(head -c 300 "$dir/out")"
	done
}

err_has()
{
	for text; do
		grep -qF -e "$text" "$dir/err" || wrong "$last: no '$text' on stderr: $(head -c 300 "$dir/err")"
	done
}

out_lacks()
{
	for text; do
		! grep -qF -e "$text" "$dir/out" || wrong "$last: '$text' on stdout"
	done
}

# silent out|err
silent()
{
	[ ! -s "$dir/$1" ] || wrong "$last: not silent on std$1: $(head -c 300 "$dir/$1")"
}

# Complaints are lines that begin with the program's name.
complains()
{
	silent out
	[ -s "$dir/err" ] || wrong "$last: nothing on stderr"
	! grep -qv '^cgguard: ' "$dir/err" || wrong "$last: stderr is not 'cgguard: ...': $(head -c 300 "$dir/err")"
}

is_json()
{
	python3 -m json.tool <"$dir/out" >/dev/null 2>"$dir/json" ||
		wrong "$last: stdout is no JSON: $(tail -n 1 "$dir/json")"
}

# tree NAME: the text of that name as a directory, made once; its path in $root
tree()
{
	root=$dir/tree.$1
	[ ! -d "$root" ] || return 0
	mkdir "$root" && "$UNPACK" "$TREES/$1.txt" "$root" && return
	echo "Bail out! cannot unpack $1"
	exit 1
}
