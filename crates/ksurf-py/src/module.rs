//! Kernel modules as consumers.

use crate::error::{exception, ReadError};
use crate::tables::{optional, repeated, required, table, tables, texts, unsigned, Table};
use crate::ArrowStream;
use arrow_array::{BooleanArray, UInt32Array};
use ksurf_read::archive::decompress;
use ksurf_read::error::{At, Error, Result};
use ksurf_read::extract::{self, ModuleTypes};
use ksurf_read::module::{needs, Needs};
use pyo3::prelude::*;
use pyo3::types::PyDict;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// No module has more bytes, with all that a debugger wants.
const MODULE_LIMIT: u64 = 1 << 30;

/// What a module needs.
#[pyclass(frozen, module = "ksurf._core")]
pub struct ModuleNeeds {
    #[pyo3(get)]
    imports: Py<ArrowStream>,
    #[pyo3(get)]
    modinfo: Vec<(String, String)>,
    #[pyo3(get)]
    btf: bool,
    #[pyo3(get)]
    btf_base: bool,
    #[pyo3(get)]
    dwarf: bool,
}

fn read(path: &Path) -> Result<Needs> {
    let file = File::open(path).map_err(Error::io("open"))?;
    // SAFETY: only read; a file that shrinks meanwhile ends the process, as with every mapped input here.
    let map = unsafe { memmap2::Mmap::map(&file) }.map_err(Error::io("map"))?;
    needs(&decompress(&map, MODULE_LIMIT)?)
}

#[pyfunction]
pub fn module_needs(py: Python<'_>, path: PathBuf) -> PyResult<ModuleNeeds> {
    let needs = py.detach(|| read(&path).at(path.display())).map_err(|e| exception(&e))?;
    let imports = imports(&needs).map_err(|e| ReadError::new_err(e.to_string()))?;
    let Needs { modinfo, btf, btf_base, dwarf, .. } = needs;
    Ok(ModuleNeeds { imports: Py::new(py, ArrowStream(imports))?, modinfo, btf, btf_base, dwarf })
}

fn imports(needs: &Needs) -> std::result::Result<Table, arrow_schema::ArrowError> {
    let imports = &needs.imports;
    let weak: BooleanArray = imports.iter().map(|import| Some(import.weak)).collect();
    let crcs: UInt32Array = imports.iter().map(|import| import.crc).collect();
    table(
        "imports",
        vec![
            required("name", texts(imports.iter().map(|import| import.name.clone()).collect())),
            required("weak", Arc::new(weak)),
            optional("crc", Arc::new(crcs)),
        ],
    )
}

#[pyfunction]
pub fn module_types(py: Python<'_>, path: PathBuf) -> PyResult<Option<(Py<PyDict>, Option<String>)>> {
    let found = py.detach(|| extract::module_types(&path)).map_err(|e| exception(&e))?;
    let Some(ModuleTypes { kernel, files, named, incomplete }) = found else { return Ok(None) };
    let made = py.detach(|| {
        let (keys, files) = files.into_iter().unzip();
        let (kinds, names) = named.into_iter().unzip();
        let mut made: Vec<Table> = tables(kernel)?;
        made.retain(|table| matches!(table.name, "definitions" | "members"));
        made.push(table("files", vec![required("key", unsigned(keys)), required("file", texts(files))])?);
        made.push(table("named", vec![required("kind", repeated(kinds)), required("name", texts(names))])?);
        Ok(made)
    });
    let dict = PyDict::new(py);
    for table in made.map_err(|e: arrow_schema::ArrowError| ReadError::new_err(e.to_string()))? {
        dict.set_item(table.name, Py::new(py, ArrowStream(table))?)?;
    }
    Ok(Some((dict.unbind(), incomplete)))
}
