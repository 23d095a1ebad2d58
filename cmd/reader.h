/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The reader: a process that parses the JSON of one policy, sends it packed in a sealed memfd, and ends. It has no capability,
 * and may open no file but those of the policy.
 */
#pragma once

#include "cgguard.h"

#include <fcntl.h>

#define READER_S     10 /* a reader that takes longer is ended */
#define READER_SEALS (F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE)

/* One packet for each policy that was asked for. With code 0 the memfd of the policy comes along. */
struct reader_answer {
	int code; /* 0 or a negative errno */
	uint8_t number; /* of the question */
	char msg[sizeof(((struct cgg_error *)0)->msg)];
};

/* Send an answer over a SOCK_SEQPACKET, with an fd or -1. 0 or a negative errno. */
int reader_send(int to, const struct reader_answer *answer, int fd);

/* The process. The last argument is the number of the question. Its exit status says whether it has answered. */
int reader_main(int argc, char **argv);
