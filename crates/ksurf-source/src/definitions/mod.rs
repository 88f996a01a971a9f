//! What a file defines: functions, types, members, macros, variables and what the kernel's own macros make.
//!
//! C is read from tokens, one declaration after the other, not by a grammar: the kernel's macros stand where a grammar
//! of C has no place for them (see ARCHITECTURE.md), and a declaration that makes no sense must not spoil the next one.

mod attributes;
mod conditionals;
mod declarators;
mod generated;
mod items;
mod rust;

use crate::assembly;
use crate::lexer::{Kind as TokenKind, Syntax, Token, Tokens};
use generated::Rules;
use memchr::memrchr;
use std::borrow::Cow;

/// What kind of thing a name stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Kind {
    Function,
    Struct,
    Union,
    Enum,
    Typedef,
    Member,
    Enumerator,
    Macro,
    Variable,
    /// What `SYSCALL_DEFINEn` makes.
    Syscall,
    /// `EXPORT_SYMBOL` and its kin: the symbol's name.
    Export,
    /// `MODULE_LICENSE` and its kin.
    ModuleInfo,
    /// `trace_NAME`.
    Tracepoint,
    /// A place in assembly.
    Label,
    /// Rust's traits, modules and implementations of types.
    Trait,
    Module,
}

/// All kinds, each at its number.
pub const KINDS: [(Kind, &str); 16] = [
    (Kind::Function, "function"),
    (Kind::Struct, "struct"),
    (Kind::Union, "union"),
    (Kind::Enum, "enum"),
    (Kind::Typedef, "typedef"),
    (Kind::Member, "member"),
    (Kind::Enumerator, "enumerator"),
    (Kind::Macro, "macro"),
    (Kind::Variable, "variable"),
    (Kind::Syscall, "syscall"),
    (Kind::Export, "export"),
    (Kind::ModuleInfo, "module_info"),
    (Kind::Tracepoint, "tracepoint"),
    (Kind::Label, "label"),
    (Kind::Trait, "trait"),
    (Kind::Module, "module"),
];

impl Kind {
    /// The word for it.
    pub fn name(self) -> &'static str {
        KINDS[self as usize].1
    }

    /// The kind with a number.
    pub fn from_number(number: u8) -> Option<Kind> {
        KINDS.get(usize::from(number)).map(|entry| entry.0)
    }
}

/// What has members: a struct, a union or an enum.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Owner<'t> {
    pub kind: Kind,
    /// Its tag, or the name of the typedef or the variable that it is part of.
    pub name: Cow<'t, [u8]>,
}

/// One definition, or a declaration of what is defined elsewhere.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Definition<'t> {
    pub name: Cow<'t, [u8]>,
    pub kind: Kind,
    /// Where the name stands, or the macro's argument that it is made of; from 1, columns in bytes.
    pub line: u32,
    pub column: u32,
    /// Where all of it begins (its return type, say) and ends.
    pub start_line: u32,
    pub end_line: u32,
    pub is_static: bool,
    pub is_declaration: bool,
    pub owner: Option<Owner<'t>>,
    /// How a member is written after its owner, where that is not its name: `b.a`, of `struct { int a; } b`.
    pub path: Option<Cow<'t, [u8]>>,
    /// The macro that makes it.
    pub via: Option<Cow<'t, [u8]>>,
    /// A macro's parameters, as they are written.
    pub parameters: Option<Cow<'t, [u8]>>,
}

/// Reads what a text defines, in the text's order; `tokens` are the text's.
pub fn definitions<'t>(text: &'t [u8], syntax: Syntax, tokens: &Tokens) -> Vec<Definition<'t>> {
    let mut found = Found::new(text);
    let mut rules = Rules::new(text);
    match syntax {
        Syntax::C => {
            let code = conditionals::resolve(text, tokens, &mut found, &mut rules);
            items::read(&code, &mut found, &mut rules);
        }
        Syntax::Assembly { .. } => assembly::read(tokens, &mut found),
        Syntax::DeviceTree => drop(conditionals::resolve(text, tokens, &mut found, &mut rules)),
        Syntax::Rust => rust::read(tokens, &mut found),
    }
    found.list.sort_by_key(|(offset, _)| *offset);
    found.list.into_iter().map(|(_, definition)| definition).collect()
}

/// Definitions as they are found, with the offsets of their names.
pub(crate) struct Found<'t> {
    pub text: &'t [u8],
    list: Vec<(u32, Definition<'t>)>,
}

impl<'t> Found<'t> {
    pub fn new(text: &'t [u8]) -> Found<'t> {
        Found { text, list: Vec::new() }
    }

    /// A definition whose name is a token of the text; the caller fills in the rest.
    pub fn add(&mut self, kind: Kind, name: &Token) -> &mut Definition<'t> {
        self.add_named(kind, name, Cow::Borrowed(name.of(self.text)))
    }

    /// A definition whose name is made of a token.
    pub fn add_named(&mut self, kind: Kind, at: &Token, name: Cow<'t, [u8]>) -> &mut Definition<'t> {
        if self.list.len() >= MOST_DEFINITIONS {
            self.list.pop();
        }
        let start = at.start as usize;
        let nearby = start.saturating_sub(LONGEST_COLUMN);
        let before = memrchr(b'\n', &self.text[nearby..start]);
        let line_start = before.map_or(nearby, |newline| nearby + newline + 1);
        let definition = Definition {
            name,
            kind,
            line: at.line,
            column: (start - line_start + 1) as u32,
            start_line: at.line,
            end_line: at.line,
            is_static: false,
            is_declaration: false,
            owner: None,
            path: None,
            via: None,
            parameters: None,
        };
        self.list.push((at.start, definition));
        let last = self.list.len() - 1;
        &mut self.list[last].1
    }

    /// How many there are by now.
    pub fn count(&self) -> usize {
        self.list.len()
    }

    /// Those that were added since there were so many.
    pub fn since(&mut self, count: usize) -> impl Iterator<Item = &mut Definition<'t>> {
        let count = count.min(self.list.len());
        self.list[count..].iter_mut().map(|entry| &mut entry.1)
    }

    /// The macro that a `#define` makes; `tokens` are those between the directive and its end.
    pub fn add_macro(&mut self, directive: &Token, tokens: &[Token], end_line: u32) {
        let Some(name) = tokens.first().filter(|token| token.kind == TokenKind::Identifier) else {
            return;
        };
        let text = self.text;
        let opens = tokens.get(1).filter(|token| token.is(text, b'(') && token.start == name.end);
        let parameters = opens.and_then(|open| {
            let close = tokens[1..].iter().take(1000).find(|token| token.is(text, b')'))?;
            let inside = &text[open.end as usize..close.start as usize];
            Some(if inside.len() > MOST_PARAMETERS { &b"..."[..] } else { inside })
        });
        let definition = self.add(Kind::Macro, name);
        definition.start_line = directive.line;
        definition.end_line = end_line;
        definition.parameters = parameters.map(Cow::Borrowed);
    }
}

/// Columns count up to this: looking back over lines of megabytes again and again would take too long.
const LONGEST_COLUMN: usize = 10_000;
/// The largest header of 7.3 has 270,000.
const MOST_DEFINITIONS: usize = 2_000_000;
/// No macro has more bytes of parameters.
const MOST_PARAMETERS: usize = 1000;
