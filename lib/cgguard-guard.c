/* SPDX-License-Identifier: Apache-2.0 */
/* The names of the guard for the program cgguard; each is a door to the floor that does it. */
#include "cgguard-guard.h"

#include "cgfs/mount.h"
#include "cgfs/tree.h"
#include "engine/guard.h"
#include "engine/status.h"
#include "policy/blob.h"

int cgg_guard_find_tree(char *ret, size_t size, struct cgg_error *err)
{
	return cgfs_mount_find(ret, size, err);
}

int cgg_guard_open_tree(const char *root, struct cgg_tree **ret_tree, struct cgg_error *err)
{
	return tree_open(root, ret_tree, err);
}

int cgg_guard_open(struct cgg_tree *tree, const struct cgg_policy *policy,
		   const struct cgg_guard_options *options, struct cgg_guard **ret_guard,
		   struct cgg_error *err)
{
	return guard_open(tree, policy, options, ret_guard, err);
}

int cgg_guard_get_fd(const struct cgg_guard *guard)
{
	return guard->epoll_fd;
}

int cgg_guard_dispatch(struct cgg_guard *guard, struct cgg_error *err)
{
	return guard_dispatch(guard, err);
}

long cgg_guard_metrics(const struct cgg_guard *guard, uint64_t *position, char *buf, size_t size)
{
	return metrics_piece(guard, position, buf, size);
}

int cgg_guard_read_kmsg(struct cgg_guard *guard, int fd, const char *why, struct cgg_error *err)
{
	return kernel_read_log(guard, fd, why, err);
}

int cgg_guard_set_policy(struct cgg_guard *guard, const struct cgg_policy *policy,
			 struct cgg_error *err)
{
	(void)err;
	return guard_set_policy(guard, policy);
}

void cgg_guard_state(const struct cgg_guard *guard, bool *ret_busy, bool *ret_settled,
		     uint64_t *ret_incidents)
{
	guard_state(guard, ret_busy, ret_settled, ret_incidents);
}

long cgg_guard_status(const struct cgg_guard *guard, uint64_t *position, char *buf, size_t size)
{
	return status_piece(guard, position, buf, size);
}

struct cgg_guard *cgg_guard_close(struct cgg_guard *guard)
{
	return guard_close(guard);
}

int cgg_policy_pack(const struct cgg_policy *policy, void *bytes, size_t size, size_t *ret_size,
		    struct cgg_error *err)
{
	return blob_pack(policy, bytes, size, ret_size, err);
}

int cgg_policy_unpack(const void *bytes, size_t size, struct cgg_policy **ret_policy,
		      struct cgg_error *err)
{
	return blob_unpack(bytes, size, ret_policy, err);
}
