//! The names layer of the source browser: what a kernel's source defines, where each name is mentioned, and its text.
//!
//! Nothing here knows Python. A tree of files goes in, an index comes out ([`index`]); it is asked by name and by text.

mod assembly;
pub mod catalog;
pub mod definitions;
pub mod error;
pub mod file;
pub mod index;
pub mod kernel_doc;
pub mod lexer;
pub mod search;
pub mod tree;
pub mod trigrams;
