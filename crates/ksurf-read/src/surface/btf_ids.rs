//! Sets of BTF ids in `.BTF_ids`: kfuncs with their flags, BPF LSM hooks, and whatever else the kernel lists
//! (include/linux/btf_ids.h).
//!
//! A set is a number of entries and the entries, of four bytes each: the id, in a `struct btf_id_set8` (6.0) also
//! flags. The assembler leaves a symbol at each entry, with its kind and name. After linking, tools/bpf/resolve_btfids
//! writes the ids and sorts the entries by them, so that the symbols then only tell what is in the set, not where:
//! names of resolved entries come from BTF.

use super::calls;
use crate::btf::{self, Btf};
use crate::elf::{text, Memory};
use crate::error::{Error, Result};
use rustc_hash::FxHashMap;

/// A set, whose entries are named by [`BtfSet::members`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BtfSet {
    /// Its variable: `bpf_lsm_hooks`, `bpf_kfunc_check_set_skb`.
    pub name: String,
    /// `struct btf_id_set8`'s own flags; `None` for a plain `struct btf_id_set`.
    pub flags: Option<u32>,
    /// How the kernel registers it, if the image tells.
    pub registered_as: Option<Role>,
    /// Values of `enum bpf_prog_type` with which it is registered, in order, as far as the image tells.
    pub program_types: Vec<u32>,
    /// Ids, and the flags of a `struct btf_id_set8`.
    entries: Vec<(u32, Option<u32>)>,
    /// What the symbols of the entries say, in the order of the source.
    symbols: Vec<(String, String)>,
    /// Whether ids were written into the image.
    resolved: bool,
}

/// What a set is registered as.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Role {
    /// By `register_btf_kfunc_id_set`.
    Kfunc,
    /// By `register_btf_fmodret_id_set`: functions whose result a program may replace.
    FmodRet,
}

impl Role {
    /// The value of the column.
    pub fn as_str(self) -> &'static str {
        match self {
            Role::Kfunc => "kfunc",
            Role::FmodRet => "fmod_ret",
        }
    }
}

/// An entry of a set.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct BtfId {
    pub name: String,
    /// What the id means: `func`, `struct`, ...
    pub kind: String,
    /// The entry's flags in a `struct btf_id_set8`: `KF_ACQUIRE` and so on.
    pub flags: Option<u32>,
}

const SET: &[u8] = b"__BTF_ID__set__";
const SET8: &[u8] = b"__BTF_ID__set8__";
const ENTRY: &[u8] = b"__BTF_ID__";
/// `struct btf_kfunc_id_set` has the set after its owner, and had two pointers when it came.
const REGISTERED_POINTERS: u64 = 2;

/// The sets of an image.
pub fn read(memory: &Memory<'_>) -> Result<Vec<BtfSet>> {
    let Some((section, bytes)) = memory.section(".BTF_ids") else { return Ok(Vec::new()) };
    let mut found: Vec<(u64, bool, &[u8])> = Vec::new();
    for mark in memory.marks() {
        let name = mark.name.strip_prefix(SET).map(|name| (false, name));
        if let Some((pairs, name)) = name.or_else(|| Some((true, mark.name.strip_prefix(SET8)?))) {
            found.push((mark.address, pairs, name));
        }
    }
    found.sort_unstable();
    found.dedup_by_key(|set| set.0);
    let end = section.saturating_add(bytes.len() as u64);
    let mut sets = Vec::with_capacity(found.len());
    let mut free = section;
    for &(address, pairs, name) in &found {
        let wrong = |reason: &str| Error::corrupt("BTF id set", address, format!("{}: {reason}", text(name)));
        if address < free {
            return Err(wrong("it lies in another"));
        }
        let outside = || wrong("it lies outside of .BTF_ids");
        let word = |at: u64| memory.u32(at).filter(|_| at < end).ok_or_else(outside);
        let (head, size) = if pairs { (8, 8) } else { (4, 4) };
        let first = address + head;
        let count = u64::from(word(address)?);
        free = first + count * size;
        if free > end {
            return Err(outside());
        }
        let mut set = BtfSet {
            name: text(name),
            flags: if pairs { Some(word(address + 4)?) } else { None },
            registered_as: None,
            program_types: Vec::new(),
            entries: Vec::with_capacity(count as usize),
            symbols: Vec::new(),
            resolved: false,
        };
        for place in (first..free).step_by(size as usize) {
            set.entries.push((word(place)?, if pairs { Some(word(place + 4)?) } else { None }));
            let symbol = memory.at(place).find_map(|mark| entry_name(mark.name));
            set.symbols.extend(symbol.map(|(kind, name)| (text(kind), text(name))));
        }
        sets.push(set);
    }
    let resolved = sets.iter().any(|set| set.entries.iter().any(|entry| entry.0 != 0));
    for set in &mut sets {
        set.resolved = resolved;
    }
    let places = found.iter().zip(0usize..).map(|(set, number)| (set.0, number)).collect();
    register(memory, &places, &mut sets)?;
    Ok(sets)
}

/// Kind and name of an entry, from `__BTF_ID__func__bpf_get_task__1234`: what follows the name makes it unique.
fn entry_name(symbol: &[u8]) -> Option<(&[u8], &[u8])> {
    let rest = symbol.strip_prefix(ENTRY)?;
    let kind = memchr::memmem::find(rest, b"__")?;
    let (kind, name) = (&rest[..kind], &rest[kind + 2..]);
    let end = memchr::memmem::rfind(name, b"__")?;
    let digits = &name[end + 2..];
    let unique = end > 0 && !digits.is_empty() && digits.iter().all(u8::is_ascii_digit);
    unique.then_some((kind, &name[..end]))
}

/// Finds the calls that register sets, by the addresses of these.
fn register(memory: &Memory<'_>, places: &FxHashMap<u64, usize>, sets: &mut [BtfSet]) -> Result<()> {
    if sets.iter().all(|set| set.flags.is_none()) {
        return Ok(());
    }
    let word = u64::from(memory.image().address_size());
    for call in calls::find(memory, &["register_btf_kfunc_id_set", "register_btf_fmodret_id_set"])? {
        let (role, argument) = if call.callee == 0 { (Role::Kfunc, 1) } else { (Role::FmodRet, 0) };
        let Some(registered) = call.arguments[argument] else { continue };
        let set = (0..REGISTERED_POINTERS)
            .filter_map(|number| memory.pointer(registered.checked_add(number * word)?))
            .find_map(|pointer| places.get(&pointer));
        let Some(&set) = set else { continue };
        let set = &mut sets[set];
        set.registered_as = Some(role);
        if let (Role::Kfunc, Some(kind)) = (role, call.arguments[0]) {
            // The argument is an enum, of 32 bits.
            let kind = kind as u32;
            if let Err(at) = set.program_types.binary_search(&kind) {
                set.program_types.insert(at, kind);
            }
        }
    }
    Ok(())
}

impl BtfSet {
    /// The entries by name. With no BTF at hand the names are known, but not which flags are whose. What the
    /// kernel does not have (its id is 0) is left out, as it is by the kernel.
    pub fn members(&self, btf: Option<&Btf<'_>>) -> Vec<BtfId> {
        if !self.resolved {
            let flags = self.entries.iter().map(|entry| entry.1);
            // In the order of the source, if each entry has its symbol.
            let matched = self.symbols.len() == self.entries.len();
            let named = self.symbols.iter().zip(flags);
            return named
                .map(|((kind, name), flags)| BtfId {
                    name: name.clone(),
                    kind: kind.clone(),
                    flags: flags.filter(|_| matched),
                })
                .collect();
        }
        let Some(btf) = btf else {
            let known = |(kind, name): &(String, String)| BtfId {
                name: name.clone(),
                kind: kind.clone(),
                flags: None,
            };
            return self.symbols.iter().map(known).collect();
        };
        self.entries
            .iter()
            .filter(|entry| entry.0 != 0)
            .filter_map(|&(id, flags)| {
                let found = btf.get(id).ok()?;
                let kind = match found.kind {
                    btf::Kind::Func { .. } => "func",
                    btf::Kind::Struct { .. } => "struct",
                    btf::Kind::Union { .. } => "union",
                    btf::Kind::Typedef { .. } => "typedef",
                    _ => return None,
                };
                Some(BtfId { name: text(found.name), kind: kind.to_owned(), flags })
            })
            .collect()
    }
}
