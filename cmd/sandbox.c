/* SPDX-License-Identifier: Apache-2.0 */
/* Drop capabilities, restrict files by Landlock and system calls by seccomp. */
#include "sandbox.h"

#include <errno.h>
#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <linux/securebits.h>
#include <mntent.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#if __SIZEOF_POINTER__ == 8
#include "sandbox-filter.h" /* printed by sandbox-calls.c at build time */
#endif

#define FILTER_MAX 512
#define LEN(array) (sizeof(array) / sizeof((array)[0]))

#define BIT(cap)   (1U << (cap)) /* all that are kept are among the first 32 */
#define NO_ROOT	   (SECBIT_NOROOT | SECBIT_NOROOT_LOCKED)
#define NO_SETUID  (SECBIT_NO_SETUID_FIXUP | SECBIT_NO_SETUID_FIXUP_LOCKED)

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
static int keep_capabilities(uint32_t keep, bool pass_on)
{
	struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct data[2] = {{0}};

	if (syscall(SYS_capget, &header, data) < 0)
		return -errno;
	keep &= data[0].permitted;
	if (data[0].effective & BIT(CAP_SETPCAP)) {
		/* who is root has no power by that, in a program that is executed either */
		if (prctl(PR_SET_SECUREBITS, NO_ROOT | NO_SETUID, 0, 0, 0) < 0)
			return -errno;
		for (unsigned long cap = 0; prctl(PR_CAPBSET_READ, cap, 0, 0, 0) >= 0; cap++) {
			if (prctl(PR_CAPBSET_DROP, cap, 0, 0, 0) < 0)
				return -errno;
		}
	}
	/* nothing inheritable is nothing ambient: none is passed on to a program */
	data[0] = (struct __user_cap_data_struct){
		.effective = keep, .permitted = keep, .inheritable = pass_on ? keep : 0};
	data[1] = (struct __user_cap_data_struct){0};
	if (syscall(SYS_capset, &header, data) < 0)
		return -errno;
	for (unsigned long cap = 0; pass_on && cap < 32; cap++) {
		if (keep & BIT(cap) && prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, cap, 0, 0) < 0)
			return -errno;
	}
	return 0;
}

/* Give up one capability that keep_capabilities() kept. */
static void drop(unsigned int cap, const char *name, sandbox_notice_fn notice, void *user)
{
	struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct data[2] = {{0}};
	long r = syscall(SYS_capget, &header, data);

	data[0].effective &= ~BIT(cap);
	data[0].permitted &= ~BIT(cap);
	if (r < 0 || syscall(SYS_capset, &header, data) < 0)
		tell(notice, user, "cannot drop %s: going on with it", name);
}

void sandbox_without_xattrs(sandbox_notice_fn notice, void *user)
{
	drop(CAP_SYS_ADMIN, "CAP_SYS_ADMIN", notice, user);
}

void sandbox_begin(const struct sandbox_paths *paths, sandbox_notice_fn notice, void *user)
{
	int r = keep_capabilities(BIT(CAP_KILL) | BIT(CAP_DAC_OVERRIDE) | BIT(CAP_SYS_RESOURCE) |
					  BIT(CAP_SYS_NICE) | BIT(CAP_IPC_LOCK) |
					  BIT(CAP_SYS_PTRACE) |
					  (paths->xattrs ? BIT(CAP_SYS_ADMIN) : 0),
				  false);

	if (r < 0)
		tell(notice, user, "cannot drop capabilities: %s; going on with what we have",
		     strerror(-r));
	/* Not PR_SET_DUMPABLE 0: nothing in here is secret, and a core says who made a forbidden call. */
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		tell(notice, user, "cannot set no_new_privs: %s; going on without",
		     strerror(errno));
	if (proc_is_hidden()) { /* users name their mounts: read when most powers are given up */
		tell(notice, user,
		     "/proc is mounted with hidepid, and Landlock would hide the processes that "
		     "are guarded: going on without it, and with CAP_SYS_PTRACE, which can write "
		     "any "
		     "process's memory");
		return;
	}
	drop(CAP_SYS_PTRACE, "CAP_SYS_PTRACE", notice, user);
	r = sandbox_files(paths);
	if (r < 0)
		tell(notice, user,
		     "files can't be confined by Landlock (%s): going on with the rest of the "
		     "sandbox; boot with lsm=landlock,... to have it",
		     r == -ENOSYS	? "this kernel has none"
		     : r == -EOPNOTSUPP ? "it is off"
					: strerror(-r));
}

void sandbox_keeper(void)
{
	/* root's files are anybody's who is root; another user has been given this one to read them */
	(void)keep_capabilities(geteuid() == 0 ? 0 : BIT(CAP_DAC_OVERRIDE), true);
	(void)prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
}

/* The filter is copied: its instruction `self` compares with the process id. 0, or a negative errno. */
static int load_filter(const struct sock_filter *of, size_t n, size_t self)
{
	struct sock_filter filter[FILTER_MAX];
	struct sock_fprog program = {.len = (unsigned short)n, .filter = filter};
	long r;

	if (n > FILTER_MAX)
		return -E2BIG;
	memcpy(filter, of, n * sizeof(*of));
	filter[self].k = (uint32_t)getpid();
	/* it runs nobody's code: before 5.16 a filter without SPEC_ALLOW slowed the process down */
	r = syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER,
		    SECCOMP_FILTER_FLAG_TSYNC | SECCOMP_FILTER_FLAG_SPEC_ALLOW, &program);
	if (r > 0) /* the thread that could not be confined */
		return -ESRCH;
	return r < 0 ? -errno : 0;
}

void sandbox_seal(sandbox_notice_fn notice, void *user)
{
#ifdef SANDBOX_GUARD_SELF
	int r = load_filter(sandbox_guard_calls, LEN(sandbox_guard_calls), SANDBOX_GUARD_SELF);
#else
	int r = -ENOTSUP; /* the lists are those of 64 bits */
#endif

	if (r < 0)
		tell(notice, user,
		     "system calls can't be limited by seccomp (%s): going on with the rest of the "
		     "sandbox",
		     strerror(-r));
}

void sandbox_reader(const char *const *policies, size_t n)
{
	(void)sandbox_policies(policies, n);
#ifdef SANDBOX_READER_SELF
	(void)load_filter(sandbox_reader_calls, LEN(sandbox_reader_calls), SANDBOX_READER_SELF);
#endif
}

void sandbox_front(const char *metrics_file)
{
	/* the directory of the file may be another user's */
	(void)keep_capabilities(metrics_file ? BIT(CAP_DAC_OVERRIDE) : 0, false);
	(void)prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
	(void)sandbox_metrics(metrics_file);
}

void sandbox_front_seal(bool tells_metrics)
{
#ifdef SANDBOX_FRONT_SELF
	if (tells_metrics)
		(void)load_filter(sandbox_metrics_calls, LEN(sandbox_metrics_calls),
				  SANDBOX_METRICS_SELF);
	else
		(void)load_filter(sandbox_front_calls, LEN(sandbox_front_calls),
				  SANDBOX_FRONT_SELF);
#else
	(void)tells_metrics;
#endif
}
