/* SPDX-License-Identifier: Apache-2.0 */
#include "records.h"

#include "cmd.h"
#include "journal.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
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

int records_open(const char *where, int *ret_fd)
{
	*ret_fd = -1;
	if (where && strcmp(where, "journal") == 0)
		return open_journal();
	*ret_fd = where ? open(where, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0640)
			: fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 3);
	if (*ret_fd < 0)
		return complain(exit_daemon(-errno, where ? EXIT_INPUT : EXIT_MACHINE),
				"cannot write incidents to '%s': %s", where ? where : "stdout",
				strerror(errno));
	return 0;
}

struct sink *records_sink(int fd)
{
	return fd < 0 ? sink_new_lines(journal_send) : sink_new(fd);
}
