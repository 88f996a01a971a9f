//! eBPF objects: found in files, and each as tables.

use crate::error::{exception, ReadError};
use crate::tables::{
    ids, integers, optional, optional_integers, optional_repeated, optional_texts, repeated, required, table,
    texts, unsigned, Table,
};
use crate::ArrowStream;
use arrow_array::{ArrayRef, BooleanArray, Int64Array, UInt32Array};
use arrow_schema::ArrowError;
use ksurf_read::bpf::embedded::{self, Found};
use ksurf_read::bpf::object::{Object, Target};
use ksurf_read::error::{At, Error, Result};
use pyo3::prelude::*;
use pyo3::types::PyDict;
use std::borrow::Cow;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// One eBPF object: where it is, its bytes, and what is in it.
#[pyclass(frozen, module = "ksurf._core")]
pub struct BpfObject {
    #[pyo3(get)]
    section: Option<String>,
    #[pyo3(get)]
    offset: usize,
    bytes: Vec<u8>,
    tables: Py<PyDict>,
    #[pyo3(get)]
    license: Option<String>,
    #[pyo3(get)]
    kernel_version: Option<u32>,
    #[pyo3(get)]
    incomplete: Vec<(String, String)>,
}

#[pymethods]
impl BpfObject {
    #[getter]
    fn data(&self) -> Cow<'_, [u8]> {
        Cow::Borrowed(&self.bytes)
    }

    #[getter]
    fn tables(&self, py: Python<'_>) -> Py<PyDict> {
        self.tables.clone_ref(py)
    }
}

/// An object that was read, before Python has it.
struct Read {
    found: Found,
    bytes: Vec<u8>,
    object: Object,
    tables: Vec<Table>,
}

fn read(data: &[u8], found: Found) -> Result<Read> {
    let bytes = data[found.range.clone()].to_vec();
    let object = Object::read(&bytes)?;
    let tables = tables(&object).map_err(|e| Error::unsupported("table of an eBPF object", e))?;
    Ok(Read { found, bytes, object, tables })
}

/// The objects of a file; of one that cannot be read only what is wrong with it.
fn read_all(data: &[u8]) -> Result<Vec<Read>> {
    let objects = embedded::find(data)?.into_iter().map(|found| {
        read(data, found.clone()).or_else(|error| {
            let incomplete = vec![("object".to_owned(), error.to_string())];
            let object = Object { incomplete, ..Object::default() };
            let tables = tables(&object).map_err(|e| Error::unsupported("table", e))?;
            Ok(Read { bytes: data[found.range.clone()].to_vec(), found, object, tables })
        })
    });
    objects.collect()
}

fn handle(py: Python<'_>, read: Read) -> PyResult<BpfObject> {
    let dict = PyDict::new(py);
    for table in read.tables {
        dict.set_item(table.name, Py::new(py, ArrowStream(table))?)?;
    }
    let Object { license, kernel_version, incomplete, .. } = read.object;
    Ok(BpfObject {
        section: read.found.section,
        offset: read.found.range.start,
        bytes: read.bytes,
        tables: dict.unbind(),
        license,
        kernel_version,
        incomplete,
    })
}

fn handles(py: Python<'_>, all: Result<Vec<Read>>) -> PyResult<Vec<BpfObject>> {
    all.map_err(|e| exception(&e))?.into_iter().map(|read| handle(py, read)).collect()
}

fn read_file(path: &Path) -> Result<Vec<Read>> {
    let file = File::open(path).map_err(Error::io("open"))?;
    // SAFETY: only read; a file that shrinks meanwhile ends the process, as with every mapped input here.
    let map = unsafe { memmap2::Mmap::map(&file) }.map_err(Error::io("map"))?;
    read_all(&map)
}

#[pyfunction]
pub fn bpf_objects(py: Python<'_>, path: PathBuf) -> PyResult<Vec<BpfObject>> {
    let all = py.detach(|| read_file(&path).at(path.display()));
    handles(py, all)
}

#[pyfunction]
pub fn bpf_object(py: Python<'_>, data: &[u8]) -> PyResult<BpfObject> {
    let read = py.detach(|| read(data, Found { section: None, range: 0..data.len() }));
    let read = read.map_err(|e| ReadError::new_err(e.to_string()))?;
    handle(py, read)
}

fn booleans(values: impl Iterator<Item = bool>) -> ArrayRef {
    Arc::new(BooleanArray::from(values.collect::<Vec<bool>>()))
}

/// Numbers of rows and of instructions.
fn numbers(values: impl Iterator<Item = u32>) -> ArrayRef {
    integers(values.map(|value| value as i32).collect())
}

fn optional_numbers(values: impl Iterator<Item = Option<u32>>) -> ArrayRef {
    optional_integers(values.map(|value| value.map(|value| value as i32)).collect())
}

fn words(values: impl Iterator<Item = Option<u32>>) -> ArrayRef {
    Arc::new(UInt32Array::from(values.collect::<Vec<_>>()))
}

fn tables(object: &Object) -> std::result::Result<Vec<Table>, ArrowError> {
    let Object { programs, calls, helper_calls, maps, externs, references, struct_ops, .. } = object;
    let Object { context_loads: loads, lines, .. } = object;
    let attached = || programs.iter().map(|program| &program.attachment);
    let programs = table(
        "programs",
        vec![
            ids(programs.len()),
            required("name", texts(programs.iter().map(|p| p.name.clone()).collect())),
            required("section", texts(programs.iter().map(|p| p.section.clone()).collect())),
            required("byte_offset", unsigned(programs.iter().map(|p| p.byte_offset).collect())),
            required("byte_size", unsigned(programs.iter().map(|p| p.byte_size).collect())),
            required("subprogram", booleans(programs.iter().map(|p| p.subprogram))),
            optional("context", optional_texts(programs.iter().map(|p| p.context.clone()).collect())),
            required("optional", booleans(attached().map(|a| a.optional))),
            optional("definition", optional_repeated(&attached().map(|a| a.definition).collect::<Vec<_>>())),
            optional(
                "program_type",
                optional_repeated(&attached().map(|a| a.program_type).collect::<Vec<_>>()),
            ),
            optional(
                "attach_type",
                optional_repeated(&attached().map(|a| a.attach_type).collect::<Vec<_>>()),
            ),
            required("sleepable", booleans(attached().map(|a| a.sleepable))),
            optional("mechanism", optional_repeated(&attached().map(|a| a.mechanism).collect::<Vec<_>>())),
            optional("target", optional_texts(attached().map(|a| a.target.clone()).collect())),
        ],
    )?;
    let calls = table(
        "calls",
        vec![
            required("program", numbers(calls.iter().map(|c| c.program))),
            required("instruction", numbers(calls.iter().map(|c| c.instruction))),
            required("callee", numbers(calls.iter().map(|c| c.callee))),
            required("address", booleans(calls.iter().map(|c| c.address))),
        ],
    )?;
    let helper_calls = table(
        "helper_calls",
        vec![
            required("program", numbers(helper_calls.iter().map(|c| c.program))),
            required("instruction", numbers(helper_calls.iter().map(|c| c.instruction))),
            required("helper", integers(helper_calls.iter().map(|c| c.helper).collect())),
            optional(
                "name",
                optional_repeated(&helper_calls.iter().map(|c| c.name.as_deref()).collect::<Vec<_>>()),
            ),
        ],
    )?;
    let maps = table(
        "maps",
        vec![
            ids(maps.len()),
            required("name", texts(maps.iter().map(|m| m.name.clone()).collect())),
            required("declared", repeated(maps.iter().map(|m| m.declared.name()).collect())),
            optional("type", words(maps.iter().map(|m| m.kind))),
            optional("type_name", optional_texts(maps.iter().map(|m| m.type_name.clone()).collect())),
            optional("key_size", words(maps.iter().map(|m| m.key_size))),
            optional("value_size", words(maps.iter().map(|m| m.value_size))),
            optional("max_entries", words(maps.iter().map(|m| m.max_entries))),
            optional("flags", words(maps.iter().map(|m| m.flags))),
            optional("pinning", words(maps.iter().map(|m| m.pinning))),
            optional("inner", optional_numbers(maps.iter().map(|m| m.inner))),
        ],
    )?;
    let externs = table(
        "externs",
        vec![
            ids(externs.len()),
            required("name", texts(externs.iter().map(|e| e.name.clone()).collect())),
            required("sort", repeated(externs.iter().map(|e| e.sort.name()).collect())),
            optional("type", optional_texts(externs.iter().map(|e| e.type_text.clone()).collect())),
            required("weak", booleans(externs.iter().map(|e| e.weak))),
        ],
    )?;
    let target = |found: &Target| match *found {
        Target::Map(number) => ("map", number),
        Target::Extern(number) => ("extern", number),
        Target::Program(number) => ("program", number),
    };
    let relocations = table(
        "relocations",
        vec![
            required("program", numbers(references.iter().map(|r| r.program))),
            required("instruction", numbers(references.iter().map(|r| r.instruction))),
            required("to", repeated(references.iter().map(|r| target(&r.target).0).collect())),
            required("target", numbers(references.iter().map(|r| target(&r.target).1))),
            optional(
                "byte_offset",
                Arc::new(Int64Array::from(references.iter().map(|r| r.byte_offset).collect::<Vec<_>>())),
            ),
        ],
    )?;
    let members = || {
        (0..).zip(struct_ops.iter()).flat_map(|(at, ops)| ops.members.iter().map(move |member| (at, member)))
    };
    let struct_ops_members = table(
        "struct_ops_members",
        vec![
            required("struct_ops", integers(members().map(|(at, _)| at).collect())),
            required("name", texts(members().map(|(_, member)| member.name.clone()).collect())),
            optional("program", optional_numbers(members().map(|(_, member)| member.program))),
        ],
    )?;
    let struct_ops = table(
        "struct_ops",
        vec![
            ids(struct_ops.len()),
            required("name", texts(struct_ops.iter().map(|o| o.name.clone()).collect())),
            required("type", texts(struct_ops.iter().map(|o| o.type_name.clone()).collect())),
            required("section", texts(struct_ops.iter().map(|o| o.section.clone()).collect())),
            required("link", booleans(struct_ops.iter().map(|o| o.link))),
            required("optional", booleans(struct_ops.iter().map(|o| o.optional))),
        ],
    )?;
    let context_loads = table(
        "context_loads",
        vec![
            required("program", numbers(loads.iter().map(|l| l.program))),
            required("function", numbers(loads.iter().map(|l| l.function))),
            required("instruction", numbers(loads.iter().map(|l| l.instruction))),
            required("byte_offset", numbers(loads.iter().map(|l| l.byte_offset))),
            required("byte_size", numbers(loads.iter().map(|l| l.byte_size.into()))),
            optional("field", optional_texts(loads.iter().map(|l| l.field.clone()).collect())),
            optional("field_type", optional_texts(loads.iter().map(|l| l.field_type.clone()).collect())),
            required("relocated", booleans(loads.iter().map(|l| l.relocated))),
        ],
    )?;
    let source_lines = table(
        "lines",
        vec![
            required("program", numbers(lines.iter().map(|l| l.program))),
            required("instruction", numbers(lines.iter().map(|l| l.instruction))),
            optional("file", optional_repeated(&lines.iter().map(|l| l.file.as_deref()).collect::<Vec<_>>())),
            optional("line", optional_numbers(lines.iter().map(|l| l.line))),
            optional("text", optional_repeated(&lines.iter().map(|l| l.text.as_deref()).collect::<Vec<_>>())),
        ],
    )?;
    Ok(vec![
        programs,
        calls,
        helper_calls,
        maps,
        externs,
        relocations,
        struct_ops,
        struct_ops_members,
        context_loads,
        source_lines,
    ])
}
