//! Words that stand in declarations and name nothing: attributes, and macros that are one.

use rustc_hash::FxHashSet;
use std::sync::OnceLock;

/// Macros of the kernel that become attributes, besides those whose names tell it.
/// Sources: include/linux/compiler*.h, init.h, cache.h, linkage.h, and headers of some drivers.
const ATTRIBUTES: &str = "\
    inline __inline __inline__ __attribute__ __attribute __declspec asmlinkage notrace noinline noinstr __memexit \
    __always_inline __forceinline __must_check __init __exit __initdata __exitdata __initconst \
    __init_or_module __initdata_or_module __initconst_or_module __meminit __meminitdata __ref __refdata \
    __refconst __net_init __net_exit __net_initdata __sched __kprobes __lockfunc __cpuidle __visible \
    __used __unused __maybe_unused __always_unused __weak __weak__ __cold __hot __pure __const \
    __deprecated __malloc __noreturn __noclone __noendbr __nocfi __no_kcsan __no_kasan_or_inline \
    __no_sanitize_address __no_sanitize_memory __no_sanitize_or_inline __no_sanitize_undefined \
    __no_sanitize_thread __no_sanitize_coverage __no_kmsan_checks __no_profile __no_stack_protector \
    __latent_entropy __randomize_layout __no_randomize_layout __designated_init __packed __aligned \
    __aligned_largest __aligned_u64 __aligned_be64 __aligned_le64 __section __read_mostly \
    __ro_after_init __rcu __user __iomem __percpu __kernel __force __bitwise __bitwise__ __nocast __safe \
    __private __chk_user_ptr __acquires __releases __acquire __release __cond_acquires __must_hold \
    __acquires_shared __releases_shared __must_hold_shared __cond_acquires_shared __cond_releases \
    __guarded_by __pt_guarded_by __no_context_analysis __context_unsafe __acquires_ret \
    __acquires_shared_ret __printf __scanf __format __alloc_size __assume_aligned __realloc_size __copy \
    __alias __cleanup __counted_by __counted_by_le __counted_by_be __counted_by_ptr __nonstring \
    __nonstring_array __gnu_inline __mode __diagnose_as __overloadable __pass_object_size \
    __pass_dynamic_object_size __no_caller_saved_registers __naked __naked__ __noscs __nmi __irq_entry \
    __softirq_entry __exception_irq_entry __bpf_kfunc __bpf_hook_start __cacheline_aligned \
    __cacheline_aligned_in_smp ____cacheline_aligned ____cacheline_aligned_in_smp \
    ____cacheline_internodealigned_in_smp __page_aligned_data __page_aligned_bss __bss_pgtbl __entry \
    __asm asm __asm__ __volatile__ __volatile volatile __restrict __restrict__ restrict __extension__ \
    STATIC INLINE ACPI_PRINTF_LIKE ACPI_UNUSED_VAR ACPI_INTERNAL_VAR_XFACE ACPI_SYSTEM_XFACE \
    noinline_for_stack noinline_for_tracing fastcall regparm nokprobe_inline __attribute_const__ \
    __compiletime_error __compiletime_warning __flatten __noipa __always_used __retain \
    __tracepoint_string __head __initcall __setup_param __stringify __uninitialized __mips_isa_rev \
    __nosavedata __riscv_xlen __target __tcmdata __tcmconst __tcmfunc __text __thread VISIBLE_IF_KUNIT \
    __ksym __arena __arg_ctx __arg_nonnull __arg_nullable __arg_trusted __arg_arena __hidden __kptr \
    __kptr_untrusted __uptr __noinline LIBBPF_API LIBBPF_DEPRECATED LIBBPF_DEPRECATED_SINCE FAR \
    ATTRIBUTE_UNUSED UNUSED NORETURN INLINE_KEYWORD FORCE_INLINE FORCE_INLINE_TEMPLATE FORCE_INLINE_ATTR \
    HINT_INLINE MEM_STATIC UNUSED_ATTR ZSTDLIB_API ZSTDLIB_STATIC_API FSE_PUBLIC_API DYNAMIC_BMI2 \
    BMI2_TARGET_ATTRIBUTE __counted __seg_gs __seg_fs noreturn __rust_helper EXT4_ATTR_FUNC";

/// Whether a word names nothing where a declaration has it.
pub(crate) fn is_attribute(word: &[u8]) -> bool {
    static WORDS: OnceLock<FxHashSet<&'static [u8]>> = OnceLock::new();
    let words = WORDS.get_or_init(|| ATTRIBUTES.split_ascii_whitespace().map(str::as_bytes).collect());
    words.contains(word)
}

/// Words of C's declarations that are no names.
pub(crate) fn is_keyword(word: &[u8]) -> bool {
    matches!(
        word,
        b"auto"
            | b"bool"
            | b"_Bool"
            | b"break"
            | b"case"
            | b"char"
            | b"const"
            | b"continue"
            | b"default"
            | b"do"
            | b"double"
            | b"else"
            | b"enum"
            | b"extern"
            | b"float"
            | b"for"
            | b"goto"
            | b"if"
            | b"int"
            | b"long"
            | b"register"
            | b"return"
            | b"short"
            | b"signed"
            | b"__signed__"
            | b"sizeof"
            | b"static"
            | b"struct"
            | b"switch"
            | b"typedef"
            | b"typeof"
            | b"__typeof__"
            | b"union"
            | b"unsigned"
            | b"void"
            | b"while"
            | b"__auto_type"
            | b"_Static_assert"
            | b"static_assert"
            | b"_Alignas"
            | b"_Atomic"
            | b"_Noreturn"
            | b"__const"
            | b"__const__"
            | b"__int128"
            | b"__typeof"
            | b"typeof_unqual"
            | b"TYPEOF_UNQUAL"
    )
}
