/* SPDX-License-Identifier: Apache-2.0 */
/* Drop capabilities, restrict files by Landlock and system calls by seccomp. */
#include "sandbox.h"

#include <cap-ng.h>
#include <errno.h>
#include <mntent.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>

#define CAPS 7

static void tell(sandbox_notice_fn notice, void *user, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

static void tell(sandbox_notice_fn notice, void *user, const char *fmt, ...)
{
	char text[512];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	notice(user, text);
}

/* Whether /proc shows other users' processes only to who may trace them. */
static bool proc_is_hidden(void)
{
	FILE *f = setmntent("/proc/self/mounts", "re");
	char buf[4096];
	struct mntent m;
	bool hidden = false;

	while (f && getmntent_r(f, &m, buf, sizeof(buf))) {
		if (strcmp(m.mnt_type, "proc") == 0 && strcmp(m.mnt_dir, "/proc") == 0)
			hidden = hasmntopt(&m, "hidepid") != NULL;
	}
	if (f)
		endmntent(f);
	return hidden;
}

/*
 * KILL: others' processes. DAC_OVERRIDE: the cgroups of a rootless container are its user's, and root is
 * just another without it. SYS_RESOURCE: stall triggers faster than 2 s, armed as cgroups come, and our
 * oom_score_adj. SYS_NICE: a victim that gets no CPU can't die. IPC_LOCK: what a reload maps is locked
 * too. None for process_mrelease, which asks for none. SYS_PTRACE is for a /proc with hidepid only, and
 * SYS_ADMIN for a policy that honours xattrs: without it trusted. ones are hidden, as if there were none.
 */
static int keep_capabilities(bool hidden, bool xattrs)
{
	static const unsigned int wanted[CAPS] = {CAP_KILL,	CAP_DAC_OVERRIDE, CAP_SYS_RESOURCE,
						  CAP_SYS_NICE, CAP_IPC_LOCK,	  CAP_SYS_PTRACE,
						  CAP_SYS_ADMIN};
	int set = CAPNG_SELECT_CAPS | CAPNG_SELECT_AMBIENT;
	bool has[CAPS], may_bound;

	if (capng_get_caps_process() < 0)
		return -ENOSYS;
	for (int i = 0; i < CAPS; i++)
		has[i] = capng_have_capability(CAPNG_PERMITTED, wanted[i]) &&
			 (wanted[i] != CAP_SYS_PTRACE || hidden) &&
			 (wanted[i] != CAP_SYS_ADMIN || xattrs);
	may_bound = capng_have_capability(CAPNG_EFFECTIVE, CAP_SETPCAP);
	/* no program is executed any more, but that is the next wall's to say: no root by uid 0 */
	if (may_bound && capng_lock() < 0)
		return -EPERM;
	capng_clear(CAPNG_SELECT_ALL);
	for (int i = 0; i < CAPS; i++) {
		if (has[i])
			capng_update(CAPNG_ADD, CAPNG_EFFECTIVE | CAPNG_PERMITTED, wanted[i]);
	}
	if (may_bound)
		set |= CAPNG_SELECT_BOUNDS;
	return capng_apply((capng_select_t)set) < 0 ? -EPERM : 0;
}

void sandbox_without_xattrs(sandbox_notice_fn notice, void *user)
{
	if (capng_get_caps_process() < 0 ||
	    capng_update(CAPNG_DROP, CAPNG_EFFECTIVE | CAPNG_PERMITTED, CAP_SYS_ADMIN) < 0 ||
	    capng_apply(CAPNG_SELECT_CAPS) < 0)
		tell(notice, user, "cannot drop CAP_SYS_ADMIN: going on with it");
}

void sandbox_begin(const struct sandbox_paths *paths, sandbox_notice_fn notice, void *user)
{
	bool hidden = proc_is_hidden();
	int r = keep_capabilities(hidden, paths->xattrs);

	if (r < 0)
		tell(notice, user, "cannot drop capabilities: %s; going on with what we have",
		     strerror(-r));
	/* Not PR_SET_DUMPABLE 0: nothing in here is secret, and a core says who made a forbidden call. */
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		tell(notice, user, "cannot set no_new_privs: %s; going on without",
		     strerror(errno));
	if (hidden) {
		tell(notice, user,
		     "/proc is mounted with hidepid, and Landlock would hide the processes that "
		     "are guarded: going on without it, and with CAP_SYS_PTRACE, which can write "
		     "any "
		     "process's memory");
		return;
	}
	r = sandbox_files(paths);
	if (r < 0)
		tell(notice, user,
		     "files can't be confined by Landlock (%s): going on with the rest of the "
		     "sandbox; boot with lsm=landlock,... to have it",
		     r == -ENOSYS	? "this kernel has none"
		     : r == -EOPNOTSUPP ? "it is off"
					: strerror(-r));
}
