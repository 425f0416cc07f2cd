// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * swapsafe-floppy(1): shows or changes the boot line of a floppy, in an image or on the floppy
 * itself. The line is read by the parser of /init first, so that a mistake is found here and not by
 * a machine that has nothing but this floppy.
 */
#include "client-static/boot.h"
#include "common/log.h"
#include "media/floppy.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const char usage[] =
	"usage: swapsafe-floppy --set LINE IMAGE\n"
	"       swapsafe-floppy --show IMAGE\n"
	"\n"
	"  --set LINE  make LINE the boot line of the floppy; \"\" is none\n"
	"  --show      print the boot line\n"
	"  --help      print this\n"
	"  --version   print the version\n"
	"\n"
	"IMAGE is a file, or the floppy itself (/dev/fd0). The words of LINE: nbdboot(7).\n";

struct floppy_command {
	const char *line; /* NULL: show */
	const char *path;
};

static int check_line(const char *line)
{
	static struct boot_line parsed;
	char text[FLOPPY_TEXT_BYTES], why[BOOT_WHY_BYTES];
	size_t length = strlen(line);

	if (length >= FLOPPY_TEXT_BYTES) {
		log_line("boot line: %zu characters: the floppy has room for %d", length,
			 FLOPPY_TEXT_BYTES - 1);
		return EXIT_PERMANENT;
	}
	for (const char *c = line; *c; c++)
		if (!isascii((unsigned char)*c) || !isprint((unsigned char)*c)) {
			log_line("boot line: character %td is not printable ASCII", c - line + 1);
			return EXIT_PERMANENT;
		}
	memcpy(text, line, length + 1);
	if (length && cmdline_parse(text, &parsed, why, sizeof(why)) < 0) {
		log_line("boot line: %s", why);
		return EXIT_PERMANENT;
	}
	return 0;
}

/* Reads the boot line's sectors, when this is a floppy of ours. */
static int read_area(int fd, char *ret)
{
	char name[sizeof(FLOPPY_NAME) - 1];
	size_t mark = FLOPPY_TEXT_OFFSET - FLOPPY_LINE_OFFSET;

	if (pread(fd, name, sizeof(name), FLOPPY_NAME_OFFSET) != sizeof(name) ||
	    pread(fd, ret, FLOPPY_LINE_BYTES, FLOPPY_LINE_OFFSET) != FLOPPY_LINE_BYTES)
		return -EBADF;
	if (memcmp(name, FLOPPY_NAME, sizeof(name)) || memcmp(ret, FLOPPY_LINE_MARK, mark))
		return -EBADF;
	ret[FLOPPY_LINE_BYTES - 1] = '\0';
	return 0;
}

static int write_text(int fd, const char *line)
{
	char text[FLOPPY_TEXT_BYTES] = "";

	memcpy(text, line, strlen(line));
	if (pwrite(fd, text, sizeof(text), FLOPPY_TEXT_OFFSET) != sizeof(text))
		return -EIO;
	return fsync(fd) < 0 && errno != EINVAL ? -errno : 0;
}

static int run(const struct floppy_command *command)
{
	char area[FLOPPY_LINE_BYTES];
	int fd = open(command->path, command->line ? O_RDWR | O_CLOEXEC : O_RDONLY | O_CLOEXEC), r;

	if (fd < 0) {
		log_line("%s: %s", command->path, strerror(errno));
		return EXIT_PERMANENT;
	}
	r = read_area(fd, area);
	if (r < 0)
		log_line("%s: not a Swapsafe floppy: make one by \"make floppy\"", command->path);
	else if (!command->line)
		printf("%s\n", area + FLOPPY_TEXT_OFFSET - FLOPPY_LINE_OFFSET);
	else if ((r = write_text(fd, command->line)) < 0)
		log_line("%s: boot line: %s", command->path, strerror(-r));
	close(fd);
	return r < 0 ? EXIT_PERMANENT : 0;
}

static int parse(int argc, char **argv, struct floppy_command *ret)
{
	static const struct option options[] = {{"set", required_argument, NULL, 's'},
						{"show", no_argument, NULL, 'w'},
						{"help", no_argument, NULL, 'h'},
						{"version", no_argument, NULL, 'V'},
						{0}};
	bool is_chosen = false;
	int option;

	while ((option = getopt_long(argc, argv, "", options, NULL)) >= 0) {
		switch (option) {
		case 's':
		case 'w':
			if (is_chosen)
				return -EINVAL;
			is_chosen = true;
			ret->line = option == 's' ? optarg : NULL;
			break;
		case 'h':
			fputs(usage, stdout);
			return 1;
		case 'V':
			puts("swapsafe-floppy " VERSION " (Swapsafe)");
			return 1;
		default:
			return -EINVAL;
		}
	}
	if (!is_chosen || argc - optind != 1)
		return -EINVAL;
	ret->path = argv[optind];
	return 0;
}

int main(int argc, char **argv)
{
	struct floppy_command command = {0};
	int r = parse(argc, argv, &command);

	log_init("swapsafe-floppy");
	if (r > 0)
		return 0;
	if (r < 0) {
		fputs(usage, stderr);
		return EXIT_PERMANENT;
	}
	if (command.line && check_line(command.line))
		return EXIT_PERMANENT;
	return run(&command);
}
