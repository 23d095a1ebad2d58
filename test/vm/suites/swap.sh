# shellcheck shell=dash disable=SC1091,SC2015,SC2016
# What is swapped out: what zram takes for it comes back, and swap is what counts where swap is short.
. /test/lib.sh

T_TIMEOUT=120

# zram MIB: that much of it as the only swap, for this test
zram()
{
	need_module zram
	need_module lzo-rle
	echo 1 >/sys/block/zram0/reset
	echo "$1M" >/sys/block/zram0/disksize && mkswap /dev/zram0 && swapon /dev/zram0 ||
		fail 'no swap on zram'
	t_defer 'swapoff /dev/zram0'
}

# swapped PATH MIB: at least so much of it is swapped out
swapped()
{
	wait_until 60 "[ \"\$(cg_read '$1' memory.swap.current)\" -ge $(($2 << 20)) ]"
}

# rule WHEN: a policy that kills by gain
rule()
{
	policy p <<-END
		{"version": 1, "rules": [{"name": "host", "domain": "/", "when": $1,
		 "candidates": {"include": ["/hog", "/quiet"], "unit": "leaf"},
		 "then": [{"action": "kill", "scope": "group"}]}]}
	END
}

# its_turn PATH: that one died, the first
its_turn()
{
	wait_until 30 '[ "$(incident_count)" -ge 1 ]'
	pick 1
	says outcome killed
	says victim.cgroup "$1"
	assert_no_oom_kill
}

# 200 MiB of the hog's are in zram, where they take as much; 100 MiB are another's
a_hog_in_zram_takes_what_it_takes_there()
{
	zram 300
	cg_create /hog memory.high=20M
	cg_create /quiet memory.swap.max=0
	cg_run /quiet hog hold 100 >/dev/null
	cg_run /hog hog noise 220 >/dev/null
	swapped /hog 195
	say "mm_stat: $(cat /sys/block/zram0/mm_stat)"
	rule '{"available_below": "90%"}'
	guard_start --policy "$T/p.json"
	its_turn /hog
	says_between candidates.0.order.gain $((200 << 20)) $((240 << 20))
}

# compressed to a twentieth: what it gives back is little
what_is_well_compressed_takes_little()
{
	zram 300
	cg_create /hog memory.high=20M
	cg_create /quiet memory.swap.max=0
	cg_run /quiet hog hold 100 >/dev/null
	cg_run /hog hog anon 220 >/dev/null
	swapped /hog 195
	say "mm_stat: $(cat /sys/block/zram0/mm_stat)"
	rule '{"available_below": "90%"}'
	guard_start --policy "$T/p.json"
	its_turn /quiet
}

where_swap_is_short_swap_counts()
{
	zram 250
	cg_create /hog memory.high=20M
	cg_create /quiet memory.swap.max=0
	cg_run /quiet hog hold 100 >/dev/null
	cg_run /hog hog anon 220 >/dev/null
	swapped /hog 195
	rule '{"all": [{"available_below": "90%"}, {"swap_free_below": "30%"}]}'
	guard_start --policy "$T/p.json"
	its_turn /hog
	says_between candidates.0.order.gain $((200 << 20)) $((240 << 20))
}

# The calm ends with 55 MiB of an application. Then come 100 of a leak, most of them swapped out, and 40 of a web server.
what_was_swapped_out_was_taken()
{
	zram 300
	cg_create /d memory.max=256M
	for name in db app web; do
		cg_create /d/$name memory.swap.max=0
	done
	cg_create /d/leak memory.high=20M
	cg_run /d/db hog hold 130 >/dev/null
	policy p <<-END
		{"version": 1, "rules": [{"name": "taken", "domain": "/d", "when": {"unreclaimable_above": "90%"},
		 "then": [{"action": "kill", "scope": "group"}]}]}
	END
	guard_start --policy "$T/p.json"
	sleep 24 # calm
	cg_run /d/app hog hold 55 >/dev/null
	sleep 3
	cg_run /d/leak hog noise 100 >/dev/null
	swapped /d/leak 75
	cg_run /d/web hog hold 40 >/dev/null
	its_turn /d/leak
	says_between candidates.0.order.taken $((90 << 20)) $((120 << 20))
	assert_alive /d/web 1
}

t 'a hog that lies in zram is as large as it is there' a_hog_in_zram_takes_what_it_takes_there
t 'what zram compresses well gives back little' what_is_well_compressed_takes_little
t 'where swap is short, what is swapped out counts whole' where_swap_is_short_swap_counts
t 'what was swapped out was taken' what_was_swapped_out_was_taken
t_plan_end
