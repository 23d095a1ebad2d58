#!/bin/sh
# A policy is parsed when the daemon has given up what it does not need: as root, it has a few named
# capabilities by then, no new privileges, and no files.
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
# bits: KILL 5, DAC_OVERRIDE 1, SYS_RESOURCE 24, SYS_NICE 23, IPC_LOCK 14, and until the policy has said that it
# honours no xattrs SYS_ADMIN 21; SYS_PTRACE 19 is for a /proc with hidepid
sed -n 's/^Cap\(Eff\|Prm\|Bnd\):[^0-9a-f]*//p' "$dir/told" | while read -r caps; do
	[ $((0x$caps & ~(1 << 5 | 1 << 1 | 1 << 24 | 1 << 23 | 1 << 14 | 1 << 21 | 1 << 19))) = 0 ] ||
		[ $((0x$caps)) = 0 ] || wrong "capabilities $caps"
done
grep -q '^NoNewPrivs:[^0-9]*1' "$dir/told" || wrong 'no_new_privs is not set'
grep -q 'Landlock' "$dir/err" || ! grep -q '^Other:.*yes' "$dir/told" || wrong 'any file can be opened'
verdict "a policy is parsed with the named capabilities, no_new_privs and no files of others"
end
