//! Exported symbols: `__ksymtab` and its neighbours (include/linux/export-internal.h, kernel/module/main.c).
//!
//! An entry is `struct kernel_symbol`: the symbol, its name and its namespace, each a pointer or, with
//! `CONFIG_HAVE_ARCH_PREL32_RELOCATIONS`, a signed 32-bit distance from its own place. Older kernels have no
//! namespace. Which of these a table has is told by its names, all of which lie in `__ksymtab_strings`.
//!
//! What is for the GPL only stands in a table of its own, `__ksymtab_gpl`, or since 7.x has a flag in
//! `__kflagstab`, which is parallel to the table as `__kcrctab` is.

use crate::elf::{text, Memory};
use crate::error::{Error, Result};

/// A symbol that modules may use.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Export {
    pub name: String,
    /// Only for modules whose licence is compatible with the GPL.
    pub gpl: bool,
    /// `EXPORT_SYMBOL_NS`: the namespace that a module has to import.
    pub namespace: Option<String>,
    /// Checksum of the symbol's prototype (`CONFIG_MODVERSIONS`).
    pub crc: Option<u32>,
}

/// `KSYM_FLAG_GPL_ONLY`, include/linux/module_symbol.h.
const KSYM_FLAG_GPL_ONLY: u8 = 1;

/// The tables, by what follows `__ksymtab`, and whether they are for the GPL only.
const TABLES: [(&str, bool); 2] = [("", false), ("_gpl", true)];

/// A name that is longer, in bytes, is none: `KSYM_NAME_LEN` is 512.
const NAME_LIMIT: usize = 1024;

/// The exports of an image.
pub fn read(memory: &Memory<'_>) -> Result<Vec<Export>> {
    let mut exports = Vec::new();
    for (suffix, gpl) in TABLES {
        let Some((start, bytes)) = table(memory, "__ksymtab", suffix).filter(|t| !t.1.is_empty()) else {
            continue;
        };
        let Some((form, names)) = form(memory, start, bytes.len() as u64) else {
            let reason = format!("the names of __ksymtab{suffix} are not in __ksymtab_strings");
            return Err(Error::corrupt("exported symbols", start, reason));
        };
        let parallel = |what, width: u64| {
            let (start, bytes) = table(memory, what, suffix)?;
            (bytes.len() as u64 == names.len() as u64 * width).then_some(start)
        };
        let crcs = parallel("__kcrctab", 4);
        let flags = parallel("__kflagstab", 1);
        for (place, name) in (0u64..).zip(names) {
            let namespace = form.string(memory, start + place * form.size(), 2);
            let flag = flags.and_then(|flags| memory.bytes(flags + place, 1));
            exports.push(Export {
                gpl: gpl || flag.is_some_and(|flag| flag[0] & KSYM_FLAG_GPL_ONLY != 0),
                namespace: namespace.filter(|namespace| !namespace.is_empty()).map(text),
                crc: crcs.and_then(|crcs| crc(memory, crcs + place * 4, name)),
                name: text(name),
            });
        }
    }
    Ok(exports)
}

/// A table by the linker's marks, or as a section.
fn table<'a>(memory: &Memory<'a>, what: &str, suffix: &str) -> Option<(u64, &'a [u8])> {
    let name = format!("{what}{suffix}");
    memory.marked(&format!("__start_{name}"), &format!("__stop_{name}")).or_else(|| memory.section(&name))
}

/// How the entries of a table are written.
#[derive(Debug, Clone, Copy)]
struct Form {
    /// Distances of four bytes instead of pointers.
    relative: bool,
    /// Two, or three with the namespace.
    fields: u64,
    /// Bytes of a field.
    width: u64,
}

impl Form {
    fn size(self) -> u64 {
        self.fields * self.width
    }

    /// The string that a field of an entry leads to; `None` where there is no such field, or nothing in it.
    fn string<'a>(self, memory: &Memory<'a>, entry: u64, field: u64) -> Option<&'a [u8]> {
        string(memory, self.target(memory, entry, field)?)
    }

    fn target(self, memory: &Memory<'_>, entry: u64, field: u64) -> Option<u64> {
        if field >= self.fields {
            return None;
        }
        let place = entry + field * self.width;
        let target = if self.relative { memory.relative(place) } else { memory.pointer(place) }?;
        let nothing = if self.relative { place } else { 0 };
        (target != nothing).then_some(target)
    }
}

fn string<'a>(memory: &Memory<'a>, address: u64) -> Option<&'a [u8]> {
    let bytes = memory.from(address)?;
    let bytes = &bytes[..bytes.len().min(NAME_LIMIT)];
    memchr::memchr(0, bytes).map(|end| &bytes[..end])
}

/// The form in which all names of a table are names, and these.
fn form<'a>(memory: &Memory<'a>, start: u64, size: u64) -> Option<(Form, Vec<&'a [u8]>)> {
    let (first, strings) = memory.section("__ksymtab_strings")?;
    let word = u64::from(memory.image().address_size());
    [(true, 3), (false, 3), (true, 2), (false, 2)].into_iter().find_map(|(relative, fields)| {
        let form = Form { relative, fields, width: if relative { 4 } else { word } };
        if !size.is_multiple_of(form.size()) {
            return None;
        }
        let name = |entry: u64| {
            let target = form.target(memory, start + entry * form.size(), 1)?;
            target.checked_sub(first).filter(|&offset| offset < strings.len() as u64)?;
            string(memory, target).filter(|name| !name.is_empty())
        };
        let names = (0..size / form.size()).map(name).collect::<Option<Vec<_>>>()?;
        Some((form, names))
    })
}

/// A checksum: it stands in the table itself, or (`CONFIG_MODULE_REL_CRCS`, until 5.18) in `__crc_NAME`, to which
/// the table has the distance.
fn crc(memory: &Memory<'_>, place: u64, name: &[u8]) -> Option<u32> {
    let target = memory.relative(place)?;
    let own = memory.at(target).any(|mark| mark.name.strip_prefix(b"__crc_") == Some(name));
    memory.u32(if own && target != place { target } else { place })
}
