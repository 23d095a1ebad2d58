/* SPDX-License-Identifier: Apache-2.0 */
/* Print the owner of a cgroup. */
#include "print-owner.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define SHORT_ID 12 /* characters of a container's id, as runtimes show it */

static void add(char *buf, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

static void add(char *buf, const char *fmt, ...)
{
	size_t len = strlen(buf);
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(buf + len, PRINT_OWNER_SIZE - len, fmt, ap);
	va_end(ap);
}

static void add_name(char *buf, const char *name)
{
	char shown[4 * CGG_OWNER_SIZE];

	cgg_path_printable(name, shown, sizeof(shown));
	add(buf, "%s", shown);
}

static void add_container(const struct cgg_owner *o, char *buf)
{
	/* an id is shown in short, a name whole */
	bool is_id = strspn(o->container, "0123456789abcdef") == strlen(o->container);

	add(buf, "%s%scontainer ", o->runtime, *o->runtime ? " " : "");
	if (is_id)
		add(buf, "%.*s", SHORT_ID, o->container);
	else
		add_name(buf, o->container);
	if (o->name[0]) {
		add(buf, " (");
		add_name(buf, o->name);
		add(buf, ")");
	}
}

static void add_pod(const struct cgg_owner *o, char *buf)
{
	add(buf, "pod ");
	if (o->pod_name[0] && o->pod_namespace[0]) {
		add_name(buf, o->pod_namespace);
		add(buf, "/");
	}
	add_name(buf, o->pod_name[0] ? o->pod_name : o->pod);
}

static void add_owner(const struct cgg_owner *o, bool units, char *buf)
{
	bool pod = o->pod[0] || o->pod_name[0];

	if (o->container[0])
		add_container(o, buf);
	if (pod && o->container[0])
		add(buf, " of ");
	if (pod)
		add_pod(o, buf);
	if (units && !pod && !o->container[0])
		add_name(buf, o->unit);
}

const char *print_owner(const struct cgg_owner *o, bool units, char buf[PRINT_OWNER_SIZE])
{
	struct cgg_owner inner;

	buf[0] = '\0';
	add_owner(o, units, buf);
	if (o->inside && cgg_owner_of(o->inside, &inner)) {
		add(buf, ", inside it ");
		add_owner(&inner, true, buf);
	}
	return buf;
}

struct cgg_owners *print_owners(const char *root)
{
	struct cgg_owners *owners;

	/* who is in a recorded tree is not who is here */
	if (root && strncmp(root, "/sys/fs/cgroup", 14) != 0)
		return NULL;
	return cgg_owners_open(NULL, root, false, &owners, NULL) == 0 ? owners : NULL;
}

/* ---- JSON ---------------------------------------------------------------------------- */

static const struct {
	const char *key;
	size_t offset;
} fields[] = {
	{"runtime", offsetof(struct cgg_owner, runtime)},
	{"container", offsetof(struct cgg_owner, container)},
	{"name", offsetof(struct cgg_owner, name)},
	{"image", offsetof(struct cgg_owner, image)},
	{"pod", offsetof(struct cgg_owner, pod)},
	{"pod_name", offsetof(struct cgg_owner, pod_name)},
	{"pod_namespace", offsetof(struct cgg_owner, pod_namespace)},
	{"unit", offsetof(struct cgg_owner, unit)},
};

static struct json_object *fields_json(const struct cgg_owner *o)
{
	struct json_object *all = json_object_new_object();

	for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++) {
		const char *value = (const char *)o + fields[i].offset;
		char shown[4 * CGG_OWNER_SIZE];

		if (!*value)
			continue;
		cgg_path_printable(value, shown, sizeof(shown));
		json_object_object_add(all, fields[i].key, json_object_new_string(shown));
	}
	return all;
}

struct json_object *print_owner_json(const struct cgg_owner *o)
{
	struct json_object *all;
	struct cgg_owner inner;

	if (!o->container[0] && !o->pod[0] && !o->unit[0])
		return NULL;
	all = fields_json(o);
	if (o->inside && cgg_owner_of(o->inside, &inner))
		json_object_object_add(all, "inside", fields_json(&inner));
	return all;
}

/* The texts of a record are printable already, and stay as they are. */
static void read_fields(const struct json_object *o, struct cgg_owner *ret)
{
	*ret = (struct cgg_owner){.inside = ""};
	for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++) {
		struct json_object *value;

		if (json_object_object_get_ex(o, fields[i].key, &value))
			snprintf((char *)ret + fields[i].offset, CGG_OWNER_SIZE, "%s",
				 json_object_get_string(value));
	}
}

const char *print_owner_of_json(const struct json_object *o, const char *key,
				char buf[PRINT_OWNER_SIZE])
{
	struct json_object *owner, *inside;
	struct cgg_owner one;

	buf[0] = '\0';
	if (!json_object_object_get_ex(o, key, &owner))
		return buf;
	read_fields(owner, &one);
	add_owner(&one, false, buf);
	if (json_object_object_get_ex(owner, "inside", &inside)) {
		read_fields(inside, &one);
		add(buf, ", inside it ");
		add_owner(&one, true, buf);
	}
	return buf;
}
