/* SPDX-License-Identifier: Apache-2.0 */
/* Which files count, and how those of a directory are merged. */
#include "kit/policy.h"
#include "kit/t.h"
#include "kit/tree.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

static char dir[64];

static const char *in_dir(const char *name)
{
	static char path[2][128];
	static int turn;

	turn = !turn;
	snprintf(path[turn], sizeof(path[turn]), "%s/%s", dir, name);
	return path[turn];
}

static void write_file(const char *name, const char *text, mode_t mode)
{
	int fd = open(in_dir(name), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	size_t len = strlen(text);

	T_MUST(fd >= 0 && write(fd, text, len) == (ssize_t)len && fchmod(fd, mode) == 0);
	close(fd);
}

static void write_rule(const char *name, const char *rule, const char *more)
{
	char text[512];

	snprintf(text, sizeof(text),
		 "{\"version\": 1, %s \"rules\": [{\"name\": \"%s\", " RULE "}]}", more, rule);
	write_file(name, text, 0644);
}

static void begin_dir(void)
{
	snprintf(dir, sizeof(dir), "/tmp/policy-load.XXXXXX");
	T_MUST(mkdtemp(dir));
}

/* Names that a test may have left behind. */
static void end_dir(void)
{
	static const char *const names[] = {"a.json", "b.json", "c.json",    ".d.json",
					    "e.txt",  "data",	"fifo.json", "x.json"};

	for (size_t i = 0; i < CGG_ARRAY_LEN(names); i++) {
		if (unlink(in_dir(names[i])) < 0)
			rmdir(in_dir(names[i]));
	}
	for (unsigned int i = 0; i <= POLICY_FILES_MAX; i++) {
		char name[16];

		snprintf(name, sizeof(name), "%02u.json", i);
		unlink(in_dir(name));
	}
	T_MUST(rmdir(dir) == 0);
}

static void expect_load_error(const char *path, int code, const char *message)
{
	struct cgg_policy *policy = NULL;
	struct cgg_error err = {0};

	T_EQ_INT(kit_load_path(path, &policy, &err), code);
	T_EQ_INT(err.code, code);
	T_HAS(err.msg, message);
	T_HAS(err.msg, path);
	T_ASSERT(!policy);
	policy_free(policy);
}

TEST(a_file_is_loaded_also_through_a_link)
{
	struct cgg_policy *policy = NULL;
	struct cgg_error err = {0};

	begin_dir();
	write_rule("data", "one", "");
	T_EQ_INT(kit_load_path(in_dir("data"), &policy, &err), 0);
	policy = policy_free(policy);
	T_MUST(symlink("data", in_dir("a.json")) == 0);
	T_EQ_INT(kit_load_path(in_dir("a.json"), &policy, &err), 0);
	T_EQ_STR(err.msg, "");
	T_MUST(policy);
	T_EQ_STR(policy->rule[0].file, in_dir("a.json"));
	policy_free(policy);
	end_dir();
}

TEST(a_directory_is_merged_in_the_order_of_names)
{
	struct cgg_policy *policy = NULL;
	struct cgg_error err = {0};

	begin_dir();
	write_rule("b.json", "two", "\"protect\": [\"/b\"], \"priorities\": {\"/b\": 2},");
	write_rule("a.json", "one",
		   "\"protect\": [\"/a\"], \"priorities\": {\"/a\": 1}, "
		   "\"defaults\": {\"dry_run\": true, \"cooldown\": \"7s\"},");
	write_rule("data", "three", "");
	T_MUST(symlink("data", in_dir("c.json")) == 0);
	write_file(".d.json", "hidden: not read", 0666);
	write_file("e.txt", "no policy", 0666);
	T_EQ_INT(kit_load_path(dir, &policy, &err), 0);
	T_EQ_STR(err.msg, "");
	T_MUST(policy);
	T_EQ_INT(policy->nrules, 3);
	T_EQ_STR(policy->rule[0].name, "one");
	T_EQ_STR(policy->rule[0].file, in_dir("a.json"));
	T_EQ_INT(policy->rule[0].cooldown_us, 7000000);
	T_ASSERT(policy->rule[0].dry_run);
	T_EQ_STR(policy->rule[1].name, "two");
	T_EQ_INT(policy->rule[1].cooldown_us, 1000000);
	T_ASSERT(!policy->rule[1].dry_run);
	T_EQ_STR(policy->rule[2].name, "three");
	T_EQ_INT(policy->protect.n, 2);
	T_EQ_STR(policy->protect.glob[0], "/a");
	T_EQ_STR(policy->protect.glob[1], "/b");
	T_EQ_INT(policy->npriority, 2);
	T_EQ_STR(policy->priority[1].glob, "/b");
	policy_free(policy);
	end_dir();
}

TEST(a_file_of_a_directory_may_have_no_rules)
{
	struct cgg_policy *policy = NULL;
	struct cgg_error err = {0};

	begin_dir();
	write_file("a.json", "{\"version\": 1, \"protect\": [\"/a\"]}", 0644);
	expect_load_error(dir, -EINVAL, "no rule in it");
	write_rule("b.json", "two", "");
	T_EQ_INT(kit_load_path(dir, &policy, &err), 0);
	policy_free(policy);
	end_dir();
}

TEST(one_bad_file_of_a_directory_and_nothing_is_loaded)
{
	begin_dir();
	write_rule("a.json", "one", "");
	write_file("b.json", "{\"version\": 1,\n", 0644);
	expect_load_error(dir, -EINVAL, "b.json:2:1: the text ends");
	write_rule("b.json", "one", "");
	expect_load_error(dir, -EINVAL, "b.json:1:36: /rules/0/name: rule 'one' is in ");
	expect_load_error(dir, -EINVAL, "a.json:1:36 already");
	end_dir();
}

TEST(what_others_can_write_is_not_trusted)
{
	begin_dir();
	write_rule("a.json", "one", "");
	T_MUST(chmod(in_dir("a.json"), 0664) == 0);
	expect_load_error(in_dir("a.json"), -EPERM,
			  "others can write it (mode 0664): chmod go-w '");
	expect_load_error(dir, -EPERM, "a.json: others can write it");
	T_MUST(chmod(in_dir("a.json"), 0646) == 0);
	expect_load_error(in_dir("a.json"), -EPERM, "(mode 0646)");
	T_MUST(chmod(in_dir("a.json"), 0644) == 0);
	T_MUST(chmod(dir, 0777) == 0);
	expect_load_error(dir, -EPERM, "others can write it (mode 0777): chmod go-w '");
	T_MUST(chmod(dir, 0700) == 0);
	/* the link is ours, what it leads to is not fit */
	write_file("data", "{}", 0666);
	T_MUST(symlink("data", in_dir("b.json")) == 0);
	expect_load_error(dir, -EPERM, "b.json: others can write it");
	end_dir();
}

TEST(what_belongs_to_somebody_else_is_not_trusted)
{
	begin_dir();
	write_rule("a.json", "one", "");
	if (geteuid() != 0) {
		T_SKIP("only root can give files away");
	} else {
		T_MUST(chown(in_dir("a.json"), 65534, (gid_t)-1) == 0);
		expect_load_error(in_dir("a.json"), -EPERM, "belongs to uid 65534");
		expect_load_error(in_dir("a.json"), -EPERM, "chown root '");
		T_MUST(chown(in_dir("a.json"), 0, (gid_t)-1) == 0 && chown(dir, 65534, -1U) == 0);
		expect_load_error(dir, -EPERM, "belongs to uid 65534");
	}
	end_dir();
}

TEST(what_belongs_to_root_is_trusted_by_all)
{
	struct cgg_policy *policy = NULL;
	struct cgg_error err = {0};

	begin_dir();
	write_rule("a.json", "one", "");
	T_MUST(chmod(dir, 0755) == 0);
	if (geteuid() != 0) {
		T_SKIP("only root can make files of root");
	} else {
		T_MUST(seteuid(65534) == 0);
		T_EQ_INT(kit_load_path(dir, &policy, &err), 0);
		T_EQ_STR(err.msg, "");
		T_MUST(seteuid(0) == 0);
	}
	policy_free(policy);
	end_dir();
}

TEST(what_is_no_regular_file_is_not_read)
{
	begin_dir();
	T_MUST(mkfifo(in_dir("fifo.json"), 0600) == 0);
	expect_load_error(in_dir("fifo.json"), -EINVAL, "not a regular file");
	expect_load_error(dir, -EINVAL, "fifo.json: not a regular file");
	T_MUST(unlink(in_dir("fifo.json")) == 0 && mkdir(in_dir("x.json"), 0700) == 0);
	expect_load_error(dir, -EINVAL, "x.json: not a regular file");
	T_MUST(rmdir(in_dir("x.json")) == 0 && symlink("/dev/zero", in_dir("x.json")) == 0);
	expect_load_error(dir, -EINVAL, "x.json: not a regular file");
	T_MUST(unlink(in_dir("x.json")) == 0 && symlink("x.json", in_dir("x.json")) == 0);
	expect_load_error(dir, -ELOOP, "x.json: ");
	T_MUST(unlink(in_dir("x.json")) == 0 && symlink("gone", in_dir("x.json")) == 0);
	expect_load_error(dir, -ENOENT, "x.json: ");
	end_dir();
}

TEST(devices_and_files_of_the_kernel_are_not_read)
{
	struct stat st;

	expect_load_error("/dev/zero", -EINVAL, "/dev/zero: not a regular file");
	expect_load_error("/dev/null", -EINVAL, "/dev/null: not a regular file");
	/* regular by its mode, and empty by its size */
	if (stat("/proc/self/status", &st) < 0 || !S_ISREG(st.st_mode)) {
		T_SKIP("no /proc here");
		return;
	}
	expect_load_error("/proc/self/status", -EINVAL, "larger than its own size says");
	begin_dir();
	T_MUST(symlink("/proc/self/status", in_dir("x.json")) == 0);
	expect_load_error(dir, -EINVAL, "x.json: larger than its own size says");
	end_dir();
}

TEST(a_file_that_is_all_hole_is_read_to_its_first_byte)
{
	begin_dir();
	write_file("a.json", "", 0644);
	expect_load_error(in_dir("a.json"), -EINVAL, "a.json:1:1: the text ends");
	T_MUST(truncate(in_dir("a.json"), (off_t)POLICY_FILE_MAX) == 0);
	expect_load_error(in_dir("a.json"), -EINVAL, "a.json:1:1: a NUL byte");
	T_MUST(truncate(in_dir("a.json"), (off_t)1 << 40) == 0);
	expect_load_error(in_dir("a.json"), -EINVAL, "larger than 1048576 bytes");
	end_dir();
}

static void hear(void *user, const struct cgg_policy_problem *p)
{
	char *said = user;
	size_t len = strlen(said);
	const char *name = strrchr(p->file, '/');

	snprintf(said + len, 4096 - len, "%s:%u:%u %s %s\n", name ? name + 1 : p->file, p->line,
		 p->column, p->pointer, p->message);
}

TEST(a_check_tells_the_problems_of_all_files_of_a_directory)
{
	static const char want[] =
		"a.json:1:28 /protect/0 'a': a path glob starts with '/'\n"
		"b.json:2:1 /rules the text ends before the JSON does: expected ',' or ']'\n"
		"c.json:0:0  No such file or directory\n"
		"data.json:0:0  others can write it (mode 0666): chmod go-w '%s'\n"
		"x.json:1:17 /version version 2: this cgguard reads version 1\n";
	unsigned int fds = kit_count_fds();
	struct cgg_error err = {0};
	char said[4096] = "", expected[4096];

	begin_dir();
	write_file("a.json", "{\"version\": 1, \"protect\": [\"a\"]}", 0644);
	write_file("b.json", "{\"version\": 1, \"rules\": [{}\n", 0644);
	T_MUST(symlink("gone", in_dir("c.json")) == 0);
	write_file("data.json", "{}", 0666);
	write_file("x.json", "{   \"version\" : 2, \"y\": {}}", 0644);
	snprintf(expected, sizeof(expected), want, in_dir("data.json"));
	T_EQ_INT(kit_check_path(dir, hear, said, &err), -EINVAL);
	T_EQ_STR(said, expected);
	T_HAS(err.msg, "a.json:1:28: /protect/0: ");
	T_EQ_INT(kit_count_fds(), fds);
	T_MUST(unlink(in_dir("data.json")) == 0);
	end_dir();
}

TEST(what_empties_candidates_may_stand_in_another_file)
{
	char said[4096] = "";

	begin_dir();
	write_file("a.json",
		   "{\"version\": 1, \"rules\": [{\"name\": \"r\", \"domain\": \"/\",\n"
		   "\"when\": {\"usage_above\": \"1Gi\"}, \"then\": [{\"action\": \"kill\"}],\n"
		   "\"candidates\": {\"include\": [\"/a/*\"]}}]}",
		   0644);
	T_EQ_INT(kit_check_path(dir, hear, said, NULL), 0);
	T_EQ_STR(said, "");
	write_file("b.json", "{\"version\": 1, \"protect\": [\"/a/**\"]}", 0644);
	T_EQ_INT(kit_check_path(dir, hear, said, NULL), -EINVAL);
	T_EQ_STR(said, "a.json:3:15 /rules/0/candidates no candidate is left: all of '/a/*' is in "
		       "'protect' by '/a/**'\n");
	end_dir();
}

TEST(a_file_that_is_too_large_is_not_read)
{
	struct cgg_policy *policy = NULL;
	struct cgg_error err = {0};
	char *text = malloc(POLICY_FILE_MAX + 1);

	T_MUST(text);
	memset(text, ' ', POLICY_FILE_MAX + 1);
	begin_dir();
	write_rule("a.json", "one", "");
	T_MUST(truncate(in_dir("a.json"), (off_t)POLICY_FILE_MAX + 1) == 0);
	expect_load_error(in_dir("a.json"), -EINVAL, "larger than 1048576 bytes");
	T_EQ_INT(policy_load_text("FILE", text, POLICY_FILE_MAX + 1, &policy, &err), -EINVAL);
	T_HAS(err.msg, "larger than 1048576 bytes");
	free(text);
	end_dir();
}

TEST(a_directory_needs_policies_but_not_too_many)
{
	begin_dir();
	write_file("e.txt", "", 0644);
	expect_load_error(dir, -ENOENT, "no file named *.json in it");
	for (unsigned int i = 0; i <= POLICY_FILES_MAX; i++) {
		char name[16], rule[24];

		snprintf(name, sizeof(name), "%02u.json", i);
		snprintf(rule, sizeof(rule), "r%u", i);
		write_rule(name, rule, "");
		if (i == POLICY_FILES_MAX - 1) {
			struct cgg_policy *policy = NULL;

			T_EQ_INT(kit_load_path(dir, &policy, NULL), 0);
			for (size_t j = 0; policy && j < policy->nrules; j++) {
				snprintf(rule, sizeof(rule), "r%zu", j);
				T_EQ_STR(policy->rule[j].name, rule);
			}
			policy_free(policy);
		}
	}
	expect_load_error(dir, -EINVAL, "more than 64 policy files");
	end_dir();
}

TEST(limits_hold_across_the_files_of_a_directory)
{
	char *globs = kit_repeat("{\"version\": 1, \"protect\": [", "\"/#\"", POLICY_GLOBS_MAX,
				 "], " RULES);

	begin_dir();
	write_file("a.json", globs, 0644);
	write_rule("b.json", "two", "\"protect\": [\"/one-more\"],");
	expect_load_error(dir, -EINVAL, "b.json:1:27: /protect: 1 of them: at most 0 are allowed");
	free(globs);
	globs = kit_repeat("{\"version\": 1, \"rules\": [", "{\"name\": \"r#\", " RULE "}",
			   POLICY_RULES_MAX, "]}");
	write_file("a.json", globs, 0644);
	write_rule("b.json", "two", "");
	expect_load_error(dir, -EINVAL, "b.json:1:27: /rules/0: more than 64 rules");
	free(globs);
	end_dir();
}
