//! Definitions from BTF, the truth for programs that relocate against it.

mod layout;
#[cfg(test)]
mod tests;

use super::definition::{Definition, Kind, Member, TypeRow, Types, UseRow};
use crate::btf::{
    self, Btf, List, Type, BTF_KIND_DECL_TAG, BTF_KIND_ENUM, BTF_KIND_ENUM64, BTF_KIND_FUNC, BTF_KIND_STRUCT,
    BTF_KIND_TYPEDEF, BTF_KIND_UNION, BTF_KIND_VAR,
};
use crate::ctype;
use crate::error::{Error, Result};
use rustc_hash::{FxHashMap, FxHashSet};

/// Anonymous structs inside one another; more is a cycle.
const DEPTH_LIMIT: u8 = 32;
/// Rows of one definition, its anonymous members' among them.
const MEMBER_LIMIT: usize = 1 << 16;
/// Steps from a type to the one that it is made of; more is a cycle.
const CHAIN_LIMIT: usize = 64;
/// Types looked at to see whom one mentions: function pointers branch.
const MENTION_LIMIT: usize = 1000;
/// Bytes of text for each byte of BTF, whose names and types are written out where they are used. Kernels have 2.
const TEXT_FACTOR: usize = 32;

/// What can be a definition, beside functions.
const DEFINED: [u8; 6] =
    [BTF_KIND_STRUCT, BTF_KIND_UNION, BTF_KIND_ENUM, BTF_KIND_ENUM64, BTF_KIND_TYPEDEF, BTF_KIND_VAR];

/// The types and functions of a BTF of its own, without those of its base: what has a name and is defined, not
/// only declared. What cannot be decoded is missing; [`Types::incomplete`] says why.
pub fn read(btf: &Btf<'_>) -> Result<Types> {
    let whole = Whole::new(btf);
    let Part { mut out, ambiguous, uses, skipped, reason } = Reader::new(&whole).read();
    for (user, mentioned) in uses {
        match ambiguous.get(&mentioned) {
            Some(&definition) if definition != user => out.uses.push(UseRow { definition, user }),
            _ => {}
        }
    }
    let unknown = btf.incomplete().map(|error| format!("{error}, and what follows is missing"));
    out.incomplete = unknown.or(reason).map(|reason| match skipped {
        0 => reason,
        count => format!("{reason} ({count} types are missing)"),
    });
    Ok(out)
}

/// What is known before the reading.
struct Whole<'b> {
    btf: &'b Btf<'b>,
    pointer_size: Option<u64>,
    /// Declaration tags, sorted.
    tags: Vec<Tag<'b>>,
    /// Own types whose name others of their kind have too, here or in the base.
    ambiguous: FxHashSet<u32>,
}

impl<'b> Whole<'b> {
    fn new(btf: &'b Btf<'b>) -> Whole<'b> {
        let is_ambiguous = |&id: &u32| {
            let Ok(found) = btf.get(id) else { return false };
            let Some(kind) = mentionable(&found) else { return false };
            let others = |btf: &Btf<'_>| {
                btf.named(found.name).any(|(other, found)| other != id && mentionable(&found) == Some(kind))
            };
            others(btf) || btf.base().is_some_and(others)
        };
        let mut tags: Vec<Tag<'b>> = btf
            .ids_of(|kind| kind == BTF_KIND_DECL_TAG)
            .filter_map(|id| match btf.get(id) {
                Ok(Type { name, kind: btf::Kind::DeclTag { of, component, .. } }) => {
                    Some((of, component, name))
                }
                _ => None,
            })
            .collect();
        tags.sort_unstable();
        tags.dedup();
        let ambiguous = btf.of_shared_names().into_iter().filter(is_ambiguous).collect();
        Whole { btf, pointer_size: btf.pointer_size(), tags, ambiguous }
    }

    fn tags_of(&self, id: u32) -> &[Tag<'b>] {
        let start = self.tags.partition_point(|&(of, ..)| of < id);
        let count = self.tags[start..].partition_point(|&(of, ..)| of == id);
        &self.tags[start..start + count]
    }
}

/// What a member, a parameter or another definition needs to know of a type it has.
#[derive(Debug, Clone, Copy, Default)]
struct Facts {
    /// Number of its C text; `None` where it cannot be written.
    text: Option<u32>,
    byte_size: Option<u64>,
    /// Number of the text of its type tags.
    tags: Option<u32>,
    /// The anonymous struct, union or enum that it is, or is an array of.
    anonymous: Option<u32>,
    /// Bit offset and width of an integer narrower than its storage: what bit fields were before Linux 5.0.
    bits: Option<(u8, u8)>,
    /// Whom it mentions: number in [`Reader::mentions`].
    mentions: Option<u32>,
}

/// A declaration tag: of a type, on the whole or a component.
type Tag<'b> = (u32, Option<u32>, &'b [u8]);

struct Reader<'w, 'b> {
    whole: &'w Whole<'b>,
    btf: &'b Btf<'b>,
    /// By type id: one more than its number in `facts`, 0 where it is not known yet.
    known: Vec<u32>,
    facts: Vec<Facts>,
    /// Numbers of names by the place of the name in the BTF, which has each only once.
    names: FxHashMap<*const u8, u32>,
    /// The definitions of ambiguous types.
    ambiguous: FxHashMap<u32, u32>,
    mentions: Vec<Vec<u32>>,
    /// The mentions of what is being read.
    mentioned: Vec<u32>,
    text: String,
    /// The members of what is being read.
    rows: Vec<Member>,
    /// How many rows, and bytes of text, there may still be.
    rows_left: usize,
    text_left: usize,
    out: Types,
    uses: Vec<(u32, u32)>,
    skipped: usize,
    reason: Option<String>,
}

/// What the reading found.
struct Part {
    out: Types,
    /// The definitions of ambiguous types.
    ambiguous: FxHashMap<u32, u32>,
    /// A definition, and an ambiguous type that it mentions.
    uses: Vec<(u32, u32)>,
    /// How many definitions cannot be read, and why not all of them are there.
    skipped: usize,
    reason: Option<String>,
}

impl<'w, 'b> Reader<'w, 'b> {
    fn new(whole: &'w Whole<'b>) -> Reader<'w, 'b> {
        let btf = whole.btf;
        Reader {
            whole,
            btf,
            known: vec![0; btf.end_id() as usize],
            facts: Vec::new(),
            names: FxHashMap::default(),
            ambiguous: FxHashMap::default(),
            mentions: Vec::new(),
            mentioned: Vec::new(),
            text: String::new(),
            rows: Vec::new(),
            // a row has at least eight bytes of its own
            rows_left: MEMBER_LIMIT + btf.byte_len(),
            text_left: (1 << 20) + btf.byte_len().saturating_mul(TEXT_FACTOR),
            out: Types::default(),
            uses: Vec::new(),
            skipped: 0,
            reason: None,
        }
    }

    /// Reads all types, functions last.
    fn read(mut self) -> Part {
        let functions = self.btf.ids_of(|kind| kind == BTF_KIND_FUNC);
        let others = self.btf.ids_of(|kind| DEFINED.contains(&kind));
        let ids: Vec<u32> = others.chain(functions).collect();
        let own = ids.len();
        self.names.reserve(own);
        self.out.rows.reserve(own);
        // kernels have two texts and three members for each, and write as much again as there are names
        self.out.definitions.reserve(own, 3 * own);
        self.out.definitions.texts.reserve(2 * own, 2 * self.btf.string_len());
        for id in ids {
            let outcome = self.btf.get(id).and_then(|found| self.definition(id, &found));
            match outcome {
                Ok(()) => {}
                Err(error) if self.is_spent() => {
                    self.reason = Some(format!("{error}, and what follows type {id} is missing"));
                    break;
                }
                Err(error) => {
                    self.skipped += 1;
                    self.reason.get_or_insert_with(|| error.to_string());
                }
            }
        }
        let Reader { out, ambiguous, uses, skipped, reason, .. } = self;
        Part { out, ambiguous, uses, skipped, reason }
    }

    /// Whether nothing more can be read, because what there is has become too much.
    fn is_spent(&self) -> bool {
        self.rows_left == 0 || self.text_left == 0
    }

    /// Adds the definition that a type is, if it is one.
    fn definition(&mut self, id: u32, found: &Type<'b>) -> Result<()> {
        if found.name.is_empty() {
            return Ok(());
        }
        self.mentioned.clear();
        let mut members = std::mem::take(&mut self.rows);
        members.clear();
        let outcome = self.definition_of(id, found, &mut members);
        self.rows = members;
        outcome
    }

    fn definition_of(&mut self, id: u32, found: &Type<'b>, members: &mut Vec<Member>) -> Result<()> {
        let (mut byte_size, mut signed, mut type_text) = (None, None, None);
        let kind = match found.kind {
            btf::Kind::Struct { .. } => Kind::Struct,
            btf::Kind::Union { .. } => Kind::Union,
            // as C's `enum name;`, which has no kind of its own
            btf::Kind::Enum { values, .. } if values.is_empty() => return Ok(()),
            btf::Kind::Enum { .. } => Kind::Enum,
            btf::Kind::Typedef { .. } => Kind::Typedef,
            btf::Kind::Func { .. } => Kind::Func,
            btf::Kind::Var { .. } => Kind::Var,
            _ => return Ok(()),
        };
        let content = match found.kind {
            btf::Kind::Typedef { of } => {
                let facts = self.facts(of)?;
                type_text = facts.text;
                facts.anonymous
            }
            btf::Kind::Var { of, .. } => {
                type_text = self.facts(of)?.text;
                None
            }
            btf::Kind::Func { prototype, .. } => {
                type_text = self.function(id, prototype, members)?;
                None
            }
            _ => Some(id),
        };
        if let Some(content) = content {
            match self.btf.get(content)?.kind {
                btf::Kind::Struct { byte_size: size, members: list }
                | btf::Kind::Union { byte_size: size, members: list } => {
                    byte_size = Some(size.into());
                    self.members(content, list, 0, 0, members)?;
                }
                btf::Kind::Enum { byte_size: size, signed: with_sign, values } => {
                    (byte_size, signed) = (Some(size.into()), Some(with_sign));
                    for value in values.iter() {
                        self.row(members)?;
                        let value = value?;
                        let (name, value) = (self.name(value.name)?, Some(value.value as i64));
                        members.push(Member { name, value, ..Member::default() });
                    }
                }
                _ => {}
            }
        }
        let tags = self.tagged(id, None, None)?;
        let Some(name) = self.name(found.name)? else { return Ok(()) };
        let definition = Definition { kind, name, byte_size, signed, type_text, tags };
        let number = self.out.definitions.add(definition, members);
        self.out.rows.push(TypeRow { definition: number, btf: true });
        if self.whole.ambiguous.contains(&id) {
            self.ambiguous.insert(id, number);
        }
        self.mentioned.sort_unstable();
        self.mentioned.dedup();
        self.uses.extend(self.mentioned.iter().map(|&mentioned| (number, mentioned)));
        Ok(())
    }

    /// The members of a struct or union and, after each that is or has an anonymous one, those of that.
    fn members(
        &mut self,
        id: u32,
        list: List<'b, btf::Member<'b>>,
        depth: u8,
        start: u64,
        out: &mut Vec<Member>,
    ) -> Result<()> {
        let tagged = !self.whole.tags_of(id).is_empty();
        for (number, member) in list.iter().enumerate() {
            self.row(out)?;
            let member = member?;
            let facts = self.facts(member.type_id)?;
            let mut bit_offset = start + u64::from(member.bit_offset);
            let mut bit_size = member.bits.map(u32::from);
            if let (None, Some((offset, bits))) = (bit_size, facts.bits) {
                bit_offset += u64::from(offset);
                bit_size = Some(bits.into());
            }
            out.push(Member {
                depth,
                name: self.name(member.name)?,
                type_text: facts.text,
                bit_offset: Some(bit_offset),
                byte_size: facts.byte_size,
                bit_size,
                value: None,
                tags: if tagged { self.tagged(id, Some(number as u32), facts.tags)? } else { facts.tags },
            });
            let Some(inner) = facts.anonymous else { continue };
            if let btf::Kind::Struct { members, .. } | btf::Kind::Union { members, .. } =
                self.btf.get(inner)?.kind
            {
                if depth == DEPTH_LIMIT {
                    return Err(Error::corrupt("BTF type", id.into(), "its anonymous members have no end"));
                }
                self.members(inner, members, depth + 1, bit_offset, out)?;
            }
        }
        Ok(())
    }

    /// The parameters of a function, and the text of what it returns.
    fn function(&mut self, id: u32, prototype: u32, out: &mut Vec<Member>) -> Result<Option<u32>> {
        let btf::Kind::FuncProto { ret, params } = self.btf.get(prototype)?.kind else {
            return Err(Error::corrupt("BTF type", id.into(), "a function without a prototype"));
        };
        let returned = self.facts(ret)?.text;
        let tagged = !self.whole.tags_of(id).is_empty();
        let last = params.len().saturating_sub(1);
        for (number, param) in params.iter().enumerate() {
            self.row(out)?;
            let param = param?;
            if number == last && param.name.is_empty() && param.type_id == 0 {
                let type_text = Some(self.out.definitions.texts.add("..."));
                out.push(Member { type_text, ..Member::default() });
                break;
            }
            let facts = self.facts(param.type_id)?;
            out.push(Member {
                name: self.name(param.name)?,
                type_text: facts.text,
                tags: if tagged { self.tagged(id, Some(number as u32), facts.tags)? } else { facts.tags },
                ..Member::default()
            });
        }
        Ok(returned)
    }

    /// Counts a row that is about to be added.
    fn row(&mut self, out: &[Member]) -> Result<()> {
        self.rows_left = self.rows_left.saturating_sub(1);
        if out.len() >= MEMBER_LIMIT || self.rows_left == 0 {
            let size = out.len() as u64 + 1;
            return Err(Error::too_large("members of a BTF type, as rows,", size, MEMBER_LIMIT as u64));
        }
        Ok(())
    }

    /// What is known of a type, whose mentions count for what is being read.
    fn facts(&mut self, id: u32) -> Result<Facts> {
        let number = match self.known.get(id as usize) {
            Some(0) => {
                self.facts.push(Facts::default());
                let number = self.facts.len() as u32;
                self.known[id as usize] = number;
                self.facts[number as usize - 1] = self.look_at(id)?;
                number
            }
            Some(&number) => number,
            None => return Err(Error::corrupt("BTF", 0, format!("type {id} does not exist"))),
        };
        let facts = self.facts[number as usize - 1];
        if facts.text.is_none() {
            return Err(Error::corrupt("BTF type", id.into(), "it cannot be written as C"));
        }
        if let Some(mentions) = facts.mentions {
            self.mentioned.extend_from_slice(&self.mentions[mentions as usize]);
        }
        Ok(facts)
    }

    fn look_at(&mut self, id: u32) -> Result<Facts> {
        let mut text = std::mem::take(&mut self.text);
        text.clear();
        let written = ctype::declare(self.btf, Some(id.into()), None, &mut text);
        let number = self.add_text(&text);
        self.text = text;
        written?;
        let mut facts = Facts {
            text: Some(number?),
            byte_size: self.btf.byte_size(id, self.whole.pointer_size),
            ..Facts::default()
        };
        let mut tags: Vec<&[u8]> = Vec::new();
        let mut points = false;
        let mut next = id;
        for _ in 0..CHAIN_LIMIT {
            if next == 0 {
                break;
            }
            let Type { name, kind } = self.btf.get(next)?;
            next = match kind {
                btf::Kind::Ptr { to } => {
                    points = true;
                    to
                }
                btf::Kind::Array { element, .. } => element,
                btf::Kind::Const { of } | btf::Kind::Volatile { of } | btf::Kind::Restrict { of } => of,
                btf::Kind::TypeTag { of, .. } => {
                    tags.push(name);
                    of
                }
                btf::Kind::Struct { .. } | btf::Kind::Union { .. } | btf::Kind::Enum { .. } => {
                    facts.anonymous = (name.is_empty() && !points).then_some(next);
                    break;
                }
                btf::Kind::Int { byte_size, bits, bit_offset, .. } => {
                    let narrow = next == id && u32::from(bits) < byte_size.saturating_mul(8);
                    facts.bits = narrow.then_some((bit_offset, bits));
                    break;
                }
                _ => break,
            };
        }
        facts.tags = self.joined(tags)?;
        if !self.whole.ambiguous.is_empty() {
            let mentions = self.mentioned_by(id);
            if !mentions.is_empty() {
                facts.mentions = Some(self.mentions.len() as u32);
                self.mentions.push(mentions);
            }
        }
        Ok(facts)
    }

    /// The ambiguous types that a type names, in pointers, arrays and functions too.
    fn mentioned_by(&self, id: u32) -> Vec<u32> {
        let mut out = Vec::new();
        let mut open = vec![id];
        for _ in 0..MENTION_LIMIT {
            let Some(id) = open.pop() else { break };
            let Ok(Type { kind, .. }) = self.btf.get(id) else { continue };
            match kind {
                btf::Kind::Ptr { to: of }
                | btf::Kind::Array { element: of, .. }
                | btf::Kind::Const { of }
                | btf::Kind::Volatile { of }
                | btf::Kind::Restrict { of }
                | btf::Kind::TypeTag { of, .. } => open.push(of),
                btf::Kind::FuncProto { ret, params } => {
                    open.push(ret);
                    open.extend(params.iter().flatten().map(|param| param.type_id).take(MENTION_LIMIT));
                }
                _ if self.whole.ambiguous.contains(&id) => out.push(id),
                _ => {}
            }
        }
        out
    }

    /// The number of a name, unless it is empty.
    fn name(&mut self, name: &'b [u8]) -> Result<Option<u32>> {
        if name.is_empty() {
            return Ok(None);
        }
        if let Some(&number) = self.names.get(&name.as_ptr()) {
            return Ok(Some(number));
        }
        let number = match std::str::from_utf8(name) {
            Ok(text) => self.add_text(text)?,
            Err(_) => {
                let mut text = String::new();
                ctype::push_name(&mut text, name);
                self.add_text(&text)?
            }
        };
        self.names.insert(name.as_ptr(), number);
        Ok(Some(number))
    }

    fn add_text(&mut self, text: &str) -> Result<u32> {
        self.text_left = self.text_left.saturating_sub(text.len());
        if self.text_left == 0 {
            let limit = self.btf.byte_len().saturating_mul(TEXT_FACTOR) as u64;
            return Err(Error::too_large("BTF written out as text", limit + text.len() as u64, limit));
        }
        Ok(self.out.definitions.texts.add(text))
    }

    /// The number of the text of all tags: those declared on a type or a component of it, and `others`.
    fn tagged(&mut self, id: u32, component: Option<u32>, others: Option<u32>) -> Result<Option<u32>> {
        let tags = self.whole.tags_of(id);
        let own: Vec<&'b [u8]> =
            tags.iter().filter(|(_, of, _)| *of == component).map(|(.., name)| *name).collect();
        if own.is_empty() {
            return Ok(others);
        }
        let others = others.map(|number| self.out.definitions.texts.get(number).to_owned());
        let words = others.iter().flat_map(|text| text.split(' ')).map(str::as_bytes);
        self.joined(own.into_iter().chain(words).collect())
    }

    /// The number of the text that several tags make: sorted, each once.
    fn joined(&mut self, mut tags: Vec<&[u8]>) -> Result<Option<u32>> {
        tags.sort_unstable();
        tags.dedup();
        let mut text = String::new();
        for tag in tags {
            if !text.is_empty() {
                text.push(' ');
            }
            ctype::push_name(&mut text, tag);
        }
        if text.is_empty() {
            return Ok(None);
        }
        self.add_text(&text).map(Some)
    }
}

/// What kind of definition others can mention a type as, if any.
fn mentionable(found: &Type<'_>) -> Option<Kind> {
    match found.kind {
        _ if found.name.is_empty() => None,
        btf::Kind::Struct { .. } => Some(Kind::Struct),
        btf::Kind::Union { .. } => Some(Kind::Union),
        btf::Kind::Enum { values, .. } if !values.is_empty() => Some(Kind::Enum),
        btf::Kind::Typedef { .. } => Some(Kind::Typedef),
        _ => None,
    }
}
