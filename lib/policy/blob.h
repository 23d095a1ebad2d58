/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A policy as plain bytes, so that one process can read JSON and another one can act by it. Numbers and texts follow
 * one another, and each is read once and checked as it is read: there is no offset, pointer or gap that could be wrong.
 * A policy has exactly one blob, and a blob exactly one policy. Only the build that packed a blob can unpack it.
 */
#pragma once

#include "policy/keep.h"

#include "cgguard-guard.h"

#define BLOB_MAX                                                                                   \
	CGG_POLICY_PACKED_MAX /* bytes; what the largest policy file holds fits in several times */

/*
 * Write policy into bytes; NULL: only count them. What blob_unpack() would refuse is refused here. *ret_size is how
 * many there are. Allocates nothing. Errors: -EINVAL, -EFBIG more than size or BLOB_MAX.
 */
int blob_pack(const struct cgg_policy *policy, void *bytes, size_t size, size_t *ret_size,
	      struct cgg_error *err);

/*
 * The policy of bytes, which may be anybody's: it is one that the reader of policies could have made, or it is refused,
 * with what is wrong and where. Allocates the policy, which keeps nothing of bytes. Errors: -EINVAL, -ENOMEM.
 */
int blob_unpack(const void *bytes, size_t size, struct cgg_policy **ret, struct cgg_error *err);
