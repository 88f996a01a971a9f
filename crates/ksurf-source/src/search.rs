//! Regular expressions over the text of all files of a tree.

use crate::error::{Error, Result};
use crate::index::Index;
use crate::tree;
use crate::trigrams;
use memchr::{memchr, memchr_iter, memrchr};
use rayon::prelude::*;
use regex::bytes::{Regex, RegexBuilder};

/// A line that a pattern matches.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Match {
    pub file: u32,
    pub line: u32,
    /// Of the first match on the line, in bytes from 1.
    pub column: u32,
    /// The line without its end, or the part of a very long one around the match.
    pub text: Vec<u8>,
}

/// What a search found, in the order of files and lines.
#[derive(Debug, Default)]
pub struct Matches {
    pub list: Vec<Match>,
    /// There are no more than these.
    pub is_complete: bool,
    /// How many files were read.
    pub files_read: usize,
}

/// More of a line is not given.
const LONGEST_LINE: usize = 2000;
/// So much memory may a compiled pattern take, and as much again while it runs.
const PATTERN_SIZE: usize = 16 << 20;
/// So many files are read before it is looked whether there are matches enough, then twice as many, and so on.
const AT_FIRST: usize = 256;
/// But never more: in between it is asked whether to go on.
const AT_ONCE: usize = 4096;

/// Finds the first `limit` lines that match; `glob` chooses files by their paths: `*` and `?` stay within a name, `**`
/// goes through folders. `is_cancelled` is asked again and again: a pattern that says little has all files read.
pub fn search(
    index: &Index,
    pattern: &str,
    glob: Option<&str>,
    limit: usize,
    mut is_cancelled: impl FnMut() -> bool,
) -> Result<Matches> {
    let refused = |reason: String| Error::Pattern { pattern: pattern.to_owned(), reason };
    let regex = RegexBuilder::new(pattern)
        .multi_line(true)
        .unicode(false)
        .size_limit(PATTERN_SIZE)
        .dfa_size_limit(PATTERN_SIZE)
        .build()
        .map_err(|error| refused(reason(&error)))?;
    let parsed = regex_syntax::ParserBuilder::new()
        .multi_line(true)
        .unicode(false)
        .utf8(false)
        .build()
        .parse(pattern)
        .map_err(|error| refused(error.to_string()))?;
    let wanted = glob.map(of_glob).transpose()?;
    let bits = index.candidates(&trigrams::query(&parsed))?;
    let mut files = Vec::new();
    for file in 0..index.file_count() as u32 {
        let is_candidate = bits[file as usize / 64] >> (file % 64) & 1 != 0;
        if is_candidate && index.is_text(file)? {
            let path = index.path(file)?;
            if wanted.as_ref().is_none_or(|wanted| wanted.is_match(path)) {
                files.push((file, path));
            }
        }
    }
    let mut matches = Matches { is_complete: true, ..Matches::default() };
    let mut rest = &files[..];
    let mut count = AT_FIRST;
    while !rest.is_empty() {
        let (files, others) = rest.split_at(count.min(rest.len()));
        rest = others;
        count = (2 * count).min(AT_ONCE);
        if is_cancelled() {
            return Err(Error::Cancelled);
        }
        let found: Vec<Vec<Match>> = files
            .par_iter()
            .map_init(
                || (Vec::new(), regex.clone()),
                |(buffer, regex), &(file, path)| {
                    match tree::read(index.root(), path, buffer) {
                        Ok(()) => in_text(regex, buffer, file, limit.saturating_add(1)),
                        // It was there when the index was made; now there is nothing to match.
                        Err(_) => Vec::new(),
                    }
                },
            )
            .collect();
        matches.files_read += files.len();
        matches.list.extend(found.into_iter().flatten());
        if matches.list.len() > limit {
            matches.list.truncate(limit);
            matches.is_complete = false;
            break;
        }
    }
    Ok(matches)
}

/// The lines of a text that match, each once, at most `limit`.
fn in_text(regex: &Regex, text: &[u8], file: u32, limit: usize) -> Vec<Match> {
    let mut list = Vec::new();
    let (mut at, mut line, mut counted) = (0, 1, 0);
    while list.len() < limit && at <= text.len() {
        let Some(found) = regex.find_at(text, at) else { break };
        let start = found.start();
        if start == text.len() && (text.is_empty() || text.ends_with(b"\n")) {
            break;
        }
        line += memchr_iter(b'\n', &text[counted..start]).count() as u32;
        counted = start;
        let line_start = memrchr(b'\n', &text[..start]).map_or(0, |newline| newline + 1);
        let line_end = memchr(b'\n', &text[start..]).map_or(text.len(), |newline| start + newline);
        let shown = if line_end - line_start > LONGEST_LINE {
            let from = start.saturating_sub(LONGEST_LINE / 4).max(line_start);
            &text[from..line_end.min(from + LONGEST_LINE)]
        } else {
            &text[line_start..line_end]
        };
        let shown = shown.strip_suffix(b"\r").unwrap_or(shown);
        list.push(Match { file, line, column: (start - line_start + 1) as u32, text: shown.to_vec() });
        at = line_end + 1;
    }
    list
}

/// The last line of what the compiler of patterns says, which is the reason.
fn reason(error: &regex::Error) -> String {
    match error {
        regex::Error::CompiledTooBig(_) => "it takes too much memory".into(),
        other => other.to_string().lines().last().unwrap_or("it is no regular expression").trim().to_owned(),
    }
}

/// A pattern of paths as a regular expression.
fn of_glob(glob: &str) -> Result<Regex> {
    let mut pattern = String::from("^");
    let mut rest = glob;
    while let Some(letter) = rest.chars().next() {
        if let Some(after) = rest.strip_prefix("**/") {
            pattern.push_str("(?:.*/)?");
            rest = after;
        } else if let Some(after) = rest.strip_prefix("**") {
            pattern.push_str(".*");
            rest = after;
        } else {
            match letter {
                '*' => pattern.push_str("[^/]*"),
                '?' => pattern.push_str("[^/]"),
                _ => pattern.push_str(&regex::escape(letter.encode_utf8(&mut [0; 4]))),
            }
            rest = &rest[letter.len_utf8()..];
        }
    }
    pattern.push('$');
    let built = RegexBuilder::new(&pattern).unicode(false).dot_matches_new_line(true).build();
    built.map_err(|error| Error::Pattern { pattern: glob.to_owned(), reason: reason(&error) })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(pattern: &str, text: &str) -> Vec<(u32, u32, String)> {
        let regex = RegexBuilder::new(pattern).multi_line(true).unicode(false).build().unwrap();
        let found = in_text(&regex, text.as_bytes(), 0, 100);
        found.into_iter().map(|m| (m.line, m.column, String::from_utf8(m.text).unwrap())).collect()
    }

    #[test]
    fn a_line_is_told_once_at_its_first_match() {
        assert_eq!(lines("a", "xa a\nb\r\n\na\r\n"), [(1, 2, "xa a".into()), (4, 1, "a".into())]);
        assert_eq!(lines("", "a\n\nb\n").len(), 3);
        assert_eq!(lines("^", "a\nb"), [(1, 1, "a".into()), (2, 1, "b".into())]);
        assert_eq!(lines("b\\n\\s*c", "a\nb\n c"), [(2, 1, "b".into())]);
        assert_eq!(lines("x*", ""), []);
    }

    #[test]
    fn a_long_line_is_cut_around_the_match() {
        let text = "y".repeat(10_000) + "xx" + &"z".repeat(10_000);
        let found = lines("xx", &text);
        assert_eq!((found[0].0, found[0].1), (1, 10_001));
        assert!(found[0].2.contains("xx") && found[0].2.len() <= LONGEST_LINE);
    }

    #[test]
    fn globs_know_folders() {
        let is_match = |glob: &str, path: &str| of_glob(glob).unwrap().is_match(path.as_bytes());
        assert!(is_match("*.c", "a.c") && !is_match("*.c", "b/a.c"));
        assert!(is_match("**/*.c", "a.c") && is_match("**/*.c", "b/c/a.c"));
        assert!(
            is_match("arch/*/kvm/**", "arch/arm64/kvm/vgic/v.c")
                && !is_match("arch/*/kvm/**", "arch/arm64/x")
        );
        assert!(is_match("a?c[", "abc[") && !is_match("a.c", "abc"));
    }
}
