//! Kernel-doc: comments that start with `/**`, and what they document. Source: Documentation/doc-guide/kernel-doc.rst.

use crate::definitions::Kind;
use crate::file::SourceFile;
use crate::lexer::Comment;

/// What a comment says.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Doc {
    /// Its first and its last line in the file.
    pub line: u32,
    pub end_line: u32,
    /// What it is about: the name after `struct` and the like, without `()`.
    pub name: String,
    pub brief: String,
    /// What follows an `@`, in order: parameters, members, enumerators.
    pub parameters: Vec<(String, String)>,
    /// Other paragraphs by their headings; plain text is under `Description`.
    pub sections: Vec<(String, String)>,
}

/// What documentation is wanted for.
#[derive(Debug, Clone, Copy)]
pub struct Wanted<'a> {
    pub kind: Kind,
    pub name: &'a str,
    /// How a member is written after its owner.
    pub path: Option<&'a str>,
    pub owner: Option<&'a str>,
    /// Where the definition begins and where its name stands.
    pub start_line: u32,
    pub line: u32,
    pub via: Option<&'a str>,
}

/// Headings that begin a paragraph of their own.
const HEADINGS: [&str; 12] = [
    "Description",
    "Return",
    "Returns",
    "Context",
    "Note",
    "Notes",
    "NOTE",
    "Example",
    "Examples",
    "Locking",
    "Warning",
    "Important",
];

/// The documentation of something that a file defines, or a member's part of its owner's.
pub fn documentation(file: &SourceFile, wanted: &Wanted<'_>) -> Option<Doc> {
    match wanted.kind {
        Kind::Member | Kind::Enumerator => of_member(file, wanted),
        _ => nearest(file, wanted.start_line.min(wanted.line), |doc| names(wanted, &doc.name)),
    }
}

/// Whether a comment about a name is about what is wanted.
fn names(wanted: &Wanted<'_>, name: &str) -> bool {
    let made = wanted.via.is_some() && wanted.name.ends_with(name) && {
        let before = &wanted.name[..wanted.name.len() - name.len()];
        matches!(before, "sys_" | "compat_sys_" | "trace_" | "__do_sys_" | "__se_sys_" | "__do_trace_")
            || before.ends_with("_sys_")
    };
    !name.is_empty() && (name == wanted.name || made)
}

/// Of the comments that are meant, the last one that ends before a line, or else the first one.
fn nearest(file: &SourceFile, line: u32, is_meant: impl Fn(&Doc) -> bool) -> Option<Doc> {
    let mut best: Option<Doc> = None;
    for comment in &file.tokens.docs {
        if best.is_some() && comment.end_line >= line {
            break;
        }
        if let Some(doc) = parse(&file.text, comment).filter(|doc| is_meant(doc)) {
            best = Some(doc);
        }
    }
    best
}

fn of_member(file: &SourceFile, wanted: &Wanted<'_>) -> Option<Doc> {
    let is_own = |name: &str| name == wanted.name || wanted.path.is_some_and(|path| path == name);
    let part = |doc: Doc| {
        let text = doc.parameters.iter().find(|(name, _)| is_own(name))?.1.clone();
        Some(Doc {
            name: wanted.name.to_owned(),
            brief: text,
            line: doc.line,
            end_line: doc.end_line,
            ..Doc::default()
        })
    };
    // `/** @member: text */` stands right before the member.
    let before = file.tokens.docs.iter().rev().filter(|comment| comment.end_line <= wanted.line);
    let close =
        before.take(1).filter_map(|comment| parse(&file.text, comment)).find(|doc| doc.name.is_empty());
    if let Some(doc) = close.filter(|doc| doc.end_line + 2 >= wanted.start_line).and_then(part) {
        return Some(doc);
    }
    let owner = wanted.owner?;
    nearest(file, wanted.line, |doc| doc.name == owner && doc.parameters.iter().any(|(name, _)| is_own(name)))
        .and_then(part)
}

/// Reads a comment; `None` if it is about no name and describes no member.
pub fn parse(text: &[u8], comment: &Comment) -> Option<Doc> {
    let text = String::from_utf8_lossy(&text[comment.start as usize..comment.end as usize]);
    let text = text.trim_start_matches("/**").trim_end_matches("*/");
    let mut doc = Doc { line: comment.line, end_line: comment.end_line, ..Doc::default() };
    let lines = text.lines().map(|line| {
        let line = line.trim();
        line.strip_prefix('*').map_or(line, |rest| rest.strip_prefix(' ').unwrap_or(rest)).trim_end()
    });
    let mut lines = lines.skip_while(|line| line.is_empty()).peekable();
    let first = *lines.peek()?;
    if !first.starts_with('@') {
        let (name, brief) = head(first)?;
        (doc.name, doc.brief) = (name.to_owned(), brief.to_owned());
        lines.next();
    }
    let mut place = if doc.name.is_empty() { Place::Nowhere } else { Place::Brief };
    for line in lines {
        if let Some((name, rest)) = line.trim_start().strip_prefix('@').and_then(parameter) {
            doc.parameters.push((name.to_owned(), rest.to_owned()));
            place = Place::Parameter;
        } else if let Some((heading, rest)) = heading(line) {
            doc.sections.push((heading.to_owned(), rest.to_owned()));
            place = Place::Section;
        } else if line.is_empty() {
            match place {
                Place::Section => add(doc.sections.last_mut().map(|section| &mut section.1), line),
                _ => place = Place::Nowhere,
            }
        } else {
            if place == Place::Nowhere {
                doc.sections.push(("Description".into(), String::new()));
                place = Place::Section;
            }
            match place {
                Place::Brief => add(Some(&mut doc.brief), line),
                Place::Parameter => add(doc.parameters.last_mut().map(|parameter| &mut parameter.1), line),
                _ => add(doc.sections.last_mut().map(|section| &mut section.1), line),
            }
        }
    }
    for (_, text) in &mut doc.sections {
        text.truncate(text.trim_end().len());
    }
    (!doc.name.is_empty() || !doc.parameters.is_empty()).then_some(doc)
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    Brief,
    Parameter,
    Section,
    Nowhere,
}

fn add(text: Option<&mut String>, line: &str) {
    if let Some(text) = text {
        if !text.is_empty() {
            text.push('\n');
        }
        text.push_str(line);
    }
}

/// `struct name - brief`, `name() - brief`, `name: brief`.
fn head(line: &str) -> Option<(&str, &str)> {
    let mut rest = line;
    for kind in ["struct ", "union ", "enum ", "typedef ", "define ", "macro ", "function "] {
        rest = rest.strip_prefix(kind).unwrap_or(rest).trim_start();
    }
    let size = rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(rest.len());
    let (name, mut after) = rest.split_at(size);
    if name.is_empty() || name == "DOC" || name.starts_with(|c: char| c.is_ascii_digit()) {
        return None;
    }
    after = after.trim_start();
    if after.starts_with('(') {
        after = after.split_once(')')?.1.trim_start();
    }
    if after.is_empty() {
        return Some((name, ""));
    }
    let after = after.strip_prefix(['-', ':', '–'])?;
    Some((name, after.trim_start_matches(['-', ' ', '\t'])))
}

/// `name: text`, after an `@`.
fn parameter(rest: &str) -> Option<(&str, &str)> {
    let (name, text) = rest.split_once(':')?;
    let name = name.trim();
    let is_name = !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || "_.->[]".contains(c));
    is_name.then(|| (name, text.trim()))
}

fn heading(line: &str) -> Option<(&str, &str)> {
    let (word, text) = line.trim_start().split_once(':')?;
    HEADINGS.contains(&word).then(|| (word, text.trim()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(text: &str) -> SourceFile {
        SourceFile::of(b"a.c", text.as_bytes().to_vec())
    }

    fn wanted<'a>(kind: Kind, name: &'a str, line: u32) -> Wanted<'a> {
        Wanted { kind, name, path: None, owner: None, start_line: line, line, via: None }
    }

    const TEXT: &str = "/**\n * kick() - wakes it\n *   up\n * @vcpu: who\n *        is it\n * @...: more\n *\n\
        * Much text.\n *\n * In paragraphs.\n * Return: nothing\n * at all\n */\nvoid kick(struct vcpu *vcpu, ...)\n{\n}\n\n\
        /**\n * struct vcpu - one of them\n * @id: its number\n * @r.bits: what is asked\n */\nstruct vcpu {\n\tint id;\n\
        \t/** @late: inline */\n\tint late;\n\tstruct { int bits; } r;\n};\n\n/** nothing at all */\nint x;\n/**\n * DOC: a page\n */\n\
        /**\n * sys_read: reads\n */\nSYSCALL_DEFINE1(read, int, fd)\n{\n}\n";

    #[test]
    fn a_functions_comment_is_taken_apart() {
        let doc = documentation(&file(TEXT), &wanted(Kind::Function, "kick", 14)).unwrap();
        assert_eq!((doc.line, doc.end_line), (1, 13));
        assert_eq!(doc.brief, "wakes it\n  up");
        assert_eq!(doc.parameters[0], ("vcpu".into(), "who\n       is it".into()));
        assert_eq!(doc.parameters[1], ("...".into(), "more".into()));
        let expected = [("Description", "Much text.\n\nIn paragraphs."), ("Return", "nothing\nat all")];
        assert_eq!(doc.sections, expected.map(|(a, b)| (a.to_owned(), b.to_owned())));
    }

    #[test]
    fn members_have_their_part_of_the_owners_comment() {
        let file = file(TEXT);
        let brief = |name: &str, path: Option<&str>, line| {
            let wanted = Wanted { owner: Some("vcpu"), path, ..wanted(Kind::Member, name, line) };
            documentation(&file, &wanted).map(|doc| doc.brief)
        };
        assert_eq!(brief("id", None, 24), Some("its number".into()));
        assert_eq!(brief("late", None, 26), Some("inline".into()));
        assert_eq!(brief("bits", Some("r.bits"), 27), Some("what is asked".into()));
        assert_eq!(brief("none", None, 27), None);
    }

    #[test]
    fn names_that_macros_make_are_documented_without_their_prefix() {
        let file = file(TEXT);
        let made = |name| Wanted { via: Some("SYSCALL_DEFINE1"), ..wanted(Kind::Syscall, name, 38) };
        assert_eq!(documentation(&file, &made("sys_read")).unwrap().brief, "reads");
        assert_eq!(documentation(&file, &wanted(Kind::Variable, "x", 31)), None);
        assert_eq!(documentation(&file, &wanted(Kind::Struct, "vcpu", 23)).unwrap().brief, "one of them");
    }
}
