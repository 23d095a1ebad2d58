/* SPDX-License-Identifier: Apache-2.0 */
/* Share memory by sealed memory files. */
#include "shared.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define SEALS (F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW)

static void *map(int fd, size_t size, int flags)
{
	void *at = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | flags, fd, 0);

	return at == MAP_FAILED ? NULL : at;
}

int shared_make(const char *name, size_t size, void **ret)
{
	int fd = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING), r;

	*ret = NULL;
	if (fd < 0)
		return -errno;
	if (ftruncate(fd, (off_t)size) == 0 && fcntl(fd, F_ADD_SEALS, SEALS) == 0)
		*ret = map(fd, size, MAP_POPULATE);
	if (*ret)
		return fd;
	r = -errno;
	close(fd);
	return r;
}

void *shared_map(int fd, size_t size)
{
	int seals = fcntl(fd, F_GET_SEALS);
	struct stat st;

	if (seals < 0 || (seals & SEALS) != SEALS || fstat(fd, &st) < 0 ||
	    st.st_size != (off_t)size)
		return NULL;
	return map(fd, size, 0);
}
