/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Incidents as entries of the journal, with fields and a MESSAGE_ID each, by its native protocol: one
 * datagram, no library. deploy/systemd/cgguard.catalog explains the ids, cgguard(8) the fields.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#define JOURNAL_SOCKET "/run/systemd/journal/socket"

/*
 * A socket for journal_send(), sending to path (NULL: JOURNAL_SOCKET). A negative errno where nobody
 * reads there.
 */
int journal_open(const char *path);

/*
 * A record of an incident, as the library reports it. Waits up to two seconds for a journal that is slow;
 * false: it was not taken. For a thread that may wait.
 */
bool journal_send(const char *record, size_t len);
