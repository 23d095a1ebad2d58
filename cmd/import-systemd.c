/* SPDX-License-Identifier: Apache-2.0 */
/*
 * systemd-oomd: oomd.conf has the limits; units and their drop-ins say which cgroups are watched. Files
 * are told apart by their sections, and units by the files' names, so any mix of both can be given.
 */
#include "cmd.h"
#include "import.h"

#include <ftw.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define UNITS_MAX  256
#define FILES_MAX  16384
#define COOLDOWN_S 15.0

struct unit {
	char name[256];
	bool user, pressure, swap;
	char preference[16], slice[256];
	double limit, duration; /* 0: the default */
};

struct units {
	struct import *im;
	double swap_used, limit, duration;
	size_t n;
	struct unit unit[UNITS_MAX];
};

/* ---- values --------------------------------------------------------------------------- */

/* "60%", "600‰", "6000‱". */
static bool read_percent(const char *text, double *ret)
{
	static const struct {
		const char *sign;
		double of;
	} signs[] = {{"%", 1}, {"\u2030", 10}, {"\u2031", 100}};
	size_t len = strspn(text, "0123456789.");
	char number[32];

	if (len >= sizeof(number))
		return false;
	memcpy(number, text, len);
	number[len] = '\0';
	for (size_t i = 0; i < sizeof(signs) / sizeof(signs[0]); i++) {
		if (strcmp(text + len, signs[i].sign) == 0 && import_number(number, ret)) {
			*ret /= signs[i].of;
			return true;
		}
	}
	return false;
}

static double unit_seconds(const char *unit, size_t len)
{
	static const struct {
		const char *name;
		double seconds;
	} units[] = {{"", 1},	      {"s", 1},	    {"sec", 1},	 {"second", 1}, {"seconds", 1},
		     {"ms", 1e-3},    {"us", 1e-6}, {"m", 60},	 {"min", 60},	{"minute", 60},
		     {"minutes", 60}, {"h", 3600},  {"hr", 3600}};

	for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++) {
		if (strlen(units[i].name) == len && strncmp(unit, units[i].name, len) == 0)
			return units[i].seconds;
	}
	return 0;
}

/* "20s", "1min 30s", "20" (seconds). */
static bool read_span(const char *text, double *ret)
{
	*ret = 0;
	while (*text) {
		size_t len = strspn(text, "0123456789."), unit_len;
		char number[32];
		double value, of;

		snprintf(number, sizeof(number), "%.*s", len < 31 ? (int)len : 31, text);
		text += len + strspn(text + len, " ");
		unit_len = strspn(text, "abcdefghijklmnopqrstuvwxyz");
		of = unit_seconds(text, unit_len);
		if (of <= 0 || !import_number(number, &value))
			return false;
		*ret += value * of;
		text += unit_len + strspn(text + unit_len, " ");
	}
	return *ret > 0;
}

/* ---- files ---------------------------------------------------------------------------- */

static struct unit *find_unit(struct units *all, const char *name, bool user)
{
	struct unit *unit;

	for (size_t i = 0; i < all->n; i++) {
		if (all->unit[i].user == user && strcmp(all->unit[i].name, name) == 0)
			return &all->unit[i];
	}
	if (all->n == UNITS_MAX || strlen(name) >= sizeof(unit->name))
		return NULL;
	unit = &all->unit[all->n++];
	*unit = (struct unit){.user = user};
	memcpy(unit->name, name, strlen(name) + 1);
	return unit;
}

/* ".../user@.service.d/x.conf" and ".../user@.service" are about user@.service. */
static struct unit *unit_of(struct units *all, const char *path)
{
	char copy[4096], *base, *dir;
	bool user = strstr(path, "/user/") != NULL;

	snprintf(copy, sizeof(copy), "%s", path);
	base = strrchr(copy, '/');
	if (!base)
		return find_unit(all, path, user);
	*base++ = '\0';
	dir = strrchr(copy, '/');
	dir = dir ? dir + 1 : copy;
	if (strlen(dir) > 2 && strcmp(dir + strlen(dir) - 2, ".d") == 0) {
		dir[strlen(dir) - 2] = '\0';
		return find_unit(all, dir, user);
	}
	return find_unit(all, base, user);
}

static void lost(struct units *all, const char *key, const char *value, const char *why,
		 const char *nearest)
{
	char what[512];

	snprintf(what, sizeof(what), "%s=%s", key, value);
	import_lost(all->im, what, why, nearest);
}

static void set_oom(struct units *all, const char *key, const char *value)
{
	bool good = true;

	if (strcmp(key, "SwapUsedLimit") == 0)
		good = read_percent(value, &all->swap_used);
	else if (strcmp(key, "DefaultMemoryPressureLimit") == 0)
		good = read_percent(value, &all->limit);
	else if (strcmp(key, "DefaultMemoryPressureDurationSec") == 0)
		good = read_span(value, &all->duration);
	else
		lost(all, key, value, "there is no such setting",
		     strncmp(key, "Prekill", 7) == 0 ? "the step 'notify'" : NULL);
	if (!good)
		lost(all, key, value, "not a value that is known", "the default");
}

static void set_unit(struct units *all, const char *path, const char *key, const char *value)
{
	struct unit *unit;
	bool good = true;

	if (strncmp(key, "ManagedOOM", 10) != 0 && strcmp(key, "Slice") != 0 &&
	    strcmp(key, "OOMRules") != 0)
		return;
	unit = unit_of(all, path);
	if (!unit) {
		lost(all, key, value, "there are too many units", NULL);
		return;
	}
	if (strcmp(key, "Slice") == 0)
		snprintf(unit->slice, sizeof(unit->slice), "%s", value);
	else if (strcmp(key, "ManagedOOMMemoryPressure") == 0)
		unit->pressure = strcmp(value, "kill") == 0;
	else if (strcmp(key, "ManagedOOMSwap") == 0)
		unit->swap = strcmp(value, "kill") == 0;
	else if (strcmp(key, "ManagedOOMPreference") == 0)
		snprintf(unit->preference, sizeof(unit->preference), "%s", value);
	else if (strcmp(key, "ManagedOOMMemoryPressureLimit") == 0)
		good = read_percent(value, &unit->limit);
	else if (strcmp(key, "ManagedOOMMemoryPressureDurationSec") == 0)
		good = read_span(value, &unit->duration);
	else
		lost(all, key, value, "there is no such setting", NULL);
	if (!good)
		lost(all, key, value, "not a value that is known", "the default");
}

static int read_file(struct units *all, const char *path)
{
	char *text = import_read(path), *at = text, *line, *value;
	char section[32] = "";

	if (!text)
		return EXIT_INPUT;
	all->im->file = path;
	while ((line = import_line(&at))) {
		line = import_trim(line);
		if (*line == '[') {
			snprintf(section, sizeof(section), "%s", line);
			continue;
		}
		value = strchr(line, '=');
		if (!value || *line == '#' || *line == ';')
			continue;
		*value++ = '\0';
		line = import_trim(line);
		value = import_trim(value);
		if (strcmp(section, "[OOM]") == 0)
			set_oom(all, line, value);
		else if (*value)
			set_unit(all, path, line, value);
	}
	free(text);
	return 0;
}

/* nftw() has no room for an argument of ours. */
static char *found[FILES_MAX];
static size_t nfound;

static int visit(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	static const char *const ends[] = {".conf", ".slice", ".service", ".scope"};
	size_t len = strlen(path);

	(void)st;
	if (type != FTW_F || ftw->level > 12)
		return 0;
	for (size_t i = 0; i < sizeof(ends) / sizeof(ends[0]); i++) {
		size_t n = strlen(ends[i]);

		if (len > n && strcmp(path + len - n, ends[i]) == 0 && nfound < FILES_MAX &&
		    (found[nfound] = strdup(path)))
			nfound++;
	}
	return 0;
}

static const char *base_of(const char *path)
{
	const char *base = strrchr(path, '/');

	return base ? base + 1 : path;
}

/* Units and oomd.conf before their drop-ins, those by name, and of one name /etc after /usr. */
static int compare(const void *a, const void *b)
{
	const char *x = *(char *const *)a, *y = *(char *const *)b;
	bool x_drop = strstr(x, ".d/") != NULL, y_drop = strstr(y, ".d/") != NULL;
	int order = strcmp(base_of(x), base_of(y));

	if (x_drop != y_drop)
		return x_drop ? 1 : -1;
	return order ? order : strcmp(y, x);
}

/* Everything below the directory, in order. */
static int read_dir(struct units *all, const char *const *dirs, size_t ndirs)
{
	int code = 0;

	nfound = 0;
	for (size_t i = 0; i < ndirs; i++)
		(void)nftw(dirs[i], visit, 16, FTW_PHYS);
	qsort(found, nfound, sizeof(found[0]), compare);
	for (size_t i = 0; i < nfound && code == 0; i++)
		code = read_file(all, found[i]);
	all->im->file = dirs[0]; /* the names are gone */
	for (size_t i = 0; i < nfound; i++)
		free(found[i]);
	return code;
}

/* ---- rules ---------------------------------------------------------------------------- */

static void add_pressure(struct units *all, const struct unit *unit, const char *path)
{
	char name[300], cooldown[IMPORT_TEXT];
	double limit = unit->limit > 0 ? unit->limit : all->limit;
	double duration = unit->duration > 0 ? unit->duration : all->duration;
	struct import_rule rule = {
		.name = name,
		.description = "ManagedOOMMemoryPressure=kill",
		.where = path,
		.when = import_pressure(true, limit, duration),
		.unit = "leaf",
		.rank = {"priority", "gain"},
		.then = json_object_new_array(),
		.cooldown = import_time(cooldown, COOLDOWN_S),
	};

	snprintf(name, sizeof(name), "pressure-%s", unit->name[0] == '-' ? "root" : unit->name);
	import_step(rule.then, "notify", NULL, NULL, NULL);
	import_step(rule.then, "kill", "group", NULL, NULL);
	import_add(all->im, &rule);
}

static void add_swap(struct units *all, struct json_object *include)
{
	struct json_object *conds = json_object_new_array();
	struct import_rule rule = {
		.name = "swap",
		.description = "ManagedOOMSwap=kill: memory and swap are both used up.",
		.where = "/",
		.include = include,
		.unit = "leaf",
		.rank = {"priority", "swap", "gain"},
		.then = json_object_new_array(),
	};
	char left[IMPORT_TEXT];

	import_share(left, 100 - all->swap_used);
	json_object_array_add(conds, import_cond("available_below", left));
	json_object_array_add(conds, import_cond("swap_free_below", left));
	rule.when = import_join("all", conds);
	import_step(rule.then, "notify", NULL, NULL, NULL);
	import_step(rule.then, "kill", "group", NULL, NULL);
	import_add(all->im, &rule);
}

static void prefer(struct units *all, const struct unit *unit, const char *path)
{
	char below[1200];

	snprintf(below, sizeof(below), "%s/**", strcmp(path, "/") == 0 ? "" : path);
	if (strcmp(unit->preference, "omit") == 0) {
		import_push(all->im->protect, path);
	} else if (strcmp(unit->preference, "avoid") == 0) {
		json_object_object_add(all->im->priorities, path, json_object_new_int(500));
		json_object_object_add(all->im->priorities, below, json_object_new_int(500));
	}
}

static void finish(struct units *all)
{
	struct json_object *include = json_object_new_array();
	bool swap = false, everywhere = false, pressure = false;

	for (size_t i = 0; i < all->n; i++) {
		const struct unit *unit = &all->unit[i];
		char path[1024], below[1040];

		if (!unit->pressure && !unit->swap && !unit->preference[0])
			continue;
		if (!import_unit_path(unit->name, unit->slice, unit->user, path, sizeof(path))) {
			import_lost(all->im, unit->name, "its cgroup can't be told", NULL);
			continue;
		}
		prefer(all, unit, path);
		if (unit->pressure)
			add_pressure(all, unit, path);
		pressure |= unit->pressure;
		swap |= unit->swap;
		everywhere |= unit->swap && strcmp(path, "/") == 0;
		snprintf(below, sizeof(below), "%s/**", path);
		if (unit->swap)
			import_push(include, below);
	}
	if (swap)
		add_swap(all, everywhere ? NULL : json_object_get(include));
	json_object_put(include);
	if (pressure)
		import_lost(all->im, "ManagedOOMMemoryPressure=kill",
			    "victims there go by pages scanned, and pressure is an average of 10 s "
			    "that "
			    "has to stay above the limit",
			    "rank gain, and pressure over the whole duration");
	if (swap)
		import_lost(all->im, "ManagedOOMSwap=kill",
			    "without any swap it does nothing there; swap_free_below is true then",
			    "the rule asks for available_below too");
}

int import_systemd(struct import *im, int nargs, char **args)
{
	static const char *const standard[] = {"/usr/lib/systemd", "/lib/systemd", "/run/systemd",
					       "/etc/systemd"};
	struct units *all = calloc(1, sizeof(*all));
	struct stat st;
	int code = 0;

	if (!all)
		return complain(EXIT_MACHINE, "out of memory");
	all->im = im;
	all->swap_used = 90;
	all->limit = 60;
	all->duration = 30;
	im->file = "systemd-oomd";
	if (nargs == 0)
		code = read_dir(all, standard, sizeof(standard) / sizeof(standard[0]));
	for (int i = 0; i < nargs && code == 0; i++) {
		const char *dir = args[i];

		if (stat(dir, &st) == 0 && S_ISDIR(st.st_mode))
			code = read_dir(all, &dir, 1);
		else
			code = read_file(all, dir);
	}
	import_default(im, "honour_xattrs"); /* as set by ManagedOOMPreference=, also at run time */
	if (code == 0)
		finish(all);
	free(all);
	return code;
}
