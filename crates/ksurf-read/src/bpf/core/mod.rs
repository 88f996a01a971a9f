//! CO-RE: what an eBPF object asks of the kernel's types, and what becomes of it on a certain kernel.
//!
//! clang notes for an instruction that its number depends on a type ([`Relocation`]). Before it loads the object,
//! libbpf looks for that type in the kernel's BTF and puts the kernel's number there, or makes the instruction one
//! that must not be reached. [`resolve`] comes to the same results: the source is libbpf's `relo_core.c`, and where
//! versions of libbpf differ, the newest counts (1.7).

mod compatible;
mod patch;
mod spec;
mod target;
#[cfg(test)]
mod tests;
mod types;
mod value;

use super::btf_ext::BtfExt;
use crate::btf::{Btf, Kind, Type};
use crate::elf::{text, Image};
use crate::error::{At, Error, Result};
pub use patch::{Patched, POISON};
use rustc_hash::FxHashMap;
use spec::{declared, Mismatch, Spec};
use target::Candidate;
pub use target::Target;
pub use types::{essential, flavor, kind_word};
use value::{value, Value};

/// Size of a pointer in an eBPF object, bytes.
const POINTER_SIZE: u32 = 8;

/// `enum bpf_core_relo_kind` (include/uapi/linux/bpf.h).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RelocationKind {
    FieldByteOffset,
    FieldByteSize,
    FieldExists,
    FieldSigned,
    FieldLshiftU64,
    FieldRshiftU64,
    TypeIdLocal,
    TypeIdTarget,
    TypeExists,
    TypeSize,
    EnumvalExists,
    EnumvalValue,
    TypeMatches,
    /// One of a later version.
    Other(u32),
}

impl RelocationKind {
    const KNOWN: [(RelocationKind, &'static str); 13] = [
        (RelocationKind::FieldByteOffset, "BPF_CORE_FIELD_BYTE_OFFSET"),
        (RelocationKind::FieldByteSize, "BPF_CORE_FIELD_BYTE_SIZE"),
        (RelocationKind::FieldExists, "BPF_CORE_FIELD_EXISTS"),
        (RelocationKind::FieldSigned, "BPF_CORE_FIELD_SIGNED"),
        (RelocationKind::FieldLshiftU64, "BPF_CORE_FIELD_LSHIFT_U64"),
        (RelocationKind::FieldRshiftU64, "BPF_CORE_FIELD_RSHIFT_U64"),
        (RelocationKind::TypeIdLocal, "BPF_CORE_TYPE_ID_LOCAL"),
        (RelocationKind::TypeIdTarget, "BPF_CORE_TYPE_ID_TARGET"),
        (RelocationKind::TypeExists, "BPF_CORE_TYPE_EXISTS"),
        (RelocationKind::TypeSize, "BPF_CORE_TYPE_SIZE"),
        (RelocationKind::EnumvalExists, "BPF_CORE_ENUMVAL_EXISTS"),
        (RelocationKind::EnumvalValue, "BPF_CORE_ENUMVAL_VALUE"),
        (RelocationKind::TypeMatches, "BPF_CORE_TYPE_MATCHES"),
    ];

    fn new(number: u32) -> RelocationKind {
        Self::KNOWN.get(number as usize).map_or(RelocationKind::Other(number), |known| known.0)
    }

    fn number(self) -> u32 {
        match self {
            RelocationKind::Other(number) => number,
            known => Self::KNOWN.iter().position(|&(kind, _)| kind == known).unwrap_or_default() as u32,
        }
    }

    /// As the kernel's header calls it; a number where this version knows no name.
    pub fn name(self) -> String {
        match self {
            RelocationKind::Other(number) => number.to_string(),
            known => Self::KNOWN[known.number() as usize].1.into(),
        }
    }

    /// Whether it is about a type as a whole.
    pub fn is_of_type(self) -> bool {
        use RelocationKind::*;
        matches!(self, TypeIdLocal | TypeIdTarget | TypeExists | TypeSize | TypeMatches)
    }

    /// Whether it is about a member or an element.
    pub fn is_of_field(self) -> bool {
        use RelocationKind::*;
        matches!(
            self,
            FieldByteOffset | FieldByteSize | FieldExists | FieldSigned | FieldLshiftU64 | FieldRshiftU64
        )
    }

    /// Whether it is about an enumerator.
    pub fn is_of_enumerator(self) -> bool {
        matches!(self, RelocationKind::EnumvalExists | RelocationKind::EnumvalValue)
    }

    /// Whether there is nothing to put in place of what the kernel does not have; else it is 0.
    pub fn needs_target(self) -> bool {
        self.is_of_field() && self != RelocationKind::FieldExists || self == RelocationKind::EnumvalValue
    }
}

/// One relocation of an object.
#[derive(Debug, Clone, Copy)]
pub struct Relocation<'a> {
    /// Of the section that holds the instruction.
    pub section: &'a [u8],
    /// Bytes from the start of the section.
    pub offset: u32,
    /// The root type, in the object's BTF.
    pub type_id: u32,
    /// Numbers of members, elements or enumerators: `0:1:3`.
    pub access: &'a [u8],
    pub kind: RelocationKind,
    /// The section from the instruction on, empty if the instruction is not there.
    code: &'a [u8],
}

/// What a relocation is about, in words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subject {
    /// `struct`, `union`, `enum`, `typedef`, or what else the root is.
    pub root_kind: &'static str,
    /// The root's name, without its flavor.
    pub root: String,
    pub flavor: Option<String>,
    /// After the root: `se.vruntime`, `BPF_MAP_TYPE_RINGBUF`; `None` where it is the root itself.
    pub path: Option<String>,
    /// The type of what is accessed, as the object has it in C.
    pub type_text: Option<String>,
    /// Of an enumerator, in the object.
    pub value: Option<i64>,
}

/// The relocations of an object, in the order in which libbpf applies them. `btf` is the object's own.
pub fn relocations<'a>(image: &'a Image, btf: &'a Btf<'a>) -> Result<Vec<Relocation<'a>>> {
    let Some(section) = image.section(".BTF.ext") else { return Ok(Vec::new()) };
    let ext = BtfExt::parse(image.section_bytes(section), btf)?;
    let mut out = Vec::new();
    for records in ext.relocations()? {
        let code = std::str::from_utf8(records.section).ok().and_then(|name| image.section(name));
        let code = code.map_or(&[][..], |section| image.section_bytes(section));
        out.extend(records.list.iter().map(|record| Relocation {
            section: records.section,
            offset: record.offset,
            type_id: record.type_id,
            access: record.access,
            kind: RelocationKind::new(record.kind),
            code: match record.offset % 8 {
                0 => code.get(record.offset as usize..).unwrap_or_default(),
                _ => &[],
            },
        }));
    }
    Ok(out)
}

impl Relocation<'_> {
    /// What it is about; an error if it makes no sense.
    pub fn subject(&self, btf: &Btf<'_>) -> Result<Subject> {
        let root = types::get(btf, self.type_id)?;
        let name = root.map_or(&[][..], |root| root.name);
        let spec = Spec::parse(btf, POINTER_SIZE, self.type_id, self.access, self.kind)?;
        let way = spec.way(&spec.steps);
        let path = if self.kind.is_of_enumerator() { essential(&way) } else { &way };
        let of_field = self.kind.is_of_field().then(|| spec.last_type()).transpose()?.flatten();
        Ok(Subject {
            root_kind: root.as_ref().map_or("void", |root| kind_word(&root.kind)),
            root: text(essential(name)),
            flavor: flavor(name).map(text),
            path: (!path.is_empty()).then(|| text(path)),
            type_text: of_field.map(|id| declared(btf, id)),
            value: match self.kind.is_of_enumerator() {
                true => Some(value(RelocationKind::EnumvalValue, &spec, None, false)?.original as i64),
                false => None,
            },
        })
    }
}

/// How a relocation ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    /// The instruction gets a number; if something only is asked for, 0 says that it is not there.
    Resolved,
    /// The kernel does not have it: the instruction must not be reached.
    Missing,
    /// The kernel has it, in a size that the instruction cannot be made to access: it must not be reached.
    Unsuitable,
    /// Several types of the kernel may be meant, and differ: libbpf refuses the object.
    Ambiguous,
    /// It makes no sense, here or at all: libbpf refuses the object.
    Refused,
}

impl Status {
    pub fn as_str(self) -> &'static str {
        match self {
            Status::Resolved => "resolved",
            Status::Missing => "missing",
            Status::Unsuitable => "unsuitable",
            Status::Ambiguous => "ambiguous",
            Status::Refused => "refused",
        }
    }
}

/// What becomes of a relocation on a kernel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    pub status: Status,
    /// What the instruction is to hold, in the kernel's types; `None` if there is nothing.
    pub value: Option<u64>,
    /// The same in the object's own types.
    pub original: Option<u64>,
    /// The instruction as it is loaded; `None` if the object is refused.
    pub patched: Option<Patched>,
    /// Image and name of the type that was found: `vmlinux`, `task_struct`.
    pub found: Option<(String, String)>,
    /// Why it is not resolved, or why the answer is no.
    pub reason: Option<String>,
}

impl Outcome {
    fn refused(reason: impl Into<String>) -> Outcome {
        Outcome {
            status: Status::Refused,
            value: None,
            original: None,
            patched: None,
            found: None,
            reason: Some(reason.into()),
        }
    }
}

/// What becomes of an object's relocations on a kernel, each at its place in the list. `btf` is the object's.
pub fn resolve(btf: &Btf<'_>, relocations: &[Relocation<'_>], target: &Target<'_>) -> Vec<Outcome> {
    if btf.is_big_endian() != target.is_big_endian() {
        let order = |big| if big { "big-endian" } else { "little-endian" };
        let (own, other) = (order(btf.is_big_endian()), order(target.is_big_endian()));
        let reason = format!("the object is {own}, the kernel {other}");
        return relocations.iter().map(|_| Outcome::refused(reason.as_str())).collect();
    }
    let mut resolver = Resolver { btf, target, candidates: FxHashMap::default() };
    let one = |relocation| match resolver.resolve(relocation) {
        Ok(outcome) => outcome,
        Err(error) => Outcome::refused(error.to_string()),
    };
    relocations.iter().map(one).collect()
}

struct Resolver<'l, 't, 'a> {
    btf: &'l Btf<'l>,
    target: &'t Target<'a>,
    /// By root type. Those that did not fit one relocation are not asked again, as libbpf has it.
    candidates: FxHashMap<u32, Vec<Candidate<'t>>>,
}

/// A type of the kernel that has what is accessed.
struct Fit<'t> {
    spec: Spec<'t>,
    candidate: Candidate<'t>,
    value: Value,
}

impl<'t> Resolver<'_, 't, '_> {
    fn resolve(&mut self, relocation: &Relocation<'_>) -> Result<Outcome> {
        let (kind, id) = (relocation.kind, relocation.type_id);
        let root = types::get(self.btf, id)?;
        let spec = |name: &str| {
            let spec = Spec::parse(self.btf, POINTER_SIZE, id, relocation.access, kind);
            spec.at(format!("{} of {name}", kind.name()))
        };
        if kind == RelocationKind::TypeIdLocal {
            let spec = spec("a local type")?;
            return Ok(self.outcome(relocation, value(kind, &spec, Some(&spec), false)?));
        }
        let Some(root) = root.filter(|root| !root.name.is_empty()) else {
            let reason = format!("type {id} of the object has no name");
            return Err(Error::unsupported("relocation", reason));
        };
        let local = spec(&text(root.name))?;
        let candidates = match self.candidates.get(&id) {
            Some(candidates) => candidates.clone(),
            None => self.target.candidates(&root),
        };
        let mut fits: Vec<Fit<'t>> = Vec::new();
        let mut mismatches = Vec::new();
        for &candidate in &candidates {
            let pointer_size = self.target.pointer_size();
            let spec = match local.find(kind, candidate.btf, pointer_size, candidate.id)? {
                Ok(spec) => spec,
                Err(mismatch) => {
                    mismatches.push((candidate, mismatch));
                    continue;
                }
            };
            let value = value(kind, &local, Some(&spec), self.target.is_big_endian())?;
            let fit = Fit { spec, candidate, value };
            if let Some(reason) = fits.first().and_then(|first| first.contradicts(&fit, kind)) {
                return Ok(Outcome { status: Status::Ambiguous, ..Outcome::refused(reason) });
            }
            fits.push(fit);
        }
        let kept = if fits.is_empty() { candidates } else { fits.iter().map(|fit| fit.candidate).collect() };
        self.candidates.insert(id, kept);
        if let Some(first) = fits.first() {
            let mut outcome = self.outcome(relocation, first.value);
            outcome.found = Some((first.candidate.image().to_owned(), text(first.candidate.name())));
            return Ok(outcome);
        }
        let value = value(kind, &local, None, self.target.is_big_endian())?;
        let mut outcome = self.outcome(relocation, value);
        outcome.reason.get_or_insert_with(|| self.absence(&root, &mismatches));
        Ok(outcome)
    }

    fn outcome(&self, relocation: &Relocation<'_>, value: Value) -> Outcome {
        let (patched, problem) = patch::patch(relocation.code, self.btf.is_big_endian(), &value);
        let (status, reason) = match problem {
            Some(patch::Problem::Refused(reason)) => (Status::Refused, Some(reason)),
            Some(patch::Problem::Unsuitable(reason)) => (Status::Unsuitable, Some(reason)),
            None if value.new.is_none() => (Status::Missing, None),
            None => (Status::Resolved, None),
        };
        Outcome { status, value: value.new, original: Some(value.original), patched, found: None, reason }
    }

    /// Why no type of the kernel is meant.
    fn absence(&self, root: &Type<'_>, mismatches: &[(Candidate<'_>, Mismatch)]) -> String {
        let name = match kind_word(&root.kind) {
            "base type" | "type" => text(essential(root.name)),
            word => format!("{word} {}", text(essential(root.name))),
        };
        let place = |candidate: &Candidate<'_>| match candidate.module {
            None => "the kernel's BTF".to_owned(),
            Some(module) => format!("the BTF of module {module}"),
        };
        // a type that has something of that name tells more than one that has not
        let different = mismatches.iter().find(|(_, mismatch)| matches!(mismatch, Mismatch::Different(_)));
        let reason = match different.or(mismatches.first()) {
            Some((candidate, Mismatch::Different(what))) => format!("{name} in {}: {what}", place(candidate)),
            Some((candidate, Mismatch::Absent(what))) => {
                format!("no {name} in {} has {what}", place(candidate))
            }
            None => format!("no {name} in the kernel's BTF"),
        };
        match self.target.unreadable() {
            unreadable if unreadable.is_empty() => reason,
            unreadable => format!("{reason}; not all of it can be read: {}", unreadable.join("; ")),
        }
    }
}

impl Fit<'_> {
    /// Why both cannot be meant.
    fn contradicts(&self, other: &Fit<'_>, kind: RelocationKind) -> Option<String> {
        let (one, two) = (self.candidate.described(), other.candidate.described());
        let places = match kind.is_of_field() {
            true => Some((self.spec.bit_offset, other.spec.bit_offset)).filter(|(a, b)| a != b),
            false => None,
        };
        if let Some((a, b)) = places {
            return Some(format!("{one} has it at bit {a}, {two} at bit {b}"));
        }
        let number = |value: Option<u64>| value.map_or("nothing".to_owned(), |value| value.to_string());
        let (a, b) = (self.value.new, other.value.new);
        (a != b).then(|| format!("it is {} by {one}, {} by {two}", number(a), number(b)))
    }
}

impl<'t> Candidate<'t> {
    fn image(&self) -> &'t str {
        self.module.unwrap_or("vmlinux")
    }

    fn name(&self) -> &'t [u8] {
        self.btf.name(self.id).unwrap_or_default()
    }

    /// `struct foo (type 12 of vmlinux)`.
    fn described(&self) -> String {
        let word = self.btf.get(self.id).map_or("type", |found: Type<'_>| match found.kind {
            Kind::Int { .. } => "type",
            kind => kind_word(&kind),
        });
        format!("{word} {} (type {} of {})", text(self.name()), self.id, self.image())
    }
}
