//! The configuration that a kernel built with `CONFIG_IKCONFIG` carries: a gzip file between two marks.
//!
//! Source: the kernel's kernel/configs.c, which includes `config_data.gz` between `IKCFG_ST` and `IKCFG_ED`.

use memchr::memmem;

use crate::archive::decompress;
use crate::error::{At, Error, Result};

const START: &[u8] = b"IKCFG_ST";
const END: &[u8] = b"IKCFG_ED";
/// RFC 1952: the magic number, then the one compression method there is.
const GZIP: &[u8] = &[0x1f, 0x8b, 8];
/// The largest text that is taken; that of a kernel with everything has some 300 kB.
const LIMIT: u64 = 16 << 20;

/// The text of the configuration in an image's bytes; `None` if there is none. A start mark counts only in
/// front of a gzip file, since code that looks for the marks has them, too.
pub fn find(data: &[u8]) -> Option<Result<Vec<u8>>> {
    let start = memmem::find_iter(data, START)
        .map(|found| found + START.len())
        .find(|&start| data[start..].starts_with(GZIP))?;
    let text = match memmem::find(&data[start..], END) {
        Some(len) => decompress(&data[start..start + len], LIMIT).map(|text| text.into_owned()),
        None => {
            let available = (data.len() - start) as u64;
            Err(Error::truncated("gzip file without an end mark", 0, available + END.len() as u64, available))
        }
    };
    Some(text.at(format_args!("the configuration at offset {start:#x}")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    const TEXT: &[u8] = b"CONFIG_BPF_SYSCALL=y\n# CONFIG_KCOV is not set\n";

    fn gz(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    fn image(before: &[u8], packed: &[u8]) -> Vec<u8> {
        [before, START, packed, END, b"what follows"].concat()
    }

    #[test]
    fn it_is_found_between_its_marks() {
        for before in [&b""[..], b"\x7fELF", b"IKCFG_ST IKCFG_ED IKCFG_STIKCFG_ST\x1f\x8b\x07"] {
            assert_eq!(find(&image(before, &gz(TEXT))).unwrap().unwrap(), TEXT);
        }
    }

    #[test]
    fn most_images_have_none() {
        for data in [&b""[..], b"IKCFG_ST", b"IKCFG_ED", b"IKCFG_STIKCFG_ED", &gz(TEXT)] {
            assert!(find(data).is_none());
        }
    }

    #[test]
    fn damage_is_an_error_that_names_the_place() {
        let whole = image(b"1234", &gz(TEXT));
        let end = whole.len() - b"IKCFG_EDwhat follows".len();
        let message = |data: &[u8]| find(data).unwrap().unwrap_err().to_string();
        assert_eq!(
            message(&whole[..end]),
            format!(
                "the configuration at offset 0xc: truncated: gzip file without an end mark at offset 0x0 needs \
                 {} bytes, {} are there",
                end - 12 + 8,
                end - 12
            )
        );
        let cut = [&whole[..end - 9], END].concat();
        assert!(message(&cut).starts_with("the configuration at offset 0xc: truncated: gzip stream"));
        let mut damaged = whole.clone();
        damaged[end - 8] ^= 1;
        assert!(message(&damaged).starts_with("the configuration at offset 0xc: corrupt: gzip stream"));
    }

    #[test]
    fn what_grows_without_end_is_refused() {
        let bomb = gz(&vec![b'#'; (LIMIT + 1) as usize]);
        let error = find(&image(b"", &bomb)).unwrap().unwrap_err();
        assert!(matches!(error.root(), Error::TooLarge { limit: LIMIT, .. }), "{error}");
    }

    #[test]
    fn many_marks_take_no_time() {
        let starts = START.repeat(1 << 20);
        assert!(find(&starts).is_none());
        let mut files = [START, GZIP].concat().repeat(1 << 20);
        assert!(find(&files).unwrap().is_err());
        files.extend_from_slice(END);
        assert!(find(&files).unwrap().is_err());
    }
}
