/* Something of everything that the names layer knows. */
#include <linux/vcpu.h>
#define VCPU_MAX(a, b) \
	((a) > (b) ? (a) : (b))
#define MAKE(name, kind) \
static int make_##name(struct kind *of) \
{ \
	return 0; \
} \
DEFINE_MUTEX(name##_lock)

/**
 * struct vcpu - one of them
 * @id: its number
 */
struct vcpu {
	int id, *list[3], bits : 3;
	union {
		u8 byte;
		struct {
			unsigned long bits;
		} requests;
	};
	void (*handler)(struct vcpu *vcpu, int (*why)(void));
	DECLARE_BITMAP(seen, 32);
	struct_group(both, int a; int b;);
} __aligned(8);

enum mode { MODE_A, MODE_B = (1 << 3), };
typedef struct { int x; } pair_t, *pair_p;
static DEFINE_PER_CPU(struct vcpu *, running) = NULL;
MAKE(one, vcpu);
extern int outside __read_mostly;

/**
 * vcpu_kick() - wakes it
 * @vcpu: which
 *
 * Return: nothing
 */
static void __sched
vcpu_kick(struct vcpu *vcpu) __must_hold(&one_lock)
{
#ifdef CONFIG_SMP
	if (vcpu->id) {
#else
	{
#endif
		struct local { int y; } z = { .y = '}' };
		pr_info("kick \"%s\" // no comment", vcpu->requests.bits);
	}
}
EXPORT_SYMBOL_GPL(vcpu_kick)
SYSCALL_DEFINE2(vcpu, int, fd, void __user *, arg)
{
	return 0x1fUL + 1.5e+3;
}
TRACE_EVENT(vcpu_event, TP_PROTO(int a), TP_ARGS(a), TP_STRUCT__entry(__field(int, a)));
module_platform_driver(vcpu_driver);
MODULE_LICENSE("GPL");
