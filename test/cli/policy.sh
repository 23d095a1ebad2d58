#!/bin/sh
# Policies are checked before they are used, and a bad one starts nothing.
set -u
# shellcheck source=test/cli/cli.sh
. "$(dirname "$0")/cli.sh"
tree host
good='{"version": 1, "rules": [{"name": "low", "domain": "/", "when": {"available_below": "5%"}, "then": [{"action": "notify"}]}]}'
umask 022

# blames FILE: like a compiler, so that an editor finds the place
blames()
{
	silent out
	grep -qF -e "$1:" "$dir/err" || wrong "$last: not 'FILE:...': $(head -c 300 "$dir/err")"
}

echo "$good" >"$dir/good.json"
echo '{"version": 1, "rules": [' >"$dir/broken.json"
echo "$good" | sed 's/available_below/availble_below/' >"$dir/typo.json"
: >"$dir/empty.json"
mkdir "$dir/none.d" "$dir/two.d" "$dir/bad.d"
echo "$good" >"$dir/two.d/10.json"
echo "$good" | sed 's/"low"/"lower"/' >"$dir/two.d/20.json"
echo 'not json' >"$dir/two.d/README"
cp "$dir/good.json" "$dir/typo.json" "$dir/bad.d"

run check
is 0
silent err
out_has 'good,' 'host-low'
run check --json
is 0
is_json
out_has '"ok": true'
verdict "the built-in policy is good"

# In a checkout others may be able to write them, which run and check refuse.
mkdir "$dir/ship"
cp "$TREES"/../../policies/*.json "$dir/ship"
chmod 644 "$dir"/ship/*.json
rm -f "$dir/ship/schema.json"
for policy in "$dir"/ship/*.json; do
	run check "$policy"
	is 0
	silent err
	out_has "$policy: good"
done
chmod 664 "$dir/ship/host.json"
run check "$dir/ship/host.json"
is 2
blames "$dir/ship/host.json"
verdict "the policies that we ship are good"

run check "$dir/good.json"
is 0
silent err
out_has "$dir/good.json: good, 1 rule" "  low: "
out_lacks '1 rules'
run check "$dir/two.d"
is 0
out_has "$dir/two.d: good, 2 rules" "  low: " "  lower: "
verdict "a good one is told of rule by rule"

for policy in broken typo empty; do
	run check "$dir/$policy.json"
	is 2
	blames "$dir/$policy.json"
done
run check "$dir/typo.json"
err_has availble_below
run check "$dir/nowhere.json"
is 2
blames "$dir/nowhere.json"
err_has "No such file"
run check "$dir/bad.d"
is 2
err_has "$dir/bad.d/typo.json"
run check "$dir/none.d"
is 2
err_has "$dir/none.d"
run check ''
is 2
silent out
err_has "No such file"
verdict "a bad one is named, with the place"

mkfifo "$dir/fifo.json"
run check "$dir/fifo.json"
is 2
blames "$dir/fifo.json"
run check /dev/zero
is 2
blames /dev/zero
verdict "what is no file is not waited for"

run check "$dir/good.json" "$dir/typo.json" "$dir/two.d"
is 2
out_has "$dir/good.json: good" "$dir/two.d: good"
err_has "$dir/typo.json"
run check --json "$dir/good.json" "$dir/typo.json" "$dir/two.d"
is 2
is_json
[ "$(python3 -c 'import json,sys; print([p["ok"] for p in json.load(sys.stdin)])' <"$dir/out")" = '[True, False, True]' ] ||
	wrong "$last: not good, bad, good: $(cat "$dir/out")"
verdict "each of several is judged, and one bad one is enough"

for policy in broken.json typo.json empty.json nowhere.json none.d bad.d; do
	run run --policy "$dir/$policy"
	is 2
	complains
	err_has "$dir/$policy"
	run run --once --dry-run --policy "$dir/$policy" --root "$root"
	is 2
	run rank --policy "$dir/$policy" --root "$root"
	is 2
	complains
	run kill --policy "$dir/$policy" --root "$root" /system.slice/db.service
	is 2
	complains
done
verdict "with a bad policy nothing is started"

echo "$good" | sed 's|"rules"|"protect": ["/system.slice/db.service"], "rules"|' >"$dir/protect.json"
run rank --root "$root" --policy "$dir/protect.json"
is 0
grep -F '/system.slice/db.service' "$dir/out" | grep -qF '(protected)' || wrong "$last: db.service is not marked"
[ "$(grep -cF '(protected)' "$dir/out")" -eq 1 ] || wrong "$last: more than one is marked"
verdict "rank marks what the policy protects"
end
