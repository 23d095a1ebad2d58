/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A policy made of another guard's configuration, and the list of what could not be carried over. What
 * would make a rule true more often than it was there is never dropped in silence: such a rule only says
 * what it would do (dry_run).
 */
#pragma once

#include "cgguard.h"

#include <json-c/json.h>
#include <stdio.h>

#define IMPORT_TEXT  128
#define IMPORT_ITEMS 300 /* rules, and patterns of one: more than any policy may have */

struct import {
	const char *file; /* what is being read now, for the list */
	struct json_object *head; /* description, defaults */
	struct json_object *protect, *priorities, *rules, *lost;
	struct json_object
		*names; /* of the rules: each with the number that its next namesake may get */
};

struct import_rule {
	const char *name, *description;
	const char *where; /* a path, or a glob: then the rule is for each */
	struct json_object *when; /* taken over, like all objects here */
	struct json_object *include; /* NULL: everything */
	const char *unit;
	const char *rank[3];
	struct json_object *then;
	const char *cooldown;
	bool dry_run;
};

/* Each takes its file or files, fills im, and returns 0 or an exit code after complaining. */
int import_oomd(struct import *im, int nargs, char **args);
int import_systemd(struct import *im, int nargs, char **args);
int import_earlyoom(struct import *im, int nargs, char **args);
int import_nohang(struct import *im, int nargs, char **args);

/* import-unit.c: a path, or a glob where the name stands for many. False: it can't be told. slice may be
 * empty; user: of a user's own manager. */
bool import_unit_path(const char *name, const char *slice, bool user, char *buf, size_t size);

/* import.c */
void import_begin(struct import *im);
void import_end(struct import *im);

/* Holds for all rules: KEY of "defaults" is true. */
void import_default(struct import *im, const char *key);

/* what: the setting, as it is written there. nearest: what cgguard has instead, NULL for nothing. */
void import_lost(struct import *im, const char *what, const char *why, const char *nearest);

/* The name is made fit, and unique. */
void import_add(struct import *im, const struct import_rule *rule);

/* A whole text file of up to 1 MiB, to be freed; NULL after complaining. */
char *import_read(const char *path);

/* The next line of a text without its end, NULL after the last; *at moves on. */
char *import_line(char **at);

/* Without blanks at both ends. */
char *import_trim(char *text);

/* A whole number or a decimal, whole string. */
bool import_number(const char *text, double *ret);

const char *import_share(char buf[IMPORT_TEXT], double percent);
const char *import_bytes(char buf[IMPORT_TEXT], double bytes);
const char *import_time(char buf[IMPORT_TEXT], double seconds);

/* {"NAME": "TEXT"} */
struct json_object *import_cond(const char *name, const char *text);

/* {"pressure_above": {"full": SHARE, "for": TIME}} */
struct json_object *import_pressure(bool full, double percent, double seconds);

/* {"all": LIST}, or its only item. */
struct json_object *import_join(const char *how, struct json_object *list);

/* Adds {"action": ACTION, "scope": SCOPE, KEY: TIME}; what is NULL is left out. */
void import_step(struct json_object *then, const char *action, const char *scope, const char *key,
		 const char *time);

void import_put(struct json_object *object, const char *key, const char *text);
void import_push(struct json_object *array, const char *text);
