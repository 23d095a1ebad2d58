/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What systemd, or whoever set NOTIFY_SOCKET, is told: sd_notify(3) without its library. One datagram
 * each, never waited for. Where nobody asked, all of it does nothing.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/un.h>

#define NOTIFY_OWED_MAX 4
#define NOTIFY_TEXT_MAX 512

struct notify {
	int fd; /* -1: nobody asked */
	struct sockaddr_un to;
	socklen_t to_len;
	uint64_t watchdog_us; /* between two signs of life; 0: nobody waits for any */
	uint64_t alive_us,
		retry_us; /* when the next is due, and when what is owed is tried again */
	char owed[NOTIFY_OWED_MAX][NOTIFY_TEXT_MAX]; /* found no room, in order */
	size_t nowed;
};

/*
 * As the environment says: NOTIFY_SOCKET, WATCHDOG_USEC and WATCHDOG_PID. 0, or a negative errno when
 * it says something that can't be done; n does nothing then.
 */
int notify_open(struct notify *n);
void notify_close(struct notify *n);

/* Assignments, one per line. When the receiver's queue is full it is tried again by notify_turn(). */
void notify_send(struct notify *n, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* "RELOADING=1" with the time that it has to carry. */
void notify_reloading(struct notify *n);

/* Do what is due; to be called at each turn of the loop. Milliseconds until the next, -1: none. */
int notify_turn(struct notify *n);
