/* SPDX-License-Identifier: Apache-2.0 */
/* An action from its begin to its end, in the thread of the test. */
#pragma once

#include "act/action.h"
#include "util/clock.h"

#include <unistd.h>

static inline enum action_outcome kit_action_run(const struct kill_request *req,
						 const struct action_request *asked, bool cancelled,
						 struct action_result *ret)
{
	static struct action_scratch scratch;
	struct action a;

	action_begin(&a, req, asked, NULL);
	while (a.state != ACTION_IN_END) {
		uint64_t now = clock_now_us();

		if (action_is_due(&a, now))
			action_step(&a, &scratch);
		else
			usleep((useconds_t)(a.due_us - now));
		if (cancelled && a.state != ACTION_IN_CHECK)
			action_cancel(&a);
	}
	*ret = a.res;
	return a.res.outcome;
}
