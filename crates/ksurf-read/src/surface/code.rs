//! What the kernel's tables say about places in code: ftrace's sites, kprobes' blacklist, error injection.

use crate::elf::Memory;

/// What is known of a symbol's code.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct CodeFacts {
    /// It begins with a call that ftrace can turn on; `None` where the image has no list of such places.
    pub ftrace: Option<bool>,
    /// Why kprobes refuse it: `NOKPROBE_SYMBOL`, or the section that it is in (`.noinstr.text`).
    pub kprobe_blacklist: Option<&'static str>,
    /// What an injected error may be: `EI_ETYPE_ERRNO` and so on.
    pub error_injection: Option<&'static str>,
    /// It is gone once the kernel runs, or the module is loaded.
    pub init: bool,
}

/// The tables of one image.
#[derive(Debug, Default)]
pub struct Code {}

impl Code {
    /// Reads an image's tables.
    pub fn of(_memory: &Memory<'_>) -> Code {
        Code::default()
    }

    /// What they say of the code at an address (inside the image; made up in a module) of so many bytes.
    pub fn facts(&self, _address: u64, _byte_size: u64) -> CodeFacts {
        CodeFacts::default()
    }
}
