/* SPDX-License-Identifier: Apache-2.0 */
/* Open the file, stdout or journal that takes the records of incidents. */
#include "records.h"

#include "cmd.h"
#include "journal.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static int open_journal(void)
{
	int r = journal_open(NULL);

	if (r == 0)
		return 0;
	return complain(EXIT_AGAIN,
			"--incidents journal: nobody reads at " JOURNAL_SOCKET
			": %s; is systemd-journald running? (a file of that name is ./journal)",
			strerror(-r));
}

static bool is_ours(const struct stat *st)
{
	return st->st_uid == 0 || st->st_uid == geteuid();
}

/*
 * It is opened with all of root's powers, in a directory that may be another user's: neither a link of theirs
 * leads us to a file of root's, nor does another name of one, nor a FIFO that nobody reads hold us up. A pipe
 * behind a link of ours is our own stdout, that a user's shell has made.
 */
static int open_file(const char *path, int *ret_fd)
{
	const char *why = NULL;
	struct stat link, st;
	int follow =
		lstat(path, &link) == 0 && S_ISLNK(link.st_mode) && is_ours(&link) ? 0 : O_NOFOLLOW;
	int fd = open(path,
		      O_WRONLY | O_APPEND | O_CREAT | O_NONBLOCK | O_NOCTTY | O_CLOEXEC | follow,
		      0640);
	int error = fd < 0 ? errno : 0;

	if (fd < 0)
		why = errno == ELOOP && follow ? "a link of another user"
		      : errno == ENXIO	       ? "nobody reads at this FIFO"
					       : strerror(errno);
	else if (fstat(fd, &st) < 0)
		why = strerror(errno);
	else if (!is_ours(&st) && (S_ISREG(st.st_mode) || (S_ISFIFO(st.st_mode) && follow)))
		why = "it is another user's";
	else if (S_ISREG(st.st_mode) && st.st_nlink > 1)
		why = "the file has another name as well";
	*ret_fd = fd;
	if (!why)
		return 0;
	if (fd >= 0)
		close(fd);
	*ret_fd = -1;
	return complain(exit_daemon(error ? -error : -EPERM, EXIT_INPUT),
			"cannot write incidents to '%s': %s", path, why);
}

int records_open(const char *where, int *ret_fd)
{
	*ret_fd = -1;
	if (where && strcmp(where, "journal") == 0)
		return open_journal();
	if (where)
		return open_file(where, ret_fd);
	*ret_fd = fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 3);
	if (*ret_fd < 0)
		return complain(exit_daemon(-errno, EXIT_MACHINE),
				"cannot write incidents to stdout: %s", strerror(errno));
	return 0;
}
