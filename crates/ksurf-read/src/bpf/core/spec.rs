//! What a relocation accesses: a way from a type through members and elements, an enumerator, or the type itself;
//! first in the object's types, then the same in a type of the kernel.

use super::compatible::Pair;
use super::types::{byte_size, essential, get, strip, Steps};
use super::RelocationKind;
use crate::btf::{Btf, Kind, Type};
use crate::ctype;
use crate::elf::text;
use crate::error::{Error, Result};

/// Numbers of an access string, and members that one step may go through (libbpf: `BPF_CORE_SPEC_MAX_LEN`).
const LENGTH_LIMIT: usize = 64;

/// A step that means something in C: a named member, or an element (the first one: of what a pointer points to).
/// Members without a name are gone through, and no step.
#[derive(Debug, Clone, Copy)]
pub(super) struct Step<'b> {
    /// Of a member, the struct that has it; of an element, the element's own type; of an enumerator, the enum.
    pub type_id: u32,
    /// The number of the member, element or enumerator.
    pub index: u32,
    /// `None` for an element.
    pub name: Option<&'b [u8]>,
}

/// An access in one BTF.
#[derive(Debug, Clone)]
pub(super) struct Spec<'b> {
    pub btf: &'b Btf<'b>,
    pub pointer_size: u32,
    pub root: u32,
    pub steps: Vec<Step<'b>>,
    /// From the start of the root, bits.
    pub bit_offset: u32,
    /// Members and elements gone through, the nameless ones too.
    length: usize,
}

/// Why a type of the kernel does not have what is accessed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Mismatch {
    /// Nothing of that name; the text is the way to it: `se.vruntime`.
    Absent(String),
    /// What is different there, as a sentence: `comm has 8 elements, no number 12`.
    Different(String),
}

fn no_access(reason: impl Into<String>) -> Error {
    Error::corrupt("access", 0, reason.into())
}

impl<'b> Spec<'b> {
    /// Takes an access string apart. Source: `bpf_core_parse_spec` of libbpf.
    pub fn parse(
        btf: &'b Btf<'b>,
        pointer_size: u32,
        type_id: u32,
        access: &[u8],
        kind: RelocationKind,
    ) -> Result<Spec<'b>> {
        let mut spec = Spec { btf, pointer_size, root: type_id, steps: Vec::new(), bit_offset: 0, length: 0 };
        if kind.is_of_type() {
            return match access {
                b"0" => Ok(spec),
                _ => Err(no_access(format!("of a type, but {:?}", text(access)))),
            };
        }
        let numbers = numbers(access)?;
        let (id, found) = strip(btf, type_id)?;
        let first = numbers[0];
        if kind.is_of_enumerator() {
            let Some(Type { kind: Kind::Enum { values, .. }, .. }) = found else {
                return Err(no_access(format!("of an enumerator, but type {type_id} is no enum")));
            };
            let value = values.iter().nth(first as usize).filter(|_| numbers.len() == 1);
            let name = value.ok_or_else(|| no_access(format!("no enumerator {}", text(access))))??.name;
            spec.steps.push(Step { type_id: id, index: first, name: Some(name) });
            spec.length = 1;
            return Ok(spec);
        }
        if !kind.is_of_field() {
            return Err(Error::unsupported("relocation", kind.number()));
        }
        spec.steps.push(Step { type_id: id, index: first, name: None });
        spec.advance(first, byte_size(btf, id, pointer_size)?);
        let mut id = id;
        for &index in &numbers[1..] {
            let (at, found) = strip(btf, id)?;
            match found.map(|found| found.kind) {
                Some(Kind::Struct { members, .. } | Kind::Union { members, .. }) => {
                    let member = members.iter().nth(index as usize);
                    let member =
                        member.ok_or_else(|| no_access(format!("type {at} has no member {index}")))??;
                    spec.bit_offset = spec.bit_offset.wrapping_add(member.bit_offset);
                    if !member.name.is_empty() {
                        spec.steps.push(Step { type_id: at, index, name: Some(member.name) });
                    }
                    id = member.type_id;
                }
                Some(Kind::Array { element, count, .. }) => {
                    let element = strip(btf, element)?.0;
                    if index >= count && !spec.is_open(count)? {
                        return Err(no_access(format!("array {at} has no element {index}")));
                    }
                    spec.steps.push(Step { type_id: element, index, name: None });
                    spec.advance(index, byte_size(btf, element, pointer_size)?);
                    id = element;
                }
                _ => return Err(no_access(format!("type {at} has no parts"))),
            }
        }
        spec.length = numbers.len();
        Ok(spec)
    }

    /// Goes over elements of a size in bytes.
    fn advance(&mut self, elements: u32, size: u32) {
        self.bit_offset = self.bit_offset.wrapping_add(elements.wrapping_mul(size).wrapping_mul(8));
    }

    /// Whether the array that the last step leads to ends its struct and has no length.
    fn is_open(&self, count: u32) -> Result<bool> {
        let Some(&Step { type_id, index, name: Some(_) }) = self.steps.last() else { return Ok(false) };
        let members = match get(self.btf, type_id)?.map(|found| found.kind) {
            Some(Kind::Struct { members, .. } | Kind::Union { members, .. }) => members.len(),
            _ => 0,
        };
        Ok(count == 0 && index as usize + 1 == members)
    }

    /// Finds the same access in a type of the kernel. Source: `bpf_core_spec_match` of libbpf.
    pub fn find<'t>(
        &self,
        kind: RelocationKind,
        btf: &'t Btf<'t>,
        pointer_size: u32,
        type_id: u32,
    ) -> Result<std::result::Result<Spec<'t>, Mismatch>> {
        let mut steps = Steps::new();
        let pair = Pair { local: self.btf, target: btf };
        let mut found =
            Spec { btf, pointer_size, root: type_id, steps: Vec::new(), bit_offset: 0, length: 0 };
        if kind.is_of_type() {
            let is_same = match kind {
                RelocationKind::TypeMatches => pair.matches(self.root, type_id, &mut steps)?,
                _ => pair.types(self.root, type_id, &mut steps)?,
            };
            let other = || match kind {
                RelocationKind::TypeMatches => "it does not have all that the object's has, as it is there",
                _ => "it is another kind of type",
            };
            return Ok(if is_same { Ok(found) } else { Err(Mismatch::Different(other().into())) });
        }
        if kind.is_of_enumerator() {
            let (id, target) = strip(btf, type_id)?;
            let wanted = self.steps.first().and_then(|step| step.name).unwrap_or_default();
            let Some(Type { kind: Kind::Enum { values, .. }, .. }) = target else {
                return Ok(Err(Mismatch::Different("it is no enum".into())));
            };
            for (index, value) in values.iter().enumerate() {
                let name = value?.name;
                if essential(name) == essential(wanted) {
                    found.steps.push(Step { type_id: id, index: index as u32, name: Some(name) });
                    return Ok(Ok(found));
                }
            }
            return Ok(Err(Mismatch::Absent(text(essential(wanted)))));
        }
        let mut id = type_id;
        for (number, step) in self.steps.iter().enumerate() {
            let different = |what: String| Ok(Err(Mismatch::Different(what)));
            let way = |end| text(&self.way(&self.steps[..end]));
            let (at, target) = strip(btf, id)?;
            id = at;
            if let Some(name) = step.name {
                let wanted = Wanted { pair, name, type_id: self.member_type(step)?, other: None };
                let mut search = Search { spec: &mut found, wanted, steps: &mut steps };
                match search.member(id)? {
                    Some(member) => id = member,
                    None => {
                        let Wanted { type_id, other, .. } = search.wanted;
                        let way = way(number + 1);
                        return Ok(Err(match other {
                            None => Mismatch::Absent(way),
                            Some(other) => {
                                let (own, other) = (declared(self.btf, type_id), declared(btf, other));
                                Mismatch::Different(format!(
                                    "{way} is {other} there, which cannot be taken for {own}"
                                ))
                            }
                        }));
                    }
                }
                continue;
            }
            if number > 0 {
                let Some(Type { kind: Kind::Array { element, count, .. }, .. }) = target else {
                    return different(format!("{} is no array there", way(number)));
                };
                if step.index >= count && !found.is_open(count)? {
                    return different(format!(
                        "{} has {count} elements there, none of number {}",
                        way(number),
                        step.index
                    ));
                }
                id = strip(btf, element)?.0;
            }
            found.lengthen()?;
            found.steps.push(Step { type_id: id, index: step.index, name: None });
            found.advance(step.index, byte_size(btf, id, pointer_size)?);
        }
        Ok(Ok(found))
    }

    fn lengthen(&mut self) -> Result<()> {
        if self.length == LENGTH_LIMIT {
            return Err(Error::unsupported("access", format!("through more than {LENGTH_LIMIT} members")));
        }
        self.length += 1;
        Ok(())
    }

    fn member_type(&self, step: &Step<'_>) -> Result<u32> {
        match get(self.btf, step.type_id)?.map(|found| found.kind) {
            Some(Kind::Struct { members, .. } | Kind::Union { members, .. }) => {
                let member = members.iter().nth(step.index as usize);
                Ok(member.ok_or_else(|| no_access(format!("no member {}", step.index)))??.type_id)
            }
            _ => Err(no_access(format!("type {} has no members", step.type_id))),
        }
    }

    /// The type of what the last step leads to; `None` if that is the root itself.
    pub fn last_type(&self) -> Result<Option<u32>> {
        match self.steps.last() {
            Some(step) if step.name.is_some() => self.member_type(step).map(Some),
            Some(step) => Ok(Some(step.type_id)),
            None => Ok(None),
        }
    }

    /// Steps as C writes them after the root: `se.vruntime`, `[2].comm[0]`.
    pub fn way(&self, steps: &[Step<'_>]) -> Vec<u8> {
        let mut out = Vec::new();
        for (number, step) in steps.iter().enumerate() {
            match step.name {
                Some(name) => {
                    if !out.is_empty() {
                        out.push(b'.');
                    }
                    out.extend_from_slice(name);
                }
                None if number == 0 && step.index == 0 => {}
                None => out.extend(format!("[{}]", step.index).bytes()),
            }
        }
        out
    }
}

/// A type as C writes it.
pub(super) fn declared(btf: &Btf<'_>, type_id: u32) -> String {
    let mut out = String::new();
    match ctype::declare(btf, Some(type_id.into()), None, &mut out) {
        Ok(()) => out,
        Err(_) => "a type that cannot be read".into(),
    }
}

/// `0:1:2`, at least one number.
fn numbers(access: &[u8]) -> Result<Vec<u32>> {
    let malformed = || no_access(format!("{:?} is none", text(access)));
    let mut out = Vec::new();
    for part in access.split(|&byte| byte == b':') {
        if out.len() == LENGTH_LIMIT {
            return Err(Error::unsupported("access", format!("of more than {LENGTH_LIMIT} steps")));
        }
        let number = std::str::from_utf8(part).ok().and_then(|part| part.parse::<i32>().ok());
        out.push(number.and_then(|number| u32::try_from(number).ok()).ok_or_else(malformed)?);
    }
    Ok(out)
}

/// The member that is looked for.
struct Wanted<'l, 't> {
    pair: Pair<'l, 't>,
    name: &'l [u8],
    /// Its type in the object.
    type_id: u32,
    /// The type of a member of that name which is not compatible.
    other: Option<u32>,
}

struct Search<'s, 'l, 't> {
    spec: &'s mut Spec<'t>,
    wanted: Wanted<'l, 't>,
    steps: &'s mut Steps,
}

impl Search<'_, '_, '_> {
    /// Finds the member in a type or in those members of it that have no name, and gives its type.
    fn member(&mut self, type_id: u32) -> Result<Option<u32>> {
        let (id, found) = strip(self.spec.btf, type_id)?;
        let Some(Kind::Struct { members, .. } | Kind::Union { members, .. }) = found.map(|found| found.kind)
        else {
            return Ok(None);
        };
        for (index, member) in members.iter().enumerate() {
            let member = member?;
            self.steps.take()?;
            self.spec.lengthen()?;
            self.spec.bit_offset = self.spec.bit_offset.wrapping_add(member.bit_offset);
            if member.name.is_empty() {
                if let Some(found) = self.member(member.type_id)? {
                    return Ok(Some(found));
                }
            } else if member.name == self.wanted.name {
                if !self.wanted.pair.fields(self.wanted.type_id, member.type_id)? {
                    self.wanted.other = Some(member.type_id);
                    return Ok(None);
                }
                self.spec.steps.push(Step { type_id: id, index: index as u32, name: Some(member.name) });
                return Ok(Some(member.type_id));
            }
            self.spec.bit_offset = self.spec.bit_offset.wrapping_sub(member.bit_offset);
            self.spec.length -= 1;
        }
        Ok(None)
    }
}
