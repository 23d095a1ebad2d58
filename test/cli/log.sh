#!/bin/sh
# cgguard log: what is no log, has none of the kernel's reports, or can't be read is said in a sentence.
set -u
# shellcheck source=test/cli/cli.sh
. "$(dirname "$0")/cli.sh"
logs=$(dirname "$0")/../logs

# one_sentence: on stderr, and nothing on stdout
one_sentence()
{
	complains
	[ "$(wc -l <"$dir/err")" -eq 1 ] || wrong "$last: not one sentence: $(cat "$dir/err")"
}

# feed FILE ARGUMENT...: run with the file as stdin
feed()
{
	file=$1
	shift
	last="cgguard $* <$file"
	timeout -k 5 60 "$CGGUARD" "$@" >"$dir/out" 2>"$dir/err" <"$file"
	status=$?
	saw "$last"
}

run log "$logs/60.txt"
is 0
silent err
out_has '36.027051 s after boot, kernel 6.1.0-56-cloud-amd64:' \
	't (pid 143) was killed, in /a/b/c.' \
	'Why: /a had reached its memory limit: 60M used of 60M.' \
	'Asked for by t (pid 143) (GFP_KERNEL, order 0).' \
	'57M anonymous, 0B of files, 260K shared, 156K of page tables, 201M of addresses; uid 0; oom_score_adj 0.' \
	'All of /a/b was to die with it (memory.oom.group): t (pid 141), t (pid 142).'
run log "$logs/40.txt"
out_has 'Nov 15 06:46:39, 65267.037323 s after boot, on ip-172-31-23-209:' \
	'container aba6a64a8753 of pod dfc7f441-06db-11ea-842a-0227fba247b6' \
	'The kernel had chosen pid 22232, and killed this one in its place.' \
	'The oom_reaper took its memory back.' 'Truncated: its beginning is missing'
run log "$logs/36.txt"
out_has 'somebody asked for it by sysrq'
run log "$logs/51.txt"
out_has 'No process was killed: there was none that may be.'
run log "$logs/56.txt"
out_has 'The kernel panicked.'
run log "$logs/61.txt"
out_has 'Why: the host was out of memory, without swap.'
verdict "a report is told in sentences"

run log --json "$logs/60.txt"
is 0
silent err
is_json
out_has '"victim":{"pid":143,' '"group_path":"/a/b"' '"tasks_total":3' '"truncated":false'
run log --json "$logs/38.txt"
[ "$(wc -l <"$dir/out")" -eq 2 ] || wrong "$last: not two lines"
feed "$logs/60.txt" log --json -
is 0
out_has '"pid":143'
verdict "--json is one object in a line for each report, of a file or of stdin"

printf 'Nov 15 06:46:39 h kernel: eth0: link up\nx\n' >"$dir/quiet"
run log "$dir/quiet"
is 1
one_sentence
err_has "no OOM report in the 2 lines of $dir/quiet"
: >"$dir/empty"
run log "$dir/empty"
is 1
one_sentence
err_has "$dir/empty is empty"
feed /dev/null log -
is 1
one_sentence
verdict "a log without a report is exit code 1"

run log "$dir/nowhere"
is 2
one_sentence
err_has "$dir/nowhere" "No such file"
run log "$dir"
is 2
one_sentence
err_has "directory"
run log /dev/zero
is 2
one_sentence
err_has "is a device"
run log "$dir/quiet" "$dir/quiet"
is 2
one_sentence
run log --kmsg "$dir/quiet"
is 2
one_sentence
err_has --kmsg
run log --follow -
is 2
one_sentence
err_has --follow
verdict "what can't be read is exit code 2"

gzip -c "$logs/60.txt" >"$dir/gz"
run log "$dir/gz"
is 2
one_sentence
err_has "gzip" "zcat"
printf 'LPKSHHRH\000\000\000\000rest' >"$dir/journal"
run log "$dir/journal"
is 2
one_sentence
err_has "journalctl"
run log "$CGGUARD"
is 2
one_sentence
err_has "program"
printf 'a\000b\n' >"$dir/binary"
run log "$dir/binary"
is 2
one_sentence
err_has "1 of 4 bytes are 0"
head -c 3000000 /dev/zero | tr '\0' x >"$dir/line"
run log "$dir/line"
is 2
one_sentence
err_has "one line of 3000000 bytes"
(cat "$dir/binary" "$logs/60.txt") >"$dir/mixed"
run log "$dir/mixed"
is 0
silent err
out_has "pid 143"
verdict "what is no log is named, with what to do; a report in it is told all the same"

for source in zero urandom; do
	feed /dev/$source log -
	is 2
	one_sentence
	err_has "is no log"
done
verdict "bytes that never end and never were a log end it"

# a machine that forbids it has another sentence than one that has no such file
timeout -k 5 20 "$CGGUARD" log --kmsg >"$dir/out" 2>"$dir/err" </dev/null
status=$? last="cgguard log --kmsg"
saw "$last"
case $status in
0|1) ;;
3) one_sentence && err_has /dev/kmsg "cgguard log FILE" ;;
*) wrong "$last: exit code $status" ;;
esac
verdict "the kernel's ring is read, or it is said why not"

end
