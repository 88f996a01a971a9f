//! Reads all types of an image's BTF into memory and tells how many there are: `read_btf VMLINUX`. What
//! `make bench` times against `bpftool btf dump file VMLINUX format raw`.

use ksurf_read::btf::Btf;
use ksurf_read::elf::Image;
use ksurf_read::extract;
use ksurf_read::surface::from_btf;
use std::error::Error;
use std::path::Path;

fn main() -> Result<(), Box<dyn Error>> {
    let path = std::env::args_os().nth(1).ok_or("read_btf VMLINUX")?;
    let image = Image::parse(extract::map(Path::new(&path))?)?;
    let types = from_btf::read(&Btf::parse(image.bytes(".BTF"), None)?)?;
    let definitions = &types.definitions;
    let (members, texts) = (definitions.count_members(), definitions.texts.len());
    println!("{} definitions, {members} members, {texts} texts", definitions.list.len());
    match types.incomplete {
        Some(reason) => Err(reason.into()),
        None => Ok(()),
    }
}
