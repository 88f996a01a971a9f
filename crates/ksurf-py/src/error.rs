//! The one place where the reader's errors become Python exceptions.

use ksurf_read::error::Error;
use pyo3::create_exception;
use pyo3::exceptions::{PyException, PyFileNotFoundError, PyInterruptedError, PyOSError, PyPermissionError};
use pyo3::PyErr;
use std::io::ErrorKind;

create_exception!(
    ksurf._core,
    ReadError,
    PyException,
    "Input that cannot be read: truncated, corrupt, not what it should be. One line, ready to show."
);

/// The exception for an error; its text is the error's line.
pub fn exception(error: &Error) -> PyErr {
    let text = error.to_string();
    match error.root() {
        Error::Cancelled => PyInterruptedError::new_err(text),
        Error::Io { source, .. } => match source.kind() {
            ErrorKind::NotFound => PyFileNotFoundError::new_err(text),
            ErrorKind::PermissionDenied => PyPermissionError::new_err(text),
            _ => PyOSError::new_err(text),
        },
        _ => ReadError::new_err(text),
    }
}
