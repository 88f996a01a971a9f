// What libbpf and the running kernel make of each program of an eBPF object: loaded alone, and attached.
//
// For each program a line of tab-separated values: object, program, section, what loading gave, what attaching
// gave, and the last lines that libbpf said of it. A result is "ok", "-EINVAL" and the like, or "none" for an
// attachment that libbpf leaves to the tool, and "" for one that was not tried.
#define _GNU_SOURCE
#include <bpf/libbpf.h>
#include <errno.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { LOG_BYTES = 1 << 20, SHOWN_LINES = 3, ENTRIES = 1024, STACK_BYTES = 127 * 8 };

static char log_text[LOG_BYTES];
static size_t log_size;

static int keep(enum libbpf_print_level level, const char *format, va_list arguments)
{
	if (level != LIBBPF_WARN)
		return 0;
	size_t room = LOG_BYTES - log_size;
	int size = vsnprintf(log_text + log_size, room, format, arguments);
	if (size > 0)
		log_size += (size_t)size < room ? (size_t)size : room - 1;
	return 0;
}

static void print_result(int error)
{
	const char *name = error ? strerrorname_np(-error) : "ok";

	if (name)
		printf("\t%s%s", error ? "-" : "", name);
	else
		printf("\t%d", error); // the kernel's own numbers, above those of programs
}

// What stands at the end of each refusal tells nothing that the result does not.
static bool is_telling(const char *line)
{
	return *line && !strstr(line, "failed to load object") && !strstr(line, "': failed to load: ") &&
	       !strstr(line, "': failed to prepare load attributes: ") &&
	       !strstr(line, "-- END PROG LOAD LOG --") && strncmp(line, "processed ", strlen("processed "));
}

static void print_log(void)
{
	const char *shown[SHOWN_LINES] = {0};
	size_t count = 0;

	for (char *rest = log_text, *line; (line = strsep(&rest, "\n"));)
		if (is_telling(line))
			shown[count++ % SHOWN_LINES] = line;
	putchar('\t');
	for (size_t i = count > SHOWN_LINES ? count - SHOWN_LINES : 0, first = i; i < count; i++) {
		const char *line = shown[i % SHOWN_LINES];

		if (!strncmp(line, "libbpf: ", strlen("libbpf: ")))
			line += strlen("libbpf: ");
		if (i > first)
			printf(" | ");
		for (; *line; line++)
			putchar((unsigned char)*line < ' ' ? ' ' : *line);
	}
}

// Tools give these maps their size when they run.
static void size_map(struct bpf_map *map)
{
	if (bpf_map__type(map) == BPF_MAP_TYPE_STACK_TRACE && !bpf_map__value_size(map))
		bpf_map__set_value_size(map, STACK_BYTES);
	if (bpf_map__max_entries(map))
		return;
	switch (bpf_map__type(map)) {
	case BPF_MAP_TYPE_PERF_EVENT_ARRAY: // libbpf knows
	case BPF_MAP_TYPE_SK_STORAGE:
	case BPF_MAP_TYPE_INODE_STORAGE:
	case BPF_MAP_TYPE_TASK_STORAGE:
	case BPF_MAP_TYPE_STRUCT_OPS:
		break;
	case BPF_MAP_TYPE_RINGBUF:
	case BPF_MAP_TYPE_USER_RINGBUF:
		bpf_map__set_max_entries(map, 4096 * 4);
		break;
	default:
		bpf_map__set_max_entries(map, ENTRIES);
	}
}

// Programs of a struct_ops are loaded with it, and all of them.
static bool is_loaded_with(const struct bpf_program *other, const struct bpf_program *chosen)
{
	return other == chosen || (bpf_program__type(other) == BPF_PROG_TYPE_STRUCT_OPS &&
				   bpf_program__type(chosen) == BPF_PROG_TYPE_STRUCT_OPS);
}

static void try_attach(const struct bpf_program *chosen)
{
	size_t before = log_size;
	struct bpf_link *link = bpf_program__attach(chosen);
	int error = link ? 0 : -errno;

	// libbpf says why an attachment failed, but nothing where a section does not tell what to attach to.
	if (error == -EOPNOTSUPP && log_size == before)
		printf("\tnone");
	else
		print_result(error);
	bpf_link__destroy(link);
}

static bool try_program(const char *path, const char *name, size_t number)
{
	struct bpf_object *object;
	struct bpf_program *program, *chosen = NULL;
	struct bpf_map *map;
	size_t i = 0;

	log_size = 0;
	log_text[0] = '\0';
	object = bpf_object__open_file(path, NULL);
	if (!object) {
		fprintf(stderr, "%s: %s%s", path, log_text, strerror(errno));
		exit(1);
	}
	bpf_object__for_each_program(program, object)
		if (i++ == number)
			chosen = program;
	if (chosen) {
		bpf_object__for_each_program(program, object)
			bpf_program__set_autoload(program, is_loaded_with(program, chosen));
		bpf_object__for_each_map(map, object) {
			size_map(map);
			if (bpf_map__type(map) == BPF_MAP_TYPE_STRUCT_OPS)
				bpf_map__set_autocreate(map, bpf_program__type(chosen) == BPF_PROG_TYPE_STRUCT_OPS);
		}
		printf("%s\t%s\t%s", name, bpf_program__name(chosen), bpf_program__section_name(chosen));
		int error = bpf_object__load(object);
		print_result(error);
		if (error)
			putchar('\t');
		else
			try_attach(chosen);
		print_log();
		putchar('\n');
	}
	bpf_object__close(object);
	return chosen;
}

int main(int count, char **arguments)
{
	if (count == 2 && !strcmp(arguments[1], "--version")) {
		puts(libbpf_version_string());
		return 0;
	}
	libbpf_set_strict_mode(LIBBPF_STRICT_ALL);
	libbpf_set_print(keep);
	for (int i = 1; i < count; i++)
		for (size_t number = 0; try_program(arguments[i], basename(arguments[i]), number); number++)
			;
	return 0;
}
