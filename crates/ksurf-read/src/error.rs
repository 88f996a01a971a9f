//! The one error of this crate: what is wrong, where in the input, and the value that shows it.
//!
//! A reader knows offsets, not file names. The path, or the member of an archive, is added by whoever knows
//! it, with [`At::at`].

use std::borrow::Cow;
use std::fmt::{self, Display};
use std::io;

/// What every fallible function of this crate returns.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Text that is nearly always a literal.
pub type Text = Cow<'static, str>;

/// Why an input cannot be read. Its [`Display`] is one line, ready to show, without the path.
#[derive(Debug)]
#[non_exhaustive]
pub enum Error {
    /// The operating system refused `op` (`"open"`, `"read"`, `"map"`).
    Io { op: &'static str, source: io::Error },
    /// The input ends inside `what`, which starts at `offset`.
    Truncated { what: Text, offset: u64, needed: u64, available: u64 },
    /// What stands at `offset` contradicts the format of `what`.
    Corrupt { what: Text, offset: u64, reason: Text },
    /// The format allows `value` for `what`, or a later version of it may; this reader does not know it.
    Unsupported { what: Text, value: Text },
    /// A readable file, but no kernel image, module or kernel package.
    NotAKernel { reason: Text },
    /// `what` is larger than anything real, or than the caller allows.
    TooLarge { what: Text, size: u64, limit: u64 },
    /// The caller asked to stop.
    Cancelled,
    /// Another error, and the file or member it is about.
    Located { place: String, source: Box<Error> },
}

impl Error {
    /// [`Error::Io`] as a function of the source, for `map_err`. An error of ours that went through a reader
    /// of `std` comes out as it went in.
    pub fn io(op: &'static str) -> impl FnOnce(io::Error) -> Error {
        move |source| source.downcast().unwrap_or_else(|source| Error::Io { op, source })
    }

    /// `what` starts at `offset` and needs `needed` bytes, of which only `available` are there.
    pub fn truncated(what: impl Into<Text>, offset: u64, needed: u64, available: u64) -> Error {
        Error::Truncated { what: what.into(), offset, needed, available }
    }

    /// The bytes of `what` at `offset` make no sense, for `reason`.
    pub fn corrupt(what: impl Into<Text>, offset: u64, reason: impl Into<Text>) -> Error {
        Error::Corrupt { what: what.into(), offset, reason: reason.into() }
    }

    /// `value` is a kind of `what` that this reader does not know.
    pub fn unsupported(what: impl Into<Text>, value: impl Display) -> Error {
        Error::Unsupported { what: what.into(), value: value.to_string().into() }
    }

    /// Not something of a kernel, for `reason`.
    pub fn not_a_kernel(reason: impl Into<Text>) -> Error {
        Error::NotAKernel { reason: reason.into() }
    }

    /// `what` has, or claims, more than `limit` bytes.
    pub fn too_large(what: impl Into<Text>, size: u64, limit: u64) -> Error {
        Error::TooLarge { what: what.into(), size, limit }
    }

    /// The error itself, without the places around it.
    pub fn root(&self) -> &Error {
        let mut error = self;
        while let Error::Located { source, .. } = error {
            error = source;
        }
        error
    }

    /// Whether the caller asked for this.
    pub fn is_cancelled(&self) -> bool {
        matches!(self.root(), Error::Cancelled)
    }
}

/// Lets a reader of this crate stand below an adapter of `std::io`; [`Error::io`] is the way back.
impl From<Error> for io::Error {
    fn from(error: Error) -> io::Error {
        io::Error::other(error)
    }
}

impl Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::Io { op, source } => write!(f, "cannot {op}: {source}"),
            Error::Truncated { what, offset, available: 0, .. } => {
                write!(f, "truncated: {what} ends at offset {offset:#x}")
            }
            Error::Truncated { what, offset, needed, available } => write!(
                f,
                "truncated: {what} at offset {offset:#x} needs {needed} bytes, {available} are there"
            ),
            Error::Corrupt { what, offset, reason } => {
                write!(f, "corrupt: {what} at offset {offset:#x}: {reason}")
            }
            Error::Unsupported { what, value } => write!(f, "unsupported {what}: {value}"),
            Error::NotAKernel { reason } => write!(f, "not a kernel: {reason}"),
            Error::TooLarge { what, size, limit } => {
                write!(f, "too large: {what} has {size} bytes, the limit is {limit}")
            }
            Error::Cancelled => f.write_str("cancelled"),
            Error::Located { place, source } => write!(f, "{place}: {source}"),
        }
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Error::Io { source, .. } => Some(source),
            Error::Located { source, .. } => Some(source.as_ref()),
            _ => None,
        }
    }
}

/// Says which file or member an error is about.
pub trait At {
    /// Puts `place: ` in front of an error; the outermost place comes first. A cancellation stays as it is.
    fn at(self, place: impl Display) -> Self;
}

impl At for Error {
    fn at(self, place: impl Display) -> Error {
        if self.is_cancelled() {
            return self;
        }
        Error::Located { place: one_line(&place.to_string()), source: Box::new(self) }
    }
}

impl<T> At for Result<T> {
    fn at(self, place: impl Display) -> Result<T> {
        self.map_err(|error| error.at(place))
    }
}

/// Names come from hostile archives; a message stays one line whatever they hold.
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
    fn places_are_listed_from_the_outside_in() {
        let inner: Result<()> = Err(Error::truncated("tar header", 512, 512, 7));
        let error = inner.at("data.tar.xz").at("linux.deb").unwrap_err();
        assert_eq!(
            error.to_string(),
            "linux.deb: data.tar.xz: truncated: tar header at offset 0x200 needs 512 bytes, 7 are there"
        );
        assert!(matches!(error.root(), Error::Truncated { available: 7, .. }));
    }

    #[test]
    fn an_error_survives_a_reader_of_std() {
        let through = io::Error::from(Error::not_a_kernel("no ELF header"));
        assert!(matches!(Error::io("read")(through), Error::NotAKernel { .. }));
        let foreign = io::Error::from(io::ErrorKind::NotFound);
        assert!(matches!(Error::io("open")(foreign), Error::Io { op: "open", .. }));
    }

    #[test]
    fn a_cancellation_has_no_place() {
        let error = Error::Cancelled.at("linux.deb");
        assert_eq!(error.to_string(), "cancelled");
        assert!(error.is_cancelled());
    }

    #[test]
    fn a_hostile_name_cannot_break_the_line() {
        let error = Error::unsupported("machine", 7).at("a\nb\u{1b}[2J");
        assert_eq!(error.to_string(), "a\\nb\\u{1b}[2J: unsupported machine: 7");
    }
}
