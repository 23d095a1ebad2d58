/* SPDX-License-Identifier: Apache-2.0 */
/* Names and sentences as a terminal may show them. The program ends where there is no memory. */
#pragma once

/* A cgroup's path, printable, as long as it is; to be freed. */
char *print_path(const char *path);

/* A sentence with such names in it, as cgg_text_printable() has it; to be freed. */
char *print_message(const char *text);
