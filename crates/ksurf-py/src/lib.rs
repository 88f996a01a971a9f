//! `ksurf._core`: every export in one place. Paths come in, Arrow streams go out; `src/ksurf/_core.pyi` is
//! the documentation.

mod bpf;
mod catalog;
mod core;
mod error;
mod module;
mod source;
mod tables;
mod walk;

use arrow_array::ffi_stream::FFI_ArrowArrayStream;
use arrow_array::RecordBatchIterator;
use error::exception;
use ksurf_read::archive;
use ksurf_read::error::At;
use ksurf_read::extract::{self, Stage};
use pyo3::prelude::*;
use pyo3::types::{PyCapsule, PyDict};
use std::borrow::Cow;
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};

/// As much as is taken of a single file that Python asks for.
const FILE_LIMIT: u64 = 16 << 20;

/// Counters that a running extraction fills and another thread polls; also the way to stop it.
#[pyclass(frozen, module = "ksurf._core")]
#[derive(Default)]
struct Progress(Arc<extract::Progress>);

#[pymethods]
impl Progress {
    #[new]
    fn new() -> Progress {
        Progress::default()
    }

    #[getter]
    fn bytes_done(&self) -> u64 {
        self.0.counters.bytes_done.load(Ordering::Relaxed)
    }

    #[getter]
    fn bytes_total(&self) -> u64 {
        self.0.counters.bytes_total.load(Ordering::Relaxed)
    }

    #[getter]
    fn images_done(&self) -> u64 {
        self.0.images_done.load(Ordering::Relaxed)
    }

    #[getter]
    fn stage(&self) -> &'static str {
        match self.0.stage() {
            Stage::Reading => "reading",
            Stage::Joining => "joining",
            Stage::Done => "done",
        }
    }

    fn cancel(&self) {
        self.0.counters.cancelled.store(true, Ordering::Relaxed);
    }
}

/// One table, as a stream of the Arrow PyCapsule interface.
#[pyclass(frozen, module = "ksurf._core")]
struct ArrowStream(tables::Table);

#[pymethods]
impl ArrowStream {
    /// The protocol lets a producer ignore `requested_schema`: it is a wish.
    #[pyo3(signature = (requested_schema = None))]
    fn __arrow_c_stream__<'py>(
        &self,
        py: Python<'py>,
        requested_schema: Option<Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyCapsule>> {
        let _ = requested_schema;
        let rows = self.0.rows.clone();
        let schema = rows.schema();
        let reader = RecordBatchIterator::new(std::iter::once(Ok(rows)), schema);
        let stream = FFI_ArrowArrayStream::new(Box::new(reader));
        PyCapsule::new_with_value(py, stream, c"arrow_array_stream")
    }
}

/// What one kernel held: its tables, and what could not be read.
#[pyclass(frozen, module = "ksurf._core")]
struct Extraction {
    tables: Py<PyDict>,
    #[pyo3(get)]
    release: Option<String>,
    #[pyo3(get)]
    machine: Option<&'static str>,
    #[pyo3(get)]
    banner: Option<String>,
    #[pyo3(get)]
    config: Option<Vec<u8>>,
    #[pyo3(get)]
    unreadable: Vec<(String, String, String)>,
    #[pyo3(get)]
    incomplete: Vec<(String, String, String)>,
}

#[pymethods]
impl Extraction {
    #[getter]
    fn tables(&self, py: Python<'_>) -> Py<PyDict> {
        self.tables.clone_ref(py)
    }
}

/// Runs an extraction without the GIL and turns its tables into Arrow there too.
fn run(
    py: Python<'_>,
    progress: Option<&Progress>,
    read: impl FnOnce(&extract::Progress) -> ksurf_read::error::Result<extract::Extraction> + Send,
) -> PyResult<Extraction> {
    let progress = progress.map_or_else(Arc::default, |p| Arc::clone(&p.0));
    let (extraction, tables) = py.detach(|| -> PyResult<_> {
        let mut extraction = read(&progress).map_err(|e| exception(&e))?;
        let kernel = std::mem::take(&mut extraction.kernel);
        let tables = tables::tables(kernel).map_err(|e| error::ReadError::new_err(e.to_string()))?;
        Ok((extraction, tables))
    })?;
    let dict = PyDict::new(py);
    for table in tables {
        dict.set_item(table.name, Py::new(py, ArrowStream(table))?)?;
    }
    let triples =
        |list: Vec<extract::Unreadable>| list.into_iter().map(|u| (u.name, u.path, u.reason)).collect();
    Ok(Extraction {
        tables: dict.unbind(),
        release: extraction.release,
        machine: extraction.machine,
        banner: extraction.banner,
        config: extraction.config,
        unreadable: triples(extraction.unreadable),
        incomplete: triples(extraction.incomplete),
    })
}

#[pyfunction]
#[pyo3(signature = (path, *, threads = 0, progress = None))]
fn extract_package(
    py: Python<'_>,
    path: PathBuf,
    threads: usize,
    progress: Option<PyRef<'_, Progress>>,
) -> PyResult<Extraction> {
    run(py, progress.as_deref(), |progress| extract::package(&path, threads, progress))
}

#[pyfunction]
#[pyo3(signature = (vmlinux, modules, *, threads = 0, progress = None))]
fn extract_files(
    py: Python<'_>,
    vmlinux: Option<PathBuf>,
    modules: Vec<PathBuf>,
    threads: usize,
    progress: Option<PyRef<'_, Progress>>,
) -> PyResult<Extraction> {
    run(py, progress.as_deref(), |progress| extract::files(vmlinux.as_deref(), &modules, threads, progress))
}

#[pyfunction]
#[pyo3(signature = (btf_dir = "/sys/kernel/btf", kallsyms = "/proc/kallsyms"))]
fn extract_host(py: Python<'_>, btf_dir: &str, kallsyms: &str) -> PyResult<Extraction> {
    run(py, None, |progress| extract::host(Path::new(btf_dir), Path::new(kallsyms), progress))
}

#[pyfunction]
#[pyo3(signature = (path, base = None))]
fn extract_btf(py: Python<'_>, path: PathBuf, base: Option<PathBuf>) -> PyResult<Extraction> {
    run(py, None, |_| extract::btf(&path, base.as_deref()))
}

#[pyfunction]
fn dwarf_types(py: Python<'_>, path: PathBuf) -> PyResult<Extraction> {
    run(py, None, |_| extract::dwarf_types(&path))
}

#[pyfunction]
fn deb_control(py: Python<'_>, path: PathBuf) -> PyResult<String> {
    py.detach(|| archive::control(&path).at(path.display())).map_err(|e| exception(&e))
}

#[pyfunction]
fn deb_member(py: Python<'_>, path: PathBuf, names: Vec<String>) -> PyResult<Option<Cow<'static, [u8]>>> {
    let member = py.detach(|| archive::member(&path, &names, FILE_LIMIT).at(path.display()));
    member.map(|member| member.map(Cow::Owned)).map_err(|e| exception(&e))
}

#[pyfunction]
#[pyo3(signature = (data, limit = 16777216))]
fn decompress(py: Python<'_>, data: &[u8], limit: u64) -> PyResult<Cow<'static, [u8]>> {
    let text = py.detach(|| archive::decompress(data, limit).map(Cow::into_owned));
    text.map(Cow::Owned).map_err(|e| exception(&e))
}

#[pyfunction]
fn head(py: Python<'_>, data: &[u8], size: usize) -> PyResult<Cow<'static, [u8]>> {
    py.detach(|| archive::head(data, size)).map(Cow::Owned).map_err(|e| exception(&e))
}

/// A file of an archive: its path, its bytes if they were asked for, its size.
type Member = (String, Option<Cow<'static, [u8]>>, u64);

/// The files of an archive, one after the other.
#[pyclass(frozen, module = "ksurf._core")]
struct Archive {
    path: PathBuf,
    files: Mutex<archive::Files>,
}

#[pymethods]
impl Archive {
    #[new]
    fn new(py: Python<'_>, path: PathBuf) -> PyResult<Archive> {
        let files = py.detach(|| archive::Files::open(&path).at(path.display()));
        Ok(Archive { files: Mutex::new(files.map_err(|e| exception(&e))?), path })
    }

    fn links(&self) -> Vec<(String, String)> {
        let files = self.files.lock().unwrap_or_else(PoisonError::into_inner);
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        files.links().iter().map(|link| (text(&link.path), text(&link.target))).collect()
    }

    fn next_file(&self, py: Python<'_>, limit: u64) -> PyResult<Option<Member>> {
        let found = py.detach(|| {
            let mut files = self.files.lock().unwrap_or_else(PoisonError::into_inner);
            files.next_file(limit).at(self.path.display())
        });
        let found = found.map_err(|e| exception(&e))?;
        Ok(found.map(|file| {
            let path = String::from_utf8_lossy(&file.path).into_owned();
            (path, file.content.map(Cow::Owned), file.size)
        }))
    }
}

#[pymodule]
mod _core {
    #[pymodule_export]
    use super::bpf::{bpf_object, bpf_objects, BpfObject};
    #[pymodule_export]
    use super::module::{module_needs, module_types, ModuleNeeds};

    #[pymodule_export]
    use super::walk::core_walk;

    #[pymodule_export]
    use super::catalog::SymbolCatalog;
    #[pymodule_export]
    use super::source::{build_names, file_stamps, NamesProgress, NamesReader};

    #[pymodule_export]
    use super::core::{core_relocations, core_resolve};
    #[pymodule_export]
    use super::{
        deb_control, deb_member, decompress, dwarf_types, error::ReadError, extract_btf, extract_files,
        extract_host, extract_package, head, Archive, ArrowStream, Extraction, Progress,
    };

    #[pymodule_export]
    #[allow(non_upper_case_globals)]
    const __version__: &str = env!("CARGO_PKG_VERSION");
}
