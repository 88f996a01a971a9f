//! What the kernel's tables say about places in code: ftrace's sites, kprobes' blacklist, error injection.
//!
//! Sources: kernel/trace/ftrace.c and each architecture's `ftrace_call_adjust`; kernel/kprobes.c and each
//! architecture's `arch_populate_kprobe_blacklist`; lib/error-inject.c; include/asm-generic/vmlinux.lds.h.

use crate::elf::Memory;

/// What is known of a symbol's code.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct CodeFacts {
    /// It begins with a call that ftrace can turn on; `None` where the image has no list of such places.
    pub ftrace: Option<bool>,
    /// Why kprobes refuse it: `NOKPROBE_SYMBOL`, or the section that it is in (`.noinstr.text`).
    pub kprobe_blacklist: Option<&'static str>,
    /// What an injected error may be, as a number of [`ErrorTypes`].
    pub error_injection: Option<i32>,
    /// It is gone once the kernel runs, or the module is loaded.
    pub init: bool,
}

/// The numbers of `EI_ETYPE_NULL` and so on (include/asm-generic/error-injection.h), which began with 1 until 6.2
/// and have begun with 0 since.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ErrorTypes {
    errno: i32,
}

impl ErrorTypes {
    /// The name of a number.
    pub fn name(self, number: i32) -> Option<&'static str> {
        match number.checked_sub(self.errno)? {
            -1 => Some("EI_ETYPE_NULL"),
            0 => Some("EI_ETYPE_ERRNO"),
            1 => Some("EI_ETYPE_ERRNO_NULL"),
            2 => Some("EI_ETYPE_TRUE"),
            _ => None,
        }
    }
}

/// What kprobes refuse whole, on any architecture that has it: the linker's marks around it, less `_start` and
/// `_end`, and the section.
const AREAS: [(&str, &str); 2] = [("__kprobes_text", ".kprobes.text"), ("__noinstr_text", ".noinstr.text")];
/// What `arch_populate_kprobe_blacklist` adds, by `e_machine`.
const X86: &[(&str, &str)] = &[("__entry_text", ".entry.text")];
const ARM64: &[(&str, &str)] = &[
    ("__entry_text", ".entry.text"),
    ("__irqentry_text", ".irqentry.text"),
    ("__idmap_text", ".idmap.text"),
    ("__hyp_text", ".hyp.text"),
    ("__hyp_idmap_text", ".hyp.idmap.text"),
];
const IRQENTRY: &[(&str, &str)] = &[("__irqentry_text", ".irqentry.text")];
/// Bytes of the instructions that may stand before a function for ftrace's own use
/// (`CONFIG_DYNAMIC_FTRACE_WITH_CALL_OPS`); its site is where they begin.
const BEFORE: u64 = 8;

/// Addresses from the first up to the second.
type Span = (u64, u64);

/// The tables of one image.
#[derive(Debug, Default)]
pub struct Code {
    /// In order.
    sites: Option<Vec<u64>>,
    /// Whether sites may lie before the function.
    before: bool,
    /// In order.
    nokprobe: Vec<u64>,
    areas: Vec<(Span, &'static str)>,
    /// With the numbers of error types; in order.
    injectable: Vec<(u64, i32)>,
    /// In order, and apart from each other.
    init: Vec<Span>,
}

impl Code {
    /// Reads an image's tables.
    pub fn of(memory: &Memory<'_>) -> Code {
        let machine = memory.image().machine;
        Code {
            sites: sites(memory),
            before: matches!(machine, 20 | 21 | 183 | 243),
            nokprobe: nokprobe(memory),
            areas: areas(memory, machine),
            injectable: injectable(memory),
            init: init(memory),
        }
    }

    /// What they say of the code at an address (inside the image; made up in a module) of so many bytes.
    pub fn facts(&self, address: u64, byte_size: u64) -> CodeFacts {
        let within = |span: &Span| (span.0..span.1).contains(&address);
        let listed = self.nokprobe.binary_search(&address).is_ok();
        let area = || self.areas.iter().find(|(span, _)| within(span)).map(|(_, name)| *name);
        let first = self.injectable.partition_point(|entry| entry.0 < address);
        CodeFacts {
            ftrace: self.sites.as_ref().map(|sites| {
                let inside = sites.partition_point(|&site| site < address);
                let end = address.saturating_add(byte_size.max(1));
                sites.get(inside).is_some_and(|&site| site < end)
                    || self.before
                        && address.checked_sub(BEFORE).is_some_and(|at| sites.binary_search(&at).is_ok())
            }),
            kprobe_blacklist: if listed { Some("NOKPROBE_SYMBOL") } else { area() },
            error_injection: self
                .injectable
                .get(first)
                .filter(|entry| entry.0 == address)
                .map(|entry| entry.1),
            init: self.init[..self.init.partition_point(|span| span.0 <= address)].last().is_some_and(within),
        }
    }

    /// How this image numbers error types, if it tells. A system call may fail with an errno, so vmlinux does.
    pub fn error_types(&self, memory: &Memory<'_>) -> Option<ErrorTypes> {
        let is_call = |name: &[u8]| memchr::memmem::find(name, b"sys_").is_some();
        self.injectable
            .iter()
            .find(|(address, _)| memory.at(*address).any(|mark| is_call(mark.name)))
            .map(|&(_, errno)| ErrorTypes { errno })
    }
}

/// The pointers of a table that vmlinux has between marks and a module in a section.
fn pointers<'m>(
    memory: &'m Memory<'_>,
    (start, bytes): (u64, &[u8]),
    step: u64,
) -> impl Iterator<Item = (u64, u64)> + 'm {
    let count = bytes.len() as u64 / step;
    (0..count).filter_map(move |number| {
        let place = start + number * step;
        // What is 0 was dropped at link time, or is a weak symbol that nothing defines.
        Some((place, memory.pointer(place).filter(|&pointer| pointer != 0)?))
    })
}

fn word(memory: &Memory<'_>) -> u64 {
    memory.image().address_size().into()
}

/// ftrace's sites. A module may have both sections: on x86 the second lists padding before functions then.
fn sites(memory: &Memory<'_>) -> Option<Vec<u64>> {
    let table = memory
        .marked("__start_mcount_loc", "__stop_mcount_loc")
        .or_else(|| memory.section("__mcount_loc"))
        .or_else(|| memory.section("__patchable_function_entries"))?;
    let mut sites: Vec<u64> = pointers(memory, table, word(memory)).map(|(_, site)| site).collect();
    sites.sort_unstable();
    Some(sites)
}

fn nokprobe(memory: &Memory<'_>) -> Vec<u64> {
    let table = memory
        .marked("__start_kprobe_blacklist", "__stop_kprobe_blacklist")
        .or_else(|| memory.section("_kprobe_blacklist"));
    let Some(table) = table else { return Vec::new() };
    let text = text(memory);
    let addresses = pointers(memory, table, word(memory)).map(|(_, entry)| entry);
    let mut addresses: Vec<u64> = addresses.filter(|entry| (text.0..text.1).contains(entry)).collect();
    addresses.sort_unstable();
    addresses
}

fn marks(memory: &Memory<'_>, start: &str, end: &str) -> Option<Span> {
    memory.address_of(start).zip(memory.address_of(end))
}

/// The kernel's own text: entries elsewhere (the identity map of arm64 since 6.2) are passed over by the kernel.
fn text(memory: &Memory<'_>) -> Span {
    marks(memory, "_stext", "_etext").filter(|_| !memory.is_module()).unwrap_or((0, u64::MAX))
}

fn areas(memory: &Memory<'_>, machine: u16) -> Vec<(Span, &'static str)> {
    let mut areas = Vec::new();
    if memory.is_module() {
        for (_, name) in AREAS {
            if let Some((start, bytes)) = memory.section(name) {
                areas.push(((start, start + bytes.len() as u64), name));
            }
        }
        return areas;
    }
    let own = match machine {
        3 | 62 => X86,
        183 => ARM64,
        22 | 243 => IRQENTRY,
        _ => &[],
    };
    let text = text(memory);
    for (mark, name) in AREAS.iter().chain(own) {
        let found = marks(memory, &format!("{mark}_start"), &format!("{mark}_end"));
        areas.extend(found.filter(|span| text.0 <= span.0 && span.1 <= text.1).map(|span| (span, *name)));
    }
    if matches!(machine, 20 | 21) {
        // `arch_within_kprobe_blacklist` of powerpc.
        areas.extend(marks(memory, "_stext", "__head_end").map(|span| (span, ".head.text")));
    }
    areas
}

/// Entries of `struct error_injection_entry { unsigned long addr; int etype; }`.
fn injectable(memory: &Memory<'_>) -> Vec<(u64, i32)> {
    let table = memory
        .marked("__start_error_injection_whitelist", "__stop_error_injection_whitelist")
        .or_else(|| memory.section("_error_injection_whitelist"));
    let Some(table) = table else { return Vec::new() };
    let word = word(memory);
    let mut entries: Vec<(u64, i32)> = pointers(memory, table, 2 * word)
        .filter_map(|(place, address)| Some((address, memory.u32(place + word)? as i32)))
        .collect();
    entries.sort_unstable();
    entries
}

/// What is freed after boot, or after a module's `init`. A module keeps its `.exit.text` until it goes.
fn init(memory: &Memory<'_>) -> Vec<Span> {
    let module = memory.is_module();
    let marked = marks(memory, "__init_begin", "__init_end");
    let sections = memory.image().sections.iter().filter(|section| {
        section.is_loaded() && (section.name.starts_with(".init") || !module && section.name == ".exit.text")
    });
    let span = |section| {
        let size = memory.image().section_bytes(section).len() as u64;
        (section.address, section.address.saturating_add(size))
    };
    let mut spans: Vec<Span> = marked.filter(|_| !module).into_iter().chain(sections.map(span)).collect();
    spans.sort_unstable();
    spans.dedup_by(|next, last| {
        let meets = next.0 <= last.1;
        if meets {
            last.1 = last.1.max(next.1);
        }
        meets
    });
    spans
}
