//! A kernel's tables as Arrow batches. The columns are those of `ksurf.dataset.schema`, in its order.

use arrow_array::builder::{LargeBinaryBuilder, StringBuilder};
use arrow_array::types::{ArrowPrimitiveType, Int32Type, Int64Type, UInt64Type};
use arrow_array::{
    Array, ArrayRef, BooleanArray, DictionaryArray, Int32Array, PrimitiveArray, RecordBatch, StringArray,
    UInt64Array,
};
use arrow_schema::{ArrowError, Field, Schema};
use ksurf_read::kernel::{Kernel, Nullable};
use std::sync::Arc;

/// One table: its name and all of its rows in one batch.
pub struct Table {
    pub name: &'static str,
    pub rows: RecordBatch,
}

/// Turns a kernel into tables. The column vectors are consumed, so that memory does not hold both.
pub fn tables(kernel: Kernel) -> Result<Vec<Table>, ArrowError> {
    let Kernel { images, units, functions, instances, call_sites, symbols, paths, sections, .. } = kernel;
    let Kernel { types, type_uses, definitions, btf, .. } = kernel;
    let Kernel { tracepoints, tracepoint_fields, syscalls, exports, btf_ids, .. } = kernel;
    let members = definitions.members;
    let names: ArrayRef = Arc::new(StringArray::from_iter_values(definitions.texts.iter()));
    let paths: ArrayRef = Arc::new(StringArray::from_iter_values(paths.iter()));
    let sections: ArrayRef = Arc::new(StringArray::from_iter_values(sections.iter()));
    Ok(vec![
        table(
            "images",
            vec![
                ids(images.name.len()),
                required("name", texts(images.name)),
                required("path", texts(images.path)),
                optional("build_id", optional_texts(images.build_id)),
                required("evidence", repeated(images.evidence)),
            ],
        )?,
        table(
            "units",
            vec![
                ids(units.image.len()),
                required("image", integers(units.image)),
                required("path", texts(units.path)),
                optional("language", optional_repeated(&units.language)),
                optional("producer", optional_repeated(&units.producer)),
            ],
        )?,
        table(
            "functions",
            vec![
                ids(functions.name.len()),
                required("name", texts(functions.name)),
                optional("linkage_name", optional_texts(functions.linkage_name)),
                optional("decl_file", numbered(functions.decl_file, &paths)?),
                optional("decl_line", optional_integers(functions.decl_line)),
                optional("external", Arc::new(BooleanArray::from(functions.external))),
                optional("declared_inline", Arc::new(BooleanArray::from(functions.declared_inline))),
                optional("prototype", optional_texts(functions.prototype)),
            ],
        )?,
        table(
            "instances",
            vec![
                ids(instances.function.len()),
                required("function", integers(instances.function)),
                required("image", integers(instances.image)),
                optional("unit", optional_integers(instances.unit)),
                optional("inlined", Arc::new(BooleanArray::from(instances.inlined))),
                required("out_of_line", Arc::new(BooleanArray::from(instances.out_of_line))),
                optional("address", Arc::new(UInt64Array::from(instances.address))),
                optional("byte_size", Arc::new(UInt64Array::from(instances.byte_size))),
                optional("section", numbered(instances.section, &sections)?),
                optional("inline_address", Arc::new(UInt64Array::from(instances.inline_address))),
            ],
        )?,
        table(
            "call_sites",
            vec![
                required("caller", integers(call_sites.caller)),
                required("depth", integers(call_sites.depth)),
                required("callee", integers(call_sites.callee)),
                optional("callee_instance", optional_integers(call_sites.callee_instance)),
                required("inline", Arc::new(BooleanArray::from(call_sites.inline))),
                optional("file", numbered(call_sites.file, &paths)?),
                optional("line", optional_integers(call_sites.line)),
            ],
        )?,
        table(
            "symbols",
            vec![
                required("name", texts(symbols.name)),
                optional("function", integers(symbols.function)),
                optional("instance", optional_integers(symbols.instance)),
                required("image", integers(symbols.image)),
                optional("section", numbered(symbols.section, &sections)?),
                required("address", Arc::new(UInt64Array::from(symbols.address))),
                optional("byte_size", Arc::new(UInt64Array::from(symbols.byte_size))),
                required("bind", repeated(symbols.bind)),
                required("type", repeated(symbols.kind)),
                optional("ftrace", Arc::new(BooleanArray::from(symbols.ftrace))),
                optional("kprobe_blacklist", optional_repeated(&symbols.kprobe_blacklist)),
                optional("error_injection", optional_repeated(&symbols.error_injection)),
                required("init", Arc::new(BooleanArray::from(symbols.init))),
            ],
        )?,
        table(
            "types",
            vec![
                required("name", named(types.name, &names)?),
                required("kind", repeated(types.kind)),
                required("image", integers(types.image)),
                required("definition", unsigned(types.definition)),
                required("evidence", repeated(types.evidence)),
            ],
        )?,
        table(
            "type_uses",
            vec![
                required("name", named(type_uses.name, &names)?),
                required("definition", unsigned(type_uses.definition)),
                required("image", integers(type_uses.image)),
                required("user_kind", repeated(type_uses.user_kind)),
                required("user", named(type_uses.user, &names)?),
            ],
        )?,
        table(
            "definitions",
            vec![
                required("key", unsigned(definitions.key)),
                required("kind", repeated(definitions.kind)),
                required("name", named(definitions.name, &names)?),
                optional("byte_size", Arc::new(UInt64Array::from(definitions.byte_size))),
                optional("signed", Arc::new(BooleanArray::from(definitions.signed))),
                optional("type", numbered(definitions.type_text, &names)?),
                optional("tags", numbered(definitions.tags, &names)?),
            ],
        )?,
        table(
            "members",
            vec![
                required("definition", unsigned(members.definition)),
                required("position", integers(members.position)),
                required("depth", integers(members.depth)),
                optional("name", nullable_named(members.name, &names)?),
                optional("type", nullable_named(members.type_text, &names)?),
                optional("bit_offset", nullable::<UInt64Type>(members.bit_offset)),
                optional("byte_size", nullable::<UInt64Type>(members.byte_size)),
                optional("bit_size", nullable::<Int32Type>(members.bit_size)),
                optional("value", nullable::<Int64Type>(members.value)),
                optional("tags", nullable_named(members.tags, &names)?),
            ],
        )?,
        table(
            "tracepoints",
            vec![
                ids(tracepoints.name.len()),
                required("image", integers(tracepoints.image)),
                optional("system", optional_texts(tracepoints.system)),
                required("name", texts(tracepoints.name)),
                optional("class", optional_texts(tracepoints.class)),
                optional("tracepoint", optional_texts(tracepoints.tracepoint)),
                optional("print_format", optional_texts(tracepoints.print_format)),
            ],
        )?,
        table(
            "tracepoint_fields",
            vec![
                required("tracepoint", integers(tracepoint_fields.tracepoint)),
                required("position", integers(tracepoint_fields.position)),
                required("name", texts(tracepoint_fields.name)),
                required("type", texts(tracepoint_fields.type_text)),
                required("byte_offset", integers(tracepoint_fields.byte_offset)),
                required("byte_size", integers(tracepoint_fields.byte_size)),
                required("signed", Arc::new(BooleanArray::from(tracepoint_fields.signed))),
            ],
        )?,
        table(
            "syscalls",
            vec![
                required("abi", repeated(syscalls.abi)),
                required("number", integers(syscalls.number)),
                required("name", texts(syscalls.name)),
                required("entry", texts(syscalls.entry)),
            ],
        )?,
        table(
            "exports",
            vec![
                required("name", texts(exports.name)),
                required("image", integers(exports.image)),
                required("gpl", Arc::new(BooleanArray::from(exports.gpl))),
                optional("namespace", optional_texts(exports.namespace)),
                optional("crc", Arc::new(UInt64Array::from(exports.crc))),
            ],
        )?,
        table(
            "btf_ids",
            vec![
                required("set", texts(btf_ids.set)),
                required("image", integers(btf_ids.image)),
                optional("set_flags", optional_integers(btf_ids.set_flags)),
                optional("registered_as", optional_repeated(&btf_ids.registered_as)),
                required("kind", texts(btf_ids.kind)),
                required("name", texts(btf_ids.name)),
                optional("flags", optional_integers(btf_ids.flags)),
                optional("program_types", optional_texts(btf_ids.program_types)),
            ],
        )?,
        table("btf", vec![required("image", integers(btf.image)), required("bytes", binary(btf.bytes))])?,
    ])
}

pub type Column = (Field, ArrayRef);

pub fn table(name: &'static str, columns: Vec<Column>) -> Result<Table, ArrowError> {
    let (fields, arrays): (Vec<Field>, Vec<ArrayRef>) = columns.into_iter().unzip();
    Ok(Table { name, rows: RecordBatch::try_new(Arc::new(Schema::new(fields)), arrays)? })
}

pub fn required(name: &str, values: ArrayRef) -> Column {
    (Field::new(name, values.data_type().clone(), false), values)
}

pub fn optional(name: &str, values: ArrayRef) -> Column {
    (Field::new(name, values.data_type().clone(), true), values)
}

pub fn ids(count: usize) -> Column {
    required("id", integers((0..count as i32).collect()))
}

pub fn integers(values: Vec<i32>) -> ArrayRef {
    Arc::new(Int32Array::from(values))
}

pub fn optional_integers(values: Vec<Option<i32>>) -> ArrayRef {
    Arc::new(Int32Array::from(values))
}

pub fn texts(values: Vec<String>) -> ArrayRef {
    Arc::new(StringArray::from_iter_values(values))
}

pub fn optional_texts(values: Vec<Option<String>>) -> ArrayRef {
    let mut builder =
        StringBuilder::with_capacity(values.len(), values.iter().flatten().map(String::len).sum());
    for value in values {
        builder.append_option(value);
    }
    Arc::new(builder.finish())
}

fn binary(values: Vec<Vec<u8>>) -> ArrayRef {
    let mut builder = LargeBinaryBuilder::with_capacity(values.len(), values.iter().map(Vec::len).sum());
    for value in values {
        builder.append_value(value);
    }
    Arc::new(builder.finish())
}

/// A few strings, many times.
pub fn repeated(values: Vec<&'static str>) -> ArrayRef {
    Arc::new(values.into_iter().collect::<DictionaryArray<Int32Type>>())
}

pub fn optional_repeated<T: AsRef<str>>(values: &[Option<T>]) -> ArrayRef {
    Arc::new(values.iter().map(|value| value.as_ref().map(T::as_ref)).collect::<DictionaryArray<Int32Type>>())
}

pub fn unsigned(values: Vec<u64>) -> ArrayRef {
    Arc::new(UInt64Array::from(values))
}

fn nullable<T: ArrowPrimitiveType>(column: Nullable<T::Native>) -> ArrayRef {
    Arc::new(nullable_array::<T>(column))
}

fn nullable_array<T: ArrowPrimitiveType>(column: Nullable<T::Native>) -> PrimitiveArray<T> {
    PrimitiveArray::new(column.values.into(), Some(column.valid.into()))
}

/// Numbers of strings that several columns share.
fn nullable_named(column: Nullable<i32>, strings: &ArrayRef) -> Result<ArrayRef, ArrowError> {
    let numbers = nullable_array::<Int32Type>(column);
    Ok(Arc::new(DictionaryArray::<Int32Type>::try_new(numbers, Arc::clone(strings))?))
}

/// Numbers of strings that several columns share, none missing.
fn named(values: Vec<i32>, strings: &ArrayRef) -> Result<ArrayRef, ArrowError> {
    Ok(Arc::new(DictionaryArray::<Int32Type>::try_new(Int32Array::from(values), Arc::clone(strings))?))
}

/// Numbers of strings that several columns share.
fn numbered(values: Vec<Option<i32>>, strings: &ArrayRef) -> Result<ArrayRef, ArrowError> {
    Ok(Arc::new(DictionaryArray::<Int32Type>::try_new(Int32Array::from(values), Arc::clone(strings))?))
}
