//! Definitions of types, in one form whatever described them, and the key that their content makes.
//!
//! A definition is what a program outside the kernel can tell apart: a name, a size, and members with their
//! types as C text. Types that it refers to count by their names, so that it changes when its own layout or
//! wording does. The same content has the same key on every kernel.

use crate::numbered::Numbered;
use hashbrown::hash_table::Entry;
use hashbrown::HashTable;
use std::ops::Range;
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
    /// Value of an enumerator, as two's complement; `None` of what has an offset.
    pub value: Option<i64>,
    /// BTF tags of the member or its type, in alphabetical order with spaces between: `rcu`, `user`.
    pub tags: Option<u32>,
}

/// A [`Member`] in less than half of the bytes, as a kernel has a quarter of a million.
#[derive(Debug, Clone, Copy)]
struct Packed {
    /// The offset or the value.
    number: u64,
    byte_size: u64,
    name: u32,
    type_text: u32,
    tags: u32,
    bit_size: u32,
    depth: u8,
    /// Which of the others are there, `NAME` and so on; those that are not are 0.
    there: u8,
}

/// In the order of a key's words.
const NAME: u8 = 1;
const TYPE_TEXT: u8 = 2;
const BIT_OFFSET: u8 = 4;
const BYTE_SIZE: u8 = 8;
const BIT_SIZE: u8 = 16;
const VALUE: u8 = 32;
const TAGS: u8 = 64;

impl Packed {
    fn new(member: &Member) -> Packed {
        let Member { depth, name, type_text, bit_offset, byte_size, bit_size, value, tags } = *member;
        let bit = |is_there: bool, bit: u8| if is_there { bit } else { 0 };
        Packed {
            number: value.map(|value| value as u64).or(bit_offset).unwrap_or(0),
            byte_size: byte_size.unwrap_or(0),
            name: name.unwrap_or(0),
            type_text: type_text.unwrap_or(0),
            tags: tags.unwrap_or(0),
            bit_size: bit_size.unwrap_or(0),
            depth,
            there: bit(name.is_some(), NAME)
                | bit(type_text.is_some(), TYPE_TEXT)
                | bit(bit_offset.is_some() && value.is_none(), BIT_OFFSET)
                | bit(byte_size.is_some(), BYTE_SIZE)
                | bit(bit_size.is_some(), BIT_SIZE)
                | bit(value.is_some(), VALUE)
                | bit(tags.is_some(), TAGS),
        }
    }

    fn member(&self) -> Member {
        let is = |bit: u8| self.there & bit != 0;
        Member {
            depth: self.depth,
            name: is(NAME).then_some(self.name),
            type_text: is(TYPE_TEXT).then_some(self.type_text),
            bit_offset: is(BIT_OFFSET).then_some(self.number),
            byte_size: is(BYTE_SIZE).then_some(self.byte_size),
            bit_size: is(BIT_SIZE).then_some(self.bit_size),
            value: is(VALUE).then_some(self.number as i64),
            tags: is(TAGS).then_some(self.tags),
        }
    }

    /// The same, where texts have other numbers.
    fn moved(self, texts: &[u32]) -> Packed {
        let moved = |number: u32, bit: u8| match self.there & bit {
            0 => 0,
            _ => texts[number as usize],
        };
        Packed {
            name: moved(self.name, NAME),
            type_text: moved(self.type_text, TYPE_TEXT),
            tags: moved(self.tags, TAGS),
            ..self
        }
    }
}

/// A definition, whose members are told by [`Definitions::members`]. Texts are numbers in [`Definitions::texts`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
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
}

/// Definitions without repetition.
#[derive(Debug, Default)]
pub struct Definitions {
    pub texts: Numbered,
    pub list: Vec<Definition>,
    /// Of each definition.
    pub keys: Vec<u64>,
    /// Those of all definitions, in their order.
    members: Vec<Packed>,
    /// Of each definition, where its members end.
    ends: Vec<usize>,
    by_key: HashTable<u32>,
    scratch: Vec<[u8; 8]>,
}

impl Definitions {
    /// Adds a definition, unless it is there, and returns its number in [`Definitions::list`].
    pub fn add(&mut self, definition: Definition, members: &[Member]) -> u32 {
        let start = self.members.len();
        self.members.extend(members.iter().map(Packed::new));
        let key = self.key(&definition, start);
        self.add_keyed(key, definition, start)
    }

    /// The same, whose members are those from `start`.
    fn add_keyed(&mut self, key: u64, new: Definition, start: usize) -> u32 {
        let keys = &mut self.keys;
        let is_it = |&number: &u32| keys[number as usize] == key;
        match self.by_key.entry(key, is_it, |&number| keys[number as usize]) {
            Entry::Occupied(found) => {
                self.members.truncate(start);
                *found.get()
            }
            Entry::Vacant(place) => {
                let number = keys.len() as u32;
                place.insert(number);
                keys.push(key);
                self.list.push(new);
                self.ends.push(self.members.len());
                number
            }
        }
    }

    /// Makes room for so many more, with so many members together.
    pub fn reserve(&mut self, count: usize, members: usize) {
        self.list.reserve(count);
        self.keys.reserve(count);
        self.ends.reserve(count);
        self.members.reserve(members);
        let keys = &self.keys;
        self.by_key.reserve(count, |&number| keys[number as usize]);
    }

    /// The number of the definition that has a key.
    pub fn number(&self, key: u64) -> Option<u32> {
        self.by_key.find(key, |&number| self.keys[number as usize] == key).copied()
    }

    /// The members, parameters or enumerators of a definition.
    pub fn members(&self, number: u32) -> impl ExactSizeIterator<Item = Member> + '_ {
        self.members[self.places(number)].iter().map(Packed::member)
    }

    /// How many members all definitions have.
    pub fn count_members(&self) -> usize {
        self.members.len()
    }

    fn places(&self, number: u32) -> Range<usize> {
        let number = number as usize;
        number.checked_sub(1).map_or(0, |before| self.ends[before])..self.ends[number]
    }

    /// Takes over all of another's, and returns the numbers that they have here.
    pub fn merge(&mut self, other: Definitions) -> Vec<u32> {
        if self.list.is_empty() && self.texts.is_empty() {
            *self = other;
            return (0..self.list.len() as u32).collect();
        }
        let texts = self.texts.merge(&other.texts);
        let moved = |text: Option<u32>| text.map(|number| texts[number as usize]);
        let definitions = (0..).zip(&other.list).zip(&other.keys);
        let add = |((number, definition), &key): ((u32, &Definition), &u64)| {
            let definition = Definition {
                name: texts[definition.name as usize],
                type_text: moved(definition.type_text),
                tags: moved(definition.tags),
                ..*definition
            };
            let start = self.members.len();
            let members = other.members[other.places(number)].iter();
            self.members.extend(members.map(|member| member.moved(&texts)));
            self.add_keyed(key, definition, start)
        };
        definitions.map(add).collect()
    }

    /// XXH3 of the content: eight words for the whole and for each member (those from `start`), the first of which
    /// says what is there in the others. Texts are in it as their own hashes.
    fn key(&mut self, definition: &Definition, start: usize) -> u64 {
        let out = &mut self.scratch;
        out.clear();
        let texts = &self.texts;
        let text = |number: Option<u32>| number.map(|number| texts.hash(number));
        let whole = [
            Some(texts.hash(definition.name)),
            definition.byte_size,
            definition.signed.map(u64::from),
            text(definition.type_text),
            text(definition.tags),
            None,
            None,
        ];
        let there = whole.iter().rev().fold(0, |mask, word| mask << 1 | u64::from(word.is_some()));
        out.push((there << 8 | definition.kind as u64).to_le_bytes());
        out.extend(whole.map(|word| word.unwrap_or(0).to_le_bytes()));
        for member in &self.members[start..] {
            let is = |bit: u8| member.there & bit != 0;
            let text = |number: u32, bit: u8| if is(bit) { texts.hash(number) } else { 0 };
            let number = |bit: u8| if is(bit) { member.number } else { 0 };
            let words = [
                u64::from(member.there) << 8 | u64::from(member.depth),
                text(member.name, NAME),
                text(member.type_text, TYPE_TEXT),
                number(BIT_OFFSET),
                member.byte_size,
                member.bit_size.into(),
                number(VALUE),
                text(member.tags, TAGS),
            ];
            out.extend_from_slice(&words.map(u64::to_le_bytes));
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
