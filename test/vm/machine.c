/* SPDX-License-Identifier: Apache-2.0 */
/*
 * machine: random machines whose guilty party is known, one after the other. Each makes cgroups as systemd, container
 * engines and users do, with innocent processes of any size and kind of memory, what runtimes leave, and noise; then
 * the guilty take what is left. The outcome is who died first, and who else. A seed is one machine, the same each time.
 */
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ipc.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/shm.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define MIB	   ((size_t)1 << 20)
#define STEP	   ((size_t)256 << 10)
#define PART	   ((size_t)64 << 10) /* that is written into a pipe or a socket at once */
#define TABLE_STEP ((size_t)8 << 10) /* what one page and its page table take */
#define REACH	   ((size_t)2 << 20)
#define FORKS_STEP ((size_t)4 << 20) /* that each forked child holds */
#define UNITS_MAX  128
#define HERD_MAX   36
#define OWNERS_MAX 14
#define SPARE	   (100 * MIB) /* for an old one of the guilty, and what processes are */
#define MADE_MAX   1024
#define PATHS	   1200
#define BREATH	   (4 * MIB)
#define CHURNED	   7
#define NOISE_S	   .5
#define SETUP_MS   60000
#define LEAK_MS	   60000
#define SETTLE_MS  4000 /* without another death: it is over */
#define ROUND	   (16 * MIB) /* of memory: so that a seed is one machine in each boot */

static const char usage[] =
	"usage: machine [OPTION...]\n"
	"  --seed N       the first one (1)\n"
	"  --count N      how many, each with the next seed (1)\n"
	"  --root DIR     the root of cgroup v2 (/sys/fs/cgroup)\n"
	"  --calm N       seconds that all is quiet before the guilty begin (45)\n"
	"  --guard PID    that must outlive each machine\n"
	"  --policy NAME  whose candidates the guilty are among: host (all), container-host,\n"
	"                 kubernetes\n"
	"  --kind NAME    single, in-owner, herd, several, forks, limit, limit-above, squatter\n"
	"  --memory NAME  of the guilty: anon, huge, locked, shared, memfd, sysv, tables,\n"
	"                 pipes, sockets\n"
	"Prints a line for each machine, and a table. Exit: 0 at least 99 % were right, nobody\n"
	"protected died, the guard lives, and it found somebody whenever the kernel killed;\n"
	"1 not so; 2 a machine could not be made.\n";

enum kind { SINGLE, IN_OWNER, HERD, SEVERAL, FORKS, LIMIT, LIMIT_ABOVE, SQUATTER, KINDS };
static const char *const kind_name[] = {"single", "in-owner", "herd",	     "several",
					"forks",  "limit",    "limit-above", "squatter"};

/* Where cgroups are, and how they are named. */
enum style {
	SERVICE,
	SESSION,
	ROOTLESS, /* a user's containers */
	DOCKER,
	DOCKER_FS, /* the cgroupfs driver */
	LIBPOD,
	LXC,
	POD,
	POD_FS,
	STYLES
};

enum policy { HOST, CONTAINER_HOST, KUBERNETES, POLICIES };
static const char *const policy_name[] = {"host", "container-host", "kubernetes"};
/* What must be left for it to be calm: three times its line. */
static const size_t calm_bytes[] = {192 * MIB, 288 * MIB, 300 * MIB};

/* By policy: whose units may be guilty. */
#define BIT(style) (1U << (style))
static const unsigned int fit_styles[] = {
	BIT(STYLES) - 1,
	BIT(ROOTLESS) | BIT(DOCKER) | BIT(DOCKER_FS) | BIT(LIBPOD),
	BIT(POD) | BIT(POD_FS),
};
/* The styles in which the owner's cgroup is above its units. Not LXC: a container dies whole, innocent units too. */
static const unsigned int owned_styles = BIT(SESSION) | BIT(ROOTLESS) | BIT(POD) | BIT(POD_FS);

enum qos { BEST_EFFORT, BURSTABLE, GUARANTEED };

enum memory {
	ANON,
	HUGE,
	LOCKED,
	SHARED,
	MEMFD,
	SYSV,
	TABLES,
	PIPES,
	SOCKETS,
	LEAKABLE,
	TMPFS = LEAKABLE, /* a file, which outlives its writer */
	MEMORIES
};
static const char *const memory_name[] = {"anon", "huge",   "locked", "shared",	 "memfd",
					  "sysv", "tables", "pipes",  "sockets", "tmpfs"};

/* What one that is not guilty does all the time. */
enum noise { QUIET, CHURN, FORKER, BREATHER, SCRIBBLER, NOISES };

struct owner {
	enum style style;
	enum qos qos;
	unsigned int number;
};

struct unit {
	char path[600];
	size_t own_len; /* of the path, to the container, scope or service; the rest is in it */
	const struct owner *owner;
	uid_t uid;
	enum memory memory;
	enum noise noise;
	size_t base, grow; /* bytes held from the start, and taken on top while the guilty leak */
	size_t rate; /* of the growth, bytes a second */
	int adj;
	char comm[16];
	bool guilty, protected, forks, bare, small_pages;
	pid_t pid;
	bool dead, fair; /* fair: an innocent that had taken as much as the guilty */
};

enum outcome { RIGHT, TIE, SQUATTED, WRONG, PROTECTED, KERNEL, MISSED, CRASH, BROKEN, OUTCOMES };
static const char *const outcome_name[] = {"right",	"tie",	     "squatter",
					   "wrong",	"protected", "kernel-first",
					   "no-victim", "crash",     "broken"};

/* What the parent, a machine and its members share. */
static struct shared {
	_Atomic unsigned int nready;
	_Atomic size_t taken[UNITS_MAX];
	struct result {
		unsigned long seed;
		enum kind kind;
		enum outcome outcome;
	} result;
} * shared;

static struct options {
	const char *root;
	unsigned long seed, count;
	double calm_s;
	pid_t guard;
	int policy, kind, memory; /* the last two: -1 any */
} opt = {"/sys/fs/cgroup", 1, 1, 45, 0, HOST, -1, -1};

static struct unit unit[UNITS_MAX];
static unsigned int nunits;
static struct owner owner[OWNERS_MAX + 4];
static unsigned int nowners;
static char *made[MADE_MAX];
static unsigned int nmade;
static int go[2]; /* closed when the guilty begin */

static pid_t machine_pid; /* of the one that has to remove what was made */
static void remove_all(void);

__attribute__((format(printf, 1, 2))) _Noreturn static void die(const char *format, ...)
{
	int code = errno;
	va_list args;

	va_start(args, format);
	fputs("machine: ", stderr);
	vfprintf(stderr, format, args);
	fprintf(stderr, ": %s\n", strerror(code));
	va_end(args);
	if (machine_pid == getpid())
		remove_all();
	exit(2);
}

/* ---- chance: xorshift64* ---- */

static uint64_t random_state;

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

static bool one_in(unsigned int n)
{
	return below(n) == 0;
}

static double uniform(double from, double to)
{
	return from + (to - from) * (double)(chance() >> 11) / (double)(1ull << 53);
}

static double gauss(double sigma)
{
	return sigma * sqrt(-2 * log(uniform(1e-12, 1))) * cos(uniform(0, 2 * M_PI));
}

static void hex(char *ret, unsigned int n)
{
	for (unsigned int i = 0; i < n; i++)
		ret[i] = "0123456789abcdef"[below(16)];
	ret[n] = '\0';
}

/* One of the styles of a set. */
static enum style pick_style(unsigned int set)
{
	enum style style;

	do
		style = below(STYLES);
	while (!(set & BIT(style)));
	return style;
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

__attribute__((format(printf, 3, 4))) static int set(const char *path, const char *file,
						     const char *format, ...)
{
	char name[PATHS + 64], text[64];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	snprintf(name, sizeof(name), "%s%s/%s", opt.root, path, file);
	return put(name, text);
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

static size_t kernel_kills(void)
{
	return from_file("/proc/vmstat", "oom_kill ");
}

/*
 * A cgroup and those above it, each but the last with controllers for its children, and if it is bare not the one above
 * it either. What is in a user's manager is that user's.
 */
static void make_cgroup(const char *path, uid_t uid, bool bare)
{
	const char *users = strstr(path, "/user@");
	char dir[1024];

	for (const char *end = path; *end == '/';) {
		snprintf(dir, sizeof(dir), "%.*s", (int)(end - path), path);
		end += 1 + strcspn(end + 1, "/");
		if (!bare || *end)
			(void)set(dir, "cgroup.subtree_control", "+memory +pids +cpu");
		snprintf(dir, sizeof(dir), "%s%.*s", opt.root, (int)(end - path), path);
		if (mkdir(dir, 0755) == 0) {
			if (uid != 0 && (!users || end > users + 1) && chown(dir, uid, uid) < 0)
				die("%s", dir);
			if (nmade < MADE_MAX)
				made[nmade++] = strdup(dir);
		} else if (errno != EEXIST) {
			die("%s", dir);
		}
	}
}

/* ---- what a member holds ---- */

static void pause_for(double s)
{
	struct timespec ts = {.tv_sec = (time_t)s};

	ts.tv_nsec = (long)((s - (double)ts.tv_sec) * 1e9);
	nanosleep(&ts, NULL);
}

struct hold {
	enum memory memory;
	char *p; /* of what is mapped */
	int fd;
};

static void *map(size_t size, int flags, int fd)
{
	return mmap(NULL, size, PROT_READ | PROT_WRITE, flags | MAP_NORESERVE, fd, 0);
}

static void file_name(char *ret, size_t size, unsigned int index)
{
	snprintf(ret, size, "/tmp/machine.%u", index);
}

static void reserve(struct hold *h, const struct unit *u, size_t size)
{
	char file[64];

	*h = (struct hold){u->memory, MAP_FAILED, -1};
	switch (u->memory) {
	case ANON:
	case HUGE:
	case LOCKED:
		h->p = map(size, MAP_PRIVATE | MAP_ANONYMOUS, -1);
		if (u->memory == HUGE)
			madvise(h->p, size, MADV_HUGEPAGE);
		if (u->memory == LOCKED)
			mlockall(MCL_CURRENT | MCL_FUTURE | MCL_ONFAULT);
		break;
	case TABLES:
		h->p = map(size / TABLE_STEP * REACH, MAP_PRIVATE | MAP_ANONYMOUS, -1);
		break;
	case SHARED:
		h->p = map(size, MAP_SHARED | MAP_ANONYMOUS, -1);
		break;
	case MEMFD:
		h->fd = memfd_create("cache", MFD_CLOEXEC);
		if (h->fd >= 0 && ftruncate(h->fd, (off_t)size) == 0)
			h->p = map(size, MAP_SHARED, h->fd);
		break;
	case SYSV:
		h->fd = shmget(IPC_PRIVATE, size, IPC_CREAT | 0600 | SHM_NORESERVE);
		if (h->fd >= 0) {
			h->p = shmat(h->fd, NULL, 0);
			shmctl(h->fd, IPC_RMID, NULL);
		}
		break;
	case TMPFS:
		file_name(file, sizeof(file), (unsigned int)(u - unit));
		h->fd = open(file, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
		h->p = NULL;
		break;
	default:
		h->p = NULL;
		break;
	}
	if (h->p == MAP_FAILED)
		die("%s of %zu bytes", memory_name[u->memory], size);
}

/* A part into a pipe or a socket that nobody reads; the next one when it is full. */
static void stuff(struct hold *h)
{
	static char part[PART];
	int fd[2];

	while (h->fd < 0 || write(h->fd, part, PART) != (ssize_t)PART) {
		if (h->memory == SOCKETS) {
			if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fd) < 0)
				pause_for(1);
		} else if (pipe2(fd, O_NONBLOCK) < 0 || fcntl(fd[1], F_SETPIPE_SZ, MIB) < 0) {
			pause_for(1);
		}
		h->fd = fd[1];
	}
}

static void take(struct hold *h, size_t from, size_t to)
{
	switch (h->memory) {
	case TABLES:
		for (size_t i = from / TABLE_STEP; i < to / TABLE_STEP; i++)
			h->p[i * REACH] = 1;
		break;
	case PIPES:
	case SOCKETS:
		for (size_t i = from / PART; i < to / PART; i++)
			stuff(h);
		break;
	case TMPFS:
		if (fallocate(h->fd, 0, (off_t)from, (off_t)(to - from)) < 0)
			die("a file of %zu bytes", to);
		break;
	default:
		if (!h->p ||
		    madvise(h->p + from, (to - from) & ~(size_t)4095, MADV_POPULATE_WRITE) == 0)
			break;
		for (size_t i = from; i < to; i += 4096)
			h->p[i] = 1;
		break;
	}
}

/* ---- what a member does ---- */

static void fork_one(size_t hold)
{
	pid_t pid = fork();

	if (pid == 0) {
		char *p;

		if (hold == 0)
			_exit(0);
		p = map(hold, MAP_PRIVATE | MAP_ANONYMOUS, -1);
		for (size_t i = 0; p != MAP_FAILED && i < hold; i += 4096)
			p[i] = 1;
		for (;;)
			pause();
	}
	if (pid > 0 && hold == 0)
		waitpid(pid, NULL, 0);
}

static void make_noise(const struct unit *u, unsigned int turn)
{
	static char *breath;
	char dir[PATHS];

	switch (u->noise) {
	case CHURN:
		snprintf(dir, sizeof(dir), "%s%.600s/x%u", opt.root, u->path, turn % CHURNED);
		if (mkdir(dir, 0755) < 0)
			(void)rmdir(dir);
		break;
	case FORKER:
		fork_one(0);
		break;
	case BREATHER:
		if (!breath)
			breath = map(BREATH, MAP_PRIVATE | MAP_ANONYMOUS, -1);
		if (turn % 2 == 0)
			(void)madvise(breath, BREATH, MADV_POPULATE_WRITE);
		else
			(void)madvise(breath, BREATH, MADV_DONTNEED);
		break;
	default:
		(void)set(u->path, "memory.high", turn % 2 ? "max" : "10G");
		break;
	}
}

static void grow(const struct unit *u, struct hold *h)
{
	size_t step = u->forks ? FORKS_STEP : STEP, index = (size_t)(u - unit);

	for (size_t at = 0; at < u->grow; at += step) {
		size_t n = u->grow - at < step ? u->grow - at : step;

		if (u->forks)
			fork_one(n);
		else
			take(h, u->base + at, u->base + at + n);
		shared->taken[index] += n;
		pause_for((double)n / (double)u->rate);
	}
}

_Noreturn static void member(const struct unit *u)
{
	struct rlimit files = {65536, 65536}, locked = {RLIM_INFINITY, RLIM_INFINITY};
	struct hold h;
	char c, adj[16];

	close(go[1]);
	snprintf(adj, sizeof(adj), "%d", u->adj);
	if (set(u->path, "cgroup.procs", "0") < 0 || put("/proc/self/oom_score_adj", adj) < 0)
		die("%s", u->path);
	setrlimit(RLIMIT_NOFILE, &files);
	setrlimit(RLIMIT_MEMLOCK, &locked);
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	prctl(PR_SET_THP_DISABLE, u->small_pages || u->memory == TABLES, 0, 0, 0);
	prctl(PR_SET_NAME, u->comm);
	if (u->uid != 0 && setresuid(u->uid, u->uid, u->uid) < 0)
		die("uid %u", u->uid);
	prctl(PR_SET_PDEATHSIG, SIGKILL); /* another uid forgets it */
	reserve(&h, u, u->base + u->grow + STEP);
	take(&h, 0, u->base);
	shared->nready++;
	for (unsigned int turn = 0; u->noise != QUIET; turn++) {
		make_noise(u, turn);
		pause_for(NOISE_S);
	}
	(void)!read(go[0], &c, 1);
	grow(u, &h);
	for (;;)
		pause();
}

/* ---- the plan: owners and their units ---- */

static const char *const odd_names[] = {
	"pause",
	"libpod-conmon-1",
	"a b",
	"x\\x2dy",
	"tab\there",
	"system.slice",
	"\xc2\xa0",
	"web",
	"dbus.service",
	"init.scope",
	"-rf",
	"...",
	"conmon",
	"*",
	"docker-0.scope",
	"\x1b[31mred",
	"\xff\xfe",
	"sshd.service",
	"memory.max x",
	"{a,b}",
};
static const char *const odd_comms[] = {"pause",   "conmon", "containerd-shim", "catatonit",
					") R 1 (", "a\nb",   "systemd",		"(sd-pam)"};

static const char *odd_name(void)
{
	return odd_names[below(sizeof(odd_names) / sizeof(odd_names[0]))];
}

/* The directory of an owner, whose units are below it, or in which it stands. */
static void place_owner(char *ret, size_t size, const struct owner *o)
{
	static const char *const qos[] = {"besteffort", "burstable"};
	unsigned int n = o->number;

	switch (o->style) {
	case SERVICE:
		snprintf(ret, size, "/system.slice/system-app%u.slice", n);
		break;
	case SESSION:
		snprintf(ret, size, "/user.slice/user-%u.slice/user@%u.service/app.slice", 1000 + n,
			 1000 + n);
		break;
	case ROOTLESS:
		snprintf(ret, size, "/user.slice/user-%u.slice/user@%u.service/user.slice",
			 1000 + n, 1000 + n);
		break;
	case DOCKER:
		snprintf(ret, size, n % 2 ? "/system.slice" : "/machine-%u.slice", n);
		break;
	case DOCKER_FS:
		snprintf(ret, size, "/docker");
		break;
	case LIBPOD:
		snprintf(ret, size,
			 n % 2 ? "/machine.slice" : "/machine.slice/machine-libpod_pod_%u.slice",
			 n);
		break;
	case LXC:
		snprintf(ret, size, "/lxc.payload.ct%u/system.slice", n);
		break;
	case POD:
		if (o->qos == GUARANTEED)
			snprintf(ret, size,
				 "/kubepods.slice/kubepods-pod%08x_0000_4000_8000_%012x.slice", n,
				 n);
		else
			snprintf(ret, size,
				 "/kubepods.slice/kubepods-%s.slice/"
				 "kubepods-%s-pod%08x_0000_4000_8000_%012x.slice",
				 qos[o->qos], qos[o->qos], n, n);
		break;
	default:
		snprintf(ret, size,
			 o->qos == GUARANTEED ? "/kubepods/%spod%08x-0000-4000-8000-%012x"
					      : "/kubepods/%s/pod%08x-0000-4000-8000-%012x",
			 o->qos == GUARANTEED ? "" : qos[o->qos], n, n);
		break;
	}
}

static struct unit *new_unit(const struct owner *o)
{
	struct unit *u = &unit[nunits];

	if (nunits == UNITS_MAX) {
		errno = E2BIG;
		die("units");
	}
	nunits++;
	*u = (struct unit){.owner = o};
	strcpy(u->comm, "worker");
	if (o->style == SESSION || o->style == ROOTLESS)
		u->uid = 1000 + o->number;
	if (o->style == POD || o->style == POD_FS)
		u->adj = o->qos == GUARANTEED ? -997 : o->qos == BURSTABLE ? 900 : 1000;
	return u;
}

/* What stands beside a container and serves it: too small to be worth a kill. */
static void add_helper(const struct owner *o, int adj, const char *comm, const char *format, ...)
{
	struct unit *u = new_unit(o);
	va_list args;

	place_owner(u->path, 400, o);
	va_start(args, format);
	vsnprintf(u->path + strlen(u->path), 200, format, args);
	va_end(args);
	u->adj = adj;
	snprintf(u->comm, sizeof(u->comm), "%s", comm);
}

/* The i-th unit of an owner, with its memory. */
static struct unit *add(const struct owner *o, unsigned int i, size_t base)
{
	struct unit *u = new_unit(o);
	char *end, id[65];

	hex(id, 64);
	place_owner(u->path, 400, o);
	end = u->path + strlen(u->path);
	switch (o->style) {
	case SERVICE:
		snprintf(end, 200, "/app%u@%u.service", o->number, i);
		break;
	case SESSION:
		snprintf(end, 200, one_in(4) ? "/%s-%u" : "/app-%s-%u.scope", odd_name(), i);
		break;
	case DOCKER:
		snprintf(end, 200, "/docker-%s.scope", id);
		break;
	case DOCKER_FS:
		snprintf(end, 200, "/%s", id);
		break;
	case ROOTLESS:
	case LIBPOD:
		snprintf(end, 200, one_in(2) ? "/libpod-%s.scope/container" : "/libpod-%s.scope",
			 id);
		break;
	case LXC:
		snprintf(end, 200, "/app%u.service", i);
		break;
	case POD:
		snprintf(end, 200, "/cri-containerd-%s.scope", id);
		break;
	default:
		snprintf(end, 200, "/%s", id);
		break;
	}
	u->own_len = strlen(u->path);
	if (one_in(10)) { /* deeper than anybody needs; a user's own tree */
		unsigned int depth = 1 + below(o->style == SESSION ? 8 : 2);

		for (unsigned int d = 0; d < depth && strlen(u->path) < 500; d++)
			snprintf(u->path + strlen(u->path), 64, "/%s", d ? "n" : odd_name());
		u->bare = one_in(2);
	}
	u->base = base;
	u->memory = one_in(2) ? ANON : below(MEMORIES);
	if (u->memory == TABLES)
		u->memory = ANON; /* nobody innocent lives on page tables */
	u->small_pages = one_in(3);
	if (!u->small_pages && base > REACH)
		u->base = (base + REACH - 1) / REACH * REACH;
	if (one_in(6))
		snprintf(u->comm, sizeof(u->comm), "%s",
			 odd_comms[below(sizeof(odd_comms) / sizeof(odd_comms[0]))]);
	if (o->style == LIBPOD && i == 0)
		add_helper(o, 0, "conmon", "/libpod-conmon-%s.scope", id);
	return u;
}

static struct owner *new_owner(enum style style, enum qos qos)
{
	struct owner *o = &owner[nowners];

	*o = (struct owner){style, qos, nowners};
	nowners++;
	if (style == POD)
		add_helper(o, -998, "pause", "/cri-containerd-%064x.scope", o->number);
	else if (style == POD_FS)
		add_helper(o, -998, "pause", "/%064x", o->number);
	return o;
}

static double heavy_tailed(double available)
{
	double size = available / 30 * exp(gauss(1.1));

	return size > available * .4 ? available * .4 : size;
}

/* Innocent owners until about a part of what may be held is theirs. Returns the bytes that they will hold. */
static size_t add_innocent(double available, size_t held)
{
	double most = available - (double)(calm_bytes[opt.policy] + SPARE + held), total = 0;
	double target = most * uniform(.5, 1);
	size_t sum = 0;

	while (nowners < OWNERS_MAX && total < target) {
		double k = uniform(0, 1);
		unsigned int n = k < .5 ? 1 : k < .8 ? 2 + below(4) : 5 + below(5);
		struct owner *o = new_owner(below(STYLES), below(3));

		for (unsigned int i = 0; i < n && total < target && nunits < UNITS_MAX - 60; i++) {
			double size = heavy_tailed(available);
			struct unit *u;

			if (total + size > target)
				size = target - total < MIB ? MIB : target - total;
			u = add(o, i, (size_t)size);
			if (one_in(20) && u->memory != TMPFS) { /* a start, a compaction, a batch */
				double part = fabs(gauss(.25));

				u->grow = (size_t)(size * (part > .5 ? .5 : part));
				u->rate = 20 * MIB;
			}
			total += (double)u->base;
			sum += u->base + u->grow;
		}
	}
	return sum;
}

/* Whom no kernel and no guard may kill. */
static size_t add_protected(double available)
{
	static struct owner service = {SERVICE, 0, 90};
	size_t sum = 0;

	for (unsigned int i = 0; i < 2; i++) {
		struct unit *u;

		if (!one_in(3))
			continue;
		u = add(&service, i, (size_t)(available * uniform(.02, .08)));
		u->protected = true;
		u->bare = false;
		if (i == 0) /* by name */
			snprintf(u->path, sizeof(u->path), "/system.slice/dbus.service");
		else /* exempt */
			u->adj = -1000;
		sum += u->base;
	}
	return sum;
}

static size_t add_noise(void)
{
	static struct owner noisy = {SESSION, 0, 80};
	size_t sum = 0;

	for (unsigned int n = below(4); n > 0; n--) {
		struct unit *u = new_unit(&noisy);

		place_owner(u->path, 400, &noisy);
		u->noise = 1 + below(NOISES - 1);
		snprintf(u->path + strlen(u->path), 200, "/noise-%u.scope", n);
		sum += u->noise == BREATHER ? BREATH + MIB : MIB;
	}
	return sum;
}

/* ---- the plan: the guilty ---- */

static struct owner *guilty_owner(enum kind kind, unsigned int innocents)
{
	unsigned int set = fit_styles[opt.policy];
	enum qos qos = opt.policy == KUBERNETES ? BEST_EFFORT : below(3);

	if (kind == IN_OWNER) {
		for (int i = 0; i < 50; i++) {
			struct owner *o = &owner[below(innocents)];

			if (!(set & BIT(o->style) & owned_styles))
				continue;
			if (opt.policy != KUBERNETES || o->qos == BEST_EFFORT)
				return o;
		}
	}
	if (kind == HERD || kind == IN_OWNER || kind == LIMIT_ABOVE)
		set &= owned_styles;
	return new_owner(pick_style(set), qos);
}

static void limit(const char *path, size_t len, size_t bytes)
{
	char dir[600];

	snprintf(dir, sizeof(dir), "%.*s", (int)len, path);
	if (set(dir, "memory.max", "%zu", bytes) < 0)
		die("memory.max of %s", dir);
}

/* What limits its owner: not the directory that it shares with others. */
static void limit_above(const struct unit *u, size_t bytes)
{
	char dir[400];

	place_owner(dir, sizeof(dir), u->owner);
	if (u->owner->style == SESSION || u->owner->style == ROOTLESS)
		*strstr(dir, "/user@") = '\0';
	limit(dir, strlen(dir), bytes);
}

static void add_guilty(enum kind kind, size_t left, enum memory memory)
{
	unsigned int first, n = 1;
	struct owner *o = guilty_owner(kind, nowners);
	double seconds = uniform(5, 12);

	if (kind == HERD)
		n = 12 + below(HERD_MAX - 12);
	else if (kind == SEVERAL)
		n = 2 + below(2);
	if ((kind == HERD && one_in(2)) || kind == LIMIT_ABOVE) { /* an old one beside them */
		struct unit *old = add(o, 70, left / 12);

		old->memory = ANON;
		old->bare = false;
	}
	first = nunits;
	for (unsigned int i = 0; i < n; i++) {
		struct unit *u = add(o, 90 + i, MIB);

		u->guilty = true;
		u->small_pages = memory != HUGE;
		u->memory = kind == FORKS ? ANON : memory;
		u->forks = kind == FORKS;
		u->grow = left + 128 * MIB; /* without end, as far as this machine goes */
		u->rate = (size_t)((double)left / seconds / n);
		if (kind == SEVERAL && i + 1 < n)
			o = guilty_owner(kind, 0);
	}
	if (kind == SQUATTER) { /* it has all of it already; innocent ones move */
		unit[first].base = left / 8;
		unit[first].grow = 0;
		for (unsigned int i = 0; i < 2; i++) {
			struct unit *u = add(guilty_owner(kind, 0), i, left / 20);

			u->memory = ANON;
			u->grow = left;
			u->rate = left / 16;
		}
	}
}

/* ---- what runtimes and users leave, and what they set ---- */

static void leave_zombie(const char *path)
{
	pid_t parent = fork();

	if (parent != 0)
		return;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	close(go[1]);
	if (fork() == 0) {
		(void)set(path, "cgroup.procs", "0");
		_exit(0);
	}
	for (;;)
		pause();
}

static void make_leftovers(void)
{
	char path[600];

	for (unsigned int n = below(10); n > 0; n--) {
		place_owner(path, 400, &owner[below(nowners)]);
		snprintf(path + strlen(path), 200, "/%s%u", odd_name(), below(1000));
		make_cgroup(path, 0, one_in(2));
		if (one_in(3))
			leave_zombie(path);
	}
}

static void set_files(const struct unit *u, enum kind kind, size_t left)
{
	size_t all = u->base + u->grow;

	if (one_in(3))
		(void)set(u->path, "memory.oom.group", "1");
	if (u->guilty) {
		if (kind == LIMIT)
			limit(u->path, u->own_len, u->base + left / 4);
		if (kind == LIMIT_ABOVE)
			limit_above(u, left / 12 + left / 3);
		if (one_in(6))
			(void)set(u->path, "cpu.max", "20000 100000");
		return;
	}
	if (one_in(6))
		(void)set(u->path, "memory.low", "%zu", u->base);
	if (one_in(12))
		(void)set(u->path, "memory.min", "%zu", u->base / 2);
	if (one_in(12))
		(void)set(u->path, "memory.high", "%zu", all * 2 + 16 * MIB);
	if (one_in(4))
		(void)set(u->path, "memory.max", "%zu", all * 2 + 32 * MIB);
}

/* ---- what happens ---- */

static uint64_t now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

static void print_path(const char *path)
{
	for (; *path; path++) {
		if (*path > ' ' && *path < 0x7f)
			putchar(*path);
		else
			printf("\\%03o", (unsigned char)*path);
	}
}

/* Whether an innocent had taken about as much as the guilty who live, each or all of a herd. */
static bool is_fair(const struct unit *dead, enum kind kind)
{
	size_t most = 0;

	for (unsigned int i = 0; i < nunits; i++) {
		size_t taken = unit[i].guilty && !unit[i].dead ? shared->taken[i] : 0;

		most = kind == HERD ? most + taken : taken > most ? taken : most;
	}
	return most > 0 && shared->taken[dead - unit] >= most / 5 * 4;
}

/* The one that died within so many ms, NULL: nobody has. */
static struct unit *reap(enum kind kind, unsigned int ms)
{
	struct timespec wait = {.tv_sec = ms / 1000, .tv_nsec = (long)(ms % 1000) * 1000000};
	sigset_t child;
	pid_t pid = waitpid(-1, NULL, WNOHANG);

	sigemptyset(&child);
	sigaddset(&child, SIGCHLD);
	if (pid <= 0 && sigtimedwait(&child, NULL, &wait) > 0)
		pid = waitpid(-1, NULL, WNOHANG);
	for (unsigned int i = 0; pid > 0 && i < nunits; i++) {
		if (unit[i].pid != pid)
			continue;
		unit[i].dead = true;
		unit[i].fair = !unit[i].guilty && is_fair(&unit[i], kind);
		return &unit[i];
	}
	return NULL;
}

static void start(enum kind kind, size_t left)
{
	uint64_t began = now_ms();

	if (pipe2(go, O_CLOEXEC) < 0)
		die("pipe");
	for (unsigned int i = 0; i < nunits; i++) {
		make_cgroup(unit[i].path, unit[i].uid, unit[i].bare);
		set_files(&unit[i], kind, left);
		unit[i].pid = fork();
		if (unit[i].pid == 0)
			member(&unit[i]);
		if (unit[i].pid < 0)
			die("fork");
	}
	make_leftovers();
	while (shared->nready < nunits) {
		struct unit *u = reap(kind, 20);

		if (u || now_ms() - began > SETUP_MS) {
			errno = u ? ECHILD : ETIME;
			die("only %u of %u are there, %s", shared->nready, nunits,
			    u ? u->path : "");
		}
	}
}

static void remove_all(void)
{
	char file[PATHS];

	for (unsigned int i = 0; i < nunits; i++) {
		file_name(file, sizeof(file), i);
		(void)unlink(file);
		for (unsigned int k = 0; k < CHURNED; k++) {
			snprintf(file, sizeof(file), "%s%.600s/x%u", opt.root, unit[i].path, k);
			(void)rmdir(file);
		}
	}
	while (nmade-- > 0) {
		snprintf(file, sizeof(file), "%s/cgroup.kill", made[nmade]);
		(void)put(file, "1");
		for (int i = 0; rmdir(made[nmade]) < 0 && errno != ENOENT && i < 100; i++) {
			while (waitpid(-1, NULL, WNOHANG) > 0)
				continue;
			pause_for(0.02);
		}
	}
}

static enum outcome judge(enum kind kind, const struct unit *first, bool by_kernel, size_t kernel)
{
	unsigned int dead = 0, unfair = 0, fair = 0;

	for (unsigned int i = 0; i < nunits; i++) {
		dead += unit[i].dead;
		if (unit[i].dead && unit[i].protected)
			return PROTECTED;
		unfair += unit[i].dead && !unit[i].guilty && !unit[i].fair;
		fair += unit[i].dead && !unit[i].guilty && unit[i].fair;
	}
	if (kernel > 0 && dead <= kernel && by_kernel)
		return MISSED;
	if (kind == SQUATTER)
		return SQUATTED;
	if (by_kernel)
		return KERNEL;
	if (!first || unfair > 0)
		return WRONG;
	return fair > 0 ? TIE : RIGHT;
}

static void print(enum kind kind, enum memory memory, const struct unit *first, uint64_t after_ms,
		  size_t kernel)
{
	unsigned int died[3] = {0}, all[3] = {0};

	for (unsigned int i = 0; i < nunits; i++) {
		int r = unit[i].guilty ? 0 : unit[i].protected ? 2 : 1;

		all[r]++;
		died[r] += unit[i].dead;
	}
	printf("seed=%lu %s kind=%s memory=%s units=%u guilty=%u/%u innocent=%u/%u protected=%u/%u "
	       "kernel=%zu ms=%llu first=",
	       shared->result.seed, outcome_name[shared->result.outcome], kind_name[kind],
	       memory_name[memory], nunits, died[0], all[0], died[1], all[1], died[2], all[2],
	       kernel, (unsigned long long)after_ms);
	print_path(first ? first->path : "nobody");
	putchar('\n');
	if (shared->result.outcome == RIGHT)
		return;
	for (unsigned int i = 0; i < nunits; i++) {
		if (!unit[i].dead && !unit[i].guilty)
			continue;
		printf("  %s %s %s %zu + %zu MiB taken of %zu ",
		       unit[i].guilty	   ? "guilty"
		       : unit[i].protected ? "protected"
					   : "innocent",
		       unit[i].dead ? "died" : "lives", memory_name[unit[i].memory],
		       unit[i].base / MIB, shared->taken[i] / MIB, unit[i].grow / MIB);
		print_path(unit[i].path);
		putchar('\n');
	}
}

static bool lives(pid_t pid)
{
	char name[64], c;
	ssize_t n;
	int fd;

	snprintf(name, sizeof(name), "/proc/%d/cmdline", pid);
	fd = open(name, O_RDONLY | O_CLOEXEC);
	n = fd < 0 ? 0 : read(fd, &c, 1);
	close(fd);
	return n > 0; /* a zombie has none */
}

/* Let them leak until it is over. */
static void leak(enum kind kind, enum memory memory)
{
	size_t kills = kernel_kills();
	uint64_t began = now_ms(), last = began, first_ms = 0;
	struct unit *first = NULL, *u;
	bool by_kernel = false;

	close(go[1]);
	while (now_ms() - began < LEAK_MS && !(first && now_ms() - last > SETTLE_MS)) {
		u = reap(kind, 500);
		if (!u)
			continue;
		last = now_ms();
		if (first)
			continue;
		first = u;
		first_ms = last - began;
		by_kernel = kernel_kills() > kills;
	}
	kills = kernel_kills() - kills;
	by_kernel = by_kernel || (!first && kills > 0);
	shared->result.outcome = judge(kind, first, by_kernel, kills);
	if (opt.guard > 0 && !lives(opt.guard))
		shared->result.outcome = CRASH;
	print(kind, memory, first, first_ms, kills);
}

/* One machine, in a process of its own. Each kind comes in its turn, so that few machines show all. */
static int run(unsigned long seed)
{
	static const enum kind kinds[] = {SINGLE, IN_OWNER, HERD,	 SEVERAL, FORKS,
					  LIMIT,  HERD,	    LIMIT_ABOVE, SINGLE,  SQUATTER};
	size_t available = from_file("/proc/meminfo", "MemAvailable:") * 1024 / ROUND * ROUND, held,
	       left;
	enum kind kind;
	enum memory memory;
	sigset_t child;

	machine_pid = getpid();
	sigemptyset(&child);
	sigaddset(&child, SIGCHLD);
	sigprocmask(SIG_BLOCK, &child, NULL);
	random_state = seed + 1; /* spread over all bits, as splitmix64 does */
	random_state *= 0x9e3779b97f4a7c15u;
	random_state = (random_state ^ (random_state >> 30)) * 0xbf58476d1ce4e5b9u;
	random_state = (random_state ^ (random_state >> 27)) * 0x94d049bb133111ebu;
	for (int i = 0; i < 8; i++)
		(void)chance();
	kind = kinds[seed % (sizeof(kinds) / sizeof(kinds[0]))];
	memory = one_in(2) ? ANON : below(LEAKABLE);
	kind = opt.kind >= 0 ? (enum kind)opt.kind : kind;
	if (opt.policy == CONTAINER_HOST && kind == LIMIT_ABOVE)
		kind = LIMIT; /* it has no rule for that */
	memory = opt.memory >= 0 ? (enum memory)opt.memory : memory;
	shared->result = (struct result){seed, kind, BROKEN};
	held = add_protected((double)available) + add_noise();
	held += add_innocent((double)available, held);
	left = available > held + 64 * MIB ? available - held : 64 * MIB;
	add_guilty(kind, left, memory);
	start(kind, left);
	pause_for(opt.calm_s);
	if (opt.calm_s > 10 &&
	    from_file("/proc/meminfo", "MemAvailable:") * 1024 < calm_bytes[opt.policy]) {
		errno = ENOMEM;
		die("seed %lu is never calm", seed);
	}
	leak(kind, memory);
	fflush(stdout);
	remove_all();
	return 0;
}

/* ---- many ---- */

static unsigned int tally[KINDS][OUTCOMES];

static void print_table(void)
{
	unsigned int sum[OUTCOMES] = {0};

	printf("%-12s", opt.guard ? policy_name[opt.policy] : "kind");
	for (int o = 0; o < OUTCOMES; o++)
		printf(" %12s", outcome_name[o]);
	for (int k = 0; k < KINDS; k++) {
		printf("\n%-12s", kind_name[k]);
		for (int o = 0; o < OUTCOMES; o++) {
			printf(" %12u", tally[k][o]);
			sum[o] += tally[k][o];
		}
	}
	printf("\n%-12s", "all");
	for (int o = 0; o < OUTCOMES; o++)
		printf(" %12u", sum[o]);
	putchar('\n');
}

static int verdict(void)
{
	unsigned int sum[OUTCOMES] = {0}, asked;

	for (int k = 0; k < KINDS; k++) {
		for (int o = 0; o < OUTCOMES; o++)
			sum[o] += tally[k][o];
	}
	asked = sum[RIGHT] + sum[WRONG] + sum[KERNEL];
	printf("right %u of %u, seeds %lu to %lu\n", sum[RIGHT], asked, opt.seed,
	       opt.seed + opt.count - 1);
	if (sum[BROKEN] > 0)
		return 2;
	return sum[CRASH] + sum[MISSED] + sum[PROTECTED] > 0 || sum[RIGHT] * 100 < asked * 99;
}

static int index_of(const char *name, const char *const *names, int n)
{
	for (int i = 0; i < n; i++) {
		if (strcmp(name, names[i]) == 0)
			return i;
	}
	fputs(usage, stderr);
	exit(2);
}

static void parse(int argc, char **argv)
{
	for (int i = 1; i < argc; i += 2) {
		const char *name = argv[i], *value = i + 1 < argc ? argv[i + 1] : "";

		if (strcmp(name, "--seed") == 0)
			opt.seed = strtoul(value, NULL, 10);
		else if (strcmp(name, "--count") == 0)
			opt.count = strtoul(value, NULL, 10);
		else if (strcmp(name, "--root") == 0)
			opt.root = value;
		else if (strcmp(name, "--calm") == 0)
			opt.calm_s = strtod(value, NULL);
		else if (strcmp(name, "--guard") == 0)
			opt.guard = (pid_t)strtol(value, NULL, 10);
		else if (strcmp(name, "--policy") == 0)
			opt.policy = index_of(value, policy_name, POLICIES);
		else if (strcmp(name, "--kind") == 0)
			opt.kind = index_of(value, kind_name, KINDS);
		else if (strcmp(name, "--memory") == 0)
			opt.memory = index_of(value, memory_name, LEAKABLE);
		else
			(void)index_of(name, NULL, 0);
	}
}

int main(int argc, char **argv)
{
	parse(argc, argv);
	shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1,
		      0);
	if (shared == MAP_FAILED)
		die("memory");
	for (unsigned long i = 0; i < opt.count; i++) {
		int status = 0;
		pid_t pid;

		memset(shared, 0, sizeof(*shared));
		fflush(stdout);
		pid = fork();
		if (pid == 0)
			exit(run(opt.seed + i));
		if (pid < 0 || waitpid(pid, &status, 0) < 0)
			die("fork");
		if (status != 0) {
			shared->result.outcome = BROKEN;
			printf("seed=%lu broken\n", opt.seed + i);
		}
		tally[shared->result.kind][shared->result.outcome]++;
	}
	print_table();
	return verdict();
}
