/* SPDX-License-Identifier: Apache-2.0 */
/* Policies as bytes, from a process that reads their files to one that acts by them: a part of cgguard.h, which includes it. */
#ifndef CGGUARD_COMPILED_H
#define CGGUARD_COMPILED_H

#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

struct cgg_error;
struct cgg_policy;

#define CGG_POLICY_PACKED_MAX (8U << 20) /* bytes of the largest packed policy */

/*
 * Pack a policy into bytes, a buffer of size bytes; NULL: only count. *ret_size is the number of bytes. A packed policy is
 * for cgg_policy_unpack() of the same build of the library. Allocates nothing. Errors: -EFBIG it is larger than size or
 * CGG_POLICY_PACKED_MAX. Since 0.1.
 */
int cgg_policy_pack(const struct cgg_policy *policy, void *bytes, size_t size, size_t *ret_size,
		    struct cgg_error *err);

/*
 * The policy that was packed. The bytes may come from an untrusted process: every number, name, path and glob is checked,
 * and a policy that cgg_policy_load() could not have made is refused. The policy keeps nothing of bytes, and is the
 * caller's: cgg_policy_free(). Errors: -EINVAL (err.msg says which byte), -ENOMEM. Since 0.1.
 */
int cgg_policy_unpack(const void *bytes, size_t size, struct cgg_policy **ret_policy,
		      struct cgg_error *err);

#ifdef __cplusplus
}
#endif
#endif
