//! Definitions from DWARF, for images without BTF.

use super::definition::Types;
use super::layout::Layouts;
use crate::dwarf::Sections;
use crate::error::Result;
use std::sync::atomic::AtomicBool;

/// The types of all units of an image, each definition once.
pub fn read(_sections: &Sections<'_>, _cancelled: &AtomicBool) -> Result<Types> {
    Ok(Types::default())
}

impl Layouts for Sections<'_> {
    fn member(&self, _name: &str, _member: &str) -> Option<(u64, u64)> {
        None
    }

    fn size_of(&self, _name: &str) -> Option<u64> {
        None
    }
}
