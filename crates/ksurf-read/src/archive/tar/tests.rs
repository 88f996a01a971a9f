use super::header::{CHECKSUM, MAGIC, PREFIX};
use super::*;

/// One member's header, as POSIX has it.
pub fn header(path: &str, kind: u8, size: u64, link: &str) -> [u8; BLOCK] {
    let mut header = [0; BLOCK];
    header[..path.len()].copy_from_slice(path.as_bytes());
    header[100..108].copy_from_slice(b"0000644\0");
    header[SIZE].copy_from_slice(format!("{size:011o}\0").as_bytes());
    header[TYPE] = kind;
    header[LINK_NAME][..link.len()].copy_from_slice(link.as_bytes());
    header[MAGIC].copy_from_slice(b"ustar");
    header[263..265].copy_from_slice(b"00");
    sum(&mut header);
    header
}

fn sum(header: &mut [u8; BLOCK]) {
    header[CHECKSUM].fill(b' ');
    let sum: u32 = header.iter().map(|&byte| u32::from(byte)).sum();
    header[CHECKSUM].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
}

fn padded(data: &[u8]) -> Vec<u8> {
    let mut out = data.to_vec();
    out.resize(data.len() + padding(data.len() as u64) as usize, 0);
    out
}

fn member(path: &str, kind: u8, data: &[u8]) -> Vec<u8> {
    [&header(path, kind, data.len() as u64, "")[..], &padded(data)].concat()
}

/// An archive of these files.
pub fn archive(files: &[(&str, &[u8])]) -> Vec<u8> {
    let members = files.iter().map(|(path, data)| member(path, b'0', data));
    ended(members.collect())
}

fn ended(members: Vec<Vec<u8>>) -> Vec<u8> {
    [members.concat(), vec![0; 2 * BLOCK]].concat()
}

fn pax(records: &[(&str, &str)]) -> Vec<u8> {
    let mut data = String::new();
    for (key, value) in records {
        let body = key.len() + value.len() + 3;
        let length = (body..).find(|&n| n == body + n.to_string().len()).unwrap();
        data += &format!("{length} {key}={value}\n");
    }
    member("PaxHeaders/x", b'x', data.as_bytes())
}

fn list(bytes: &[u8]) -> Result<Vec<String>> {
    let mut tar = Tar::new("data.tar", bytes);
    let mut out = Vec::new();
    while let Some(mut entry) = tar.next_entry()? {
        let path = String::from_utf8_lossy(entry.path()).into_owned();
        let line = match entry.kind() {
            Kind::File => {
                let data = entry.read(1 << 20)?;
                format!("{path}: {}", String::from_utf8_lossy(&data))
            }
            Kind::Directory => format!("{path} dir"),
            Kind::HardLink(to) => format!("{path} = {}", String::from_utf8_lossy(to)),
            Kind::SymbolicLink(to) => format!("{path} -> {}", String::from_utf8_lossy(to)),
            Kind::Other => format!("{path}?"),
        };
        out.push(line);
    }
    Ok(out)
}

#[test]
fn files_links_and_directories() {
    let bytes = ended(vec![
        header("./", b'5', 0, "").to_vec(),
        header("./usr/", b'5', 0, "").to_vec(),
        member("./usr/a", b'0', b"A"),
        member("./usr/old", 0, &[b'o'; 600]),
        header("old/", 0, 0, "").to_vec(),
        header("hard", b'1', 3, "usr/a").to_vec(),
        header("soft", b'2', 0, "usr/a").to_vec(),
        header("null", b'3', 0, "").to_vec(),
        member("weird", b'Z', b"skipped"),
        member("empty", b'0', b""),
    ]);
    let expected = [
        " dir",
        "usr/ dir",
        "usr/a: A",
        &format!("usr/old: {}", "o".repeat(600)),
        "old/ dir",
        "hard = usr/a",
        "soft -> usr/a",
        "null?",
        "weird?",
        "empty: ",
    ];
    assert_eq!(list(&bytes).unwrap(), expected);
}

#[test]
fn long_names_of_every_dialect() {
    let long = "d/".repeat(150);
    let mut prefixed = header("tail", b'0', 2, "");
    prefixed[PREFIX][..3].copy_from_slice(b"a/b");
    sum(&mut prefixed);
    let mut gnu = prefixed;
    gnu[257..265].copy_from_slice(b"ustar  \0");
    sum(&mut gnu);
    let mut big = header("big", b'0', 0, "");
    big[SIZE].fill(0);
    big[SIZE.start] = 0x80;
    big[SIZE.end - 1] = 2;
    sum(&mut big);
    let bytes = ended(vec![
        [&prefixed[..], &padded(b"p1")].concat(),
        [&gnu[..], &padded(b"p2")].concat(),
        [&big[..], &padded(b"p3")].concat(),
        member("././@LongLink", b'L', format!("{long}g\0").as_bytes()),
        member("././@LongLink", b'K', format!("{long}k\0").as_bytes()),
        header("cut", b'2', 0, "cut").to_vec(),
        member("pax_global_header", b'g', b"13 path=nono\n"),
        pax(&[("mtime", "1.5"), ("path", &format!("./{long}p")), ("size", "2")]),
        [&header("cut", b'0', 0, "")[..], &padded(b"p4")].concat(),
        pax(&[("linkpath", "to\u{e9}")]),
        header("soft", b'2', 0, "cut").to_vec(),
        pax(&[("GNU.sparse.major", "1")]),
        member("sparse", b'0', b"map"),
        member("after", b'0', b"end"),
    ]);
    let expected = [
        "a/b/tail: p1".to_owned(),
        "tail: p2".into(),
        "big: p3".into(),
        format!("{long}g -> {long}k"),
        format!("{long}p: p4"),
        "soft -> to\u{e9}".into(),
        "sparse?".into(),
        "after: end".into(),
    ];
    assert_eq!(list(&bytes).unwrap(), expected);
}

#[test]
fn a_sparse_map_is_no_member() {
    let mut sparse = header("holes", b'S', 4, "");
    sparse[SPARSE_CONTINUES] = 1;
    sum(&mut sparse);
    let mut map = [7; BLOCK];
    let more = map;
    map[SPARSE_BLOCK_CONTINUES] = 0;
    let bytes =
        ended(vec![[&sparse[..], &more, &map, &padded(b"data")].concat(), member("after", b'0', b"x")]);
    assert_eq!(list(&bytes).unwrap(), ["holes?", "after: x"]);
}

#[test]
fn agrees_with_gnu_tar() {
    let dir = std::env::temp_dir().join(format!("ksurf-tar-{}", std::process::id()));
    let deep = format!("{}/{}", "x".repeat(90), "y".repeat(90));
    std::fs::create_dir_all(dir.join(&deep)).unwrap();
    std::fs::write(dir.join(&deep).join("file"), "long").unwrap();
    std::fs::write(dir.join("short"), "s").unwrap();
    std::os::unix::fs::symlink("short", dir.join("soft")).unwrap();
    for format in ["ustar", "gnu", "pax", "v7"] {
        let members: &[&str] = if format == "v7" { &["./short"] } else { &["./short", &deep, "soft"] };
        let output = std::process::Command::new("tar")
            .args(["-c", "-f-", "--format", format, "-C"])
            .arg(&dir)
            .args(members)
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let expected = [
            "short: s".to_owned(),
            format!("{deep}/ dir"),
            format!("{deep}/file: long"),
            "soft -> short".into(),
        ];
        let count = if format == "v7" { 1 } else { 4 };
        assert_eq!(list(&output.stdout).unwrap(), expected[..count], "{format}");
    }
    std::fs::remove_dir_all(&dir).unwrap();
}

#[test]
fn every_truncation_is_an_error() {
    let bytes = archive(&[("a", b"12345"), ("b", b"")]);
    for end in 0..bytes.len() - BLOCK {
        let error = list(&bytes[..end]).unwrap_err();
        assert!(matches!(error.root(), Error::Truncated { .. }), "{end}: {error}");
    }
    let error = list(&bytes[..BLOCK + 3]).unwrap_err().to_string();
    assert_eq!(error, "data.tar: a: truncated: tar member at offset 0x200 needs 5 bytes, 3 are there");
}

#[test]
fn a_claimed_size_is_not_allocated() {
    let bytes = header("vast", b'0', 0o77_777_777_777, "");
    let mut tar = Tar::new("data.tar", &bytes[..]);
    let mut entry = tar.next_entry().unwrap().unwrap();
    assert!(matches!(entry.read(1 << 20).unwrap_err().root(), Error::TooLarge { limit: 1_048_576, .. }));
    let mut out = Vec::new();
    let error = entry.read_into(&mut out, u64::MAX).unwrap_err();
    assert!(matches!(error.root(), Error::Truncated { available: 0, .. }), "{error}");
    assert_eq!(out.capacity(), 0);
}

#[test]
fn a_buffer_ends_at_the_members_size() {
    let data = vec![7; 5_000_000];
    let mut tar = archive(&[("a", &data)]);
    tar.truncate(tar.len() - 1);
    let mut tar = Tar::new("data.tar", std::io::BufReader::new(&tar[..]));
    let out = tar.next_entry().unwrap().unwrap().read(1 << 30).unwrap();
    assert!(out == data);
    assert_eq!(out.capacity(), data.len());
}

#[test]
fn numbers_in_octal_and_in_binary() {
    assert_eq!(number(b"0000644\0"), Some(0o644));
    assert_eq!(number(b"     17 "), Some(0o17));
    assert_eq!(number(b"\0\0"), Some(0));
    assert_eq!(number(b"12a4\0"), None);
    assert_eq!(number(&[0x80, 0, 1, 2]), Some(258));
    assert_eq!(number(&[0x80, 0, 0, 0, 0xff, 0, 0, 0, 0, 0, 0, 1]), Some(0xff << 56 | 1));
    assert_eq!(number(&[0x80, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0]), None, "too large");
    assert_eq!(number(&[0xff; 12]), None, "negative");
    assert_eq!(number(&[0x80, 0, 0, 0, 0, 0, 0, 9]), Some(9), "a checksum's field is short");
}

#[test]
fn damage_is_named_with_its_offset() {
    let bytes = archive(&[("a", b"1"), ("b", b"2")]);
    let mut damaged = bytes.clone();
    damaged[2 * BLOCK] = b'c';
    let error = list(&damaged).unwrap_err().to_string();
    assert_eq!(error, "data.tar: corrupt: tar header at offset 0x400: its checksum is wrong");
    let mut bad = header("a", b'0', 0, "");
    bad[SIZE.start] = b'9';
    sum(&mut bad);
    assert!(list(&bad).unwrap_err().to_string().contains("size is not a number"));
    let bad = ended(vec![member("x", b'x', b"99 path=a\n")]);
    assert!(list(&bad).unwrap_err().to_string().contains("a record is malformed"));
    let bad = header("x", b'x', METADATA_LIMIT + 1, "");
    assert!(matches!(list(&bad).unwrap_err().root(), Error::TooLarge { .. }));
    let bad = [bytes, vec![1; 2 << 20]].concat();
    assert!(list(&bad).unwrap_err().to_string().contains("data follows its end mark"));
}
