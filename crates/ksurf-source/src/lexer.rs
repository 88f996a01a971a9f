//! Tokens of C, assembly, device trees and Rust: identifiers, literals, punctuation, preprocessor directives, with
//! their lines. Every sequence of bytes is accepted; what makes no sense becomes punctuation.

use memchr::{memchr, memchr2, memchr_iter};

/// What a token is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Identifier,
    Number,
    /// A string or a character.
    Literal,
    /// One byte: the first of the token.
    Punctuation,
    /// `#` and the directive's name; what belongs to it follows, up to [`Kind::DirectiveEnd`].
    Directive,
    DirectiveEnd,
}

/// A piece of a text; lines count from 1.
#[derive(Debug, Clone, Copy)]
pub struct Token {
    pub kind: Kind,
    pub start: u32,
    pub end: u32,
    pub line: u32,
}

impl Token {
    /// The token's bytes.
    pub fn of<'t>(&self, text: &'t [u8]) -> &'t [u8] {
        &text[self.start as usize..self.end as usize]
    }

    /// Whether it is this byte of punctuation.
    pub fn is(&self, text: &[u8], byte: u8) -> bool {
        self.kind == Kind::Punctuation && text[self.start as usize] == byte
    }
}

/// A comment that may be kernel-doc: it starts with `/**`.
#[derive(Debug, Clone, Copy)]
pub struct Comment {
    pub start: u32,
    pub end: u32,
    pub line: u32,
    pub end_line: u32,
    /// How many tokens stand before it.
    pub token: u32,
}

/// The language of a file, as far as its tokens differ.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Syntax {
    C,
    /// Assembly that goes through the C preprocessor, and the byte that starts a comment besides `//` and `/*`.
    Assembly {
        comment: Option<u8>,
    },
    DeviceTree,
    Rust,
}

impl Syntax {
    /// The language that a path tells; `None` for files that are only text.
    pub fn of_path(path: &[u8]) -> Option<Syntax> {
        let name = path.rsplit(|&byte| byte == b'/').next().unwrap_or(path);
        let dot = name.iter().rposition(|&byte| byte == b'.')?;
        match &name[dot + 1..] {
            b"c" | b"h" | b"c_shipped" | b"h_shipped" | b"inc" | b"y" | b"l" => Some(Syntax::C),
            b"S" | b"s" | b"lds" => Some(Syntax::Assembly { comment: comment_byte(path) }),
            b"dts" | b"dtsi" | b"dtso" => Some(Syntax::DeviceTree),
            b"rs" => Some(Syntax::Rust),
            _ => None,
        }
    }
}

/// What starts a comment in an architecture's assembly, by the assembler's manual (GNU as, "Machine Dependent Features").
fn comment_byte(path: &[u8]) -> Option<u8> {
    let mut parts = path.split(|&byte| byte == b'/');
    match (parts.next(), parts.next()) {
        (Some(b"arch"), Some(arch)) => match arch {
            b"arm" => Some(b'@'),
            b"sh" | b"sparc" => Some(b'!'),
            b"m68k" => Some(b'|'),
            b"parisc" | b"arc" => Some(b';'),
            b"arm64" => None,
            _ => Some(b'#'),
        },
        _ => Some(b'#'),
    }
}

/// What a text consists of. It can be used again, which saves its memory.
#[derive(Debug, Default)]
pub struct Tokens {
    pub list: Vec<Token>,
    pub docs: Vec<Comment>,
    /// How many lines there are; a last one without an end counts.
    pub lines: u32,
}

/// What follows more than that is not looked at; the largest header of 7.3, of 24 MB, has a tenth of it.
const MOST_TOKENS: usize = 16 << 20;

const BLANK: u8 = 0;
const NEWLINE: u8 = 1;
const LETTER: u8 = 2;
const DIGIT: u8 = 3;
const OTHER: u8 = 4;

/// The class of each byte.
static CLASSES: [u8; 256] = {
    let mut classes = [OTHER; 256];
    let mut byte = 0;
    while byte < 256 {
        let b = byte as u8;
        classes[byte] = match b {
            b'\n' => NEWLINE,
            b' ' | b'\t' | b'\r' | 0x0b | 0x0c => BLANK,
            b'a'..=b'z' | b'A'..=b'Z' | b'_' => LETTER,
            b'0'..=b'9' => DIGIT,
            _ => OTHER,
        };
        byte += 1;
    }
    classes
};

const fn is_word(byte: u8) -> bool {
    matches!(byte, b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'_')
}

static WORD: [bool; 256] = {
    let mut word = [false; 256];
    let mut byte = 0;
    while byte < 256 {
        word[byte] = is_word(byte as u8);
        byte += 1;
    }
    word
};

impl Tokens {
    /// Reads a text of at most 4 GiB.
    pub fn read(&mut self, text: &[u8], syntax: Syntax) {
        self.list.clear();
        self.docs.clear();
        let mut lexer =
            Lexer { text, syntax, at: 0, line: 1, line_start: true, directive: false, tokens: self };
        lexer.run();
        self.count_lines(text);
    }

    /// Counts the lines of a text, without reading more of it.
    pub fn count_lines(&mut self, text: &[u8]) {
        let ends = memchr_iter(b'\n', text).count() as u32;
        self.lines = ends + u32::from(!text.is_empty() && !text.ends_with(b"\n"));
    }
}

struct Lexer<'t> {
    text: &'t [u8],
    syntax: Syntax,
    at: usize,
    line: u32,
    /// Nothing but blanks stands before on this line.
    line_start: bool,
    directive: bool,
    tokens: &'t mut Tokens,
}

impl Lexer<'_> {
    fn run(&mut self) {
        while let Some(&byte) = self.text.get(self.at).filter(|_| self.tokens.list.len() < MOST_TOKENS) {
            match CLASSES[byte as usize] {
                BLANK => self.at += 1,
                NEWLINE => self.newline(),
                LETTER => self.word(),
                DIGIT => self.number(),
                _ => self.other(byte),
            }
        }
        if self.directive {
            self.push(Kind::DirectiveEnd, self.at);
        }
    }

    fn push(&mut self, kind: Kind, start: usize) {
        self.line_start = false;
        self.tokens.list.push(Token { kind, start: start as u32, end: self.at as u32, line: self.line });
    }

    fn next(&self, distance: usize) -> u8 {
        self.text.get(self.at + distance).copied().unwrap_or(0)
    }

    fn newline(&mut self) {
        if self.directive {
            self.push(Kind::DirectiveEnd, self.at);
            self.directive = false;
        }
        self.at += 1;
        self.line += 1;
        self.line_start = true;
    }

    fn word(&mut self) {
        let start = self.at;
        let rest = &self.text[start..];
        self.at += rest.iter().position(|&byte| !WORD[byte as usize]).unwrap_or(rest.len());
        if self.syntax == Syntax::Rust && self.raw_string(start) {
            return;
        }
        self.push(Kind::Identifier, start);
    }

    /// A number as the preprocessor has it: `1.5e+3f`, `0x1fULL`.
    fn number(&mut self) {
        let start = self.at;
        let is_rust = self.syntax == Syntax::Rust;
        let is_hex = matches!(self.next(1), b'x' | b'X');
        while let Some(&byte) = self.text.get(self.at) {
            let belongs = match byte {
                b'.' => !is_rust,
                b'+' | b'-' => {
                    let exponent = matches!(self.text[self.at - 1], b'e' | b'E' | b'p' | b'P');
                    exponent && !is_hex && !is_rust
                }
                _ => WORD[byte as usize],
            };
            if !belongs {
                break;
            }
            self.at += 1;
        }
        self.push(Kind::Number, start);
    }

    fn other(&mut self, byte: u8) {
        match (byte, self.syntax) {
            (b'/', _) if self.next(1) == b'*' => self.block_comment(),
            (b'/', _) if self.next(1) == b'/' => self.line_comment(),
            (b'"', Syntax::Rust) => self.long_string(),
            (b'"', Syntax::DeviceTree) => self.long_string(),
            (b'"', _) => self.quoted(b'"'),
            (b'\'', Syntax::Rust) => self.rust_quote(),
            (b'\'', Syntax::Assembly { .. }) => self.assembly_quote(),
            (b'\'', _) => self.quoted(b'\''),
            (b'\\', _) if self.continues() => {}
            (b'#', Syntax::C | Syntax::DeviceTree | Syntax::Assembly { .. })
                if self.line_start && self.is_directive() => {}
            (_, Syntax::Assembly { comment: Some(mark) }) if byte == mark && self.comment_here() => {
                self.line_comment();
            }
            (b'%', Syntax::Assembly { .. }) if CLASSES[self.next(1) as usize] == LETTER => {
                // A register is no name.
                let start = self.at;
                self.at += 1;
                while WORD[self.next(0) as usize] {
                    self.at += 1;
                }
                self.push(Kind::Number, start);
            }
            _ => {
                self.at += 1;
                self.push(Kind::Punctuation, self.at - 1);
            }
        }
    }

    /// `#` and the like are comments where an operand cannot start with them.
    fn comment_here(&self) -> bool {
        let after = self.next(1);
        self.line_start
            || (matches!(after, b' ' | b'\t' | b'\n' | 0)
                && CLASSES[self.text[self.at - 1] as usize] == BLANK)
    }

    /// A backslash at the end of a line joins it with the next one.
    fn continues(&mut self) -> bool {
        let rest = &self.text[self.at + 1..];
        let blanks = rest.iter().take_while(|&&byte| CLASSES[byte as usize] == BLANK).count();
        if rest.get(blanks) != Some(&b'\n') {
            return false;
        }
        self.at += blanks + 2;
        self.line += 1;
        true
    }

    fn block_comment(&mut self) {
        let (start, line) = (self.at, self.line);
        let nested = self.syntax == Syntax::Rust;
        let mut depth = 1;
        self.at += 2;
        while depth > 0 {
            let Some(found) = memchr2(b'*', b'/', &self.text[self.at..]) else {
                self.at = self.text.len();
                break;
            };
            self.at += found;
            if self.text[self.at] == b'*' && self.next(1) == b'/' {
                depth -= 1;
                self.at += 2;
            } else if nested && self.text[self.at] == b'/' && self.next(1) == b'*' {
                depth += 1;
                self.at += 2;
            } else {
                self.at += 1;
            }
        }
        let comment = &self.text[start..self.at];
        self.line += memchr_iter(b'\n', comment).count() as u32;
        if comment.starts_with(b"/**") && comment.len() > 5 && self.syntax == Syntax::C {
            self.tokens.docs.push(Comment {
                start: start as u32,
                end: self.at as u32,
                line,
                end_line: self.line,
                token: self.tokens.list.len() as u32,
            });
        }
    }

    /// To the end of the line; the preprocessor's continuation holds in a comment, too.
    fn line_comment(&mut self) {
        loop {
            let Some(found) = memchr(b'\n', &self.text[self.at..]) else {
                self.at = self.text.len();
                return;
            };
            self.at += found;
            if self.syntax == Syntax::Rust || self.text[self.at - 1] != b'\\' {
                return;
            }
            self.at += 1;
            self.line += 1;
        }
    }

    /// A literal that ends with its quote, or with the line.
    fn quoted(&mut self, quote: u8) {
        let (start, line) = (self.at, self.line);
        self.at += 1;
        while let Some(&byte) = self.text.get(self.at) {
            match byte {
                b'\\' => {
                    if self.next(1) == b'\n' {
                        self.line += 1;
                    }
                    self.at += 1;
                }
                b'\n' => break,
                _ if byte == quote => {
                    self.at += 1;
                    break;
                }
                _ => {}
            }
            self.at += 1;
        }
        self.at = self.at.min(self.text.len());
        self.literal(start, line);
    }

    fn literal(&mut self, start: usize, line: u32) {
        self.line_start = false;
        let token = Token { kind: Kind::Literal, start: start as u32, end: self.at as u32, line };
        self.tokens.list.push(token);
    }

    /// A string that may go over several lines; one that is never closed goes to the end.
    fn long_string(&mut self) {
        let (start, line) = (self.at, self.line);
        let mut end = start + 1;
        loop {
            let Some(found) = self.text.get(end..).and_then(|rest| memchr2(b'"', b'\\', rest)) else {
                end = self.text.len();
                break;
            };
            end += found;
            if self.text[end] == b'"' {
                end += 1;
                break;
            }
            end += 2;
        }
        self.at = end;
        self.line += memchr_iter(b'\n', &self.text[start..end]).count() as u32;
        self.literal(start, line);
    }

    /// `r"..."`, `br#"..."#` and `c"..."`; false if the word is only a word.
    fn raw_string(&mut self, start: usize) -> bool {
        let word = &self.text[start..self.at];
        if !matches!(word, b"r" | b"br" | b"cr") {
            return false;
        }
        let hashes = self.text[self.at..].iter().take_while(|&&byte| byte == b'#').count();
        if self.next(hashes) != b'"' {
            return false;
        }
        let line = self.line;
        self.at += hashes + 1;
        loop {
            let Some(found) = memchr(b'"', &self.text[self.at..]) else {
                self.at = self.text.len();
                break;
            };
            self.at += found + 1;
            let after = self.text[self.at..].iter().take(hashes).take_while(|&&byte| byte == b'#').count();
            if after == hashes {
                self.at += hashes;
                break;
            }
        }
        self.line += memchr_iter(b'\n', &self.text[start..self.at]).count() as u32;
        self.literal(start, line);
        true
    }

    /// A character, or a lifetime.
    fn rust_quote(&mut self) {
        let is_lifetime = CLASSES[self.next(1) as usize] == LETTER && self.next(2) != b'\'';
        if is_lifetime {
            let start = self.at;
            self.at += 1;
            while WORD[self.next(0) as usize] {
                self.at += 1;
            }
            self.push(Kind::Number, start);
        } else {
            self.quoted(b'\'');
        }
    }

    /// GNU as has characters without a closing quote: `'a`.
    fn assembly_quote(&mut self) {
        let start = self.at;
        let size = if self.next(1) == b'\\' { 3 } else { 2 };
        let closed = self.next(size) == b'\'';
        let end = (self.at + size + usize::from(closed)).min(self.text.len());
        self.at = match memchr(b'\n', &self.text[start..end]) {
            Some(found) => start + found,
            None => end,
        };
        self.push(Kind::Literal, start);
    }

    /// Reads the head of a directive, and all of one whose rest holds no names.
    fn is_directive(&mut self) -> bool {
        let rest = &self.text[self.at + 1..];
        let blanks = rest.iter().take_while(|&&byte| matches!(byte, b' ' | b'\t')).count();
        let size =
            rest[blanks..].iter().take_while(|&&byte| byte.is_ascii_lowercase() || byte == b'_').count();
        let name = &rest[blanks..blanks + size];
        let is_bare = match name {
            b"include" | b"include_next" | b"error" | b"warning" | b"line" | b"ident" | b"import" => true,
            b"define" | b"undef" | b"if" | b"ifdef" | b"ifndef" | b"elif" | b"elifdef" | b"elifndef"
            | b"else" | b"endif" | b"pragma" => false,
            _ => return false,
        };
        let start = self.at;
        self.at += 1 + blanks + size;
        self.push(Kind::Directive, start);
        self.directive = true;
        if is_bare {
            self.skip_line();
        }
        true
    }

    /// Goes to the end of a directive's line, over continued ones; a comment may start there that goes further.
    fn skip_line(&mut self) {
        while let Some(&byte) = self.text.get(self.at) {
            match byte {
                b'\n' => return,
                b'\\' if self.continues() => {}
                b'/' if self.next(1) == b'*' => self.block_comment(),
                b'/' if self.next(1) == b'/' => return self.line_comment(),
                b'"' => self.quoted(b'"'),
                _ => self.at += 1,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str, syntax: Syntax) -> Vec<(String, u32)> {
        let mut tokens = Tokens::default();
        tokens.read(text.as_bytes(), syntax);
        let names = tokens.list.iter().filter(|token| token.kind == Kind::Identifier);
        names.map(|t| (String::from_utf8_lossy(t.of(text.as_bytes())).into_owned(), t.line)).collect()
    }

    fn plain(text: &str, syntax: Syntax) -> Vec<String> {
        words(text, syntax).into_iter().map(|(word, _)| word).collect()
    }

    #[test]
    fn comments_and_literals_hold_no_names() {
        let text = "a /* b\n c */ d // e \\\n f\n\"g \\\" h\" 'i' j 0x1fUL 1.5e+3f k";
        assert_eq!(plain(text, Syntax::C), ["a", "d", "j", "k"]);
        assert_eq!(words(text, Syntax::C)[2], ("j".into(), 4));
    }

    #[test]
    fn directives_end_with_their_logical_line() {
        let text = b"#define A(x) \\\n\tb\nc\n#include <linux/kernel.h>\n#error don't\nd\n# if E";
        let mut tokens = Tokens::default();
        tokens.read(text, Syntax::C);
        let kinds: Vec<_> = tokens.list.iter().map(|token| (token.kind, token.of(text))).collect();
        assert_eq!(kinds[0], (Kind::Directive, &b"#define"[..]));
        let ends = kinds.iter().filter(|(kind, _)| *kind == Kind::DirectiveEnd).count();
        assert_eq!(ends, 4);
        assert_eq!(plain("#include <linux/kernel.h>\n#error don't\nd", Syntax::C), ["d"]);
    }

    #[test]
    fn an_unclosed_quote_ends_with_its_line() {
        assert_eq!(plain("'a b\nc \"d\ne", Syntax::C), ["c", "e"]);
    }

    #[test]
    fn assembly_has_its_own_comments_and_registers() {
        let x86 = Syntax::of_path(b"arch/x86/entry/entry.S").unwrap();
        assert_eq!(
            plain("foo: mov %rax, bar # a comment\n# don't\n cmp $'a, baz", x86),
            ["foo", "mov", "bar", "cmp", "baz"]
        );
        let arm = Syntax::of_path(b"arch/arm/kernel/head.S").unwrap();
        assert_eq!(
            plain("ldr r0, =foo @ it's foo\n mov r1, #BAR", arm),
            ["ldr", "r0", "foo", "mov", "r1", "BAR"]
        );
    }

    #[test]
    fn rust_has_lifetimes_and_raw_strings() {
        let text = "fn a<'b>(c: &'b str) { 'd'; r#\"e \" f\"#; /* g /* h */ i */ \"j\nk\"; l }";
        assert_eq!(plain(text, Syntax::Rust), ["fn", "a", "c", "str", "l"]);
    }

    #[test]
    fn device_trees_have_properties_that_look_like_directives() {
        assert_eq!(
            plain("#address-cells = <FOO>;\n#include \"a.dtsi\"\nb", Syntax::DeviceTree),
            ["address", "cells", "FOO", "b"]
        );
    }

    #[test]
    fn every_byte_is_accepted() {
        let all: Vec<u8> = (0..=255).cycle().take(5000).collect();
        let mut tokens = Tokens::default();
        for syntax in [Syntax::C, Syntax::Assembly { comment: Some(b'#') }, Syntax::DeviceTree, Syntax::Rust]
        {
            for start in 0..256 {
                tokens.read(&all[start..], syntax);
                assert!(tokens
                    .list
                    .iter()
                    .all(|token| token.start <= token.end && token.line <= tokens.lines + 1));
            }
        }
    }

    #[test]
    fn lines_are_counted() {
        let mut tokens = Tokens::default();
        for (text, lines) in [("", 0), ("a", 1), ("a\n", 1), ("a\nb", 2), ("/*\n\n*/\n", 3)] {
            tokens.read(text.as_bytes(), Syntax::C);
            assert_eq!(tokens.lines, lines, "{text:?}");
        }
    }
}
