#!/bin/sh
# A policy is parsed by a process that has nothing: no capability, no new privileges, and no file but the policy's.
set -u
# shellcheck source=test/cli/cli.sh
. "$(dirname "$0")/cli.sh"

if [ "$(id -u)" != 0 ]; then
	echo '1..0 # SKIP only root has something to give up'
	exit 0
fi
tree host
mkdir "$dir/p" "$dir/state"
cat >"$dir/p/p.json" <<'END'
{"version": 1, "rules": [{"name": "low", "domain": "/", "when": {"available_below": "5%"}, "then": [{"action": "notify"}]}]}
END
chmod 644 "$dir/p/p.json"
: >"$dir/told"
PARSING=$dir/told LD_PRELOAD=${PARSING_SO:?} "$CGGUARD" run --root "$root" --policy "$dir/p" --state "$dir/state" \
	--status off >"$dir/out" 2>"$dir/err"
status=$?
last='cgguard run'
saw "$last"
is 2
err_has recording
grep -q '^CapEff:' "$dir/told" || wrong "nothing was parsed: $(cat "$dir/err")"
sed -n 's/^Cap\(Eff\|Prm\|Bnd\):[^0-9a-f]*//p' "$dir/told" | while read -r caps; do
	[ $((0x$caps)) = 0 ] || wrong "capabilities $caps"
done
grep -q '^Name:[^a-z]*cgguard-reader$' "$dir/told" || wrong 'not the reader parsed it'
grep -q '^NoNewPrivs:[^0-9]*1' "$dir/told" || wrong 'no_new_privs is not set'
grep -q 'Landlock' "$dir/err" || ! grep -q '^Other:.*yes' "$dir/told" || wrong 'any file can be opened'
verdict "a policy is parsed with no capabilities, no_new_privs and no files of others"
end
