//! Tracepoints and trace events, from the structures that their macros leave in an image's data
//! (include/linux/tracepoint.h, include/trace/trace_events.h, kernel/trace/trace_events.c).

use super::layout::Layouts;
use crate::elf::Memory;
use crate::error::Result;

/// A trace event, or a tracepoint that has none ("bare").
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tracepoint {
    /// The event's system, as its directory below `events/` is called; `None` for a bare tracepoint.
    pub system: Option<String>,
    pub name: String,
    /// The event class, as the image's symbol for it says.
    pub class: Option<String>,
    /// The tracepoint behind it; `None` for an event without one (`sys_enter_*`, ftrace's own).
    pub tracepoint: Option<String>,
    /// What `format` prints after `print fmt: `.
    pub print_format: Option<String>,
    pub fields: Vec<Field>,
}

/// A field of an event's record. The common ones, which all events begin with, are not listed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Field {
    /// As `format` prints it in front of the name: `char`, `__data_loc char[]`.
    pub type_text: String,
    /// With the dimensions of an array as `format` prints them after the name: `comm`.
    pub name: String,
    pub byte_offset: u32,
    pub byte_size: u32,
    pub signed: bool,
}

/// The tracepoints of an image.
pub fn read(_memory: &Memory<'_>, _layouts: &dyn Layouts) -> Result<Vec<Tracepoint>> {
    Ok(Vec::new())
}
