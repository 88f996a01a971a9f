//! System calls: the tables that entry code indexes, or the switches that took their place.
//!
//! Source: arch/*/kernel/syscall*, arch/x86/entry/syscall_64.c, include/linux/syscalls.h.

mod names;
mod switch;

use crate::elf::{text, Mark, Memory};
use crate::error::{Error, Result};
use rustc_hash::FxHashMap;

/// A number that a program can call. Slots that lead to `sys_ni_syscall` are none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Syscall {
    /// The table: `64` for 64-bit programs, `32` for 32-bit ones, `x32` for x86's programs of 32-bit pointers.
    pub abi: &'static str,
    /// Index in the table; for `x32` without `__X32_SYSCALL_BIT`.
    pub number: u32,
    /// The name that users know: `stat`.
    pub name: String,
    /// The symbol that it leads to: `__x64_sys_newstat`.
    pub entry: String,
}

/// No table has had more numbers than this; of a switch, so many are tried.
const NUMBERS: u64 = 1024;
/// `sys_ni_syscall`: there is no such call.
const NONE: &[u8] = b"ni_syscall";
const EM_MIPS: u16 = 8;
const X86: [u16; 2] = [3, 62];

/// The system calls of vmlinux; none in a module. What cannot be read goes into `incomplete`.
pub fn read(memory: &Memory<'_>, incomplete: &mut Vec<String>) -> Result<Vec<Syscall>> {
    let image = memory.image();
    if memory.is_module() {
        return Ok(Vec::new());
    }
    if image.machine == EM_MIPS && memory.mark("sys_call_table").is_some() {
        return Err(Error::unsupported("table of system calls", "MIPS"));
    }
    let mut out = Vec::new();
    let mut done = Vec::new();
    // Where there is a switch, the table of the same programs is only the tracer's.
    for (abi, name) in [("64", "x64_sys_call"), ("32", "ia32_sys_call"), ("x32", "x32_sys_call")] {
        let Some(mark) = memory.mark(name).filter(|_| X86.contains(&image.machine)) else { continue };
        match switched(memory, mark) {
            Ok(slots) => {
                add(memory, abi, &slots, &mut out, incomplete);
                done.push(abi);
            }
            Err(error) => incomplete.push(format!("system calls of {name}: {error}")),
        }
    }
    let tables = [
        (native(memory), "sys_call_table"),
        ("32", "compat_sys_call_table"),
        ("32", "ia32_sys_call_table"),
        ("32", "sys_call_table_emu"),
        ("x32", "x32_sys_call_table"),
    ];
    for (abi, name) in tables {
        let Some(mark) = memory.mark(name).filter(|_| !done.contains(&abi)) else { continue };
        match table(memory, mark) {
            Ok(slots) => {
                let slots: Vec<_> = slots.into_iter().map(Some).collect();
                add(memory, abi, &slots, &mut out, incomplete);
                done.push(abi);
            }
            Err(error) => incomplete.push(format!("system calls of {name}: {error}")),
        }
    }
    Ok(out)
}

/// The names that users know by what follows `sys_` in their functions' names, for all in `sys_call_table`: those
/// that the tracer of system calls knows. `None` where there is no such table.
pub(super) fn native_names(memory: &Memory<'_>) -> Result<Option<FxHashMap<Vec<u8>, String>>> {
    let Some(mark) = memory.mark("sys_call_table") else { return Ok(None) };
    let machine = memory.image().machine;
    let mut out = FxHashMap::default();
    for (number, address) in table(memory, mark)?.into_iter().enumerate() {
        let Some(stem) = entry(memory, address).and_then(|entry| stem(entry.name)) else { continue };
        let number = number as u32;
        let name = names::known(machine, native(memory), number).map_or_else(|| text(stem), str::to_owned);
        if stem != NONE {
            out.insert(stem.to_vec(), name);
        }
    }
    Ok(Some(out))
}

fn native(memory: &Memory<'_>) -> &'static str {
    if memory.image().address_size() == 8 {
        "64"
    } else {
        "32"
    }
}

/// Where a switch leads for each number.
fn switched(memory: &Memory<'_>, mark: Mark<'_>) -> Result<Vec<Option<u64>>> {
    let mut slots = (0..NUMBERS as u32)
        .map(|number| switch::entry(memory, mark.address, number))
        .collect::<Result<Vec<_>>>()?;
    // A compiler that sees the caller's check of the range lets what is beyond go where the last number goes.
    if let Some(last) = slots.last().copied() {
        let beyond = slots.iter().rposition(|slot| *slot != last).map_or(0, |before| before + 1);
        slots.truncate(beyond + 1);
    }
    Ok(slots)
}

/// The pointers of a table. One that assembly makes may have no size: it ends with the symbol after it.
fn table(memory: &Memory<'_>, mark: Mark<'_>) -> Result<Vec<u64>> {
    let word = u64::from(memory.image().address_size());
    let limit = NUMBERS * word;
    let size = match mark.size {
        0 => (1..limit).find(|&size| memory.at(mark.address + size).next().is_some()).unwrap_or(limit),
        size if size > limit => {
            return Err(Error::too_large("table of system calls", size, limit));
        }
        size => size,
    };
    (0..size / word)
        .map(|index| {
            let at = mark.address.wrapping_add(index * word);
            memory.pointer(at).ok_or_else(|| Error::truncated("table of system calls", at, word, 0))
        })
        .collect()
}

/// Adds the numbers that lead somewhere.
fn add(
    memory: &Memory<'_>,
    abi: &'static str,
    slots: &[Option<u64>],
    out: &mut Vec<Syscall>,
    incomplete: &mut Vec<String>,
) {
    let mut nameless = (0, String::new());
    for (number, address) in slots.iter().enumerate() {
        let Some(address) = *address else { continue };
        let number = number as u32;
        let Some(entry) = entry(memory, address) else {
            nameless.0 += 1;
            if nameless.0 == 1 {
                nameless.1 = format!("{number} leads to {address:#x}");
            }
            continue;
        };
        let plain = stem(entry.name).unwrap_or(entry.name);
        if plain == NONE || entry.weak {
            continue;
        }
        let name = names::known(memory.image().machine, abi, number);
        let name = name.map_or_else(|| text(plain), str::to_owned);
        out.push(Syscall { abi, number, name, entry: text(entry.name) });
    }
    if nameless.0 > 0 {
        incomplete.push(format!("system calls of {abi}: {} without a symbol: {}", nameless.0, nameless.1));
    }
}

/// The symbol of an entry. Of several, `sys_ni_syscall` decides, as the architectures without wrappers make it an
/// alias of what they were built without (the others leave a weak function that calls it, kernel/sys_ni.c); then one
/// that follows the pattern, and not one for the compiler's use only.
fn entry<'a>(memory: &Memory<'a>, address: u64) -> Option<Mark<'a>> {
    memory.at(address).min_by_key(|mark| {
        let inner = mark.name.starts_with(b"__se_") || mark.name.starts_with(b"__do_");
        let stem = stem(mark.name);
        (stem != Some(NONE), stem.is_none(), mark.weak, inner, mark.name)
    })
}

/// What follows `sys_` in the symbol of a system call, whatever the architecture puts in front of it:
/// `__x64_sys_`, `__ia32_compat_sys_`, `__arm64_sys_`, `__se_sys_`, `.sys_`.
pub(super) fn stem(symbol: &[u8]) -> Option<&[u8]> {
    let symbol = symbol.strip_prefix(b".").unwrap_or(symbol);
    let symbol = match symbol.strip_prefix(b"__") {
        Some(rest) => &rest[rest.iter().position(|&b| b == b'_')? + 1..],
        None => symbol,
    };
    symbol.strip_prefix(b"compat_").unwrap_or(symbol).strip_prefix(b"sys_")
}
