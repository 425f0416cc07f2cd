/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Gives each file of the folders in argv to a fuzz target, without libFuzzer: what
 * a fuzzer has reached once stays tested with any compiler.
 */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int replay(const char *folder, const char *name)
{
	static uint8_t data[1 << 16];
	char path[1024];
	FILE *file;
	size_t size;

	snprintf(path, sizeof(path), "%s/%s", folder, name);
	file = fopen(path, "re");
	if (!file) {
		perror(path);
		return -1;
	}
	size = fread(data, 1, sizeof(data), file);
	fclose(file);
	printf("%s\n", path); /* the last line names what ended the program */
	fflush(stdout);
	return LLVMFuzzerTestOneInput(data, size);
}

int main(int argc, char **argv)
{
	unsigned int count = 0;

	for (int i = 1; i < argc; i++) {
		DIR *folder = opendir(argv[i]);
		const struct dirent *entry;

		if (!folder) {
			perror(argv[i]);
			return 1;
		}
		while ((entry = readdir(folder))) {
			if (*entry->d_name == '.')
				continue;
			if (replay(argv[i], entry->d_name))
				return 1;
			count++;
		}
		closedir(folder);
	}
	printf("replayed %u inputs\n", count);
	return count == 0;
}
