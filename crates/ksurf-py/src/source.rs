//! The names layer of a source tree: building its index, and asking it.

use crate::error::ReadError;
use ksurf_source::definitions::KINDS;
use ksurf_source::error::Error;
use ksurf_source::file::SourceFile;
use ksurf_source::index::{build, Definition, Index, Progress, Stage};
use ksurf_source::kernel_doc::{documentation, Wanted};
use ksurf_source::search::search;
use pyo3::exceptions::{PyFileNotFoundError, PyInterruptedError, PyOSError, PyPermissionError, PyValueError};
use pyo3::prelude::*;
use std::ffi::{OsStr, OsString};
use std::io::ErrorKind;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::sync::atomic::Ordering;
use std::sync::Arc;

/// The exception for an error of the names layer.
pub fn exception(error: &Error) -> PyErr {
    let text = error.to_string();
    match error {
        Error::Cancelled => PyInterruptedError::new_err(text),
        Error::NoSuchFile { .. } => PyFileNotFoundError::new_err(text),
        Error::Io { source, .. } => match source.kind() {
            ErrorKind::NotFound => PyFileNotFoundError::new_err(text),
            ErrorKind::PermissionDenied => PyPermissionError::new_err(text),
            _ => match source.raw_os_error() {
                Some(number) => PyOSError::new_err((number, text)),
                None => PyOSError::new_err(text),
            },
        },
        _ => ReadError::new_err(text),
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Paths may be no UTF-8; Python escapes what is not.
fn path_of(bytes: &[u8]) -> OsString {
    OsStr::from_bytes(bytes).to_owned()
}

/// Counters that a running build fills and another thread polls; also the way to stop it.
#[pyclass(frozen, module = "ksurf._core")]
#[derive(Default)]
pub struct NamesProgress(Arc<Progress>);

#[pymethods]
impl NamesProgress {
    #[new]
    fn new() -> NamesProgress {
        NamesProgress::default()
    }

    #[getter]
    fn bytes_done(&self) -> u64 {
        self.0.bytes_done.load(Ordering::Relaxed)
    }

    #[getter]
    fn bytes_total(&self) -> u64 {
        self.0.bytes_total.load(Ordering::Relaxed)
    }

    #[getter]
    fn files_done(&self) -> u64 {
        self.0.files_done.load(Ordering::Relaxed)
    }

    #[getter]
    fn stage(&self) -> &'static str {
        match self.0.stage() {
            Stage::Listing => "listing",
            Stage::Reading => "reading",
            Stage::Joining => "joining",
            Stage::Done => "done",
        }
    }

    fn cancel(&self) {
        self.0.cancelled.store(true, Ordering::Relaxed);
    }
}

#[pyfunction]
#[pyo3(signature = (tree, target, *, threads = 0, progress = None))]
pub fn build_names(
    py: Python<'_>,
    tree: PathBuf,
    target: PathBuf,
    threads: usize,
    progress: Option<PyRef<'_, NamesProgress>>,
) -> PyResult<()> {
    let progress = progress.map_or_else(Arc::default, |p| Arc::clone(&p.0));
    py.detach(|| build(&tree, &target, threads, &progress)).map_err(|e| exception(&e))
}

/// The times, in nanoseconds, and the sizes of files. A file is a call of the system, after each of which Python's
/// threads would take turns.
#[pyfunction]
pub fn file_stamps(py: Python<'_>, paths: Vec<PathBuf>) -> Vec<Option<(i64, u64)>> {
    let stamp = |path: &PathBuf| {
        let found = std::fs::metadata(path).ok()?;
        Some((found.mtime().saturating_mul(1_000_000_000).saturating_add(found.mtime_nsec()), found.size()))
    };
    py.detach(|| paths.iter().map(stamp).collect())
}

/// A definition as Python takes it: what it is, where, and what it belongs to.
type Row = (
    (String, &'static str, OsString),
    (u32, u32, u32, u32),
    (bool, bool),
    (Option<&'static str>, Option<String>, Option<String>, Option<String>, Option<String>),
);

fn row(name: &[u8], path: &[u8], found: &Definition) -> Row {
    let owner = found.owner.as_ref();
    let own = |bytes: &Option<Vec<u8>>| bytes.as_deref().map(text);
    (
        (text(name), found.kind.name(), path_of(path)),
        (found.line, found.column, found.start_line, found.end_line),
        (found.is_static, found.is_declaration),
        (
            owner.map(|owner| owner.kind.name()),
            owner.map(|owner| text(&owner.name)),
            own(&found.path),
            own(&found.via),
            own(&found.parameters),
        ),
    )
}

/// What a file says: its lines, its definitions, its identifiers with line and column.
type FileRows = (u32, Vec<Row>, Vec<(String, u32, u32)>);

/// A comment: its first and last line, its name and brief; what it says of parameters; its paragraphs.
type DocRow = ((u32, u32, String, String), Vec<(String, String)>, Vec<(String, String)>);

/// The lines that match, with path, line and column, and whether these are all.
type MatchRows = (Vec<(OsString, u32, u32, String)>, bool);

/// An index, open.
#[pyclass(frozen, module = "ksurf._core")]
pub struct NamesReader(Index);

#[pymethods]
impl NamesReader {
    #[new]
    #[pyo3(signature = (folder, tree = None))]
    fn new(py: Python<'_>, folder: PathBuf, tree: Option<PathBuf>) -> PyResult<NamesReader> {
        let index = py.detach(|| Index::open(&folder, tree.as_deref()));
        index.map(NamesReader).map_err(|e| exception(&e))
    }

    #[getter]
    fn tree(&self) -> OsString {
        self.0.root().as_os_str().to_owned()
    }

    #[getter]
    fn file_count(&self) -> usize {
        self.0.file_count()
    }

    #[getter]
    fn name_count(&self) -> u64 {
        self.0.name_count()
    }

    fn check(&self, py: Python<'_>) -> PyResult<()> {
        py.detach(|| self.0.check()).map_err(|e| exception(&e))
    }

    fn definitions(&self, py: Python<'_>, name: &str) -> PyResult<Vec<Row>> {
        let rows = py.detach(|| {
            let found = self.0.definitions(name.as_bytes())?;
            found
                .iter()
                .map(|d| Ok(row(name.as_bytes(), self.0.path(d.file)?, d)))
                .collect::<Result<_, Error>>()
        });
        rows.map_err(|e| exception(&e))
    }

    fn references(&self, py: Python<'_>, name: &str, limit: usize) -> PyResult<(Vec<(OsString, u32)>, u64)> {
        let found = py.detach(|| {
            let found = self.0.references(name.as_bytes(), limit)?;
            let places = found.list.iter().map(|place| Ok((path_of(self.0.path(place.file)?), place.line)));
            Ok::<_, Error>((places.collect::<Result<_, Error>>()?, found.total))
        });
        found.map_err(|e| exception(&e))
    }

    fn complete(&self, py: Python<'_>, prefix: &str, limit: usize) -> PyResult<Vec<(String, u64, u64)>> {
        let found = py.detach(|| self.0.complete(prefix.as_bytes(), limit)).map_err(|e| exception(&e))?;
        Ok(found.into_iter().map(|c| (text(&c.name), c.definitions, c.references)).collect())
    }

    fn file(&self, py: Python<'_>, path: OsString) -> PyResult<FileRows> {
        let rows = py.detach(|| {
            let path = path.as_bytes();
            let file = SourceFile::open(&self.0, path)?;
            let definitions = file.definitions();
            let definitions =
                definitions.iter().map(|d| row(&d.name, path, &Definition::found(0, d))).collect();
            let identifiers = file.identifiers().map(|i| (text(i.name), i.line, i.column)).collect();
            Ok::<_, Error>((file.tokens.lines, definitions, identifiers))
        });
        rows.map_err(|e| exception(&e))
    }

    fn files(&self, py: Python<'_>) -> PyResult<Vec<(OsString, u64, u32, bool)>> {
        let rows = py.detach(|| {
            let numbers = 0..self.0.file_count() as u32;
            let row = |file| {
                let index = &self.0;
                Ok((
                    path_of(index.path(file)?),
                    index.byte_size(file)?,
                    index.line_count(file)?,
                    index.is_text(file)?,
                ))
            };
            numbers.map(row).collect::<Result<_, Error>>()
        });
        rows.map_err(|e| exception(&e))
    }

    #[pyo3(signature = (pattern, *, path_glob = None, limit))]
    fn search(
        &self,
        py: Python<'_>,
        pattern: &str,
        path_glob: Option<&str>,
        limit: usize,
    ) -> PyResult<MatchRows> {
        let mut raised = None;
        let found = py.detach(|| {
            // Python only notes a signal: it is asked between files whether there is one to raise.
            let is_interrupted = || {
                raised = Python::attach(|py| py.check_signals()).err();
                raised.is_some()
            };
            let found = search(&self.0, pattern, path_glob, limit, is_interrupted)?;
            let lines = found
                .list
                .iter()
                .map(|m| Ok((path_of(self.0.path(m.file)?), m.line, m.column, text(&m.text))))
                .collect::<Result<_, Error>>()?;
            Ok::<_, Error>((lines, found.is_complete))
        });
        found.map_err(|e| raised.unwrap_or_else(|| exception(&e)))
    }

    #[pyo3(signature = (path, name, kind, *, start_line, line, owner = None, member_path = None, via = None))]
    #[allow(clippy::too_many_arguments)] // what a definition consists of, by name
    fn documentation(
        &self,
        py: Python<'_>,
        path: OsString,
        name: &str,
        kind: &str,
        start_line: u32,
        line: u32,
        owner: Option<&str>,
        member_path: Option<&str>,
        via: Option<&str>,
    ) -> PyResult<Option<DocRow>> {
        let Some(&(kind, _)) = KINDS.iter().find(|known| known.1 == kind) else {
            return Err(PyValueError::new_err(format!("{kind} is no kind of definition")));
        };
        let wanted = Wanted { kind, name, path: member_path, owner, start_line, line, via };
        let found = py.detach(|| {
            let file = SourceFile::open(&self.0, path.as_bytes())?;
            Ok::<_, Error>(documentation(&file, &wanted))
        });
        let found = found.map_err(|e| exception(&e))?;
        Ok(found.map(|doc| ((doc.line, doc.end_line, doc.name, doc.brief), doc.parameters, doc.sections)))
    }
}
