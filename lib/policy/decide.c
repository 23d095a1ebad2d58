/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Is a domain in danger? Conditions stand in pre-order, so going through them backwards meets every
 * part before the whole: no recursion, and each is looked at each time, because what it remembers
 * must go on. A comparison with "above" includes the threshold itself: it is the opposite of "below".
 */
#include "policy/decide.h"

#include "rank/number.h"

#include <string.h>

#define RATE_WINDOW_US	  1000000ULL /* pressure and growth, unless "for" says else */
#define GROWTH_MIN_AGE_US 50000ULL /* a rate over less is noise: charges come in batches */
#define TTL_MIN_AGE_US	  20000ULL
#define TTL_WINDOW_MIN_US 200000ULL
#define TTL_WINDOW_MAX_US 2000000ULL

/* ---- what a condition remembers ------------------------------------------------------- */

static unsigned int nth_newest(const struct policy_held_cond *held, unsigned int n)
{
	return (held->head + 2U * POLICY_RING - 1 - n) % POLICY_RING;
}

/* Samples of this very moment don't count, so that asking twice gives the same answer. */
static uint64_t age_of(const struct policy_held_cond *held, int at, uint64_t now_us)
{
	uint64_t time_us = held->ring[at].time_us;

	return now_us > time_us ? now_us - time_us : 0;
}

/* The newest sample that is at least so old (which is more than nothing); -1: none. */
static int newest_of_age(const struct policy_held_cond *held, uint64_t now_us, uint64_t age_us)
{
	for (unsigned int i = 0; i < held->n; i++) {
		int at = (int)nth_newest(held, i);
		uint64_t age = age_of(held, at, now_us);

		if (age >= age_us)
			return at;
	}
	return -1;
}

/* The oldest sample that is younger than so much; -1: none. */
static int oldest_within(const struct policy_held_cond *held, uint64_t now_us, uint64_t age_us)
{
	for (unsigned int i = held->n; i-- > 0;) {
		int at = (int)nth_newest(held, i);
		uint64_t age = age_of(held, at, now_us);

		if (age > 0 && age < age_us)
			return at;
	}
	return -1;
}

/* Spaced so that the ring always reaches back a whole window. */
static void remember(struct policy_held_cond *held, uint64_t now_us, uint64_t window_us,
		     uint64_t value)
{
	if (held->n > 0) {
		uint64_t age = age_of(held, (int)nth_newest(held, 0), now_us);

		if (age == 0 || age < window_us / (POLICY_RING - 2))
			return;
	}
	held->ring[held->head].time_us = now_us;
	held->ring[held->head].value = value;
	held->head = (uint8_t)((held->head + 1) % POLICY_RING);
	if (held->n < POLICY_RING)
		held->n++;
}

/* A counter that is less than it was belongs to another cgroup of this name: begin anew. */
static void check_counter(struct policy_held_cond *held, uint64_t value)
{
	if (held->n > 0 && value < held->ring[nth_newest(held, 0)].value)
		held->n = held->head = 0;
}

/* ---- single conditions ---------------------------------------------------------------- */

struct look {
	const struct policy_numbers *numbers;
	uint64_t now_us;
};

static bool knows(const struct look *look, enum policy_number which)
{
	return look->numbers->known & (1U << which);
}

static void see(struct policy_reading *reading, int64_t value, int64_t threshold, bool is_true)
{
	reading->known = true;
	reading->value = value;
	reading->threshold = threshold;
	reading->truth = is_true ? POLICY_TRUE : POLICY_FALSE;
}

/* Where an amount of each condition comes from, and what its share is of. */
static const struct amount_source {
	enum policy_number value, whole;
	bool below;
} amount_sources[POLICY_COND_MAX] = {
	[POLICY_AVAILABLE_BELOW] = {POLICY_N_AVAILABLE, POLICY_N_LIMIT, true},
	[POLICY_SWAP_FREE_BELOW] = {POLICY_N_SWAP_FREE, POLICY_N_SWAP_TOTAL, true},
	[POLICY_USAGE_ABOVE] = {POLICY_N_USAGE, POLICY_N_LIMIT, false},
	[POLICY_UNRECLAIMABLE_ABOVE] = {POLICY_N_UNRECLAIMABLE, POLICY_N_LIMIT, false},
	[POLICY_HEADROOM_BELOW] = {POLICY_N_USAGE, POLICY_N_LIMIT, true},
};

/*
 * A host without any swap has none left to help, which is what swap_free_below asks: 0 of 0 is 0, and
 * so below every threshold.
 */
static void eval_amount(const struct policy_cond *cond, const struct look *look,
			struct policy_reading *reading)
{
	const struct amount_source *source = &amount_sources[cond->kind];
	const uint64_t *n = look->numbers->n;
	uint64_t value = n[source->value], whole = n[source->whole];
	bool needs_whole = cond->amount.is_share || cond->kind == POLICY_HEADROOM_BELOW;
	int64_t seen, threshold;

	if (!knows(look, source->value) || (needs_whole && !knows(look, source->whole)))
		return;
	if (cond->kind == POLICY_HEADROOM_BELOW)
		value = whole > value ? whole - value : 0;
	seen = number_clamp(value);
	threshold = number_clamp(cond->amount.bytes);
	if (cond->amount.is_share) {
		/* exact: of whole numbers, the quotient rounded down is below a number if and only
		 * if the quotient is */
		seen = number_clamp(number_permyriad(value, whole));
		threshold = cond->amount.share_permyriad;
	}
	see(reading, seen, threshold, source->below ? seen < threshold : seen >= threshold);
}

static uint64_t window_or(uint64_t window_us, uint64_t otherwise)
{
	return window_us > 0 ? window_us : otherwise;
}

/*
 * How much of the window was stalled. A sample within the window can only tell too little; one of
 * about the window's age tells it; a much older one (we slept, nothing was near) tells the average
 * since: enough for a yes, and where it could hide a stall just now, not enough for a no.
 */
static void eval_pressure(const struct policy_cond *cond, const struct look *look,
			  struct policy_held_cond *held, struct policy_reading *reading)
{
	enum policy_number which = cond->full ? POLICY_N_FULL_TOTAL_US : POLICY_N_SOME_TOTAL_US;
	uint64_t window = window_or(cond->for_us, RATE_WINDOW_US);
	uint64_t total = look->numbers->n[which], share = 0;
	bool stale = false;
	int old, recent;

	if (!knows(look, which))
		return;
	check_counter(held, total);
	old = newest_of_age(held, look->now_us, window);
	recent = oldest_within(held, look->now_us, window);
	if (recent >= 0)
		share = number_permyriad(total - held->ring[recent].value, window);
	if (old >= 0) {
		uint64_t age = age_of(held, old, look->now_us);
		uint64_t delta = total - held->ring[old].value, of;

		stale = age > window + window / 2;
		of = number_permyriad(delta, stale ? age : window);
		share = of > share ? of : share;
		stale = stale && number_permyriad(delta, window) >= cond->share_permyriad;
	}
	remember(held, look->now_us, window, total);
	if (old < 0 && recent < 0)
		return;
	see(reading, share > 10000 ? 10000 : (int64_t)share, cond->share_permyriad,
	    share >= cond->share_permyriad);
	if (stale && reading->truth == POLICY_FALSE)
		reading->truth = POLICY_UNKNOWN;
}

struct change {
	uint64_t us;
	int64_t bytes;
};

/* The change over about a window; false: too little is known of the past. */
static bool change_over(struct policy_held_cond *held, const struct look *look, uint64_t window,
			uint64_t min_age, uint64_t value, struct change *ret)
{
	int base = newest_of_age(held, look->now_us, window);

	if (base < 0 || age_of(held, base, look->now_us) > 2 * window) {
		int recent = oldest_within(held, look->now_us, window);

		if (recent >= 0 && age_of(held, recent, look->now_us) >= min_age)
			base = recent;
	}
	if (base >= 0) {
		ret->us = age_of(held, base, look->now_us);
		ret->bytes = number_clamp(value) - number_clamp(held->ring[base].value);
	}
	remember(held, look->now_us, window, value);
	return base >= 0;
}

static int64_t per_second(const struct change *change)
{
	uint64_t size = (uint64_t)(change->bytes < 0 ? -change->bytes : change->bytes);
	int64_t rate = number_clamp(number_mul_div(size, 1000000, change->us));

	return change->bytes < 0 ? -rate : rate;
}

static void eval_growth(const struct policy_cond *cond, const struct look *look,
			struct policy_held_cond *held, struct policy_reading *reading)
{
	const uint64_t *n = look->numbers->n;
	uint64_t bytes = cond->amount.bytes;
	struct change change;
	int64_t rate;

	if (!knows(look, POLICY_N_USAGE))
		return;
	if (!change_over(held, look, window_or(cond->for_us, RATE_WINDOW_US), GROWTH_MIN_AGE_US,
			 n[POLICY_N_USAGE], &change))
		return;
	if (cond->amount.is_share) {
		if (!knows(look, POLICY_N_LIMIT))
			return;
		bytes = number_mul_div(n[POLICY_N_LIMIT], cond->amount.share_permyriad, 10000);
	}
	rate = per_second(&change);
	see(reading, rate, number_clamp(bytes), rate >= number_clamp(bytes));
}

static void eval_time_to_limit(const struct policy_cond *cond, const struct look *look,
			       struct policy_held_cond *held, struct policy_reading *reading)
{
	const uint64_t *n = look->numbers->n;
	uint64_t window = cond->time_us, room, left = UINT64_MAX;
	struct change change;

	if (window < TTL_WINDOW_MIN_US)
		window = TTL_WINDOW_MIN_US;
	if (window > TTL_WINDOW_MAX_US)
		window = TTL_WINDOW_MAX_US;
	if (!knows(look, POLICY_N_UNRECLAIMABLE))
		return;
	if (!change_over(held, look, window, TTL_MIN_AGE_US, n[POLICY_N_UNRECLAIMABLE], &change))
		return;
	if (!knows(look, POLICY_N_LIMIT))
		return;
	room = n[POLICY_N_LIMIT] > n[POLICY_N_UNRECLAIMABLE]
		       ? n[POLICY_N_LIMIT] - n[POLICY_N_UNRECLAIMABLE]
		       : 0;
	if (change.bytes > 0)
		left = number_mul_div(room, change.us, (uint64_t)change.bytes);
	see(reading, number_clamp(left), number_clamp(cond->time_us), left < cond->time_us);
}

/*
 * Events wake us, so what was counted since the last sample happened just now, even where that
 * sample is older than the window.
 */
static void eval_events(const struct policy_cond *cond, const struct look *look,
			struct policy_held_cond *held, struct policy_reading *reading)
{
	enum policy_number which =
		(enum policy_number)(POLICY_N_EVENT_HIGH + (unsigned int)cond->event);
	uint64_t count = look->numbers->n[which];
	int base;

	if (!knows(look, which))
		return;
	check_counter(held, count);
	base = newest_of_age(held, look->now_us, cond->window_us);
	if (base < 0)
		base = oldest_within(held, look->now_us, cond->window_us);
	if (base >= 0) {
		uint64_t more = count - held->ring[base].value;

		see(reading, number_clamp(more), number_clamp(cond->count), more >= cond->count);
	}
	remember(held, look->now_us, cond->window_us, count);
}

/* ---- the whole ------------------------------------------------------------------------ */

static enum policy_truth combine(const struct policy_cond *cond, uint8_t at,
				 const struct policy_rule *rule,
				 const struct policy_reading *reading)
{
	enum policy_truth decisive = cond->kind == POLICY_ANY ? POLICY_TRUE : POLICY_FALSE;
	enum policy_truth otherwise = cond->kind == POLICY_ANY ? POLICY_FALSE : POLICY_TRUE;

	for (unsigned int i = at + 1U; i < cond->end; i = rule->cond[i].end) {
		if (reading[i].truth == decisive)
			return decisive;
		if (reading[i].truth == POLICY_UNKNOWN)
			otherwise = POLICY_UNKNOWN;
	}
	return otherwise;
}

static enum policy_truth negate(enum policy_truth truth)
{
	if (truth == POLICY_UNKNOWN)
		return POLICY_UNKNOWN;
	return truth == POLICY_TRUE ? POLICY_FALSE : POLICY_TRUE;
}

static void eval(const struct policy_rule *rule, uint8_t at, const struct look *look,
		 struct policy_held_cond *held, struct policy_reading *reading)
{
	const struct policy_cond *cond = &rule->cond[at];
	struct policy_reading *ret = &reading[at];

	switch (cond->kind) {
	case POLICY_ALL:
	case POLICY_ANY:
		ret->truth = combine(cond, at, rule, reading);
		ret->known = ret->truth != POLICY_UNKNOWN;
		break;
	case POLICY_NOT:
		ret->truth = negate(reading[at + 1].truth);
		ret->known = ret->truth != POLICY_UNKNOWN;
		break;
	case POLICY_PRESSURE_ABOVE:
		eval_pressure(cond, look, held, ret);
		break;
	case POLICY_GROWTH_ABOVE:
		eval_growth(cond, look, held, ret);
		break;
	case POLICY_TIME_TO_LIMIT_BELOW:
		eval_time_to_limit(cond, look, held, ret);
		break;
	case POLICY_EVENTS_ABOVE:
		eval_events(cond, look, held, ret);
		break;
	default:
		eval_amount(cond, look, ret);
	}
}

/* "for": true only once it has been true for so long. */
static void hold(const struct policy_cond *cond, uint64_t now_us, struct policy_held_cond *held,
		 struct policy_reading *reading)
{
	bool is_window = cond->kind == POLICY_PRESSURE_ABOVE || cond->kind == POLICY_GROWTH_ABOVE;

	if (reading->truth != POLICY_TRUE) {
		held->since_us = 0;
		return;
	}
	if (held->since_us == 0)
		held->since_us = now_us > 0 ? now_us : 1;
	reading->held_us = now_us > held->since_us ? now_us - held->since_us : 0;
	if (!is_window && reading->held_us < cond->for_us)
		reading->truth = POLICY_FALSE;
}

enum policy_truth policy_holds(const struct policy_rule *rule, const struct cgg_snapshot *snap,
			       uint32_t domain, struct policy_held *held, uint64_t now_us,
			       struct policy_reading *reading)
{
	struct policy_numbers numbers;
	struct look look = {.numbers = &numbers, .now_us = now_us};

	if (rule->nconds == 0)
		return POLICY_UNKNOWN;
	policy_measure(snap, domain, &numbers);
	for (uint8_t i = rule->nconds; i-- > 0;) {
		reading[i] = (struct policy_reading){.truth = POLICY_UNKNOWN};
		eval(rule, i, &look, &held->cond[i], reading);
		hold(&rule->cond[i], now_us, &held->cond[i], &reading[i]);
	}
	return reading[0].truth;
}

void policy_unseen(struct policy_held *held, uint64_t us, uint64_t now_us)
{
	for (size_t i = 0; i < POLICY_CONDS_MAX; i++) {
		uint64_t *since = &held->cond[i].since_us;

		if (*since != 0)
			*since = *since + us < now_us ? *since + us : now_us;
	}
}

void policy_forget(struct policy_held *held)
{
	memset(held, 0, sizeof(*held));
}

bool policy_swap_is_short(const struct policy_rule *rule, const struct cgg_snapshot *snap,
			  uint32_t domain)
{
	struct policy_numbers numbers;
	const struct look look = {.numbers = &numbers};
	bool is_short = false;

	policy_measure(snap, domain, &numbers);
	for (uint8_t i = 0; i < rule->nconds; i++) {
		struct policy_reading reading = {0};

		if (rule->cond[i].kind == POLICY_SWAP_FREE_BELOW)
			eval_amount(&rule->cond[i], &look, &reading);
		is_short |= reading.truth == POLICY_TRUE;
	}
	return is_short;
}
