/* SPDX-License-Identifier: Apache-2.0 */
/* Several directories, masks, ConfigMaps, and on which ways to a file nobody else may have a hand. */
#include "kit/policy.h"
#include "kit/t.h"
#include "kit/tree.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>

static char top[64];

static const char *at(const char *name)
{
	static char path[4][256];
	static int turn;

	turn = (turn + 1) % 4;
	snprintf(path[turn], sizeof(path[turn]), "%s/%s", top, name);
	return path[turn];
}

static void make_dir(const char *name, mode_t mode)
{
	T_MUST(mkdir(at(name), 0700) == 0 && chmod(at(name), mode) == 0);
}

static void make_file(const char *name, const char *text)
{
	int fd = open(at(name), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);

	T_MUST(fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text));
	close(fd);
}

static void make_rule(const char *name, const char *rule)
{
	char text[512];

	snprintf(text, sizeof(text), "{\"version\": 1, \"rules\": [{\"name\": \"%s\", " RULE "}]}",
		 rule);
	make_file(name, text);
}

static void make_link(const char *name, const char *target)
{
	T_MUST(symlink(target, at(name)) == 0);
}

static void begin(void)
{
	snprintf(top, sizeof(top), "%s", kit_tree("/d"));
}

/* The rules' names of what is loaded, or the error. */
static const char *load(const char *a, const char *b, const char *c)
{
	static char said[1024];
	const char *paths[] = {a, b, c};
	struct cgg_policy *policy = NULL;
	struct cgg_error err = {0};
	size_t len = 0;

	if (policy_load(paths, c ? 3 : b ? 2 : 1, &policy, &err) < 0)
		return snprintf(said, sizeof(said), "%s", err.msg) ? said : NULL;
	said[0] = '\0';
	for (size_t i = 0; i < policy->nrules; i++)
		len += (size_t)snprintf(said + len, sizeof(said) - len, "%s%s", i ? " " : "",
					policy->rule[i].name);
	policy_free(policy);
	return said;
}

/* ---- several directories -------------------------------------------------------------- */

TEST(of_one_name_the_first_directory_s_file_counts)
{
	begin();
	make_dir("etc", 0755);
	make_dir("run", 0755);
	make_dir("usr", 0755);
	make_rule("usr/10-host.json", "usr-host");
	make_rule("usr/20-pods.json", "usr-pods");
	make_rule("run/15-now.json", "run-now");
	make_rule("run/20-pods.json", "run-pods");
	make_rule("etc/20-pods.json", "etc-pods");
	T_EQ_STR(load(at("etc"), at("run"), at("usr")), "usr-host run-now etc-pods");
	T_EQ_STR(load(at("usr"), at("run"), at("etc")), "usr-host run-now usr-pods");
	T_EQ_STR(load(at("run"), at("usr"), NULL), "usr-host run-now run-pods");
}

TEST(an_empty_file_or_a_link_to_dev_null_masks_a_name)
{
	begin();
	make_dir("etc", 0755);
	make_dir("usr", 0755);
	make_rule("usr/a.json", "a");
	make_rule("usr/b.json", "b");
	make_rule("usr/c.json", "c");
	make_file("etc/a.json", "");
	make_link("etc/b.json", "/dev/null");
	T_EQ_STR(load(at("etc"), at("usr"), NULL), "c");
	T_EQ_STR(load(at("usr"), at("etc"), NULL), "a b c");
	T_HAS(load(at("etc"), NULL, NULL), "no rule in it");
	T_HAS(load(at("etc/a.json"), NULL, NULL), "a.json:1:1: the text ends");
	T_MUST(chmod(at("etc/a.json"), 0666) == 0);
	T_HAS(load(at("etc"), at("usr"), NULL), "a.json: others can write it");
}

TEST(a_file_that_is_named_itself_comes_first_and_masks_nothing)
{
	begin();
	make_dir("usr", 0755);
	make_rule("usr/a.json", "a");
	make_rule("a.json", "own");
	T_EQ_STR(load(at("usr"), at("a.json"), NULL), "own a");
	T_EQ_STR(load(at("a.json"), at("usr"), NULL), "own a");
}

TEST(one_of_several_may_be_missing_but_not_all)
{
	begin();
	make_dir("usr", 0755);
	make_dir("empty", 0755);
	make_rule("usr/a.json", "a");
	T_EQ_STR(load(at("none"), at("empty"), at("usr")), "a");
	T_HAS(load(at("none"), at("gone"), NULL), "none: No such file");
	T_HAS(load(at("none"), at("empty"), NULL), "no file named *.json in it");
	T_HAS(load(at("none"), NULL, NULL), "No such file");
}

/* ---- who has a hand in it ------------------------------------------------------------- */

/* As the kubelet's atomic writer makes it. */
static void make_config_map(const char *dir, mode_t mode)
{
	char name[160];

	make_dir(dir, 0755);
	snprintf(name, sizeof(name), "%s/..2026_11_23", dir);
	make_dir(name, 0755);
	snprintf(name, sizeof(name), "%s/..2026_11_23/p.json", dir);
	make_rule(name, "old");
	snprintf(name, sizeof(name), "%s/..data", dir);
	make_link(name, "..2026_11_23");
	snprintf(name, sizeof(name), "%s/p.json", dir);
	make_link(name, "..data/p.json");
	T_MUST(chmod(at(dir), mode) == 0);
}

TEST(a_config_map_is_read_and_read_anew_after_its_link_was_swapped)
{
	begin();
	make_config_map("map", 01777);
	T_EQ_STR(load(at("map"), NULL, NULL), "old");
	make_dir("map/..2026_11_24", 0755);
	make_rule("map/..2026_11_24/p.json", "new");
	make_link("map/..data_tmp", "..2026_11_24");
	T_MUST(rename(at("map/..data_tmp"), at("map/..data")) == 0);
	T_EQ_STR(load(at("map"), NULL, NULL), "new");
	T_MUST(chmod(at("map/..2026_11_24"), 0777) == 0);
	T_HAS(load(at("map"), NULL, NULL), "p.json: others can write it (mode 0777)");
}

/* In a mount namespace of its own: the status is 0 if all held. */
static int read_only_map(void)
{
	if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
	    mount(at("map"), at("map"), NULL, MS_BIND, NULL) < 0)
		return 77;
	if (!strstr(load(at("map"), NULL, NULL), "others can write it (mode 0777)"))
		return 1;
	if (mount(NULL, at("map"), NULL, MS_REMOUNT | MS_BIND | MS_RDONLY, NULL) < 0)
		return 77;
	return strcmp(load(at("map"), NULL, NULL), "old") == 0 ? 0 : 2;
}

TEST(a_directory_that_others_can_write_is_read_where_its_mount_is_read_only)
{
	int status = 0;
	pid_t pid;

	begin();
	make_config_map("map", 0777);
	T_HAS(load(at("map"), NULL, NULL), "or mount it read-only");
	pid = fork();
	T_MUST(pid >= 0);
	if (pid == 0)
		_exit(read_only_map());
	T_MUST(waitpid(pid, &status, 0) == pid && WIFEXITED(status));
	if (WEXITSTATUS(status) == 77)
		T_SKIP("no mount namespace here");
	else
		T_EQ_INT(WEXITSTATUS(status), 0);
}

TEST(a_link_of_somebody_else_leads_nowhere)
{
	begin();
	make_dir("p", 01777);
	make_rule("other.json", "other");
	make_link("p/a.json", "../other.json");
	T_EQ_STR(load(at("p"), NULL, NULL), "other");
	if (geteuid() != 0) {
		T_SKIP("only root can give links away");
		return;
	}
	T_MUST(lchown(at("p/a.json"), 65534, 65534) == 0);
	T_HAS(load(at("p"), NULL, NULL), "a.json: a link on the way belongs to uid 65534");
}

TEST(a_link_leads_through_no_directory_of_others)
{
	begin();
	make_dir("p", 0755);
	make_dir("open", 0777);
	make_dir("open/own", 0755);
	make_rule("open/own/x.json", "x");
	make_link("p/a.json", "../open/own/x.json");
	T_HAS(load(at("p"), NULL, NULL), "a.json: others can write it (mode 0777)");
	T_MUST(chmod(at("open"), 01777) == 0);
	T_EQ_STR(load(at("p"), NULL, NULL), "x");
	if (geteuid() != 0)
		return;
	T_MUST(chmod(at("open"), 0755) == 0 && chown(at("open"), 65534, 65534) == 0);
	T_HAS(load(at("p"), NULL, NULL), "a.json: belongs to uid 65534");
}

TEST(a_second_name_of_a_file_is_not_believed_where_others_can_make_one)
{
	begin();
	make_dir("p", 01777);
	make_rule("x.json", "x");
	T_MUST(link(at("x.json"), at("p/a.json")) == 0);
	T_HAS(load(at("p"), NULL, NULL),
	      "a.json: it has 2 names, and others can write its directory");
	T_MUST(chmod(at("p"), 0755) == 0);
	T_EQ_STR(load(at("p"), NULL, NULL), "x");
}

TEST(links_end_somewhere_within_limits)
{
	static char longest[5000];

	begin();
	make_dir("p", 0755);
	make_link("p/a.json", "b");
	make_link("p/b", "a.json");
	T_HAS(load(at("p"), NULL, NULL), "Too many levels of symbolic links");
	T_MUST(unlink(at("p/a.json")) == 0);
	make_link("p/a.json", "../p");
	T_HAS(load(at("p"), NULL, NULL), "a.json: not a regular file");
	T_MUST(unlink(at("p/a.json")) == 0);
	make_link("p/a.json", "/");
	T_HAS(load(at("p"), NULL, NULL), "a.json: not a regular file");
	T_MUST(unlink(at("p/a.json")) == 0 && unlink(at("p/b")) == 0);
	for (size_t i = 0; i + 2 < 3000; i += 2)
		memcpy(longest + i, "./", 3);
	memcpy(longest + 2998, "b", 2);
	make_link("p/a.json", longest);
	make_link("p/b", longest);
	T_HAS(load(at("p"), NULL, NULL), "Too many levels of symbolic links");
}

TEST(a_file_that_is_named_itself_is_believed_as_its_directory_is)
{
	begin();
	make_dir("open", 0777);
	make_dir("open/own", 0755);
	make_rule("open/a.json", "a");
	make_rule("open/own/b.json", "b");
	make_dir("p", 0755);
	make_rule("p/c.json", "c");
	make_link("open/c.json", "../p/c.json");
	make_link("open/d", "../p");
	make_link("p/a.json", "../open/a.json");
	T_HAS(load(at("open/a.json"), NULL, NULL), "a.json: others can write it (mode 0777)");
	T_HAS(load(at("open/a.json"), NULL, NULL), "/open', or mount it read-only");
	T_HAS(load(at("open/own/b.json"), NULL, NULL), "b.json: others can write it (mode 0777)");
	T_HAS(load(at("open/own/"), NULL, NULL), "own/: others can write it (mode 0777)");
	T_HAS(load(at("open/c.json"), NULL, NULL), "c.json: others can write it (mode 0777)");
	T_HAS(load(at("open/d"), NULL, NULL), "d: others can write it (mode 0777)");
	T_HAS(load(at("p/a.json"), NULL, NULL), "a.json: others can write it (mode 0777)");
	T_HAS(load(at("p"), at("open/a.json"), NULL), "others can write it (mode 0777)");
	T_EQ_STR(load(at("p/c.json"), NULL, NULL), "c");
	T_EQ_STR(load(at("p/../p/./c.json"), NULL, NULL), "c");
	T_MUST(chmod(at("open"), 01777) == 0);
	T_EQ_STR(load(at("open/a.json"), NULL, NULL), "a");
	T_EQ_STR(load(at("open/c.json"), NULL, NULL), "c");
	T_EQ_STR(load(at("open/d/c.json"), NULL, NULL), "c");
	T_EQ_STR(load(at("open/d//"), at("open/own/b.json"), NULL), "b a c");
	T_MUST(link(at("p/c.json"), at("open/e.json")) == 0);
	T_HAS(load(at("open/e.json"), NULL, NULL), "e.json: it has 2 names");
	if (geteuid() != 0)
		return;
	T_MUST(lchown(at("open/c.json"), 65534, 65534) == 0 &&
	       lchown(at("open/d"), 65534, 65534) == 0);
	T_HAS(load(at("open/c.json"), NULL, NULL),
	      "c.json: a link on the way belongs to uid 65534");
	T_HAS(load(at("open/d"), NULL, NULL), "d: a link on the way belongs to uid 65534");
	T_HAS(load(at("open/d/c.json"), NULL, NULL), "a link on the way belongs to uid 65534");
	T_MUST(chmod(at("open"), 0755) == 0 && chown(at("open"), 65534, 65534) == 0);
	T_HAS(load(at("open/a.json"), NULL, NULL), "a.json: belongs to uid 65534");
}

TEST(a_file_is_read_from_where_we_are_and_by_a_descriptor)
{
	char before[256], name[64];
	int fd;

	begin();
	T_MUST(getcwd(before, sizeof(before)) && chdir(top) == 0);
	make_rule("a.json", "a");
	T_EQ_STR(load("a.json", NULL, NULL), "a");
	T_EQ_STR(load("./a.json", NULL, NULL), "a");
	T_EQ_STR(load(".", NULL, NULL), "a");
	fd = open("a.json", O_RDONLY | O_CLOEXEC);
	T_MUST(fd >= 0 && unlink("a.json") == 0);
	snprintf(name, sizeof(name), "/proc/self/fd/%d", fd);
	T_EQ_STR(load(name, NULL, NULL), "a");
	T_HAS(load("", NULL, NULL), "No such file");
	T_ASSERT(!strstr(load("/", NULL, NULL), "a regular file")); /* whatever is in it */
	T_ASSERT(!strstr(load("//", NULL, NULL), "a regular file"));
	T_MUST(chdir(before) == 0);
	close(fd);
}
