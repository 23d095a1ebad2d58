/* SPDX-License-Identifier: Apache-2.0 */
/* The command table, and help made from it. */
#include "cmd.h"
#include "front.h"
#include "keeper.h"
#include "output.h"
#include "reader.h"

#include <errno.h>
#include <locale.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>

/* Keep alphabetized. */
static const struct command commands[] = {
	{"adjust", "set oom_score_adj of a process or a cgroup, and see its score change",
	 help_adjust, cmd_adjust},
	{"check", "check policies before they are used", help_check, cmd_check},
	{"explain", "what the policy says of a cgroup now, and why", help_explain, cmd_explain},
	{"import", "make a policy of another guard's configuration", help_import, cmd_import},
	{"kill", "kill a group, with every guard of the daemon's", help_kill, cmd_kill},
	{"log", "what the kernel's OOM killer did and why, by its log", help_log, cmd_log},
	{"rank", "groups in order: who uses most, and what would die together", help_rank,
	 cmd_rank},
	{"run", "guard: the daemon, in the foreground", help_run, cmd_run},
	{"score", "processes as the kernel's OOM killer weighs them, term by term", help_score,
	 cmd_score},
	{"status", "how the running guard is: distances, fallbacks, incidents, counters",
	 help_status, cmd_status},
	{"test", "play policy tests: what would be decided, and when", help_test, cmd_test},
	{"tree", "the cgroup tree with memory, limits and OOM units", help_tree, cmd_tree},
};

#define NCOMMANDS (sizeof(commands) / sizeof(commands[0]))

static int usage(FILE *out, int code)
{
	fputs("Usage: cgguard COMMAND [OPTION...]\n"
	      "Guards container hosts against running out of memory: knows what dies together,\n"
	      "ranks whole groups, and acts by a JSON policy before the kernel's OOM killer has "
	      "to.\n\n",
	      out);
	for (size_t i = 0; i < NCOMMANDS; i++)
		fprintf(out, "  %-8s %s\n", commands[i].name, commands[i].summary);
	fputs("\n  cgguard COMMAND --help   tells all of a command\n"
	      "  cgguard --version\n\n"
	      "Exit codes: 0 done; 1 the answer is no (refused, gone, nothing found); 2 wrong "
	      "usage or\n"
	      "bad policy, nothing was started; 3 this machine or our permissions don't allow it;\n"
	      "4 a deadline passed; 5 run: memory, files or the like were wanting: it can be "
	      "started "
	      "again.\n",
	      out);
	return code;
}

static int help(const struct command *c)
{
	printf("cgguard %s - %s\n\n%s", c->name, c->summary, c->help);
	return EXIT_DONE;
}

static const struct command *find(const char *name)
{
	for (size_t i = 0; i < NCOMMANDS; i++) {
		if (strcmp(commands[i].name, name) == 0)
			return &commands[i];
	}
	return NULL;
}

static int dispatch(int argc, char **argv)
{
	const struct command *c;

	if (argc < 2)
		return usage(stderr, EXIT_INPUT);
	if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0)
		return usage(stdout, EXIT_DONE);
	if (strcmp(argv[1], "--version") == 0) {
		printf("cgguard %s\n", cgg_version());
		return EXIT_DONE;
	}
	if (strcmp(argv[1], "help") == 0)
		return argc > 2 && (c = find(argv[2])) ? help(c) : usage(stdout, EXIT_DONE);
	c = find(argv[1]);
	if (!c)
		return complain(EXIT_INPUT, "no command '%s'; cgguard --help lists them", argv[1]);
	for (int i = 2; i < argc && strcmp(argv[i], "--") != 0; i++) {
		if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0)
			return help(c);
	}
	return c->run(argc - 1, argv + 1);
}

/* By the name that 'cgguard run' executes this program under. */
static const struct process {
	const char *name;
	int (*run)(int argc, char **argv);
} processes[] = {
	{"cgguard-front", front_main},
	{"cgguard-keeper", keeper_main},
	{"cgguard-reader", reader_main},
};

static const struct process *find_process(const char *name)
{
	for (size_t i = 0; i < sizeof(processes) / sizeof(processes[0]); i++) {
		if (strcmp(processes[i].name, name) == 0)
			return &processes[i];
	}
	return NULL;
}

int main(int argc, char **argv)
{
	const struct process *process = argc > 0 ? find_process(argv[0]) : NULL;
	int code;

	setlocale(LC_CTYPE, "");
	if (process) {
		(void)prctl(PR_SET_NAME, process->name, 0, 0, 0);
		return process->run(argc, argv);
	}
	output_begin();
	code = dispatch(argc, argv);
	if ((fflush(stdout) != 0 || ferror(stdout)) && code == EXIT_DONE)
		return complain(EXIT_MACHINE, "cannot write the output: %s",
				strerror(errno ? errno : EIO));
	return code;
}
