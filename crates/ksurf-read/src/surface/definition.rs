//! Definitions of types, in one form whatever described them, and the key that their content makes.
//!
//! A definition is what a program outside the kernel can tell apart: a name, a size, and members with their
//! types as C text. Types that it refers to count by their names, so that it changes when its own layout or
//! wording does. The same content has the same key on every kernel.

use crate::numbered::Numbered;
use rustc_hash::FxHashMap;
use xxhash_rust::xxh3::xxh3_64;

/// What is defined.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Kind {
    Struct,
    Union,
    Enum,
    Typedef,
    /// A function, by its prototype.
    Func,
    /// A variable that BTF knows.
    Var,
}

impl Kind {
    /// The value of the column.
    pub fn as_str(self) -> &'static str {
        match self {
            Kind::Struct => "struct",
            Kind::Union => "union",
            Kind::Enum => "enum",
            Kind::Typedef => "typedef",
            Kind::Func => "func",
            Kind::Var => "var",
        }
    }
}

/// A member, a parameter or an enumerator. Texts are numbers in [`Definitions::texts`].
///
/// Members of an anonymous struct or union follow it, one level deeper, with offsets from the start of the whole.
/// So do those of a named member whose type is anonymous. The last parameter `...` has the type `...` and no name.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Member {
    pub depth: u8,
    pub name: Option<u32>,
    /// The type as C text without the name: `struct list_head`, `void (*)(int)`, `struct (anon)`.
    pub type_text: Option<u32>,
    /// From the start of the outermost definition; `None` for parameters and enumerators.
    pub bit_offset: Option<u64>,
    /// Size of the member's type in bytes, where it is known; `None` for parameters and enumerators.
    pub byte_size: Option<u64>,
    /// Width of a bit field; `None` for any other member.
    pub bit_size: Option<u32>,
    /// Value of an enumerator, as two's complement.
    pub value: Option<i64>,
    /// BTF tags of the member or its type, in alphabetical order with spaces between: `rcu`, `user`.
    pub tags: Option<u32>,
}

/// A definition. Texts are numbers in [`Definitions::texts`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Definition {
    pub kind: Kind,
    pub name: u32,
    /// Size of a struct, union or enum, or of a typedef's anonymous target.
    pub byte_size: Option<u64>,
    /// Whether an enum's values have a sign.
    pub signed: Option<bool>,
    /// What a typedef stands for, a function returns, a variable is.
    pub type_text: Option<u32>,
    /// BTF declaration tags, in alphabetical order with spaces between: `bpf_kfunc`.
    pub tags: Option<u32>,
    pub members: Vec<Member>,
}

/// Definitions without repetition.
#[derive(Debug, Default)]
pub struct Definitions {
    pub texts: Numbered,
    pub list: Vec<Definition>,
    /// Of each definition.
    pub keys: Vec<u64>,
    by_key: FxHashMap<u64, u32>,
    scratch: Vec<[u8; 8]>,
}

impl Definitions {
    /// Adds a definition, unless it is there, and returns its number in [`Definitions::list`].
    pub fn add(&mut self, definition: Definition) -> u32 {
        let key = self.key(&definition);
        let next = self.list.len() as u32;
        let number = *self.by_key.entry(key).or_insert(next);
        if number == next {
            self.list.push(definition);
            self.keys.push(key);
        }
        number
    }

    /// Makes room for so many more.
    pub fn reserve(&mut self, count: usize) {
        self.list.reserve(count);
        self.keys.reserve(count);
        self.by_key.reserve(count);
    }

    /// The number of the definition that has a key.
    pub fn number(&self, key: u64) -> Option<u32> {
        self.by_key.get(&key).copied()
    }

    /// Takes over all of another's, and returns the numbers that they have here.
    pub fn merge(&mut self, other: Definitions) -> Vec<u32> {
        if self.list.is_empty() && self.texts.strings.is_empty() {
            *self = other;
            return (0..self.list.len() as u32).collect();
        }
        let texts = self.texts.merge(other.texts);
        let moved = |text: &mut Option<u32>| {
            if let Some(number) = text {
                *number = texts[*number as usize];
            }
        };
        let mut numbers = Vec::with_capacity(other.list.len());
        for (mut definition, key) in other.list.into_iter().zip(other.keys) {
            let next = self.list.len() as u32;
            let number = *self.by_key.entry(key).or_insert(next);
            if number == next {
                definition.name = texts[definition.name as usize];
                moved(&mut definition.type_text);
                moved(&mut definition.tags);
                for member in &mut definition.members {
                    moved(&mut member.name);
                    moved(&mut member.type_text);
                    moved(&mut member.tags);
                }
                self.list.push(definition);
                self.keys.push(key);
            }
            numbers.push(number);
        }
        numbers
    }

    /// XXH3 of the content: eight words for the whole and for each member, the first of which says what is there
    /// in the others. Texts are in it as their own hashes.
    fn key(&mut self, definition: &Definition) -> u64 {
        let out = &mut self.scratch;
        out.clear();
        let texts = &self.texts;
        let text = |number: Option<u32>| number.map(|number| texts.hash(number));
        let mut words = |first: u64, others: [Option<u64>; 7]| {
            let there = others.iter().rev().fold(0, |mask, word| mask << 1 | u64::from(word.is_some()));
            out.push((there << 8 | first).to_le_bytes());
            out.extend(others.map(|word| word.unwrap_or(0).to_le_bytes()));
        };
        words(
            definition.kind as u64,
            [
                Some(texts.hash(definition.name)),
                definition.byte_size,
                definition.signed.map(u64::from),
                text(definition.type_text),
                text(definition.tags),
                None,
                None,
            ],
        );
        for member in &definition.members {
            words(
                member.depth.into(),
                [
                    text(member.name),
                    text(member.type_text),
                    member.bit_offset,
                    member.byte_size,
                    member.bit_size.map(u64::from),
                    member.value.map(|value| value as u64),
                    text(member.tags),
                ],
            );
        }
        xxh3_64(out.as_flattened())
    }
}

/// A definition in one image. Several of one name are several rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TypeRow {
    /// Number in [`Definitions::list`].
    pub definition: u32,
    /// Whether BTF, not DWARF, told of it.
    pub btf: bool,
}

/// Who uses one of several definitions of a name: told only of those.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UseRow {
    /// The definition that is used: number in [`Definitions::list`].
    pub definition: u32,
    /// The definition (a struct, a function, ...) that mentions it.
    pub user: u32,
}

/// The types of one image.
#[derive(Debug, Default)]
pub struct Types {
    pub definitions: Definitions,
    pub rows: Vec<TypeRow>,
    pub uses: Vec<UseRow>,
    /// Keys of more definitions, whose content another image of the kernel gives: see [`super::from_dwarf::Known`].
    pub known: Vec<u64>,
    /// Why the reading ended early, if it did.
    pub incomplete: Option<String>,
}
