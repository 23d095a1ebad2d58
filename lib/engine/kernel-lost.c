/* SPDX-License-Identifier: Apache-2.0 */
/*
 * In a storm the kernel reports ten OOMs in five seconds; of the others its log only says who died. The
 * counters say where. What was counted first the log tells first too, but its reader may be behind: so it is
 * waited for until there are as many names as deaths. One of each belong together; of more it is told in each
 * place that it was one of them.
 */
#include "engine/kernel.h"

/* A death of which the log does not say where it was. */
static bool is_lost(const struct kernel_kill *kill)
{
	return kill->used && kill->by_log && !kill->cgroup[0];
}

/* A place of which the log has not said who died there. */
static bool is_nameless(const struct kernel_kill *kill)
{
	return kill->used && !kill->by_log && kill->counted > 0;
}

/* All the lost in one. */
static uint32_t gather(struct guard_kernel *k, struct kernel_report *ret)
{
	*ret = (struct kernel_report){0};
	for (size_t i = 0; i < KERNEL_PENDING_MAX; i++) {
		const struct kernel_report *r = &k->pending[i].report;

		if (!is_lost(&k->pending[i]))
			continue;
		for (uint32_t n = 0; n < r->ndead && n < KERNEL_DEAD_MAX; n++) {
			if (ret->ndead < KERNEL_DEAD_MAX)
				ret->dead[ret->ndead] = r->dead[n];
			ret->ndead++;
		}
	}
	return ret->ndead;
}

/* Told already, by a place. */
static bool was_placed(struct guard_kernel *k, uint64_t now_us)
{
	for (size_t i = 0; i < KERNEL_TOLD_MAX; i++) {
		struct kernel_told *t = &k->told[i];

		if (kernel_is_fresh(t, now_us) && !t->by_log && t->counted > 0) {
			t->by_log = true;
			return true;
		}
	}
	return false;
}

/* Each place its names. */
static void name_all(struct guard_kernel *k, bool surely, uint64_t now_us)
{
	bool placed = false;

	for (size_t i = 0; i < KERNEL_PENDING_MAX; i++) {
		struct kernel_kill *p = &k->pending[i];

		if (!is_nameless(p))
			continue;
		p->by_log = placed = true;
		p->one_of = !surely;
		p->report = k->taken;
		p->due_us = now_us;
	}
	for (size_t i = 0; i < KERNEL_PENDING_MAX; i++) {
		struct kernel_kill *p = &k->pending[i];

		if (is_lost(p) && (placed || was_placed(k, now_us)))
			p->used = false;
		else if (is_lost(p))
			p->due_us = now_us;
	}
}

void lost_find(struct guard_kernel *k, uint64_t now_us)
{
	uint32_t deaths = 0, places = 0, names;
	uint64_t since_us = UINT64_MAX;
	bool due = false;

	for (size_t i = 0; i < KERNEL_PENDING_MAX; i++) {
		const struct kernel_kill *p = &k->pending[i];

		if (is_lost(p) && p->since_us < since_us)
			since_us = p->since_us;
		due |= (is_lost(p) || is_nameless(p)) && p->due_us <= now_us;
		places += is_nameless(p);
		deaths += is_nameless(p) ? p->counted : 0;
	}
	if (since_us == UINT64_MAX || !due)
		return;
	names = gather(k, &k->taken);
	if (deaths <= names || now_us >= since_us + KERNEL_LOG_WAIT_US) {
		name_all(k, places == 1 && names == deaths, now_us);
		return;
	}
	for (size_t i = 0; i < KERNEL_PENDING_MAX; i++) {
		struct kernel_kill *p = &k->pending[i];

		if ((is_lost(p) || is_nameless(p)) && p->due_us <= now_us)
			p->due_us = now_us + KERNEL_COUNT_WAIT_US;
	}
}
