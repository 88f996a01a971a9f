// libbpf's own word on CO-RE: loads eBPF objects as if on the kernel whose BTF is in a folder (`vmlinux`, and modules
// by their names, as in /sys/kernel/btf), and prints what libbpf logs. The running kernel is never asked: bpf(2) is
// answered here.
//
//   cc -rdynamic libbpf_word.c -ldl && ./a.out LIBBPF FOLDER OBJECT...
#define _GNU_SOURCE
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/bpf.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

static char vmlinux[4096];

// A module: its number and the length of its file.
static struct module {
	char name[64];
	char path[4096];
	int fd;
	long size;
} modules[4096];
static unsigned int module_count;

static const char *instead(const char *path)
{
	return path && strcmp(path, "/sys/kernel/btf/vmlinux") == 0 ? vmlinux : path;
}

static int refuse(int error)
{
	errno = error;
	return -1;
}

static long info(union bpf_attr *attr)
{
	struct bpf_btf_info *out = (struct bpf_btf_info *)(unsigned long)attr->info.info;
	for (unsigned int i = 0; i < module_count; i++) {
		struct module *module = &modules[i];
		if (module->fd != (int)attr->info.bpf_fd)
			continue;
		if (out->name)
			snprintf((char *)(unsigned long)out->name, out->name_len, "%s", module->name);
		if (out->btf && out->btf_size >= module->size)
			if (pread(module->fd, (void *)(unsigned long)out->btf, module->size, 0) != module->size)
				return refuse(EIO);
		out->btf_size = module->size;
		out->id = i + 1;
		out->kernel_btf = 1;
		return 0;
	}
	return 0;
}

static long bpf(int command, union bpf_attr *attr)
{
	switch (command) {
	case BPF_MAP_CREATE:
	case BPF_PROG_LOAD:
	case BPF_BTF_LOAD:
		return open("/dev/null", O_RDONLY | O_CLOEXEC);
	case BPF_BTF_GET_NEXT_ID:
		if (attr->start_id >= module_count)
			return refuse(ENOENT);
		attr->next_id = attr->start_id + 1;
		return 0;
	case BPF_BTF_GET_FD_BY_ID: {
		struct module *module = &modules[attr->btf_id - 1];
		module->fd = open(module->path, O_RDONLY | O_CLOEXEC);
		return module->fd;
	}
	case BPF_OBJ_GET_INFO_BY_FD:
		return info(attr);
	default:
		return 0;
	}
}

long syscall(long number, ...)
{
	static long (*real)(long, ...);
	long argument[6];
	va_list list;
	va_start(list, number);
	for (int i = 0; i < 6; i++)
		argument[i] = va_arg(list, long);
	va_end(list);
	if (number == SYS_bpf)
		return bpf(argument[0], (union bpf_attr *)argument[1]);
	if (!real)
		real = (long (*)(long, ...))dlsym(RTLD_NEXT, "syscall");
	return real(number, argument[0], argument[1], argument[2], argument[3], argument[4], argument[5]);
}

#define INSTEAD(type, name, parameters, ...)                                  \
	type name parameters                                                  \
	{                                                                     \
		static type(*real) parameters;                                \
		if (!real)                                                    \
			real = (type(*) parameters)dlsym(RTLD_NEXT, #name);   \
		return real(__VA_ARGS__);                                     \
	}

INSTEAD(FILE *, fopen, (const char *path, const char *mode), instead(path), mode)
INSTEAD(FILE *, fopen64, (const char *path, const char *mode), instead(path), mode)
INSTEAD(int, access, (const char *path, int mode), instead(path), mode)

static int print(int level, const char *format, va_list list)
{
	(void)level;
	return vprintf(format, list);
}

static int by_name(const void *a, const void *b)
{
	return strcmp(((const struct module *)a)->name, ((const struct module *)b)->name);
}

static int read_folder(const char *path)
{
	DIR *folder = opendir(path);
	struct dirent *entry;
	while (folder && (entry = readdir(folder))) {
		struct module *module = &modules[module_count];
		struct stat status;
		snprintf(module->path, sizeof(module->path), "%s/%s", path, entry->d_name);
		snprintf(module->name, sizeof(module->name), "%.60s", entry->d_name);
		if (entry->d_name[0] == '.' || stat(module->path, &status))
			continue;
		module->size = status.st_size;
		module->fd = -1;
		if (strcmp(module->name, "vmlinux") == 0)
			strcpy(vmlinux, module->path);
		else if (++module_count == sizeof(modules) / sizeof(*modules))
			break;
	}
	if (folder)
		closedir(folder);
	qsort(modules, module_count, sizeof(*modules), by_name);
	return vmlinux[0] ? 0 : -1;
}

typedef int print_fn(int, const char *, va_list);

int main(int count, char **arguments)
{
	void *library = count > 3 ? dlopen(arguments[1], RTLD_NOW) : NULL;
	if (!library || read_folder(arguments[2])) {
		fprintf(stderr, "%s\n", count > 3 && !library ? dlerror() : "usage: LIBBPF FOLDER OBJECT...");
		return 77;
	}
	print_fn *(*set_print)(print_fn *) = (print_fn * (*)(print_fn *)) dlsym(library, "libbpf_set_print");
	void *(*open_file)(const char *, void *) = (void *(*)(const char *, void *))dlsym(library, "bpf_object__open_file");
	int (*load)(void *) = (int (*)(void *))dlsym(library, "bpf_object__load");
	void *(*next)(void *, void *) = (void *(*)(void *, void *))dlsym(library, "bpf_object__next_program");
	int (*autoload)(void *, char) = (int (*)(void *, char))dlsym(library, "bpf_program__set_autoload");
	void (*close_object)(void *) = (void (*)(void *))dlsym(library, "bpf_object__close");
	if (!set_print || !open_file || !load || !next || !autoload || !close_object) {
		fprintf(stderr, "%s: not libbpf 1.0 or later\n", arguments[1]);
		return 77;
	}
	set_print(print);
	for (int i = 3; i < count; i++) {
		printf("object %d\n", i - 3);
		void *object = open_file(arguments[i], NULL);
		if (!object)
			continue;
		for (void *program = next(object, NULL); program; program = next(object, program))
			autoload(program, 1);
		printf("loaded: %d\n", load(object));
		close_object(object);
	}
	return 0;
}
