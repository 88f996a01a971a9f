/*
 * Trace events as the kernel's macros leave them: include/linux/trace_events.h of 6.12, or with -DCOPIES of 7.x.
 * As an object file this is a module. With -DDAMAGED some events cannot be read.
 */
typedef unsigned char u8;
typedef signed char s8;

struct list_head { struct list_head *next, *prev; };
struct trace_entry { unsigned short type; unsigned char flags, preempt_count; int pid; };
struct tracepoint { const char *name; long key; };
struct trace_event_fields {
	const char *type;
	union {
		struct {
			const char *name;
			const int size, align;
			const unsigned int is_signed:1;
			unsigned int needs_test:1;
			const int filter_type, len;
		};
		int (*define_fields)(void);
	};
};
struct trace_event_class {
	const char *system;
	void *probe;
	struct trace_event_fields *fields_array;
	struct list_head fields;
};
struct trace_event_call {
	struct list_head list;
	struct trace_event_class *class;
	union {
		const char *name;
		struct tracepoint *tp;
	};
	char *print_fmt;
	void *data;
	int flags;
};
struct trace_eval_map { const char *system, *eval_string; unsigned long eval_value; };
struct syscall_metadata {
	const char *name;
	int syscall_nr;
#ifdef COPIES
	u8 nb_args:7;
	u8 user_arg_is_str:1;
	s8 user_arg_size;
	short user_mask;
#else
	int nb_args;
#endif
	const char **types, **args;
	struct trace_event_call *enter_event, *exit_event;
};

#define LIST(name) __attribute__((section(name), used)) static
#define EVENT(call) LIST("_ftrace_events") struct trace_event_call *__event_##call = &event_##call;
#define POINT(name) \
	static const char name_##name[] = #name; \
	struct tracepoint __tracepoint_##name = { name_##name, 1 }; \
	asm(".pushsection __tracepoints_ptrs, \"a\"\n.balign 4\n.long __tracepoint_" #name " - .\n.popsection");

LIST(".modinfo") const char license[] = "license=GPL";
LIST("__ksymtab_strings") const char exported[] = "exported";

POINT(io_start)
POINT(io_bare_tp)

static const char system_io[] = "io";
static const char system_other[] = "io";
static struct trace_event_fields fields_io[] = {
	{ .type = "u8", .name = "kind", .size = 1, .align = 1 },
	{ .type = "char[NAME_LEN]", .name = "comm", .size = 16, .align = 1, .is_signed = 1, .needs_test = 1, .len = 16 },
	{ .type = "long", .name = "sector", .size = 8, .align = 8, .is_signed = 1 },
	{ .type = "__data_loc char[]", .name = "path", .size = 4, .align = 4, .needs_test = 1 },
	{ },
};
struct trace_event_class event_class_io = { system_io, 0, fields_io };
struct trace_event_call event_io_start = {
	.class = &event_class_io, .tp = &__tracepoint_io_start, .flags = 16,
	.print_fmt = "\"%s KIND %d %d\", __get_str(path), REC->kind == KIND, sizeof(struct io)",
};
EVENT(io_start)
LIST("_ftrace_eval_map") struct trace_eval_map *kind = &(struct trace_eval_map){ system_io, "KIND", 7 };
LIST("_ftrace_eval_map") struct trace_eval_map *size = &(struct trace_eval_map){ system_io, "sizeof(struct io)", 40 };
LIST("_ftrace_eval_map") struct trace_eval_map *other = &(struct trace_eval_map){ system_other, "REC", 0 };

/* kernel/trace/trace_export.c: no tracepoint, and in this case no format. */
struct trace_event_class event_class_ftrace_print = { "ftrace", 0, &fields_io[4] };
struct trace_event_call event_print = { .class = &event_class_ftrace_print, .name = "print" };
EVENT(print)

#ifdef DAMAGED
static struct trace_event_fields endless[600] = {
	[0 ... 599] = { .type = "int", .name = "x", .size = 4, .align = 4 },
};
static struct trace_event_fields crooked[] = { { .type = "int", .name = "x", .size = 4, .align = 3 }, { } };
static struct trace_event_fields huge[] = {
	{ .type = "int", .name = "x", .size = 0x7fffffff, .align = 4 },
	{ .type = "int", .name = "y", .size = 4, .align = 4 },
	{ },
};
struct trace_event_class classes[] = { { "bad", 0, endless }, { "bad", 0, crooked }, { "bad", 0, huge } };
struct trace_event_call calls[] = {
	{ .class = &classes[0], .name = "endless" },
	{ .class = &classes[1], .name = "crooked" },
	{ .class = &classes[2], .name = "huge" },
	{ .class = (void *)&calls[3], .name = (void *)&calls[3], .print_fmt = (void *)1 },
};
#define BAD(number, call) LIST("_ftrace_events") struct trace_event_call *__event_bad_##number = call;
BAD(0, &calls[0])
BAD(1, &calls[1])
BAD(2, &calls[2])
BAD(3, &calls[3])
BAD(4, 0)
LIST("_ftrace_eval_map") struct trace_eval_map *nowhere = (void *)16;
#endif

#ifdef SYSCALLS
extern const char __start___tracepoints_ptrs[], __stop___tracepoints_ptrs[];
const void *marks[] = { __start___tracepoints_ptrs, __stop___tracepoints_ptrs };

__attribute__((noipa)) long __x64_sys_write(void) { return 1; }
const void *sys_call_table[] = { 0, __x64_sys_write };

static struct trace_event_fields fields_enter[] = {
	{ .type = "int", .name = "__syscall_nr", .size = 4, .align = 4, .is_signed = 1 },
	{ .type = (const char *)~0ul, .define_fields = (void *)__x64_sys_write },
	{ },
};
struct trace_event_class event_class_syscall_enter = { "syscalls", 0, fields_enter };
struct trace_event_class event_class_syscall_exit = { "syscalls", 0, fields_enter };
static const char *types_write[] = { "unsigned int", "const char *", "size_t" };
static const char *args_write[] = { "fd", "buf", "count" };
static struct syscall_metadata write = { "sys_write", -1, .nb_args = 3, .types = types_write, .args = args_write };
static struct syscall_metadata gone = { "sys_gone", -1, .nb_args = 0 };
struct trace_event_call event_enter_write = { .class = &event_class_syscall_enter, .name = "sys_enter_write", .data = &write };
struct trace_event_call event_exit_write = { .class = &event_class_syscall_exit, .name = "sys_exit_write", .data = &write };
struct trace_event_call event_enter_gone = { .class = &event_class_syscall_enter, .name = "sys_enter_gone", .data = &gone };
EVENT(enter_write)
EVENT(exit_write)
EVENT(enter_gone)
#endif

struct trace_entry entry;
