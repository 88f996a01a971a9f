//! Which word of a declaration is the name that it declares.

use super::attributes::{is_attribute, is_keyword};
use super::items::{Atom, Reader, Shape};

/// Where a declaration's name is, and what it declares.
#[derive(Clone, Copy)]
pub(super) struct Declared {
    pub name: usize,
    pub is_function: bool,
}

impl Reader<'_, '_, '_> {
    /// Whether an atom is a word that might name something.
    pub(super) fn names(&self, atom: Atom) -> bool {
        atom.shape == Shape::Word && !is_attribute(self.word(atom.at)) && !is_keyword(self.word(atom.at))
    }

    /// The atom, among some, whose word is the name of a function: the group after it holds the parameters.
    pub(super) fn function_name(&self, atoms: &[Atom]) -> Option<usize> {
        let mut chosen: Option<usize> = None;
        for (number, pair) in atoms.windows(2).enumerate() {
            if !self.names(pair[0]) || pair[1].shape != Shape::Group {
                continue;
            }
            // What looked like a function before was a macro ahead of the type, if a type stands between.
            let follows_type = number > 0 && {
                let before = atoms[number - 1];
                before.shape == Shape::Star
                    || before.shape == Shape::Word
                        && !is_attribute(self.word(before.at))
                        && (!self.word(before.at).starts_with(b"__") || is_base_type(self.word(before.at)))
            };
            // So was one that is written in capitals right before: `SOME_TYPE(x) f(void)`.
            let word = self.word(pair[0].at);
            let after_macro = chosen
                .is_some_and(|first| first + 2 == number && is_upper(self.word(atoms[first].at)))
                && !is_upper(word)
                && !word.starts_with(b"__");
            if chosen.is_none() || follows_type || after_macro {
                chosen = Some(number);
            }
        }
        chosen
    }

    /// The name in `(*name)`, `(*name[3])` or `(*name(int))`, and whether it is the latter.
    pub(super) fn pointer_name(&self, group: usize) -> Option<Declared> {
        let mut inside = self.inside(group);
        loop {
            let mut name = None;
            let mut star = false;
            let mut at = inside.start;
            let mut deeper = None;
            while at < inside.end {
                if self.is_word(at) {
                    if !is_attribute(self.word(at)) && !is_keyword(self.word(at)) {
                        name = Some(at);
                    }
                    at += 1;
                } else if self.is(at, b'*') || self.is(at, b'^') {
                    star = true;
                    name = None;
                    at += 1;
                } else if self.is(at, b'(') {
                    if star && name.is_none() {
                        deeper = Some(at);
                    }
                    break;
                } else {
                    break;
                }
            }
            match (name, deeper) {
                (Some(name), _) if star => {
                    return Some(Declared { name, is_function: self.is(name + 1, b'(') })
                }
                (None, Some(group)) => inside = self.inside(group),
                _ => return None,
            }
        }
    }

    /// `(*` or `(attribute *`.
    pub(super) fn is_pointer(&self, group: usize) -> bool {
        let inside = self.inside(group);
        let mut at = inside.start;
        while at < inside.end && self.is_word(at) && at < inside.start + 3 {
            at += 1;
        }
        at < inside.end && (self.is(at, b'*') || self.is(at, b'^'))
    }

    /// What one declarator declares. Only the first one has its type before it.
    pub(super) fn declared(&self, piece: &[Atom], is_first: bool, in_type: bool) -> Option<Declared> {
        let body = piece.iter().rposition(|atom| atom.shape == Shape::Block).map_or(0, |block| block + 1);
        let has_type = !is_first || body > 0;
        let piece = &piece[body..];
        let end = piece.iter().position(|atom| matches!(atom.shape, Shape::Equals | Shape::Colon));
        let piece = &piece[..end.unwrap_or(piece.len())];
        let function = if in_type { None } else { self.function_name(piece) };
        for (number, atom) in piece.iter().enumerate() {
            let is_called = matches!(piece.get(number + 1), Some(next) if matches!(next.shape, Shape::Group | Shape::Index));
            if atom.shape == Shape::Group
                && is_called
                && self.is_pointer(atom.at)
                && function.is_none_or(|f| f + 1 >= number)
            {
                return self.pointer_name(atom.at);
            }
        }
        if let Some(number) = function.filter(|&number| number > 0 || has_type) {
            let looks_like_attribute = is_upper(self.word(piece[number].at))
                && number > 1
                && self.names(piece[number - 1])
                && (has_type || !matches!(self.word(piece[number - 2].at), b"struct" | b"union" | b"enum"));
            if !looks_like_attribute {
                return Some(Declared { name: piece[number].at, is_function: true });
            }
        }
        let mut name = None;
        for (number, atom) in piece.iter().enumerate() {
            let is_called = piece.get(number + 1).is_some_and(|next| next.shape == Shape::Group);
            if self.names(*atom) && !is_called {
                name = Some(number);
            }
        }
        let number = name?;
        if !has_type {
            // `struct s;` declares nothing, and a single word is a macro.
            let before = piece[..number].iter().rev().find(|atom| {
                atom.shape == Shape::Star
                    || atom.shape == Shape::Word && !is_attribute(self.word(atom.at))
                    || atom.shape == Shape::Group
            })?;
            if before.shape == Shape::Word && matches!(self.word(before.at), b"struct" | b"union" | b"enum") {
                return None;
            }
        }
        Some(Declared { name: piece[number].at, is_function: false })
    }
}

/// Whether a word is written in capitals, as macros are.
pub(super) fn is_upper(word: &[u8]) -> bool {
    word.iter().any(u8::is_ascii_uppercase) && !word.iter().any(u8::is_ascii_lowercase)
}

/// Types whose names start like those of attributes.
fn is_base_type(word: &[u8]) -> bool {
    let word = word.strip_prefix(b"__").unwrap_or(word);
    word.ends_with(b"_t")
        || matches!(word, b"u8" | b"u16" | b"u32" | b"u64" | b"s8" | b"s16" | b"s32" | b"s64")
        || matches!(word, b"be16" | b"be32" | b"be64" | b"le16" | b"le32" | b"le64" | b"sum16" | b"wsum")
}
