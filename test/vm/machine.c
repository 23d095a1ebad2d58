/* SPDX-License-Identifier: Apache-2.0 */
/*
 * machine: a random machine whose guilty party is known. It makes cgroups as systemd, container engines and
 * users do, with innocent processes of any size and kind of memory; then the guilty take what is left. Who died
 * first, and who else, is what it prints. A seed is one machine, the same each time.
 */
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ipc.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/shm.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define MIB	    ((size_t)1 << 20)
#define STEP	    ((size_t)64 << 10)
#define TABLE_STEP  ((size_t)8 << 10) /* what one page and its page table take */
#define REACH	    ((size_t)2 << 20)
#define UNITS_MAX   80
#define OWNERS_MAX  12
#define SETUP_S	    60
#define LEAK_S	    60
#define SETTLE_MS   4000 /* without another death: it is over */
#define GUILTY_BASE (3 * MIB)

static const char usage[] = "usage: machine SEED ROOT CALM [KIND [STYLE [MEMORY]]]\n"
			    "  SEED   a number\n"
			    "  ROOT   the root of cgroup v2\n"
			    "  CALM   seconds that all is quiet before the guilty begin\n"
			    "  KIND   any, single, in-owner, herd, several, squatter\n"
			    "  STYLE  any, containers, units\n"
			    "  MEMORY of the guilty: anon, shared, memfd, sysv, tables\n"
			    "Prints `seed=S kind=K memory=M units=N "
			    "first=guilty|innocent|protected|nobody guilty=DIED/ALL\n"
			    "innocent=DIED/ALL protected=DIED/ALL kernel=N ms=N victim=PATH`.\n";

enum kind { SINGLE, IN_OWNER, HERD, SEVERAL, SQUATTER, KINDS };
static const char *const kind_name[] = {"single", "in-owner", "herd", "several", "squatter"};

enum style { SERVICE, SESSION, DOCKER, LIBPOD, LXC, POD, STYLES };

enum memory { ANON, SHARED, MEMFD, SYSV, TABLES, MEMORIES };
static const char *const memory_name[] = {"anon", "shared", "memfd", "sysv", "tables"};

enum phase { SETUP, LEAK, END };

struct unit {
	char path[400];
	unsigned int owner;
	uid_t uid;
	enum memory memory;
	size_t base, grow; /* bytes held from the start, and taken on top while the guilty leak */
	size_t rate; /* of the growth, bytes a second */
	bool guilty, protected;
	pid_t pid;
	bool dead;
};

/* What parent and members share. */
struct shared {
	_Atomic int phase;
	_Atomic unsigned int nready;
};

static struct unit unit[UNITS_MAX];
static unsigned int nunits;
static struct shared *shared;
static const char *root;
static uint64_t random_state;
static char *made[UNITS_MAX * 8];
static unsigned int nmade;

__attribute__((format(printf, 1, 2))) _Noreturn static void die(const char *format, ...)
{
	int code = errno;
	va_list args;

	va_start(args, format);
	fputs("machine: ", stderr);
	vfprintf(stderr, format, args);
	fprintf(stderr, ": %s\n", strerror(code));
	va_end(args);
	exit(1);
}

/* ---- chance: xorshift64* ---- */

static uint64_t chance(void)
{
	random_state ^= random_state >> 12;
	random_state ^= random_state << 25;
	random_state ^= random_state >> 27;
	return random_state * 2685821657736338717u;
}

static unsigned int below(unsigned int n)
{
	return (unsigned int)(chance() >> 33) % n;
}

static double uniform(double from, double to)
{
	return from + (to - from) * (double)(chance() >> 11) / (double)(1ull << 53);
}

static double gauss(double sigma)
{
	return sigma * sqrt(-2 * log(uniform(1e-12, 1))) * cos(uniform(0, 2 * M_PI));
}

/* ---- files ---- */

static int put(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC), r;

	if (fd < 0)
		return -1;
	r = write(fd, text, strlen(text)) < 0 ? -1 : 0;
	close(fd);
	return r;
}

static size_t from_file(const char *path, const char *key)
{
	char line[256];
	size_t n = 0;
	FILE *f = fopen(path, "re");

	if (!f)
		die("%s", path);
	while (fgets(line, sizeof(line), f)) {
		if (strncmp(line, key, strlen(key)) == 0)
			n = strtoull(line + strlen(key), NULL, 10);
	}
	fclose(f);
	return n;
}

/* A cgroup and those above it, each but the last with controllers for its children. */
static void make_cgroup(const char *path, uid_t uid)
{
	char dir[1024], control[1100];

	for (const char *end = path; *end == '/';) {
		int have = snprintf(dir, sizeof(dir), "%s%.*s", root, (int)(end - path), path);

		(void)have;
		snprintf(control, sizeof(control), "%s/cgroup.subtree_control", dir);
		(void)put(control, "+memory +pids");
		end += 1 + strcspn(end + 1, "/");
		snprintf(dir, sizeof(dir), "%s%.*s", root, (int)(end - path), path);
		if (mkdir(dir, 0755) == 0) {
			if (uid != 0 && chown(dir, uid, uid) < 0)
				die("%s", dir);
			if (nmade < sizeof(made) / sizeof(made[0]))
				made[nmade++] = strdup(dir);
		} else if (errno != EEXIST) {
			die("%s", dir);
		}
	}
}

/* ---- what a member does ---- */

static void pause_for(double s)
{
	struct timespec ts = {.tv_sec = (time_t)s};

	ts.tv_nsec = (long)((s - (double)ts.tv_sec) * 1e9);
	nanosleep(&ts, NULL);
}

static char *reserve(enum memory memory, size_t size)
{
	void *p = MAP_FAILED;
	int fd;

	switch (memory) {
	case ANON:
	case TABLES:
		p = mmap(NULL, memory == TABLES ? size / TABLE_STEP * REACH : size,
			 PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1,
			 0);
		break;
	case SHARED:
		p = mmap(NULL, size, PROT_READ | PROT_WRITE,
			 MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
		break;
	case MEMFD:
		fd = memfd_create("cache", MFD_CLOEXEC);
		if (fd >= 0 && ftruncate(fd, (off_t)size) == 0)
			p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
		break;
	case SYSV:
		fd = shmget(IPC_PRIVATE, size, IPC_CREAT | 0600 | SHM_NORESERVE);
		if (fd >= 0) {
			p = shmat(fd, NULL, 0);
			shmctl(fd, IPC_RMID, NULL);
		}
		break;
	default:
		break;
	}
	if (p == MAP_FAILED)
		die("%s of %zu bytes", memory_name[memory], size);
	return p;
}

static void touch(char *p, enum memory memory, size_t from, size_t to)
{
	if (memory == TABLES) {
		for (size_t i = from / TABLE_STEP; i < to / TABLE_STEP; i++)
			p[i * REACH] = 1;
	} else {
		for (size_t i = from; i < to; i += 4096)
			p[i] = 1;
	}
}

_Noreturn static void member(const struct unit *u)
{
	char path[1100];
	size_t size = u->base + u->grow + STEP, at;
	char *p;

	snprintf(path, sizeof(path), "%s%s/cgroup.procs", root, u->path);
	if (put(path, "0") < 0 || put("/proc/self/oom_score_adj", "0") < 0)
		die("%s", path);
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	prctl(PR_SET_THP_DISABLE, 1, 0, 0, 0);
	prctl(PR_SET_NAME, u->guilty && below(3) == 0 ? "pause" : "worker");
	if (u->uid != 0 && setresuid(u->uid, u->uid, u->uid) < 0)
		die("uid %u", u->uid);
	p = reserve(u->memory, size);
	touch(p, u->memory, 0, u->base);
	shared->nready++;
	while (shared->phase == SETUP)
		pause_for(0.05);
	for (at = u->base; at < u->base + u->grow && shared->phase == LEAK; at += STEP) {
		touch(p, u->memory, at, at + STEP);
		pause_for((double)STEP / (double)u->rate);
	}
	for (;;)
		pause();
}

/* ---- the plan ---- */

static const char *const odd_names[] = {"pause",     "libpod-conmon-1", "a b",	    "x\\x2dy",
					"tab\there", "system.slice",	"\xc2\xa0", "web"};

static void hex(char *ret, unsigned int n)
{
	for (unsigned int i = 0; i < n; i++)
		ret[i] = "0123456789abcdef"[below(16)];
	ret[n] = '\0';
}

/* The cgroup of one unit of an owner: number is the owner's, which its path shows; i the unit's in it. */
static void place(struct unit *u, enum style style, unsigned int number, unsigned int i)
{
	char id[65];

	hex(id, 64);
	u->owner = number;
	u->uid = 0;
	switch (style) {
	case SERVICE: /* a service with several is a slice of services */
		snprintf(u->path, sizeof(u->path),
			 "/system.slice/system-app%u.slice/app%u@%u.service", number, number, i);
		break;
	case SESSION:
		u->uid = 1000 + number;
		snprintf(u->path, sizeof(u->path),
			 "/user.slice/user-%u.slice/user@%u.service/app.slice/app-%s-%u.scope",
			 u->uid, u->uid, odd_names[below(sizeof(odd_names) / sizeof(odd_names[0]))],
			 i);
		break;
	case DOCKER:
		snprintf(u->path, sizeof(u->path), "/machine-%u.slice/docker-%s.scope", number, id);
		break;
	case LIBPOD:
		snprintf(u->path, sizeof(u->path),
			 "/machine.slice/%s%u.slice/libpod-%s.scope/container",
			 "machine-libpod_pod_", number, id);
		break;
	case LXC:
		snprintf(u->path, sizeof(u->path), "/lxc.payload.ct%u/system.slice/app%u.service",
			 number, i);
		break;
	default:
		snprintf(u->path, sizeof(u->path),
			 "/kubepods.slice/kubepods-besteffort.slice/"
			 "kubepods-besteffort-pod%08x_0000_4000_8000_%012x"
			 ".slice/cri-containerd-%s.scope",
			 number, number, id);
		break;
	}
}

static struct unit *add(enum style style, unsigned int owner, unsigned int i, size_t base)
{
	struct unit *u = &unit[nunits];

	if (nunits == UNITS_MAX)
		return NULL;
	nunits++;
	*u = (struct unit){.base = base, .memory = below(3) == 0 ? below(MEMORIES) : ANON};
	if (u->memory == TABLES)
		u->memory = ANON; /* nobody innocent lives on page tables */
	place(u, style, owner, i);
	return u;
}

static enum style pick_style(const char *want)
{
	static const enum style containers[] = {DOCKER, LIBPOD}, units[] = {SERVICE, SESSION};

	if (strcmp(want, "containers") == 0)
		return containers[below(2)];
	if (strcmp(want, "units") == 0)
		return units[below(2)];
	return below(STYLES);
}

/* Of those whose units have an owner above them. */
static enum style pick_owned(const char *want)
{
	static const enum style owned[] = {SESSION, LXC, POD};

	if (strcmp(want, "containers") == 0)
		return POD;
	if (strcmp(want, "units") == 0)
		return SESSION;
	return owned[below(3)];
}

/* Innocent owners until about a part of the memory is theirs. Returns the bytes that they will hold. */
static size_t add_innocent(size_t available, const char *want, enum style *style_of,
			   unsigned int *ret_nowners)
{
	double target = (double)available * uniform(.25, .6), total = 0;
	size_t sum = 0;

	for (*ret_nowners = 0; *ret_nowners < OWNERS_MAX - 5 && total < target; ++*ret_nowners) {
		enum style style = pick_style(want);
		double k = uniform(0, 1);
		unsigned int n = k < .5 ? 1 : k < .8 ? 2 + below(4) : 5 + below(5);

		style_of[*ret_nowners] = style;
		for (unsigned int i = 0; i < n && total < target && nunits < UNITS_MAX - 45; i++) {
			double size = (double)available / 30 * exp(gauss(1.1));
			struct unit *u;

			if (size > (double)available * .4)
				size = (double)available * .4;
			if (total + size > target)
				size = target - total < 1 << 20 ? 1 << 20 : target - total;
			u = add(style, *ret_nowners, i, (size_t)size);
			if (below(20) == 0) { /* a burst: a start, a compaction, a batch */
				double part = fabs(gauss(.25));

				u->grow = (size_t)(size * (part > .5 ? .5 : part));
				u->rate = 20 * MIB;
			}
			total += size;
			sum += u->base + u->grow;
		}
	}
	if (below(4) == 0 && nunits < UNITS_MAX - 45) {
		struct unit *u = add(SERVICE, OWNERS_MAX, 0, (size_t)((double)available * .1));

		snprintf(u->path, sizeof(u->path), "/system.slice/dbus.service");
		u->protected = true;
		sum += u->base;
	}
	return sum;
}

static void add_guilty(enum kind kind, size_t left, const char *want, const enum style *style_of,
		       unsigned int nowners, enum memory memory)
{
	unsigned int first = nunits, n = 1, owner = nowners;
	enum style style = pick_style(want);
	double seconds = uniform(5, 12);

	if (kind == HERD) {
		n = 12 + below(24);
		style = pick_owned(want);
	} else if (kind == SEVERAL)
		n = 2 + below(2);
	if (kind == IN_OWNER) {
		owner = below(nowners);
		style = style_of[owner];
	}
	for (unsigned int i = 0; i < n; i++) {
		struct unit *u =
			add(style, kind == SEVERAL ? owner + i : owner, 90 + i, GUILTY_BASE);

		if (!u)
			die("too many units");
		if (kind == SEVERAL)
			style = pick_style(want);
		u->guilty = true;
		u->memory = memory;
		u->grow = left; /* without end, as far as this machine goes */
		u->rate = (size_t)((double)left / seconds / n);
	}
	if (kind == SQUATTER) { /* it has all of it already; innocent ones move */
		unit[first].base = left / 2;
		unit[first].grow = 0;
		for (unsigned int i = 0; i < first && i < 4; i++) {
			unit[i].grow = left;
			unit[i].rate = left / 10;
		}
	}
}

/* ---- what happens ---- */

static uint64_t now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

/* The one that died next, NULL: nobody has. */
static struct unit *reap(void)
{
	int status;
	pid_t pid = waitpid(-1, &status, WNOHANG);

	for (unsigned int i = 0; pid > 0 && i < nunits; i++) {
		if (unit[i].pid != pid)
			continue;
		unit[i].dead = true;
		if (!WIFSIGNALED(status))
			fprintf(stderr, "machine: %s ended by itself\n", unit[i].path);
		return &unit[i];
	}
	return NULL;
}

static void start(void)
{
	uint64_t began = now_ms();

	for (unsigned int i = 0; i < nunits; i++) {
		make_cgroup(unit[i].path, unit[i].uid);
		unit[i].pid = fork();
		if (unit[i].pid == 0)
			member(&unit[i]);
		if (unit[i].pid < 0)
			die("fork");
	}
	while (shared->nready < nunits) {
		struct unit *u = reap();

		if (u || now_ms() - began > SETUP_S * 1000) {
			errno = u ? ECHILD : ETIME;
			die("only %u of %u are there, %s", shared->nready, nunits,
			    u ? u->path : "");
		}
		pause_for(0.02);
	}
}

static void end(void)
{
	shared->phase = END;
	for (unsigned int i = 0; i < nunits; i++) {
		if (unit[i].pid > 0 && !unit[i].dead)
			kill(unit[i].pid, SIGKILL);
	}
	while (waitpid(-1, NULL, 0) > 0 || errno == EINTR)
		;
	while (nmade-- > 0) {
		for (int i = 0; rmdir(made[nmade]) < 0 && errno == EBUSY && i < 100; i++)
			pause_for(0.02);
	}
}

static const char *role(const struct unit *u)
{
	return !u ? "nobody" : u->guilty ? "guilty" : u->protected ? "protected" : "innocent";
}

int main(int argc, char **argv)
{
	enum style style_of[OWNERS_MAX];
	unsigned int nowners, died[3] = {0}, all[3] = {0};
	const char *want = argc > 5 ? argv[5] : "any";
	size_t available, held, kills;
	uint64_t began, last;
	struct unit *first = NULL, *u;
	enum kind kind;
	enum memory memory;

	if (argc < 4) {
		fputs(usage, stderr);
		return 2;
	}
	root = argv[2];
	random_state = (strtoull(argv[1], NULL, 10) + 1) * 0x9e3779b97f4a7c15u;
	for (int i = 0; i < 8; i++)
		(void)chance();
	shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1,
		      0);
	if (shared == MAP_FAILED)
		die("memory");
	available = from_file("/proc/meminfo", "MemAvailable:") * 1024;
	kind = below(100) < 10 ? SQUATTER : below(SQUATTER);
	for (int i = 0; argc > 4 && i < KINDS; i++) {
		if (strcmp(argv[4], kind_name[i]) == 0)
			kind = i;
	}
	memory = below(2) == 0 ? ANON : below(MEMORIES);
	for (int i = 0; argc > 6 && i < MEMORIES; i++) {
		if (strcmp(argv[6], memory_name[i]) == 0)
			memory = i;
	}
	held = add_innocent(available, want, style_of, &nowners);
	add_guilty(kind, available > held ? available - held : MIB, want, style_of, nowners,
		   memory);
	start();
	pause_for(atof(argv[3]));
	kills = from_file("/proc/vmstat", "oom_kill ");
	shared->phase = LEAK;
	began = last = now_ms();
	while (now_ms() - began < LEAK_S * 1000 && !(first && now_ms() - last > SETTLE_MS)) {
		u = reap();
		if (!u) {
			pause_for(0.01);
			continue;
		}
		last = now_ms();
		if (!first) {
			first = u;
			printf("# after %llu ms %s\n", (unsigned long long)(last - began), u->path);
		}
	}
	for (unsigned int i = 0; i < nunits; i++) {
		int r = unit[i].guilty ? 0 : unit[i].protected ? 2 : 1;

		all[r]++;
		died[r] += unit[i].dead;
	}
	printf("seed=%s kind=%s memory=%s units=%u first=%s guilty=%u/%u innocent=%u/%u "
	       "protected=%u/%u kernel=%zu\n",
	       argv[1], kind_name[kind], memory_name[memory], nunits, role(first), died[0], all[0],
	       died[1], all[1], died[2], all[2], from_file("/proc/vmstat", "oom_kill ") - kills);
	end();
	return 0;
}
