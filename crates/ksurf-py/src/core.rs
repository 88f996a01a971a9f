//! CO-RE relocations of eBPF objects as Arrow tables: what they are about, and what becomes of them on a kernel.

use crate::error::{exception, ReadError};
use crate::tables::{optional, optional_integers, optional_texts, required, table, texts, Table};
use crate::ArrowStream;
use arrow_array::{BinaryArray, BooleanArray, Int32Array, Int64Array, UInt32Array, UInt64Array};
use arrow_schema::ArrowError;
use ksurf_read::bpf::btf_ext::BtfExt;
use ksurf_read::bpf::core::{relocations, resolve, Outcome, Relocation, Target};
use ksurf_read::btf::Btf;
use ksurf_read::elf::{text, Buffer, Image};
use ksurf_read::error::{At, Error, Result};
use pyo3::buffer::PyBuffer;
use pyo3::prelude::*;
use pyo3::pybacked::PyBackedBytes;
use rayon::prelude::*;
use std::ops::Deref;
use std::sync::Arc;

/// Reads an object's types and relocations; an object without them has none.
pub fn read<T>(
    data: &[u8],
    with: impl FnOnce(&Image, &Btf<'_>, &[Relocation<'_>]) -> Result<T>,
) -> Result<T> {
    let image = Image::parse(Buffer::Memory(data.to_vec()))?;
    let own = image.section(".BTF").map(|section| image.section_bytes(section));
    if own.is_none() && image.section(".BTF.ext").is_some() {
        return Err(Error::corrupt("eBPF object", 0, "it has a .BTF.ext section and no .BTF"));
    }
    // A BTF without types.
    let empty = [0x9f, 0xeb, 1, 0, 24, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    let btf = Btf::parse(own.unwrap_or(&empty), None)?;
    let list = relocations(&image, &btf)?;
    with(&image, &btf, &list)
}

/// A column of text that nearly always has some.
type Texts = Vec<Option<String>>;

/// What an object's relocations are about.
fn relocations_table(data: &[u8]) -> Result<std::result::Result<Table, ArrowError>> {
    read(data, |image, btf, list| {
        let ext = image.section(".BTF.ext").map(|section| BtfExt::parse(image.section_bytes(section), btf));
        let ext = ext.transpose()?;
        let lines = ext.as_ref().map(BtfExt::lines).transpose()?.unwrap_or_default();
        let functions = ext.as_ref().map(BtfExt::functions).transpose()?.unwrap_or_default();
        let function = |relocation: &Relocation<'_>| {
            let of_section = functions.iter().filter(|records| records.section == relocation.section);
            let before =
                of_section.flat_map(|records| &records.list).filter(|f| f.offset <= relocation.offset);
            let found = before.max_by_key(|function| function.offset)?;
            let number = (relocation.offset - found.offset) / 8;
            Some((text(btf.get(found.type_id).ok()?.name), number as i32))
        };
        let (mut section, mut offset, mut kind) = (Vec::new(), Vec::new(), Vec::new());
        let (mut root_kind, mut root, mut flavor): (Texts, Texts, Texts) = Default::default();
        let (mut path, mut type_text, mut reason): (Texts, Texts, Texts) = Default::default();
        let (mut called, mut file, mut source): (Texts, Texts, Texts) = Default::default();
        let (mut line, mut column, mut instruction) = (Vec::new(), Vec::new(), Vec::new());
        let mut value = Vec::new();
        for relocation in list {
            section.push(text(relocation.section));
            offset.push(relocation.offset);
            kind.push(relocation.kind.name());
            let (subject, error) = match relocation.subject(btf) {
                Ok(subject) => (Some(subject), None),
                Err(error) => (None, Some(error.to_string())),
            };
            reason.push(error);
            root_kind.push(subject.as_ref().map(|s| s.root_kind.to_owned()));
            root.push(subject.as_ref().map(|s| s.root.clone()).filter(|name| !name.is_empty()));
            flavor.push(subject.as_ref().and_then(|s| s.flavor.clone()));
            path.push(subject.as_ref().and_then(|s| s.path.clone()));
            value.push(subject.as_ref().and_then(|s| s.value));
            type_text.push(subject.and_then(|s| s.type_text));
            let (name, number) = function(relocation).unzip();
            called.push(name);
            instruction.push(number);
            let found = lines.at(relocation.section, relocation.offset);
            let some = |name: &[u8]| (!name.is_empty()).then(|| text(name));
            file.push(found.and_then(|line| some(line.file)));
            source.push(found.and_then(|line| some(line.text.trim_ascii())));
            line.push(found.map(|line| line.line as i32).filter(|&line| line > 0));
            column.push(found.map(|line| line.column as i32).filter(|&column| column > 0));
        }
        let table = table(
            "core_relocations",
            vec![
                required("number", Arc::new(Int32Array::from_iter_values(0..list.len() as i32))),
                required("section", texts(section)),
                required("offset", Arc::new(UInt32Array::from(offset))),
                required("kind", texts(kind)),
                optional("root_kind", optional_texts(root_kind)),
                optional("root", optional_texts(root)),
                optional("flavor", optional_texts(flavor)),
                optional("path", optional_texts(path)),
                optional("type", optional_texts(type_text)),
                optional("value", Arc::new(Int64Array::from(value))),
                optional("function", optional_texts(called)),
                optional("instruction", optional_integers(instruction)),
                optional("file", optional_texts(file)),
                optional("line", optional_integers(line)),
                optional("column", optional_integers(column)),
                optional("text", optional_texts(source)),
                optional("reason", optional_texts(reason)),
            ],
        );
        Ok(table)
    })
}

/// What becomes of the relocations of objects on one kernel.
fn outcomes_table(
    objects: &[&[u8]],
    vmlinux: &[u8],
    modules: Vec<(&str, &[u8])>,
) -> Result<std::result::Result<Table, ArrowError>> {
    let btf = Btf::parse(vmlinux, None).at("vmlinux")?;
    let target = Target::new(&btf, modules);
    let resolved: Vec<Result<Vec<Outcome>>> =
        objects.par_iter().map(|data| read(data, |_, btf, list| Ok(resolve(btf, list, &target)))).collect();
    let (mut object, mut relocation, mut status) = (Vec::new(), Vec::new(), Vec::new());
    let (mut value, mut original, mut poisoned) = (Vec::new(), Vec::new(), Vec::new());
    let (mut image, mut name, mut reason): (Texts, Texts, Texts) = Default::default();
    let mut patched = Vec::new();
    for (number, outcomes) in resolved.into_iter().enumerate() {
        for (place, outcome) in outcomes.at(format!("object {number}"))?.into_iter().enumerate() {
            object.push(number as i32);
            relocation.push(place as i32);
            status.push(outcome.status.as_str().to_owned());
            value.push(outcome.value);
            original.push(outcome.original);
            poisoned.push(outcome.patched.as_ref().is_some_and(|patched| patched.poisoned));
            patched.push(outcome.patched.map(|patched| patched.bytes));
            let (of, called) = outcome.found.unzip();
            image.push(of);
            name.push(called);
            reason.push(outcome.reason);
        }
    }
    let patched = BinaryArray::from_iter(patched);
    Ok(table(
        "core_outcomes",
        vec![
            required("object", Arc::new(Int32Array::from(object))),
            required("relocation", Arc::new(Int32Array::from(relocation))),
            required("status", texts(status)),
            optional("value", Arc::new(UInt64Array::from(value))),
            optional("original", Arc::new(UInt64Array::from(original))),
            required("poisoned", Arc::new(BooleanArray::from(poisoned))),
            optional("instruction", Arc::new(patched)),
            optional("image", optional_texts(image)),
            optional("type", optional_texts(name)),
            optional("reason", optional_texts(reason)),
        ],
    ))
}

/// A table that needs no kernel, made without the GIL.
pub fn stream(
    py: Python<'_>,
    make: impl FnOnce() -> Result<std::result::Result<Table, ArrowError>> + Send,
) -> PyResult<ArrowStream> {
    let table = py.detach(make).map_err(|e| exception(&e))?;
    table.map(ArrowStream).map_err(|e| ReadError::new_err(e.to_string()))
}

/// Anything that has bytes: `bytes` as they are, the rest (a buffer of Arrow, a `memoryview`) as a copy.
pub enum Bytes {
    Own(PyBackedBytes),
    Copy(Vec<u8>),
}

impl<'py> FromPyObject<'_, 'py> for Bytes {
    type Error = PyErr;

    fn extract(object: Borrowed<'_, 'py, PyAny>) -> PyResult<Bytes> {
        match object.extract::<PyBackedBytes>() {
            Ok(bytes) => Ok(Bytes::Own(bytes)),
            Err(_) => Ok(Bytes::Copy(PyBuffer::<u8>::get(&object)?.to_vec(object.py())?)),
        }
    }
}

impl Deref for Bytes {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match self {
            Bytes::Own(bytes) => bytes,
            Bytes::Copy(bytes) => bytes,
        }
    }
}

#[pyfunction]
pub fn core_relocations(py: Python<'_>, data: Bytes) -> PyResult<ArrowStream> {
    stream(py, || relocations_table(&data))
}

#[pyfunction]
pub fn core_resolve(
    py: Python<'_>,
    objects: Vec<Bytes>,
    vmlinux_btf: Bytes,
    module_btfs: Vec<(String, Bytes)>,
) -> PyResult<ArrowStream> {
    stream(py, || {
        let objects: Vec<&[u8]> = objects.iter().map(Deref::deref).collect();
        let modules = module_btfs.iter().map(|(name, btf)| (name.as_str(), &**btf)).collect();
        outcomes_table(&objects, &vmlinux_btf, modules)
    })
}
