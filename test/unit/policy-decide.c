/* SPDX-License-Identifier: Apache-2.0 */
/* Conditions on what is now: each true, false and unknown, at its edge, for a time, and combined. */
#include "kit/story.h"

#define HOST(available)                                                                            \
	"host total=1000Mi available=" available " free=1Mi swap_total=0 swap_free=0"

static const struct story amount_stories[] = {
	{"available: below", "{\"available_below\": \"8%\"}", "/", {{5, HOST("79Mi"), T}}},
	{"available: at the threshold is not below",
	 "{\"available_below\": \"8%\"}",
	 "/",
	 {{5, HOST("80Mi"), F}}},
	{"available: the last byte below",
	 "{\"available_below\": \"80Mi\"}",
	 "/",
	 {{5, HOST("83886079"), T}}},
	{"available: bytes", "{\"available_below\": \"80Mi\"}", "/", {{5, HOST("80Mi"), F}}},
	{"available: unknown", "{\"available_below\": \"8%\"}", "/", {{5, "/a", U}}},
	{"available: bytes need no limit, but here it is what is left of one",
	 "{\"available_below\": \"8Mi\"}",
	 "/a",
	 {{5, "/a anon=5Mi", U}}},
	{"available of a cgroup",
	 "{\"available_below\": \"20%\"}",
	 "/a",
	 {{5, "/a max=10Mi anon=9Mi", T}, {6, "/a max=10Mi anon=8Mi", F}}},
	{"swap: below",
	 "{\"swap_free_below\": \"10%\"}",
	 "/",
	 {{5, "host swap_total=100Mi swap_free=9Mi", T}}},
	{"swap: at the threshold",
	 "{\"swap_free_below\": \"10%\"}",
	 "/",
	 {{5, "host swap_total=100Mi swap_free=10Mi", F}}},
	{"swap: none at all is none left, by share",
	 "{\"swap_free_below\": \"10%\"}",
	 "/",
	 {{5, "host swap_total=0 swap_free=0", T}}},
	{"swap: and by bytes",
	 "{\"swap_free_below\": \"10Mi\"}",
	 "/",
	 {{5, "host swap_total=0 swap_free=0", T}}},
	{"swap: none for this cgroup",
	 "{\"swap_free_below\": \"1%\"}",
	 "/a",
	 {{5, "/a swap=0 swap_max=0", T}}},
	{"swap: unknown", "{\"swap_free_below\": \"10%\"}", "/", {{5, "/a", U}}},
	{"usage: at the threshold is above",
	 "{\"usage_above\": \"90%\"}",
	 "/a",
	 {{5, "/a max=100Mi current=90Mi", T}, {6, "/a max=100Mi current=94371839", F}}},
	{"usage: bytes need no limit",
	 "{\"usage_above\": \"90Mi\"}",
	 "/a",
	 {{5, "/a current=90Mi", T}, {6, "/a current=89Mi", F}}},
	{"usage: a share needs one",
	 "{\"usage_above\": \"90%\"}",
	 "/a",
	 {{5, "/a current=90Mi", U}}},
	{"usage: all of it",
	 "{\"usage_above\": \"100%\"}",
	 "/a",
	 {{5, "/a max=100Mi current=100Mi", T}}},
	{"usage of the host counts its cache",
	 "{\"usage_above\": \"99%\"}",
	 "/",
	 {{5, HOST("900Mi"), T}}},
	{"unreclaimable leaves the page cache out",
	 "{\"unreclaimable_above\": \"90%\"}",
	 "/a",
	 {{5, "/a max=100Mi current=100Mi anon=20Mi file=80Mi", F},
	  {6, "/a max=100Mi current=100Mi anon=80Mi kernel=10Mi", T}}},
	{"unreclaimable: unknown without memory.stat",
	 "{\"unreclaimable_above\": \"90%\"}",
	 "/a",
	 {{5, "/a max=100Mi current=100Mi", U}}},
	{"unreclaimable of the host",
	 "{\"unreclaimable_above\": \"90%\"}",
	 "/",
	 {{5, HOST("100Mi"), T}, {6, HOST("101Mi"), F}}},
	{"headroom",
	 "{\"headroom_below\": \"10Mi\"}",
	 "/a",
	 {{5, "/a max=100Mi current=91Mi", T},
	  {6, "/a max=100Mi current=90Mi", F},
	  {7, "/a max=100Mi current=101Mi", T},
	  {8, "/a current=101Mi", U},
	  {9, "/a max=100Mi", U}}},
	{"headroom: a share of the limit",
	 "{\"headroom_below\": \"10%\"}",
	 "/a",
	 {{5, "/a max=100Mi current=91Mi", T}, {6, "/a max=100Mi current=90Mi", F}}},
	{"a limit of nothing",
	 "{\"unreclaimable_above\": \"90%\"}",
	 "/a",
	 {{5, "/a max=0 anon=1Mi", T}}},
};

static const struct story for_stories[] = {
	{"for: true only after so long without a break",
	 "{\"available_below\": \"8%\", \"for\": \"2s\"}",
	 "/",
	 {{1000, HOST("9Mi"), F},
	  {2000, NULL, F},
	  {2999, NULL, F},
	  {3000, NULL, T},
	  {9000, NULL, T}}},
	{"for: a break begins anew",
	 "{\"available_below\": \"8%\", \"for\": \"2s\"}",
	 "/",
	 {{1000, HOST("9Mi"), F},
	  {2000, HOST("99Mi"), F},
	  {3500, HOST("9Mi"), F},
	  {5499, NULL, F},
	  {5500, NULL, T}}},
	{"for: the unknown is a break too",
	 "{\"available_below\": \"8%\", \"for\": \"2s\"}",
	 "/",
	 {{1000, HOST("9Mi"), F}, {2000, "/a", U}, {3500, HOST("9Mi"), F}, {5500, NULL, T}}},
	{"for: on all",
	 "{\"all\": [{\"available_below\": \"8%\"}], \"for\": \"1s\"}",
	 "/",
	 {{1000, HOST("9Mi"), F}, {2000, NULL, T}}},
	{"for: on not",
	 "{\"not\": {\"available_below\": \"8%\"}, \"for\": \"1s\"}",
	 "/",
	 {{1000, HOST("99Mi"), F},
	  {2000, NULL, T},
	  {2001, HOST("9Mi"), F},
	  {2500, HOST("99Mi"), F}}},
	{"for: from the very first microsecond",
	 "{\"available_below\": \"8%\", \"for\": \"1500us\"}",
	 "/",
	 {{0, HOST("9Mi"), F}, {1, NULL, F}, {2, NULL, T}}},
	{"for: on a forecast",
	 "{\"time_to_limit_below\": \"1s\", \"for\": \"50ms\"}",
	 "/a",
	 {{1000, "/a max=100Mi anon=10Mi", U},
	  {1100, "/a max=100Mi anon=50Mi", F},
	  {1150, "/a max=100Mi anon=70Mi", T}}},
};

#define ANY3                                                                                       \
	"{\"any\": [{\"available_below\": \"8%\"}, {\"usage_above\": \"99.99%\"}, "                \
	"{\"swap_free_below\": \"1%\"}]}"
#define ALL3                                                                                       \
	"{\"all\": [{\"available_below\": \"8%\"}, {\"usage_above\": \"50%\"}, "                   \
	"{\"swap_free_below\": \"50%\"}]}"
#define MEM(available, free) "host total=1000Mi available=" available " free=" free
#define SWAP(free)	     " swap_total=100Mi swap_free=" free

static const struct story logic_stories[] = {
	{"any: one is enough", ANY3, "/", {{5, MEM("9Mi", "9Mi") SWAP("99Mi"), T}}},
	{"any: also with an unknown beside", ANY3, "/", {{5, MEM("9Mi", "9Mi"), T}}},
	{"any: none and one unknown is unknown", ANY3, "/", {{5, MEM("99Mi", "9Mi"), U}}},
	{"any: none", ANY3, "/", {{5, MEM("99Mi", "9Mi") SWAP("99Mi"), F}}},
	{"all: every one", ALL3, "/", {{5, MEM("9Mi", "9Mi") SWAP("9Mi"), T}}},
	{"all: one is not", ALL3, "/", {{5, MEM("9Mi", "9Mi") SWAP("99Mi"), F}}},
	{"all: one is not, with an unknown beside", ALL3, "/", {{5, MEM("99Mi", "9Mi"), F}}},
	{"all: one unknown", ALL3, "/", {{5, MEM("9Mi", "9Mi"), U}}},
	{"not: turns around",
	 "{\"not\": {\"available_below\": \"8%\"}}",
	 "/",
	 {{5, HOST("9Mi"), F}, {6, HOST("99Mi"), T}}},
	{"not: the unknown stays so",
	 "{\"not\": {\"available_below\": \"8%\"}}",
	 "/",
	 {{5, "/a", U}}},
	{"not of all with an unknown", "{\"not\": " ALL3 "}", "/", {{5, MEM("9Mi", "9Mi"), U}}},
	{"nested",
	 "{\"all\": [{\"not\": {\"any\": [{\"usage_above\": \"5Mi\"}]}}, {\"headroom_below\": "
	 "\"9Mi\"}]}",
	 "/a",
	 {{5, "/a max=10Mi current=4Mi", T}, {6, "/a max=10Mi current=5Mi", F}}},
	{"what decides nothing is remembered all the same",
	 "{\"all\": [{\"available_below\": \"1%\"}, {\"available_below\": \"50%\", \"for\": "
	 "\"1s\"}]}",
	 "/",
	 {{1000, HOST("99Mi"), F}, {2500, HOST("9Mi"), T}}},
};

TEST(amounts_are_compared_at_their_edge)
{
	TELL(amount_stories);
}

TEST(a_condition_with_for_must_last)
{
	TELL(for_stories);
}

TEST(all_any_and_not_know_the_unknown)
{
	TELL(logic_stories);
}
