/* What a kernel's tables look like, small. MODULE: as a module, whose tables are sections; else between marks, as
   the linker script of vmlinux makes them. POINTERS: entries of exports are pointers. FLAGS: one table of exports, with
   flags beside it. RESOLVED: ids of BTF are written in. ARM64: code of another processor, as numbers. */

#ifdef MODULE
#define START(table)
#define STOP(table)
	.section .modinfo, "a"
	.asciz "name=offers"
	.section .gnu.linkonce.this_module, "aw"
	.quad 0
#else
#define START(table) .globl __start_##table; __start_##table:
#define STOP(table) .globl __stop_##table; __stop_##table:
#endif

#ifdef POINTERS
#define EXPORT(symbol, name, space) .quad symbol, name, space
#define NOTHING 0
#else
#define EXPORT(symbol, name, space) .long symbol - ., name - ., space - .
#define NOTHING nothing
#endif

#define FUNCTION(name) .globl name; .type name, %function; .size name, 8; name: .long 0x90909090, 0x90909090

	.section __ksymtab_strings, "a"
nothing:	.asciz ""
unregister:	.asciz "unregister"
second:	.asciz "second"
third:	.asciz "third"
space:	.asciz "module:kvm"

	.section __ksymtab, "a"
	START(__ksymtab)
	EXPORT(plain, unregister + 2, NOTHING)
	EXPORT(listed, second, space)
#ifdef FLAGS
	EXPORT(alone, third, NOTHING)
#endif
	STOP(__ksymtab)
#ifdef FLAGS
	.section __kflagstab, "a"
	START(__kflagstab)
	.byte 0, 1, 3
	STOP(__kflagstab)
#else
	.section __ksymtab_gpl, "a"
	START(__ksymtab_gpl)
	EXPORT(alone, third, NOTHING)
	STOP(__ksymtab_gpl)
	.section __kcrctab, "a"
	START(__kcrctab)
	.long 0x11111111, 0x22222222
	STOP(__kcrctab)
	.section __kcrctab_gpl, "a"
	START(__kcrctab_gpl)
#ifdef POINTERS
	/* CONFIG_MODULE_REL_CRCS */
	.long __crc_third - .
	STOP(__kcrctab_gpl)
	.section .rodata, "a"
__crc_third:	.long 0x33333333
#else
	.long 0x33333333
	STOP(__kcrctab_gpl)
#endif
#endif

	.text
	.globl _stext
_stext:
	FUNCTION(plain)
	FUNCTION(listed)
	FUNCTION(alone)
	FUNCTION(__x64_sys_read)
	.section .noinstr.text, "ax"
	.globl __noinstr_text_start, __noinstr_text_end, _etext
__noinstr_text_start:
	FUNCTION(quiet)
__noinstr_text_end:
_etext:
	.section .init.text, "ax"
	FUNCTION(early)
	.section .exit.text, "ax"
	FUNCTION(late)
	.section __mcount_loc, "a"
	START(mcount_loc)
	.quad alone + 4, 0, plain
	STOP(mcount_loc)
	.section _kprobe_blacklist, "aw"
	START(kprobe_blacklist)
	.quad listed, 0, early
	STOP(kprobe_blacklist)
	.section _error_injection_whitelist, "aw"
	START(error_injection_whitelist)
	.quad plain, 3, __x64_sys_read, 2
	.quad alone, 9
	STOP(error_injection_whitelist)

#ifdef RESOLVED
#define ID(kind, name, number, id) __BTF_ID__##kind##__##name##__##number: .long id
#else
#define ID(kind, name, number, id) __BTF_ID__##kind##__##name##__##number: .long 0
#endif
	.section .BTF_ids, "a"
	ID(struct, other, 1, 2)
__BTF_ID__set__hooks:
	.long 2
	ID(func, bpf_lsm__first, 2, 0)
	ID(struct, s, 3, 5)
__BTF_ID__set8__kfuncs:
kfuncs:
	.long 2, 1
	ID(func, get, 4, 2)
	.long 5
	ID(func, f, 5, 5)
	.long 2
__BTF_ID__set8__replaced:
replaced:
	.long 1, 0
	ID(func, f, 6, 5)
	.long 0

	.data
	.globl kset, fmodret
	.balign 16
kset:	.quad 0, kfuncs, 0
fmodret:	.quad 0, replaced

#ifdef ARM64
#define CALL(name) .long 0x94000000 + ((name - .) / 4 & 0x3ffffff)
	.section .calls, "ax"
	.globl register_btf_kfunc_id_set, register_btf_fmodret_id_set
register_btf_kfunc_id_set: .long 0xd65f03c0	/* ret */
register_btf_fmodret_id_set: .long 0xd65f03c0
	.type start, %function
start:
	.long 0xa9bf7bfd	/* stp x29, x30, [sp, #-16]! */
	.long 0x90000093	/* adrp x19, 16 pages on */
	.long 0xf9000bf3	/* str x19, [sp, #16] */
	.long 0x91000261	/* add x1, x19, #0 */
	.long 0x52800060	/* mov w0, #3 */
	CALL(register_btf_kfunc_id_set)
	.long 0x350000e0	/* cbnz w0, 7 instructions on */
	.long 0x91000261	/* add x1, x19, #0 */
	.long 0x52800340	/* mov w0, #26 */
	CALL(register_btf_kfunc_id_set)
	.long 0x35000060	/* cbnz w0, 3 instructions on: else w0 is 0 */
	.long 0x91000261	/* add x1, x19, #0 */
	CALL(register_btf_kfunc_id_set)
	.long 0x90000080	/* adrp x0, 16 pages on: where the branch leads, too */
	.long 0x91006000	/* add x0, x0, #24 */
	.long 0x14000000 + ((register_btf_fmodret_id_set - .) / 4 & 0x3ffffff)
#else
#ifndef MODULE
	.text
	.globl register_btf_kfunc_id_set, register_btf_fmodret_id_set
register_btf_kfunc_id_set: ret
register_btf_fmodret_id_set: ret
#endif
	.section .calls, "ax"
	.type start, %function
start:
	mov $kset, %rsi
	mov $3, %edi
	call register_btf_kfunc_id_set
	test %eax, %eax
	jne 1f
	lea kset(%rip), %rbx
	mov %rbx, %rsi
	mov $26, %edi
	call register_btf_kfunc_id_set
	ud2			/* a WARN: what follows is reached */
	mov %rbx, %rsi
	mov $4, %edi
	cmp $1, %eax
	je 2f
	mov $5, %edi
2:	call register_btf_kfunc_id_set
	xor %edi, %edi
	mov %rbx, %rsi
	call register_btf_kfunc_id_set
	mov $9, %edi
3:	mov %rbx, %rsi		/* reached again with another rdi */
	call register_btf_kfunc_id_set
	jmp 3b
1:	lea fmodret(%rip), %rdi
	jmp register_btf_fmodret_id_set
#endif
