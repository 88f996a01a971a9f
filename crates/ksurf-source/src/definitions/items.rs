//! Declarations, one after the other: each is cut out of the code, laid out as a row of atoms, and read from that.

use super::attributes::{is_attribute, is_keyword};
use super::conditionals::Code;
use super::declarators::{is_upper, Declared};
use super::generated::{members_after, Argument, Made, Rules};
use super::{Definition, Found, Kind, Owner};
use crate::lexer::{Kind as TokenKind, Token};
use std::borrow::Cow;

/// Finds what code defines.
pub(crate) fn read<'t>(code: &Code, found: &mut Found<'t>, rules: &mut Rules<'_>) {
    let all = Work { start: 0, end: code.tokens.len(), scope: Scope::File };
    let mut reader = Reader { text: found.text, code, found, rules, work: vec![all], atoms: Vec::new() };
    // Bodies wait in a list: nesting costs no stack.
    while let Some(work) = reader.work.pop() {
        match &work.scope {
            Scope::Body => reader.body(&work),
            Scope::Enumerators(owner) => reader.enumerators(&work, owner.as_ref()),
            Scope::File | Scope::Members { .. } => {
                let mut at = work.start;
                while at < work.end {
                    at = reader.item(at, &work).max(at + 1);
                }
            }
        }
    }
}

/// A piece of the code that waits to be read.
struct Work<'t> {
    start: usize,
    end: usize,
    scope: Scope<'t>,
}

enum Scope<'t> {
    File,
    /// Of a function: only types are looked for.
    Body,
    /// `path` stands before the names of members: those of members that enclose them.
    Members {
        owner: Option<Owner<'t>>,
        path: Vec<u8>,
    },
    Enumerators(Option<Owner<'t>>),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Shape {
    Word,
    /// `(...)`
    Group,
    /// `[...]`
    Index,
    /// `{...}` of a type.
    Block,
    Star,
    Comma,
    Equals,
    Colon,
    Other,
}

/// A token, or all that a bracket holds.
#[derive(Debug, Clone, Copy)]
pub(super) struct Atom {
    pub shape: Shape,
    /// The token, or the bracket that opens it.
    pub at: usize,
}

pub(super) struct Reader<'a, 't, 'r> {
    text: &'t [u8],
    code: &'a Code,
    found: &'a mut Found<'t>,
    rules: &'a mut Rules<'r>,
    work: Vec<Work<'t>>,
    atoms: Vec<Atom>,
}

/// Where a macro stands: as a declaration, among a type's members, or as the head of a function.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    File,
    Type,
    Body,
}

impl<'t> Reader<'_, 't, '_> {
    fn token(&self, at: usize) -> &Token {
        &self.code.tokens[at]
    }

    pub(super) fn word(&self, at: usize) -> &'t [u8] {
        self.token(at).of(self.text)
    }

    pub(super) fn is(&self, at: usize, byte: u8) -> bool {
        self.code.tokens.get(at).is_some_and(|token| token.is(self.text, byte))
    }

    pub(super) fn is_word(&self, at: usize) -> bool {
        self.code.tokens.get(at).is_some_and(|token| token.kind == TokenKind::Identifier)
    }

    fn close(&self, at: usize) -> usize {
        self.code.close[at] as usize
    }

    /// The line on which what starts at a token ends.
    fn end_line(&self, at: usize) -> u32 {
        self.token(self.close(at).min(self.code.tokens.len() - 1)).line
    }

    /// What comes after a bracket and all in it. One that was never closed ends before what closed something else.
    fn after(&self, at: usize) -> usize {
        let close = self.close(at);
        let partner = match self.text[self.token(at).start as usize] {
            b'(' => b')',
            b'[' => b']',
            _ => b'}',
        };
        if self.is(close, partner) {
            close + 1
        } else {
            close.max(at + 1)
        }
    }

    /// What a bracket holds.
    pub(super) fn inside(&self, at: usize) -> std::ops::Range<usize> {
        at + 1..self.close(at).max(at + 1)
    }

    fn starts_line(&self, at: usize) -> bool {
        let start = self.token(at).start as usize;
        start == 0 || self.text[start - 1] == b'\n'
    }

    /// Reads one declaration and returns where the next one begins.
    fn item(&mut self, start: usize, work: &Work<'t>) -> usize {
        self.atoms.clear();
        let is_file = matches!(work.scope, Scope::File);
        let mut at = start;
        let mut has_value = false;
        while at < work.end {
            let token = *self.token(at);
            let shape = match token.kind {
                TokenKind::Identifier => {
                    if is_file && self.atoms.len() < MOST_LOOSE && self.ends_before(at) {
                        self.declaration(work, at - 1);
                        return at;
                    }
                    Shape::Word
                }
                TokenKind::Punctuation => match self.text[token.start as usize] {
                    b';' => {
                        self.declaration(work, at);
                        return at + 1;
                    }
                    b'(' => Shape::Group,
                    b'[' => Shape::Index,
                    b'{' if has_value => Shape::Other,
                    b'{' => {
                        if let Some(keyword) = self.type_keyword() {
                            self.type_body(keyword, at, work);
                            Shape::Block
                        } else if is_file && self.is_language_block(at) {
                            return at + 1;
                        } else {
                            if is_file {
                                self.function(at);
                            }
                            return self.after(at);
                        }
                    }
                    b'}' => return at + 1,
                    b')' if matches!(work.scope, Scope::Body) => return at + 1,
                    b'*' | b'^' => Shape::Star,
                    b',' => {
                        has_value = false;
                        Shape::Comma
                    }
                    b'=' => {
                        has_value = true;
                        Shape::Equals
                    }
                    b':' => Shape::Colon,
                    _ => Shape::Other,
                },
                _ => Shape::Other,
            };
            self.atoms.push(Atom { shape, at });
            let is_bracket = matches!(shape, Shape::Group | Shape::Index | Shape::Block) || self.is(at, b'{');
            at = if is_bracket { self.after(at) } else { at + 1 };
        }
        self.declaration(work, work.end - 1);
        work.end
    }

    /// Whether a word begins something new although no semicolon ended what is before: `module_init(f)` and other macros.
    fn ends_before(&mut self, at: usize) -> bool {
        let [first, ..] = self.atoms[..] else { return false };
        let Some(last) = self.atoms.last().copied() else { return false };
        if self.is(at + 1, b'(') && self.atoms.iter().all(|&atom| self.is_loose(atom)) {
            // A macro that makes something, after one that is all of a declaration.
            let is_made = |made: &[Made]| made.iter().any(|one| !one.is_name);
            let follows = self.starts_line(at) || is_made(&self.rules.rule(self.word(first.at)));
            if follows && is_made(&self.rules.rule(self.word(at))) {
                return true;
            }
        }
        if last.shape != Shape::Group || self.token(at).line <= self.end_line(last.at) {
            return false;
        }
        if let [first, _] = self.atoms[..] {
            // The attributes before a function's type stand like that, too.
            return first.shape == Shape::Word && !is_attribute(self.word(first.at));
        }
        self.starts_line(at) && matches!(self.word(at), b"static" | b"extern" | b"typedef")
    }

    /// Whether an atom may be one of a macro that stands alone.
    fn is_loose(&self, atom: Atom) -> bool {
        atom.shape == Shape::Group || self.names(atom)
    }

    /// `extern "C" {`
    fn is_language_block(&self, at: usize) -> bool {
        matches!(self.atoms[..], [word, _] if self.word(word.at) == b"extern")
            && self.token(at - 1).kind == TokenKind::Literal
    }

    /// The atom that is the keyword of the type whose body opens after the atoms so far.
    fn type_keyword(&self) -> Option<usize> {
        for (number, atom) in self.atoms.iter().enumerate().rev() {
            match atom.shape {
                Shape::Word if matches!(self.word(atom.at), b"struct" | b"union" | b"enum") => {
                    return Some(number)
                }
                Shape::Word | Shape::Colon => {}
                Shape::Group => {
                    let before = number.checked_sub(1).map(|before| self.atoms[before]);
                    if !before.is_some_and(|b| b.shape == Shape::Word && is_attribute(self.word(b.at))) {
                        return None;
                    }
                }
                _ => return None,
            }
        }
        None
    }

    /// Tells of a struct, union or enum with a tag, and puts its body on the list.
    fn type_body(&mut self, keyword: usize, open: usize, work: &Work<'t>) {
        let keyword_at = self.atoms[keyword].at;
        let kind = match self.word(keyword_at) {
            b"struct" => Kind::Struct,
            b"union" => Kind::Union,
            _ => Kind::Enum,
        };
        let words = self.atoms[keyword + 1..].iter().filter(|atom| atom.shape == Shape::Word);
        let tag = words.map(|atom| atom.at).find(|&at| !is_attribute(self.word(at)));
        let mut path = Vec::new();
        let owner = if let Some(tag) = tag {
            let (start_line, end_line) = (self.token(keyword_at).line, self.end_line(open));
            let tag = *self.token(tag);
            let definition = self.found.add(kind, &tag);
            definition.start_line = start_line;
            definition.end_line = end_line;
            Some(Owner { kind, name: definition.name.clone() })
        } else {
            let declared = self.declarator_after(open, work.end);
            match &work.scope {
                Scope::Members { owner, path: outer } if kind != Kind::Enum => {
                    path.extend_from_slice(outer);
                    if let Some(name) = declared.filter(|_| path.len() < LONGEST_PATH) {
                        path.extend_from_slice(self.word(name));
                        path.push(b'.');
                    }
                    owner.clone()
                }
                Scope::Members { owner, .. } => owner.clone(),
                _ => declared.map(|name| Owner { kind, name: Cow::Borrowed(self.word(name)) }),
            }
        };
        let inside = self.inside(open);
        let scope = match kind {
            Kind::Enum => Scope::Enumerators(owner),
            _ => Scope::Members { owner, path },
        };
        self.work.push(Work { start: inside.start, end: inside.end, scope });
    }

    /// The name that is declared with a type whose body was just read.
    fn declarator_after(&self, open: usize, end: usize) -> Option<usize> {
        let mut at = self.after(open);
        while at < end {
            if self.is_word(at) {
                if !is_attribute(self.word(at)) && !is_keyword(self.word(at)) {
                    return Some(at);
                }
                at += 1;
            } else if self.is(at, b'(') {
                at = self.after(at);
            } else if self.is(at, b'*') {
                at += 1;
            } else {
                return None;
            }
        }
        None
    }

    /// The types that a function's body defines.
    fn body(&mut self, work: &Work<'t>) {
        let mut at = work.start;
        while at < work.end {
            let opens_type = self.is_word(at)
                && matches!(self.word(at), b"struct" | b"union" | b"enum")
                && (self.is(at + 1, b'{') || self.is_word(at + 1) && self.is(at + 2, b'{'));
            at = if opens_type && at + 2 < work.end { self.item(at, work).max(at + 1) } else { at + 1 };
        }
    }

    fn enumerators(&mut self, work: &Work<'t>, owner: Option<&Owner<'t>>) {
        let mut at = work.start;
        while at < work.end {
            let is_plain = at + 1 >= work.end
                || self.is(at + 1, b',')
                || self.is(at + 1, b'=')
                || self.is_word(at + 1) && is_attribute(self.word(at + 1));
            if self.is_word(at) && is_plain {
                let name = *self.token(at);
                self.found.add(Kind::Enumerator, &name).owner = owner.cloned();
            }
            while at < work.end && !self.is(at, b',') {
                let is_bracket = self.is(at, b'(') || self.is(at, b'{') || self.is(at, b'[');
                at = if is_bracket { self.after(at) } else { at + 1 };
            }
            at += 1;
        }
    }

    /// A function, whose body opens after the atoms so far.
    fn function(&mut self, open: usize) {
        let atoms = std::mem::take(&mut self.atoms);
        self.function_of(&atoms, open);
        self.atoms = atoms;
    }

    fn function_of(&mut self, atoms: &[Atom], open: usize) {
        let Some(first) = atoms.first().map(|atom| *self.token(atom.at)) else { return };
        let inside = self.inside(open);
        let is_static = self.has_word(atoms, b"static");
        let end_line = self.end_line(open);
        let finish = |definition: &mut Definition<'t>| {
            definition.start_line = first.line;
            definition.end_line = end_line;
            definition.is_static = is_static;
        };
        let Some(number) = self.function_name(atoms) else {
            let pointers = atoms.iter().filter(|atom| atom.shape == Shape::Group);
            let found =
                pointers.filter_map(|atom| self.pointer_name(atom.at)).find(|found| found.is_function);
            if let Some(Declared { name, .. }) = found {
                let name = *self.token(name);
                finish(self.found.add(Kind::Function, &name));
                self.work.push(Work { start: inside.start, end: inside.end, scope: Scope::Body });
            }
            return;
        };
        self.work.push(Work { start: inside.start, end: inside.end, scope: Scope::Body });
        let name = *self.token(atoms[number].at);
        let word = name.of(self.text);
        let arguments = self.arguments(atoms[number + 1].at);
        let made = self.rules.rule(word);
        if !made.is_empty() {
            self.make(&name, &arguments, &made, is_static, (first.line, end_line), Place::Body);
            return;
        }
        let is_wrapped = atoms.get(number + 2).is_some_and(|atom| atom.shape == Shape::Group);
        let has_type = atoms[..number].iter().any(|atom| {
            atom.shape == Shape::Word && !is_attribute(self.word(atom.at)) && self.word(atom.at) != b"static"
        });
        let macro_like = is_upper(word) && !has_type;
        match arguments.first() {
            // FNAME(walk_addr)(...) and DEFINE_IDTENTRY(exc_divide_error): the macro makes the name of its argument.
            Some(&Argument { name: Some(argument), is_single: true, .. }) if is_wrapped || macro_like => {
                let definition = self.found.add(Kind::Function, &argument);
                definition.via = Some(Cow::Borrowed(word));
                finish(definition);
            }
            _ => finish(self.found.add(Kind::Function, &name)),
        }
    }

    fn has_word(&self, atoms: &[Atom], word: &[u8]) -> bool {
        atoms.iter().any(|atom| atom.shape == Shape::Word && self.word(atom.at) == word)
    }

    /// The arguments of a macro.
    fn arguments(&self, group: usize) -> Vec<Argument> {
        let inside = self.inside(group);
        let mut arguments = vec![Argument::default()];
        let mut at = inside.start;
        while at < inside.end && arguments.len() < MOST_ARGUMENTS {
            if self.is(at, b',') {
                arguments.push(Argument::default());
                at += 1;
                continue;
            }
            let token = *self.token(at);
            if let Some(argument) = arguments.last_mut() {
                argument.is_single = argument.first.is_none();
                argument.first = argument.first.or(Some(token));
                if argument.name.is_none() && self.is_word(at) && !is_keyword(self.word(at)) {
                    argument.name = Some(token);
                }
            }
            let is_bracket = self.is(at, b'(') || self.is(at, b'{') || self.is(at, b'[');
            at = if is_bracket { self.after(at) } else { at + 1 };
        }
        arguments
    }

    /// Tells of what a macro makes.
    fn make(
        &mut self,
        name: &Token,
        arguments: &[Argument],
        made: &[Made],
        is_static: bool,
        lines: (u32, u32),
        place: Place,
    ) {
        let (in_type, has_body) = (place == Place::Type, place == Place::Body);
        let via = name.of(self.text);
        for one in made {
            if one.is_name && !has_body {
                continue;
            }
            let Some((at, name)) = one.name(name, arguments, self.text) else { continue };
            let kind = if in_type && one.kind == Kind::Variable { Kind::Member } else { one.kind };
            let definition = self.found.add_named(kind, &at, name);
            definition.via = (definition.name != via).then_some(Cow::Borrowed(via));
            definition.start_line = lines.0;
            definition.end_line = lines.1;
            definition.is_static = is_static || one.is_static;
            definition.is_declaration = one.is_declaration && !in_type;
        }
    }

    /// What the atoms so far declare; `end` is the last token of it.
    fn declaration(&mut self, work: &Work<'t>, end: usize) {
        let atoms = std::mem::take(&mut self.atoms);
        // Of what a function's body declares, types are looked for, and nothing else.
        let is_typedef = atoms.first().is_some_and(|first| self.word(first.at) == b"typedef");
        if !atoms.is_empty() && (is_typedef || !matches!(work.scope, Scope::Body)) {
            self.declaration_of(&atoms, work, end);
        }
        self.atoms = atoms;
    }

    fn declaration_of(&mut self, atoms: &[Atom], work: &Work<'t>, end: usize) {
        let lines = (self.token(atoms[0].at).line, self.token(end).line);
        let is_static = self.has_word(atoms, b"static");
        let is_typedef = self.has_word(atoms, b"typedef");
        let is_extern = self.has_word(atoms, b"extern");
        let plain = atoms.iter().position(|atom| match atom.shape {
            Shape::Word => {
                let word = self.word(atom.at);
                !is_attribute(word)
                    && !matches!(word, b"static" | b"extern" | b"const" | b"typedef" | b"volatile")
            }
            Shape::Group => false,
            _ => true,
        });
        let Some(first) = plain else { return };
        if let [name, group, rest @ ..] = &atoms[first..] {
            let is_macro = self.names(*name) && group.shape == Shape::Group;
            if is_macro
                && !(self.is_pointer(group.at) && rest.first().is_some_and(|r| r.shape == Shape::Group))
            {
                self.invocation(name.at, group.at, work, is_static, lines);
                return;
            }
        }
        for (number, piece) in atoms[first..].split(|atom| atom.shape == Shape::Comma).enumerate() {
            let in_type = matches!(work.scope, Scope::Members { .. });
            let Some(declared) = self.declared(piece, number == 0, in_type) else { continue };
            let name = *self.token(declared.name);
            let has_value = piece.iter().any(|atom| atom.shape == Shape::Equals);
            let kind = match work.scope {
                Scope::Members { .. } => Kind::Member,
                _ if is_typedef => Kind::Typedef,
                _ if declared.is_function => Kind::Function,
                _ => Kind::Variable,
            };
            let definition = self.found.add(kind, &name);
            (definition.start_line, definition.end_line) = lines;
            definition.is_static = is_static;
            definition.is_declaration =
                kind == Kind::Function || kind == Kind::Variable && is_extern && !has_value;
            if let Scope::Members { owner, path } = &work.scope {
                definition.owner.clone_from(owner);
                if !path.is_empty() {
                    definition.path = Some(Cow::Owned([path, &*definition.name].concat()));
                }
            }
        }
    }

    /// A macro that stands as a declaration.
    fn invocation(&mut self, name: usize, group: usize, work: &Work<'t>, is_static: bool, lines: (u32, u32)) {
        let word = self.word(name);
        let name = *self.token(name);
        if let Scope::Members { owner, path } = &work.scope {
            if let Some(skipped) = members_after(word) {
                let inside = self.inside(group);
                let mut start = inside.start;
                for _ in 0..skipped {
                    while start < inside.end && !self.is(start, b',') {
                        start = if self.is(start, b'(') || self.is(start, b'{') {
                            self.after(start)
                        } else {
                            start + 1
                        };
                    }
                    start += 1;
                }
                let scope = Scope::Members { owner: owner.clone(), path: path.clone() };
                if start < inside.end {
                    self.work.push(Work { start, end: inside.end, scope });
                }
            }
            let arguments = self.arguments(group);
            let before = self.found.count();
            let made = self.rules.rule(word);
            self.make(&name, &arguments, &made, is_static, lines, Place::Type);
            for definition in self.found.since(before) {
                definition.owner.clone_from(owner);
                if !path.is_empty() {
                    definition.path = Some(Cow::Owned([path, &*definition.name].concat()));
                }
            }
            return;
        }
        let made = self.rules.rule(word);
        if !made.is_empty() {
            let arguments = self.arguments(group);
            self.make(&name, &arguments, &made, is_static, lines, Place::File);
        }
    }
}

/// No macro that makes something has more arguments that matter.
const MOST_ARGUMENTS: usize = 12;
/// Macros that follow each other without semicolons are not looked for in longer declarations.
const MOST_LOOSE: usize = 40;
/// Nothing real nests so deep that a member's path has more bytes.
const LONGEST_PATH: usize = 400;
