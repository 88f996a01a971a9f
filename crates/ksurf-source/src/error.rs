//! The one error of this crate: what is wrong, where in the input, and the value that shows it.

use std::borrow::Cow;
use std::fmt::{self, Display};
use std::io;
use std::path::{Path, PathBuf};

/// What every fallible function of this crate returns.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Text that is nearly always a literal.
pub type Text = Cow<'static, str>;

/// Why a source cannot be indexed or asked. Its [`Display`] is one line, ready to show.
#[derive(Debug)]
#[non_exhaustive]
pub enum Error {
    /// The operating system refused `op` (`"open"`, `"read"`, `"map"`) on `path`.
    Io { op: &'static str, path: PathBuf, source: io::Error },
    /// An index's file ends inside `what`, which starts at `offset`.
    Truncated { file: PathBuf, what: Text, offset: u64, needed: u64, available: u64 },
    /// What stands at `offset` of an index's file contradicts its format.
    Corrupt { file: PathBuf, offset: u64, reason: Text },
    /// An index that another version of ksurf made.
    Unsupported { file: PathBuf, version: u32, known: u32 },
    /// A path that the tree does not have: `name` is what was asked for.
    NoSuchFile { name: PathBuf },
    /// A file that is no text, or too large to be shown: nothing can be said of what is in it.
    NotText { name: PathBuf, reason: Text },
    /// `pattern` is no regular expression, or no pattern of paths.
    Pattern { pattern: String, reason: String },
    /// `path` is no folder that could be indexed.
    NotATree { path: PathBuf, reason: Text },
    /// The caller asked to stop.
    Cancelled,
}

impl Error {
    /// [`Error::Io`] as a function of the source, for `map_err`.
    pub fn io(op: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Error {
        let path = path.to_owned();
        move |source| Error::Io { op, path, source }
    }
}

impl Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::Io { op, path, source } => write!(f, "{}: cannot {op}: {source}", shown(path)),
            Error::Truncated { file, what, offset, needed, available } => write!(
                f,
                "{}: truncated: {what} at offset {offset:#x} needs {needed} bytes, {available} are there",
                shown(file)
            ),
            Error::Corrupt { file, offset, reason } => {
                write!(f, "{}: corrupt at offset {offset:#x}: {reason}", shown(file))
            }
            Error::Unsupported { file, version, known } => {
                write!(f, "{}: it has version {version} of the format, this ksurf knows {known}", shown(file))
            }
            Error::NoSuchFile { name } => write!(f, "{}: the tree has no such file", shown(name)),
            Error::NotText { name, reason } => write!(f, "{}: {reason}", shown(name)),
            Error::Pattern { pattern, reason } => write!(f, "{}: {reason}", one_line(pattern)),
            Error::NotATree { path, reason } => write!(f, "{}: {reason}", shown(path)),
            Error::Cancelled => f.write_str("cancelled"),
        }
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Error::Io { source, .. } => Some(source),
            _ => None,
        }
    }
}

fn shown(path: &Path) -> String {
    one_line(&path.to_string_lossy())
}

/// Names come from hostile trees; a message stays one line whatever they hold.
fn one_line(name: &str) -> String {
    if !name.contains(char::is_control) {
        return name.to_owned();
    }
    name.chars().flat_map(|c| if c.is_control() { c.escape_default().collect() } else { vec![c] }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_names_file_and_offset_on_one_line() {
        let error = Error::Corrupt { file: "a\nb/postings".into(), offset: 32, reason: "file 9 of 3".into() };
        assert_eq!(error.to_string(), "a\\nb/postings: corrupt at offset 0x20: file 9 of 3");
    }
}
