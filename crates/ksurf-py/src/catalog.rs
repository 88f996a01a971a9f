//! The catalog of a dataset's symbols, searched as they are typed.

use crate::source::exception;
use ksurf_source::catalog::{Catalog, Query};
use pyo3::prelude::*;
use pyo3::types::PyBytes;
use std::path::PathBuf;

/// A catalog, open.
#[pyclass(frozen, module = "ksurf._core")]
pub struct SymbolCatalog(Catalog);

#[pymethods]
impl SymbolCatalog {
    #[new]
    fn new(py: Python<'_>, path: PathBuf) -> PyResult<SymbolCatalog> {
        py.detach(|| Catalog::open(&path)).map(SymbolCatalog).map_err(|e| exception(&e))
    }

    fn about<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        PyBytes::new(py, self.0.about())
    }

    fn names<'py>(&self, py: Python<'py>, kind: usize) -> Option<(Bound<'py, PyBytes>, Bound<'py, PyBytes>)> {
        let (offsets, names) = self.0.names(kind)?;
        Some((PyBytes::new(py, offsets), PyBytes::new(py, names)))
    }

    #[allow(clippy::needless_pass_by_value)] // as Python gives it
    fn find(
        &self,
        py: Python<'_>,
        text: &str,
        owner: &str,
        path: &str,
        kinds: Vec<usize>,
        limit: usize,
    ) -> PyResult<Vec<(usize, String, u32, u8)>> {
        let query = Query { text: text.as_bytes(), owner: owner.as_bytes(), path: path.as_bytes() };
        let hits = py.detach(|| self.0.find(query, &kinds, limit)).map_err(|e| exception(&e))?;
        let row = |name: Vec<u8>| String::from_utf8_lossy(&name).into_owned();
        Ok(hits.into_iter().map(|hit| (hit.kind, row(hit.name), hit.set, hit.rank as u8)).collect())
    }
}
