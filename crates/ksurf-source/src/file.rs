//! One file of a tree, read on the spot: its definitions, and every identifier with its column.

use crate::definitions::{definitions, Definition};
use crate::error::{Error, Result};
use crate::index::Index;
use crate::lexer::{Kind, Syntax, Tokens};
use crate::tree::{self, NoText};
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;

/// A file's text, and what it consists of.
#[derive(Debug)]
pub struct SourceFile {
    pub text: Vec<u8>,
    /// `None`: it is only text, without names.
    pub syntax: Option<Syntax>,
    pub tokens: Tokens,
}

/// An identifier; line and column from 1, the column in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Identifier<'t> {
    pub name: &'t [u8],
    pub line: u32,
    pub column: u32,
}

impl SourceFile {
    /// Reads a file that an index has, as it is now.
    pub fn open(index: &Index, path: &[u8]) -> Result<SourceFile> {
        let name = || OsStr::from_bytes(path).into();
        if index.file(path)?.is_none() {
            return Err(Error::NoSuchFile { name: name() });
        }
        let mut text = Vec::new();
        match tree::read(index.root(), path, &mut text) {
            Ok(()) => Ok(SourceFile::of(path, text)),
            Err(NoText::Binary) => Err(Error::NotText { name: name(), reason: "it is no text".into() }),
            Err(NoText::TooLarge) => {
                let reason = format!("it has more than {} bytes", tree::LARGEST);
                Err(Error::NotText { name: name(), reason: reason.into() })
            }
            Err(NoText::Unreadable(error)) => {
                Err(Error::io("open", &index.root().join(OsStr::from_bytes(path)))(error))
            }
        }
    }

    /// Reads a text as the file at a path.
    pub fn of(path: &[u8], text: Vec<u8>) -> SourceFile {
        let syntax = Syntax::of_path(path);
        let mut tokens = Tokens::default();
        match syntax {
            Some(syntax) => tokens.read(&text, syntax),
            None => tokens.count_lines(&text),
        }
        SourceFile { text, syntax, tokens }
    }

    /// What it defines, in its order.
    pub fn definitions(&self) -> Vec<Definition<'_>> {
        self.syntax.map_or_else(Vec::new, |syntax| definitions(&self.text, syntax, &self.tokens))
    }

    /// All identifiers outside of comments and literals, keywords too.
    pub fn identifiers(&self) -> impl Iterator<Item = Identifier<'_>> {
        let mut line_start = (0, 0);
        let found = self.tokens.list.iter().filter(|token| token.kind == Kind::Identifier);
        found.map(move |token| {
            let start = token.start as usize;
            // The last newline is looked for from the last identifier on only.
            if token.line != line_start.0 {
                let between = &self.text[line_start.1..start];
                let newline =
                    memchr::memrchr(b'\n', between).map_or(line_start.1, |at| line_start.1 + at + 1);
                line_start = (token.line, newline);
            }
            Identifier {
                name: token.of(&self.text),
                line: token.line,
                column: (start - line_start.1 + 1) as u32,
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn identifiers_have_their_columns() {
        let file = SourceFile::of(b"a.c", b"int a;\n\n\tb = c; /* d */\n e".to_vec());
        let found: Vec<_> = file.identifiers().map(|i| (i.name, i.line, i.column)).collect();
        let expected: [(&[u8], u32, u32); 5] =
            [(b"int", 1, 1), (b"a", 1, 5), (b"b", 3, 2), (b"c", 3, 6), (b"e", 4, 2)];
        assert_eq!(found, expected);
    }

    #[test]
    fn text_has_lines_and_no_names() {
        let file = SourceFile::of(b"README", b"a\nb".to_vec());
        assert_eq!((file.tokens.lines, file.identifiers().count(), file.definitions().len()), (2, 0, 0));
    }
}
