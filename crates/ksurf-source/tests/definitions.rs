//! What is found in small pieces of kernel-like code.

use ksurf_source::definitions::{Definition, Kind};
use ksurf_source::file::SourceFile;

/// `kind name`, with what else is to be said, one for each definition.
fn found(path: &str, text: &str) -> Vec<String> {
    let file = SourceFile::of(path.as_bytes(), text.as_bytes().to_vec());
    file.definitions().iter().map(shown).collect()
}

fn c(text: &str) -> Vec<String> {
    found("a.c", text)
}

fn shown(found: &Definition<'_>) -> String {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let mut line = format!("{} {}", found.kind.name(), text(&found.name));
    if let Some(owner) = &found.owner {
        line += &format!(" of {} {}", owner.kind.name(), text(&owner.name));
    }
    if let Some(path) = &found.path {
        line += &format!(" as {}", text(path));
    }
    if let Some(via) = &found.via {
        line += &format!(" via {}", text(via));
    }
    if let Some(parameters) = &found.parameters {
        line += &format!(" ({})", text(parameters));
    }
    if found.is_static {
        line += " static";
    }
    if found.is_declaration {
        line += " declared";
    }
    line
}

#[test]
fn functions_are_found_whatever_stands_around_their_names() {
    for head in [
        "int f(void)",
        "static int __init f(int a, char *b)",
        "static __always_inline __must_check int\nf(struct s *a)",
        "__printf(1, 2)\nint f(const char *fmt, ...)",
        "static int f(int a) __acquires(rcu) __releases(&x)",
        "void f(int (*g)(int), int b)",
        "struct s *f(struct s x[3])",
        "void (*f(int a))(int)",
        "static noinline __attribute__((cold)) void __sched f(void)",
        "asmlinkage __visible u64 notrace f(struct pt_regs *regs)",
        "__be32 f(void)",
        "const struct s\n*const f(void)",
        "static inline bool f(enum e a)",
        "SOME_TYPE(x) f(void)",
    ] {
        let all = c(&format!("int before;\n{head}\n{{\n\tif (x) {{ g(); }}\n}}\nint after;\n"));
        let statics = if head.contains("static") { " static" } else { "" };
        assert_eq!(
            all,
            ["variable before".into(), format!("function f{statics}"), "variable after".into()],
            "{head}"
        );
    }
}

#[test]
fn a_function_has_its_lines() {
    let file = SourceFile::of(b"a.c", b"\nstatic int\n  f(void)\n{\n}\n".to_vec());
    let f = &file.definitions()[0];
    assert_eq!((f.start_line, f.line, f.column, f.end_line), (2, 3, 3, 5));
}

#[test]
fn types_have_members_by_path() {
    let text = "struct s {\n int a, *b[3], c:3;\n union { u8 d; struct { int e; } f; };\n void (*g)(int h);\n\
                enum k { I, J = (1, 2), K __x(3) } l;\n struct t { int m; } n __aligned(8);\n DECLARE_BITMAP(o, 3);\n\
                struct_group(p, int q; int r;);\n int (*u)[3];\n unsigned int :4;\n} __packed v;";
    assert_eq!(
        c(text),
        [
            "struct s",
            "member a of struct s",
            "member b of struct s",
            "member c of struct s",
            "member d of struct s",
            "member e of struct s as f.e",
            "member f of struct s",
            "member g of struct s",
            "enum k",
            "enumerator I of enum k",
            "enumerator J of enum k",
            "member l of struct s",
            "struct t",
            "member m of struct t",
            "member n of struct s",
            "member o of struct s via DECLARE_BITMAP",
            "member p of struct s via struct_group",
            "member q of struct s",
            "member r of struct s",
            "member u of struct s",
            "variable v",
        ]
    );
}

#[test]
fn typedefs_and_types_without_a_tag() {
    let text =
        "typedef struct { int a; } b_t, *c_t;\ntypedef int (*d_t)(int e);\ntypedef u32 __bitwise f_t;\n\
                enum { G };\nstatic struct { int h; } i;\ntypedef int j_t(void);\nstruct k;\nstruct l m;";
    assert_eq!(
        c(text),
        [
            "member a of struct b_t",
            "typedef b_t",
            "typedef c_t",
            "typedef d_t",
            "typedef f_t",
            "enumerator G",
            "member h of struct i",
            "variable i static",
            "typedef j_t",
            "variable m",
        ]
    );
}

#[test]
fn variables_and_prototypes() {
    let text = "int a = f(3), *b, c[N] = { 1, 2 };\nextern struct s d;\nextern int e(int g) __must_check;\n\
                static const struct s h __initconst = { .i = j, };\nvoid (*k)(int) = l;\nint m(void), n;\nint o __aligned(4);\n\
                extern int p SOME_ATTRIBUTE(q);\nunsigned long r __section(\".s\") = 3;";
    assert_eq!(
        c(text),
        [
            "variable a",
            "variable b",
            "variable c",
            "variable d declared",
            "function e declared",
            "variable h static",
            "variable k",
            "function m declared",
            "variable n",
            "variable o",
            "variable p declared",
            "variable r",
        ]
    );
}

#[test]
fn macros_make_what_their_arguments_say() {
    let text = "SYSCALL_DEFINE2(name, int, a, int, b)\n{\n}\nstatic DEFINE_PER_CPU(struct s *, c);\nDEFINE_MUTEX(d);\n\
                EXPORT_SYMBOL_GPL(e);\nMODULE_LICENSE(\"GPL\");\nTRACE_EVENT(f, TP_PROTO(int g));\nstatic LIST_HEAD(h)\n\
                static int i;\nmodule_init(j)\nint k;\nDEFINE_IDTENTRY(exc_l)\n{\n}\nint FNAME(m)(int a)\n{\n}\n\
                DEFINE_EVENT(n, o, TP_PROTO());";
    let all = c(text);
    for one in [
        "syscall sys_name via SYSCALL_DEFINE2",
        "function __x64_sys_name via SYSCALL_DEFINE2",
        "variable c via DEFINE_PER_CPU static",
        "variable d via DEFINE_MUTEX",
        "export e via EXPORT_SYMBOL_GPL",
        "module_info MODULE_LICENSE",
        "tracepoint trace_f via TRACE_EVENT",
        "variable h via LIST_HEAD static",
        "variable i static",
        "variable k",
        "function exc_l via DEFINE_IDTENTRY",
        "function m via FNAME",
        "tracepoint trace_o via DEFINE_EVENT",
    ] {
        assert!(all.iter().any(|line| line == one), "{one}: {all:#?}");
    }
    assert!(!all.iter().any(|line| line.contains(" j") || line.contains("module_init")), "{all:#?}");
}

#[test]
fn what_a_macro_of_the_file_makes_is_read_from_its_body() {
    let text = "#define ONE(name, type) \\\nstatic inline type get_##name(void) \\\n{ \\\n\treturn 0; \\\n} \\\n\
                TWO(name) static int name##_count\n#define TWO(x) DEFINE_EVENT(class, x##_tp, TP_PROTO()); DEFINE_MUTEX(x);\n\
                #define FN(x) pre_##x\n#define LOOP(x) LOOP(x)\nONE(a, unsigned int);\nONE(b, u8)\nTWO(c) TWO(d);\n\
                static int FN(e)(void)\n{\n}\nLOOP(f);\nLIST\nTWO(g);\n";
    let all = c(text);
    for one in [
        "function get_a via ONE static",
        "variable a_count via ONE static",
        "tracepoint trace_a_tp via ONE",
        "function get_b via ONE static",
        "variable d via TWO",
        "tracepoint trace_c_tp via TWO",
        "function pre_e via FN static",
        "variable g via TWO",
    ] {
        assert!(all.iter().any(|line| line == one), "{one}: {all:#?}");
    }
    assert!(!all.iter().any(|line| line.contains("LOOP") && !line.starts_with("macro")), "{all:#?}");
}

#[test]
fn macros_of_the_preprocessor() {
    let text = "#define A\n#define B(x, ...) \\\n\tfoo(x)\n# define C (1)\n#if 0\n#define D\n#endif\n#ifdef E\n#define F\n#endif\n";
    assert_eq!(c(text), ["macro A", "macro B (x, ...)", "macro C", "macro F"]);
    let file = SourceFile::of(b"a.h", text.as_bytes().to_vec());
    let b = &file.definitions()[1];
    assert_eq!((b.kind, b.line, b.column, b.end_line), (Kind::Macro, 2, 9, 3));
}

#[test]
fn conditions_amid_a_function() {
    let both = "#ifdef A\nint f(int a)\n{\n#else\nint f(void)\n{\n#endif\n}\nint g;";
    assert_eq!(c(both), ["function f", "variable g"]);
    let head = "#ifdef A\nint f(int a)\n#else\nint f(void)\n#endif\n{\n}\nint g;";
    assert_eq!(c(head), ["function f", "variable g"]);
    let inside =
        "int f(void)\n{\n#ifdef A\n\tif (a) {\n#else\n\tif (b) {\n#endif\n\t}\n}\nint g(void)\n{\n}\n";
    assert_eq!(c(inside), ["function f", "function g"]);
    let apart = "#ifdef A\nint f(void)\n{\n}\n#else\nstatic inline int f(void) { }\n#endif\n";
    assert_eq!(c(apart), ["function f", "function f static"]);
    let never = "#if 0\nint f(void) {\n#else\nint g;\n#endif\nint h;";
    assert_eq!(c(never), ["variable g", "variable h"]);
    let list = "enum e {\n#ifdef A\n\tB,\n#else\n\tC,\n#endif\n};";
    assert_eq!(c(list), ["enum e", "enumerator B of enum e", "enumerator C of enum e"]);
}

#[test]
fn a_brace_too_many_costs_one_function() {
    let text = "int f(void)\n{\n\tif (a) {\n}\n\nint g(void)\n{\n}\n\nint h(void)\n{\n}\n";
    assert_eq!(c(text), ["function f", "function g", "function h"]);
}

#[test]
fn assembly_has_labels_and_marked_functions() {
    let text = "#define A 1\nSYM_FUNC_START(f)\n1:\tmov %rax, %rbx\nlocal:\n\tjmp 1b\nSYM_FUNC_END(f)\n.macro m x\n.endm\n\
                EXPORT_SYMBOL(f)\nSYM_DATA(d, .long 0)\n";
    let expected = [
        "macro A",
        "function f via SYM_FUNC_START",
        "label local",
        "macro m",
        "export f via EXPORT_SYMBOL",
        "variable d via SYM_DATA",
    ];
    assert_eq!(found("arch/x86/a.S", text), expected);
}

#[test]
fn rust_has_items() {
    let text = "pub fn f<T>(a: &str) -> u32 { 1 }\nstruct S;\nimpl T for S { const A: u32 = 1; }\nmacro_rules! m { () => {} }\n\
                const fn g() {}\nstatic mut X: u8 = 0;";
    let expected = ["function f", "struct S", "variable A", "macro m", "function g"];
    assert_eq!(found("a.rs", text)[..5], expected);
}

#[test]
fn nonsense_is_no_danger() {
    let deep = "{(".repeat(200_000);
    let types = "struct { ".repeat(100_000);
    let words = "a ".repeat(300_000);
    let line = "int a".to_owned() + &", b".repeat(300_000) + ";";
    let macros = "#define A(".repeat(10_000);
    let conditions = "#if 1\nint f(\n#else\n{\n".repeat(30_000);
    for text in [deep, types, words, line, macros, conditions] {
        c(&text);
        found("a.S", &text);
        found("a.rs", &text);
    }
}
