//! What the images offer beside functions and types, one table for each kind.

use super::{incomplete, Kernel};
use crate::btf::Btf;
use crate::extract::Unreadable;
use crate::image::{ImageRows, TypeSource};
use crate::surface::btf_ids::{BtfId, BtfSet, Role};
use std::rc::Rc;

#[derive(Debug, Default)]
pub struct Tracepoints {
    pub image: Vec<i32>,
    pub system: Vec<Option<String>>,
    pub name: Vec<String>,
    pub class: Vec<Option<String>>,
    pub tracepoint: Vec<Option<String>>,
    pub print_format: Vec<Option<String>>,
}

#[derive(Debug, Default)]
pub struct TracepointFields {
    pub tracepoint: Vec<i32>,
    pub position: Vec<i32>,
    pub name: Vec<String>,
    pub type_text: Vec<String>,
    pub byte_offset: Vec<i32>,
    pub byte_size: Vec<i32>,
    pub signed: Vec<bool>,
}

#[derive(Debug, Default)]
pub struct Syscalls {
    pub abi: Vec<&'static str>,
    pub number: Vec<i32>,
    pub name: Vec<String>,
    pub entry: Vec<String>,
}

#[derive(Debug, Default)]
pub struct Exports {
    pub name: Vec<String>,
    pub image: Vec<i32>,
    pub gpl: Vec<bool>,
    pub namespace: Vec<Option<String>>,
    pub crc: Vec<Option<u64>>,
}

#[derive(Debug, Default)]
pub struct BtfIds {
    pub set: Vec<String>,
    pub image: Vec<i32>,
    pub set_flags: Vec<Option<i32>>,
    pub registered_as: Vec<Option<&'static str>>,
    pub kind: Vec<String>,
    pub name: Vec<String>,
    pub flags: Vec<Option<i32>>,
    pub program_types: Vec<Option<String>>,
}

/// Takes the offers out of the images. `base` is the BTF of modules whose vmlinux is not among them.
pub(super) fn join(images: &mut [ImageRows], base: Option<&Btf<'_>>, kernel: &mut Kernel) -> Vec<Unreadable> {
    let mut missing = Vec::new();
    let (mut tracepoints, mut exports, mut ids, mut syscalls) =
        (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    let bytes = |image: &ImageRows| match &image.types {
        TypeSource::Btf(bytes) => Some(bytes.clone()),
        _ => None,
    };
    let base_bytes = images.iter().find(|image| image.name == "vmlinux").and_then(bytes);
    let own_base = base_bytes.as_deref().and_then(|bytes| Btf::parse(bytes, None).ok());
    let base = own_base.as_ref().or(base);
    for (number, image) in images.iter_mut().enumerate() {
        let surface = std::mem::take(&mut image.surface);
        let number = number as i32;
        tracepoints.extend(surface.tracepoints.into_iter().map(|t| (number, t)));
        exports.extend(surface.exports.into_iter().map(|e| (number, e)));
        if image.name == "vmlinux" || surface.btf_ids.is_empty() {
            name(surface.btf_ids, own_base.as_ref(), number, &mut ids);
        } else {
            let own = bytes(image).filter(|_| base.is_some());
            let own = own.as_deref().and_then(|bytes| Btf::parse(bytes, base).ok());
            name(surface.btf_ids, own.as_ref(), number, &mut ids);
        }
        syscalls.extend(surface.syscalls);
        missing.extend(surface.incomplete.into_iter().map(|reason| incomplete(image, reason)));
    }
    tracepoints.sort_by(|(i, a), (j, b)| (&a.name, &a.system, i).cmp(&(&b.name, &b.system, j)));
    for (id, (image, tracepoint)) in tracepoints.into_iter().enumerate() {
        let out = &mut kernel.tracepoint_fields;
        for (position, field) in tracepoint.fields.into_iter().enumerate() {
            out.tracepoint.push(id as i32);
            out.position.push(position as i32);
            out.name.push(field.name);
            out.type_text.push(field.type_text);
            out.byte_offset.push(field.byte_offset as i32);
            out.byte_size.push(field.byte_size as i32);
            out.signed.push(field.signed);
        }
        let out = &mut kernel.tracepoints;
        out.image.push(image);
        out.system.push(tracepoint.system);
        out.name.push(tracepoint.name);
        out.class.push(tracepoint.class);
        out.tracepoint.push(tracepoint.tracepoint);
        out.print_format.push(tracepoint.print_format);
    }
    exports.sort_by(|(i, a), (j, b)| (&a.name, i).cmp(&(&b.name, j)));
    for (image, export) in exports {
        let out = &mut kernel.exports;
        out.name.push(export.name);
        out.image.push(image);
        out.gpl.push(export.gpl);
        out.namespace.push(export.namespace);
        out.crc.push(export.crc.map(u64::from));
    }
    // Within a set the kernel's own order is that of ids, which mean nothing outside of it.
    ids.sort_by(|(i, a, x), (j, b, y)| (&a.name, i, x).cmp(&(&b.name, j, y)));
    for (image, set, id) in ids {
        let out = &mut kernel.btf_ids;
        let types: Vec<String> = set.program_types.iter().map(u32::to_string).collect();
        out.set.push(set.name.clone());
        out.image.push(image);
        out.set_flags.push(set.flags.map(|flags| flags as i32));
        out.registered_as.push(set.registered_as.map(Role::as_str));
        out.kind.push(id.kind);
        out.name.push(id.name);
        out.flags.push(id.flags.map(|flags| flags as i32));
        out.program_types.push((!types.is_empty()).then(|| types.join(" ")));
    }
    syscalls.sort_by(|a, b| (a.abi, a.number).cmp(&(b.abi, b.number)));
    for syscall in syscalls {
        kernel.syscalls.abi.push(syscall.abi);
        kernel.syscalls.number.push(syscall.number as i32);
        kernel.syscalls.name.push(syscall.name);
        kernel.syscalls.entry.push(syscall.entry);
    }
    missing
}

/// Names the entries of an image's sets.
fn name(sets: Vec<BtfSet>, btf: Option<&Btf<'_>>, image: i32, out: &mut Vec<(i32, Rc<BtfSet>, BtfId)>) {
    for set in sets.into_iter().map(Rc::new) {
        out.extend(set.members(btf).into_iter().map(|id| (image, Rc::clone(&set), id)));
    }
}
