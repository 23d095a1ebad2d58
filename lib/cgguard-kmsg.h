/* SPDX-License-Identifier: Apache-2.0 */
/* A guard that reads the kernel's log: a part of cgguard.h, which includes it. */
#ifndef CGGUARD_KMSG_H
#define CGGUARD_KMSG_H

#ifdef __cplusplus
extern "C" {
#endif

struct cgg_error;
struct cgg_guard;

/*
 * Every OOM kill of the kernel below the guarded root becomes an incident. memory.events tells that there was
 * one, and how many died; the kernel's log tells who, also when the cgroup is gone by then. So give the guard
 * that log: fd is /dev/kmsg, open to read and O_NONBLOCK, and taken over, also on failure; what is in it so
 * far is passed over. It is read by a thread that is started here, with no more priority than anybody's. fd
 * -1 says that it can't be had, and why: why is what status tells of it, after "the kernel's log can't be
 * read". Without a call of this, memory.events is all there is, and nothing is told of that.
 * Once, after cgg_guard_open(). Errors: -EINVAL no kmsg, or a second time; -EAGAIN no thread; -EMFILE. The
 * guard goes on without it then, as status tells. Since 0.1.
 */
int cgg_guard_read_kmsg(struct cgg_guard *guard, int fd, const char *why, struct cgg_error *err);

#ifdef __cplusplus
}
#endif
#endif
