/* SPDX-License-Identifier: Apache-2.0 */
/* A fuzz target as an ordinary program: replay DIRECTORY... gives it each file, as TAP. */
#include "fuzz.h"

#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static unsigned int points, failures;

static void replay_file(const char *path)
{
	FILE *file = fopen(path, "re");
	size_t size = 0, room = 4U << 20;
	uint8_t *data = malloc(room);

	if (!file || !data) {
		printf("not ok %u - %s can't be read\n", ++points, path);
		failures++;
	} else {
		size = fread(data, 1, room, file);
		LLVMFuzzerTestOneInput(data, size); /* aborts if it has anything against it */
		printf("ok %u - %s\n", ++points, path);
	}
	if (file)
		fclose(file);
	free(data);
}

static unsigned int replay_directory(const char *path)
{
	struct dirent **names;
	unsigned int before = points;
	int n = scandir(path, &names, NULL, alphasort);

	for (int i = 0; i < n; i++) {
		char file[4096];

		snprintf(file, sizeof(file), "%s/%s", path, names[i]->d_name);
		if (names[i]->d_name[0] != '.')
			replay_file(file);
		free(names[i]);
	}
	if (n >= 0)
		free(names);
	return points - before;
}

int main(int argc, char **argv)
{
	setvbuf(stdout, NULL, _IOLBF,
		0); /* the last line names the file before the one that died */
	for (int i = 1; i < argc; i++) {
		if (replay_directory(argv[i]) == 0) {
			printf("not ok %u - nothing in %s\n", ++points, argv[i]);
			failures++;
		}
	}
	printf("1..%u\n", points);
	return points == 0 || failures > 0;
}
