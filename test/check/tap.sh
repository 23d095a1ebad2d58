# shellcheck shell=sh
# What the checks stand on. A check collects what is wrong, one line each, and gives a verdict per
# promise: TAP on stdout, status 1 if any promise is broken. "Nothing was looked at" is broken too.

points=0 broken=0
check=${0##*/}
problems=$(mktemp "${TMPDIR:-/tmp}/check.XXXXXX") || exit 1
looked=$(mktemp "${TMPDIR:-/tmp}/check.XXXXXX") || exit 1
trap 'rm -f "$problems" "$looked"' EXIT
trap 'exit 1' HUP INT TERM

# wrong TEXT: what is wrong, and where
wrong()
{
	printf '%s\n' "$*" >>"$problems"
}

# saw TEXT: one thing was looked at
saw()
{
	printf '%s\n' "$*" >>"$looked"
}

# verdict PROMISE: a point of its own; the next promise begins
verdict()
{
	points=$((points + 1))
	[ -s "$looked" ] || wrong "nothing to look at: the check has lost its input"
	if [ -s "$problems" ]; then
		broken=$((broken + 1))
		echo "not ok $points - $1"
		sed 's/^/#   /' "$problems"
	else
		echo "ok $points - $1"
	fi
	: >"$problems"
	: >"$looked"
}

# pass_over PROMISE REASON: a point that can't be judged here
pass_over()
{
	points=$((points + 1))
	echo "ok $points - $1 # SKIP $2"
	: >"$problems"
	: >"$looked"
}

# skip_all REASON: for a check as a whole
skip_all()
{
	echo "1..0 # SKIP $*"
	exit 0
}

end()
{
	echo "1..$points"
	[ "$broken" -eq 0 ]
	exit
}

# enter SOURCE: go to the top of the sources; without an argument, those that the check is part of
enter()
{
	cd "${1:-$(dirname "$0")/../..}" || exit 1
	[ -f meson.build ] && return
	echo "Bail out! $check: no meson.build in $PWD"
	exit 1
}

# sources DIRECTORY... -- NAME...: files below the directories, by shell patterns of their names
sources()
{
	dirs=
	while [ "$1" != -- ]; do
		[ ! -d "$1" ] || dirs="$dirs $1"
		shift
	done
	shift
	[ -n "$dirs" ] || return 0
	# shellcheck disable=SC2086
	for name; do
		find $dirs -type f -name "$name"
	done | LC_ALL=C sort
}

# tracked: every file of the project; without git (a tarball), all but build directories
tracked()
{
	if [ -e .git ] && command -v git >/dev/null; then
		git -c safe.directory='*' ls-files | while IFS= read -r file; do
			[ ! -f "$file" ] || printf '%s\n' "$file"
		done
	else
		find . -type f ! -path './build*/*' ! -path './.git/*' | sed 's|^\./||'
	fi
}
