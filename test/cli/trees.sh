#!/bin/sh
# Recorded machines: what tree and rank show of them, to the letter. GOLDEN=write writes it anew.
set -u
# shellcheck source=test/cli/cli.sh
. "$(dirname "$0")/cli.sh"

# golden FILE: the output is as it was; ids are the file system's
golden()
{
	sed -e '/^ *"id":/d' -e '/^ *"age":/d' "$dir/out" >"$dir/got"
	[ "${GOLDEN-}" != write ] || cp "$dir/got" "$TREES/$1"
	saw "$1"
	diff -u "$TREES/$1" "$dir/got" >"$dir/diff" 2>&1 ||
		wrong "$last: not as in $1:
$(head -n 40 "$dir/diff")"
}

utf8=
for locale in C.UTF-8 C.utf8 en_US.UTF-8; do
	[ -n "$utf8" ] || ! LC_ALL=$locale locale charmap 2>/dev/null | grep -qx UTF-8 || utf8=$locale
done

for name in host kubernetes inside; do
	tree "$name"
	export LC_ALL=C
	run tree --root "$root"
	is 0
	silent err
	golden "$name.tree"
	run tree --all --root "$root"
	is 0
	golden "$name.tree-all"
	out_lacks '│' '├' '└' # what the locale can't show
	run tree --json --root "$root"
	is 0
	silent err
	is_json
	golden "$name.tree.json"
	run rank --root "$root"
	is 0
	silent err
	golden "$name.rank"
	run rank --json --root "$root"
	is 0
	is_json
	golden "$name.rank.json"
	run rank --root "$root" --by share_of_limit,gain --unit oom-group --top 3
	is 0
	golden "$name.rank-oom"
	verdict "$name: tree and rank"
	if [ -n "$utf8" ]; then
		export LC_ALL="$utf8"
		run tree --root "$root"
		is 0
		golden "$name.tree-utf8"
		out_has '└─ '
		verdict "$name: tree in UTF-8"
	else
		pass_over "$name: tree in UTF-8" "no UTF-8 locale here"
	fi
	export LC_ALL=C
done

tree host
run tree --root "$root" /system.slice
is 0
out_has ' db.service ' '/system.slice '
out_lacks user.slice
run tree --root "$root" /nowhere
is 1
complains
err_has "/nowhere"
run tree --root "$root" system.slice
is 1
err_has "system.slice"
verdict "tree shows the part that is asked for"

run rank --root "$root" --domain /user.slice
is 0
out_has /user.slice/
out_lacks /system.slice
run rank --root "$root" --include '/system.slice/*' --exclude '/system.slice/d*'
is 0
out_has /system.slice/ssh.service
out_lacks db.service docker user.slice
run rank --root "$root" --include '/nothing/**'
is 1
run rank --root "$root" --top 1
is 0
out_has 'more (--top 0 shows all)'
run rank --root "$root" --top 0
out_lacks 'more (--top'
run rank --root "$root" --top 1 --json
is_json
[ "$(python3 -c 'import json,sys; d=json.load(sys.stdin); print(len(d["groups"]), d["groups_total"] > 1)' <"$dir/out")" = '1 True' ] ||
	wrong "$last: not one group"
verdict "rank shows the part that is asked for"

run rank --root "$root" --by gain --json
python3 - "$dir/out" <<'P' || wrong "$last: not in the order of gain"
import json, sys
gains = [g["terms"]["gain"] for g in json.load(open(sys.argv[1]))["groups"]]
sys.exit(gains != sorted(gains, reverse=True) or len(gains) < 5)
P
verdict "rank is in the order that was asked for"

# Nothing of a name reaches the terminal as it is.
for args in tree 'tree --all' rank 'tree --json' 'rank --json'; do
	# shellcheck disable=SC2086
	run $args --root "$root"
	out_has '\x1b[31m'
	! LC_ALL=C grep -q "$(printf '\033')" "$dir/out" || wrong "$last: an escape on stdout"
done
verdict "names are shown, not played"
end
