#!/bin/sh
# One hostile name, in all places that a stranger can write: no command prints a byte of it that drives a
# terminal, hides, turns the direction of text or begins a line.
set -u
# shellcheck source=test/cli/cli.sh
. "$(dirname "$0")/cli.sh"

# A title is set, then red; a line of its own; DEL; C1 as a character and as a byte; right to left; of no
# width; soft hyphen, mark of order, line separator, isolate, variation selector, tag; cut off in the middle.
e='evil\033]0;pwned\007\033[31m\nFORGED line\r\177\302\233\233\342\200\256gpj\342\200\213x\302\255\357\273\277'
e=$e'\342\200\250\342\201\246\357\270\217\363\240\201\201\330\234\342\201\240\342\200'
# shellcheck disable=SC2059
hostile=$(printf "$e")
# The same without a newline, for files of lines, and as bytes of a text tree.
# shellcheck disable=SC2059
line=$(printf "$e" | tr '\n' ' ')
comm='a\x1b[31m\n\xe2\x80\xae\x9bevil'
hex=$(printf '%s' "$hostile" | od -An -v -tx1 | tr -d '\n' | sed 's/ /\\x/g')
# In JSON it must be characters: without what is no UTF-8.
json='evil\u001b]0;pwned\u0007\u001b[31m\nFORGED line\r\u007f\u009b\u202egpj\u200bx\u00ad\ufeff\u2028\u2066\ufe0f'
json=$json'\udb40\udc41\u061c\u2060'
glob=$(printf '%s' "$json" | sed 's/\[/?/')
# And as it is in JSON, where controls must be escaped but others need not.
raw=$(printf 'evil\\u001b]0;\177\302\233\342\200\256gpj\342\200\213\302\255\357\273\277\342\200\250\342\201\246')

cat >"$dir/look.py" <<'END'
import glob, json, os, sys, unicodedata
HIDDEN = [(0x34f, 0x34f), (0x115f, 0x1160), (0x17b4, 0x17b5), (0x180b, 0x180f), (0x2028, 0x202e), (0x2060, 0x206f),
          (0x3164, 0x3164), (0xfe00, 0xfe0f), (0xffa0, 0xffa0), (0xfff0, 0xfffb), (0xe0000, 0xe0fff)]
def bad(text, allowed):
    return ["U+%04X" % ord(c) for c in text if c not in allowed and
            (unicodedata.category(c) in ("Cc", "Cf", "Cs", "Zl", "Zp") or any(a <= ord(c) <= b for a, b in HIDDEN))]
def strings(value):
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for k, v in value.items():
            yield k
            yield from strings(v)
    elif isinstance(value, list):
        for v in value:
            yield from strings(v)
def wrong(data, kind):
    try:
        text = data.decode()
    except UnicodeDecodeError as e:
        return "no UTF-8: %r" % data[max(0, e.start - 40):e.start + 10]
    raw = bad(text, "\n\t")
    if raw:
        return "raw %s: %s" % (" ".join(raw[:4]), ascii(text[max(0, text.index(chr(int(raw[0][2:], 16))) - 60):][:80]))
    if any(l.lstrip().startswith("FORGED") for l in text.split("\n")):
        return "a newline of the name's has begun a line"
    if kind == "json" and text.strip():
        try:
            docs = [json.loads(text)]
        except ValueError:
            docs = [json.loads(l) for l in text.splitlines()]
        for s in strings(docs):
            if bad(s, ""):
                return "a value that is %s" % ascii(s[:80])
for name in sorted(glob.glob(sys.argv[1] + "/*.*.*")):
    number, stream, kind = os.path.basename(name).split(".")
    told = wrong(open(name, "rb").read(), kind)
    if told:
        print("%s: std%s: %s" % (ascii(open("%s/%s" % (sys.argv[1], number), errors="surrogateescape").read())[:200], stream, told))
END

mkdir "$dir/seen"
n=0

# clean STATUS KIND: both streams of the last run are looked at by the next verdict; KIND of stdout: text, json (its values too), or policy (which must
# say what was asked, so its values are as they were)
clean()
{
	is "$1"
	n=$((n + 1))
	mv "$dir/out" "$dir/seen/$n.out.$2"
	mv "$dir/err" "$dir/seen/$n.err.text"
	printf '%s' "$last" >"$dir/seen/$n"
}

# all_clean TITLE: what has been printed since the last verdict
all_clean()
{
	python3 "$dir/look.py" "$dir/seen" >"$dir/said" 2>&1 || wrong "the check itself fails: $(tail -n 3 "$dir/said")"
	while IFS= read -r said; do
		wrong "$said"
	done <"$dir/said"
	[ $n -gt 0 ] || wrong "nothing was looked at"
	rm -rf "$dir/seen" && mkdir "$dir/seen"
	n=0
	verdict "$1"
}

# says TEXT: a test of nothing is none
says()
{
	cat "$dir/seen/$n".*.* >"$dir/both"
	grep -qF -e "$1" "$dir/both" || wrong "$last: '$1' is not told at all: $(head -c 400 "$dir/both")"
}

stat='0 0 0 -1 0 0 0 0 0 0 0 0 0 20 0 1 0 10 0'
memory='VmRSS:\t40960 kB\nRssAnon:\t40960 kB\nRssFile:\t0 kB\nRssShmem:\t0 kB\nVmPTE:\t80 kB\nVmSwap:\t0 kB\n'
cat >"$dir/machine.txt" <<END
root sys/fs/cgroup
/ cgroup.procs='1\n' cgroup.events='populated 1\nfrozen 0\n'
/$hex memory.current=60817408 memory.max=67108864 memory.swap.max=max memory.oom.group=1 cgroup.procs='10\n' cgroup.events='populated 1\nfrozen 0\n' memory.stat='anon 50331648\nfile 4096\n'
/$hex/docker-$hex.scope memory.current=50817408 memory.max=max memory.swap.max=max memory.oom.group=0 cgroup.procs='11\n' cgroup.events='populated 1\nfrozen 0\n' memory.stat='anon 40331648\nfile 4096\n'
proc meminfo='MemTotal: 102400 kB\nMemFree: 10240 kB\nMemAvailable: 1024 kB\nSwapTotal: 0 kB\nSwapFree: 0 kB\n'
proc/sys/vm swappiness=60 panic_on_oom=0 oom_kill_allocating_task=0
proc/1 stat='1 (init) S 0 0 0 0 -1 0 0 0 0 0 0 0 0 0 20 0 1 0 1 0' oom_score_adj=0 oom_score=0 status='Tgid:\t1\nUid:\t0\t0\t0\t0\n$memory'
proc/10 stat='10 ($comm) S 1 $stat' oom_score_adj=0 oom_score=693 status='Tgid:\t10\nUid:\t0\t0\t0\t0\n$memory'
proc/11 stat='11 ($comm) S 1 $stat' oom_score_adj=300 oom_score=876 status='Tgid:\t11\nUid:\t0\t0\t0\t0\n$memory'
END
root=$dir/machine
mkdir "$root"
"$UNPACK" "$dir/machine.txt" "$root" || echo "Bail out! cannot unpack the machine"
cg=/$hostile

for utf8 in C C.UTF-8; do
	LC_ALL=$utf8
	export LC_ALL
	for args in tree 'tree --all' rank 'rank --domain /' score 'score --all' 'explain --kernel' explain; do
		# shellcheck disable=SC2086
		run $args --root "$root"
		clean 0 text
		says evil
		# shellcheck disable=SC2086
		run $args --json --root "$root"
		clean 0 json
		says evil
	done
	all_clean "tree, rank, score and explain of a machine with that name ($utf8)"
done
run tree --root "$root" "$cg"
clean 0 text
run score --root "$root" --cgroup "$cg"
clean 0 text
run explain --root "$root" "$cg"
clean 0 text
run explain --json --root "$root" "$cg"
clean 0 json
run explain --kernel --root "$root" "$cg"
clean 0 text
for args in "--process" "--exempt kill" "--dry-run"; do
	# shellcheck disable=SC2086
	run kill $args --root "$root" "$cg"
	clean 1 json
	says evil
done
all_clean "and of the cgroup that has it"

for args in "tree --root $root" "explain --root $root" "score --root $root --cgroup" "kill --root $root"; do
	# shellcheck disable=SC2086
	run $args "/no$hostile"
	clean "$status" text
	says pwned
done
run adjust --root "$root" "$hostile" 5
clean 2 text
says pwned
for args in frob tree rank score check explain test log import run status adjust kill; do
	run "$args" "--$hostile"
	clean 2 text
	[ "$args" = frob ] || says pwned
	run "$args" --root "/$hostile"
	clean "$status" text
done
run "$hostile"
clean 2 text
for path in "$dir/$hostile" "$dir/$hostile/x"; do
	for args in 'check' 'check --json' 'test' 'test --json' 'log' 'import nohang' 'import oomd' 'import earlyoom' \
		'import systemd-oomd' 'status' 'run --policy' 'run --incidents' 'run --status' 'run --metrics-file' \
		'kill --policy' 'run --metrics-listen' 'adjust 1' 'score --cgroup' 'rank --key' 'rank --include'; do
		kind=text
		case $args in *--json) kind=json ;; esac
		# shellcheck disable=SC2086
		run $args "$path"
		clean "$status" "$kind"
	done
done
all_clean "what is asked wrongly is quoted without its bytes"

# ---- policies and their tests

mkdir "$dir/$hostile.d"
policy="$dir/$hostile.d/policy.json"
cat >"$policy" <<END
{"version": 1, "description": "$json", "protect": ["/$glob"], "priorities": {"/$glob/**": 5},
 "rules": [{"name": "low", "domain": "/", "when": {"available_below": "50%"},
  "candidates": {"include": ["/$glob", "/**"], "exclude": ["/x$glob"], "unit": "leaf"},
  "rank": ["priority", "gain"], "then": [{"action": "kill", "scope": "group"}]},
 {"name": "each", "each": "/$glob*", "when": {"usage_above": "50%"}, "then": [{"action": "kill", "scope": "group"}]}]}
END
chmod 755 "$dir/$hostile.d"
chmod 644 "$policy"
run check "$policy"
clean 0 text
says evil
run check --json "$policy" "$dir/$hostile.d"
clean 0 json
says evil
run explain --root "$root" --policy "$policy"
clean 0 text
run explain --root "$root" --policy "$policy" --json
clean 0 json
run kill --root "$root" --policy "$policy" "$cg"
clean 1 json
mkdir "$dir/$hostile.bad"
BAD="\"$json\" {\"$json\":1} \"$raw\" {\"$raw\":1}" python3 - "$policy" "$dir/$hostile.bad" <<'END'
import os, sys
text, n = open(sys.argv[1]).read(), 0
for at in ['"low"', '"domain"', '"/"', '"available_below"', '"50%"', '"leaf"', '"gain"', '"kill"', '"group"', '5', '1,', '"/**"', '"rules"']:
    for bad in os.environ["BAD"].replace("FORGED line", "FORGED_line").split(" "):
        open("%s/%d.json" % (sys.argv[2], n), "w").write(text.replace(at, bad + ("," if at == "1," else ""), 1))
        n += 1
END
for bad in "$dir/$hostile.bad"/*; do
	run check "$bad"
	clean "$status" text
	run check --json "$bad"
	clean "$status" json
done
printf '%s' "$hostile" >"$dir/$hostile.d/bad.json"
run check "$dir/$hostile.d/bad.json"
clean 2 text
# Names of a policy that a JSON reader refuses in the middle.
printf '{"version": 1, "%s": %s}' "$raw" "$hostile" >"$dir/$hostile.d/bad.json"
run check "$dir/$hostile.d/bad.json"
clean 2 text
run check --json "$dir/$hostile.d/bad.json"
clean 2 json
all_clean "a policy with that name everywhere, and what is wrong with one"

cat >"$dir/$hostile.d/story.json" <<END
{"version": 1, "policy": "policy.json", "tests": [{"name": "$json",
 "host": {"total": "1000Mi", "available": "400Mi"},
 "tree": {"/$json": {"anon": "500Mi", "procs": 1}, "/leak$json": {"anon": "300Mi", "procs": 5}},
 "steps": [{"at": "2s", "set": {"host": {"available": "80Mi"}}, "expect": {"rule": "low", "victim": "/$json"}}]}]}
END
run test "$dir/$hostile.d/story.json"
clean 1 text
says evil
run test --json "$dir/$hostile.d/story.json"
clean 1 json
says evil
for at in '"tests"' '"host"' '"total"' '"anon"' '"expect"' '"rule"' '"at"' '"2s"' '"80Mi"' '"policy.json"'; do
	B="\"$json\"" A=$at python3 -c '
import os, sys
sys.stdout.write(open(sys.argv[1]).read().replace(os.environ["A"], os.environ["B"], 1))' \
		"$dir/$hostile.d/story.json" >"$dir/$hostile.d/wrong.json"
	run test "$dir/$hostile.d/wrong.json"
	clean 2 text
	run test --json "$dir/$hostile.d/wrong.json"
	clean 2 json
done
run test "$dir/$hostile.d"
clean 2 text
all_clean "a policy test with that name, what it expected and what is wrong with it"

# ---- logs

{
	printf '[   12.345678] %s invoked oom-killer: gfp_mask=0xcc0(%s), order=0, oom_score_adj=0\n' "$line" "$line"
	printf '[   12.345679] CPU: 1 PID: 7 Comm: %s Not tainted %s #1\n' "$line" "$line"
	printf '[   12.345680] oom-kill:constraint=CONSTRAINT_MEMCG,nodemask=(null),cpuset=%s,mems_allowed=0,oom_memcg=/%s,task_memcg=/%s/docker-%s.scope,task=%s,pid=7,uid=0\n' \
		"$line" "$line" "$line" "$line" "$line"
	printf '[   12.345681] Memory cgroup out of memory: Killed process 7 (%s) total-vm:1kB, anon-rss:1kB, file-rss:1kB, shmem-rss:0kB, UID:0 pgtables:1kB oom_score_adj:0\n' "$line"
} >"$dir/log"
sed 's/^\[ *\([0-9]*\)\.\([0-9]*\)\] /4,1,\1\2,-;/' "$dir/log" >"$dir/log.kmsg"
# as /dev/kmsg has it: each byte escaped
{
	printf '4,1,12345680,-;oom-kill:constraint=CONSTRAINT_MEMCG,nodemask=(null),cpuset=/,mems_allowed=0,oom_memcg=/%s,task_memcg=/%s,task=%s,pid=7,uid=0\n' "$hex" "$hex" "$hex"
	printf '4,1,12345681,-;Memory cgroup out of memory: Killed process 7 (%s) total-vm:1kB, anon-rss:1kB, file-rss:1kB, shmem-rss:0kB, UID:0 pgtables:1kB oom_score_adj:0\n' "$hex"
} >"$dir/log.escaped"
sed "s/^\[.*\] /Jan  2 03:04:05 $(printf '%s' "$line" | tr -d ' /&') kernel: /" "$dir/log" >"$dir/log.syslog"
for log in log log.kmsg log.escaped log.syslog; do
	run log "$dir/$log"
	clean 0 text
	says pid
	run log --json "$dir/$log"
	clean 0 json
	says '"pid":7'
done
all_clean "a log of the kernel's with that name"

# ---- other guards' configurations

for from in oomd.json nohang.conf earlyoom.default systemd; do
	kind=${from%%.*}
	[ "$kind" != systemd ] || kind=systemd-oomd
	made=$dir/$hostile.$from
	cp -r "$(dirname "$0")/../import/$from" "$made"
	chmod -R u+w "$made"
	LINE=$line JSON=$json python3 - "$made" <<-'END'
		import os, re, sys
		top, line, json = os.fsencode(sys.argv[1]), os.fsencode(os.environ["LINE"]), os.fsencode(os.environ["JSON"])
		files = [os.path.join(d, f) for d, _, names in os.walk(top) for f in names] or [top]
		for name in files:
		    text = open(name, "rb").read()
		    if name.endswith(b".json"):
		        text = re.sub(rb'"((?:[a-z_]+ )+[a-z_]+|workload.slice|memory_above|senpai|[0-9]+)"',
		                      lambda m: b'"' + m[1] + json + b'"', text)
		    else:
		        text = re.sub(rb'(?m)^(?!\[)([^\n#]+)$', lambda m: m[1] + b" " + line, text)
		        text += b"\n%s = %s\n@%s x ///%s\n" % (line, line, line, line)
		    open(name, "wb").write(text)
	END
	run import "$kind" "$made"
	clean "$status" text
	says evil
	run import --json "$kind" "$made"
	clean "$status" text
done
cat >"$dir/o.json" <<END
{"rulesets": [{"name": "$json", "detectors": [["$json", {"name": "memory_above", "args": {"cgroup": "$json", "threshold": "50%"}}],
 ["b", {"name": "$json", "args": {"$json": "$json"}}]], "$json": "$json",
 "actions": [{"name": "kill_by_memory_size_or_growth", "args": {"cgroup": "$json/*,b"}}, {"name": "$json", "args": {}}]}]}
END
run import oomd "$dir/o.json"
clean "$status" text
says evil
run import --json oomd "$dir/o.json"
clean "$status" text
says evil
all_clean "another guard's configuration with that name"

# ---- the running guard's answer, from a socket that says anything

cat >"$dir/guard.py" <<'END'
import os, socket, sys
s = socket.socket(socket.AF_UNIX)
s.bind(sys.argv[1])
s.listen(1)
print("ready", flush=True)
n = os.environ["N"]
for _ in range(2):
    c = s.accept()[0]
    c.sendall(('{"version":1,"cgguard":"%(n)s","pid":1,"policy":"%(n)s","policy_refused":"%(n)s","without":["%(n)s"],"guard":'
        '{"uptime_us":1,"rules":1,"cgroups":1,"brakes":0,"domains":[{"rule":"%(n)s","domain":"%(n)s","is":"%(n)s","watched_by":"%(n)s",'
        '"conditions":[{"condition":"%(n)s","is":"%(n)s","unit":"%(n)s","value":1,"threshold":2}]}],'
        '"fallbacks":[{"what":"%(n)s","text":"%(n)s"}],"pressure":[{"cgroup":"%(n)s","file":"%(n)s"}],'
        '"past":[{"number":1,"ago_us":1,"rule":"%(n)s","domain":"%(n)s","outcome":"%(n)s","victim":"%(n)s"}]}}' % {"n": n}).encode())
    c.close()
END
# values that our own guard would have escaped: only their newlines are the guard's own business
N=$(printf '%s' "$json" | sed 's/\\n/ /')
export N
python3 "$dir/guard.py" "$dir/sock" >"$dir/ready" &
i=0
while [ ! -s "$dir/ready" ] && [ $i -lt 100 ]; do
	sleep 0.1
	i=$((i + 1))
done
run status "$dir/sock"
clean 0 text
says pwned
run status --json "$dir/sock"
clean 0 text
says pwned
wait
all_clean "an answer that is no guard's"
end
