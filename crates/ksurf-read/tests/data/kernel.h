/* Everything that a kernel's functions do to their DWARF, in one small "kernel". */
#define noinline __attribute__((noinline))
#define always_inline inline __attribute__((always_inline))

struct request {
	int number;
	struct request *next;
};

typedef int (*handler_t)(struct request *, unsigned int);

int submit(struct request *request, handler_t handler, const char *const names[4]);
int outside(const char *format, ...);

/* In two units, inlined in both. */
static always_inline int twice(int value)
{
	return outside("twice", value) + value;
}

/* Inlined into an inline function: a chain. */
static always_inline int chain(int value)
{
	return twice(value + 1);
}
