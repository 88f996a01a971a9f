/*
 * Entry code as kernels have it: with -DSWITCH the switches of x86 since 6.9, else tables. Numbers 3 and 6 are of
 * calls that this kernel was built without.
 */
struct pt_regs;

#define ENTRY(name) __attribute__((noipa)) long name(const struct pt_regs *regs) { asm volatile("# " #name); return 0; }
ENTRY(__x64_sys_read)
ENTRY(__x64_sys_newstat)
ENTRY(__x64_sys_ni_syscall)
ENTRY(__x64_sys_mseal)
__attribute__((weak)) ENTRY(__x64_sys_uselib)
__attribute__((noreturn, noipa)) long __x64_sys_exit(const struct pt_regs *regs) { for (;;) asm volatile("# exit"); }
ENTRY(__ia32_sys_ni_syscall)
ENTRY(__ia32_sys_restart_syscall)
ENTRY(__ia32_sys_waitpid)
ENTRY(__ia32_compat_sys_open)
ENTRY(__ia32_sys_oldumount)

#ifdef SWITCH
#define CASE(number, name) case number: return name(regs);
long x64_sys_call(const struct pt_regs *regs, unsigned int nr)
{
	switch (nr) {
	CASE(0, __x64_sys_read)
	CASE(4, __x64_sys_newstat)
	CASE(6, __x64_sys_uselib)
	CASE(60, __x64_sys_exit)
	CASE(462, __x64_sys_mseal)
	default: return __x64_sys_ni_syscall(regs);
	}
}

/* Its caller checks the range, and the compiler knows. */
long ia32_sys_call(const struct pt_regs *regs, unsigned int nr)
{
	if (nr > 22)
		__builtin_unreachable();
	switch (nr) {
	CASE(0, __ia32_sys_restart_syscall)
	CASE(5, __ia32_compat_sys_open)
	CASE(7, __ia32_sys_waitpid)
	CASE(22, __ia32_sys_oldumount)
	default: return __ia32_sys_ni_syscall(regs);
	}
}

/* What tells nothing: a circle, and a value from memory. */
asm(".globl x32_sys_call\n.type x32_sys_call, @function\nx32_sys_call:\n"
#if SWITCH == 1
    "1: jmp 1b\n"
#else
    "mov (%rdi), %esi\ncmp $4, %esi\nje __x64_sys_newstat\nret\n"
#endif
    ".size x32_sys_call, .-x32_sys_call");

/* The tracer's. */
const void *sys_call_table[] = { __x64_sys_ni_syscall };
#else
const void *sys_call_table[] = {
	[0] = __x64_sys_read, __x64_sys_ni_syscall, __x64_sys_ni_syscall, __x64_sys_ni_syscall,
	[4] = __x64_sys_newstat, __x64_sys_ni_syscall, __x64_sys_uselib, (void *)0x1234,
};
/* As assembly makes it: without a size. It ends with the next symbol. */
asm(".data\n.balign 8\n.globl ia32_sys_call_table\nia32_sys_call_table:\n"
    ".quad __ia32_sys_restart_syscall\n.quad __ia32_sys_ni_syscall\n.globl behind\nbehind: .quad 0\n"
    ".globl x32_sys_call_table\n.type x32_sys_call_table, @object\n.size x32_sys_call_table, 1 << 40\n"
    "x32_sys_call_table: .quad 0\n.text");
#endif
