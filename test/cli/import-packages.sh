#!/bin/sh
# The configurations that the other guards' Debian packages bring: each becomes a good policy.
set -u
# shellcheck source=test/cli/cli.sh
. "$(dirname "$0")/cli.sh"
for tool in apt-get dpkg; do
	command -v $tool >/dev/null || skip_all "no $tool here"
done
chmod 755 "$dir" # for the user that apt downloads as
cd "$dir" || exit 1

# have PACKAGE PATH: fetched and unpacked, and the path is there; else the point is passed over
have()
{
	timeout -k 5 60 apt-get -q download "$1" >"$dir/apt" 2>&1 && dpkg -x "$1"_*.deb "$dir/$1" && return
	pass_over "$1" "apt can't fetch it: $(tail -n 1 "$dir/apt")"
	return 1
}

# becomes PACKAGE RULES PATH...: a policy of so many rules
becomes()
{
	package=$1 rules=$2
	shift 2
	have "$package" || return
	kind=$package
	run import "$kind" "$@"
	is 0
	cp "$dir/out" "$dir/made.json"
	chmod 600 "$dir/made.json"
	run check "$dir/made.json"
	is 0
	out_has "good, $rules rule"
	verdict "$package: what its package brings"
}

becomes oomd 3 oomd/etc/oomd/oomd.json
becomes systemd-oomd 2 systemd-oomd
becomes earlyoom 2 earlyoom/etc/default/earlyoom
becomes nohang 5 nohang/etc/nohang/nohang-desktop.conf
end
