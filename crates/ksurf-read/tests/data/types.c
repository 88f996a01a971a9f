/* Every way in which a kernel's structs are written, in one unit. */
typedef unsigned int u32;
typedef unsigned long long u64;

struct list_head {
	struct list_head *next, *prev;
};

struct opaque;

enum state { STATE_OFF, STATE_ON = 5, STATE_LATE };
enum level { LEVEL_LOW = -2, LEVEL_HIGH = 7 };
enum mask { MASK_NONE = 0, MASK_TOP = 0x8000000000000000ull };
enum missing;

typedef struct {
	int counter;
} atomic_t;

typedef enum { READ, WRITE } direction_t;
typedef u32 row_t[3];
typedef int (*callback_t)(struct opaque *, const char *, ...);

struct bits {
	u32 low:3;
	u32 high:5;
	u32 :4;
	signed int sign:2;
	unsigned char flag:1;
	u64 wide:40;
	u32 last;
};

union value {
	u64 number;
	struct {
		u32 low;
		u32 high;
	};
	unsigned char bytes[8];
};

struct nested {
	int first;
	union {
		struct list_head link;
		struct {
			u32 kind:4;
			u32 length:28;
			struct opaque *owner;
		};
	};
	struct {
		u64 start;
		union {
			u64 end;
			u64 size;
		};
	} range[2];
	const struct {
		int deep;
	} inner;
	enum { IDLE, BUSY } mode;
};

struct everything {
	atomic_t count;
	volatile enum state state;
	enum level level;
	enum mask mask;
	enum missing *missing;
	direction_t direction;
	row_t rows[2];
	u32 matrix[4][2];
	const char *const names[3];
	callback_t callback;
	void (*stop)(void);
	void (*old)();
	struct nested *(*get)(int (*compare)(const void *, const void *), u64);
	void (*handlers[4])(struct everything *restrict);
	union value value;
	_Bool ready;
	char text[0];
	struct list_head tail[];
};

struct packed {
	char a;
	u64 b;
	u32 c:7;
} __attribute__((packed));

struct nested nested;
struct bits bits;
struct packed packed;

int outside(void *);

int use(struct everything *everything, row_t row, int count, ...)
{
	struct local {
		int here;
		struct everything *everything;
	} local = { (int)row[0] + count, everything };

	return outside(&local);
}

static __attribute__((noinline)) int hidden(const struct bits *bits)
{
	return outside((void *)bits) + 1;
}

static inline int inlined(int number)
{
	return number * 3;
}

void (*pick(int which))(void)
{
	return inlined(which) + hidden(&bits) ? (void (*)(void))0 : 0;
}
