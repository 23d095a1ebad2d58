/* SPDX-License-Identifier: Apache-2.0 */
/* Who is registered: found by the kernel's id of a cgroup, at once, and for a while after its end. */
#include "kit/snap.h"
#include "kit/t.h"
#include "kit/tree.h"

#include "hook/owners.h"
#include "hook/record.h"

#include <errno.h>
#include <poll.h>
#include <sys/stat.h>
#include <time.h>

#define ID  "46b3e0a4df44b752b841aecca454e6e78995d567912a84950390bae6f6777a63"
#define UID "94eb36cd-29e1-478b-b365-4cb5dfc7d6fb"

static const char *dir;
static struct cgg_owners *owners;
static const char *root;

static const char *high = ""; /* what is set for who is added */

static uint64_t above[2]; /* of who is added: the cgroup named after it, its pod's */

static void add(const char *id, const char *path, uint64_t cgroup_id, const char *name)
{
	struct state state = {.owner.inside = ""};
	struct place place = {.id = cgroup_id,
			      .top_id = above[0],
			      .pod_id = above[1],
			      .applied.id = *high ? 8 : 0};
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

/* Of a cgroup in a tree of such paths and ids. */
static struct cgg_owner *find(const char *tree, const char *path)
{
	static struct cgg_owner o;
	static struct cgg_snapshot *snap; /* what is inside is a part of its path */

	if (snap)
		kit_snap_free(snap);
	snap = kit_snap(tree);
	cgg_owners_find(owners, snap, kit_at(snap, path), &o);
	return &o;
}

static const char *name_of(const char *path, uint64_t id)
{
	char tree[600];

	snprintf(tree, sizeof(tree), "%s id=%llu", path, (unsigned long long)id);
	return find(tree, path)->name;
}

TEST(nobody_is_registered_where_there_is_no_directory)
{
	start(false);
	T_EQ_INT(cgg_owners_get_fd(owners), -1);
	T_EQ_STR(name_of("/docker/" ID, 7), "");
	T_EQ_STR(find("/a", "/")->name, "");
}

TEST(who_was_registered_before_is_known_and_who_comes_later_at_once)
{
	const struct cgg_owner *o;

	start(true);
	add(ID, "/docker/" ID, 7, "web");
	T_EQ_STR(name_of("/docker/" ID, 7), "");
	T_ASSERT(catch_up() > 0);
	o = find("/docker/" ID " id=7\n/docker/" ID "/init id=8", "/docker/" ID "/init");
	T_EQ_STR(o->name, "web");
	T_EQ_STR(o->container, ID);
	T_EQ_STR(o->runtime, "docker");
	T_EQ_STR(o->pod, UID);
	T_EQ_STR(o->pod_name, "shop-0");
	T_EQ_STR(o->inside, "/init");
	start(true);
	T_EQ_STR(name_of("/docker/" ID, 7), "web");
	start(false);
	T_EQ_STR(name_of("/docker/" ID, 7), "web");
}

TEST(who_has_ended_is_known_for_a_while)
{
	start(true);
	drop(ID);
	T_ASSERT(catch_up() > 0);
	T_EQ_STR(name_of("/docker/" ID, 7), "web");
	start(true);
	T_EQ_STR(name_of("/docker/" ID, 7), "");
}

TEST(a_cgroup_of_any_name_is_found_by_its_id)
{
#define TREE "/a_b/c id=20\n/a_b/c/d id=21\n/a_b/c/d/e id=22\n/a_b/c/e/f id=23\n/a_b/cc id=24\n"
	const struct cgg_owner *o;

	start(true);
	add("mine", "/a_b/c", 20, "first");
	add("inner", "/a_b/c/d", 21, "second");
	T_ASSERT(catch_up() > 0);
	T_EQ_STR(find(TREE, "/a_b/c")->name, "first");
	T_EQ_STR(find(TREE, "/a_b/c/d/e")->name, "second");
	T_EQ_STR(find(TREE, "/a_b/cc")->name, "");
	T_EQ_STR(find(TREE, "/a_b")->name, "");
	o = find(TREE, "/a_b/c/e/f");
	T_EQ_STR(o->name, "first");
	T_EQ_STR(o->container, "mine");
	T_EQ_STR(o->inside, "/e/f");
	/* another one has taken its place, and another yet that is not registered */
	drop("mine");
	add("yours", "/a_b/c", 30, "new");
	T_ASSERT(catch_up() > 0);
	T_EQ_STR(name_of("/a_b/c", 30), "new");
	T_EQ_STR(name_of("/a_b/c", 31), "");
	T_EQ_STR(name_of("/a_b/c", 20), "first");
}

/* By systemd's or the engine's names; the process may be in a cgroup further down. */
TEST(the_cgroup_named_after_a_container_and_its_pods_are_known_by_their_ids)
{
#define SCOPE "/kubepods/pod" UID "/crio-" ID
#define LEAF  SCOPE "/container"
#define ALL                                                                                        \
	"/kubepods/pod" UID " id=40\n" SCOPE " id=41\n" LEAF " id=42\n" LEAF "/x id=43\n" SCOPE    \
	"/y id=44\n/kubepods/pod" UID "/crio-none id=45\n"
	static const struct {
		const char *path, *name, *pod_name;
	} rows[] = {
		{LEAF, "app", "shop-0"},
		{LEAF "/x", "app", "shop-0"},
		{SCOPE, "app", "shop-0"},
		{SCOPE "/y", "app", "shop-0"},
		{"/kubepods/pod" UID, "", "shop-0"},
		{"/kubepods/pod" UID "/crio-none", "", "shop-0"},
		{"/kubepods", "", ""},
	};

	start(true);
	above[0] = 41;
	above[1] = 40;
	add(ID, LEAF, 42, "app");
	above[0] = above[1] = 0;
	T_ASSERT(catch_up() > 0);
	for (size_t i = 0; i < CGG_ARRAY_LEN(rows); i++) {
		T_ROW(rows[i].path);
		T_EQ_STR(find(ALL, rows[i].path)->name, rows[i].name);
		T_EQ_STR(find(ALL, rows[i].path)->pod_name, rows[i].pod_name);
	}
}

/* Cgroups have the names that who makes them likes; an id is the kernel's. */
TEST(a_cgroup_that_has_only_the_name_of_another_is_not_taken_for_it)
{
#define USER "/user.slice/user-1000.slice/user@1000.service/app.slice"
	static const struct {
		const char *path, *unit;
	} rows[] = {
		{USER "/crio-" ID ".scope", "user@1000.service"},
		{USER "/docker-" ID ".scope", "user@1000.service"},
		{USER "/docker-" ID ".scope/container", "user@1000.service"},
		{USER "/libpod-" ID, "user@1000.service"},
		{"/system.slice/x.service/" ID, "x.service"},
		{"/user.slice/docker/" ID, ""},
		{USER "/kubepods-pod94eb36cd_29e1_478b_b365_4cb5dfc7d6fb.slice",
		 "user@1000.service"},
		{USER "/pod" UID, "user@1000.service"},
		{USER "/pod" UID "/crio-" ID, "user@1000.service"},
		{USER SCOPE, "user@1000.service"},
		{USER LEAF, "user@1000.service"},
	};
	const struct cgg_owner *o;
	char tree[600];

	for (size_t i = 0; i < CGG_ARRAY_LEN(rows); i++) {
		T_ROW(rows[i].path);
		snprintf(tree, sizeof(tree), "%s id=50\n", rows[i].path);
		o = find(tree, rows[i].path);
		T_EQ_STR(o->container, "");
		T_EQ_STR(o->runtime, "");
		T_EQ_STR(o->name, "");
		T_EQ_STR(o->pod, "");
		T_EQ_STR(o->pod_name, "");
		T_EQ_STR(o->unit, rows[i].unit);
		T_EQ_STR(o->inside, "");
	}
	/* its own path with another id: the engine has made it again, the hook was not there */
	o = find(SCOPE " id=60\n" LEAF " id=61\n", LEAF);
	T_EQ_STR(o->container, ID);
	T_EQ_STR(o->name, "");
	T_EQ_STR(o->pod_name, "");
	/* a container within another's */
	o = find("/kubepods/pod" UID " id=40\n" SCOPE " id=41\n" SCOPE "/docker/" ID " id=70\n",
		 SCOPE "/docker/" ID);
	T_EQ_STR(o->name, "app");
	T_EQ_STR(o->inside, "/docker/" ID);
	drop(ID);
}

TEST(a_registration_of_no_known_cgroup_is_nobodys)
{
	start(true);
	add("zero", "/zero", 0, "zero");
	catch_up();
	T_EQ_STR(name_of("/zero", 0), "");
	T_EQ_STR(name_of("/zero", 5), "");
	drop("zero");
	catch_up();
}

static uint64_t known_id;

static bool is_known(const void *user, uint64_t id)
{
	(void)user;
	return id == known_id;
}

/* It came and went between two scans: only of who has just begun, and is in no table either. */
TEST(a_cgroup_that_nobody_has_seen_is_found_by_its_path_for_a_moment)
{
	struct timespec t;
	uint64_t now;

	start(true);
	add("short", "/box/short", 80, "short");
	catch_up();
	clock_gettime(CLOCK_MONOTONIC, &t);
	now = (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
	known_id = 0;
	T_EQ_INT(owners_bound_lately(owners, "/box/short", now, is_known, NULL), 80);
	T_EQ_INT(owners_bound_lately(owners, "/box/short/leaf", now, is_known, NULL), 80);
	T_EQ_INT(owners_bound_lately(owners, "/box/shorter", now, is_known, NULL), 0);
	T_EQ_INT(owners_bound_lately(owners, "/box", now, is_known, NULL), 0);
	T_EQ_INT(owners_bound_lately(NULL, "/box/short", now, is_known, NULL), 0);
	T_EQ_INT(owners_bound_lately(owners, "/box/short", now + 20000000, is_known, NULL), 0);
	known_id = 80;
	T_EQ_INT(owners_bound_lately(owners, "/box/short", now, is_known, NULL), 0);
	drop("short");
	catch_up();
}

/* A guard of one slice: its paths begin there, what is registered begins at the top. */
TEST(a_cgroup_below_a_root_is_found_there)
{
	static const struct {
		const char *root, *tree, *path, *name, *inside;
	} rows[] = {
		{"/sys/fs/cgroup/a.slice", "/c id=90", "/c", "below", ""},
		{"/sys/fs/cgroup/a.slice/", "/c id=90\n/c/d/e id=91", "/c/d/e", "below", "/d/e"},
		{"/sys/fs/cgroup/a.slice/c", "/ id=90", "/", "below", ""},
		{"/sys/fs/cgroup/a.slice/c", "/ id=90\n/d id=91", "/d", "below", "/d"},
		{"/sys/fs/cgroup/a.slice", "/ id=92", "/", "", ""},
		{"/sys/fs/cgroup/b.slice", "/c id=93", "/c", "", ""},
		{"/sys/fs/cgroup/a.slice", "/a.slice/c id=93", "/a.slice/c", "", ""},
		{"/sys/fs/cgroup/", "/a.slice/c id=90", "/a.slice/c", "below", ""},
	};
	const struct cgg_owner *o;

	start(true);
	add("below", "/a.slice/c", 90, "below");
	for (size_t i = 0; i < CGG_ARRAY_LEN(rows); i++) {
		T_ROW(rows[i].root);
		root = rows[i].root;
		start(false);
		o = find(rows[i].tree, rows[i].path);
		T_EQ_STR(o->name, rows[i].name);
		T_EQ_STR(o->inside, rows[i].inside);
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
		T_EQ_STR(name_of("/bad", 1), "");
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
		add(id, path, 100000 + (uint64_t)i, id);
		catch_up();
		if (i >= 20)
			drop(id);
	}
	catch_up();
	T_EQ_STR(name_of("/many/c0", 100000), "c0");
	T_EQ_STR(name_of("/many/c19", 100019), "c19");
	snprintf(path, sizeof(path), "/many/c%d", CGG_OWNERS_MAX + 39);
	T_EQ_STR(name_of(path, 100000 + CGG_OWNERS_MAX + 39), strrchr(path, '/') + 1);
	/* their slots are free, and found no more */
	T_EQ_STR(name_of("/many/c20", 100020), "");
	T_EQ_STR(name_of("/a_b/c", 30), "new");
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
	add("plain", "/plain", 7, "p");
	catch_up();
	T_ASSERT(!was_told());
	T_EQ_INT(with_values(&now), 0);
	high = "4096";
	add("valued", "/valued", 7, "v");
	catch_up();
	T_ASSERT(was_told());
	T_EQ_INT(with_values(&now), 1);
	T_EQ_STR(now, "4096");
	high = "8192";
	add("valued", "/valued", 7, "v");
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
