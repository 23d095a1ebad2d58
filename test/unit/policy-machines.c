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
#define MOST_READ      60 /* of a herd those whose usage is half of what is missing are read, too */
#define LARGE	       300 /* groups */
#define LARGE_READ     40

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

/*
 * Two owners of many small groups and some single ones, whose sums are near all that is decided by: half of what is missing,
 * a sixth of what was lost, each other, and four times each other.
 */
static void make_close(struct machine *m)
{
	const double half = 52, sixth = 20; /* MiB, about, of what there is below */
	double used = 0;

	m->n = 0;
	m->last_id = 1;
	m->ram_mib = 4096;
	for (int o = 1; o <= 4; o++) {
		int n = o <= 2 ? whole(17, 60) : whole(1, 3);
		double mib = half * (chance(.5) ? between(.95, 1.05) : between(3.8, 4.2));
		double grown = sixth * (chance(.7) ? between(.95, 1.05) : between(-1, 3));
		double sum = 0, parts[64];
		char owner[16];

		snprintf(owner, sizeof(owner), "o%d", o);
		for (int i = 0; i < n; i++)
			sum += parts[i] = exp(normal(.7));
		for (int i = 0; i < n; i++) {
			double of = mib * parts[i] / sum;
			struct unit *u = add(m, owner, i, of,
					     fmin(of, grown * parts[i] / sum + normal(.02) * of));

			if (chance(.05))
				restart(m, u);
			used += of;
		}
	}
	add(m, "o5", -1, fmax(1, m->ram_mib * .95 - used), sixth * 6 - sixth * between(2, 5));
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

/* Memory of all kinds: some have files on a tmpfs, which stay, one in sixteen nothing else; some are swapped out. */
static bool mixed, lags;

static void mix(struct cgg_cgroup *cg)
{
	uint64_t of = mixed ? cg->id * 0x9e3779b97f4a7c15ULL >> 60 : 0;

	if (of == 1)
		cg->gain_bytes = 0;
	else if (of == 2 || of == 3)
		cg->gain_bytes = cg->unreclaimable_bytes / 10 * of * 2;
	cg->have |= mixed ? CGG_HAVE_SWAP_CURRENT : 0;
	if (of >= 3 && of <= 6)
		cg->swap_current_bytes = cg->unreclaimable_bytes / 10 * (of - 2);
}

/* An owner's memory.stat may lag behind those of his groups, either way. */
static void lag(struct cgg_snapshot *snap)
{
	for (uint32_t i = 1; lags && i < snap->n; i++) {
		int64_t by = whole(-15, 15);

		if (cgroups[i].nprocs > 0)
			continue;
		cgroups[i].unreclaimable_bytes +=
			(int64_t)cgroups[i].unreclaimable_bytes / 1000 * by;
		cgroups[i].gain_bytes += (int64_t)cgroups[i].gain_bytes / 1000 * by;
	}
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
	if (!top)
		mix(cg);
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
		top->swap_current_bytes += cgroups[i].swap_current_bytes;
		top->have |= cgroups[i].have & CGG_HAVE_SWAP_CURRENT;
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

/* How many groups from the victim on, all of its herd, are to die until it is enough: 1 or more. */
static size_t batch_of(const struct cgg_group *order, size_t n, size_t victim,
		       uint64_t missing_bytes)
{
	uint64_t freed = 0;
	size_t i = victim;

	do {
		freed += (uint64_t)order[i].term[CGG_RANK_GAIN];
		i++;
	} while (freed < missing_bytes && i < n && order[i].herd && order[victim].herd &&
		 order[i].owner == order[victim].owner && order[i].avoid == order[victim].avoid);
	return i - victim;
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
		batch = turn_is_for(rule) ? batch_of(groups, n, victim, need.missing_bytes) : 1;
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

/* What the groups of a machine had when calm ended. */
static void end_calm(const struct machine *m, const struct cgg_policy *policy,
		     struct calm_bases *ret)
{
	struct cgg_snapshot snap;
	uint32_t victim;
	double used;
	size_t n;

	used = lay_out(m, true, &snap);
	n = policy_choose(policy, &policy->rule[0], &snap, 0, &(struct policy_known){0}, groups,
			  &victim);
	calm_record(&snap, groups, n, (uint64_t)(used * MIB), base, CGROUPS_MAX, ret);
}

static void begin(struct machine *m, enum kind kind, const struct cgg_policy *policy,
		  struct calm_bases *ret)
{
	make(m, kind);
	end_calm(m, policy, ret);
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

TEST(a_batch_is_so_many_of_a_herd_until_it_is_enough)
{
	struct cgg_group herd[5] = {{.cgroup = 1}};

	for (size_t i = 0; i < CGG_ARRAY_LEN(herd); i++) {
		herd[i].term[CGG_RANK_GAIN] = 10;
		herd[i].herd = i > 0;
		herd[i].owner = i < 4 ? 7 : 8;
	}
	T_EQ_INT(batch_of(herd, 5, 0, 25), 1); /* alone */
	T_EQ_INT(batch_of(herd, 5, 1, 25), 3);
	T_EQ_INT(batch_of(herd, 5, 1, 20), 2);
	T_EQ_INT(batch_of(herd, 5, 1, 999), 3); /* all of it */
	T_EQ_INT(batch_of(herd, 5, 4, 999), 1);
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

/* The victim's path and those of its batch, of a herd those of its front. */
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
	batch = batch_of(groups, n, victim, need.missing_bytes);
	batch = batch < TURN_FRONT ? batch : TURN_FRONT;
	for (size_t i = victim; i < victim + batch && len < size; i++)
		len += (size_t)snprintf(text + len, size - len, "%s ",
					snap->cgroups[groups[i].cgroup].path);
	return text;
}

/* Whether both choose the same; how many memory.stat the second one has read. */
static size_t choose_twice(const struct machine *m, const struct cgg_policy *policy,
			   const struct policy_known *known)
{
	static char all[1 << 20], little[1 << 20];
	struct cgg_snapshot snap;
	struct files files = {.snap = &snap};

	lay_out(m, false, &snap);
	chosen(all, sizeof(all), policy, known, &snap, NULL, NULL);
	for (uint32_t k = 0; k < snap.n; k++)
		cgroups[k].have &= ~(uint32_t)CGG_HAVE_STAT;
	lag(&snap);
	chosen(little, sizeof(little), policy, known, &snap, read_stat, &files);
	T_EQ_STR(little, all);
	return files.read;
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
	static struct machine m;
	struct {
		unsigned long choices, groups, read, most, most_large;
	} of[KINDS] = {0}; /* by the first policy, after calm, of memory of one kind */

	state = number_of("CGG_SEED", SEED);
	for (unsigned long i = 0; i < machines; i++) {
		struct calm_bases bases;

		mixed = lags = i / KINDS % 2;
		begin(&m, (enum kind)(i % KINDS), policies[0], &bases);
		for (size_t p = 0; p < CGG_ARRAY_LEN(policies) * 2; p++) {
			const struct policy_known known = {.bases = p % 2 ? &bases : NULL};
			size_t read = choose_twice(&m, policies[p / 2], &known);

			if (p != 1 || mixed)
				continue;
			of[m.kind].choices++;
			of[m.kind].groups += m.n;
			of[m.kind].read += read;
			if (read > of[m.kind].most)
				of[m.kind].most = read;
			if (m.n >= LARGE && read > of[m.kind].most_large)
				of[m.kind].most_large = read;
		}
	}
	printf("# memory.stat read for a choice, on average, at most, and at most where there are "
	       "%d groups; of so many groups on average\n",
	       LARGE);
	for (int k = 0; k < KINDS; k++) {
		double n = of[k].choices ? (double)of[k].choices : 1;

		T_ROW(kind_names[k]);
		printf("# %-12s %6.1f %5lu %5lu of %6.1f\n", kind_names[k], (double)of[k].read / n,
		       of[k].most, of[k].most_large, (double)of[k].groups / n);
		if (k == SQUATTER) /* who held still is looked for among all */
			continue;
		T_ASSERT(of[k].most <= MOST_READ);
		T_ASSERT(of[k].most_large <= LARGE_READ);
	}
	for (size_t p = 0; p < CGG_ARRAY_LEN(policies); p++)
		policy_free(policies[p]);
}

TEST(so_it_is_where_little_decides)
{
	unsigned long machines = number_of("CGG_MACHINES", MACHINES);
	struct cgg_policy *policy = policy_of("\"protect\": [\"/o5\"],", TAKEN_FIRST);
	unsigned long read = 0, of = 0;
	static struct machine m;

	state = number_of("CGG_SEED", SEED);
	for (unsigned long i = 0; i < 10 * machines; i++) {
		struct calm_bases bases;

		mixed = i % 4 == 0;
		lags = i % 3 == 0;
		make_close(&m);
		end_calm(&m, policy, &bases);
		for (int calm = 0; calm < 2; calm++) {
			const struct policy_known known = {.bases = calm ? &bases : NULL};

			read += choose_twice(&m, policy, &known);
			of += m.n;
		}
	}
	printf("# %lu memory.stat of %lu groups were read\n", read, of);
	policy_free(policy);
}

/* What is known of it may be of long ago, and is more than what the domain has. */
TEST(an_owner_above_the_domain_is_not_asked)
{
	static const char *const paths[] = {"/", "/u", "/u/d", "/u/d/a", "/u/d/b", "/u/d/z"};
	static const double mib[] = {0, 0, 0, 700, 500, 200};
	struct cgg_policy *policy = policy_of("", TAKEN_FIRST);
	const struct policy_known known = {0};
	struct cgg_snapshot snap = {0};
	struct files files = {.snap = &snap};
	uint32_t victim;

	mixed = lags = false;
	for (size_t i = 0; i < CGG_ARRAY_LEN(paths); i++)
		put(&snap, paths[i], i + 1, mib[i], i < 3);
	connect(&snap);
	for (uint32_t i = 2; i < snap.n; i++)
		cgroups[i].limit_bytes = (uint64_t)(1500 * MIB);
	for (uint32_t i = 3; i < snap.n; i++) {
		owners[i] = i < 5 ? 1 : i;
		cgroups[i].have &= ~(uint32_t)CGG_HAVE_STAT;
	}
	cgroups[1].current_bytes = cgroups[1].unreclaimable_bytes = cgroups[1].gain_bytes = 1;
	policy_choose_reading(policy, &policy->rule[0], &snap, 2, &known, read_stat, &files, groups,
			      &victim);
	T_MUST(victim != CGG_NONE);
	T_EQ_STR(snap.cgroups[groups[victim].cgroup].path, "/u/d/a");
	policy_free(policy);
}
