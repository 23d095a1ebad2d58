/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Random machines whose guilty party is known, and what decides in the daemon: whom does it take first, and how many
 * innocents, until it is enough? Innocents have sizes of a heavy tail, under owners of 1 to 40 units; some burst, one in
 * ten was restarted since calm ended. The guilty party is one unit, one inside an innocent owner, a herd of 15 to 300
 * siblings, or several at once. Or nobody leaked: a squatter took much while it was calm, and holds still while others move;
 * that one is nobody's fault, and is counted apart.
 */
#include "kit/policy.h"
#include "kit/t.h"

#include "policy/decide.h"
#include "util/attr.h"
#include "util/path.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CGROUPS_MAX    8192
#define MACHINES       300
#define SEED	       7
#define RIGHT_AT_LEAST 99 /* of a hundred first victims */
#define CHANCE	       300 /* three more of a few may be wrong: the seed is told */
#define MIB	       1048576.0
#define TAKEN_FIRST    "\"taken\", \"gain\""
#define MOST_READ      60 /* an owner has 40 units at the most, and is read whole */

enum kind { SINGLE, IN_OWNER, HERD, SEVERAL, SQUATTER, KINDS };

static const char *const kind_names[KINDS] = {"single", "in an owner", "herd", "several",
					      "squatter"};

/* ---- chance ------------------------------------------------------------------------------ */

static uint64_t state;

static uint64_t next(void)
{
	uint64_t z = state += 0x9e3779b97f4a7c15ULL;

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ULL;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebULL;
	return z ^ (z >> 31);
}

static double between(double from, double to)
{
	return from + (to - from) * (double)(next() >> 11) / 9007199254740992.0;
}

static bool chance(double part)
{
	return between(0, 1) < part;
}

static int whole(int from, int to)
{
	return from + (int)(next() % (uint64_t)(to - from + 1));
}

static double normal(double sigma)
{
	double sum = -6;

	for (int i = 0; i < 12; i++)
		sum += between(0, 1);
	return sum * sigma;
}

/* ---- a machine ---------------------------------------------------------------------------- */

struct unit {
	char path[32];
	double mib, grown_mib;
	uint64_t id, id_then; /* 0: it was made later, and inherits nothing */
	char path_then[32];
	bool guilty;
};

struct machine {
	enum kind kind;
	double ram_mib;
	struct unit unit[CGROUPS_MAX];
	size_t n;
	uint64_t last_id;
};

static struct unit *add(struct machine *m, const char *owner, int unit, double mib, double grown)
{
	struct unit *u = &m->unit[m->n++];

	T_MUST(m->n < CGROUPS_MAX);
	*u = (struct unit){.mib = mib, .grown_mib = grown};
	if (unit < 0)
		snprintf(u->path, sizeof(u->path), "/%s", owner);
	else
		snprintf(u->path, sizeof(u->path), "/%s/u%d", owner, unit);
	u->id = u->id_then = ++m->last_id;
	memcpy(u->path_then, u->path, sizeof(u->path));
	return u;
}

/* It has another id since, and in an owner of many another name. */
static void restart(struct machine *m, struct unit *u)
{
	u->id = ++m->last_id;
	if (strchr(u->path + 1, '/'))
		snprintf(u->path, sizeof(u->path), "%.*s/n%d",
			 (int)(strrchr(u->path_then, '/') - u->path_then), u->path_then,
			 (int)u->id);
}

static double add_innocents(struct machine *m)
{
	double target = m->ram_mib * between(.25, .85), total = 0;

	for (int o = 1; total < target; o++) {
		double k = between(0, 1);
		int n = k < .5 ? 1 : k < .75 ? whole(2, 6) : whole(5, 40);
		char owner[16];

		snprintf(owner, sizeof(owner), "o%d", o);
		for (int i = 0; i < n && total < target; i++) {
			double mib =
				fmin(exp(log(m->ram_mib / 400) + normal(1.4)), m->ram_mib * .45);
			double grown;
			struct unit *u;

			mib = total + mib > target ? fmax(1, target - total) : mib;
			grown = normal(.02) * mib;
			if (chance(.05)) /* a burst: start-up, compaction, a batch */
				grown = fmin(fabs(normal(.25)) * mib, mib);
			u = add(m, owner, n == 1 && chance(.5) ? -1 : i, mib, grown);
			if (chance(.1))
				restart(m, u);
			total += mib;
		}
	}
	return total;
}

static void add_guilty(struct machine *m, double left)
{
	double grown = fmin(left, m->ram_mib * .1);
	size_t innocents = m->n;
	int n = m->kind == HERD ? whole(15, 300) : m->kind == SEVERAL ? whole(2, 4) : 1;

	for (int i = 0; i < n; i++) {
		char owner[32] = "g";

		if (m->kind == SEVERAL)
			snprintf(owner, sizeof(owner), "g%d", i);
		if (m->kind == IN_OWNER) {
			const char *of = m->unit[next() % innocents].path + 1;

			while (!strchr(of, '/')) /* who is an owner alone has nobody inside */
				of = m->unit[next() % innocents].path + 1;

			snprintf(owner, sizeof(owner), "%.*s", (int)strcspn(of, "/"), of);
		}
		add(m, owner,
		    m->kind == HERD	  ? i
		    : m->kind == IN_OWNER ? 999
					  : -1,
		    left / n, m->kind == SQUATTER ? 0 : grown / n)
			->guilty = true;
	}
	/* others move, so that it is short */
	for (double need = m->ram_mib * .1; m->kind == SQUATTER && need > 0;) {
		struct unit *u = &m->unit[next() % innocents];

		if (u->grown_mib >= u->mib * .3) {
			need -= m->ram_mib * .001; /* all of them may have */
			continue;
		}
		u->grown_mib = fmin(need, u->mib * between(.3, .9));
		need -= u->grown_mib;
	}
}

static void make(struct machine *m, enum kind kind)
{
	static const double rams[] = {4, 16, 64, 256};

	m->kind = kind;
	m->n = 0;
	m->last_id = 1;
	m->ram_mib = rams[next() % 4] * 1024;
	add_guilty(m, m->ram_mib * .95 - add_innocents(m));
}

/* ---- its snapshots ------------------------------------------------------------------------ */

static struct cgg_cgroup cgroups[CGROUPS_MAX * 2];
static uint32_t owners[CGROUPS_MAX * 2];
static char tops[CGROUPS_MAX][32];

static int by_path(const void *a, const void *b)
{
	return path_order(((const struct cgg_cgroup *)a)->path,
			  ((const struct cgg_cgroup *)b)->path);
}

/* Page cache of a cgroup: of most a little, of some more than all else. */
static uint64_t cache_of(uint64_t id, uint64_t bytes)
{
	static const uint64_t permille[] = {20, 50, 100, 200, 400, 1000, 3000};

	return bytes / 1000 * permille[id * 0x9e3779b97f4a7c15ULL % CGG_ARRAY_LEN(permille)];
}

static void put(struct cgg_snapshot *snap, const char *path, uint64_t id, double mib, bool top)
{
	struct cgg_cgroup *cg = &cgroups[snap->n++];
	uint64_t bytes = (uint64_t)(mib * MIB);

	*cg = (struct cgg_cgroup){
		.path = path,
		.name = strrchr(path, '/') + 1,
		.id = id,
		.have = CGG_HAVE_PROCS | (top ? 0 : CGG_HAVE_CURRENT | CGG_HAVE_STAT),
		.nprocs = top || bytes == 0 ? 0 : 3,
		.current_bytes = bytes + cache_of(id, bytes),
		.unreclaimable_bytes = bytes,
		.gain_bytes = bytes,
		.limit_bytes = CGG_MAX,
	};
}

static void connect(struct cgg_snapshot *snap)
{
	qsort(cgroups, snap->n, sizeof(*cgroups), by_path);
	for (uint32_t i = 0; i < snap->n; i++) {
		struct cgg_cgroup *cg = &cgroups[i];
		uint32_t up = i == 0 ? CGG_NONE : i - 1;

		while (up != CGG_NONE && up > 0 &&
		       !(strncmp(cg->path, cgroups[up].path, strlen(cgroups[up].path)) == 0 &&
			 cg->path[strlen(cgroups[up].path)] == '/'))
			up = cgroups[up].parent;
		cg->parent = up;
		cg->depth = up == CGG_NONE ? 0 : cgroups[up].depth + 1;
		cg->end = i + 1;
		for (; up != CGG_NONE; up = cgroups[up].parent)
			cgroups[up].end = i + 1;
	}
	for (uint32_t i = 1; i < snap->n; i++) {
		struct cgg_cgroup *top = &cgroups[cgroups[i].parent];

		if (cgroups[i].parent == 0)
			continue;
		top->have |= CGG_HAVE_CURRENT | CGG_HAVE_STAT;
		top->current_bytes += cgroups[i].current_bytes;
		top->unreclaimable_bytes += cgroups[i].unreclaimable_bytes;
		top->gain_bytes += cgroups[i].gain_bytes;
	}
	snap->cgroups = cgroups;
	rank_owners(snap, owners);
	snap->owner = owners;
}

/* Now, or when calm ended. Returns the MiB that are used. */
static double lay_out(const struct machine *m, bool then, struct cgg_snapshot *snap)
{
	double used = 0;
	size_t ntops = 0;

	*snap = (struct cgg_snapshot){.host.have = CGG_HOST_HAVE_MEMORY};
	put(snap, "/", 1, 0, true);
	for (size_t i = 0; i < m->n; i++) {
		const struct unit *u = &m->unit[i];
		const char *path = then ? u->path_then : u->path, *slash = strchr(path + 1, '/');
		double mib = then ? fmax(0, u->mib - u->grown_mib) : u->mib;

		put(snap, path, then ? u->id_then : u->id, mib, false);
		used += mib;
		if (!slash)
			continue;
		snprintf(tops[ntops], sizeof(*tops), "%.*s", (int)(slash - path), path);
		for (size_t k = snap->n; slash && k-- > 0;) {
			if (strcmp(cgroups[k].path, tops[ntops]) == 0)
				slash = NULL;
		}
		if (slash) {
			put(snap, tops[ntops], 100000 + ntops, 0, true);
			ntops++;
		}
	}
	connect(snap);
	snap->host.total_bytes = (uint64_t)(m->ram_mib * MIB);
	snap->host.available_bytes = (uint64_t)((m->ram_mib - used) * MIB);
	return used;
}

/* ---- the rule ----------------------------------------------------------------------------- */

enum column { BY_SIZE, BY_TAKEN, BY_TAKEN_BLIND, COLUMNS };

static const char *const column_names[COLUMNS] = {
	"by gain",
	"by taken",
	"by taken, no calm was seen",
};

struct tally {
	unsigned int machines, right, innocents, victims, short_of;
};

static struct cgg_group groups[CGROUPS_MAX * 2];
static struct calm_base base[CGROUPS_MAX];

static struct unit *unit_of(struct machine *m, uint64_t id)
{
	for (size_t i = 0; i < m->n; i++) {
		if (m->unit[i].id == id)
			return &m->unit[i];
	}
	return NULL;
}

/* Kill until it is enough, or nobody is left. */
static void play(const struct cgg_policy *policy, const struct machine *machine,
		 const struct calm_bases *bases, struct tally *tally)
{
	static struct machine m;
	const struct policy_rule *rule = &policy->rule[0];
	const struct policy_known known = {.bases = bases};
	bool first = true;

	m = *machine;
	tally->machines++;
	for (;;) {
		struct cgg_snapshot snap;
		struct turn_need need;
		uint32_t victim;
		size_t n, batch;

		lay_out(&m, false, &snap);
		need = policy_need(rule, &snap, 0, bases);
		if (need.short_bytes == 0)
			return;
		n = policy_choose(policy, rule, &snap, 0, &known, groups, &victim);
		if (victim == CGG_NONE) {
			tally->short_of++;
			return;
		}
		batch = turn_is_for(rule) ? turn_batch(groups, n, victim, need.missing_bytes) : 1;
		for (size_t i = victim; i < victim + batch; i++) {
			struct unit *u = unit_of(&m, snap.cgroups[groups[i].cgroup].id);

			T_MUST(u);
			tally->right += first && u->guilty;
			tally->innocents += !u->guilty;
			tally->victims++;
			first = false;
			u->mib = 0;
		}
	}
}

/* more: keys of the policy, each with a comma behind it. */
static struct cgg_policy *policy_of(const char *more, const char *rank)
{
	struct cgg_error err = {0};
	struct cgg_policy *policy;
	char text[1024];

	snprintf(text, sizeof(text),
		 "{\"version\": 1, %s \"rules\": [{\"name\": \"r\", \"domain\": \"/\", \"when\": "
		 "{\"available_below\": \"5%%\"}, \"rank\": [\"priority\", %s], \"then\": "
		 "[{\"action\": \"kill\"}]}]}",
		 more, rank);
	policy = kit_load(text, &err);
	T_EQ_STR(err.msg, "");
	T_MUST(policy);
	return policy;
}

/* A machine, and what its groups had when calm ended. */
static void begin(struct machine *m, enum kind kind, const struct cgg_policy *policy,
		  struct calm_bases *ret)
{
	struct cgg_snapshot snap;
	uint32_t victim;
	double used;
	size_t n;

	make(m, kind);
	used = lay_out(m, true, &snap);
	n = policy_choose(policy, &policy->rule[0], &snap, 0, &(struct policy_known){0}, groups,
			  &victim);
	calm_record(&snap, groups, n, (uint64_t)(used * MIB), base, CGROUPS_MAX, ret);
}

static unsigned long number_of(const char *name, unsigned long otherwise)
{
	const char *text = getenv(name);

	return text ? strtoul(text, NULL, 10) : otherwise;
}

static void print(struct tally tally[COLUMNS][KINDS])
{
	printf("# first victim guilty, %% (innocents killed a machine)\n# %-28s", "");
	for (int k = 0; k < KINDS; k++)
		printf("%-16s", kind_names[k]);
	for (int c = 0; c < COLUMNS; c++) {
		printf("\n# %-28s", column_names[c]);
		for (int k = 0; k < KINDS; k++) {
			const struct tally *t = &tally[c][k];
			double of = t->machines ? t->machines : 1;

			printf("%5.1f (%.2f)    ", 100 * t->right / of, t->innocents / of);
		}
	}
	printf("\n");
}

TEST(whoever_took_the_memory_is_first)
{
	unsigned long machines = number_of("CGG_MACHINES", MACHINES);
	struct cgg_policy *size = policy_of("", "\"gain\""), *taken = policy_of("", TAKEN_FIRST);
	struct tally tally[COLUMNS][KINDS] = {0};
	static struct machine m;

	state = number_of("CGG_SEED", SEED);
	printf("# CGG_SEED=%lu CGG_MACHINES=%lu\n", (unsigned long)state, machines);
	for (unsigned long i = 0; i < machines; i++) {
		struct calm_bases bases;

		begin(&m, (enum kind)(i % KINDS), taken, &bases);
		play(size, &m, NULL, &tally[BY_SIZE][m.kind]);
		play(taken, &m, &bases, &tally[BY_TAKEN][m.kind]);
		play(taken, &m, NULL, &tally[BY_TAKEN_BLIND][m.kind]);
	}
	print(tally);
	for (int k = 0; k < KINDS; k++) {
		const struct tally *t = &tally[BY_TAKEN][k];

		T_ROW(kind_names[k]);
		T_EQ_INT(t->short_of, 0);
		T_EQ_INT(tally[BY_TAKEN_BLIND][k].short_of, 0);
		if (k != SQUATTER) {
			T_ASSERT(100 * (t->machines - t->right) <=
				 (100 - RIGHT_AT_LEAST) * t->machines + CHANCE);
			T_ASSERT(t->right >= tally[BY_SIZE][k].right);
		}
	}
	policy_free(size);
	policy_free(taken);
}

/* ---- choosing with little read ----------------------------------------------------------- */

struct files {
	struct cgg_snapshot *snap;
	size_t read; /* memory.stat */
};

static void read_stat(void *user, uint32_t cgroup, bool group)
{
	struct files *files = user;
	struct cgg_cgroup *cg = &files->snap->cgroups[cgroup];

	T_ASSERT(group == (cg->nprocs > 0));
	T_ASSERT(!(cg->have & CGG_HAVE_STAT)); /* once is enough */
	cg->have |= CGG_HAVE_STAT;
	files->read++;
}

/* The victim's path and those of its batch. */
static const char *chosen(char *text, size_t size, const struct cgg_policy *policy,
			  const struct policy_known *known, struct cgg_snapshot *snap,
			  policy_read_fn read, struct files *files)
{
	const struct policy_rule *rule = &policy->rule[0];
	struct turn_need need = policy_need(rule, snap, 0, known->bases);
	size_t len = 0, n, batch;
	uint32_t victim;

	snprintf(text, size, "nobody");
	n = policy_choose_reading(policy, rule, snap, 0, known, read, files, groups, &victim);
	if (victim == CGG_NONE)
		return text;
	batch = turn_batch(groups, n, victim, need.missing_bytes);
	for (size_t i = victim; i < victim + batch && len < size; i++)
		len += (size_t)snprintf(text + len, size - len, "%s ",
					snap->cgroups[groups[i].cgroup].path);
	return text;
}

TEST(with_little_read_the_choice_is_the_same)
{
	unsigned long machines = number_of("CGG_MACHINES", MACHINES);
	struct cgg_policy *policies[] = {
		policy_of("", TAKEN_FIRST),
		policy_of("\"priorities\": {\"/o1/**\": -5, \"/o2\": 5, \"/*/u1*\": 1},",
			  TAKEN_FIRST),
		policy_of("\"protect\": [\"/g\", \"/g/u1*\", \"/o3/**\", \"/o4\"],", TAKEN_FIRST),
	};
	static char all[1 << 20], little[1 << 20];
	static struct machine m;
	struct {
		unsigned long choices, groups, read, most;
	} of[KINDS] = {0}; /* by the first policy, after calm */

	state = number_of("CGG_SEED", SEED);
	for (unsigned long i = 0; i < machines; i++) {
		struct calm_bases bases;

		begin(&m, (enum kind)(i % KINDS), policies[0], &bases);
		for (size_t p = 0; p < CGG_ARRAY_LEN(policies) * 2; p++) {
			const struct policy_known known = {.bases = p % 2 ? &bases : NULL};
			struct cgg_snapshot snap;
			struct files files = {.snap = &snap};

			lay_out(&m, false, &snap);
			chosen(all, sizeof(all), policies[p / 2], &known, &snap, NULL, NULL);
			for (uint32_t k = 0; k < snap.n; k++)
				cgroups[k].have &= ~(uint32_t)CGG_HAVE_STAT;
			chosen(little, sizeof(little), policies[p / 2], &known, &snap, read_stat,
			       &files);
			T_EQ_STR(little, all);
			if (p != 1)
				continue;
			of[m.kind].choices++;
			of[m.kind].groups += m.n;
			of[m.kind].read += files.read;
			if (files.read > of[m.kind].most)
				of[m.kind].most = files.read;
		}
	}
	printf("# memory.stat read for a choice, on average and at most, of so many groups on "
	       "average\n");
	for (int k = 0; k < KINDS; k++) {
		double n = of[k].choices ? (double)of[k].choices : 1;

		T_ROW(kind_names[k]);
		printf("# %-12s %6.1f %5lu of %6.1f\n", kind_names[k], (double)of[k].read / n,
		       of[k].most, (double)of[k].groups / n);
		if (k == SINGLE || k == IN_OWNER || k == SEVERAL)
			T_ASSERT(of[k].most <= MOST_READ);
	}
	for (size_t p = 0; p < CGG_ARRAY_LEN(policies); p++)
		policy_free(policies[p]);
}
