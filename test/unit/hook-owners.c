/* SPDX-License-Identifier: Apache-2.0 */
/* Who is registered: found by the id or the path of a cgroup, at once, and for a while after its end. */
#include "kit/t.h"
#include "kit/tree.h"

#include "hook/owners.h"
#include "hook/record.h"

#include <errno.h>
#include <poll.h>
#include <sys/stat.h>

#define ID  "46b3e0a4df44b752b841aecca454e6e78995d567912a84950390bae6f6777a63"
#define UID "94eb36cd-29e1-478b-b365-4cb5dfc7d6fb"

static const char *dir;
static struct cgg_owners *owners;
static const char *root;

static const char *high = ""; /* what is set for who is added */

static void add(const char *id, const char *path, const char *name)
{
	struct state state = {.owner.inside = ""};
	struct place place = {.id = 7, .applied.id = *high ? 8 : 0};
	int fd = record_dir(dir, true);

	T_MUST(fd >= 0);
	snprintf(state.id, sizeof(state.id), "%s", id);
	snprintf(place.path, sizeof(place.path), "%s", path);
	snprintf(place.applied.set[1].value, PLACE_VALUE_MAX, "%s", high);
	snprintf(place.applied.set[1].before, PLACE_VALUE_MAX, "max");
	snprintf(state.owner.name, sizeof(state.owner.name), "%s", name);
	snprintf(state.owner.pod, sizeof(state.owner.pod), UID);
	snprintf(state.owner.pod_name, sizeof(state.owner.pod_name), "shop-0");
	T_MUST(record_write(fd, &state, &place) == 0);
	close(fd);
}

static void drop(const char *id)
{
	int fd = record_dir(dir, true);

	T_MUST(fd >= 0 && record_remove(fd, id) == 0);
	close(fd);
}

static void start(bool watch)
{
	static char path[512];

	if (!dir) {
		snprintf(path, sizeof(path), "%s/state", kit_tree("/x"));
		dir = path;
	}
	owners = cgg_owners_close(owners);
	T_MUST(cgg_owners_open(dir, root, watch, &owners, NULL) == 0);
}

/* All that has come; how many times there was something. */
static unsigned int catch_up(void)
{
	struct pollfd p = {.fd = cgg_owners_get_fd(owners), .events = POLLIN};
	unsigned int n = 0;

	while (poll(&p, 1, 0) == 1) {
		cgg_owners_dispatch(owners);
		n++;
	}
	return n;
}

static const char *name_of(const char *path)
{
	static struct cgg_owner o;

	cgg_owners_find(owners, path, &o);
	return o.name;
}

TEST(nobody_is_registered_where_there_is_no_directory)
{
	start(false);
	T_EQ_INT(cgg_owners_get_fd(owners), -1);
	T_EQ_STR(name_of("/docker/" ID), "");
	T_EQ_STR(name_of("/"), "");
}

TEST(who_was_registered_before_is_known_and_who_comes_later_at_once)
{
	struct cgg_owner o;

	start(true);
	add(ID, "/docker/" ID, "web");
	T_EQ_STR(name_of("/docker/" ID), "");
	T_ASSERT(catch_up() > 0);
	T_ASSERT(cgg_owners_find(owners, "/docker/" ID "/init", &o));
	T_EQ_STR(o.name, "web");
	T_EQ_STR(o.container, ID);
	T_EQ_STR(o.runtime, "docker");
	T_EQ_STR(o.pod, UID);
	T_EQ_STR(o.pod_name, "shop-0");
	T_EQ_STR(o.inside, "/init");
	start(true);
	T_EQ_STR(name_of("/docker/" ID), "web");
	start(false);
	T_EQ_STR(name_of("/docker/" ID), "web");
}

TEST(who_has_ended_is_known_for_a_while)
{
	start(true);
	drop(ID);
	T_ASSERT(catch_up() > 0);
	T_EQ_STR(name_of("/docker/" ID), "web");
	start(true);
	T_EQ_STR(name_of("/docker/" ID), "");
}

TEST(a_cgroup_of_any_name_is_found_by_its_path)
{
	struct cgg_owner o;

	start(true);
	add("mine", "/a b/c", "first");
	add("inner", "/a b/c/d", "second");
	add("pod", "/kubepods/pod" UID "/none", "third");
	T_ASSERT(catch_up() > 0);
	T_EQ_STR(name_of("/a b/c"), "first");
	T_EQ_STR(name_of("/a b/c/e/f"), "first");
	T_EQ_STR(name_of("/a b/c/d/e"), "second");
	T_EQ_STR(name_of("/a b/cc"), "");
	T_EQ_STR(name_of("/a b"), "");
	T_ASSERT(cgg_owners_find(owners, "/a b/c/e/f", &o));
	T_EQ_STR(o.container, "mine");
	T_EQ_STR(o.inside, "/e/f");
	T_ASSERT(cgg_owners_find(owners, "/kubepods/pod" UID, &o));
	T_EQ_STR(o.pod_name, "shop-0");
	T_EQ_STR(o.name, "");
	/* another one has taken its place */
	drop("mine");
	add("yours", "/a b/c", "new");
	T_ASSERT(catch_up() > 0);
	T_EQ_STR(name_of("/a b/c"), "new");
}

/* A guard of one slice: its paths begin there, what is registered begins at the top. */
TEST(a_cgroup_below_a_root_is_found_by_its_path_there)
{
	static const struct {
		const char *root, *path, *name, *inside;
	} rows[] = {
		{"/sys/fs/cgroup/a.slice", "/c", "below", ""},
		{"/sys/fs/cgroup/a.slice/", "/c/d/e", "below", "/d/e"},
		{"/sys/fs/cgroup/a.slice/c", "/", "below", ""},
		{"/sys/fs/cgroup/a.slice/c", "/d", "below", "/d"},
		{"/sys/fs/cgroup/a.slice/c/d", "/e", "below", "/e"},
		{"/sys/fs/cgroup/a.slice", "/", "", ""},
		{"/sys/fs/cgroup/b.slice", "/c", "", ""},
		{"/sys/fs/cgroup/a.slice", "/a.slice/c", "", ""},
		{"/sys/fs/cgroup/", "/a.slice/c", "below", ""},
		{"/sys/fs/cgroups", "/a.slice/c", "below", ""},
	};
	struct cgg_owner o;

	start(true);
	add("below", "/a.slice/c", "below");
	for (size_t i = 0; i < CGG_ARRAY_LEN(rows); i++) {
		T_ROW(rows[i].root);
		root = rows[i].root;
		start(false);
		cgg_owners_find(owners, rows[i].path, &o);
		T_EQ_STR(o.name, rows[i].name);
		T_EQ_STR(o.inside, rows[i].inside);
	}
	root = NULL;
	drop("below");
}

TEST(what_is_no_record_is_passed_over)
{
	static const char *const texts[] = {
		"",
		"{",
		"[]",
		"{\"container\":\"bad\"}",
		"{\"container\":\"other\",\"cgroup\":\"/bad\",\"cgroup_id\":1,\"name\":\"x\"}",
		"{\"container\":\"bad\",\"cgroup\":\"bad\",\"cgroup_id\":1,\"name\":\"x\"}",
		"{\"container\":\"bad\",\"cgroup\":\"/bad\",\"cgroup_id\":\"1\",\"name\":\"x\"}",
	};
	char from[600], to[600];
	FILE *f;

	start(true);
	for (size_t i = 0; i < CGG_ARRAY_LEN(texts); i++) {
		snprintf(from, sizeof(from), "%s/containers/.bad", dir);
		snprintf(to, sizeof(to), "%s/containers/bad.json", dir);
		f = fopen(from, "we");
		T_MUST(f && fputs(texts[i], f) >= 0 && fclose(f) == 0);
		T_MUST(rename(from, to) == 0);
		T_ROW(texts[i]);
		T_ASSERT(catch_up() > 0);
		T_EQ_STR(name_of("/bad"), "");
	}
	T_MUST(unlink(to) == 0);
}

/* A machine that has run longer than it has had containers at once. */
TEST(those_who_have_ended_make_room)
{
	char id[32], path[64];

	start(true);
	for (int i = 0; i < CGG_OWNERS_MAX + 40; i++) {
		snprintf(id, sizeof(id), "c%d", i);
		snprintf(path, sizeof(path), "/many/c%d", i);
		add(id, path, id);
		catch_up();
		if (i >= 20)
			drop(id);
	}
	catch_up();
	T_EQ_STR(name_of("/many/c0"), "c0");
	T_EQ_STR(name_of("/many/c19"), "c19");
	snprintf(path, sizeof(path), "/many/c%d", CGG_OWNERS_MAX + 39);
	T_EQ_STR(name_of(path), strrchr(path, '/') + 1);
	T_EQ_STR(name_of("/a b/c"), "new");
	owners = cgg_owners_close(owners);
}

static bool was_told(void)
{
	uint64_t count;

	return read(owners_told_fd(owners), &count, sizeof(count)) == (ssize_t)sizeof(count);
}

/* How many have values set, and the last one's memory.high. */
static uint32_t with_values(const char **ret_high)
{
	const struct place_applied *a;
	uint32_t n = 0;

	*ret_high = "";
	for (uint32_t i = 0; owners_applied(owners, i, &a); i++) {
		if (!a)
			continue;
		n++;
		*ret_high = a->set[1].value;
		T_EQ_INT((long long)a->id, 8);
		T_EQ_STR(a->set[1].before, "max");
		T_EQ_STR(a->set[0].value, "");
	}
	return n;
}

TEST(values_that_were_set_are_known_until_the_end_and_their_coming_is_told)
{
	const char *now;

	high = "";
	start(true);
	add("plain", "/plain", "p");
	catch_up();
	T_ASSERT(!was_told());
	T_EQ_INT(with_values(&now), 0);
	high = "4096";
	add("valued", "/valued", "v");
	catch_up();
	T_ASSERT(was_told());
	T_EQ_INT(with_values(&now), 1);
	T_EQ_STR(now, "4096");
	high = "8192";
	add("valued", "/valued", "v");
	catch_up();
	T_ASSERT(was_told());
	T_EQ_INT(with_values(&now), 1);
	T_EQ_STR(now, "8192");
	drop("valued");
	catch_up();
	T_ASSERT(was_told());
	T_EQ_INT(with_values(&now), 0);
	drop("plain");
	catch_up();
	T_ASSERT(!was_told());
	high = "";
}

TEST(a_directory_that_others_can_write_is_refused)
{
	struct cgg_owners *none;
	struct cgg_error err = {0};

	T_MUST(chmod(dir, 0777) == 0);
	T_EQ_INT(cgg_owners_open(dir, NULL, true, &none, &err), -EPERM);
	T_HAS(err.msg, "not writable by others");
	T_MUST(chmod(dir, 0700) == 0);
}
