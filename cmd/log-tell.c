/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An OOM report in sentences that need no knowledge of the kernel's: when, who, why, who had asked, who else.
 * What the log doesn't say is not said, or said to be missing.
 */
#include "log-tell.h"

#include "print-owner.h"
#include "print.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define NAME_SIZE   (4 * CGG_LOG_NAME_SIZE)
#define PATH_SIZE   (4 * CGG_LOG_PATH_SIZE)
#define WORD_SIZE   (4 * CGG_LOG_WORD_SIZE)
#define OTHERS_TOLD 8

static void put_path(const char *path)
{
	char shown[PATH_SIZE];

	cgg_path_printable(path, shown, sizeof(shown));
	fputs(shown, stdout);
}

/* "java (pid 123)" */
static void put_process(const char *comm, uint32_t pid)
{
	char shown[NAME_SIZE];

	cgg_path_printable(comm, shown, sizeof(shown));
	printf("%s (pid %" PRIu32 ")", *shown ? shown : "a process", pid);
}

/* "docker container 46b3e0a4df44, " in front of a path, where it says so. */
static void put_owner(const char *path)
{
	char shown[PRINT_OWNER_SIZE];
	struct cgg_owner o;

	if (cgg_owner_of(path, &o))
		printf("%s, ", print_owner(&o, true, shown));
}

static void put_cgroup(const char *path)
{
	put_owner(path);
	put_path(path);
}

static void tell_head(const struct cgg_log_report *r)
{
	char shown[WORD_SIZE];
	const char *comma = "";

	if (r->wall[0]) {
		cgg_path_printable(r->wall, shown, sizeof(shown));
		fputs(shown, stdout);
		comma = ", ";
	}
	if (r->have & CGG_LOG_BOOT_TIME) {
		printf("%s%" PRIu64 ".%06" PRIu64 " s after boot", comma, r->boot_us / 1000000,
		       r->boot_us % 1000000);
		comma = ", ";
	}
	if (r->host[0]) {
		cgg_path_printable(r->host, shown, sizeof(shown));
		printf("%son %s", comma, shown);
		comma = ", ";
	}
	if (r->release[0]) {
		cgg_path_printable(r->release, shown, sizeof(shown));
		printf("%skernel %s", comma, shown);
		comma = ", ";
	}
	puts(*comma ? ":" : "at a time that the log doesn't say:");
}

static void tell_victim(const struct cgg_log_report *r)
{
	const struct cgg_log_dead *v = &r->victim;

	fputs("  ", stdout);
	if (r->have & CGG_LOG_VICTIM)
		put_process(v->comm, v->pid);
	switch (r->outcome) {
	case CGG_LOG_OUTCOME_KILLED:
		fputs(" was killed", stdout);
		break;
	case CGG_LOG_OUTCOME_EXITING:
		fputs(" was chosen, but was ending already", stdout);
		break;
	case CGG_LOG_OUTCOME_NO_VICTIM:
		fputs("No process was killed: there was none that may be", stdout);
		break;
	default:
		fputs((r->have & CGG_LOG_VICTIM)
			      ? " was chosen; the log doesn't say that it was killed"
			      : "The log doesn't say who was killed",
		      stdout);
	}
	if (r->task_memcg[0]) {
		fputs(r->have & CGG_LOG_VICTIM ? ", in " : ". It happened in ", stdout);
		put_cgroup(r->task_memcg);
	}
	puts(".");
}

static void tell_limit(const struct cgg_log_report *r)
{
	char used[PRINT_SIZE], limit[PRINT_SIZE];

	fputs("  Why: ", stdout);
	if (!r->oom_memcg[0])
		fputs("its cgroup, or one above it,", stdout);
	else if (strcmp(r->oom_memcg, r->task_memcg) == 0)
		fputs("this cgroup", stdout);
	else
		put_cgroup(r->oom_memcg);
	fputs(" had reached its memory limit", stdout);
	if (r->have & CGG_LOG_MEMORY)
		printf(": %s used of %s", print_bytes(true, r->memory.usage_bytes, used),
		       print_bytes(true, r->memory.limit_bytes, limit));
	if ((r->have & CGG_LOG_SWAP) && r->swap.limit_bytes != CGG_MAX)
		printf(", %s of %s swap", print_bytes(true, r->swap.usage_bytes, used),
		       print_bytes(true, r->swap.limit_bytes, limit));
	puts(".");
}

static void tell_host(const struct cgg_log_report *r)
{
	char free_now[PRINT_SIZE], total[PRINT_SIZE];

	fputs("  Why: ", stdout);
	if (r->sysrq)
		fputs("somebody asked for it by sysrq (not because memory was short)", stdout);
	else if (strcmp(r->constraint, "CONSTRAINT_CPUSET") == 0)
		fputs("the memory nodes that the asker's cpuset leaves were full", stdout);
	else if (strcmp(r->constraint, "CONSTRAINT_MEMORY_POLICY") == 0)
		fputs("the memory nodes that the asker's memory policy leaves were full", stdout);
	else
		fputs("the host was out of memory", stdout);
	if ((r->have & CGG_LOG_HOST_SWAP_TOTAL) && r->host_swap_total_bytes == 0)
		fputs(", without swap", stdout);
	else if ((r->have & CGG_LOG_HOST_SWAP_TOTAL) && (r->have & CGG_LOG_HOST_SWAP_FREE))
		printf(", %s of %s swap free", print_bytes(true, r->host_swap_free_bytes, free_now),
		       print_bytes(true, r->host_swap_total_bytes, total));
	puts(".");
}

static void tell_why(const struct cgg_log_report *r)
{
	if (r->scope == CGG_LOG_SCOPE_CGROUP)
		tell_limit(r);
	else if (r->scope == CGG_LOG_SCOPE_HOST || r->sysrq)
		tell_host(r);
	if (r->outcome == CGG_LOG_OUTCOME_KILLED && (r->have & CGG_LOG_CHOSEN_PID) &&
	    r->chosen_pid != r->victim.pid)
		printf("  The kernel had chosen pid %" PRIu32
		       ", and killed this one in its place%s.\n",
		       r->chosen_pid,
		       r->have & CGG_LOG_SCORE ? ""
					       : ": a thread of it, whose first one had ended");
}

static void tell_invoker(const struct cgg_log_report *r)
{
	const char *comma = " (";

	if (!r->invoker[0])
		return;
	fputs("  Asked for by ", stdout);
	if (r->have & CGG_LOG_INVOKER_PID) {
		put_process(r->invoker, r->invoker_pid);
	} else {
		char shown[NAME_SIZE];

		cgg_path_printable(r->invoker, shown, sizeof(shown));
		fputs(shown, stdout);
	}
	if (r->gfp[0]) {
		char shown[WORD_SIZE];

		cgg_path_printable(r->gfp, shown, sizeof(shown));
		printf("%s%s", comma, shown);
		comma = ", ";
	}
	if (r->have & CGG_LOG_ORDER) {
		printf("%sorder %" PRId32, comma, r->order);
		comma = ", ";
	}
	puts(*comma == ',' ? ")." : ".");
}

static void tell_sizes(const struct cgg_log_report *r)
{
	static const struct {
		uint32_t bit;
		const char *name;
	} kinds[] = {
		{CGG_LOG_TASK_ANON, "anonymous"},	 {CGG_LOG_TASK_FILE, "of files"},
		{CGG_LOG_TASK_SHMEM, "shared"},		 {CGG_LOG_TASK_PGTABLES, "of page tables"},
		{CGG_LOG_TASK_TOTAL_VM, "of addresses"},
	};
	const struct cgg_log_dead *v = &r->victim;
	const uint64_t bytes[] = {v->anon_bytes, v->file_bytes, v->shmem_bytes, v->pgtables_bytes,
				  v->total_vm_bytes};
	const char *comma = "  It held ";
	char shown[PRINT_SIZE];

	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		if (!(v->have & kinds[i].bit))
			continue;
		printf("%s%s %s", comma, print_bytes(true, bytes[i], shown), kinds[i].name);
		comma = ", ";
	}
	if (*comma != ',')
		return;
	if (v->have & CGG_LOG_TASK_UID)
		printf("; uid %" PRIu32, v->uid);
	if (v->have & CGG_LOG_TASK_ADJ)
		printf("; oom_score_adj %" PRId32, v->oom_score_adj);
	if (r->have & CGG_LOG_SCORE)
		printf("; score %" PRIu32, r->score);
	puts(".");
}

static void tell_reaped(const struct cgg_log_dead *v)
{
	uint64_t left = v->left_anon_bytes + v->left_file_bytes + v->left_shmem_bytes;
	char shown[PRINT_SIZE];

	if (!v->reaped)
		return;
	fputs("  The oom_reaper took its memory back", stdout);
	if ((v->have & CGG_LOG_TASK_LEFT) && left > 0)
		printf(" but %s", print_bytes(true, left, shown));
	puts(".");
}

static void tell_others(const struct cgg_log_report *r)
{
	size_t told = r->ndead < OTHERS_TOLD ? r->ndead : OTHERS_TOLD;

	if (r->group == CGG_LOG_GROUP_YES) {
		fputs("  All of ", stdout);
		put_cgroup(r->group_path);
		fputs(" was to die with it (memory.oom.group)", stdout);
	} else if (r->ndead > 0) {
		fputs("  Killed next, of the same group or for reasons of their own", stdout);
	} else {
		return;
	}
	for (size_t i = 0; i < told; i++) {
		fputs(i == 0 ? ": " : ", ", stdout);
		put_process(r->dead[i].comm, r->dead[i].pid);
	}
	if (r->ndead > told)
		printf(" and %zu more", r->ndead - told);
	puts(".");
}

static void tell_rest(const struct cgg_log_report *r)
{
	if (r->panic)
		puts("  The kernel panicked.");
	if (r->suppressed)
		printf("  The kernel has left out the details of %" PRIu64 " kills before it.\n",
		       r->suppressed);
	if (!r->missing)
		return;
	fputs("  Truncated:", stdout);
	if (r->missing & CGG_LOG_MISSING_HEADER)
		fputs(" its beginning is missing (cut off, or left out by the kernel).", stdout);
	if (r->missing & CGG_LOG_MISSING_END_OF_LINE)
		fputs(" a line is cut.", stdout);
	if (r->missing & CGG_LOG_MISSING_OUTCOME)
		fputs(" its end is missing.", stdout);
	putchar('\n');
}

void log_tell(const struct cgg_log_report *r)
{
	tell_head(r);
	tell_victim(r);
	tell_why(r);
	tell_invoker(r);
	if (r->have & CGG_LOG_VICTIM) {
		tell_sizes(r);
		tell_reaped(&r->victim);
	}
	tell_others(r);
	tell_rest(r);
}
