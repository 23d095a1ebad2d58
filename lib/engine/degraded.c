/* SPDX-License-Identifier: Apache-2.0 */
/* Notices, and the features that the guard has to do without: a notice once, and status tells them. */
#include "engine/guard.h"

#include "cgfs/memory.h"
#include "util/fdio.h"
#include "util/path.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

void guard_notice(struct cgg_guard *g, const char *fmt, ...)
{
	char text[512];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	text_make_printable(text, sizeof(text)); /* a cgroup's name is any bytes */
	if (g->options.report)
		g->options.report(g->options.user, CGG_REPORT_NOTICE, text, strlen(text));
}

void guard_lacks(struct cgg_guard *g, enum guard_lack what, const char *fmt, ...)
{
	char *text = g->lack[what];
	va_list ap;

	if (text[0])
		return;
	g->nlacks++;
	va_start(ap, fmt);
	vsnprintf(text, GUARD_LACK_MAX, fmt, ap);
	va_end(ap);
	text_make_printable(text, GUARD_LACK_MAX);
	guard_notice(g, "%s", text);
}

void guard_has(struct cgg_guard *g, enum guard_lack what)
{
	g->nlacks += g->lack[what][0] != '\0';
	g->lack[what][0] = '\0';
}

bool guard_has_room(const struct cgg_guard *g)
{
	for (size_t i = 0; i < g->look.own.n; i++) {
		uint32_t index = view_find(&g->view, g->look.own.id[i]);
		CGG_AUTO_FD opened = -1;
		struct cgg_cgroup cg = {0};

		if (index != CGG_NONE &&
		    cgfs_read(tree_dir(g->view.tree, index, &opened),
			      CGG_HAVE_CURRENT | CGG_HAVE_MAX, &cg) == 0 &&
		    cg.have & CGG_HAVE_CURRENT && cg.have & CGG_HAVE_MAX &&
		    cg.max_bytes < cg.current_bytes + 2 * RESERVE_SIZE)
			return false;
	}
	return true;
}

void guard_is_short(struct cgg_guard *g, uint64_t now_us)
{
	reserve_give(&g->reserve, now_us);
	if (guard_has_room(g)) /* the kernel was short of the host's memory */
		return;
	guard_lacks(g, LACK_MEMORY,
		    "our own cgroup is at its memory limit: going on with what was held in reserve "
		    "(raise its memory.max)");
}
