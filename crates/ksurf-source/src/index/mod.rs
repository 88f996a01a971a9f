//! The index of a tree: four files in a folder. docs/formats/names-index.md describes every byte.

mod bytes;
mod merge;
mod reader;
mod run;
mod writer;

pub use reader::{Completion, Definition, Index, Owner, Reference, References};
pub use writer::{build, Progress, Stage};

/// What each file starts with.
pub(crate) const MAGIC: &[u8; 8] = b"KSURFNAM";
/// Of the format; any change of it is another version.
pub const VERSION: u32 = 1;
/// Magic, version, part, size, and a hash of all that follows.
pub(crate) const HEADER_SIZE: usize = 32;
/// How many names stand together, of which only the first one is written in full.
pub(crate) const NAMES_PER_BLOCK: usize = 32;
/// A name with more bytes is cut; no compiler takes such.
pub(crate) const LONGEST_NAME: usize = 1024;

/// The files of an index, by the numbers in their headers.
pub(crate) const PARTS: [&str; 4] = ["files", "names", "postings", "trigrams"];
pub(crate) const FILES: u32 = 0;
pub(crate) const NAMES: u32 = 1;
pub(crate) const POSTINGS: u32 = 2;
pub(crate) const TRIGRAMS: u32 = 3;

/// A trigram's table entry: this bit of its first number tells that its files are a bitmap.
pub(crate) const DENSE: u32 = 1 << 31;

/// What a definition has, besides its place.
pub(crate) mod flag {
    pub const STATIC: u8 = 1;
    pub const DECLARATION: u8 = 2;
    pub const OWNER: u8 = 4;
    pub const PATH: u8 = 8;
    pub const VIA: u8 = 16;
    pub const PARAMETERS: u8 = 32;
}
