/* SPDX-License-Identifier: Apache-2.0 */
/* What the library tells of a rule in a domain, for eyes. */
#pragma once

#include <json-c/json.h>
#include <stdint.h>

/* The parts of an object; NULL, "" and 0 where there is none. */
struct json_object *look_get(const struct json_object *o, const char *key);
const char *look_str(const struct json_object *o, const char *key);
int64_t look_int(const struct json_object *o, const char *key);
size_t look_len(const struct json_object *o, const char *key);
struct json_object *look_at(const struct json_object *o, const char *key, size_t i);

/* Every condition, then the candidates; indented by so many spaces. */
void print_look(const struct json_object *look, int indent);

/* "protected by /x/..." and the like; "" for a group that may be acted on. */
const char *look_verdict(const struct json_object *group, char *buf, size_t size);

/* "kill the whole group" */
const char *look_action(const struct json_object *look, const char *scope, char *buf, size_t size);

/* The term of a key in the order, "?" where it is not known. */
const char *look_term(const struct json_object *group, const char *key, char *buf, size_t size);

/* "1.5s" */
const char *look_time(int64_t us, char *buf, size_t size);
