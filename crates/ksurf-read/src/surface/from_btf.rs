//! Definitions from BTF, the truth for programs that relocate against it.

use super::definition::Types;
use super::layout::Layouts;
use crate::btf::Btf;
use crate::error::Result;

/// The types and functions of a BTF of its own, without those of its base.
pub fn read(_btf: &Btf<'_>) -> Result<Types> {
    Ok(Types::default())
}

impl Layouts for Btf<'_> {
    fn member(&self, _name: &str, _member: &str) -> Option<(u64, u64)> {
        None
    }

    fn size_of(&self, _name: &str) -> Option<u64> {
        None
    }
}
